"""What the tests of creating invoices share: a simple deal, how its flow is set, and what a day brings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from sync import interactive, tasks
from sync.models import Change, Flow
from sync.states import State
from tests.end_to_end import deals
from tests.end_to_end.test_creating import INVOICES, look, press
from tests.end_to_end.world import World


def simple_deal(here: World, price: str = "100.00", **more: Any) -> str:
    """A deal of one hour for a customer that exists."""
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    return deals.deal(here, deals.company(here), deals.line("", "1", price, name="Konsulttimme"), **more)


def automatic(here: World) -> None:
    """Deals become invoices by themselves at their stage."""
    flow = here.flow(INVOICES)
    flow.takes, flow.filter_expression = "all", 'deal.dealstage == "closedwon"'
    flow.save()


def configure(here: World, **settings: Any) -> None:
    flow = here.flow(INVOICES)
    flow.settings |= settings
    flow.save()


def a_day_later(here: World) -> None:
    Change.objects.filter(state=State.PLANNED).update(updated_at=timezone.now() - timedelta(hours=25))
    interactive.expire_looks()
    # A day of other people's work moves the cursor beyond the overlap.
    later = (timezone.now() + timedelta(days=1)).isoformat()
    Flow.objects.filter(slug=INVOICES).update(cursor=later)


def line_of(here: World, deal: str) -> str:
    (item,) = here.hubspot("line_items")
    assert deal
    return str(item["id"])


def credited_deal(here: World) -> str:
    """A deal whose invoice was booked, and was credited from the card; its new invoice is shown, and not pressed."""
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    (invoice,) = here.fortnox("invoices")
    here.ask("fortnox", "PUT", f"/3/invoices/{invoice['DocumentNumber']}/bookkeep", {})
    change = interactive.credit_and_new(here.flow(INVOICES), deal, actor="anna@kund.se", user=None)
    tasks.work_on(change.pk)
    assert interactive.state_of(here.flow(INVOICES), deal).phase == "ready"
    return deal
