"""Planning named records again: retries, dependencies, what moved before an approval, what a released option frees.

All of it reads the source as it is now. The invariant: whatever waited is either planned again, or still says what it
waits for.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.errors import AuthenticationFailed, Missing, RateLimited, SyncError, Transient
from integrations.locks import process_lock
from sync.engine import approve
from sync.engine.context import FlowContext, build
from sync.engine.deliver import deliver
from sync.engine.extract import extract, load_patiently
from sync.engine.gone import follow
from sync.engine.match import Lookup
from sync.engine.plan import Dependencies, plan
from sync.engine.prepare import prepare
from sync.engine.store import InitialState, checkpoint, store
from sync.models import Change, Flow, SyncRun
from sync.states import State
from sync.texts import in_every_language, say

logger = logging.getLogger(__name__)

KeepGoing = Callable[[], bool]


def plan_ids(
    ctx: FlowContext,
    ids: Sequence[str],
    run: SyncRun,
    initial: InitialState,
    *,
    force: bool,
    asked: bool = False,
    create: Mapping[str, int] = MappingProxyType({}),
    then: Callable[[set[str]], None] | None = None,
) -> Counter[str]:
    """Load the named source records and plan them now; `force` also plans what looks unchanged, `asked` what the flow
    would not take by itself, `create` are those that a person decided to create anew. `then` is called with the ids
    that are gone, in the transaction that stores the plan; without it they are shown to a person. Raises the errors
    that concern more than one record."""
    prepare(ctx)
    records: list[Record] = []
    unreadable: list[tuple[str, SyncError]] = []
    gone: set[str] = set()
    for loaded in load_patiently(ctx, list(ids)):
        if isinstance(loaded, Record):
            records.append(loaded)
        elif isinstance(loaded[1], Transient | RateLimited | AuthenticationFailed):
            raise loaded[1]
        elif then is not None and isinstance(loaded[1], Missing):
            gone.add(loaded[0])
        else:
            unreadable.append(loaded)
    extracted = extract(ctx, records, by_version=False, force=force, asked=asked or force)
    extracted.unreadable = unreadable
    planned = plan(ctx, extracted, Lookup(ctx, len(ids)), dependencies_of(run), create)
    with transaction.atomic():
        counts = store(ctx, run, planned, initial)
        run.seen += len(ids)
        run.counts = dict(Counter(run.counts) + counts)
        if run.trigger != SyncRun.Kind.CARD:  # what a card only looks at stays planned until somebody presses
            approve.conclude(ctx, run)
        run.save(update_fields=["seen", "counts", "hold_reason"])
        if then is not None:
            then(gone)
    return counts


def dependencies_of(run: SyncRun) -> Dependencies:
    """Importer of related records for plans of `run` (RB17): one level deep, and only where the flow runs by itself."""

    def imported(ctx: FlowContext, flow: Flow, ids: list[str]) -> None:
        waiting = Change.objects.open().filter(flow=flow, source_id__in=ids).exclude(state=State.QUEUED)
        wanted = sorted(set(ids) - set(waiting.values_list("source_id", flat=True)))
        if not wanted or not flow.enabled or approve.by_hand(flow) or run.dry_run:
            return
        with process_lock(f"flow:{flow.pk}", wait=5) as mine:
            if not mine:
                return  # its own run is at work; this record waits for the link and continues by itself
            other = build(flow)
            other.routed = False  # it is needed here, wherever else it goes
            sub = SyncRun.objects.create(
                flow=flow, integration=ctx.integration, trigger=SyncRun.Kind.DEPENDENCY, state=SyncRun.State.DONE,
                mapping_set=other.mapping_set, user=run.user, finished_at=timezone.now(),
            )  # fmt: skip
            plan_ids(other, wanted, sub, approve.policy(other, sub), force=False, asked=True)
            rows = Change.objects.filter(run=sub, state=State.QUEUED)
            deliver(other, ids=list(rows.values_list("pk", flat=True)))
            close_run(sub)

    return imported


def close_run(run: SyncRun) -> None:
    """A run of named records is over: held when a person must look at what it planned."""
    held = Change.objects.filter(run=run, state=State.HELD).exists()
    rows = SyncRun.objects.filter(pk=run.pk).exclude(state=SyncRun.State.DELIVERING)  # somebody approved it already
    rows.update(state=SyncRun.State.HELD if held else SyncRun.State.DONE, finished_at=timezone.now())


def _say_which(run: SyncRun, changes: Sequence[Change]) -> None:
    """Mark those of `changes` that somebody approved with `run` as they were before."""
    ids = [change.source_id for change in changes]
    seen = set(Change.objects.filter(run=run, state=State.HELD, source_id__in=ids).values_list("source_id", flat=True))
    for change in changes:
        if change.source_id in seen and change.state == State.PLANNED:
            approve.mark_moved(change, _("The source changed after the plan was approved."))


def catch_up(ctx: FlowContext, run: SyncRun) -> None:
    """Before approved changes go out: re-read what moved since the plan. What moved is planned again and held."""
    if not ctx.flow.cursor:
        return
    catch = SyncRun.objects.create(
        flow=ctx.flow, integration=ctx.integration, trigger=run.trigger, user=run.approved_by, state=SyncRun.State.DONE,
        mapping_set=ctx.mapping_set, cursor_from=ctx.flow.cursor,
    )  # fmt: skip
    initial = approve.policy(ctx, catch, force_hold=True)
    for page in ctx.source.changed(ctx.flow.source_object, ctx.flow.cursor, ctx.reads):
        follow(ctx, catch, page.gone)
        extracted = extract(ctx, page.records, by_version=False)
        planned = plan(ctx, extracted, Lookup(ctx, len(page.records)), dependencies_of(catch))
        _say_which(run, planned.changes)
        with transaction.atomic():
            counts = store(ctx, catch, planned, initial)
            checkpoint(ctx, catch, page, extracted, counts)
    held = Change.objects.filter(run=catch, state=State.HELD).exists()
    now = timezone.now()
    text = say(_("They changed after run {number} was planned."), number=run.pk)
    SyncRun.objects.filter(pk=catch.pk).update(
        state=SyncRun.State.HELD if held else SyncRun.State.DONE,
        hold_reason=in_every_language(text) if held else {},
        planned_at=now,
        finished_at=now,
    )
