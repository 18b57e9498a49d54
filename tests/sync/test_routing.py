"""Which company takes a record: links, decisions of people, rules, and never two companies at once (S55, S56, SA11)."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.connector import Record
from integrations.models import Integration
from mappings.models import RoutingRule
from sync import interactive, routes
from sync.engine import plan as planning
from sync.engine import run as engine_run
from sync.engine.approve import approve_changes
from sync.engine.context import build
from sync.engine.routing import Facts, Router, Why, split
from sync.engine.routing_rules import Judged
from sync.models import Change, EntityLink, Flow, RoutePin, SyncLogEntry
from tests.factories import make_account, make_integration
from tests.sync.routing_world import DEALS, PARTNERS, RoutingWorld
from tests.tiny import lost_answer

pytestmark = pytest.mark.django_db

NORTH, SOUTH = 'deal.city == "North"', 'deal.city == "South"'


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> RoutingWorld:
    return RoutingWorld(monkeypatch, approval=Flow.Approval.AUTOMATIC)


def both(world: RoutingWorld) -> None:
    world.sync("A")
    world.sync("B")


# --- one company -----------------------------------------------------------------------------------


def test_one_company_takes_everything_without_any_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RoutingWorld(monkeypatch, "A", approval=Flow.Approval.AUTOMATIC)
    world.deal(1)
    world.sync("A")
    assert world.bills("A") == ["Deal 1"]


def test_a_second_company_changes_nothing_before_its_flow_is_used(world: RoutingWorld) -> None:
    Flow.objects.filter(integration=world.pairs["B"]).update(enabled=False, prepared_at=None)
    world.deal(1)
    world.sync("A")
    assert world.bills("A") == ["Deal 1"]


def test_a_pause_of_one_company_sends_nothing_to_the_other(world: RoutingWorld) -> None:
    Flow.objects.filter(integration=world.pairs["B"]).update(enabled=False)
    world.deal(1)
    world.sync("A")
    assert not world.bills("A") and world.open("A") == {"1": "review"}


def test_rules_decide_even_where_one_company_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RoutingWorld(monkeypatch, "A", approval=Flow.Approval.AUTOMATIC)
    world.rule("A", NORTH)
    world.deal(1, city="South")
    world.sync("A")
    assert not world.bills("A") and world.open("A") == {"1": "review"}


# --- rules -----------------------------------------------------------------------------------------


def test_each_record_goes_where_the_first_matching_rule_says(world: RoutingWorld) -> None:
    world.rule("A", NORTH)
    world.rule("B")
    world.deal(1, city="North")
    world.deal(2, city="South")
    both(world)
    assert (world.bills("A"), world.bills("B")) == (["Deal 1"], ["Deal 2"])
    assert set(Change.objects.values_list("source_id", "integration__name")) == {
        ("1", "Portal ↔ A"), ("2", "Portal ↔ B"),
    }  # fmt: skip


def test_the_order_of_the_rules_decides_and_inactive_ones_do_not_count(world: RoutingWorld) -> None:
    world.rule("A", active=False)
    world.rule("B", NORTH)
    world.rule("A")
    world.deal(1, city="North")
    both(world)
    assert (world.bills("A"), world.bills("B")) == ([], ["Deal 1"])


def test_a_record_without_a_match_is_held_by_exactly_one_company(world: RoutingWorld) -> None:
    world.rule("A", NORTH, name="The north")
    world.rule("B", SOUTH, name="The south")
    world.deal(1, city="West")
    both(world)
    both(world)
    change = Change.objects.get()
    assert (change.integration, change.state, change.error_code) == (world.pairs["A"], "review", "no_route")
    said = change.problems[0]["message"]["en"]
    assert "Deal 1" in said and "The north" in said and "deal.city = West" in said
    assert not world.bills("A") and not world.bills("B")


def test_the_company_that_reports_is_one_whose_flow_works(world: RoutingWorld) -> None:
    world.rule("A", NORTH)
    Flow.objects.filter(integration=world.pairs["A"]).update(enabled=False)
    world.deal(1, city="West")
    both(world)
    assert Change.objects.get().integration == world.pairs["B"]


def test_a_record_that_the_flow_leaves_out_is_not_held(world: RoutingWorld) -> None:
    Flow.objects.filter(slug=DEALS).update(filter_expression='deal.name == "Another"')
    world.deal(1)
    both(world)
    assert list(Change.objects.values_list("state", flat=True)) == ["skipped"]


def test_a_rule_that_fails_holds_the_record_and_says_why(world: RoutingWorld) -> None:
    world.rule("A", "deal.name * 2 > 5", name="Large")
    world.rule("B")
    world.deal(1)
    both(world)
    change = Change.objects.get()
    assert (change.error_code, change.state) == ("no_route", "review")
    assert "Large" in change.error_message and not world.bills("B")


def test_a_rule_about_a_field_that_is_gone_holds_too(world: RoutingWorld) -> None:
    world.rule("A", NORTH)
    RoutingRule.objects.update(expression="deal.")
    world.rule("B")
    world.deal(1)
    both(world)
    assert Change.objects.get().error_code == "no_route"


def test_a_mended_rule_releases_what_was_held(world: RoutingWorld) -> None:
    rule = world.rule("A", NORTH)
    world.deal(1, city="South")
    both(world)
    assert world.open("A") == {"1": "review"}
    world.rule("B", SOUTH)
    world.go_on()
    assert (world.bills("A"), world.bills("B")) == ([], ["Deal 1"]) and not world.open("A")
    rule.refresh_from_db()


def test_a_field_that_only_a_rule_reads_is_watched(world: RoutingWorld) -> None:
    world.rule("A", 'deal.status == "won"')
    world.rule("B", 'deal.status == "lost"')
    world.deal(1, status="open")
    both(world)
    world.deal(1, status="won")
    both(world)
    assert world.bills("A") == ["Deal 1"] and not world.open("A")


# --- links and decisions ---------------------------------------------------------------------------


def test_a_linked_record_stays_in_its_company_whatever_the_rules_say(world: RoutingWorld) -> None:
    world.rule("A", NORTH)
    world.rule("B")
    world.deal(1, city="North")
    both(world)
    world.deal(1, city="South", name="Moved office")
    both(world)
    assert (world.bills("A"), world.bills("B")) == (["Moved office"], [])


def test_a_record_linked_in_a_company_that_is_switched_off_waits_for_it(world: RoutingWorld) -> None:
    world.ledgers["B"].put("bill", {"name": "Old"}, "7")
    world.link("B", "1", "7")
    Integration.objects.filter(pk=world.pairs["B"].pk).update(mode="off")
    world.rule("A")
    world.deal(1)
    world.sync("A")
    assert not world.bills("A") and not Change.objects.exists()


def test_a_link_whose_record_was_moved_away_takes_nothing_back(world: RoutingWorld) -> None:
    """Also after a merge gave the record another id, which nobody decided anything about."""
    world.ledgers["A"].put("bill", {"name": "Old"}, "7")
    link = world.link("A", "1", "7")
    link.frozen_reason = "moved: Company B"
    link.save()
    world.rule("B")
    world.deal(1)
    both(world)
    assert (world.bills("A"), world.bills("B")) == (["Old"], ["Deal 1"])


def test_a_decision_overrides_the_rules_and_what_was_open_follows_it(world: RoutingWorld) -> None:
    Flow.objects.update(approval=Flow.Approval.ALWAYS)
    world.rule("A")
    world.deal(1)
    both(world)
    assert world.open("A") == {"1": "held"}
    world.pin("B", "1")
    world.go_on()
    assert not world.open("A") and world.open("B") == {"1": "held"}


def test_a_held_record_is_sent_to_the_company_that_a_person_chooses(world: RoutingWorld) -> None:
    world.rule("A", NORTH)
    world.deal(1, city="West")
    both(world)
    change = Change.objects.get()
    assert routes.choices(change) == [world.pairs["A"], world.pairs["B"]]
    routes.choose(change, str(world.pairs["B"].pk), None, "They asked for it")
    world.go_on()
    assert world.bills("B") == ["Deal 1"] and not world.open("A")
    assert RoutePin.objects.get().reason == "They asked for it"
    assert SyncLogEntry.objects.filter(event="company chosen", integration=world.pairs["B"]).exists()


# --- changes follow their record -------------------------------------------------------------------


def test_a_change_that_waits_is_not_sent_when_the_rules_change(world: RoutingWorld) -> None:
    Flow.objects.update(approval=Flow.Approval.ALWAYS)
    rule = world.rule("A")
    world.deal(1)
    both(world)
    run = Change.objects.get().run
    assert run is not None
    rule.integration = world.pairs["B"]
    rule.save()
    assert set(Change.objects.values_list("state", flat=True)) == {"retrying"}
    world.go_on()
    assert not world.open("A") and world.open("B") == {"1": "held"}
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_a_queued_change_is_not_sent_when_the_record_changed_its_company(world: RoutingWorld) -> None:
    world.rule("A", NORTH)
    world.rule("B", SOUTH)
    world.deal(1)
    Integration.objects.update(mode="observe")
    world.sync("A")
    Integration.objects.update(mode="live")
    Change.objects.update(state="queued", lane="interactive")
    world.deal(1, city="South")
    world.go_on()
    assert (world.bills("A"), world.bills("B")) == ([], [])  # what a person saw in A is looked at in B, not sent
    assert world.open("B") == {"1": "planned"} and not world.open("A")


def test_an_approval_for_one_company_is_none_for_another(world: RoutingWorld) -> None:
    Flow.objects.update(approval=Flow.Approval.ALWAYS)
    world.rule("A", NORTH)
    world.rule("B", SOUTH)
    world.deal(1)
    both(world)
    approve_changes(Change.objects.filter(state="held"), None)
    world.deal(1, city="South")
    world.go_on()
    assert not world.bills("A") and not world.bills("B") and world.open("B") == {"1": "held"}


def test_a_record_whose_create_is_in_doubt_stays_until_it_is_known(world: RoutingWorld) -> None:
    world.rule("A", NORTH)
    world.rule("B", SOUTH)
    world.deal(1)
    world.ledgers["A"].faults.append(lost_answer())
    world.sync("A")
    assert world.open("A") == {"1": "unknown"}
    world.deal(1, city="South")
    world.sync("B")
    assert not world.bills("B") and not world.open("B")
    world.go_on()
    assert (world.bills("A"), world.bills("B")) == (["Deal 1"], [])


def test_rules_that_change_while_a_page_is_planned_stop_it(world: RoutingWorld, monkeypatch: Any) -> None:
    world.rule("A")
    world.deal(1)
    original = planning.plan

    def slow(ctx: Any, *args: Any, **options: Any) -> Any:
        monkeypatch.setattr(engine_run, "plan", original)
        RoutingRule.objects.update(integration=world.pairs["B"])
        return original(ctx, *args, **options)

    monkeypatch.setattr(engine_run, "plan", slow)
    done = world.sync("A")
    assert done.run is not None and done.run.error_code == "rules_changed"
    assert not Change.objects.exists()
    world.later()
    world.go_on()
    world.sync("B")
    assert (world.bills("A"), world.bills("B")) == ([], ["Deal 1"])


def test_two_companies_that_planned_at_once_end_with_one(world: RoutingWorld, monkeypatch: Any) -> None:
    """A worker of A read the record before it changed its region, and stores after B's has stored."""
    world.rule("A", NORTH)
    world.rule("B", SOUTH)
    Integration.objects.update(mode="observe")
    world.deal(1)
    original = planning.plan

    def slow(ctx: Any, *args: Any, **options: Any) -> Any:
        planned = original(ctx, *args, **options)
        monkeypatch.setattr(engine_run, "plan", original)
        world.deal(1, city="South")
        world.sync("B")
        return planned

    monkeypatch.setattr(engine_run, "plan", slow)
    world.sync("A")
    assert len({**world.open("A"), **world.open("B")}) == 1
    assert Change.objects.open().exclude(state="retrying").count() == 1
    both(world)
    world.go_on()
    assert not world.open("A") and world.open("B") == {"1": "held"}


