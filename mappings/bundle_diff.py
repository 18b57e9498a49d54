"""What differs between two versions or files, as sentences: added, removed, changed, moved.

Pure. The invariant: no sentence exactly when the two files are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mappings.bundle import SECTIONS, Bundle
from mappings.bundle_reading import MODELS
from mappings.models import MappingSet

TITLES: Mapping[str, str | Promise] = {
    "mapping": gettext_lazy("Mapping"),
    "fields": gettext_lazy("Fields"),
    "match_rules": gettext_lazy("Match rules"),
    "validations": gettext_lazy("Validations"),
    "links": gettext_lazy("Links"),
    "lookups": gettext_lazy("Look-ups"),
    "value_maps": gettext_lazy("Value maps"),
}
_KEYS: Mapping[str, tuple[str, ...]] = {
    "fields": ("scope", "target_field"), "match_rules": ("label",), "validations": ("scope", "label"),
    "links": ("name",), "lookups": ("name",), "value_maps": ("name",),
}  # fmt: skip
WORDS_ONLY = frozenset({"label", "hint", "message", "remedy", "name", "actual", "repair", "title_expression"})
"""Columns that change what people read, not what is written."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference. `kind` is added, removed, changed or moved; `writes` whether it can change what is written."""

    section: str
    kind: str
    what: str
    column: str = ""
    before: str = ""
    after: str = ""
    writes: bool = True

    @property
    def sentence(self) -> str:
        """As people read it, values aside."""
        texts = {
            "added": _("%(what)s is new"), "removed": _("%(what)s is removed"), "moved": _("The order is another"),
            "changed": _("%(what)s, %(column)s"),
        }  # fmt: skip
        return texts[self.kind] % {"what": self.what, "column": self.column}


def edits(before: Bundle, after: Bundle) -> list[Edit]:
    """Everything that differs, section by section."""
    found = list(_columns("mapping", "", before.get("mapping", {}), after.get("mapping", {})))
    for section in (*SECTIONS, "value_maps"):
        found += _section(section, before.get(section, []), after.get(section, []))
    return found


def _section(section: str, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Iterator[Edit]:
    old, new = _keyed(section, before), _keyed(section, after)
    for key, row in new.items():
        if key not in old:
            yield Edit(section, "added", _what(row), after=_short(row))
        elif section == "value_maps":
            yield from _map(_what(row), old[key], row)
        else:
            yield from _columns(section, _what(row), old[key], row)
    for key, row in old.items():
        if key not in new:
            yield Edit(section, "removed", _what(row), before=_short(row))
    stayed = [key for key in old if key in new]
    if stayed != [key for key in new if key in old]:
        yield Edit(section, "moved", "", writes=section in ("match_rules", "validations"))


def _keyed(section: str, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """Rows by what they are about; several rules of one name by their number among them."""
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for row in rows:
        key = tuple(str(row.get(name, "")) for name in _KEYS[section])
        number = 0
        while (*key, str(number)) in found:
            number += 1
        found[(*key, str(number))] = row
    return found


def _columns(section: str, what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Edit]:
    model = MODELS.get(section, MappingSet)
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) == after.get(name):
            continue
        label = str(getattr(model._meta.get_field(name), "verbose_name", name))
        yield Edit(
            section, "changed", what or str(TITLES[section]), label, _said(model, name, before.get(name)),
            _said(model, name, after.get(name)), name not in WORDS_ONLY,
        )  # fmt: skip


def _map(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Edit]:
    for name, label in (("unmapped", _("unknown values")), ("default_value", _("default value"))):
        if before.get(name, "") != after.get(name, ""):
            yield Edit("value_maps", "changed", what, label, str(before.get(name, "")), str(after.get(name, "")))
    old, new = before.get("entries", {}), after.get("entries", {})
    for source in dict.fromkeys([*old, *new]):
        if old.get(source) != new.get(source) or (source in old) != (source in new):
            label = _("“%(value)s”") % {"value": source}
            yield Edit("value_maps", "changed", what, label, str(old.get(source, "")), str(new.get(source, "")))


def _said(model: Any, name: str, value: Any) -> str:
    """A value as the editor shows it: the words of a choice, yes and no; the default where the file leaves it out."""
    column = model._meta.get_field(name)
    if value is None:
        value = column.get_default() if name != "value_map" else ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(dict(column.flatchoices or ()).get(value, value)) if hasattr(column, "flatchoices") else str(value or "")


def _what(row: Mapping[str, Any]) -> str:
    return str(row.get("label") or row.get("target_field") or row.get("name") or "?")


def _short(row: Mapping[str, Any]) -> str:
    return str(row.get("expression") or row.get("name") or "")
