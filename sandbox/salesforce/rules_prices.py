"""Price books: the standard price first, one entry per product, book and currency.

Salesforce object reference, PricebookEntry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import changes, errors
from .org import Org
from .table import Row
from .write import Write


def standard_book(org: Org) -> Row | None:
    """The price book that is there from the start."""
    return next((row for row in org.rows["Pricebook2"].values() if row.values.get("IsStandard")), None)


def prepare_entry(write: Write) -> None:
    """UseStandardPrice copies the standard price, which may then not be given."""
    book = standard_book(write.org)
    of_standard = book is not None and write.get("Pricebook2Id") == book.id
    if not write.get("UseStandardPrice") or of_standard or write.user_id is None:
        return
    if not write.creating and write.given.get("UnitPrice") is not None:
        raise errors.read_only(["UnitPrice"])
    standard = _standard_entry(write)
    if standard is not None and (write.row is None or standard.id != write.row.id):
        write.values["UnitPrice"] = standard.values["UnitPrice"]


def before_entry(write: Write) -> None:
    """The order of prices, and one entry per product, book and currency."""
    if not write.creating:
        return
    org, values = write.org, write.values
    product, book = write.parent("Product2Id"), write.parent("Pricebook2Id")
    if product is None or book is None:
        raise errors.cross_reference()
    for row in org.table("PricebookEntry").pointing("Product2Id", product.id):
        if row.values["Pricebook2Id"] == book.id and _currency(row.values.get, org) == _currency(write.get, org):
            raise errors.refused("DUPLICATE_VALUE", "This price definition already exists in this price book")
    if not book.values.get("IsStandard") and _standard_entry(write) is None:
        raise errors.refused("STANDARD_PRICE_NOT_DEFINED", "Before creating a custom price, create a standard price.")
    values["Name"], values["ProductCode"] = product.values["Name"], product.values.get("ProductCode")


def _currency(get: Callable[[str], Any], org: Org) -> Any:
    return get("CurrencyIsoCode") if org.options.multi_currency else None


def _standard_entry(write: Write) -> Row | None:
    """The standard price of the same product in the same currency."""
    org, product_id = write.org, write.get("Product2Id")
    book = standard_book(org)
    if product_id is None or book is None:
        return None
    for row in org.table("PricebookEntry").pointing("Product2Id", product_id):
        if row.values["Pricebook2Id"] == book.id and _currency(row.values.get, org) == _currency(write.get, org):
            return row
    return None


def after_entry(write: Write, row: Row) -> None:
    """Entries that use the standard price follow it."""
    org = write.org
    book = standard_book(org)
    if write.creating or book is None or row.values["Pricebook2Id"] != book.id or "UnitPrice" not in write.values:
        return
    for other in org.table("PricebookEntry").pointing("Product2Id", row.values["Product2Id"]):
        follows = other.id != row.id and other.values.get("UseStandardPrice")
        if follows and _currency(other.values.get, org) == _currency(row.values.get, org):
            changes.alter(
                org, other, {"UnitPrice": row.values["UnitPrice"]}, write.user_id, write.request, edited=False
            )


def after_product(write: Write, row: Row) -> None:
    """Entries and lines show the product's name and code."""
    if write.creating:
        return
    org, values = write.org, row.values
    if "Name" in write.values or "ProductCode" in write.values:
        shown = {"Name": values["Name"], "ProductCode": values.get("ProductCode")}
        for entry in org.table("PricebookEntry").pointing("Product2Id", row.id):
            changes.mirror(org, entry, shown)
        for line in org.table("OpportunityLineItem").pointing("Product2Id", row.id):
            changes.mirror(org, line, {"ProductCode": values.get("ProductCode")})
