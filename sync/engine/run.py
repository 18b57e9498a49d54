"""Run: one execution of a flow, page by page, resumable at any page, one at a time per flow.

`work` is what the scheduler, the commands and the buttons all call. It continues what was interrupted before it starts
anything new, hands over before its time is spent, and keeps constant memory. The invariant: whatever kills the process,
the next `work` continues from the last stored page, and the cursor never passes a change that is not stored.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Min, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Page
from integrations.errors import AuthenticationFailed, ErrorClass, IncompleteRead, RateLimited, SyncError
from integrations.http import counting
from integrations.locks import process_lock
from sync.engine import approve
from sync.engine.context import FlowContext, build
from sync.engine.deliver import deliver
from sync.engine.extract import extract
from sync.engine.match import Lookup
from sync.engine.outcomes import MAX_ATTEMPTS, as_bug, backoff
from sync.engine.plan import plan
from sync.engine.replan import KeepGoing, catch_up, dependencies_of, release_options, retry, verify
from sync.engine.store import InitialState, checkpoint, chunks, store
from sync.models import Change, Flow, FlowPass, SyncLogEntry, SyncRun
from sync.states import State, move_all
from sync.texts import in_every_language, say

_STOPPED = (SyncRun.State.PLANNING, SyncRun.State.FAILED)
_WAITING = (State.PLANNED, State.QUEUED, State.RETRYING)
_BUSY = (*_WAITING, State.SENDING, State.UNKNOWN)
LOOK_AGAIN = timedelta(seconds=1)
PAUSE = timedelta(minutes=1)
logger = logging.getLogger(__name__)

Progress = Callable[[SyncRun], None]


def always() -> bool:
    """For callers without a time budget."""
    return True


@dataclass(slots=True)
class Work:
    """What one call of `work` did."""

    run: SyncRun | None = None
    delivered: Counter[str] = field(default_factory=Counter)
    finished: bool = True
    busy: bool = False
    started: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for: kind of run, scope, and by whom."""

    trigger: str = SyncRun.Kind.SCHEDULE
    full: bool = False
    dry_run: bool = False
    subset: str = ""
    user: Any = None


def work(
    flow: Flow, order: Order | None = None, *, keep_going: KeepGoing = always, progress: Progress | None = None
) -> Work:
    """Continue or start a run of `flow` and deliver what is queued. `busy` when another process has the flow.

    Without `order` nothing new is started: unfinished runs go on, retries are planned, queued changes delivered.
    """
    with process_lock(f"flow:{flow.pk}") as mine:
        if not mine:
            return Work(busy=True, finished=False)
        ctx = build(flow)
        done = Work()
        with counting() as calls:
            run = _unfinished(flow, SyncRun.State.PLANNING, waiting=order is not None)
            if run is None and order is not None:
                run, done.started = _start(ctx, order), True
            done.run = run = run or _unfinished(flow, SyncRun.State.DELIVERING)
            before = Counter(run.api_calls) if run is not None else Counter()
            if run is not None:
                _advance(ctx, run, done, keep_going, progress)
            if not (order and order.dry_run) and (run is None or run.state not in _STOPPED):
                retry(ctx, keep_going)
                done.delivered += deliver(ctx, keep_going=keep_going)
                verify(ctx)
            _finish(ctx, run, done)
            if run is not None:
                total = before + Counter({f"{system} {kind}": count for (system, kind), count in calls.items()})
                SyncRun.objects.filter(pk=run.pk).update(api_calls=dict(total))
        return done


def _unfinished(flow: Flow, state: str, *, waiting: bool = False) -> SyncRun | None:
    """The oldest run of the flow that was left off in this state and is due; `waiting`: or will be. There is one scan
    at a time, so whoever orders another one goes on with the one that waits to be tried again."""
    runs = SyncRun.objects.filter(flow=flow, state=state).order_by("pk")
    run: SyncRun | None = (runs if waiting else runs.filter(due_at__lte=timezone.now())).first()
    return run


def _start(ctx: FlowContext, order: Order) -> SyncRun:
    cursor: str = Flow.objects.values_list("cursor", flat=True).get(pk=ctx.flow.pk)
    since = "" if order.full or order.subset else cursor
    return SyncRun.objects.create(
        flow=ctx.flow,
        integration=ctx.integration,
        trigger=order.trigger,
        full=order.full or (not since and not order.subset),
        dry_run=order.dry_run,
        subset=order.subset,
        user=order.user,
        mapping_set=ctx.mapping_set,
        cursor_from=since,
    )


def prepare(ctx: FlowContext) -> None:
    """Create what the flow needs at its target, once; idempotent. Raises `SyncError`."""
    from sync.flows import setup_of

    if ctx.flow.prepared_at is not None:
        return
    ids = ctx.target.prepare(setup_of(ctx.flow, ctx.integration.setup))
    with transaction.atomic():
        integration = type(ctx.integration).objects.select_for_update().get(pk=ctx.integration.pk)
        integration.setup = integration.setup | ids
        integration.save(update_fields=["setup"])
        ctx.integration.setup = integration.setup
        ctx.flow.prepared_at = timezone.now()
        ctx.flow.save(update_fields=["prepared_at"])
    ctx.schema("target", max_age=timedelta(0))


