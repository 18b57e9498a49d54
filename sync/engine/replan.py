"""Planning named records again: retries, dependencies, what moved before an approval, what a released option frees.

All of it reads the source as it is now. The invariant: whatever waited is either planned again, or still says what it
waits for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.errors import SyncError
from integrations.locks import process_lock
from sync.engine import approve, exactly_once
from sync.engine.context import FlowContext, build
from sync.engine.deliver import deliver
from sync.engine.extract import Extracted, extract
from sync.engine.match import Lookup
from sync.engine.outcomes import backoff
from sync.engine.plan import Dependencies, plan
from sync.engine.store import InitialState, checkpoint, release_waiting, store
from sync.models import Change, Flow, SyncRun
from sync.states import State, move
from sync.texts import in_every_language, say

KeepGoing = Callable[[], bool]


def plan_ids(
    ctx: FlowContext,
    ids: Sequence[str],
    run: SyncRun,
    initial: InitialState,
    *,
    force: bool,
    create: Collection[str] = (),
) -> Counter[str]:
    """Load the named source records and plan them now; `force` also plans what looks unchanged, `create` are those
    that a person decided to create anew."""
    records: list[Record] = []
    extracted = Extracted()
    for loaded in ctx.source.load(ctx.flow.source_object, list(ids), ctx.mapping.reads):
        if isinstance(loaded, Record):
            records.append(loaded)
        else:
            extracted.unreadable.append(loaded)
    extracted_records = extract(ctx, records, by_version=False, force=force)
    extracted_records.unreadable = extracted.unreadable
    planned = plan(ctx, extracted_records, Lookup(ctx, len(ids)), dependencies_of(run), create)
    with transaction.atomic():
        counts = store(ctx, run, planned, initial)
        run.seen += len(ids)
        run.counts = dict(Counter(run.counts) + counts)
        run.save(update_fields=["seen", "counts"])
    return counts


def dependencies_of(run: SyncRun) -> Dependencies:
    """Importer of related records for plans of `run` (RB17): one level deep, and only where the flow runs by itself."""

    def imported(ctx: FlowContext, flow: Flow, ids: list[str]) -> None:
        waiting = Change.objects.open().filter(flow=flow, source_id__in=ids).exclude(state=State.QUEUED)
        wanted = sorted(set(ids) - set(waiting.values_list("source_id", flat=True)))
        if not wanted or not flow.enabled or flow.first_run_pending or run.dry_run:
            return
        with process_lock(f"flow:{flow.pk}", wait=5) as mine:
            if not mine:
                return  # its own run is at work; this record waits for the link and continues by itself
            other = build(flow)
            sub = SyncRun.objects.create(
                flow=flow, integration=ctx.integration, trigger=SyncRun.Kind.DEPENDENCY, state=SyncRun.State.DONE,
                mapping_set=other.mapping_set, user=run.user, finished_at=timezone.now(),
            )  # fmt: skip
            plan_ids(other, wanted, sub, approve.policy(other, sub, approved=True), force=False)
            rows = Change.objects.filter(run=sub, state=State.QUEUED)
            deliver(other, ids=list(rows.values_list("pk", flat=True)))

    return imported


def catch_up(ctx: FlowContext, run: SyncRun) -> None:
    """Before approved changes go out: re-read what moved since the plan. What moved is planned again and held."""
    if run.subset or not ctx.flow.cursor:
        return
    catch = SyncRun.objects.create(
        flow=ctx.flow, integration=ctx.integration, trigger=run.trigger, user=run.approved_by, state=SyncRun.State.DONE,
        mapping_set=ctx.mapping_set, cursor_from=ctx.flow.cursor,
    )  # fmt: skip
    initial = approve.policy(ctx, catch, force_hold=True)
    for page in ctx.source.changed(ctx.flow.source_object, ctx.flow.cursor, ctx.mapping.reads):
        extracted = extract(ctx, page.records, by_version=False)
        planned = plan(ctx, extracted, Lookup(ctx, len(page.records)), dependencies_of(catch))
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


def retry(ctx: FlowContext, keep_going: KeepGoing) -> None:
    """Requeue what is due again; what must be planned again first is planned from its source as it is now."""
    now = timezone.now()
    due = Change.objects.filter(flow=ctx.flow, state=State.RETRYING, due_at__lte=now)
    with transaction.atomic():
        move(due.filter(replan=False), State.QUEUED, message="tried again", log=False)
    while keep_going():
        rows = list(
            due.filter(replan=True).order_by("pk").values_list("pk", "source_id", "approved_by_id", "decision")[:100]
        )
        if not rows:
            return
        run = SyncRun.objects.create(
            flow=ctx.flow, integration=ctx.integration, trigger=SyncRun.Kind.REPLAY, state=SyncRun.State.DONE,
            mapping_set=ctx.mapping_set, user_id=rows[0][2],
        )  # fmt: skip
        approved = not (ctx.flow.first_run_pending or ctx.flow.approval == Flow.Approval.ALWAYS)
        try:
            initial = approve.policy(ctx, run, approved=approved)
            create = {row[1] for row in rows if row[3] == "create"}
            plan_ids(ctx, [row[1] for row in rows], run, initial, force=True, create=create)
        except SyncError as error:
            wait = timezone.now() + backoff(3)
            Change.objects.filter(pk__in=[row[0] for row in rows]).update(due_at=wait)
            SyncRun.objects.filter(pk=run.pk).update(
                state=SyncRun.State.FAILED, error_class=error.error_class, error_message=error.message,
                finished_at=timezone.now(),
            )  # fmt: skip
            return
        with transaction.atomic():  # planned again and nothing was left to do
            left = Change.objects.filter(pk__in=[row[0] for row in rows], state=State.RETRYING)
            move(left, State.SUPERSEDED, message="planned again: nothing left to do")
        held = Change.objects.filter(run=run, state=State.HELD).exists()
        SyncRun.objects.filter(pk=run.pk).update(
            state=SyncRun.State.HELD if held else SyncRun.State.DONE, finished_at=timezone.now()
        )


def verify(ctx: FlowContext) -> None:
    """Unknown outcomes whose settle time is over, and sends whose process died."""
    lost = Change.objects.filter(
        flow=ctx.flow, state__in=[State.UNKNOWN, State.SENDING], settle_until__lte=timezone.now()
    )
    for change in lost.order_by("settle_until")[:100]:
        if change.state == State.SENDING and (change.target_id or ctx.flow.target_object in ctx.target.idempotent):
            with transaction.atomic():
                rows = Change.objects.filter(pk=change.pk, fence=change.fence)
                move(rows, State.QUEUED, message="the sender died: a repeatable write is sent again")
        else:
            exactly_once.verify(ctx, change)


def release_options(ctx: FlowContext) -> None:
    """Changes that wait for an option of a target field are planned again once the target offers it."""
    prefix = f"option:{ctx.flow.target_object}."
    waiting = Change.objects.filter(flow=ctx.flow, state=State.REVIEW, waits_for__startswith=prefix)
    keys = set(waiting.values_list("waits_for", flat=True).distinct()[:200])
    if not keys:
        return
    schema = ctx.schema("target", max_age=timedelta(0))
    there = {f"{prefix}{name}={option.value}" for name, fields in schema.fields.items() for option in fields.options}
    with transaction.atomic():
        release_waiting(ctx.integration.pk, sorted(keys & there))
