"""Rules of invoices that the delivery of invoices leans on: locks, credits, rows, references."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.fortnox_world import Fortnox

ROW = {"Description": "Arbete", "Price": 100, "DeliveredQuantity": 1, "VAT": 25}


@pytest.fixture
def fortnox() -> Fortnox:
    return Fortnox()


def _update(number: str, **fields: Any) -> tuple[str, str, dict[str, Any]]:
    return "PUT", f"/invoices/{number}", {"Invoice": fields}


def _cash(fortnox: Fortnox) -> None:
    fortnox.emulator.edit_record(fortnox.account, "company", None, {"AccountingMethod": "CASH"})


# --- The cash method ------------------------------------------------------------------------------------------------


def test_the_method_of_the_company_is_that_of_its_new_invoices_only(fortnox: Fortnox) -> None:
    before = fortnox.invoice()["DocumentNumber"]
    _cash(fortnox)
    assert fortnox.invoice()["AccountingMethod"] == "CASH"
    assert fortnox.get(f"/invoices/{before}")["Invoice"]["AccountingMethod"] == "ACCRUAL"
    assert "AccountingMethod" not in fortnox.get("/settings/company")["CompanySettings"]


@pytest.mark.parametrize("cash,refused", [(True, True), (False, False)])
def test_a_sent_invoice_is_final_with_the_cash_method_only(fortnox: Fortnox, cash: bool, refused: bool) -> None:
    if cash:
        _cash(fortnox)
    number = fortnox.invoice(InvoiceRows=[ROW])["DocumentNumber"]
    fortnox.put(f"/invoices/{number}/externalprint")
    response = fortnox.call(*_update(number, Remarks="Ny"))
    assert (response.status_code == 400) is refused


def test_an_unbooked_cash_invoice_takes_a_payment_and_is_final_then(fortnox: Fortnox) -> None:
    _cash(fortnox)
    number = fortnox.invoice(InvoiceRows=[ROW])["DocumentNumber"]
    fortnox.put(*_update(number, Remarks="Ny")[1:])
    fortnox.pay(number, 25)
    assert fortnox.refusal(*_update(number, Remarks="Nyare"))[0] >= 2999000


def test_an_accrual_invoice_must_be_booked_before_it_is_paid(fortnox: Fortnox) -> None:
    number = fortnox.invoice(InvoiceRows=[ROW])["DocumentNumber"]
    body = {"InvoicePayment": {"InvoiceNumber": int(number), "Amount": 25}}
    assert fortnox.refusal("POST", "/invoicepayments", body)[0] >= 2999000


# --- Credits --------------------------------------------------------------------------------------------------------


def test_a_credit_names_its_original_and_both_show_as_changed(fortnox: Fortnox) -> None:
    number = fortnox.booked()["DocumentNumber"]
    fortnox.advance(600)
    moment = fortnox.world.clock.now()
    from zoneinfo import ZoneInfo

    since = moment.astimezone(ZoneInfo("Europe/Stockholm")).strftime("%Y-%m-%d %H:%M:%S")
    original = fortnox.put(f"/invoices/{number}/credit")["Invoice"]
    note = original["CreditInvoiceReference"]
    assert original["DocumentNumber"] == number
    assert fortnox.get(f"/invoices/{note}")["Invoice"]["InvoiceReference"] == number
    assert fortnox.numbers(f"/invoices?lastmodified={since.replace(' ', '%20')}") == [number, note]


def test_a_second_credit_is_refused_and_names_the_first(fortnox: Fortnox) -> None:
    number = fortnox.booked()["DocumentNumber"]
    note = fortnox.put(f"/invoices/{number}/credit")["Invoice"]["CreditInvoiceReference"]
    _code, message = fortnox.refusal("PUT", f"/invoices/{number}/credit")
    assert note in message
    fortnox.put(f"/invoices/{note}/bookkeep")
    assert fortnox.refusal("PUT", f"/invoices/{note}/credit")[0] >= 2999000


# --- Rows -----------------------------------------------------------------------------------------------------------


def test_five_hundred_rows_are_taken_and_one_more_is_not(fortnox: Fortnox) -> None:
    number = fortnox.invoice(InvoiceRows=[ROW] * 500)["DocumentNumber"]
    assert fortnox.refusal(*_update(number, InvoiceRows=[ROW] * 501))[0] >= 2999000
    body = {"Invoice": {"CustomerNumber": "1", "InvoiceRows": [ROW] * 501}}
    assert fortnox.refusal("POST", "/invoices", body)[0] >= 2999000


def test_rows_that_are_not_mentioned_vanish_and_a_mentioned_one_keeps_its_account(fortnox: Fortnox) -> None:
    rows = [{**ROW, "Description": text, "AccountNumber": 3011} for text in ("a", "b", "c")]
    invoice = fortnox.invoice(InvoiceRows=rows)
    keep = invoice["InvoiceRows"][1]["RowId"]
    changed = fortnox.put(
        f"/invoices/{invoice['DocumentNumber']}",
        {"Invoice": {"InvoiceRows": [{**ROW, "Description": "ny"}, {"RowId": keep, "Price": 7}]}},
    )["Invoice"]
    assert [(r["Description"], r["Price"], r["AccountNumber"]) for r in changed["InvoiceRows"]] == [
        ("ny", 100, 3001),
        ("b", 7, 3011),
    ]
    assert keep not in [row["RowId"] for row in changed["InvoiceRows"]]


def test_a_row_that_loses_its_amounts_becomes_text_and_one_that_loses_its_article_gets_an_account(
    fortnox: Fortnox,
) -> None:
    fortnox.article("101", 50)
    row = {"ArticleNumber": "101", "DeliveredQuantity": 2}
    invoice = fortnox.invoice(InvoiceRows=[row, row])
    blank = dict.fromkeys(("ArticleNumber", "AccountNumber", "Price", "DeliveredQuantity"), "API_BLANK")
    first, second = fortnox.put(
        f"/invoices/{invoice['DocumentNumber']}",
        {
            "Invoice": {
                "InvoiceRows": [
                    {**blank, "Description": "Bara text"},
                    {**blank, "Description": "Fri rad", "Price": 9, "DeliveredQuantity": 3},
                ]
            }
        },
    )["Invoice"]["InvoiceRows"]
    assert (first["Description"], first["Total"], first["ArticleNumber"]) == ("Bara text", 0, "")
    assert (second["Total"], second["AccountNumber"], second["VAT"]) == (27, 3001, 25)


def test_an_amount_discount_is_taken_once_from_the_row(fortnox: Fortnox) -> None:
    row = {**ROW, "DeliveredQuantity": 4, "Discount": 30, "DiscountType": "AMOUNT"}
    assert fortnox.invoice(InvoiceRows=[row])["Net"] == 370


# --- References -----------------------------------------------------------------------------------------------------


def test_what_an_invoice_names_must_exist(fortnox: Fortnox) -> None:
    fortnox.customer()

    def refused(**fields: Any) -> tuple[int, str]:
        return fortnox.refusal("POST", "/invoices", {"Invoice": {"CustomerNumber": "1", **fields}})

    assert refused(CustomerNumber="77") == (2000204, "Kunde inte hämta/hitta kund (77)")
    assert refused(InvoiceRows=[{"ArticleNumber": "nosuch"}])[0] == 2001302
    assert refused(Currency="XXX")[1] == "Kunde inte hämta/hitta valuta"
    assert refused(Remarks="hej 🙂")[0] == 2000359
    assert refused(InvoiceRows=[{"Description": "<b>"}])[0] == 2000359


def test_an_inactive_article_is_listed_and_found_by_the_filter(fortnox: Fortnox) -> None:
    fortnox.article("101")
    fortnox.article("102", Active=False)
    assert fortnox.numbers("/articles", "Articles", "ArticleNumber") == ["101", "102"]
    assert fortnox.numbers("/articles?filter=inactive", "Articles", "ArticleNumber") == ["102"]
