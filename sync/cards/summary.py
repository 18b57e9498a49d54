"""What the card itself shows: from our own tables, at most six queries, never a remote call.

The invariant: whatever is wrong, the card says something true and has a button that leads further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.cards import CardCaller, Facts
from sync.cards import records, words
from sync.cards.records import Place
from sync.models import Change

STATES = {
    records.NONE: "unlinked",
    records.LOOKING: "unlinked",
    records.READY: "unlinked",
    records.BLOCKED: "unlinked",
    records.HELD: "working",
    records.WORKING: "working",
    records.VERIFYING: "verifying",
    records.REVIEW: "review",
    records.DONE: "linked",
    records.LOCKED: "locked",
}


def summary(caller: CardCaller) -> dict[str, Any]:
    """The card of the caller's record."""
    found = records.places(caller)
    place = records.chosen(found)
    if not found:
        return _not_set_up(caller)
    if place is None:
        return _several(caller, found)
    answer = _one(caller, place)
    return answer | _without_company(place) if records.unknown(found, place) else answer


def _without_company(place: Place) -> dict[str, Any]:
    """One portal, several companies in the ledger, and nobody knows yet which one: the routing rules say, once the
    record is looked at; or they do not, and the card says who can."""
    held = place.undecided
    value = _("No routing rule matches") if held else _("Chosen by the routing rules")
    label = _("See what to do") if held else _("Check the record")
    return {
        "company": None,
        "rows": [{"label": _("Company"), "value": value, "tone": "bad" if held else "info"}],
        "actions": [{"id": "open", "label": label, "primary": True}],
    }


def _one(caller: CardCaller, place: Place) -> dict[str, Any]:
    phase, known = place.phase, place.facts
    reason = why_not(place)
    underway = not reason and place.link is None and (phase == records.LOOKING or place.coming)
    shown = records.WORKING if underway and phase == records.BLOCKED else phase
    answer = {
        **_base(caller, _state(place, phase, underway=underway)),
        "connected": place.connected,
        "allowed": not reason,
        "company": {"name": place.company},
        "rows": _rows(place, known),
        "status": words.status_of(place, known, shown),
        "checklist": _checklist(place.change),
        "actions": [_action(place, phase, allowed=not reason)],
        "updatedAt": _updated(place).isoformat(),
    }
    if reason:
        answer["allowedReason"] = reason
    if place.link is not None:
        answer["number"] = place.link.ledger_id
    return answer | (_meanwhile(place, phase) if underway else _message(place, phase))


def _state(place: Place, phase: str, *, underway: bool) -> str:
    """One word for the card, which asks again by itself while it is "working" (`underway`: it is looked at, or what it
    needs is coming). What is linked stays linked while it is looked at again."""
    if underway:
        return "working"
    if place.link is not None and STATES[phase] == "unlinked":
        return "review" if phase == records.BLOCKED else "linked"
    return STATES[phase]


def _meanwhile(place: Place, phase: str) -> dict[str, str]:
    if phase == records.BLOCKED:
        return _said(_("What is missing is being created …"), "")
    return _said(_("Checking the record and %(ledger)s …") % {"ledger": place.system}, "")


def _base(caller: CardCaller, state: str) -> dict[str, Any]:
    return {
        "ok": True,
        "connected": caller.account.status == caller.account.Status.CONNECTED,
        "allowed": False,
        "kind": caller.object,
        "state": state,
        "company": None,
        "rows": [],
        "checklist": None,
        "actions": [],
        "updatedAt": timezone.now().isoformat(),
    }


def _not_set_up(caller: CardCaller) -> dict[str, Any]:
    text = _("This account is not set up to create records in a ledger.")
    return _base(caller, "unlinked") | {
        "allowedReason": text,
        "message": text,
        "remedy": _("Ask the consultant who connected the account to add this flow."),
    }


