"""Values HubSpot works out itself. Clients cannot set them; they follow the values they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext

from .pipelines import Stage

ZERO = Decimal(0)
MONTHS = {
    "weekly": Decimal(12) / Decimal(52),
    "biweekly": Decimal(12) / Decimal(26),
    "monthly": Decimal(1),
    "quarterly": Decimal(3),
    "per_six_months": Decimal(6),
    "annually": Decimal(12),
    "per_two_years": Decimal(24),
    "per_three_years": Decimal(36),
    "per_four_years": Decimal(48),
    "per_five_years": Decimal(60),
}
LINE_ITEM_NAMES = (
    "amount",
    "hs_total_discount",
    "hs_pre_discount_amount",
    "hs_tax_amount",
    "hs_post_tax_amount",
    "hs_acv",
    "hs_tcv",
    "hs_mrr",
    "hs_arr",
)
DEAL_NAMES = (
    "amount_in_home_currency",
    "hs_is_closed",
    "hs_is_closed_won",
    "hs_closed_amount",
    "hs_forecast_amount",
    "hs_deal_stage_probability",
    "days_to_close",
)
PERCENT_INPUTS = {"price", "quantity", "discount", "hs_discount_percentage"}


def plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros: ``12000``, ``1200.5``."""
    with localcontext(prec=100):  # a property may hold more digits than Python reckons with by itself
        rounded = number.quantize(Decimal("0.000001"))
    text = f"{rounded:f}".rstrip("0").rstrip(".")
    return text if text not in ("", "-0") else "0"


def _value(values: Mapping[str, str], name: str) -> Decimal | None:
    text = values.get(name)
    return None if text is None else Decimal(text)


def line_item(values: Mapping[str, str], tax_percent: Decimal | None) -> dict[str, str]:
    """Net price and the amounts around it; nothing without a price and a quantity.

    The discount per unit is the amount if there is one, else the percentage; net price never falls below zero.
    """
    price, quantity = _value(values, "price"), _value(values, "quantity")
    if price is None or quantity is None:
        return {}
    per_unit = _value(values, "discount")
    if per_unit is None:
        per_unit = price * (_value(values, "hs_discount_percentage") or ZERO) / 100
    amount = max((price - per_unit) * quantity, ZERO)
    tax = _value(values, "tax")
    if tax is None:
        tax = amount * tax_percent / 100 if tax_percent is not None else ZERO
    result = {
        "amount": plain(amount),
        "hs_total_discount": plain(per_unit * quantity),
        "hs_pre_discount_amount": plain(price * quantity),
        "hs_tax_amount": plain(tax),
        "hs_post_tax_amount": plain(amount + tax),
    }
    result.update(_recurring(values, amount))
    return result


def _recurring(values: Mapping[str, str], amount: Decimal) -> dict[str, str]:
    """A recurring item's net price is one period's; the contract values multiply it out."""
    months = MONTHS.get(values.get("recurringbillingfrequency", ""))
    if months is None:
        return {"hs_acv": plain(amount), "hs_tcv": plain(amount), "hs_mrr": "0", "hs_arr": "0"}
    monthly = amount / months
    term = _term(values.get("hs_recurring_billing_period")) or Decimal(12)
    return {
        "hs_acv": plain(monthly * min(term, Decimal(12))),
        "hs_tcv": plain(monthly * term),
        "hs_mrr": plain(monthly),
        "hs_arr": plain(monthly * 12),
    }


def _term(period: str | None) -> Decimal | None:
    """Months of an ISO 8601 period such as P12M or P1Y."""
    if not period or not period.startswith("P") or not period[1:-1].isdecimal():
        return None
    unit = {"M": Decimal(1), "Y": Decimal(12), "W": Decimal(12) / Decimal(52)}.get(period[-1])
    return None if unit is None else Decimal(period[1:-1]) * unit


def deal(values: Mapping[str, str], stage: Stage | None, rate: float, days: int | None) -> dict[str, str]:
    """Amount in the company currency, and what follows from the stage."""
    closed, won = (stage.closed, stage.won) if stage else (False, False)
    result = {
        "hs_is_closed": "true" if closed else "false",
        "hs_is_closed_won": "true" if won else "false",
    }
    if stage:
        result["hs_deal_stage_probability"] = plain(Decimal(stage.probability))
    if days is not None:
        result["days_to_close"] = str(max(days, 0))
    amount = _value(values, "amount")
    if amount is not None:
        home = amount * Decimal(str(rate))
        result["amount_in_home_currency"] = plain(home)
        result["hs_closed_amount"] = plain(amount) if won else "0"
        result["hs_forecast_amount"] = plain(amount * Decimal(stage.probability)) if stage else "0"
    return result
