"""Articles: /3/articles. Their prices live in /3/prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from . import errors
from .records import Record
from .render import numeral
from .resource import Resource
from .search import contains, is_true, last_modified
from .tables import ARTICLE, ARTICLE_UNSET
from .tenant import Call, Tenant

_ACCOUNTS = (
    "SalesAccount",
    "PurchaseAccount",
    "EUAccount",
    "EUVATAccount",
    "ExportAccount",
    "ConstructionAccount",
)
_LIST = (
    "ArticleNumber",
    "Description",
    "DisposableQuantity",
    "EAN",
    "Housework",
    "PurchasePrice",
    "SalesPrice",
    "QuantityInStock",
    "ReservedQuantity",
    "StockPlace",
    "StockValue",
    "Unit",
    "VAT",
    "WebshopArticle",
)
_AS_TEXT = (
    "DisposableQuantity",
    "PurchasePrice",
    "SalesPrice",
    "QuantityInStock",
    "ReservedQuantity",
    "StockValue",
)


def price_of(tenant: Tenant, price_list: str, article: str, quantity: Decimal = Decimal(0)) -> Decimal | None:
    """The price at the highest FromQuantity that the quantity reaches."""
    best: tuple[Decimal, Decimal] | None = None
    prefix = f"{price_list}/{article}/"
    single = tenant.tables["prices"].get(f"{prefix}0")
    if single is not None:
        best = (Decimal(0), Decimal(str(single.values.get("Price", 0))))
    if quantity > 1:
        for record in tenant.tables["prices"]:
            start = Decimal(str(record.values.get("FromQuantity", 0)))
            if record.key.startswith(prefix) and start <= quantity and (best is None or start > best[0]):
                best = (start, Decimal(str(record.values.get("Price", 0))))
    return None if best is None else best[1]


class Articles(Resource):
    """VAT follows from the sales account, the sales price from the default price list."""

    name, single, plural, scope, key = "articles", "Article", "Articles", "article", "ArticleNumber"
    fields, unset = ARTICLE, ARTICLE_UNSET
    filters = {
        "active": lambda call: lambda record: record.values.get("Active", True),
        "inactive": lambda call: lambda record: not record.values.get("Active", True),
    }
    searches = {
        "articlenumber": contains("ArticleNumber"),
        "description": contains("Description"),
        "ean": contains("EAN"),
        "suppliernumber": contains("SupplierNumber"),
        "manufacturer": contains("Manufacturer"),
        "manufacturerarticlenumber": contains("ManufacturerArticleNumber"),
        "webshop": is_true("WebshopArticle"),
        "lastmodified": last_modified,
    }
    sorts = {
        "articlenumber": "ArticleNumber",
        "quantityinstock": "QuantityInStock",
        "reservedquantity": "ReservedQuantity",
        "stockvalue": "StockValue",
    }

    def detail(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Recorded: numbers are JSON numbers here; SalesPrice is null until a price exists."""
        shown = super().detail(tenant, record)
        shown["DisposableQuantity"] = shown["QuantityInStock"]
        shown["StockValue"] = Decimal(shown["QuantityInStock"]) * Decimal(shown["PurchasePrice"])
        shown["SalesPrice"] = price_of(tenant, "A", record.key)
        shown["VAT"] = tenant.vat_of_account(shown["SalesAccount"])
        return shown

    def brief(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Recorded: numbers are text here, an unset price and a VAT of 0 are null."""
        full = self.detail(tenant, record)
        row = {"@url": full["@url"], **{name: full[name] for name in _LIST}}
        for name in _AS_TEXT:
            row[name] = None if row[name] is None else numeral(row[name])
        row["VAT"] = numeral(row["VAT"]) if row["VAT"] else None
        return row

    def new_key(self, call: Call, values: dict[str, Any]) -> str:
        """Reported: a taken number is refused."""
        table = call.tenant.tables[self.name]
        key = str(values.get(self.key) or table.next_key())
        if key in table or key in table.deleted:
            raise errors.FortnoxError(2000013, f'Artikelnummer "{key}" används redan.')
        return key

    def check(self, call: Call, values: dict[str, Any], *, creating: bool) -> None:
        """Description is required; accounts and the unit must exist; VAT follows from the account."""
        if not isinstance(values.get("Description", None if creating else ""), str):
            raise errors.required("Description")
        values.pop("VAT", None)
        for name in _ACCOUNTS:
            if isinstance(values.get(name), int):
                call.tenant.require_account(values[name])
        unit = values.get("Unit")
        if isinstance(unit, str) and unit not in call.tenant.tables["units"]:
            raise errors.own(7, f"Kunde inte hämta/hitta enhet ({unit})")

    def delete(self, call: Call, record: Record) -> None:
        """Reported: an article used on documents cannot be deleted."""
        for invoice in call.tenant.tables["invoices"]:
            if any(row.get("ArticleNumber") == record.key for row in invoice.values.get("InvoiceRows", ())):
                raise errors.own(8, "Artikeln kan inte tas bort eftersom den används.")
        super().delete(call, record)
