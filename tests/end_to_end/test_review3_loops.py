"""One bad record, two workers and a switched-off flow stop nothing else and double nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from sync import interactive, tasks
from sync.engine.run import work
from sync.flows import switch_off, switch_on
from sync.models import Change, EntityLink
from tests.end_to_end import deals
from tests.end_to_end.creating import configure, simple_deal
from tests.end_to_end.test_creating import CUSTOMERS, INVOICES, NUMBERS, look, start
from tests.end_to_end.world import World

Make = Callable[..., World]

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_deal_that_cannot_be_read_does_not_stop_the_others(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from integrations.errors import TooLarge
    from integrations.hubspot.connector import HubSpotConnector

    here = start(world)
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company = deals.company(here)
    line = deals.line("", "1", "100.00", name="Timme")
    bad, good = (deals.deal(here, company, line) for _two in range(2))
    for deal in (bad, good):
        seen = look(here, INVOICES, deal).change
        assert seen is not None
        interactive.press(seen.pk, actor="a", fingerprint=seen.source_fingerprint)
    load = HubSpotConnector.load

    def spoilt(self: Any, name: str, ids: Any, fields: Any) -> Any:
        for item in load(self, name, ids, fields):
            key = item.id if not isinstance(item, tuple) else item[0]
            yield (key, TooLarge("a value that cannot be read", code="unreadable", record=key)) if key == bad else item

    monkeypatch.setattr(HubSpotConnector, "load", spoilt)
    for _round in range(3):
        here.later()
        work(here.flow(INVOICES))
    assert len(here.fortnox("invoices")) == 1, here.states(INVOICES)


def test_a_fault_of_ours_in_one_create_does_not_stop_the_others(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from sync.engine import deliver

    here = start(world)
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company = deals.company(here)
    line = deals.line("", "1", "100.00", name="Timme")
    bad, good = (deals.deal(here, company, line) for _two in range(2))
    for deal in (bad, good):
        seen = look(here, INVOICES, deal).change
        assert seen is not None
        interactive.press(seen.pk, actor="a", fingerprint=seen.source_fingerprint)
    satisfy = deliver.satisfy

    def faulty(ctx: Any, change: Change) -> Any:
        if change.source_id == bad:
            raise KeyError("ours")
        return satisfy(ctx, change)

    monkeypatch.setattr(deliver, "satisfy", faulty)
    for _round in range(3):
        here.later()
        tasks.serve(here.flow(INVOICES), lambda: True)
    assert len(here.fortnox("invoices")) == 1, here.states(INVOICES)
    assert EntityLink.objects.filter(crm_object="deal", crm_id=good).exists()


def test_two_workers_at_one_press_leave_nothing_for_a_person(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both see that nobody creates the customer yet; the second one's plan supersedes what the first is sending."""
    from sync.engine import exactly_once, replan

    here = start(world)
    configure(here, missing_customer="create")
    deal = deals.deal(here, deals.company(here), deals.line("", "1", "100.00", name="Timme"))
    seen = look(here, INVOICES, deal).change
    assert seen is not None
    interactive.press(seen.pk, actor="a", fingerprint=seen.source_fingerprint)
    plan_ids, reach = replan.plan_ids, exactly_once.reach
    main, second_looked, first_locked = threading.current_thread(), threading.Event(), threading.Event()

    def second_worker() -> None:
        try:
            tasks.work_on(seen.pk)
        finally:
            connection.close()

    second = threading.Thread(target=second_worker)

    def planning(ctx: Any, *args: Any, **more: Any) -> Any:
        if ctx.flow.slug == CUSTOMERS and not first_locked.is_set():
            if threading.current_thread() is main:
                second.start()
                second_looked.wait(1)  # the record is locked, so the second one may not get this far
            else:
                second_looked.set()
                assert first_locked.wait(20)
        return plan_ids(ctx, *args, **more)

    def reaching(place: str) -> None:
        if place == "create.locked" and threading.current_thread() is main and not first_locked.is_set():
            first_locked.set()
            second.join(20)
        reach(place)

    monkeypatch.setattr(replan, "plan_ids", planning)
    monkeypatch.setattr(exactly_once, "reach", reaching)
    tasks.work_on(seen.pk)
    second.join(60)  # it may also have come in between and created the customer itself
    assert not second.is_alive()
    for _round in range(3):
        here.later()
        for slug in (CUSTOMERS, NUMBERS, INVOICES):
            work(here.flow(slug))
    states = list(Change.objects.values_list("pk", "flow__slug", "state", "error_code"))
    assert len(here.fortnox("customers")) == 1 and len(here.fortnox("invoices")) == 1, states


@pytest.mark.parametrize("how", ["paused", "observe", "off"])
def test_what_was_pressed_waits_while_nothing_may_be_written_and_goes_out_once(world: Make, how: str) -> None:
    here = start(world)
    deal = simple_deal(here)
    seen = look(here, INVOICES, deal).change
    assert seen is not None
    interactive.press(seen.pk, actor="a", fingerprint=seen.source_fingerprint)
    if how == "paused":
        type(here.ledger).objects.filter(pk=here.ledger.pk).update(status="needs_reconnect")
    elif how == "observe":
        type(here.integration).objects.update(mode="observe")
    else:
        switch_off(here.flow(INVOICES))
    tasks.work_on(seen.pk)
    tasks.drain()
    assert not here.fortnox("invoices")
    type(here.ledger).objects.update(status="connected")
    type(here.integration).objects.update(mode="live")
    switch_on(here.flow(INVOICES))
    for _round in range(2):
        tasks.drain()
        tasks.work_on(seen.pk)
    assert len(here.fortnox("invoices")) == 1
