"""An independent, tiny statement of what HubSpot must hold, computed from Fortnox's own records.

Written from the promised field tables, without any code of the product: amounts come from the invoice rows rather than
from the header, stages from dates and balances. What is compared is everything a flow writes, for every record.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

Raw = Mapping[str, Any]
FREEMAIL = {"gmail.com", "hotmail.com", "outlook.com", "telia.com"}
COMPANY_FIELDS = {
    "fortnox_id": "CustomerNumber",
    "organization_number_from_fortnox": "OrganisationNumber",
    "name": "Name",
    "address": "Address1",
    "address2": "Address2",
    "city": "City",
    "zip": "ZipCode",
    "phone": "Phone1",
}
PRODUCT_FIELDS = {
    "hs_sku": "ArticleNumber",
    "name": "Description",
    "description": "Description",
    "price": "SalesPrice",
    "hs_cost_of_goods_sold": "PurchasePrice",
    "tax": "VAT",
}
NUMBERS = {"price", "hs_cost_of_goods_sold", "amount", "quantity", "hs_discount_percentage", "discount", "tax"}
MOMENTS = {"closedate", "createdate"}
TYPES = {"INVOICE": "Invoice", "CASHINVOICE": "Cash invoice"}
STAGES = {"unpaid": "Unpaid", "paid": "Paid in Full", "overdue": "Unpaid Overdue", "credited": "Credited"}


def plain(name: str, value: Any) -> Any:
    """A value in one spelling, whichever system it comes from; None for nothing."""
    if value is None or value == "":
        return None
    if name in NUMBERS:
        return Decimal(str(value)).normalize() + 0
    if name in MOMENTS:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    return str(value)


def written(record: Raw, names: Iterable[str]) -> dict[str, Any]:
    """The named properties of a HubSpot record in one spelling."""
    return {name: plain(name, record["properties"].get(name)) for name in names}


def _digits(text: Any) -> str:
    return re.sub(r"\D", "", str(text or ""))


def _domain(customer: Raw) -> str:
    host = str(customer["Email"] or "").partition("@")[2].lower()
    return "" if host in FREEMAIL else host


@dataclass
class Companies:
    """What becomes of each customer: the company it is written to ("" for a new one), or that a person must decide."""

    targets: dict[str, str] = field(default_factory=dict)
    review: set[str] = field(default_factory=set)


def companies(customers: Iterable[Raw], before: Iterable[Raw]) -> Companies:
    """Match order of the default preset: organisation number, unique domain; name with postcode only suggests."""
    outcome, numbers, taken = Companies(), set[str](), set[str]()
    there = [(record["id"], record["properties"]) for record in before]
    for customer in customers:
        key, number = customer["CustomerNumber"], _digits(customer["OrganisationNumber"])
        same_domain = [i for i, p in there if _domain(customer) and p.get("domain") == _domain(customer)]
        same_name = [
            i
            for i, p in there
            if str(p.get("name")).casefold() == customer["Name"].casefold()
            and _digits(customer["ZipCode"])
            and _digits(p.get("zip")) == _digits(customer["ZipCode"])
        ]
        if (number and number in numbers) or len(same_domain) > 1 or set(same_domain) & taken:
            outcome.review.add(key)
        elif same_domain:
            outcome.targets[key] = same_domain[0]
        elif same_name:
            outcome.review.add(key)
        else:
            outcome.targets[key] = ""
        if key in outcome.targets:
            numbers.add(number)
            taken |= set(same_domain)
    return outcome


def copied(tenant: str, key: str, source: Raw, table: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a record that are copied one to one, and our key."""
    return {name: plain(name, source[column]) for name, column in table.items()} | {"fortnox_key": f"{tenant}:{key}"}


def check_copies(
    tenant: str, sources: Mapping[str, Raw], table: Mapping[str, str], before: Iterable[Raw], after: Iterable[Raw],
    targets: Mapping[str, str],
) -> None:  # fmt: skip
    """Every target holds its source field by field, linked ones keep what has no value at the source, and all other
    records are as they were."""
    earlier = {record["id"]: record for record in before}
    names = [*table, "fortnox_key"]
    found = {record["properties"]["fortnox_key"]: record for record in after if record["properties"].get("fortnox_key")}
    expected = {f"{tenant}:{key}" for key in targets}
    assert set(found) == expected
    for key, target in targets.items():
        record, wanted = found[f"{tenant}:{key}"], copied(tenant, key, sources[key], table)
        if target:
            assert record["id"] == target
            old = written(earlier[target], names)
            wanted = {name: old[name] if value is None else value for name, value in wanted.items()}
        else:
            assert record["id"] not in earlier
        assert written(record, names) == wanted, key
    ours = {record["id"] for record in found.values()}
    others = {record["id"]: record["properties"] for record in after if record["id"] not in ours}
    assert others == {i: record["properties"] for i, record in earlier.items() if i not in ours}


