"""Invoice payments: /3/invoicepayments. Only a booked payment lowers the balance (reported)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from . import errors, vouchers
from .fields import BLANK, without_blanks
from .records import Record
from .render import numeral
from .resource import Predicate, Resource
from .search import last_modified
from .tables import PAYMENT, PAYMENT_LIST, PAYMENT_UNSET
from .tenant import Call, Tenant
from .totals import cents


def _of_invoice(call: Call, value: str) -> Predicate:
    if not value.isdecimal():
        raise errors.bad_parameter()
    return lambda record: record.values["InvoiceNumber"] == int(value)


class Payments(Resource):
    """Several unbooked payments together may exceed the balance (reported)."""

    name, single, plural = "invoicepayments", "InvoicePayment", "InvoicePayments"
    scope, key = "payment", "Number"
    fields, unset = PAYMENT, PAYMENT_UNSET
    searches = {"invoicenumber": _of_invoice, "lastmodified": last_modified}
    sorts = {"paymentdate": "PaymentDate"}
    ignores_sortorder = True  # reported

    def detail(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Names and numbers of the invoice are shown as they are today; InvoiceTotal is text."""
        shown = super().detail(tenant, record)
        invoice = self._invoice(tenant, record.values["InvoiceNumber"]).values
        shown |= {
            "InvoiceCustomerName": invoice["CustomerName"],
            "InvoiceCustomerNumber": invoice["CustomerNumber"],
            "InvoiceDueDate": invoice["DueDate"],
            "InvoiceOCR": invoice["OCR"],
            "InvoiceTotal": numeral(invoice["Total"]),
            "ExternalInvoiceReference1": invoice.get("ExternalInvoiceReference1", ""),
            "ExternalInvoiceReference2": invoice.get("ExternalInvoiceReference2", ""),
            "WriteOffs": list(record.values.get("WriteOffs", ())),
        }
        return shown

    def brief(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Documented list fields."""
        values = record.values
        row: dict[str, Any] = {"@url": self.url(record.key)}
        row.update((name, values.get(name, self.unset[name])) for name in PAYMENT_LIST)
        return row | {"WriteOffExist": bool(values.get("WriteOffs"))}

    def _invoice(self, tenant: Tenant, number: int) -> Record:
        invoice = tenant.tables["invoices"].get(str(number))
        if invoice is None:
            raise errors.own(30, f"Kunde inte hämta/hitta faktura ({number})")
        return invoice

    def new_key(self, call: Call, values: dict[str, Any]) -> str:
        """Always the server's."""
        return call.tenant.tables[self.name].next_key()

    def write(self, call: Call, record: Record, values: dict[str, Any], *, creating: bool) -> None:
        """The invoice must be booked; foreign invoices need AmountCurrency (documented)."""
        if record.values.get("Booked"):
            raise errors.own(31, "Betalningen är bokförd och kan inte ändras.")
        draft = {**record.values, **without_blanks(values)}
        for name, value in values.items():
            if value is BLANK:
                draft.pop(name, None)
        if "WriteOffs" in draft:
            draft["WriteOffs"] = [without_blanks(item) for item in draft["WriteOffs"]]
        if "InvoiceNumber" not in draft:
            raise errors.required("InvoiceNumber")
        invoice = self._invoice(call.tenant, draft["InvoiceNumber"]).values
        if not invoice.get("Booked") and invoice.get("AccountingMethod") != "CASH":
            raise errors.own(32, "Fakturan måste vara bokförd.")
        draft.setdefault("PaymentDate", call.today().isoformat())
        if draft["PaymentDate"] < invoice["InvoiceDate"]:
            raise errors.own(33, "The payment date cannot precede the invoice date")
        mode = draft.get("ModeOfPayment")
        if mode:
            register = call.tenant.tables["modesofpayments"].get(mode)
            if register is None:
                raise errors.unknown_reference("modesofpayments")
            draft.setdefault("ModeOfPaymentAccount", int(register.values["AccountNumber"]))
        self._amounts(draft, invoice)
        record.values = draft

    def _amounts(self, draft: dict[str, Any], invoice: dict[str, Any]) -> None:
        """Documented: Amount is in SEK and equals AmountCurrency × rate × unit."""
        currency = invoice.get("Currency", "SEK")
        draft["Currency"] = currency
        if currency == "SEK":
            if "Amount" not in draft:
                raise errors.required("Amount")
            draft["AmountCurrency"] = draft["Amount"]
            return
        if "AmountCurrency" not in draft:
            raise errors.required("AmountCurrency")
        draft.setdefault("CurrencyRate", invoice.get("CurrencyRate", Decimal(1)))
        draft.setdefault("CurrencyUnit", invoice.get("CurrencyUnit", 1))
        rate = Decimal(draft["CurrencyRate"]) * Decimal(draft["CurrencyUnit"])
        draft.setdefault("Amount", cents(Decimal(draft["AmountCurrency"]) * rate))

    def delete(self, call: Call, record: Record) -> None:
        """Booked payments stay (decision)."""
        if record.values.get("Booked"):
            raise errors.own(34, "Betalningen är bokförd och kan inte tas bort.")
        super().delete(call, record)

    def bookkeep(self, call: Call, record: Record) -> Record:
        """Lowers the invoice's balance; the last one sets FinalPayDate."""
        values = record.values
        if values.get("Booked"):
            raise errors.own(35, "Betalningen är redan bokförd.")
        invoice = self._invoice(call.tenant, values["InvoiceNumber"])
        written_off = sum((Decimal(item.get("Amount", 0)) for item in values.get("WriteOffs", ())), Decimal(0))
        values |= self._voucher(call, record, written_off)
        values["Booked"] = True
        record.touch(call.now)
        header = invoice.values
        header["Balance"] = Decimal(header["Balance"]) - Decimal(values["AmountCurrency"]) - written_off
        invoice.row = None
        if header["Balance"] == 0:
            header["FinalPayDate"] = values["PaymentDate"]
        if call.world.options["payment_touches_invoice"]:
            invoice.touch(call.now)
        return record

    def _voucher(self, call: Call, record: Record, written_off: Decimal) -> dict[str, Any]:
        values, tenant = record.values, call.tenant
        amount = Decimal(values["Amount"])
        lines = {values.get("ModeOfPaymentAccount") or tenant.predefined("BG"): amount}
        for item in values.get("WriteOffs", ()):
            account = item.get("AccountNumber") or tenant.predefined("ROUNDOFF")
            lines[account] = lines.get(account, Decimal(0)) + Decimal(item.get("Amount", 0))
        claim = tenant.predefined("CUSTCLAIM")
        lines[claim] = lines.get(claim, Decimal(0)) - amount - written_off
        text = f"Kundbetalning {values['InvoiceNumber']}"
        return vouchers.post(call, "C", values["PaymentDate"], text, ("INVOICEPAYMENT", record.key), lines)
