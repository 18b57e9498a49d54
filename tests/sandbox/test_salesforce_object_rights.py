"""Object permissions: what an org shows and refuses a user who lacks a right on a whole object."""

from __future__ import annotations

from typing import Any

import pytest

from .salesforce_office import Office


@pytest.fixture
def office() -> Office:
    return Office()


def limit(office: Office, **rights: list[str]) -> None:
    """As the control interface's setting does."""
    office.org.rules.load({"object_permissions": rights})
    office.org.configure()


def flags(office: Office, name: str, user: str | None = None) -> tuple[bool, bool, bool]:
    body = office.call("GET", f"/sobjects/{name}/describe", user=user).body
    return body["createable"], body["updateable"], body["deletable"]


def code(office: Office, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str, str]:
    """(status, code, text) of a call that must be refused."""
    answer = office.send(method, path, body, **more)
    assert answer.status >= 400, answer
    return answer.status, answer.body[0]["errorCode"], answer.body[0]["message"]


def seeing_all(office: Office, user: str) -> set[str]:
    """As our readiness asks: the objects of which a user sees every record."""
    rows = office.soql(
        "SELECT SobjectType FROM ObjectPermissions WHERE PermissionsViewAllRecords = true AND ParentId IN "
        f"(SELECT PermissionSetId FROM PermissionSetAssignment WHERE AssigneeId = '{user}')"
    )
    return {row["SobjectType"] for row in rows["records"]}


def test_without_the_right_to_create_the_describe_says_so_and_a_create_is_refused(office: Office) -> None:
    account = office.create("Account", Name="A")
    limit(office, Account=["read", "edit"])
    assert flags(office, "Account") == (False, True, False)
    fields = {entry["name"]: entry for entry in office.call("GET", "/sobjects/Account/describe").body["fields"]}
    assert (fields["Name"]["createable"], fields["Name"]["updateable"]) == (False, True)
    expected = (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "entity type cannot be inserted: Account")
    assert code(office, "POST", "/sobjects/Account", {"Name": "B"}) == expected
    assert code(office, "PATCH", "/sobjects/Account/Fortnox_Customer_Number__c/7", {"Name": "B"}) == expected
    office.change(account, Name="C")
    records = [{"attributes": {"type": "Account"}, "Name": "B"}]
    (row,) = office.call("POST", "/composite/sobjects", {"records": records}).body
    assert row["errors"][0]["statusCode"] == expected[1]


def test_without_the_rights_to_edit_and_delete_both_are_refused(office: Office) -> None:
    account = office.create("Account", Name="A")
    limit(office, Account=["read", "create"])
    assert flags(office, "Account") == (True, False, False)
    assert code(office, "PATCH", f"/sobjects/Account/{account}", {"Name": "B"})[1:] == (
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "entity type cannot be updated: Account",
    )
    assert code(office, "DELETE", f"/sobjects/Account/{account}")[:2] == (403, "INSUFFICIENT_ACCESS_OR_READONLY")


def test_an_object_that_may_not_be_read_does_not_exist(office: Office) -> None:
    account = office.create("Account", Name="A")
    limit(office, Account=[])
    listed = {entry["name"] for entry in office.call("GET", "/sobjects").body["sobjects"]}
    assert "Account" not in listed and "Contact" in listed
    for method, path in (("GET", "/sobjects/Account/describe"), ("GET", f"/sobjects/Account/{account}")):
        assert code(office, method, path)[:2] == (404, "NOT_FOUND")
    assert office.refusal("SELECT Id FROM Account").code == "INVALID_TYPE"
    assert office.refusal("SELECT Account.Name FROM Contact").code == "INVALID_FIELD"
    assert office.refusal("SELECT Id FROM Contact WHERE AccountId IN (SELECT Id FROM Account)").code == "INVALID_TYPE"
    records = [{"attributes": {"type": "Account"}, "Name": "B"}]
    assert code(office, "POST", "/composite/sobjects", {"records": records})[1] == "INVALID_TYPE"


def test_lines_follow_their_opportunity_and_prices_their_price_book(office: Office) -> None:
    limit(office, Opportunity=["read"], Pricebook2=["read"])
    assert flags(office, "OpportunityLineItem") == flags(office, "PricebookEntry") == (False, False, False)
    limit(office, Opportunity=["read", "edit"])
    assert flags(office, "OpportunityLineItem") == flags(office, "PricebookEntry") == (True, True, True)


def test_administrators_keep_every_right_and_people_keep_theirs(office: Office) -> None:
    limit(office, Account=[])
    assert flags(office, "Account", office.other_user) == (True, True, True)
    assert "Account" in seeing_all(office, office.other_user)
    assert seeing_all(office, office.user) == set()


def test_a_permission_set_adds_rights_no_more_than_the_setting_lets_it(office: Office) -> None:
    limit(office, Account=["read"])
    granted = office.create("PermissionSet", Name="Integration", Label="Integration")
    office.create("PermissionSetAssignment", AssigneeId=office.user, PermissionSetId=granted)
    rights = dict.fromkeys(("PermissionsRead", "PermissionsViewAllRecords"), True)
    for name in ("Account", "Contact"):
        office.create("ObjectPermissions", ParentId=granted, SobjectType=name, **rights)
    assert seeing_all(office, office.user) == {"Contact"}
    limit(office)
    assert seeing_all(office, office.user) == {"Account", "Contact"}
    assert flags(office, "Account") == (True, True, True)


def test_rights_depend_on_one_another(office: Office) -> None:
    granted = office.create("PermissionSet", Name="Integration", Label="Integration")
    given = {"ParentId": granted, "SobjectType": "Account"}
    assert office.refused("ObjectPermissions", **given)[0] == "FIELD_INTEGRITY_EXCEPTION"
    assert office.refused("ObjectPermissions", **given, PermissionsEdit=True)[0] == "FIELD_INTEGRITY_EXCEPTION"
    assert office.refused("ObjectPermissions", ParentId=granted, SobjectType="User", PermissionsRead=True)[0] == (
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    )
    office.create("ObjectPermissions", **given, PermissionsRead=True)
    assert office.refused("ObjectPermissions", **given, PermissionsRead=True)[0] == "DUPLICATE_VALUE"


def test_rights_can_be_asked_for_only_by_those_who_may_view_setup(office: Office) -> None:
    office.org.configure(view_setup=False)
    assert office.refusal("SELECT SobjectType FROM ObjectPermissions").code == "INVALID_TYPE"
    query = {"q": "SELECT SobjectType FROM ObjectPermissions"}
    assert office.call("GET", "/query", query=query, user=office.other_user).body["totalSize"]


@pytest.mark.parametrize("wrong", [{"Account": ["write"]}, {"Account": ["edit"]}, ["Account"], {"Account": 1}])
def test_a_setting_that_makes_no_sense_is_refused_and_changes_nothing(office: Office, wrong: Any) -> None:
    with pytest.raises(ValueError):
        office.org.rules.load({"object_permissions": wrong})
    assert office.org.rules.object_permissions == {}
