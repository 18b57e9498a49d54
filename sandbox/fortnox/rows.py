"""Invoice rows: defaults from article and price list, updates by position or by RowId."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from . import errors
from .articles import price_of
from .fields import BLANK, round_half_up
from .render import numeral
from .tables import ARTICLE_UNSET, ROW_UNSET
from .tenant import VAT_RATES, Tenant
from .totals import RowInput, RowTotals

# Documented: row accounts follow the customer's VAT type.
_ARTICLE_ACCOUNT = {
    "SEVAT": "SalesAccount",
    "SEREVERSEDVAT": "ConstructionAccount",
    "EUREVERSEDVAT": "EUAccount",
    "EUVAT": "EUVATAccount",
    "EXPORT": "ExportAccount",
}
_PREDEFINED = {
    "SEREVERSEDVAT": "SALESCONSTR2",
    "EUREVERSEDVAT": "SALESEUREV",
    "EUVAT": "SALESEUVAT",
    "EXPORT": "SALESEXPORT",
}
_PREDEFINED_RATE = {25: "SALES_25_SE", 12: "SALES_12_SE", 6: "SALES_6_SE", 0: "SALES_0_SE"}
_CHARGED = ("SEVAT", "EUVAT")
_AMOUNTS = ("ArticleNumber", "AccountNumber", "Price", "DeliveredQuantity", "VAT")


@dataclass(frozen=True)
class Setting:
    """What the invoice's header contributes to its rows."""

    tenant: Tenant
    vat_type: str = "SEVAT"
    price_list: str = "A"
    discount: Decimal = Decimal(0)
    vat_included: bool = False


