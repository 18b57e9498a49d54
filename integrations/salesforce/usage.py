"""The org's daily allowance of API calls, which our work shares with everything else that the customer runs.

Every answer says how many of the calls of the last 24 hours are used (Salesforce's REST guide: `Sforce-Limit-Info`).
Background work is slowed from 80 % on and waits from 95 % on, so that the rest is left to the customer's people, whose
calls always go. The invariant: what stops work is never older than a quarter of an hour; then one call asks again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from integrations.errors import RateLimited
from integrations.models import ConnectedAccount
from integrations.transport import Call, Raw

SLOW_FROM = 0.80
STOP_FROM = 0.95
LONGEST_PAUSE = 2.0
"""Seconds before each background call just below the stop; none at the start of the slowing."""
FRESH = timedelta(minutes=15)
"""How long a number counts; calls leave the window of 24 hours all the time."""
SAVED_EVERY = timedelta(minutes=1)
SHORTEST_WAIT = 60.0
_HEADER = re.compile(r"(?<![\w-])api-usage=(\d{1,12})/(\d{1,12})")
_EXCEEDED = b"REQUEST_LIMIT_EXCEEDED"


@dataclass(frozen=True, slots=True)
class Usage:
    """`used` of `max` calls in the 24 hours before `at`, by everybody in the org."""

    used: int
    max: int
    at: datetime

    @property
    def share(self) -> float:
        """Between 0 and 1, above it when Salesforce lets an org overdraw."""
        return self.used / self.max

    def stored(self) -> dict[str, object]:
        """As it is kept with the account."""
        return {"used": self.used, "max": self.max, "at": self.at.isoformat()}


_latest: dict[UUID, Usage] = {}
_saved: dict[UUID, Usage] = {}


def clear() -> None:
    """Forget what this process has heard."""
    _latest.clear()
    _saved.clear()


def read(header: str, at: datetime) -> Usage | None:
    """The numbers of a `Sforce-Limit-Info` header; None when it has none."""
    found = _HEADER.search(header)
    return Usage(int(found[1]), int(found[2]), at) if found and int(found[2]) else None


def known(account: ConnectedAccount) -> Usage | None:
    """The newest numbers that this process has heard, or that were stored when the account was loaded."""
    stored = _stored(account.usage)
    heard = _latest.get(account.pk)
    return max((u for u in (stored, heard) if u is not None), key=lambda usage: usage.at, default=None)


def _stored(kept: Mapping[str, Any]) -> Usage | None:
    try:
        usage = Usage(int(kept["used"]), int(kept["max"]), datetime.fromisoformat(kept["at"]))
    except (KeyError, TypeError, ValueError):
        return None
    return usage if usage.max > 0 and usage.at.tzinfo else None


def observe(account: ConnectedAccount, call: Call, raw: Raw) -> None:
    """Note what an answer says; stored at most once a minute, or when it decides about our work."""
    usage = read(raw.headers.get("Sforce-Limit-Info", ""), timezone.now())
    if raw.status == 403 and _EXCEEDED in raw.body[:2000]:
        before = usage or known(account)
        top = before.max if before else 1
        usage = Usage(max(top, usage.used if usage else 0), top, timezone.now())
    if usage is None:
        return
    _latest[account.pk] = usage
    saved = _saved.get(account.pk)
    if saved is None or usage.at - saved.at >= SAVED_EVERY or _level(usage) != _level(saved):
        _saved[account.pk] = usage
        account.usage = usage.stored()
        ConnectedAccount.objects.filter(pk=account.pk).update(usage=account.usage)


def _level(usage: Usage) -> int:
    return (usage.share >= SLOW_FROM) + (usage.share >= STOP_FROM)


def hold(account: ConnectedAccount, lane: str) -> None:
    """Called before a call: slows background work, and raises `RateLimited` ("daily_limit") where it must wait."""
    usage = known(account) if lane == "bulk" else None
    if usage is None or usage.share < SLOW_FROM:
        return
    age = timezone.now() - usage.at
    if age >= FRESH:
        return
    if usage.share >= STOP_FROM:
        raise RateLimited(
            f"{usage.used} of the {usage.max} API calls that the org may make in 24 hours are used",
            code="daily_limit",
            retry_after=max(SHORTEST_WAIT, (FRESH - age).total_seconds()),
        )
    time.sleep(LONGEST_PAUSE * (usage.share - SLOW_FROM) / (STOP_FROM - SLOW_FROM))
