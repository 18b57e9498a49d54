"""The sandbox's own time: real time, optionally faster, and movable forwards."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Aware UTC time that tests may advance; it never runs backwards."""

    def __init__(self, factor: float = 1.0) -> None:
        self._base = time.time()
        self._started = time.monotonic()
        self._factor = factor

    @property
    def factor(self) -> float:
        """How many sandbox seconds pass per real second."""
        return self._factor

    def time(self) -> float:
        """Epoch seconds in sandbox time."""
        return self._base + (time.monotonic() - self._started) * self._factor

    def now(self) -> datetime:
        """The same moment as an aware UTC datetime."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Jump forwards, e.g. past the expiry of a token."""
        if seconds < 0:
            raise ValueError("the sandbox's clock only moves forwards")
        self._base += seconds

    def set_factor(self, factor: float) -> None:
        """Change the speed without a jump."""
        if factor <= 0:
            raise ValueError("time_factor must be positive")
        self._base, self._started, self._factor = self.time(), time.monotonic(), factor
