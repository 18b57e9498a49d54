"""HubSpot's property strings become typed values, and typed values become what HubSpot wants.

Every value in an answer is a string or null; numbers are plain decimals, moments ISO 8601 in UTC (milliseconds may be
missing) or epoch milliseconds, dates `YYYY-MM-DD` or epoch milliseconds at midnight UTC. The invariant: a value that
does not fit its property's type raises `TooLarge` ("unreadable"), except that options are kept as they are spelled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from integrations.connector import FieldType, Value
from integrations.errors import InvalidData, TooLarge

Types = Mapping[str, FieldType]


def parse(name: str, kind: FieldType, value: object, record: str = "") -> Value:
    """The typed value of a property; None for null and ""."""
    if value is None or value == "":
        return None
    text = str(value)
    try:
        match kind:
            case FieldType.NUMBER:
                number = Decimal(text)
                if not number.is_finite():
                    raise ValueError(text)
                return number
            case FieldType.BOOLEAN:
                return {"true": True, "false": False}[text]
            case FieldType.DATE:
                return _moment(text).date() if not re.fullmatch(r"\d{4}-\d\d-\d\d", text) else date.fromisoformat(text)
            case FieldType.DATETIME:
                return _moment(text)
            case _:
                return text
    except (ValueError, KeyError, InvalidOperation, OverflowError, OSError):
        raise TooLarge(
            f"HubSpot sent {text[:80]!r} for {name}, which is not a {kind}",
            code="unreadable",
            record=record,
            field=name,
            value=text,
        ) from None


def _moment(text: str) -> datetime:
    if re.fullmatch(r"-?\d{1,15}", text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def wire(name: str, value: Value) -> str:
    """The string HubSpot stores; None clears. Raises `InvalidData` for a number that is none and a naive moment."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            if not value.is_finite():
                raise InvalidData(f"{value} is not a number", code="wrong_type", field=name, value=str(value))
            plain = format(value, "f")
            return plain.rstrip("0").rstrip(".") if "." in plain else plain
        case datetime():
            if value.tzinfo is None:
                raise InvalidData("A moment needs a time zone", code="wrong_type", field=name, value=str(value))
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case _:
            return str(value)


def wire_all(values: Mapping[str, Value]) -> dict[str, str]:
    """Properties as HubSpot wants them."""
    return {name: wire(name, value) for name, value in values.items()}
