"""A world whose CRM is a Salesforce org with our package in it; its people work through the sandbox's control calls."""

from __future__ import annotations

from collections import Counter
from typing import Any

from integrations.salesforce.deploy import Administrator
from integrations.salesforce.described import clear_cache
from tests.end_to_end.world import Raw, World
from tests.integrations.salesforce_org import deploy

ORG_NUMBERS = ("5560360793", "5567037485", "5590401237", "5560125790", "5565475489")


class SalesforceWorld(World):
    """See the module's docstring."""

    CRM = "salesforce"

    def furnish(self) -> None:
        """The package is deployed and its permission set assigned; the org's currency is known."""
        clear_cache()
        deploy(self.sandbox)
        token = self.sandbox.control("POST", "/token", {"system": "salesforce"})["access_token"]
        administrator = Administrator(self.crm.api_url, token)
        for person in self.ask("salesforce", "GET", "/services/data/v67.0/query/?q=SELECT+Id+FROM+User")["records"]:
            administrator.assign(["Fortnox_User", "Fortnox_User_Orders"], person["Id"])
        self.set(user_may_deploy=False)
        self.crm.details = {"currency": "SEK", "multi_currency": False}
        self.crm.save(update_fields=["details"])

    def set(self, **values: Any) -> None:
        """Change the org's features, rules and locks."""
        self.sandbox.control("POST", "/settings", {"salesforce": {self.crm.remote_id: values}})

    # --- People in the org ------------------------------------------------------------------------------------

    def records(self, remote: str) -> list[Raw]:
        """Every live record of one object, raw."""
        rows = self.sandbox.control("GET", f"/state/salesforce/{self.crm.remote_id}/{remote}")["records"]
        return [row for row in rows if not row.get("IsDeleted") and not row.get("deleted")]

    def record(self, remote: str, key: str) -> Raw:
        """One raw record."""
        return next(row for row in self.records(remote) if row["id"] == key)

    def make(self, remote: str, **fields: Any) -> str:
        """The id of a record that a salesperson makes."""
        path = f"/records/salesforce/{self.crm.remote_id}/{remote}"
        return str(self.sandbox.control("POST", path, {"fields": fields})["record"]["id"])

    def change(self, remote: str, key: str, **fields: Any) -> None:
        """What a salesperson does on a record's page."""
        path = f"/records/salesforce/{self.crm.remote_id}/{remote}/{key}"
        self.sandbox.control("POST", path, {"fields": fields})

    def remove(self, remote: str, key: str) -> None:
        """Into the recycle bin."""
        self.sandbox.control("DELETE", f"/records/salesforce/{self.crm.remote_id}/{remote}/{key}")

    def account(self, name: str = "Nordisk Handel AB", number: str = ORG_NUMBERS[0], **more: Any) -> str:
        """An account with an organisation number; returns its id."""
        given = {"Name": name, "Fortnox_Organisation_Number__c": number, "BillingCity": "Uppsala"} | more
        return self.make("Account", **given)

    def entry(self, code: str, price: float = 100.0) -> str:
        """A product with a code and its entry in the standard price book; returns the entry's id."""
        product = self.make("Product2", Name=f"Artikel {code}", ProductCode=code, IsActive=True)
        return self.make("PricebookEntry", Pricebook2Id=self.standard_book, Product2Id=product, UnitPrice=price,
                         IsActive=True)  # fmt: skip

    @property
    def standard_book(self) -> str:
        """The id of the standard price book."""
        return next(str(row["id"]) for row in self.records("Pricebook2") if row.get("IsStandard"))

    def opportunity(self, account: str, *lines: tuple[str, float, float], won: bool = True, **more: Any) -> str:
        """An opportunity with lines of (price book entry, quantity, price); returns its id."""
        given = {"Name": "Affär", "StageName": "Prospecting", "CloseDate": "2026-11-20", "AccountId": account} | more
        key = self.make("Opportunity", **given, Pricebook2Id=self.standard_book)
        for entry, quantity, price in lines:
            self.make(
                "OpportunityLineItem", OpportunityId=key, PricebookEntryId=entry, Quantity=quantity, UnitPrice=price
            )
        if won:
            self.change("Opportunity", key, StageName="Closed Won")
        return key

    # --- What it cost -----------------------------------------------------------------------------------------

    def paths(self, since: int) -> Counter[str]:
        """The calls to Salesforce after a mark, by method and path without ids."""
        rows = self.sandbox.control("GET", f"/requests?since={since}")["requests"]
        return Counter(
            f"{row['method']} {row['path'].split('/v67.0/')[-1].split('/01g')[0]}"
            for row in rows
            if row["system"] == "salesforce"
        )
