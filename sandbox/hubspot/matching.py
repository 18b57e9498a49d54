"""Search filters compiled to plain functions over records. Case rules, operators and token matching follow
HubSpot's search guide; a filter it would refuse raises ApiError while compiling."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Any

from . import times
from .definitions import Definition
from .errors import Problem, bad_json, invalid
from .kinds import Kind, find
from .portal import Portal
from .store import Record

Test = Callable[[Record], bool]
Read = Callable[[Record], Any]  # a comparable value, or None when the record has none

TOKEN = re.compile(r"\w+")
ONE_VALUE = {"EQ", "NEQ", "LT", "LTE", "GT", "GTE", "CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"}
MANY_VALUES = {"IN", "NOT_IN"}
OPERATORS = ONE_VALUE | MANY_VALUES | {"BETWEEN", "HAS_PROPERTY", "NOT_HAS_PROPERTY"}


def compile_groups(portal: Portal, kind: Kind, groups: Iterable[list[Mapping[str, Any]]]) -> Test:
    """Groups are alternatives; the filters within a group must all hold."""
    compiled = [[compile_filter(portal, kind, entry) for entry in group] for group in groups]
    if not compiled:
        return lambda record: True
    if len(compiled) == 1 and len(compiled[0]) == 1:
        return compiled[0][0]
    return lambda record: any(all(test(record) for test in group) for group in compiled)


def compile_filter(portal: Portal, kind: Kind, entry: Mapping[str, Any]) -> Test:
    """One filter of a search request."""
    name, operator = entry.get("propertyName"), entry.get("operator")
    missing = [key for key in ("propertyName", "operator") if not entry.get(key)]
    if missing or not isinstance(name, str):
        raise bad_json(f"Cannot build Filter, some of required attributes are not set [{', '.join(missing)}]")
    if operator not in OPERATORS:
        raise bad_json(f'Cannot deserialize value of type `OperatorEnum` from String "{operator}"')
    _check_operands(entry, operator)
    if name.startswith("associations."):
        return _linked(portal, kind, name.removeprefix("associations."), operator, entry)
    definition = portal.schema(kind).active.get(name)
    if definition is None:
        raise unknown_property(name)
    return _property_test(kind, definition, operator, entry)


def unknown_property(name: str) -> Exception:
    """A filter or a sort on a property the account does not have."""
    text = f'Property "{name}" does not exist'
    problem = Problem(name, "PROPERTY_DOESNT_EXIST", text)
    detail = {"message": text, "code": problem.code, "context": {"propertyName": [name]}}
    return invalid(f"There was a problem with the request: {text}", errors=[detail])


def _check_operands(entry: Mapping[str, Any], operator: str) -> None:
    needed: tuple[str, ...] = ()
    if operator in ONE_VALUE:
        needed = ("value",)
    elif operator in MANY_VALUES:
        needed = ("values",)
    elif operator == "BETWEEN":
        needed = ("value", "highValue")
    for key in needed:
        if entry.get(key) in (None, "", []):
            raise invalid(f"operator {operator} requires {key}")
        if isinstance(entry[key], list) != (key == "values") or isinstance(entry[key], dict):
            raise bad_json(f"Cannot deserialize value of `{key}`")


def reader(kind: Kind, definition: Definition) -> Read:
    """How the value of a property is compared: numbers, moments, days or folded text."""
    name = definition.name
    if name == "hs_object_id":
        return lambda record: record.id
    if name in ("createdate", "hs_createdate"):
        return lambda record: record.created
    if name == kind.modified:
        return lambda record: record.updated
    if definition.type == "number":
        return lambda record: _float(record.values.get(name))
    if definition.type == "datetime":
        return lambda record: times.parse(record.values[name]) if name in record.values else None
    if definition.type in ("enumeration", "bool", "date"):
        return lambda record: record.values.get(name)
    return lambda record: record.values[name].lower() if name in record.values else None


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)


def operand(definition: Definition, value: Any) -> Any:
    """A filter's value in the form ``reader`` gives."""
    text = str(value)
    if definition.type == "number":
        try:
            return float(text)
        except ValueError:
            raise invalid(f"{definition.name} was not a valid number") from None
    if definition.type in ("datetime", "date"):
        moment = times.parse(text)
        if moment is None:
            raise invalid(f"{text} was not a valid long.")
        return moment if definition.type == "datetime" else times.day(moment)
    return text if definition.type in ("enumeration", "bool") else text.lower()


