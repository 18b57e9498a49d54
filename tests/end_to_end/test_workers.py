"""Real workers on the test database: killed, wedged, stopped, doubled and lied to; the work is done once, and done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from math import ceil
from pathlib import Path

import pytest
from django.utils import timezone
from django_q.models import OrmQ, Success
from django_q.tasks import async_task

from sync import queue, tasks
from sync.engine.approve import approve
from sync.models import Change, Flow, SyncRun, WorkerHeartbeat
from sync.states import State
from tests.end_to_end.checks import Before, check_companies
from tests.end_to_end.processes import Worker, alive, wait_for
from tests.end_to_end.world import CUSTOMERS, World
from tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]
Build = Callable[..., World]


@pytest.fixture
def world(transactional_db: None, sandbox: SandboxProcess) -> Iterator[Build]:
    """As elsewhere, but what the test does is visible to other processes; only the customers' flow is on."""

    def build(**options: int) -> World:
        there = World(sandbox, **options)
        Flow.objects.exclude(slug=CUSTOMERS).update(enabled=False)
        return there

    yield build
    sandbox.control("POST", "/settings", {"latency_ms": 0})


def slow(there: World, milliseconds: int) -> None:
    """Every answer takes its time, so that there is a middle to be killed in."""
    there.sandbox.control("POST", "/settings", {"latency_ms": milliseconds})


def finished(there: World) -> bool:
    """The flow has nothing left to do."""
    moving = [State.PLANNED, State.QUEUED, State.SENDING, State.UNKNOWN, State.RETRYING]
    busy = SyncRun.objects.filter(state__in=SyncRun.ACTIVE).exists()
    done = SyncRun.objects.filter(flow__slug=CUSTOMERS, state=SyncRun.State.DONE).exists()
    return done and not busy and not Change.objects.filter(state__in=moving).exists()


def under_way() -> bool:
    """Some of the import is delivered, some is not."""
    applied = Change.objects.filter(state=State.APPLIED).count()
    return applied > 0 and SyncRun.objects.filter(state__in=SyncRun.ACTIVE).exists()


def bulk_worker() -> int:
    """The process that works on the bulk queue; 0 before its first sign of life."""
    row = WorkerHeartbeat.objects.filter(queue=queue.BULK).first()
    return row.pid if row else 0


def test_a_request_is_planned_held_approved_and_delivered_and_a_lost_kick_costs_a_tick(
    world: Build, tmp_path: Path
) -> None:
    there = world(customers=60)
    before = Before(there)
    Flow.objects.update(first_run_approved_at=None, next_run_at=timezone.now() + timedelta(days=1))
    with Worker(tmp_path) as worker:
        wait_for(bulk_worker, "the first drain", ticking=False)
        wait_for(lambda: not OrmQ.objects.exists(), "an empty queue", ticking=False)
        Flow.objects.filter(slug=CUSTOMERS).update(run_requested="run")  # and no kick: it was lost
        assert tasks.tick() == 1
        run = wait_for(lambda: SyncRun.objects.filter(state=SyncRun.State.HELD).first(), "a plan", ticking=False)
        assert run is not None and there.hubspot("companies") == []
        approve(run, None)
        assert tasks.tick() == 1
        wait_for(lambda: finished(there), "its delivery")
        assert worker.stop() == 0
        assert "worker stopped" in worker.text()
    check_companies(there, before)


def test_a_worker_killed_in_the_middle_of_an_import_leaves_no_gap_and_no_double(world: Build, tmp_path: Path) -> None:
    there = world(customers=1_500)
    before = Before(there)
    slow(there, 150)
    with Worker(tmp_path):
        for _time in range(2):
            wait_for(under_way, "the middle of the import")
            victim = bulk_worker()
            Worker.kill(victim)
            wait_for(lambda pid=victim: not alive(pid), "its death", ticking=False)  # type: ignore[misc]
        slow(there, 0)
        wait_for(lambda: finished(there), "the rest")
    check_companies(there, before)
    assert SyncRun.objects.filter(trigger=SyncRun.Kind.SCHEDULE).count() == 1


def test_a_cluster_wedged_by_a_killed_idle_worker_is_restarted_whole(world: Build, tmp_path: Path) -> None:
    there = world(customers=30)
    before = Before(there)
    Flow.objects.update(next_run_at=timezone.now() + timedelta(days=1))
    with Worker(tmp_path, "--silence", "8") as worker:
        wait_for(bulk_worker, "the first drain", ticking=False)
        wait_for(lambda: not OrmQ.objects.exists(), "an idle queue", ticking=False)
        Worker.kill(bulk_worker())  # the only idle worker holds the lock of the queue that it reads
        Flow.objects.filter(slug=CUSTOMERS).update(run_requested="run")
        wait_for(lambda: finished(there), "the work of the new cluster")
        assert "cluster bulk: silent; restarting it whole" in worker.text()
    check_companies(there, before)


def test_a_stop_lets_the_running_work_finish(world: Build, tmp_path: Path) -> None:
    there = world(customers=900)
    before = Before(there)
    slow(there, 120)
    with Worker(tmp_path, "--grace", "50") as worker:
        wait_for(under_way, "the middle of the import", ticking=False)
        assert worker.stop() == 0
    assert finished(there)
    check_companies(there, before)


def test_a_task_that_is_not_ours_is_refused_and_removed(world: Build, tmp_path: Path) -> None:
    there = world(customers=5)
    trace = tmp_path / "trace"
    async_task("os.system", f"touch {trace}")
    async_task("sync.tasks.drain", "bulk", hook="os.system")
    with Worker(tmp_path) as worker:
        wait_for(lambda: finished(there), "our own work goes on")
        wait_for(lambda: worker.text().count("refused a queued task") >= 2, "the refusals")
        wait_for(lambda: not OrmQ.objects.exists(), "an empty queue", ticking=False)
    assert not trace.exists()
    assert not Success.objects.filter(func="os.system").exists()


def test_two_worker_hosts_never_run_one_flow_twice(world: Build, tmp_path: Path) -> None:
    there = world(customers=1_000)
    before = Before(there)
    Flow.objects.update(next_run_at=timezone.now() + timedelta(days=1))
    slow(there, 60)
    mark = there.mark()
    with Worker(tmp_path), Worker(tmp_path):
        Flow.objects.filter(slug=CUSTOMERS).update(run_requested="run")
        for _bell in range(6):
            async_task("sync.tasks.drain", queue.BULK, q_options={"cluster": queue.BULK})
        wait_for(lambda: finished(there), "the import")
    calls = there.calls(mark)
    assert calls["fortnox customers list"] == ceil(1_000 / 500)
    assert calls["companies batch/upsert"] <= 10
    assert SyncRun.objects.filter(flow__slug=CUSTOMERS).count() == 1
    check_companies(there, before)
