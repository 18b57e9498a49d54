"""One property value: what HubSpot accepts, what it stores, and how it refuses. Stored values are strings."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from . import times
from .definitions import Definition, Option
from .errors import Problem, bad_json

LONGEST = 65_536
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
FREE_ENUMERATIONS = {"hs_additional_domains", "hs_tax_id"}  # enumerations without a list of options

Warning_ = dict[str, Any]


class BadValue(Exception):
    """Carries the problem of one value to the caller, which gathers all of them before refusing."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def problem(self, name: str) -> Problem:
        """The problem as the property's."""
        return Problem(name, self.code, self.message)


def text(raw: Any) -> str:
    """A JSON value as the string HubSpot keeps; numbers and booleans are allowed in requests."""
    if isinstance(raw, str):
        return raw
    if raw is None:
        return ""
    if raw is True or raw is False:
        return "true" if raw else "false"
    if isinstance(raw, int | float):
        return str(raw)
    raise bad_json("Cannot deserialize value of type `java.lang.String`")


def normalise(definition: Definition, value: str, normalising: bool, warnings: list[Warning_]) -> str:
    """The stored form of a non-empty value, or BadValue. ``normalising`` is the 2026-09 handling of dates."""
    if len(value) > LONGEST:
        raise BadValue("VALUE_TOO_LONG", f"The value was too long. Maximum length is {LONGEST} characters.")
    if definition.type == "date":
        return _date(definition.name, value, normalising, warnings)
    check = _CHECKS.get(definition.type)
    return check(definition, value) if check else _string(definition, value)


def _string(definition: Definition, value: str) -> str:
    if definition.name == "email" or definition.identifying:
        value = value.strip().lower()
        if not EMAIL.fullmatch(value):
            raise BadValue("INVALID_EMAIL", f"Email address {value} is invalid")
    elif definition.name == "domain" and definition.standard:
        value = domain_of(value)
    return value


def domain_of(address: str) -> str:
    """A web address reduced to its domain, as HubSpot keeps a company's: lower case, no scheme, no www."""
    host = address.strip().lower().split("://", 1)[-1].split("/", 1)[0]
    return host.removeprefix("www.")


def _number(definition: Definition, value: str) -> str:
    body = value.strip()
    if PLAIN_NUMBER.fullmatch(body):
        return body.removeprefix("+")
    try:
        number = Decimal(body)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or "_" in body:
        raise BadValue("INVALID_NUMBER", f"{definition.name} was not a valid number")
    return f"{number:f}"  # an exponent is written out: answers hold plain decimals only


def _bool(definition: Definition, value: str) -> str:
    lowered = value.lower()
    if lowered not in ("true", "false"):
        raise _not_an_option(value, definition.options)
    return lowered


def _datetime(_definition: Definition, value: str) -> str:
    moment = times.parse(value)
    if moment is None:
        raise BadValue("INVALID_LONG", f"{value} was not a valid long.")
    return times.iso(moment)


def _date(name: str, value: str, normalising: bool, warnings: list[Warning_]) -> str:
    """A date is a plain date or midnight UTC; since 2026-09 other moments are moved to midnight, with a warning."""
    moment = times.parse(value)
    if moment is None:
        raise BadValue("INVALID_LONG", f"{value} was not a valid long.")
    midnight = moment - moment % times.DAY
    if not normalising:
        if moment != midnight:
            clock = times.iso(moment)[11:-1]
            raise BadValue("INVALID_DATE", f"{value} is at {clock} UTC, not midnight!")
    elif len(value.strip()) != 10 and value.strip() != str(midnight):
        context = {"propertyName": name, "rawValue": value, "normalizedValue": str(midnight)}
        warnings.append(
            {
                "category": "PROPERTY_VALUE_NORMALIZED",
                "message": f"{name} was normalized",
                "context": context,
            }
        )
    return times.day(midnight)


def _enumeration(definition: Definition, value: str) -> str:
    if definition.name in FREE_ENUMERATIONS:
        return value
    if definition.multiple:
        chosen = [part.strip() for part in value.split(";") if part.strip()]
        for part in chosen:
            if part not in definition.allowed:
                raise _not_an_option(part, definition.options)
        joined = ";".join(dict.fromkeys(chosen))
        return f";{joined}" if value.startswith(";") else joined
    if value not in definition.allowed:
        raise _not_an_option(value, definition.options)
    return value


def _not_an_option(value: str, options: list[Option]) -> BadValue:
    listed = ", ".join(f'label: "{option.label}"\nvalue: "{option.value}"\n' for option in options)
    return BadValue("INVALID_OPTION", f"{value} was not one of the allowed options: [{listed}]")


def appended(stored: str | None, value: str) -> str:
    """A leading semicolon adds to the values already chosen instead of replacing them."""
    if not value.startswith(";"):
        return value
    parts = [*(stored or "").split(";"), *value.split(";")]
    return ";".join(dict.fromkeys(part for part in parts if part))


_CHECKS: dict[str, Callable[[Definition, str], str]] = {
    "number": _number,
    "bool": _bool,
    "datetime": _datetime,
    "enumeration": _enumeration,
}
