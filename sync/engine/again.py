"""Planning again what waits: retries, looks of a card, what a person asked for; each from its source as it is now.

The invariant: whatever waited is planned again, or still says what it waits for; a look never sends anything.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.errors import SyncError
from integrations.locks import process_lock
from sync.engine import approve
from sync.engine.context import FlowContext
from sync.engine.outcomes import MAX_ATTEMPTS, as_bug, backoff
from sync.engine.problems import error_fingerprint, problems_of
from sync.engine.release import release_linked
from sync.engine.replan import KeepGoing, close_run, plan_ids
from sync.engine.store import InitialState
from sync.models import Change, SyncRun
from sync.states import APPROVED, LOOK, Action, State, move
from sync.texts import in_every_language

logger = logging.getLogger(__name__)

A_MOMENT = timedelta(seconds=1)
MATCHED = "match"
"""The decision that marks a change whose record is planned again because of what a person said about its match."""


def retry(ctx: FlowContext, keep_going: KeepGoing) -> None:
    """Requeue what is due again; what must be planned again first is planned from its source as it is now."""
    release_linked(ctx)
    due = Change.objects.filter(flow=ctx.flow, state=State.RETRYING, due_at__lte=timezone.now(), run__stopped_at=None)
    with transaction.atomic():
        again = due.filter(Q(replan=False) | Q(action=Action.ACT))  # an act reads the state itself, it has no plan
        move(again, State.QUEUED, message="tried again", log=False, replan=False)
    looks = due.filter(replan=True, decision=LOOK).order_by("pk")
    for change in looks[:50]:  # a card asked, and its own bell was lost
        look(ctx, change)
    for by_person in (True, False):
        rows = due.filter(replan=True, approved_by__isnull=not by_person).exclude(decision=LOOK).order_by("pk")
        while (group := list(rows[:100])) and keep_going():
            if not _plan_again(ctx, group, by_person=by_person):
                break


def look(ctx: FlowContext, change: Change) -> None:
    """Plan the record of `change` anew for a person at a card; nothing goes out before they press.

    What cannot be planned at all is shown to them: it goes to review. Two looks at once end in one plan.
    """
    with process_lock(f"record:{change.flow_id}:{change.source_id}", wait=5) as mine:
        if not mine or not Change.objects.filter(pk=change.pk, state=State.RETRYING).exists():
            return
        run = SyncRun.objects.create(
            flow=ctx.flow, integration=ctx.integration, trigger=SyncRun.Kind.CARD, state=SyncRun.State.DONE,
            mapping_set=ctx.mapping_set, finished_at=timezone.now(),
        )  # fmt: skip

        def planned(new: Change) -> State:
            return State.PLANNED

        create = {change.source_id: change.generation} if change.generation > 1 else {}
        ctx.may_be_made, ctx.asked = _may_be_made([change]), frozenset({change.source_id})
        try:
            for attempt in (1, 2):
                try:
                    plan_ids(ctx, [change.source_id], run, planned, force=True, create=create)
                    break
                except IntegrityError:  # a scan planned the same record in between
                    if attempt == 2:
                        raise
        except SyncError as error:
            _show(change, error)
        except Exception as exception:
            logger.exception("looking at %s of flow %s failed", change.source_id, change.flow_id)
            _show(change, as_bug(exception))
        fresh = Change.objects.filter(run=run, source_id=change.source_id)
        fresh.update(actor=change.actor, lane=change.lane, decision=LOOK)
        with transaction.atomic():
            left = Change.objects.filter(pk=change.pk, state=State.RETRYING)
            move(left, State.SUPERSEDED, message="looked again: nothing left to do")


def _may_be_made(group: Sequence[Change]) -> dict[str, frozenset[str]]:
    """What people allowed to be created together with each of these records."""
    return {change.source_id: frozenset(change.payload.get("create") or ()) for change in group}


def plan_waiting(ctx: FlowContext, change: Change) -> None:
    """Plan one change again now, as `retry` would."""
    with process_lock(f"record:{change.flow_id}:{change.source_id}", wait=5) as mine:
        if mine and Change.objects.filter(pk=change.pk, state=State.RETRYING).exists():
            _plan_again(ctx, [change], by_person=change.approved_by_id is not None)


def _plan_again(ctx: FlowContext, group: list[Change], *, by_person: bool) -> bool:
    """Plan a group of changes again; False when the rest should wait. One that cannot be planned, for a reason that is
    our fault, goes to a person and does not stop the others."""
    run = SyncRun.objects.create(
        flow=ctx.flow, integration=ctx.integration, trigger=SyncRun.Kind.REPLAY, state=SyncRun.State.DONE,
        mapping_set=ctx.mapping_set, user_id=group[0].approved_by_id,
    )  # fmt: skip
    initial = _as_decided(ctx, run, group, by_person=by_person)
    # A later generation was decided by a person, also after a credit: it is not matched with what is there.
    create = {
        change.source_id: change.generation for change in group if change.decision == "create" or change.generation > 1
    }
    ctx.may_be_made = _may_be_made(group)
    ctx.undo = {change.source_id: change.payload["undo"] for change in group if change.payload.get("undo")}
    ctx.asked = frozenset(change.source_id for change in group if change.lane == "interactive")
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
        if len(group) == 1 and isinstance(exception, IntegrityError) and group[0].attempts < MAX_ATTEMPTS:
            # A scan or a card planned the same record in this moment: look again when that is stored.
            Change.objects.filter(pk__in=pks).update(due_at=timezone.now() + A_MOMENT, attempts=F("attempts") + 1)
            return True
        if len(group) > 1:
            results = [_plan_again(ctx, [change], by_person=by_person) for change in group]  # every one gets its turn
            return all(results)
        _show_bug(group[0], exception)
        return True
    with transaction.atomic():  # planned again and nothing was left to do
        left = Change.objects.filter(pk__in=pks, state=State.RETRYING)
        move(left, State.SUPERSEDED, message="planned again: nothing left to do")
        _keep_together(run, group)
    close_run(run)
    return True


def _as_decided(ctx: FlowContext, run: SyncRun, group: list[Change], *, by_person: bool) -> InitialState:
    """How what is planned again begins. What a person approved goes out if it is still what they saw; what they asked
    to be retried goes out, unless it is over a limit or the flow is approved by hand; the rest is under the flow's
    policy and its brakes."""
    seen = {change.source_id: change for change in group if change.decision == APPROVED}
    usual = approve.policy(ctx, run, retried=by_person)
    decided = approve.policy(ctx, run, approved=True)

    asked = {change.source_id: change for change in group}
    waiting = _of_waiting_plans([change for change in group if change.decision == MATCHED])

    def initial(change: Change) -> State:
        before = asked[change.source_id]
        change.lane, change.actor, change.approved_by_id = before.lane, before.actor, before.approved_by_id
        if before.pk in waiting:
            change.approved_by_id = None
            return State.HELD  # its plan waits for a person, and so does what they decided about it
        if change.source_id not in seen:
            return usual(change)
        if _same(change, before):
            change.approved_at = before.approved_at
            return decided(change)
        approve.mark_moved(change, _("It is not what was approved any more."))
        return State.HELD

    return initial


def _of_waiting_plans(group: Sequence[Change], *, lock: bool = False) -> dict[int, int]:
    """The changes of `group` that belong to a plan that waits for approval, with its run; `lock`: and go on waiting
    until the end of the transaction."""
    runs = {change.run_id for change in group if change.run_id}
    rows = SyncRun.objects.filter(pk__in=runs, state=SyncRun.State.HELD).order_by("pk")
    rows = rows.select_for_update(of=("self",)) if lock else rows
    held = set(rows.values_list("pk", flat=True))
    return {change.pk: change.run_id for change in group if change.run_id is not None and change.run_id in held}


def _keep_together(run: SyncRun, group: Sequence[Change]) -> None:
    """What was planned again for a plan that still waits stays in that plan: there is one to look at and approve."""
    plans: dict[int, list[str]] = {}
    waiting = _of_waiting_plans(group, lock=True)  # or somebody approves the plan before this joins it, unseen
    for change in group:
        if change.pk in waiting:
            plans.setdefault(waiting[change.pk], []).append(change.source_id)
    for plan, ids in plans.items():
        stays = [State.HELD, State.REVIEW, State.SKIPPED]
        Change.objects.filter(run=run, source_id__in=ids, state__in=stays).update(run_id=plan)


def _same(now: Change, seen: Change) -> bool:
    """Whether the record is as a person saw it: itself and its lines, where that is known. What we wrote back into a
    related record in between is no change. An undo is one only as long as it puts something back."""
    if "undo" in seen.payload and (now.action != seen.action or "undo" not in now.payload):
        return False
    if now.mapping_set_id != seen.mapping_set_id:  # published anew: what counts is what would be written
        return _written(now) == _written(seen)
    if seen.core_fingerprint:
        return now.core_fingerprint == seen.core_fingerprint
    return now.source_fingerprint == seen.source_fingerprint


def _written(change: Change) -> tuple[object, ...]:
    names = ("fields", "lines", "links")
    return change.action, change.target_id, *(change.payload.get(name) for name in names)


def _show_bug(change: Change, exception: Exception) -> None:
    _show(change, as_bug(exception))


def _show(change: Change, bug: SyncError) -> None:
    """A record that could not be planned, with what a person needs to know."""
    with transaction.atomic():
        move(
            Change.objects.filter(pk=change.pk),
            State.REVIEW,
            message=bug.message,
            error_class=bug.error_class,
            error_code=bug.code,
            error_message=bug.message,
            error_fingerprint=error_fingerprint(bug.error_class, bug.code, bug.field, bug.value),
            problems=problems_of(bug),
            reason=in_every_language(bug.message),
        )
