"""The org's allowances: the rolling daily count of API calls, and GET /limits.

Salesforce API limits sheet: calls of all users in any 24 hours count together, each answer tells ``Sforce-Limit-Info:
api-usage=used/max``, and an org that has used them up is answered 403 REQUEST_LIMIT_EXCEEDED. Counted by the hour, as
the sum of the last 24."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .call import Answer, Call
from .errors import SfError, not_found
from .held import PerOrg

if TYPE_CHECKING:
    from .org import Org

HEADER = "Sforce-Limit-Info"
HOUR_MS, HOURS = 3_600_000, 24
DAILY_CALLS = 115_000  # Enterprise Edition with fifteen licences: 100,000 + 15 × 1,000
CALLS, QUERY_JOBS = "DailyApiRequests", "DailyBulkV2QueryJobs"
MOST = {
    "ConcurrentAsyncGetReportInstances": 200,
    CALLS: DAILY_CALLS,
    "DailyAsyncApexExecutions": 250_000,
    "DailyBulkApiBatches": 15_000,
    "DailyBulkV2QueryFileStorageMB": 976_562,
    QUERY_JOBS: 10_000,
    "DailyStandardVolumePlatformEvents": 10_000,
    "DailyDeliveredPlatformEvents": 25_000,
    "DataStorageMB": 10_240,
    "FileStorageMB": 10_240,
    "HourlyPublishedPlatformEvents": 50_000,
    "MonthlyPlatformEventsUsageEntitlement": 0,
    "SingleEmail": 5_000,
}


class Usage:
    """What one org has used of its daily allowances."""

    def __init__(self) -> None:
        self.most = dict(MOST)
        self._hours: dict[str, Counter[int]] = {}

    def used(self, name: str, now_ms: int) -> int:
        """How much of an allowance the last 24 hours took."""
        hour = now_ms // HOUR_MS
        hours = self._hours.get(name, Counter())
        for old in [entry for entry in hours if entry <= hour - HOURS]:
            del hours[old]
        return sum(hours.values())

    def take(self, name: str, now_ms: int) -> None:
        """Use one; 403 when none is left (403 REQUEST_LIMIT_EXCEEDED for calls, LIMIT_EXCEEDED for others)."""
        if self.used(name, now_ms) >= self.most[name]:
            if name == CALLS:
                raise SfError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            raise SfError(403, "LIMIT_EXCEEDED", f"{name} Limit exceeded.")
        self._hours.setdefault(name, Counter())[now_ms // HOUR_MS] += 1

    def set_used(self, name: str, used: int, now_ms: int) -> None:
        """Let the last hour have taken so much, and the hours before nothing."""
        self._hours[name] = Counter({now_ms // HOUR_MS: used})


_USAGE: PerOrg[Usage] = PerOrg(Usage)


def usage(org: Org) -> Usage:
    """The allowances of an org."""
    return _USAGE.of(org)


def count_call(org: Org) -> None:
    """Count one REST call; 403 REQUEST_LIMIT_EXCEEDED when the org has none left, and then nothing is counted."""
    usage(org).take(CALLS, org.now_ms())


def header_value(org: Org) -> str:
    """The value of ``Sforce-Limit-Info``."""
    held = usage(org)
    return f"api-usage={held.used(CALLS, org.now_ms())}/{held.most[CALLS]}"


def configure(org: Org, *, used: int | None = None, most: int | None = None) -> None:
    """Arrange the daily calls: how many are used, how many there are. ValueError for negative numbers."""
    if min(used or 0, most or 0) < 0:
        raise ValueError("daily calls cannot be negative")
    if used is not None:
        usage(org).set_used(CALLS, used, org.now_ms())
    if most is not None:
        usage(org).most[CALLS] = most


def route(call: Call) -> Answer:
    """Answer ``limits``."""
    call.allow("GET")
    if len(call.parts) != 1:
        raise not_found()
    held = usage(call.org)
    now = call.org.now_ms()
    shown = {name: {"Max": most, "Remaining": max(0, most - held.used(name, now))} for name, most in held.most.items()}
    return Answer(200, shown)
