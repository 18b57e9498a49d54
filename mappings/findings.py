"""What is found while a record is mapped: problems, checks and notes, each about the record or one of its lines.

The invariant: nothing that the data does raises; it becomes a `Problem` that names rule, field, value and remedy.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import lazy

from integrations.connector import Record, Value
from integrations.errors import ErrorClass
from mappings.checking import Checks, code_of
from mappings.compiled import CompiledMapping, CompiledValidation, Parts, Problem
from mappings.expressions import Compiled, MappingError, text_of
from mappings.expressions.messages import _, say

CONFIGURATION_CODES = frozenset({"unmapped_value", "value_map_missing", "option_unknown", "target_field", "pattern"})
"""What a person mends in a mapping or a setting; every other code is mended in the record itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule is applied: the whole record, or one of its lines by number."""

    parts: Parts
    number: int = 0

    def field(self, name: str) -> str:
        """How problems call a target field; lines share a name, so that one repair covers all of them."""
        return f"line.{name}" if self.number and name else name

    def rule(self, label: str) -> str:
        """How problems call a rule."""
        if not self.number:
            return label
        return say(_("%(rule)s, line %(number)d"), {"rule": label, "number": self.number})

    def values(self, expression: Compiled) -> str:
        """The values an expression read, for a person to recognise."""
        texts = [text_of(self.parts.get(part, {}).get(name)) for part, name in sorted(expression.reads)]
        return ", ".join(text for text in texts if text)[:500]


class Findings:
    """The findings of one record, and the evaluation of its rules."""

    def __init__(self, mapping: CompiledMapping, record: Record, extra: Parts) -> None:
        self.mapping = mapping
        self.record = record
        self.header = Place({**record.named(), **extra})
        self.problems: list[Problem] = []
        self.checks = Checks()
        self.notes: list[str] = []
        for rule in mapping.validations:
            if rule.outcome == "block":
                self.checks.declare(id(rule), rule.code or code_of(rule.label), _(rule.label), rule.repair)

    def evaluate(self, expression: Compiled, place: Place) -> Value:
        """The value of an expression at this place; raises `MappingError`."""
        return expression.evaluate(place.parts, self.mapping.tables, self.record.lines)

    def add(
        self, code: str, rule: str, field: str, message: str, remedy: str, *, place: Place, value: str = ""
    ) -> None:
        """A problem; its code says whether a record or a setting is to be mended."""
        error_class = ErrorClass.CONFIGURATION if code in CONFIGURATION_CODES else ErrorClass.DATA
        self.problems.append(Problem(code, place.rule(rule), place.field(field), value, message, remedy, error_class))

    def add_error(self, error: MappingError, rule: str, field: str, place: Place, hint: str = "") -> None:
        """What an expression or a value could not do, with the rule's own hint for options that do not exist."""
        remedy = hint_text(hint, error.value) if hint and error.code == "option_unknown" else error.remedy
        self.add(error.code, rule, field, error.message, remedy, place=place, value=error.value)

    def holds(self, rule: CompiledValidation, place: Place) -> bool:
        """Whether the condition holds; one that cannot be evaluated is a problem of its own, not a failure."""
        blocks = rule.outcome == "block"
        try:
            holds = bool(self.evaluate(rule.expression, place))
        except MappingError as error:
            self.add_error(error, rule.label, "", place)
            if blocks:
                self.checks.failed(id(rule), place.number, self._actual(rule, place), error.message, error.remedy)
            return True
        if blocks and holds:
            self.checks.passed(id(rule), self._actual(rule, place))
        return holds

    def add_failed(self, rule: CompiledValidation, place: Place) -> None:
        """A condition that does not hold: a problem and a failed check."""
        message = _(rule.message or rule.label)
        remedy = _(rule.remedy) if rule.remedy else ""
        value = self._actual(rule, place) or place.values(rule.expression)
        self.add(rule.code or "validation", rule.label, "", message, remedy, place=place, value=value)
        self.checks.failed(id(rule), place.number, self._actual(rule, place), message, remedy)

    def _actual(self, rule: CompiledValidation, place: Place) -> str:
        if rule.actual is None:
            return ""
        try:
            return text_of(self.evaluate(rule.actual, place))
        except MappingError:
            return ""  # what is shown beside a check never decides anything

    def note(self, text: str, place: Place) -> None:
        """A normalisation to be told to whoever looks at the result."""
        number = place.number
        self.notes.append(say(_("Line %(number)d: %(reason)s"), {"number": number, "reason": text}) if number else text)


def hint_text(hint: str, value: str) -> str:
    """A rule's hint with the value in it, in the reader's language, whenever it is read."""
    said: str = _LAZY_HINT(hint, value)
    return said


def _hint(hint: str, value: str) -> str:
    # Plain replacement: a hint is text from the database, never a format string.
    return str(_(hint)).replace("{value}", value)


_LAZY_HINT = lazy(_hint, str)