def _property_test(kind: Kind, definition: Definition, operator: str, entry: Mapping[str, Any]) -> Test:
    read = reader(kind, definition)
    if operator == "HAS_PROPERTY":
        return lambda record: read(record) is not None
    if operator == "NOT_HAS_PROPERTY":
        return lambda record: read(record) is None
    if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
        return _token_test(read, str(entry["value"]), operator == "CONTAINS_TOKEN")
    if operator in MANY_VALUES:
        return _membership(read, definition, entry["values"], operator == "IN")
    low = operand(definition, entry["value"])
    if operator == "BETWEEN":
        high = operand(definition, entry["highValue"])
        return lambda record: (value := read(record)) is not None and low <= value <= high
    if definition.multiple and operator in ("EQ", "NEQ"):
        return _membership(read, definition, [entry["value"]], operator == "EQ")
    return _COMPARISONS[operator](read, low)


def _membership(read: Read, definition: Definition, wanted: Any, inside: bool) -> Test:
    """IN and NOT_IN compare text with the folded stored value, so only lower-case operands can ever match."""
    if definition.type in ("string", "phone_number"):
        chosen = {str(value) for value in wanted}
    else:
        chosen = {operand(definition, value) for value in wanted}
    if definition.multiple:
        return lambda record: (
            (value := read(record)) is not None and bool(chosen.intersection(value.split(";"))) == inside
        )
    return lambda record: (value := read(record)) is not None and (value in chosen) == inside


def _equal(read: Read, low: Any) -> Test:
    return lambda record: read(record) == low


def _differs(read: Read, low: Any) -> Test:
    return lambda record: (value := read(record)) is not None and value != low


def _less(read: Read, low: Any) -> Test:
    return lambda record: (value := read(record)) is not None and value < low


def _at_most(read: Read, low: Any) -> Test:
    return lambda record: (value := read(record)) is not None and value <= low


def _greater(read: Read, low: Any) -> Test:
    return lambda record: (value := read(record)) is not None and value > low


def _at_least(read: Read, low: Any) -> Test:
    return lambda record: (value := read(record)) is not None and value >= low


_COMPARISONS: dict[str, Callable[[Read, Any], Test]] = {
    "EQ": _equal,
    "NEQ": _differs,
    "LT": _less,
    "LTE": _at_most,
    "GT": _greater,
    "GTE": _at_least,
}


@lru_cache(maxsize=32768)
def tokens(text: str) -> frozenset[str]:
    """The words of a text in lower case."""
    return frozenset(TOKEN.findall(text.lower()))


def _token_test(read: Read, wanted: str, inside: bool) -> Test:
    folded = wanted.lower()
    if "*" in folded:
        pattern = re.compile(translate(folded.replace("[", "?").replace("?", "?")))

        def hit(text: str) -> bool:
            return bool(pattern.match(text)) or any(pattern.match(token) for token in tokens(text))

    else:
        needed = tokens(folded)

        def hit(text: str) -> bool:
            return text == folded or (bool(needed) and needed <= tokens(text))

    return lambda record: (value := read(record)) is not None and hit(str(value).lower()) == inside


def _linked(portal: Portal, kind: Kind, other_name: str, operator: str, entry: Mapping[str, Any]) -> Test:
    """``associations.company`` and its like: which records are linked with a record of another type."""
    other = find(other_name)
    if other is None:
        raise unknown_property(f"associations.{other_name}")
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        wanted = operator == "HAS_PROPERTY"
        return lambda record: bool(portal.linked_records(kind, record.id, other)) == wanted
    if operator not in ("EQ", "IN", "NEQ", "NOT_IN"):
        raise invalid(f"operator {operator} is not supported for associations.{other_name}")
    given = entry["values"] if operator in MANY_VALUES else [entry["value"]]
    linked: set[int] = set()
    for record_id in given:
        if str(record_id).isdecimal():
            linked.update(portal.links.targets(other.type_id, int(record_id), kind.type_id))
    return lambda record: (record.id in linked) == (operator in ("EQ", "IN"))


def compile_query(kind: Kind, query: str) -> Test:
    """Free text: every word must begin a word of one of the type's searched properties."""
    words = sorted(tokens(query))
    names = kind.searched

    def matches(record: Record) -> bool:
        values = record.values
        text = " ".join([values[name] for name in names if name in values]).lower()
        # The plain substring test is cheap and throws out nearly every record before any is cut into words.
        return all(word in text for word in words) and _begins(words, text)

    return matches if words else lambda record: True


def _begins(words: list[str], text: str) -> bool:
    found = TOKEN.findall(text)
    return all(any(token.startswith(word) for token in found) for word in words)
