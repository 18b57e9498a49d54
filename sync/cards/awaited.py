"""The other record that the one at the card waits for, such as the customer of a document, and where it stands.

The invariant: whoever asked for it to be created is told what became of that, also when nothing did.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from sync.cards import words
from sync.cards.summary import problem
from sync.models import Change
from sync.states import State


def trouble(change: Change, other: Change | None) -> dict[str, Any] | None:
    """Why `other`, which `change` waits for, does not come by itself, and what to do; None when nobody tried, or all is
    well."""
    if other is None:
        return None
    title = other.source_title or other.source_id
    reference = {"reference": f"#{other.pk}"}
    if other.state == State.HELD:
        message = _("%(record)s waits until somebody approves it.") % {"record": title}
        return {"message": message, "remedy": _("Somebody must approve it.")} | reference
    if other.state == State.REVIEW:
        cause, remedy = problem(other)
        return {"message": f"{title}: {cause}", "remedy": remedy} | reference
    if other.state == State.SKIPPED and other.updated_at >= change.updated_at:  # what came of asking for it
        return {"message": f"{title}: {words.said(other.reason)}", "remedy": ""} | reference
    return None