# --- what a document needs -------------------------------------------------------------------------


def test_a_document_gets_its_customer_in_its_own_company(world: RoutingWorld, monkeypatch: Any) -> None:
    monkeypatch.setattr("sync.engine.context.setting_values", lambda flow: {"missing_customer": "create"})
    world.rule("B")
    world.rule("A", object_name="partner")
    world.partner(5)
    world.deal(1, partner="5")
    both(world)
    assert world.bills("B") == ["Deal 1"]
    assert [row["name"] for row in world.ledgers["B"].rows("customer").values()] == ["Partner 5"]
    assert not world.ledgers["A"].rows("customer")


def test_a_customer_that_a_document_waits_for_is_not_taken_away(world: RoutingWorld) -> None:
    world.rule("B")
    world.rule("A", object_name="partner")
    world.partner(5)
    world.deal(1, partner="5")
    Flow.objects.filter(slug=PARTNERS, integration=world.pairs["B"]).update(approval=Flow.Approval.ALWAYS)
    flow = world.flow("B", PARTNERS)
    waiting = Change.objects.create(
        integration=world.pairs["B"], flow=world.flow("B"), action="blocked", state="review", source_id="1",
        error_class="dependency", waits_for=f"{PARTNERS}:5",
    )  # fmt: skip
    interactive._create_related(flow, "5", "Anna")
    world.go_on(1, PARTNERS)
    assert world.open("B", PARTNERS) == {"5": "held"}
    world.sync("A", PARTNERS)
    assert world.open("B", PARTNERS) == {"5": "held"}
    waiting.refresh_from_db()
    assert waiting.state == "review"


