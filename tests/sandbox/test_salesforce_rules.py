"""What every record obeys: ids, values, field-level security, sharing, places."""

from __future__ import annotations

import pytest

from sandbox.salesforce import dml, ids
from sandbox.salesforce.errors import SfError
from sandbox.salesforce.org import Event
from sandbox.salesforce.schema import FieldDef

from .salesforce_office import Office


@pytest.fixture
def office() -> Office:
    return Office()


# --- ids -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", ["001Fx00000AbCdEIAV", "00kFx00000VwXyaIAF", "0PSFx00000NnOoPOAV"])
def test_ids_carry_a_checksum(known: str) -> None:
    assert ids.full(known[:15]) == known
    assert ids.full(known) == known
    assert ids.full(known[:15] + "AAA") is None


def test_a_record_answers_to_both_forms_of_its_id(office: Office) -> None:
    account = office.create("Account", Name="Nordkraft")
    assert account.startswith("001") and len(account) == 18
    assert office.call("GET", f"/sobjects/Account/{account[:15]}").body["Id"] == account


# --- values ----------------------------------------------------------------------------------------------------------


def test_names_of_fields_and_objects_have_no_case_and_text_is_trimmed(office: Office) -> None:
    account = office.create("aCCOUNT", nAME="  Nordkraft ", PHONE="", billingstreet="Storgatan 1\nPlan 3")
    assert office.get(account, "Name", "Phone", "BillingStreet") == ("Nordkraft", None, "Storgatan 1\r\nPlan 3")


