"""The shared rate budget: who may send to a vendor now (trust A4).

One `RateBudget` row per vendor limit holds the exact times of the last sends. A slot is taken by one conditional
UPDATE that reads and writes that row on the database's clock, so any number of processes and hosts share a limit
without agreeing on the time. The invariant: never more than `count` sends in any `seconds`, in any order of events.

How full use and short waits go together. Bulk work may burst `BURST` of the limit; the rest it earns evenly over the
window, counted from the oldest send in it, and what it did not use it may catch up with. So the slots also leave the
window spread out, a new one is never far away at full use, and bulk reaches the limit (less the 4 % safety margin of
the window) even when it works in fits and starts. A person's call is not paced, and it first raises the *reserve*: for
`RESERVE_SECONDS` bulk leaves `RESERVE` of the slots free, and never races for the next one.
"""

# ruff: noqa: S608 - the table and the clock are our own constants; every value is a parameter
from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

from integrations.errors import RateLimited
from integrations.models import ConnectedAccount, RateBudget

MARGIN = 0.04
"""Added to the window: what the network may squeeze two sends together (0.2 s of Fortnox's 5 s)."""
BURST = 0.4
EARNED_AFTER = 0.9
RESERVE = 0.2
RESERVE_SECONDS = 30.0
UNLIMITED = 10_000
"""A limit of 0, or of this many and more, means: no limit (the sandbox with its limits off)."""

_TABLE = RateBudget._meta.db_table
_observed: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Limit:
    """`count` sends in any `seconds`."""

    count: int
    seconds: float

    @property
    def window(self) -> float:
        """Seconds that a send occupies its slot."""
        return self.seconds * (1 + MARGIN)

    @property
    def unlimited(self) -> bool:
        return self.count <= 0 or self.count >= UNLIMITED

    @property
    def reserve(self) -> int:
        return max(1, round(self.count * RESERVE))

    @property
    def earning(self) -> float:
        """Seconds over which bulk earns the slots beyond its burst; less than the window, so that all are used."""
        return self.window * EARNED_AFTER

    @property
    def burst(self) -> int:
        return max(1, math.floor(self.count * BURST))


def key_of(account: ConnectedAccount, bucket: str = "default") -> str:
    """The name of the shared limit that a call of this account counts against."""
    if account.system == "fortnox":
        return f"fortnox:{settings.VENDORS['fortnox']['client_id'][:60]}:{account.remote_id[:40]}"
    key = f"{account.system}:{account.remote_id[:60]}"
    return f"{key}:{bucket}" if bucket == "search" else key


def limit_of(system: str, bucket: str = "default", key: str = "") -> Limit:
    """The configured limit, lowered to what the vendor's own headers announced for `key`."""
    name = "search_rate" if bucket == "search" else "rate"
    count, seconds = settings.VENDORS[system][name]
    return Limit(min(count, _observed.get(key, count)) if count > 0 else count, seconds)


def observe(key: str, configured: Limit, count: int, seconds: float) -> None:
    """Note a limit that the vendor announced for the interval we count by; only a lower one changes anything (in this
    process). Another interval is another limit, which says nothing about ours."""
    if 0 < count < configured.count and abs(seconds - configured.seconds) < 0.001:
        _observed[key] = count


def _sql() -> tuple[str, str, str, str]:
    """(clock, recent send times of row `b`, the array of kept and new hits, cast) in the database's dialect."""
    if connection.vendor == "postgresql":
        clock = "extract(epoch from clock_timestamp())::float8"
        recent = (
            "(SELECT x::float8 AS h FROM jsonb_array_elements_text(b.hits) AS x"
            f" WHERE x::float8 > {clock} - %(window)s)"
        )
        kept = (
            f"(SELECT jsonb_agg(h ORDER BY h) FROM (SELECT h FROM {recent} r UNION ALL"
            f" SELECT {clock} FROM generate_series(1, %(n)s)) k)"
        )
        return clock, recent, kept, f"UPDATE {_TABLE} AS b"
    clock = "((julianday('now') - 2440587.5) * 86400.0)"
    recent = f"(SELECT value AS h FROM json_each(b.hits) WHERE value > {clock} - %(window)s)"
    series = "(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < %(n)s) SELECT i FROM s)"
    kept = (
        f"(SELECT json_group_array(h) FROM (SELECT h FROM {recent} UNION ALL SELECT {clock} FROM {series} ORDER BY h))"
    )
    return clock, recent, kept, f"UPDATE {_TABLE} AS b"


