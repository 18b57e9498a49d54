"""Currencies, person accounts, record types and the customer's own rules; deletes and merges."""

from __future__ import annotations

import pytest

from sandbox.salesforce import dml
from sandbox.salesforce.errors import SfError

from .salesforce_office import Office


@pytest.fixture
def office() -> Office:
    return Office()


# --- multi-currency --------------------------------------------------------------------------------------------------


def test_currencies_belong_to_records_prices_and_lines() -> None:
    office = Office(multi_currency=True)
    account = office.create("Account", Name="A")
    assert office.get(account, "CurrencyIsoCode") == "SEK"
    assert office.refused("Account", Name="A", CurrencyIsoCode="XYZ") == ("INVALID_CURRENCY_ISO", ["CurrencyIsoCode"])
    kronor, deal = office.price(), office.deal(CurrencyIsoCode="EUR")
    line = {"OpportunityId": deal, "Quantity": 1, "UnitPrice": 5}
    assert office.refused("OpportunityLineItem", **line, PricebookEntryId=kronor)[0] == "FIELD_INTEGRITY_EXCEPTION"
    euros = office.create(
        "PricebookEntry",
        Pricebook2Id=office.standard_book,
        Product2Id=office.get(kronor, "Product2Id"),
        UnitPrice=90,
        IsActive=True,
        CurrencyIsoCode="EUR",
    )
    made = office.create("OpportunityLineItem", **line, PricebookEntryId=euros)
    assert office.get(made, "CurrencyIsoCode") == "EUR"
    assert office.not_changed(deal, CurrencyIsoCode="SEK")[0] == "FIELD_INTEGRITY_EXCEPTION"


def test_in_a_single_currency_org_the_currency_objects_and_fields_are_absent(office: Office) -> None:
    assert office.org.find("CurrencyType") is None
    office.org.configure(multi_currency=True)
    assert office.org.find("CurrencyType") is not None


def test_switching_features_on_completes_the_records_that_are_there() -> None:
    office = Office(state_country_picklists=False)
    account = office.create("Account", Name="A", BillingCountry="Sweden")
    office.org.configure(multi_currency=True, state_country_picklists=True, currencies=["SEK", "CHF"])
    assert office.get(account, "CurrencyIsoCode", "BillingCountryCode") == ("SEK", "SE")
    types = {row.values["IsoCode"]: row.values["IsActive"] for row in office.org.rows["CurrencyType"].values()}
    assert (types["SEK"], types["CHF"], types["EUR"]) == (True, True, False)
    office.change(account, CurrencyIsoCode="CHF")
    with pytest.raises(ValueError, match="unknown option"):
        office.org.configure(nonsense=True)


# --- person accounts and record types --------------------------------------------------------------------------------


def person_type(office: Office) -> str:
    return next(row.id for row in office.org.rows["RecordType"].values() if row.values["IsPersonType"])


def test_a_person_account_has_a_computed_name_and_a_hidden_contact() -> None:
    office = Office(person_accounts=True)
    kind = person_type(office)
    assert office.refused("Account", Name="Eva", RecordTypeId=kind)[0] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    assert office.refused("Account", FirstName="Eva", RecordTypeId=kind) == ("REQUIRED_FIELD_MISSING", ["LastName"])
    values = {"FirstName": "Eva", "LastName": "Åberg", "PersonEmail": "eva@hem.example", "RecordTypeId": kind}
    person = office.create("Account", **values)
    assert office.get(person, "Name", "IsPersonAccount") == ("Eva Åberg", True)
    contact = office.get(person, "PersonContactId")
    assert office.get(contact, "Email", "IsPersonAccount", "AccountId") == ("eva@hem.example", True, person)
    office.change(person, LastName="Öberg")
    assert (office.get(person, "Name"), office.get(contact, "LastName")) == ("Eva Öberg", "Öberg")
    assert office.refused("Account", LastName="Åberg")[0] == "INVALID_FIELD_FOR_INSERT_UPDATE"


def test_without_person_accounts_their_fields_do_not_exist(office: Office) -> None:
    assert office.refused("Account", Name="A", PersonEmail="a@b.se") == ("INVALID_FIELD", [])


def test_a_record_type_limits_picklist_values_and_has_a_default(office: Office) -> None:
    rule = {"object": "Account", "developer_name": "Customer", "default": True, "values": {"Region__c": ["North"]}}
    office.org.rules.load({"record_types": [rule]})
    office.org.configure()
    (kind,) = office.org.rows["RecordType"]
    account = office.create("Account", Name="A", Region__c="North")
    assert office.get(account, "RecordTypeId") == kind
    assert office.not_changed(account, Region__c="South") == ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["Region__c"])
    other = {"Name": "Affär", "DeveloperName": "Deal", "SobjectType": "Opportunity"}
    wrong = office.as_org("RecordType", **other).id
    assert office.refused("Account", Name="A", RecordTypeId=wrong)[0] == "INVALID_CROSS_REFERENCE_KEY"


# --- deletes and merges ----------------------------------------------------------------------------------------------


def test_an_account_takes_contacts_and_opportunities_along_and_brings_them_back(office: Office) -> None:
    account = office.create("Account", Name="A")
    contact, deal = office.create("Contact", LastName="Å", AccountId=account), office.deal(AccountId=account)
    line = {"OpportunityId": deal, "PricebookEntryId": office.price(), "Quantity": 1, "UnitPrice": 10}
    office.create("OpportunityLineItem", **line)
    office.call("DELETE", f"/sobjects/Account/{account}")
    for record_id in (account, contact, deal):
        assert office.row(record_id).values["IsDeleted"] is True
    assert office.refused("Contact", LastName="B", AccountId=account) == ("INVALID_CROSS_REFERENCE_KEY", [])
    dml.undelete(office.org, office.user, account)
    assert office.get(deal, "Amount", "AccountId", "HasOpportunityLineItem") == (10.0, account, True)
    assert office.get(contact, "AccountId") == account


