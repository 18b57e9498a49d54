"""The record of every request to a vendor path: what tests count calls with."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from itertools import count

KEEP = 200_000


@dataclass(slots=True)
class Entry:
    """One request; ``status`` 0 means that no answer was sent."""

    seq: int
    system: str
    account: str | None
    method: str
    path: str
    query: str
    status: int
    ms: float
    fault: str | None


class Journal:
    """Entries in order of completion, numbered in order of arrival; the oldest fall out after 200,000."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._entries: deque[Entry] = deque(maxlen=KEEP)
        self.total = 0

    def next_number(self) -> int:
        """The number of a request that has just arrived."""
        self.total = next(self._numbers)
        return self.total

    def add(self, entry: Entry) -> None:
        """Note a finished request."""
        self._entries.append(entry)

    def since(self, seq: int) -> list[dict[str, object]]:
        """Entries with a higher number, in order of arrival."""
        return [asdict(entry) for entry in sorted(self._entries.copy(), key=lambda e: e.seq) if entry.seq > seq]
