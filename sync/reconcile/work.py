"""Carrying a reconciliation on: step after step, page after page, each page committed with the place behind it.

A kick may be lost or come twice: the process lock lets one process work, and whoever comes next goes on at the stored
place. A read that does not add up starts again from nothing, twice, and then fails; no numbers are shown for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from integrations.errors import ErrorClass, IncompleteRead, RateLimited, SyncError, Transient
from integrations.http import counting
from integrations.locks import process_lock
from sync.models import Reconciliation, ReconciliationDocument
from sync.reconcile import telling
from sync.reconcile.judging import Judging
from sync.reconcile.reading import Reading
from sync.reconcile.sides import Sides, sides_of

logger = logging.getLogger(__name__)
ATTEMPTS = 5
WHOLE_ATTEMPTS = 3
KEPT = 4
"""Of how many finished reconciliations per integration the single documents are kept; totals and differences stay."""
State = Reconciliation.State


def due() -> Reconciliation | None:
    """The reconciliation that is to be carried on now, oldest first."""
    rows = Reconciliation.objects.filter(state__in=Reconciliation.ACTIVE, due_at__lte=timezone.now())
    return rows.order_by("due_at", "pk").first()


def serve(keep_going: Callable[[], bool]) -> bool:
    """Carry on the one that is due; False when there is none, or another process has it. Never raises."""
    row = due()
    return row is not None and work(row.pk, keep_going)


def work(
    pk: int, keep_going: Callable[[], bool] = lambda: True, progress: Callable[[Reconciliation], None] | None = None
) -> bool:
    """Carry one on until it ends or `keep_going` is False; False when another process has it. What goes wrong is
    stored with it."""
    with process_lock(f"reconcile:{pk}") as mine:
        if not mine:
            return False
        row = Reconciliation.objects.select_related("integration").get(pk=pk)
        if not row.moving:
            return True
        try:
            with counting() as calls:
                try:
                    _carry_on(row, sides_of(row.integration_id), keep_going, progress)
                finally:
                    for (_system, kind), n in calls.items():
                        row.api_calls[kind] = row.api_calls.get(kind, 0) + n
            Reconciliation.objects.filter(pk=pk).update(api_calls=row.api_calls)
        except SyncError as error:
            _failed(row, error)
        except Exception as error:
            logger.exception("reconciliation %s failed", pk)
            _failed(row, SyncError(f"{type(error).__name__}: {error}"[:300], code="bug"))
        return True


def _carry_on(
    row: Reconciliation, sides: Sides, keep_going: Callable[[], bool], progress: Callable[[Reconciliation], None] | None
) -> None:
    reading = Reading(row, sides)
    if row.state == State.WAITING:
        row.state, row.started_at = State.READING, timezone.now()
        row.position |= {"step": 0, "resume": "", "steps": [*reading.steps(), ["judged", "", ""]]}
        row.save()
    steps = row.position["steps"]
    while row.position["step"] < len(steps):
        step, side, name = steps[row.position["step"]]
        places = _places(row, reading, sides, step, side, name)
        while True:
            # A page that is read again stores the same rows, so no transaction is open while a request is under way.
            with transaction.atomic() if step == "judged" else nullcontext():
                place = next(places)
                row.position["resume"] = place
                if not place:
                    row.position["step"] += 1
                row.heartbeat_at, row.failures = timezone.now(), 0
                row.save()
            if progress:
                progress(row)
            if not place:
                break
            if not keep_going():
                return
        if not keep_going():
            return
    _finish(row, sides)


def _places(row: Reconciliation, reading: Reading, sides: Sides, step: str, side: str, name: str) -> Iterator[str]:
    resume = row.position["resume"]
    if step != "judged":
        places: Iterator[str] = getattr(reading, step)(side, name, resume)
        return places
    if not resume:
        row.lines.all().delete()
        row.differences = row.unexplained = 0
        row.totals = {"open_days": sides.documents("ledger").open_days(row.starts, row.ends)}
    return Judging(row, sides).run(resume)


def _finish(row: Reconciliation, sides: Sides) -> None:
    row.state, row.finished_at, row.error_class = State.DONE, timezone.now(), ""
    row.error_code = row.error_message = ""
    row.save()
    telling.finished(row)
    older = Reconciliation.objects.filter(integration_id=row.integration_id, state=State.DONE).order_by("-pk")
    stale = list(older.values_list("pk", flat=True)[KEPT:])
    ReconciliationDocument.objects.filter(reconciliation__in=stale).delete()


def _failed(row: Reconciliation, error: SyncError) -> None:
    """What the next attempt does: go on, begin again, or nothing because a person must act."""
    now = timezone.now()
    fresh = Reconciliation.objects.get(pk=row.pk)
    fresh.api_calls, fresh.heartbeat_at = row.api_calls, now
    fresh.error_class, fresh.error_code, fresh.error_message = error.error_class, error.code[:100], error.message
    fresh.failures = row.failures + 1
    if isinstance(error, RateLimited):
        fresh.due_at, fresh.failures = now + timedelta(seconds=error.retry_after or 30), row.failures
    elif isinstance(error, IncompleteRead):
        again = fresh.position.get("again", 0) + 1
        fresh.documents.all().delete()
        fresh.state, fresh.seen, fresh.total = State.WAITING, 0, None
        fresh.position, fresh.due_at = {"again": again}, now + timedelta(seconds=30)
        if again >= WHOLE_ATTEMPTS:
            fresh.state, fresh.finished_at = State.FAILED, now
    elif isinstance(error, Transient) and fresh.failures < ATTEMPTS:
        fresh.due_at = now + timedelta(seconds=15 * 2**fresh.failures)
    else:
        fresh.state, fresh.finished_at = State.FAILED, now
    if error.error_class == ErrorClass.BUG:
        fresh.state, fresh.finished_at = State.FAILED, now
    if fresh.state == State.FAILED:
        fresh.lines.all().delete()  # no numbers for what was not read to its end
        fresh.documents.all().delete()
        fresh.totals, fresh.differences, fresh.unexplained = {}, 0, 0
    fresh.save()
    if fresh.state == State.FAILED:
        telling.failed(fresh)
