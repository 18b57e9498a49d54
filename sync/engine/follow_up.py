"""Writing back: what a flow created is told to the record it came from, through the flow that points the other way.

The follow-up is a change of its own, stored in the transaction that stores the link, so that neither exists without
the other; it is planned from the new record as the remote holds it, and its write may be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from sync.models import Change, Flow
from sync.states import Action, State
from sync.texts import in_every_language


def write_back(flow: Flow, target_ids: Sequence[str], *, lane: str = "bulk") -> None:
    """Ask the flow's follow-up to look at these records; one that is looking already is enough."""
    if not flow.follow_up or not target_ids:
        return
    # Also while that flow is off: it waits there, held and not lost.
    other = Flow.objects.filter(integration_id=flow.integration_id, slug=flow.follow_up).first()
    if other is None:
        return
    reason = _("It was written just now: its number and state go back to the source.")
    look_again(other, target_ids, reason, lane=lane)


def look_again(flow: Flow, ids: Sequence[str], reason: object, *, lane: str = "bulk") -> None:
    """Have these source records planned again; where something is open already, that is enough."""
    Change.objects.bulk_create(
        (
            Change(
                integration_id=flow.integration_id, flow=flow, action=Action.UPDATE, state=State.RETRYING, replan=True,
                source_id=source_id, source_title=source_id, lane=lane, reason=in_every_language(reason),
            )
            for source_id in ids
        ),
        ignore_conflicts=True,
    )  # fmt: skip
