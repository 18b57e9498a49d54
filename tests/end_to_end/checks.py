"""Comparing the whole content of HubSpot with what the reference says it should be.

Nothing is sampled: every record of our kinds is compared, what is missing or doubled fails, and so does any change to
a record that is not ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sync.models import Change, EntityLink
from sync.states import State
from tests.end_to_end import reference
from tests.end_to_end.reference import Raw
from tests.end_to_end.world import ARTICLES, CUSTOMERS, INVOICES, World

DEAL, COMPANY, LINE = "0-3", "0-2", "0-8"
PORTAL_CURRENCIES = frozenset({"SEK", "EUR"})
ALL_CURRENCIES = PORTAL_CURRENCIES | {"USD", "NOK", "GBP"}


class Before:
    """The portal before anything was synced."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.companies, self.products = world.hubspot("companies"), world.hubspot("products")
        self.deals, self.lines = world.hubspot("deals"), world.hubspot("line_items")
        self.outcome = reference.companies(world.fortnox("customers"), self.companies)


def check_companies(world: World, before: Before) -> None:
    """Every customer has the company that it should have, field by field, and no other company was touched."""
    sources = {c["CustomerNumber"]: c for c in world.fortnox("customers")}
    after = [r if r["properties"].get("fortnox_key") else _settled(r) for r in world.hubspot("companies")]
    earlier = [_settled(record) for record in before.companies]
    targets = before.outcome.targets
    reference.check_copies(world.ledger.remote_id, sources, reference.COMPANY_FIELDS, earlier, after, targets)
    assert set(world.links(CUSTOMERS)) == set(targets)


def _settled(record: Raw) -> Raw:
    """Without what HubSpot counts itself when deals are associated."""
    counted = (
        "num_associated_deals",
        "hs_lastmodifieddate",
        "hs_num_open_deals",
        "total_revenue",
        "recent_deal_amount",
    )
    kept = {name: v for name, v in record["properties"].items() if name not in counted and "deal" not in name}
    return {**record, "properties": kept}


def check_products(world: World, before: Before) -> None:
    """Every article has its product, field by field; matched by SKU where there was one."""
    sources = {a["ArticleNumber"]: a for a in world.fortnox("articles")}
    there = {p["properties"].get("hs_sku"): p["id"] for p in before.products}
    targets = {number: there.get(number, "") for number in sources}
    after = world.hubspot("products")
    reference.check_copies(world.ledger.remote_id, sources, reference.PRODUCT_FIELDS, before.products, after, targets)
    assert set(world.links(ARTICLES)) == set(targets)


def imported(world: World, customers: set[str], currencies: frozenset[str] = PORTAL_CURRENCIES) -> dict[str, Raw]:
    """The invoices that must be deals: not cancelled, of an imported customer, in a currency of the portal."""
    return {
        str(invoice["DocumentNumber"]): invoice
        for invoice in world.fortnox("invoices")
        if not invoice["Cancelled"] and invoice["CustomerNumber"] in customers and invoice["Currency"] in currencies
    }


def check_deals(
    world: World, before: Before, *, currencies: frozenset[str] = PORTAL_CURRENCIES, later: timedelta = timedelta(0)
) -> dict[str, Raw]:
    """Deals, line items and associations equal the invoices; returns the invoices that are deals."""
    customers = world.links(CUSTOMERS)
    expected = imported(world, set(customers), currencies)
    earlier = {deal["id"] for deal in before.deals}
    deals = {d["properties"]["fortnox_key"]: d for d in world.hubspot("deals") if d["id"] not in earlier}
    tenant, day = world.ledger.remote_id, reference.today(datetime.now(UTC) + later)
    assert set(deals) == {f"{tenant}:{number}" for number in expected}
    assert len(world.hubspot("deals")) == len(earlier) + len(expected)
    (pipeline,) = [p for p in world.hubspot("pipelines") if p["label"] == "Fortnox Invoices"]
    labels = {stage["id"]: stage["label"] for stage in pipeline["stages"]}
    for number, invoice in expected.items():
        deal = deals[f"{tenant}:{number}"]
        got = reference.written(deal, reference.DEAL_FIELDS)
        got["dealstage"] = labels[got["dealstage"]]
        wanted = reference.deal(tenant, invoice, day)
        assert {k: (got[k], wanted[k]) for k in wanted if got[k] != wanted[k]} == {}, number
        assert deal["properties"]["pipeline"] == pipeline["id"]
    check_lines(world, before, {deals[f"{tenant}:{n}"]["id"]: i for n, i in expected.items()}, customers)
    return expected


def check_lines(
    world: World, before: Before, deals: Mapping[str, Raw], customers: Mapping[str, str], extra_lines: int = 0
) -> None:
    """Every deal has exactly the lines of its invoice and the company of its customer; no line hangs in the air."""
    lines = {line["id"]: line for line in world.hubspot("line_items")}
    belonging: dict[str, list[str]] = {deal_id: [] for deal_id in deals}
    companies: dict[str, dict[str, list[int]]] = {deal_id: {} for deal_id in deals}
    for link in world.hubspot("associations"):
        if link["from_type"] != DEAL or link["from_id"] not in deals:
            continue
        if link["to_type"] == LINE and link["to_id"] in lines:
            belonging[link["from_id"]].append(link["to_id"])
        elif link["to_type"] == COMPANY:
            companies[link["from_id"]][link["to_id"]] = sorted(link["type_ids"])
    for deal_id, invoice in deals.items():
        got = Counter(reference.line_of(lines[line_id]) for line_id in belonging[deal_id])
        assert got == reference.lines(invoice), invoice["DocumentNumber"]
        assert companies[deal_id] == {customers[invoice["CustomerNumber"]]: [5, 341]}
    ours = set(lines) - {line["id"] for line in before.lines}
    assert ours == {line_id for ids in belonging.values() for line_id in ids}


def check_explained(world: World) -> None:
    """Whatever was not delivered says why, what to do, and in both languages; nothing is a fault of our own."""
    left = Change.objects.exclude(state__in=[State.APPLIED, State.SUPERSEDED])
    for change in left:
        assert change.reason["en"], change
        assert change.reason["sv"], change
        if change.state == State.REVIEW:
            assert change.error_class not in ("", "bug"), change
            assert change.error_code
        for problem in change.problems:
            assert all(problem["message"][code] and problem["remedy"][code] for code in ("en", "sv")), problem


def check_links(world: World) -> None:
    """Links and live records agree: each link names a record on both sides, and no record is linked twice."""
    for name, crm, ledger in (
        ("companies", "company", "customer"),
        ("products", "product", "article"),
        ("deals", "deal", "invoice"),
    ):
        live = {record["id"] for record in world.hubspot(name)}
        pairs = list(EntityLink.objects.filter(crm_object=crm, ledger_object=ledger).values_list("crm_id", "ledger_id"))
        assert {crm_id for crm_id, _l in pairs} <= live
        assert len({crm_id for crm_id, _l in pairs}) == len({ledger_id for _c, ledger_id in pairs}) == len(pairs)


def check_all(world: World, before: Before, **options: Any) -> None:
    """Everything above."""
    check_companies(world, before)
    check_products(world, before)
    check_deals(world, before, **options)
    check_links(world)
    check_explained(world)


FLOWS = (CUSTOMERS, ARTICLES, INVOICES)
