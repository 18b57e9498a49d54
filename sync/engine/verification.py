"""What became of a create whose outcome is unknown: the remote is searched for its reference.

One exact hit that is what we sent: applied. None, twice, a minute apart: sent once more. Unknown a second time, several
hits, a hit that was cancelled or differs from what we sent: a person decides. The invariant: what a search said and
what follows from it are stored in one transaction, under the fence of whoever searched.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from integrations.connector import Outcome, Record
from integrations.errors import (
    AuthenticationFailed,
    Conflict,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    SyncError,
    Transient,
)
from integrations.locks import process_lock
from mappings.merge import same
from sync.engine.confirm import confirm
from sync.engine.context import FlowContext
from sync.engine.failpoints import reach
from sync.engine.problems import error_fingerprint, problems_of
from sync.models import Change, SyncLogEntry
from sync.states import State, move
from sync.values import load_all, show

logger = logging.getLogger(__name__)

TOLERANCE = Decimal(1)
"""How far the total of a found document may at least be from the amount that was promised, for rounding."""


def verify(ctx: FlowContext, change: Change) -> Counter[str]:
    """Search the remote for the reference of an unknown outcome, or of a send whose process died, once it has settled.

    Returns the state it reached; nothing when another process has it, or when it must be looked at again. A search
    that fails is made again later; `AuthenticationFailed` and `RateLimited` are raised, because they concern all.
    """
    with process_lock(f"change:{change.pk}") as mine:
        if not mine:
            return Counter()
        reach("verify.locked")
        fresh = Change.objects.get(pk=change.pk)
        died = fresh.state == State.SENDING
        if fresh.state not in (State.UNKNOWN, State.SENDING) or not _settled(fresh) or not _taken_over(fresh):
            return Counter()
        reach("verify.before_search")
        try:
            hits = search(ctx, fresh)
            problem = problem_of(ctx, fresh, hits)
        except SyncError as error:
            wait = timedelta(seconds=error.retry_after or settings.LOOK_AGAIN_SECONDS / 4)
            Change.objects.filter(pk=fresh.pk, fence=fresh.fence).update(settle_until=timezone.now() + wait)
            logger.warning("change %s could not be verified: %s", fresh.pk, error.message)
            if isinstance(error, AuthenticationFailed | RateLimited):
                raise
            return Counter()
        reach("verify.searched")
        if hits:
            return adopt(ctx, fresh, hits, problem)
        return _not_found(fresh, died=died) if _still_found(ctx, fresh) else _too_late(fresh)


def _settled(change: Change) -> bool:
    return change.settle_until is not None and change.settle_until <= timezone.now()


def _taken_over(change: Change) -> bool:
    """The process that sent it died: from now on its fence is void. True when the change is ours."""
    if change.state == State.UNKNOWN:
        return True
    rows = Change.objects.filter(pk=change.pk, fence=change.fence, state=State.SENDING)
    with transaction.atomic():
        moved = move(rows, State.UNKNOWN, message="the sender died", fence=F("fence") + 1)
    change.state, change.fence = State.UNKNOWN, change.fence + 1
    return bool(moved)


def search(ctx: FlowContext, change: Change) -> list[Record]:
    """The target's records that carry the change's reference, compared exactly. Raises `SyncError`."""
    name = ctx.flow.target_object
    found = ctx.target.find(
        name, ctx.target.markers[name], [change.remote_reference], lambda value: [value], lambda text: text,
        frozenset(_verified(ctx)),
    )  # fmt: skip
    return found.get(change.remote_reference, [])


def _verified(ctx: FlowContext) -> tuple[str, ...]:
    """The fields by which the target tells whether a found document is the one we sent."""
    return ctx.target.verified.get(ctx.flow.target_object, ())


def read_error(error: SyncError) -> SyncError:
    """The error of a look-up before a create: nothing was written, so whatever it was may be tried again."""
    if isinstance(error, AuthenticationFailed | RateLimited | PermissionMissing):
        return error
    return Transient(error.message, code=error.code, retry_after=error.retry_after)


def adopt(
    ctx: FlowContext,
    change: Change,
    hits: Sequence[Record],
    problem: SyncError | None,
    *,
    before_sending: bool = False,
) -> Counter[str]:
    """Conclude a change whose reference was found: applied, or with a person because of the `problem`."""
    with transaction.atomic():
        _note(change, len(hits), before_sending=before_sending)
        reach("verify.before_commit")
        if problem is not None:
            counts = review(change, problem, hits)
        else:
            hit = hits[0]
            outcome = Outcome(key=str(change.pk), id=hit.id, created=True, returned=hit.fields, url=hit.url)
            counts = confirm(ctx, [(change, outcome)])
    reach("verify.committed")
    return counts


def problem_of(ctx: FlowContext, change: Change, hits: Sequence[Record]) -> SyncError | None:
    """Why a person must look at what was found; None when it is one live document and the one we sent. Raises
    `SyncError` when it could not be read."""
    if not hits:
        return None
    cancelled = ctx.target.cancelled.get(ctx.flow.target_object, "")
    name = change.remote_reference
    if len(hits) > 1:
        numbers = ", ".join(hit.id for hit in hits)
        logger.error("ALARM: %s records carry the reference %s: %s (INV1)", len(hits), name, numbers)
        text = f"{len(hits)} records carry the reference {name}: {numbers}."
        return Conflict(text, code="reference_not_single", record=hits[0].id, value=name)
    if hits[0].fields.get(cancelled):
        text = f"Record {hits[0].id} carries the reference {name}, and was cancelled."
        return Conflict(text, code="reference_cancelled", record=hits[0].id, value=name)
    different = _differences(ctx, change, hits[0])
    if different:
        text = f"Record {hits[0].id} carries the reference {name}, but differs: {'; '.join(different)}."
        return Conflict(text, code="found_differs", record=hits[0].id, value=name)
    return None


def _differences(ctx: FlowContext, change: Change, hit: Record) -> list[str]:
    """In what a found document cannot be the one we sent: its customer, its currency, its total."""
    sent = load_all(change.payload.get("fields", {}))
    found = [
        f"{name} is {hit.fields[name]}, sent was {sent[name]}"
        for name in _verified(ctx)
        if name in sent and name in hit.fields and not same(sent[name], hit.fields[name])
    ]
    wanted = ctx.target.totals_fields(ctx.flow.target_object) if change.amount is not None else {}
    if change.amount is None or not wanted:
        return found
    for loaded in ctx.target.load(ctx.flow.target_object, [hit.id], wanted):
        if isinstance(loaded, tuple):
            raise loaded[1]
        totals = ctx.target.totals(ctx.flow.target_object, loaded)
        amounts = (totals.net, totals.gross) if totals else ()
        allowed = max(TOLERANCE, Decimal(ctx.setting("tolerance", "1.00")))  # what the check of totals will allow
        if amounts and min(abs(amount - change.amount) for amount in amounts) > allowed:
            found.append(f"its total is {amounts[0]} ({amounts[1]} with VAT), promised were {change.amount}")
    return found


def _note(change: Change, hits: int, *, before_sending: bool = False) -> None:
    """Remember when the remote was searched and how many exact matches it had: the change's certificate."""
    look: dict[str, Any] = {"at": timezone.now().isoformat(), "hits": hits}
    change.verifications = [*change.verifications, look | ({"before": True} if before_sending else {})]
    if Change.objects.filter(pk=change.pk, fence=change.fence).update(verifications=change.verifications):
        SyncLogEntry.objects.create(
            integration_id=change.integration_id, run_id=change.run_id, change=change, event="verified",
            message=f"searched for {change.remote_reference}: {hits} exact match(es)",
        )  # fmt: skip