def _advance(ctx: FlowContext, run: SyncRun, done: Work, keep_going: KeepGoing, progress: Progress | None) -> None:
    """Plan on, and on approval queue; errors of the whole run are recorded on it, never raised."""
    try:
        if run.state == SyncRun.State.PLANNING:
            done.finished = _plan(ctx, run, done, keep_going, progress)
        elif run.approved_at and Change.objects.filter(run=run, state=State.HELD).exists():
            catch_up(ctx, run)
            approve.release_held(run)
    except SyncError as error:
        done.finished = False
        _failed(run, error)
    except Exception as exception:  # recorded with its trace id; a bug must not stop other flows
        done.finished = False
        _failed(run, as_bug(exception))
        if run.failures == 1:
            logger.exception("internal fault in run %s", run.pk)


def _plan(ctx: FlowContext, run: SyncRun, done: Work, keep_going: KeepGoing, progress: Progress | None) -> bool:
    """Plan page after page; True when the scan is complete."""
    prepare(ctx)
    release_options(ctx)
    initial = approve.policy(ctx, run)
    lookup: Lookup | None = None
    pages = ctx.source.changed(
        ctx.flow.source_object, run.cursor_from or None, ctx.mapping.reads, resume=run.resume, subset=run.subset
    )
    for page in pages:
        lookup = lookup or Lookup(ctx, page.total or len(page.records))
        for chunk in chunks(page):
            _plan_chunk(ctx, run, chunk, lookup, initial)
            if progress:
                progress(run)
            if chunk.cursor is None and not keep_going():
                return False
        # A page at a time: the target's batches are fuller than a chunk would make them.
        if Change.objects.filter(run=run, state=State.QUEUED).exists():
            done.delivered += deliver(ctx, keep_going=keep_going)
    if run.state == SyncRun.State.PLANNING:  # a scan without a last page
        raise IncompleteRead("The list ended before its last page.", code="no_last_page")
    return True


def _plan_chunk(ctx: FlowContext, run: SyncRun, page: Page, lookup: Lookup, initial: InitialState) -> None:
    """Plan a part of a page and store it with the run's progress; with the last one the plan is concluded, so that
    nothing can fail between the cursor's move and what is decided about the changes before it."""
    extracted = extract(ctx, page.records, by_version=bool(run.subset) or run.full, run=run)
    planned = plan(ctx, extracted, lookup, dependencies_of(run))
    with transaction.atomic():
        counts = store(ctx, run, planned, initial)
        checkpoint(ctx, run, page, extracted, counts)
        if page.cursor is not None:
            approve.conclude(ctx, run)
            _planned(ctx, run)


def _planned(ctx: FlowContext, run: SyncRun) -> None:
    """After the last page: held when a person must look, otherwise delivering."""
    _adopt(ctx, run)
    held = Change.objects.filter(run=run, state=State.HELD).exists()
    run.state = SyncRun.State.HELD if held else SyncRun.State.DELIVERING
    run.planned_at = timezone.now()
    if held and not run.hold_reason:
        run.hold_reason = in_every_language(_hold_reason(ctx, run))
    run.save(update_fields=["state", "planned_at", "hold_reason"])


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


def _failed(run: SyncRun, error: SyncError) -> None:
    """Record a failure of the whole run: it resumes by itself when waiting can help, else it has failed."""
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
    run.save(update_fields=["failures", "error_class", "error_code", "error_message", "state", "finished_at", "due_at"])
    SyncLogEntry.objects.create(
        integration_id=run.integration_id, run=run, event="run failed", message=f"{error.code} {error.message}"[:2000]
    )


def _finish(ctx: FlowContext, run: SyncRun | None, done: Work) -> None:
    """Close the flow's delivering runs that have nothing queued or on its way; the others look again when it is due."""
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
            done.finished = done.finished and (run is None or delivering.pk != run.pk)
        else:
            _close(ctx, delivering)
    if run is not None:
        run.refresh_from_db(fields=["state", "finished_at", "due_at"])


def _close(ctx: FlowContext, run: SyncRun) -> None:
    now = timezone.now()
    SyncRun.objects.filter(pk=run.pk).update(state=SyncRun.State.DONE, finished_at=now)
    updates: dict[str, Any] = {"last_success_at": now}
    if ctx.flow.currency_field:
        applied = Change.objects.filter(run=run, state=State.APPLIED).exclude(currency="")
        seen = set(ctx.flow.seen_currencies) | set(applied.values_list("currency", flat=True).distinct())
        updates["seen_currencies"] = ctx.flow.seen_currencies = sorted(seen)
    Flow.objects.filter(pk=ctx.flow.pk).update(**updates)


def due_pass(flow: Flow) -> FlowPass | None:
    """The first pass of the flow whose time has come."""
    return flow.passes.filter(next_run_at__lte=timezone.now()).order_by("next_run_at").first()
