"""The engine's invariants, on two tiny systems in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations.errors import AuthenticationFailed, ErrorClass, InvalidData, RateLimited, Transient
from mappings.models import FieldMapping
from mappings.models.versions import new_draft, publish
from sync.models import Change, EntityLink, Flow, SyncRun
from sync.repair import create_new, dismiss, link_to, retry
from tests.factories import make_superuser
from tests.tiny import failing
from tests.tiny_world import TinyWorld

World = Callable[..., TinyWorld]

ORG = {"label": "organisation number", "target_field": "org", "normaliser": "orgnr", "expression": "customer.org"}
NAME = {"label": "name", "target_field": "name", "normaliser": "text", "expression": "customer.name"}
FIELDS: list[Any] = [
    ("name", "customer.name", {}),
    ("city", "customer.city", {}),
    ("number", "customer.number", {}),
    ("org", "customer.org", {}),
]


def test_new_customers_become_companies_and_are_linked(tiny: World) -> None:
    world = tiny(page_size=2)
    for number in range(1, 6):
        world.customer(number)
    done = world.sync()
    assert world.companies() == {str(n): (f"Customer {n}", "Lund") for n in range(1, 6)}
    assert world.links() == 5
    assert done.run is not None and done.run.state == SyncRun.State.DONE
    assert done.run.counts == {"create": 5}


def test_a_second_run_without_changes_costs_one_call_and_writes_nothing(tiny: World) -> None:
    world = tiny()
    for number in range(1, 30):
        world.customer(number)
    world.sync()
    world.ledger.clock += 100
    world.ledger.calls.clear()
    world.crm.calls.clear()
    done = world.sync()
    assert world.ledger.calls == {"list": 1}
    assert not world.crm.calls
    assert done.run is not None and done.run.state == SyncRun.State.DONE
    assert Change.objects.count() == 29


def test_the_overlap_repeats_records_but_not_changes(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    done = world.sync()
    assert done.run is not None and (done.run.seen, done.run.unchanged) == (1, 1)
    assert Change.objects.count() == 1


def test_only_the_changed_field_is_written(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    world.customer(1, city="Malmö")
    world.sync()
    change = Change.objects.latest("pk")
    assert change.action == "update"
    assert [(row["field"], row["before"], row["after"]) for row in change.diff] == [("city", "Lund", "Malmö")]
    assert change.payload["fields"] == {"city": "Malmö"}
    assert world.companies()["1"] == ("Customer 1", "Malmö")


def test_an_irrelevant_edit_sends_nothing(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    world.customer(1, note="not mapped")
    world.crm.calls.clear()
    world.sync()
    assert not world.crm.calls


def test_our_own_echo_is_silent_when_the_remote_normalises(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.ledger.objects["customer"]["1"].fields["city"] = " Lund "  # the ledger keeps blanks, the register trims
    world.sync()
    assert world.companies()["1"] == ("Customer 1", "Lund")
    world.ledger.objects["customer"]["1"].changed = world.ledger.clock + 1
    world.ledger.objects["customer"]["1"].fields["unrelated"] = "x"
    world.sync()
    assert Change.objects.count() == 1


def test_a_blank_never_overwrites_a_value(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    world.customer(1, city="")
    world.sync()
    assert world.companies()["1"] == ("Customer 1", "Lund")


def test_the_first_run_is_held_until_a_person_approves(tiny: World) -> None:
    world = tiny(first_run_approved=False)
    world.customer(1)
    world.customer(2)
    done = world.sync()
    assert done.run is not None and done.run.state == SyncRun.State.HELD
    assert world.companies() == {}
    world.approve(done.run)
    assert len(world.companies()) == 2
    assert Flow.objects.get().first_run_approved_at is not None
    assert set(world.states().values()) == {"applied"}


def test_approving_twice_delivers_once(tiny: World) -> None:
    world = tiny(first_run_approved=False)
    world.customer(1)
    done = world.sync()
    assert done.run is not None
    world.approve(done.run)
    writes = world.crm.calls["write"]
    world.approve(done.run)
    assert world.crm.calls["write"] == writes


def test_approving_refuses_what_moved_since_the_plan(tiny: World) -> None:
    world = tiny(first_run_approved=False)
    world.customer(1)
    world.customer(2)
    done = world.sync()
    assert done.run is not None
    world.customer(2, city="Ystad")
    world.approve(done.run)
    assert world.companies() == {"1": ("Customer 1", "Lund")}
    held = Change.objects.get(state="held")
    assert held.source_id == "2" and "Ystad" in str(held.diff)
    assert Change.objects.filter(state="superseded", source_id="2").count() == 1


def test_a_dry_run_writes_nothing_and_is_replaced_by_the_next_plan(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    first = world.sync(dry_run=True)
    assert world.companies() == {}
    world.customer(2)
    second = world.sync(dry_run=True)
    assert first.run is not None and second.run is not None
    first.run.refresh_from_db()
    assert first.run.state == SyncRun.State.CANCELLED
    assert set(Change.objects.filter(run=second.run, state="held").values_list("source_id", flat=True)) == {"1", "2"}


def test_observe_mode_plans_only(tiny: World) -> None:
    world = tiny()
    world.integration.mode = "observe"
    world.integration.save()
    world.customer(1)
    world.sync()
    assert world.companies() == {}
    assert Change.objects.get().state == "held"


def test_the_brake_holds_a_run_that_would_change_too_much(tiny: World) -> None:
    world = tiny(page_size=50)
    for number in range(1, 101):
        world.customer(number)
    world.sync()
    for number in range(1, 101):
        world.customer(number, city="Everywhere")
    done = world.sync()
    assert done.run is not None and done.run.state == SyncRun.State.HELD
    assert "more than the limit of 50" in done.run.hold_text
    assert set(world.companies().values()) == {(f"Customer {n}", "Lund") for n in range(1, 101)}
    world.approve(done.run)
    assert {city for _name, city in world.companies().values()} == {"Everywhere"}


def test_an_amount_over_the_limit_waits_for_approval(tiny: World) -> None:
    fields = [*FIELDS[:3], ("amount", "decimal(customer.amount)", {})]
    world = tiny(fields=fields, amount_field="amount", brake_amount=1000)
    world.customer(1, amount="999.99")
    world.customer(2, amount="1000.01")
    world.sync()
    assert world.states() == {"1": "applied", "2": "held"}


# --- matching ---------------------------------------------------------------------------------------------------


def test_one_exact_match_is_linked_not_created(tiny: World) -> None:
    world = tiny(fields=FIELDS, matches=[ORG])
    world.crm.put("company", {"name": "Already here", "org": "556677-8899"})
    world.customer(1, org="5566778899")
    world.sync()
    change = Change.objects.get()
    assert (change.action, change.match_rule) == ("link", "organisation number")
    assert len(world.crm.rows("company")) == 1


def test_many_matches_go_to_a_person_with_the_candidates(tiny: World) -> None:
    world = tiny(fields=FIELDS, matches=[ORG])
    for _twin in range(2):
        world.crm.put("company", {"name": "Twin", "org": "556677-8899"})
    world.customer(1, org="5566778899")
    world.sync()
    change = Change.objects.get()
    assert (change.action, change.state, change.error_code) == ("conflict", "review", "ambiguous")
    assert len(change.candidates) == 2
    assert change.reason["sv"] and change.reason["en"] == (
        "organisation number finds several records (2). Choose the right one, or let a new one be created."
    )


def test_a_suggestion_is_never_a_match(tiny: World) -> None:
    world = tiny(matches=[NAME | {"outcome": "suggest"}])
    world.crm.put("company", {"name": "customer 1"})
    world.customer(1)
    world.sync()
    assert Change.objects.get().error_code == "suggested"
    assert world.links() == 0


def test_a_namesake_does_not_win_over_an_existing_link(tiny: World) -> None:
    world = tiny(matches=[NAME])
    world.customer(1, name="Namesake")
    world.sync()
    world.customer(2, name="Namesake")
    world.sync()
    second = Change.objects.get(source_id="2")
    assert (second.state, second.error_code) == ("review", "taken")
    assert EntityLink.objects.get().ledger_id == "1"


def test_one_organisation_number_on_two_customers_creates_one_company(tiny: World) -> None:
    world = tiny(fields=FIELDS, matches=[ORG], page_size=1)
    world.customer(1, org="556677-8899")
    world.customer(2, org="5566778899")
    world.sync()
    assert world.states() == {"1": "applied", "2": "review"}
    assert len(world.crm.rows("company")) == 1


def test_a_lost_link_is_found_again_by_our_unique_key(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    EntityLink.objects.all().delete()
    world.sync(full=True)
    assert len(world.crm.rows("company")) == 1
    assert world.links() == 1


def test_an_empty_target_costs_one_count_and_no_look_ups(tiny: World) -> None:
    world = tiny(fields=FIELDS, matches=[ORG, NAME], page_size=200)
    for number in range(1, 151):
        world.customer(number)
    world.sync()
    assert world.crm.calls["count"] == 1 and world.crm.calls["find"] == 0
    assert world.crm.calls["write"] == 2


def test_a_person_chooses_the_candidate(tiny: World) -> None:
    world = tiny(fields=FIELDS, matches=[ORG])
    twins = [world.crm.put("company", {"name": "Twin", "org": "556677-8899"}) for _twin in range(2)]
    world.customer(1, org="5566778899")
    world.sync()
    link_to(Change.objects.get(), twins[1], make_superuser("anna"))
    world.sync()
    assert EntityLink.objects.get().crm_id == twins[1] and EntityLink.objects.get().linked_by == "anna"
    assert world.crm.rows("company")[twins[1]]["name"] == "Customer 1"
    assert len(world.crm.rows("company")) == 2


def test_only_a_free_candidate_can_be_chosen(tiny: World) -> None:
    world = tiny(matches=[NAME])
    world.customer(1, name="Namesake")
    world.sync()
    world.customer(2, name="Namesake")
    world.sync()
    taken = Change.objects.get(source_id="2")
    with pytest.raises(ValueError, match="belongs to"):
        link_to(taken, str(taken.candidates[0]["id"]), make_superuser())
    with pytest.raises(ValueError, match="candidates"):
        link_to(taken, "12345", make_superuser())


def test_a_person_decides_that_a_new_record_is_meant(tiny: World) -> None:
    world = tiny(fields=FIELDS, matches=[ORG])
    world.customer(1, org="556677-8899")
    world.customer(2, org="556677-8899")
    world.sync()
    create_new(Change.objects.get(state="review"), make_superuser())
    world.sync()
    assert len(world.companies()) == 2 and world.links() == 2


def test_a_gone_target_is_created_again_when_a_person_says_so(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    world.crm.objects["company"].clear()
    world.customer(1, city="Umeå")
    world.sync()
    create_new(Change.objects.get(state="review"), make_superuser())
    world.sync()
    assert world.companies() == {"1": ("Customer 1", "Umeå")} and world.links() == 1


# --- failures ---------------------------------------------------------------------------------------------------


def test_refused_data_goes_to_review_and_the_rest_goes_through(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.customer(2, name="Bad")
    world.crm.refuse["Bad"] = InvalidData("name is not allowed", code="E1", field="name", value="Bad")
    world.sync()
    assert world.states() == {"1": "applied", "2": "review"}
    change = Change.objects.get(source_id="2")
    assert (change.error_class, change.error_code, change.error_field, change.error_value) == (
        "data",
        "E1",
        "name",
        "Bad",
    )
    assert change.attempts == 1


def test_a_vendors_refusal_carries_its_cause_and_remedy_in_both_languages(tiny: World) -> None:
    world = tiny()
    world.customer(1, name="Bad")
    context = {"cause": "A text is too long.", "remedy": "Shorten it.", "side": "crm"}
    world.crm.refuse["Bad"] = InvalidData("Värdet är för långt", code="2000107", context=context)
    world.sync()
    [problem] = Change.objects.get().problems
    assert problem["message"]["en"] == "A text is too long. “Värdet är för långt”"
    assert problem["remedy"]["en"] == "Shorten it." and problem["remedy"]["sv"]


def test_a_retried_failure_is_planned_again_from_its_source(tiny: World) -> None:
    world = tiny()
    world.customer(1, name="Bad")
    world.crm.refuse["Bad"] = InvalidData("no", code="E1")
    world.sync()
    world.ledger.objects["customer"]["1"].fields["name"] = "Good"
    assert retry(Change.objects.filter(state="review"), make_superuser()) == 1
    world.sync()
    assert world.companies() == {"1": ("Good", "Lund")}
    assert sorted(Change.objects.values_list("state", flat=True)) == ["applied", "superseded"]


def test_dismissing_needs_a_reason_and_keeps_it(tiny: World) -> None:
    world = tiny()
    world.customer(1, name="Bad")
    world.crm.refuse["Bad"] = InvalidData("no", code="E1")
    world.sync()
    user = make_superuser()
    with pytest.raises(ValueError, match="reason"):
        dismiss(Change.objects.all(), user, "  ")
    assert dismiss(Change.objects.all(), user, "test customer") == 1
    change = Change.objects.get()
    assert (change.state, change.dismissed_reason) == ("dismissed", "test customer")
    assert change.log.latest("pk").user == user
    world.sync(full=True)
    assert Change.objects.count() == 1  # as it is, it stays dismissed
    world.customer(1, name="Better")
    world.sync()
    assert world.companies() == {"1": ("Better", "Lund")}


def test_transient_failures_are_retried_until_a_person_must_look(tiny: World) -> None:
    world = tiny()
    world.customer(1, name="Flaky")
    world.crm.refuse["Flaky"] = Transient("503", code="503")
    world.sync()
    assert world.states() == {"1": "retrying"}
    for _attempt in range(7):
        world.later()
        world.sync()
    change = Change.objects.latest("pk")
    assert (change.state, change.attempts) == ("review", 8)


def test_a_rate_limit_counts_no_attempt(tiny: World) -> None:
    world = tiny()
    world.customer(1, name="Busy")
    world.crm.refuse["Busy"] = RateLimited("429", retry_after=30)
    world.sync()
    change = Change.objects.get()
    assert (change.state, change.attempts) == ("queued", 0)
    assert change.due_at > change.updated_at


def test_a_dead_connection_keeps_changes_queued(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.crm.faults.append(failing("write", AuthenticationFailed("revoked"), times=2))
    world.sync()
    assert world.states() == {"1": "queued"}
    world.sync()
    assert world.states() == {"1": "applied"}


def test_a_bug_is_retried_once_and_then_shown_with_a_trace(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.crm.faults.append(failing("write", ZeroDivisionError("x"), times=9))
    world.sync()
    world.later()
    world.sync()
    change = Change.objects.get()
    assert (change.state, change.error_class) == ("review", ErrorClass.BUG)
    assert change.error_code.startswith("bug:ZeroDivisionError:")


def test_a_failed_page_is_read_again_and_the_cursor_stays(tiny: World) -> None:
    world = tiny(page_size=2)
    for number in range(1, 7):
        world.customer(number)
    world.ledger.faults.append(
        lambda call: failing("list", Transient("reset"))(call) if world.ledger.calls["list"] == 2 else None
    )
    done = world.sync()
    assert done.run is not None and done.run.state == SyncRun.State.PLANNING
    assert Flow.objects.get().cursor == ""
    world.ledger.faults.clear()
    world.later()
    world.sync()
    assert len(world.companies()) == 6
    assert SyncRun.objects.count() == 1
    assert SyncRun.objects.get().seen == 6


def test_a_list_that_does_not_add_up_fails_the_run_and_loses_nothing(tiny: World) -> None:
    world = tiny(page_size=2)
    for number in range(1, 6):
        world.customer(number)
    world.ledger.drop_from_page = 1
    done = world.sync()
    assert done.run is not None and (done.run.state, done.run.error_code) == ("failed", "incomplete")
    assert Flow.objects.get().cursor == ""
    world.ledger.drop_from_page = None
    world.sync()
    assert len(world.companies()) == 5


def test_a_newer_plan_supersedes_an_undelivered_one(tiny: World) -> None:
    world = tiny(approval="always")
    world.customer(1)
    world.sync()
    world.customer(1, city="Kiruna")
    world.sync()
    assert sorted(Change.objects.values_list("state", flat=True)) == ["held", "superseded"]
    assert Change.objects.open().count() == 1


def test_a_gone_target_is_a_conflict_not_a_new_record(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    world.crm.objects["company"].clear()
    world.customer(1, city="Umeå")
    world.sync()
    assert Change.objects.latest("pk").error_code == "target_gone"
    assert world.crm.rows("company") == {}


def test_an_unknown_option_is_released_when_the_target_offers_it(tiny: World) -> None:
    world = tiny(fields=[*FIELDS[:3], ("currency", "customer.currency", {})])
    world.crm_connector.options[("company", "currency")] = ("SEK", "EUR")
    world.customer(1, currency="NOK")
    world.sync()
    change = Change.objects.get()
    assert (change.action, change.state) == ("blocked", "review")
    assert change.error_value == "NOK" and change.problems[0]["remedy"]["en"]
    world.ledger.clock += 100
    world.crm_connector.options[("company", "currency")] = ("SEK", "EUR", "NOK")
    world.sync()
    assert world.states() == {"1": "applied"}


def test_every_failed_check_is_listed_not_only_the_first(tiny: World) -> None:
    world = tiny(fields=[("name", "customer.name", {"required": True}), ("city", "customer.city", {"required": True})])
    world.customer(1, name="", city="")
    world.sync()
    assert len(Change.objects.get().problems) == 2


def test_a_filter_and_a_validation_skip_with_a_reason(tiny: World) -> None:
    rule = {"label": "active", "expression": 'customer.status != "closed"', "outcome": "skip", "message": "Closed."}
    world = tiny(validations=[rule], filter_expression='customer.city == "Lund"')
    world.customer(1)
    world.customer(2, city="Oslo")
    world.customer(3, status="closed")
    world.sync()
    assert world.states() == {"1": "applied", "2": "skipped", "3": "skipped"}
    assert all(change.reason["en"] and change.reason["sv"] for change in Change.objects.filter(state="skipped"))
    world.sync(full=True)
    assert Change.objects.count() == 3


# --- related records --------------------------------------------------------------------------------------------


def with_orders(world: TinyWorld) -> Flow:
    world.crm.unique["bill"] = "key"
    world.crm_connector.idempotent = frozenset(world.crm.unique)
    return world.add_flow(
        "orders", source="order", target="bill",
        fields=[("name", "order.name", {}), ("number", "order.number", {}), ("text", "row.text", {"scope": "line"})],
        links=[{"name": "company", "expression": "order.customer", "related_slug": "customers", "required": True}],
        line_key='concat(order.number, ":", source.position)',
    )  # fmt: skip


def test_a_record_whose_customer_is_missing_imports_it_first(tiny: World) -> None:
    world = tiny()
    orders = with_orders(world)
    world.customer(7)
    world.ledger.put("order", {"number": "1", "name": "Order", "customer": "7"}, "1", lines=[{"text": "a"}])
    world.sync(orders)
    assert world.companies() == {"7": ("Customer 7", "Lund")}
    bill = world.crm.objects["bill"]["2"]
    assert bill.links == {"company": "1"} and [line["text"] for line in bill.lines] == ["a"]


def test_a_record_waits_for_its_customer_and_continues_by_itself(tiny: World) -> None:
    world = tiny(first_run_approved=False)
    orders = with_orders(world)
    world.customer(7)
    world.ledger.put("order", {"number": "1", "name": "Order", "customer": "7"}, "1")
    world.sync(orders)
    waiting = Change.objects.get(flow=orders)
    assert (waiting.state, waiting.error_class, waiting.waits_for) == ("review", "dependency", "customers:7")
    held = world.sync()
    assert held.run is not None
    world.approve(held.run)
    waiting.refresh_from_db()
    assert waiting.state == "retrying"
    world.sync(orders)
    assert len(world.crm.rows("bill")) == 1


def test_changed_lines_are_written_as_a_whole(tiny: World) -> None:
    world = tiny()
    orders = with_orders(world)
    world.customer(7)
    world.ledger.put("order", {"number": "1", "name": "O", "customer": "7"}, "1", lines=[{"text": "a"}, {"text": "b"}])
    world.sync(orders)
    world.ledger.put("order", {}, "1", lines=[{"text": "a"}])
    world.sync(orders)
    assert [line["text"] for line in world.crm.objects["bill"]["2"].lines] == ["a"]
    assert Change.objects.latest("pk").payload["links"] == {}


# --- cost -------------------------------------------------------------------------------------------------------


def test_a_run_that_finds_nothing_costs_constant_sql(tiny: World) -> None:
    def queries(customers: int) -> int:
        world = tiny(page_size=500)
        for number in range(customers):
            world.customer(number + 1)
        world.sync()
        world.ledger.clock += 100
        with CaptureQueriesContext(connection) as captured:
            world.sync()
        return len(captured)

    assert queries(3) == queries(300)


def test_a_new_mapping_version_reaches_unchanged_records_in_a_full_run(tiny: World) -> None:
    world = tiny()
    world.ledger.detail_only["customer"] = {"note"}
    world.customer(1, note="from the detail")
    world.sync()
    world.ledger.clock += 100
    world.sync()  # the record is older than the overlap from here on
    draft = new_draft(world.flow.mapping_set(), None)
    FieldMapping.objects.create(mapping_set=draft, position=9, target_field="phone", expression="customer.note")
    publish(draft, None, check=False)
    world.sync()
    assert "phone" not in world.crm.rows("company")["1"]  # a delta reads only what changed
    world.sync(full=True)
    assert world.crm.rows("company")["1"]["phone"] == "from the detail"
    world.ledger.calls.clear()
    world.sync(full=True)
    assert world.ledger.calls["detail"] == 0


def test_a_plan_larger_than_a_batch_is_approved_as_a_whole(tiny: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.states.BATCH", 3)
    world = tiny(first_run_approved=False)
    for number in range(1, 11):
        world.customer(number)
    run = world.sync().run
    assert run is not None
    world.approve(run)
    assert set(world.states().values()) == {"applied"} and len(world.companies()) == 10
