"""Invoices: defaults, rows, the state machine, actions; payments."""

from __future__ import annotations

from typing import Any

import pytest

from .fortnox_world import Fortnox


def _row(**fields: Any) -> dict[str, Any]:
    return {"Description": "Arbete", "Price": 100, "DeliveredQuantity": 1, **fields}


def _texts(invoice: dict[str, Any]) -> list[str]:
    return [row["Description"] for row in invoice["InvoiceRows"]]


# -- defaults ---------------------------------------------------------------------------------------------


def test_fortnox_invoice_copies_the_customer_once() -> None:
    fortnox = Fortnox()
    fortnox.customer(
        "1", City="Växjö", Phone1="070", Email="a@b.se", OrganisationNumber="559999-0016", TermsOfPayment="10"
    )
    invoice = fortnox.invoice(InvoiceDate="2026-11-01")
    assert (invoice["City"], invoice["Phone1"], invoice["Phone2"]) == ("Växjö", "070", "")
    assert invoice["OrganisationNumber"] == "559999-0016"
    assert invoice["EmailInformation"]["EmailAddressTo"] == "a@b.se"
    assert (invoice["DueDate"], invoice["OutboundDate"]) == ("2026-11-11", "2026-11-01")
    fortnox.put("/customers/1", {"Customer": {"City": "Umeå"}})
    assert fortnox.get("/invoices/1")["Invoice"]["City"] == "Växjö"


def test_fortnox_terms_that_are_not_days_are_due_at_once() -> None:
    invoice = Fortnox().invoice(InvoiceDate="2026-11-01", TermsOfPayment="K")
    assert invoice["DueDate"] == "2026-11-01"


def test_fortnox_omitted_quantity_is_zero_and_so_is_the_total() -> None:
    invoice = Fortnox().invoice(InvoiceRows=[{"Description": "Arbete", "Price": 100}])
    assert (invoice["InvoiceRows"][0]["DeliveredQuantity"], invoice["Total"]) == ("0", 0)


def test_fortnox_row_takes_its_defaults_from_the_article_and_the_price_list() -> None:
    fortnox = Fortnox()
    fortnox.article("7", 12.5, SalesAccount=3002, Unit="st", Description="Kaffe")
    row = fortnox.invoice(InvoiceRows=[{"ArticleNumber": "7", "DeliveredQuantity": "2"}])["InvoiceRows"][0]
    assert (row["Description"], row["Unit"], row["Price"], row["AccountNumber"], row["VAT"]) == (
        "Kaffe",
        "st",
        12.5,
        3002,
        12,
    )
    assert (row["DeliveredQuantity"], row["Total"]) == ("2", 25)


def test_fortnox_row_takes_the_price_of_its_quantity() -> None:
    fortnox = Fortnox()
    fortnox.article("7", 10)
    fortnox.put("/prices/A/7/100", {"Price": {"Price": 8}})
    rows = [{"ArticleNumber": "7", "DeliveredQuantity": quantity} for quantity in (99, 100)]
    assert [row["Price"] for row in fortnox.invoice(InvoiceRows=rows)["InvoiceRows"]] == [10, 8]


def test_fortnox_text_row_has_no_amounts() -> None:
    row = Fortnox().invoice(InvoiceRows=[{"Description": "Bara text"}])["InvoiceRows"][0]
    assert (row["Price"], row["DeliveredQuantity"], row["Total"], row["ArticleNumber"]) == (0, "0", 0, "")


@pytest.mark.parametrize(
    ("vat_type", "account", "vat"),
    [
        ("SEVAT", 3001, 25),
        ("SEREVERSEDVAT", 3231, 0),
        ("EUREVERSEDVAT", 3108, 0),
        ("EUVAT", 3106, 25),
        ("EXPORT", 3105, 0),
    ],
)
def test_fortnox_row_account_and_vat_follow_the_customers_vat_type(vat_type: str, account: int, vat: int) -> None:
    fortnox = Fortnox()
    fortnox.customer("1", VATType=vat_type)
    fortnox.article("7", 10)
    invoice = fortnox.invoice(InvoiceRows=[{"ArticleNumber": "7", "DeliveredQuantity": 1}], Freight=100)
    row = invoice["InvoiceRows"][0]
    assert (row["AccountNumber"], row["VAT"]) == (account, vat)
    assert invoice["FreightVAT"] == (25 if vat else 0)


