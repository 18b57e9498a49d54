"""The people of the demonstration's Salesforce org, who work through the sandbox's control interface and its pages."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import requests

from config.demo.visitor import Visitor

SELLER = "anna.aberg"
Raw = dict[str, Any]


class Org:
    """The sandbox's first org. Every call raises `requests.HTTPError` when the sandbox refuses it."""

    def __init__(self, host: str) -> None:
        self.host = host

    @cached_property
    def app(self) -> Raw:
        """The org's id under `account`, with the consumer key and secret of its app for us."""
        return next(account for account in self._accounts() if account["system"] == "salesforce")

    @cached_property
    def company(self) -> str:
        """The Fortnox company that is not connected to the other CRM."""
        return [str(account["account"]) for account in self._accounts() if account["system"] == "fortnox"][1]

    @property
    def id(self) -> str:
        """The org's id, 18 characters."""
        return str(self.app["account"])

    @property
    def address(self) -> str:
        """Where the org signs in: its own address."""
        return f"{self.host}/salesforce/my/nordkraft"

    def records(self, remote: str) -> list[Raw]:
        """Every live record of one object, raw."""
        rows = self._ask("GET", f"/state/salesforce/{self.id}/{remote}")["records"]
        return [row for row in rows if not row.get("deleted")]

    def record(self, remote: str, key: str) -> Raw:
        """One raw record. Raises `LookupError` when it is gone."""
        found = next((row for row in self.records(remote) if row["id"] == key), None)
        if found is None:
            raise LookupError(f"{remote} {key} is not in the org")
        return found

    def page(self, remote: str, key: str) -> str:
        """The address of a record's page, as the salesperson sees it."""
        return f"{self.host}/salesforce/ui/{self.id}/lightning/r/{remote}/{key}/view"

    def close_as_won(self, key: str) -> None:
        """The salesperson opens the opportunity and presses the button."""
        browser = Visitor()
        browser.open(self.page("Opportunity", key))
        browser.submit(click="Close as won")

    def admit_sellers(self) -> None:
        """The administrator gives those who sell the permission set by which they see our fields."""
        (wanted,) = (row["id"] for row in self.records("PermissionSet") if row["Name"] == "Fortnox_User")
        for user in self.records("User"):
            if user["Username"].startswith(SELLER):
                self._save("PermissionSetAssignment", AssigneeId=user["id"], PermissionSetId=wanted)

    def copy_organisation_numbers(self) -> int:
        """The administrator loads the numbers that the org kept in a field of its own into ours; how many."""
        rows = [row for row in self.records("Account") if row.get("Organization_Number__c")]
        for row in rows:
            self._save("Account", row["id"], Fortnox_Organisation_Number__c=row["Organization_Number__c"])
        return len(rows)

    def place_card(self, address: str) -> None:
        """The administrator enters the card's address in the app's canvas settings."""
        self._ask("POST", "/settings", {"salesforce": {self.id: {"canvas_url": address}}})

    def _save(self, remote: str, key: str = "", **fields: Any) -> None:
        self._ask("POST", f"/records/salesforce/{self.id}/{remote}" + (f"/{key}" if key else ""), {"fields": fields})

    def _accounts(self) -> list[Raw]:
        accounts: list[Raw] = self._ask("GET", "/accounts")["accounts"]
        return accounts

    def _ask(self, method: str, path: str, body: Any = None) -> Raw:
        answer = requests.request(method, f"{self.host}/control{path}", json=body, timeout=30)
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:300]}", response=answer)
        found: Raw = answer.json()
        return found
