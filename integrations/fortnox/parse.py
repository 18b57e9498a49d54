"""Fortnox's JSON becomes typed values at the door; the way out is in `wire`.

Numbers come as numbers or as strings depending on list or detail, booleans once as strings, "none" as null, "", "0"
or 0 depending on the field, and "API_NORIGHT" where the user may not see a value. The invariant: a value that is not
what the field's type says raises `TooLarge` ("unreadable") with record and field; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from integrations.connector import Totals, Value
from integrations.errors import TooLarge
from integrations.figures import Figures
from integrations.fortnox import fields, schema
from integrations.fortnox.schema import Column

NO_RIGHT = "API_NORIGHT"
FREEMAIL = frozenset(
    re.findall(
        r"\S+",
        "gmail.com googlemail.com hotmail.com hotmail.se outlook.com live.com live.se msn.com yahoo.com yahoo.se "
        "ymail.com icloud.com me.com mac.com telia.com bredband.net comhem.se spray.se swipnet.se tele2.se bahnhof.se "
        "protonmail.com proton.me gmx.com aol.com passagen.se home.se",
    )
)
_DIGITS = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,10})?")


def _unreadable(column: Column, value: object, record: str) -> TooLarge:
    return TooLarge(
        f"Fortnox sent {str(value)[:80]!r} for {column.name}, which is not a {column.kind}",
        code="unreadable",
        record=record,
        field=column.name,
        value=str(value),
    )


def value_of(column: Column, value: object, record: str = "") -> Value:
    """The typed value; None for every spelling of "none". Raises `TooLarge` for a value of another type."""
    if value is None or value == "" or value == NO_RIGHT:
        return None
    kind = column.kind
    if kind == "bool":
        if not (isinstance(value, bool) or value in ("true", "false")):
            raise _unreadable(column, value, record)
        return value is True or value == "true"
    if kind in {"number", "int"}:
        return _number(column, value, record)
    if kind == "date":
        return _date(column, value, record)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise _unreadable(column, value, record)
    text = str(value)
    return None if kind == "ref" and text == "0" else text


def _number(column: Column, value: object, record: str) -> Decimal:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return Decimal(value)
    raise _unreadable(column, value, record)


def _date(column: Column, value: object, record: str) -> date:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _unreadable(column, value, record)


def values_of(
    table: str, raw: Mapping[str, Any], wanted: Iterable[str], record: str, *, row: bool = False
) -> dict[str, Value]:
    """The wanted fields of a raw object, typed; `row` reads list rows, whose names differ. Absent fields are None."""
    known = schema.columns(table)
    found: dict[str, Value] = {}
    for name in wanted:
        if column := known.get(name):
            given = raw.get(column.listed if row else name)
            found[name] = value_of(column, 0 if row and column.zero and given is None else given, record)
    return found


def lines_of(raw: Mapping[str, Any], wanted: Iterable[str], record: str) -> list[dict[str, Value]]:
    """The invoice rows, typed. Raises `TooLarge` when they are not a list of objects."""
    rows = raw.get("InvoiceRows")
    wanted = list(wanted)
    if not isinstance(rows, list) or not all(isinstance(line, Mapping) for line in rows):
        raise TooLarge("Fortnox sent rows that are no list", code="unreadable", record=record, field="InvoiceRows")
    return [values_of(fields.ROW, line, wanted, record) for line in rows]


def derived(name: str, raw: Mapping[str, Any], today: date, record: str, *, row: bool = False) -> dict[str, Value]:
    """The derived fields of an object. `today` is the date in Stockholm by the vendor's clock."""
    it = schema.resource(name)
    known = schema.columns(it.table)

    def get(field: str) -> Value:
        column = known[field]
        return value_of(column, raw.get((column.listed or field) if row else field), record)

    if name == "customer":
        mail = email_domain(str(get("Email") or ""))
        return {"email_domain": mail or None, "domain": web_domain(str(get("WWW") or "")) or mail or None}
    if name == "invoice":
        series, number = get("VoucherSeries"), get("VoucherNumber")
        total = get("Total")
        is_credit = bool(get("Credit")) or (isinstance(total, Decimal) and total < 0)
        return {
            "is_credit": is_credit,
            "voucher": f"{series}{number}" if series and number else None,
            "status": invoice_status({f: get(f) for f in _STATUS_FIELDS} | {"is_credit": is_credit}, today),
            "locked": invoice_lock({f: get(f) for f in LOCK_FIELDS}),
        }
    return {}


_STATUS_FIELDS = (
    "Cancelled",
    "NotCompleted",
    "CreditInvoiceReference",
    "Booked",
    "Balance",
    "Total",
    "DueDate",
    "Sent",
)


