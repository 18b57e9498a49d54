"""The pure mapper: a source record and a compiled mapping in, target values and every problem out.

No ORM, no HTTP, no clock. The invariant: `map_record` never raises for data; each failed rule becomes a `Problem`
that names rule, field, value and remedy, and all of them are reported, never only the first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from django.utils.translation import gettext as _

from integrations.connector import Fields, FieldSchema, ObjectSchema, Record, Value
from integrations.errors import ErrorClass
from mappings.coercion import coerce
from mappings.expressions import Compiled, MappingError, ValueTable, is_blank, key_of, text_of
from mappings.matching import CompiledMatch

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

CONFIGURATION_CODES = frozenset({"unmapped_value", "value_map_missing", "not_an_option"})
Parts = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True)
class Problem:
    """One failed rule: what is wrong with which value, and what to do."""

    code: str
    rule: str
    field: str
    value: str
    message: str
    remedy: str
    error_class: ErrorClass = ErrorClass.DATA


@dataclass(frozen=True)
class FieldRule:
    """One target field and where its value comes from. `hint` is what to do when the target refuses the value;
    `{value}` in it stands for the value."""

    id: int | None
    label: str
    target: str
    expression: Compiled
    scope: Literal["header", "line"] = "header"
    when: Literal["always", "create", "if_empty"] = "always"
    precedence: Literal["source", "target", "newest", "ask"] = "source"
    blank: Literal["keep", "clear"] = "keep"
    required: bool = False
    value_map: ValueTable | None = None
    hint: str = ""


@dataclass(frozen=True)
class CompiledValidation:
    """A condition that must hold. When it does not: the record is blocked, skipped, or skipped unless it exists."""

    id: int | None
    label: str
    expression: Compiled
    scope: Literal["header", "line"] = "header"
    outcome: Literal["block", "skip", "skip_create"] = "block"
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class LinkRule:
    """An association to another object. The expression gives the id of the related record on the source side;
    `related` is the slug of the mapping that brings it over."""

    id: int | None
    name: str
    expression: Compiled
    related: str
    required: bool = False


@dataclass(frozen=True)
class CompiledMapping:
    """A mapping set, ready to run. `reads` says which source fields it needs, by part."""

    version_id: int
    source: str
    target: str
    fields: tuple[FieldRule, ...]
    match_rules: tuple[CompiledMatch, ...] = ()
    validations: tuple[CompiledValidation, ...] = ()
    unique: tuple[str, Compiled] | None = None
    line_unique: tuple[str, Compiled] | None = None
    links: tuple[LinkRule, ...] = ()
    title: Compiled | None = None
    reads: Fields = field(default_factory=dict)
    tables: Mapping[str, ValueTable] = field(default_factory=dict)
    line_part: str = ""

    @property
    def maps_lines(self) -> bool:
        """Whether the lines of the target are ours."""
        return any(rule.scope == "line" for rule in self.fields)


@dataclass(frozen=True)
class Mapped:
    """What a source record becomes. `skip` is the reason why it should not be written; `lines` None means: leave the
    target's lines alone. `skipped_lines` are the reasons of the lines left out."""

    fields: dict[str, Value]
    lines: list[dict[str, Value]] | None
    unique: tuple[str, str] | None
    links: dict[str, str]
    skip: str
    skip_create_only: bool
    problems: list[Problem]
    skipped_lines: list[str] = field(default_factory=list)
    title: str = ""


def map_record(
    mapping: CompiledMapping,
    record: Record,
    extra: Mapping[str, Mapping[str, Value]],
    target: ObjectSchema | None,
) -> Mapped:
    """The target values of one record, typed for the target, with every problem found on the way."""
    return _Run(mapping, record, extra, target).map()


