"""The small registers, most of them pure data."""

from __future__ import annotations

from typing import Any

from . import times
from .fields import (
    clean,
    enum,
    flag,
    integer,
    number,
    read_only,
    read_onlys,
    table,
    template,
    text,
)
from .records import Record
from .resource import Resource, store
from .search import last_modified
from .tenant import Call, Tenant


class Register(Resource):
    """A register keyed by a code and described by its fields alone."""

    searches = {"lastmodified": last_modified}


class Units(Register):
    """/3/units."""

    name, single, plural, scope, key = "units", "Unit", "Units", "settings", "Code"
    fields = table(read_only("@url"), text("Code", 20), text("CodeEnglish", 100, ""), text("Description", 100, ""))
    unset = template(fields)


class TermsOfPayments(Register):
    """/3/termsofpayments."""

    name, single, plural = "termsofpayments", "TermsOfPayment", "TermsOfPayments"
    scope, key = "settings", "Code"
    fields = table(read_only("@url"), text("Code", 25), text("Description", unset=""))
    unset = template(fields)


class ModesOfPayments(Register):
    """/3/modesofpayments."""

    name, single, plural = "modesofpayments", "ModeOfPayment", "ModesOfPayments"
    scope, key = "settings", "Code"
    fields = table(read_only("@url"), text("Code"), text("Description", unset=""), text("AccountNumber", exact=4))
    unset = template(fields)


class Currencies(Register):
    """/3/currencies."""

    name, single, plural, scope, key = "currencies", "Currency", "Currencies", "currency", "Code"
    fields = table(
        read_only("@url"),
        number("BuyRate", 0, decimals=6),
        text("Code", exact=3, pattern=r"[A-Z]{3}"),
        read_only("Date"),
        text("Description", unset=""),
        number("SellRate", 0, decimals=6),
        number("Unit", 1),
        read_only("IsAutomatic", False),
    )
    unset = template(fields)


class PriceLists(Register):
    """/3/pricelists; they cannot be deleted."""

    name, single, plural, scope, key = "pricelists", "PriceList", "PriceLists", "price", "Code"
    fields = table(
        read_only("@url"),
        text("Code", 100),
        text("Comments"),
        text("Description", 50, ""),
        read_only("PreSelected", False),
    )
    unset = template(fields)
    may_delete = False


class PredefinedAccounts(Register):
    """/3/predefinedaccounts: which account serves which purpose."""

    name, single, plural = "predefinedaccounts", "PreDefinedAccount", "PreDefinedAccounts"
    scope, key = "settings", "Name"
    fields = table(read_only("@url"), integer("Account", None, 1000, 9999), read_only("Name"))
    unset = template(fields)
    may_create = may_delete = False

    def update(self, call: Call, record: Record, payload: Any) -> None:
        """Only the account can be written, and it must exist."""
        values = clean(self.fields, payload)
        if isinstance(values.get("Account"), int):
            call.tenant.require_account(values["Account"])
        store(record.values, self.unset, values)
        record.touch(call.now)


class VoucherSeries(Register):
    """/3/voucherseries, for reading."""

    name, single, plural = "voucherseries", "VoucherSeries", "VoucherSeriesCollection"
    scope, key = "bookkeeping", "Code"
    fields = table(read_only("@url"), text("Code", 10), text("Description", 200, ""), flag("Manual"), integer("Year"))
    unset = template(fields)
    may_create = may_update = may_delete = False


class PredefinedVoucherSeries(Register):
    """/3/predefinedvoucherseries: which series serves which purpose (documented; the names are inferred)."""

    name, single, plural = "predefinedvoucherseries", "PreDefinedVoucherSeries", "PreDefinedVoucherSeriesCollection"
    scope, key = "settings", "Name"
    fields = table(read_only("@url"), read_only("Name"), text("VoucherSeries", 1))
    unset = template(fields)
    may_create = may_delete = False


_SETTINGS = "ALLOWED MANDATORY NOTALLOWED"


class Accounts(Register):
    """/3/accounts: the chart of accounts of the current year."""

    name, single, plural, scope, key = "accounts", "Account", "Accounts", "bookkeeping", "Number"
    fields = table(
        read_only("@url"),
        flag("Active", True),
        number("BalanceBroughtForward", 0),
        read_only("BalanceCarriedForward", 0),
        text("CostCenter"),
        enum("CostCenterSettings", _SETTINGS, "ALLOWED"),
        text("Description", 200),
        integer("Number", None, 1000, 9999),
        read_only("OpeningQuantities"),
        text("Project"),
        enum("ProjectSettings", _SETTINGS, "ALLOWED"),
        integer("SRU", 0),
        text("TransactionInformation", unset=""),
        enum("TransactionInformationSettings", _SETTINGS, "ALLOWED"),
        text("VATCode", unset=""),
        read_only("Year"),
    )
    unset = template(fields)
    sorts = {"number": "Number"}
    may_delete = False
    _LIST = (
        "@url Active BalanceBroughtForward CostCenter CostCenterSettings Description Number Project ProjectSettings "
        "SRU VATCode Year"
    )

    def detail(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """The year is the id of the current financial year."""
        return super().detail(tenant, record) | {"Year": tenant.current_year}

    def brief(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Lists leave out the closing balance and the transaction settings."""
        full = self.detail(tenant, record)
        return {name: full[name] for name in self._LIST.split()}


def _year_of(call: Call, value: str) -> Any:
    day = times.parse_date(value)
    return lambda record: record.values["FromDate"] <= day <= record.values["ToDate"]


class FinancialYears(Register):
    """/3/financialyears, for reading."""

    name, single, plural = "financialyears", "FinancialYear", "FinancialYears"
    scope, key = "bookkeeping", "Id"
    fields = table(
        *read_onlys("@url Id FromDate ToDate"),
        read_only("AccountChartType", "BAS 2026"),
        read_only("AccountingMethod", "ACCRUAL"),
    )
    unset = template(fields)
    searches = {"date": _year_of}
    may_create = may_update = may_delete = False
