"""One value as the interface takes it, checked and brought into the form in which rows hold it.

Text is trimmed and an empty one is null; numbers are Decimal; dates and datetimes are their canonical text."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from . import errors, ids, times
from .errors import SfError
from .schema import FieldDef

EMAIL = re.compile(r"[^@\s,;:<>()\[\]\"\\]+@[^@\s.,;:<>()]+(\.[^@\s.,;:<>()]+)+")
TOKENS = {
    "bool": "VALUE_TRUE",
    "int": "VALUE_NUMBER_INT",
    "float": "VALUE_NUMBER_FLOAT",
    "list": "START_ARRAY",
    "dict": "START_OBJECT",
}


def clean(field: FieldDef, value: Any) -> Any:
    """The stored form of a wire value; ``SfError`` when the field does not take it."""
    if value is None:
        return False if field.type == "boolean" else None
    return CLEANERS[field.type](field, value)


def unreadable(field: FieldDef, value: Any) -> SfError:
    """400 JSON_PARSER_ERROR: the value is not of the field's type."""
    token = TOKENS.get(type(value).__name__, "VALUE_STRING")
    shown = "" if isinstance(value, list | dict) else f" value {value}"
    return errors.bad_json(
        f"Cannot deserialize instance of {field.type} from {token}{shown} or request may be missing a required field"
    )


def _text(field: FieldDef, value: Any) -> str | None:
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise unreadable(field, value)
        value = str(value)
    text: str = value.strip()
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no character
    if not text:
        return None
    if field.type == "textarea" and "\n" in text:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    if field.length and len(text) > field.length:
        raise errors.too_long(field.label, field.name, text, field.length)
    return text


def _email(field: FieldDef, value: Any) -> str | None:
    text = _text(field, value)
    if text is not None and not EMAIL.fullmatch(text):
        raise errors.refused("INVALID_EMAIL_ADDRESS", f"{field.label}: invalid email address: {text}", field.name)
    return text


def _number(field: FieldDef, value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise unreadable(field, value)
    if isinstance(value, str) and not value.strip():
        return None
    try:
        number = Decimal(str(value).strip())
        if not number.is_finite():
            raise unreadable(field, value)
        if number.adjusted() >= max(field.precision - field.scale, 1):
            raise _out_of_range(field, value)
        return number.quantize(Decimal(1).scaleb(-field.scale), ROUND_HALF_UP)
    except InvalidOperation:
        raise unreadable(field, value) from None


def _whole(field: FieldDef, value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise unreadable(field, value)
    if isinstance(value, str) and not value.strip():
        return None
    try:
        number = Decimal(str(value).strip())
        if not number.is_finite() or number != number.to_integral_value():
            raise unreadable(field, value)
    except InvalidOperation:
        raise unreadable(field, value) from None
    if number.adjusted() >= (field.digits or 9):
        raise _out_of_range(field, value)
    return int(number)


def _out_of_range(field: FieldDef, value: Any) -> SfError:
    return errors.refused(
        "NUMBER_OUTSIDE_VALID_RANGE",
        f"{field.label}: value outside of valid range on numeric field: {value}",
        field.name,
    )


def _boolean(field: FieldDef, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "false": False, "0": False, "": False}
    found = known.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if found is None:
        raise unreadable(field, value)
    return found


def _day(field: FieldDef, value: Any) -> str | None:
    if not isinstance(value, str):
        raise unreadable(field, value)
    if not value.strip():
        return None
    found = times.to_day(value)
    if found is None:
        raise unreadable(field, value)
    return found


def _moment(field: FieldDef, value: Any) -> str | None:
    if not isinstance(value, str):
        raise unreadable(field, value)
    if not value.strip():
        return None
    day = times.to_day(value) if len(value.strip()) == 10 else None
    found = times.to_ms(f"{day}T00:00:00Z" if day else value)
    if found is None:
        raise unreadable(field, value)
    try:
        return times.wire(found)
    except (ValueError, OverflowError):  # beyond the calendar
        raise unreadable(field, value) from None


def _id(field: FieldDef, value: Any) -> str | None:
    if not isinstance(value, str):
        raise unreadable(field, value)
    if not value.strip():
        return None
    found = ids.full(value.strip())
    if found is None:
        raise errors.bad_lookup(field.name, value, field.label)
    return found


def _choices(field: FieldDef, value: Any) -> str | None:
    """A multi-select value: ``a;b``, in the order in which the values are declared."""
    text = _text(field, value)
    if text is None:
        return None
    parts = [part.strip() for part in text.split(";") if part.strip()]
    return ";".join(dict.fromkeys(parts)) or None


CLEANERS: dict[str, Callable[[FieldDef, Any], Any]] = {
    **dict.fromkeys(("string", "textarea", "phone", "url", "picklist", "combobox", "encryptedstring"), _text),
    **dict.fromkeys(("double", "currency", "percent"), _number),
    "email": _email,
    "int": _whole,
    "boolean": _boolean,
    "date": _day,
    "datetime": _moment,
    "reference": _id,
    "id": _id,
    "multipicklist": _choices,
    "time": _text,
    "base64": _text,
    "anyType": _text,
}
