"""WHERE and HAVING compiled to plain functions of a row (or of a group of rows).

Salesforce SOQL guide: text is compared without regard to case, a comparison with null holds for ``!=`` alone, and
``''`` means null. What the service would refuse raises SfError while compiling."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from decimal import Decimal
from typing import Any

from .. import ids, times
from ..errors import SfError
from ..schema import NUMBER_TYPES, TEXT_TYPES, FieldDef
from .periods import moment_text, span
from .scope import Read
from .tokens import like_pattern, malformed, placed
from .tree import Comparison, Condition, Logical, Membership, Query, Term, Value

Test = Callable[[Any], bool]
ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ORDERED = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Operand:
    """The left side: how it is read, what kind of value it gives (text, exact, id, number, boolean, date, datetime,
    multi, other), the name used in messages and whether it may be filtered."""

    read: Read
    kind: str
    label: str
    start: int
    filterable: bool = True

    @property
    def fold(self) -> Callable[[Any], Any]:
        """Brings a value to the form in which values of this kind are compared."""
        return _fold if self.kind in ("text", "multi") else _same


def kind_of(field: FieldDef) -> str:
    """How values of a field are compared."""
    if field.type == "multipicklist":
        return "multi"
    if field.type in TEXT_TYPES:
        return "exact" if field.case_sensitive else "text"
    if field.type in NUMBER_TYPES or field.type == "int":
        return "number"
    if field.type in ("id", "reference"):
        return "id"
    return field.type if field.type in ("boolean", "date", "datetime") else "other"


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiles conditions of one query. ``resolve`` finds operands, ``ids_of`` runs the query of a semi-join."""

    source: str
    resolve: Callable[[Term], Operand]
    ids_of: Callable[[Query], frozenset[str]]
    today: date
    zone: tzinfo

    def test(self, condition: Condition) -> Test:
        """The function that says whether a row fulfils the condition."""
        if isinstance(condition, Logical):
            return _joined(condition.operator, [self.test(part) for part in condition.parts])
        operand = self.operand(condition.term)
        if isinstance(condition, Comparison):
            return self._comparison(operand, condition)
        return self._membership(operand, condition)

    def operand(self, term: Term) -> Operand:
        """The left side of a condition, if it may stand there."""
        operand = self.resolve(term)
        if not operand.filterable:
            text = f"field '{operand.label}' can not be filtered in a query call"
            raise placed("INVALID_FIELD", text, self.source, operand.start)
        return operand

    def literal(self, operand: Operand, value: Value) -> Any:
        """A literal in the form ``operand.fold`` gives; None for null and the empty text."""
        if value.kind == "null" or (value.value == "" and operand.kind in _TEXTUAL):
            return None
        convert = _LITERALS.get((operand.kind, value.kind))
        if convert is None:
            raise self._wrong_type(operand)
        found = convert(value.value)
        if found is None:
            if operand.kind == "id":
                raise SfError(400, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value.value}")
            raise self._wrong_type(operand)
        return found

    def _comparison(self, operand: Operand, condition: Comparison) -> Test:
        value, sign, read = condition.value, condition.operator, operand.read
        if sign == "LIKE":
            return self._like(operand, value)
        if sign in ORDERED and operand.kind in ("boolean", "multi"):
            raise self._invalid_operator(operand)
        if value.kind == "period":
            return self._within(operand, sign, value)
        wanted = self.literal(operand, value)
        if wanted is None:
            if sign == "=":
                return lambda row: read(row) is None
            return (lambda row: read(row) is not None) if sign == "!=" else (lambda row: False)
        return _ordering(sign, read, operand.fold, wanted)

    def _like(self, operand: Operand, value: Value) -> Test:
        if operand.kind not in ("text", "exact"):
            raise self._invalid_operator(operand)
        if value.kind != "string":
            raise self._wrong_type(operand)
        read, match = operand.read, like_pattern(value.raw).fullmatch
        return lambda row: (found := read(row)) is not None and match(found) is not None

    def _within(self, operand: Operand, sign: str, value: Value) -> Test:
        """A comparison with a span of days."""
        if operand.kind not in ("date", "datetime"):
            raise self._wrong_type(operand)
        try:
            first, after = span(str(value.value), value.count, self.today)
            low, high = self._edge(operand, first), self._edge(operand, after)
        except (OverflowError, ValueError):
            raise malformed(f"Invalid value for {value.value}: {value.count}") from None
        read = operand.read
        if sign in ("=", "!="):
            inside = sign == "="
            return lambda row: ((found := read(row)) is not None and low <= found < high) is inside
        edge = high if sign in (">", "<=") else low
        return _ordering(">=" if sign.startswith(">") else "<", read, _same, edge)

    def _edge(self, operand: Operand, day: date) -> str:
        return day.isoformat() if operand.kind == "date" else moment_text(day, self.zone)

    def _membership(self, operand: Operand, condition: Membership) -> Test:
        read, fold, sign = operand.read, operand.fold, condition.operator
        if sign in ("INCLUDES", "EXCLUDES"):
            return self._includes(operand, condition)
        if isinstance(condition.values, Query):
            if operand.kind != "id":
                text = f"The left operand field of a semi join must be an id or a reference: {operand.label}"
                raise placed("MALFORMED_QUERY", text, self.source, operand.start)
            wanted: frozenset[Any] = self.ids_of(condition.values)
        else:
            wanted = frozenset(self.literal(operand, value) for value in condition.values)
        inside = sign == "IN"
        return lambda row: (fold(read(row)) in wanted) is inside

    def _includes(self, operand: Operand, condition: Membership) -> Test:
        if operand.kind != "multi" or isinstance(condition.values, Query):
            raise self._invalid_operator(operand)
        groups = [self._choices(operand, value) for value in condition.values]
        read, inside = operand.read, condition.operator == "INCLUDES"

        def test(row: Any) -> bool:
            held = set(str(read(row) or "").casefold().split(";"))
            return any(group <= held for group in groups) is inside

        return test

    def _choices(self, operand: Operand, value: Value) -> set[str]:
        if value.kind != "string":
            raise self._wrong_type(operand)
        return {part.strip() for part in str(value.value).casefold().split(";")}

    def _wrong_type(self, operand: Operand) -> SfError:
        name, quotes = _TYPE_NAMES.get(operand.kind, ("string", True))
        enclosed = "should be enclosed in quotes" if quotes else "should not be enclosed in quotes"
        text = f"value of filter criterion for field '{operand.label}' must be of type {name} and {enclosed}"
        return placed("INVALID_FIELD", text, self.source, operand.start)

    def _invalid_operator(self, operand: Operand) -> SfError:
        text = f"invalid operator on {_TYPE_NAMES.get(operand.kind, (operand.kind, True))[0]} field"
        return placed("INVALID_QUERY_FILTER_OPERATOR", text, self.source, operand.start)


