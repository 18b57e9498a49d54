"""Writing to Salesforce over real HTTP: counted calls, one outcome per write, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from integrations import errors as e
from integrations.connector import Setup, Value, Write
from integrations.salesforce import batches
from integrations.salesforce.readiness import require
from tests.integrations.salesforce_packaged import KEY, Org, account, calls, failed, good, one
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def org(salesforce_sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Org:
    monkeypatch.setattr("integrations.salesforce.batches.time.sleep", lambda seconds: None)
    return Org(salesforce_sandbox, settings)


@pytest.fixture
def other_org(salesforce_sandbox: SandboxProcess, settings: Any) -> Org:
    """With several currencies, and accounts that are persons."""
    return Org(salesforce_sandbox, settings, 1)


def test_450_accounts_are_three_collections_and_one_look_back(org: Org) -> None:
    org.upsert("account", account("warm"))
    with calls() as seen:
        outcomes = org.upsert("account", *(account(str(n), f"450:{n}") for n in range(450)))
    assert dict(seen) == {"Account.upsert_many": 3, "Account.retrieve": 1}
    assert [outcome.key for outcome in outcomes] == [str(n) for n in range(450)]
    assert all(outcome.created and outcome.error is None for outcome in outcomes)
    assert outcomes[17].returned == {"Name": "Kund 17 AB"}
    assert outcomes[17].url.endswith(f"/lightning/r/Account/{outcomes[17].id}/view")


def test_a_repeated_upsert_updates_and_says_so(org: Org) -> None:
    (first,) = org.upsert("account", account("again"))
    (second,) = org.upsert("account", account("again", Phone="08-1"))
    assert (first.created, second.created) == (True, False)
    assert first.id == second.id
    assert second.returned["Phone"] == "08-1"


# --- What is sent and what comes back -------------------------------------------------------------------------


def test_what_salesforce_trims_and_empties_comes_back_as_it_keeps_it(org: Org) -> None:
    outcome = one(org, "account", account("trim", Name="  Trimmad AB ", Phone="   ", AnnualRevenue=Decimal("1200")))
    assert outcome.returned == {"Name": "Trimmad AB", "Phone": None, "AnnualRevenue": Decimal(1200)}


def test_nothing_is_blanked_that_was_not_given_as_empty(org: Org) -> None:
    key = good(org, "blank", Phone="08-1", Website="https://a.se")
    one(org, "account", Write("blank", id=key, fields={"Phone": None}))
    stored = org.record("Account", key)
    assert (stored["Phone"], stored["Website"]) == (None, "https://a.se")


def test_a_write_that_says_nothing_costs_no_call(org: Org) -> None:
    key = good(org, "silent")
    with calls() as seen:
        outcome = one(org, "account", Write("silent", id=key))
    assert (outcome.id, outcome.created, outcome.error, dict(seen)) == (key, False, None, {})


def test_an_account_matched_by_another_rule_gets_our_key(org: Org) -> None:
    key = org.make("Account", Name="Funnen AB")
    assert one(org, "account", Write("f", id=key, fields={"Phone": "1"}, unique=(KEY, "1:found"))).id == key
    assert org.record("Account", key)[KEY] == "1:found"


def test_two_writes_with_one_key_become_one_account_with_the_later_values(org: Org) -> None:
    first, second = org.upsert("account", account("t1", "1:twin"), account("t2", "1:TWIN", Phone="2"))
    assert (first.created, second.created, first.id) == (True, False, second.id)
    assert org.record("Account", first.id)["Phone"] == "2"


def test_links_travel_inside_the_record(org: Org) -> None:
    owner = good(org, "links")
    opportunity = org.make("Opportunity", Name="Affär", StageName="Prospecting", CloseDate="2026-12-01")
    credited = one(org, "fortnox_invoice", Write("c", unique=(KEY, "1:c"), links={"account": owner}))
    with calls() as seen:
        outcome = one(
            org,
            "fortnox_invoice",
            Write(
                "i",
                fields={"Total__c": Decimal("1250.50")},
                unique=(KEY, "1:i"),
                links={"account": owner, "opportunity": opportunity, "credit_of": credited.id, "contact": ""},
            ),
        )
    assert outcome.error is None, outcome.error
    assert dict(seen) == {"Fortnox_Invoice__c.upsert_many": 1, "Fortnox_Invoice__c.retrieve": 1}
    stored = org.record("Fortnox_Invoice__c", outcome.id)
    assert (stored["Account__c"], stored["Opportunity__c"], stored["Credit_Of__c"]) == (owner, opportunity, credited.id)
    back = one(org, "opportunity", Write("o", id=opportunity, links={"invoice": outcome.id, "account": owner}))
    assert back.error is None, back.error
    stored = org.record("Opportunity", opportunity)
    assert (stored["Fortnox_Invoice__c"], stored["AccountId"]) == (outcome.id, owner)


def test_a_long_message_of_ours_is_cut_and_a_customers_text_is_refused(org: Org) -> None:
    opportunity = org.make("Opportunity", Name="Lång", StageName="Prospecting", CloseDate="2026-12-01")
    message = one(org, "opportunity", Write("m", id=opportunity, fields={"Fortnox_Sync_Message__c": "x" * 400}))
    assert message.returned["Fortnox_Sync_Message__c"] == "x" * 254 + "…"
    with calls() as seen:
        refused = one(org, "account", account("long", Name="N" * 256))
    assert failed(refused) == (e.InvalidData, "STRING_TOO_LONG", "Name", "N" * 256)
    assert "Account.upsert_many" not in seen


# --- Persons, record types, currencies ------------------------------------------------------------------------


def test_a_name_of_an_account_that_is_a_person_becomes_first_and_last_name(other_org: Org) -> None:
    person = Write("p", fields={"LastName": "Berg", "RecordTypeId": "Person_Account"}, unique=(KEY, "1:person"))
    assert one(other_org, "account", person).error is None
    outcomes = other_org.upsert("account", account("person", Name="Åsa Maria Lind"), account("firm"))
    assert [outcome.error for outcome in outcomes] == [None, None]
    stored = other_org.record("Account", outcomes[0].id)
    assert (stored["FirstName"], stored["LastName"]) == ("Åsa Maria", "Lind")
    assert outcomes[0].returned["Name"] == "Åsa Maria Lind"


def test_a_person_is_made_by_the_name_of_its_record_type(other_org: Org) -> None:
    fields: dict[str, Value] = {
        "Name": "Bo Ek", "FirstName": "Bo", "LastName": "Ek", "PersonEmail": "bo@ek.se",
        "RecordTypeId": "Person_Account",
    }  # fmt: skip
    outcome = one(other_org, "account", Write("p", fields=fields, unique=(KEY, "1:bo")))
    assert outcome.error is None, outcome.error
    stored = other_org.record("Account", outcome.id)
    assert (stored["Name"], stored["PersonEmail"], stored["IsPersonAccount"]) == ("Bo Ek", "bo@ek.se", True)


def test_a_currency_is_written_where_the_org_has_several(other_org: Org) -> None:
    key = good(other_org, "eur", CurrencyIsoCode="EUR")
    assert other_org.record("Account", key)["CurrencyIsoCode"] == "EUR"


def test_a_currency_that_the_org_does_not_have_is_refused(other_org: Org) -> None:
    refused = one(other_org, "account", account("jpy", CurrencyIsoCode="JPY"))
    assert failed(refused) == (e.Misconfigured, "INVALID_CURRENCY_ISO", "CurrencyIsoCode", "JPY")


def _invoice(number: str, **fields: Value) -> Write:
    return Write(number, fields=fields, unique=(KEY, f"1:{number}"))


def test_the_amounts_of_an_invoice_record_are_in_the_invoices_currency(other_org: Org) -> None:
    amount: dict[str, Value] = {"Total__c": Decimal("100.50"), "Invoice_Currency__c": "EUR"}
    outcome = one(other_org, "fortnox_invoice", _invoice("cur", **amount))
    assert (outcome.error, outcome.returned["Invoice_Currency__c"]) == (None, "EUR")
    assert other_org.record("Fortnox_Invoice__c", outcome.id)["CurrencyIsoCode"] == "EUR"
    assert one(other_org, "fortnox_invoice", _invoice("cur", Invoice_Currency__c="NOK")).error is None
    assert (
        one(other_org, "fortnox_invoice", Write("u", id=outcome.id, fields={"Invoice_Currency__c": None})).error is None
    )
    assert other_org.record("Fortnox_Invoice__c", outcome.id)["CurrencyIsoCode"] == "NOK"


def test_an_invoice_record_says_when_it_was_first_seen_booked_and_when_it_was_last_written(org: Org) -> None:
    made = one(org, "fortnox_invoice", _invoice("booked", Total__c=Decimal(100), Voucher__c=None))
    first = org.record("Fortnox_Invoice__c", made.id)
    assert first.get("Booked_At__c") is None and first["Fortnox_Synced_At__c"]
    assert one(org, "fortnox_invoice", _invoice("booked", Voucher__c="B12")).error is None
    booked = org.record("Fortnox_Invoice__c", made.id)
    assert booked["Booked_At__c"] and booked["Fortnox_Synced_At__c"] >= first["Fortnox_Synced_At__c"]
    paid = one(org, "fortnox_invoice", Write("p", id=made.id, fields={"Balance__c": Decimal(0)}))
    assert (paid.error, set(paid.returned)) == (None, {"Balance__c"})
    assert org.record("Fortnox_Invoice__c", made.id)["Booked_At__c"] == booked["Booked_At__c"]


def test_a_record_without_our_fields_for_moments_is_written_as_before(org: Org) -> None:
    org.set(hidden_fields=["Account.Fortnox_Synced_At__c"])
    org.objects.catalogue.forget(["Account"])
    assert org.record("Account", good(org, "nostamp")).get("Fortnox_Synced_At__c") is None


def test_an_invoice_record_in_a_currency_that_is_not_active_is_refused_until_it_is(other_org: Org) -> None:
    refused, passed = other_org.upsert(
        "fortnox_invoice", _invoice("chf", Invoice_Currency__c="CHF"), _invoice("sek", Invoice_Currency__c="SEK")
    )
    assert failed(refused) == (e.Misconfigured, "INVALID_CURRENCY_ISO", "CurrencyIsoCode", "CHF")
    assert passed.error is None, passed.error
    other_org.set(currencies=["SEK", "EUR", "NOK", "DKK", "USD", "GBP", "CHF"])
    assert one(other_org, "fortnox_invoice", _invoice("chf", Invoice_Currency__c="CHF")).error is None


def test_an_org_with_one_currency_keeps_an_invoice_record_in_another(org: Org) -> None:
    outcome = one(org, "fortnox_invoice", _invoice("eur", Invoice_Currency__c="EUR", Total__c=Decimal(100)))
    assert (outcome.error, outcome.returned["Invoice_Currency__c"]) == (None, "EUR")


# --- Trouble on the way ---------------------------------------------------------------------------------------


def test_a_used_up_allowance_stops_the_whole_work(org: Org) -> None:
    org.upsert("account", account("warm"))
    org.set(api_used=10**9)
    try:
        with pytest.raises(e.RateLimited) as raised:
            org.upsert("account", account("limit"))
    finally:
        org.set(api_used=0)
    assert (raised.value.code, raised.value.retry_after) == ("REQUEST_LIMIT_EXCEEDED", 900)


def test_a_lost_answer_to_an_upsert_may_be_repeated(org: Org, salesforce_sandbox: SandboxProcess) -> None:
    org.upsert("account", account("warm"))
    with _lost_answers(salesforce_sandbox, "PATCH", "/composite/sobjects/Account"):
        (lost,) = org.upsert("account", account("lost-upsert"))
    assert isinstance(lost.error, e.Transient)
    (again,) = org.upsert("account", account("lost-upsert"))
    assert (again.error, again.created) == (None, False)


def test_a_lost_answer_to_a_create_without_a_key_is_not_repeated(org: Org, salesforce_sandbox: SandboxProcess) -> None:
    org.upsert("account", account("warm"))
    with _lost_answers(salesforce_sandbox, "POST", "/sobjects/Account"):
        outcome = org.writer.create("account", Write("one", fields={"Name": "En enda AB"}))
    assert isinstance(outcome.error, e.OutcomeUnknown)
    assert len([row for row in org.records("Account") if row["Name"] == "En enda AB"]) == 1


def test_a_create_without_a_key_tells_its_id_and_what_was_kept(org: Org) -> None:
    with calls() as seen:
        outcome = org.writer.create("account", Write("c", fields={"Name": " Skapad AB "}))
    assert (outcome.error, outcome.created, outcome.returned) == (None, True, {"Name": "Skapad AB"})
    assert (seen["Account.create"], seen["Account.retrieve"]) == (1, 1)


def test_a_create_that_a_duplicate_rule_stops_names_the_record_that_is_there(org: Org) -> None:
    there = org.make("Account", Name="Redan AB")
    org.set(duplicates=[{"object": "Account", "fields": ["Name"], "action": "block"}])
    outcome = org.writer.create("account", Write("c", fields={"Name": "Redan AB"}))
    assert isinstance(outcome.error, e.Conflict)
    assert outcome.error.context["matches"] == [there]


def test_a_contact_hangs_on_its_account(org: Org) -> None:
    owner = good(org, "employer")
    outcome = one(org, "contact", Write("p", fields={"LastName": "Ek"}, unique=(KEY, "1:ek"), links={"account": owner}))
    assert outcome.error is None, outcome.error
    assert org.record("Contact", outcome.id)["AccountId"] == owner


def test_lines_are_not_written(org: Org) -> None:
    outcome = one(org, "opportunity", Write("o", id="006Fx00000AbCdE", lines=[]))
    assert failed(outcome)[:2] == (e.Misconfigured, "no_lines")


def test_a_deleted_line_item_is_missing(org: Org) -> None:
    (answer,) = batches.Batches(org.client).write(
        "OpportunityLineItem", "update", [{"id": "00kFx00000AbCdEIAV", "Quantity": 2}]
    )
    assert isinstance(answer, e.Missing)
    assert answer.record == "00kFx00000AbCdEIAV"


def test_an_id_that_is_none_concerns_its_own_write(org: Org) -> None:
    bad, good = org.upsert("account", Write("b", id="nonsense", fields={"Phone": "1"}), account("goodid"))
    assert failed(bad)[:2] == (e.InvalidData, "MALFORMED_ID")
    assert good.error is None


def test_an_org_without_lists_of_countries_is_not_described_again_for_them(org: Org) -> None:
    org.set(state_country_picklists=False)
    org.objects.catalogue.forget(["Account"])
    good(org, "nolist", BillingCountryCode="SE")
    with calls() as seen:
        good(org, "nolist", BillingCountryCode="NO", CurrencyIsoCode="SEK")
    assert "Account.describe" not in seen


# --- What a flow needs ----------------------------------------------------------------------------------------


def _needs(*names: str) -> Setup:
    return Setup(fields={"account": [{"name": name} for name in names], "fortnox_invoice": [{"name": KEY}]})


def test_fields_that_are_there_and_writable_need_nothing(org: Org) -> None:
    require(org.objects, _needs(KEY, "Fortnox_Email__c"))


def test_everything_that_is_missing_is_listed_with_what_to_do(org: Org) -> None:
    org.set(hidden_fields=["Account.Fortnox_Email__c"])
    with pytest.raises(e.Misconfigured) as missing:
        require(org.objects, _needs(KEY, "Fortnox_Email__c", "Nope__c", "IsDeleted"))
    assert missing.value.code == "package_missing"
    assert missing.value.value == "Account.Fortnox_Email__c, Account.Nope__c, Account.IsDeleted"
    assert "deploy the package" in missing.value.message


@contextmanager
def _lost_answers(salesforce_sandbox: SandboxProcess, method: str, path: str) -> Iterator[None]:
    """Inside, such calls are carried out, but their answers never arrive whole."""
    match = {"system": "salesforce", "method": method, "path_contains": path}
    salesforce_sandbox.control("POST", "/faults", {"profile": {"reset_mid_body": 1.0}, "seed": 1, "match": match})
    try:
        yield
    finally:
        salesforce_sandbox.control("POST", "/faults", {"profile": {}})
