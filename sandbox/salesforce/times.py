"""Moments and days as Salesforce writes and reads them (REST guide: valid date and dateTime formats)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache

DATETIME = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE | re.ASCII,
)


@lru_cache(maxsize=4096)
def wire(moment: int) -> str:
    """Milliseconds since the epoch as ``2026-11-20T14:05:12.000+0000``; Salesforce keeps whole seconds."""
    return datetime.fromtimestamp(moment // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def to_ms(text: str) -> int | None:
    """A datetime in any accepted form (offset with or without colon, ``Z``, none = UTC) as milliseconds; None when it
    is no datetime."""
    found = DATETIME.fullmatch(text.strip())
    if found is None:
        return None
    day, clock, fraction, offset = found.groups()
    zone = "+00:00" if offset in (None, "Z", "z") else offset
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
        return int(moment.timestamp()) * 1000 + int(((fraction or "") + "000")[:3])
    except (ValueError, OverflowError):
        return None


def to_day(text: str) -> str | None:
    """A date, or the day of a datetime, as ``YYYY-MM-DD``; None when it is none."""
    try:
        return date.fromisoformat(text.strip()[:10]).isoformat() if len(text.strip()) >= 10 else None
    except ValueError:
        return None


def http_date(moment: int) -> str:
    """The form of ``Last-Modified``."""
    return format_datetime(datetime.fromtimestamp(moment // 1000, UTC), usegmt=True)


def from_http(text: str) -> int | None:
    """Milliseconds of an ``If-Modified-Since`` value; None when it cannot be read (then it is ignored)."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1000
