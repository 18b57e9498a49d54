"""R-07: two people, a host that repeats its calls, a webhook and several workers at every deal: one invoice each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from sync import tasks
from sync.models import Change, EntityLink, Flow, Hint
from tests.end_to_end import deals
from tests.end_to_end.world import World
from tests.sync.cards_world import CardPage, Portal, use_secret

INVOICES = "deals-to-invoices"
DEALS = int(os.environ.get("PLATFORM_DEALS", "40"))
WORKERS = 3

pytestmark = [pytest.mark.soak, pytest.mark.django_db(transaction=True)]


class Card(Portal):
    """The card of a portal that exists already."""

    def __init__(self, world: World, email: str) -> None:
        from django.test import Client

        self.crm, self.integration = world.crm, world.integration
        self.user_id, self.email, self.client = str(sum(email.encode())), email, Client()


def _in_threads(work: list[Callable[[], None]]) -> None:
    """All at once; the first failure is the test's."""
    failed: list[BaseException] = []

    def one(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(job,)) for job in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    if failed:
        raise failed[0]


def test_every_deal_becomes_one_invoice_whoever_presses_how_often(
    world: Callable[..., World], settings: Any, capsys: Any
) -> None:
    here = world()
    use_secret(settings)
    for slug in ("customers-to-companies", "invoices-to-deals"):
        here.sync(slug)
    Flow.objects.filter(slug=INVOICES).update(takes="own", filter_expression='deal.dealstage == "closedwon"')
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company = deals.company(here)
    made = [
        deals.deal(here, company, deals.line("", "1", "100.00", name="Timme"), dealstage="closedwon")
        for _number in range(DEALS)
    ]
    people = [Card(here, "anna@kund.example"), Card(here, "bo@kund.example")]
    answers: list[float] = []
    stop = threading.Event()

    def timed(call: Callable[[], Any]) -> Any:
        started = time.monotonic()
        answer = call()
        answers.append(time.monotonic() - started)
        assert answer.status_code < 500, answer.content
        return answer

    def person(card: Card) -> None:
        """Opens each deal, presses as soon as something is shown, and the host repeats the call."""
        for deal in made:
            page = CardPage(card, card.ticket("deal", deal))
            timed(lambda page=page: page.post("look"))
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                state = timed(page.get).json()
                phase = state["state"]["phase"] if "state" in state else state["phase"]
                if phase in ("done", "working", "verifying"):
                    break
                if phase == "ready":
                    expected = (state.get("state") or state)["fingerprint"]
                    for _repeat in range(2):
                        timed(lambda page=page, expected=expected: page.post("create", expected=expected))
                    break
                time.sleep(0.05)

    def webhook() -> None:
        for deal in made:
            Hint.objects.bulk_create([Hint(flow=here.flow(INVOICES), source_id=deal)], ignore_conflicts=True)
            time.sleep(0.02)

    def worker() -> None:
        while not stop.is_set():
            for pk in Change.objects.open().filter(lane="interactive").values_list("pk", flat=True)[:20]:
                tasks.work_on(pk)
            tasks.serve(here.flow(INVOICES), lambda: not stop.is_set())
            time.sleep(0.02)

    def until_done() -> None:
        try:
            _in_threads([lambda card=card: person(card) for card in people] + [webhook])
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and EntityLink.objects.filter(crm_object="deal").count() < DEALS:
                time.sleep(0.1)
        finally:
            stop.set()

    _in_threads([until_done, *[worker] * WORKERS])
    invoices = here.fortnox("invoices")
    markers = {row["ExternalInvoiceReference1"] for row in invoices}
    slow = sorted(answers)[int(len(answers) * 0.99) - 1]
    with capsys.disabled():
        print(f"\n  {DEALS} deals, {len(answers)} calls of cards, p99 {slow:.2f} s")
    lost = set(made) - set(EntityLink.objects.filter(crm_object="deal").values_list("crm_id", flat=True))
    rows = Change.objects.filter(source_id__in=lost).order_by("pk")
    history = [
        (r.pk, r.source_id, r.action, r.state, r.decision, r.replan, r.error_code, r.error_message, r.lane)
        for r in rows
    ]
    assert not lost, "; ".join(map(str, history))
    assert (len(invoices), len(markers)) == (DEALS, DEALS)
