"""What a review of the workplace found in the engine: each test failed before its fault was mended."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from integrations.models import Integration
from mappings.models import Resync, publish
from sync import erasure, erasure_texts, matching, month_end, pingpong, undo
from sync.engine import stops
from sync.engine.approve import approve, approve_changes, cancel_plan
from sync.engine.context import build
from sync.engine.outdated import outdated, send_back
from sync.engine.run import work
from sync.lab import impact
from sync.matching import Pick
from sync.models import Change, EntityLink, FieldPause, Flow, MatchDecision, SyncRun
from tests import factories as make
from tests.lab_world import LabWorld
from tests.sync.test_month_end import document, read
from tests.sync.test_two_way import world as two_way
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db
both_ways = two_way


def moved_twice(tiny: Callable[..., TinyWorld], **flow: Any) -> tuple[TinyWorld, Change]:
    """A customer that moved from Lund to Malmö, and the change that says so."""
    world = tiny(**flow)
    for city in ("Lund", "Malmö"):
        world.customer(1, city=city)
        world.sync()
    return world, Change.objects.filter(state="applied").latest("pk")


def once(world: TinyWorld, call: str, do: Callable[[], object], *, nth: int = 1) -> None:
    """Somebody does something while the worker waits for the answer to its n-th call of that kind."""
    seen: list[str] = []

    def fault(name: str) -> None:
        seen.append(name)
        if seen.count(call) == nth:
            seen.append(f"{call} over")
            do()

    world.ledger.faults.append(fault)


# --- undo ---------------------------------------------------------------------------------------------------------


def test_an_undo_that_is_approved_with_a_whole_plan_is_read_again_first(tiny: Callable[..., TinyWorld]) -> None:
    world, change = moved_twice(tiny)
    held = undo.propose(change, None)
    Flow.objects.update(approval=Flow.Approval.ALWAYS)
    world.flow.refresh_from_db()
    world.customer(2)
    run = world.sync().run
    held.refresh_from_db()
    assert run is not None and held.run == run and held.state == "held"  # the newest plan holds what waits
    world.crm.put("company", {"city": "Oslo"}, next(iter(world.crm.rows("company"))))
    world.approve(run)
    work(world.flow)
    assert world.companies() == {"1": ("Customer 1", "Oslo"), "2": ("Customer 2", "Lund")}
    shown = Change.objects.filter(source_id="1").latest("pk")
    assert (shown.state, shown.error_code) == ("review", "undo_moved")


def test_an_undo_loses_nothing_that_the_source_changed_meanwhile(tiny: Callable[..., TinyWorld]) -> None:
    world, change = moved_twice(tiny)
    held = undo.propose(change, None)
    world.customer(1, name="Renamed AB", city="Malmö")
    for _time in range(2):  # it is shown once more, because the source moved
        approve_changes(Change.objects.filter(state="held"), None)
        work(world.flow)
    held.refresh_from_db()
    assert world.companies()["1"] == ("Customer 1", "Lund")
    world.sync()
    assert world.companies()["1"] == ("Renamed AB", "Lund")


def test_an_undo_between_two_ways_agrees_on_its_own_fields_only(both_ways: Any) -> None:
    world = both_ways
    for city in ("Lund", "Malmö"):
        world.customer(1, city=city)
        for flow in (world.out, world.back):
            world.sync(flow)
    undo.propose(Change.objects.filter(state="applied", flow=world.out).latest("pk"), None)
    world.customer(1, name="Renamed AB", city="Malmö")
    for _time in range(2):
        approve_changes(Change.objects.filter(state="held"), None)
        work(world.out)
    assert world.companies()["1"] == ("Customer 1", "LUND")
    for _round in range(2):
        world.sync(world.out)
    assert world.companies()["1"][0] == "Renamed AB"


def test_an_undo_never_becomes_the_creation_of_another_record(tiny: Callable[..., TinyWorld]) -> None:
    world, change = moved_twice(tiny)
    held = undo.propose(change, None)
    EntityLink.objects.all().delete()
    world.crm.objects["company"].clear()
    approve_changes(Change.objects.filter(pk=held.pk), None)
    work(world.flow)
    assert world.companies() == {}
    assert Change.objects.filter(source_id="1", state="held", action="create").exists()  # shown for what it is


def test_what_was_erased_is_never_put_back(tiny: Callable[..., TinyWorld]) -> None:
    _world, change = moved_twice(tiny)
    change.diff = [{**change.diff[0], "before": f"c/o {erasure_texts.TOMBSTONE}"}]
    found = undo.look(change, EntityLink.objects.get(), open_change=None)
    assert found.refused and not found.rows


# --- stopping and cancelling ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_a_scan_that_is_cancelled_while_it_reads_stores_nothing_more_and_loses_nothing(
    tiny: Callable[..., TinyWorld], fails: bool
) -> None:
    from integrations.errors import Transient

    world = tiny(page_size=2, approval=Flow.Approval.ALWAYS)
    for number in range(1, 7):
        world.customer(number)

    def stop_and_cancel() -> None:
        run = SyncRun.objects.get()
        assert stops.stop(run, None)
        assert cancel_plan(run, None) == 2
        if fails:
            raise Transient("away", code="503")

    once(world, "list", stop_and_cancel, nth=2)
    world.sync()
    run = SyncRun.objects.get()
    assert run.state == SyncRun.State.CANCELLED and not Change.objects.open().exists()
    assert not Flow.objects.get().cursor
    world.later()
    again = world.sync().run
    assert again is not None and again != run
    world.approve(again)
    assert len(world.companies()) == 6


# --- versions of the mapping ---------------------------------------------------------------------------------------


def test_however_much_an_old_version_queued_none_of_it_goes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world = LabWorld(monkeypatch)
    old = world.published
    publish(world.draft(), None)
    values = {"integration": world.integration, "flow": world.flow, "mapping_set": old, "action": "update"}
    Change.objects.bulk_create(Change(source_id=str(n), state="queued", **values) for n in range(5_010))
    ctx = build(world.flow)
    assert send_back(ctx) == 5_010
    assert not outdated(ctx, "queued").exists()


def test_a_re_sync_that_cannot_be_planned_stops_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    world = LabWorld(monkeypatch)
    for number in range(3):
        world.customer(number)
    world.sync()
    order = impact.order(publish(world.draft(), None), ["0", "1"], None)
    assert order is not None

    def broken(*_args: Any, **_more: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("sync.engine.resync.plan_ids", broken)
    world.customer(2, city="Kiruna")
    world.sync()
    assert world.companies()["2"] == ("CUSTOMER 2", "Kiruna")
    order.refresh_from_db()
    assert order.error and order.planned == 0


def test_who_approves_a_re_sync_approves_what_was_there_and_not_what_is_still_being_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = LabWorld(monkeypatch)
    for number in range(60):
        world.customer(number)
    Integration.objects.update(brake_records=1000)
    world.sync()
    order = impact.order(publish(world.draft(), None), [str(number) for number in range(60)], None)
    assert order is not None
    first: list[int] = []

    def approve_it() -> None:
        run = SyncRun.objects.get(pk=Resync.objects.get().runs[-1])
        first.append(run.pk)
        assert run.changes.filter(state="held").count() == 50 and approve(run, None)

    once(world, "detail", approve_it, nth=55)
    work(world.flow)
    assert SyncRun.objects.get(pk=first[0]).state == SyncRun.State.DELIVERING  # and stays approved
    work(world.flow)
    loud = [name for name, _city in world.companies().values() if name.isupper()]
    assert len(loud) == 50
    order.refresh_from_db()
    assert order.planned == 60 and Change.objects.filter(state="held").count() == 10


# --- matching ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "retrying"])
def test_a_choice_that_is_taken_back_does_not_go_out_any_more(tiny: Callable[..., TinyWorld], state: str) -> None:
    world = tiny(first_run_approved=False)
    world.customer(2, name="Beta AB")
    world.crm.put("company", {"name": "Quite another AB", "city": "Ystad"}, "502")
    world.sync()
    person = make.make_superuser()
    matching.decide(world.flow, [Pick(Change.objects.get(), "link", "502")], person)
    work(world.flow)
    chosen = Change.objects.get(state="held")
    assert (chosen.action, chosen.target_id) == ("link", "502")
    Change.objects.filter(pk=chosen.pk).update(state=state)  # approved, and not sent yet
    assert matching.take_back(world.flow, MatchDecision.objects.in_force(), person) == 1
    for _time in range(2):
        work(world.flow)
    assert not EntityLink.objects.filter(crm_id="502").exists()
    assert world.crm.rows("company")["502"]["name"] == "Quite another AB"


def test_what_was_decided_about_a_plan_that_is_approved_in_this_moment_is_not_approved_with_it(
    tiny: Callable[..., TinyWorld],
) -> None:
    """The plan is approved after it was looked up and before the decided record joins it: the row is locked."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    world = tiny(first_run_approved=False)
    world.customer(1)
    world.sync()
    matching.decide(world.flow, [Pick(Change.objects.get(), "create")], make.make_superuser())
    with CaptureQueriesContext(connection) as queries:
        work(world.flow)
    table = SyncRun._meta.db_table
    looks = [q["sql"] for q in queries if f'FROM "{table}"' in q["sql"] and "\"state\" = 'held'" in q["sql"]]
    assert Change.objects.get(state="held").run == SyncRun.objects.earliest("pk")
    if connection.vendor == "postgresql":
        assert any("FOR UPDATE" in sql for sql in looks), looks


