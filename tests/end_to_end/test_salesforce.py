"""A Salesforce org and a Fortnox company, end to end over real HTTP: every flow that the presets offer."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from sync.models import Change, EntityLink, Flow
from tests.end_to_end.deals import article
from tests.end_to_end.salesforce_world import SalesforceWorld

pytestmark = pytest.mark.django_db(transaction=True)

Org = Callable[..., SalesforceWorld]


def test_customers_become_accounts_and_contacts_and_nothing_comes_back(org: Org) -> None:
    world = org(customers=25)
    world.sync("customers-to-accounts")
    world.sync("customers-to-contacts")
    customers = world.fortnox("customers")
    companies = [row for row in customers if row["Type"] != "PRIVATE"]
    accounts = {row["Fortnox_Customer_Number__c"]: row for row in world.records("Account")}
    # Customers of one organisation number wait for a person.
    waiting = Change.objects.filter(state="review")
    assert set(waiting.values_list("error_code", flat=True)) <= {"taken"}
    companies = [row for row in companies if not waiting.filter(source_id=row["CustomerNumber"]).exists()]
    assert set(accounts) == {row["CustomerNumber"] for row in companies}
    for row in companies:
        assert accounts[row["CustomerNumber"]]["Name"] == row["Name"]
    people = {row["Fortnox_Customer_Number__c"] for row in world.records("Contact")}
    assert people == {row["CustomerNumber"] for row in customers if row["Type"] == "PRIVATE"}
    mark = world.mark()
    world.sync("accounts-to-customers")
    world.sync("contacts-to-customers")
    assert not [path for path in world.calls(mark) if "fortnox" in path and "PUT" in path]
    assert not Change.objects.exclude(state__in=["applied", "skipped", "review"]).exists()
    assert world.fortnox("customers") == customers


def test_articles_become_products_with_a_standard_price(org: Org) -> None:
    world = org(articles=12)
    world.sync("articles-to-products")
    assert not Change.objects.exclude(state="applied").exists(), list(
        Change.objects.exclude(state="applied").values_list("error_code", "error_message", "error_field")
    )
    articles = {row["ArticleNumber"]: row for row in world.fortnox("articles")}
    products = {row["ProductCode"]: row for row in world.records("Product2") if row.get("ProductCode")}
    assert set(products) == set(articles)
    assert world.records("PricebookEntry")


def test_a_won_opportunity_becomes_one_invoice_whose_state_comes_back(org: Org) -> None:
    world = org()
    article(world, "A-1")
    account = world.account()
    deal = world.opportunity(account, (world.entry("A-1"), 2, 150.0))
    Flow.objects.filter(slug="opportunities-to-invoices").update(
        settings={"automatic_from": "2026-01-01", "missing_customer": "create"}
    )
    world.sync("opportunities-to-invoices")
    world.quiet("opportunities-to-invoices")
    assert not Change.objects.filter(state="review").exists()
    (invoice,) = world.fortnox("invoices")
    world.quiet("invoice-status-to-opportunities")
    world.quiet("customer-numbers-to-accounts")
    row = world.record("Opportunity", deal)
    assert row["Fortnox_Invoice_Number__c"] == invoice["DocumentNumber"]
    assert (row["Fortnox_Status__c"], row["Fortnox_Net__c"], row["Fortnox_Total__c"]) == (
        "Unbooked",
        "300.00",
        "375.00",
    )
    assert world.record("Account", account)["Fortnox_Customer_Number__c"] == invoice["CustomerNumber"]
    assert EntityLink.objects.get(ledger_object="invoice", crm_object="opportunity").crm_id == deal


def run(world: Any, *slugs: str) -> None:
    for slug in slugs:
        world.sync(slug)
        world.quiet(slug)


def test_an_activated_order_becomes_an_invoice(org: Org) -> None:
    world = org()
    article(world, "A-1")
    account = world.account()
    entry = world.entry("A-1")
    order = world.make("Order", AccountId=account, EffectiveDate="2026-11-20", Status="Draft",
                       Pricebook2Id=world.standard_book, PoNumber="PO-77")  # fmt: skip
    world.make("OrderItem", OrderId=order, PricebookEntryId=entry, Quantity=3, UnitPrice=99.5)
    world.change("Order", order, Status="Activated")
    Flow.objects.filter(slug="orders-to-invoices").update(
        settings={"automatic_from": "2026-01-01", "missing_customer": "create"}
    )
    run(world, "orders-to-invoices", "invoice-status-to-orders")
    (invoice,) = world.fortnox("invoices")
    assert (invoice["YourOrderNumber"], invoice["Net"]) == ("PO-77", 298.5)
    assert world.record("Order", order)["Fortnox_Invoice_Number__c"] == invoice["DocumentNumber"]


def test_every_invoice_becomes_a_record_on_its_account_also_those_made_by_hand(org: Org) -> None:
    world = org(customers=6, articles=5, invoices=12)
    run(world, "customers-to-accounts", "customers-to-contacts", "invoices-to-records")
    invoices = {row["DocumentNumber"]: row for row in world.fortnox("invoices")}
    records = {row["Name"]: row for row in world.records("Fortnox_Invoice__c")}
    assert set(records) == set(invoices), list(
        Change.objects.exclude(state="applied").values_list("state", "error_code", "error_message", "error_field")
    )
    by_number = {row["Fortnox_Customer_Number__c"]: row["id"] for row in world.records("Account")}
    for number, row in records.items():
        assert Decimal(row["Total__c"]) == Decimal(str(invoices[number]["Total"]))
        assert row["Account__c"] == by_number.get(invoices[number]["CustomerNumber"])


def test_an_opportunity_points_at_its_invoice_record_whichever_was_written_first(org: Org) -> None:
    world = org()
    article(world, "A-1")
    deal = world.opportunity(world.account(), (world.entry("A-1"), 1, 80.0))
    Flow.objects.filter(slug="opportunities-to-invoices").update(
        settings={"automatic_from": "2026-01-01", "missing_customer": "create"}
    )
    run(world, "opportunities-to-invoices", "invoice-status-to-opportunities")
    run(world, "invoices-to-records")
    world.quiet("invoice-status-to-opportunities")
    (record,) = world.records("Fortnox_Invoice__c")
    assert world.record("Opportunity", deal)["Fortnox_Invoice__c"] == record["id"]
    assert record["Opportunity__c"] == deal
