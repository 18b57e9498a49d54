"""The history of settings: complete however they are written, silent about what the engine writes, without secrets."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.audit import AuditedQuerySet, acting
from integrations.fields import EncryptedTextField, conceal
from integrations.models import ConnectedAccount, Membership
from mappings.models import FieldMapping, ValueMap, ValueMapEntry
from sync.erasure_texts import PLACES
from sync.models import Flow
from tests import factories as make

pytestmark = pytest.mark.django_db

AUDITED = [model for model in apps.get_models() if hasattr(model, "_config_history")]
WANTED = {
    "Organization", "Membership", "ConnectedAccount", "Integration", "CustomSource", "MappingSet", "FieldMapping",
    "FormerSecret", "MatchRule", "ValidationRule", "LinkRule", "LookupRule", "ValueMap", "ValueMapEntry", "RoutingRule",
    "Flow", "FlowPass", "NoticePreference", "ChatChannel",
}  # fmt: skip


def test_every_kind_of_setting_has_a_history_that_holds_no_secret() -> None:
    assert {model.__name__ for model in AUDITED} == WANTED
    for model in AUDITED:
        kept = {field.name for field in model._config_history.fields_included(model)}
        secret = {field.name for field in model._meta.fields if isinstance(field, EncryptedTextField)}
        assert not kept & secret, model


def test_no_way_of_writing_many_rows_passes_the_history_by() -> None:
    for model in AUDITED:
        assert issubclass(model._default_manager._queryset_class, AuditedQuerySet), model
    tables = "|".join(model._meta.db_table for model in AUDITED)
    raw = re.compile(rf"(UPDATE|INSERT INTO|DELETE FROM)\s+\"?({tables})\b|_raw_delete|_base_manager\b.*\.update\(")
    rooms = (Path(django_settings.BASE_DIR) / room for room in ("config", "sync", "mappings", "integrations"))
    sources = [path for room in rooms for path in room.rglob("*.py") if "migrations" not in path.parts]
    found = {path.name for path in sources if raw.search(path.read_text(encoding="utf-8"))}
    assert found <= {"erasure_texts.py"}  # it empties texts in places of its own, none of which is a setting
    assert not {label for label, _columns in PLACES} & {model._meta.label for model in AUDITED}


def test_what_the_engine_writes_costs_no_query_and_leaves_no_row() -> None:
    flow = make.make_flow()
    account = flow.integration.ledger_account
    before = (flow.history.count(), account.history.count())
    with CaptureQueriesContext(
        connection,
    ) as queries:
        Flow.objects.filter(pk=flow.pk).update(cursor="7", last_success_at=timezone.now(), next_run_at=timezone.now())
        flow.cursor = "8"
        flow.save(update_fields=["cursor", "cursor_at"])
        ConnectedAccount.objects.filter(pk=account.pk).update(schemas={"a": 1}, usage={"used": 1})
        account.refresh_due_at = timezone.now()
        account.save(update_fields=["access_token", "refresh_due_at", "token_generation"])
    assert len(queries) == 4
    assert (flow.history.count(), account.history.count()) == before


def test_a_save_that_changes_nothing_and_a_change_by_each_way_of_writing() -> None:
    flow = make.make_flow(every_minutes=30)
    flow.save()
    assert flow.history.count() == 1
    flow.every_minutes = "30"  # as a form has it
    flow.save()
    assert flow.history.count() == 1
    flow.brake_amount = Decimal("5.00")
    flow.save(update_fields=["brake_amount"])
    Flow.objects.filter(pk=flow.pk).update(enabled=False)
    Flow.objects.filter(pk=flow.pk).update(enabled=False)
    fresh = Flow.objects.get(pk=flow.pk)
    fresh.takes = "linked"
    Flow.objects.bulk_update([fresh], ["takes"])
    values = list(flow.history.order_by("history_id").values_list("history_type", "brake_amount", "enabled", "takes"))
    assert values == [
        ("+", None, True, "all"), ("~", Decimal(5), True, "all"), ("~", Decimal(5), False, "all"),
        ("~", Decimal(5), False, "linked"),
    ]  # fmt: skip
    table = ValueMap.objects.create(integration=flow.integration, name="Countries")
    rows = ValueMapEntry.objects.bulk_create(
        ValueMapEntry(value_map=table, source_value=name, source_key=name, target_value="x") for name in ("a", "b")
    )
    assert ValueMapEntry.history.filter(value_map_id=table.pk, history_type="+").count() == len(rows) == 2
    ValueMapEntry.objects.filter(value_map=table).delete()
    assert ValueMapEntry.history.filter(value_map_id=table.pk, history_type="-").count() == 2


def test_a_person_at_a_card_stands_in_the_history() -> None:
    flow = make.make_flow()
    user = make.make_user("anna", organization=flow.integration.organization)
    with acting(user, "anna@kund.example (HubSpot 77)"):
        Flow.objects.filter(pk=flow.pk).update(enabled=False)
    row = flow.history.latest("history_id")
    assert row.history_user == user and row.history_change_reason == "anna@kund.example (HubSpot 77)"


def page_of(client: Client, row: Any) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_history"
    answer = client.get(reverse(name, args=[row.pk]))
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def test_the_history_of_a_row_says_field_old_new_person_and_of_its_parts_too() -> None:
    organization = make.make_organization("Nordkraft")
    owner = make.make_user("owner", organization=organization, role="owner")
    client = Client()
    client.force_login(owner)
    flow = make.make_flow(make.make_integration(organization))
    assert client.post(reverse("admin:sync_flow_pause", args=[flow.pk])).status_code == 302
    shown = page_of(client, flow)
    assert "owner On: yes → no" in shown
    eva = make.make_user("eva", organization=organization, role="viewer").memberships.get()
    step = reverse("admin:integrations_people_step", args=[organization.pk, eva.pk, "role"])
    client.post(step, {"role": "accountant"})
    assert "Membership eva changed Role: Viewer → Accountant" in page_of(client, organization)
    client.post(step.replace("role", "remove"), {"confirmed": 1})
    assert "Membership eva removed" in page_of(client, organization)

    mapping = make.make_mapping_set(flow.integration, state="draft")
    rule = FieldMapping.objects.create(mapping_set=mapping, target_field="city", expression="customer.City")
    rule.expression = "customer.Country"
    rule.save()
    mapping.name = "<b>New</b>"
    mapping.save()
    shown = page_of(client, mapping)
    assert "customer.City → customer.Country" in shown and "Field “city”" in shown.replace("Field mapping", "Field")
    raw = client.get(reverse("admin:mappings_mappingset_history", args=[mapping.pk])).content.decode()
    assert "&lt;b&gt;New&lt;/b&gt;" in raw

    account = flow.integration.crm_account
    conceal(account, "client_secret", "CANARY-secret")
    account.client_id = "app-2"
    account.save()
    shown = page_of(client, account)
    assert "app-2" in shown and "CANARY" not in shown and "gcm1:" not in shown


def test_the_page_of_many_changes_costs_what_one_costs_and_goes_on() -> None:
    organization = make.make_organization()
    client = Client()
    client.force_login(make.make_user(organization=organization, role="viewer"))
    flow = make.make_flow(make.make_integration(organization))
    url = reverse("admin:sync_flow_history", args=[flow.pk])

    def change(number: int) -> None:
        for each in range(number):
            flow.every_minutes += 1 + each
            flow.save(update_fields=["every_minutes"])

    change(1)
    client.get(url)
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    change(120)
    with CaptureQueriesContext(connection) as many:
        page = client.get(url).content.decode()
    assert len(many) <= len(few) + 1 and page.count("Every (minutes):") == 100
    older = client.get(f"{url}?after=100").content.decode()
    assert older.count("Every (minutes):") == 21 and "30" in older


def test_the_history_of_others_does_not_exist() -> None:
    flow = make.make_flow()
    client = Client()
    client.force_login(make.make_user(organization=make.make_organization(), role="owner"))
    for row in (flow, flow.integration, flow.integration.organization, flow.integration.crm_account):
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}_history"
        assert client.get(reverse(name, args=[row.pk])).status_code == 404
    assert Membership.history.exists()