# --- separation ------------------------------------------------------------------------------------


def test_a_rule_or_decision_never_points_to_another_account_or_organization(world: RoutingWorld) -> None:
    foreign = make_integration()
    sibling = make_integration(world.account.organization, crm=make_account(world.account.organization, "hubspot"))
    for pair in (foreign, sibling):
        with pytest.raises(ValidationError):
            RoutingRule.objects.create(account=world.account, object_name="deal", name="Bent", integration=pair)
        with pytest.raises(ValidationError):
            RoutePin.objects.create(account=world.account, object_name="deal", record_id="1", integration=pair)


def test_a_row_that_was_bent_in_the_database_is_no_rule(world: RoutingWorld) -> None:
    foreign = make_integration()
    world.rule("A")
    world.pin("A", "1")
    RoutingRule.objects.update(integration=foreign)
    RoutePin.objects.update(integration=foreign)
    world.deal(1)
    both(world)
    assert Change.objects.get().error_code == "no_route"


# --- cost ------------------------------------------------------------------------------------------


def _queries(world: RoutingWorld, count: int) -> int:
    for number in range(count):
        world.deal(number + 1, city="North" if number % 2 else "South")
    ctx = build(world.flow("A"))
    assert ctx.router is not None
    ids = [str(number + 1) for number in range(count)]
    records = [record for record in ctx.source.load("deal", ids, {}) if isinstance(record, Record)]
    with CaptureQueriesContext(connection) as captured:
        split(ctx, records)
    return len(captured)


