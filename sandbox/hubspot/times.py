"""Timestamps as HubSpot writes them. Inside the emulator a moment is whole milliseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache

DAY = 86_400_000


@lru_cache(maxsize=8192)
def iso(moment: int) -> str:
    """``2026-11-20T13:40:22.907Z``; zero milliseconds are dropped, as live answers do."""
    text = datetime.fromtimestamp(moment // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    millis = moment % 1000
    return f"{text}.{millis:03d}Z" if millis else f"{text}Z"


def day(moment: int) -> str:
    """``2026-11-20`` in UTC."""
    return datetime.fromtimestamp(moment // 1000, UTC).strftime("%Y-%m-%d")


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds of an aware datetime."""
    return round(moment.timestamp() * 1000)


def parse(text: str) -> int | None:
    """Read epoch milliseconds, an ISO 8601 date-time or a plain date; None when it is none of them."""
    body = text.strip()
    if body.lstrip("-").isdecimal():
        number = int(body)
        return number if abs(number) < 253_402_300_800_000 else None
    try:
        if len(body) == 10:
            moment = datetime.combine(date.fromisoformat(body), datetime.min.time(), UTC)
        else:
            moment = datetime.fromisoformat(body)
    except ValueError:
        return None
    return milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