def test_fortnox_customers_discount_applies_when_the_row_has_none() -> None:
    fortnox = Fortnox()
    fortnox.customer("1", InvoiceDiscount=10)
    rows = fortnox.invoice(InvoiceRows=[_row(), _row(Discount=0), _row(Discount=5)])["InvoiceRows"]
    assert [row["Total"] for row in rows] == [90, 100, 95]


def test_fortnox_foreign_invoice_takes_the_rate_and_keeps_cents() -> None:
    invoice = Fortnox().invoice(Currency="EUR", InvoiceRows=[_row(Price=10.55, VAT=25)])
    assert (invoice["CurrencyRate"], invoice["Total"], invoice["RoundOff"]) == (11.02, 13.19, 0)


def test_fortnox_number_can_be_chosen_once() -> None:
    fortnox = Fortnox()
    assert fortnox.invoice(DocumentNumber="500")["DocumentNumber"] == "500"
    body = {"Invoice": {"CustomerNumber": "1", "DocumentNumber": "500"}}
    assert fortnox.refusal("POST", "/invoices", body)[0] >= 2999000


# -- changing rows ----------------------------------------------------------------------------------------


def _with_rows(fortnox: Fortnox, *texts: str) -> dict[str, Any]:
    return fortnox.invoice(InvoiceRows=[_row(Description=text, Discount=7) for text in texts])


def test_fortnox_rows_without_ids_match_by_position_and_missing_ones_go() -> None:
    fortnox = Fortnox()
    _with_rows(fortnox, "a", "b", "c")
    changed = fortnox.put("/invoices/1", {"Invoice": {"InvoiceRows": [{"Description": "x"}, {"Price": 5}]}})["Invoice"]
    assert _texts(changed) == ["x", "b"]
    assert [row["Price"] for row in changed["InvoiceRows"]] == [100, 5]
    assert [row["Discount"] for row in changed["InvoiceRows"]] == [7, 7], "an omitted discount is kept"


def test_fortnox_rows_with_ids_update_keep_add_and_drop() -> None:
    fortnox = Fortnox()
    before = _with_rows(fortnox, "a", "b", "c")["InvoiceRows"]
    sent = [{"RowId": before[2]["RowId"]}, {"RowId": before[0]["RowId"], "Description": "x"}, _row(Description="ny")]
    changed = fortnox.put("/invoices/1", {"Invoice": {"InvoiceRows": sent}})["Invoice"]
    assert _texts(changed) == ["c", "x", "ny"]


def test_fortnox_row_ids_are_new_after_every_update_and_rows_stay_when_omitted() -> None:
    fortnox = Fortnox()
    before = _with_rows(fortnox, "a", "b")
    after = fortnox.put("/invoices/1", {"Invoice": {"Comments": "x"}})["Invoice"]
    assert _texts(after) == ["a", "b"]
    assert {row["RowId"] for row in after["InvoiceRows"]}.isdisjoint(row["RowId"] for row in before["InvoiceRows"])
    assert after["Total"] == before["Total"]


def test_fortnox_unknown_row_id_is_refused() -> None:
    fortnox = Fortnox()
    _with_rows(fortnox, "a")
    assert fortnox.refusal("PUT", "/invoices/1", {"Invoice": {"InvoiceRows": [{"RowId": 999}]}})[0] >= 2999000


# -- state machine ----------------------------------------------------------------------------------------


def test_fortnox_bookkeeping_numbers_vouchers_per_series_and_year_and_writes_them() -> None:
    fortnox = Fortnox()
    first, second = fortnox.booked(100), fortnox.booked(200)
    assert (first["Booked"], first["VoucherSeries"], first["VoucherNumber"], second["VoucherNumber"]) == (
        True,
        "B",
        1,
        2,
    )
    old = fortnox.booked(300, InvoiceDate="2025-05-05")
    assert (old["VoucherNumber"], old["VoucherYear"]) == (1, first["VoucherYear"] - 1)
    voucher = fortnox.get("/vouchers/B/2")["Voucher"]
    rows = {row["Account"]: (row["Debit"], row["Credit"]) for row in voucher["VoucherRows"]}
    assert rows == {1510: (200, 0), 3004: (0, 200)}


