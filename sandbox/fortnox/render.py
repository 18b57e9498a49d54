"""JSON as Fortnox writes it: PHP style, with escaped slashes and letters outside ASCII (recorded)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

BASE = "\0"  # stands for the API's address in cached rows; cannot occur in stored text
_ESCAPED_BASE = "\\u0000"


def plain(value: Any) -> Any:
    """Decimals as JSON numbers, everywhere inside ``value``."""
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, dict):
        return {key: plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [plain(content) for content in value]
    return value


def number(value: Decimal) -> int | float:
    """Whole numbers without a decimal point (recorded: ``"Total":1250``)."""
    return int(value) if value == value.to_integral_value() else float(value)


def numeral(value: Any) -> str:
    """The string form of a number (recorded: ``"0"``, ``"1.12"``)."""
    return str(number(Decimal(str(value))))


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return number(value)
    raise TypeError(f"{type(value)} has no JSON form")


def dumps(value: Any) -> str:
    """PHP's json_encode."""
    return json.dumps(value, default=_default, separators=(",", ":")).replace("/", "\\/")


def locate(text: str, base: str) -> str:
    """Put the API's address into rendered text."""
    return text.replace(_ESCAPED_BASE, base.replace("/", "\\/"))
