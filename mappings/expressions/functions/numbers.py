"""Functions on numbers: always Decimal, always half-up, always within the bounds of `values.CONTEXT`."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from integrations.connector import Value
from mappings.expressions.errors import MappingError
from mappings.expressions.functions.arguments import need_number, need_whole, refuse
from mappings.expressions.messages import _
from mappings.expressions.registry import MAX_ARGUMENTS, function
from mappings.expressions.values import CONTEXT, MAX_DIGITS, bounded, is_blank

_GROUP = "Numbers"
_SPACES = re.compile(r"[\s\u00a0\u202f]")
_PLAIN = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?\Z")


@function("decimal(value)", 'decimal("1 234,50")', Decimal("1234.50"), group=_GROUP, arguments=(1, 1))
def decimal_(value: Value) -> Value:
    """The number in the text, with decimal comma or point and with spaces between thousands."""
    if is_blank(value):
        return None
    if isinstance(value, Decimal):
        return value
    text = _SPACES.sub("", value) if isinstance(value, str) and len(value) <= 2 * MAX_DIGITS else ""
    text = text.replace("\u2212", "-")
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    if not _PLAIN.match(text):
        raise refuse("decimal", value, _("a number"), _("Write it as 1234.50 or 1 234,50 at the source."))
    return bounded(Decimal(text))


@function("round(number, decimals)", "round(invoice.Total / 3, 2)", Decimal("416.83"), group=_GROUP, arguments=(1, 2))
def round_(value: Value, decimals: Value = Decimal(0)) -> Value:
    """The number rounded half up to so many decimals (0 to 10)."""
    places = need_whole(decimals, "round", 0, 10)
    if is_blank(value):
        return None
    try:
        return need_number(value, "round").quantize(Decimal(1).scaleb(-places), context=CONTEXT)
    except InvalidOperation:
        raise MappingError(
            _("The number has too many digits to be rounded"), _("Check the value at its source.")
        ) from None


@function("percent(part, whole)", "percent(25, 200)", Decimal("12.5"), group=_GROUP, arguments=(2, 2))
def percent(part: Value, whole: Value) -> Value:
    """What share of the whole the part is, in percent."""
    total = need_number(whole, "percent")
    if total == 0:
        raise MappingError(_("percent() of zero"), _("Guard it: percent(a, b) if b else 0."), code="division_by_zero")
    return bounded(CONTEXT.divide(CONTEXT.multiply(need_number(part, "percent"), Decimal(100)), total))


@function("abs(number)", "abs(0 - invoice.Total)", Decimal("1250.50"), group=_GROUP, arguments=(1, 1))
def abs_(value: Value) -> Value:
    """The number without its sign."""
    return None if is_blank(value) else bounded(CONTEXT.abs(need_number(value, "abs")))


@function("min(number, …)", "min(invoice.Total, 1000)", Decimal(1000), group=_GROUP, arguments=(1, MAX_ARGUMENTS))
def min_(*values: Value) -> Value:
    """The smallest number; empty ones are left out."""
    return min((need_number(value, "min") for value in values if not is_blank(value)), default=None)


@function("max(number, …)", "max(invoice.Total, 1000)", Decimal("1250.50"), group=_GROUP, arguments=(1, MAX_ARGUMENTS))
def max_(*values: Value) -> Value:
    """The largest number; empty ones are left out."""
    return max((need_number(value, "max") for value in values if not is_blank(value)), default=None)


@function("bool(value)", 'bool("ja")', True, group=_GROUP, arguments=(1, 1))
def bool_(value: Value) -> Value:
    """Yes or no from true/false, yes/no, ja/nej, 1/0."""
    if is_blank(value) or isinstance(value, bool):
        return value or (False if value is False else None)
    words = {"true": True, "yes": True, "ja": True, "1": True, "false": False, "no": False, "nej": False, "0": False}
    text = value.strip().casefold() if isinstance(value, str) else str(value) if value in (0, 1) else ""
    if text not in words:
        raise refuse("bool", value, _("yes or no"), _('Use a comparison, such as customer.Type == "COMPANY".'))
    return words[text]
