"""From closed-won in Salesforce to the invoice in Fortnox, through outbound messages: real worker, real messages.

Times are the sandbox's own, from its journal of committed writes: from the salesperson's edit to our create. The suite
takes a few and prints them; `EVENT_SAMPLES=20` measures, on a machine that does nothing else, and insists on the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import InboundEvent
from integrations.salesforce.events import inbound_url
from sync.models import Flow
from tests.end_to_end.deals import article
from tests.end_to_end.processes import Worker, wait_for
from tests.end_to_end.salesforce_world import SalesforceWorld
from tests.end_to_end.test_events import SAMPLES, deeds, last_deed, report
from tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

INVOICES, STATES = "opportunities-to-invoices", "invoice-status-to-opportunities"
SERVED = (INVOICES, STATES, "accounts-to-customers", "customer-numbers-to-accounts")


@pytest.fixture
def office(
    transactional_db: None, org: Callable[..., SalesforceWorld], sandbox: SandboxProcess, live_server: Any,
    settings: Any,
) -> Any:  # fmt: skip
    """An org whose flows send outbound messages to our real server; no scan is due while we measure."""
    settings.PUBLIC_URL = live_server.url
    world = org()
    Flow.objects.exclude(slug__in=SERVED).update(enabled=False)
    Flow.objects.filter(slug=INVOICES).update(
        settings={"automatic_from": "2026-01-01", "missing_customer": "create"}, max_creates_per_hour=None
    )
    for slug in SERVED:
        world.sync(slug)
    later = timezone.now() + timedelta(days=1)
    Flow.objects.update(prepared_at=timezone.now(), next_run_at=later)
    for flow in Flow.objects.all():
        flow.passes.update(next_run_at=later)
    sending = {"target_url": inbound_url(world.crm), "watch": {"Opportunity": ["StageName"]}, "gather_seconds": 0.1}
    sandbox.control("POST", "/webhooks", {"system": "salesforce", **sending})
    yield world
    sandbox.control("POST", "/webhooks", {"system": "salesforce", "target_url": "", "watch": {}})


def between(first: dict[str, Any], second: dict[str, Any]) -> float:
    return (datetime.fromisoformat(second["at"]) - datetime.fromisoformat(first["at"])).total_seconds()


def made_by_us(world: SalesforceWorld, since: int) -> list[dict[str, Any]]:
    """The invoices that we created after a deed."""
    found = deeds(world, since, system="fortnox", object="invoices")
    return [deed for deed in found if deed["action"] == "create" and deed["request"] is not None]


def test_closed_won_is_invoiced_within_seconds_and_the_status_comes_with_the_next_poll(
    office: SalesforceWorld, tmp_path: Path
) -> None:
    world = office
    article(world, "A-1")
    entry, account = world.entry("A-1"), world.account()
    opportunities = [
        world.opportunity(account, (entry, 1, 100.0 + n), won=False, Name=f"Affär {n}") for n in range(SAMPLES + 1)
    ]
    times = []
    with Worker(tmp_path):
        for key in opportunities:
            before = last_deed(world)
            world.change("Opportunity", key, StageName="Closed Won")
            won = next(deed for deed in deeds(world, before, system="salesforce") if deed["key"] == key)
            invoice = wait_for(lambda since=before: made_by_us(world, since), "it", ticking=False)[0]  # type: ignore[misc]
            times.append(between(won, invoice))

            def told(key: str = key, number: str = invoice["key"]) -> bool:
                return bool(world.record("Opportunity", key).get("Fortnox_Invoice_Number__c") == number)

            wait_for(told, "the number on the opportunity", ticking=False)
        number = world.record("Opportunity", opportunities[0])["Fortnox_Invoice_Number__c"]
        world.ask("fortnox", "PUT", f"/3/invoices/{number}/bookkeep")
        Flow.objects.filter(slug=STATES).update(next_run_at=timezone.now())

        def booked() -> bool:
            return world.record("Opportunity", opportunities[0]).get("Fortnox_Status__c") == "Booked"

        wait_for(booked, "the status")
    report("closed-won (outbound message) → invoice", times[1:])  # the first one waited for the processes to start
    assert len(world.fortnox("invoices")) == len(opportunities)
    assert InboundEvent.objects.filter(account=world.crm).exists()
