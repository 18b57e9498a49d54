"""What the page shows, as data: checklist, preview beside the CRM's amount, progress, result, problem, buttons.

All sentences are made here, in the person's language; the script only lays them out. The invariant: a button is
offered exactly when the server would accept it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from integrations.cards import CardCaller
from sync.cards import anew, awaited, checklist, preview, records, words
from sync.cards.records import Place
from sync.cards.summary import problem, why_not
from sync.models import Change
from sync.states import LOOK, Action, State

FRESH = timedelta(seconds=60)
"""Checks older than this are made again when the page opens."""
POLL = {records.LOOKING: 800, records.WORKING: 800, records.VERIFYING: 2_500}
PRESSED = {
    "already": gettext_lazy("It is on its way already."),
    "changed": gettext_lazy("The record was changed meanwhile. Please look again and confirm."),
    "off": gettext_lazy("It is switched off in the settings."),
    "not_allowed": gettext_lazy("You may not do this."),
    "held": gettext_lazy("It is over a limit of this flow: somebody must approve it first."),
    "blocked": gettext_lazy("Something is missing. Please look at the conditions."),
    "verifying": gettext_lazy("It may exist already: we are looking for it in the ledger."),
}


def state(caller: CardCaller, wanted: object = None) -> dict[str, Any]:
    """Everything the page needs, for the integration that is wanted, or the only one."""
    found = records.places(caller)
    place = records.chosen(found, wanted)
    answer: dict[str, Any] = {
        "ok": True,
        "lang": (get_language() or "en").split("-")[0],
        "kind": caller.object,
        "integrations": _integrations(found, place),
        "poll": 0,
        "look": False,
        "actions": [],
    }
    if place is None:
        return answer | _nothing(found)
    answer |= _one(caller, place)
    return answer | _without_company(place) if records.unknown(found, place) else answer


def _without_company(place: Place) -> dict[str, Any]:
    """Before the routing rules were tried, and when none of them takes the record."""
    title = {"company": "", "heading": _("Which company?")}
    if place.undecided or place.change is not None:
        return title
    return title | {"intro": _("First we check to which company the record belongs.")}


def _integrations(found: Sequence[Place], place: Place | None) -> list[dict[str, Any]]:
    taken = [each for each in found if each.link is not None]
    if len(taken) < 2:
        return []
    rows = []
    for each in taken:
        label, tone = words.PHASES[each.phase]
        number = f" · {each.link.ledger_id}" if each.link else ""
        rows.append({
            "id": str(each.flow.integration_id), "name": each.company, "chosen": each is place,
            "status": {"label": f"{label}{number}", "tone": tone},
        })  # fmt: skip
    return rows


def _nothing(found: Sequence[Place]) -> dict[str, Any]:
    if found:
        return {
            "heading": _("Which company?"),
            "intro": _("Several companies have this record. Choose the one that is meant."),
        }
    return {
        "heading": _("Not set up"),
        "intro": _("This account is not set up to create records in a ledger."),
        "problem": {
            "message": _("There is no flow for this kind of record."),
            "remedy": _("Ask the consultant who connected the account to add this flow."),
        },
    }


def _one(caller: CardCaller, place: Place) -> dict[str, Any]:
    place.complete()
    phase, known, change = phase_of(place), place.facts, place.change
    reason, coming = why_not(place), place.coming
    off = reason and phase in (records.NONE, records.READY, records.BLOCKED)
    answer = {
        "integration": str(place.flow.integration_id),
        "heading": _heading(place, phase),
        "title": _title(place),
        "company": place.company,
        "phase": phase,
        "status": words.status_of(place, known, phase),
        "intro": "" if off else _("What is missing is being created …") if coming else _intro(place, phase),
        "off": reason,
        "fingerprint": fingerprint(change),
        "poll": POLL[records.WORKING] if coming else POLL.get(phase, 0),
        "look": not reason and not coming and _needs_look(caller, place, phase),
        "announce": _announce(place, phase),
    }
    if change is not None and phase not in _QUIET:
        if phase not in (records.WORKING, records.VERIFYING):
            repairs = not reason and not coming and phase in _REPAIRABLE
            answer["checklist"] = checklist.build(change, repairs=repairs, without=_without(caller, place))
        answer["preview"] = preview.build(place, change)
    if phase in (records.WORKING, records.VERIFYING):
        answer["progress"] = _progress(place, change, phase)
    if place.link is not None:
        answer["result"] = _result(caller, place)
    if change is not None and phase in (records.REVIEW, records.LOCKED):
        message, remedy = problem(change)
        answer["problem"] = {"message": message, "remedy": remedy, "reference": f"#{change.pk}"}
    elif change is not None and phase == records.BLOCKED and (trouble := awaited.trouble(change, place.awaited)):
        answer["problem"] = trouble
    answer["actions"] = _actions(caller, place, phase, reason)
    if off:
        answer["status"] = {"label": _("Not possible now"), "tone": "off"}
    return answer


_QUIET = (records.DONE, records.LOCKED)
"""Phases in which conditions and preview speak of nothing that is wanted now."""
_REPAIRABLE = (records.NONE, records.READY, records.BLOCKED, records.REVIEW, records.HELD)


def _without(caller: CardCaller, place: Place) -> set[str]:
    """Repairs that are not for this person, or not now; the server refuses them, too, and says why."""
    without = set() if anew.another(caller, place) else {checklist.CREATE_NEW}
    if place.change is not None and place.awaited is not None and place.awaited.state == State.HELD:
        codes = [str(row.get("code", "")) for row in place.change.checks]
        without |= {f"create_{code.removesuffix('_linked')}" for code in codes if code.endswith("_linked")}
    return without


def phase_of(place: Place) -> str:
    """Where the record stands, as the engine says it."""
    return place.phase


def fingerprint(change: Change | None) -> str:
    """What identifies the preview that the person sees; the engine compares it when the button is pressed."""
    return change.source_fingerprint if change is not None else ""


def offered(place: Place) -> set[tuple[str, str]]:
    """The repairs, with their values, that the page may ask for now."""
    if place.change is None or phase_of(place) not in _REPAIRABLE:
        return set()
    return checklist.offered(place.change)


def _needs_look(caller: CardCaller, place: Place, phase: str) -> bool:
    if phase not in (records.NONE, records.READY, records.BLOCKED) or not place.connected or place.link is not None:
        return False
    recent, change = timezone.now() - FRESH, place.change
    if change is not None and change.updated_at >= recent and (change.checks or change.candidates):
        return False
    # What a look found stands, also when that is nothing, or nothing new: to ask again at once would never end.
    asked = Change.objects.filter(flow=place.flow, source_id=caller.record_id, decision=LOOK, updated_at__gte=recent)
    return not asked.exists()


def _title(place: Place) -> str:
    """What the record is called, unless nobody has read it yet."""
    change, link = place.change, place.link
    named = change.source_title if change is not None and change.source_title != change.source_id else ""
    return named or (link.title if link is not None else "")


def _heading(place: Place, phase: str) -> str:
    if place.link is not None:
        return f"{words.number_label(place.flow.target_object, place.system)}: {place.link.ledger_id}"
    return words.create_label(place.flow.target_object, place.system)


def _intro(place: Place, phase: str) -> str:
    change = place.change
    if place.left_out:
        return words.said(place.left_out)
    if phase == records.READY and change is not None and change.action == Action.LINK:
        return _("%(ledger)s has it already: %(number)s, %(name)s. The two are linked; nothing is created.") % {
            "ledger": place.system, "number": change.target_id, "name": change.target_title or change.source_title,
        }  # fmt: skip
    texts = {
        records.NONE: _("First we check whether everything is in place."),
        records.LOOKING: _("Checking the record and %(ledger)s …") % {"ledger": place.system},
        records.READY: _("Everything is in place. This is what will be sent."),
        records.BLOCKED: _("Some things must be put right first."),
        records.WORKING: _("It is being created. You may close this window."),
        records.VERIFYING: _("The answer of %(ledger)s got lost. We are looking whether it was created; "
                             "it is never created twice.") % {"ledger": place.system},
        records.REVIEW: _("It was not finished. A person must look at it."),
        records.HELD: _("It waits until somebody approves it."),
        records.LOCKED: _("The document is locked in %(ledger)s and can no longer be changed.")
                        % {"ledger": place.system},
    }  # fmt: skip
    why = change.reason_text if phase == records.HELD and change is not None else ""
    return f"{why} {texts[phase]}" if why else texts.get(phase, "")


def _announce(place: Place, phase: str) -> str:
    """One sentence for screen readers whenever the phase changes."""
    if phase == records.DONE:
        return _sentence(place)
    return f"{words.PHASES[phase][0]}. {_intro(place, phase)}"


_SENTENCES = {
    "customer": gettext_lazy("Customer %(number)s in %(company)s"),
    "invoice": gettext_lazy("Invoice %(number)s in %(company)s"),
}


def _sentence(place: Place) -> str:
    """The plain sentence at the end."""
    number = place.link.ledger_id if place.link else ""
    known = place.facts
    parts = [words.STATUSES[known.status][0].lower()] if known.status else []
    total = words.money((known.values or {}).get("total"), str((known.values or {}).get("currency") or ""))
    change = place.change
    if not total and change is not None and change.amount is not None:
        total = words.money(change.amount, change.currency)
    template = _SENTENCES.get(place.flow.target_object) or gettext_lazy("%(number)s in %(company)s")
    text = str(template) % {"number": number, "company": place.company}
    return ", ".join([text, *map(str, parts), *([total] if total else [])]) + "."


def _create_label(place: Place) -> str:
    if place.link is not None:
        return _("Send the changes to %(ledger)s") % {"ledger": place.system}
    if (change := place.change) is not None and change.action == Action.LINK and change.state == State.PLANNED:
        return _("Link to %(number)s in %(ledger)s") % {"number": change.target_id, "ledger": place.system}
    return words.create_label(place.flow.target_object, place.system)


def _progress(place: Place, change: Change | None, phase: str) -> dict[str, Any]:
    sent = change is not None and change.sent_at is not None
    at = {"queued": 0, "retrying": 0, "sending": 1, "unknown": 2}.get(str(change.state) if change else "", 0)
    labels = [_("Waiting for its turn"), _("Being sent to %(ledger)s") % {"ledger": place.system}]
    labels.append(_("Being verified") if phase == records.VERIFYING else _("Number and amounts are checked"))
    steps = [
        {"label": label, "state": "done" if number < at else "current" if number == at else "later"}
        for number, label in enumerate(labels)
    ]
    note = ""
    if phase == records.VERIFYING and change is not None:
        since = change.sent_at if sent and change.sent_at else change.updated_at
        age = max(int((timezone.now() - since).total_seconds()), 0)
        note = _("Sent %(seconds)s s ago. Please do not create it by hand meanwhile.") % {"seconds": age}
    elif change is not None and change.state == "retrying":
        note = _("%(ledger)s could not be reached; it is tried again by itself.") % {"ledger": place.system}
    return {"heading": _("Progress"), "steps": steps, "note": note}


def _result(caller: CardCaller, place: Place) -> dict[str, Any]:
    link, known = place.link, place.facts
    if link is None:
        return {}
    rows = []
    if known.organisation_number:
        label = _("Organization number from %(ledger)s") % {"ledger": place.system}
        rows.append({"label": label, "value": words.organisation(known.organisation_number)})
    rows += words.fact_rows(known)
    if link.former:
        numbers = ", ".join(str(row.get("id") or row.get("number") or "") for row in link.former if row)
        rows.append({"label": _("Credited before"), "value": numbers})
    return {
        "sentence": _sentence(place),
        "facts": rows,
        "url": place.url,
        "urlLabel": _("Open in %(ledger)s") % {"ledger": place.system},
        "synced": _("As of %(when)s") % {"when": words.moment(link.synced_at)} if link.synced_at else "",
    }


def _actions(caller: CardCaller, place: Place, phase: str, reason: str) -> list[dict[str, Any]]:
    """The buttons at the foot of the page. While a create is verified there is none: nobody should try again."""
    if phase in (records.WORKING, records.VERIFYING):
        return []
    looking = phase == records.LOOKING
    rows: list[dict[str, Any]] = []
    fresh = phase in (records.NONE, records.LOOKING, records.READY, records.BLOCKED) and not place.left_out
    if fresh and (place.link is None or phase == records.READY):
        rows.append({
            "id": "create", "label": _create_label(place), "primary": True,
            "disabled": bool(reason) or phase != records.READY,
            "why": _("Put right what is marked above first.") if phase == records.BLOCKED and not reason else "",
        })  # fmt: skip
    rows += anew.button(caller, place, phase, reason)
    label = _("Refresh") if place.link is not None else _("Check again")
    still = looking or not place.connected
    rows.append({"id": "refresh", "label": label, "primary": False, "disabled": still, "why": ""})
    return rows
