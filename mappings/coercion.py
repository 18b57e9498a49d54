"""Typing for the target: a mapped value as the target field wants it, or a `MappingError` that says why not.

The invariant: `coerce` is idempotent, and what it returns is what a faithful remote would return for it, so that the
three-way compare sees no difference where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from integrations.connector import FieldSchema, FieldType, Value
from mappings.expressions import MappingError, is_blank, text_of
from mappings.expressions.messages import _, say
from mappings.expressions.values import CONTEXT, bounded

YES = frozenset({"true", "1", "yes", "ja"})
NO = frozenset({"false", "0", "no", "nej"})


def coerce(value: Value, schema: FieldSchema) -> Value:
    """The value typed for the field; blank is None."""
    if is_blank(value):
        return None
    return _COERCIONS[schema.type](value, schema)


def _wrong(value: Value, schema: FieldSchema, wanted: str, remedy: str) -> MappingError:
    return MappingError(
        say(
            _("“%(field)s” needs %(wanted)s, not “%(value)s”"),
            {"field": schema.label or schema.name, "wanted": wanted, "value": text_of(value)[:100]},
        ),
        remedy,
        code="wrong_type",
        value=text_of(value),
    )


def _string(value: Value, schema: FieldSchema) -> Value:
    text = text_of(value)
    if schema.max_length is not None and len(text) > schema.max_length:
        raise MappingError(
            say(
                _("“%(field)s” holds at most %(limit)d characters; the value has %(length)d"),
                {"field": schema.label or schema.name, "limit": schema.max_length, "length": len(text)},
            ),
            say(
                _("Shorten it at the source, or use truncate(…, %(limit)d) in the mapping."),
                {"limit": schema.max_length},
            ),
            code="too_long",
            value=text,
        )
    return text


def _number(value: Value, schema: FieldSchema) -> Value:
    if isinstance(value, str):
        try:
            value = bounded(Decimal(value.strip()))
        except InvalidOperation:
            raise _wrong(value, schema, _("a number"), _("Use decimal(…), or a value map.")) from None
    if isinstance(value, bool) or not isinstance(value, Decimal):
        raise _wrong(value, schema, _("a number"), _("Map a number field, or use decimal(…)."))
    if schema.decimals is None:
        return value
    # The vendor would round the rest away; doing it here keeps wanted and returned equal.
    try:
        return value.quantize(Decimal(1).scaleb(-schema.decimals), context=CONTEXT)
    except InvalidOperation:
        raise _wrong(value, schema, _("a smaller number"), _("Check the value at its source.")) from None


def _boolean(value: Value, schema: FieldSchema) -> Value:
    if isinstance(value, bool):
        return value
    text = text_of(value).strip().casefold()
    if text in YES or text in NO:
        return text in YES
    raise _wrong(value, schema, _("yes or no"), _("Use bool(…), or a comparison."))


def _date(value: Value, schema: FieldSchema) -> Value:
    if isinstance(value, datetime):
        return _aware(value).date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(text_of(value).strip())
    except ValueError:
        raise _wrong(value, schema, _("a date"), _("Use date(…); dates are written 2026-11-21.")) from None


def _datetime(value: Value, schema: FieldSchema) -> Value:
    if isinstance(value, datetime):
        return _aware(value)
    if isinstance(value, date):
        # Midnight UTC: a date must never land on the day before (RB9).
        return datetime.combine(value, time(), tzinfo=UTC)
    try:
        return _aware(datetime.fromisoformat(text_of(value).strip()))
    except (ValueError, OverflowError):
        raise _wrong(value, schema, _("a date with time"), _("Use datetime_utc(…).")) from None


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _enum(value: Value, schema: FieldSchema) -> Value:
    text = text_of(value)
    if schema.options and text not in {option.value for option in schema.options}:
        allowed = ", ".join(option.value for option in schema.options[:12])
        raise MappingError(
            say(
                _("“%(value)s” is not one of the values that “%(field)s” allows (%(allowed)s)"),
                {"value": text[:100], "field": schema.label or schema.name, "allowed": allowed},
            ),
            say(_("Enable “%(value)s” at the target, or translate it with a value map."), {"value": text[:100]}),
            code="option_unknown",
            value=text,
        )
    return text


_COERCIONS: dict[FieldType, Callable[[Value, FieldSchema], Value]] = {
    FieldType.STRING: _string,
    FieldType.NUMBER: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATE: _date,
    FieldType.DATETIME: _datetime,
    FieldType.ENUM: _enum,
}
