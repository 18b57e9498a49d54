"""An org with products, prices and the customer's fields, and short ways to write to it, for tests of its rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox.salesforce import dml
from sandbox.salesforce.call import Answer
from sandbox.salesforce.errors import SfError
from sandbox.salesforce.fields import custom_object
from sandbox.salesforce.schema import Choice, FieldDef
from sandbox.salesforce.table import Row

from .salesforce_desk import Desk

PAYLOADS = Path(__file__).parent / "payloads" / "salesforce"
STATUSES = ("Draft", "Booked", "Sent", "Overdue", "Partially Paid", "Paid", "Credited", "Cancelled")
LINK = {"length": 64, "external_id": True, "unique": True, "custom": True}


def payload(name: str) -> Any:
    """A known request or answer."""
    return json.loads((PAYLOADS / f"{name}.json").read_text())


class Office(Desk):
    """A desk whose org has the linking fields of an integration and the invoice object."""

    def __init__(self, **options: bool) -> None:
        super().__init__(**options)
        self.number_field()
        self.number_field("Product2", "Fortnox_Article_Number__c")

    def invoice_object(self) -> None:
        """Fortnox_Invoice__c, as the integration installs it."""
        name = "Fortnox_Invoice__c"
        self.org.add_object(custom_object(name, "Fortnox Invoice", "Fortnox Invoices", name_label="Invoice Number"))
        invoices = {"relationship": "Account__r", "child_name": "Fortnox_Invoices__r"}
        choices = tuple(Choice(status, default=status == "Draft") for status in STATUSES)
        money: dict[str, Any] = {"precision": 18, "scale": 2, "custom": True}
        for field in (
            FieldDef("Fortnox_Key__c", "Fortnox Key", "string", **{**LINK, "length": 80}),
            FieldDef("Account__c", "Account", "reference", 18, reference_to=("Account",), custom=True, **invoices),
            FieldDef("Status__c", "Status", "picklist", 255, choices=choices, restricted=True, custom=True),
            FieldDef("Invoice_Date__c", "Invoice Date", "date", custom=True),
            FieldDef("Due_Date__c", "Due Date", "date", custom=True),
            FieldDef("Paid_Date__c", "Paid Date", "date", custom=True),
            FieldDef("Total__c", "Total", "currency", **money),
            FieldDef("Balance__c", "Balance", "currency", **money),
        ):
            self.org.add_field(name, field, granted=True)
        lookup = FieldDef("Fortnox_Invoice__c", "Fortnox Invoice", "reference", 18, reference_to=(name,), custom=True)
        lookup.relationship = "Fortnox_Invoice__r"
        self.org.add_field("Opportunity", lookup, granted=True)
        for text, length in (("Fortnox_Invoice_Number__c", 20), ("Fortnox_Sync_Status__c", 255)):
            self.org.add_field("Opportunity", FieldDef(text, text, "string", length, custom=True), granted=True)

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """The answer, be it a refusal."""
        try:
            return self.call(method, path, body, **more)
        except SfError as error:
            return Answer(error.status, error.body())

    def create(self, object_name: str, **values: Any) -> str:
        """A record made through the interface; its id."""
        return str(self.call("POST", f"/sobjects/{object_name}", values).body["id"])

    def change(self, record_id: str, **values: Any) -> None:
        """An update through the interface."""
        row = self.row(record_id)
        self.call("PATCH", f"/sobjects/{row.object}/{record_id}", values)

    def row(self, record_id: str) -> Row:
        """The row as it is stored."""
        row = self.org.any_row(record_id)
        assert row is not None
        return row

    def get(self, record_id: str, *names: str) -> Any:
        """Field values as the interface shows them; one name gives the bare value."""
        shown = self.call("GET", f"/sobjects/{self.row(record_id).object}/{record_id}").body
        return shown[names[0]] if len(names) == 1 else tuple(shown[name] for name in names)

    def refused(self, object_name: str, **values: Any) -> tuple[str, list[str]]:
        """(code, fields) of a create that must fail."""
        answer = self.send("POST", f"/sobjects/{object_name}", values)
        assert answer.status == 400, answer
        return answer.body[0]["errorCode"], answer.body[0].get("fields", [])

    def not_changed(self, record_id: str, **values: Any) -> tuple[str, list[str]]:
        """(code, fields) of an update that must fail."""
        answer = self.send("PATCH", f"/sobjects/{self.row(record_id).object}/{record_id}", values)
        assert answer.status == 400, answer
        return answer.body[0]["errorCode"], answer.body[0].get("fields", [])

    @property
    def standard_book(self) -> str:
        """The id of the standard price book."""
        return next(row.id for row in self.org.rows["Pricebook2"].values() if row.values["IsStandard"])

    def price(self, amount: float = 1000, name: str = "Montörtimme", **values: Any) -> str:
        """A product with a standard price; the entry's id."""
        product = self.create("Product2", Name=name, ProductCode="TIM-MONT", IsActive=True)
        return self.create(
            "PricebookEntry",
            **{
                "Pricebook2Id": self.standard_book,
                "Product2Id": product,
                "UnitPrice": amount,
                "IsActive": True,
                **values,
            },
        )

    def deal(self, **values: Any) -> str:
        """An opportunity."""
        return self.create(
            "Opportunity",
            **{"Name": "Vinterunderhåll", "StageName": "Prospecting", "CloseDate": "2026-11-20", **values},
        )

    def order(self, **values: Any) -> str:
        """A draft order of a new account."""
        fixed = {"EffectiveDate": "2026-11-15", "Status": "Draft", "Pricebook2Id": self.standard_book}
        return self.create("Order", AccountId=self.create("Account", Name="A"), **fixed, **values)

    def as_org(self, object_name: str, **values: Any) -> Row:
        """A record made by the org itself, past rights and rules."""
        return dml.insert(self.org, None, object_name, values)
