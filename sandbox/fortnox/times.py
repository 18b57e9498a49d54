"""Swedish local time: invoice dates and the lastmodified filter.

Reported by clients: lastmodified is the server's local time. A server that stores naive local times sees the
hour 02–03 twice when summer time ends and skips it when it begins; the comparison here keeps that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from . import errors

STOCKHOLM = ZoneInfo("Europe/Stockholm")
_FORMATS = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S")


def local_date(epoch: float) -> date:
    """The calendar day in Sweden."""
    return datetime.fromtimestamp(epoch, STOCKHOLM).date()


def local_naive(epoch: float) -> datetime:
    """What the server's clock on the wall shows, to the second."""
    return datetime.fromtimestamp(int(epoch), STOCKHOLM).replace(tzinfo=None)


def stamp(epoch: float) -> str:
    """A date-time with its offset, as the OpenAPI file types it (Price.Date)."""
    return datetime.fromtimestamp(int(epoch), STOCKHOLM).isoformat()


def parse(value: str) -> datetime:
    """A lastmodified value: to the minute, to the second, or a date alone."""
    for pattern in _FORMATS:
        try:
            return datetime.strptime(value, pattern)  # noqa: DTZ007 - naive on purpose, see the module
        except ValueError:
            continue
    raise errors.bad_parameter()


def parse_date(value: str) -> str:
    """A date parameter."""
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise errors.bad_parameter() from None


def changed_since(value: str) -> Callable[[float], bool]:
    """Does the wall clock at this change show ``value`` or later? Fast away from the two odd hours a year."""
    wanted = parse(value)
    first = wanted.replace(tzinfo=STOCKHOLM, fold=0)
    second = wanted.replace(tzinfo=STOCKHOLM, fold=1)
    if first.utcoffset() == second.utcoffset():
        threshold = first.timestamp()
        return lambda epoch: int(epoch) >= threshold
    early = (first.astimezone(UTC) - timedelta(hours=3)).timestamp()
    late = (second.astimezone(UTC) + timedelta(hours=3)).timestamp()

    def near(epoch: float) -> bool:
        if epoch < early:
            return False
        return epoch > late or local_naive(epoch) >= wanted

    return near
