"""Stored records: only what differs from the unset template, in number order."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Any


class Record:
    """One stored record. ``values`` holds only what differs from the unset template."""

    __slots__ = ("created", "created_by", "key", "previous", "row", "updated", "values")

    def __init__(self, key: str, values: dict[str, Any], now: float, created_by: int | None = None) -> None:
        self.key = key
        self.values = values
        self.created = now
        self.updated = now
        self.previous: float | None = None  # the change time that lagging searches still see
        self.created_by = created_by
        self.row: str | None = None  # rendered list row

    def touch(self, now: float) -> None:
        """Note a change: the list row is stale and lastmodified moves."""
        self.previous, self.updated, self.row = self.updated, now, None


def natural(key: str) -> tuple[int, int, str]:
    """Recorded: numbers sort numerically ("2" before "10"), other keys as text after them."""
    return (0, int(key), key) if key.isdecimal() else (1, 0, key)


def textual(key: str) -> tuple[int, int, str]:
    """Small registers sort as text."""
    return (0, 0, key)


class Table:
    """Records of one kind in one company, always sorted, with the numbers of deleted ones reserved."""

    def __init__(self, *, first: int = 1, as_text: bool = False) -> None:
        self._by_key: dict[str, Record] = {}
        self._sort_key = textual if as_text else natural
        self._keys: list[tuple[int, int, str]] = []
        self.ordered: list[Record] = []
        self.deleted: set[str] = set()
        self._next = first

    def __len__(self) -> int:
        return len(self.ordered)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.ordered)

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def get(self, key: str) -> Record | None:
        """The record, if there is one."""
        return self._by_key.get(key)

    def next_key(self) -> str:
        """The next free number of the series."""
        while str(self._next) in self._by_key or str(self._next) in self.deleted:
            self._next += 1
        return str(self._next)

    def add(self, record: Record) -> Record:
        """Insert in order; appending is cheap."""
        key = self._sort_key(record.key)
        self._by_key[record.key] = record
        if not self._keys or key > self._keys[-1]:
            self._keys.append(key)
            self.ordered.append(record)
        else:
            position = bisect.bisect(self._keys, key)
            self._keys.insert(position, key)
            self.ordered.insert(position, record)
        return record

    def remove(self, record: Record) -> None:
        """Delete; the number stays reserved."""
        del self._by_key[record.key]
        position = bisect.bisect_left(self._keys, self._sort_key(record.key))
        del self._keys[position], self.ordered[position]
        self.deleted.add(record.key)
