"""Batches: sizes, mixed results, upserts."""

from __future__ import annotations

from typing import Any

import pytest

from .hubspot_world import Hub, V

KEY = "fortnox_customer_number"


def keyed(number: str, **properties: Any) -> dict[str, Any]:
    return {"id": number, "idProperty": KEY, "properties": properties}


def hub_with_key() -> Hub:
    hub = Hub()
    hub.unique_property()
    return hub


@pytest.mark.parametrize("action", ["read", "create", "update", "upsert", "archive"])
def test_a_batch_has_a_hundred_inputs_at_most(action: str) -> None:
    hub = hub_with_key()
    entry = {"id": "1", "idProperty": KEY, "properties": {"name": "A"}}
    answer = hub.batch("companies", action, [{**entry, "id": str(n)} for n in range(101)])
    assert (answer.status_code, answer.get_json()["category"]) == (400, "VALIDATION_ERROR")


def test_a_create_without_trace_ids_is_all_or_nothing() -> None:
    hub = Hub()
    inputs = [{"properties": {"name": "A"}}, {"properties": {"nosuch": "1"}}]
    assert hub.batch("companies", "create", inputs).status_code == 400
    inputs[0]["objectWriteTraceId"] = "row-1"
    assert hub.batch("companies", "create", inputs).status_code == 400
    assert hub.hubspot.records("145893001", "companies") == []


def test_trace_ids_make_each_input_stand_alone() -> None:
    hub = hub_with_key()
    hub.create("companies", name="A", **{KEY: "1"})
    inputs = [
        {"objectWriteTraceId": f"row-{n}", "properties": {"name": f"B{n}", KEY: number}}
        for n, number in enumerate(["1", "2", "2"])
    ]
    answer = hub.batch("companies", "create", inputs)
    body = answer.get_json()
    assert answer.status_code == 207
    assert [result["objectWriteTraceId"] for result in body["results"]] == ["row-1"]
    assert [error["context"]["objectWriteTraceId"] for error in body["errors"]] == [["row-0"], ["row-2"]]
    assert body["numErrors"] == 2


def test_a_create_without_errors_is_201_and_two_equal_unique_values_clash() -> None:
    hub = hub_with_key()
    assert hub.batch("companies", "create", [{"properties": {"name": "A", KEY: "1"}}]).status_code == 201
    twins = [{"properties": {"name": "B", KEY: "9"}}, {"properties": {"name": "C", KEY: "9"}}]
    assert hub.batch("companies", "create", twins).status_code == 400


def test_a_batch_create_links_the_new_records() -> None:
    hub = Hub()
    deal = hub.create("deals", dealname="D", dealstage="closedwon")
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 20}]
    links = [{"to": {"id": deal}, "types": types}]
    inputs = [{"properties": {"name": f"Rad {n}"}, "associations": links} for n in range(3)]
    assert hub.batch("line_items", "create", inputs).status_code == 201
    assert len(hub.ok("GET", f"/crm/objects/{V}/deals/{deal}/associations/line_items")["results"]) == 3


def test_reading_reports_missing_ids_in_one_error() -> None:
    hub = Hub()
    made = hub.create("companies", name="A")
    answer = hub.batch("companies", "read", [{"id": made}, {"id": "1"}, {"id": "x"}], properties=["name"])
    body = answer.get_json()
    assert (answer.status_code, len(body["results"]), body["numErrors"]) == (207, 1, 1)
    assert body["errors"][0]["context"]["ids"] == ["1", "x"]


def test_reading_by_a_unique_property() -> None:
    hub = hub_with_key()
    made = hub.create("companies", name="A", **{KEY: "77"})
    answer = hub.batch("companies", "read", [{"id": "77"}], idProperty=KEY, properties=[KEY])
    assert (answer.status_code, answer.get_json()["results"][0]["id"]) == (200, made)
    assert hub.batch("companies", "read", [{"id": "a"}], idProperty="domain", properties=[]).status_code == 400


def test_an_update_reports_unknown_ids_beside_what_it_changed() -> None:
    hub = Hub()
    made = hub.create("companies", name="A")
    inputs = [{"id": made, "properties": {"city": "Kiruna"}}, {"id": "5", "properties": {"city": "X"}}]
    answer = hub.batch("companies", "update", inputs)
    assert answer.status_code == 207
    assert answer.get_json()["results"][0]["properties"]["city"] == "Kiruna"


def test_an_update_with_a_bad_value_changes_nothing() -> None:
    hub = Hub()
    one, other = hub.create("companies", name="A"), hub.create("companies", name="B")
    inputs = [{"id": one, "properties": {"name": "X"}}, {"id": other, "properties": {"numberofemployees": "x"}}]
    assert hub.batch("companies", "update", inputs).status_code == 400
    assert hub.get("companies", one)["properties"]["name"] == "A"


def test_the_same_record_twice_is_refused() -> None:
    hub = hub_with_key()
    answer = hub.batch("companies", "upsert", [keyed("1", name="A"), keyed("1", name="B")])
    assert answer.status_code == 400
    assert answer.get_json()["message"] == "Duplicate IDs found in batch input: [1]. IDs must be unique"


def test_an_upsert_says_what_was_new() -> None:
    hub = hub_with_key()
    made = hub.create("companies", name="A", **{KEY: "1"})
    answer = hub.batch("companies", "upsert", [keyed("1", city="Kiruna"), keyed("2", name="B")])
    old, new = answer.get_json()["results"]
    assert (answer.status_code, old["new"], new["new"], old["id"]) == (200, False, True, made)
    assert hub.get("companies", "2", f"?idProperty={KEY}")["id"] == new["id"]


@pytest.mark.parametrize("name", ["domain", "name", "hs_object_id", None])
def test_an_upsert_needs_a_unique_property(name: str | None) -> None:
    entry = {"id": "a", "properties": {"name": "A"}}
    answer = Hub().batch("companies", "upsert", [entry if name is None else {**entry, "idProperty": name}])
    expected = f"Unable to perform update/upsert by non-unique 0-2 property {name or 'hs_object_id'}"
    assert (answer.status_code, answer.get_json()["message"]) == (400, expected)


def test_contacts_are_upserted_by_email_and_products_never_by_sku() -> None:
    hub = Hub()
    entry = {"id": "a@example.se", "idProperty": "email", "properties": {"firstname": "A"}}
    first = hub.batch("contacts", "upsert", [entry]).get_json()["results"][0]
    second = hub.batch("contacts", "upsert", [entry]).get_json()["results"][0]
    assert (first["id"], first["new"], second["new"]) == (second["id"], True, False)
    sku = {"id": "1001", "idProperty": "hs_sku", "properties": {"name": "P"}}
    assert hub.batch("products", "upsert", [sku]).status_code == 400


def test_archiving_is_204_whatever_the_ids() -> None:
    hub = Hub()
    made = hub.create("companies", name="A")
    assert hub.batch("companies", "archive", [{"id": made}, {"id": "1"}]).status_code == 204
    assert hub.call("GET", f"/crm/objects/{V}/companies/{made}").status_code == 404
