"""Salesforce and Fortnox end to end: private people, and invoices of customers whose record is gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync.models import Change, Flow
from tests.end_to_end.deals import article
from tests.end_to_end.salesforce_world import SalesforceWorld

pytestmark = pytest.mark.django_db(transaction=True)

Org = Callable[..., SalesforceWorld]
DEALS = "opportunities-to-invoices"


def run(world: SalesforceWorld, *slugs: str) -> None:
    for slug in slugs:
        world.sync(slug)
        world.quiet(slug)


def settings(slug: str, **values: object) -> None:
    Flow.objects.filter(slug=slug).update(settings=values)


def test_a_private_customer_is_not_taken_for_a_contact_of_a_company(org: Org) -> None:
    world = org()
    firm = world.account()
    names = {"FirstName": "Eva", "LastName": "Lund", "MailingPostalCode": "75310"}
    employee = world.make("Contact", AccountId=firm, Email="eva.lund@privat.se", **names)
    alone = world.make("Contact", FirstName="Bo", LastName="Ek", Email="bo.ek@privat.se")
    world.edit("customers", "1", Name="Eva Lund", Type="PRIVATE", Email="eva.lund@privat.se", ZipCode="75310")
    world.edit("customers", "2", Name="Bo Ek", Type="PRIVATE", Email="bo.ek@privat.se")
    run(world, "customers-to-contacts")
    people = {row["id"]: row.get("Fortnox_Customer_Number__c") for row in world.records("Contact")}
    assert people.pop(employee) is None
    assert people.pop(alone) == "2"
    assert list(people.values()) == ["1"] and not Change.objects.filter(state="review").exists()


def test_a_person_account_gives_its_e_mail_and_gets_what_changes_in_fortnox(org: Org) -> None:
    world = org()
    world.set(person_accounts=True)
    person = next(row["id"] for row in world.records("RecordType") if row.get("IsPersonType"))
    key = world.make("Account", RecordTypeId=person, FirstName="Eva", LastName="Lund", PersonEmail="eva@lund.se")
    article(world, "A-1")
    world.opportunity(key, (world.entry("A-1"), 1, 55.0))
    settings(DEALS, automatic_from="2026-01-01", missing_customer="create", require_org_number=False)
    settings("accounts-to-customers", require_org_number=False)
    run(world, DEALS)
    (customer,) = world.fortnox("customers")
    assert (customer["Type"], customer["Email"]) == ("PRIVATE", "eva@lund.se")
    world.pass_time()
    world.edit("customers", customer["CustomerNumber"], City="Umeå", Email="eva@ny.se")
    run(world, "customers-to-accounts", "customers-to-contacts", "accounts-to-customers", "customers-to-accounts")
    account = world.record("Account", key)
    assert (account["BillingCity"], account["Fortnox_Email__c"], account["Name"]) == ("Umeå", "eva@ny.se", "Eva Lund")
    (customer,) = world.fortnox("customers")
    assert (customer["City"], customer["Email"]) == ("Umeå", "eva@ny.se")
    assert not Change.objects.filter(state="review").exists()


def test_an_invoice_of_an_account_that_was_deleted_is_still_kept_up_to_date(org: Org) -> None:
    world = org()
    article(world, "A-1")
    account = world.account()
    world.opportunity(account, (world.entry("A-1"), 1, 80.0))
    settings(DEALS, automatic_from="2026-01-01", missing_customer="create")
    run(world, DEALS, "customers-to-accounts", "invoices-to-records")
    (record,) = world.records("Fortnox_Invoice__c")
    assert record["Account__c"] == account
    for row in world.records("Opportunity"):
        world.remove("Opportunity", row["id"])
    world.remove("Account", account)
    world.pass_time()
    run(world, "accounts-to-customers")  # sees that it is gone
    (invoice,) = world.fortnox("invoices")
    number = invoice["DocumentNumber"]
    second = world.ask("fortnox", "POST", "/3/invoices", {"Invoice": {
        "CustomerNumber": invoice["CustomerNumber"],
        "InvoiceRows": [{"ArticleNumber": "A-1", "DeliveredQuantity": 1, "Price": 10}]}})  # fmt: skip
    world.ask("fortnox", "PUT", f"/3/invoices/{number}/bookkeep")
    run(world, "invoices-to-records")
    records = {row["Name"]: row for row in world.records("Fortnox_Invoice__c")}
    assert set(records) == {number, second["Invoice"]["DocumentNumber"]}
    assert records[number]["Status__c"] == "Booked"
    assert records[second["Invoice"]["DocumentNumber"]].get("Account__c") is None
    before = Change.objects.count()
    world.sync("invoices-to-records", full=True)
    world.quiet("invoices-to-records")
    assert Change.objects.count() == before  # the account that is not named any more is no difference