def test_routing_costs_the_same_queries_for_one_record_as_for_many(world: RoutingWorld) -> None:
    world.rule("A", NORTH)
    assert _queries(world, 1) == _queries(world, 60) <= 4


def test_a_page_is_settled_with_the_same_queries_whatever_its_size(world: RoutingWorld) -> None:
    Integration.objects.update(mode="observe")
    world.rule("A", NORTH)
    found = []
    for count in (1, 8):
        for number in range(count):
            world.deal(count * 10 + number)
        with CaptureQueriesContext(connection) as captured:
            world.sync("A")
        routed = [row["sql"] for row in captured if "route" in row["sql"] or "routingrule" in row["sql"]]
        found.append(len(routed))
    assert found[0] == found[1] <= 6


def test_one_company_without_rules_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _queries(RoutingWorld(monkeypatch, "A"), 10) == 0


# --- never two -------------------------------------------------------------------------------------

COMPANIES = (1, 2, 3)
companies = st.sampled_from(COMPANIES)


class _Plain(Router):
    """The decision alone, without a database."""

    def __init__(self, only: int | None, rules: bool, reporter: int) -> None:
        self.__dict__.update({"only": None if rules else only, "reporter": reporter})


@given(
    linked=st.sets(companies), pin=st.none() | companies, away=st.none() | companies, needed=st.sets(companies),
    ruled=st.none() | companies, failed=st.booleans(), only=st.none() | companies, rules=st.booleans(),
)  # fmt: skip
def test_at_most_one_company_takes_a_record_that_nobody_has(
    linked: set[int], pin: int | None, away: int | None, needed: set[int], ruled: int | None, failed: bool,
    only: int | None, rules: bool,
) -> None:  # fmt: skip
    judged = Judged(None if failed or not rules else ruled, (), "broken" if failed else "")
    facts = Facts(
        linked={"1": linked} if linked else {}, pins={"1": pin} if pin else {}, away={"1": away} if away else {},
        needed={"1": needed} if needed else {},
    )  # fmt: skip
    router = _Plain(only, rules, 1)
    route = router.decide("1", judged, facts)
    assert len(route.places - linked - needed) <= 1
    assert linked <= route.places or not linked
    if linked:
        assert route.places == linked | needed and route.why == Why.LINK
    if failed and not (linked or away or pin):
        assert route.home is None
    assert len(router.planners(route)) >= 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.sampled_from(["city", "rule", "pin", "sync", "lose"]), st.integers(0, 3)), max_size=9)
)
def test_whatever_happens_a_deal_is_billed_by_one_company_at_most(steps: list[tuple[str, int]], db: None) -> None:
    with pytest.MonkeyPatch.context() as patch, transaction.atomic():
        world = RoutingWorld(patch, approval=Flow.Approval.AUTOMATIC)
        rule = world.rule("A", NORTH)
        world.rule("B", SOUTH)
        world.deal(1)
        for what, number in steps:
            company = "AB"[number % 2]
            match what:
                case "city":
                    world.deal(1, city=["North", "South", "West", "North"][number])
                case "rule":
                    rule.integration = world.pairs[company]
                    rule.save()
                case "pin":
                    RoutePin.objects.filter(record_id="1").delete()
                    if number < 2:
                        world.pin(company, "1")
                case "sync":
                    world.later()
                    world.sync(company)
                case "lose":
                    world.ledgers[company].faults.append(lost_answer())
        world.go_on(2)
        both(world)
        world.go_on(1)
        assert len(world.bills("A")) + len(world.bills("B")) <= 1
        assert EntityLink.objects.filter(crm_id="1").count() <= 1
        assert Change.objects.open().filter(source_id="1").count() <= 1
        transaction.set_rollback(True)
