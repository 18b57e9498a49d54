"""Conflicts: why a plan for one record stops and asks a person, and what they may choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.errors import ErrorClass
from mappings import presets
from mappings.likeness import Likeness
from mappings.mapper import Problem
from mappings.merge import FieldDiff, Merged
from sync.engine.decided import CHOSEN
from sync.engine.likeness import parts_of
from sync.engine.match import Match
from sync.engine.problems import error_fingerprint, option_key, problem_row
from sync.models import Change
from sync.states import Action, State
from sync.texts import in_every_language, say
from sync.values import dump, show

MOST = 20
"""Candidates that are stored with a change."""

_LOCKED: Mapping[str, Any] = {
    "booked": _("it is booked as {detail}"),
    "cancelled": _("it is cancelled"),
    "sent": _("it was sent"),
    "paid": _("it is paid"),
}


def conflict(change: Change, code: str, message: object, candidates: Sequence[Record] = ()) -> Change:
    change.action, change.state = Action.CONFLICT, State.REVIEW
    change.reason = in_every_language(message)
    change.error_message = change.reason["en"]
    change.error_class, change.error_code = ErrorClass.CONFLICT, code
    change.error_fingerprint = error_fingerprint(ErrorClass.CONFLICT, code, change.match_rule, "")
    change.candidates = [_candidate(candidate) for candidate in candidates[:MOST]]
    return change


def _candidate(record: Record) -> dict[str, Any]:
    fields = {name: show(value) for name, value in record.fields.items() if value}
    return {"id": record.id, "title": record.title, "url": record.url, "fields": fields}


def ambiguous(change: Change, match: Match, scored: Sequence[tuple[Record, Likeness]]) -> Change:
    """Several records, only a suggestion, or one that is taken: a person decides; `scored` are the candidates, the most
    alike first."""
    _doubt(change, match)
    change.candidates = [
        {**_candidate(record), "score": found.score, "parts": parts_of(found)} for record, found in scored[:MOST]
    ]
    change.score = scored[0][1].score if scored else None
    return change


def chosen_gone(change: Change, name: str) -> Change:
    """The counterpart that a person chose is no longer there."""
    text = _("{name}, which was chosen as its counterpart, is no longer there. Choose another one.")
    return conflict(change, "chosen_gone", say(text, name=name))


def _doubt(change: Change, match: Match) -> Change:
    rule = rule_name(match.rule or match.claim)
    if match.taken_by:
        text = _("{rule} points to a record that belongs to {owner} already. Decide which of the two it is.")
        return conflict(change, "taken", say(text, rule=rule, owner=match.taken_by), match.candidates)
    if match.suggested:
        text = _("{rule} suggests records that may be the same ({count}). Choose one, or let a new one be created.")
        code = "suggested"
    else:
        text = _("{rule} finds several records ({count}). Choose the right one, or let a new one be created.")
        code = "ambiguous"
    return conflict(change, code, say(text, rule=rule, count=len(match.candidates)), match.candidates)


def made_before(change: Change, target_object: str, before: Change) -> Change:
    """The source was created at the target once already, whatever its own fields say now (RB30)."""
    text = _("It was created already, as {number}. Link it to that record, or decide that one more is wanted.")
    gone = Record(target_object, before.target_id, {}, title=before.target_title)
    return conflict(change, "created_before", say(text, number=before.target_id), [gone])


def locked(change: Change, how: str, merged: Merged) -> Change:
    kind, _colon, detail = how.partition(":")
    state = say(_LOCKED.get(kind, "{detail}"), detail=detail or how)
    text = _("{document} can no longer be changed: {state}. Credit it and create it anew, or leave it as it is.")
    conflict(change, "locked", say(text, document=change.target_id, state=state))
    change.diff = [diff_row(diff) for diff in merged.diffs]
    return change


def both_changed(change: Change, merged: Merged) -> Change:
    fields = ", ".join(diff.field for diff in merged.conflicts)
    conflict(
        change,
        "both_changed",
        say(_("Both sides changed {fields} since the last sync. Decide which value counts."), fields=fields),
    )
    change.diff = [diff_row(diff) for diff in merged.conflicts]
    return change


def blocked(change: Change, problems: Sequence[Problem]) -> Change:
    """The record does not fit: every problem is kept, the worst of them names the failure."""
    waits = [p for p in problems if p.error_class == ErrorClass.DEPENDENCY]
    worst = next((p for p in problems if p.error_class != ErrorClass.DEPENDENCY), problems[0])
    change.action, change.state = Action.BLOCKED, State.REVIEW
    change.problems = [problem_row(problem) for problem in problems]
    change.reason = {
        code: " ".join(row["message"][code] for row in change.problems) for code in change.problems[0]["message"]
    }
    change.error_class, change.error_code = worst.error_class, worst.code
    change.error_message, change.error_field, change.error_value = str(worst.message), worst.field, worst.value[:500]
    place = worst.field or str(worst.rule)
    change.error_fingerprint = error_fingerprint(worst.error_class, worst.code, place, str(worst.value))
    if not waits and worst.code == "option_unknown":
        change.waits_for = option_key(change.flow.target_object, worst.field, worst.value)[:200]
    return change


def rule_name(rule: str) -> object:
    """The rule as a person calls it; claims are `kind:value`."""
    if rule.startswith("orgnr:"):
        return say(_("Organisation number {number}"), number=rule.removeprefix("orgnr:"))
    if rule.startswith(CHOSEN):
        return say(_("the choice of {person}"), person=rule.removeprefix(CHOSEN))
    return presets.shown_rule_lazy(rule)


def why_linked(rule: str) -> object:
    """Why two records are the same, as a sentence."""
    if rule.startswith(CHOSEN):
        return say(_("Chosen by {person}."), person=rule.removeprefix(CHOSEN))
    return say(_("Found by: {rule}."), rule=rule_name(rule))


def diff_row(diff: FieldDiff) -> dict[str, Any]:
    """One field of a difference as it is stored."""
    return {"field": diff.field, "before": dump(diff.before), "after": dump(diff.after), "reason": str(diff.reason)}
