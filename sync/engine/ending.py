"""What becomes of a run when its plan is complete, when it fails, and when nothing of it is on its way any more.

The invariant: a plan waits for a person or is delivered, never both; a run that failed loses nothing that the flow's
cursor has passed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Min, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.errors import AuthenticationFailed, ErrorClass, IncompleteRead, RateLimited, SyncError
from sync.engine.context import FlowContext
from sync.engine.outcomes import MAX_ATTEMPTS, backoff
from sync.models import Change, Flow, SyncLogEntry, SyncRun
from sync.states import State, move_all
from sync.texts import in_every_language, say

_WAITING = (State.PLANNED, State.QUEUED, State.RETRYING)
_BUSY = (*_WAITING, State.SENDING, State.UNKNOWN)
LOOK_AGAIN = timedelta(seconds=1)
PAUSE = timedelta(minutes=1)


def planned(ctx: FlowContext, run: SyncRun) -> None:
    """After the last page: held when a person must look, otherwise delivering."""
    _adopt(ctx, run)
    held = Change.objects.filter(run=run, state=State.HELD).exists()
    run.state = SyncRun.State.HELD if held else SyncRun.State.DELIVERING
    run.planned_at = timezone.now()
    if held and not run.hold_reason:
        run.hold_reason = in_every_language(_hold_reason(ctx, run))
    # A plan that waits for a person has nothing left to stop; what was to be delivered stays stopped.
    unstopped = {"stopped_at": None, "stopped_by": None} if held else {}
    SyncRun.objects.filter(pk=run.pk).update(
        state=run.state, planned_at=run.planned_at, hold_reason=run.hold_reason, **unstopped
    )


def _adopt(ctx: FlowContext, run: SyncRun) -> None:
    """One plan waits per flow: what older runs still hold belongs to the newest, which a person approves. What a
    person approved already stays with its run, which is about to release it."""
    waiting = Change.objects.filter(flow=ctx.flow, state=State.HELD).exclude(run__state=SyncRun.State.DELIVERING)
    moved = waiting.exclude(run=run).update(run=run)
    older = SyncRun.objects.filter(flow=ctx.flow, state=SyncRun.State.HELD, pk__lt=run.pk)
    text = in_every_language(say(_("Run {number} holds these changes now."), number=run.pk))
    older.update(state=SyncRun.State.CANCELLED, finished_at=timezone.now(), hold_reason=text)
    if moved and not run.hold_reason:
        run.hold_reason = in_every_language(_hold_reason(ctx, run), _("It includes what earlier plans still held."))


def _hold_reason(ctx: FlowContext, run: SyncRun) -> object:
    if run.dry_run:
        return _("A plan was asked for, not a sync.")
    if ctx.integration.mode != "live":
        return _("The integration only observes.")
    if ctx.flow.first_run_pending:
        return _("The first run of a flow is approved by a person.")
    if ctx.flow.approval == Flow.Approval.ALWAYS:
        return _("This flow is always approved by a person.")
    return _("An amount is over the limit, or a currency is seen for the first time.")


def failed(run: SyncRun, error: SyncError) -> None:
    """Record a failure of the whole run: it resumes by itself when waiting can help, else it has failed. One that was
    cancelled meanwhile stays so."""
    if SyncRun.objects.filter(pk=run.pk, state=SyncRun.State.CANCELLED).exists():
        return
    run.failures += 1
    run.error_class, run.error_code, run.error_message = error.error_class, error.code, error.message
    waits = {ErrorClass.TRANSIENT, ErrorClass.OUTCOME_UNKNOWN, ErrorClass.TOO_LARGE}
    if isinstance(error, AuthenticationFailed):
        run.due_at = timezone.now() + PAUSE  # the account is paused; the run goes on when it is connected again
    elif isinstance(error, RateLimited):
        run.due_at = timezone.now() + timedelta(seconds=error.retry_after or 10)
        run.failures -= 1
    elif isinstance(error, IncompleteRead) or error.error_class not in waits or run.failures >= MAX_ATTEMPTS:
        run.state, run.finished_at = SyncRun.State.FAILED, timezone.now()
        with transaction.atomic():
            planned = Change.objects.filter(run=run, state=State.PLANNED)
            if run.full or run.subset or run.cursor_to:
                # The flow's cursor may have passed them: they are kept, and the next plan takes them over.
                move_all(planned, State.HELD, message="the run failed")
            else:  # the next run reads and plans them again
                move_all(planned, State.SUPERSEDED, message="the run failed")
    else:
        run.due_at = timezone.now() + backoff(run.failures)
    if run.state == SyncRun.State.FAILED:
        run.stopped_at = run.stopped_by = None
        SyncRun.objects.filter(pk=run.pk).update(stopped_at=None, stopped_by=None)
    run.save(update_fields=["failures", "error_class", "error_code", "error_message", "state", "finished_at", "due_at"])
    SyncLogEntry.objects.create(
        integration_id=run.integration_id, run=run, event="run failed", message=f"{error.code} {error.message}"[:2000]
    )


def finish(ctx: FlowContext, run: SyncRun | None, *, finished: bool) -> bool:
    """Close the flow's delivering runs that have nothing queued or on its way; the others look again when it is due.
    Returns whether the work at `run` is over, as far as it was `finished` before."""
    for delivering in SyncRun.objects.filter(flow=ctx.flow, state=SyncRun.State.DELIVERING):
        if Change.objects.filter(run=delivering, state=State.HELD).exists():
            continue  # approved while we were at work, or its catch-up failed: the next pass releases what it holds
        busy = Change.objects.filter(run=delivering, state__in=_BUSY)
        times = busy.aggregate(
            due=Min("due_at", filter=Q(state__in=_WAITING)), settled=Min("settle_until", filter=~Q(state__in=_WAITING))
        )
        waits = [time for time in times.values() if time is not None]
        if waits or busy.exists():
            due = max(min(waits, default=timezone.now()), timezone.now() + LOOK_AGAIN)
            SyncRun.objects.filter(pk=delivering.pk).update(due_at=due)
            finished = finished and (run is None or delivering.pk != run.pk)
        else:
            _close(ctx, delivering)
    if run is not None:
        run.refresh_from_db(fields=["state", "finished_at", "due_at"])
    return finished


def _close(ctx: FlowContext, run: SyncRun) -> None:
    now = timezone.now()
    # What it had to wait for on the way is in the log; a run that is done has no problem any more.
    no_error = {"error_class": "", "error_code": "", "error_message": ""}
    over = {"state": SyncRun.State.DONE, "finished_at": now, "stopped_at": None, "stopped_by": None}
    SyncRun.objects.filter(pk=run.pk).update(**over, **no_error)
    updates: dict[str, Any] = {"last_success_at": now}
    if ctx.flow.currency_field:
        applied = Change.objects.filter(run=run, state=State.APPLIED).exclude(currency="")
        seen = set(ctx.flow.seen_currencies) | set(applied.values_list("currency", flat=True).distinct())
        updates["seen_currencies"] = ctx.flow.seen_currencies = sorted(seen)
    Flow.objects.filter(pk=ctx.flow.pk).update(**updates)
