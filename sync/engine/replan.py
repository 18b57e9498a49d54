"""Planning named records again: retries, dependencies, what moved before an approval, what a released option frees.

All of it reads the source as it is now. The invariant: whatever waited is either planned again, or still says what it
waits for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.errors import AuthenticationFailed, RateLimited, SyncError, Transient
from integrations.locks import process_lock
from sync.engine import approve, exactly_once, links
from sync.engine.context import FlowContext, build
from sync.engine.deliver import deliver
from sync.engine.extract import extract, load_patiently
from sync.engine.match import Lookup
from sync.engine.outcomes import as_bug, backoff
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
    create: Mapping[str, int] = MappingProxyType({}),
) -> Counter[str]:
    """Load the named source records and plan them now; `force` also plans what looks unchanged, `create` are those
    that a person decided to create anew. Raises the errors that concern more than one record."""
    records: list[Record] = []
    unreadable: list[tuple[str, SyncError]] = []
    for loaded in load_patiently(ctx, list(ids)):
        if isinstance(loaded, Record):
            records.append(loaded)
        elif isinstance(loaded[1], Transient | RateLimited | AuthenticationFailed):
            raise loaded[1]
        else:
            unreadable.append(loaded)
    extracted = extract(ctx, records, by_version=False, force=force)
    extracted.unreadable = unreadable
    planned = plan(ctx, extracted, Lookup(ctx, len(ids)), dependencies_of(run), create)
    with transaction.atomic():
        counts = store(ctx, run, planned, initial)
        run.seen += len(ids)
        run.counts = dict(Counter(run.counts) + counts)
        approve.conclude(ctx, run)
        run.save(update_fields=["seen", "counts", "hold_reason"])
    return counts


def dependencies_of(run: SyncRun) -> Dependencies:
    """Importer of related records for plans of `run` (RB17): one level deep, and only where the flow runs by itself."""

    def imported(ctx: FlowContext, flow: Flow, ids: list[str]) -> None:
        waiting = Change.objects.open().filter(flow=flow, source_id__in=ids).exclude(state=State.QUEUED)
        wanted = sorted(set(ids) - set(waiting.values_list("source_id", flat=True)))
        by_hand = flow.first_run_pending or flow.approval == Flow.Approval.ALWAYS
        if not wanted or not flow.enabled or by_hand or run.dry_run:
            return
        with process_lock(f"flow:{flow.pk}", wait=5) as mine:
            if not mine:
                return  # its own run is at work; this record waits for the link and continues by itself
            other = build(flow)
            sub = SyncRun.objects.create(
                flow=flow, integration=ctx.integration, trigger=SyncRun.Kind.DEPENDENCY, state=SyncRun.State.DONE,
                mapping_set=other.mapping_set, user=run.user, finished_at=timezone.now(),
            )  # fmt: skip
            plan_ids(other, wanted, sub, approve.policy(other, sub), force=False)
            rows = Change.objects.filter(run=sub, state=State.QUEUED)
            deliver(other, ids=list(rows.values_list("pk", flat=True)))
            _close(sub)

    return imported


def _close(run: SyncRun) -> None:
    """A run of named records is over: held when a person must look at what it planned."""
    held = Change.objects.filter(run=run, state=State.HELD).exists()
    SyncRun.objects.filter(pk=run.pk).update(
        state=SyncRun.State.HELD if held else SyncRun.State.DONE, finished_at=timezone.now()
    )


def catch_up(ctx: FlowContext, run: SyncRun) -> None:
    """Before approved changes go out: re-read what moved since the plan. What moved is planned again and held."""
    if not ctx.flow.cursor:
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
    release_linked(ctx)
    due = Change.objects.filter(flow=ctx.flow, state=State.RETRYING, due_at__lte=timezone.now())
    with transaction.atomic():
        move(due.filter(replan=False), State.QUEUED, message="tried again", log=False)
    for by_person in (True, False):
        rows = due.filter(replan=True, approved_by__isnull=not by_person).order_by("pk")
        while keep_going():
            group = list(rows[:100])
            if not group or not _plan_again(ctx, group, by_person=by_person):
                break


def _plan_again(ctx: FlowContext, group: list[Change], *, by_person: bool) -> bool:
    """Plan a group of changes again; False when the rest should wait. One that cannot be planned, for a reason that is
    our fault, goes to a person and does not stop the others."""
    run = SyncRun.objects.create(
        flow=ctx.flow, integration=ctx.integration, trigger=SyncRun.Kind.REPLAY, state=SyncRun.State.DONE,
        mapping_set=ctx.mapping_set, user_id=group[0].approved_by_id,
    )  # fmt: skip
    initial = _as_decided(ctx, run, group, by_person=by_person)
    create = {change.source_id: change.generation for change in group if change.decision == "create"}
    pks = [change.pk for change in group]
    try:
        plan_ids(ctx, [change.source_id for change in group], run, initial, force=True, create=create)
    except SyncError as error:
        Change.objects.filter(pk__in=pks).update(due_at=timezone.now() + backoff(3))
        SyncRun.objects.filter(pk=run.pk).update(
            state=SyncRun.State.FAILED, error_class=error.error_class, error_message=error.message,
            finished_at=timezone.now(),
        )  # fmt: skip
        return False
    except Exception as exception:
        SyncRun.objects.filter(pk=run.pk).update(state=SyncRun.State.FAILED, finished_at=timezone.now())
        if len(group) > 1:
            results = [_plan_again(ctx, [change], by_person=by_person) for change in group]  # every one gets its turn
            return all(results)
        _show_bug(group[0], exception)
        return True
    with transaction.atomic():  # planned again and nothing was left to do
        left = Change.objects.filter(pk__in=pks, state=State.RETRYING)
        move(left, State.SUPERSEDED, message="planned again: nothing left to do")
    _close(run)
    return True


def _as_decided(ctx: FlowContext, run: SyncRun, group: list[Change], *, by_person: bool) -> InitialState:
    """How what is planned again begins. What a person approved goes out if it is still what they saw; what they asked
    to be retried goes out, unless the flow is approved by hand; the rest is under the flow's policy and its brakes."""
    seen = {change.source_id: change.source_fingerprint for change in group if change.decision == approve.APPROVED}
    by_hand = ctx.flow.first_run_pending or ctx.flow.approval == Flow.Approval.ALWAYS
    usual = approve.policy(ctx, run, approved=by_person and not by_hand)
    decided = approve.policy(ctx, run, approved=True)

    def initial(change: Change) -> State:
        if change.source_id not in seen:
            return usual(change)
        return decided(change) if change.source_fingerprint == seen[change.source_id] else State.HELD

    return initial


