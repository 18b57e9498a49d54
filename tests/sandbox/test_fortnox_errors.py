"""Every recorded and documented error of these resources, with its code, text, casing and status."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.fortnox.fields import Fields
from sandbox.fortnox.tables import ARTICLE, CUSTOMER, INVOICE

from .fortnox_world import Fortnox, payload

ERRORS = payload("errors")
DOCUMENTED = {item["when"]: item["body"]["ErrorInformation"] for item in payload("errors_documented")}
GETS = [
    item for item in ERRORS if item["request"].get("url", "").startswith("/3/") and item["response"]["status"] != 401
]


@pytest.mark.parametrize("exchange", GETS, ids=[item["request"]["url"] for item in GETS])
def test_fortnox_lookup_errors_are_the_recorded_ones(exchange: dict[str, Any]) -> None:
    answer = Fortnox().call("GET", exchange["request"]["url"].removeprefix("/3"))
    assert answer.status_code == exchange["response"]["status"]
    assert answer.json == exchange["response"]["body"]
    assert answer.headers["Content-Type"] == "application/json"


def _recorded(part: str) -> Any:
    return next(item["response"]["body"] for item in ERRORS if part in item["request"].get("summary", ""))


def test_fortnox_refuses_a_taken_customer_number() -> None:
    fortnox = Fortnox()
    fortnox.customer("1")
    body = {"Customer": {"Name": "X", "CustomerNumber": "1"}}
    assert fortnox.expect(400, "POST", "/customers/", body) == _recorded("CustomerNumber")


def test_fortnox_keeps_the_number_of_a_deleted_customer_reserved() -> None:
    fortnox = Fortnox()
    fortnox.customer("1")
    assert fortnox.expect(204, "DELETE", "/customers/1") is None
    code, message = fortnox.refusal("POST", "/customers", {"Customer": {"Name": "X", "CustomerNumber": "1"}})
    assert code == 2000637
    assert message == "Kundnummer 1 används redan. Kundnumret har redan använts men blivit raderat."
    assert fortnox.post("/customers", {"Customer": {"Name": "X"}})["Customer"]["CustomerNumber"] == "2"


def test_fortnox_put_on_a_collection_lacks_an_identifier() -> None:
    assert Fortnox().expect(400, "PUT", "/customers/", {"Customer": {"Name": "X"}}) == _recorded("no key")


def test_fortnox_refuses_a_country_name_that_is_not_iso() -> None:
    fortnox = Fortnox()
    fortnox.customer()
    body = {"Invoice": {"CustomerNumber": "1", "Country": "South Korea"}}
    assert fortnox.expect(400, "POST", "/invoices/", body) == _recorded("South Korea")
    for name in ("Norway", "United Kingdom", "Virgin Islands, U.S.", "Sverige", "Korea, Republic of"):
        assert fortnox.invoice(Country=name)["Country"] == name


def test_fortnox_refuses_a_body_without_its_wrapper() -> None:
    fortnox = Fortnox()
    number = fortnox.invoice()["DocumentNumber"]
    assert fortnox.expect(400, "PUT", f"/invoices/{number}", {"Comments": "x"}) == _recorded("wrapper missing")


def test_fortnox_names_the_first_unknown_field() -> None:
    fortnox = Fortnox()
    fortnox.customer()
    body = {"Invoice": {"CustomerNumber": "1", "InvoiceRows": [{"account_number": 3001, "other": 1}]}}
    assert fortnox.refusal("POST", "/invoices", body) == (2001399, "Felaktigt fältnamn (account_number)")


@pytest.mark.parametrize(
    ("path", "wrapper", "field"),
    [
        ("/customers", "Customer", "Country"),
        ("/customers", "Customer", "@url"),
        ("/articles", "Article", "SalesPrice"),
        ("/articles", "Article", "StockValue"),
        ("/invoices", "Invoice", "Booked"),
        ("/invoices", "Invoice", "Total"),
        ("/invoices", "Invoice", "OrganisationNumber"),
        ("/invoicepayments", "InvoicePayment", "InvoiceTotal"),
    ],
)
def test_fortnox_refuses_read_only_fields(path: str, wrapper: str, field: str) -> None:
    assert Fortnox().refusal("POST", path, {wrapper: {field: "1"}}) == (2001399, f"Felaktigt fältnamn ({field})")


def test_fortnox_refuses_rows_that_are_not_objects() -> None:
    body = {"Invoice": {"CustomerNumber": "1", "InvoiceRows": ["a"]}}
    assert Fortnox().refusal("POST", "/invoices", body) == (2002649, "Felaktig datastruktur.")


HOUSEWORK = [
    ("none", "CONSTRUCTION", 2004019),
    ("rut", "CONSTRUCTION", 2004021),
    ("rot", "OTHERCOSTS", 2002980),
    ("rut", "COOKING", 2003157),
]


@pytest.mark.parametrize(("reduction", "work", "code"), HOUSEWORK)
def test_fortnox_checks_tax_reduction_rows(reduction: str, work: str, code: int) -> None:
    fortnox = Fortnox()
    fortnox.customer()
    row = {"Description": "Arbete", "Price": 100, "DeliveredQuantity": 1, "HouseWork": True, "HouseWorkType": work}
    body = {"Invoice": {"CustomerNumber": "1", "TaxReductionType": reduction, "InvoiceRows": [row]}}
    assert fortnox.refusal("POST", "/invoices", body)[0] == code


def _documented(fortnox: Fortnox, when: str, method: str, path: str, body: Any = None) -> None:
    expected = DOCUMENTED[when]
    assert fortnox.refusal(method, path, body) == (expected["code"], expected["message"])


def test_fortnox_refuses_a_taken_article_number() -> None:
    fortnox = Fortnox()
    fortnox.article("16770")
    body = {"Article": {"Description": "X", "ArticleNumber": "16770"}}
    _documented(fortnox, "article number taken", "POST", "/articles", body)


def test_fortnox_refuses_an_unknown_customer_on_a_document() -> None:
    body = {"Invoice": {"CustomerNumber": "99999"}}
    _documented(Fortnox(), "customer named in the document does not exist", "POST", "/invoices", body)


def test_fortnox_refuses_an_unknown_article_on_a_row() -> None:
    fortnox = Fortnox()
    fortnox.customer()
    body = {"Invoice": {"CustomerNumber": "1", "InvoiceRows": [{"ArticleNumber": "nope"}]}}
    _documented(fortnox, "article on a row does not exist", "POST", "/invoices", body)
    assert fortnox.numbers("/invoices") == []


def test_fortnox_refuses_an_unknown_or_inactive_account_on_a_row() -> None:
    fortnox = Fortnox()
    fortnox.customer()
    for account, code in ((9998, 2001304), (3999, 2000550)):
        row = {"Description": "X", "Price": 1, "DeliveredQuantity": 1, "AccountNumber": account}
        assert (
            fortnox.refusal("POST", "/invoices", {"Invoice": {"CustomerNumber": "1", "InvoiceRows": [row]}})[0] == code
        )


def test_fortnox_refuses_an_unknown_vat_rate() -> None:
    fortnox = Fortnox()
    fortnox.customer()
    row = {"Description": "X", "Price": 1, "DeliveredQuantity": 1, "VAT": 17}
    code, message = fortnox.refusal("POST", "/invoices", {"Invoice": {"CustomerNumber": "1", "InvoiceRows": [row]}})
    assert 2999000 <= code < 3000000
    assert message == "Kunde inte hämta/hitta moms"


def test_fortnox_refuses_forbidden_characters() -> None:
    fortnox = Fortnox()
    code, message = fortnox.refusal("POST", "/customers", {"Customer": {"Name": "A <b>"}})
    assert (code, message) == (2000359, "Värdet innehåller ej tillåtna tecken. (A <b>)")
    for sign in '"[]{}~\t🙂|':
        assert fortnox.refusal("POST", "/customers", {"Customer": {"Name": f"A{sign}"}})[0] == 2000359
    for sign in "’\\–:.`´,;^¤#%§£$€¢¥©™°&/()=+-*_!?²³®½@\u00a0\nåÉñ":
        fortnox.post("/customers", {"Customer": {"Name": f"A{sign}B"}})


def test_fortnox_refuses_an_invalid_vat_number() -> None:
    fortnox = Fortnox()
    body = {"Customer": {"Name": "X", "VATNumber": "12"}}
    _documented(fortnox, "invalid VAT number on a customer", "POST", "/customers", body)
    for number in ("SE559999001601", "DE811907980"):
        fortnox.post("/customers", {"Customer": {"Name": "X", "VATNumber": number}})


def test_fortnox_is_lax_about_organisation_numbers() -> None:
    answer = Fortnox().post("/customers", {"Customer": {"Name": "X", "OrganisationNumber": "123456789"}})
    assert answer["Customer"]["OrganisationNumber"] == "123456789"


def test_fortnox_refuses_malformed_json() -> None:
    fortnox = Fortnox()
    headers = {"Authorization": f"Bearer {fortnox.access_token}", "Content-Type": "application/json"}
    answer = fortnox.client.post("/fortnox/3/customers", data=b'{"Customer":', headers=headers)
    assert answer.json == {"ErrorInformation": DOCUMENTED["malformed JSON"]}


@pytest.mark.parametrize(
    ("path", "wrapper", "field", "limit"),
    [
        ("/customers", "Customer", "Name", 1024),
        ("/customers", "Customer", "ZipCode", 10),
        ("/customers", "Customer", "OurReference", 50),
        ("/articles", "Article", "Description", 200),
        ("/articles", "Article", "ArticleNumber", 50),
        ("/articles", "Article", "Note", 10000),
        ("/invoices", "Invoice", "ExternalInvoiceReference1", 80),
        ("/invoices", "Invoice", "YourOrderNumber", 75),
        ("/units", "Unit", "Code", 20),
    ],
)
def test_fortnox_refuses_text_over_the_documented_length(path: str, wrapper: str, field: str, limit: int) -> None:
    fortnox = Fortnox()
    fortnox.customer()
    base = {"Customer": {"Name": "X"}, "Article": {"Description": "X"}, "Invoice": {"CustomerNumber": "1"}}
    fields = base.get(wrapper, {"Description": "X"})
    assert fortnox.refusal("POST", path, {wrapper: {**fields, field: "x" * (limit + 1)}})[0] == 2000107
    fortnox.post(path, {wrapper: {**fields, field: "x" * limit}})


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("Active", "ja", 2000134),
        ("InvoiceDiscount", "tio", 2000108),
        ("Name", True, 2000106),
        ("CustomerNumber", "A B", 2000106),
        ("CountryCode", "XX", 2000919),
        ("Address1", {"a": 1}, 2002649),
    ],
)
def test_fortnox_checks_types(field: str, value: Any, code: int) -> None:
    assert Fortnox().refusal("POST", "/customers", {"Customer": {"Name": "X", field: value}})[0] == code


@pytest.mark.parametrize(("casing", "keys"), [("lower", "error message code"), ("capital", "Error Message Code")])
def test_fortnox_casing_of_error_keys_can_be_switched(casing: str, keys: str) -> None:
    fortnox = Fortnox()
    fortnox.world.configure({"key_casing": casing})
    for path in ("/customers/404", "/customers?filter=none"):
        body = fortnox.call("GET", path).json
        assert isinstance(body, dict)
        assert " ".join(body["ErrorInformation"]) == keys


def test_fortnox_accept_and_content_type_are_checked() -> None:
    fortnox = Fortnox()
    fortnox.customer()
    answer = fortnox.call("GET", "/customers", Accept="application/pdf")
    assert answer.json == {"ErrorInformation": {"error": 1, "message": "Invalid response type", "code": 1000030}}
    headers = {"Authorization": f"Bearer {fortnox.access_token}", "Content-Type": "application/xml"}
    answer = fortnox.client.post("/fortnox/3/customers", data="<Customer/>", headers=headers)
    assert answer.json == {"ErrorInformation": {"error": 1, "message": "Invalid content type", "code": 1000031}}


def test_fortnox_scope_and_licence_are_required() -> None:
    fortnox = Fortnox()
    fortnox.world.configure({"missing_licences": ["article"]})
    _documented(fortnox, "company lacks the licence behind the scope", "GET", "/articles")


def test_fortnox_update_leaves_out_what_is_omitted_null_or_empty_and_clears_with_the_word() -> None:
    fortnox = Fortnox()
    fortnox.customer("1", City="Växjö", Comments="Bra kund", OurReference="Åsa", YourReference="Bo")
    sent = {"City": "", "Comments": None, "OurReference": "API_BLANK", "Name": "Ny"}
    answer = fortnox.put("/customers/1", {"Customer": sent})["Customer"]
    assert (answer["City"], answer["Comments"], answer["Name"]) == ("Växjö", "Bra kund", "Ny")
    assert (answer["OurReference"], answer["YourReference"]) == ("", "Bo")
    assert fortnox.put("/customers/1", {"Customer": {"City": "API_BLANK"}})["Customer"]["City"] is None


def test_fortnox_failed_update_changes_nothing() -> None:
    fortnox = Fortnox()
    fortnox.customer("1")
    fortnox.refusal("PUT", "/customers/1", {"Customer": {"Name": "Ny", "Currency": "XXX"}})
    assert fortnox.get("/customers/1")["Customer"]["Name"] == "Kund 1"


def test_fortnox_key_cannot_be_changed_but_may_be_repeated() -> None:
    fortnox = Fortnox()
    fortnox.customer("1")
    fortnox.put("/customers/1", {"Customer": {"CustomerNumber": "1", "Name": "Ny"}})
    assert fortnox.refusal("PUT", "/customers/1", {"Customer": {"CustomerNumber": "2"}})[0] == 2001399


def test_fortnox_unknown_path_and_verb_are_refused() -> None:
    fortnox = Fortnox()
    fortnox.invoice()
    assert fortnox.call("GET", "/nothing").status_code == 404
    assert fortnox.call("DELETE", "/invoices/1").status_code == 400
    assert fortnox.refusal("PUT", "/invoices/1/email")[1] == "Felaktig action på faktura (PUT)."


ODD = (0, -1, 1.005, 1e30, True, "", None, "API_BLANK", "nan", [], {}, ["a"], [{}], {"a": 1}, "å" * 300, "2026-13-01")


@pytest.mark.parametrize(
    ("path", "wrapper", "fields"),
    [
        ("/customers/1", "Customer", CUSTOMER),
        ("/articles/101", "Article", ARTICLE),
        ("/invoices/1", "Invoice", INVOICE),
    ],
)
def test_fortnox_no_written_value_breaks_it(path: str, wrapper: str, fields: Fields) -> None:
    fortnox = Fortnox()
    fortnox.article()
    fortnox.invoice(InvoiceRows=[{"ArticleNumber": "101", "DeliveredQuantity": 1}])
    for name in fields:
        for value in ODD:
            answer = fortnox.call("PUT", path, {wrapper: {name: value}})
            assert answer.status_code in (200, 400), (name, value, answer.text)
            fortnox.get(path)
        fortnox.get(path.rpartition("/")[0])


def test_fortnox_switch_makes_organisation_numbers_strict() -> None:
    fortnox = Fortnox()
    fortnox.world.configure({"strict_organisation_numbers": True})
    body = {"Customer": {"Name": "X", "OrganisationNumber": "559999-0017"}}
    assert fortnox.refusal("POST", "/customers", body)[0] >= 2999000
    fortnox.customer("1", OrganisationNumber="559999-0016")


def test_fortnox_written_reference_to_a_missing_register_entry_is_a_validation_error() -> None:
    fortnox = Fortnox()
    fortnox.customer()
    for field, value, code in (
        ("TermsOfPayment", "7", 2000429),
        ("PriceList", "Z", 2000431),
        ("Currency", "XXX", 2999005),
    ):
        assert fortnox.refusal("PUT", "/customers/1", {"Customer": {field: value}})[0] == code
        assert fortnox.refusal("POST", "/invoices", {"Invoice": {"CustomerNumber": "1", field: value}})[0] == code
