"""Fortnox scans that shift under the reader, and schemas, with canned answers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import responses
from requests import PreparedRequest

from integrations.connector import FieldType, Record, Value, Write
from integrations.errors import IncompleteRead, Misconfigured, OutcomeUnknown, TooLarge, Transient
from integrations.fortnox.connector import FortnoxConnector
from integrations.http import Api
from tests.integrations.clients import connected, connector, set_vendor

pytestmark = pytest.mark.django_db
URL = "https://api.fortnox.se/3/customers"
WANTED = {"customer": frozenset({"Name"})}
HEADERS = {"Date": "Sat, 21 Nov 2026 06:00:00 GMT"}


@pytest.fixture(autouse=True)
def _no_limits(settings) -> None:  # type: ignore[no-untyped-def]
    set_vendor(settings, "fortnox", rate=(0, 5.0))


def _list(rows: list[int], total: int, pages: int) -> dict[str, Any]:
    return {
        "MetaInformation": {"@TotalResources": total, "@TotalPages": pages, "@CurrentPage": 1},
        "Customers": [{"CustomerNumber": str(n), "Name": f"Kund {n}"} for n in rows],
    }


def _serve(answers: Callable[[int, int], dict[str, Any]]) -> list[int]:
    """Answer page p of the n-th call with `answers(p, n)`; returns the pages asked for."""
    import json

    asked: list[int] = []

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        page = int(request.params["page"])  # type: ignore[attr-defined]
        asked.append(page)
        return 200, HEADERS, json.dumps(answers(page, len(asked)))

    responses.add_callback(responses.GET, URL, callback=answer)
    return asked


def _scan() -> list[Any]:
    return list(connector(connected("fortnox")).changed("customer", None, WANTED))


@responses.activate
@pytest.mark.parametrize(
    ("answer", "vat"),
    [
        ({"Customer": {"CustomerNumber": "7", "VATType": "EXPORT"}}, 0),
        ({"Customer": {"CustomerNumber": "7", "VATType": "SEVAT", "InvoiceFreight": "0.00"}}, 25),
        ({"Customer": {"CustomerNumber": "7", "VATType": "SEVAT", "InvoiceFreight": "95"}}, None),
        ({"Customer": {"CustomerNumber": "7", "VATType": "SEVAT", "InvoiceAdministrationFee": 29.5}}, None),
        ({"ErrorInformation": {"Error": 1, "Message": "Kan inte hitta kunden.", "Code": 2000433}}, None),
    ],
)
def test_a_preview_asks_for_the_customers_vat_type_once_and_only_for_a_person(
    answer: dict[str, Any], vat: int | None
) -> None:
    status = 200 if "Customer" in answer else 404
    asked = responses.add(responses.GET, f"{URL}/7", json=answer, status=status, headers=HEADERS)
    account = connected("fortnox")
    lines: list[dict[str, Value]] = [
        {"ArticleNumber": "A", "Price": Decimal(100), "DeliveredQuantity": Decimal(1)},
    ]
    known = {"A": Record("article", "A", {"VAT": Decimal(25)})}

    def preview(lane: str, given: dict[str, Record]) -> Decimal | None:
        made = there[lane].estimate("invoice", {"CustomerNumber": "7", "Currency": "SEK"}, lines, given)
        assert made is not None
        return made.vat

    there = {lane: FortnoxConnector(Api(account, lane=lane)) for lane in ("bulk", "interactive")}
    assert preview("bulk", known) == 25
    assert preview("interactive", {}) is None  # as the totals guard asks, which compares the rows
    assert asked.call_count == 0
    assert preview("interactive", known) == vat and preview("interactive", known) == vat
    assert asked.call_count == 1


@responses.activate
def test_an_odd_vat_is_not_taken_for_right_because_the_customer_could_not_be_read() -> None:
    responses.add(responses.GET, f"{URL}/7", status=503, headers=HEADERS)
    responses.add(responses.GET, f"{URL}/7", status=503, headers=HEADERS)
    fortnox = connector(connected("fortnox"))
    sums = {"Net": 100, "Gross": 100, "TotalVAT": 0, "Total": 100, "TotalToPay": 100, "RoundOff": 0}
    raw = sums | {"DocumentNumber": "1", "CustomerNumber": "7", "Country": "Sverige", "Currency": "SEK"}
    fields = {name: Decimal(value) if isinstance(value, int) else value for name, value in raw.items()}
    invoice = Record("invoice", "1", {"Freight": Decimal(0), "AdministrationFee": Decimal(0)} | fields, lines=[])
    with pytest.raises(Transient):
        fortnox.totals("invoice", invoice)
    answer = {"Customer": {"CustomerNumber": "7", "VATType": "EXPORT"}}
    responses.replace(responses.GET, f"{URL}/7", json=answer, headers=HEADERS)
    doubted = fortnox.totals("invoice", invoice)
    assert doubted is not None and "EXPORT" in str(doubted.vat_doubt)


@responses.activate
def test_a_stable_list_is_read_once() -> None:
    asked = _serve(lambda page, n: _list([1, 2] if page == 1 else [3], 3, 2))
    pages = _scan()
    assert sorted(asked) == [1, 2]
    assert pages[-1].cursor == "2026-11-21T06:00:00+00:00"


@responses.activate
def test_a_record_that_vanishes_during_the_scan_makes_it_start_again() -> None:
    """A deletion on page one pulls the first row of page two up: nobody would have seen it."""
    asked = _serve(
        lambda page, n: (
            _list([1, 2] if page == 1 else [4], 4 if n < 2 else 3, 2)
            if n <= 2
            else _list([2, 3] if page == 1 else [4], 3, 2)
        )
    )
    pages = _scan()
    assert sorted(asked) == [1, 1, 2, 2]
    assert {r.id for p in pages for r in p.records} == {"1", "2", "3", "4"}
    assert [p.cursor is not None for p in pages] == [False, False, False, True]


@responses.activate
def test_a_record_appended_meanwhile_is_fine_the_second_time() -> None:
    asked = _serve(lambda page, n: _list([1, 2] if page == 1 else [3, n + 10], 3 if page == 1 else 4, 2))
    pages = _scan()
    assert len(asked) == 4
    assert pages[-1].cursor is not None


@responses.activate
def test_a_list_that_never_adds_up_fails_the_run() -> None:
    asked = _serve(lambda page, n: _list([1, 2] if page == 1 else [3], 9, 2))
    with pytest.raises(IncompleteRead):
        _scan()
    assert len(asked) == 4


@responses.activate
def test_a_page_that_appears_during_the_scan_is_read() -> None:
    asked = _serve(lambda page, n: _list([2 * page - 1, 2 * page], 4 if page == 1 else 6, 2 if page == 1 else 3))
    pages = _scan()
    assert {r.id for p in pages for r in p.records} == {str(n) for n in range(1, 7)}
    assert pages[-1].cursor is not None
    assert max(asked) == 3


@responses.activate
def test_an_empty_list_is_an_answer() -> None:
    _serve(lambda page, n: _list([], 0, 0))
    (page,) = _scan()
    assert (list(page.records), page.total) == ([], 0)
    assert page.cursor is not None


@responses.activate
@pytest.mark.parametrize(
    "body",
    [
        [],
        {"Customers": []},
        {"MetaInformation": {}, "Customers": []},
        {"MetaInformation": {"@TotalResources": 1, "@TotalPages": 1}},
    ],
)
def test_a_list_without_its_totals_is_unreadable(body: Any) -> None:
    responses.get(URL, json=body)
    with pytest.raises(TooLarge):
        _scan()


@responses.activate
def test_an_unreadable_row_is_handed_over_for_a_full_read() -> None:
    body = _list([1, 2], 2, 1)
    body["Customers"][1]["Name"] = ["odd"]
    responses.get(URL, json=body)
    (page,) = _scan()
    assert [record.complete for record in page.records] == [True, False]


@responses.activate
@pytest.mark.parametrize("body", ["{}", '{"Customer": null}', '{"Customer": {"Name": "x"}}', "[]"])
def test_a_create_whose_answer_lacks_the_record_is_unknown(body: str) -> None:
    responses.post(URL, body=body, status=201)
    outcome = connector(connected("fortnox")).create("customer", Write("1", fields={"Name": "x"}))
    assert isinstance(outcome.error, OutcomeUnknown)


INVOICES = "https://api.fortnox.se/3/invoices"


def _created(answered: object, stored: object = None, **more: object) -> Any:
    """A create of an invoice with marker "m-1" whose answer and detail carry these references."""
    found = {"DocumentNumber": "7", "CustomerNumber": "1", **more}
    responses.post(INVOICES, json={"Invoice": {**found, "ExternalInvoiceReference1": answered}}, status=201)
    responses.get(f"{INVOICES}/7", json={"Invoice": {**found, "ExternalInvoiceReference1": stored}})
    return connector(connected("fortnox")).create("invoice", Write("1", fields={"CustomerNumber": "1"}, marker="m-1"))


@responses.activate
def test_a_create_that_echoes_the_marker_costs_one_call() -> None:
    outcome = _created("m-1")
    assert (outcome.error, outcome.id, outcome.created) == (None, "7", True)
    assert len(responses.calls) == 1


@responses.activate
def test_a_marker_that_only_the_answer_lacks_is_looked_up() -> None:
    outcome = _created("", "m-1")
    assert (outcome.error, outcome.id) == (None, "7")


@responses.activate
def test_an_invoice_that_lost_our_marker_is_no_failure_but_shows_it() -> None:
    """No search would find it, so the caller must see both: it was made, and without our reference."""
    outcome = _created("", "")
    assert (outcome.error, outcome.id, outcome.created) == (None, "7", True)
    assert outcome.returned["ExternalInvoiceReference1"] is None


@responses.activate
def test_an_answer_about_another_invoice_is_unknown() -> None:
    assert isinstance(_created("m-2", "m-2").error, OutcomeUnknown)


@responses.activate
def test_an_accepted_create_is_never_a_failure_because_its_answer_has_an_odd_value() -> None:
    assert isinstance(_created("m-1", Total=["odd"]).error, OutcomeUnknown)
    responses.reset()
    assert isinstance(_created("", "m-1", Booked="perhaps").error, OutcomeUnknown)


@responses.activate
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("invoice", {"CustomerNumber": "1", "ExternalInvoiceReference1": "x"}),
        ("customer", {"Name": "Ny AB", "ExternalReference": "crm-17"}),
    ],
)
def test_a_marker_field_that_is_mapped_to_something_else_is_refused_before_sending(
    name: str, fields: dict[str, Value]
) -> None:
    outcome = connector(connected("fortnox")).create(name, Write("1", fields=fields, marker="hs1-1"))
    assert outcome.error is not None
    assert outcome.error.code == "marker_taken"
    assert len(responses.calls) == 0


@responses.activate
def test_a_key_never_climbs_out_of_its_register() -> None:
    ((key, error),) = connector(connected("fortnox")).load("customer", [".."], WANTED)
    assert (key, error.code) == ("..", "bad_key")
    assert len(responses.calls) == 0


def _currencies(status: int = 200, *codes: str) -> None:
    body = {"Currencies": [{"Code": code, "Description": code} for code in codes]}
    refusal = {"ErrorInformation": {"error": 1, "message": "Har inte behörighet för scope.", "code": 2000663}}
    responses.get("https://api.fortnox.se/3/currencies", json=body if status == 200 else refusal, status=status)


@responses.activate
def test_the_currencies_of_the_company_are_the_options_of_an_invoices_currency() -> None:
    _currencies(200, "SEK", "EUR")
    currency = connector(connected("fortnox")).describe("invoice").fields["Currency"]
    assert currency.type is FieldType.ENUM
    assert [option.value for option in currency.options] == ["SEK", "EUR"]


@responses.activate
def test_without_the_right_to_see_currencies_they_are_not_known_and_nothing_else_is_lost() -> None:
    _currencies(400)
    invoice = connector(connected("fortnox")).describe("invoice")
    assert invoice.fields["Currency"].options == ()
    assert invoice.lines == "row"


@responses.activate
def test_the_schemas_describe_types_limits_and_derived_fields() -> None:
    _currencies(200, "SEK")
    fortnox = connector(connected("fortnox"))
    invoice = fortnox.describe("invoice")
    assert invoice.lines == "row"
    assert set(invoice.parts) == {"customer", "row"}
    assert invoice.fields["status"].derived
    assert not invoice.fields["Total"].writable
    assert invoice.fields["DueDate"].type is FieldType.DATE
    assert invoice.fields["ExternalInvoiceReference1"].max_length == 80
    assert invoice.parts["row"]["Price"].decimals == 2
    assert fortnox.describe("customer").fields["Name"].required
    assert [o.value for o in fortnox.describe("customer").fields["Type"].options] == ["PRIVATE", "COMPANY"]
    with pytest.raises(Misconfigured):
        fortnox.describe("order")
