"""Arithmetic, comparison and truth, by kind: numbers with numbers, text with text, dates with dates.

The invariant: mixing kinds is a `MappingError` that says how to convert, never a silent guess ("25" is not 25).
"""

from __future__ import annotations

import ast
import decimal
import operator
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from mappings.expressions.errors import MappingError
from mappings.expressions.messages import _, say
from mappings.expressions.values import CONTEXT, bounded, checked, is_blank, kind

Binary = Callable[[object, object], object]


def _need_number(value: object, sign: str) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if is_blank(value):
        raise MappingError(
            say(_("“%(sign)s” met an empty value"), {"sign": sign}),
            _("Use default(…, 0) for numbers that may be missing."),
            code="empty_value",
        )
    raise MappingError(
        say(_("“%(sign)s” needs a number, not %(kind)s"), {"sign": sign, "kind": kind(value)}),
        _("Convert with decimal(…)."),
    )


def _arithmetic(sign: str, method: Callable[[Decimal, Decimal], Decimal]) -> Binary:
    def run(left: object, right: object) -> Decimal:
        a, b = _need_number(left, sign), _need_number(right, sign)
        try:
            return bounded(method(a, b))
        except (decimal.DivisionByZero, decimal.DivisionUndefined):
            raise _division_by_zero() from None
        except decimal.InvalidOperation as error:
            if isinstance(error.args[0], list) and b == 0:
                raise _division_by_zero() from None
            raise _too_large() from None
        except decimal.Overflow:
            raise _too_large() from None

    return run


def _division_by_zero() -> MappingError:
    return MappingError(_("Division by zero"), _("Guard it: a / b if b else 0."), code="division_by_zero")


def _too_large() -> MappingError:
    return MappingError(_("The number is too large or too small"), _("Check the value at its source."))


def _add(left: object, right: object) -> object:
    if isinstance(left, str) and isinstance(right, str) and (left or right):
        return checked(left + right)
    if isinstance(left, str) or isinstance(right, str):
        other = right if isinstance(left, str) else left
        if other is None:
            raise MappingError(_("“+” met an empty value"), _("Use concat() or default()."), code="empty_value")
        raise MappingError(
            say(_("“+” joins text with text, not with %(kind)s"), {"kind": kind(other)}), _("Use concat().")
        )
    if left is None or right is None:
        raise MappingError(_("“+” met an empty value"), _("Use concat() or default()."), code="empty_value")
    return _SUM(left, right)


_SUM = _arithmetic("+", CONTEXT.add)

BINARY: dict[type[ast.operator], Binary] = {
    ast.Add: _add,
    ast.Sub: _arithmetic("-", CONTEXT.subtract),
    ast.Mult: _arithmetic("*", CONTEXT.multiply),
    ast.Div: _arithmetic("/", CONTEXT.divide),
    ast.Mod: _arithmetic("%", CONTEXT.remainder),
}


def negate(value: object) -> object:
    """`-x`."""
    return bounded(CONTEXT.minus(_need_number(value, "-")))


def unary_plus(value: object) -> object:
    """`+x`."""
    return _need_number(value, "+")


def truth(value: object) -> bool:
    """Nothing, empty text, zero and "no" are false."""
    if isinstance(value, (str, bool, Decimal)) or value is None:
        return bool(value)
    return True


def _family(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    for family, types in (("number", Decimal), ("text", str), ("datetime", datetime), ("date", date)):
        if isinstance(value, types):
            return family
    return "group"


def equal(left: object, right: object) -> bool:
    """`==`: empty equals empty; different kinds are an error, because "25" == 25 is always a mistake."""
    if is_blank(left) or is_blank(right):
        return is_blank(left) and is_blank(right)
    if _family(left) != _family(right) or _family(left) == "group":
        raise MappingError(
            say(_("Cannot compare %(left)s with %(right)s"), {"left": kind(left), "right": kind(right)}),
            _("Convert one side, for example with decimal(…), date(…) or concat(…)."),
        )
    return bool(left == right)


def _ordered(sign: str, compare: Callable[[Any, Any], Any]) -> Callable[[object, object], bool]:
    def run(left: object, right: object) -> bool:
        if is_blank(left) or is_blank(right):
            raise MappingError(
                say(_("“%(sign)s” met an empty value"), {"sign": sign}),
                _("Use default(), or test for the empty value first."),
                code="empty_value",
            )
        family = _family(left)
        if family != _family(right) or family in {"bool", "group"}:
            raise MappingError(
                say(_("Cannot compare %(left)s with %(right)s"), {"left": kind(left), "right": kind(right)}),
                _("Convert one side, for example with decimal(…) or date(…)."),
            )
        try:
            return bool(compare(left, right))
        except TypeError:  # a date with time zone and one without
            raise MappingError(
                _("Cannot compare times with and without time zone"), _("Use datetime_utc(…).")
            ) from None

    return run


COMPARE: dict[type[ast.cmpop], Callable[[object, object], bool]] = {
    ast.Eq: equal,
    ast.NotEq: lambda left, right: not equal(left, right),
    ast.Lt: _ordered("<", operator.lt),
    ast.LtE: _ordered("<=", operator.le),
    ast.Gt: _ordered(">", operator.gt),
    ast.GtE: _ordered(">=", operator.ge),
    # Only `is None` and `is not None` are accepted by the compiler.
    ast.Is: lambda left, right: is_blank(left),
    ast.IsNot: lambda left, right: not is_blank(left),
}


def member(value: object, options: tuple[object, ...]) -> bool:
    """`in`: whether the value equals one of the constants of its own kind."""
    return any(
        (is_blank(value) and is_blank(option))
        or (not is_blank(value) and _family(value) == _family(option) and value == option)
        for option in options
    )
