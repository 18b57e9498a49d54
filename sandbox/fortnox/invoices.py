"""Invoices: /3/invoices, creating and changing them. What happens to them later is in ``actions``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from . import errors, housework, rows
from .countries import NAME_OF_CODE, NAMES
from .fields import BLANK
from .records import Record
from .render import BASE, numeral
from .resource import Predicate, Resource, store
from .search import contains, external_reference, is_true, last_modified, on_or_after, on_or_before
from .tables import INVOICE, INVOICE_LIST, INVOICE_UNSET
from .tenant import Call, Tenant
from .totals import compute, ocr

# Recorded: copied from the customer when the invoice is created; null becomes "".
_COPIED = (
    "Address1 Address2 ZipCode City Phone1 Phone2 OrganisationNumber YourReference OurReference Currency PriceList "
    "TermsOfDelivery TermsOfPayment WayOfDelivery CostCenter Project DeliveryAddress1 DeliveryAddress2 DeliveryCity "
    "DeliveryName DeliveryZipCode"
)
_CHARGED = ("SEVAT", "EUVAT")
MAX_ROWS = 500  # decision: the real limit is not public


def _booked(record: Record) -> bool:
    return bool(record.values.get("Booked"))


def _balance(record: Record) -> Decimal:
    return Decimal(record.values.get("Balance", 0))


def _overdue(call: Call) -> Predicate:
    today = call.today().isoformat()
    return lambda record: _booked(record) and _balance(record) != 0 and record.values["DueDate"] < today


def _in_rows(field: str, value: str) -> Predicate:
    wanted = value.lower()
    return lambda record: any(wanted in str(row.get(field, "")).lower() for row in record.values.get("InvoiceRows", ()))


def _account_from(call: Call, value: str) -> Predicate:
    low = _digits(value)
    return lambda record: any(row.get("AccountNumber", 0) >= low for row in record.values.get("InvoiceRows", ()))


def _account_to(call: Call, value: str) -> Predicate:
    high = _digits(value)
    return lambda record: any(0 < row.get("AccountNumber", 0) <= high for row in record.values.get("InvoiceRows", ()))


def _digits(value: str) -> int:
    if not value.isdecimal():
        raise errors.bad_parameter()
    return int(value)


def _label(call: Call, value: str) -> Predicate:
    wanted = _digits(value)
    return lambda record: any(label.get("Id") == wanted for label in record.values.get("Labels", ()))


def _year(call: Call, value: str) -> Predicate:
    year = call.tenant.tables["financialyears"].get(value)
    if year is None:
        raise errors.bad_parameter()
    first, last = year.values["FromDate"], year.values["ToDate"]
    return lambda record: first <= record.values["InvoiceDate"] <= last


def _year_date(call: Call, value: str) -> Predicate:
    return _year(call, str(call.tenant.financial_year(value)))


class Invoices(Resource):
    """No DELETE: issued invoices are cancelled or credited."""

    name, single, plural, scope, key = "invoices", "Invoice", "Invoices", "invoice", "DocumentNumber"
    fields, unset = INVOICE, INVOICE_UNSET
    may_delete = False
    filters = {
        "cancelled": lambda call: lambda record: bool(record.values.get("Cancelled")),
        "fullypaid": lambda call: lambda record: _booked(record) and _balance(record) == 0,
        # Recorded: booked with a balance, overdue and credit invoices included, unbooked ones not.
        "unpaid": lambda call: lambda record: _booked(record) and _balance(record) != 0,
        "unpaidoverdue": _overdue,
        "unbooked": lambda call: lambda record: not _booked(record) and not record.values.get("Cancelled"),
    }
    searches = {
        "accountnumberfrom": _account_from,
        "accountnumberto": _account_to,
        "articledescription": lambda call, value: _in_rows("Description", value),
        "articlenumber": lambda call, value: _in_rows("ArticleNumber", value),
        "costcenter": contains("CostCenter"),
        "credit": is_true("Credit", "true"),
        "currency": contains("Currency", "SEK"),
        "customername": contains("CustomerName"),
        "customernumber": contains("CustomerNumber"),
        "documentnumber": contains("DocumentNumber"),
        "externalinvoicereference1": external_reference,
        "externalinvoicereference2": contains("ExternalInvoiceReference2"),
        "financialyear": _year,
        "financialyeardate": _year_date,
        "fromdate": on_or_after("InvoiceDate"),
        "todate": on_or_before("InvoiceDate"),
        "fromfinalpaydate": on_or_after("FinalPayDate"),
        "tofinalpaydate": on_or_before("FinalPayDate"),
        "invoicetype": contains("InvoiceType"),
        "label": _label,
        "lastmodified": last_modified,
        "notcompleted": is_true("NotCompleted"),
        "ocr": contains("OCR"),
        "ourreference": contains("OurReference"),
        "project": contains("Project"),
        "sent": is_true("Sent"),
        "yourordernumber": contains("YourOrderNumber"),
        "yourreference": contains("YourReference"),
    }
    sorts = {
        "customername": "CustomerName",
        "customernumber": "CustomerNumber",
        "documentnumber": "DocumentNumber",
        "invoicedate": "InvoiceDate",
        "ocr": "OCR",
        "total": "Total",
    }

    def detail(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """The whole document."""
        shown = super().detail(tenant, record)
        shown["@urlTaxReductionList"] = f"{BASE}/3/taxreductions?filter=invoices&referencenumber={record.key}"
        shown["InvoiceRows"] = [rows.shown(row) for row in record.values.get("InvoiceRows", ())]
        shown["Labels"] = list(record.values.get("Labels", ()))
        if tenant.warehouse and not record.values.get("Booked"):
            shown["WarehouseReady"] = False  # documented: true when the module is not active
        return shown

    def brief(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Recorded: 26 fields, CurrencyRate as text."""
        values, unset = record.values, self.unset
        row: dict[str, Any] = {"@url": self.url(record.key)}
        row.update((name, values.get(name, unset[name])) for name in INVOICE_LIST)
        row["CurrencyRate"] = numeral(row["CurrencyRate"])
        return row

    def new_key(self, call: Call, values: dict[str, Any]) -> str:
        """Normally the next in the series; a client may choose, but not one that is taken."""
        table = call.tenant.tables[self.name]
        key = str(values.get(self.key) or table.next_key())
        if key in table:
            raise errors.own(12, f"Fakturanummer {key} används redan.")
        return key

    def write(self, call: Call, record: Record, values: dict[str, Any], *, creating: bool) -> None:
        """Create or change an unbooked invoice; all or nothing."""
        if not creating:
            require_editable(record)
        customer = self._customer(call, record, values)
        draft = dict(record.values)
        if creating:
            draft.update(_from_customer(call, customer))
            if call.tenant.accounting_method == "CASH":
                draft["AccountingMethod"] = "CASH"
        elif values.get("CustomerNumber", draft["CustomerNumber"]) != draft["CustomerNumber"]:
            draft["CustomerName"] = customer.values["Name"]
        new_rows = values.pop("InvoiceRows", None)
        if isinstance(new_rows, list) and len(new_rows) > MAX_ROWS:
            raise errors.own(26, f"En faktura kan ha högst {MAX_ROWS} rader.")
        store(draft, self.unset, values)
        draft.setdefault("InvoiceType", "INVOICE")
        draft.setdefault("CustomerName", customer.values["Name"])
        self._check(call, draft)
        self._set_dates(call, draft, values)
        self._set_currency(call, draft, values)
        draft.setdefault("OCR", ocr(record.key))
        setting = self.setting(call.tenant, draft, customer)
        old_rows = draft.get("InvoiceRows", [])
        merged = rows.merge(setting, old_rows, old_rows_kept(old_rows) if new_rows in (None, BLANK) else new_rows)
        housework.check_rows(draft.get("TaxReductionType", "none"), merged)
        draft["InvoiceRows"] = merged
        draft["HouseWork"] = any(row.get("HouseWork") for row in merged)
        recalculate(call.tenant, draft, str(customer.values.get("VATType", "SEVAT")))
        record.values = draft
        self.index(call.tenant, record)

    def index(self, tenant: Tenant, record: Record) -> None:
        """Keep the duplicate check fast."""
        reference = str(record.values.get("ExternalInvoiceReference1", ""))
        if reference:
            tenant.reference_index[record.key] = reference.lower()
        else:
            tenant.reference_index.pop(record.key, None)

    def setting(self, tenant: Tenant, draft: Mapping[str, Any], customer: Record) -> rows.Setting:
        """What rows need to know of the header."""
        return rows.Setting(
            tenant,
            vat_type=str(customer.values.get("VATType", "SEVAT")),
            price_list=str(draft.get("PriceList", "A")),
            discount=Decimal(customer.values.get("InvoiceDiscount") or 0),
            vat_included=bool(draft.get("VATIncluded")),
        )

    def _customer(self, call: Call, record: Record, values: Mapping[str, Any]) -> Record:
        number = values.get("CustomerNumber", record.values.get("CustomerNumber", BLANK))
        if number is BLANK:
            raise errors.required("CustomerNumber")
        customer = call.tenant.tables["customers"].get(number)
        if customer is None:
            raise errors.FortnoxError(2000204, f"Kunde inte hämta/hitta kund ({number})")
        return customer

    def _check(self, call: Call, draft: Mapping[str, Any]) -> None:
        for name in ("Country", "DeliveryCountry"):
            if draft.get(name) and draft[name] not in NAMES:
                raise errors.FortnoxError(2000919, f"Ogiltigt land: {draft[name]}")
        for name, register in (("TermsOfPayment", "termsofpayments"), ("PriceList", "pricelists")):
            if draft.get(name) and draft[name] not in call.tenant.tables[register]:
                raise errors.unknown_reference(register)

    def _set_dates(self, call: Call, draft: dict[str, Any], sent: Mapping[str, Any]) -> None:
        """DueDate follows the terms unless sent; OutboundDate defaults to InvoiceDate."""
        draft.setdefault("InvoiceDate", call.today().isoformat())
        if not draft.get("TermsOfPayment"):
            draft["TermsOfPayment"] = call.tenant.default_terms
        if "DueDate" not in draft or ("DueDate" not in sent and {"InvoiceDate", "TermsOfPayment"} & set(sent)):
            draft["DueDate"] = due_date(draft["InvoiceDate"], draft["TermsOfPayment"])
        draft.setdefault("OutboundDate", draft["InvoiceDate"])

    def _set_currency(self, call: Call, draft: dict[str, Any], sent: Mapping[str, Any]) -> None:
        code = draft.get("Currency", "SEK")
        currency = call.tenant.tables["currencies"].get(code)
        if currency is None:
            raise errors.unknown_reference("currencies")
        if "CurrencyRate" not in sent and ("Currency" in sent or "CurrencyRate" not in draft) and code != "SEK":
            draft["CurrencyRate"] = Decimal(currency.values.get("SellRate", 1))
            draft["CurrencyUnit"] = int(currency.values.get("Unit", 1))