def _show_bug(change: Change, exception: Exception) -> None:
    bug = as_bug(exception)
    with transaction.atomic():
        move(
            Change.objects.filter(pk=change.pk),
            State.REVIEW,
            message=bug.message,
            error_class=bug.error_class,
            error_code=bug.code,
            error_message=bug.message,
            reason=in_every_language(bug.message),
        )


def release_linked(ctx: FlowContext) -> None:
    """Changes that wait for a record which is linked by now: whoever linked it may have come before they waited."""
    waiting = Change.objects.filter(flow=ctx.flow, state=State.REVIEW).exclude(waits_for="")
    wanted: dict[str, list[str]] = {}
    for key in waiting.exclude(waits_for__startswith="option:").values_list("waits_for", flat=True).distinct()[:500]:
        slug, _colon, source_id = key.partition(":")
        wanted.setdefault(slug, []).append(source_id)
    for slug, ids in wanted.items():
        flow = Flow.objects.filter(integration=ctx.integration, slug=slug).first()
        if flow is None:
            continue
        there = links.by_source(flow, ids)
        with transaction.atomic():
            release_waiting(ctx.integration.pk, [f"{slug}:{source_id}" for source_id in there])


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
        elif ctx.flow.target_object in ctx.target.markers:
            exactly_once.verify(ctx, change)
        else:
            exactly_once.give_up(change)


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
        _know_currencies(ctx, {key for key in keys & there if key.startswith(f"{prefix}{ctx.flow.currency_field}=")})


def _know_currencies(ctx: FlowContext, keys: set[str]) -> None:
    """Somebody switched these currencies on at the target, which is the approval that a first currency asks for."""
    if not keys or not ctx.flow.currency_field:
        return
    seen = set(ctx.flow.seen_currencies) | {key.rpartition("=")[2] for key in keys}
    ctx.flow.seen_currencies = sorted(seen)
    Flow.objects.filter(pk=ctx.flow.pk).update(seen_currencies=ctx.flow.seen_currencies)
