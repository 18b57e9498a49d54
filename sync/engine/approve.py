"""Approve: which planned changes may go out by themselves, and what a person decides.

The policy of a flow is automatic, first run by hand, or always by hand; on top come the brakes: a run that would change
more than max(50 records, 5 %), an amount over the limit, a currency seen for the first time. The invariant: nothing is
created by a flow's first run until a named person approved it, unless a consultant chose otherwise (Q-01).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from sync.engine import links
from sync.engine.context import FlowContext
from sync.engine.store import InitialState
from sync.models import Change, ChangeQuerySet, Flow, SyncLogEntry, SyncRun
from sync.states import APPROVED, BATCH, LOOK, Action, State, move, move_all
from sync.texts import in_every_language, say

MOVED = "moved_since"
"""The code of a held change that a person saw, or approved, before it became what it is now."""


def policy(
    ctx: FlowContext, run: SyncRun, *, force_hold: bool = False, approved: bool = False, retried: bool = False
) -> InitialState:
    """How changes of `run` begin: held, planned (until the brake has been checked) or queued.

    `approved` is for what a person approved: it goes out at once. `retried` is for records that a person asked to be
    tried again: they need no brake of a run, but to retry is no approval of an amount that is over the limit.
    """
    flow = ctx.flow
    hold = (
        force_hold or run.dry_run or ctx.integration.mode != Integration.Mode.LIVE or (not approved and by_hand(flow))
    )
    # The brake needs the whole plan. A first run that a consultant set to automatic has nothing to compare with.
    braked = not approved and not retried and flow.last_success_at is not None

    limited = flow.max_creates_per_hour is not None
    creates = recent_creates(flow) if limited and not hold and not approved else 0

    def initial(change: Change) -> State:
        nonlocal creates
        unseen = change.payload.get("first_write")  # into a document that somebody made and linked by hand
        if hold or (not approved and unseen):
            return State.HELD
        if not approved and (over := over_limit(change, creates=creates)):
            say_first(change, over)
            return State.HELD
        creates += change.action == Action.CREATE
        return State.PLANNED if braked else State.QUEUED

    return initial


def by_hand(flow: Flow) -> bool:
    """Whether everything that the flow wants to write waits for a person."""
    return flow.first_run_pending or flow.approval == Flow.Approval.ALWAYS


def recent_creates(flow: Flow) -> int:
    """How many creates of the flow went out in the last hour, or are about to."""
    hour = timezone.now() - timedelta(hours=1)
    sent = Q(state__in=[State.SENDING, State.UNKNOWN, State.APPLIED], sent_at__gte=hour)
    waiting = Q(state__in=[State.QUEUED, State.PLANNED]) & ~Q(decision=LOOK)
    return Change.objects.filter(sent | waiting, flow=flow, action=Action.CREATE).count()


def over_limit(change: Change, *, creates: int | None = None) -> object:
    """Why a single change waits for a consultant: amount, first currency, creates per hour; "" when it need not.

    `creates` of the last hour are counted unless given (I-10)."""
    flow = change.flow
    if flow.brake_amount is not None and change.amount is not None and abs(change.amount) > flow.brake_amount:
        return say(_("The amount is over the limit of {limit}."), limit=flow.brake_amount)
    known = flow.seen_currencies
    if known and change.currency and change.currency not in known:
        return say(_("{currency} is seen for the first time."), currency=change.currency)
    if change.action != Action.CREATE or flow.max_creates_per_hour is None:
        return ""
    if (recent_creates(flow) if creates is None else creates) < flow.max_creates_per_hour:
        return ""
    return say(_("More than {limit} creates in one hour."), limit=flow.max_creates_per_hour)


def conclude(ctx: FlowContext, run: SyncRun) -> None:
    """Decide what happens after the last page: release the planned changes, or hold them all (the brake)."""
    planned = Change.objects.filter(run=run, state=State.PLANNED)
    wanting = planned.count()
    limit = max(ctx.integration.brake_records, links.count(ctx.flow) * ctx.integration.brake_percent // 100)
    if wanting > limit:
        text = _("{count} changes are more than the limit of {limit} for one run.")
        run.hold_reason = in_every_language(say(text, count=wanting, limit=limit))
        move_all(planned, State.HELD, message=run.hold_reason["en"])
        _note(run, "brake", run.hold_reason["en"])
    elif wanting:
        move_all(planned, State.QUEUED, message="approved by the flow's policy")


def approve(run: SyncRun, user: Any) -> bool:
    """Record that `user` approved what `run` holds; False when somebody did, or it waits no longer. The worker first
    re-reads what changed since, then queues the rest.

    Approving twice changes nothing. Raises `ValueError` when the integration may not write.
    """
    with transaction.atomic():
        run = SyncRun.objects.select_for_update(of=("self",)).select_related("flow__integration").get(pk=run.pk)
        if run.state != SyncRun.State.HELD:
            return False
        if run.flow.integration.mode != Integration.Mode.LIVE:
            raise ValueError(_("The integration only observes: switch it to live before approving."))
        now = timezone.now()
        if run.flow.first_run_pending:
            Flow.objects.filter(pk=run.flow_id).update(first_run_approved_at=now)
        run.state, run.approved_by, run.approved_at, run.due_at = SyncRun.State.DELIVERING, user, now, now
        run.save(update_fields=["state", "approved_by", "approved_at", "due_at"])
        _note(run, "approved", f"approved by {user or 'command'}", user)
    return True


def approve_many(changes: ChangeQuerySet, user: Any) -> int:
    """As `approve_changes`, for a selection of any size: in batches, so that memory does not grow with it."""
    total, after = 0, 0
    while ids := list(changes.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        total += approve_changes(Change.objects.filter(pk__in=ids), user)
        after = ids[-1]
    return total


def approve_changes(changes: ChangeQuerySet, user: Any) -> int:
    """Approve the held ones among `changes` on behalf of `user`; returns how many.

    The worker reads each record again first; one that changed since it was planned is held again, as it is now. A run
    whose last held change is approved this way is delivering, and counts as approved.
    """
    now = timezone.now()
    with transaction.atomic():
        moved = move(
            changes.filter(state=State.HELD, integration__mode=Integration.Mode.LIVE),
            State.RETRYING,
            message=f"approved by {user}",
            user=user,
            replan=True,
            decision=APPROVED,
            error_code="",
            approved_by=user,
            approved_at=now,
            due_at=now,
        )
        emptied = SyncRun.objects.filter(state=SyncRun.State.HELD, changes__pk__in=moved).exclude(
            pk__in=Change.objects.filter(state=State.HELD, run__state=SyncRun.State.HELD).values("run_id")
        )
        for run in emptied.distinct():
            Flow.objects.filter(pk=run.flow_id, first_run_approved_at=None).update(first_run_approved_at=now)
            run.state, run.approved_by, run.approved_at, run.due_at = SyncRun.State.DELIVERING, user, now, now
            run.save(update_fields=["state", "approved_by", "approved_at", "due_at"])
    return len(moved)


def cancel_plan(run: SyncRun, user: Any) -> int:
    """Give up what `run` holds, and what is left of one that a person stopped; returns how many changes. Nothing is
    lost: the flow reads everything again next time, because its cursor has already passed these records. Raises
    `ValueError` while the flow is at work.
    """
    with transaction.atomic():
        # The run first, as the worker that stores a page of it: neither waits for the other for ever.
        run = SyncRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
        flow = Flow.objects.select_for_update().get(pk=run.flow_id)
        if run.state != SyncRun.State.HELD and run.stopped_at is None:
            return 0
        if SyncRun.objects.filter(flow=flow, state=SyncRun.State.PLANNING).exclude(pk=run.pk).exists():
            raise ValueError(_("A newer plan is being made. Wait until it is ready."))
        message = f"plan cancelled by {user}"
        held = Change.objects.filter(run=run, state__in=[State.HELD, State.PLANNED, State.QUEUED])
        sources = list(held.values_list("source_id", flat=True))
        cancelled = move(held, State.SUPERSEDED, message=message, user=user)
        links.forget_versions(flow, sources)  # a list that looks the same must not hide what was planned
        flow.cursor = ""
        flow.save(update_fields=["cursor"])
        run.state, run.finished_at = SyncRun.State.CANCELLED, timezone.now()
        run.stopped_at = run.stopped_by = None
        run.save(update_fields=["state", "finished_at", "stopped_at", "stopped_by"])
        _note(run, "cancelled", message, user)
    return len(cancelled)


def release_held(run: SyncRun, mapping_set_id: int | None = None) -> int:
    """Queue what is still held of an approved run (after the catch-up superseded what moved); returns how many. What
    was planned under another mapping than `mapping_set_id` is planned again first, and compared with what was seen; so
    is an undo, which was planned from stored values alone."""
    held = Change.objects.filter(run=run, state=State.HELD)
    by = {"approved_by": run.approved_by, "approved_at": run.approved_at, "error_code": ""}
    message = f"approved by {run.approved_by or 'command'}"
    if mapping_set_id is not None:
        older = held.exclude(Q(mapping_set_id=mapping_set_id) | Q(mapping_set=None))
        again = {"replan": True, "decision": APPROVED, "due_at": timezone.now()}
        move_all(older, State.RETRYING, message=f"{message}, under an older mapping", **again, **by)
        move_all(held.filter(payload__has_key="undo"), State.RETRYING, message=message, **again, **by)
    return move_all(held, State.QUEUED, message=message, due_at=timezone.now(), **by)


def mark_moved(change: Change, why: Any) -> None:
    """Say on a planned change that it waits again, because it is not what a person saw."""
    say_first(change, why)
    change.error_code = MOVED


def say_first(change: Change, why: Any) -> None:
    """Why a planned change waits, in front of what its plan says."""
    texts = in_every_language(why)
    change.reason = {code: f"{text} {change.reason.get(code, '')}".strip() for code, text in texts.items()}


def _note(run: SyncRun, event: str, message: str, user: Any = None) -> None:
    SyncLogEntry.objects.create(integration_id=run.integration_id, run=run, event=event, message=message, user=user)
