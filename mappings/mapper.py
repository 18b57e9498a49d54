"""The pure mapper: a source record and a compiled mapping in, target values and every problem out.

No ORM, no HTTP, no clock. The invariant: `map_record` never raises for data; each failed rule becomes a `Problem`
that names rule, field, value and remedy, and all of them are reported, never only the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from integrations.connector import FieldSchema, FieldType, ObjectSchema, Record, Value
from mappings.coercion import coerce
from mappings.compiled import (
    Checked,
    CompiledLookup,
    CompiledMapping,
    CompiledValidation,
    FieldRule,
    LinkRule,
    Mapped,
    Parts,
    Problem,
)
from mappings.expressions import Compiled, MappingError, is_blank, text_of
from mappings.expressions.messages import _, say
from mappings.findings import Findings, Place, hint_text
from mappings.fingerprints import fingerprint

__all__ = [
    "Checked",
    "CompiledLookup",
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

_AMOUNT = FieldSchema("promise", "Promised amount", FieldType.NUMBER)
TOO_MUCH = Decimal(10) ** 12
"""What no document comes to: a slip of the hand, or a currency whose unit nobody bills in."""


def map_record(
    mapping: CompiledMapping,
    record: Record,
    extra: Mapping[str, Mapping[str, Value]],
    target: ObjectSchema | None,
) -> Mapped:
    """The target values of one record, typed for the target, with every problem found on the way."""
    return _Run(mapping, record, extra, target).map()


class _Run(Findings):
    """The mapping of one record: collects problems while values are computed."""

    def __init__(self, mapping: CompiledMapping, record: Record, extra: Parts, target: ObjectSchema | None) -> None:
        super().__init__(mapping, record, extra)
        self.target = target
        self.numbers: list[int] = []
        self.lookups: dict[str, list[tuple[int, str]]] = {rule.name: [] for rule in mapping.lookups}
        self.texts: dict[str, dict[int, str]] = {rule.name: {} for rule in mapping.lookups}

    def map(self) -> Mapped:
        """See `map_record`."""
        skip, create_only = self._validate_header()
        if skip and not create_only:
            # Nothing else matters for a record that is not to be written; its data may well be incomplete.
            return Mapped({}, None, None, {}, skip, False, [], title=self._title())
        rules = [rule for rule in self.mapping.fields if rule.scope == "header"]
        fields = {rule.target: self._value_for(rule, self.header) for rule in rules}
        lines, skipped = self._lines() if self.mapping.maps_lines else (None, [])
        self._look_up("header", self.header)
        unique = self._key(self.mapping.unique, self.header)
        links = self._links()
        promise, currency = self._promise()
        return Mapped(
            fields, lines, unique, links, skip, create_only, self.problems, skipped, self._title(), self.numbers,
            self.checks.all(), self.notes, self.lookups, self.texts, promise, currency,
        )  # fmt: skip

    # --- validations ----------------------------------------------------------------------------------------

    def _validate_header(self) -> tuple[str, bool]:
        skip, create_only = "", False
        for rule in self.mapping.validations:
            if rule.scope != "header" or self.holds(rule, self.header):
                continue
            if rule.outcome == "block":
                self.add_failed(rule, self.header)
            elif rule.outcome == "note":
                self.note(_(rule.message or rule.label), self.header)
            elif not skip or (create_only and rule.outcome == "skip"):
                skip, create_only = _(rule.message or rule.label), rule.outcome == "skip_create"
        return skip, create_only

    # --- fields ---------------------------------------------------------------------------------------------

    def _value_for(self, rule: FieldRule, place: Place) -> Value:
        name = rule.label or rule.target
        try:
            value = self.evaluate(rule.expression, place)
            if rule.value_map is not None:
                value = rule.value_map.look_up(value)
            schema = self._schema(rule)
            if schema is not None:
                given, value = value, coerce(value, schema)
                self._note_rounding(name, given, value, place)
        except MappingError as error:
            self.add_error(error, name, rule.target, place, rule.hint)
            self.checks.field(rule, place.number, "", error, self.problems[-1].remedy)
            return None
        if not is_blank(value):
            if rule.required:
                self.checks.field(rule, place.number, text_of(value))
            return value
        if rule.required:
            reads = ", ".join(f"{part}.{field}" for part, field in sorted(rule.expression.reads))
            fill_in = say(_("Fill in %(reads)s at the source."), {"reads": reads or name})
            message = say(_("“%(field)s” is required and has no value"), {"field": name})
            remedy = hint_text(rule.hint, "") if rule.hint else fill_in
            self.add("required", name, rule.target, message, remedy, place=place)
            self.checks.field(rule, place.number, "", MappingError(message, remedy))
        return None

    def _note_rounding(self, name: str, given: Value, value: Value, place: Place) -> None:
        if isinstance(given, Decimal) and isinstance(value, Decimal) and given != value:
            texts = {"field": name, "given": text_of(given), "value": text_of(value)}
            self.note(say(_("“%(field)s” %(given)s is rounded to %(value)s"), texts), place)

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
            place = Place({**self.header.parts, self.mapping.line_part: line, "source": source}, number)
            reason = self._validate_line(place)
            if reason:
                skipped.append(say(_("Line %(number)d: %(reason)s"), {"number": number, "reason": reason}))
            else:
                lines.append(self._line(place))
                self.numbers.append(number)
                self._look_up("line", place)
        return lines, skipped

    def _validate_line(self, place: Place) -> str:
        for rule in self.mapping.validations:
            if rule.scope == "line" and not self.holds(rule, place):
                if rule.outcome == "note":
                    self.note(_(rule.message or rule.label), place)
                elif rule.outcome == "block":
                    self.add_failed(rule, place)
                else:
                    return _(rule.message or rule.label)
        return ""

    def _look_up(self, scope: str, place: Place) -> None:
        """Notes the values that must exist at the target; whether they do is found out there."""
        for rule in self.mapping.lookups:
            if rule.scope != scope:
                continue
            try:
                value = text_of(self.evaluate(rule.expression, place))
                text = text_of(self.evaluate(rule.text, place)) if rule.text else ""
            except MappingError as error:
                self.add_error(error, rule.label, rule.writes, place)
                continue
            if value:
                self.lookups[rule.name].append((place.number, value))
            if text:
                self.texts[rule.name][place.number] = text

    def _line(self, place: Place) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for rule in self.mapping.fields:
            if rule.scope == "line":
                value = self._value_for(rule, place)
                if value is not None or rule.blank == "clear":
                    values[rule.target] = value
        key = self._key(self.mapping.line_unique, place)
        return values if key is None else {**values, key[0]: key[1]}

    def _key(self, unique: tuple[str, Compiled] | None, place: Place) -> tuple[str, str] | None:
        """Our own key. Half a key would make two records one, so every field it reads must have a value."""
        if unique is None:
            return None
        name, expression = unique
        missing = [f"{p}.{f}" for p, f in sorted(expression.reads) if is_blank(place.parts.get(p, {}).get(f))]
        try:
            value = text_of(self.evaluate(expression, place))
        except MappingError as error:
            self.add_error(error, name, name, place)
            return None
        if value and not missing:
            return name, value
        message = say(
            _("The unique key is incomplete: %(fields)s has no value"), {"fields": ", ".join(missing) or name}
        )
        self.add("key_incomplete", name, name, message, _("Fill in the field at the source."), place=place, value=value)
        return None

    def _links(self) -> dict[str, str]:
        links: dict[str, str] = {}
        for rule in self.mapping.links:
            try:
                value = self.evaluate(rule.expression, self.header)
            except MappingError as error:
                self.add_error(error, rule.name, rule.name, self.header)
                continue
            if not is_blank(value):
                links[rule.name] = text_of(value)
            elif rule.required and not self._said_already(rule):
                reads = ", ".join(f"{part}.{field}" for part, field in sorted(rule.expression.reads))
                message = say(_("The record names no related “%(name)s”"), {"name": rule.name})
                remedy = say(_("Fill in %(reads)s at the source."), {"reads": reads})
                self.add("link_missing", rule.name, rule.name, message, remedy, place=self.header)
        return links

    def _said_already(self, link: LinkRule) -> bool:
        """Whether a failed check looked at the same fields: one cause is reported once, in the check's own words."""
        failed = {problem.rule for problem in self.problems}
        return any(
            rule.outcome == "block" and rule.label in failed and rule.expression.reads == link.expression.reads
            for rule in self.mapping.validations
        )

    def _promise(self) -> tuple[Decimal | None, str]:
        """What the source says the document comes to, net, and in which currency."""
        amount: Value = None
        currency = ""
        try:
            if self.mapping.promise is not None:
                amount = coerce(self.evaluate(self.mapping.promise, self.header), _AMOUNT)
                if isinstance(amount, Decimal) and abs(amount) >= TOO_MUCH:
                    raise MappingError(
                        _("The amount is too large to be billed"), _("Check the amount at its source."),
                        code="too_large", value=text_of(amount),
                    )  # fmt: skip
            if self.mapping.promise_currency is not None:
                currency = text_of(self.evaluate(self.mapping.promise_currency, self.header))
        except MappingError as error:
            self.add_error(error, _AMOUNT.label, "", self.header)
        return (amount if isinstance(amount, Decimal) else None), currency

    def _title(self) -> str:
        if self.mapping.title is None:
            return self.record.title
        try:
            return text_of(self.evaluate(self.mapping.title, self.header)) or self.record.title
        except MappingError:
            return self.record.title  # a title is a courtesy; it never blocks a record
