"""Approve: which planned changes may go out by themselves, and what a person decides.

The policy of a flow is automatic, first run by hand, or always by hand; on top come the brakes: a run that would change
more than max(50 records, 5 %), an amount over the limit, a currency seen for the first time. The invariant: nothing is
created by a flow's first run until a named person approved it, unless a consultant chose otherwise (Q-01).
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from sync.engine import links
from sync.engine.context import FlowContext
from sync.engine.store import InitialState
from sync.models import Change, ChangeQuerySet, Flow, SyncLogEntry, SyncRun
from sync.states import State, move, move_all
from sync.texts import in_every_language, say

APPROVED = "approve"
"""The decision that marks a single approval until the record has been read again."""


def policy(ctx: FlowContext, run: SyncRun, *, force_hold: bool = False, approved: bool = False) -> InitialState:
    """How changes of `run` begin: held, planned (until the brake has been checked) or queued.

    `approved` is for records that a person asked to be retried: they go out at once.
    """
    flow = ctx.flow
    hold = (
        force_hold
        or run.dry_run
        or ctx.integration.mode != Integration.Mode.LIVE
        or (not approved and (flow.first_run_pending or flow.approval == Flow.Approval.ALWAYS))
    )
    # The brake needs the whole plan. A first run that a consultant set to automatic has nothing to compare with.
    braked = not approved and flow.last_success_at is not None

    def initial(change: Change) -> State:
        if hold or (not approved and _over_limit(flow, change)):
            return State.HELD
        return State.PLANNED if braked else State.QUEUED

    return initial


def _over_limit(flow: Flow, change: Change) -> bool:
    if flow.brake_amount is not None and change.amount is not None and abs(change.amount) > flow.brake_amount:
        return True
    known = flow.seen_currencies
    return bool(known and change.currency and change.currency not in known)


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


def approve(run: SyncRun, user: Any) -> None:
    """Record that `user` approved what `run` holds. The worker first re-reads what changed since, then queues the rest.

    Approving twice changes nothing. Raises `ValueError` when the integration may not write.
    """
    with transaction.atomic():
        run = SyncRun.objects.select_for_update().select_related("flow__integration").get(pk=run.pk)
        if run.state != SyncRun.State.HELD:
            return
        if run.flow.integration.mode != Integration.Mode.LIVE:
            raise ValueError("The integration only observes: switch it to live before approving.")
        now = timezone.now()
        if run.flow.first_run_pending:
            Flow.objects.filter(pk=run.flow_id).update(first_run_approved_at=now)
        run.state, run.approved_by, run.approved_at, run.due_at = SyncRun.State.DELIVERING, user, now, now
        run.save(update_fields=["state", "approved_by", "approved_at", "due_at"])
        _note(run, "approved", f"approved by {user or 'command'}", user)


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
    """Give up what `run` holds; returns how many changes. Nothing is lost: the flow reads everything again next time,
    because its cursor has already passed these records. Raises `ValueError` while the flow is at work.
    """
    with transaction.atomic():
        flow = Flow.objects.select_for_update().get(pk=run.flow_id)
        run = SyncRun.objects.select_for_update().get(pk=run.pk)
        if run.state != SyncRun.State.HELD:
            return 0
        if SyncRun.objects.filter(flow=flow, state=SyncRun.State.PLANNING).exists():
            raise ValueError("A newer plan is being made. Wait until it is ready.")
        message = f"plan cancelled by {user}"
        held = Change.objects.filter(run=run, state=State.HELD)
        sources = list(held.values_list("source_id", flat=True))
        cancelled = move(held, State.SUPERSEDED, message=message, user=user)
        links.forget_versions(flow, sources)  # a list that looks the same must not hide what was planned
        flow.cursor = ""
        flow.save(update_fields=["cursor"])
        run.state, run.finished_at = SyncRun.State.CANCELLED, timezone.now()
        run.save(update_fields=["state", "finished_at"])
        _note(run, "cancelled", message, user)
    return len(cancelled)


def release_held(run: SyncRun) -> int:
    """Queue what is still held of an approved run (after the catch-up superseded what moved)."""
    return move_all(
        Change.objects.filter(run=run, state=State.HELD),
        State.QUEUED,
        message=f"approved by {run.approved_by or 'command'}",
        approved_by=run.approved_by,
        approved_at=run.approved_at,
        due_at=timezone.now(),
    )


def _note(run: SyncRun, event: str, message: str, user: Any = None) -> None:
    SyncLogEntry.objects.create(integration_id=run.integration_id, run=run, event=event, message=message, user=user)
