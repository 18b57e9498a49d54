"""The orgs at the start of the world: what is there, how much of it, and the same each time."""

from __future__ import annotations

from typing import Any

from sandbox.core.names import business
from sandbox.core.world import Sizes, World
from sandbox.salesforce.emulator import Salesforce
from sandbox.salesforce.org import Org

from .salesforce_orgs import Orgs


def content(org: Org) -> dict[str, list[dict[str, Any]]]:
    """Everything but moments, which follow the clock."""
    left_out = ("Date", "Modstamp")
    return {
        name: [{key: value for key, value in row.values.items() if not key.endswith(left_out)} for row in rows.values()]
        for name, rows in org.rows.items()
    }


def test_an_org_has_everything_an_invoice_needs() -> None:
    orgs = Orgs(accounts=40)
    lines = orgs.query("SELECT Product2.ProductCode, Opportunity.Account.Name, TotalPrice FROM OpportunityLineItem")
    assert lines and all(line["Opportunity"]["Account"]["Name"] for line in lines)
    assert orgs.query("SELECT Id FROM Order WHERE StatusCode = 'Activated'")
    orders = orgs.query("SELECT Id, (SELECT Price__c FROM Service_Order_Lines__r) FROM Service_Order__c")
    assert all(order["Service_Order_Lines__r"]["totalSize"] for order in orders)
    assert {row["Name"] for row in orgs.query("SELECT Name FROM Pricebook2")} >= {"Sweden", "Norway"}
    users = orgs.query("SELECT Username, IsActive FROM User")
    assert [user["IsActive"] for user in users].count(False) == 1


def test_accounts_are_the_businesses_of_the_other_emulators() -> None:
    orgs = Orgs(accounts=10, seed=3)
    rows = orgs.query("SELECT Organization_Number__c, Name FROM Account ORDER BY CreatedDate")
    numbers = [(row["Organization_Number__c"] or "").replace("-", "") for row in rows]
    known = [business(3, n).organisation_number.replace("-", "") for n in range(10)]
    assert [a for a, b in zip(numbers, known, strict=True) if a and a == b] == [n for n in numbers if n]
    assert "" in numbers


def test_the_second_org_has_currencies_and_people() -> None:
    orgs = Orgs(accounts=40)
    token = orgs.token_of(orgs.second.integration, orgs.second)
    assert orgs.query("SELECT IsoCode FROM CurrencyType", token=token)
    people = orgs.query("SELECT PersonEmail, CurrencyIsoCode FROM Account WHERE IsPersonAccount = true", token=token)
    assert people and all(person["PersonEmail"] for person in people)


def test_sizes_are_obeyed() -> None:
    world = World({"salesforce": Salesforce}, sizes=Sizes(accounts=30, deals=12))
    emulator = world.emulators["salesforce"]
    assert isinstance(emulator, Salesforce)
    org = next(iter(emulator.tenants.values())).org
    assert len(org.rows["Account"]) == 30
    assert sum(row.values["Name"].startswith("Order ") for row in org.rows["Opportunity"].values()) == 12
    empty = World({"salesforce": Salesforce}, sizes=Sizes(empty=True)).emulators["salesforce"]
    assert isinstance(empty, Salesforce)
    assert not next(iter(empty.tenants.values())).org.rows["Account"]


def test_the_same_seed_makes_the_same_orgs() -> None:
    one, other = Orgs(accounts=40, seed=5), Orgs(accounts=40, seed=5)
    assert content(one.main.org) == content(other.main.org)
    assert content(one.second.org) == content(other.second.org)
    assert content(Orgs(accounts=40, seed=6).main.org) != content(one.main.org)