def merge(setting: Setting, old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows after a write.

    Documented: without any RowId rows match by position and missing ones go; with RowId, rows that carry one are
    updated, the others are new, unmentioned ones go. RowIds are issued anew every time.
    """
    if any("RowId" in row for row in new):
        by_id = {row["RowId"]: row for row in old}
        pairs = [(_known(by_id, row), row) for row in new]
    else:
        pairs = [(old[index] if index < len(old) else None, row) for index, row in enumerate(new)]
    return [_merged(setting, before, row) for before, row in pairs]


def _known(by_id: Mapping[int, dict[str, Any]], row: Mapping[str, Any]) -> dict[str, Any] | None:
    if "RowId" not in row:
        return None
    if row["RowId"] not in by_id:
        raise errors.own(10, f"Kunde inte hitta rad ({row['RowId']})")
    return by_id[row["RowId"]]


def _merged(setting: Setting, before: dict[str, Any] | None, row: Mapping[str, Any]) -> dict[str, Any]:
    sent = {name: value for name, value in row.items() if value is not BLANK and name != "RowId"}
    cleared = {name for name, value in row.items() if value is BLANK}
    changed_article = "ArticleNumber" in sent and sent["ArticleNumber"] != (before or {}).get("ArticleNumber")
    grown = before is not None and "AccountNumber" not in before and any(name in sent for name in _AMOUNTS)
    if grown and before is not None:  # a text row becomes a row with an amount
        values = _new(setting, {**before, **sent})
    elif before is None or changed_article:
        kept = {"Discount": before["Discount"]} if before and "Discount" in before else {}
        values = _new(setting, {**kept, **sent})
    else:
        values = {**before, **sent}
        for name in cleared:
            values.pop(name, None)
        if cleared.intersection(_AMOUNTS):
            values = _refilled(setting, values)
    _check(setting, values)
    values["RowId"] = setting.tenant.next_row_id()
    return values


def _refilled(setting: Setting, values: dict[str, Any]) -> dict[str, Any]:
    """A row that lost some of its amounts: a text row when nothing but the VAT is left, else the defaults again."""
    if any(name in values for name in _AMOUNTS if name != "VAT"):
        return _new(setting, values)
    return {name: value for name, value in values.items() if name != "VAT"}


def _new(setting: Setting, sent: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its defaults; one that only has text stays a text row."""
    values = dict(sent)
    if not any(name in sent for name in _AMOUNTS):
        return values
    article = None
    if "ArticleNumber" in sent:
        article = setting.tenant.tables["articles"].get(str(sent["ArticleNumber"]))
        if article is None:
            raise errors.FortnoxError(2001302, "Kunde inte hitta artikel.")
    item = {**ARTICLE_UNSET, **(article.values if article else {})}
    if "AccountNumber" not in values:
        values["AccountNumber"] = _account(setting, item if article else None, values.get("VAT"))
    if "VAT" not in values:
        charged = setting.vat_type in _CHARGED
        own_account = item["SalesAccount"] if article and setting.vat_type == "EUVAT" else values["AccountNumber"]
        values["VAT"] = setting.tenant.vat_of_account(own_account) if charged else 0
    if article is not None:
        values.setdefault("Description", item["Description"])
        values.setdefault("Unit", item["Unit"] or "")
        values["_cost"] = Decimal(item["PurchasePrice"])
        if "Price" not in values:
            values["Price"] = _list_price(setting, str(sent["ArticleNumber"]), values)
    if setting.discount:
        values.setdefault("Discount", setting.discount)
    return values


def _list_price(setting: Setting, article: str, values: Mapping[str, Any]) -> Decimal:
    quantity = Decimal(values.get("DeliveredQuantity", 0))
    price = price_of(setting.tenant, setting.price_list, article, quantity)
    if price is None:
        price = price_of(setting.tenant, "A", article, quantity) or Decimal(0)
    if setting.vat_included:  # price lists are exclusive of VAT (decision)
        price = round_half_up(price * (1 + Decimal(values["VAT"]) / 100))
    return price


def _account(setting: Setting, article: Mapping[str, Any] | None, vat: int | None) -> int:
    if article is not None and article[_ARTICLE_ACCOUNT[setting.vat_type]]:
        return int(article[_ARTICLE_ACCOUNT[setting.vat_type]])
    if setting.vat_type in _PREDEFINED:
        return setting.tenant.predefined(_PREDEFINED[setting.vat_type])
    return setting.tenant.predefined(_PREDEFINED_RATE.get(25 if vat is None else vat, "SALES_25_SE"))


def _check(setting: Setting, values: Mapping[str, Any]) -> None:
    if values.get("AccountNumber"):
        setting.tenant.require_account(values["AccountNumber"])
    if values.get("VAT", 0) not in VAT_RATES:
        raise errors.own(11, "Kunde inte hämta/hitta moms")
    unit = values.get("Unit")
    if unit and unit not in setting.tenant.tables["units"]:
        raise errors.own(7, f"Kunde inte hämta/hitta enhet ({unit})")


def as_input(row: Mapping[str, Any]) -> RowInput:
    """The row as arithmetic sees it."""
    return RowInput(
        price=Decimal(row.get("Price", 0)),
        quantity=Decimal(row.get("DeliveredQuantity", 0)),
        discount=Decimal(row.get("Discount", 0)),
        discount_type=row.get("DiscountType", "PERCENT"),
        vat=row.get("VAT", 0),
        cost=row.get("_cost", Decimal(0)),
    )


def with_totals(row: dict[str, Any], totals: RowTotals) -> dict[str, Any]:
    """The row with its computed fields."""
    return {
        **row,
        "PriceExcludingVAT": totals.price_excluding_vat,
        "Total": totals.total,
        "TotalExcludingVAT": totals.total_excluding_vat,
        "ContributionValue": numeral(totals.contribution),
        "ContributionPercent": numeral(totals.contribution_percent),
    }


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as answers show it (recorded: DeliveredQuantity is text)."""
    full = {name: row.get(name, unset) for name, unset in ROW_UNSET.items()}
    full["DeliveredQuantity"] = numeral(full["DeliveredQuantity"])
    return full
