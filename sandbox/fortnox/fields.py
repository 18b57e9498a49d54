"""Field descriptions and the checks that every written value passes.

Documented: unknown names are refused, text has a maximum length and a set of allowed characters, numbers are
rounded half up instead of refused, ``""`` and ``null`` leave a field alone, ``API_BLANK`` clears it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from . import errors

BLANK_WORD = "API_BLANK"
FORBIDDEN = re.compile(r"[^\w’\\̈̊ –:.`´,;^¤#%§£$€¢¥©™°&/()=+\-*!?²³®½@\u00a0\n\r']")
CENT = Decimal("0.01")
LARGEST = Decimal(9_999_999_999)  # reported by the vendor for freight; taken for every number


class _Blank:
    """Marks a field to be cleared."""


BLANK: Final = _Blank()


@dataclass(frozen=True)
class Field:
    """One documented field: its kind, its value when unset and what may be written."""

    name: str
    kind: str  # text | int | number | bool | date | enum | object | list
    unset: Any = None
    limit: int | None = None
    exact: int | None = None
    low: int | None = None
    high: int | None = None
    choices: frozenset[str] = frozenset()
    fields: Mapping[str, Field] = field(default_factory=dict)
    writable: bool = True
    pattern: str | None = None
    decimals: int = 2


Fields = Mapping[str, Field]


def table(*fields: Field) -> dict[str, Field]:
    """Fields by name, in order."""
    return {item.name: item for item in fields}


def text(name: str, limit: int | None = 1024, unset: Any = None, **more: Any) -> Field:
    """A text field."""
    return Field(name, "text", unset, limit=limit, **more)


def texts(names: str, limit: int | None = 1024, unset: Any = None) -> list[Field]:
    """Several alike."""
    return [text(name, limit, unset) for name in names.split()]


def number(name: str, unset: Any = None, **more: Any) -> Field:
    """A decimal number, rounded half up."""
    return Field(name, "number", unset, **more)


def integer(name: str, unset: Any = None, low: int | None = None, high: int | None = None) -> Field:
    """A whole number."""
    return Field(name, "int", unset, low=low, high=high)


def flag(name: str, unset: Any = False) -> Field:
    """A boolean."""
    return Field(name, "bool", unset)


def day(name: str, unset: Any = None) -> Field:
    """A date."""
    return Field(name, "date", unset)


def enum(name: str, choices: str, unset: Any = None) -> Field:
    """One of a closed set."""
    return Field(name, "enum", unset, choices=frozenset(choices.split()))


def nested(name: str, fields: Fields) -> Field:
    """An object with its own fields."""
    return Field(name, "object", None, fields=fields)


def rows(name: str, fields: Fields) -> Field:
    """An array of objects; the caller checks each row."""
    return Field(name, "list", None, fields=fields)


def read_only(name: str, unset: Any = None) -> Field:
    """A field that only answers carry."""
    return Field(name, "text", unset, writable=False)


def read_onlys(names: str, unset: Any = None) -> list[Field]:
    """Several alike."""
    return [read_only(name, unset) for name in names.split()]


def template(fields: Fields) -> dict[str, Any]:
    """The record with nothing set."""
    return {name: template(item.fields) if item.kind == "object" else item.unset for name, item in fields.items()}


def round_half_up(value: Decimal, decimals: int = 2) -> Decimal:
    """Recorded: 1.125 becomes 1.13."""
    return value.quantize(CENT if decimals == 2 else Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def as_decimal(value: Any) -> Decimal:
    """A number or numeric text as Decimal."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise errors.not_numeric(value)
    try:
        result = Decimal(str(value).strip())
    except InvalidOperation:
        raise errors.not_numeric(value) from None
    if not result.is_finite():
        raise errors.not_numeric(value)
    if abs(result) > LARGEST:
        raise errors.invalid_value("tal", value)
    return result


def _text(item: Field, value: Any) -> str:
    if isinstance(value, dict | list):
        raise errors.wrong_structure()
    if isinstance(value, bool):
        raise errors.not_alphanumeric(value)
    result = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if FORBIDDEN.search(result):
        raise errors.forbidden_characters(result)
    if item.limit is not None and len(result) > item.limit:
        raise errors.too_long(item.name, item.limit)
    if item.exact is not None and len(result) != item.exact:
        raise errors.invalid_value(item.name, result)
    if item.pattern and not re.fullmatch(item.pattern, result):
        raise errors.not_alphanumeric(result)
    return result


def _int(item: Field, value: Any) -> int:
    result = int(round_half_up(as_decimal(value), 0))
    if (item.low is not None and result < item.low) or (item.high is not None and result > item.high):
        raise errors.invalid_value(item.name, value)
    return result


def _bool(value: Any) -> bool:
    for accepted, result in ((True, True), (False, False), ("true", True), ("false", False)):
        if value == accepted and not isinstance(value, dict | list):
            return result
    raise errors.not_boolean(value)


def _date(item: Field, value: Any) -> str:
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise errors.invalid_value(item.name, value) from None


def _enum(item: Field, value: Any) -> str:
    if not isinstance(value, str) or value not in item.choices:
        raise errors.invalid_value(item.name, value)
    return value


def convert(item: Field, value: Any) -> Any:
    """One written value in its stored form, or the documented error."""
    if item.kind == "text":
        return _text(item, value)
    if item.kind == "number":
        return round_half_up(as_decimal(value), item.decimals)
    if item.kind == "int":
        return _int(item, value)
    if item.kind == "bool":
        return _bool(value)
    if item.kind == "date":
        return _date(item, value)
    if item.kind == "enum":
        return _enum(item, value)
    if item.kind == "object":
        return clean(item.fields, value)
    return _list(item, value)


def _list(item: Field, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or any(not isinstance(row, dict) for row in value):
        raise errors.wrong_structure()
    return [clean(item.fields, row) for row in value]


def clean(fields: Fields, payload: Any, *, ignore: Iterable[str] = ()) -> dict[str, Any]:
    """The values that take effect: ``""`` and ``null`` are dropped, ``API_BLANK`` becomes BLANK.

    Recorded: ``""`` in PUT left the old text in place; the first unknown name is the one in the message.
    """
    if not isinstance(payload, dict):
        raise errors.wrong_structure()
    result: dict[str, Any] = {}
    for name, value in payload.items():
        item = fields.get(name)
        if item is None or not item.writable or name in ignore:
            raise errors.unknown_field(name)
        if value is None or value == "":
            continue
        result[name] = BLANK if value == BLANK_WORD else convert(item, value)
    return result


def without_blanks(values: dict[str, Any]) -> dict[str, Any]:
    """For new objects: clearing a field that was never set is nothing."""
    return {name: value for name, value in values.items() if value is not BLANK}
