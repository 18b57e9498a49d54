"""Argument validation shared by the functions: the right kind, or a `MappingError` that says how to convert."""

from __future__ import annotations

from decimal import Decimal

from mappings.expressions.errors import MappingError
from mappings.expressions.messages import _, say
from mappings.expressions.values import kind, text_of


def need_text(value: object, name: str) -> str:
    """A text argument."""
    if isinstance(value, str):
        return value
    raise MappingError(
        say(_("%(name)s() needs text, not %(kind)s"), {"name": name, "kind": kind(value)}),
        _("Turn the value into text with concat(…)."),
    )


def need_number(value: object, name: str) -> Decimal:
    """A number argument."""
    if isinstance(value, Decimal):
        return value
    raise MappingError(
        say(_("%(name)s() needs a number, not %(kind)s"), {"name": name, "kind": kind(value)}),
        _("Use decimal(…) for text, default(…, 0) for values that may be missing."),
        value=text_of(value) if isinstance(value, str) else "",
    )


def need_whole(value: object, name: str, low: int, high: int) -> int:
    """A whole number within limits."""
    number = need_number(value, name)
    if number != number.to_integral_value() or not low <= number <= high:
        raise MappingError(
            say(
                _("%(name)s() needs a whole number from %(low)d to %(high)d"), {"name": name, "low": low, "high": high}
            ),
            _("Change the number in the mapping."),
        )
    return int(number)


def refuse(name: str, value: object, what: str, remedy: str) -> MappingError:
    """The error for a value that a function cannot read."""
    text = text_of(value) if isinstance(value, (str, Decimal, bool)) or value is None else str(value)
    return MappingError(
        say(_("%(name)s() cannot read “%(value)s” as %(what)s"), {"name": name, "value": text[:100], "what": what}),
        remedy,
        value=text,
    )