def _statement(lane: str) -> str:
    clock, recent, kept, update = _sql()
    largest = "greatest" if connection.vendor == "postgresql" else "max"
    usable = "used + %(n)s <= %(count)s"
    if lane == "bulk":
        held = (
            f"CASE WHEN EXISTS (SELECT 1 FROM {_TABLE} q WHERE q.key = %(reserve_key)s"
            f" AND q.paused_until > {clock}) THEN %(reserve)s ELSE 0 END"
        )
        # Send times are kept as text with microseconds, so the newest may seem to lie in the future by less than one.
        earned = f"(%(count)s - %(burst)s) * {largest}({clock} - oldest, 0) / %(earning)s"
        usable = f"used + %(n)s + {held} <= %(count)s AND (used = 0 OR used + %(n)s <= %(burst)s + {earned})"
    return (
        f"{update} SET hits = {kept} WHERE b.key = %(key)s AND b.paused_until <= {clock} AND"
        f" (SELECT {usable} FROM (SELECT count(*) AS used, min(h) AS oldest FROM {recent} r) w)"
    )


def take(key: str, limit: Limit, n: int = 1, lane: str = "bulk") -> bool:
    """Take `n` slots now, all or none, in one statement on the calling thread's connection."""
    if limit.unlimited:
        return True
    n = min(n, limit.count if lane != "bulk" else max(1, limit.count - limit.reserve))
    parameters: dict[str, Any] = {
        "key": key,
        "reserve_key": f"{key}:reserve",
        "n": n,
        "count": limit.count,
        "window": limit.window,
        "reserve": limit.reserve,
        "burst": limit.burst,
        "earning": limit.earning,
    }
    with connection.cursor() as cursor:
        cursor.execute(_statement(lane), parameters)
        return bool(cursor.rowcount == 1)


def _clock_and_row(key: str) -> tuple[float, list[float], float, float]:
    """(database time, sends, paused until, reserve until); makes the rows when they are missing."""
    rows = {r.key: r for r in RateBudget.objects.filter(key__in=[key, f"{key}:reserve"])}
    if len(rows) < 2:
        RateBudget.objects.bulk_create([RateBudget(key=key), RateBudget(key=f"{key}:reserve")], ignore_conflicts=True)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_sql()[0]}")
        now = float(cursor.fetchone()[0])
    row, reserve = rows.get(key), rows.get(f"{key}:reserve")
    return (
        now,
        [float(hit) for hit in row.hits] if row else [],
        row.paused_until if row else 0.0,
        reserve.paused_until if reserve else 0.0,
    )


def wait_for(
    limit: Limit, hits: list[float], now: float, *, n: int = 1, lane: str = "bulk", held: bool = False
) -> float:
    """Seconds until `n` slots can be taken, if nobody else takes any. The Python twin of the statement's rule."""
    recent = sorted(hit for hit in hits if hit > now - limit.window)
    room = limit.count - (limit.reserve if lane == "bulk" and held else 0)
    excess = len(recent) + n - room
    if excess > 0:
        leaving = recent[min(excess, len(recent)) - 1] if recent else now
        return max(0.0, leaving + limit.window - now)
    if lane != "bulk" or len(recent) + n <= limit.burst or not recent:
        return 0.0
    earned = recent[0] + (len(recent) + n - limit.burst) * limit.earning / max(limit.count - limit.burst, 1)
    return max(0.0, min(earned, recent[0] + limit.window) - now)


def wait_and_take(key: str, limit: Limit, *, n: int = 1, lane: str = "bulk", patience: float = 30.0) -> float:
    """Take `n` slots, sleeping exactly as long as needed; the seconds waited.

    Raises `RateLimited` (nothing was sent) when that would take longer than `patience` seconds.
    """
    if limit.unlimited:
        return 0.0
    started = time.monotonic()
    if lane != "bulk":
        _raise_reserve(key)
    while not take(key, limit, n, lane):
        now, hits, paused_until, reserved_until = _clock_and_row(key)
        wait = max(wait_for(limit, hits, now, n=n, lane=lane, held=reserved_until > now), paused_until - now, 0.0005)
        waited = time.monotonic() - started
        if waited + wait > patience:
            raise RateLimited("The vendor's rate limit is used up by other work", code="budget", retry_after=wait)
        # A little jitter keeps processes that wait for the same moment from asking in the same microsecond.
        time.sleep(wait + random.uniform(0, 0.001))  # noqa: S311
    return time.monotonic() - started


def _raise_reserve(key: str) -> None:
    clock = _sql()[0]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_TABLE} SET paused_until = {clock} + %s WHERE key = %s AND paused_until < {clock} + %s",
            [RESERVE_SECONDS, f"{key}:reserve", RESERVE_SECONDS / 2],
        )


def pause(key: str, seconds: float) -> None:
    """Nobody takes a slot of `key` for the next `seconds`: the vendor said so (429)."""
    clock = _sql()[0]
    later = "greatest" if connection.vendor == "postgresql" else "max"
    if not RateBudget.objects.filter(key=key).exists():
        _clock_and_row(key)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_TABLE} SET paused_until = {later}(paused_until, {clock} + %s) WHERE key = %s",
            [seconds, key],
        )