# --- Invoices -------------------------------------------------------------------------------------------------------


def today(moment: datetime) -> date:
    """The date in Sweden."""
    return moment.astimezone(ZoneInfo("Europe/Stockholm")).date()


def is_credit(invoice: Raw) -> bool:
    """A credit note: marked so, or over less than nothing."""
    return str(invoice["Credit"]).lower() == "true" or invoice["Total"] < 0


def status(invoice: Raw, day: date) -> str:
    """The state of an invoice as a person reads it off Fortnox."""
    if invoice["Cancelled"]:
        return "Cancelled"
    if invoice["NotCompleted"]:
        return "Draft"
    if is_credit(invoice) or invoice["CreditInvoiceReference"] not in ("0", "", 0, None):
        return "Credited"
    if not invoice["Booked"]:
        return "Unbooked"
    if not invoice["Balance"]:
        return "Paid"
    if invoice["DueDate"] < day.isoformat():
        return "Overdue"
    if invoice["Balance"] < invoice["Total"]:
        return "Partly paid"
    return "Sent" if invoice["Sent"] else "Booked"


def stage(invoice: Raw, day: date) -> str:
    """The label of the deal stage."""
    key = {"Credited": "credited", "Paid": "paid", "Overdue": "overdue"}.get(status(invoice, day), "unpaid")
    return STAGES[key]


def amount(invoice: Raw) -> Decimal:
    """Net from the rows, plus freight and fee without their VAT, to the öre."""
    net = sum((Decimal(str(row["TotalExcludingVAT"] or 0)) for row in invoice["InvoiceRows"]), Decimal(0))
    for name in ("Freight", "AdministrationFee"):
        extra = Decimal(str(invoice[name] or 0))
        net += extra - (Decimal(str(invoice[f"{name}VAT"] or 0)) if invoice["VATIncluded"] else 0)
    return net.quantize(Decimal("0.01"), ROUND_HALF_UP)


def midnight(day: str) -> datetime:
    """Midnight UTC of a date."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def deal(tenant: str, invoice: Raw, day: date) -> dict[str, Any]:
    """The deal of an invoice, without pipeline."""
    kind = TYPES.get(invoice["InvoiceType"], invoice["InvoiceType"])
    number = str(invoice["DocumentNumber"])
    return {
        "fortnox_key": f"{tenant}:{number}",
        "invoice_number_in_fortnox": number,
        "final_pay_date_in_fortnox": plain("", invoice["FinalPayDate"]),
        "amount": plain("amount", amount(invoice)),
        "deal_currency_code": invoice["Currency"],
        "closedate": midnight(invoice["DueDate"]),
        "createdate": midnight(invoice["InvoiceDate"]),
        "dealname": f"{kind} {number} - {invoice['CustomerName']}",
        "description": plain("", invoice["Comments"]),
        "dealstage": stage(invoice, day),
        "fortnox_status": status(invoice, day),
    }


DEAL_FIELDS = (
    "fortnox_key", "invoice_number_in_fortnox", "final_pay_date_in_fortnox", "amount", "deal_currency_code",
    "closedate", "createdate", "dealname", "description", "dealstage", "fortnox_status",
)  # fmt: skip
LINE_FIELDS = ("hs_sku", "name", "quantity", "price", "hs_discount_percentage", "discount")


def lines(invoice: Raw) -> Counter[tuple[Any, ...]]:
    """The line items of an invoice, without its text rows."""
    return Counter(_line(row) for row in invoice["InvoiceRows"] if row["ArticleNumber"] or _number(row) != 0)


def _number(row: Raw, name: str = "DeliveredQuantity") -> Decimal:
    return Decimal(str(row[name] or 0))


def _line(row: Raw) -> tuple[Any, ...]:
    discount, percent = _number(row, "Discount"), row["DiscountType"] == "PERCENT"
    each = None
    if discount and not percent:
        each = _number(row, "PriceExcludingVAT") - _number(row, "TotalExcludingVAT") / _number(row)
    values = (
        row["ArticleNumber"], row["Description"], row["DeliveredQuantity"], row["PriceExcludingVAT"],
        discount if discount and percent else None, None if each is None else round(each, 6),
    )  # fmt: skip
    return tuple(plain(name, value) for name, value in zip(LINE_FIELDS, values, strict=True))


def line_of(record: Raw) -> tuple[Any, ...]:
    """A HubSpot line item in the same form."""
    return tuple(written(record, LINE_FIELDS).values())
