"""Just before a create goes out: is the source still what was planned?

A preview was shown, or a plan approved, some time ago. The record and its lines are read again, nothing else (the
related records are linked by id), and compared by the hash that the plan stored. The invariant: what is created is
what somebody saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from integrations.connector import Fields, Record
from integrations.errors import AuthenticationFailed, Missing, RateLimited, SyncError, Transient
from mappings.mapper import fingerprint
from sync.engine.context import FlowContext
from sync.engine.routing import split
from sync.models import Change
from sync.states import APPROVED, LOOK, State, move

FRESH = timedelta(seconds=60)
"""A plan this young, which nobody had to look at, is not read a second time."""


def core_fingerprint(ctx: FlowContext, record: Record) -> str:
    """Hash of what the mapping reads of the record itself and its lines."""
    return fingerprint(ctx.core, record)


def _reads(ctx: FlowContext) -> Fields:
    """What is read: what is compared, and what the routing rules look at."""
    wanted = dict(ctx.core.reads)
    for part, name in ctx.router.rules.reads if ctx.router and ctx.routed else ():
        if part != "source":
            wanted[part] = wanted.get(part, frozenset()) | {name}
    return wanted


def still_as_planned(
    ctx: FlowContext, changes: Sequence[Change]
) -> tuple[list[Change], list[tuple[Change, SyncError]]]:
    """Those of `changes` (queued creates) whose source is as it was, and those that cannot be read, with the reason.
    The others changed, and are planned again first.

    Remote calls: one load of those that need it. Raises `SyncError` when the source cannot be read at all.
    """
    old = timezone.now() - FRESH
    routes = ctx.routed and ctx.router is not None and not ctx.router.idle
    doubtful = {
        change.source_id: change
        for change in changes
        if (change.core_fingerprint or routes) and (change.lane == "interactive" or change.created_at < old)
    }
    if not doubtful:
        return list(changes), []
    refused: dict[str, SyncError] = {}
    moved: dict[str, str] = {}
    records: list[Record] = []
    for loaded in ctx.source.load(ctx.flow.source_object, list(doubtful), _reads(ctx)):
        if isinstance(loaded, Record):
            records.append(loaded)
            seen = doubtful[loaded.id].core_fingerprint
            if seen and core_fingerprint(ctx, loaded) != seen:
                moved[loaded.id] = "the source changed after it was planned"
        elif isinstance(loaded[1], Missing):
            moved[loaded[0]] = "the source is gone"
        elif isinstance(loaded[1], Transient | RateLimited | AuthenticationFailed):
            raise loaded[1]
        else:
            refused[loaded[0]] = loaded[1]
    still_here = {record.id for record in split(ctx, records).records}
    moved |= {record.id: "it belongs to another company now" for record in records if record.id not in still_here}
    for source_id, why in moved.items():
        change = doubtful[source_id]
        with transaction.atomic():
            move(
                Change.objects.filter(pk=change.pk, state=State.QUEUED),
                State.RETRYING,
                message=f"{why}: planned again",
                replan=True,
                # Whoever approved it saw something else.
                decision=LOOK if change.lane == "interactive" else APPROVED if change.approved_at else "",
                due_at=timezone.now(),
            )
    ready = [change for change in changes if change.source_id not in moved and change.source_id not in refused]
    return ready, [(doubtful[key], error) for key, error in refused.items()]
