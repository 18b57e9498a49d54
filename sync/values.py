"""Typed values in JSON columns and back: money stays Decimal, dates stay dates.

A plain JSON number never stands for money here: `Decimal("1.10")` is stored as `{"$": "n", "v": "1.10"}`, so that
what is read equals what was written, to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from integrations.connector import Value


def dump(value: Value) -> Any:
    """`value` as JSON-compatible data; the inverse of `load`."""
    if isinstance(value, Decimal):
        return {"$": "n", "v": str(value)}
    if isinstance(value, datetime):
        return {"$": "t", "v": value.isoformat()}
    if isinstance(value, date):
        return {"$": "d", "v": value.isoformat()}
    return value


def load(data: Any) -> Value:
    """The typed value behind `dump`'s result."""
    if not isinstance(data, dict):
        return data  # type: ignore[no-any-return]
    text = data["v"]
    match data["$"]:
        case "n":
            return Decimal(text)
        case "t":
            return datetime.fromisoformat(text)
        case _:
            return date.fromisoformat(text)


def dump_all(values: Mapping[str, Value]) -> dict[str, Any]:
    """A mapping of typed values as JSON-compatible data."""
    return {name: dump(value) for name, value in values.items()}


def load_all(data: Mapping[str, Any]) -> dict[str, Value]:
    """The inverse of `dump_all`."""
    return {name: load(value) for name, value in data.items()}


def show(value: Value) -> str:
    """`value` as a person reads it in a diff; "" for nothing."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text and not text.endswith("00") else text
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value)