def test_an_account_with_orders_stays(office: Office) -> None:
    account = office.get(office.order(), "AccountId")
    assert office.send("DELETE", f"/sobjects/Account/{account}").body[0]["errorCode"] == "DELETE_FAILED"


def test_the_loser_of_a_merge_names_its_master_and_its_children_move(office: Office) -> None:
    master, loser = office.create("Account", Name="A"), office.create("Account", Name="B")
    deal = office.deal(AccountId=loser)
    dml.merge(office.org, office.user, "Account", master, [loser])
    assert office.row(loser).values["MasterRecordId"] == master
    assert office.row(loser).deleted
    assert office.get(deal, "AccountId") == master
    with pytest.raises(SfError, match="INVALID_TYPE_FOR_OPERATION"):
        dml.merge(office.org, office.user, "Opportunity", deal, [deal])


# --- the customer's rules --------------------------------------------------------------------------------------------


def test_validation_rules_and_triggers_speak_with_the_customers_words(office: Office) -> None:
    office.org.rules.load(
        {
            "validation": [
                {
                    "object": "Account",
                    "conditions": [{"field": "Organization_Number__c", "operator": "blank"}],
                    "message": "Organisationsnummer saknas",
                    "field": "Organization_Number__c",
                },
                {
                    "object": "Account",
                    "conditions": [{"field": "Name", "operator": "matches", "value": "^Trasig"}],
                    "message": "AccountTrigger: execution of BeforeInsert",
                    "trigger": True,
                },
            ]
        }
    )
    refused = office.refused("Account", Name="A")
    assert refused == ("FIELD_CUSTOM_VALIDATION_EXCEPTION", ["Organization_Number__c"])
    broken = office.refused("Account", Name="Trasig", Organization_Number__c="1")
    assert broken == ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", [])
    office.create("Account", Name="Hel", Organization_Number__c="1")


def test_rules_that_make_no_sense_are_refused(office: Office) -> None:
    for wrong in (
        {"validation": [{"object": "Account"}]},
        {"nonsense": []},
        {"validation": [{"object": "A", "message": "", "conditions": [{"field": "A", "operator": "~"}]}]},
    ):
        with pytest.raises(ValueError, match=r"rules not understood|unknown"):
            office.org.rules.load(wrong)


def test_an_alert_rule_gives_way_to_the_header_and_a_block_rule_does_not(office: Office) -> None:
    office.create("Account", Name="Nordkraft", BillingCity="Göteborg")
    rule = {"object": "Account", "fields": ["Name", "BillingCity"]}
    office.org.rules.load({"duplicates": [rule]})
    same = {"Name": "nordkraft", "BillingCity": "Göteborg"}
    answer = office.send("POST", "/sobjects/Account", same)
    assert answer.body[0]["errorCode"] == "DUPLICATES_DETECTED"
    assert answer.body[0]["duplicateResult"]["matchResults"][0]["size"] == 1
    header = {"Sforce-Duplicate-Rule-Header": "allowSave=true; includeRecordDetails=false"}
    assert office.send("POST", "/sobjects/Account", same, headers=header).status == 201
    office.create("Account", Name="Nordkraft", BillingCity="Malmö")
    office.org.rules.load({"duplicates": [{**rule, "action": "block"}]})
    assert office.send("POST", "/sobjects/Account", same, headers=header).status == 400


def test_records_in_approval_those_one_may_only_read_and_inactive_owners(office: Office) -> None:
    account = office.create("Account", Name="A")
    office.org.rules.load({"locks": [account]})
    assert office.not_changed(account, Name="B") == ("ENTITY_IS_LOCKED", [])
    office.org.rules.load({"locks": []})
    for only in (account, "Account"):
        office.org.rules.load({"read_only": [only]})
        for method, body in (("PATCH", {"Name": "B"}), ("DELETE", None)):
            answer = office.send(method, f"/sobjects/Account/{account}", body)
            assert (answer.status, answer.body[0]["errorCode"]) == (403, "INSUFFICIENT_ACCESS_OR_READONLY")
    office.org.rules.load({"read_only": []})
    dml.update(office.org, None, "User", office.other_user, {"IsActive": False})
    assert office.refused("Account", Name="A", OwnerId=office.other_user) == ("INACTIVE_OWNER_OR_USER", ["OwnerId"])
    office.org.rows["Account"][account].values["OwnerId"] = office.other_user
    office.change(account, Name="B")


def test_a_lock_on_a_record_or_its_parent_lasts_for_so_many_tries(office: Office) -> None:
    account = office.create("Account", Name="A")
    deal = office.deal(AccountId=account)
    office.org.locked[account] = 2
    assert office.not_changed(deal, NextStep="1") == ("UNABLE_TO_LOCK_ROW", [])
    assert office.not_changed(account, Name="B") == ("UNABLE_TO_LOCK_ROW", [])
    office.change(deal, NextStep="2")


def test_automatic_names_count_and_empty_names_become_ids(office: Office) -> None:
    office.invoice_object()
    first = office.create("Service_Order__c")
    assert office.get(first, "Name") == "SO-00001"
    invoice = office.create("Fortnox_Invoice__c", Fortnox_Key__c="1:1")
    assert office.get(invoice, "Name", "Status__c") == (invoice, "Draft")
    assert invoice.startswith("a0")
