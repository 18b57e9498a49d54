"""What an org tells about its objects and fields."""

from __future__ import annotations

from typing import Any

import pytest

from .salesforce_office import Office, payload

# Known answers leave out many keys, and the labels of these differ from org to org.
PICKLISTS = ("Industry", "BillingCountryCode", "CurrencyIsoCode")


def fields_of(office: Office, object_name: str, user: str | None = None) -> dict[str, dict[str, Any]]:
    body = office.call("GET", f"/sobjects/{object_name}/describe", user=user).body
    return {field["name"]: field for field in body["fields"]}


def test_an_account_is_described_as_the_known_one() -> None:
    office = Office(multi_currency=True)
    known = payload("describe_account_excerpt")
    body = office.call("GET", "/sobjects/account/describe").body
    for name, value in known.items():
        if name not in ("fields", "childRelationships"):
            assert body[name] == value, name
    found = fields_of(office, "Account")
    for field in known["fields"]:
        names = set(field) - {"picklistValues", "label", "permissionable"}
        shown = found[field["name"]]
        assert {name: shown[name] for name in names} == {name: field[name] for name in names}, field["name"]
        if field["name"] not in PICKLISTS:
            assert shown["picklistValues"] == field["picklistValues"]
        else:
            assert [value for value in field["picklistValues"] if value not in shown["picklistValues"]] == []


def test_children_are_described_with_what_becomes_of_them() -> None:
    body = Office().call("GET", "/sobjects/Account/describe").body
    children = {child["relationshipName"]: child for child in body["childRelationships"]}
    assert children["Contacts"]["field"] == "AccountId"
    assert children["Opportunities"]["cascadeDelete"] is True
    assert children["Orders"]["restrictedDelete"] is True
    assert children["Service_Orders__r"]["childSObject"] == "Service_Order__c"


def test_every_object_is_listed_with_its_addresses() -> None:
    office = Office()
    office.invoice_object()
    answer = office.call("GET", "/sobjects")
    listed = {entry["name"]: entry for entry in answer.body["sobjects"]}
    for known in payload("describe_global_excerpt")["sobjects"]:
        shown = listed[known["name"]]
        assert {**shown, **known, "keyPrefix": shown["keyPrefix"]} == shown
    assert "CurrencyType" not in listed
    assert office.call("GET", "/sobjects/Account").body["objectDescribe"] == listed["Account"]


def test_required_means_not_nillable_not_defaulted_and_createable() -> None:
    office = Office()
    for object_name, needed in {
        "Account": {"Name"},
        "Contact": {"LastName"},
        "Opportunity": {"Name", "StageName", "CloseDate"},
        "OpportunityLineItem": {"OpportunityId", "PricebookEntryId", "Quantity"},
        "PricebookEntry": {"Pricebook2Id", "Product2Id", "UnitPrice"},
        "Order": {"EffectiveDate", "Status"},
        "OrderItem": {"OrderId", "PricebookEntryId", "Quantity", "UnitPrice"},
        "Product2": {"Name"},
    }.items():
        found = {
            name
            for name, field in fields_of(office, object_name).items()
            if not field["nillable"] and not field["defaultedOnCreate"] and field["createable"]
        }
        assert found == needed, object_name


@pytest.mark.parametrize(
    ("object_name", "field", "facts"),
    [
        ("Account", "Description", {"type": "textarea", "length": 32000, "filterable": False, "sortable": False}),
        ("Account", "AnnualRevenue", {"type": "currency", "precision": 18, "scale": 0}),
        ("Opportunity", "Amount", {"type": "currency", "precision": 18, "scale": 2, "updateable": True}),
        ("Opportunity", "IsWon", {"type": "boolean", "createable": False, "updateable": False}),
        ("Opportunity", "Pricebook2Id", {"referenceTo": ["Pricebook2"], "relationshipName": "Pricebook2"}),
        ("OpportunityLineItem", "PricebookEntryId", {"createable": True, "updateable": False}),
        ("Product2", "StockKeepingUnit", {"length": 180}),
        ("Order", "OrderNumber", {"autoNumber": True, "length": 30}),
        ("Organization", "IsSandbox", {"type": "boolean", "updateable": False}),
    ],
)
def test_fields_have_the_documented_types_and_rights(object_name: str, field: str, facts: dict[str, Any]) -> None:
    shown = fields_of(Office(), object_name)[field]
    assert {name: shown[name] for name in facts} == facts


def test_a_hidden_field_is_absent_and_a_readable_one_not_writable() -> None:
    office = Office()
    office.number_field(name="Dold__c", granted=False)
    assert "Dold__c" not in fields_of(office, "Account")
    granted = office.create("PermissionSet", Name="Las", Label="Läs")
    office.create("PermissionSetAssignment", AssigneeId=office.user, PermissionSetId=granted)
    right = {"ParentId": granted, "SobjectType": "Account", "Field": "Account.Dold__c", "PermissionsRead": True}
    office.create("FieldPermissions", **right)
    shown = fields_of(office, "Account")["Dold__c"]
    assert (shown["externalId"], shown["unique"], shown["createable"], shown["updateable"]) == (
        True,
        True,
        False,
        False,
    )
    assert "Dold__c" not in fields_of(office, "Account", user=office.other_user)


def test_options_add_fields_and_objects() -> None:
    office = Office()
    assert "CurrencyIsoCode" not in fields_of(office, "Account")
    assert "BillingCountryCode" in fields_of(office, "Account")
    office.org.configure(multi_currency=True, person_accounts=True, state_country_picklists=False)
    shown = fields_of(office, "Account")
    assert [value["value"] for value in shown["CurrencyIsoCode"]["picklistValues"] if value["defaultValue"]] == ["SEK"]
    assert shown["IsPersonAccount"]["type"] == "boolean"
    assert "BillingCountryCode" not in shown
    assert fields_of(office, "CurrencyType")["ConversionRate"]["type"] == "double"


def test_a_describe_is_sent_again_only_after_a_change() -> None:
    office = Office()
    first = office.call("GET", "/sobjects/Account/describe")
    since = {"If-Modified-Since": first.headers["Last-Modified"]}
    office.clock.moment += 60
    assert office.call("GET", "/sobjects/Account/describe", headers=since).status == 304
    assert office.call("GET", "/sobjects", headers=since).status == 304
    office.number_field(name="Ny__c")
    assert office.call("GET", "/sobjects/Account/describe", headers=since).status == 200


def test_record_types_are_told_with_the_default() -> None:
    office = Office()
    values = {"Name": "Kund", "DeveloperName": "Customer", "SobjectType": "Account"}
    kind = office.as_org("RecordType", **values).id
    office.org.default_record_types["Account"] = kind
    infos = office.call("GET", "/sobjects/Account/describe").body["recordTypeInfos"]
    told = [(info["developerName"], info["defaultRecordTypeMapping"], info["master"]) for info in infos]
    assert told == [("Customer", True, False), ("Master", False, True)]
