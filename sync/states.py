"""The life of a Change, as a closed table: which state may follow which, and nothing else.

`planned → held | queued → sending → applied`; `sending → unknown → (verify) → applied | queued`; `sending → retrying →
queued`; `→ review → queued | dismissed`; `superseded` when a newer plan replaces an undelivered one. `skipped` ends a
plan that decided, with a reason, to write nothing. The invariant: a state changes only through `move`, by one
conditional UPDATE, and every move leaves its line in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from sync.bulk import insert_rows

if TYPE_CHECKING:
    from sync.models import ChangeQuerySet


class State(TextChoices):
    """Where a change is in its life."""

    PLANNED = "planned", _("Planned")
    HELD = "held", _("Waiting for approval")
    QUEUED = "queued", _("Queued")
    SENDING = "sending", _("Sending")
    UNKNOWN = "unknown", _("Being verified")
    RETRYING = "retrying", _("Will be retried")
    REVIEW = "review", _("Needs a person")
    APPLIED = "applied", _("Applied")
    SKIPPED = "skipped", _("Skipped")
    DISMISSED = "dismissed", _("Dismissed")
    SUPERSEDED = "superseded", _("Superseded")


class Action(TextChoices):
    """What a plan decided for one record."""

    CREATE = "create", _("Create")
    UPDATE = "update", _("Update")
    LINK = "link", _("Link")
    ACT = "act", _("Carry out")
    SKIP = "skip", _("Skip")
    CONFLICT = "conflict", _("Conflict")
    BLOCKED = "blocked", _("Blocked")


LOOK = "look"
"""The decision that marks a change which a card only looks at: it is planned, and waits until somebody presses."""

APPROVED = "approve"
"""The decision that marks a single approval until the record has been read again."""

OPEN = (State.PLANNED, State.HELD, State.QUEUED, State.SENDING, State.UNKNOWN, State.RETRYING, State.REVIEW)
"""States in which a change still wants something; at most one per flow and source record."""

REPLACEABLE = (State.PLANNED, State.HELD, State.QUEUED, State.RETRYING, State.REVIEW)
"""Open, and certainly nothing of it is on its way: a newer plan may supersede it."""

FINAL = (State.APPLIED, State.SKIPPED, State.DISMISSED, State.SUPERSEDED)

ALLOWED: dict[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.HELD, State.QUEUED, State.RETRYING, State.SUPERSEDED, State.DISMISSED}),
    State.HELD: frozenset({State.QUEUED, State.RETRYING, State.SUPERSEDED, State.DISMISSED, State.REVIEW}),
    State.QUEUED: frozenset(
        {State.SENDING, State.HELD, State.RETRYING, State.SUPERSEDED, State.REVIEW, State.DISMISSED}
    ),
    State.SENDING: frozenset({State.APPLIED, State.UNKNOWN, State.RETRYING, State.REVIEW, State.QUEUED}),
    State.UNKNOWN: frozenset({State.APPLIED, State.QUEUED, State.REVIEW}),
    State.RETRYING: frozenset({State.QUEUED, State.REVIEW, State.SUPERSEDED, State.DISMISSED, State.HELD}),
    State.REVIEW: frozenset({State.QUEUED, State.RETRYING, State.DISMISSED, State.SUPERSEDED, State.APPLIED}),
    State.APPLIED: frozenset(),
    State.SKIPPED: frozenset({State.SUPERSEDED}),
    State.DISMISSED: frozenset(),
    State.SUPERSEDED: frozenset(),
}


BATCH = 2_000


def sources_of(to: State) -> list[State]:
    """The states from which `to` may be reached."""
    return [state for state, following in ALLOWED.items() if to in following]


@transaction.atomic(savepoint=False)
def move(
    changes: ChangeQuerySet, to: State, *, message: str, user: Any = None, log: bool = True, **updates: Any
) -> list[int]:
    """Move those of `changes` that may go there to `to`, with `updates`, and log each; returns the ids that moved.

    The rows are locked, moved by one conditional UPDATE and logged together, in the caller's transaction or in its
    own. A row that another process moved first is simply not in the result. `log=False` is for the step of an
    idempotent batch into `sending`, which says nothing that its outcome does not say.
    """
    from sync.models import Change, SyncLogEntry

    rows = list(
        changes.filter(state__in=sources_of(to))
        .order_by("pk")
        .select_for_update(of=("self",))
        .values_list("pk", "state", "run_id", "integration_id")
    )
    if not rows:
        return []
    ids = [row[0] for row in rows]
    Change.objects.filter(pk__in=ids).update(state=to, **_stamped(to, updates))
    if log:
        insert_rows(
            SyncLogEntry(
                integration_id=integration_id,
                run_id=run_id,
                change_id=pk,
                user=user,
                event=f"{state}→{to}",
                message=message,
            )
            for pk, state, run_id, integration_id in rows
        )
    return ids


def move_all(changes: ChangeQuerySet, to: State, *, message: str, **updates: Any) -> int:
    """As `move`, without a line in the log for each, for a plan of any size: in batches, so that memory does not grow
    with it. `changes` must be filtered by a state that `to` ends. Returns how many moved."""
    from sync.models import Change

    total = 0
    while ids := list(changes.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        moved = move(Change.objects.filter(pk__in=ids), to, message=message, log=False, **updates)
        total += len(moved)
        if not moved:
            break
    return total


_TOLD = ExpressionWrapper(Q(to_tell=True) | ~Q(told=""), output_field=BooleanField())


def _stamped(to: State, updates: dict[str, Any]) -> dict[str, Any]:
    now = timezone.now()
    # What became of a record is told to it again at every step, where it is told at all.
    silent = to in (State.SUPERSEDED, State.DISMISSED)
    stamps: dict[str, Any] = {"updated_at": now, "to_tell": False if silent else _TOLD}
    if to in FINAL:
        stamps["finished_at"] = now
    return stamps | updates
