"""Products, prices, opportunity lines and orders (types and lengths: Salesforce field reference v67)."""

from __future__ import annotations

from .fields import (
    address,
    area,
    currency_field,
    day,
    flag,
    moment,
    money,
    needed,
    number,
    once,
    owner,
    picklist,
    record_type,
    reference,
    shown,
    table_of,
    text,
    whole,
)
from .schema import Choice, ObjectDef

ORDERS = {"when": "orders_enabled"}
ORDER_STATUSES = (Choice("Draft", default=True), Choice("Activated"))


def product() -> ObjectDef:
    """Product2; inactive unless told otherwise."""
    return table_of(
        "Product2",
        "01t",
        [
            needed(text("Name", 255, label="Product Name", name_field=True)),
            text("ProductCode", 255),
            area("Description", 4000, label="Product Description"),
            flag("IsActive", label="Active"),
            record_type(),
            picklist("Family", 255, ("None", "Service", "Material", "Hardware"), label="Product Family"),
            currency_field("Product"),
            text("ExternalId", 255, label="External ID"),
            text("DisplayUrl", 1000, type="url", label="Display URL"),
            picklist("QuantityUnitOfMeasure", 255, ("Each", "st", "tim", "kg", "m"), label="Quantity Unit Of Measure"),
            text("StockKeepingUnit", 180, label="Product SKU"),
            picklist("Type", 40, ("Base",)),
            shown(flag("IsArchived", label="Archived")),
        ],
        label="Product",
    )


def pricebook() -> ObjectDef:
    """Pricebook2; the standard one is there from the start."""
    return table_of(
        "Pricebook2",
        "01s",
        [
            needed(text("Name", 255, label="Price Book Name", name_field=True)),
            flag("IsActive", label="Active"),
            shown(flag("IsArchived", label="Archived")),
            text("Description", 255),
            shown(flag("IsStandard", label="Is Standard Price Book")),
        ],
        label="Price Book",
    )


def pricebook_entry() -> ObjectDef:
    """PricebookEntry: one per product, book and currency."""
    return table_of(
        "PricebookEntry",
        "01u",
        [
            shown(text("Name", 255, label="Product Name", name_field=True, nillable=False, defaulted=True)),
            once(needed(reference("Pricebook2Id", "Pricebook2", label="Price Book ID", relationship="Pricebook2",
                                  child_name="PricebookEntries", on_delete="Cascade"))),
            once(needed(reference("Product2Id", "Product2", label="Product ID", relationship="Product2",
                                  child_name="PricebookEntries", on_delete="Cascade"))),
            once(currency_field("")),
            needed(money("UnitPrice", label="List Price")),
            flag("IsActive", label="Active"),
            flag("UseStandardPrice"),
            shown(text("ProductCode", 255)),
            shown(flag("IsArchived", label="Archived")),
        ],
        label="Price Book Entry",
        plural="Price Book Entries",
        undeletable=False,
    )  # fmt: skip


def opportunity_line() -> ObjectDef:
    """OpportunityLineItem; deleted ones skip the recycle bin."""
    return table_of(
        "OpportunityLineItem",
        "00k",
        [
            once(needed(reference("OpportunityId", "Opportunity", child_name="OpportunityLineItems",
                                  on_delete="Cascade"))),
            whole("SortOrder", 9),
            once(needed(reference("PricebookEntryId", "PricebookEntry", label="Price Book Entry ID",
                                  child_name="OpportunityLineItems", on_delete="Restrict"))),
            shown(reference("Product2Id", "Product2", label="Product ID", relationship="Product2",
                            child_name="OpportunityLineItems")),
            shown(text("ProductCode", 255)),
            shown(text("Name", 376, label="Opportunity Product Name", name_field=True)),
            shown(currency_field("Opportunity Product")),
            needed(number("Quantity", 12, 2)),
            money("TotalPrice"),
            money("UnitPrice", label="Sales Price"),
            shown(money("ListPrice")),
            shown(money("Subtotal")),
            number("Discount", 5, 2, "percent"),
            day("ServiceDate", label="Date"),
            text("Description", 255, label="Line Description"),
            shown(flag("HasSchedule")),
        ],
        label="Opportunity Product",
        undeletable=False,
        hard_delete=True,
    )  # fmt: skip


def order() -> ObjectDef:
    """Order; it starts as a draft and is frozen once activated."""
    return table_of(
        "Order",
        "801",
        [
            owner(),
            reference("Pricebook2Id", "Pricebook2", label="Price Book ID", relationship="Pricebook2",
                      child_name="Orders"),
            reference("AccountId", "Account", child_name="Orders", on_delete="Restrict"),
            once(reference("OriginalOrderId", "Order", label="Order ID", child_name="Orders")),
            reference("OpportunityId", "Opportunity", child_name="Orders"),
            record_type(),
            needed(day("EffectiveDate", label="Order Start Date")),
            day("EndDate", label="Order End Date"),
            once(flag("IsReductionOrder", label="Reduction Order")),
            needed(picklist("Status", 255, ORDER_STATUSES, restricted=True)),
            area("Description", 32000),
            day("PoDate", label="PO Date"),
            text("PoNumber", 80, label="PO Number"),
            text("OrderReferenceNumber", 80),
            text("Name", 80, label="Order Name"),
            picklist("Type", 255, ("New", "Renewal"), label="Order Type"),
            reference("BillToContactId", "Contact", label="Bill To Contact ID"),
            reference("ShipToContactId", "Contact", label="Ship To Contact ID"),
            *address("Billing", "Billing"),
            *address("Shipping", "Shipping"),
            currency_field("Order"),
            shown(picklist("StatusCode", 40, ("Draft", "Activated", "Canceled", "Expired"), label="Status Category",
                           nillable=False, defaulted=True)),
            shown(text("OrderNumber", 30, name_field=True, nillable=False, defaulted=True, auto_number=True,
                       number_format="{00000000}", id_lookup=True)),
            shown(money("TotalAmount", label="Order Amount", nillable=False, defaulted=True)),
            shown(moment("ActivatedDate")),
            shown(reference("ActivatedById", "User", label="Activated By ID")),
        ],
        **ORDERS,
    )  # fmt: skip


def order_item() -> ObjectDef:
    """OrderItem; there is no Discount field."""
    return table_of(
        "OrderItem",
        "802",
        [
            shown(reference("Product2Id", "Product2", label="Product ID", relationship="Product2",
                            child_name="OrderItems")),
            once(needed(reference("OrderId", "Order", child_name="OrderItems", on_delete="Cascade"))),
            once(needed(reference("PricebookEntryId", "PricebookEntry", label="Price Book Entry ID",
                                  child_name="OrderItems", on_delete="Restrict"))),
            once(reference("OriginalOrderItemId", "OrderItem", label="Order Product ID",
                           child_name="ChildOrderItems")),
            shown(number("AvailableQuantity", 18, 2)),
            needed(number("Quantity", 18, 2)),
            shown(currency_field("Order Product")),
            needed(money("UnitPrice")),
            shown(money("ListPrice")),
            shown(money("TotalPrice")),
            day("ServiceDate", label="Start Date"),
            day("EndDate"),
            text("Description", 255, label="Line Description"),
            shown(text("OrderItemNumber", 30, label="Order Product Number", name_field=True, nillable=False,
                       defaulted=True, auto_number=True, number_format="{0000000000}")),
        ],
        label="Order Product",
        **ORDERS,
    )  # fmt: skip
