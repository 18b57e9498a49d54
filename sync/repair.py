"""What a person can do with a change that did not go through: retry it, decide a conflict, dismiss it with a reason.

A retry plans the record again from its source as it is now, so a repaired mapping or record counts at once. The
invariant: nothing that failed disappears without a name and a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.errors import ErrorClass
from sync import queue
from sync.engine import aftermath, links, two_way
from sync.engine.follow_up import write_back
from sync.engine.problems import ALARMS
from sync.models import Change, ChangeQuerySet, Flow, SyncLogEntry
from sync.states import LOOK, Action, State, move

UNDECIDED = ("suggested", "ambiguous", "taken", "target_gone", "created_before", "claim_taken", "chosen_gone")
"""Conflicts about which record is meant; a person may choose one, or a new one."""
BOTH_CHANGED = "both_changed"
"""The conflict about which value counts; a person chooses, field by field."""


def retry(changes: ChangeQuerySet, user: Any) -> int:
    """Plan the changes again at once, those in review and those waiting to be retried; returns how many."""
    with transaction.atomic():
        changes.filter(state=State.REVIEW, decision=LOOK).update(decision="")  # now it shall go out
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


def plan_blocked_again(flow: Flow) -> int:
    """A setting or the filter changed: what a check stopped is planned again under the flow's policy. How many."""
    blocked = Change.objects.filter(flow=flow, state=State.REVIEW, action=Action.BLOCKED)
    with transaction.atomic():
        moved = move(
            blocked, State.RETRYING, message="the flow's settings changed", replan=True, approved_by=None,
            due_at=timezone.now(),
        )  # fmt: skip
        if moved:
            transaction.on_commit(lambda: queue.kick(queue.BULK))
    return len(moved)


def link_to(change: Change, target_id: str, user: Any) -> None:
    """A person decided that `target_id`, one of the candidates, is the counterpart: link the two and plan again.

    What would be written into a document is shown first, and waits for a press or an approval. Raises `ValueError` when
    it is not a candidate, or belongs to another record by now.
    """
    flow = change.flow
    if change.state != State.REVIEW or target_id not in {str(row["id"]) for row in change.candidates}:
        raise ValueError(_("This record is not one of the candidates."))
    owner = links.by_target(flow, [target_id]).get(target_id)
    if owner is not None and links.source_id(flow, owner) != change.source_id:
        raise ValueError(_("It belongs to %(owner)s already.") % {"owner": owner})
    row = Change.objects.filter(pk=change.pk)
    try:
        with transaction.atomic():
            if owner is None:
                link = links.new(flow, change.source_id, target_id)
                link.title, link.linked_by = change.source_title, str(user)[:200]
                link.save()
                write_back(flow, [target_id], lane=change.lane)
            if change.mapping_set is not None and change.mapping_set.promise_expression:
                _show(row, user, f"linked by {user or 'command'}")
            else:
                retry(row, user)
    except IntegrityError:
        raise ValueError(_("It was linked to another record in this moment. Look again.")) from None


def _show(row: ChangeQuerySet, user: Any, message: str) -> None:
    """Plan the record anew for a person to see; nothing goes out before they press."""
    move(
        row.filter(state=State.REVIEW), State.RETRYING, message=message, user=user,
        replan=True, decision=LOOK, attempts=0, due_at=timezone.now(), approved_by=None,
    )  # fmt: skip
    queue.kick(queue.BULK)


def may_link(change: Change) -> bool:
    """Whether a person may link the change to one of its candidates: nobody has decided which record is meant, or the
    target refused a create that may be repeated and named the records that are there."""
    if change.state != State.REVIEW or not change.candidates:
        return False
    named = change.action == Action.CREATE and not change.remote_reference
    return change.error_code in UNDECIDED or (named and change.error_class == ErrorClass.CONFLICT)


def create_new(change: Change, user: Any, *, show: bool = False) -> None:
    """A person decided that no existing record is meant: plan again without matching. A link to a record that is gone
    is dissolved. `show`: a document is shown first, and waits for a press. Raises `ValueError` when there is nothing to
    decide."""
    if change.state != State.REVIEW or change.error_code not in UNDECIDED:
        raise ValueError(_("There is nothing to decide about this change."))
    with transaction.atomic():
        if change.error_code == "target_gone":
            for link in links.by_source(change.flow, [change.source_id]).values():
                link.delete()
        # A generation of its own: the reference of a create that the remote cannot deduplicate is used once.
        made = Change.objects.filter(flow=change.flow, source_id=change.source_id, action=Action.CREATE)
        last = made.aggregate(last=Max("generation"))["last"] or 1
        row = Change.objects.filter(pk=change.pk)
        row.update(decision="create", generation=last + 1)
        if show and change.mapping_set is not None and change.mapping_set.promise_expression:
            _show(row, user, f"a new one was decided by {user or 'somebody at a card'}")
        else:
            retry(row, user)


def choose(change: Change, choices: Mapping[str, str], user: Any) -> None:
    """A person decided, per field that both sides changed, whose value counts: "source" or "target". The record is
    planned again, here and in the flow that goes the other way, and the value chosen goes to the other side.

    Raises `ValueError` when there is nothing to decide, or a field is left undecided.
    """
    flow = change.flow
    fields = {row["field"] for row in change.diff}
    if change.state != State.REVIEW or change.error_code != BOTH_CHANGED or not fields:
        raise ValueError(_("There is nothing to decide about this change."))
    if set(choices) != fields or not set(choices.values()) <= {"source", "target"}:
        raise ValueError(_("Choose a value for every field."))
    with transaction.atomic():
        link = links.by_source(flow, [change.source_id]).get(change.source_id)
        if link is None:
            raise ValueError(_("The two records are not linked any more. Retry instead."))
        two_way.decide(change, link, choices)
        link.save(update_fields=["agreed_crm", "agreed_ledger", "sent_crm", "sent_ledger", "agreed_under"])
        said = ", ".join(f"{name}: {choice}" for name, choice in sorted(choices.items()))
        SyncLogEntry.objects.create(
            integration_id=flow.integration_id, change=change, user=user, event="values chosen", message=said[:2000]
        )
        same = Change.objects.filter(
            integration_id=flow.integration_id, state=State.REVIEW, error_code=BOTH_CHANGED,
            flow__source_object=flow.target_object, flow__target_object=flow.source_object,
            source_id=links.target_id(flow, link),
        )  # fmt: skip
        retry(Change.objects.filter(pk__in=[change.pk, *same.values_list("pk", flat=True)]), user)


def dismiss(changes: ChangeQuerySet, user: Any, reason: str) -> int:
    """Close the changes without writing anything; `reason` is required and kept. Returns how many. What waited for the
    end of a dismissed act goes on.

    Raises `ValueError` without a reason.
    """
    reason = reason.replace("\x00", "").strip()
    if not reason:
        raise ValueError(_("Give the reason."))
    with transaction.atomic():
        moved = move(
            changes, State.DISMISSED, message=f"dismissed by {user}: {reason}", user=user, dismissed_reason=reason[:500]
        )
        # Beside an alarm of the night nothing else was planned, either.
        for row in Change.objects.filter(Q(action=Action.ACT) | Q(error_code__in=ALARMS), pk__in=moved):
            aftermath.given_up(row)
    return len(moved)
