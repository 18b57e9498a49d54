"""Deliver: send what is queued, in groups as big as the target allows, and hand each outcome to confirm.

Writes that our unique key makes repeatable go out in batches; a create that the target cannot deduplicate goes through
the intent protocol of `exactly_once`. No transaction is open while a request is under way. The invariant: a change is
`sending` in the database before the first byte leaves.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from integrations.connector import Outcome, Write
from integrations.errors import AuthenticationFailed, ErrorClass, RateLimited, SyncError
from integrations.locks import lock_session
from sync.engine import acts, exactly_once
from sync.engine.confirm import confirm
from sync.engine.context import FlowContext
from sync.engine.match import holders
from sync.engine.needs import NEED_MOVING, satisfy
from sync.engine.outcomes import as_bug, verdict
from sync.engine.outdated import send_back
from sync.engine.recheck import still_as_planned
from sync.engine.two_way import moved_at_target
from sync.models import Change, ChangeQuerySet
from sync.states import Action, State, move
from sync.values import load_all

GROUP = 500
logger = logging.getLogger(__name__)


def deliver(
    ctx: FlowContext, *, ids: Sequence[int] | None = None, keep_going: Any = None, full_rounds: bool = False
) -> Counter[str]:
    """Deliver the flow's queued and due changes (or those of `ids`) until none is left or `keep_going()` is False.
    With `full_rounds` what does not fill one of the target's rounds stays queued: more is to come.

    Returns counts by final state. Raises nothing for a single change's failure; a failure of the whole account
    (authentication, rate limit) ends the delivery and leaves the rest queued.
    """
    send_back(ctx, ids)
    done: Counter[str] = Counter()
    tried: set[int] = set()  # creates that another process may hold stay queued: looked at once, not for ever
    size = max(GROUP, ctx.target.round)
    while keep_going is None or keep_going():
        if full_rounds and ctx.target.round > _deliverable(ctx).count():
            break
        group = claim(ctx, ids, limit=size, leave=tried)
        if not group:
            break
        acts_ = [change for change in group if change.action == Action.ACT]
        once = [change for change in group if needs_intent(ctx, change)]
        batch = [change for change in group if change.action != Action.ACT and not needs_intent(ctx, change)]
        tried.update(change.pk for change in (*once, *acts_))
        halted = not _create_each(ctx, once, done, keep_going)
        for change in acts_:
            done += acts.carry_out(ctx, change)
        done += confirm(ctx, [(change, _only_linked(change)) for change in batch if not writes(change)])
        batch = _completed(ctx, [change for change in batch if writes(change)], done)
        batch = _still_wanted(ctx, batch)
        for outcomes in _send(ctx, batch):
            done += confirm(ctx, outcomes)
            halted = halted or any(isinstance(o.error, AuthenticationFailed | RateLimited) for _c, o in outcomes)
        if halted:
            break
    return done


def _still_wanted(ctx: FlowContext, batch: Sequence[Change]) -> list[Change]:
    """The batch without what a person at the target has changed meanwhile: that is planned again, and asked about."""
    try:
        moved = {change.pk for change in moved_at_target(ctx, batch)}
    except SyncError as error:
        logger.warning("what waited in flow %s could not be compared: %s", ctx.flow.pk, error.code)
        moved = {change.pk for change in batch if change.approved_at}
    if moved:
        move(
            Change.objects.filter(pk__in=moved), State.RETRYING, message="changed at the target meanwhile",
            replan=True, approved_by=None, approved_at=None, due_at=timezone.now() + timedelta(seconds=1),
        )  # fmt: skip
    return [change for change in batch if change.pk not in moved]


def _create_each(ctx: FlowContext, changes: Sequence[Change], done: Counter[str], keep_going: Any) -> bool:
    """Creates that must not be repeated, one by one: looked at once more, completed, sent. False when the account as a
    whole stops us, the source cannot be read, or the time is spent."""
    if not changes:
        return True
    try:
        ready, refused = still_as_planned(ctx, changes)
    except SyncError as error:
        wait = timedelta(seconds=getattr(error, "retry_after", None) or 30)
        Change.objects.filter(pk__in=[c.pk for c in changes], state=State.QUEUED).update(due_at=timezone.now() + wait)
        return False
    ctx.claim_lookup = lambda change: holders(ctx, change.claim)
    for change, reason in refused:
        done += _stopped(ctx, change, reason)
    with lock_session():
        for number, change in enumerate(ready):
            if number and keep_going is not None and not keep_going():
                return False
            done += _create(ctx, change)
    return True


def _create(ctx: FlowContext, change: Change) -> Counter[str]:
    """One of them."""
    reason = _completing(ctx, change)
    return exactly_once.create(ctx, change) if reason is None else _stopped(ctx, change, reason)


def _completed(ctx: FlowContext, batch: Sequence[Change], done: Counter[str]) -> list[Change]:
    """The batch without what could not be had what it needs: a document may be given to a customer, or get an article,
    that the target does not have yet."""
    ready = []
    for change in batch:
        reason = _completing(ctx, change)
        if reason is None:
            ready.append(change)
        else:
            done += _stopped(ctx, change, reason)
    return ready


def _completing(ctx: FlowContext, change: Change) -> SyncError | None:
    """Why what the change needs cannot be had, or None; a fault of ours concerns this one alone."""
    try:
        return satisfy(ctx, change)
    except Exception as exception:
        logger.exception("what change %s needs could not be had", change.pk)
        return as_bug(exception)


def _wait(change: Change, due: datetime) -> None:
    """Nothing was sent: it is looked at again then, and what was claimed for sending is queued again."""
    rows = Change.objects.filter(pk=change.pk, fence=change.fence)
    rows.filter(state=State.QUEUED).update(due_at=due)
    with transaction.atomic():
        move(
            rows.filter(state=State.SENDING), State.QUEUED, message="waits for what it needs", log=False, due_at=due,
            attempts=max(change.attempts - 1, 0), sent_at=None,
        )  # fmt: skip


def _stopped(ctx: FlowContext, change: Change, error: SyncError) -> Counter[str]:
    """Something that the document needs could not be had: nothing of it was sent."""
    if error.code == NEED_MOVING:  # somebody is at it: this one is looked at again in a moment
        _wait(change, timezone.now() + timedelta(seconds=5))
        return Counter()
    change.attempts += change.state == State.QUEUED  # what was claimed for sending is counted already
    decided = verdict(change, error, repeatable=True)
    updates = {"attempts": change.attempts, **decided.updates}
    if error.error_class == ErrorClass.DEPENDENCY:
        needed = next((need for need in change.payload.get("needs", ()) if need.get("source") == error.value), None)
        updates["waits_for"] = f"{needed['flow']}:{error.value}"[:200] if needed else ""
    if decided.state == State.QUEUED:
        _wait(change, updates.get("due_at") or timezone.now() + timedelta(seconds=30))
        return Counter()
    with transaction.atomic():
        rows = Change.objects.filter(pk=change.pk, fence=change.fence, state__in=[State.QUEUED, State.SENDING])
        moved = move(rows, decided.state, message=decided.message[:2000], **updates)
    return Counter({str(decided.state): len(moved)})


def writes(change: Change) -> bool:
    """Whether delivering the change asks anything of the remote; a mere link does not."""
    payload = change.payload
    wanted = payload.get("fields") or payload.get("lines") is not None or payload.get("links")
    return change.action != Action.LINK or bool(wanted)


def _only_linked(change: Change) -> Outcome:
    return Outcome(key=str(change.pk), id=change.target_id, created=False, url=change.target_url)


def needs_intent(ctx: FlowContext, change: Change) -> bool:
    """Whether the target cannot deduplicate this write: a create without a unique key of ours."""
    return change.action == Action.CREATE and ctx.flow.target_object not in ctx.target.idempotent


def claim(
    ctx: FlowContext, ids: Sequence[int] | None = None, limit: int = GROUP, leave: Collection[int] = ()
) -> list[Change]:
    """Move up to `limit` due changes, without those of `leave`, to `sending` and return them.

    Acts and creates that need an intent keep their state: each is claimed under its own lock."""
    with transaction.atomic():
        due = _deliverable(ctx).exclude(pk__in=leave)
        if ids is not None:
            due = due.filter(pk__in=ids)
        wanted = list(due.order_by("pk").values_list("pk", "action")[:limit])
        intents = [
            pk for pk, action in wanted if action == Action.ACT or (action == Action.CREATE and not _repeatable(ctx))
        ]
        now = timezone.now()
        moved = move(
            Change.objects.filter(pk__in=[pk for pk, _a in wanted if pk not in set(intents)]),
            State.SENDING,
            message="",
            log=False,
            attempts=F("attempts") + 1,
            fence=F("fence") + 1,
            sent_at=now,
            settle_until=now + timedelta(seconds=settings.SETTLE_SECONDS),
        )
    return list(Change.objects.filter(pk__in=[*moved, *intents]).order_by("pk"))


def _deliverable(ctx: FlowContext) -> ChangeQuerySet:
    return Change.objects.deliverable().filter(flow=ctx.flow, replan=False)


def _repeatable(ctx: FlowContext) -> bool:
    return ctx.flow.target_object in ctx.target.idempotent


def _send(ctx: FlowContext, changes: Sequence[Change]) -> Iterator[list[tuple[Change, Outcome]]]:
    """Send the batch; yields outcomes in groups as the connector finishes them."""
    if not changes:
        return
    by_key = {str(change.pk): change for change in changes}
    waiting = dict(by_key)
    ready: list[tuple[Change, Outcome]] = []
    try:
        for outcome in ctx.target.upsert(ctx.flow.target_object, [write_of(change) for change in changes]):
            ready.append((waiting.pop(outcome.key), outcome))
            if len(ready) >= 100:
                yield ready
                ready = []
    except SyncError as error:
        ready += [(change, Outcome(key=key, error=error)) for key, change in waiting.items()]
        waiting = {}
    except Exception as exception:  # the one place that turns our own faults into classified outcomes
        ready += [(change, Outcome(key=key, error=as_bug(exception))) for key, change in waiting.items()]
        waiting = {}
    missing = SyncError("The connector gave no outcome for this write.", code="no_outcome")
    ready += [(change, Outcome(key=key, error=missing)) for key, change in waiting.items()]
    if ready:
        yield ready


def write_of(change: Change) -> Write:
    """The connector's view of a change's payload."""
    payload = change.payload
    lines = payload.get("lines")
    unique = payload.get("unique")
    return Write(
        key=str(change.pk),
        id=change.target_id,
        fields=load_all(payload.get("fields", {})),
        unique=(unique[0], unique[1]) if unique else None,
        lines=[load_all(line) for line in lines] if lines is not None else None,
        links=payload.get("links", {}),
        marker=change.remote_reference,
    )