def _several(caller: CardCaller, found: Sequence[Place]) -> dict[str, Any]:
    """A record that several companies have: what there is of it in each, and a button to choose."""
    rows = []
    for place in (each for each in found if each.link is not None):
        label, tone = words.PHASES[place.phase]
        number = f" · {place.link.ledger_id}" if place.link else ""
        rows.append({"label": place.company, "value": f"{label}{number}", "tone": tone})
    linked = any(place.link for place in found)
    return _base(caller, "linked" if linked else "unlinked") | {
        "connected": any(place.connected for place in found),
        "allowed": any(place.on for place in found),
        "rows": rows,
        "actions": [{"id": "open", "label": _("Choose the company"), "primary": not linked}],
    }


def why_not(place: Place) -> str:
    """Why nothing may be created here now; "" when it may (R88, R94, RB31)."""
    if not place.connected:
        return _("The connection must be renewed first.")
    if not place.flow.enabled:
        return _("“%(flow)s” is switched off in the settings.") % {"flow": place.toggle}
    if not place.on:
        return _("This integration only observes: nothing is written.")
    return ""


def _rows(place: Place, known: Facts) -> list[dict[str, str]]:
    rows = []
    if place.link is not None:
        row = {"label": words.number_label(place.flow.target_object, place.system), "value": place.link.ledger_id}
        rows.append(row | ({"href": place.url} if place.url else {}))
    if known.organisation_number:
        text = words.organisation(known.organisation_number)
        label = _("Organization number from %(ledger)s") % {"ledger": place.system}
        rows.append({"label": label, "value": text})
    return rows + words.fact_rows(known)


def _checklist(change: Change | None) -> dict[str, Any] | None:
    if change is None or not change.checks:
        return None
    passed = sum(1 for row in change.checks if row.get("ok"))
    return {"passed": passed, "total": len(change.checks), "at": change.updated_at.isoformat()}


def _message(place: Place, phase: str) -> dict[str, str]:
    """What is wrong and what to do, in that order; empty while all is well."""
    change = place.change
    if not place.connected:
        return {
            "message": _("The connection between the CRM and %(ledger)s is broken.") % {"ledger": place.system},
            "remedy": _("Sign in again from the settings."),
        }
    if change is None:
        return {}
    if place.left_out:
        return _said(words.said(place.left_out), "")
    if phase == records.BLOCKED:
        first: dict[str, Any] = next((row for row in change.checks if not row.get("ok")), {})
        return _said(words.discreet(words.said(first.get("message")), change.checks), words.said(first.get("remedy")))
    if phase in (records.REVIEW, records.LOCKED):
        return _said(*problem(change))
    if phase == records.VERIFYING:
        return _said(_("The answer of %(ledger)s got lost. We are looking whether it was created.")
                     % {"ledger": place.system}, _("You need not do anything."))  # fmt: skip
    if phase == records.HELD:
        return _said(words.said(change.reason) or _("It waits for approval."), _("Somebody must approve it."))
    return {}


def problem(change: Change) -> tuple[str, str]:
    """(what is wrong, what to do) of a change that needs a person."""
    for row in change.problems:
        if isinstance(row, dict) and (text := words.said(row.get("message"))):
            return words.discreet(text, change.checks), words.said(row.get("remedy"))
    return words.discreet(change.error_message or words.said(change.reason), change.checks), ""


def _said(message: str, remedy: str) -> dict[str, str]:
    return {name: text[:1000] for name, text in (("message", message), ("remedy", remedy)) if text}


def _action(place: Place, phase: str, *, allowed: bool) -> dict[str, Any]:
    fresh = phase in (records.NONE, records.LOOKING, records.READY, records.BLOCKED)
    if fresh and allowed and place.link is None:
        return {"id": "open", "label": words.create_label(place.flow.target_object, place.system), "primary": True}
    wanting = phase in (records.REVIEW, records.LOCKED, records.BLOCKED)
    return {"id": "open", "label": _("See what to do") if wanting else _("Show details"), "primary": wanting}


def _updated(place: Place) -> Any:
    moments = [place.change.updated_at if place.change else None, place.link.synced_at if place.link else None]
    return max((at for at in moments if at), default=timezone.now())
