"""Our names for Salesforce's objects: which object each one is, what it points at, and where its lines are.

Field names stay Salesforce's own. An object that a customer made is described by a custom source of the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from integrations.errors import Misconfigured
from integrations.models import ConnectedAccount, CustomSource

LINE = "line"
PRODUCT = "Product2"
PRODUCT_FIELD = "Product2_"
"""What stands before a field of the product that a line sells: `line.Product2_ProductCode`."""
ROLES = "OpportunityContactRoles"
PRICES = "PricebookEntries"


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of an object: the child relationship that lists them, their object ("" is looked up)."""

    relationship: str
    object: str = ""
    order: tuple[str, ...] = ()  # by the first of these that there is, then by id


@dataclass(frozen=True, slots=True)
class Layout:
    """One object of ours. `parts` are the fields that point at another record, by the name that expressions use."""

    name: str
    remote: str
    label: str
    parts: Mapping[str, str] = field(default_factory=dict)
    lines: Lines | None = None


KNOWN: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("account", "Account", "Account", {"parent": "ParentId", "owner": "OwnerId"}),
        Layout("contact", "Contact", "Contact", {"account": "AccountId", "owner": "OwnerId"}),
        Layout(
            "opportunity",
            "Opportunity",
            "Opportunity",
            # The contact to be named is the primary contact role: the relationship stands in the field's place.
            {"account": "AccountId", "contact": ROLES, "owner": "OwnerId", "pricebook": "Pricebook2Id"},
            Lines("OpportunityLineItems", "OpportunityLineItem", ("SortOrder", "CreatedDate")),
        ),
        Layout(
            "order",
            "Order",
            "Order",
            {
                "account": "AccountId",
                "contact": "BillToContactId",
                "owner": "OwnerId",
                "opportunity": "OpportunityId",
                "pricebook": "Pricebook2Id",
            },
            Lines("OrderItems", "OrderItem", ("OrderItemNumber", "CreatedDate")),
        ),
        Layout("product", PRODUCT, "Product"),
        Layout("fortnox_invoice", "Fortnox_Invoice__c", "Fortnox invoice", {"account": "Account__c"}),
    )
}
OWNERS: Mapping[str, str] = {"opportunity_line": "opportunity", "order_line": "order"}
"""Objects that exist only as lines, as events name them."""


def layouts_of(account: ConnectedAccount) -> dict[str, Layout]:
    """The objects of one org: those that every org has, and the customer's own."""
    own = {source.name: layout_from(source) for source in account.custom_sources.all()}
    return own | dict(KNOWN)


def layout_from(source: CustomSource) -> Layout:
    """The layout of a customer's own object."""
    lines = Lines(source.line_relationship, source.line_object, ("SortOrder__c", "CreatedDate"))
    return Layout(
        source.name,
        source.remote_object,
        source.label or source.name,
        {str(part): str(reference) for part, reference in (source.parts or {}).items()},
        lines if source.line_relationship else None,
    )


def layout_of(layouts: Mapping[str, Layout], name: str) -> Layout:
    """The layout of an object of ours. Raises `Misconfigured` for a name that we do not know."""
    try:
        return layouts[name]
    except KeyError:
        raise Misconfigured(f"Salesforce has no object {name!r} here", code="unknown_object") from None