# --- fields that fight ------------------------------------------------------------------------------------------


def test_a_paused_field_between_two_ways_is_written_when_a_person_resumes_it(
    both_ways: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = both_ways
    world.customer(1)
    for flow in (world.out, world.back):
        world.sync(flow)
    found = pingpong._fight

    def fight(ctx: Any, others: Any, history: Any, link: Any, change: Any, row: Any) -> Any:
        if row["field"] == "city":
            return pingpong._Fight(9, ["a", "b"])
        return found(ctx, others, history, link, change, row)

    monkeypatch.setattr(pingpong, "_fight", fight)
    world.customer(1, name="Renamed AB", city="Malmö")
    world.sync(world.out)
    assert world.companies()["1"] == ("Renamed AB", "LUND")
    monkeypatch.setattr(pingpong, "_fight", found)
    assert pingpong.resume(FieldPause.objects.get(), make.make_superuser())
    for _round in range(2):
        world.sync(world.out)
    assert world.companies()["1"] == ("Renamed AB", "MALMÖ")


# --- erasing ----------------------------------------------------------------------------------------------------


def test_erasing_a_name_leaves_other_words_that_contain_it_alone() -> None:
    link = make.make_link(title="Bob", agreed_crm={"name": "Bob"})
    other = make.make_link(
        link.integration, crm_id="9", ledger_id="9", title="Bobby Ewing AB",
        agreed_crm={"name": "Bobby Ewing AB", "c": "c/o bob."},
    )  # fmt: skip
    erasure.erase(links=[link], texts=[], integrations=[link.integration_id], user=None, dry_run=False)
    other.refresh_from_db()
    assert other.title == "Bobby Ewing AB"
    assert other.agreed_crm == {"name": "Bobby Ewing AB", "c": f"c/o {erasure_texts.TOMBSTONE}."}


# --- booking at the month's end ---------------------------------------------------------------------------------


def test_only_documents_that_we_made_are_booked_and_with_their_rows_compared() -> None:
    row = read()
    flow = make.make_flow(
        row.integration, "deals", source_side="crm", source_object="deal", target_side="ledger",
        target_object="invoice", follow_up="back",
    )  # fmt: skip
    person = make.make_superuser()
    theirs, ours = document(row, "71", status="unbooked"), document(row, "72", status="unbooked")
    update = {"flow": flow, "state": "applied", "action": "update", "payload": {"fields": {"note": "x"}, "lines": None}}
    make.make_change(**update, source_id="d71", target_id="71")
    with pytest.raises(ValidationError, match="not made here"):
        month_end.book(theirs, row.integration, person)
    assert not month_end.bookable([theirs], row.integration)
    lines = [{"text": "work", "quantity": "1"}]
    make.make_change(
        flow=flow, state="applied", action="create", source_id="d72", target_id="72",
        payload={"fields": {"note": ""}, "lines": lines},
    )  # fmt: skip
    make.make_change(**update, source_id="d72", target_id="72", amount=Decimal("100.00"), currency="SEK")
    act = month_end.book(ours, row.integration, person)
    assert act.payload["sent"]["lines"] == lines and act.payload["sent"]["fields"] == {"note": "x"}
    assert act.amount == Decimal("100.00")
