"""Deliver: send what is queued, in groups as big as the target allows, and hand each outcome to confirm.

Writes that our unique key makes repeatable go out in batches; a create that the target cannot deduplicate goes through
the intent protocol of `exactly_once`. No transaction is open while a request is under way. The invariant: a change is
`sending` in the database before the first byte leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from integrations.connector import Outcome, Write
from integrations.errors import AuthenticationFailed, RateLimited, SyncError
from sync.engine import exactly_once
from sync.engine.confirm import confirm
from sync.engine.context import FlowContext
from sync.engine.outcomes import as_bug
from sync.models import Change
from sync.states import Action, State, move
from sync.values import load_all

GROUP = 500


def deliver(ctx: FlowContext, *, ids: Sequence[int] | None = None, keep_going: Any = None) -> Counter[str]:
    """Deliver the flow's queued and due changes (or those of `ids`) until none is left or `keep_going()` is False.

    Returns counts by final state. Raises nothing for a single change's failure; a failure of the whole account
    (authentication, rate limit) ends the delivery and leaves the rest queued.
    """
    done: Counter[str] = Counter()
    tried: set[int] = set()  # creates that another process may hold stay queued: looked at once, not for ever
    while keep_going is None or keep_going():
        group = claim(ctx, ids, leave=tried)
        if not group:
            break
        once = [change for change in group if needs_intent(ctx, change)]
        tried.update(change.pk for change in once)
        batch = [change for change in group if not needs_intent(ctx, change)]
        halted = False
        for change in once:
            done += exactly_once.create(ctx, change)
        for outcomes in _send(ctx, batch):
            done += confirm(ctx, outcomes)
            halted = halted or any(isinstance(o.error, AuthenticationFailed | RateLimited) for _c, o in outcomes)
        if halted:
            break
    return done


def needs_intent(ctx: FlowContext, change: Change) -> bool:
    """Whether the target cannot deduplicate this write: a create without a unique key of ours."""
    return change.action == Action.CREATE and ctx.flow.target_object not in ctx.target.idempotent


def claim(
    ctx: FlowContext, ids: Sequence[int] | None = None, limit: int = GROUP, leave: Collection[int] = ()
) -> list[Change]:
    """Move up to `limit` due changes, without those of `leave`, to `sending` and return them.

    Creates that need an intent keep their state: `exactly_once` claims each under its own lock."""
    with transaction.atomic():
        due = Change.objects.deliverable().filter(flow=ctx.flow, replan=False).exclude(pk__in=leave)
        if ids is not None:
            due = due.filter(pk__in=ids)
        wanted = list(due.order_by("pk").values_list("pk", "action")[:limit])
        intents = [pk for pk, action in wanted if action == Action.CREATE and not _repeatable(ctx)]
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