def invoice_status(values: Mapping[str, Value], today: date) -> str:
    """One of `schema.STATUSES`. A credit note and the invoice it credits are both "credited"; a partly paid invoice
    past its due date is overdue, because that is what someone must act on."""
    balance, total, due = values["Balance"], values["Total"], values["DueDate"]
    if values["Cancelled"]:
        return "cancelled"
    if values["NotCompleted"]:
        return "draft"
    if values["is_credit"] or values["CreditInvoiceReference"]:
        return "credited"
    if not values["Booked"]:
        return "unbooked"
    if isinstance(balance, Decimal):
        if balance <= 0:  # payments may exceed the balance
            return "paid"
        if isinstance(due, date) and due < today:
            return "overdue"
        if isinstance(total, Decimal) and balance < total:
            return "partly_paid"
    return "sent" if values["Sent"] else "booked"


LOCK_FIELDS = (
    "AccountingMethod",
    "Booked",
    "Cancelled",
    "VoucherSeries",
    "VoucherNumber",
    "Sent",
    "FinalPayDate",
    "Balance",
    "Total",
)


def invoice_lock(values: Mapping[str, Value]) -> str:
    """Why an invoice can no longer be edited: "cancelled", "booked:B-12", and with the cash method "paid" or "sent";
    "" while it can. With the cash method nothing is booked before it is paid, and what is sent or paid is final."""
    if values["Cancelled"]:
        return "cancelled"
    if values["Booked"]:
        series, number = values["VoucherSeries"], values["VoucherNumber"]
        return f"booked:{series}-{number}" if series and number else "booked"
    if values["AccountingMethod"] == "CASH":
        if values["FinalPayDate"] or values["Balance"] != values["Total"]:
            return "paid"
        return "sent" if values["Sent"] else ""
    return ""


def invoice_totals(values: Mapping[str, Value], rows: Iterable[Mapping[str, Value]], record: str) -> Totals:
    """What an invoice adds up to, without VAT except `vat` and `gross`. Raises `TooLarge` when a figure is missing.

    With VATIncluded, Fortnox's Freight and AdministrationFee include their VAT (as Price and row Total do).
    """

    def amount(source: Mapping[str, Value], name: str, *, needed: bool = False) -> Decimal:
        value = source.get(name)
        if isinstance(value, Decimal):
            return value
        if needed or value is not None:
            raise TooLarge(f"Fortnox sent no {name}", code="unreadable", record=record, field=name)
        return Decimal(0)

    included = values.get("VATIncluded") is True
    freight, fee = amount(values, "Freight"), amount(values, "AdministrationFee")
    return Totals(
        currency=str(values.get("Currency") or "SEK"),
        rows=tuple(amount(row, "TotalExcludingVAT") for row in rows),
        net=amount(values, "Net", needed=True),
        vat=amount(values, "TotalVAT", needed=True),
        gross=amount(values, "Total", needed=True),
        rounding=amount(values, "RoundOff"),
        freight=freight - amount(values, "FreightVAT") if included else freight,
        fee=fee - amount(values, "AdministrationFeeVAT") if included else fee,
        surcharge_vat=amount(values, "FreightVAT") + amount(values, "AdministrationFeeVAT"),
        vat_included=included,
    )


TOTALS_OF = {
    "invoice": frozenset(
        re.findall(
            r"\S+",
            "Currency Net TotalVAT Total RoundOff Freight FreightVAT AdministrationFee AdministrationFeeVAT "
            "VATIncluded Country CustomerNumber",
        )
    ),
    "row": frozenset(re.findall(r"\S+", "TotalExcludingVAT Total Price DeliveredQuantity Discount DiscountType VAT")),
}
"""What `invoice_totals` reads, and what a breakdown by row shows."""

FIGURES = Figures(
    number="DocumentNumber", day="InvoiceDate", status="status", currency="Currency", net="Net", vat="TotalVAT",
    gross="TotalToPay", balance="Balance", due="DueDate", customer="CustomerName", credits="InvoiceReference",
    credited_by="CreditInvoiceReference", customer_id="CustomerNumber", rate="CurrencyRate",
    references=("ExternalInvoiceReference1", "ExternalInvoiceReference2", "YourOrderNumber"),
)  # fmt: skip
"""Fortnox's `Net` is that of the rows; `TotalToPay` is what the customer pays, after a tax reduction."""


def email_domain(address: str) -> str:
    """The lower-case domain of an e-mail address; "" for none and for free mail providers."""
    _, at, host = address.strip().lower().rpartition("@")
    return host if at and "." in host and host not in FREEMAIL else ""


def web_domain(address: str) -> str:
    """The lower-case host of a web address without scheme, "www.", port and path; "" when there is none."""
    text = re.sub(r"^[a-z]+://", "", address.strip().lower())
    host = re.split(r"[/?#:\s]", text, maxsplit=1)[0].removeprefix("www.")
    return host if re.fullmatch(r"[\w-]+(\.[\w-]+)+", host) else ""
