"""Records of one object type in one portal: ids, values, bounded history, unique values, recycle bin.

The invariant: ``unique[name][value]`` names exactly the live record that holds the value. Values live in plain
dicts whose keys are the interned property names, so a hundred thousand companies stay small."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

HISTORY = 20  # versions kept per property


@dataclass(frozen=True, slots=True)
class Source:
    """Who wrote: an app through the interface, or a person in the user interface."""

    type: str
    id: str
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One earlier or present value of a property."""

    value: str
    moment: int
    source: Source


class Record:
    """One CRM record. ``history`` stays None until a value changes: until then creation is the whole history."""

    __slots__ = (
        "archived",
        "created",
        "history",
        "id",
        "merged",
        "request",
        "source",
        "updated",
        "values",
    )

    def __init__(
        self, record_id: int, values: dict[str, str], moment: int, source: Source, request: int | None
    ) -> None:
        self.id = record_id
        self.values = values
        self.created = moment
        self.updated = moment
        self.archived: int | None = None
        self.history: dict[str, list[Version]] | None = None
        self.source = source
        self.request = request  # the number of the call that created it, None for seeded records
        self.merged: list[int] | None = None

    def remember(self, name: str, value: str, moment: int, source: Source) -> None:
        """Add a version; the value from creation becomes the first one."""
        if self.history is None:
            self.history = {}
        versions = self.history.get(name)
        if versions is None:
            versions = self.history[name] = []
            if name in self.values:
                versions.append(Version(self.values[name], self.created, self.source))
        versions.append(Version(value, moment, source))
        if len(versions) > HISTORY:
            del versions[0]

    def versions(self, name: str) -> list[Version]:
        """Newest first."""
        if self.history and name in self.history:
            return self.history[name][::-1]
        value = self.values.get(name)
        return [] if value is None else [Version(value, self.created, self.source)]


class Store:
    """The records of one type, in id order."""

    def __init__(self, first_id: int) -> None:
        self.records: dict[int, Record] = {}
        self.order: list[int] = []
        self.unique: dict[str, dict[str, int]] = {}
        self.successor: dict[int, int] = {}  # merged id → surviving id
        self._next = first_id

    def new_id(self) -> int:
        """Ids rise, with gaps: the real ones are shared by all accounts of a data centre."""
        current = self._next
        self._next += 1 + (current * 7919) % 53
        return current

    def add(self, record: Record) -> None:
        """Keep a new record and claim its unique values."""
        self.records[record.id] = record
        self.order.append(record.id)
        for name, holders in self.unique.items():
            value = record.values.get(name)
            if value is not None:
                holders[value] = record.id

    def live(self, record_id: int) -> Record | None:
        """The record, or the survivor it was merged into; None when absent or in the recycle bin."""
        record = self.records.get(self.successor.get(record_id, record_id))
        return None if record is None or record.archived is not None else record

    def binned(self, record_id: int) -> Record | None:
        """A record in the recycle bin."""
        record = self.records.get(record_id)
        return None if record is None or record.archived is None else record

    def holder(self, name: str, value: str) -> Record | None:
        """The live record with this value of a unique property."""
        record_id = self.unique.get(name, {}).get(value)
        return None if record_id is None else self.records[record_id]

    def claim(self, record: Record, name: str, old: str | None, new: str | None) -> None:
        """Move a unique value from its old form to its new one."""
        holders = self.unique.get(name)
        if holders is None:
            return
        if old is not None and holders.get(old) == record.id:
            del holders[old]
        if new is not None:
            holders[new] = record.id

    def archive(self, record: Record, now: int) -> None:
        """Into the recycle bin; its unique values are free again."""
        record.archived = now
        for name in self.unique:
            self.claim(record, name, record.values.get(name), None)

    def forget(self, record: Record) -> None:
        """Remove for good, as a privacy deletion does."""
        for name in self.unique:
            self.claim(record, name, record.values.get(name), None)
        del self.records[record.id]
        position = bisect_left(self.order, record.id)
        del self.order[position]

    def index(self, name: str) -> None:
        """Start keeping a property unique."""
        self.unique.setdefault(
            name,
            {r.values[name]: r.id for r in self.records.values() if r.archived is None and name in r.values},
        )

    def page(self, start: int, archived: bool, count: int) -> list[Record]:
        """Up to ``count`` records with ids from ``start``, in id order."""
        found: list[Record] = []
        for position in range(bisect_left(self.order, start), len(self.order)):
            record = self.records[self.order[position]]
            if (record.archived is not None) == archived:
                found.append(record)
                if len(found) == count:
                    break
        return found

    def all_live(self) -> Iterator[Record]:
        """Every record outside the recycle bin, in id order."""
        return (record for record in self.records.values() if record.archived is None)
