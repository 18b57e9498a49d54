"""The button that asks for a new document in place of one that cannot be changed any more.

The invariant: who may not credit is never offered it, also where there is nothing left to credit.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from integrations.cards import CardCaller
from sync.cards import people, records
from sync.cards.records import Place


def another(caller: CardCaller, place: Place) -> bool:
    """Whether the person may decide that no existing record is meant. Where the record was created before, that makes
    one more of what cannot be taken back, and is for who may credit."""
    again = place.change is not None and place.change.error_code == "created_before"
    return not again or people.crediting(caller) is not None


def button(caller: CardCaller, place: Place, phase: str, reason: str) -> list[dict[str, Any]]:
    """One row of actions, or none: a locked document is credited first, one that was cancelled needs no credit."""
    if not (phase == records.LOCKED or place.cancelled) or people.crediting(caller) is None:
        return []
    if place.cancelled:
        label = _("Create again")
        asks = _("%(number)s was cancelled in %(ledger)s. A new document is prepared from the record as it is now.")
    else:
        label = _("Credit and create anew")
        asks = _("%(number)s is credited in full, and a new document is created from the record as it is now.")
    confirm = asks % {"number": place.link.ledger_id if place.link else "", "ledger": place.system}
    return [
        {"id": "credit_and_new", "label": label, "primary": True, "disabled": bool(reason), "why": "",
         "confirm": confirm},
    ]  # fmt: skip
