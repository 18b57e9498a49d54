"""Lists: paging, sorting, filters, search, lastmodified."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sandbox.fortnox import times

from .fortnox_world import Fortnox


def _customers(number: int) -> Fortnox:
    fortnox = Fortnox()
    for index in range(1, number + 1):
        fortnox.customer(str(index))
    return fortnox


def _meta(fortnox: Fortnox, path: str) -> tuple[int, int, int, int]:
    answer = fortnox.get(path)
    meta = answer.pop("MetaInformation")
    rows = next(iter(answer.values()))
    return meta["@TotalResources"], meta["@TotalPages"], meta["@CurrentPage"], len(rows)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=2", (8, 4, 1, 2)),
        ("limit=2&page=4", (8, 4, 4, 2)),
        ("limit=3&page=3", (8, 3, 3, 2)),
        ("limit=2&offset=2", (8, 4, 1, 2)),
        ("offset=8", (0, 0, 1, 0)),
        ("page=9&limit=2", (8, 4, 9, 0)),
        ("name=nobody", (0, 0, 1, 0)),
        ("limit=9999", (8, 1, 1, 8)),
    ],
)
def test_fortnox_paging_counts(query: str, expected: tuple[int, int, int, int]) -> None:
    assert _meta(_customers(8), f"/customers?{query}") == expected


def test_fortnox_offset_skips_records() -> None:
    assert _customers(5).numbers("/customers?limit=2&offset=2", "Customers", "CustomerNumber") == ["3", "4"]


def test_fortnox_default_page_has_100_records() -> None:
    assert _meta(_customers(101), "/customers") == (101, 2, 1, 100)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=x",
        "page=0",
        "offset=-1",
        "sortby=city",
        "sortorder=up",
        "nonsense=1",
        "name=%3Cb%3E",
        "lastmodified=soon",
    ],
)
def test_fortnox_invalid_parameters_are_refused(query: str) -> None:
    assert Fortnox().refusal("GET", f"/customers?{query}") == (2000588, "Ogiltig parameter i anropet.")


def test_fortnox_numbers_sort_numerically_and_codes_as_text() -> None:
    fortnox = Fortnox()
    for number in ("10", "2", "A1", "1"):
        fortnox.customer(number)
    assert fortnox.numbers("/customers", "Customers", "CustomerNumber") == ["1", "2", "10", "A1"]
    descending = fortnox.numbers("/customers?sortorder=descending", "Customers", "CustomerNumber")
    assert descending == ["A1", "10", "2", "1"]
    assert fortnox.numbers("/termsofpayments", "TermsOfPayments", "Code")[:3] == ["0", "10", "15"]


def test_fortnox_sorts_by_the_documented_fields() -> None:
    fortnox = Fortnox()
    for total in (30, 10, 200):
        fortnox.booked(total)
    assert fortnox.numbers("/invoices?sortby=total") == ["2", "1", "3"]
    assert fortnox.numbers("/invoices?sortby=total&sortorder=descending") == ["3", "1", "2"]


def test_fortnox_search_contains_and_ignores_case_and_combines_with_and() -> None:
    fortnox = Fortnox()
    fortnox.customer("1", City="New York", ZipCode="10001")
    fortnox.customer("2", City="New York", ZipCode="99")
    fortnox.customer("3", City="Östersund", Phone1="070-174")
    found = {
        "city=new": ["1", "2"],
        "city=york&zipcode=1000": ["1"],
        "city=%C3%B6STER": ["3"],
        "phone=174": ["3"],
        "customernumber=3": ["3"],
        "email=x": [],
    }
    for query, numbers in found.items():
        assert fortnox.numbers(f"/customers?{query}", "Customers", "CustomerNumber") == numbers


def test_fortnox_active_filter_is_the_only_way_to_learn_it_from_lists() -> None:
    fortnox = _customers(2)
    fortnox.put("/customers/2", {"Customer": {"Active": False}})
    for value, expected in (("active", ["1"]), ("inactive", ["2"])):
        assert fortnox.numbers(f"/customers?filter={value}", "Customers", "CustomerNumber") == expected
    assert "Active" not in fortnox.get("/customers")["Customers"][0]


def test_fortnox_external_reference_search_also_finds_longer_ones() -> None:
    fortnox = Fortnox()
    for reference in ("A-1", "A-10", "B-1"):
        fortnox.invoice(ExternalInvoiceReference1=reference)
    assert fortnox.numbers("/invoices?externalinvoicereference1=a-1") == ["1", "2"]
    fortnox.put("/invoices/1", {"Invoice": {"ExternalInvoiceReference1": "API_BLANK"}})
    assert fortnox.numbers("/invoices?externalinvoicereference1=A-1") == ["2"]


def test_fortnox_search_lag_hides_new_references_for_a_while() -> None:
    fortnox = Fortnox(search_lag=5)
    fortnox.invoice(ExternalInvoiceReference1="A-1")
    assert fortnox.numbers("/invoices?externalinvoicereference1=A-1") == []
    assert fortnox.numbers("/invoices") == ["1"]
    fortnox.advance(6)
    assert fortnox.numbers("/invoices?externalinvoicereference1=A-1") == ["1"]


def test_fortnox_invoice_filters_follow_the_recordings() -> None:
    fortnox = Fortnox()
    fortnox.invoice()  # 1 unbooked
    fortnox.pay(fortnox.booked(100)["DocumentNumber"], 100)  # 2 paid
    fortnox.booked(100)  # 3 unpaid
    fortnox.booked(100, InvoiceDate="2026-01-02", DueDate="2026-01-10")  # 4 overdue
    fortnox.put("/invoices/4/credit")  # 5 its credit
    fortnox.put("/invoices/5/bookkeep")
    number = fortnox.invoice()["DocumentNumber"]  # 6 cancelled
    fortnox.put(f"/invoices/{number}/cancel")
    number = fortnox.invoice()["DocumentNumber"]  # 7 of total zero
    fortnox.put(f"/invoices/{number}/bookkeep")
    expected = {
        "unbooked": ["1"],
        "unpaid": ["3", "4", "5"],
        "unpaidoverdue": ["4"],
        "fullypaid": ["2", "7"],
        "cancelled": ["6"],
    }
    assert {name: fortnox.numbers(f"/invoices?filter={name}") for name in expected} == expected
    assert fortnox.numbers("/invoices?credit=true") == ["5"]
    assert fortnox.numbers("/invoices?fromdate=2026-01-02&todate=2026-01-02") == ["4"]


def test_fortnox_invoice_search_reaches_rows_and_flags() -> None:
    fortnox = Fortnox()
    fortnox.article("101")
    fortnox.invoice(InvoiceRows=[{"ArticleNumber": "101"}], NotCompleted=True)
    fortnox.invoice(InvoiceRows=[{"Description": "Resa", "Price": 1, "AccountNumber": 3041}], Labels=[{"Id": 4}])
    for query, numbers in {
        "articlenumber=101": ["1"],
        "articledescription=RES": ["2"],
        "notcompleted=true": ["1"],
        "sent=false": ["1", "2"],
        "accountnumberfrom=3041&accountnumberto=3041": ["2"],
        "label=4": ["2"],
        "currency=sek": ["1", "2"],
        "financialyear=1": [],
    }.items():
        assert fortnox.numbers(f"/invoices?{query}") == numbers, query


def _stockholm(fortnox: Fortnox, offset: float = 0) -> str:
    return times.local_naive(fortnox.world.clock.time() + offset).strftime("%Y-%m-%d %H:%M:%S")


def test_fortnox_lastmodified_includes_the_moment_itself_and_takes_three_formats() -> None:
    fortnox = _customers(1)
    fortnox.advance(7200)
    now = _stockholm(fortnox)
    fortnox.customer("2")
    for value in (now, now[:16], now[:10]):
        found = fortnox.numbers(f"/customers?lastmodified={value}", "Customers", "CustomerNumber")
        assert "2" in found
    assert "1" not in fortnox.numbers(f"/customers?lastmodified={now}", "Customers", "CustomerNumber")
    assert fortnox.numbers(f"/customers?lastmodified={_stockholm(fortnox, 60)}", "Customers", "CustomerNumber") == []


def test_fortnox_lastmodified_sees_updates_and_payments_but_no_deletions() -> None:
    fortnox = Fortnox()
    number = fortnox.booked(100)["DocumentNumber"]
    fortnox.customer("9")
    fortnox.advance(3600)
    moment = _stockholm(fortnox)
    assert fortnox.numbers(f"/invoices?lastmodified={moment}") == []
    fortnox.pay(number, 40)
    assert fortnox.numbers(f"/invoices?lastmodified={moment}") == [number]
    assert len(fortnox.get(f"/invoicepayments?lastmodified={moment}")["InvoicePayments"]) == 1
    fortnox.expect(204, "DELETE", "/customers/9")
    assert fortnox.get(f"/customers?lastmodified={moment}")["Customers"] == []


def test_fortnox_payment_need_not_move_the_invoices_lastmodified() -> None:
    fortnox = Fortnox()
    fortnox.world.configure({"payment_touches_invoice": False})
    number = fortnox.booked(100)["DocumentNumber"]
    fortnox.advance(3600)
    moment = _stockholm(fortnox)
    fortnox.pay(number, 100)
    assert fortnox.numbers(f"/invoices?lastmodified={moment}") == []
    assert fortnox.get("/invoices")["Invoices"][0]["Balance"] == 0


def test_fortnox_visibility_lag_hides_fresh_changes_from_lastmodified() -> None:
    fortnox = _customers(1)
    fortnox.world.configure({"visibility_lag": 30})
    moment = _stockholm(fortnox, -5)
    assert fortnox.get(f"/customers?lastmodified={moment}")["Customers"] == []
    assert len(fortnox.get("/customers")["Customers"]) == 1
    fortnox.advance(31)
    assert len(fortnox.get(f"/customers?lastmodified={moment}")["Customers"]) == 1


def _epoch(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type]


def test_fortnox_hour_that_summer_time_repeats_can_hide_changes() -> None:
    """2026-10-25: 02:00–03:00 happens twice; the server's wall clock cannot tell which."""
    after = times.changed_since("2026-10-25 02:50")
    assert after(_epoch(2026, 10, 25, 0, 55))  # 02:55 summer time
    assert not after(_epoch(2026, 10, 25, 1, 10))  # 02:10 winter time, 15 minutes later
    assert after(_epoch(2026, 10, 25, 1, 55))
    assert after(_epoch(2026, 10, 25, 3, 0))
    assert not after(_epoch(2026, 10, 24, 23, 0))


