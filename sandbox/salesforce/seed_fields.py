"""The customer's own fields and objects, in use for years and therefore visible to everybody."""

from __future__ import annotations

from typing import Any

from .fields import custom_object
from .org import Org
from .schema import Choice, FieldDef


def field(name: str, label: str, kind: str = "string", **more: Any) -> FieldDef:
    """A custom field."""
    return FieldDef(name, label, kind, custom=True, **more)


def choices(*values: str) -> dict[str, Any]:
    """A restricted picklist with these values."""
    return {"length": 255, "restricted": True, "choices": tuple(Choice(value) for value in values)}


ACCOUNT = (
    ("Organization_Number__c", "Organisationsnummer", "string", {"length": 20}),
    ("VAT_Number__c", "VAT-nummer", "string", {"length": 20}),
    ("Region__c", "Region", "picklist", choices("North", "South", "West")),
    ("Legal_Entity__c", "Juridisk person", "picklist", choices("Nordkraft Sverige AB", "Nordkraft Norge AS")),
    ("Payment_Terms__c", "Betalningsvillkor (dagar)", "picklist", choices("10", "15", "20", "30", "45", "60", "90")),
)
STATUSES = choices("Draft", "Confirmed", "Delivered", "Invoiced", "Cancelled")
ORDER: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("Order_Date__c", "Orderdatum", "date", {}),
    ("Currency__c", "Valuta", "picklist", choices("SEK", "NOK", "EUR")),
    ("Status__c", "Status", "picklist", STATUSES),
)
LINE = (
    ("Product_Code__c", "Artikel", "string", {"length": 80}),
    ("Text__c", "Text", "string", {"length": 255}),
    ("Quantity__c", "Antal", "double", {"precision": 16, "scale": 2}),
    ("Price__c", "Pris", "currency", {"precision": 16, "scale": 2}),
    ("Discount__c", "Rabatt %", "percent", {"precision": 5, "scale": 2}),
)


def customer_fields(org: Org) -> None:
    """Fields of Account, and the object Service_Order__c with its lines."""
    for name, label, kind, more in ACCOUNT:
        org.add_field("Account", field(name, label, kind, **more), granted=True)
    org.add_object(custom_object("Service_Order__c", "Serviceorder", "Serviceorder", auto_number="SO-{00000}"))
    org.add_object(
        custom_object("Service_Order_Line__c", "Serviceorderrad", "Serviceorderrader", auto_number="SOL-{00000}")
    )
    org.add_field("Service_Order__c", _lookup("Account__c", "Konto", "Account", "Service_Orders__r"), granted=True)
    for name, label, kind, more in ORDER:
        org.add_field("Service_Order__c", field(name, label, kind, **more), granted=True)
    parent = _lookup("Service_Order__c", "Serviceorder", "Service_Order__c", "Service_Order_Lines__r")
    parent.on_delete = "Cascade"
    org.add_field("Service_Order_Line__c", parent, granted=True)
    for name, label, kind, more in LINE:
        org.add_field("Service_Order_Line__c", field(name, label, kind, **more), granted=True)


def _lookup(name: str, label: str, target: str, child_name: str) -> FieldDef:
    relationship = name.removesuffix("__c") + "__r"
    return field(
        name, label, "reference", length=18, reference_to=(target,), relationship=relationship, child_name=child_name
    )
