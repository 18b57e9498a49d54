"""Typed values as JSON keeps them, and as a person types them: money stays Decimal, dates stay dates."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

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
    """The typed value behind `dump`'s result; raises `ValueError` for anything else."""
    if data is None or isinstance(data, str | bool):
        return data
    if not isinstance(data, dict) or data.keys() != {"$", "v"} or not isinstance(data["v"], str):
        raise ValueError(_("This is no value."))
    match data["$"]:
        case "n":
            return _number(data["v"])
        case "t":
            return datetime.fromisoformat(data["v"])
        case "d":
            return date.fromisoformat(data["v"])
    raise ValueError(_("This is no value."))


def as_text(value: Value) -> str:
    """What a person edits in a form; the inverse of `from_text` for values of the same kind."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def from_text(text: str, like: Value) -> Value:
    """What a person typed, of the kind that was there before; "" is no value. Raises `ValueError`, with the reason."""
    if text == as_text(like):
        return like
    if not text.strip():
        return None
    if isinstance(like, bool):
        if text.strip().lower() not in ("true", "false"):
            raise ValueError(_("“%(text)s” is neither true nor false.") % {"text": text[:50]})
        return text.strip().lower() == "true"
    if isinstance(like, Decimal):
        return _number(text)
    if isinstance(like, date):
        try:
            return type(like).fromisoformat(text.strip())
        except ValueError:
            raise ValueError(_("“%(text)s” is no date. Write it as 2026-01-31.") % {"text": text[:50]}) from None
    return text.replace("\x00", "")


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        raise ValueError(_("“%(text)s” is no number. Write it as 1234.50.") % {"text": text[:50]}) from None
    if not number.is_finite() or len(text) > 40:
        raise ValueError(_("“%(text)s” is no number. Write it as 1234.50.") % {"text": text[:50]})
    return number