class _Run:
    """The mapping of one record: collects problems while values are computed."""

    def __init__(self, mapping: CompiledMapping, record: Record, extra: Parts, target: ObjectSchema | None) -> None:
        self.mapping = mapping
        self.record = record
        self.parts: dict[str, Mapping[str, Value]] = {**record.named(), **extra}
        self.target = target
        self.problems: list[Problem] = []

    def map(self) -> Mapped:
        """See `map_record`."""
        skip, create_only = self._validate_header()
        if skip and not create_only:
            # Nothing else matters for a record that is not to be written; its data may well be incomplete.
            return Mapped({}, None, None, {}, skip, False, [], title=self._title())
        fields = {
            rule.target: self._value_for(rule, self.parts, "") for rule in self.mapping.fields if rule.scope == "header"
        }
        lines, skipped = self._lines() if self.mapping.maps_lines else (None, [])
        return Mapped(
            fields, lines, self._unique(), self._links(), skip, create_only, self.problems, skipped, self._title()
        )

    # --- validations ----------------------------------------------------------------------------------------

    def _validate_header(self) -> tuple[str, bool]:
        skip, create_only = "", False
        for rule in self.mapping.validations:
            if rule.scope != "header" or self._holds(rule, self.parts, ""):
                continue
            if rule.outcome == "block":
                self._add_failed(rule, "")
            elif not skip or (create_only and rule.outcome == "skip"):
                skip, create_only = rule.message or rule.label, rule.outcome == "skip_create"
        return skip, create_only

    def _add_failed(self, rule: CompiledValidation, place: str) -> None:
        values = [text_of(self.parts.get(part, {}).get(name)) for part, name in sorted(rule.expression.reads)]
        self.problems.append(
            Problem(
                "validation",
                rule.label,
                place,
                ", ".join(v for v in values if v)[:500],
                rule.message or rule.label,
                rule.remedy,
            )
        )

    def _holds(self, rule: CompiledValidation, parts: Parts, place: str) -> bool:
        """Whether the condition holds; one that cannot be evaluated is a problem of its own, not a failure."""
        try:
            return bool(rule.expression.evaluate(parts, self.mapping.tables, self.record.lines))
        except MappingError as error:
            self._add_error(error, rule.label, place)
            return True

    # --- fields ---------------------------------------------------------------------------------------------

    def _value_for(self, rule: FieldRule, parts: Parts, place: str) -> Value:
        name = rule.label or rule.target
        try:
            value = rule.expression.evaluate(parts, self.mapping.tables, self.record.lines)
            if rule.value_map is not None:
                value = rule.value_map.look_up(value)
            schema = self._schema(rule)
            if schema is not None:
                value = coerce(value, schema)
        except MappingError as error:
            self._add_error(error, name, place + rule.target, rule.hint)
            return None
        if is_blank(value):
            if rule.required:
                self._add_required(rule, name, place)
            return None
        return value

    def _schema(self, rule: FieldRule) -> FieldSchema | None:
        if self.target is None:
            return None
        line = rule.scope == "line"
        fields = self.target.parts.get(self.target.lines, {}) if line else self.target.fields
        schema = fields.get(rule.target)
        if schema is None or not schema.writable:
            raise MappingError(
                (
                    _("The field “%(field)s” does not exist at the target")
                    if schema is None
                    else _("The field “%(field)s” cannot be written")
                )
                % {"field": rule.target},
                _("Create the field there, or change the mapping."),
                code="target_field",
            )
        return schema

    def _add_required(self, rule: FieldRule, name: str, place: str) -> None:
        reads = ", ".join(f"{part}.{field}" for part, field in sorted(rule.expression.reads))
        self.problems.append(
            Problem(
                "required",
                name,
                place + rule.target,
                "",
                _("“%(field)s” is required and has no value") % {"field": name},
                _hint(rule.hint, "") or _("Fill in %(reads)s at the source.") % {"reads": reads or name},
            )
        )

    def _add_error(self, error: MappingError, rule: str, place: str, hint: str = "") -> None:
        configuration = error.code in CONFIGURATION_CODES or error.code == "target_field"
        self.problems.append(
            Problem(
                error.code,
                rule,
                place,
                error.value,
                error.message,
                (_hint(hint, error.value) if error.code == "not_an_option" else "") or error.remedy,
                ErrorClass.CONFIGURATION if configuration else ErrorClass.DATA,
            )
        )

    # --- lines, keys, links ---------------------------------------------------------------------------------

    def _lines(self) -> tuple[list[dict[str, Value]], list[str]]:
        lines: list[dict[str, Value]] = []
        skipped: list[str] = []
        for number, line in enumerate(self.record.lines, start=1):
            # The position among all source lines is stable where vendors give rows new ids at every update.
            source = {**self.parts.get("source", {}), "position": Decimal(number)}
            parts = {**self.parts, self.mapping.line_part: line, "source": source}
            place = _("line %(number)d: ") % {"number": number}
            reason = self._validate_line(parts, place)
            if reason:
                skipped.append(place + reason)
            else:
                lines.append(self._line(parts, place))
        return lines, skipped

    def _validate_line(self, parts: Parts, place: str) -> str:
        for rule in self.mapping.validations:
            if rule.scope == "line" and not self._holds(rule, parts, place):
                if rule.outcome != "block":
                    return rule.message or rule.label
                self._add_failed(rule, place.rstrip(": "))
        return ""

    def _line(self, parts: Parts, place: str) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for rule in self.mapping.fields:
            if rule.scope == "line":
                value = self._value_for(rule, parts, place)
                if value is not None or rule.blank == "clear":
                    values[rule.target] = value
        if self.mapping.line_unique:
            key = self._key(self.mapping.line_unique, parts, place)
            if key:
                values[key[0]] = key[1]
        return values

    def _unique(self) -> tuple[str, str] | None:
        return self._key(self.mapping.unique, self.parts, "") if self.mapping.unique else None

    def _key(self, unique: tuple[str, Compiled], parts: Parts, place: str) -> tuple[str, str] | None:
        """Our own key. Half a key would make two records one, so every field it reads must have a value."""
        name, expression = unique
        missing = [f"{p}.{f}" for p, f in sorted(expression.reads) if is_blank(parts.get(p, {}).get(f))]
        try:
            value = text_of(expression.evaluate(parts, self.mapping.tables, self.record.lines))
        except MappingError as error:
            self._add_error(error, name, place + name)
            return None
        if missing or not value:
            self.problems.append(
                Problem(
                    "key_incomplete",
                    name,
                    place + name,
                    value,
                    _("The unique key is incomplete: %(fields)s has no value") % {"fields": ", ".join(missing)},
                    _("Fill in the field at the source."),
                )
            )
            return None
        return name, value

    def _links(self) -> dict[str, str]:
        links: dict[str, str] = {}
        for rule in self.mapping.links:
            try:
                value = rule.expression.evaluate(self.parts, self.mapping.tables, self.record.lines)
            except MappingError as error:
                self._add_error(error, rule.name, rule.name)
                continue
            if not is_blank(value):
                links[rule.name] = text_of(value)
            elif rule.required:
                self.problems.append(
                    Problem(
                        "link_missing",
                        rule.name,
                        rule.name,
                        "",
                        _("The record names no related “%(name)s”") % {"name": rule.name},
                        _("Fill in %(reads)s at the source.")
                        % {"reads": ", ".join(f"{p}.{f}" for p, f in sorted(rule.expression.reads))},
                    )
                )
        return links

    def _title(self) -> str:
        if self.mapping.title is None:
            return self.record.title
        try:
            value = self.mapping.title.evaluate(self.parts, self.mapping.tables, self.record.lines)
        except MappingError:
            return self.record.title  # a title is a courtesy; it never blocks a record
        return text_of(value) or self.record.title


def _hint(hint: str, value: str) -> str:
    # Plain replacement: a hint is text from the database, never a format string.
    return _(hint).replace("{value}", value) if hint else ""


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
