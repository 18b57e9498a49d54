"""Fortnox's JSON at the door: strict types, every spelling of "none", derived values, and the way back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.connector import FieldType
from integrations.errors import TooLarge
from integrations.fortnox import fields, parse, schema, times

TODAY = date(2026, 11, 21)
INVOICE = schema.columns(fields.INVOICE)
ROW = schema.columns(fields.ROW)


@pytest.mark.parametrize("none", [None, "", "API_NORIGHT"])
@pytest.mark.parametrize("column", ["Credit", "Total", "DueDate", "CustomerName", "CreditInvoiceReference"])
def test_every_spelling_of_none_is_none(column: str, none: object) -> None:
    assert parse.value_of(INVOICE[column], none) is None


@pytest.mark.parametrize(
    "column,raw,value",
    [
        ("Credit", "true", True),
        ("Credit", "false", False),
        ("Booked", True, True),
        ("CurrencyRate", "1", Decimal(1)),
        ("CurrencyRate", 1, Decimal(1)),
        ("Total", Decimal("-1250.50"), Decimal("-1250.50")),
        ("DueDate", "2026-02-28", date(2026, 2, 28)),
        ("CreditInvoiceReference", "0", None),
        ("CreditInvoiceReference", "12", "12"),
        ("ContractReference", 0, None),
        ("Project", "", None),
        ("DocumentNumber", "0", "0"),
    ],
)
def test_values_are_typed_whatever_their_spelling(column: str, raw: object, value: object) -> None:
    assert parse.value_of(INVOICE[column], raw) == value
    assert type(parse.value_of(INVOICE[column], raw)) is type(value)


@pytest.mark.parametrize(
    "column,raw",
    [
        ("Credit", "TRUE"),
        ("Credit", 1),
        ("Credit", "yes"),
        ("Booked", []),
        ("Total", "1,5"),
        ("Total", "NaN"),
        ("Total", "1e5"),
        ("Total", True),
        ("Total", {}),
        ("DueDate", "2026-02-30"),
        ("DueDate", "20260228"),
        ("DueDate", 20260228),
        ("CustomerName", ["x"]),
        ("CustomerName", True),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(column: str, raw: object) -> None:
    with pytest.raises(TooLarge) as caught:
        parse.value_of(INVOICE[column], raw, "17")
    assert (caught.value.record, caught.value.field, caught.value.code) == ("17", column, "unreadable")


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.sampled_from(sorted(INVOICE)), _JSON)
def test_anything_at_all_is_typed_or_refused(name: str, raw: object) -> None:
    column = INVOICE[name]
    try:
        value = parse.value_of(column, raw)
    except TooLarge:
        return
    expected: dict[FieldType, type] = {
        FieldType.BOOLEAN: bool,
        FieldType.NUMBER: Decimal,
        FieldType.DATE: date,
    }
    assert value is None or isinstance(value, expected.get(column.schema.type, str))


def _invoice(**changes: object) -> dict[str, object]:
    return {
        "Booked": True,
        "Cancelled": False,
        "Balance": Decimal(100),
        "Total": Decimal(100),
        "DueDate": "2026-12-24",
        "Sent": False,
        "Credit": "false",
        "CreditInvoiceReference": "0",
        "NotCompleted": False,
    } | changes


@pytest.mark.parametrize(
    "changes,status",
    [
        ({}, "booked"),
        ({"Sent": True}, "sent"),
        ({"Booked": False}, "unbooked"),
        ({"Booked": False, "NotCompleted": True}, "draft"),
        ({"Balance": 40}, "partly_paid"),
        ({"Balance": 40, "DueDate": "2026-11-20"}, "overdue"),
        ({"DueDate": "2026-11-20"}, "overdue"),
        ({"DueDate": "2026-11-21"}, "booked"),
        ({"Balance": 0, "FinalPayDate": "2026-11-01"}, "paid"),
        ({"Balance": -50, "DueDate": "2026-11-20"}, "paid"),  # more was paid than was billed
        ({"Balance": None, "DueDate": "2026-11-20"}, "booked"),  # nothing is claimed of what is not known
        ({"CreditInvoiceReference": "9"}, "credited"),
        ({"Credit": "true", "Total": -100, "Balance": -100}, "credited"),
        ({"Total": -100, "Balance": -100}, "credited"),
        ({"Cancelled": True, "Balance": 0}, "cancelled"),
    ],
)
def test_the_status_of_an_invoice(changes: dict[str, object], status: str) -> None:
    assert parse.derived("invoice", _invoice(**changes), TODAY, "1")["status"] == status
    assert status in schema.STATUSES


def test_the_voucher_is_series_and_number() -> None:
    raw = _invoice(VoucherSeries="B", VoucherNumber=12)
    assert parse.derived("invoice", raw, TODAY, "1")["voucher"] == "B12"
    assert parse.derived("invoice", _invoice(), TODAY, "1")["voucher"] is None


@pytest.mark.parametrize(
    "mail,www,email_domain,domain",
    [
        ("Info@Bolaget.SE", "", "bolaget.se", "bolaget.se"),
        ("nisse@gmail.com", "", None, None),
        ("nisse@gmail.com", "https://www.Bolaget.se/om?x#y", None, "bolaget.se"),
        ("", "bolaget.se:8080/x", None, "bolaget.se"),
        ("trasig", "inte en adress", None, None),
    ],
)
def test_the_domain_of_a_customer(mail: str, www: str, email_domain: str | None, domain: str | None) -> None:
    raw = {"Email": mail, "WWW": www}
    assert parse.derived("customer", raw, TODAY, "1") == {"email_domain": email_domain, "domain": domain}


def test_the_list_calls_a_field_by_another_name() -> None:
    row = parse.values_of(fields.CUSTOMER, {"Phone": "08-1"}, ["Phone1"], "1", row=True)
    assert row == {"Phone1": "08-1"}
    assert parse.values_of(fields.CUSTOMER, {"Phone1": "08-1"}, ["Phone1"], "1") == {"Phone1": "08-1"}


def test_the_default_customer_mapping_needs_no_details() -> None:
    names = "CustomerNumber Name OrganisationNumber Address1 Address2 ZipCode City Phone1 Email email_domain"
    assert set(names.split()) <= schema.listed("customer")
    assert "domain" not in schema.listed("customer")
    assert "status" not in schema.listed("invoice")


def test_rows_that_are_no_list_are_refused() -> None:
    for rows in (None, {}, ["x"], "x"):
        with pytest.raises(TooLarge):
            parse.lines_of({"InvoiceRows": rows}, ["Price"], "1")


@pytest.mark.parametrize(
    "cursor,local",
    [
        ("2026-11-21T06:00:30+00:00", "2026-11-21 06:58"),
        ("2026-07-01T06:00:00+00:00", "2026-07-01 07:58"),
        ("2026-03-29T01:00:00+00:00", "2026-03-29 01:58"),
        ("2026-10-25T01:30:00+00:00", "2026-10-25 02:25"),
        ("2026-10-25T00:30:00+00:00", "2026-10-25 01:25"),
        ("2026-10-25T02:01:00+00:00", "2026-10-25 02:56"),
    ],
)
def test_the_filter_speaks_swedish_local_time_with_overlap(cursor: str, local: str) -> None:
    assert times.lastmodified(cursor) == local


def test_no_change_falls_into_the_repeated_hour() -> None:
    """Whatever the server takes an ambiguous local time for, the filter starts before the cursor."""
    from datetime import UTC, datetime, timedelta
    from zoneinfo import ZoneInfo

    moment = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    while moment < datetime(2026, 10, 25, 5, 0, tzinfo=UTC):
        naive = datetime.strptime(times.lastmodified(moment.isoformat()), "%Y-%m-%d %H:%M")
        latest = naive.replace(tzinfo=ZoneInfo("Europe/Stockholm"), fold=1).astimezone(UTC)
        assert latest <= moment - timedelta(seconds=120)
        moment += timedelta(minutes=7)
