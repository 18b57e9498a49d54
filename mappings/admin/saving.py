"""Saving a draft that somebody else may have saved meanwhile.

The form carries the revision it was opened with and what every row said then. When the stored revision is another one,
both are put together (`mappings.editor_merge`): what only one of them changed is taken, what both changed is shown with
both texts, and the form waits until each of these has been decided. The invariant: a save that was opened before
another one never passes unseen; the last look is under a lock of the row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from mappings.editor_merge import PLACE, Merged, Posted, Values, different, merge, moved
from mappings.models import FieldMapping, MappingSet
from mappings.models.versions import RULES

MAX_BASE = 1_000_000
MAX_FORMS = 1_000
OWN = "set"
"""The prefix under which the fields of the mapping set itself are compared, each as a row of its own."""
FIELDS = (
    "name", "slug", "note", "unique_field", "unique_expression", "line_unique_field", "line_unique_expression",
    "title_expression", "promise_expression", "promise_currency_expression",
)  # fmt: skip

ORDERED = frozenset(RULES) - {"field_mappings"}
"""Rules whose order decides: which is tried first, which problem is met first. Of field rows it is only for the eye."""

State = dict[str, dict[str, Values]]


@dataclass(frozen=True, slots=True)
class Decision:
    """One row, or field of the mapping, that two people changed. `choice` names the form's radio buttons."""

    choice: str
    name: str
    anchor: str
    mine: list[tuple[str, str]]
    theirs: list[tuple[str, str]]
    removed_by_me: bool = False
    removed_by_them: bool = False
    chosen: str = ""


