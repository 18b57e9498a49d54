"""Functions on dates. There is no “today”: the same record and mapping always give the same result."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from integrations.connector import Value
from mappings.expressions.functions.arguments import refuse
from mappings.expressions.messages import _
from mappings.expressions.registry import function
from mappings.expressions.values import is_blank

_GROUP = "Dates"


@function("date(value)", 'date("2026-11-21")', date(2026, 11, 21), group=_GROUP, arguments=(1, 1))
def date_(value: Value) -> Value:
    """The date in the text, or of the time in UTC."""
    if is_blank(value):
        return None
    if isinstance(value, datetime):
        return _utc(value).date()
    if isinstance(value, date):
        return value
    moment = _parse(value)
    if moment is None:
        raise refuse("date", value, _("a date"), _("Dates are written 2026-11-21."))
    return moment.date()


@function(
    "datetime_utc(value)",
    "datetime_utc(invoice.InvoiceDate)",
    datetime(2026, 11, 21, tzinfo=UTC),
    group=_GROUP,
    arguments=(1, 1),
)
def datetime_utc(value: Value) -> Value:
    """The moment in UTC; a date becomes its midnight in UTC, so that it never lands on the day before."""
    if is_blank(value):
        return None
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, date):
        return datetime.combine(value, time(), tzinfo=UTC)
    moment = _parse(value)
    if moment is None:
        raise refuse("datetime_utc", value, _("a date with time"), _("Write 2026-11-21 or 2026-11-21T10:00:00Z."))
    return moment


def _parse(value: Value) -> datetime | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        return _utc(datetime.fromisoformat(value.strip()))
    except (ValueError, OverflowError):
        return None


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:  # the first or last hours that exist
        return value.replace(tzinfo=UTC)
