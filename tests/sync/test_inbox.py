"""Events become hints and hints become plans: once per record, for the flows that read it, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from integrations import inbox as inbound
from integrations.errors import AuthenticationFailed, Transient
from integrations.inbox import Event
from integrations.models import ConnectedAccount, InboundEvent, Integration
from sync import inbox, tasks
from sync.engine.run import work
from sync.models import Change, Flow, Hint, SyncRun
from sync.states import State
from tests.tiny import TinyConnector
from tests.tiny_world import TinyWorld

Tiny = Callable[..., TinyWorld]


@pytest.fixture
def world(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> TinyWorld:
    """The tiny ledger and register, past their first run."""
    there = tiny()
    monkeypatch.setattr("sync.inbox.connector_for", there._connector)
    Flow.objects.update(prepared_at=timezone.now())
    return there


def tell(world: TinyWorld, *ids: str, name: str = "customer", kind: str = "changed", side: str = "ledger") -> None:
    """The account of a side says that these records changed."""
    account = world.integration.account(side)
    stamp = timezone.now().isoformat()
    events = [Event(account.remote_id, f"{name}|{key}|{stamp}|{n}", name, key, kind) for n, key in enumerate(ids)]
    inbound.store(account.system, events)


def hints(flow: Flow | None = None) -> list[str]:
    rows = Hint.objects.filter(flow=flow) if flow else Hint.objects.all()
    return sorted(rows.values_list("source_id", flat=True))


def waiting() -> int:
    return InboundEvent.objects.filter(processed_at=None).count()


def test_many_events_of_one_record_are_one_hint_for_each_flow_that_reads_it(world: TinyWorld) -> None:
    other = world.add_flow("customers-again", prepared_at=timezone.now())
    world.add_flow("orders", source="order", prepared_at=timezone.now())
    tell(world, "1", "1", "2", "1")
    assert inbox.distribute() == 4
    assert hints(world.flow) == hints(other) == ["1", "2"]
    assert Hint.objects.count() == 4 and waiting() == 0
    assert inbox.distribute() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"scheduled": False},
        {"prepared_at": None},
        {"approval": "first_run", "first_run_approved_at": None},
        {"source_object": "order"},
        {"source_side": "crm", "target_side": "ledger"},
    ],
)
def test_a_flow_that_does_not_read_it_by_itself_gets_no_hint(world: TinyWorld, change: dict[str, Any]) -> None:
    Flow.objects.update(**change)
    tell(world, "1")
    assert inbox.distribute() == 1
    assert not hints() and waiting() == 0


def test_what_is_heard_while_a_flow_cannot_work_waits_until_it_can_once_per_record(world: TinyWorld) -> None:
    """To drop it would lose what a delta does not see, such as a line of the record that was changed."""
    world.customer(1)
    Flow.objects.update(enabled=False)
    tell(world, "1", "1")
    inbox.distribute()
    Flow.objects.update(enabled=True)
    Integration.objects.update(mode="off")
    tell(world, "1", "1")
    inbox.distribute()
    Integration.objects.update(mode="live")
    ConnectedAccount.objects.filter(system="hubspot").update(status="needs_reconnect")
    tell(world, "1")
    inbox.distribute()
    assert hints() == ["1"] and waiting() == 0
    assert not tasks.due_flows().exists()
    ConnectedAccount.objects.update(status="connected")
    assert world.flow in tasks.due_flows()
    work(world.flow)
    assert set(world.companies()) == {"1"} and not hints()


def test_a_hint_is_planned_delivered_and_gone_without_a_scan(world: TinyWorld) -> None:
    world.customer(1)
    world.customer(2)
    tell(world, "1")
    inbox.distribute()
    assert world.flow in tasks.due_flows()
    work(world.flow)
    assert set(world.companies()) == {"1"} and not hints()
    run = SyncRun.objects.get()
    assert (run.trigger, run.state, run.seen) == ("event", "done", 1)


def test_an_event_about_nothing_new_leaves_no_trace(world: TinyWorld) -> None:
    world.customer(1)
    world.sync()
    runs = SyncRun.objects.count()
    tell(world, "1")
    inbox.distribute()
    work(world.flow)
    assert not hints() and SyncRun.objects.count() == runs
    assert Change.objects.count() == 1


def test_a_deleted_record_is_not_shown_to_anybody_and_what_waited_for_it_is_called_off(world: TinyWorld) -> None:
    Flow.objects.update(approval="always")
    world.customer(1)
    world.sync()
    assert world.states() == {"1": State.HELD}
    world.ledger.objects["customer"].clear()
    tell(world, "1", "77", kind="deletion")
    inbox.distribute()
    work(world.flow)
    assert world.states() == {"1": State.SUPERSEDED} and not hints()


def test_what_a_person_must_approve_is_held(world: TinyWorld) -> None:
    Flow.objects.update(approval="always")
    world.customer(1)
    tell(world, "1")
    inbox.distribute()
    work(world.flow)
    assert world.states() == {"1": State.HELD} and world.companies() == {}
    assert SyncRun.objects.get().state == SyncRun.State.HELD


def test_while_the_source_is_away_the_hints_wait(world: TinyWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.customer(1)
    tell(world, "1")
    inbox.distribute()

    def away(*args: Any, **kwargs: Any) -> Any:
        raise Transient("away", code="503")

    with monkeypatch.context() as patch:
        patch.setattr(TinyConnector, "load", away)
        patch.setattr("sync.engine.extract.LOAD_ROUNDS", 1)
        work(world.flow)
        assert tasks.serve(world.flow, lambda: True) is False  # left alone for the rest of this drain
    assert hints() == ["1"] and not SyncRun.objects.exists()
    work(world.flow)
    assert set(world.companies()) == {"1"} and not hints()


def test_a_record_that_brings_down_the_planning_does_not_stop_the_others(
    world: TinyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        world.customer(number)
    tell(world, *"12345")
    inbox.distribute()
    real = inbox.plan_ids

    def brittle(ctx: Any, ids: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        if "3" in ids:
            raise ZeroDivisionError
        return real(ctx, ids, *args, **kwargs)

    monkeypatch.setattr(inbox, "plan_ids", brittle)
    work(world.flow)
    assert set(world.companies()) == {"1", "2", "4", "5"} and not hints()


def test_an_event_that_arrives_while_its_record_is_planned_is_looked_at_again(
    world: TinyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.customer(1)
    tell(world, "1")
    inbox.distribute()
    real, rounds = inbox.plan_ids, []

    def meanwhile(ctx: Any, ids: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        then = kwargs["then"]

        def late(gone: set[str]) -> None:
            if not rounds:  # after the record was read, before the plan is stored
                tell_inside(world)
            rounds.append(list(ids))
            then(gone)

        return real(ctx, ids, *args, **kwargs | {"then": late})

    def tell_inside(world: TinyWorld) -> None:
        Hint.objects.update(received_at=timezone.now())

    monkeypatch.setattr(inbox, "plan_ids", meanwhile)
    work(world.flow)
    assert rounds == [["1"], ["1"]] and not hints()


def test_a_plan_that_is_not_stored_keeps_its_hints(world: TinyWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.customer(1)
    tell(world, "1")
    inbox.distribute()
    real = inbox.plan_ids

    class Killed(BaseException):
        pass

    def killed(ctx: Any, ids: Sequence[str], run: SyncRun, *args: Any, then: Any, **kwargs: Any) -> Any:
        def die(gone: set[str]) -> None:
            then(gone)
            raise Killed

        return real(ctx, ids, run, *args, then=die, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(inbox, "plan_ids", killed)
        work(world.flow)
    assert hints() == ["1"] and not Change.objects.exists()
    work(world.flow)
    assert set(world.companies()) == {"1"}


def test_too_many_hints_become_one_delta_run(world: TinyWorld) -> None:
    for number in range(1, 4):
        world.customer(number)
    Hint.objects.bulk_create(Hint(flow=world.flow, source_id=str(n)) for n in range(inbox.TOO_MANY + 1))
    Flow.objects.update(next_run_at=timezone.now() + timedelta(hours=1))
    work(world.flow)
    world.flow.refresh_from_db()
    assert not hints() and world.flow.next_run_at is not None and world.flow.next_run_at <= timezone.now()
    assert not SyncRun.objects.exists()
    tasks.serve(Flow.objects.get(pk=world.flow.pk), lambda: True)
    assert set(world.companies()) == {"1", "2", "3"}


# --- Parts of other records -------------------------------------------------------------------------------------


@pytest.fixture
def parts(world: TinyWorld, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Lines belong to customers (`line 12` to customer `1`); the questions that were asked."""
    asked: list[list[str]] = []

    def owners_of(self: TinyConnector, name: str, ids: Sequence[str]) -> dict[str, str]:
        assert name == "line"
        asked.append(list(ids))
        return {key: key[0] for key in ids if not key.startswith("9")}

    for connector in (world.ledger_connector, world.crm_connector):
        connector.owners = {"line": "customer"}
    monkeypatch.setattr(TinyConnector, "owners_of", owners_of)
    return asked