@dataclass(slots=True)
class Meeting:
    """What came of two saves: whose was there first, what was taken over, what is still to be decided."""

    mapping_set: MappingSet
    state: State
    taken: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, what was done ("changed", "added"), anchor."""
    decisions: list[Decision] = field(default_factory=list)


def columns(model: type[models.Model]) -> list[str]:
    """The fields of a rule that a person edits."""
    return [f.name for f in model._meta.fields if f.editable and not f.primary_key and f.name != "mapping_set"]


def text(value: object) -> str:
    """A stored value as a form posts it."""
    if isinstance(value, bool):
        return "on" if value else ""
    return "" if value is None else str(value)


def state_of(mapping_set: MappingSet, rows: Mapping[str, Iterable[Any]] | None = None) -> State:
    """What is stored, as texts by prefix and id. `rows` by prefix, where they have been read already."""
    state: State = {OWN: {name: {name: text(getattr(mapping_set, name))} for name in FIELDS}}
    for prefix in RULES:
        found = rows[prefix] if rows is not None else getattr(mapping_set, prefix).all()
        state[prefix] = {str(row.pk): _values(row) for row in found if row.pk}
    return state


def _values(row: models.Model) -> Values:
    fields = {field.name: field for field in row._meta.fields}
    return {name: text(fields[name].value_from_object(row)) for name in columns(type(row))}


def read_base(data: Mapping[str, Any]) -> State | None:
    """What the form was opened with, as it says itself; None when it does not. Believed for comparing only."""
    raw = data.get("editor_base", "")
    try:
        base = json.loads(raw) if 0 < len(raw) <= MAX_BASE else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(base, dict):
        return None
    return {
        prefix: {str(key): _texts(row) for key, row in rows.items() if isinstance(row, dict)}
        for prefix, rows in base.items()
        if isinstance(rows, dict)
    }


def _texts(row: Mapping[str, Any]) -> Values:
    return {str(name): value for name, value in row.items() if isinstance(value, str)}


def posted_rows(data: QueryDict, prefix: str, names: list[str]) -> list[Posted]:
    """The rows of one formset as they were posted; forms without anything in them are left out."""
    try:
        total = min(int(data.get(f"{prefix}-TOTAL_FORMS", 0)), MAX_FORMS)
    except ValueError:
        total = 0
    rows = []
    for number in range(max(total, 0)):
        here = f"{prefix}-{number}-"
        values = {name: data.get(here + name, "") for name in names}
        id_ = data.get(f"{here}id", "")
        if id_ or any(values[n] for n in ("expression", "target_field", "label", "name") if n in values):
            rows.append(Posted(id_, values, bool(data.get(f"{here}DELETE"))))
    return rows


def settle(request: HttpRequest, mapping_set: MappingSet) -> Meeting | None:
    """Puts the posted form and what is stored together; None when the form is the only one. Changes `request.POST`."""
    data = request.POST.copy()
    revision = data.get("editor_revision")
    base = read_base(data)
    if revision is None or base is None:
        return None  # not our form: the row's own checks decide
    _take_theirs(data, base)
    undecided = _undecided(data)
    if revision == str(mapping_set.revision) and not undecided:
        data["editor_decisions"] = ""
        request.POST = data  # type: ignore[assignment]
        return None
    meeting = Meeting(mapping_set, state_of(mapping_set))
    if revision == str(mapping_set.revision):
        _ask_again(data, undecided, meeting)
    else:
        for choice in undecided:  # without a base, both texts are there to be decided once more
            prefix, _dash, rest = choice.partition("-")
            base.get(prefix, {}).pop(rest if prefix == OWN else data.get(f"{choice}-id", ""), None)
        _settle_fields(data, base, meeting)
        for prefix in RULES:
            if f"{prefix}-TOTAL_FORMS" in data:
                _settle_rows(data, prefix, base.get(prefix, {}), meeting)
    data["editor_decisions"] = ",".join(decision.choice for decision in meeting.decisions)
    request.POST = data  # type: ignore[assignment]
    return meeting


def _ask_again(data: QueryDict, undecided: list[str], meeting: Meeting) -> None:
    for choice in undecided:
        prefix, _dash, rest = choice.partition("-")
        if prefix == OWN and rest in FIELDS:
            mine, theirs = {rest: str(data.get(rest, ""))}, meeting.state[OWN][rest]
            _tell_field(meeting, Merged(rest, mine, note="both", theirs=theirs))
        elif prefix in RULES and rest.isdecimal():
            model = getattr(meeting.mapping_set, prefix).model
            values = {name: data.get(f"{choice}-{name}", "") for name in columns(model)}
            id_ = data.get(f"{choice}-id", "")
            row = Merged(id_, values, bool(data.get(f"{choice}-DELETE")), "both", meeting.state[prefix].get(id_))
            _tell(meeting, choice, row, model)


def typed_rows(request: HttpRequest, limit: int = 20) -> list[str]:
    """The field rows of a form that differ from what it was opened with, in words."""
    base = (read_base(request.POST) or {}).get("field_mappings", {})
    rows = posted_rows(request.POST, "field_mappings", columns(FieldMapping))
    changed = [row.values for row in rows if row.id not in base or different(row.values, base[row.id])]
    return [f"{values['target_field']} ← {values['expression']}"[:200] for values in changed[:limit]]


def _undecided(data: QueryDict) -> list[str]:
    asked = [choice for choice in data.get("editor_decisions", "").split(",") if choice]
    return [choice for choice in asked if data.get(f"choice-{choice}") not in ("mine", "theirs")]


def _take_theirs(data: QueryDict, base: State) -> None:
    """Rows and fields for which the other's text was chosen: as they stood on the page, which is the form's base."""
    for choice in data.get("editor_decisions", "").split(","):
        if data.get(f"choice-{choice}") != "theirs":
            continue
        prefix, _dash, rest = choice.partition("-")
        row = base.get(prefix, {}).get(rest if prefix == OWN else data.get(f"{choice}-id", ""))
        if row is None:
            data[f"{choice}-DELETE"] = "on"  # they removed it
            continue
        data.pop(f"{choice}-DELETE", None)
        for name, value in row.items():
            if name != PLACE or prefix in ORDERED:
                data[name if prefix == OWN else f"{choice}-{name}"] = value


def _settle_fields(data: QueryDict, base: State, meeting: Meeting) -> None:
    mine = [Posted(name, {name: str(data[name])}) for name in FIELDS if name in data]
    theirs = {row.id: meeting.state[OWN][row.id] for row in mine}
    for row in merge(base.get(OWN, {}), mine, theirs):
        if row.note == "theirs":
            data[row.id] = row.values[row.id]
        _tell_field(meeting, row)


def _tell_field(meeting: Meeting, row: Merged) -> None:
    label = str(MappingSet._meta.get_field(row.id).verbose_name)  # type: ignore[union-attr]
    if row.note == "theirs":
        meeting.taken.append((label, "changed", f"id_{row.id}"))
    elif row.note == "both":
        mine, theirs = ([(label, values.get(row.id, ""))] for values in (row.values, row.theirs or {}))
        meeting.decisions.append(Decision(f"{OWN}-{row.id}", label, f"id_{row.id}", mine, theirs))


def _settle_rows(data: QueryDict, prefix: str, base: Mapping[str, Values], meeting: Meeting) -> None:
    related = getattr(meeting.mapping_set, prefix)
    names = columns(related.model)
    key = (lambda v: (v.get("scope"), v.get("target_field"))) if related.model is FieldMapping else None
    mine, theirs = posted_rows(data, prefix, names), meeting.state[prefix]
    merged = merge(base, mine, theirs, key, ordered=prefix in ORDERED)
    merged.sort(key=lambda row: not row.id)  # stored rows come first in a formset
    for name in [name for name in data if name.startswith(f"{prefix}-")]:
        del data[name]
    data[f"{prefix}-TOTAL_FORMS"] = str(len(merged))
    data[f"{prefix}-INITIAL_FORMS"] = str(sum(1 for row in merged if row.id))
    for number, row in enumerate(merged):
        _write(data, f"{prefix}-{number}", row, meeting)
        _tell(meeting, f"{prefix}-{number}", row, related.model)


def _write(data: QueryDict, form: str, row: Merged, meeting: Meeting) -> None:
    data[f"{form}-id"] = row.id
    data[f"{form}-mapping_set"] = str(meeting.mapping_set.pk)
    for name, value in row.values.items():
        data[f"{form}-{name}"] = value
    if row.removed:
        data[f"{form}-DELETE"] = "on"


def _tell(meeting: Meeting, form: str, row: Merged, model: type[models.Model]) -> None:
    values = row.values
    name = values.get("label") or values.get("target_field") or values.get("name") or values.get("expression", "")
    if row.note in ("theirs", "added"):
        meeting.taken.append((name[:80], "changed" if row.note == "theirs" else "added", form))
    elif row.note == "both":
        wrong = different(values, row.theirs) if row.theirs is not None and not row.removed else [
            n for n in ("expression", "target_field") if n in values
        ]  # fmt: skip
        theirs = row.theirs
        if theirs is not None and not row.removed and model is not FieldMapping and moved(values, theirs):
            wrong = [*wrong, PLACE]
        meeting.decisions.append(
            Decision(
                form, name[:80], form,
                [_shown(model, n, values) for n in wrong],
                [_shown(model, n, theirs) for n in wrong] if theirs is not None else [],
                removed_by_me=row.removed, removed_by_them=theirs is None,
            )
        )  # fmt: skip


def _shown(model: type[models.Model], name: str, values: Values) -> tuple[str, str]:
    column: Any = model._meta.get_field(name)
    value = values.get(name, "")
    if isinstance(column, models.BooleanField):
        return str(column.verbose_name), _("yes") if value else _("no")
    return str(column.verbose_name), str(dict(column.flatchoices).get(value, value))
