"""Storing a planned page: changes, superseded predecessors and the cursor, in one transaction.

The invariant: there is one open change per flow and source record, and the cursor moves in the same transaction as the
changes found up to it; so a crash re-reads and never skips, and re-reading a page changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from django.db.models.functions import Now
from django.utils import timezone

from integrations.connector import Page
from sync.bulk import insert_rows
from sync.engine import links
from sync.engine.context import FlowContext
from sync.engine.extract import Extracted
from sync.engine.plan import Planned
from sync.models import Change, Flow, SyncLogEntry, SyncRun
from sync.states import OPEN, REPLACEABLE, Action, State, move

WRITES = (Action.CREATE, Action.UPDATE, Action.LINK)

InitialState = Callable[[Change], State]
"""The approval policy: in which state a change that wants to write begins."""


def store(ctx: FlowContext, run: SyncRun, planned: Planned, initial: InitialState) -> Counter[str]:
    """Store one planned page; returns how many changes of each action were stored.

    Call inside the transaction that also stores the run's progress. A predecessor that is still waiting is superseded;
    one that is on its way is only marked stale, and is planned again when its outcome is known.
    """
    ids = [change.source_id for change in planned.changes]
    open_rows = dict(
        Change.objects.filter(flow=ctx.flow, source_id__in=ids, state__in=[str(s) for s in OPEN]).values_list(
            "source_id", "state"
        )
    )
    in_flight = {key for key, state in open_rows.items() if state not in REPLACEABLE}
    if open_rows.keys() - in_flight:
        move(
            Change.objects.filter(flow=ctx.flow, source_id__in=open_rows.keys() - in_flight),
            State.SUPERSEDED,
            message=f"replaced by run {run.pk}",
        )
    Change.objects.filter(flow=ctx.flow, source_id__in=in_flight, state__in=[State.SENDING, State.UNKNOWN]).update(
        stale=True
    )
    fresh = [change for change in planned.changes if change.source_id not in in_flight]
    for change in fresh:
        change.run = run
        if change.action in WRITES:
            change.state = initial(change)
        elif change.state == State.SKIPPED:
            change.finished_at = run.heartbeat_at
    review = [change for change in fresh if change.state == State.REVIEW]
    insert_rows(change for change in fresh if change.state != State.REVIEW)
    Change.objects.bulk_create(review, batch_size=500)  # these need their keys, for the log
    SyncLogEntry.objects.bulk_create(
        (
            SyncLogEntry(
                integration=ctx.integration,
                run=run,
                change=change,
                event=f"→{change.state}",
                message=change.reason.get("en", "")[:1000],
            )
            for change in review
        ),
        batch_size=500,
    )
    links.save_looked(ctx.flow, planned.looked)
    return Counter(str(change.action) for change in fresh)


def release_waiting(integration_id: int, keys: list[str]) -> int:
    """Plan again what waited for one of `keys` (`<flow slug>:<source id>` or `option:…`); returns how many."""
    if not keys:
        return 0
    waiting = Change.objects.filter(integration_id=integration_id, state=State.REVIEW, waits_for__in=keys)
    return len(move(waiting, State.RETRYING, message="what it waited for is there", replan=True, due_at=Now()))


def checkpoint(ctx: FlowContext, run: SyncRun, page: Page, extracted: Extracted, counts: Counter[str]) -> None:
    """Store how far the scan came; on the last page the flow's cursor moves, in the caller's transaction."""
    run.resume, run.total = page.resume, page.total if page.total is not None else run.total
    run.seen += extracted.seen
    run.unchanged += extracted.seen - sum(counts.values())
    run.counts = dict(Counter(run.counts) + counts)
    run.heartbeat_at = timezone.now()
    run.failures = 0
    if page.cursor is not None:
        run.cursor_to = page.cursor
        if not run.subset:
            Flow.objects.filter(pk=ctx.flow.pk).update(cursor=page.cursor, cursor_at=run.heartbeat_at)
    run.save(update_fields=["resume", "total", "seen", "unchanged", "counts", "heartbeat_at", "cursor_to", "failures"])


__all__ = ["WRITES", "InitialState", "checkpoint", "release_waiting", "store"]
