"""What the card's repairs send, against the sandbox over real HTTP: nothing that nobody saw, nothing that is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync import interactive, repair, tasks
from sync.cards import repairs
from sync.engine.run import work
from sync.flows import switch_off
from sync.models import EntityLink
from sync.states import LOOK, State
from tests.end_to_end import deals
from tests.end_to_end.creating import a_day_later, automatic, configure, simple_deal
from tests.end_to_end.test_creating import CUSTOMERS, INVOICES, failed, look, press, start
from tests.end_to_end.world import World
from tests.factories import make_superuser

Make = Callable[..., World]

pytestmark = pytest.mark.django_db(transaction=True)


def unlinked(here: World) -> str:
    """A deal whose invoice was created and forgotten; the flow creates by itself."""
    automatic(here)
    deal = simple_deal(here, dealstage="closedwon")
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    EntityLink.objects.filter(crm_object="deal").delete()
    here.edit_crm("deals", deal, invoice_number_in_fortnox="")
    state = look(here, INVOICES, deal)
    assert state.change is not None and state.change.error_code == "created_before"
    return deal


def test_one_more_invoice_from_a_card_is_shown_and_waits_for_a_press(world: Make) -> None:
    here = start(world)
    deal = unlinked(here)
    change = interactive.state_of(here.flow(INVOICES), deal).change
    assert change is not None
    repairs.carry_out(change, "create_new", "", actor="anna@kund.se", user=None)
    tasks.work_on(change.pk)
    for _round in range(2):
        work(here.flow(INVOICES))
    seen = interactive.state_of(here.flow(INVOICES), deal)
    assert seen.phase == "ready" and seen.change is not None
    assert (seen.change.decision, seen.change.generation) == (LOOK, 2) and seen.change.payload["preview"]
    assert len(here.fortnox("invoices")) == 1
    assert press(here, INVOICES, deal).phase == "done"
    assert len(here.fortnox("invoices")) == 2


def test_one_more_invoice_that_nobody_pressed_for_is_a_persons_question_again(world: Make) -> None:
    here = start(world)
    deal = unlinked(here)
    change = interactive.state_of(here.flow(INVOICES), deal).change
    assert change is not None
    repairs.carry_out(change, "create_new", "", actor="anna@kund.se", user=None)
    tasks.work_on(change.pk)
    a_day_later(here)
    for _round in range(2):
        work(here.flow(INVOICES))
    asked = interactive.state_of(here.flow(INVOICES), deal).change
    assert asked is not None and (asked.state, asked.error_code) == (State.REVIEW, "created_before")
    assert len(here.fortnox("invoices")) == 1


def test_one_more_invoice_that_a_consultant_decides_on_goes_out(world: Make) -> None:
    here = start(world)
    deal = unlinked(here)
    change = interactive.state_of(here.flow(INVOICES), deal).change
    assert change is not None
    repair.create_new(change, make_superuser())
    for _round in range(2):
        work(here.flow(INVOICES))
    assert len(here.fortnox("invoices")) == 2


def missing_customer(here: World) -> dict[str, Any]:
    """The check of a new deal that its customer fails."""
    state = look(here, INVOICES, deals.deal(here, deals.company(here), deals.line("", "1", "100.00", name="Timme")))
    assert state.change is not None and failed(state) == {"customer_linked"}
    return next(row for row in state.change.checks if row["code"] == "customer_linked")


def test_a_missing_customer_is_offered_to_be_created(world: Make) -> None:
    assert missing_customer(start(world))["repair"] == "create_customer"


def test_a_missing_customer_is_not_offered_where_the_settings_say_to_stop(world: Make) -> None:
    here = start(world)
    configure(here, missing_customer="block")
    row = missing_customer(here)
    assert row["repair"] == "open_settings" and "stop here" in row["remedy"]["en"]


@pytest.mark.parametrize("off", ["switched off", "may not create"])
def test_a_missing_customer_is_not_offered_where_its_flow_cannot_create_it(world: Make, off: str) -> None:
    here = start(world)
    flow = here.flow(CUSTOMERS)
    if off == "switched off":
        switch_off(flow)
    else:
        flow.may_create = False
        flow.save()
    row = missing_customer(here)
    assert row["repair"] == "open_settings" and "switch on the flow" in row["remedy"]["en"]


def test_what_was_held_over_a_limit_is_looked_at_anew_and_held_again(world: Make) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.brake_amount = 50
    flow.save()
    deal = simple_deal(here)
    for _twice in range(2):
        seen = look(here, INVOICES, deal)
        assert seen.phase == "ready" and seen.change is not None
        pressed = interactive.press(seen.change.pk, actor="anna", fingerprint=seen.change.source_fingerprint)
        assert pressed.status == "held"
    assert here.states(INVOICES)[State.HELD] == 1 and not here.fortnox("invoices")
