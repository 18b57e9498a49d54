"""HubSpot's odd answers, with canned replies: whole refusals, partial results, and values of every type."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st
from requests import PreparedRequest

from integrations import http
from integrations.connector import FieldType, Record, Write
from integrations.errors import InvalidData, Missing, OutcomeUnknown, TooLarge, Transient
from integrations.http import Api
from integrations.hubspot import schema, values
from integrations.hubspot.batches import Batches
from integrations.hubspot.client import HubSpot
from tests.integrations.clients import connected, connector, set_vendor

BASE = "https://api.hubapi.com"
UPSERT = f"{BASE}/crm/objects/2026-09/companies/batch/upsert"


@pytest.fixture(autouse=True)
def _no_limits(settings) -> None:  # type: ignore[no-untyped-def]
    set_vendor(settings, "hubspot", rate=(0, 10.0), search_rate=(0, 1.0))
    schema.clear_cache()


def _refusing(bad: set[str], status: int = 400) -> list[int]:
    """An upsert that is all or nothing: refused whole when a bad key is among the inputs. Sizes of the calls."""
    sizes: list[int] = []

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        inputs = json.loads(request.body or b"{}")["inputs"]
        sizes.append(len(inputs))
        if bad & {entry["id"] for entry in inputs}:
            return status, {}, json.dumps({"status": "error", "category": "VALIDATION_ERROR", "message": "no"})
        results = [{"id": f"9{e['id']}", "properties": {"key": e["id"]}, "new": True} for e in inputs]
        return 200, {}, json.dumps({"status": "COMPLETE", "results": results[::-1]})

    responses.add_callback(responses.POST, UPSERT, callback=answer)
    return sizes


def _write(count: int) -> list[Any]:
    inputs = [{"id": str(n), "idProperty": "key", "properties": {}} for n in range(count)]
    return Batches(HubSpot(Api(connected("hubspot")))).write("company", "upsert", inputs)


@pytest.mark.django_db
@responses.activate
@pytest.mark.parametrize("poison", [0, 1, 12, 33, 49, 50, 62, 77, 98, 99])
def test_one_poison_record_in_a_hundred_costs_at_most_fourteen_calls(poison: int) -> None:
    sizes = _refusing({str(poison)})
    answers = _write(100)
    assert [n for n, answer in enumerate(answers) if isinstance(answer, InvalidData)] == [poison]
    assert all(answer["id"] == f"9{n}" for n, answer in enumerate(answers) if n != poison)
    assert len(sizes) <= 14


@pytest.mark.django_db
@responses.activate
def test_many_poison_records_are_all_isolated() -> None:
    _refusing({"3", "4", "50", "99"})
    answers = _write(100)
    assert {n for n, answer in enumerate(answers) if isinstance(answer, InvalidData)} == {3, 4, 50, 99}


@pytest.mark.django_db
@responses.activate
def test_a_server_fault_is_not_bisected() -> None:
    sizes = _refusing({"1"}, status=500)
    answers = _write(100)
    assert {type(answer) for answer in answers} == {Transient}
    assert sizes == [100]


@pytest.mark.django_db
@responses.activate
def test_partial_results_go_to_their_entries_in_any_order() -> None:
    body = {
        "status": "COMPLETE",
        "results": [
            {"id": "92", "properties": {}, "objectWriteTraceId": "2"},
            {"id": "90", "properties": {"key": "0"}},
        ],
        "numErrors": 1,
        "errors": [
            {
                "status": "error",
                "category": "VALIDATION_ERROR",
                "message": "x",
                "context": {"objectWriteTraceId": ["1"]},
            }
        ],
    }
    responses.post(UPSERT, json=body, status=207)
    first, second, third = _write(3)
    assert (first["id"], third["id"]) == ("90", "92")
    assert isinstance(second, InvalidData)


@pytest.mark.django_db
@responses.activate
def test_an_entry_that_the_answer_forgets_is_an_error() -> None:
    responses.post(UPSERT, json={"results": [{"id": "90", "properties": {"key": "0"}}]})
    first, second = _write(2)
    assert first["id"] == "90"
    assert isinstance(second, TooLarge)


@pytest.mark.django_db
@responses.activate
@pytest.mark.parametrize("body", ["<html>", '{"results": [{"id"', "[]"])
def test_a_single_create_with_an_unreadable_answer_is_unknown(body: str) -> None:
    responses.post(f"{BASE}/crm/objects/2026-09/companies", body=body, status=201)
    outcome = connector(connected("hubspot")).create("company", Write("1", fields={"name": "x"}))
    assert isinstance(outcome.error, OutcomeUnknown)


@pytest.mark.django_db
@responses.activate
def test_nothing_associated_is_an_empty_list() -> None:
    error = {
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "context": {"fromObjectId": ["2"]},
    }
    body = {
        "status": "COMPLETE",
        "results": [
            {
                "from": {"id": "1"},
                "to": [
                    {"toObjectId": 12, "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 341}]},
                    {"toObjectId": 34, "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 5}]},
                ],
            }
        ],
        "numErrors": 1,
        "errors": [error],
    }
    responses.post(f"{BASE}/crm/associations/2026-09/deals/companies/batch/read", json=body, status=207)
    links = connector(connected("hubspot"))._reader.links
    assert links.all("deal", "company", ["1", "2"]) == {"1": ["12", "34"], "2": []}
    assert links.chosen("deal", "company", ["1", "2"]) == {"1": "34"}


_FAILED = {"status": "error", "category": "INTERNAL_ERROR", "message": "There was a problem with the request."}


@pytest.mark.django_db
@responses.activate
def test_associations_that_could_not_be_read_are_not_none() -> None:
    failed = _FAILED | {"context": {"fromObjectId": ["2"]}}
    body = {"results": [{"from": {"id": "1"}, "to": [{"toObjectId": 12}]}], "errors": [failed]}
    responses.post(f"{BASE}/crm/associations/2026-09/deals/line_items/batch/read", json=body, status=207)
    with pytest.raises(Transient):
        connector(connected("hubspot"))._reader.links.all("deal", "line_item", ["1", "2"])


@pytest.mark.django_db
@responses.activate
@pytest.mark.parametrize("context", [{"ids": ["55"]}, {}])
def test_a_record_that_could_not_be_read_is_not_missing(context: dict[str, list[str]]) -> None:
    responses.get(f"{BASE}/crm/properties/2026-09/line_items", json={"results": []})
    gone = {"category": "OBJECT_NOT_FOUND", "message": "…", "context": {"ids": ["56"]}}
    body = {
        "results": [{"id": "54", "properties": {"hs_object_id": "54"}}],
        "errors": [gone, _FAILED | {"context": context}],
    }
    responses.post(f"{BASE}/crm/objects/2026-09/line_items/batch/read", json=body, status=207)
    found = connector(connected("hubspot"))._reader.batch("line_item", ["54", "55", "56"], [])
    assert isinstance(found["54"], Record) and isinstance(found["55"], Transient)
    assert isinstance(found["56"], Missing) or not context  # which record is meant is not said: neither is missing


@pytest.mark.django_db
@responses.activate
def test_property_types_are_asked_once_for_many_pages() -> None:
    responses.get(f"{BASE}/crm/properties/2026-09/companies", json={"results": [{"name": "name", "type": "string"}]})
    properties = connector(connected("hubspot"))._properties
    with http.counting() as calls:
        for _ in range(5):
            assert properties.types("company", ["name", "a_typo"])["name"] is FieldType.STRING
    assert calls.total() == 1


def _search_index(rows: list[tuple[int, str]], shifting: bool = False) -> None:
    """A search over (id, stamp) rows that honours the filters we use, 200 a page, and serves offsets as HubSpot does.

    `shifting`: after the first answer the oldest row changes and moves to the end.
    """
    served: list[int] = []

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        body = json.loads(request.body or b"{}")
        if shifting and len(served) == 1:
            rows.append((rows.pop(0)[0], "2026-11-21T10:00:00.000Z"))
        served.append(1)
        found = rows
        for item in body["filterGroups"][0]["filters"]:
            name, operator, value = item["propertyName"], item["operator"], int(item["value"])
            pick = [(r[0] if name == "hs_object_id" else _ms(r[1]), r) for r in found]
            found = [r for have, r in pick if {"GTE": have >= value, "GT": have > value, "EQ": have == value}[operator]]
        by_id = body["sorts"][0]["propertyName"] == "hs_object_id"
        found = sorted(found, key=lambda r: (r[0],) if by_id else (_ms(r[1]), r[0]))
        start = int(body.get("after", 0))
        shown = found[start : start + 200]
        results = [{"id": str(i), "properties": {"name": f"n{i}", "hs_lastmodifieddate": at}} for i, at in shown]
        paging = {"paging": {"next": {"after": str(start + 200)}}} if len(found) > start + 200 else {}
        return 200, {}, json.dumps({"total": len(found), "results": results, **paging})

    responses.add_callback(responses.POST, f"{BASE}/crm/objects/2026-09/companies/search", callback=answer)
    responses.get(f"{BASE}/crm/properties/2026-09/companies", json={"results": [{"name": "name", "type": "string"}]})


def _ms(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp() * 1000)


def _scan_ids() -> list[int]:
    pages = list(connector(connected("hubspot")).changed("company", "2026-11-21T08:00:00+00:00", {"company": {"name"}}))
    assert [p.cursor is not None for p in pages] == [False] * (len(pages) - 1) + [True]
    return [int(r.id) for p in pages for r in p.records]


@pytest.mark.django_db
@responses.activate
def test_more_records_than_a_page_with_one_stamp_are_all_seen_once() -> None:
    same, later = "2026-11-21T09:00:00.000Z", "2026-11-21T09:00:01.000Z"
    _search_index([(i, same) for i in range(1, 951)] + [(i, later) for i in range(951, 1000)])
    seen = _scan_ids()
    assert sorted(seen) == list(range(1, 1000))


@pytest.mark.django_db
@responses.activate
def test_a_record_that_moves_during_the_scan_hides_no_other() -> None:
    """Paging by offset would pass over the first record of the second page."""
    _search_index([(i, f"2026-11-21T09:{i // 60:02}:{i % 60:02}.000Z") for i in range(1, 501)], shifting=True)
    assert set(_scan_ids()) == set(range(1, 501))


@pytest.mark.parametrize(
    "kind,text,value",
    [
        (FieldType.NUMBER, "1200.50", Decimal("1200.50")),
        (FieldType.BOOLEAN, "false", False),
        (FieldType.DATE, "2026-12-24", date(2026, 12, 24)),
        (FieldType.DATE, "1798070400000", date(2026, 12, 24)),
        (FieldType.DATETIME, "2026-12-15T11:00:00Z", datetime(2026, 12, 15, 11, tzinfo=UTC)),
        (FieldType.DATETIME, "2019-12-07T16:50:06.678Z", datetime(2019, 12, 7, 16, 50, 6, 678000, tzinfo=UTC)),
        (FieldType.DATETIME, "1797332400000", datetime(2026, 12, 15, 11, tzinfo=UTC)),
        (FieldType.STRING, "true", "true"),
        (FieldType.ENUM, "a;b", "a;b"),
        (FieldType.NUMBER, "", None),
        (FieldType.STRING, None, None),
    ],
)
def test_values_are_typed_by_the_schema(kind: FieldType, text: str | None, value: object) -> None:
    assert values.parse("p", kind, text) == value


@pytest.mark.parametrize(
    "kind,text",
    [
        (FieldType.NUMBER, "1,5"),
        (FieldType.NUMBER, "NaN"),
        (FieldType.BOOLEAN, "yes"),
        (FieldType.DATE, "24/12"),
        (FieldType.DATETIME, "soon"),
        (FieldType.DATETIME, "99999999999999999"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(kind: FieldType, text: str) -> None:
    with pytest.raises(TooLarge) as caught:
        values.parse("p", kind, text, "7")
    assert (caught.value.field, caught.value.record) == ("p", "7")


@pytest.mark.parametrize(
    "value,text",
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (Decimal("1200.50"), "1200.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.10"), "-0.1"),
        (Decimal("100"), "100"),
        (date(2026, 12, 24), "2026-12-24"),
        (datetime(2026, 12, 24, tzinfo=UTC), "2026-12-24T00:00:00.000Z"),
        ("Åsa", "Åsa"),
    ],
)
def test_values_are_spelled_for_the_wire(value: Any, text: str) -> None:
    assert values.wire("p", value) == text


def test_what_cannot_be_spelled_is_refused() -> None:
    for value in (Decimal("NaN"), datetime(2026, 1, 1)):
        with pytest.raises(InvalidData):
            values.wire("p", value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_numbers_survive_the_way_out_and_back(number: Decimal) -> None:
    assert values.parse("p", FieldType.NUMBER, values.wire("p", number)) == number
