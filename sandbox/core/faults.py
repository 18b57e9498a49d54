"""Seeded faults: which request goes wrong, and how.

The draw depends on the seed, the request and how often the same request was seen, not on the order in which
threads arrive, so that a run with several workers can be repeated.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

STATUSES = {
    "status_302": 302,
    "status_401": 401,
    "status_403": 403,
    "status_408": 408,
    "status_423": 423,
    "status_429": 429,
    "status_429_retry_after": 429,
    "status_477": 477,
    "status_500": 500,
    "status_500_html": 500,
    "status_502": 502,
    "status_503": 503,
    "status_504": 504,
}
HTML = {"status_500_html"}  # worded by a gateway in front of the vendor, not by the vendor
AFTER_COMMIT = {"status_500_after_commit", "timeout_after_commit"}
CONNECTION = {"late_commit", "reset_before", "reset_mid_body", "slow_drip"}
BODY = {"truncated_page", "malformed_json", "wrong_types", "empty_list"}
TOKEN = {"lost_refresh"}
KINDS = frozenset(STATUSES) | AFTER_COMMIT | CONNECTION | BODY | TOKEN


@dataclass(frozen=True)
class Match:
    """Restricts a profile to some requests; empty fields match everything."""

    method: str = ""
    path_contains: str = ""
    system: str = ""

    def applies(self, system: str, method: str, path: str) -> bool:
        """Is this request meant?"""
        return self.system in ("", system) and self.method.upper() in ("", method) and self.path_contains in path


class Faults:
    """The current fault profile; none by default."""

    def __init__(self) -> None:
        self.profile: dict[str, float] = {}
        self.match = Match()
        self.timeout_seconds = 30.0
        self.late_seconds = 2.0
        self.drip_seconds = 2.0
        self._seed = 0
        self._seen: Counter[str] = Counter()

    def load(
        self,
        profile: Mapping[str, float],
        seed: int = 0,
        match: Mapping[str, str] | None = None,
        **durations: float,
    ) -> None:
        """Replace the profile; an empty one clears. Unknown kinds and impossible sums are refused."""
        unknown = set(profile) - KINDS
        if unknown:
            raise ValueError(f"unknown fault kinds {sorted(unknown)}; known: {sorted(KINDS)}")
        if any(value < 0 for value in profile.values()) or sum(profile.values()) > 1.000001:
            raise ValueError("fault probabilities must be between 0 and 1 and sum to at most 1")
        self.profile = {kind: float(value) for kind, value in sorted(profile.items())}
        self.match = Match(**dict(match or {}))
        self._seed, self._seen = seed, Counter()
        for name in ("timeout_seconds", "late_seconds", "drip_seconds"):
            if name in durations:
                setattr(self, name, float(durations[name]))

    def draw(self, system: str, method: str, path: str, query: str, body: bytes) -> str | None:
        """The fault kind for this request, or none."""
        if not self.profile or not self.match.applies(system, method, path):
            return None
        digest = hashlib.blake2b(body, digest_size=8).hexdigest() if body else ""
        key = f"{self._seed}|{system}|{method}|{path}|{query}|{digest}"
        self._seen[key] += 1
        throw = random.Random(f"{key}|{self._seen[key]}").random()
        refresh = b"grant_type=refresh_token" in body
        for kind, probability in self.profile.items():
            if kind in TOKEN and not refresh:
                continue
            if throw < probability:
                return kind
            throw -= probability
        return None
