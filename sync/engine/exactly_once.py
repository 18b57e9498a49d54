"""Creates that the remote cannot deduplicate: sent once, whatever fails in between.

Four parts, none optional: the change committed as `sending` with its remote reference before the call; a reference
that the remote can be searched for; a settle time before an unknown outcome is verified; and a lock that lives exactly
as long as the process that holds it, with a fence number in every update. The invariant: one intended document, one
document at the remote.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from integrations.connector import Outcome, Record
from integrations.errors import Conflict, OutcomeUnknown, SyncError
from integrations.locks import process_lock
from sync.engine.confirm import confirm
from sync.engine.context import FlowContext
from sync.engine.outcomes import as_bug
from sync.models import Change, SyncLogEntry
from sync.states import State, move

LOOK_AGAIN_AFTER = timedelta(seconds=60)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def reference(ctx: FlowContext, change: Change) -> str:
    """The remote reference of a create: derived from the source record and generation, never random, so that a
    restored database finds it again. `[a-z0-9-]`, at most 50 characters: `_` and `%` would be wildcards in a search."""
    source = f"{_base36(ctx.source_account.remote_id)}-{ctx.flow.source_object[0]}{_base36(change.source_id)}"
    body = f"lb1-{source}-{change.generation}"
    check = hashlib.sha256(f"{body}|{ctx.flow.slug}".encode()).hexdigest()[:4]
    return f"{body}-{check}"[:50]


def _base36(text: str) -> str:
    if not text.isdigit():
        return hashlib.sha256(text.encode()).hexdigest()[:12]
    number, digits = int(text), ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def create(ctx: FlowContext, change: Change) -> Counter[str]:
    """Send one create under its lock; returns the state it reached, or nothing when another process has it."""
    with process_lock(f"change:{change.pk}") as mine:
        if not mine:
            return Counter()
        sending = _intend(ctx, change)
        if sending is None:
            return Counter()
        outcome = _call(ctx, sending)
        return confirm(ctx, [(sending, outcome)])


def _intend(ctx: FlowContext, change: Change) -> Change | None:
    """Commit the intent: `sending`, the reference and the settle time, under a new fence."""
    now = timezone.now()
    with transaction.atomic():
        moved = move(
            Change.objects.filter(pk=change.pk, state=State.QUEUED),
            State.SENDING,
            message="sending",
            attempts=F("attempts") + 1,
            fence=F("fence") + 1,
            remote_reference=change.remote_reference or reference(ctx, change),
            sent_at=now,
            settle_until=now + timedelta(seconds=settings.SETTLE_SECONDS),
        )
    return Change.objects.get(pk=change.pk) if moved else None


def _call(ctx: FlowContext, change: Change) -> Outcome:
    from sync.engine.deliver import write_of

    try:
        return ctx.target.create(ctx.flow.target_object, write_of(change))
    except SyncError as error:
        return Outcome(key=str(change.pk), error=error)
    except Exception as exception:  # after the call began nobody knows what happened
        bug = as_bug(exception)
        return Outcome(key=str(change.pk), error=OutcomeUnknown(bug.message, code=bug.code))


def verify(ctx: FlowContext, change: Change) -> Counter[str]:
    """Search the remote for the reference of an unknown outcome, after its settle time.

    One exact hit: applied. None, twice, sixty seconds apart: sent once more. Unknown a second time, several hits, or a
    hit that was cancelled: a person decides.
    """
    with process_lock(f"change:{change.pk}") as mine:
        if not mine:
            return Counter()
        fresh = Change.objects.get(pk=change.pk)
        if fresh.state not in (State.UNKNOWN, State.SENDING) or not _settled(fresh):
            return Counter()
        if fresh.state == State.SENDING:  # the process that sent it died
            with transaction.atomic():
                move(Change.objects.filter(pk=fresh.pk, fence=fresh.fence), State.UNKNOWN, message="the sender died")
            fresh.state = State.UNKNOWN
        hits = _hits(ctx, fresh)
        _record_verification(fresh, len(hits))
        return _conclude(ctx, fresh, hits)


def _settled(change: Change) -> bool:
    return change.settle_until is not None and change.settle_until <= timezone.now()


def _hits(ctx: FlowContext, change: Change) -> list[Record]:
    marker = ctx.target.markers[ctx.flow.target_object]
    found = ctx.target.find(
        ctx.flow.target_object, marker, [change.remote_reference], lambda value: [value], lambda text: text, frozenset()
    )
    return found.get(change.remote_reference, [])


def _record_verification(change: Change, hits: int) -> None:
    change.verifications = [*change.verifications, {"at": timezone.now().isoformat(), "hits": hits}]
    Change.objects.filter(pk=change.pk, fence=change.fence).update(verifications=change.verifications)
    SyncLogEntry.objects.create(
        integration_id=change.integration_id, run_id=change.run_id, change=change, event="verified",
        message=f"searched for {change.remote_reference}: {hits} exact match(es)",
    )  # fmt: skip


def _conclude(ctx: FlowContext, change: Change, hits: list[Record]) -> Counter[str]:
    cancelled = ctx.target.cancelled.get(ctx.flow.target_object, "")
    if len(hits) == 1 and not hits[0].fields.get(cancelled):
        outcome = Outcome(key=str(change.pk), id=hits[0].id, created=True, returned=hits[0].fields, url=hits[0].url)
        return confirm(ctx, [(change, outcome)])
    if hits:
        text = f"{len(hits)} records carry the reference {change.remote_reference}, or it was cancelled."
        return _review(change, Conflict(text, code="reference_not_single", record=hits[0].id))
    looks = sum(1 for look in change.verifications if look["hits"] == 0)
    rows = Change.objects.filter(pk=change.pk, fence=change.fence)
    if looks % 2 == 1:
        rows.update(settle_until=timezone.now() + LOOK_AGAIN_AFTER)
        return Counter()
    if change.attempts > 1:
        return _review(change, OutcomeUnknown("The outcome was unknown twice.", code="unknown_twice"))
    with transaction.atomic():
        moved = move(rows, State.QUEUED, message="not found twice: sent once more", due_at=timezone.now())
    return Counter({str(State.QUEUED): len(moved)})


def give_up(change: Change) -> Counter[str]:
    """An unknown outcome at a target that cannot be searched for our reference: a person looks."""
    text = "The outcome is unknown, and the target cannot be searched for our reference."
    return _review(change, OutcomeUnknown(text, code="no_marker"))


def _review(change: Change, error: SyncError) -> Counter[str]:
    updates: dict[str, Any] = {
        "error_class": error.error_class,
        "error_code": error.code,
        "error_message": error.message,
    }
    with transaction.atomic():
        moved = move(
            Change.objects.filter(pk=change.pk, fence=change.fence), State.REVIEW, message=error.message, **updates
        )
    return Counter({str(State.REVIEW): len(moved)})
