"""A look at a card never undoes what a flow wants, and never makes a second document."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.fortnox.write import Writer
from sync import repair, tasks
from sync.models import Change, EntityLink
from sync.states import State
from tests.end_to_end import deals
from tests.end_to_end.creating import a_day_later, automatic, simple_deal
from tests.end_to_end.test_creating import INVOICES, look, press, start
from tests.end_to_end.world import World

Make = Callable[..., World]

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_edit_reaches_the_invoice_although_somebody_opened_the_card_before_the_scan(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    here.pass_time()
    here.sync(INVOICES)  # the flow has a cursor
    here.pass_time()
    here.edit_crm("deals", deal, description="Ny text")
    look(here, INVOICES, deal)  # "Refresh" on the card
    here.pass_time()
    here.sync(INVOICES)
    a_day_later(here)
    here.sync(INVOICES)
    (invoice,) = here.fortnox("invoices")
    assert invoice["Remarks"] == "Ny text", here.states(INVOICES)


def test_a_deal_at_its_stage_becomes_an_invoice_although_somebody_opened_its_card(world: Make) -> None:
    here = start(world)
    automatic(here)
    here.sync(INVOICES)
    deal = simple_deal(here)
    here.pass_time()
    here.edit_crm("deals", deal, dealstage="closedwon")
    assert look(here, INVOICES, deal).phase == "ready"  # looked at, not pressed
    here.pass_time()
    here.sync(INVOICES)
    a_day_later(here)
    here.sync(INVOICES)
    assert len(here.fortnox("invoices")) == 1, here.states(INVOICES)


def test_what_an_automatic_flow_could_not_do_stays_wanted_when_somebody_looks_at_it(world: Make) -> None:
    here = start(world)
    automatic(here)
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company = deals.company(here, organization_number_from_fortnox="")
    deal = deals.deal(here, company, deals.line("", "1", "100.00", name="Timme"), dealstage="closedwon")
    here.sync(INVOICES)
    assert here.states(INVOICES)[State.REVIEW] == 1
    here.edit_crm("companies", company, organization_number_from_fortnox="5560360793")
    assert look(here, INVOICES, deal).phase == "ready"  # a colleague looks at the card and closes it
    a_day_later(here)
    here.sync(INVOICES)
    assert here.fortnox("invoices") or Change.objects.open().filter(source_id=deal).exists(), here.states(INVOICES)


def test_an_invoice_that_lost_our_reference_is_never_made_again_from_the_card(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = start(world)
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    with monkeypatch.context() as patched:
        body = Writer._body

        def without(self: Writer, it: Any, write: Any, *, create: bool) -> dict[str, Any]:
            made = body(self, it, write, create=create)
            made.pop(it.marker, None)
            return made

        patched.setattr(Writer, "_body", without)
        state = press(here, INVOICES, deal)
    assert state.change is not None and state.change.error_code == "marker_not_echoed"
    Change.objects.filter(sent_at__isnull=False).update(settle_until=timezone.now() - timedelta(minutes=1))
    if look(here, INVOICES, deal).phase == "ready":
        press(here, INVOICES, deal)
    assert len(here.fortnox("invoices")) == 1


def test_linking_a_deal_to_an_invoice_made_by_hand_does_not_rewrite_it_unseen(world: Make) -> None:
    here = start(world)
    customer = here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    rows = [{"Description": "Efter avtal", "DeliveredQuantity": "3", "Price": 500}]
    made = here.ask("fortnox", "POST", "/3/invoices", {
        "Invoice": {"CustomerNumber": customer["CustomerNumber"], "InvoiceRows": rows, "Remarks": "Av ekonomi"}
    })["Invoice"]  # fmt: skip
    deal = deals.deal(
        here, deals.company(here), deals.line("", "1", "100.00", name="Timme"),
        invoice_number_in_fortnox=str(made["DocumentNumber"]), description="Från affären",
    )  # fmt: skip
    state = look(here, INVOICES, deal)
    assert state.change is not None and state.change.error_code == "suggested"
    repair.link_to(state.change, str(made["DocumentNumber"]), None)
    tasks.work_on(state.change.pk)
    tasks.drain()
    (invoice,) = here.fortnox("invoices")
    assert (invoice["InvoiceRows"][0]["Description"], invoice["Remarks"]) == ("Efter avtal", "Av ekonomi")


def test_after_a_restore_a_press_finds_the_invoice_by_its_reference(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    # The database is restored from before the press, and the number never reached the deal (or was cleared there).
    Change.objects.filter(source_id=deal).delete()
    EntityLink.objects.filter(crm_object="deal").delete()
    here.edit_crm("deals", deal, invoice_number_in_fortnox="")
    if look(here, INVOICES, deal).phase == "ready":
        press(here, INVOICES, deal)
    assert len(here.fortnox("invoices")) == 1
