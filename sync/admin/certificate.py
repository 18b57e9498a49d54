"""The exactly-once certificate of a document that was created through the intent protocol (I-02).

It shows what the protocol stored, and concludes nothing on its own: the key, every attempt with its outcome, every
search with its exact matches. The invariant: a page without a certificate means the write was repeatable by nature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sync.admin import show
from sync.models import Change, SyncLogEntry
from sync.resend import request_hash
from sync.states import Action, State

SENT = f"→{State.SENDING}"
AFTER = (f"{State.SENDING}→", f"{State.UNKNOWN}→")


@dataclass(slots=True)
class Attempt:
    """One sending: when, and what was known of it afterwards."""

    number: int
    at: str
    outcomes: list[tuple[str, str, str]] = field(default_factory=list)


def _exact(moment: datetime) -> str:
    """A moment as it must read on paper, years later."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S %Z}"


def certificate(change: Change, entries: Sequence[SyncLogEntry]) -> dict[str, Any] | None:
    """What the certificate shows, from the change and its log (in any order); None when there is none to show."""
    if change.action != Action.CREATE or not change.remote_reference:
        return None
    names = dict(State.choices)
    attempts: list[Attempt] = []
    for entry in sorted(entries, key=lambda entry: entry.pk):
        if entry.event.endswith(SENT):
            attempts.append(Attempt(len(attempts) + 1, _exact(entry.at)))
        elif entry.event.startswith(AFTER) and attempts:
            state = entry.event.partition("→")[2]
            attempts[-1].outcomes.append((_exact(entry.at), str(names.get(state, state)), entry.message))
    return {
        "reference": change.remote_reference,
        "generation": change.generation,
        "document": show.outside(change.target_url, change.target_id) if change.target_id else "",
        "asked_by": change.actor or (str(change.approved_by) if change.approved_by else _("the flow's own policy")),
        "asked_at": _exact(change.approved_at or change.created_at),
        "hash": request_hash(change),
        "attempts": attempts,
        "searches": [_search(look, change) for look in change.verifications],
        "verdict": _verdict(change),
        "no_search": _("None was needed.") if change.state == State.APPLIED else _("None so far."),
    }


def _search(look: dict[str, Any], change: Change) -> dict[str, Any]:
    hits = int(look.get("hits", 0))
    text = ngettext("exactly %(n)d match", "exactly %(n)d matches", hits) % {"n": hits}
    return {"at": _exact(datetime.fromisoformat(look["at"])), "text": text, "hits": hits}


def _verdict(change: Change) -> str:
    if change.state == State.APPLIED and not change.verifications:
        return _("The answer to the request came, and names the document. No search was needed.")
    if change.state == State.APPLIED:
        return _("The answer was lost, and the document was found by its reference: it exists once.")
    if change.state in (State.UNKNOWN, State.SENDING):
        return _("Sent, and not yet known. It is searched for before anything else is done.")
    if change.state == State.REVIEW:
        return _("A person must decide. Nothing is sent meanwhile.")
    return _("Nothing was created under this reference so far.")
