"""Fortnox's clock: filters are in Swedish local time without an offset, answers carry a `Date` header in GMT."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

STOCKHOLM = ZoneInfo("Europe/Stockholm")
OVERLAP = timedelta(seconds=120)
AUTUMN_OVERLAP = timedelta(minutes=65)
"""In autumn the hour between two and three happens twice, and a local time cannot say which one it means."""


def local_date(moment: datetime) -> date:
    """The date in Stockholm at an aware moment."""
    return moment.astimezone(STOCKHOLM).date()


def lastmodified(cursor: str) -> str:
    """The `lastmodified` filter for a cursor (ISO, aware): overlapped, in local time, cut down to the minute."""
    moment = datetime.fromisoformat(cursor).astimezone(UTC)
    before = (moment - timedelta(hours=3)).astimezone(STOCKHOLM).utcoffset()
    after = (moment + timedelta(hours=3)).astimezone(STOCKHOLM).utcoffset()
    autumn = before is not None and after is not None and before > after
    start = moment - (AUTUMN_OVERLAP if autumn else OVERLAP)
    return start.astimezone(STOCKHOLM).strftime("%Y-%m-%d %H:%M")