def test_fortnox_hour_that_summer_time_skips_loses_nothing() -> None:
    """2026-03-29: 02:00–03:00 does not exist."""
    after = times.changed_since("2026-03-29 02:30")
    assert not after(_epoch(2026, 3, 29, 0, 59))  # 01:59
    assert after(_epoch(2026, 3, 29, 1, 5))  # 03:05


def test_fortnox_ordinary_lastmodified_is_swedish_time() -> None:
    assert times.changed_since("2026-07-01 12:00")(_epoch(2026, 7, 1, 10, 0))
    assert not times.changed_since("2026-07-01 12:00")(_epoch(2026, 7, 1, 9, 59, 59))
    assert times.changed_since("2026-12-01 12:00")(_epoch(2026, 12, 1, 11, 0))


def test_fortnox_keys_with_slashes_and_letters_are_percent_encoded() -> None:
    fortnox = Fortnox()
    fortnox.article("SKRUV/M6", 10)
    assert fortnox.get("/articles/SKRUV%2FM6")["Article"]["SalesPrice"] == 10
    assert fortnox.get("/articles")["Articles"][0]["@url"].endswith("/3/articles/SKRUV%2FM6")
    assert fortnox.get("/units/f%C3%B6rp")["Unit"]["Code"] == "förp"
    assert fortnox.get("/prices/A/SKRUV%2FM6")["Price"]["Price"] == 10
