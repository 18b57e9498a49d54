"""The pure mapper: a source record and a compiled mapping in, target values and every problem out.

No ORM, no HTTP, no clock. The invariant: `map_record` never raises for data; each failed rule becomes a `Problem`
that names rule, field, value and remedy, and all of them are reported, never only the first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from integrations.connector import FieldSchema, ObjectSchema, Record, Value
from integrations.errors import ErrorClass
from mappings.coercion import coerce
from mappings.compiled import (
    CompiledMapping,
    CompiledValidation,
    FieldRule,
    LinkRule,
    Mapped,
    Parts,
    Problem,
)
from mappings.expressions import Compiled, MappingError, is_blank, key_of, text_of
from mappings.expressions.messages import _, say

__all__ = [
    "CompiledMapping",
    "CompiledValidation",
    "FieldRule",
    "LinkRule",
    "Mapped",
    "MappingError",
    "Problem",
    "fingerprint",
    "map_record",
]

CONFIGURATION_CODES = frozenset({"unmapped_value", "value_map_missing", "option_unknown", "target_field"})
"""What a person mends in a mapping or a setting; every other code is mended in the record itself."""


def map_record(
    mapping: CompiledMapping,
    record: Record,
    extra: Mapping[str, Mapping[str, Value]],
    target: ObjectSchema | None,
) -> Mapped:
    """The target values of one record, typed for the target, with every problem found on the way."""
    return _Run(mapping, record, extra, target).map()


@dataclass(frozen=True, slots=True)
class _Place:
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


class _Run:
    """The mapping of one record: collects problems while values are computed."""

    def __init__(self, mapping: CompiledMapping, record: Record, extra: Parts, target: ObjectSchema | None) -> None:
        self.mapping = mapping
        self.record = record
        self.header = _Place({**record.named(), **extra})
        self.target = target
        self.problems: list[Problem] = []

    def map(self) -> Mapped:
        """See `map_record`."""
        skip, create_only = self._validate_header()
        if skip and not create_only:
            # Nothing else matters for a record that is not to be written; its data may well be incomplete.
            return Mapped({}, None, None, {}, skip, False, [], title=self._title())
        rules = [rule for rule in self.mapping.fields if rule.scope == "header"]
        fields = {rule.target: self._value_for(rule, self.header) for rule in rules}
        lines, skipped = self._lines() if self.mapping.maps_lines else (None, [])
        unique = self._key(self.mapping.unique, self.header)
        return Mapped(fields, lines, unique, self._links(), skip, create_only, self.problems, skipped, self._title())

    def _evaluate(self, expression: Compiled, place: _Place) -> Value:
        return expression.evaluate(place.parts, self.mapping.tables, self.record.lines)

    def _add(
        self, code: str, rule: str, field: str, message: str, remedy: str, *, place: _Place, value: str = ""
    ) -> None:
        error_class = ErrorClass.CONFIGURATION if code in CONFIGURATION_CODES else ErrorClass.DATA
        self.problems.append(Problem(code, place.rule(rule), place.field(field), value, message, remedy, error_class))

    def _add_error(self, error: MappingError, rule: str, field: str, place: _Place, hint: str = "") -> None:
        remedy = _hint(hint, error.value) if hint and error.code == "option_unknown" else error.remedy
        self._add(error.code, rule, field, error.message, remedy, place=place, value=error.value)

    # --- validations ----------------------------------------------------------------------------------------

    def _validate_header(self) -> tuple[str, bool]:
        skip, create_only = "", False
        for rule in self.mapping.validations:
            if rule.scope != "header" or self._holds(rule, self.header):
                continue
            if rule.outcome == "block":
                self._add_failed(rule, self.header)
            elif not skip or (create_only and rule.outcome == "skip"):
                skip, create_only = _(rule.message or rule.label), rule.outcome == "skip_create"
        return skip, create_only

    def _holds(self, rule: CompiledValidation, place: _Place) -> bool:
        """Whether the condition holds; one that cannot be evaluated is a problem of its own, not a failure."""
        try:
            return bool(self._evaluate(rule.expression, place))
        except MappingError as error:
            self._add_error(error, rule.label, "", place)
            return True

    def _add_failed(self, rule: CompiledValidation, place: _Place) -> None:
        message = _(rule.message or rule.label)
        remedy = _(rule.remedy) if rule.remedy else ""
        self._add("validation", rule.label, "", message, remedy, place=place, value=place.values(rule.expression))

    # --- fields ---------------------------------------------------------------------------------------------

    def _value_for(self, rule: FieldRule, place: _Place) -> Value:
        name = rule.label or rule.target
        try:
            value = self._evaluate(rule.expression, place)
            if rule.value_map is not None:
                value = rule.value_map.look_up(value)
            schema = self._schema(rule)
            if schema is not None:
                value = coerce(value, schema)
        except MappingError as error:
            self._add_error(error, name, rule.target, place, rule.hint)
            return None
        if not is_blank(value):
            return value
        if rule.required:
            reads = ", ".join(f"{part}.{field}" for part, field in sorted(rule.expression.reads))
            fill_in = say(_("Fill in %(reads)s at the source."), {"reads": reads or name})
            message = say(_("“%(field)s” is required and has no value"), {"field": name})
            self._add(
                "required", name, rule.target, message, _hint(rule.hint, "") if rule.hint else fill_in, place=place
            )
        return None

    def _schema(self, rule: FieldRule) -> FieldSchema | None:
        if self.target is None:
            return None
        line = rule.scope == "line"
        fields = self.target.parts.get(self.target.lines, {}) if line else self.target.fields
        schema = fields.get(rule.target)
        if schema is not None and schema.writable:
            return schema
        missing = _("The field “%(field)s” does not exist at the target")
        read_only = _("The field “%(field)s” cannot be written")
        raise MappingError(
            say(missing if schema is None else read_only, {"field": rule.target}),
            _("Create the field there, or change the mapping."),
            code="target_field",
        )

    # --- lines, keys, links ---------------------------------------------------------------------------------

    def _lines(self) -> tuple[list[dict[str, Value]], list[str]]:
        lines: list[dict[str, Value]] = []
        skipped: list[str] = []
        for number, line in enumerate(self.record.lines, start=1):
            # The position among all source lines is stable where vendors give rows new ids at every update.
            source = {**self.header.parts.get("source", {}), "position": Decimal(number)}
            place = _Place({**self.header.parts, self.mapping.line_part: line, "source": source}, number)
            reason = self._validate_line(place)
            if reason:
                skipped.append(say(_("Line %(number)d: %(reason)s"), {"number": number, "reason": reason}))
            else:
                lines.append(self._line(place))
        return lines, skipped

    def _validate_line(self, place: _Place) -> str:
        for rule in self.mapping.validations:
            if rule.scope == "line" and not self._holds(rule, place):
                if rule.outcome != "block":
                    return _(rule.message or rule.label)
                self._add_failed(rule, place)
        return ""

    def _line(self, place: _Place) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for rule in self.mapping.fields:
            if rule.scope == "line":
                value = self._value_for(rule, place)
                if value is not None or rule.blank == "clear":
                    values[rule.target] = value
        key = self._key(self.mapping.line_unique, place)
        return values if key is None else {**values, key[0]: key[1]}

    def _key(self, unique: tuple[str, Compiled] | None, place: _Place) -> tuple[str, str] | None:
        """Our own key. Half a key would make two records one, so every field it reads must have a value."""
        if unique is None:
            return None
        name, expression = unique
        missing = [f"{p}.{f}" for p, f in sorted(expression.reads) if is_blank(place.parts.get(p, {}).get(f))]
        try:
            value = text_of(self._evaluate(expression, place))
        except MappingError as error:
            self._add_error(error, name, name, place)
            return None
        if value and not missing:
            return name, value
        message = say(
            _("The unique key is incomplete: %(fields)s has no value"), {"fields": ", ".join(missing) or name}
        )
        self._add(
            "key_incomplete", name, name, message, _("Fill in the field at the source."), place=place, value=value
        )
        return None

    def _links(self) -> dict[str, str]:
        links: dict[str, str] = {}
        for rule in self.mapping.links:
            try:
                value = self._evaluate(rule.expression, self.header)
            except MappingError as error:
                self._add_error(error, rule.name, rule.name, self.header)
                continue
            if not is_blank(value):
                links[rule.name] = text_of(value)
            elif rule.required:
                reads = ", ".join(f"{part}.{field}" for part, field in sorted(rule.expression.reads))
                message = say(_("The record names no related “%(name)s”"), {"name": rule.name})
                remedy = say(_("Fill in %(reads)s at the source."), {"reads": reads})
                self._add("link_missing", rule.name, rule.name, message, remedy, place=self.header)
        return links

    def _title(self) -> str:
        if self.mapping.title is None:
            return self.record.title
        try:
            return text_of(self._evaluate(self.mapping.title, self.header)) or self.record.title
        except MappingError:
            return self.record.title  # a title is a courtesy; it never blocks a record


def _hint(hint: str, value: str) -> str:
    # Plain replacement: a hint is text from the database, never a format string.
    return _(hint).replace("{value}", value)


def fingerprint(mapping: CompiledMapping, record: Record) -> str:
    """A stable hash of the mapping's version and of the source fields that it reads, lines included.

    A change of any other field leaves it as it was, so irrelevant edits plan nothing (SA5). Numbers are hashed by
    value (10.0 is 10) and empty text as no value.
    """
    named = record.named()
    seen = {
        part: {name: _canonical(named.get(part, {}).get(name)) for name in sorted(names)}
        for part, names in sorted(mapping.reads.items())
        if part != mapping.line_part
    }
    wanted = sorted(mapping.reads.get(mapping.line_part, ())) if mapping.line_part else []
    lines = [[_canonical(line.get(name)) for name in wanted] for line in record.lines] if wanted else []
    text = json.dumps([mapping.version_id, seen, lines], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: Value) -> list[str] | None:
    if is_blank(value):
        return None
    return [type(value).__name__, key_of(value) if isinstance(value, Decimal) else text_of(value)]
