"""Salesforce's JSON values become typed values, and typed values become what Salesforce wants.

Numbers are JSON numbers (in CSV their text), moments `2026-11-20T14:05:12.000+0000` without a colon in the offset,
dates `YYYY-MM-DD`; a picklist is its value and a multi-select one its values joined by `;`. Empty text is stored as
null. The invariants: a value that does not fit its field's type raises `TooLarge` ("unreadable") with its record and
field, also when it comes from a server that means harm (huge exponents, lone surrogates, lists); and no typed value is
sent that Salesforce would keep differently without saying so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from integrations.connector import FieldType, Value
from integrations.errors import InvalidData, TooLarge

KINDS: Mapping[str, FieldType] = {
    "boolean": FieldType.BOOLEAN,
    "int": FieldType.NUMBER,
    "long": FieldType.NUMBER,
    "double": FieldType.NUMBER,
    "currency": FieldType.NUMBER,
    "percent": FieldType.NUMBER,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "picklist": FieldType.ENUM,
}
"""Types of a describe that are not text to us. A multi-select picklist is text: `a;b`."""
UNREADABLE = frozenset({"address", "location", "base64", "complexvalue", "json"})
"""Types that hold several values or files; their parts are fields of their own."""
LONGEST_TEXT = 131_072
"""Characters of the longest field that Salesforce has."""
DIGITS = 18
"""Significant digits of a number, as Salesforce keeps them."""
_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d{0,3})?(?:(Z)|([+-]\d\d):?(\d\d))")
_TRUTH = {"true": True, "false": False}


def parse(name: str, kind: FieldType, value: object, record: str = "") -> Value:
    """The typed value of a field; None for null and empty text. `value` is of JSON or, as text, of CSV."""
    if value is None or value == "":
        return None
    try:
        match kind:
            case FieldType.NUMBER:
                return _number(value)
            case FieldType.BOOLEAN:
                return value if isinstance(value, bool) else _TRUTH[_text(value).lower()]
            case FieldType.DATE:
                return _date(_text(value))
            case FieldType.DATETIME:
                return moment(_text(value))
            case _:
                return _text(value).replace("\0", "").replace("\r\n", "\n") or None
    except (ValueError, KeyError, InvalidOperation, OverflowError):
        shown = ascii(value)[:80]
        raise TooLarge(
            f"Salesforce sent {shown} for {name}, which is not a {kind}",
            code="unreadable",
            record=record,
            field=name,
            value=shown,
        ) from None


def _text(value: object) -> str:
    """Text that a database can keep. Raises `ValueError` for what is no text."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return format(value, "f") if isinstance(value, Decimal) and abs(value.adjusted()) < 40 else str(int(value))[:40]
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError(value)
    value.encode()  # a lone surrogate is no character; UnicodeEncodeError is a ValueError
    return value


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError(value)
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError(value)
    number = Decimal(str(value) if isinstance(value, float) else value)
    if not number.is_finite() or (number and abs(number.adjusted()) > 40) or len(number.as_tuple().digits) > 80:
        raise ValueError(value)
    return number


def _date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def moment(text: str) -> datetime:
    """A moment as Salesforce spells it, in UTC. Raises `ValueError` for one without an offset."""
    found = _MOMENT.fullmatch(text)
    if not found:
        raise ValueError(text)
    plain, fraction, utc, hours, minutes = found.groups()
    offset = "+00:00" if utc else f"{hours}:{minutes}"
    return datetime.fromisoformat(f"{plain}.{(fraction or '').ljust(6, '0')}{offset}").astimezone(UTC)


def wire(name: str, value: Value) -> str | int | float | bool | None:
    """The JSON value to send; None clears.

    Raises `InvalidData` for a number that is none or has more digits than Salesforce keeps, and for a naive moment.
    """
    match value:
        case None | "":
            return None
        case bool():
            return value
        case Decimal():
            return _wire_number(name, value)
        case datetime():
            if value.tzinfo is None:
                raise InvalidData("A moment needs a time zone", code="wrong_type", field=name, value=str(value))
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _wire_number(name: str, value: Decimal) -> int | float:
    """A JSON number that says exactly `value`; a binary fraction is used only where it reads back the same."""
    if value.is_finite() and abs(value.adjusted()) < DIGITS:
        if value == value.to_integral_value():
            return int(value)
        if Decimal(repr(float(value))) == value:
            return float(value)
    raise InvalidData(
        f"{str(value)[:60]} is not a number that Salesforce can keep", code="wrong_type", field=name, value=str(value)
    )


def spelled(name: str, value: Value) -> str:
    """The value as text, for comparing and for CSV: numbers without trailing zeros, "" for null."""
    if isinstance(value, Decimal):
        plain = format(value, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    given = wire(name, value)
    if isinstance(given, bool):
        return "true" if given else "false"
    return "" if given is None else str(given)