@pytest.mark.parametrize(
    ("values", "code", "fields"),
    [
        ({"Name": "A" * 256}, "STRING_TOO_LONG", ["Name"]),
        ({"Name": "   "}, "REQUIRED_FIELD_MISSING", ["Name"]),
        ({"Name": "A", "Fortnox_Nummer__c": "1"}, "INVALID_FIELD", []),
        ({"Name": "A", "CurrencyIsoCode": "SEK"}, "INVALID_FIELD", []),
        (
            {"Name": "A", "SystemModstamp": "2026-01-01T00:00:00Z"},
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            ["SystemModstamp"],
        ),
        ({"Name": "A", "Id": "001Fx00000AbCdEIAV"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Id"]),
        ({"Name": "A", "Region__c": "East"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["Region__c"]),
        ({"Name": "A", "AnnualRevenue": 10**18}, "NUMBER_OUTSIDE_VALID_RANGE", ["AnnualRevenue"]),
        ({"Name": "A", "AnnualRevenue": "mycket"}, "JSON_PARSER_ERROR", []),
        ({"Name": True}, "JSON_PARSER_ERROR", []),
        ({"Name": "A", "ParentId": "003Fx00000LmNoPIAV"}, "MALFORMED_ID", ["ParentId"]),
        ({"Name": "A", "ParentId": "sju"}, "MALFORMED_ID", ["ParentId"]),
        ({"Name": "A", "ParentId": "001Fx00000ZzZzZ"}, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", []),
    ],
)
def test_what_an_account_does_not_take(office: Office, values: dict[str, object], code: str, fields: list[str]) -> None:
    assert office.refused("Account", **values) == (code, fields)


def test_an_unrestricted_picklist_takes_any_text_and_keeps_the_case_of_known_ones(office: Office) -> None:
    account = office.create("Account", Name="A", Industry="energy", Rating="Ljummen")
    assert office.get(account, "Industry", "Rating") == ("Energy", "Ljummen")


def test_an_email_address_must_look_like_one(office: Office) -> None:
    assert office.refused("Contact", LastName="Å", Email="a@") == ("INVALID_EMAIL_ADDRESS", ["Email"])
    contact = office.create("Contact", FirstName="Eva", LastName="Åberg", Email="eva@fjallbyn.example")
    assert office.get(contact, "Name") == "Eva Åberg"


def test_a_unique_value_belongs_to_one_live_record(office: Office) -> None:
    first = office.create("Account", Name="A", Fortnox_Customer_Number__c="k1")
    answer = office.send("POST", "/sobjects/Account", {"Name": "B", "Fortnox_Customer_Number__c": "K1"})
    assert answer.body[0]["errorCode"] == "DUPLICATE_VALUE"
    assert answer.body[0]["message"].endswith(first[:15])
    office.call("DELETE", f"/sobjects/Account/{first}")
    office.create("Account", Name="B", Fortnox_Customer_Number__c="K1")
    with pytest.raises(SfError, match="DUPLICATE_VALUE"):
        dml.undelete(office.org, office.user, first)


def test_blank_unique_values_never_collide(office: Office) -> None:
    office.create("Account", Name="A", Fortnox_Customer_Number__c="")
    office.create("Account", Name="B", Fortnox_Customer_Number__c=None)


def test_a_lookup_may_be_given_by_the_parents_key(office: Office) -> None:
    account = office.create("Account", Name="A", Fortnox_Customer_Number__c="1001")
    deal = office.deal(Account={"Fortnox_Customer_Number__c": "1001"})
    assert office.get(deal, "AccountId") == account
    assert office.refused(
        "Opportunity",
        Name="B",
        StageName="Prospecting",
        CloseDate="2026-11-20",
        Account={"Fortnox_Customer_Number__c": "9"},
    ) == ("INVALID_FIELD", [])


def test_stamps_move_with_every_write(office: Office) -> None:
    account = office.create("Account", Name="A")
    created = office.get(account, "CreatedDate", "LastModifiedDate", "SystemModstamp")
    assert created == ("2026-11-21T10:00:00.000+0000",) * 3
    office.clock.moment += 61.5
    office.change(account, Phone="08-1")
    assert office.get(account, "CreatedDate", "LastModifiedDate", "SystemModstamp") == (
        "2026-11-21T10:00:00.000+0000",
        "2026-11-21T10:01:01.000+0000",
        "2026-11-21T10:01:01.000+0000",
    )


def test_every_committed_write_is_told_and_no_other(office: Office) -> None:
    heard: list[Event] = []
    office.org.listeners.append(heard.append)
    account = office.create("Account", Name="A")
    office.refused("Account", Name="A", Phone="1" * 50)
    office.change(account, Name="B")
    office.call("DELETE", f"/sobjects/Account/{account}")
    assert [(event.action, event.old.get("Name"), event.new.get("Name")) for event in heard] == [
        ("create", None, "A"),
        ("update", "A", "B"),
        ("delete", "B", "B"),
    ]


# --- field-level security --------------------------------------------------------------------------------------------


def test_a_new_field_is_visible_to_nobody_until_a_permission_set_grants_it(office: Office) -> None:
    office.org.add_field("Account", FieldDef("Ny__c", "Ny", "string", 20, custom=True))
    assert office.refused("Account", Name="A", Ny__c="1") == ("INVALID_FIELD", [])
    granted = office.create("PermissionSet", Name="Integration", Label="Integration")
    right = {"ParentId": granted, "SobjectType": "Account", "Field": "Account.Ny__c"}
    permission = office.create("FieldPermissions", **right, PermissionsRead=True, PermissionsEdit=False)
    assert office.refused("Account", Name="A", Ny__c="1")[0] == "INVALID_FIELD"
    office.create("PermissionSetAssignment", AssigneeId=office.user, PermissionSetId=granted)
    assert office.refused("Account", Name="A", Ny__c="1") == ("INVALID_FIELD_FOR_INSERT_UPDATE", ["Ny__c"])
    office.change(permission, PermissionsEdit=True)
    assert office.get(office.create("Account", Name="A", Ny__c="1"), "Ny__c") == "1"
    assert "ny__c" not in office.org.visible_fields(office.org.object("Account"), office.other_user)


def test_a_field_an_administrator_hides_looks_unknown(office: Office) -> None:
    office.org.rules.hidden_fields.add("Account.Phone")
    office.org.schema_changed()
    assert office.refused("Account", Name="A", Phone="1") == ("INVALID_FIELD", [])


def test_sharing_hides_a_record_without_a_word(office: Office) -> None:
    account = office.create("Account", Name="A", Fortnox_Customer_Number__c="1")
    office.org.sharing = lambda user_id: frozenset({account[:15]} if user_id == office.user else ())
    for path in (f"/sobjects/Account/{account}", "/sobjects/Account/Fortnox_Customer_Number__c/1"):
        assert office.send("GET", path).status == 404
    assert office.send("PATCH", f"/sobjects/Account/{account}", {"Name": "B"}).status == 404
    assert office.names("SELECT Name FROM Account") == []
    assert office.refused("Contact", LastName="Å", AccountId=account)[0] == (
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"
    )
    assert office.call("GET", f"/sobjects/Account/{account}", user=office.other_user).status == 200


# --- state and country picklists -------------------------------------------------------------------------------------


def test_country_codes_and_texts_follow_each_other(office: Office) -> None:
    by_code = office.create("Account", Name="A", BillingCountryCode="se")
    by_text = office.create("Account", Name="B", BillingCountry="sweden")
    for account in (by_code, by_text):
        assert office.get(account, "BillingCountry", "BillingCountryCode") == ("Sweden", "SE")
    office.change(by_code, BillingCountry=None)
    assert office.get(by_code, "BillingCountryCode") is None


@pytest.mark.parametrize(
    ("place", "field"),
    [
        ({"BillingCountry": "Sverige"}, "BillingCountry"),
        ({"BillingCountry": "SE"}, "BillingCountry"),
        ({"BillingCountry": "Sweden", "BillingState": "Skåne"}, "BillingState"),
        ({"BillingState": "Texas"}, "BillingState"),
    ],
)
def test_a_place_outside_the_lists_is_refused(office: Office, place: dict[str, str], field: str) -> None:
    assert office.refused("Account", Name="A", **place) == ("FIELD_INTEGRITY_EXCEPTION", [field])


def test_without_the_picklists_any_country_goes_and_codes_do_not_exist() -> None:
    office = Office(state_country_picklists=False)
    office.create("Account", Name="A", BillingCountry="Sverige", BillingState="Skåne")
    assert office.refused("Account", Name="A", BillingCountryCode="SE") == ("INVALID_FIELD", [])
