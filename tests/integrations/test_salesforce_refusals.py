"""What Salesforce refuses, and what is refused before it is sent: each a defined outcome of its own write."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from integrations import errors as e
from integrations.connector import Value, Write
from integrations.salesforce import batches
from tests.integrations.salesforce_packaged import KEY, Org, account, calls, failed, good, one
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def org(salesforce_sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Org:
    monkeypatch.setattr("integrations.salesforce.batches.time.sleep", lambda seconds: None)
    return Org(salesforce_sandbox, settings)


# --- Refused before anything is sent --------------------------------------------------------------------------


REFUSED: list[tuple[str, dict[str, Value], type[e.SyncError], str, str, str]] = [
    ("account", {"BillingCountryCode": "XX"}, e.InvalidData, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
     "BillingCountryCode", "XX"),
    ("account", {"IsDeleted": True}, e.Misconfigured, "INVALID_FIELD_FOR_INSERT_UPDATE", "IsDeleted", ""),
    ("account", {"Nope__c": "x"}, e.Misconfigured, "INVALID_FIELD", "Nope__c", ""),
    ("account", {"AnnualRevenue": "mycket"}, e.InvalidData, "wrong_type", "AnnualRevenue", "mycket"),
    ("account", {"AnnualRevenue": Decimal("1E+18")}, e.InvalidData, "NUMBER_OUTSIDE_VALID_RANGE", "AnnualRevenue",
     "1000000000000000000"),
    ("contact", {"LastName": "A", "Email": "nope"}, e.InvalidData, "INVALID_EMAIL_ADDRESS", "Email", "nope"),
    ("account", {"Name": None}, e.InvalidData, "REQUIRED_FIELD_MISSING", "Name", ""),
    ("account", {"ParentId": "001Fx00000AbCdEXXX"}, e.InvalidData, "MALFORMED_ID", "ParentId", "001Fx00000AbCdEXXX"),
    ("account", {"BillingCountry": "Narnia"}, e.InvalidData, "country_picklist", "BillingCountry", "Narnia"),
    ("account", {"CurrencyIsoCode": "EUR"}, e.Misconfigured, "INVALID_CURRENCY_ISO", "CurrencyIsoCode", "EUR"),
    ("account", {"RecordTypeId": "Nobody"}, e.Misconfigured, "record_type", "RecordTypeId", "Nobody"),
]  # fmt: skip


@pytest.mark.parametrize("name,fields,expected,code,field,value", REFUSED, ids=[f"{r[4]}-{r[3]}" for r in REFUSED])
def test_what_cannot_be_sent_is_refused_by_name_and_the_rest_goes(
    org: Org, name: str, fields: dict[str, Value], expected: type[e.SyncError], code: str, field: str, value: str
) -> None:
    fine = Write("good", fields={"LastName": "A"} if name == "contact" else {}, unique=(KEY, f"1:{code}"))
    if name == "account":
        fine = account("good", f"1:{code}")
    bad = Write("bad", fields={"Name": "X", **fields} if name == "account" else fields, unique=(KEY, f"2:{code}"))
    refused, passed = org.upsert(name, bad, fine)
    assert failed(refused) == (expected, code, field, value)
    assert passed.error is None, passed.error
    assert not [row for row in org.records(org.objects.remote(name)) if row.get(KEY) == f"2:{code}"]


def test_the_org_s_own_currency_is_left_out_where_there_is_no_field_for_it(org: Org) -> None:
    assert one(org, "account", account("sek", CurrencyIsoCode="SEK")).error is None


def test_a_field_that_may_only_be_read_is_refused_by_name(org: Org) -> None:
    outcome = one(org, "opportunity", Write("o", id="006Fx00000AbCdE", fields={"IsWon": True}))
    assert failed(outcome) == (e.Misconfigured, "INVALID_FIELD_FOR_INSERT_UPDATE", "IsWon", "")


@pytest.mark.parametrize(
    "given", [{"BillingCountry": "Sweden"}, {"BillingCountry": "se"}, {"BillingCountryCode": "SE"}]
)
def test_countries_travel_as_codes_and_sweden_has_no_states(org: Org, given: dict[str, Value]) -> None:
    key = good(org, f"country-{min(given.values(), key=str)}", **given, BillingState="Skåne", BillingCity="Lund")
    stored = org.record("Account", key)
    assert (stored["BillingCountryCode"], stored.get("BillingStateCode"), stored["BillingCity"]) == ("SE", None, "Lund")


def test_an_org_without_lists_of_countries_takes_them_as_text(org: Org) -> None:
    org.set(state_country_picklists=False)
    org.objects.catalogue.forget(["Account"])
    key = good(org, "text-country", BillingCountryCode="SE", BillingState="Skåne")
    stored = org.record("Account", key)
    assert (stored["BillingCountry"], stored["BillingState"]) == ("SE", "Skåne")


# --- Refused by Salesforce ------------------------------------------------------------------------------------


def test_a_field_that_was_hidden_meanwhile_concerns_only_those_who_write_it(org: Org) -> None:
    org.upsert("account", account("warm"))
    org.set(hidden_fields=["Account.Fortnox_Email__c"])
    mail = {"Fortnox_Email__c": "a@b.se"}
    outcomes = org.upsert("account", account("h1"), account("h2", **mail), account("h3"))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert failed(outcomes[1]) == (e.Misconfigured, "INVALID_FIELD", "Fortnox_Email__c", "")


def test_a_field_hidden_from_all_rows_costs_one_call_and_is_known_afterwards(org: Org) -> None:
    org.upsert("account", account("warm"))
    org.set(hidden_fields=["Account.Fortnox_Email__c"])
    writes = [account(f"all{n}", **{"Fortnox_Email__c": "a@b.se"}) for n in range(50)]
    with calls() as seen:
        outcomes = org.upsert("account", *writes)
    assert {failed(outcome)[1:3] for outcome in outcomes} == {("INVALID_FIELD", "Fortnox_Email__c")}
    assert dict(seen) == {"Account.upsert_many": 1}
    with calls() as seen:
        outcomes = org.upsert("account", *writes)
    assert {failed(outcome)[1:3] for outcome in outcomes} == {("INVALID_FIELD", "Fortnox_Email__c")}
    assert dict(seen) == {"Account.describe": 1}


def test_a_hidden_key_says_what_to_deploy_and_assign(org: Org) -> None:
    org.set(hidden_fields=[f"Account.{KEY}"])
    outcome = one(org, "account", account("nokey"))
    assert failed(outcome) == (e.Misconfigured, "INVALID_FIELD", KEY, "")
    assert outcome.error is not None
    assert "permission set" in outcome.error.message


def test_a_customers_own_validation_message_arrives_unchanged(org: Org) -> None:
    rule = {
        "object": "Account", "message": "Ange bransch, tack!", "field": "Industry",
        "conditions": [{"field": "Industry", "operator": "blank"}],
    }  # fmt: skip
    org.set(validation=[rule])
    outcome = one(org, "account", account("valid"))
    assert failed(outcome) == (e.InvalidData, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Industry", "")
    assert outcome.error is not None
    assert outcome.error.message == "Ange bransch, tack!"
    assert one(org, "account", account("valid", Industry="Energy")).error is None


def test_a_picklist_value_that_salesforce_refuses_names_field_and_value(org: Org) -> None:
    record = {"Name": "Lista AB", "BillingCountryCode": "XX", KEY: "1:picklist"}
    (answer,) = batches.Batches(org.client).write("Account", "upsert", [record], KEY)
    assert isinstance(answer, e.InvalidData)
    assert (answer.field, answer.value) == ("BillingCountryCode", "XX")


def test_a_failing_trigger_is_the_customers_own_and_is_shown(org: Org) -> None:
    conditions = [{"field": "Name", "operator": "matches", "value": "Kund trig.*"}]
    org.set(validation=[{"object": "Account", "message": "NullPointer", "trigger": True, "conditions": conditions}])
    assert failed(one(org, "account", account("trig")))[:2] == (
        e.InvalidData, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
    )  # fmt: skip


def test_a_duplicate_rule_names_the_record_that_is_there(org: Org) -> None:
    there = org.make("Account", Name="Dubbel AB")
    org.set(duplicates=[{"object": "Account", "fields": ["Name"], "action": "block"}])
    outcomes = org.upsert("account", account("d1", Name="Dubbel AB"), account("d2", Name="Ensam i världen AB"))
    assert failed(outcomes[0])[:2] == (e.Conflict, "DUPLICATES_DETECTED")
    assert outcomes[0].error is not None
    assert outcomes[0].error.context["matches"] == [there]
    assert outcomes[1].error is None


def test_a_rule_that_only_warns_lets_the_record_pass(org: Org) -> None:
    org.make("Account", Name="Varnad AB")
    org.set(duplicates=[{"object": "Account", "fields": ["Name"], "action": "alert"}])
    assert one(org, "account", account("warn", Name="Varnad AB")).error is None


def test_a_taken_unique_value_names_its_holder(org: Org) -> None:
    holder = good(org, "holder", Fortnox_Customer_Number__c="H-1")
    other = org.make("Account", Name="Annan AB")
    outcome = one(org, "account", Write("o", id=other, fields={"Phone": "1"}, unique=(KEY, "1:holder")))
    assert failed(outcome)[:3] == (e.Conflict, "DUPLICATE_VALUE", KEY)
    assert outcome.error is not None
    assert outcome.error.context["matches"] == [holder]


def test_a_locked_row_is_tried_again_and_alone(org: Org) -> None:
    key = good(org, "lock")
    org.set(lock_rows={key: 2})
    with calls() as seen:
        outcomes = org.upsert("account", account("free"), account("lock", Phone="5"))
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert seen["Account.upsert_many"] == 3
    assert org.record("Account", key)["Phone"] == "5"


def test_a_lock_that_does_not_go_away_is_a_passing_trouble_of_that_row(org: Org) -> None:
    key = good(org, "stuck")
    org.set(lock_rows={key: 9})
    with calls() as seen:
        outcomes = org.upsert("account", account("free2"), account("stuck", Phone="5"))
    assert outcomes[0].error is None
    assert failed(outcomes[1])[:2] == (e.Transient, "UNABLE_TO_LOCK_ROW")
    assert seen["Account.upsert_many"] == 1 + len(batches.LOCK_WAITS)


def test_a_write_to_a_deleted_account_is_missing_with_its_id(org: Org) -> None:
    key = org.make("Account", Name="Borta AB")
    org.remove("Account", key)
    outcome = one(org, "account", Write("gone", id=key, fields={"Phone": "1"}))
    assert failed(outcome) == (e.Missing, "ENTITY_IS_DELETED", "", key)
    assert outcome.error is not None
    assert outcome.error.record == key


def test_a_lookup_to_a_deleted_record_is_named(org: Org) -> None:
    parent, other = org.make("Account", Name="Moder AB"), good(org, "other")
    org.remove("Account", parent)
    outcomes = org.upsert(
        "fortnox_invoice",
        Write("lost", unique=(KEY, "1:lost"), links={"account": parent}),
        Write("fine", unique=(KEY, "1:fine"), links={"account": other}),
    )
    kind, _code, field, value = failed(outcomes[0])
    assert (kind, field, value) == (e.Missing, "Account__c", parent)
    assert outcomes[1].error is None


def test_a_merged_account_names_the_one_that_it_became(org: Org, salesforce_sandbox: SandboxProcess) -> None:
    loser, winner = org.make("Account", Name="Förlorare AB"), org.make("Account", Name="Vinnare AB")
    org.merge("Account", winner, loser)
    outcome = one(org, "account", Write("merged", id=loser, fields={"Phone": "1"}))
    assert failed(outcome)[:2] == (e.Missing, "ENTITY_IS_DELETED")
    assert outcome.error is not None
    assert (outcome.error.record, outcome.error.context["into"]) == (loser, winner)
    assert winner in outcome.error.message