@pytest.mark.parametrize("included", [False, True])
def test_fortnox_vouchers_balance_with_vat_freight_fee_and_rounding(included: bool) -> None:
    fortnox = Fortnox()
    rows = [_row(Price=99.99, VAT=25, DeliveredQuantity=3), _row(VAT=12), _row(VAT=6), {"Description": "Text"}]
    fortnox.invoice(InvoiceRows=rows, Freight=95, AdministrationFee=29.5, VATIncluded=included)
    fortnox.put("/invoices/1/bookkeep")
    lines = fortnox.get("/vouchers/B/1")["Voucher"]["VoucherRows"]
    assert round(sum(line["Debit"] - line["Credit"] for line in lines), 2) == 0
    rounding = [line["Debit"] - line["Credit"] for line in lines if line["Account"] == 3740]
    assert all(abs(amount) <= 0.51 for amount in rounding)


def test_fortnox_zero_total_is_paid_when_booked() -> None:
    fortnox = Fortnox()
    fortnox.invoice(InvoiceDate="2026-11-02")
    booked = fortnox.put("/invoices/1/bookkeep")["Invoice"]
    assert (booked["Balance"], booked["FinalPayDate"]) == (0, "2026-11-02")


def _state(fortnox: Fortnox, state: str) -> str:
    if state == "draft":
        return str(fortnox.invoice(NotCompleted=True)["DocumentNumber"])
    if state == "unbooked":
        return str(fortnox.invoice()["DocumentNumber"])
    if state == "cancelled":
        number = str(fortnox.invoice()["DocumentNumber"])
        fortnox.put(f"/invoices/{number}/cancel")
        return number
    number = str(fortnox.booked()["DocumentNumber"])
    if state == "credited":
        fortnox.put(f"/invoices/{number}/credit")
    return number


ALLOWED = {
    "draft": {"edit", "cancel"},
    "unbooked": {"edit", "cancel", "bookkeep"},
    "booked": {"credit", "pay"},
    "cancelled": set(),
    "credited": {"pay"},
}


@pytest.mark.parametrize("state", ALLOWED)
@pytest.mark.parametrize("step", ["edit", "cancel", "bookkeep", "credit", "pay"])
def test_fortnox_state_machine(state: str, step: str) -> None:
    fortnox = Fortnox()
    number = _state(fortnox, state)
    before = fortnox.get(f"/invoices/{number}")
    if step == "edit":
        answer = fortnox.call("PUT", f"/invoices/{number}", {"Invoice": {"Comments": "x"}})
    elif step == "pay":
        answer = fortnox.call("POST", "/invoicepayments", {"InvoicePayment": {"InvoiceNumber": number, "Amount": 1}})
    else:
        answer = fortnox.call("PUT", f"/invoices/{number}/{step}")
    assert answer.status_code == ((201 if step == "pay" else 200) if step in ALLOWED[state] else 400), answer.text
    if step not in ALLOWED[state]:
        assert answer.json is not None
        assert 2999000 <= answer.json["ErrorInformation"]["code"] < 3000000
        assert fortnox.get(f"/invoices/{number}") == before


def test_fortnox_cancelling_empties_the_balance_and_keeps_the_total() -> None:
    fortnox = Fortnox()
    fortnox.invoice(InvoiceRows=[_row(VAT=0)])
    cancelled = fortnox.put("/invoices/1/cancel")["Invoice"]
    assert (cancelled["Cancelled"], cancelled["Balance"], cancelled["Total"]) == (True, 0, 100)


def test_fortnox_credit_makes_an_unbooked_mirror_and_nets_nothing() -> None:
    fortnox = Fortnox()
    fortnox.booked(1250, ExternalInvoiceReference1="KEY")
    original = fortnox.put("/invoices/1/credit")["Invoice"]
    assert (original["DocumentNumber"], original["CreditInvoiceReference"], original["Balance"]) == ("1", "2", 1250)
    note = fortnox.get("/invoices/2")["Invoice"]
    assert (note["Credit"], note["InvoiceReference"], note["Booked"]) == ("true", "1", False)
    assert (note["Total"], note["Balance"], note["DueDate"]) == (-1250, -1250, note["InvoiceDate"])
    assert note["InvoiceRows"][0]["DeliveredQuantity"] == "-1"
    assert note["ExternalInvoiceReference1"] == ""
    fortnox.put("/invoices/2/bookkeep")
    assert fortnox.numbers("/invoices?filter=unpaid") == ["1", "2"]


