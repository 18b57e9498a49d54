"""From a salesperson's click to the invoice through the org's own messages and callouts, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.inbound_secret import secret_of
from integrations.inbox_models import RefusedCall
from integrations.models import InboundEvent
from integrations.salesforce.events import callout_url, inbound_url
from sync import tasks
from sync.models import Flow
from tests.end_to_end.deals import article
from tests.end_to_end.processes import wait_for
from tests.end_to_end.salesforce_world import SalesforceWorld
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

FLOW, FOLLOW_UP = "opportunities-to-invoices", "invoice-status-to-opportunities"


@pytest.fixture
def org(sandbox: SandboxProcess, live_server: Any, settings: Any) -> Iterator[Callable[..., SalesforceWorld]]:
    """An org whose messages come to this process; no flow is due by itself."""
    settings.PUBLIC_URL = live_server.url

    def build(**options: Any) -> SalesforceWorld:
        world = SalesforceWorld(sandbox)
        later = timezone.now() + timedelta(days=1)
        Flow.objects.update(prepared_at=timezone.now(), next_run_at=later)
        for flow in Flow.objects.all():
            flow.passes.update(next_run_at=later)
        Flow.objects.filter(slug=FLOW).update(settings={"missing_customer": "create"})
        article(world, "A-1")
        wanted = {name: value(world) if callable(value) else value for name, value in options.items()}
        sandbox.control("POST", "/webhooks", {"system": "salesforce", "gather_seconds": 0.02, **wanted})
        return world

    yield build
    sandbox.control("POST", "/webhooks", {"system": "salesforce", "target_url": "", "callout_url": ""})


def won(world: SalesforceWorld) -> str:
    """A won opportunity that somebody sends; returns its id."""
    deal = world.opportunity(world.account(), (world.entry("A-1"), 2, 150.0))
    world.change("Opportunity", deal, Fortnox_Sync_Status__c="Pending")
    return deal


def served(world: SalesforceWorld) -> list[dict[str, Any]]:
    """The invoices once the workers have nothing to do, told by events alone."""

    def made() -> bool:
        tasks.drain()
        return bool(world.fortnox("invoices"))

    wait_for(made, "an invoice", ticking=False)
    return world.fortnox("invoices")


def settled(world: SalesforceWorld) -> dict[str, Any]:
    """What became of the messages, once all were sent."""
    counts: dict[str, Any] = {}

    def sent() -> bool:
        counts.update(world.sandbox.control("POST", "/webhooks", {"system": "salesforce"}))
        return counts["pending"] == 0

    wait_for(sent, "the messages", ticking=False)
    return counts


def test_sending_an_opportunity_makes_its_invoice_through_a_message(org: Callable[..., SalesforceWorld]) -> None:
    world = org(target_url=lambda world: inbound_url(world.crm))
    deal = won(world)
    (invoice,) = served(world)
    counts = settled(world)
    assert counts.get("failed", 0) == 0 and counts["delivered"] >= 1
    events = InboundEvent.objects.filter(object="opportunity", record_id=deal)
    assert events.exists() and not events.filter(processed_at=None).exists()
    assert not RefusedCall.objects.exclude(reason__startswith="unread").exists()
    tasks.drain()
    assert world.fortnox("invoices") == [invoice]  # our own writes come back as messages, and change nothing


def test_messages_that_come_twice_late_and_in_disorder_make_one_invoice(org: Callable[..., SalesforceWorld]) -> None:
    world = org(
        target_url=lambda world: inbound_url(world.crm), duplicate=1.0, shuffle=True, delay_seconds=0.3,
        watch={"Opportunity": ["Name"], "OpportunityLineItem": ["OpportunityId"]},
    )  # fmt: skip
    won(world)
    (invoice,) = served(world)
    settled(world)
    tasks.drain()
    assert world.fortnox("invoices") == [invoice]
    keys = list(InboundEvent.objects.values_list("account", "dedupe_key"))
    assert len(keys) == len(set(keys))
    assert InboundEvent.objects.filter(object="opportunity_line").exists()  # a line's message means its opportunity


def test_a_callout_says_the_same(org: Callable[..., SalesforceWorld]) -> None:
    world = org(
        callout_url=lambda world: callout_url(world.crm),
        callout_headers=lambda world: {"X-Ledgerbridge-Secret": secret_of(world.crm)},
    )
    deal = won(world)
    assert served(world)
    assert set(InboundEvent.objects.values_list("record_id", flat=True)) == {deal}
