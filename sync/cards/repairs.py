"""Carrying out what the checklist offers. The engine does it; here is only which of its functions is meant.

The invariant: who asked is kept, also when the person has no login here.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from sync import interactive, queue, repair
from sync.cards import checklist
from sync.models import Change, EntityLink


def carry_out(change: Change, name: str, value: str, *, actor: str, user: Any) -> None:
    """One repair that `checklist.offered` holds. Raises `ValueError` when it is no longer possible."""
    if name not in (checklist.LINK_TO, checklist.CREATE_NEW):
        interactive.repair(change, name, value, actor, user=user)
        return
    with transaction.atomic():
        if name == checklist.LINK_TO:
            repair.link_to(change, value, user)
            _signed(change, actor)
        else:
            repair.create_new(change, user, show=True)
        Change.objects.filter(pk=change.pk).update(lane=interactive.LANE, actor=actor)
        transaction.on_commit(lambda: queue.kick_change(change.pk))


def _signed(change: Change, actor: str) -> None:
    """The new link names the person at the card."""
    flow = change.flow
    EntityLink.objects.filter(
        integration_id=change.integration_id,
        **{f"{flow.source_side}_object": flow.source_object, f"{flow.source_side}_id": change.source_id},
        **{f"{flow.target_side}_object": flow.target_object},
    ).update(linked_by=actor)
