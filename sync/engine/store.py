"""Storing a planned page: changes, superseded predecessors and the cursor, in one transaction.

The invariant: there is one open change per flow and source record, and the cursor moves in the same transaction as the
changes found up to it; so a crash re-reads and never skips, and re-reading a page changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from integrations.connector import Page
from sync import finding, pingpong, pingpong_counts
from sync.bulk import insert_rows, update_rows
from sync.engine import aftermath, feedback, links, reroute
from sync.engine.context import FlowContext
from sync.engine.extract import Extracted
from sync.engine.plan import Planned
from sync.engine.problems import ALARMS
from sync.models import Change, Flow, SyncLogEntry, SyncRun
from sync.states import OPEN, REPLACEABLE, Action, State, move

WRITES = (Action.CREATE, Action.UPDATE, Action.LINK)

ACTING = (State.QUEUED, State.RETRYING, State.REVIEW)

InitialState = Callable[[Change], State]
"""The approval policy: in which state a change that wants to write begins."""


def store(ctx: FlowContext, run: SyncRun, planned: Planned, initial: InitialState) -> Counter[str]:
    """Store one planned page; returns how many changes of each action were stored.

    Call inside the transaction that also stores the run's progress. A predecessor that is still waiting is superseded;
    one that is on its way is only marked stale, and is planned again when its outcome is known.
    """
    planned.changes = reroute.settle(ctx, planned.changes, planned.judged)
    pingpong.pause_fights(ctx, planned.changes, planned.links)
    # Also of records that need nothing any more: their source went back to what the target holds.
    settled = [links.source_id(ctx.flow, link) for link in planned.looked]
    ids = [*(change.source_id for change in planned.changes), *settled]
    writing = {change.source_id for change in planned.changes if change.action in WRITES}
    rows = Change.objects.filter(flow=ctx.flow, source_id__in=ids, state__in=[str(s) for s in OPEN])
    seen = list(rows.values_list("source_id", "state", "action", "assigned_to_id", "error_code"))
    open_rows = {key: (state, action) for key, state, action, _person, _code in seen}
    assigned = {key: person for key, _state, _action, person, _code in seen if person}
    alarms = {key for key, state, _action, _person, code in seen if state == State.REVIEW and code in ALARMS}
    in_flight = {
        key
        for key, (state, action) in open_rows.items()
        if state not in REPLACEABLE or (action == Action.ACT and not (state == State.REVIEW and key in writing))
    } | alarms
    if open_rows.keys() - in_flight:
        move(
            Change.objects.filter(flow=ctx.flow, source_id__in=open_rows.keys() - in_flight),
            State.SUPERSEDED,
            message=f"replaced by run {run.pk}",
        )
    planned_now = {change.source_id for change in planned.changes}
    acting = Q(action=Action.ACT, state__in=ACTING, source_id__in=planned_now)
    on_its_way = Q(state__in=[State.SENDING, State.UNKNOWN]) | acting | Q(source_id__in=alarms & writing)
    Change.objects.filter(on_its_way, flow=ctx.flow, source_id__in=in_flight).update(stale=True)
    said = _said_already(ctx, planned)
    fresh = [change for change in planned.changes if change.source_id not in in_flight | said]
    for change in fresh:
        change.run = run
        change.assigned_to_id = assigned.get(change.source_id)  # whoever looks after it still does
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
    finding.remember(ctx.flow, fresh)
    links.save_looked(ctx.flow, planned.looked)
    update_rows(planned.agreed, ["agreed_crm", "agreed_ledger", "agreed_under"])
    pingpong_counts.planned(ctx, fresh)  # after the links, as confirm does: neither waits for the other for ever
    aftermath.compare_again(ctx.flow, planned.same)
    feedback.nothing_to_do(ctx, planned.content)
    return Counter(str(change.action) for change in fresh)


def _said_already(ctx: FlowContext, planned: Planned) -> set[str]:
    """Records that are left out again, as they are, for the reason that is on record: a full run repeats nothing."""
    skips = {change.source_id: change for change in planned.changes if change.state == State.SKIPPED}
    rows = Change.objects.filter(flow=ctx.flow, source_id__in=list(skips), state=State.SKIPPED) if skips else ()
    return {
        row.source_id
        for row in rows
        if (row.source_fingerprint, row.reason)
        == (skips[row.source_id].source_fingerprint, skips[row.source_id].reason)
        and not feedback.left_to_say(ctx, skips[row.source_id])
    }


def release_waiting(integration_id: int, keys: list[str]) -> int:
    """Plan again what waited for one of `keys` (`<flow slug>:<source id>` or `option:…`); returns how many."""
    if not keys:
        return 0
    waiting = Change.objects.filter(integration_id=integration_id, state=State.REVIEW, waits_for__in=keys)
    return len(
        move(
            waiting, State.RETRYING, message="what it waited for is there", replan=True, due_at=Now(), approved_by=None
        )
    )


CHUNK = 100


def chunks(page: Page) -> Iterator[Page]:
    """A page in parts that one drain can finish, where each record costs a remote call of its own.

    Only the last part carries the page's `resume` and `cursor`: an interrupted page is listed again, and what its
    stored parts planned is not loaded again.
    """
    if all(record.complete for record in page.records):
        yield page
        return
    for start in range(0, len(page.records), CHUNK):
        last = start + CHUNK >= len(page.records)
        part = page.records[start : start + CHUNK]
        yield Page(
            part, page.resume if last else "", page.cursor if last else None, page.total, () if start else page.gone
        )


def checkpoint(ctx: FlowContext, run: SyncRun, page: Page, extracted: Extracted, counts: Counter[str]) -> None:
    """Store how far the scan came; on the last page the flow's cursor moves, in the caller's transaction."""
    run.resume = page.resume or run.resume
    run.total = page.total if page.total is not None else run.total
    run.seen += extracted.seen
    run.unchanged += extracted.seen - sum(counts.values())
    run.counts = dict(Counter(run.counts) + counts)
    run.heartbeat_at = timezone.now()
    run.failures = 0
    if page.cursor is not None:
        run.cursor_to = page.cursor
        if not run.subset:
            # What was read before a rule changed was judged by the old ones: the next run reads everything again.
            again = ctx.flow.takes in reroute.REREAD and ctx.router and ctx.router.rules.changed_since(run.started_at)
            cursor = "" if again else page.cursor
            Flow.objects.filter(pk=ctx.flow.pk).update(cursor=cursor, cursor_at=run.heartbeat_at)
    run.save(update_fields=["resume", "total", "seen", "unchanged", "counts", "heartbeat_at", "cursor_to", "failures"])


__all__ = ["WRITES", "InitialState", "checkpoint", "release_waiting", "store"]
