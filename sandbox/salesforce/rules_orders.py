"""Orders start as drafts, are activated with at least one item, and are frozen from then on."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from . import changes, errors, times
from .org import Org
from .rules_opportunity import cents, check_entry
from .table import Row
from .write import Write

FROZEN_ORDER = ("AccountId", "Pricebook2Id", "CurrencyIsoCode", "EffectiveDate", "OpportunityId")


def status_code(org: Org, status: str | None) -> str | None:
    """The category of an order status: Draft or Activated."""
    rows = org.rows["OrderStatus"].values()
    return next((row.values["StatusCode"] for row in rows if row.values["ApiName"] == status), None)


def activated(order: Row | None) -> bool:
    """Whether an order is past its draft."""
    return order is not None and order.values.get("StatusCode") == "Activated"


def before_order(write: Write) -> None:
    """Status rules."""
    code = status_code(write.org, write.get("Status"))
    if write.creating:
        if code != "Draft" and write.user_id is not None:
            raise _not_activated("Choose a valid order status and save your changes.", "Status")
        write.values["TotalAmount"] = Decimal("0.00")
        write.values["StatusCode"] = code
        return
    if activated(write.row) and write.user_id is not None:
        frozen = [name for name in FROZEN_ORDER if write.changed(name)]
        if frozen and code == "Activated":
            raise errors.integrity("unable to modify an activated order", *frozen)
    if write.changed("Pricebook2Id") and next(_items(write.org, write.row), None) is not None:
        raise errors.integrity("cannot change the price book of an order that has products", "Pricebook2Id")
    if code == "Activated" and not activated(write.row):
        _activate(write)
    write.values["StatusCode"] = code


def _items(org: Org, order: Row | None) -> Iterator[Row]:
    return org.table("OrderItem").pointing("OrderId", order.id if order else "")


def _activate(write: Write) -> None:
    if write.get("AccountId") is None:
        raise _not_activated("Select an account before activating the order.", "AccountId")
    if next(_items(write.org, write.row), None) is None:
        raise _not_activated("An order must have at least one product before it can be activated.")
    write.values["ActivatedDate"] = times.wire(changes.moment(write.org))
    write.values["ActivatedById"] = write.user_id


def _not_activated(message: str, *fields: str) -> errors.SfError:
    return errors.refused("FAILED_ACTIVATION", message, *fields)


def before_item(write: Write) -> None:
    """The item's product and total; nothing about its price changes once the order is active."""
    order = write.parent("OrderId")
    if order is None:
        raise errors.cross_reference()
    if write.user_id is not None and activated(order):
        frozen = [name for name in write.given if write.creating or not name.endswith("__c")]
        if write.creating or any(write.changed(name) for name in frozen):
            raise frozen_order(*frozen)
    values = write.values
    if write.creating:
        _new_item(write, order)
    quantity, unit = write.get("Quantity"), write.get("UnitPrice")
    if (quantity < 0) != bool(order.values.get("IsReductionOrder")) and quantity != 0:
        raise errors.integrity("only products of a reduction order have negative quantities", "Quantity")
    values["TotalPrice"] = cents(quantity * unit)
    values["AvailableQuantity"] = quantity


def frozen_order(*fields: str) -> errors.SfError:
    """The refusal for products of an activated order."""
    return errors.integrity("unable to modify the products of an activated order", *fields)


def _new_item(write: Write, order: Row) -> None:
    entry = write.parent("PricebookEntryId")
    if entry is None:
        raise errors.cross_reference()
    if order.values.get("Pricebook2Id") is None:
        raise errors.integrity("the order has no price book", "PricebookEntryId")
    check_entry(write, entry, order, "order")
    write.values["Product2Id"] = entry.values["Product2Id"]
    write.values["ListPrice"] = entry.values["UnitPrice"]
    if write.org.options.multi_currency:
        write.values["CurrencyIsoCode"] = order.values.get("CurrencyIsoCode")


def roll_up(org: Org, order_id: str, user_id: str | None, request: int | None) -> None:
    """TotalAmount follows the items."""
    order = org.row(order_id)
    if order is None:
        return
    total = sum((item.values["TotalPrice"] for item in _items(org, order)), Decimal("0.00"))
    if order.values.get("TotalAmount") != total:
        changes.alter(org, order, {"TotalAmount": total}, user_id, request, edited=False)


def after_item(write: Write, row: Row) -> None:
    """The order follows its items."""
    roll_up(write.org, row.values["OrderId"], write.user_id, write.request)
