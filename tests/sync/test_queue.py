"""The queue as a doorbell: our tasks only, one schedule row, due work found without it, accounts served in turn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from integrations.models import ConnectedAccount
from sync import queue, tasks
from sync.broker import GuardedORM, allowed
from sync.models import Flow, FlowPass, SyncRun, WorkerHeartbeat
from tests.factories import make_flow
from tests.tiny_world import TinyWorld

World = Callable[..., TinyWorld]


def package(**task: Any) -> str:
    return SignedPackage.dumps({"id": "1", "name": "n", "args": (), "kwargs": {}, **task})


@pytest.mark.parametrize(
    "task",
    [
        {"func": "os.system", "args": ("true",)},
        {"func": "sync.tasks.drain", "args": ("a", "b")},
        {"func": "sync.tasks.drain", "args": ({"a": 1},)},
        {"func": "sync.tasks.drain", "hook": "os.system"},
        {"func": print},
    ],
)
def test_a_task_that_is_not_ours_is_refused(task: dict[str, Any]) -> None:
    assert not allowed(package(**task))


def test_our_three_tasks_are_allowed_and_a_forged_signature_is_not() -> None:
    assert allowed(package(func="sync.tasks.tick"))
    assert allowed(package(func="sync.tasks.drain", args=("bulk",)))
    assert allowed(package(func="sync.tasks.work_on", args=(7,)))
    assert not allowed(package(func="sync.tasks.tick")[:-3] + "abc")


@pytest.mark.django_db
def test_the_broker_hands_out_ours_and_removes_foreign_rows() -> None:
    async_task("os.system", "true")
    broker = GuardedORM(list_key="ledgerbridge")
    assert broker.dequeue() == []
    assert OrmQ.objects.count() == 0
    async_task("sync.tasks.tick")
    assert len(broker.dequeue()) == 1


@pytest.mark.django_db
def test_there_is_exactly_one_schedule_row() -> None:
    Schedule.objects.create(name="evil", func="os.system", args="'true'")
    queue.ensure_schedule()
    queue.ensure_schedule()
    row = Schedule.objects.get()
    assert (row.name, row.func, row.minutes, row.repeats) == ("tick", "sync.tasks.tick", 1, -1)


@pytest.mark.django_db
def test_waiting_kicks_are_coalesced() -> None:
    assert queue.kick() and not queue.kick()
    assert OrmQ.objects.count() == 1


def test_tick_finds_due_work_without_any_kick(tiny: World) -> None:
    world = tiny()
    Flow.objects.update(next_run_at=timezone.now() - timedelta(minutes=1))
    world.customer(1)
    assert tasks.tick() == 1
    assert WorkerHeartbeat.objects.get().queue == "default"
    assert tasks.drain("bulk") == 1
    assert world.companies() == {"1": ("Customer 1", "Lund")}
    assert tasks.drain("bulk") == 0


def test_a_flow_that_is_off_or_disconnected_is_not_due(tiny: World) -> None:
    world = tiny()
    Flow.objects.update(next_run_at=timezone.now() - timedelta(minutes=1), enabled=False)
    assert not tasks.due_flows().exists()
    Flow.objects.update(enabled=True)
    ConnectedAccount.objects.filter(pk=world.integration.crm_account_id).update(status="needs_reconnect")
    assert not tasks.due_flows().exists()
    ConnectedAccount.objects.update(status="connected")
    assert tasks.due_flows().count() == 1


def test_the_next_run_is_an_interval_away(tiny: World) -> None:
    tiny(every_minutes=120)
    Flow.objects.update(next_run_at=timezone.now() - timedelta(days=1))
    tasks.drain("bulk")
    wait = Flow.objects.get().next_run_at - timezone.now()  # type: ignore[operator]
    assert timedelta(minutes=119) < wait <= timedelta(minutes=120)
    assert SyncRun.objects.count() == 1  # a day's outage is one run, not twelve


def test_a_requested_plan_writes_nothing(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    Flow.objects.update(run_requested="plan")
    tasks.drain("bulk")
    assert world.companies() == {}
    assert SyncRun.objects.get().state == SyncRun.State.HELD


def test_a_pass_runs_on_its_own_schedule(tiny: World) -> None:
    world = tiny()
    world.customer(1, status="overdue")
    FlowPass.objects.create(flow=world.flow, subset="overdue", name="Overdue", next_run_at=timezone.now())
    tasks.drain("bulk")
    run = SyncRun.objects.get()
    assert (run.trigger, run.subset, run.seen) == ("subset", "overdue", 1)
    assert Flow.objects.get().cursor == ""


def test_a_broken_flow_does_not_stop_the_others(tiny: World) -> None:
    world = tiny()
    broken = make_flow(world.integration, "no-mapping", run_requested="run")
    world.customer(1)
    Flow.objects.filter(pk=world.flow.pk).update(run_requested="run")
    tasks.drain("bulk")
    assert world.companies() == {"1": ("Customer 1", "Lund")}
    assert not SyncRun.objects.filter(flow=broken, state="done").exists()


def test_accounts_are_served_least_recently_first(tiny: World) -> None:
    world = tiny()
    second = make_flow(run_requested="run")
    Flow.objects.filter(pk=world.flow.pk).update(run_requested="run")
    now = timezone.now()
    served = {
        world.flow.integration.ledger_account_id: now,
        second.integration.ledger_account_id: now - timedelta(hours=1),
    }
    for pk, at in served.items():
        ConnectedAccount.objects.filter(pk=pk).update(last_served_at=at)
    assert list(tasks.due_flows()) == [second, world.flow]
