"""What an org says about its objects, and what Ledgerbridge makes of it: parts, lines, rights, and what is hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import responses

from integrations.connector import FieldType
from integrations.errors import Misconfigured, TooLarge
from integrations.http import Api, counting
from integrations.models import ConnectedAccount, CustomSource
from integrations.salesforce import described
from integrations.salesforce.client import Salesforce
from integrations.salesforce.schema import Objects
from integrations.salesforce.shape import shape
from tests.integrations.salesforce_canned import BASE, describes, field, org

pytestmark = pytest.mark.django_db
OWNER = field("OwnerId", type="reference", referenceTo=["User"], relationshipName="Owner")
ACCOUNT = field("AccountId", type="reference", referenceTo=["Account"], relationshipName="Account")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    described.clear_cache()
    with responses.mock:
        yield


def objects(account: ConnectedAccount | None = None) -> Objects:
    return Objects(Salesforce(Api(account or org())))


def test_a_field_is_what_the_org_says_of_it() -> None:
    describes(
        "Account",
        field("AnnualRevenue", type="currency", precision=18, scale=2, length=0),
        field("Employees", type="int", scale=0, updateable=False, createable=False),
        field("Number__c", unique=True, externalId=True, length=64),
        field("Region__c", type="picklist", picklistValues=[
            {"value": "North", "label": "Norr", "active": True}, {"value": "Old", "label": "Old", "active": False},
        ]),
        field("Trades__c", type="multipicklist", picklistValues=[{"value": "a", "label": "A", "active": True}]),
        field("Since__c", type="date", nillable=False),
        field("Default__c", nillable=False, defaultedOnCreate=True),
        field("BillingAddress", type="address"),
    )  # fmt: skip
    schema = objects().describe("account")
    assert (schema.system, schema.key, schema.title, schema.lines) == ("salesforce", "Id", "Name", "")
    fields = schema.fields
    assert (fields["AnnualRevenue"].type, fields["AnnualRevenue"].decimals) == (FieldType.NUMBER, 2)
    assert (fields["AnnualRevenue"].max_length, fields["Number__c"].max_length) == (None, 64)
    assert (fields["Employees"].writable, fields["Number__c"].unique) == (False, True)
    assert [(o.value, o.label) for o in fields["Region__c"].options] == [("North", "Norr")]
    assert (fields["Trades__c"].type, fields["Trades__c"].options) == (FieldType.STRING, ())
    assert (fields["Since__c"].required, fields["Default__c"].required) == (True, False)
    assert "BillingAddress" not in fields  # its parts are fields of their own


def test_amounts_without_a_currency_are_in_the_orgs_own() -> None:
    describes("Account")
    schema = objects().describe("account")
    assert schema.currency == "SEK"
    assert "CurrencyIsoCode" not in schema.fields


def test_an_opportunity_has_the_parts_that_the_org_has_and_its_lines_speak_of_the_product() -> None:
    describes("Opportunity", ACCOUNT, OWNER, field("Amount"))  # no Pricebook2Id: products are off
    describes("Account", "BillingCity")
    describes("Contact", "Email")
    describes("User", "Email")
    product = field("Product2Id", type="reference", referenceTo=["Product2"], relationshipName="Product2")
    describes("OpportunityLineItem", "SortOrder", product, field("UnitPrice", type="currency", scale=2))
    describes("Product2", "ProductCode")
    with counting() as calls:
        schema = objects().describe("opportunity")
        again = objects().describe("opportunity")
    assert again == schema
    assert sum(calls.values()) == 6  # each object once
    assert set(schema.parts) == {"account", "contact", "owner", "line"}
    assert schema.lines == "line"
    assert {"UnitPrice", "Product2_ProductCode", "Product2_Id"} <= set(schema.parts["line"])
    assert schema.parts["line"]["UnitPrice"].writable
    assert not schema.parts["line"]["Product2_ProductCode"].writable


def test_of_an_owner_that_may_be_a_queue_only_what_both_have_can_be_read() -> None:
    owner = field("OwnerId", type="reference", referenceTo=["Group", "User"], relationshipName="Owner")
    describes("Account", owner)
    describes("User", "Email", "Department")
    parts = objects().describe("account").parts
    assert set(parts["owner"]) == {"Id", "Name", "Email"}


def test_an_object_that_is_off_says_so() -> None:
    responses.add(
        "GET", f"{BASE}/sobjects/Order/describe", status=404, json=[{"errorCode": "NOT_FOUND", "message": "x"}]
    )
    with pytest.raises(Misconfigured) as caught:
        objects().describe("order")
    assert (caught.value.code, caught.value.value) == ("INVALID_TYPE", "Order")
    assert "may not see it" in caught.value.message


def test_a_name_that_nobody_gave_is_refused_without_a_call() -> None:
    with pytest.raises(Misconfigured) as caught:
        objects().describe("ticket")
    assert caught.value.code == "unknown_object"


# --- Custom sources -------------------------------------------------------------------------------------------


def _source(account: ConnectedAccount, **fields: Any) -> None:
    given = {
        "name": "job", "label": "Jobb", "remote_object": "Job__c", "line_relationship": "Rows__r",
        "parts": {"account": "Customer__c"},
    }  # fmt: skip
    CustomSource.objects.create(account=account, **(given | fields))


CUSTOMER = field("Customer__c", type="reference", referenceTo=["Account"], relationshipName="Customer__r")
PARENT = field("Job__c", type="reference", referenceTo=["Job__c"], relationshipName="Job__r")


def test_an_object_of_the_customer_is_read_like_ours() -> None:
    account = org()
    _source(account)
    describes(
        "Job__c", CUSTOMER, children=[{"relationshipName": "Rows__r", "childSObject": "Row__c", "field": "Job__c"}]
    )
    describes("Account", "BillingCity")
    describes("Row__c", PARENT, "Text__c")
    schema = objects(account).describe("job")
    assert (set(schema.parts), schema.lines) == ({"account", "line"}, "line")
    asked = shape(objects(account), "job", {"job": frozenset({"Name"}), "account": frozenset({"BillingCity"}),
                                            "line": frozenset({"Text__c"})})  # fmt: skip
    assert asked.query() == (
        "SELECT Id, Name, SystemModstamp, Customer__r.BillingCity, Customer__r.Id,"
        " (SELECT Id, Text__c FROM Rows__r WHERE IsDeleted = false ORDER BY Id) FROM Job__c"
    )
    assert objects(account).line_parent("job") == "Job__c"


def test_lines_that_the_object_does_not_have_are_named() -> None:
    account = org()
    _source(account, line_relationship="Nosuch__r")
    describes("Job__c")
    with pytest.raises(Misconfigured) as caught:
        objects(account).describe("job")
    assert caught.value.field == "Nosuch__r"


def test_two_orgs_do_not_share_what_they_look_like() -> None:
    describes("Account", "Mine__c")
    assert "Mine__c" in objects().describe("account").fields
    other = org(remote_id="00DFx00000AbCdFMAV")
    responses.replace("GET", f"{BASE}/sobjects/Account/describe", json={"fields": [field("Id"), field("Theirs__c")]})
    assert "Theirs__c" in objects(other).describe("account").fields


# --- Hidden fields --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("Fortnox_Key__c", "permission set Fortnox_Integration"), ("Org_Number__c", "read access to the field")],
)
def test_a_hidden_field_is_named_with_its_remedy(name: str, remedy: str) -> None:
    describes("Account")
    with counting() as calls, pytest.raises(Misconfigured) as caught:
        shape(objects(), "account", {"account": frozenset({name})})
    assert calls["salesforce", "Account.describe"] == 1
    error = caught.value
    assert (error.code, error.field) == ("INVALID_FIELD", name)
    assert f"Account.{name} is not there, or hidden from the integration user" in error.message
    assert remedy in error.message


def test_a_field_that_was_made_since_is_found_by_asking_again(monkeypatch: pytest.MonkeyPatch) -> None:
    describes("Account")
    known = objects()
    known.describe("account")
    responses.reset()
    describes("Account", "New__c")
    with pytest.raises(Misconfigured):  # a typo in a mapping must not cost a call each time
        shape(known, "account", {"account": frozenset({"New__c"})})
    monkeypatch.setattr(described, "ASK_AGAIN", -1.0)
    assert "New__c" in shape(known, "account", {"account": frozenset({"New__c"})}).items


def test_a_part_or_line_field_that_is_hidden_names_its_own_object() -> None:
    describes("Contact", ACCOUNT)
    describes("Account")
    with pytest.raises(Misconfigured) as caught:
        shape(objects(), "contact", {"contact": frozenset(), "account": frozenset({"Fortnox_Key__c"})})
    assert "Account.Fortnox_Key__c" in caught.value.message
    with pytest.raises(Misconfigured) as caught:
        shape(objects(), "contact", {"contact": frozenset(), "owner": frozenset({"Name"})})
    assert "Contact.OwnerId" in caught.value.message


# --- Hostile descriptions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [{}, {"fields": None}, {"fields": [1]}, {"fields": []}, [], "x", {"fields": [field("Name")]}]
)
def test_a_description_that_is_none_is_unreadable(body: Any) -> None:
    responses.add("GET", f"{BASE}/sobjects/Account/describe", body=json.dumps(body))
    with pytest.raises(TooLarge) as caught:
        objects().describe("account")
    assert caught.value.code == "unreadable"


def test_names_that_could_change_a_query_are_not_believed() -> None:
    evil = "Name FROM User--"
    describes(
        "Account",
        field(evil),
        field("Owner__c", type="reference", referenceTo=["User", evil, 7], relationshipName=evil),
        field("Odd", length=True, scale="x", picklistValues={}, label=None, type=None),
        children=[{"relationshipName": evil, "childSObject": "A", "field": "B"}, 7],
    )
    found = objects().own("account")
    assert evil not in found.fields
    assert (found.fields["Owner__c"].references, found.fields["Owner__c"].relationship) == (("User",), "")
    assert (found.fields["Odd"].schema.type, found.fields["Odd"].schema.max_length) == (FieldType.STRING, None)
    assert found.children == {}
