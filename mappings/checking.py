"""Collecting the checks of one record: every precondition once, lines together, whether it holds or not.

The invariant: a check appears in the order in which its rule stands in the mapping, also when there was no line to
look at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.functional import lazy

from mappings.compiled import Checked, FieldRule, Mapped
from mappings.expressions import MappingError
from mappings.expressions.messages import _, say

MAX_SHOWN = 20
_NO_WORD = re.compile(r"[^a-z0-9]+")


def code_of(text: str) -> str:
    """A stable name made of a label or a field name."""
    return _NO_WORD.sub("_", text.lower()).strip("_")


def _join(texts: Sequence[str]) -> str:
    return "; ".join(str(text) for text in texts)


_joined = lazy(_join, str)


@dataclass(slots=True)
class _Entry:
    """What was seen of one check: values by line number (0: the record), failures with their message and remedy."""

    code: str
    label: str
    repair: str = ""
    passed: list[str] = field(default_factory=list)
    failed: list[tuple[int, str, str, str]] = field(default_factory=list)

    def checked(self) -> Checked:
        if not self.failed:
            values = list(dict.fromkeys(value for value in self.passed if value))
            shown = ", ".join(values[:MAX_SHOWN]) + (" …" if len(values) > MAX_SHOWN else "")
            return Checked(self.code, self.label, True, shown[:500], repair=self.repair)
        _number, _value, message, remedy = self.failed[0]
        lines = tuple(dict.fromkeys(number for number, *_rest in self.failed if number))
        return Checked(self.code, self.label, False, self._actual(), message, remedy, self.repair, lines)

    def _actual(self) -> str:
        if not self.failed[0][0]:
            return self.failed[0][1][:500]
        parts = [
            say(_("line %(number)d: %(value)s") if value else _("line %(number)d"), {"number": number, "value": value})
            for number, value, _message, _remedy in self.failed[:MAX_SHOWN]
        ]
        shown: str = _joined([*parts, "…"] if len(self.failed) > MAX_SHOWN else parts)
        return shown


class Checks:
    """The checks of one record; the key is the `id` of the rule they belong to, which the mapping keeps alive."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}

    def declare(self, key: int, code: str, label: str, repair: str = "") -> None:
        """A check that exists, whatever is seen of it."""
        self._entries.setdefault(key, _Entry(code, label, repair))

    def passed(self, key: int, value: str = "") -> None:
        """It holds for the record or one more line."""
        self._entries[key].passed.append(value)

    def failed(self, key: int, number: int, value: str, message: str, remedy: str) -> None:
        """It does not hold for line `number` (0: for the record)."""
        self._entries[key].failed.append((number, value[:100], message, remedy))

    def field(
        self, rule: FieldRule, number: int, value: str, error: MappingError | None = None, remedy: str = ""
    ) -> None:
        """A field that has a value or is refused: a check of its own when required, else only its failure."""
        self.declare(id(rule), f"field_{code_of(rule.target)}", _(rule.label or rule.target), "open_source")
        if error is None:
            self.passed(id(rule), value)
        else:
            self.failed(id(rule), number, error.value or value, error.message, remedy or error.remedy)

    def all(self) -> list[Checked]:
        """The checks, in order."""
        return [entry.checked() for entry in self._entries.values()]


def failed_checks(mapped: Mapped) -> list[Checked]:
    """The checks that do not hold."""
    return [check for check in mapped.checks if not check.ok]
