"""What people do with flows and plans from these pages, each with its line in the log.

Flows are asked to plan or run (the workers do it), switched on and off; a plan is approved or cancelled. The
invariant: every step is recorded with the person's name, and none of them calls a remote.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from sync import queue
from sync.engine.approve import approve, approve_many
from sync.flows import set_up_again, switch_off, switch_on
from sync.models import Flow, SyncLogEntry, SyncRun

PLAN, RUN = "plan", "run"


def request_run(flows: Iterable[Flow], kind: str, user: Any) -> int:
    """Ask the workers to plan or run these flows, those that can run now; returns how many."""
    with transaction.atomic():
        ids = list(
            Flow.objects.startable().filter(pk__in=[flow.pk for flow in flows]).order_by().values_list("pk", flat=True)
        )
        able = list(Flow.objects.filter(pk__in=ids))
        Flow.objects.filter(pk__in=ids).update(run_requested=kind)
        _note(able, f"{kind} requested", user)
        if able:
            queue.kick(queue.BULK)
    return len(able)


def switch(flows: Iterable[Flow], *, on: bool, user: Any) -> int:
    """Switch flows on or off; returns how many were the other way before."""
    with transaction.atomic():
        ids = [flow.pk for flow in flows]
        changed = list(Flow.objects.select_for_update().filter(pk__in=ids).exclude(enabled=on).order_by("pk"))
        for flow in changed:
            (switch_on if on else switch_off)(flow)
        _note(changed, "switched on" if on else "switched off", user)
        if changed and on:
            queue.kick(queue.BULK)
    return len(changed)


def set_up(flow: Flow, user: Any) -> None:
    """Have the set-up of the flow's target done again, by a plan that starts now."""
    with transaction.atomic():
        set_up_again(flow)
        _note([flow], "set-up requested", user)
    request_run([flow], PLAN, user)


def approve_plan(run: SyncRun, user: Any) -> bool:
    """Approve all that `run` holds and ring the workers; False when it waits no longer. Raises `ValueError` when the
    integration may not write."""
    done = approve(run, user)
    if done:
        queue.kick(queue.BULK)
    return done


def approve_selected(changes: Any, user: Any) -> int:
    """Approve those of `changes` that wait, however many, and ring the workers; returns how many."""
    approved = approve_many(changes, user)
    if approved:
        queue.kick(queue.BULK)
    return approved


def _note(flows: Iterable[Flow], event: str, user: Any) -> None:
    SyncLogEntry.objects.bulk_create(
        SyncLogEntry(integration_id=flow.integration_id, user=user, event=event, message=f"{flow.name}, by {user}")
        for flow in flows
    )
