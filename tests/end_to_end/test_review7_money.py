"""An audit of what becomes of a deal after its first invoice: other customers, other articles, other decimals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from sync import interactive, repair, tasks
from sync.cards.records import Place
from sync.engine import run
from sync.engine.approve import approve_changes
from sync.engine.run import work
from sync.models import Change, EntityLink
from sync.states import State
from tests.end_to_end import deals
from tests.end_to_end.creating import configure, simple_deal
from tests.end_to_end.test_creating import CUSTOMERS, INVOICES, failed, look, press, start
from tests.end_to_end.world import World
from tests.factories import make_user

Make = Callable[..., World]

pytestmark = pytest.mark.django_db(transaction=True)


def _open(here: World, deal: str) -> Change | None:
    return Change.objects.open().filter(source_id=deal, flow__slug=INVOICES).first()


def _reassociate(here: World, deal: str, old: str, new: str) -> None:
    """Somebody gives the deal another company."""
    place = f"/crm/objects/2026-09/deals/{deal}/associations"
    here.ask("hubspot", "PUT", f"{place}/default/companies/{new}")
    token = here.sandbox.control("POST", "/token", {"system": "hubspot"})
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.delete(f"{token['base_url']}{place}/companies/{old}", headers=bearer, timeout=60).ok


@pytest.mark.parametrize("policy", ["create", "found"])
def test_an_unbooked_invoice_follows_its_deal_to_a_company_without_a_customer_yet(world: Make, policy: str) -> None:
    here = start(world)
    configure(here, missing_customer="create")
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    first = deals.company(here)
    deal = deals.deal(here, first, deals.line("", "1", "100.00", name="Timme"))
    look(here, INVOICES, deal)
    assert press(here, INVOICES, deal).phase == "done"
    if policy == "found":
        here.edit("customers", Name="Södra Handel AB", OrganisationNumber="556703-7485")
    second = deals.company(here, "Södra Handel AB", deals.ORG_NUMBERS[1])
    here.pass_time()
    _reassociate(here, deal, first, second)
    here.edit_crm("deals", deal, description="Nytt bolag")
    here.sync(INVOICES)
    for _round in range(3):
        here.later()
        for slug in (CUSTOMERS, INVOICES):
            work(here.flow(slug))
    (invoice,) = here.fortnox("invoices")
    wanted = {row["CustomerNumber"] for row in here.fortnox("customers") if row["Name"] == "Södra Handel AB"}
    assert {invoice["CustomerNumber"]} == wanted or _open(here, deal) is not None, here.states(INVOICES)
    assert EntityLink.objects.filter(crm_object="company", crm_id=second).exists()


def test_an_article_that_an_update_needs_is_created_first(world: Make) -> None:
    here = start(world)
    configure(here, missing_article="create")
    deals.article(here, "A-1")
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    deal = deals.deal(here, deals.company(here), deals.line("A-1", "1", "100.00"))
    look(here, INVOICES, deal)
    assert press(here, INVOICES, deal).phase == "done"
    here.pass_time()
    (item,) = here.hubspot("line_items")
    here.edit_crm("line_items", str(item["id"]), hs_sku="NY-1")
    here.edit_crm("deals", deal, description="Annan vara")
    here.sync(INVOICES)
    for _round in range(2):
        here.later()
        work(here.flow(INVOICES))
    (invoice,) = here.fortnox("invoices")
    left = _open(here, deal)
    assert invoice["InvoiceRows"][0]["ArticleNumber"] == "NY-1", left and (left.error_code, left.error_message)


def test_an_article_that_somebody_made_meanwhile_keeps_its_name(world: Make) -> None:
    here = start(world)
    configure(here, missing_article="create")
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    deal = deals.deal(here, deals.company(here), deals.line("NY-1", "1", "100.00", name="nyhet??"))
    look(here, INVOICES, deal)
    deals.article(here, "NY-1")
    assert press(here, INVOICES, deal).phase == "done"
    assert [row["Description"] for row in here.fortnox("articles")] == ["Artikel NY-1"]


def test_a_line_on_the_default_article_keeps_its_text(world: Make) -> None:
    here = start(world)
    configure(here, missing_article="default", default_article="DIV")
    deals.article(here, "DIV")
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    deal = deals.deal(here, deals.company(here), deals.line("NY-1", "1", "100.00", name="Nyhet"))
    look(here, INVOICES, deal)
    assert press(here, INVOICES, deal).phase == "done"
    (row,) = here.fortnox("invoices")[0]["InvoiceRows"]
    assert (row["ArticleNumber"], row["Description"]) == ("DIV", "Nyhet")


@pytest.mark.parametrize("policy", ["text", "default", "create"])
def test_a_line_without_price_is_not_billed_at_nothing_or_at_another_articles_price(world: Make, policy: str) -> None:
    here = start(world)
    configure(here, missing_article=policy, default_article="DIV")
    deals.article(here, "DIV")
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    deal = deals.deal(here, deals.company(here), deals.line("NY-1", "1", "", name="Nyhet"))
    state = look(here, INVOICES, deal)
    assert state.phase == "blocked" and failed(state) == {"article_exists"}
    assert state.change is not None and "no price of its own" in str(state.change.problems[0]["message"])


@pytest.mark.parametrize("amount", ["1000000000000", "9" * 29])
def test_an_absurd_amount_stops_its_own_record_and_no_other(world: Make, amount: str) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.takes, flow.filter_expression = "all", 'deal.dealstage == "closedwon"'
    flow.save()
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company = deals.company(here)
    absurd = deals.deal(here, company, deals.line("", "1", "100.00", name="Fel"), amount=amount, dealstage="closedwon")
    right = deals.deal(here, company, deals.line("", "1", "100.00", name="Rätt"), dealstage="closedwon")
    here.sync(INVOICES)
    work(here.flow(INVOICES))
    left = _open(here, absurd)
    assert left is not None and [problem["code"] for problem in left.problems] == ["too_large"]
    (invoice,) = here.fortnox("invoices")
    assert Change.objects.get(source_id=right, action="create").target_id == invoice["DocumentNumber"]


def test_a_retry_does_not_pass_the_limit_of_amounts(world: Make) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.takes, flow.filter_expression, flow.brake_amount = "all", 'deal.dealstage == "closedwon"', 50
    flow.save()
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    line = deals.line("NY-1", "1", "100.00")
    deal = deals.deal(here, deals.company(here), line, dealstage="closedwon")
    here.sync(INVOICES)
    blocked = _open(here, deal)
    assert blocked is not None and blocked.error_code == "article_exists"
    deals.article(here, "NY-1")
    repair.retry(Change.objects.filter(pk=blocked.pk), make_user("support"))
    work(here.flow(INVOICES))
    assert not here.fortnox("invoices")
    left = _open(here, deal)
    assert left is not None and left.state == State.HELD
    assert left.reason["en"].startswith("The amount is over the limit of 50")


@pytest.mark.parametrize(("quantity", "price"), [("10000", "0.004"), ("1000", "1.005"), ("0.015", "1000")])
def test_decimals_that_the_ledger_would_round_away_are_told_before(world: Make, quantity: str, price: str) -> None:
    here = start(world)
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    line = deals.line("", quantity, price, name="Skruv")
    deal = deals.deal(here, deals.company(here), line, amount="")
    state = look(here, INVOICES, deal)
    assert state.change is not None
    assert state.phase == "blocked" and failed(state) == {"row_rounding"}


def test_a_cancelled_invoice_can_be_replaced(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    number = here.fortnox("invoices")[0]["DocumentNumber"]
    here.ask("fortnox", "PUT", f"/3/invoices/{number}/cancel", {})
    here.pass_time()
    here.edit_crm("deals", deal, description="Nu rätt")
    here.sync(INVOICES)
    state = interactive.state_of(here.flow(INVOICES), deal)
    assert state.phase == "locked"
    change = interactive.credit_and_new(here.flow(INVOICES), deal, actor="anna@kund.se", user=None)
    tasks.work_on(change.pk)
    ready = interactive.state_of(here.flow(INVOICES), deal)
    assert ready.phase == "ready", (ready.phase, ready.change and (ready.change.error_code, ready.change.error_message))
    assert press(here, INVOICES, deal).phase == "done"
    assert len(here.fortnox("invoices")) == 2


def test_the_card_knows_a_cancelled_invoice_although_its_deal_did_not_change(world: Make) -> None:
    here = start(world)
    deal = simple_deal(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    flow, number = here.flow(INVOICES), here.fortnox("invoices")[0]["DocumentNumber"]
    here.ask("fortnox", "PUT", f"/3/invoices/{number}/cancel", {})
    here.pass_time()
    here.sync("invoice-status-to-deals")
    state = interactive.state_of(flow, deal)
    assert Place(flow, state.link, state.change).cancelled
    change = interactive.credit_and_new(flow, deal, actor="anna@kund.se", user=None)
    tasks.work_on(change.pk)
    assert interactive.state_of(flow, deal).phase == "ready"
    assert press(here, INVOICES, deal).phase == "done"
    assert [bool(row["Cancelled"]) for row in here.fortnox("invoices")] == [True, False]


def test_an_approved_invoice_whose_deal_grew_since_is_approved_again(world: Make) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.takes, flow.filter_expression, flow.brake_amount = "all", 'deal.dealstage == "closedwon"', 50
    flow.save()
    deal = simple_deal(here, dealstage="closedwon")
    here.sync(INVOICES)
    held = _open(here, deal)
    assert held is not None and held.state == State.HELD
    approve_changes(Change.objects.filter(pk=held.pk), make_user("consultant"))
    with pytest.MonkeyPatch.context() as patched:  # the worker plans it again and is stopped before it sends
        patched.setattr(run, "deliver", lambda *_args, **_more: Counter())
        work(here.flow(INVOICES))
    queued = _open(here, deal)
    assert queued is not None and queued.state == State.QUEUED
    Change.objects.filter(pk=queued.pk).update(created_at=timezone.now() - timedelta(hours=1))
    (item,) = here.hubspot("line_items")
    here.edit_crm("line_items", str(item["id"]), price="9000.00")
    for _round in range(3):
        work(here.flow(INVOICES))
        here.later()
    left = _open(here, deal)
    assert not here.fortnox("invoices")
    assert left is not None and (left.state, left.error_code) == (State.HELD, "moved_since")
