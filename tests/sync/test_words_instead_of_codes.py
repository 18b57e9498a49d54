"""Codes of vendors and of our own tables are words on the pages: rules, events, grants, calls, objects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

import mappings.presets
from integrations.event_words import event_word
from integrations.models import ConnectedAccount, InboundEvent, Membership, RateBudget, TokenGeneration
from mappings.presets import shown_rule, texts
from sync import guided, notices
from sync.admin.run_calls import calls_in_words
from sync.engine.conflicts import why_linked
from sync.models import Notice
from sync.notices.survey import survey
from sync.notices.words import words
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make.make_superuser())
    return client


def page_of(client: Client, name: str, *args: object) -> str:
    return client.get(reverse(f"admin:{name}", args=args)).content.decode()


def test_every_match_rule_of_a_preset_is_marked_for_translation() -> None:
    labels = set()
    for path in Path(mappings.presets.__path__[0]).glob("*/*.json"):
        orders = json.loads(path.read_text("utf-8")).get("match_orders", {})
        labels |= {rule["label"] for order in orders.values() for rule in order if "$" not in rule["label"]}
    assert labels and labels <= texts.RULES, labels - texts.RULES


def test_a_match_rule_reads_in_the_readers_language_and_one_of_an_old_mapping_too(staff: Client) -> None:
    with translation.override("sv"):
        assert str(shown_rule("Organisation number")) == "Organisationsnummer"
        assert "Organisationsnummer" in str(why_linked("Organisation number"))
        assert shown_rule("My own rule") == "My own rule"
    assert shown_rule("Name and postcode") == "Name and postal code"
    change = make.make_change(action="link", match_rule="Name and postcode")
    assert "Name and postal code" in page_of(staff, "sync_change_change", change.pk)


def test_what_an_event_says_is_one_word_whoever_says_it(staff: Client) -> None:
    spelled = {
        "propertyChange": "changed", "creation": "created", "privacyDeletion": "deleted", "merge": "merged",
        "invoice-updated-v1": "changed", "customer-created-v1": "created", "message": "changed", "restore": "restored",
        "quite-new": "quite-new",
    }  # fmt: skip
    assert {kind: event_word(kind) for kind in spelled} == spelled
    account = make.make_account()
    event = InboundEvent.objects.create(
        account=account, dedupe_key="k", object="deal", record_id="7", kind="propertyChange"
    )
    for name, args in (("integrations_inboundevent_changelist", ()), ("integrations_inboundevent_change", (event.pk,))):
        text = page_of(staff, name, *args)
        assert "changed" in text and "propertyChange</td>" not in text


def test_a_pause_of_a_budget_is_a_moment_and_a_pause_that_is_over_is_none(staff: Client) -> None:
    soon = timezone.now().timestamp() + 3600
    budget = RateBudget.objects.create(key="hubspot:1", paused_until=soon, hits=[soon - 7200])
    for name, args in (("integrations_ratebudget_changelist", ()), ("integrations_ratebudget_change", (budget.pk,))):
        text = page_of(staff, name, *args)
        assert str(timezone.localtime().year) in text and str(soon)[:9] not in text
    RateBudget.objects.update(paused_until=1.0)
    assert "1970" not in page_of(staff, "integrations_ratebudget_changelist")


def test_how_tokens_were_obtained_is_said_in_words(staff: Client) -> None:
    account = make.make_account(grant="client_credentials")
    row = TokenGeneration.objects.create(account=account, number=1, grant="client_credentials")
    said = str(ConnectedAccount.Grant.CLIENT_CREDENTIALS.label)
    pages = (
        ("integrations_tokengeneration_changelist",), ("integrations_tokengeneration_change", row.pk),
        ("integrations_connectedaccount_change", account.pk),
    )  # fmt: skip
    for name, *args in pages:
        text = page_of(staff, name, *args)
        assert said in text and ">client_credentials<" not in text
    listed = reverse("admin:integrations_tokengeneration_changelist")
    assert said in staff.get(f"{listed}?grant=client_credentials").content.decode()
    assert staff.get(f"{listed}?grant=jwt_bearer").context["cl"].result_count == 0


def test_the_calls_of_an_org_are_grouped_as_the_reader_groups(staff: Client) -> None:
    account = make.make_account(system="salesforce", usage={"used": 92_500, "max": 115_000})
    text = page_of(staff, "integrations_connectedaccount_change", account.pk)
    assert "92,500 of 115,000 calls" in text


def test_the_calls_of_a_run_say_system_record_and_direction(staff: Client) -> None:
    calls = {
        "hubspot company.batch_update": 1200, "hubspot company.batch_create": 34, "hubspot line_item.search": 2,
        "fortnox customer.list": 5, "hubspot deal.line_item.associate": 1, "hubspot account": 1,
    }  # fmt: skip
    assert [(row["words"], row["count"]) for row in calls_in_words(calls)] == [
        ("HubSpot · company · writing", "1,234"),
        ("Fortnox · customer · reading", "5"),
        ("HubSpot · line item · reading", "2"),
        ("HubSpot · other calls", "1"),
        ("HubSpot · deal, line item · writing", "1"),
    ]
    run = make.make_run(api_calls=calls)
    text = page_of(staff, "sync_syncrun_change", run.pk)
    assert "HubSpot · company · writing: 1,234" in text
    assert 'title="hubspot company.batch_create: 34, hubspot company.batch_update: 1200"' in text


def test_a_notice_names_the_kind_of_failure_and_not_its_code() -> None:
    change = make.make_change(state="review", error_class="configuration", error_code="no_route", source_title="Alfa")
    survey()
    told = words(Notice.objects.get(kind="failures_waiting"))
    assert "Alfa (Configuration)" in told.cause and "no_route" not in told.cause
    assert change.flow.title in told.cause
    failed = notices.tell(
        "run_failed", None, key="r", params={"flow": "F", "systems": "fortnox", "code": "2000588", "message": "Nej"}
    )
    assert failed is not None and "2000588" not in words(failed).cause


def test_a_records_own_name_says_its_objects_in_the_readers_language() -> None:
    link = make.make_link(crm_object="line_item", ledger_object="customer", title="Alfa")
    with translation.override("sv"):
        assert "kund" in str(link) and "line_item" not in str(link)


def test_one_suggestion_is_not_called_several_counterparts() -> None:
    flow = make.make_flow(enabled=True, first_run_approved_at=None)
    run = make.make_run(flow, state="held")
    make.make_change(run, action="conflict", state="review")
    stage = next(stage for stage in guided.path_of(flow.integration).stages if stage.key == "match")
    assert stage.text == "1 record may exist on the other side already."


def test_nobody_is_led_to_connect_what_they_may_not() -> None:
    organization, other = make.make_organization("Egen AB"), make.make_organization("Annan AB")
    viewer = make.make_user(organization=organization, role=Membership.Role.VIEWER)
    client = Client()
    client.force_login(viewer)
    answer = client.get(reverse("admin:integrations_connect"))
    assert answer["Location"] == reverse("admin:path")
    assert "sets up integrations" in page_of(client, "path")
    both = make.make_user(organization=organization, role=Membership.Role.CONSULTANT)
    Membership.objects.create(organization=other, user=both, role=Membership.Role.VIEWER)
    client.force_login(both)
    text = page_of(client, "path")
    assert reverse("admin:integrations_connect_organization", args=[organization.pk]) in text
    assert reverse("admin:integrations_connect_organization", args=[other.pk]) not in text
    assert client.get(reverse("admin:integrations_connect")).status_code == 200
