"""Stopping a run and going on with it, by a person.

A stopped run finishes what is under way and starts nothing new: no further page is planned, no further change is
taken up. Whoever goes on continues at the stored page and with what is queued. The invariant: a stop leaves nothing
half-done and forgets nothing; who stopped and who went on is in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from sync.models import Flow, SyncLogEntry, SyncRun


def stop(run: SyncRun, user: Any) -> bool:
    """Let `run` stop at the next place where it can; False when it is not at work, or was stopped already."""
    with transaction.atomic():
        row = SyncRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
        if row.state not in SyncRun.ACTIVE or row.stopped_at is not None:
            return False
        SyncRun.objects.filter(pk=row.pk).update(stopped_at=timezone.now(), stopped_by=user)
        _note(row, "stopped", user)
    return True


def resume(run: SyncRun, user: Any) -> bool:
    """Let a stopped `run` go on where it is; False when it is not stopped."""
    with transaction.atomic():
        row = SyncRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
        if row.stopped_at is None:
            return False
        SyncRun.objects.filter(pk=row.pk).update(stopped_at=None, stopped_by=None, due_at=timezone.now(), failures=0)
        _note(row, "resumed", user)
    return True


def stopped_scan(flow: Flow) -> bool:
    """Whether a person stopped the plan that is being made for the flow."""
    return SyncRun.objects.filter(flow=flow, state=SyncRun.State.PLANNING, stopped_at__isnull=False).exists()


def unless_stopped(run: SyncRun, keep_going: Callable[[], bool]) -> Callable[[], bool]:
    """`keep_going`, and nobody has stopped or cancelled the run: one look at its row each time."""
    over = Q(stopped_at__isnull=False) | Q(state=SyncRun.State.CANCELLED)

    def going() -> bool:
        return keep_going() and not SyncRun.objects.filter(over, pk=run.pk).exists()

    return going


class Cancelled(Exception):
    """Somebody cancelled the run while a page of it was being planned."""


def planning_still(run: SyncRun) -> None:
    """Raises `Cancelled` unless `run` is still the scan that it was. Call in the transaction that stores a page: the
    row stays as it is until then, so nothing is stored, and no cursor moves, after a cancellation."""
    rows = SyncRun.objects.filter(pk=run.pk).select_for_update(of=("self",))
    if rows.values_list("state", flat=True).get() != SyncRun.State.PLANNING:
        raise Cancelled


def _note(run: SyncRun, event: str, user: Any) -> None:
    message = f"{event} by {user or 'command'}"
    SyncLogEntry.objects.create(integration_id=run.integration_id, run=run, event=event, message=message, user=user)
