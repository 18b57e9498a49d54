"""What a person repairs from a card or a queue reaches the other side, once and for that record only."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync import interactive, tasks
from sync.engine.run import work
from sync.flows import switch_off, switch_on
from sync.models import Change
from sync.states import Action, State
from tests.end_to_end import deals
from tests.end_to_end.creating import automatic, configure
from tests.end_to_end.test_creating import CUSTOMERS, INVOICES, NUMBERS, failed, look, press, start
from tests.end_to_end.world import World

Make = Callable[..., World]

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_article_repair_is_about_the_article_although_the_customer_is_missing_too(world: Make) -> None:
    here = start(world)
    deal = deals.deal(here, deals.company(here), deals.line("NY/1", "1", "100.00", name="Nyhet"))
    state = look(here, INVOICES, deal)
    assert state.change is not None and failed(state) == {"customer_linked", "article_exists"}
    interactive.repair(state.change, "create_article", "NY/1", "anna@kund.se")
    assert not Change.objects.filter(flow__slug=CUSTOMERS, source_id="NY/1").exists()


def test_a_customer_chosen_on_the_card_is_told_to_its_company(world: Make) -> None:
    here = start(world)
    switch_off(here.flow("customers-to-companies"))  # the toggle "Sync Companies"
    for _twice in range(2):
        here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    wanted = here.fortnox("customers")[1]["CustomerNumber"]
    company = deals.company(here)
    deal = deals.deal(here, company, deals.line("", "1", "100.00", name="Timme"))
    state = look(here, INVOICES, deal)
    assert state.change is not None and failed(state) == {"customer_linked"}
    interactive.repair(state.change, "link_customer", wanted, "anna@kund.se")
    ready = interactive.state_of(here.flow(INVOICES), deal)
    assert ready.change is not None
    tasks.work_on(ready.change.pk)
    tasks.drain()
    assert press(here, INVOICES, deal).phase == "done"
    for slug in (CUSTOMERS, NUMBERS):
        work(here.flow(slug))
    (record,) = [item for item in here.hubspot("companies") if str(item["id"]) == company]
    assert record["properties"].get("fortnox_id") == wanted


def test_a_number_that_could_not_be_told_while_its_flow_was_off_is_told_when_it_is_on(world: Make) -> None:
    here = start(world)
    switch_off(here.flow("customers-to-companies"))  # the toggle "Sync Companies"
    switch_off(here.flow(NUMBERS))
    company = deals.company(here)
    look(here, CUSTOMERS, company)
    assert press(here, CUSTOMERS, company).phase == "done"
    switch_on(here.flow(NUMBERS))
    here.pass_time()
    for _round in range(2):
        tasks.drain()
    work(here.flow(NUMBERS))
    (record,) = [item for item in here.hubspot("companies") if str(item["id"]) == company]
    assert record["properties"].get("fortnox_id") == here.fortnox("customers")[0]["CustomerNumber"]


def test_a_currency_that_a_consultant_approved_once_is_known(world: Make) -> None:
    here = start(world)
    here.enable_currencies("EUR")
    flow = here.flow(INVOICES)
    flow.seen_currencies = ["SEK"]
    flow.save()
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company, held = deals.company(here), []
    for _turn in range(2):
        line = deals.line("", "1", "100.00", name="Timme")
        deal = deals.deal(here, company, line, deal_currency_code="EUR")
        seen = look(here, INVOICES, deal).change
        assert seen is not None, here.states(INVOICES)
        pressed = interactive.press(seen.pk, actor="a", fingerprint=seen.source_fingerprint)
        held.append(pressed.status)
        if pressed.status == "held":
            from sync.engine.approve import approve_changes

            approve_changes(Change.objects.filter(pk=seen.pk), None)
        for _round in range(3):
            work(here.flow(INVOICES))
    assert len(here.fortnox("invoices")) == 2 or held == ["held", "held"]
    assert held == ["held", "queued"]


def test_a_press_that_waited_for_a_customer_with_an_unknown_outcome_goes_out_then(world: Make) -> None:
    here = start(world)
    configure(here, missing_customer="create")
    deal = deals.deal(here, deals.company(here), deals.line("", "1", "100.00", name="Timme"))
    assert look(here, INVOICES, deal).phase == "ready"
    match = {"method": "POST", "path_contains": "/3/customers", "system": "fortnox"}
    here.sandbox.control("POST", "/faults", {"profile": {"status_500_after_commit": 1.0}, "match": match})
    seen = interactive.state_of(here.flow(INVOICES), deal).change
    assert seen is not None
    interactive.press(seen.pk, actor="a", fingerprint=seen.source_fingerprint)
    tasks.work_on(seen.pk)
    here.sandbox.control("POST", "/faults", {"profile": {}})
    assert here.states(CUSTOMERS)[State.UNKNOWN] == 1, here.states(CUSTOMERS)
    for _round in range(4):
        here.later()
        for slug in (CUSTOMERS, NUMBERS, INVOICES):
            work(here.flow(slug))
    assert len(here.fortnox("customers")) == 1
    assert len(here.fortnox("invoices")) == 1, here.states(INVOICES)


def test_an_article_that_a_person_allowed_for_one_deal_is_not_made_for_another(world: Make) -> None:
    here = start(world)
    automatic(here)
    here.sync(INVOICES)
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company = deals.company(here)
    one = deals.deal(here, company, deals.line("NY/1", "1", "100.00", name="Ett"), dealstage="closedwon")
    state = look(here, INVOICES, one)
    assert state.change is not None and failed(state) == {"article_exists"}
    interactive.repair(state.change, "create_article", "NY/1", "anna@kund.se")  # the bell is lost: the drain serves it
    here.pass_time()
    deals.deal(here, company, deals.line("NY/1", "1", "100.00", name="Två"), dealstage="closedwon")
    other = str(here.hubspot("deals")[-1]["id"])
    from sync.models import Hint

    Hint.objects.create(flow=here.flow(INVOICES), source_id=other)
    work(here.flow(INVOICES))
    second = Change.objects.filter(flow__slug=INVOICES, source_id=other).order_by("-pk").first()
    assert second is not None and second.action == Action.BLOCKED, (second and second.action, here.fortnox("articles"))


def test_an_article_allowed_on_the_card_is_still_allowed_when_a_consultant_approved_the_press(world: Make) -> None:
    from sync.engine.approve import approve_changes

    here = start(world)
    flow = here.flow(INVOICES)
    flow.brake_amount = 50
    flow.save()
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    deal = deals.deal(here, deals.company(here), deals.line("NY/1", "1", "100.00", name="Nyhet"))
    state = look(here, INVOICES, deal)
    assert state.change is not None
    interactive.repair(state.change, "create_article", "NY/1", "anna@kund.se")
    asked = interactive.state_of(flow, deal).change
    assert asked is not None
    tasks.work_on(asked.pk)
    seen = interactive.state_of(flow, deal).change
    assert seen is not None
    assert interactive.press(seen.pk, actor="a", fingerprint=seen.source_fingerprint).status == "held"
    approve_changes(Change.objects.filter(pk=seen.pk), None)
    for _round in range(2):
        work(here.flow(INVOICES))
        here.later()
    assert len(here.fortnox("invoices")) == 1, here.states(INVOICES)
