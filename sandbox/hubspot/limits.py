"""Request limits per portal: 110 calls in ten seconds, and five searches a second counted apart from them."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable

from .errors import ApiError

BURST, BURST_SECONDS = 110, 10.0
SEARCHES, SEARCH_SECONDS = 5, 1.0


class Window:
    """A rolling window: how many calls the last ``seconds`` held."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self._seconds = seconds
        self._calls: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Count a call if there is room for it."""
        self._forget(now)
        if len(self._calls) >= self.most:
            return False
        self._calls.append(now)
        return True

    def remaining(self, now: float) -> int:
        """Calls that would still be accepted."""
        self._forget(now)
        return self.most - len(self._calls)

    def _forget(self, now: float) -> None:
        while self._calls and self._calls[0] <= now - self._seconds:
            self._calls.popleft()


class Limits:
    """The windows of every portal, in sandbox time: a faster clock shortens them in real seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._bursts: dict[int, Window] = {}
        self._searches: dict[int, Window] = {}

    def admit(self, portal_id: int, search: bool) -> dict[str, str]:
        """Count a call and give the answer's headers, or refuse it with 429. Searches carry no rate headers."""
        now = self._now()
        if search:
            window = self._searches.setdefault(portal_id, Window(SEARCHES, SEARCH_SECONDS))
            if not window.take(now):
                raise too_many("SECONDLY")
            return {}
        window = self._bursts.setdefault(portal_id, Window(BURST, BURST_SECONDS))
        if not window.take(now):
            raise too_many("TEN_SECONDLY_ROLLING", headers(0))
        return headers(window.remaining(now))


def headers(remaining: int) -> dict[str, str]:
    """Rate headers of an OAuth app; it has no daily limit and no daily headers."""
    return {
        "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(BURST_SECONDS * 1000)),
        "X-HubSpot-RateLimit-Max": str(BURST),
        "X-HubSpot-RateLimit-Remaining": str(remaining),
    }


def too_many(policy: str, rate_headers: dict[str, str] | None = None, app_id: int = 1234567) -> ApiError:
    """429, worded for its policy: TEN_SECONDLY_ROLLING, SECONDLY or DAILY."""
    group = f"publicapi:app:{app_id}" if policy == "TEN_SECONDLY_ROLLING" else None
    return ApiError(
        429,
        f"You have reached your {policy.lower()} limit.",
        headers=rate_headers,
        errorType="RATE_LIMIT",
        policyName=policy,
        groupName=group,
        requestId=str(uuid.uuid4()),
    )