def test_an_event_of_a_part_is_a_hint_for_its_owner_in_one_question(world: TinyWorld, parts: list[list[str]]) -> None:
    tell(world, "12", "11", "12", "25", "99", name="line")
    tell(world, "3")
    assert inbox.distribute() == 6
    assert hints() == ["1", "2", "3"] and waiting() == 0
    assert parts == [["11", "12", "25", "99"]]


def test_nobody_is_asked_for_owners_that_no_flow_reads(world: TinyWorld, parts: list[list[str]]) -> None:
    Flow.objects.update(scheduled=False)
    tell(world, "12", name="line")
    assert inbox.distribute() == 1
    assert not parts and waiting() == 0


def test_the_owner_is_hinted_also_while_its_flow_is_off(world: TinyWorld, parts: list[list[str]]) -> None:
    Flow.objects.update(enabled=False)
    tell(world, "12", name="line")
    assert inbox.distribute() == 1
    assert hints() == ["1"] and waiting() == 0


def test_events_of_parts_wait_for_the_connection_and_nobody_is_asked_meanwhile(
    world: TinyWorld, parts: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> Any:
        raise Transient("away", code="503")

    ledger = ConnectedAccount.objects.filter(pk=world.integration.ledger_account_id)
    ledger.update(status="needs_reconnect")
    tell(world, "12", name="line")
    tell(world, "3")
    InboundEvent.objects.update(received_at=timezone.now() - timedelta(days=3))
    assert inbox.distribute() == 1
    assert hints() == ["3"] and waiting() == 1 and not parts
    ledger.update(status="connected", status_at=timezone.now())
    with monkeypatch.context() as patch:  # the first question after three days
        patch.setattr(TinyConnector, "owners_of", away)
        assert inbox.distribute() == 0 and waiting() == 1
    assert inbox.distribute() == 1
    assert hints() == ["1", "3"] and waiting() == 0


def test_events_of_parts_do_not_wait_for_a_connection_for_ever(
    world: TinyWorld, parts: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any) -> Any:
        raise AuthenticationFailed("reconnect", code="401")

    monkeypatch.setattr(TinyConnector, "owners_of", refused)
    ConnectedAccount.objects.update(status="needs_reconnect")
    tell(world, "12", name="line")
    InboundEvent.objects.update(received_at=timezone.now() - timedelta(days=31))
    tell(world, "25", name="line")
    assert inbox.distribute() == 1 and waiting() == 1


def test_however_many_records_with_parts_were_heard_of_each_is_looked_at(
    world: TinyWorld, parts: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line moves no stamp of its record: a delta run would not find it."""
    monkeypatch.setattr(inbox, "TOO_MANY", 2)
    monkeypatch.setattr(inbox, "PLANNED_AT_ONCE", 2)
    for number in range(1, 6):
        world.customer(number)
    tell(world, "11", "21", "31", "41", "51", name="line")
    inbox.distribute()
    Flow.objects.update(next_run_at=timezone.now() + timedelta(hours=1))
    work(world.flow)
    assert set(world.companies()) == {"1", "2", "3", "4", "5"} and not hints()


def test_while_owners_cannot_be_asked_for_their_events_wait_but_not_for_ever(
    world: TinyWorld, parts: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> Any:
        raise Transient("away", code="503")

    tell(world, "12", name="line")
    tell(world, "3")
    with monkeypatch.context() as patch:
        patch.setattr(TinyConnector, "owners_of", away)
        assert inbox.distribute() == 1
        assert hints() == ["3"] and waiting() == 1
        assert inbox.distribute() == 0 and waiting() == 1
    assert inbox.distribute() == 1
    assert hints() == ["1", "3"]
    tell(world, "25", name="line")
    before = timezone.now() - timedelta(days=2)
    InboundEvent.objects.filter(processed_at=None).update(received_at=before)
    ConnectedAccount.objects.update(status_at=before)  # it was there to be asked all the time
    monkeypatch.setattr(TinyConnector, "owners_of", away)
    assert inbox.distribute() == 1 and waiting() == 0


# --- The bell and the gap ---------------------------------------------------------------------------------------


def test_what_is_stored_rings_the_workers_after_the_commit(
    world: TinyWorld, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kicks: list[str] = []
    monkeypatch.setattr("sync.queue.kick", lambda name: kicks.append(name))
    with django_capture_on_commit_callbacks(execute=True):
        tell(world, "1")
        assert not kicks
    assert kicks == ["bulk"]
    with django_capture_on_commit_callbacks(execute=True):
        inbound.store("fortnox", [Event("nobody", "x", "customer", "1", "changed")])
    assert kicks == ["bulk"]


def test_after_a_gap_the_flows_look_by_themselves(world: TinyWorld) -> None:
    later = timezone.now() + timedelta(hours=1)
    orders = world.add_flow("orders", source="order", next_run_at=later)
    Flow.objects.update(next_run_at=later)
    inbound.gap([world.integration.ledger_account_id], "customer")
    assert set(Flow.objects.filter(next_run_at__lte=timezone.now())) == {world.flow}
    inbound.gap([world.integration.crm_account_id])
    assert Flow.objects.get(pk=orders.pk).next_run_at == later
    inbound.gap([world.integration.ledger_account_id])
    assert Flow.objects.filter(next_run_at__lte=timezone.now()).count() == 2


def test_a_failure_to_distribute_does_not_stop_the_drain(world: TinyWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise RuntimeError("broken")

    world.customer(1)
    Flow.objects.update(next_run_at=timezone.now())
    monkeypatch.setattr(tasks, "distribute", broken)
    tasks.drain()
    assert set(world.companies()) == {"1"}


def test_events_stored_in_a_transaction_of_the_caller_would_be_acknowledged_too_early(db: None) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():  # durable: refused inside another transaction
        inbound.store("fortnox", [])
