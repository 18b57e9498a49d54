"""Creates that the remote cannot deduplicate: one intended document, one document, whatever fails in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from integrations.connector import Outcome, Record
from integrations.errors import InvalidData, OutcomeUnknown, SyncError, Transient
from integrations.locks import process_lock
from sync.engine import exactly_once, failpoints
from sync.engine import sweep as sweeping
from sync.engine.context import build
from sync.engine.sweep import Finding, due_sweeps, run_sweeps, sweep
from sync.models import Change, EntityLink, Flow
from tests.factories import make_change, make_flow
from tests.tiny import failing, lost_answer
from tests.tiny_world import TinyWorld

World = Callable[..., TinyWorld]


def bills(world: TinyWorld) -> list[str]:
    return [str(row["reference"]) for row in world.crm.rows("bill").values()]


def test_a_create_carries_a_reference_derived_from_its_source(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.sync(flow)
    change = Change.objects.get()
    assert bills(world) == [change.remote_reference]
    assert change.remote_reference == exactly_once.reference(build(flow), change)
    assert set(change.remote_reference) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(change.remote_reference) <= 50
    assert change.state == "applied" and change.target_id == "1"


def test_a_refused_create_is_not_repeated(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm_connector.create = failing_create  # type: ignore[method-assign]
    world.sync(flow)
    world.later()
    world.sync(flow)
    change = Change.objects.get()
    assert (change.state, change.attempts) == ("review", 1)


def failing_create(object_name: str, write: object) -> None:
    raise InvalidData("unknown article", code="2001302")


def test_a_change_that_another_worker_holds_is_left_alone(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.sync(flow, dry_run=True)
    Change.objects.update(state="queued")
    change = Change.objects.get()
    taken, done = threading.Event(), threading.Event()

    def other_worker() -> None:
        with process_lock(f"change:{change.pk}") as mine:
            assert mine
            taken.set()
            done.wait(60)

    thread = threading.Thread(target=other_worker)
    thread.start()
    assert taken.wait(60)
    try:
        assert not exactly_once.create(build(flow), change)
        world.sync(flow)  # and a whole run ends, instead of asking for it again and again
    finally:
        done.set()
        thread.join()
    assert not bills(world)


# --- The last look before the socket ------------------------------------------------------------------------------


def queued(world: TinyWorld, flow: Flow, **fields: object) -> Change:
    """A create that is approved and waits for a worker."""
    world.sync(flow, dry_run=True)
    Change.objects.update(state="queued", **fields)
    return Change.objects.get()


def test_a_lost_lock_sends_nothing_and_leaves_the_change_queued(
    billing: tuple[TinyWorld, Flow], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, flow = billing
    change = queued(world, flow)
    monkeypatch.setattr(exactly_once, "still_held", lambda name: False)
    assert exactly_once.create(build(flow), change) == {"queued": 1}
    change.refresh_from_db()
    assert (change.state, change.attempts) == ("queued", 0)
    assert not bills(world) and not world.crm.calls["create"]


def test_an_intent_that_waited_is_renewed_because_the_settle_time_counts_from_the_sending(
    billing: tuple[TinyWorld, Flow], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    change = queued(world, flow)
    begun = timezone.now()
    moments = iter([begun - timedelta(seconds=50)])  # the intent; then the rate limit was waited for
    monkeypatch.setattr(exactly_once.timezone, "now", lambda: next(moments, begun))
    exactly_once.create(build(flow), change)
    monkeypatch.undo()
    change.refresh_from_db()
    assert change.state == "unknown" and change.settle_until is not None
    assert change.settle_until >= begun + timedelta(seconds=119)


def test_a_process_that_was_overtaken_while_it_waited_sends_nothing(
    billing: tuple[TinyWorld, Flow], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, flow = billing
    change = queued(world, flow)

    def overtaken(place: str) -> None:
        if place == "send.before_check":
            Change.objects.filter(pk=change.pk).update(fence=99)

    monkeypatch.setattr(exactly_once, "reach", overtaken)
    monkeypatch.setattr(exactly_once, "FRESH", timedelta(seconds=-1))
    assert exactly_once.create(build(flow), change) == {"queued": 0}
    assert not bills(world)
    assert Change.objects.get().state == "sending"  # the other one's affair


def test_an_outcome_is_stored_only_by_the_process_whose_fence_it_is(
    billing: tuple[TinyWorld, Flow], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, flow = billing
    change = queued(world, flow)

    def overtaken(place: str) -> None:
        if place == "send.answered":
            Change.objects.filter(pk=change.pk).update(fence=99)

    monkeypatch.setattr(exactly_once, "reach", overtaken)
    assert not sum(exactly_once.create(build(flow), change).values())
    assert (Change.objects.get().state, world.links()) == ("sending", 0)  # neither state nor link


def test_a_failure_is_stored_only_by_the_process_whose_fence_it_is(
    billing: tuple[TinyWorld, Flow], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, flow = billing
    change = queued(world, flow)

    def overtaken(place: str) -> None:
        if place == "send.answered":
            Change.objects.filter(pk=change.pk).update(fence=99)

    monkeypatch.setattr(exactly_once, "reach", overtaken)
    world.crm_connector.create = failing_create  # type: ignore[method-assign]
    assert not sum(exactly_once.create(build(flow), change).values())
    assert Change.objects.get().state == "sending"


# --- Once per record, whoever asks --------------------------------------------------------------------------------


def test_a_second_wish_for_a_record_that_was_created_steps_aside(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.sync(flow)
    first = Change.objects.get()
    second = again(first)
    assert exactly_once.create(build(flow), second) == {"superseded": 1}
    EntityLink.objects.all().delete()  # and without the link: the reference is taken
    third = again(first)
    assert exactly_once.create(build(flow), third) == {"superseded": 1}
    assert len(bills(world)) == 1


def again(change: Change) -> Change:
    """The same wish as a new row."""
    change = Change.objects.get(pk=change.pk)
    change.pk, change.state, change.remote_reference, change.target_id = None, "queued", "", ""
    change.sent_at = change.settle_until = change.finished_at = None
    change.fence, change.attempts, change.verifications = 0, 0, []
    change.save(force_insert=True)
    return change


def test_a_reference_that_another_flow_has_goes_to_a_person(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    change = queued(world, flow)
    taken = exactly_once.reference(build(flow), change)
    other = make_flow(world.integration, "elsewhere")
    make_change(flow=other, action="create", state="applied", remote_reference=taken)
    assert exactly_once.create(build(flow), change) == {"review": 1}
    change.refresh_from_db()
    assert (change.error_code, bills(world)) == ("reference_taken", [])


def test_what_a_dismissed_predecessor_may_have_made_is_adopted_not_made_again(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    first = Change.objects.get()
    Change.objects.update(state="dismissed", dismissed_reason="Not wanted.")
    second = again(first)
    assert not exactly_once.create(build(flow), second)  # the first one has not settled
    second.refresh_from_db()
    assert (second.state, second.due_at) == ("queued", first.settle_until)
    Change.objects.filter(pk=first.pk).update(settle_until=timezone.now() - timedelta(seconds=1))
    assert exactly_once.create(build(flow), second) == {"applied": 1}
    second.refresh_from_db()
    assert (second.target_id, len(bills(world))) == ("1", 1)
    assert second.verifications[0]["before"] is True


def test_a_search_that_fails_before_a_second_send_sends_nothing(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    change = queued(world, flow, sent_at=timezone.now(), settle_until=timezone.now())
    Change.objects.update(remote_reference=exactly_once.reference(build(flow), change))
    world.crm.faults.append(failing("find", Transient("busy")))
    change.refresh_from_db()
    assert exactly_once.create(build(flow), change) == {"retrying": 1}
    assert not bills(world)


# --- The claim ----------------------------------------------------------------------------------------------------


class Claiming:
    """A context whose target may hold the claimed identity by now."""

    def __init__(self, flow: Flow, hits: list[Record] | SyncError) -> None:
        self._ctx, self._hits = build(flow), hits

    def __getattr__(self, name: str) -> object:
        return getattr(self._ctx, name)

    def claim_lookup(self, change: Change) -> list[Record]:
        if isinstance(self._hits, SyncError):
            raise self._hits
        return self._hits


def test_an_identity_that_exists_by_now_goes_to_a_person_with_its_candidate(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    change = queued(world, flow, claim="orgnr:5560360793")
    ctx = Claiming(flow, [Record("bill", "77", {"name": "The same"}, title="The same")])
    assert exactly_once.create(ctx, change) == {"review": 1}  # type: ignore[arg-type]
    change.refresh_from_db()
    assert (change.error_code, [row["id"] for row in change.candidates]) == ("claim_taken", ["77"])
    assert not bills(world)


def test_a_free_identity_is_created_and_one_that_cannot_be_looked_up_waits(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    change = queued(world, flow, claim="orgnr:5560360793")
    assert exactly_once.create(Claiming(flow, Transient("busy")), change) == {"retrying": 1}  # type: ignore[arg-type]
    assert not bills(world)
    Change.objects.update(state="queued")
    change.refresh_from_db()
    assert exactly_once.create(Claiming(flow, []), change) == {"applied": 1}  # type: ignore[arg-type]
    assert len(bills(world)) == 1


def test_a_person_who_decided_to_create_is_not_asked_about_the_same_candidate_again(
    billing: tuple[TinyWorld, Flow],
) -> None:
    world, flow = billing
    change = queued(world, flow, claim="orgnr:5560360793", decision="create", candidates=[{"id": "77"}])
    ctx = Claiming(flow, [Record("bill", "77", {})])
    assert exactly_once.create(ctx, change) == {"applied": 1}  # type: ignore[arg-type]
    assert len(bills(world)) == 1


def test_of_two_records_with_one_identity_one_waits_for_the_other(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    change = queued(world, flow, claim="orgnr:5560360793")
    account = flow.integration.account(flow.target_side)
    taken, done = threading.Event(), threading.Event()

    def other_worker() -> None:
        with process_lock(f"claim:{account.pk}:orgnr:5560360793") as mine:
            assert mine
            taken.set()
            done.wait(60)

    thread = threading.Thread(target=other_worker)
    thread.start()
    assert taken.wait(60)
    try:
        assert not exactly_once.create(build(flow), change)
    finally:
        done.set()
        thread.join()
    assert Change.objects.get().state == "queued" and not bills(world)


# --- What is believed ---------------------------------------------------------------------------------------------


def test_an_answer_without_our_reference_is_not_believed(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    change = queued(world, flow)
    world.crm_connector.create = lambda name, write: Outcome(write.key, "5", True, {"reference": "lb1-other"})  # type: ignore[method-assign]
    assert exactly_once.create(build(flow), change) == {"review": 1}
    change.refresh_from_db()
    assert (change.error_code, change.candidates[0]["id"]) == ("marker_not_echoed", "5")


def test_an_answer_that_names_no_record_is_unknown(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    change = queued(world, flow)
    world.crm_connector.create = lambda name, write: Outcome(write.key, "", True, {})  # type: ignore[method-assign]
    assert exactly_once.create(build(flow), change) == {"unknown": 1}


def test_a_fault_of_ours_before_the_call_is_not_an_unknown_outcome(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    change = queued(world, flow, payload={"fields": {"name": {"$": "n", "v": "no number"}}})
    exactly_once.create(build(flow), change)
    change.refresh_from_db()
    assert (change.state, change.error_class) == ("retrying", "bug")
    assert not world.crm.calls["create"]


def test_a_found_document_of_another_customer_goes_to_a_person(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    Change.objects.all().delete()
    change = queued(world, flow)
    Change.objects.update(payload={"fields": {"customer": "7"}})
    change.refresh_from_db()
    exactly_once.create(build(flow), change)
    world.crm.objects["bill"]["1"].fields["customer"] = "8"
    world.later()
    world.sync(flow)
    change.refresh_from_db()
    assert (change.state, change.error_code) == ("review", "found_differs")
    assert "8" in change.error_message and world.links() == 0


def test_a_search_that_fails_is_made_again_and_concludes_nothing(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    world.crm.faults.append(failing("find", Transient("busy")))
    world.later()
    world.sync(flow)
    change = Change.objects.get()
    assert (change.state, change.verifications) == ("unknown", [])
    world.later()
    world.sync(flow)
    assert Change.objects.get().state == "applied"


def test_two_documents_raise_an_alarm_in_the_log(
    billing: tuple[TinyWorld, Flow], caplog: pytest.LogCaptureFixture
) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    world.crm.put("bill", {"reference": bills(world)[0]})
    world.later()
    world.sync(flow)
    assert "ALARM: 2 records carry the reference" in caplog.text
    assert [row["id"] for row in Change.objects.get().candidates] == ["1", "2"]


# --- The nightly sweep --------------------------------------------------------------------------------------------


def test_the_sweep_finds_a_second_document_and_tells_a_person_once(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.sync(flow)
    assert sweep(flow) == []
    world.crm.put("bill", {"reference": bills(world)[0]})
    name = bills(world)[0]
    assert sweep(flow) == [Finding("duplicate", name, ("1", "2"))]
    assert sweep(flow) == [Finding("duplicate", name, ("1", "2"))]
    told = Change.objects.get(state="review")
    assert (told.error_code, [row["id"] for row in told.candidates]) == ("duplicate_documents", ["1", "2"])
    assert "1, 2" in told.reason["en"] and "Cancel the younger one" in told.reason["en"]
    world.crm.objects["bill"]["2"].fields["cancelled"] = True
    assert sweep(flow) == []


def test_the_sweep_adopts_what_arrived_after_a_person_was_asked(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(failing("create", OutcomeUnknown("timeout"), times=9))
    for _round in range(8):
        world.sync(flow)
        world.crm.objects["bill"].clear()
        world.later()
    change = Change.objects.get()
    assert change.error_code == "unknown_twice"
    world.crm.faults.clear()
    late = world.crm.put("bill", {"reference": change.remote_reference})
    assert [finding.kind for finding in sweep(flow)] == ["adopted"]
    change.refresh_from_db()
    assert (change.state, change.target_id, world.links()) == ("applied", late, 1)


def test_the_sweep_knows_a_document_of_ours_that_no_change_knows(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.sync(flow)
    Change.objects.all().delete()  # an older backup was restored
    EntityLink.objects.all().delete()
    foreign = world.crm.put("bill", {"reference": "lb1-zz-o1-1-ffff"})
    assert [finding.kind for finding in sweep(flow)] == ["unlinked"]
    told = Change.objects.get()
    assert (told.source_id, told.error_code, told.candidates[0]["id"]) == ("1", "document_unlinked", "1")
    assert foreign not in str(told.candidates)


def test_a_flow_is_swept_each_night_when_it_created_something(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    night = timezone.localtime().replace(hour=2, minute=0)
    assert not due_sweeps(night).exists()
    world.sync(flow)
    Change.objects.update(sent_at=night - timedelta(hours=3))
    assert list(due_sweeps(night)) == [flow]
    assert not due_sweeps(night.replace(hour=12)).exists()
    Flow.objects.update(swept_at=night)
    assert not due_sweeps(night + timedelta(hours=1)).exists()
    Change.objects.update(sent_at=night + timedelta(hours=30))
    assert list(due_sweeps((night + timedelta(hours=34)).replace(hour=12))) == [flow]  # last night was missed


def test_a_target_that_cannot_be_read_is_swept_later(
    billing: tuple[TinyWorld, Flow], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, flow = billing
    world.sync(flow)
    monkeypatch.setattr(sweeping, "due_sweeps", lambda: Flow.objects.filter(pk=flow.pk))
    world.crm.faults.append(failing("list", Transient("busy")))
    assert run_sweeps() == 0
    swept = Flow.objects.get(pk=flow.pk).swept_at
    assert swept is not None and swept < timezone.now() - timedelta(hours=19)
    assert run_sweeps() == 0
    assert Flow.objects.get(pk=flow.pk).swept_at >= timezone.now() - timedelta(minutes=1)


# --- Failpoints ---------------------------------------------------------------------------------------------------


def test_an_unknown_failpoint_is_refused() -> None:
    for text in ("send.checkd:kill", "send.checked:explode", "send.checked"):
        with pytest.raises(ValueError, match="unknown failpoint"):
            failpoints.parse(text)


def test_a_failpoint_does_what_it_is_armed_with_and_nothing_otherwise() -> None:
    failpoints.reach("send.checked")
    failpoints.arm("send.checked:raise")
    try:
        with pytest.raises(failpoints.Failed):
            failpoints.reach("send.checked")
        failpoints.reach("create.locked")
    finally:
        failpoints.arm("")
    failpoints.reach("send.checked")


def test_every_failpoint_is_in_the_code() -> None:
    root = Path(failpoints.__file__).parent
    code = "".join(path.read_text() for path in root.glob("*.py"))
    code += (Path(__file__).parent.parent / "end_to_end/storm/world.py").read_text()
    assert {name for name in failpoints.PLACES if f'reach("{name}")' not in code} == set()
