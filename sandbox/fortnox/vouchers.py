"""Vouchers: what booking an invoice or a payment leaves in the books; for reading."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from . import errors
from .fields import integer, read_only, read_onlys, rows, table, template
from .records import Record
from .registers import Register
from .render import BASE
from .search import last_modified
from .tenant import Call, Tenant

_VAT_ACCOUNT = {25: "OUTVAT_MP1", 12: "OUTVAT_MP2", 6: "OUTVAT_MP3"}
_ROW = {"CostCenter": "", "Description": "", "Project": "", "Quantity": 0, "Removed": False}


class Vouchers(Register):
    """/3/vouchers, /3/vouchers/sublist/{series}, /3/vouchers/{series}/{number}?financialyear={id}."""

    name, single, plural, scope, key = "vouchers", "Voucher", "Vouchers", "bookkeeping", "VoucherNumber"
    fields = table(
        read_only("@url"),
        *read_onlys("Comments CostCenter Project", ""),
        *read_onlys("Description ReferenceNumber ReferenceType TransactionDate"),
        integer("VoucherNumber"),
        read_only("VoucherSeries"),
        integer("Year"),
        read_only("ApprovalState", 0),
        rows("VoucherRows", {}),
    )
    unset = template(fields)
    searches = {
        "lastmodified": last_modified,
        "financialyear": lambda call, value: lambda record: str(record.values["Year"]) == value,
    }
    may_create = may_update = may_delete = False

    def url(self, key: str) -> str:
        """Keys are year/series/number."""
        year, series, number = key.split("/")
        return f"{BASE}/3/vouchers/{series}/{number}?financialyear={year}"

    def brief(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Documented: lists have no rows."""
        full = self.detail(tenant, record)
        return {name: value for name, value in full.items() if name not in ("VoucherRows", "CostCenter", "Project")}


def post(
    call: Call, series: str, day: str, text: str, reference: tuple[str, str], lines: dict[int, Decimal]
) -> dict[str, Any]:
    """Write a voucher; positive amounts are debit. Returns the three voucher fields of its document."""
    tenant = call.tenant
    tenant.require_open_period(day)
    year = tenant.financial_year(day)
    if sum(lines.values()) != 0:
        raise errors.FortnoxError(1000003, "System exception", 500)
    number = tenant.next_voucher(series, year)
    values = {
        "Description": text,
        "ReferenceNumber": reference[1],
        "ReferenceType": reference[0],
        "TransactionDate": day,
        "VoucherNumber": number,
        "VoucherSeries": series,
        "Year": year,
        "VoucherRows": [
            {
                **_ROW,
                "Account": account,
                "Debit": max(amount, Decimal(0)),
                "Credit": max(-amount, Decimal(0)),
                "TransactionInformation": "",
            }
            for account, amount in lines.items()
            if amount
        ],
    }
    call.add("vouchers", f"{year}/{series}/{number}", values)
    return {"VoucherNumber": number, "VoucherSeries": series, "VoucherYear": year}


def invoice_lines(tenant: Tenant, values: dict[str, Any]) -> dict[int, Decimal]:
    """Claim against sales, VAT, freight, fee and rounding, in SEK; cents of conversion go to rounding."""
    lines: defaultdict[int, Decimal] = defaultdict(Decimal)
    rate = Decimal(values.get("CurrencyRate", 1)) / Decimal(values.get("CurrencyUnit", 1))

    def add(account: int, amount: Decimal) -> None:
        lines[account] += (amount * rate).quantize(Decimal("0.01"))

    add(tenant.predefined("CUSTCLAIM"), Decimal(values.get("Total", 0)))
    for row in values.get("InvoiceRows", ()):
        total = Decimal(row.get("TotalExcludingVAT", 0))
        if total:
            add(-row["AccountNumber"], total)
        if row.get("VAT") and total:
            vat = Decimal(row["Total"]) - total if values.get("VATIncluded") else total * row["VAT"] / 100
            add(-tenant.predefined(_VAT_ACCOUNT[row["VAT"]]), vat)
    for name, purpose in (("Freight", "FREIGHT"), ("AdministrationFee", "ADMFEE")):
        vat = Decimal(values.get(f"{name}VAT", 0))
        amount = Decimal(values.get(name, 0)) - (vat if values.get("VATIncluded") else 0)
        add(-tenant.predefined(purpose), amount)
        add(-tenant.predefined("OUTVAT_MP1"), vat)
    result = {abs(account): amount if account > 0 else Decimal(0) for account, amount in lines.items()}
    for account, amount in lines.items():
        if account < 0:
            result[-account] -= amount
    rounding = tenant.predefined("ROUNDOFF")
    result[rounding] = result.get(rounding, Decimal(0)) - sum(result.values())
    return result
