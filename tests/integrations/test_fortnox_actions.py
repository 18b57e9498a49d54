"""Booking, crediting and cancelling, totals and locks of invoices, against the sandbox over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from integrations import http
from integrations.connector import Record, Write
from integrations.errors import Conflict, InvalidData, Misconfigured, Missing, OutcomeUnknown
from integrations.fortnox.actions import INVOICE
from tests.integrations.clients import connector, in_sandbox, set_vendor
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
LINE = {"Description": "Konsult", "DeliveredQuantity": Decimal(2), "Price": Decimal("100.40"), "VAT": Decimal(25)}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess("--customers", "5", "--articles", "20", "--invoices", "0", "--no-limits") as process:
        yield process
        process.stop()


@pytest.fixture
def fortnox(settings: Any, sandbox: SandboxProcess) -> Iterator[Any]:
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    found = connector(in_sandbox(sandbox, "fortnox"))
    yield found
    sandbox.control("POST", "/faults", {"profile": {}})
    _edit(sandbox, found, "company", "x", AccountingMethod="ACCRUAL")


def _edit(sandbox: SandboxProcess, fortnox: Any, name: str, record: str, **fields: Any) -> None:
    account = fortnox.api.account.remote_id
    sandbox.control("POST", f"/records/fortnox/{account}/{name}/{record}", {"fields": fields})


def _invoice(fortnox: Any, *lines: dict[str, Any], **fields: Any) -> str:
    write = Write("1", fields={"CustomerNumber": "1", **fields}, lines=list(lines) or [LINE])
    outcome = fortnox.create("invoice", write)
    assert outcome.error is None
    return str(outcome.id)


def _load(fortnox: Any, number: str, *names: str) -> Record:
    wanted = {"invoice": frozenset(names), "row": frozenset({"Description", "ArticleNumber", "Price", "Total"})}
    (record,) = fortnox.load("invoice", [number], wanted)
    assert isinstance(record, Record), record
    return record


def test_booking_is_done_once_and_repeating_it_is_a_success(fortnox: Any) -> None:
    number = _invoice(fortnox)
    with http.counting() as calls:
        first = fortnox.perform("invoice", number, "book")
    assert calls == {("fortnox", "invoice.get"): 1, ("fortnox", "invoice.bookkeep"): 1}
    assert (first.error, first.id, first.created) == (None, number, True)
    assert first.returned["Booked"] is True
    with http.counting() as calls:
        second = fortnox.perform("invoice", number, "book")
    assert calls == {("fortnox", "invoice.get"): 1}
    assert (second.error, second.id, second.created) == (None, number, False)
    assert second.returned["voucher"] == first.returned["voucher"]


def test_a_draft_is_not_booked_and_the_reason_is_named(fortnox: Any) -> None:
    number = _invoice(fortnox, NotCompleted=True)
    error = fortnox.perform("invoice", number, "book").error
    assert isinstance(error, InvalidData)
    assert (error.code, error.field, error.record) == ("not_completed", "NotCompleted", number)
    assert not _load(fortnox, number, "Booked").fields["Booked"]


def test_an_invoice_is_credited_once_both_ways_and_the_credit_stays_unbooked(fortnox: Any) -> None:
    number = _invoice(fortnox)
    refused = fortnox.perform("invoice", number, "credit").error
    assert (type(refused), refused.code) == (InvalidData, "not_booked")
    fortnox.perform("invoice", number, "book")
    first = fortnox.perform("invoice", number, "credit")
    second = fortnox.perform("invoice", number, "credit")
    assert first.error is None
    assert first.id != number
    assert (first.created, second.created, second.id) == (True, False, first.id)
    note = _load(fortnox, first.id, "InvoiceReference", "is_credit", "Booked", "Total").fields
    assert (note["InvoiceReference"], note["is_credit"], note["Booked"]) == (number, True, False)
    original = _load(fortnox, number, "CreditInvoiceReference", "Total").fields
    assert original["CreditInvoiceReference"] == first.id
    assert note["Total"] == -original["Total"]
    assert fortnox.perform("invoice", first.id, "credit").error.code == "is_credit"


@pytest.mark.parametrize("how", ["part", "cancelled"])
def test_a_credit_of_a_part_or_one_that_was_cancelled_does_not_count_as_crediting_the_invoice(
    fortnox: Any, sandbox: SandboxProcess, how: str
) -> None:
    number = _invoice(fortnox)
    fortnox.perform("invoice", number, "book")
    note = fortnox.perform("invoice", number, "credit").id
    if how == "part":
        rows = [{"Description": "En del", "DeliveredQuantity": "-1", "Price": 10}]
        _edit(sandbox, fortnox, "invoices", note, InvoiceRows=rows)
    else:
        assert fortnox.perform("invoice", note, "cancel").created
    error = fortnox.perform("invoice", number, "credit").error
    assert (type(error), error.code, error.record, error.value) == (Conflict, "credited_in_part", number, note)


def test_both_sides_of_a_credit_are_found_by_a_scan_for_changes(fortnox: Any, sandbox: SandboxProcess) -> None:
    number = _invoice(fortnox)
    fortnox.perform("invoice", number, "book")
    sandbox.control("POST", "/clock", {"advance_seconds": 3000})
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    since = fortnox._client.list_page(INVOICE, 1, {"limit": "1"}).remote_time.isoformat()
    note = fortnox.perform("invoice", number, "credit").id
    pages = list(fortnox.changed("invoice", since, {"invoice": frozenset({"Total"})}))
    assert {number, note} <= {record.id for page in pages for record in page.records}


def test_only_an_unbooked_invoice_can_be_cancelled(fortnox: Any) -> None:
    number = _invoice(fortnox)
    assert fortnox.perform("invoice", number, "cancel").created is True
    assert fortnox.perform("invoice", number, "cancel").created is False
    assert fortnox.perform("invoice", number, "book").error.code == "cancelled"
    assert fortnox.perform("invoice", number, "credit").error.code == "cancelled"
    booked = _invoice(fortnox)
    fortnox.perform("invoice", booked, "book")
    error = fortnox.perform("invoice", booked, "cancel").error
    assert (type(error), error.code) == (Conflict, "booked")


@pytest.mark.parametrize("fault", ["status_500_after_commit", "reset_mid_body", "malformed_json"])
@pytest.mark.parametrize("act", ["book", "credit", "cancel"])
def test_an_act_whose_answer_is_lost_is_unknown_and_performing_it_again_tells(
    fortnox: Any, sandbox: SandboxProcess, act: str, fault: str
) -> None:
    number = _invoice(fortnox)
    if act == "credit":
        fortnox.perform("invoice", number, "book")
    match = {"method": "PUT"}
    sandbox.control("POST", "/faults", {"profile": {fault: 1.0}, "seed": 1, "match": match})
    assert isinstance(fortnox.perform("invoice", number, act).error, OutcomeUnknown)
    sandbox.control("POST", "/faults", {"profile": {}})
    again = fortnox.perform("invoice", number, act)
    assert (again.error, again.created) == (None, False)


def test_what_cannot_be_done_is_said(fortnox: Any) -> None:
    assert isinstance(fortnox.perform("invoice", "99999", "book").error, Missing)
    assert isinstance(fortnox.perform("invoice", "1", "explode").error, Misconfigured)
    assert isinstance(fortnox.perform("customer", "1", "book").error, Misconfigured)


# --- Locks ----------------------------------------------------------------------------------------------------------


def test_an_invoice_says_why_it_is_locked(fortnox: Any, sandbox: SandboxProcess) -> None:
    number = _invoice(fortnox)
    assert fortnox.locks["invoice"] == "locked"
    assert _load(fortnox, number, "locked").fields["locked"] == ""
    _edit(sandbox, fortnox, "invoices", number, Sent=True)
    assert _load(fortnox, number, "locked").fields["locked"] == ""  # the accrual method locks by booking only
    voucher = fortnox.perform("invoice", number, "book").returned
    assert _load(fortnox, number, "locked").fields["locked"] == f"booked:B-{voucher['VoucherNumber']}"
    cancelled = _invoice(fortnox)
    fortnox.perform("invoice", cancelled, "cancel")
    assert _load(fortnox, cancelled, "locked").fields["locked"] == "cancelled"


def test_with_the_cash_method_what_is_sent_or_paid_is_locked(fortnox: Any, sandbox: SandboxProcess) -> None:
    _edit(sandbox, fortnox, "company", "x", AccountingMethod="CASH")
    sent, paid, free = _invoice(fortnox), _invoice(fortnox), _invoice(fortnox)
    _edit(sandbox, fortnox, "invoices", sent, Sent=True)
    payment = {"InvoiceNumber": int(paid), "Amount": 10, "Booked": True}
    sandbox.control("POST", f"/records/fortnox/{fortnox.api.account.remote_id}/invoicepayments", {"fields": payment})
    assert [_load(fortnox, n, "locked").fields["locked"] for n in (sent, paid, free)] == ["sent", "paid", ""]
    writes = [Write(n, id=n, fields={"Remarks": "Ny text"}, lines=[LINE]) for n in (sent, paid, free)]
    outcomes = {outcome.key: outcome.error for outcome in fortnox.upsert("invoice", writes)}
    assert (outcomes[sent].code, outcomes[sent].value) == ("locked", "sent")
    assert (outcomes[paid].code, outcomes[paid].value) == ("locked", "paid")
    assert outcomes[free] is None


# --- Totals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("included", [False, True])
def test_totals_add_up_with_freight_fee_and_rounding(fortnox: Any, included: bool) -> None:
    number = _invoice(
        fortnox,
        LINE,
        {"Description": "Textrad"},
        {**LINE, "Discount": Decimal(10), "DiscountType": "PERCENT", "VAT": Decimal(12)},
        VATIncluded=included,
        Freight=Decimal(95),
        AdministrationFee=Decimal("19.50"),
    )
    (record,) = fortnox.load("invoice", [number], fortnox.totals_fields("invoice"))
    totals = fortnox.totals("invoice", record)
    assert len(totals.rows) == 3
    assert sum(totals.rows) == totals.net
    assert totals.gross == totals.net + totals.freight + totals.fee + totals.vat + totals.rounding
    assert totals.gross == totals.gross.to_integral_value()
    assert (totals.currency, totals.vat_included) == ("SEK", included)
    assert totals.rows[0] == (Decimal("160.64") if included else Decimal("200.80"))
    assert totals.freight == (Decimal("76.00") if included else Decimal(95))
    assert fortnox.totals("customer", record) is None
    assert fortnox.totals_fields("customer") == {}


# --- Changing an invoice while it is open ---------------------------------------------------------------------------


def _rows(fortnox: Any, number: str) -> list[dict[str, Any]]:
    return _load(fortnox, number).lines


def test_changed_lines_replace_the_rows_as_a_whole(fortnox: Any, sandbox: SandboxProcess) -> None:
    one = {"ArticleNumber": "1001", "DeliveredQuantity": Decimal(1), "Price": Decimal(10), "Discount": Decimal(50)}
    two = {"ArticleNumber": "1002", "DeliveredQuantity": Decimal(1), "Price": Decimal(20)}
    number = _invoice(fortnox, one, two, {"Description": "Ring före leverans"})
    _edit(sandbox, fortnox, "articles", "1007", Description="Sladd")
    with http.counting() as calls:
        (outcome,) = fortnox.upsert(
            "invoice",
            [
                Write(
                    "1",
                    id=number,
                    lines=[
                        {"Description": "Ny text", "line_key": "t"},
                        {**two, "Price": Decimal(21), "line_key": "b"},
                        {"ArticleNumber": "1007", "DeliveredQuantity": Decimal(3), "Price": Decimal(7)},
                    ],
                )
            ],
        )
    assert outcome.error is None
    assert calls == {("fortnox", "invoice.get"): 1, ("fortnox", "invoice.update"): 1}
    rows = _rows(fortnox, number)
    assert [row["ArticleNumber"] for row in rows] == [None, "1002", "1007"]
    assert [row["Total"] for row in rows] == [0, 21, 21]
    assert set(outcome.line_ids) == {"t", "b", "3"}
    record = _load(fortnox, number, "Net")
    assert record.fields["Net"] == 42


@pytest.mark.parametrize(
    "line,total",
    [
        ({"Description": "Bara text"}, Decimal(0)),
        ({"Description": "Arbete", "DeliveredQuantity": Decimal(2), "Price": Decimal(30)}, Decimal(60)),
        ({"ArticleNumber": "1002", "DeliveredQuantity": Decimal(2), "Price": Decimal(30)}, Decimal(60)),
    ],
)
def test_a_row_that_becomes_something_else_keeps_nothing_of_what_it_was(
    fortnox: Any, line: dict[str, Any], total: Decimal
) -> None:
    old = {"ArticleNumber": "1001", "DeliveredQuantity": Decimal(1), "Price": Decimal(10), "Discount": Decimal(50)}
    number = _invoice(fortnox, old, {**old, "ArticleNumber": "1003"})
    (outcome,) = fortnox.upsert("invoice", [Write("1", id=number, lines=[line])])
    assert outcome.error is None
    (row,) = _rows(fortnox, number)
    assert row["Total"] == total
    assert row["ArticleNumber"] == line.get("ArticleNumber")
    assert _load(fortnox, number, "Net").fields["Net"] == total


def test_the_same_article_keeps_what_an_accountant_changed_on_its_row(fortnox: Any, sandbox: SandboxProcess) -> None:
    line = {"ArticleNumber": "1001", "DeliveredQuantity": Decimal(1), "Price": Decimal(10)}
    number = _invoice(fortnox, line)
    row = {"ArticleNumber": "1001", "DeliveredQuantity": 1, "Price": 10, "AccountNumber": 3011}
    _edit(sandbox, fortnox, "invoices", number, InvoiceRows=[row])
    list(fortnox.upsert("invoice", [Write("1", id=number, lines=[{**line, "Price": Decimal(12)}])]))
    (record,) = fortnox.load("invoice", [number], {"row": frozenset({"AccountNumber", "Price"})})
    assert record.lines == [{"AccountNumber": Decimal(3011), "Price": Decimal(12)}]


def test_a_booked_invoice_refuses_changes_by_name_and_nothing_is_sent(fortnox: Any) -> None:
    number = _invoice(fortnox)
    fortnox.perform("invoice", number, "book")
    with http.counting() as calls:
        (outcome,) = fortnox.upsert("invoice", [Write("1", id=number, lines=[LINE])])
    assert isinstance(outcome.error, Conflict)
    assert outcome.error.code == "locked"
    assert outcome.error.value.startswith("booked:B-")
    assert calls == {("fortnox", "invoice.get"): 1}


def test_five_hundred_rows_are_taken_and_one_more_is_refused_before_sending(fortnox: Any) -> None:
    number = _invoice(fortnox, *[{**LINE, "Price": Decimal(1)}] * 500)
    assert len(_rows(fortnox, number)) == 500
    with http.counting() as calls:
        outcome = fortnox.create("invoice", Write("1", fields={"CustomerNumber": "1"}, lines=[LINE] * 501))
        (updated,) = fortnox.upsert("invoice", [Write("1", id=number, lines=[LINE] * 501)])
    assert (outcome.error.code, updated.error.code) == ("too_many_rows", "too_many_rows")
    assert calls.total() == 0
