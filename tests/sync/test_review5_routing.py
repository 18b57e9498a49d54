"""What goes on while rules, companies and runs change at once: one company bills a deal, and none is forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from sync.engine import plan as planning
from sync.engine import run as engine_run
from sync.engine.routing import Facts, Router
from sync.models import Change, Flow
from tests.sync.routing_world import RoutingWorld

pytestmark = pytest.mark.django_db

NORTH, SOUTH = 'deal.city == "North"', 'deal.city == "South"'


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> RoutingWorld:
    return RoutingWorld(monkeypatch, approval=Flow.Approval.AUTOMATIC)


def test_a_create_that_leaves_while_another_company_stores_its_plan_is_the_only_one(
    world: RoutingWorld, monkeypatch: Any
) -> None:
    """A's worker commits its intent after B looked at what is open, and before B supersedes it."""
    world.rule("A", NORTH)
    world.rule("B", SOUTH)
    Flow.objects.update(approval=Flow.Approval.ALWAYS)
    world.deal(1)
    world.sync("A")
    Change.objects.update(state="queued")
    Flow.objects.update(approval=Flow.Approval.AUTOMATIC)
    world.deal(1, city="South")
    looked = Router.facts

    def meanwhile(self: Router, ids: Any) -> Facts:
        facts = looked(self, ids)
        if facts.waiting and Change.objects.filter(state="queued", integration=world.pairs["A"]).exists():
            monkeypatch.setattr(Router, "facts", looked)
            Change.objects.filter(integration=world.pairs["A"]).update(state="sending", sent_at=timezone.now())
        return facts

    monkeypatch.setattr(engine_run, "deliver", lambda *args, **more: engine_run.Counter())
    original_settle = engine_run.store.__globals__["reroute"].settle

    def settle(*args: Any) -> Any:
        monkeypatch.setattr(Router, "facts", meanwhile)
        return original_settle(*args)

    monkeypatch.setattr("sync.engine.reroute.settle", settle)
    world.sync("B")
    assert world.open("A") == {"1": "sending"}
    assert not Change.objects.open().filter(integration=world.pairs["B"], action="create").exists()


def _during_the_plan(monkeypatch: Any, act: Any) -> None:
    """`act` happens once, between the planning of a page and its storing."""
    original = planning.plan

    def slow(ctx: Any, *args: Any, **options: Any) -> Any:
        planned = original(ctx, *args, **options)
        monkeypatch.setattr(engine_run, "plan", original)
        act()
        return planned

    monkeypatch.setattr(engine_run, "plan", slow)


def test_a_company_that_joins_during_a_run_of_the_first_bills_no_deal_a_second_time(monkeypatch: Any) -> None:
    world = RoutingWorld(monkeypatch, "A", approval=Flow.Approval.AUTOMATIC)
    world.deal(1)

    def joins() -> None:
        world.add_company("B", approval=Flow.Approval.AUTOMATIC)
        world.rule("B")
        world.sync("B")

    _during_the_plan(monkeypatch, joins)
    world.sync("A")
    world.go_on()
    assert world.bills("A") + world.bills("B") == ["Deal 1"]


def test_rules_that_change_during_a_delta_run_have_everything_read_again(world: RoutingWorld, monkeypatch: Any) -> None:
    """The rules gave the deal to B, which is off: nobody has a change of it. Then they give it to A."""
    Flow.objects.filter(integration=world.pairs["B"]).update(enabled=False)
    rule = world.rule("B")
    world.deal(1)
    for number in range(20):  # out of the overlap
        world.partner(50 + number)
    world.sync("A")
    world.deal(2)

    def given_to_a() -> None:
        rule.integration = world.pairs["A"]
        rule.save()

    _during_the_plan(monkeypatch, given_to_a)
    world.sync("A")
    world.later()
    world.go_on()
    world.sync("A")
    world.go_on()
    assert world.bills("A") == ["Deal 1", "Deal 2"]


def test_rules_that_change_during_a_full_run_have_everything_read_again(world: RoutingWorld, monkeypatch: Any) -> None:
    Flow.objects.filter(integration=world.pairs["B"]).update(enabled=False)
    rule = world.rule("B")
    world.crm.page_size = 1
    world.deal(1)
    world.deal(2)

    def given_to_a() -> None:
        _during_the_plan(monkeypatch, change)

    def change() -> None:
        rule.integration = world.pairs["A"]
        rule.save()

    _during_the_plan(monkeypatch, given_to_a)
    world.sync("A")
    for number in range(20):  # out of the overlap
        world.partner(50 + number)
    world.later()
    world.go_on()
    world.sync("A")
    world.go_on()
    assert world.bills("A") == ["Deal 1", "Deal 2"]
