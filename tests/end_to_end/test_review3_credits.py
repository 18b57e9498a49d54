"""After a credit: the new document, once; after a refused one: what waited goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from integrations.fortnox.write import Writer
from sync import interactive, repair, tasks
from sync.engine.run import work
from sync.models import Change
from sync.states import State
from tests.end_to_end.creating import a_day_later, credited_deal, simple_deal
from tests.end_to_end.test_creating import INVOICES, look, press, start
from tests.end_to_end.world import World

Make = Callable[..., World]

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_credited_document_that_was_not_replaced_yet_is_not_forgotten(world: Make) -> None:
    here = start(world)
    deal = credited_deal(here)
    a_day_later(here)
    assert Change.objects.open().filter(source_id=deal, flow__slug=INVOICES).exists()


def test_the_new_invoice_after_a_credit_goes_out_when_its_first_attempt_was_refused(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from integrations.connector import Outcome
    from integrations.errors import InvalidData

    here = start(world)
    deal = credited_deal(here)
    with monkeypatch.context() as patched:
        refused = InvalidData("No default account", code="2000106")
        patched.setattr(Writer, "create", lambda self, name, write: Outcome(write.key, error=refused))
        assert press(here, INVOICES, deal).phase == "review"
    asked = Change.objects.open().get(source_id=deal, flow__slug=INVOICES)
    repair.retry(Change.objects.filter(pk=asked.pk), None)
    for _round in range(2):
        work(here.flow(INVOICES))
        here.later()
    assert len(here.fortnox("invoices")) == 3, Change.objects.open().filter(source_id=deal).values_list("error_code")


def test_a_credit_that_died_after_it_was_done_is_not_done_again(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from sync.engine import acts

    here = start(world)
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    (invoice,) = here.fortnox("invoices")
    here.ask("fortnox", "PUT", f"/3/invoices/{invoice['DocumentNumber']}/bookkeep", {})
    first = interactive.credit_and_new(here.flow(INVOICES), deal, actor="anna@kund.se", user=None)
    assert interactive.credit_and_new(here.flow(INVOICES), deal, actor="bo@kund.se", user=None).pk == first.pk

    def killed(*_args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(acts, "_replaced", killed)
        with pytest.raises(KeyboardInterrupt):
            tasks.work_on(first.pk)
    for _round in range(3):
        here.later()
        work(here.flow(INVOICES))
    assert len(here.fortnox("invoices")) == 2
    assert interactive.state_of(here.flow(INVOICES), deal).phase == "ready"


def test_a_document_that_was_credited_by_hand_is_replaced_without_a_second_credit(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    number = here.fortnox("invoices")[0]["DocumentNumber"]
    for verb in ("bookkeep", "credit"):
        here.ask("fortnox", "PUT", f"/3/invoices/{number}/{verb}", {})
    change = interactive.credit_and_new(here.flow(INVOICES), deal, actor="anna@kund.se", user=None)
    tasks.work_on(change.pk)
    assert press(here, INVOICES, deal).phase == "done"
    assert len(here.fortnox("invoices")) == 3


def test_a_credit_that_was_refused_can_be_asked_for_again_when_the_reason_is_gone(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    number = here.fortnox("invoices")[0]["DocumentNumber"]
    first = interactive.credit_and_new(here.flow(INVOICES), deal, actor="anna@kund.se", user=None)
    tasks.work_on(first.pk)
    first.refresh_from_db()
    assert (first.state, first.error_code) == ("review", "not_booked")
    here.ask("fortnox", "PUT", f"/3/invoices/{number}/bookkeep", {})
    again = interactive.credit_and_new(here.flow(INVOICES), deal, actor="anna@kund.se", user=None)
    tasks.work_on(again.pk)
    work(here.flow(INVOICES))
    assert len(here.fortnox("invoices")) == 2


def test_an_update_that_waits_survives_a_credit_that_is_refused(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    flow = here.flow(INVOICES)
    flow.approval = "always"
    flow.save()
    here.edit_crm("deals", deal, description="Ny text")
    here.sync(INVOICES)
    assert here.states(INVOICES)[State.HELD] == 1
    change = interactive.credit_and_new(here.flow(INVOICES), deal, actor="anna@kund.se", user=None)
    tasks.work_on(change.pk)
    repair.dismiss(Change.objects.filter(pk=change.pk), None, "It was not booked yet.")
    a_day_later(here)
    here.sync(INVOICES)
    assert Change.objects.open().filter(source_id=deal, flow=flow).exists()
