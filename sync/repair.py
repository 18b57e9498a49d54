"""What a person can do with a change that did not go through: retry it, decide a conflict, dismiss it with a reason.

A retry plans the record again from its source as it is now, so a repaired mapping or record counts at once. The
invariant: nothing that failed disappears without a name and a reason.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from sync import queue
from sync.engine import links
from sync.models import Change, ChangeQuerySet
from sync.states import State, move

UNDECIDED = ("suggested", "ambiguous", "taken", "target_gone")
"""Conflicts about which record is meant; a person may choose one, or a new one."""


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


def link_to(change: Change, target_id: str, user: Any) -> None:
    """A person decided that `target_id`, one of the candidates, is the counterpart: link the two and plan again.

    Raises `ValueError` when it is not a candidate, or belongs to another record by now.
    """
    flow = change.flow
    if change.state != State.REVIEW or target_id not in {str(row["id"]) for row in change.candidates}:
        raise ValueError(_("This record is not one of the candidates."))
    owner = links.by_target(flow, [target_id]).get(target_id)
    if owner is not None and links.source_id(flow, owner) != change.source_id:
        raise ValueError(_("It belongs to %(owner)s already.") % {"owner": owner})
    with transaction.atomic():
        if owner is None:
            link = links.new(flow, change.source_id, target_id)
            link.title, link.linked_by = change.source_title, str(user)[:200]
            link.save()
        retry(Change.objects.filter(pk=change.pk), user)


def create_new(change: Change, user: Any) -> None:
    """A person decided that no existing record is meant: plan again without matching. A link to a record that is gone
    is dissolved. Raises `ValueError` when there is nothing to decide."""
    if change.state != State.REVIEW or change.error_code not in UNDECIDED:
        raise ValueError(_("There is nothing to decide about this change."))
    with transaction.atomic():
        if change.error_code == "target_gone":
            for link in links.by_source(change.flow, [change.source_id]).values():
                link.delete()
        # A generation of its own: the reference of a create that the remote cannot deduplicate is used once.
        Change.objects.filter(pk=change.pk).update(decision="create", generation=F("generation") + 1)
        retry(Change.objects.filter(pk=change.pk), user)


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
