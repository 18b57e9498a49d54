"""Salesforce and Fortnox end to end: what must not happen to money, customers and records that nobody meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync.models import Flow
from tests.end_to_end.deals import article
from tests.end_to_end.salesforce_world import ORG_NUMBERS, SalesforceWorld

pytestmark = pytest.mark.django_db(transaction=True)

Org = Callable[..., SalesforceWorld]
DEALS = "opportunities-to-invoices"


def run(world: SalesforceWorld, *slugs: str) -> None:
    for slug in slugs:
        world.sync(slug)
        world.quiet(slug)


def settings(slug: str = DEALS, **values: object) -> None:
    Flow.objects.filter(slug=slug).update(settings={"missing_customer": "create"} | values)


def test_a_customer_number_of_another_company_names_no_customer_here(org: Org) -> None:
    """One org, two companies: the account carries the number that it has in the other one."""
    world = org()
    article(world, "A-1")
    world.edit("customers", "7", CustomerNumber="7", Name="Helt Annan AB", OrganisationNumber="556703-7485")
    account = world.account()
    stamp = {"Fortnox_Key__c": "999999:7", "Fortnox_Customer_Number__c": "7", "Fortnox_Company__c": "Bolag två"}
    world.ask("salesforce", "PATCH", "/services/data/v67.0/composite/sobjects", {
        "allOrNone": True, "records": [{"attributes": {"type": "Account"}, "id": account, **stamp}]})  # fmt: skip
    assert world.record("Account", account)["Fortnox_Key__c"] == "999999:7"
    world.opportunity(account, (world.entry("A-1"), 3, 70.0))
    settings(automatic_from="2026-01-01")
    run(world, DEALS)
    numbers = {row["CustomerNumber"]: row["Name"] for row in world.fortnox("customers")}
    assert [numbers[row["CustomerNumber"]] for row in world.fortnox("invoices")] == ["Nordisk Handel AB"]


def test_a_day_that_was_mistyped_and_corrected_invoices_nothing_from_before_it(org: Org) -> None:
    world = org()
    article(world, "A-1")
    account = world.account()
    entry = world.entry("A-1")
    world.opportunity(account, (entry, 1, 40.0), Name="Gammal", CloseDate="2024-03-05")
    settings(automatic_from="1/11 2026")
    run(world, DEALS)
    settings(automatic_from="2026-11-01")
    run(world, DEALS, DEALS)
    assert world.fortnox("invoices") == []


def test_a_clone_of_a_sent_opportunity_is_not_sent_by_itself(org: Org) -> None:
    """A clone carries over every field that its owner may edit, the status among them."""
    world = org()
    article(world, "A-1")
    account = world.account()
    world.opportunity(account, (world.entry("A-1"), 1, 55.0), Name="Klon", Fortnox_Sync_Status__c="Synced")
    settings()
    run(world, DEALS, DEALS)
    assert world.fortnox("invoices") == []


def test_a_credit_and_its_original_point_at_each_other(org: Org) -> None:
    world = org(customers=2, articles=2)
    run(world, "customers-to-accounts", "customers-to-contacts")
    customer = world.fortnox("customers")[0]["CustomerNumber"]
    number = world.fortnox("articles")[0]["ArticleNumber"]
    rows = [{"ArticleNumber": number, "DeliveredQuantity": 1, "Price": 100}]
    made = world.ask("fortnox", "POST", "/3/invoices", {"Invoice": {"CustomerNumber": customer, "InvoiceRows": rows}})
    original = made["Invoice"]["DocumentNumber"]
    world.ask("fortnox", "PUT", f"/3/invoices/{original}/bookkeep")
    world.ask("fortnox", "PUT", f"/3/invoices/{original}/credit")
    run(world, "invoices-to-records", "invoices-to-records")
    world.pass_time()
    run(world, "invoices-to-records")
    records = {row["Name"]: row for row in world.records("Fortnox_Invoice__c")}
    (credit,) = set(records) - {original}
    assert records[credit].get("Credit_Of__c") == records[original]["id"]
    assert records[original].get("Credited_By__c") == records[credit]["id"]


def test_a_person_account_is_not_made_a_contact_a_second_time(org: Org) -> None:
    world = org()
    world.set(person_accounts=True)
    kinds = world.records("RecordType")
    person = next(row["id"] for row in kinds if row.get("IsPersonType"))
    key = world.make("Account", RecordTypeId=person, FirstName="Eva", LastName="Lund", BillingCity="Umeå")
    article(world, "A-1")
    world.opportunity(key, (world.entry("A-1"), 1, 55.0))
    settings(automatic_from="2026-01-01", require_org_number=False)
    settings("accounts-to-customers", require_org_number=False)
    run(world, DEALS)
    assert [row["Type"] for row in world.fortnox("customers")] == ["PRIVATE"]
    before = len(world.records("Contact"))
    run(world, "customers-to-accounts", "customers-to-contacts")
    assert len(world.records("Contact")) == before


def test_without_picklists_of_countries_customers_flow_both_ways(org: Org) -> None:
    world = org(customers=3)
    world.set(state_country_picklists=False)
    article(world, "A-1")
    run(world, "customers-to-accounts")
    account = world.account("Ny AB", ORG_NUMBERS[1], BillingCountry="Sverige")
    world.opportunity(account, (world.entry("A-1"), 3, 70.0))
    settings(automatic_from="2026-01-01")
    run(world, DEALS)
    assert len(world.fortnox("invoices")) == 1
    customer = next(row for row in world.fortnox("customers") if row["Name"] == "Ny AB")
    assert customer["CountryCode"] == "SE"
    world.edit("customers", customer["CustomerNumber"], CountryCode="NO", City="Oslo")
    run(world, "customers-to-accounts", "accounts-to-customers")
    row = world.record("Account", account)
    assert (row["BillingCountry"], row["BillingCity"]) == ("NO", "Oslo")
