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
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.connector import Page
from integrations.errors import IncompleteRead, SyncError
from integrations.http import counting
from integrations.locks import process_lock
from sync import daily
from sync.engine import approve, ending, gone, stops
from sync.engine.again import retry
from sync.engine.context import FlowContext, build
from sync.engine.deliver import deliver
from sync.engine.extract import extract
from sync.engine.feedback import tell
from sync.engine.match import Lookup
from sync.engine.outcomes import as_bug
from sync.engine.plan import plan
from sync.engine.prepare import prepare
from sync.engine.release import release_options, verify
from sync.engine.replan import KeepGoing, catch_up, dependencies_of
from sync.engine.resync import plan_resyncs
from sync.engine.store import InitialState, checkpoint, chunks, store
from sync.inbox import take_hints
from sync.models import Change, Flow, FlowPass, SyncRun
from sync.states import State

_STOPPED = (SyncRun.State.PLANNING, SyncRun.State.FAILED)
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
        if order is not None and stops.stopped_scan(flow):
            order = None  # there is one scan at a time, and a person stopped it: nothing is started until they go on
        with counting() as calls:
            run = _unfinished(flow, SyncRun.State.PLANNING, waiting=order is not None)
            if run is None and order is not None:
                run, done.started = _start(ctx, order), True
            done.run = run = run or _unfinished(flow, SyncRun.State.DELIVERING)
            before = Counter(run.api_calls) if run is not None else Counter()
            if run is not None:
                keep_going = stops.unless_stopped(run, keep_going)
                _advance(ctx, run, done, keep_going, progress)
            if not (order and order.dry_run) and (run is None or run.state not in _STOPPED):
                retry(ctx, keep_going)
                take_hints(ctx, keep_going)
                plan_resyncs(ctx, keep_going)
                done.delivered += deliver(ctx, keep_going=keep_going)
                verify(ctx)
                tell(ctx)
            done.finished = ending.finish(ctx, run, finished=done.finished)
            if run is not None:
                total = before + Counter({f"{system} {kind}": count for (system, kind), count in calls.items()})
                SyncRun.objects.filter(pk=run.pk).update(api_calls=dict(total))
            daily.add_calls(flow, sum(calls.values()))
        return done


def _unfinished(flow: Flow, state: str, *, waiting: bool = False) -> SyncRun | None:
    """The oldest run of the flow that was left off in this state and is due; `waiting`: or will be. There is one scan
    at a time, so whoever orders another one goes on with the one that waits to be tried again. Not one that a person
    stopped."""
    runs = SyncRun.objects.filter(flow=flow, state=state, stopped_at=None).order_by("pk")
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


def _advance(ctx: FlowContext, run: SyncRun, done: Work, keep_going: KeepGoing, progress: Progress | None) -> None:
    """Plan on, and on approval queue; errors of the whole run are recorded on it, never raised."""
    try:
        if run.state == SyncRun.State.PLANNING:
            done.finished = _plan(ctx, run, done, keep_going, progress)
        elif run.approved_at and Change.objects.filter(run=run, state=State.HELD).exists():
            catch_up(ctx, run)
            approve.release_held(run, ctx.mapping_set.pk)
    except stops.Cancelled:
        done.finished = False
    except SyncError as error:
        done.finished = False
        ending.failed(run, error)
    except Exception as exception:  # recorded with its trace id; a bug must not stop other flows
        done.finished = False
        ending.failed(run, as_bug(exception))
        if run.failures == 1:
            logger.exception("internal fault in run %s", run.pk)


def _plan(ctx: FlowContext, run: SyncRun, done: Work, keep_going: KeepGoing, progress: Progress | None) -> bool:
    """Plan page after page; True when the scan is complete."""
    prepare(ctx)
    release_options(ctx)
    initial = approve.policy(ctx, run)
    lookup: Lookup | None = None
    gone.before_full(ctx, run)
    pages = ctx.source.changed(
        ctx.flow.source_object, run.cursor_from or None, ctx.reads, resume=run.resume, subset=run.subset
    )
    for page in pages:
        lookup = lookup or Lookup(ctx, page.total or len(page.records))
        for chunk in chunks(page):
            _plan_chunk(ctx, run, chunk, lookup, initial)
            if progress:
                progress(run)
            if chunk.cursor is None and not keep_going():
                return False
        # A page at a time, or more where the target takes more: its batches are fuller than a chunk would make them.
        if Change.objects.filter(run=run, state=State.QUEUED).exists():
            done.delivered += deliver(ctx, keep_going=keep_going, full_rounds=page.cursor is None)
    if run.state == SyncRun.State.PLANNING:  # a scan without a last page
        raise IncompleteRead("The list ended before its last page.", code="no_last_page")
    return True


def _plan_chunk(ctx: FlowContext, run: SyncRun, page: Page, lookup: Lookup, initial: InitialState) -> None:
    """Plan a part of a page and store it with the run's progress; with the last one the plan is concluded, so that
    nothing can fail between the cursor's move and what is decided about the changes before it."""
    gone.follow(ctx, run, page.gone)
    before = (run.seen, run.unchanged, dict(run.counts))
    versions = [record.version for record in page.records]
    for attempt in (1, 2):
        extracted = extract(ctx, page.records, by_version=bool(run.subset) or run.full, run=run)
        planned = plan(ctx, extracted, lookup, dependencies_of(run))
        try:
            with transaction.atomic():
                stops.planning_still(run)
                counts = store(ctx, run, planned, initial)
                checkpoint(ctx, run, page, extracted, counts)
                if page.cursor is not None:
                    approve.conclude(ctx, run)
                    ending.planned(ctx, run)
            return
        except IntegrityError:  # somebody looked at one of these records at a card in this moment
            if attempt == 2:
                raise
            run.seen, run.unchanged, run.counts = before
            for record, version in zip(page.records, versions, strict=True):
                record.version = version


def due_pass(flow: Flow) -> FlowPass | None:
    """The first pass of the flow whose time has come."""
    return flow.passes.filter(next_run_at__lte=timezone.now()).order_by("next_run_at").first()
