"""Date literals such as ``TODAY`` and ``LAST_N_DAYS:7`` as half-open spans of days.

Salesforce SOQL guide, date formats and date literals: days, weeks and months are those of the user's time zone; a week
begins on Sunday (the default locale's); LAST_N_DAYS:n begins n days ago and ends with today, LAST_N_WEEKS:n and its
like are the n whole units before the present one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

UNITS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")


def span(word: str, count: int | None, today: date) -> tuple[date, date]:
    """First day, and the first day after, of a literal in capitals; ``count`` is the n of ``…_N_…:n``."""
    if word in ("YESTERDAY", "TODAY", "TOMORROW"):
        first = today + timedelta(days=("YESTERDAY", "TODAY", "TOMORROW").index(word) - 1)
        return first, first + timedelta(days=1)
    if word == "LAST_90_DAYS":
        return today - timedelta(days=90), today + timedelta(days=1)
    if word == "NEXT_90_DAYS":
        return today + timedelta(days=1), today + timedelta(days=91)
    parts = word.split("_")
    if parts[0] == "N":  # N_DAYS_AGO:n, the one unit n units ago
        unit, distance = parts[1].removesuffix("S"), -(count or 0)
        return begin(unit, today, distance), begin(unit, today, distance + 1)
    unit = parts[-1].removesuffix("S")
    if parts[0] == "THIS":
        return begin(unit, today, 0), begin(unit, today, 1)
    number = 1 if count is None else count
    if parts[0] == "NEXT":
        return begin(unit, today, 1), begin(unit, today, number + 1)
    includes_present = unit == "DAY"  # LAST_N_DAYS ends today; whole weeks and longer end before the present one
    return begin(unit, today, -number), begin(unit, today, 1 if includes_present else 0)


def begin(unit: str, today: date, distance: int) -> date:
    """The first day of the unit that lies ``distance`` units from the one today is in."""
    if unit == "DAY":
        return today + timedelta(days=distance)
    if unit == "WEEK":
        return today - timedelta(days=(today.weekday() + 1) % 7) + timedelta(weeks=distance)
    if unit == "YEAR":
        return date(today.year + distance, 1, 1)
    months = 3 if unit == "QUARTER" else 1
    position = today.year * 12 + (today.month - 1) // months * months + distance * months
    return date(position // 12, position % 12 + 1, 1)


def moment_text(day: date, zone: tzinfo) -> str:
    """The instant a day begins in a time zone, as datetimes are stored."""
    instant = datetime.combine(day, time(), zone).astimezone(UTC)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
