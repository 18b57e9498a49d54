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

from integrations.models import ConnectedAccount
from integrations.tokens import refresh_due_accounts
from sync import queue
from sync.engine.run import Order, due_pass, work
from sync.models import Change, Flow, FlowQuerySet, SyncRun, WorkerHeartbeat
from sync.queue import BUDGET_SECONDS
from sync.states import State

logger = logging.getLogger(__name__)


def tick() -> int:
    """Each minute: say we live, refresh tokens that are due, ring for due work. Returns how many flows are due."""
    try:
        beat(queue.INTERACTIVE)
        queue.kick(queue.BULK)  # also when nothing is due: the drain is the bulk workers' sign of life
        due = due_flows().count()
        refresh_due_accounts(timezone.now())  # last: it speaks to vendors, and nobody else should wait for them
        return due
    except Exception:
        logger.exception("tick failed")
        return -1


def drain(name: str = queue.BULK) -> int:
    """Serve flows that have due work until the budget is spent; returns how many times a flow was served."""
    deadline = time.monotonic() + BUDGET_SECONDS
    served, passed_over = 0, set[int]()
    while time.monotonic() < deadline:
        beat(name)
        flow = due_flows().exclude(pk__in=passed_over).first()
        if flow is None:
            return served
        if not serve(flow, lambda: time.monotonic() < deadline):
            passed_over.add(flow.pk)
        served += 1
    queue.kick(name)
    return served


def work_on(change_id: int) -> int:
    """A person waits for this change: serve its flow now. Returns the change's id, or 0 when there is nothing to do."""
    beat(queue.INTERACTIVE)
    flow = Flow.objects.startable().filter(changes=change_id, changes__state__in=[State.QUEUED, State.RETRYING]).first()
    if flow is None:
        return 0
    deadline = time.monotonic() + BUDGET_SECONDS
    serve(flow, lambda: time.monotonic() < deadline)
    return change_id


def due_flows() -> FlowQuerySet:
    """Flows with something to do now, those of the account that was served longest ago first."""
    now = timezone.now()
    due_changes = Change.objects.filter(flow=OuterRef("pk")).filter(
        Q(state__in=[State.QUEUED, State.RETRYING], due_at__lte=now)
        | Q(state__in=[State.SENDING, State.UNKNOWN], settle_until__lte=now)
    )
    active = SyncRun.objects.filter(flow=OuterRef("pk"), state__in=SyncRun.ACTIVE, due_at__lte=now)
    return (
        Flow.objects.startable()
        .filter(
            Q(next_run_at__lte=now)
            | ~Q(run_requested="")
            | Q(passes__next_run_at__lte=now)
            | Exists(active)
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
        if fresh.next_run_at is not None and fresh.next_run_at <= now:
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
