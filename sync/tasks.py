"""The three tasks the queue knows: `tick`, `drain`, `work_on`. Thin, repeatable, and they never raise.

They decide who is served (accounts least recently served first), spend their time budget and hand over; what is done
for one flow is `engine.run.work`.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from integrations.errors import SyncError
from integrations.locks import process_lock
from integrations.models import ConnectedAccount
from integrations.upkeep import every_minute
from mappings.models import Resync
from mappings.models.editor import forget_old_samples
from sync import board, daily, notices, queue, shadow
from sync.engine.context import build
from sync.engine.interactive import serve_change
from sync.engine.prepare import prepare
from sync.engine.run import Order, due_pass, work
from sync.engine.sweep import run_sweeps
from sync.inbox import distribute
from sync.interactive import expire_looks
from sync.models import Change, Flow, FlowQuerySet, Hint, SyncRun, WorkerHeartbeat
from sync.queue import BUDGET_SECONDS
from sync.reconcile import work as reconciling
from sync.reconcile.store import begin_nightly
from sync.states import State

logger = logging.getLogger(__name__)
SET_UP_AGAIN = timedelta(minutes=5)


def tick() -> int:
    """Each minute: say we live, refresh tokens that are due, ring for due work. Returns how many flows are due."""
    try:
        beat(queue.INTERACTIVE)
        queue.kick(queue.BULK)  # also when nothing is due: the drain is the bulk workers' sign of life
        expire_looks()
        due = due_flows().count()
        run_sweeps()
        begin_nightly()
        quietly("counting the day", daily.count)
        quietly("forgetting sample records", forget_old_samples)
        quietly("checking readiness", board.serve_due)
        every_minute()  # late: it speaks to vendors, and nobody else should wait for them
        notices.every_minute()  # last: mail servers may be slower still
        return due
    except Exception:
        logger.exception("tick failed")
        return -1


def drain(name: str = queue.BULK) -> int:
    """Serve flows that have due work until the budget is spent; returns how many times a flow was served."""
    deadline = time.monotonic() + BUDGET_SECONDS
    served, passed_over = 0, set[int]()
    quietly("checking readiness", board.serve_asked)
    while time.monotonic() < deadline:
        beat(name)
        distribute_events()
        flow = due_flows().exclude(pk__in=passed_over).first()
        if flow is None:  # what only reads waits until everything that writes has been served
            if not any(one.serve(lambda: time.monotonic() < deadline) for one in (reconciling, shadow)):
                return served
            continue
        if not serve(flow, lambda: time.monotonic() < deadline):
            passed_over.add(flow.pk)
        served += 1
    queue.kick(name)
    return served


def work_on(change_id: int) -> int:
    """A person waits for this change: do what it asks now, without waiting for its flow's runs. Returns the change's
    id, or 0 when there is nothing to do."""
    try:
        beat(queue.INTERACTIVE)
        deadline = time.monotonic() + BUDGET_SECONDS
        return change_id if serve_change(change_id, lambda: time.monotonic() < deadline) else 0
    except Exception:
        logger.exception("serving change %s failed", change_id)
        return 0


def quietly(what: str, work: Callable[[], object]) -> None:
    """Do what nobody waits for: its failure is written down, and the rest of the tick goes on."""
    try:
        work()
    except Exception:
        logger.exception("%s failed", what)


def distribute_events() -> None:
    """Events that arrived become hints for flows; a failure there must not keep the flows from their other work."""
    try:
        distribute()
    except Exception:
        logger.exception("events could not be distributed")


def due_flows() -> FlowQuerySet:
    """Flows with something to do now, those of the account that was served longest ago first."""
    now = timezone.now()
    due_changes = Change.objects.filter(flow=OuterRef("pk")).filter(
        Q(state__in=[State.QUEUED, State.RETRYING], due_at__lte=now, run__stopped_at=None)
        | Q(state__in=[State.SENDING, State.UNKNOWN], settle_until__lte=now)
    )
    hints = Hint.objects.filter(flow=OuterRef("pk"))
    resyncs = Resync.objects.due().filter(
        mapping_set__integration=OuterRef("integration"), mapping_set__slug=OuterRef("slug")
    )
    active = SyncRun.objects.filter(flow=OuterRef("pk"), state__in=SyncRun.ACTIVE, due_at__lte=now, stopped_at=None)
    return (
        Flow.objects.startable()
        .filter(
            Q(next_run_at__lte=now)
            | ~Q(run_requested="")
            | Q(passes__next_run_at__lte=now)
            | Exists(active)
            | Exists(hints)
            | Exists(resyncs)
            | Exists(due_changes)
        )
        .select_related("integration__crm_account", "integration__ledger_account")
        .order_by(F("integration__ledger_account__last_served_at").asc(nulls_first=True), "position", "pk")
        .distinct()
    )


def serve(flow: Flow, keep_going: Callable[[], bool]) -> bool:
    """Do what is due for one flow; False when it should be left alone for the rest of this drain."""
    order: Order | None = None
    try:
        ConnectedAccount.objects.filter(pk=flow.integration.ledger_account_id).update(last_served_at=timezone.now())
        if not flow.scheduled and flow.next_run_at is not None:
            _set_up(flow)
        order = _take_order(flow)
        done = work(flow, order, keep_going=keep_going)
        if order is not None and not done.started:
            _give_back(flow, order)  # another process has the flow, or an interrupted run went first
        return not done.busy and done.run is not None and done.run.state != SyncRun.State.PLANNING
    except Exception:
        logger.exception("serving flow %s failed", flow.pk)
        if order is not None and order.trigger != SyncRun.Kind.SCHEDULE:
            _give_back(flow, order)  # nothing was started: what a person or a pass asked for stays due
        return False


def _set_up(flow: Flow) -> None:
    """A flow that only works when asked was switched on: people need its fields before they can ask."""
    with process_lock(f"flow:{flow.pk}") as mine:
        if not mine:
            return
        try:
            prepare(build(flow))
            later = None
        except SyncError as error:
            logger.warning("setting up flow %s failed: %s", flow.pk, error.code)
            later = timezone.now() + SET_UP_AGAIN
        Flow.objects.filter(pk=flow.pk).update(next_run_at=later)


def _take_order(flow: Flow) -> Order | None:
    """What is to be started: a person's request first, then the schedule, then a pass. Marks it as taken."""
    now = timezone.now()
    with transaction.atomic():
        fresh = Flow.objects.select_for_update().get(pk=flow.pk)
        if SyncRun.objects.filter(flow=fresh, state=SyncRun.State.PLANNING).exists():
            return None
        if fresh.run_requested:
            kind, fresh.run_requested = fresh.run_requested, ""
            fresh.save(update_fields=["run_requested"])
            return Order(trigger=SyncRun.Kind.MANUAL, dry_run=kind == "plan", full=kind == "full")
        if fresh.scheduled and fresh.next_run_at is not None and fresh.next_run_at <= now:
            fresh.next_run_at = now + timedelta(minutes=fresh.every_minutes)
            fresh.save(update_fields=["next_run_at"])
            return Order()
        item = due_pass(fresh)
        if item is not None:
            item.next_run_at = now + timedelta(minutes=item.every_minutes)
            item.save(update_fields=["next_run_at"])
            return Order(trigger=SyncRun.Kind.SUBSET, subset=item.subset)
    return None


def _give_back(flow: Flow, order: Order) -> None:
    """The order could not be carried out now: it stays due."""
    now = timezone.now()
    if order.trigger == SyncRun.Kind.MANUAL:
        kind = "plan" if order.dry_run else "full" if order.full else "run"
        Flow.objects.filter(pk=flow.pk).update(run_requested=kind)
    elif order.trigger == SyncRun.Kind.SUBSET:
        flow.passes.filter(subset=order.subset).update(next_run_at=now)
    else:
        Flow.objects.filter(pk=flow.pk).update(next_run_at=now)


def beat(name: str) -> None:
    """Note that a worker of queue `name` is alive."""
    WorkerHeartbeat.objects.update_or_create(
        queue=name, defaults={"at": timezone.now(), "host": socket.gethostname()[:100], "pid": os.getpid()}
    )
