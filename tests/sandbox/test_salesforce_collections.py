"""Many records in one call: own results, all or none, limits."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .hubspot_world import assert_same_shape
from .salesforce_office import Office, payload

INVOICES = "/composite/sobjects/Fortnox_Invoice__c/Fortnox_Key__c"
KEYED = "/composite/sobjects/Account/Fortnox_Customer_Number__c"


@pytest.fixture
def office() -> Office:
    return Office()


def accounts(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"attributes": {"type": "Account"}, "Name": name, **more} for name in names]


def codes(results: list[dict[str, Any]]) -> list[str]:
    return [result["errors"][0]["statusCode"] if result["errors"] else "" for result in results]


def test_an_upsert_of_invoices_answers_row_by_row_as_the_known_one(office: Office) -> None:
    office.invoice_object()
    office.create("Account", Name="Nordkraft", Fortnox_Customer_Number__c="1001")
    office.create("Fortnox_Invoice__c", Fortnox_Key__c="555123:10040")
    answer = office.call("PATCH", INVOICES, payload("collections_upsert_request"))
    expected = payload("collections_upsert_response_mixed")
    assert answer.status == 200
    assert_same_shape(expected, answer.body)
    assert [result.get("created") for result in answer.body] == [True, False, None, None]
    assert [result["errors"] for result in answer.body] == [result["errors"] for result in expected]


def test_all_or_none_takes_innocent_rows_back(office: Office) -> None:
    records = [*accounts("A", Phone="1"), {"attributes": {"type": "Account"}, "Phone": "1"}]
    answer = office.call("POST", "/composite/sobjects", {"allOrNone": True, "records": records})
    expected = payload("collections_all_or_none_response")
    assert_same_shape(expected, answer.body)
    assert answer.body[0]["errors"] == expected[0]["errors"]
    assert codes(answer.body)[1] == "REQUIRED_FIELD_MISSING"
    assert office.names("SELECT Name FROM Account") == []


def test_by_default_the_good_rows_stay(office: Office) -> None:
    answer = office.call("POST", "/composite/sobjects", {"records": [*accounts("A"), *accounts(""), *accounts("B")]})
    assert [result["success"] for result in answer.body] == [True, False, True]
    assert office.names("SELECT Name FROM Account ORDER BY Name") == ["A", "B"]


def test_updates_name_their_records(office: Office) -> None:
    first, deleted = office.create("Account", Name="A"), office.create("Account", Name="B")
    office.call("DELETE", f"/sobjects/Account/{deleted}")
    records = [
        {"attributes": {"type": "Account"}, "id": first[:15], "Phone": "08-1"},
        {"attributes": {"type": "Account"}, "Id": deleted, "Phone": "08-1"},
        {"attributes": {"type": "Account"}, "id": office.org.ids.new("001"), "Phone": "08-1"},
        {"attributes": {"type": "Account"}, "Phone": "08-1"},
        {"attributes": {"type": "Account"}, "id": office.user, "Phone": "08-1"},
    ]
    answer = office.call("PATCH", "/composite/sobjects", {"records": records})
    wanted = ["", "ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "MISSING_ARGUMENT", "MALFORMED_ID"]
    assert codes(answer.body) == wanted
    assert answer.body[0]["id"] == first
    assert office.get(first, "Phone") == "08-1"


def test_deletes_take_ids_of_any_object(office: Office) -> None:
    account, product = office.create("Account", Name="A"), office.create("Product2", Name="P")
    answer = office.call("DELETE", f"/composite/sobjects?ids={account},{product},nonsense&allOrNone=false")
    assert codes(answer.body) == ["", "", "MALFORMED_ID"]
    assert office.row(account).deleted
    assert office.row(product).deleted


def test_reads_keep_the_order_and_show_null_for_what_is_not_there(office: Office) -> None:
    first = office.create("Account", Name="Nordkraft Fastigheter AB")
    body = {**payload("collections_retrieve_request"), "ids": [first, "001Fx00000AbCdGIAV"]}
    answer = office.call("POST", "/composite/sobjects/Account", body)
    assert_same_shape(payload("collections_retrieve_response")[0], answer.body[0])
    assert answer.body[1] is None
    by_query = office.call("GET", f"/composite/sobjects/Account?ids={first}&fields=Name")
    assert list(by_query.body[0]) == ["attributes", "Name"]
    refused = office.send("POST", "/composite/sobjects/Account", {"ids": [first], "fields": ["Nonsense__c"]})
    assert (refused.status, refused.body[0]["errorCode"]) == (400, "INVALID_FIELD")


def test_the_same_key_twice_in_a_call_fails_the_second(office: Office) -> None:
    records = accounts("A", "B", Fortnox_Customer_Number__c="1001")
    answer = office.call("PATCH", KEYED, {"records": records})
    assert codes(answer.body) == ["", "DUPLICATE_VALUE"]
    assert "id" not in answer.body[1]
    assert "created" not in answer.body[1]


def test_a_duplicate_rule_shows_no_details_in_a_collection(office: Office) -> None:
    office.create("Account", Name="A")
    office.org.rules.load({"duplicates": [{"object": "Account", "fields": ["Name"]}]})
    answer = office.call("POST", "/composite/sobjects", {"records": accounts("A")})
    assert list(answer.body[0]["errors"][0]) == ["statusCode", "message", "fields"]
    assert codes(answer.body) == ["DUPLICATES_DETECTED"]


@pytest.mark.parametrize(
    ("records", "code"),
    [
        (accounts(*["A"] * 201), "EXCEEDED_ID_LIMIT"),
        ([{"attributes": {"type": name}, "Name": "A"} for name in ("Account", "Product2") * 6], "LIMIT_EXCEEDED"),
        ([{"Name": "A"}], "INVALID_TYPE"),
        ([{"attributes": {"type": "Fakir"}}], "INVALID_TYPE"),
        ([*accounts("A"), *accounts("B", AnnualRevenue="mycket")], "JSON_PARSER_ERROR"),
        ("A", "JSON_PARSER_ERROR"),
    ],
)
def test_a_malformed_call_fails_as_a_whole(office: Office, records: Any, code: str) -> None:
    answer = office.send("POST", "/composite/sobjects", {"records": records})
    assert (answer.status, answer.body[0]["errorCode"]) == (400, code)
    assert office.names("SELECT Name FROM Account") == []


def test_an_unknown_key_field_fails_the_call(office: Office) -> None:
    answer = office.send("PATCH", "/composite/sobjects/Account/AccountNumber", {"records": accounts("A")})
    assert (answer.status, answer.body[0]["errorCode"]) == (404, "NOT_FOUND")


def test_ten_thousand_upserts_are_cheap(office: Office) -> None:
    started = time.process_time()
    for start in range(0, 10_000, 200):
        records = [
            {
                "attributes": {"type": "Account"},
                "Fortnox_Customer_Number__c": str(number),
                "Name": f"Kund {number}",
                "BillingCity": "Göteborg",
                "BillingCountry": "Sweden",
            }
            for number in range(start, start + 200)
        ]
        answer = office.call("PATCH", KEYED, {"records": records})
        assert all(result["created"] for result in answer.body)
    assert time.process_time() - started < 12
