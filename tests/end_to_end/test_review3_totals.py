"""Promises, rows and discounts come to the same money on both sides, or a person is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync import interactive, repair, tasks
from sync.engine.run import work
from sync.models import Change
from sync.states import Action, State
from tests.end_to_end import deals
from tests.end_to_end.creating import a_day_later, configure, line_of, simple_deal
from tests.end_to_end.test_creating import INVOICES, look, press, start
from tests.end_to_end.world import World

Make = Callable[..., World]

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_promise_that_was_corrected_at_the_source_releases_the_totals(world: Make) -> None:
    here = start(world)
    configure(here, document_mode="booked")
    deal = simple_deal(here, amount="125.00")
    look(here, INVOICES, deal)
    state = press(here, INVOICES, deal)
    assert state.change is not None and state.change.error_code == "totals_promise"
    here.pass_time()
    here.edit_crm("deals", deal, amount="100.00")  # what the remedy says
    here.sync(INVOICES)
    open_one = Change.objects.open().filter(source_id=deal, flow__slug=INVOICES).first()
    if open_one is not None:
        repair.retry(Change.objects.filter(pk=open_one.pk), None)
        work(here.flow(INVOICES))
    (invoice,) = here.fortnox("invoices")
    assert not Change.objects.open().filter(source_id=deal, flow__slug=INVOICES).exists()
    assert invoice["Booked"] is True


def test_an_invoice_that_was_corrected_before_it_was_booked_is_booked_then(world: Make) -> None:
    here = start(world)
    configure(here, document_mode="booked")
    deal = simple_deal(here, amount="125.00")
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    here.pass_time()
    here.edit_crm("line_items", line_of(here, deal), price="125.00")
    here.edit_crm("deals", deal, description="Rättad")
    here.sync(INVOICES)
    work(here.flow(INVOICES))
    (invoice,) = here.fortnox("invoices")
    assert invoice["Net"] == 125 and invoice["Remarks"] == "Rättad"
    assert not Change.objects.open().filter(source_id=deal, flow__slug=INVOICES).exists()
    assert invoice["Booked"] is True


def test_a_promise_of_nothing_is_compared_too(world: Make) -> None:
    here = start(world)
    configure(here, document_mode="booked")
    deal = simple_deal(here, amount="0")
    look(here, INVOICES, deal)
    state = press(here, INVOICES, deal)
    (invoice,) = here.fortnox("invoices")
    assert state.phase == "review" and invoice["Booked"] is False


def test_prices_with_vat_and_an_amount_with_vat_agree(world: Make) -> None:
    here = start(world)
    configure(here, vat_included=True)
    deals.article(here, "A-1")
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    deal = deals.deal(here, deals.company(here), deals.line("A-1", "1", "125.00"))  # the deal's amount is the sum: 125
    assert look(here, INVOICES, deal).phase == "ready"
    state = press(here, INVOICES, deal)
    assert state.phase == "done", state.change and state.change.reason


def test_an_edit_during_a_create_is_not_forgotten_when_its_totals_differ(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here, amount="125.00")
    seen = look(here, INVOICES, deal).change
    assert seen is not None
    interactive.press(seen.pk, actor="a", fingerprint=seen.source_fingerprint)
    tasks.work_on(seen.pk)
    act = Change.objects.get(flow__slug=INVOICES, action=Action.ACT)
    assert act.state == State.REVIEW
    # The same as if the scan had seen the edit while the create was sending: the act was born stale.
    Change.objects.filter(pk=act.pk).update(stale=True, state=State.QUEUED)
    here.edit_crm("line_items", line_of(here, deal), price="125.00")
    work(here.flow(INVOICES))
    here.later()
    work(here.flow(INVOICES))
    (invoice,) = here.fortnox("invoices")
    assert invoice["Net"] == 125


def test_a_locked_document_is_shown_although_its_totals_wait_for_a_person(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here, amount="125.00")
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    (invoice,) = here.fortnox("invoices")
    here.ask("fortnox", "PUT", f"/3/invoices/{invoice['DocumentNumber']}/bookkeep", {})
    here.pass_time()
    here.edit_crm("deals", deal, description="För sent")
    here.sync(INVOICES)
    act = Change.objects.open().get(source_id=deal, flow__slug=INVOICES)
    if act.action == Action.ACT:
        repair.dismiss(Change.objects.filter(pk=act.pk), None, "The difference is agreed.")
        a_day_later(here)
        here.sync(INVOICES)
    assert interactive.state_of(here.flow(INVOICES), deal).phase == "locked"


@pytest.mark.parametrize(
    ("line", "net"),
    [
        ({"quantity": "3", "price": "99.99", "discount": "10"}, "269.97"),
        ({"quantity": "3", "price": "99.99", "hs_discount_percentage": "33.3333"}, "199.98"),
        ({"quantity": "7", "price": "0.33", "hs_discount_percentage": "12.5"}, "2.02"),
        ({"quantity": "0.5", "price": "1999.99"}, "1000.00"),
        ({"quantity": "2", "price": "100", "discount": "100"}, "0.00"),
    ],
)
def test_discounts_come_to_what_the_deal_says(world: Make, line: dict[str, str], net: str) -> None:
    here = start(world)
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    one = deals.line("", line["quantity"], line["price"], name="Timme") | line
    deal = deals.deal(here, deals.company(here), one, amount=net)
    ready = look(here, INVOICES, deal)
    assert ready.change is not None and ready.change.payload["preview"]["net"] == net, ready.change.problems
    assert press(here, INVOICES, deal).phase == "done"
    assert f"{here.fortnox('invoices')[0]['Net']:.2f}" == net


def test_an_invoice_abroad_with_swedish_vat_is_not_booked(world: Make) -> None:
    """The customer's VAT type was never changed from its default, and its VAT number is a German one."""
    here = start(world)
    configure(here, document_mode="booked")
    deals.article(here, "A-1")
    here.edit(
        "customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793", CountryCode="DE",
        VATNumber="DE129273398",
    )  # fmt: skip
    deal = deals.deal(here, deals.company(here), deals.line("A-1", "1", "100.00"))
    look(here, INVOICES, deal)
    state = press(here, INVOICES, deal)
    (invoice,) = here.fortnox("invoices")
    assert state.phase == "review" and invoice["Booked"] is False
    assert state.change is not None and state.change.error_code == "totals_vat"
    assert "DE129273398" in state.change.problems[0]["message"]["en"]
