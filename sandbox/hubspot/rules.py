"""Rules that look at several values of one write: required properties, stages, administrators' rules, products."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import Problem, invalid
from .kinds import COMPANIES, CONTACTS, DEALS, LINE_ITEMS, PRODUCTS, Kind
from .portal import Portal
from .store import Record

# What a line item takes over from its product unless the request says otherwise.
COPIED = (
    "name",
    "description",
    "hs_sku",
    "hs_url",
    "hs_cost_of_goods_sold",
    "recurringbillingfrequency",
    "hs_recurring_billing_period",
    "hs_recurring_billing_start_date",
)


def missing_properties(portal: Portal, kind: Kind, changes: Mapping[str, str]) -> list[str]:
    """Names a create cannot do without."""
    if kind is COMPANIES:
        return [] if changes.get("name") or changes.get("domain") else ["name"]
    if kind is CONTACTS:
        return [] if any(changes.get(name) for name in ("email", "firstname", "lastname")) else ["email"]
    if kind is DEALS:
        # With several pipelines nobody can tell which stage is meant, so the pipeline must be said.
        return [name for name in ("dealname", "dealstage", "pipeline") if not changes.get(name)]
    if kind is PRODUCTS:
        return [] if changes.get("name") else ["name"]
    return []


def stage_problems(portal: Portal, kind: Kind, changes: Mapping[str, str], record: Record | None) -> list[Problem]:
    """A deal's stage must belong to its pipeline, so a change of pipeline needs both; prices are not negative."""
    if kind is LINE_ITEMS:
        price = changes.get("price", "")
        return [Problem("price", "INVALID_NUMBER", "price must not be negative")] if price.startswith("-") else []
    if kind is not DEALS or not ("pipeline" in changes or "dealstage" in changes):
        return []
    stored: Mapping[str, str] = record.values if record else {}
    pipeline = portal.pipelines.get(changes.get("pipeline") or stored.get("pipeline", ""))
    stage = changes.get("dealstage") or stored.get("dealstage", "")
    if pipeline is None or not stage or stage in pipeline.stages:
        return []
    listed = ", ".join(f'label: "{s.label}"\nvalue: "{s.id}"\n' for s in pipeline.ordered())
    text = f"{stage} was not one of the allowed options: [{listed}]"
    return [Problem("dealstage", "INVALID_OPTION", text)]


def rule_problems(portal: Portal, kind: Kind, changes: Mapping[str, str], record: Record | None) -> list[Problem]:
    """Since 2026-09 writes obey the rules an administrator set for the create form and between properties."""
    problems: list[Problem] = []
    if record is None:
        for name in portal.required.get(kind.type_id, ()):
            if not changes.get(name):
                text = f"A value for {name} must be provided"
                problems.append(Problem(name, "MISSING_REQUIRED_PROPERTY", text))
    stored: Mapping[str, str] = record.values if record else {}
    for trigger, name in portal.conditional.get(kind.type_id, ()):
        if changes.get(trigger) and not changes.get(name, stored.get(name, "")):
            text = f"{name} is required because of a conditional property rule based on [{trigger}]"
            problems.append(Problem(name, "MISSING_CONDITIONAL_REQUIRED_PROPERTY", text))
    return problems


def copied_from_product(portal: Portal, changes: Mapping[str, str]) -> dict[str, str]:
    """Values of the product named by hs_product_id, its price in the line's currency."""
    product_id = changes.get("hs_product_id", "")
    if not product_id:
        return {}
    product = portal.store(PRODUCTS).live(int(product_id)) if product_id.isdecimal() else None
    if product is None:
        raise invalid(f"Product {product_id} does not exist")
    copied = {name: product.values[name] for name in COPIED if name in product.values}
    currency = changes.get("hs_line_item_currency_code") or portal.profile.currency
    price = product.values.get(f"hs_price_{currency.lower()}")
    if price is None and currency == portal.profile.currency:
        price = product.values.get("price")
    if price is not None:
        copied["price"] = price
    return copied
