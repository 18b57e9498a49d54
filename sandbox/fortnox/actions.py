"""What can be done to an invoice: bookkeep, cancel, credit, send, print."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from . import errors, vouchers
from .invoices import Invoices, recalculate
from .records import Record
from .tenant import Call
from .totals import ocr

Action = Callable[[Invoices, Call, Record], Record]


def _touch(call: Call, record: Record) -> None:
    record.touch(call.now)


def bookkeep(invoices: Invoices, call: Call, record: Record) -> Record:
    """Recorded: series B, number per series and year; a zero total is paid on the booking date."""
    values = record.values
    if values.get("Booked"):
        raise errors.own(15, f"Kunde inte bokföra fakturanummer {record.key}. Fakturan är redan bokförd.")
    if values.get("Cancelled"):
        raise errors.own(16, f"Kunde inte bokföra fakturanummer {record.key}. Fakturan är makulerad.")
    if values.get("NotCompleted"):
        raise errors.own(
            17,
            f"Kunde inte bokföra fakturanummer {record.key}. Faktura som bokförs måste vara klarmarkerad.",
        )
    day = values["InvoiceDate"]
    lines = vouchers.invoice_lines(call.tenant, values)
    text = f"Kundfaktura {values['CustomerName']} ({record.key})"
    values |= vouchers.post(call, "B", day, text, ("INVOICE", record.key), lines)
    values["Booked"] = True
    if values["Total"] == 0 or values.get("InvoiceType") == "CASHINVOICE":
        values["Balance"], values["FinalPayDate"] = Decimal(0), day
    _touch(call, record)
    return record


def cancel(invoices: Invoices, call: Call, record: Record) -> Record:
    """Documented: Balance becomes 0, Total stays. A booked invoice must be credited instead (reported)."""
    values = record.values
    if values.get("Booked"):
        raise errors.own(18, f"Faktura {record.key} är bokförd och kan inte makuleras.")
    if values.get("Cancelled"):
        raise errors.own(19, f"Faktura {record.key} är redan makulerad.")
    values["Cancelled"], values["Balance"] = True, Decimal(0)
    _touch(call, record)
    return record


def credit(invoices: Invoices, call: Call, record: Record) -> Record:
    """A new unbooked invoice with negated quantities; answers with the original, which names it.

    Recorded of a credit invoice: negative Total and Balance, DueDate equals InvoiceDate despite its terms. There
    is no netting: both stay in ``unpaid``. The external references are not copied (decision, switchable).
    """
    values = record.values
    if not values.get("Booked"):
        raise errors.own(21, f"Faktura {record.key} är inte bokförd och kan inte krediteras.")
    if (credited_by := values.get("CreditInvoiceReference", "0")) != "0":
        raise errors.own(22, f"Faktura {record.key} är redan krediterad med faktura {credited_by}.")
    if values.get("Credit") == "true":
        raise errors.own(28, f"Faktura {record.key} är en kreditfaktura och kan inte krediteras.")
    number = call.tenant.tables["invoices"].next_key()
    today = call.today().isoformat()
    copied = {name: value for name, value in values.items() if name not in _NOT_CREDITED}
    if call.world.options["credit_copies_external_reference"]:
        for name in ("ExternalInvoiceReference1", "ExternalInvoiceReference2"):
            if name in values:
                copied[name] = values[name]
    copied |= {
        "DocumentNumber": number,
        "Credit": "true",
        "InvoiceReference": record.key,
        "InvoiceDate": today,
        "OutboundDate": today,
        "DueDate": today,
        "OCR": ocr(number),
    }
    for name in ("Freight", "AdministrationFee"):
        if name in values:
            copied[name] = -Decimal(values[name])
    note = call.add("invoices", number, copied)
    _negate_rows(invoices, call, note, values)
    values["CreditInvoiceReference"] = number
    invoices.index(call.tenant, note)
    _touch(call, record)
    return record


_NOT_CREDITED_WORDS = (
    "Booked Cancelled Sent VoucherNumber VoucherSeries VoucherYear FinalPayDate Balance InvoiceRows Reminders "
    "LastRemindDate ExternalInvoiceReference1 ExternalInvoiceReference2 NotCompleted"
)
_NOT_CREDITED = frozenset(_NOT_CREDITED_WORDS.split())


def _negate_rows(invoices: Invoices, call: Call, note: Record, original: dict[str, Any]) -> None:
    customer = call.tenant.tables["customers"].get(original["CustomerNumber"])
    vat_type = str(customer.values.get("VATType", "SEVAT")) if customer else "SEVAT"
    lines = [dict(row) for row in original.get("InvoiceRows", ())]
    for row in lines:
        row["RowId"] = call.tenant.next_row_id()
        if "DeliveredQuantity" in row:
            row["DeliveredQuantity"] = -Decimal(row["DeliveredQuantity"])
    note.values["InvoiceRows"] = lines
    recalculate(call.tenant, note.values, vat_type)


def email(invoices: Invoices, call: Call, record: Record) -> Record:
    """A GET with a side effect (documented). Needs an address and bank details (reported)."""
    _require_bank(call)
    if not record.values.get("EmailInformation", {}).get("EmailAddressTo"):
        raise errors.own(23, "E-postadress saknas.")
    return _sent(call, record)


def external_print(invoices: Invoices, call: Call, record: Record) -> Record:
    """Marks as sent without a document."""
    return _sent(call, record)


def _sent(call: Call, record: Record) -> Record:
    if not record.values.get("Sent"):
        record.values["Sent"] = True
        _touch(call, record)
    return record


def _require_bank(call: Call) -> None:
    if not (call.tenant.company.get("BG") or call.tenant.company.get("IBAN")):
        raise errors.own(24, "Bankuppgifter saknas")


def send_elsewhere(invoices: Invoices, call: Call, record: Record) -> Record:
    """E-invoice and print service need a registration that these companies lack (reported text)."""
    raise errors.own(25, "Kan inte skicka dokument om inte företaget är registrerat")


def warehouse_ready(invoices: Invoices, call: Call, record: Record) -> Record:
    """Without the warehouse module every invoice is ready (recorded: WarehouseReady true)."""
    raise errors.FortnoxError(2003127, "Ett fel uppstod i lagermodulen")


PUT_ACTIONS: dict[str, Action] = {
    "bookkeep": bookkeep,
    "cancel": cancel,
    "credit": credit,
    "externalprint": external_print,
    "warehouseready": warehouse_ready,
}
GET_ACTIONS: dict[str, Action] = {"email": email, "einvoice": send_elsewhere, "eprint": send_elsewhere}
PDF_ACTIONS = frozenset({"print", "preview", "printreminder"})


def printed(call: Call, record: Record, action: str) -> bytes:
    """The PDF; all but a preview mark the invoice as sent and need bank details."""
    if action != "preview":
        _require_bank(call)
        if action == "printreminder":
            record.values["Reminders"] = int(record.values.get("Reminders", 0)) + 1
            record.values["LastRemindDate"] = call.today().isoformat()
        _sent(call, record)
    values = record.values
    return pdf(
        [
            f"Faktura {record.key}",
            str(values["CustomerName"]),
            f"Att betala {values['Total']} {values.get('Currency', 'SEK')}",
        ]
    )


def pdf(lines: list[str]) -> bytes:
    """A one-page PDF with a few lines of text."""
    shown = " T* ".join(
        "(" + line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") + ") Tj" for line in lines
    )
    content = f"BT /F1 16 Tf 20 TL 60 780 Td {shown} ET".encode("cp1252", "replace")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start