def test_fortnox_locked_period_refuses_bookkeeping() -> None:
    fortnox = Fortnox()
    url = f"/control/records/fortnox/{fortnox.account}/lockedperiod"
    fortnox.client.post(url, json={"fields": {"EndDate": "2026-06-30"}})
    assert fortnox.get("/settings/lockedperiod") == {"LockedPeriod": {"EndDate": "2026-06-30"}}
    fortnox.invoice(InvoiceDate="2026-06-30")
    code, message = fortnox.refusal("PUT", "/invoices/1/bookkeep")
    assert code == 2000401
    assert "har låst perioden t.o.m. 2026-06-30. Lås upp perioden för att fortsätta." in message
    assert fortnox.get("/invoices/1")["Invoice"]["Booked"] is False


def test_fortnox_sending_and_printing() -> None:
    fortnox = Fortnox()
    fortnox.customer("1", Email="a@b.se")
    fortnox.invoice()
    preview = fortnox.call("GET", "/invoices/1/preview")
    assert (preview.headers["Content-Type"], preview.data[:5]) == ("application/pdf", b"%PDF-")
    assert fortnox.get("/invoices/1")["Invoice"]["Sent"] is False
    assert fortnox.get("/invoices/1/email")["Invoice"]["Sent"] is True
    fortnox.invoice()
    assert fortnox.put("/invoices/2/externalprint")["Invoice"]["Sent"] is True
    fortnox.invoice()
    assert fortnox.call("GET", "/invoices/3/print").data.endswith(b"%%EOF\n")
    assert fortnox.get("/invoices/3")["Invoice"]["Sent"] is True
    assert fortnox.refusal("GET", "/invoices/3/eprint")[1].startswith("Kan inte skicka dokument")


def test_fortnox_printing_needs_bank_details() -> None:
    fortnox = Fortnox()
    fortnox.invoice()
    url = f"/control/records/fortnox/{fortnox.account}/company"
    fortnox.client.post(url, json={"fields": {"BG": ""}})
    assert fortnox.refusal("GET", "/invoices/1/print")[1] == "Bankuppgifter saknas"


# -- payments ---------------------------------------------------------------------------------------------


def test_fortnox_only_booked_payments_lower_the_balance_and_the_last_one_dates_it() -> None:
    fortnox = Fortnox()
    fortnox.booked(450, InvoiceDate="2026-11-01")
    body = {"InvoicePayment": {"InvoiceNumber": 1, "Amount": 225, "PaymentDate": "2026-11-10"}}
    fortnox.post("/invoicepayments", body)
    assert fortnox.get("/invoices/1")["Invoice"]["Balance"] == 450
    assert fortnox.put("/invoicepayments/1/bookkeep")["InvoicePayment"]["VoucherSeries"] == "C"
    part = fortnox.get("/invoices/1")["Invoice"]
    assert (part["Balance"], part["FinalPayDate"]) == (225, None)
    fortnox.pay("1", 225, PaymentDate="2026-11-12")
    paid = fortnox.get("/invoices/1")["Invoice"]
    assert (paid["Balance"], paid["FinalPayDate"]) == (0, "2026-11-12")


def test_fortnox_write_off_closes_a_difference() -> None:
    fortnox = Fortnox()
    fortnox.booked(100)
    fortnox.pay("1", 99.5, WriteOffs=[{"Amount": 0.5, "AccountNumber": 3740}])
    assert fortnox.get("/invoices/1")["Invoice"]["Balance"] == 0
    assert fortnox.get("/invoicepayments")["InvoicePayments"][0]["WriteOffExist"] is True