def _not_found(change: Change, *, died: bool = False) -> Counter[str]:
    """Nothing carries the reference: look once more, then send once more, then ask a person.

    Of a sender that died nobody knows when the request left: it may have been frozen after its last look. It holds its
    lock as long as it lives, so the settle time counts from now."""
    wait = settings.SETTLE_SECONDS if died else settings.LOOK_AGAIN_SECONDS
    with transaction.atomic():
        _note(change, 0)
        looks = sum(1 for look in change.verifications if look["hits"] == 0 and not look.get("before"))
        rows = Change.objects.filter(pk=change.pk, fence=change.fence)
        counts: Counter[str] = Counter()
        if looks % 2 == 1:
            rows.update(settle_until=timezone.now() + timedelta(seconds=max(wait, settings.LOOK_AGAIN_SECONDS)))
        elif looks % 4 == 2:
            moved = move(rows, State.QUEUED, message="not found twice: sent once more", due_at=timezone.now())
            counts[str(State.QUEUED)] = len(moved)
        else:
            counts = review(change, OutcomeUnknown("The outcome was unknown twice.", code="unknown_twice"))
        reach("verify.before_commit")
    reach("verify.committed")
    return counts


def _still_found(ctx: FlowContext, change: Change) -> bool:
    """Whether the target would find by its marker what the change made. Where it finds only what is new, "nothing" says
    nothing after a while."""
    limit = ctx.target.found_for.get(ctx.flow.target_object)
    return limit is None or change.sent_at is None or timezone.now() - change.sent_at < limit


def _too_late(change: Change) -> Counter[str]:
    text = "It was sent too long ago: what it may have made is no longer found by our reference."
    with transaction.atomic():
        _note(change, 0)
        return review(change, OutcomeUnknown(text, code="looked_too_late"))


def give_up(change: Change) -> Counter[str]:
    """An unknown outcome at a target that cannot be searched for our reference: a person looks."""
    text = "The outcome is unknown, and the target cannot be searched for our reference."
    return review(change, OutcomeUnknown(text, code="no_marker"))


def review(change: Change, error: SyncError, candidates: Sequence[Record] = ()) -> Counter[str]:
    """Hand the change to a person, with the records that they may link it to."""
    updates: dict[str, Any] = {
        "error_class": error.error_class,
        "error_code": error.code[:100],
        "error_message": error.message,
        "error_field": error.field[:200],
        "error_value": error.value[:500],
        "error_fingerprint": error_fingerprint(error.error_class, error.code, error.field, ""),
        "problems": problems_of(error),
    }
    if candidates:
        updates["candidates"] = [
            {
                "id": hit.id,
                "title": hit.title or hit.id,
                "url": hit.url,
                "fields": {name: show(value) for name, value in hit.fields.items() if value},
            }
            for hit in candidates[:20]
        ]
    with transaction.atomic():
        rows = Change.objects.filter(pk=change.pk, fence=change.fence)
        moved = move(rows, State.REVIEW, message=error.message, **updates)
    return Counter({str(State.REVIEW): len(moved)})
