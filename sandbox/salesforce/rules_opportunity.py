"""Opportunities and their lines: the stage decides the outcome, the lines decide the amount.

Salesforce object reference, Opportunity and OpportunityLineItem."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from . import changes, errors, times
from .org import Org
from .table import Row, Values
from .write import Write

CENT = Decimal("0.01")
HUNDRED = Decimal(100)


def cents(amount: Decimal) -> Decimal:
    """To two decimals, half up."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def stage_of(org: Org, name: str | None) -> Values | None:
    """The OpportunityStage row of a stage."""
    rows = org.rows["OpportunityStage"].values()
    return next((row.values for row in rows if row.values["ApiName"] == name), None)


def before_opportunity(write: Write) -> None:
    """Stage, forecast and amount; what lines have fixed stays as it is."""
    org, values = write.org, write.values
    if not write.creating and write.get("HasOpportunityLineItem"):
        _respect_lines(write)
    if write.creating or write.changed("StageName"):
        stage = stage_of(org, write.get("StageName")) or {}
        values["IsClosed"], values["IsWon"] = bool(stage.get("IsClosed")), bool(stage.get("IsWon"))
        if write.given.get("Probability") is None:
            values["Probability"] = stage.get("DefaultProbability", Decimal(0))
        if write.given.get("ForecastCategoryName") is None:
            values["ForecastCategoryName"] = stage.get("ForecastCategoryName", "Pipeline")
        values["LastStageChangeDate"] = None if write.creating else times.wire(changes.moment(org))
    if values.get("ForecastCategoryName"):
        values["ForecastCategory"] = values["ForecastCategoryName"].replace(" ", "")
    if values.get("CloseDate"):
        values["FiscalYear"] = int(values["CloseDate"][:4])
        values["FiscalQuarter"] = (int(values["CloseDate"][5:7]) + 2) // 3
    values["ExpectedRevenue"] = expected(write.get)


def expected(get: Any) -> Decimal | None:
    """Amount times probability."""
    amount, probability = get("Amount"), get("Probability")
    return None if amount is None else cents(amount * (probability or Decimal(0)) / HUNDRED)


def _respect_lines(write: Write) -> None:
    """With lines, Amount is ignored without a word; price book and currency may not change."""
    write.values.pop("Amount", None)
    write.values.pop("TotalOpportunityQuantity", None)
    for name, what in (("Pricebook2Id", "price book"), ("CurrencyIsoCode", "currency")):
        if write.changed(name):
            raise errors.integrity(f"cannot change the {what} of an opportunity that has products", name)


def before_line(write: Write) -> None:
    """The line's product, price and total."""
    if write.creating:
        _new_line(write)
    _price_line(write)


def _new_line(write: Write) -> None:
    org, values = write.org, write.values
    opportunity, entry = write.parent("OpportunityId"), write.parent("PricebookEntryId")
    if opportunity is None or entry is None:  # already refused as references
        raise errors.cross_reference()
    check_entry(write, entry, opportunity, "opportunity")
    if opportunity.values.get("Pricebook2Id") is None:
        changes.alter(
            org, opportunity, {"Pricebook2Id": entry.values["Pricebook2Id"]}, write.user_id, write.request, edited=False
        )
    product = org.any_row(entry.values["Product2Id"])
    product_name = product.values["Name"] if product else ""
    values["Product2Id"] = entry.values["Product2Id"]
    values["ProductCode"] = entry.values.get("ProductCode")
    values["Name"] = f"{opportunity.values['Name']} {product_name}"[:376]
    values["ListPrice"] = entry.values["UnitPrice"]
    if org.options.multi_currency:
        values["CurrencyIsoCode"] = opportunity.values.get("CurrencyIsoCode")


def check_entry(write: Write, entry: Row, parent: Row, what: str) -> None:
    """FIELD_INTEGRITY_EXCEPTION unless the entry is active, of the parent's price book and in its currency."""
    book = parent.values.get("Pricebook2Id")
    if not entry.values.get("IsActive"):
        raise errors.integrity("pricebook entry is inactive", "PricebookEntryId")
    if book is not None and entry.values["Pricebook2Id"] != book:
        raise errors.integrity(
            f"pricebook entry is in a different pricebook than the one assigned to the {what}", "PricebookEntryId"
        )
    if book is None:
        found = write.org.row(entry.values["Pricebook2Id"])
        if found is None or not found.values.get("IsActive"):
            raise errors.integrity("pricebook entry is in an inactive pricebook", "PricebookEntryId")
    if write.org.options.multi_currency and entry.values.get("CurrencyIsoCode") != parent.values.get("CurrencyIsoCode"):
        raise errors.integrity(f"pricebook entry currency code does not match {what} currency code", "PricebookEntryId")


def _price_line(write: Write) -> None:
    given, values = write.given, write.values
    has_unit, has_total = given.get("UnitPrice") is not None, given.get("TotalPrice") is not None
    if has_unit and has_total:
        raise errors.integrity("specify either UnitPrice or TotalPrice, not both", "UnitPrice", "TotalPrice")
    if write.creating and not has_unit and not has_total:
        raise errors.required(["TotalPrice"])
    touched = {name for name in ("Quantity", "Discount", "UnitPrice", "TotalPrice") if name in given}
    if not touched:
        return
    if not write.creating and not has_unit and not has_total and {"Quantity", "Discount"} <= touched:
        raise errors.integrity("specify UnitPrice or TotalPrice when both Discount and Quantity change", "TotalPrice")
    quantity = write.get("Quantity")
    share = 1 - (write.get("Discount") or Decimal(0)) / HUNDRED
    if quantity == 0:
        raise errors.integrity("Quantity must be nonzero", "Quantity")
    from_total = has_total or (not write.creating and touched == {"Quantity"})
    if from_total:
        total = write.get("TotalPrice")
        values["TotalPrice"] = total
        values["UnitPrice"] = cents(total / (quantity * share)) if share else write.old("UnitPrice") or Decimal(0)
    else:
        unit = write.get("UnitPrice")
        values["UnitPrice"], values["TotalPrice"] = unit, cents(unit * quantity * share)
    values["Subtotal"] = cents(values["UnitPrice"] * quantity)


def roll_up(org: Org, opportunity_id: str, user_id: str | None, request: int | None) -> None:
    """Amount, quantity and HasOpportunityLineItem follow the lines; nothing moves when nothing changes. The amount of
    the last line stays when it goes."""
    opportunity = org.row(opportunity_id)
    if opportunity is None:
        return
    lines = list(org.table("OpportunityLineItem").pointing("OpportunityId", opportunity_id))
    wanted: Values = {"HasOpportunityLineItem": bool(lines)}
    if lines:
        wanted["Amount"] = sum((line.values["TotalPrice"] for line in lines), Decimal(0))
        wanted["TotalOpportunityQuantity"] = sum((line.values["Quantity"] for line in lines), Decimal(0))
        held = {**opportunity.values, **wanted}
        wanted["ExpectedRevenue"] = expected(held.get)
    changed = {name: value for name, value in wanted.items() if opportunity.values.get(name) != value}
    if changed:
        changes.alter(org, opportunity, changed, user_id, request, edited=False)


def after_line(write: Write, row: Row) -> None:
    """The opportunity follows its lines."""
    roll_up(write.org, row.values["OpportunityId"], write.user_id, write.request)
