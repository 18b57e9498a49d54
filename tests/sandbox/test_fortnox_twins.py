"""Twin tests: the sandbox answers recorded and documented requests with the same status, keys and types."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from .fortnox_world import Fortnox, assert_same_shape, payload

NEWER = "VATCode CommodityCode"  # added to the API in 2024
LOOSE = "ContractReference"  # a number in 2023, text in 2024
OLDER_LIST = "CostCenter InvoiceType VoucherNumber VoucherSeries VoucherYear FinalPayDate"  # lists of 2014 and 2016
OLDER_INVOICE = (  # the documented sample of 2015 predates these
    "WarehouseReady OutboundDate AccountingMethod FinalPayDate TaxReductionType NoxFinans EDIStatus RowId Cost "
    "PriceExcludingVAT TotalExcludingVAT StockPointCode TimeBasisReference VATCode"
)
HEADERS = ("Content-Type", "Location", "Server", "X-Content-Type-Options", "X-Frame-Options")


def _new_york(fortnox: Fortnox) -> None:
    fortnox.customer("1", City="New York", ZipCode="10001")


def _with_article(fortnox: Fortnox) -> None:
    _new_york(fortnox)
    fortnox.article("101")


def _customer_six(fortnox: Fortnox) -> None:
    fortnox.customer("6")


def _one_article(fortnox: Fortnox) -> None:
    fortnox.article("1", EAN="5901234123457", SalesAccount=3004)


def _invoices_to(number: int) -> Callable[[Fortnox], None]:
    def arrange(fortnox: Fortnox) -> None:
        _new_york(fortnox)
        for _ in range(number):
            fortnox.invoice(Comments="A comment to be reset")

    return arrange


def _paid_nothing(fortnox: Fortnox) -> None:
    for _ in range(2):
        number = fortnox.invoice()["DocumentNumber"]
        fortnox.put(f"/invoices/{number}/bookkeep")


def _every_state(fortnox: Fortnox) -> None:
    fortnox.invoice()
    fortnox.pay(fortnox.booked(138)["DocumentNumber"], 138)
    first = fortnox.booked(1250, TermsOfPayment="0")["DocumentNumber"]
    fortnox.booked(2000)
    fortnox.put(f"/invoices/{first}/credit")
    fortnox.put("/invoices/5/bookkeep")
    fortnox.pay(fortnox.booked(450)["DocumentNumber"], 225)


def _old_pair(fortnox: Fortnox) -> None:
    fortnox.invoice(TermsOfPayment="10")
    number = fortnox.invoice()["DocumentNumber"]
    fortnox.put(f"/invoices/{number}/cancel")


def _booked_203(fortnox: Fortnox) -> None:
    fortnox.booked(2106, DocumentNumber="203", InvoiceDate="2026-05-04")


def _nothing(fortnox: Fortnox) -> None:
    pass


CASES: list[tuple[str, Callable[[Fortnox], None], str]] = [
    ("article_create", _nothing, NEWER),
    ("article_detail", _one_article, NEWER),
    ("articles_list", _with_article, NEWER),
    ("companyinformation_detail", _nothing, ""),
    ("companysettings_detail", _nothing, ""),
    ("customer_create", _nothing, ""),
    ("customer_detail", _new_york, ""),
    ("customer_update", _customer_six, ""),
    ("customers_list", _new_york, ""),
    ("customers_list_empty", _nothing, ""),
    ("customers_list_search_two_params", _new_york, ""),
    ("invoice_create", _with_article, NEWER),
    ("invoice_create_minimal", _new_york, NEWER),
    ("invoice_detail", _invoices_to(1), NEWER),
    ("invoice_update_comments", _invoices_to(18), NEWER),
    ("invoice_update_empty_string_ignored", _invoices_to(30), NEWER),
    ("invoicepayment_detail", _booked_203, ""),
    ("invoices_list", _invoices_to(2), ""),
    ("invoices_list_empty", _invoices_to(1), ""),
    ("invoices_list_fullypaid", _paid_nothing, ""),
    ("invoices_list_states_2020", _every_state, ""),
    ("invoices_list_unpaid", _every_state, OLDER_LIST),
    ("termsofpayments_list", _nothing, ""),
    ("unit_create", _nothing, ""),
    ("units_list", _nothing, ""),
]


@pytest.mark.parametrize(("name", "arrange", "newer"), CASES, ids=[case[0] for case in CASES])
def test_fortnox_answers_as_recorded(name: str, arrange: Callable[[Fortnox], None], newer: str) -> None:
    fortnox = Fortnox()
    arrange(fortnox)
    exchange = payload(name)
    request, expected = exchange["request"], exchange["response"]
    answer = fortnox.call(request["method"], request["url"].removeprefix("/3"), request.get("body"))
    assert answer.status_code == expected["status"], answer.text
    for header in HEADERS:
        if header in expected.get("headers", {}):
            assert answer.headers[header] == expected["headers"][header]
    assert_same_shape(expected["body"], answer.json, newer=newer, loose=LOOSE)


@pytest.mark.parametrize(
    ("name", "arrange"),
    [
        ("customer_create", _nothing),
        ("invoice_create_minimal", _new_york),
        ("article_create", _nothing),
        ("termsofpayments_list", _nothing),
    ],
)
def test_fortnox_unset_values_are_the_recorded_ones(name: str, arrange: Callable[[Fortnox], None]) -> None:
    fortnox = Fortnox()
    arrange(fortnox)
    exchange = payload(name)
    request, expected = exchange["request"], exchange["response"]["body"]
    answer = fortnox.call(request["method"], request["url"].removeprefix("/3"), request.get("body")).json
    assert isinstance(answer, dict)
    wrapper = next(key for key in expected if key != "MetaInformation")
    before, after = expected[wrapper], answer[wrapper]
    if isinstance(before, list):
        assert set(map(str, _without_url(after))) <= set(map(str, _without_url(before)))
        return
    varying = {
        "@url",
        "@urlTaxReductionList",
        "CustomerNumber",
        "ArticleNumber",
        "DocumentNumber",
        "OCR",
        "InvoiceDate",
        "DueDate",
        "OutboundDate",
        "CustomerName",
        "ContractReference",
        "StockWarning",
    }
    same = {key: value for key, value in after.items() if key not in varying and key in before}
    assert same == {key: value for key, value in before.items() if key not in varying}


def _without_url(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "@url"} for row in rows]


def test_fortnox_article_of_2024_has_its_keys_and_rounding() -> None:
    fortnox = Fortnox()
    answer = fortnox.post("/articles", {"Article": {"Description": "Test article", "QuantityInStock": 1.115}})
    assert_same_shape(payload("article_detail_2024")["response"]["body"], answer)
    assert answer["Article"]["QuantityInStock"] == 1.12
    assert answer["Article"]["VAT"] == 25


def test_fortnox_invoice_of_2024_has_its_keys_and_rounding() -> None:
    fortnox = Fortnox()
    _with_article(fortnox)
    rows = [{"ArticleNumber": "101", "Price": 1.125}]
    answer = fortnox.post("/invoices", {"Invoice": {"CustomerNumber": "1", "InvoiceRows": rows}})
    assert_same_shape(payload("invoice_create_2024")["response"]["body"], answer)
    assert answer["Invoice"]["InvoiceRows"][0]["Price"] == 1.13
    assert answer["Invoice"]["ContractReference"] == "0"


def test_fortnox_documented_private_customer_has_todays_keys_besides() -> None:
    fortnox = Fortnox()
    expected = payload("customer_detail_private_documented")["response"]["body"]["Customer"]
    fields = ("Address1", "City", "CountryCode", "Name", "Phone1", "Type", "ZipCode", "Email", "EmailInvoice")
    sent = {name: expected[name] for name in fields}
    answer = fortnox.post("/customers", {"Customer": sent})["Customer"]
    assert_same_shape(expected, answer, newer="Active GLN GLNDelivery ExternalReference")
    assert {name: answer[name] for name in fields} == sent
    assert answer["Country"] == "Sverige"


def test_fortnox_documented_lists_have_todays_keys() -> None:
    fortnox = Fortnox()
    _old_pair(fortnox)
    customers = payload("customers_list_documented")["response"]["body"]
    assert_same_shape(customers, fortnox.get("/customers"))
    invoices = payload("invoices_list_documented")["response"]["body"]
    answer = fortnox.get("/invoices")
    assert_same_shape(invoices, answer, newer=OLDER_LIST + " NoxFinans", loose="Project")
    assert [row["Cancelled"] for row in answer["Invoices"]] == [False, True]


def test_fortnox_documented_invoice_203_has_its_amounts() -> None:
    fortnox = Fortnox()
    fortnox.customer("100092")
    fortnox.article("66892", 159, PurchasePrice=99, SalesAccount=3011, Unit="st")
    sent = {
        "CustomerNumber": "100092",
        "DocumentNumber": "203",
        "InvoiceDate": "2026-01-08",
        "Freight": 95,
        "Labels": [{"Id": 5}, {"Id": 11}],
        "InvoiceRows": [{"ArticleNumber": "66892", "DeliveredQuantity": 10}],
    }
    answer = fortnox.post("/invoices", {"Invoice": sent})["Invoice"]
    expected = payload("invoice_detail_with_vat_documented")["response"]["body"]["Invoice"]
    assert_same_shape(
        expected, answer, newer=OLDER_INVOICE, loose="Project ContributionPercent ContributionValue ContractReference"
    )
    amounts = (
        "Balance ContributionPercent ContributionValue Freight FreightVAT Gross Net RoundOff Total TotalToPay "
        "TotalVAT OCR"
    )
    assert {name: answer[name] for name in amounts.split()} == {name: expected[name] for name in amounts.split()}
    assert answer["DueDate"] == "2026-02-07"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Currency", "/currencies/EUR"),
        ("PriceList", "/pricelists/A"),
        ("Price", "/prices/A/101/0"),
        ("PricesSublist", "/prices/sublist/A/101"),
        ("PredefinedAccount", "/predefinedaccounts/SALES_25_SE"),
        ("ModeOfPayment", "/modesofpayments/BG"),
        ("LockedPeriod", "/settings/lockedperiod"),
        ("Me", "/me"),
    ],
)
def test_fortnox_registers_have_the_documented_shape(name: str, path: str) -> None:
    fortnox = Fortnox()
    fortnox.article("101", 249.5)
    assert_same_shape(payload("registers_spec_shapes")[name], fortnox.get(path))


def test_fortnox_access_token_has_the_claims_of_a_real_one() -> None:
    fortnox = Fortnox()
    head, claims, _ = fortnox.access_token.split(".")
    expected = payload("access_token_jwt_claims")
    assert _decoded(head) == expected["header"]
    assert_same_shape(expected["payload"], _decoded(claims))
    assert _decoded(claims)["exp"] - _decoded(claims)["iat"] == 3600
    assert str(_decoded(claims)["tenantId"]) == fortnox.account


def _decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_fortnox_json_is_written_php_style() -> None:
    fortnox = Fortnox()
    fortnox.customer("1", City="Växjö")
    text = fortnox.call("GET", "/customers/1").text
    assert "V\\u00e4xj\\u00f6" in text
    assert "\\/3\\/customers\\/1" in text