_TEXTUAL = ("text", "exact", "multi", "id", "other")
_TYPE_NAMES = {
    "text": ("string", True),
    "exact": ("string", True),
    "multi": ("multipicklist", True),
    "id": ("ID", True),
    "number": ("double", False),
    "boolean": ("boolean", False),
    "date": ("date", False),
    "datetime": ("dateTime", False),
}


def _same(value: Any) -> Any:
    return value


def _fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _moment(text: str) -> str | None:
    moment = times.to_ms(text)
    return None if moment is None else times.wire(moment)


def _number(value: Decimal) -> Decimal:
    return value


_LITERALS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("text", "string"): _fold,
    ("exact", "string"): _same,
    ("multi", "string"): _fold,
    ("other", "string"): _same,
    ("id", "string"): ids.full,
    ("number", "number"): _number,
    ("boolean", "boolean"): _same,
    ("date", "date"): times.to_day,
    ("datetime", "datetime"): _moment,
}


def _joined(sign: str, tests: list[Test]) -> Test:
    first = tests[0]
    if sign == "NOT":
        return lambda row: not first(row)
    if len(tests) == 2:
        second = tests[1]
        if sign == "AND":
            return lambda row: first(row) and second(row)
        return lambda row: first(row) or second(row)
    if sign == "AND":
        return lambda row: all(test(row) for test in tests)
    return lambda row: any(test(row) for test in tests)


def _ordering(sign: str, read: Read, fold: Callable[[Any], Any], wanted: Any) -> Test:
    compare = ORDERINGS[sign]
    if sign in ("=", "!="):
        return lambda row: compare(fold(read(row)), wanted)
    if fold is _same:
        return lambda row: (found := read(row)) is not None and compare(found, wanted)
    return lambda row: (found := read(row)) is not None and compare(fold(found), wanted)
