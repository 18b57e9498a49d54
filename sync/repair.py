"""What a person can do with a change that did not go through: retry it, dismiss it with a reason.

A retry plans the record again from its source as it is now, so a repaired mapping or record counts at once. The
invariant: nothing that failed disappears without a name and a reason.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from sync import queue
from sync.models import ChangeQuerySet
from sync.states import State, move


def retry(changes: ChangeQuerySet, user: Any) -> int:
    """Plan the changes again at once, those in review and those waiting to be retried; returns how many."""
    with transaction.atomic():
        moved = move(
            changes.filter(state=State.REVIEW),
            State.RETRYING,
            message=f"retried by {user or 'command'}",
            user=user,
            replan=True,
            attempts=0,
            due_at=timezone.now(),
            approved_by=user,
        )
        waiting = changes.filter(state=State.RETRYING).exclude(pk__in=moved)
        count = len(moved) + waiting.update(due_at=timezone.now())
        if count:
            queue.kick(queue.BULK)
    return count


def dismiss(changes: ChangeQuerySet, user: Any, reason: str) -> int:
    """Close the changes without writing anything; `reason` is required and kept. Returns how many.

    Raises `ValueError` without a reason.
    """
    reason = reason.strip()
    if not reason:
        raise ValueError("A reason is required.")
    with transaction.atomic():
        moved = move(
            changes, State.DISMISSED, message=f"dismissed by {user}: {reason}", user=user, dismissed_reason=reason[:500]
        )
    return len(moved)