def old_rows_kept(old: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Omitting InvoiceRows leaves rows alone (documented); they still get new ids (documented)."""
    return [{"RowId": row["RowId"]} for row in old]


def _from_customer(call: Call, customer: Record) -> dict[str, Any]:
    values = customer.values
    copied: dict[str, Any] = {name: values[name] for name in _COPIED.split() if values.get(name)}
    copied["CustomerName"] = values["Name"]
    for code, name in (("CountryCode", "Country"), ("DeliveryCountryCode", "DeliveryCountry")):
        if values.get(code):
            copied[name] = NAME_OF_CODE[values[code]]
    if values.get("ShowPriceVATIncluded"):
        copied["VATIncluded"] = True
    if values.get("InvoiceRemark"):
        copied["Remarks"] = values["InvoiceRemark"]
    for source, name in (("InvoiceFreight", "Freight"), ("InvoiceAdministrationFee", "AdministrationFee")):
        if values.get(source):
            copied[name] = Decimal(str(values[source]))
    mail = values.get("EmailInvoice") or values.get("Email")
    if mail:
        copied["EmailInformation"] = {"EmailAddressTo": mail}
    return copied


def due_date(invoice_date: str, terms: str) -> str:
    """Numeric terms are days; AG, K, PF and others mean at once (decision)."""
    days = int(terms) if terms.isdecimal() else 0
    return (date.fromisoformat(invoice_date) + timedelta(days=days)).isoformat()


def require_editable(record: Record) -> None:
    """Reported: a booked invoice cannot be changed; a cancelled one neither (decision)."""
    if record.values.get("Booked"):
        raise errors.own(13, f"Faktura {record.key} är bokförd och kan inte ändras.")
    if record.values.get("Cancelled"):
        raise errors.own(14, f"Faktura {record.key} är makulerad och kan inte ändras.")
    if record.values.get("AccountingMethod") == "CASH" and (record.values.get("Sent") or _paid(record)):
        # Decision: with the cash method nothing is booked before it is paid, and what is sent or paid is final.
        raise errors.own(27, f"Faktura {record.key} är skickad eller betald och kan inte ändras.")


def _paid(record: Record) -> bool:
    values = record.values
    return bool(values.get("FinalPayDate")) or values.get("Balance", 0) != values.get("Total", 0)


def recalculate(tenant: Tenant, draft: dict[str, Any], vat_type: str) -> None:
    """All computed amounts; Balance equals Total until payments are booked."""
    lines = draft["InvoiceRows"]
    whole = tenant.round_off and draft.get("Currency", "SEK") == "SEK"
    totals = compute(
        [rows.as_input(row) for row in lines],
        freight=Decimal(draft.get("Freight", 0)),
        fee=Decimal(draft.get("AdministrationFee", 0)),
        surcharge_vat=25 if vat_type in _CHARGED else 0,
        vat_included=bool(draft.get("VATIncluded")),
        whole_units=whole,
    )
    draft["InvoiceRows"] = [rows.with_totals(row, part) for row, part in zip(lines, totals.rows, strict=True)]
    draft.update(
        Gross=totals.gross,
        Net=totals.net,
        FreightVAT=totals.freight_vat,
        AdministrationFeeVAT=totals.fee_vat,
        TotalVAT=totals.total_vat,
        RoundOff=totals.round_off,
        Total=totals.total,
        TotalToPay=totals.total,
        Balance=totals.total,
        ContributionValue=totals.contribution,
        ContributionPercent=totals.contribution_percent,
    )
