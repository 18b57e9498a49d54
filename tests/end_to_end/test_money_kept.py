"""What a comparison of totals protects stays protected, whatever happens to the act that makes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync import interactive, repair, tasks
from sync.engine.run import work
from sync.models import Change
from sync.states import Action, State
from tests.end_to_end import deals
from tests.end_to_end.creating import configure, simple_deal
from tests.end_to_end.test_creating import INVOICES, look, press, start
from tests.end_to_end.world import World

Make = Callable[..., World]

pytestmark = pytest.mark.django_db(transaction=True)


def _open(here: World, deal: str) -> Change:
    return Change.objects.open().get(source_id=deal, flow__slug=INVOICES)


def test_wrong_totals_still_wait_after_a_credit_that_was_given_up(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here, amount="125.00")
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    assert _open(here, deal).error_code == "totals_promise"
    credit = interactive.credit_and_new(here.flow(INVOICES), deal, actor="anna@kund.se", user=None)
    tasks.work_on(credit.pk)  # refused: it is not booked
    repair.dismiss(Change.objects.filter(pk=credit.pk), None, "We keep it.")
    work(here.flow(INVOICES))
    again = _open(here, deal)
    assert (again.pk != credit.pk, again.state, again.error_code) == (True, State.REVIEW, "totals_promise")


def test_an_invoice_with_a_wrong_row_is_not_booked_by_a_change_of_its_text(world: Make) -> None:
    here = start(world)
    configure(here, document_mode="booked", tolerance=1_000_000)  # only its rows can be wrong
    deal = simple_deal(here, amount="125.00")
    look(here, INVOICES, deal)
    seen = interactive.state_of(here.flow(INVOICES), deal).change
    assert seen is not None
    interactive.press(seen.pk, actor="a", fingerprint=seen.source_fingerprint)
    from sync.engine import acts

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(acts, "carry_out", lambda ctx, change: {})
        tasks.work_on(seen.pk)
    (invoice,) = here.fortnox("invoices")
    rows = [{"Description": "Fel", "DeliveredQuantity": "1", "Price": 90}]
    here.ask("fortnox", "PUT", f"/3/invoices/{invoice['DocumentNumber']}", {"Invoice": {"InvoiceRows": rows}})
    work(here.flow(INVOICES))
    assert _open(here, deal).error_code == "totals_row"
    here.pass_time()
    here.edit_crm("deals", deal, description="Annan text")
    here.sync(INVOICES)
    for _round in range(2):
        work(here.flow(INVOICES))
    (invoice,) = here.fortnox("invoices")
    assert (invoice["Remarks"], invoice["Booked"]) == ("Annan text", False)
    assert _open(here, deal).action == Action.ACT and _open(here, deal).error_code == "totals_row"


def test_what_a_person_linked_by_hand_is_not_written_by_the_next_scan(world: Make) -> None:
    here = start(world)
    customer = here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    rows = [{"Description": "Efter avtal", "DeliveredQuantity": "1", "Price": 100}]
    body = {"Invoice": {"CustomerNumber": customer["CustomerNumber"], "InvoiceRows": rows, "Remarks": "Av ekonomi"}}
    number = str(here.ask("fortnox", "POST", "/3/invoices", body)["Invoice"]["DocumentNumber"])
    line = deals.line("", "1", "100.00", name="Timme")
    deal = deals.deal(here, deals.company(here), line, invoice_number_in_fortnox=number, description="Från affären")
    state = look(here, INVOICES, deal)
    assert state.change is not None
    repair.link_to(state.change, number, None)
    tasks.work_on(state.change.pk)
    here.pass_time()
    here.edit_crm("deals", deal, description="Ännu en text")
    here.sync(INVOICES)
    work(here.flow(INVOICES))
    assert here.fortnox("invoices")[0]["Remarks"] == "Av ekonomi"
    assert _open(here, deal).state in (State.HELD, State.PLANNED)


def test_an_empty_amount_is_said_to_be_none_and_nothing_is_compared(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here, amount="")
    ready = look(here, INVOICES, deal)
    assert ready.change is not None and ready.change.amount is None
    notes = [note["en"] for note in ready.change.payload["preview"]["notes"]]
    assert "The CRM's amount is empty: the totals are not compared." in notes
    assert press(here, INVOICES, deal).phase == "done"
