"""The mapping editor behind its page: pickers, samples, what the page costs, values without a line."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mappings import editor, editor_maps, samples
from mappings.models import EditorSample, FieldMapping, MappingSet, ValueMap, ValueMapEntry
from tests import factories as make
from tests.mappings import world
from tests.mappings.editor_kit import (
    INVOICE,
    Shelf,
    a_draft,
    ask,
    shelved,
    url,
)
from tests.mappings.test_admin import change_url, consultant, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return shelved(monkeypatch)


def test_pickers_say_all_that_is_known_of_a_field_with_a_value_of_the_sample() -> None:
    user = consultant()
    pair = world.integration(described=True, user=user)
    draft = MappingSet.objects.create(
        integration=pair, slug="invoices", name="Invoices", source_side="ledger", source_object="invoice",
        target_side="crm", target_object="deal",
    )  # fmt: skip
    editor.keep(user, draft, INVOICE)
    found = signed_in(user).get(url(draft, "fields")).json()
    source = {row["insert"]: row for row in found["source"]}
    assert source["invoice.DocumentNumber"]["sample"] == "203"
    assert source["customer.Name"]["sample"] == "Åkers Järn AB"
    assert source["row.ArticleNumber"]["sample"] == "A-1"
    assert source["setup.stage_paid"]["sample"] == "s-paid"
    assert source["setting.days"]["sample"] == "30"
    assert "source.account_id" in source
    header = {row["name"]: row for row in found["target"]["header"]}
    assert header["dealstage"]["options"][0] == ["s-unpaid", "unpaid"]
    assert header["amount"]["type"] == "a number"
    assert {row["name"]: row for row in found["target"]["line"]}["hs_total_discount"]["readonly"] is True


def test_a_sample_is_read_once_kept_for_its_person_and_forgotten(shelf: Shelf) -> None:
    draft, client = a_draft()
    user = draft.integration.organization.members.get()
    assert ask(client, draft, "sample", {"id": " 17 "}).json() == {"id": "17", "title": "17"}
    row = {"key": "k", "expression": "customer.City", "target": "city"}
    for _n in range(2):
        assert ask(client, draft, "check", {"rows": [row]}).json()["rows"][0]["value"] == "Lund"
    assert shelf.loaded == ["17"]
    assert "Lund" not in EditorSample.objects.get().data  # encrypted
    assert editor.kept(make.make_user(), draft) is None
    ask(client, draft, "sample", {"id": "18"})
    assert EditorSample.objects.get().source_id == "18"
    EditorSample.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert editor.kept(user, draft) is None
    editor.keep(make.make_user(), draft, INVOICE)
    assert EditorSample.objects.count() == 1  # the old one went with the next that was kept
    assert "Gone." in ask(client, draft, "sample", {"id": "404"}).json()["error"]
    assert "error" in ask(client, draft, "sample", {"id": ""}).json()
    assert ask(client, draft, "recent", {}).json() == {"recent": [{"id": "1", "name": "Åkers"}]}
    assert ask(client, draft, "schema", {"side": "target"}).json()["at"]
    assert ask(client, draft, "schema", {"side": "x"}).status_code == 400
    shelf.fails = True
    assert "Fortnox is closed" in ask(client, draft, "sample", {"id": "1"}).json()["error"]


def test_a_sample_survives_being_kept_with_its_types() -> None:
    assert samples.load_text(samples.dump(INVOICE)) == INVOICE


def test_the_page_costs_the_same_for_five_and_sixty_rows() -> None:
    user = consultant()
    client = signed_in(user)
    counts = []
    pairs = {rows: world.integration(f"Firm {rows}", user=user) for rows in (5, 60)}
    for rows, pair in pairs.items():
        draft = world.draft(pair)
        value_map = ValueMap.objects.create(integration=pair, name="Shared")
        for number in range(rows):
            world.field(draft, f"field_{number}", position=number, value_map=value_map)
        client.get(change_url(draft))
        client.get(change_url(value_map))
        body = {"rows": [{"key": str(n), "expression": "customer.Name", "target": f"field_{n}"} for n in range(rows)]}
        with CaptureQueriesContext(
            connection,
        ) as page:
            assert client.get(change_url(draft)).status_code == 200
        with CaptureQueriesContext(connection) as checked:
            assert ask(client, draft, "check", body).status_code == 200
        with CaptureQueriesContext(connection) as map_page:
            assert client.get(change_url(value_map)).status_code == 200
        counts.append((len(page), len(checked), len(map_page)))
    assert counts[0] == counts[1]
    assert counts[0][0] <= 24


def test_the_page_works_without_script_and_says_what_is_wrong() -> None:
    draft, client = a_draft()
    FieldMapping.objects.filter(target_field="city").update(expression="customer.Citty")
    page = client.get(change_url(draft) + "?rows=3").content.decode()
    assert "Did you mean “City”?" in page
    assert 'name="field_mappings-4-expression"' in page
    assert '<datalist id="targets-header">' in page
    assert "concat(" in page and " style=" not in page.split('id="editor"')[1].split("field_mappings-group")[0]


def test_values_that_came_by_without_a_line_are_listed_with_their_counts() -> None:
    draft, client = a_draft()
    value_map = ValueMap.objects.create(integration=draft.integration, name="Cities")
    row = draft.field_mappings.get(target_field="city")
    row.value_map = value_map
    row.expression = "customer.City"
    row.save()
    world.field(draft, "zip", 'lookup(customer.Name, "Cities")')
    found = editor_maps.uses(value_map)
    assert [use.row.target_field for use in found] == ["zip", "city"] or len(found) == 2
    assert [(one.value, one.count) for one in editor_maps.missing(value_map, found)] == [("Sverige", 3)]
    page = client.get(change_url(value_map)).content.decode()
    assert "Sverige" in page and "waits for review" in page
    seen = client.post(reverse("admin:mappings_valuemap_seen", args=[value_map.pk])).json()
    assert {(one["value"], one["count"]) for one in seen["seen"]} == {("Lund", 1), ("Åkers", 1)}
    ValueMapEntry.objects.create(value_map=value_map, source_value=" LUND ", target_value="L")
    ValueMapEntry.objects.create(value_map=value_map, source_value="sverige", target_value="S")
    fresh = ValueMap.objects.get(pk=value_map.pk)
    assert editor_maps.missing(fresh, found) == []
    seen = client.post(reverse("admin:mappings_valuemap_seen", args=[value_map.pk])).json()
    assert [one["value"] for one in seen["seen"]] == ["Åkers"]


def test_two_columns_are_pasted_and_a_line_that_is_none_is_refused() -> None:
    draft, client = a_draft()
    value_map = ValueMap.objects.create(integration=draft.integration, name="Cities")
    ValueMapEntry.objects.create(value_map=value_map, source_value="lund", target_value="old")
    post = {
        "name": "Cities", "integration": draft.integration_id, "unmapped": "block",
        "entries-TOTAL_FORMS": 0, "entries-INITIAL_FORMS": 0,
    }  # fmt: skip
    wrong = client.post(change_url(value_map), post | {"paste": "a\tb\nc\td\te"})
    assert "Line 2 has 3 columns instead of two" in wrong.content.decode()
    assert client.post(change_url(value_map), post | {"paste": "Lund\tL\r\n\r\n =1+1 ; X"}).status_code == 302
    assert dict(ValueMapEntry.objects.values_list("source_value", "target_value")) == {"lund": "L", "=1+1": "X"}
    assert editor_maps.pasted("a\tb\n" * 1_001)[1]
