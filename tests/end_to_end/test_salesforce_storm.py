"""R-01 with Salesforce as the source: won opportunities, workers killed at any line, faults of both systems.

Every opportunity becomes one invoice, linked, with its number back on the opportunity; every account one customer.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from sync.models import Change, EntityLink, Flow
from sync.states import State
from tests.end_to_end.deals import article
from tests.end_to_end.salesforce_world import ORG_NUMBERS, SalesforceWorld
from tests.end_to_end.storm.harness import MOVING, Nemesis, Workers, describe
from tests.end_to_end.storm.invariants import inv1
from tests.end_to_end.storm.world import FAULTS, Plan

pytestmark = [pytest.mark.soak, pytest.mark.django_db(transaction=True)]

INVOICES, CUSTOMERS = "opportunities-to-invoices", "accounts-to-customers"
SERVED = (INVOICES, CUSTOMERS, "customer-numbers-to-accounts", "invoice-status-to-opportunities")


def wishes(world: SalesforceWorld, count: int) -> list[str]:
    """Opportunities of five accounts, each with a line of its own price; won by `win`."""
    article(world, "A-1")
    entry = world.entry("A-1")
    accounts = [world.account(f"Kund {n} AB", number) for n, number in enumerate(ORG_NUMBERS)]
    return [
        world.opportunity(accounts[n % len(accounts)], (entry, 1, 100.0 + n), won=False, Name=f"Affär {n}")
        for n in range(count)
    ]


def rest(world: SalesforceWorld, patience: float = 90) -> None:
    """Until nothing moves any more."""
    deadline, before = time.monotonic() + patience, None
    while time.monotonic() < deadline:
        time.sleep(0.3)
        now = Counter(Change.objects.values_list("state", flat=True))
        if now != before:
            deadline, before = time.monotonic() + patience, now
        elif not any(now[state] for state in MOVING):
            linked = EntityLink.objects.filter(crm_object="opportunity").count()
            asked = Change.objects.filter(flow__slug=INVOICES, state=State.REVIEW).count()
            if linked + asked >= world.wanted:  # type: ignore[attr-defined]
                return
    raise AssertionError(f"the storm does not end: {before}")


def test_won_opportunities_become_one_invoice_each_however_workers_die(
    org: Callable[..., SalesforceWorld], tmp_path: Path, capsys: Any
) -> None:
    count = int(os.environ.get("SALESFORCE_STORM", "40" if connection.vendor == "sqlite" else "150"))
    world = org()
    world.wanted = count  # type: ignore[attr-defined]
    deals = wishes(world, count)
    flows = Flow.objects.filter(slug__in=SERVED)
    Flow.objects.exclude(slug__in=SERVED).update(enabled=False)
    settings = {"automatic_from": "2026-01-01", "missing_customer": "create"}
    Flow.objects.filter(slug=INVOICES).update(settings=settings)
    Flow.objects.update(max_creates_per_hour=None, approval="automatic")
    for flow in SERVED:
        world.sync(flow)  # the cursors stand before what happens now
    plan = Plan(
        count, rate=count / 20, workers=4, kills=max(10, count // 5), flow_ids=[f.pk for f in flows], patience=120
    )
    slow = {"timeout_seconds": plan.timeout * 3, "late_seconds": plan.timeout + 0.8, "drip_seconds": 3}
    started = time.monotonic()
    with Workers(plan, tmp_path / "workers.log") as workers:
        assert not workers.refused, workers.refused
        world.faults(seed=1, durations=slow, **FAULTS)
        nemesis = Nemesis(plan, workers)
        nemesis.start()
        for deal in deals:
            world.change("Opportunity", deal, StageName="Closed Won")
        nemesis.join(120)
        world.faults()
        rest(world)
    took = time.monotonic() - started
    requests = world.sandbox.control("GET", "/requests?since=0")["requests"]
    faults = Counter(request["fault"] for request in requests if request["fault"])
    states = Counter(Change.objects.filter(flow__slug=INVOICES).values_list("state", flat=True))
    with capsys.disabled():
        told = f"{count} opportunities in {took:.0f} s, kills={nemesis.kills} {dict(states)} {dict(faults)}"
        print(f"\n  {describe()}: {told}")
    deeds = world.sandbox.control("GET", f"/truth?system=fortnox&account={world.ledger.remote_id}")["deeds"]
    made = [deed for deed in deeds if deed["object"] == "invoices" and deed["request"] is not None]
    assert inv1(made) == []
    links = dict(EntityLink.objects.filter(crm_object="opportunity").values_list("crm_id", "ledger_id"))
    asked = set(Change.objects.filter(flow__slug=INVOICES, state=State.REVIEW).values_list("source_id", flat=True))
    assert set(deals) - set(links) - asked == set(), "lost"
    assert len(asked) <= max(1, count // 20), list(
        Change.objects.filter(state=State.REVIEW).values_list("flow__slug", "error_code", "error_message")
    )
    invoices = {row["DocumentNumber"]: row for row in world.fortnox("invoices")}
    assert len(set(links.values())) == len(links)
    prices = {deal: 100.0 + n for n, deal in enumerate(deals)}
    for deal, number in links.items():
        assert float(invoices[number]["Net"]) == prices[deal]
    numbers = {row["id"]: row.get("Fortnox_Invoice_Number__c") for row in world.records("Opportunity")}
    assert {deal: numbers[deal] for deal in links} == links
    customers = Counter(row["OrganisationNumber"].replace("-", "") for row in world.fortnox("customers"))
    assert {number: customers[number] for number in ORG_NUMBERS} == dict.fromkeys(ORG_NUMBERS, 1)