def test_fortnox_foreign_payment_needs_its_amount_in_that_currency() -> None:
    fortnox = Fortnox()
    fortnox.booked(100, Currency="EUR")
    body = {"InvoicePayment": {"InvoiceNumber": 1, "Amount": 1102}}
    assert fortnox.refusal("POST", "/invoicepayments", body)[0] >= 2999000
    body["InvoicePayment"]["AmountCurrency"] = 100
    payment = fortnox.post("/invoicepayments", body)["InvoicePayment"]
    assert (payment["Currency"], payment["CurrencyRate"], payment["Amount"]) == ("EUR", 11.02, 1102)
    fortnox.put("/invoicepayments/1/bookkeep")
    assert fortnox.get("/invoices/1")["Invoice"]["Balance"] == 0


def test_fortnox_payment_before_the_invoice_is_refused() -> None:
    fortnox = Fortnox()
    fortnox.booked(100, InvoiceDate="2026-11-02")
    body = {"InvoicePayment": {"InvoiceNumber": 1, "Amount": 1, "PaymentDate": "2026-11-01"}}
    assert fortnox.refusal("POST", "/invoicepayments", body)[1] == "The payment date cannot precede the invoice date"


def test_fortnox_unbooked_payments_may_exceed_the_balance_and_be_deleted_booked_ones_not() -> None:
    fortnox = Fortnox()
    fortnox.booked(25)
    for _ in range(5):
        fortnox.post("/invoicepayments", {"InvoicePayment": {"InvoiceNumber": 1, "Amount": 10.5}})
    fortnox.expect(204, "DELETE", "/invoicepayments/5")
    fortnox.put("/invoicepayments/1/bookkeep")
    assert fortnox.call("DELETE", "/invoicepayments/1").status_code == 400
    assert fortnox.call("PUT", "/invoicepayments/1", {"InvoicePayment": {"Amount": 1}}).status_code == 400
    assert len(fortnox.get("/invoicepayments?invoicenumber=1")["InvoicePayments"]) == 4


# -- articles and registers -------------------------------------------------------------------------------


def test_fortnox_article_price_shows_after_it_is_set() -> None:
    fortnox = Fortnox()
    fortnox.article("7")
    assert fortnox.get("/articles/7")["Article"]["SalesPrice"] is None
    fortnox.post("/prices", {"Price": {"PriceList": "A", "ArticleNumber": "7", "Price": 12.345}})
    assert fortnox.get("/articles/7")["Article"]["SalesPrice"] == 12.35
    assert fortnox.get("/articles")["Articles"][0]["SalesPrice"] == "12.35"
    fortnox.expect(204, "DELETE", "/prices/A/7/0")
    assert fortnox.refusal("GET", "/prices/A/7", status=404)[0] == 2000430


def test_fortnox_used_article_and_customer_cannot_be_deleted() -> None:
    fortnox = Fortnox()
    fortnox.article("7")
    fortnox.invoice(InvoiceRows=[{"ArticleNumber": "7"}])
    assert fortnox.call("DELETE", "/articles/7").status_code == 400
    assert fortnox.call("DELETE", "/customers/1").status_code == 400
    fortnox.put("/invoices/1/cancel")
    fortnox.expect(204, "DELETE", "/customers/1")


def test_fortnox_registers_can_be_written() -> None:
    fortnox = Fortnox()
    fortnox.post("/currencies", {"Currency": {"Code": "JPY", "Description": "Yen", "SellRate": 6.5, "Unit": 100}})
    fortnox.put("/predefinedaccounts/FREIGHT", {"PreDefinedAccount": {"Account": 3001}})
    fortnox.post("/termsofpayments", {"TermsOfPayment": {"Code": "45", "Description": "45 dagar"}})
    fortnox.expect(204, "DELETE", "/units/km")
    assert fortnox.refusal("GET", "/units/km", status=404)[0] == 2000432
    assert fortnox.invoice(TermsOfPayment="45", InvoiceDate="2026-11-01")["DueDate"] == "2026-12-16"
    assert len(fortnox.get("/financialyears?date=2026-05-05")["FinancialYears"]) == 1
    assert fortnox.get("/accounts/3001")["Account"]["VATCode"] == "MP1"
    assert fortnox.refusal("GET", "/accounts/9999", status=404) == (2000423, "Kan inte hitta kontot.")
