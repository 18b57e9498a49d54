"""What was planned with a version of the mapping that is not in force any more.

A run finishes with the version it began with, as long as its process works at it. What it leaves queued is planned
again with the version in force before it may go out; what it leaves held, when it is approved (`release_held`). The
invariant: no write leaves that was planned by a version which had been replaced when the delivery began; what a
person approved is shown to them again if it would be different.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q
from django.utils import timezone

from sync.engine.context import FlowContext
from sync.engine.store import WRITES
from sync.models import Change, ChangeQuerySet
from sync.states import APPROVED, BATCH, LOOK, State, move


def outdated(ctx: FlowContext, state: State) -> ChangeQuerySet:
    """Writes of the flow in this state that an earlier version planned; not those that may have been sent already:
    their outcome is found out first, with the reference they were sent with."""
    earlier = Q(mapping_set__version__lt=ctx.mapping_set.version)
    return Change.objects.filter(earlier, flow=ctx.flow, state=state, action__in=WRITES, remote_reference="")


def send_back(ctx: FlowContext, ids: Sequence[int] | None = None) -> int:
    """Queued changes of an earlier version are planned again instead of sent; returns how many. One query when none is.

    What a person approved goes out if it is still what they saw (see `again`), else they see it once more. What a card
    asked for is shown on the card.
    """
    rows = outdated(ctx, State.QUEUED)
    if ids is not None:
        rows = rows.filter(pk__in=list(ids))
    moved = 0
    while found := list(rows.order_by("pk").values_list("pk", "lane", "approved_by_id")[:BATCH]):
        now = _plan_again(ctx, found)
        moved += now
        if not now:
            break
    return moved


def _plan_again(ctx: FlowContext, found: Sequence[tuple[int, str, int | None]]) -> int:
    """Have these changes (key, lane, who approved) planned again; returns how many were still queued."""
    moved = 0
    for decision, wanted in (
        (LOOK, [pk for pk, lane, _person in found if lane == "interactive"]),
        (APPROVED, [pk for pk, lane, person in found if lane != "interactive" and person is not None]),
        ("", [pk for pk, lane, person in found if lane != "interactive" and person is None]),
    ):
        if wanted:
            moved += len(
                move(
                    Change.objects.filter(pk__in=wanted, state=State.QUEUED), State.RETRYING, replan=True,
                    decision=decision, due_at=timezone.now(),
                    message=f"planned with another version; version {ctx.mapping_set.version} is in force",
                )
            )  # fmt: skip
    return moved
