"""The values expressions work with: kinds, bounds, text forms and translation tables.

The one invariant: nothing that leaves an expression is a float, unbounded, or of a kind other than
`integrations.connector.Value`.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

from integrations.connector import Value
from mappings.expressions.errors import MappingError
from mappings.expressions.messages import _, say

MAX_TEXT = 65_536
MAX_DIGITS = 40
MAX_EXPONENT = 30

# Explicit operations on this context (never the thread's): 40 digits carry any invoice, and the exponent is bounded
# because text of a number like 1E+999999 would fill the memory.
CONTEXT = decimal.Context(
    prec=MAX_DIGITS,
    rounding=decimal.ROUND_HALF_UP,
    Emin=-MAX_EXPONENT * 2,
    Emax=MAX_EXPONENT,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow, decimal.FloatOperation],
)


def is_blank(value: object) -> bool:
    """No value and empty text are the same thing everywhere in mappings."""
    return value is None or value == ""


def kind(value: object) -> str:
    """What people call the kind of a value."""
    if value is None:
        return _("nothing")
    if isinstance(value, bool):
        return _("yes/no")
    if isinstance(value, Decimal):
        return _("a number")
    if isinstance(value, str):
        return _("text")
    if isinstance(value, datetime):
        return _("a date with time")
    if isinstance(value, date):
        return _("a date")
    return _("a group of values")


def bounded(number: Decimal) -> Decimal:
    """The number, if it is finite and of sane size."""
    if not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT * 2 or number.adjusted() > MAX_EXPONENT:
        raise MappingError(_("The number is too large or too small"), _("Check the value at its source."))
    if len(number.as_tuple().digits) > MAX_DIGITS:
        raise MappingError(_("The number has too many digits"), _("Check the value at its source."))
    return number


def checked(value: object) -> Value:
    """A result or a value read from a record, as a `Value` within bounds."""
    if value is None or isinstance(value, (bool, datetime, date)):
        return value
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise MappingError(_("The text is longer than 64 KB"), _("Shorten it with truncate()."))
        if not value.isascii() and not _encodable(value):
            raise MappingError(_("The text holds characters that do not exist"), _("Correct it at the source."))
        return value
    if isinstance(value, Decimal):
        return bounded(value)
    if isinstance(value, int):
        return whole(value)
    if isinstance(value, float):  # only JSON from outside can bring one; its text is what was meant
        return bounded(Decimal(repr(value)))
    raise MappingError(
        say(_("A single value was expected, not %(kind)s"), {"kind": kind(value)}),
        _("Name one field or key."),
    )


def _encodable(text: str) -> bool:
    """False for lone halves of surrogate pairs, which JSON can carry and no database or vendor accepts."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def whole(value: int) -> Decimal:
    """An integer as a Decimal; refused before conversion when absurdly long."""
    if value.bit_length() > MAX_DIGITS * 4:
        raise MappingError(_("The number has too many digits"), _("Check the value at its source."))
    return bounded(Decimal(value))


def text_of(value: Value) -> str:
    """The plain text of a value: `12.50`, `2026-11-21`, `true`; nothing is ""."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value


def key_of(value: Value) -> str:
    """The form under which a value is looked up in a table: trimmed, case folded, 25.00 as 25."""
    if isinstance(value, Decimal):
        plain = format(value, "f")
        return (plain.rstrip("0").rstrip(".") if "." in plain else plain) or "0"
    return text_of(value).strip().casefold()


@dataclass(frozen=True, slots=True)
class ValueTable:
    """A translation table. Keys of `entries` are in `key_of` form; `unmapped` says what an unknown value becomes."""

    name: str
    entries: Mapping[str, str] = field(default_factory=dict)
    unmapped: Literal["block", "default", "pass"] = "block"
    default: str = ""

    def look_up(self, value: Value) -> Value:
        """The translation of a value; nothing stays nothing unless the table translates the empty value."""
        key = key_of(value)
        if key in self.entries:
            return self.entries[key]
        if is_blank(value):
            return self.default if self.unmapped == "default" else None
        if self.unmapped == "default":
            return self.default
        if self.unmapped == "pass":
            return value
        raise MappingError(
            say(
                _("“%(value)s” is not in the value map “%(table)s”"),
                {"value": text_of(value)[:100], "table": self.name},
            ),
            say(
                _("Add “%(value)s” to the value map “%(table)s”."), {"value": text_of(value)[:100], "table": self.name}
            ),
            code="unmapped_value",
            value=text_of(value),
        )


def table_of(
    name: str,
    entries: Mapping[str, str],
    unmapped: Literal["block", "default", "pass"] = "block",
    default: str = "",
) -> ValueTable:
    """A table from entries as people wrote them."""
    return ValueTable(name, {key_of(key): value for key, value in entries.items()}, unmapped, default)
