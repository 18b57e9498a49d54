"""Two tiny systems that exist only in the tests, behind the connector protocol: a register and a ledger in memory.

`Remote` is the system (its whole content can be compared after a run), `TinyConnector` its connector. It normalises
what it is given, as real remotes do (text trimmed), can lag, fail and lie on demand, and counts calls.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from integrations.connector import (
    Estimate,
    Feedback,
    Fields,
    FieldSchema,
    FieldType,
    Gone,
    ObjectSchema,
    Option,
    Outcome,
    Page,
    ReadinessLine,
    Record,
    Setup,
    Totals,
    Value,
    Write,
)
from integrations.errors import IncompleteRead, Misconfigured, Missing, OutcomeUnknown, SyncError
from integrations.http import about_to_send


@dataclass
class Stored:
    """One record of a remote: its fields, when it changed (remote clock, seconds), and what hangs on it."""

    fields: dict[str, Value]
    changed: int
    lines: list[dict[str, Value]] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)


@dataclass
class Remote:
    """A whole remote system: objects of records, its own clock, and its faults."""

    name: str
    objects: dict[str, dict[str, Stored]] = field(default_factory=dict)
    unique: dict[str, str] = field(default_factory=dict)  # object → unique field
    detail_only: dict[str, set[str]] = field(default_factory=dict)
    clock: int = 1_000
    page_size: int = 10
    next_id: int = 1
    calls: Counter[str] = field(default_factory=Counter)
    faults: list[Callable[[str], None]] = field(default_factory=list)
    refuse: dict[str, SyncError] = field(default_factory=dict)  # value of `name` → error
    drop_from_page: int | None = None
    invisible: set[str] = field(default_factory=set)  # ids not yet found by searching
    gone: dict[str, list[Gone]] = field(default_factory=dict)  # by object, told with the first page

    def put(self, object_name: str, fields: Mapping[str, Value], record_id: str = "", **more: Any) -> str:
        """Store a record as a user of the remote would; returns its id."""
        self.clock += 1
        records = self.objects.setdefault(object_name, {})
        record_id = record_id or str(self.next_id)
        self.next_id += 1
        known = records.get(record_id)
        merged = {**(known.fields if known else {}), **{k: _normal(v) for k, v in fields.items()}}
        records[record_id] = Stored(
            merged, self.clock, more.get("lines", known.lines if known else []),
            {**(known.links if known else {}), **more.get("links", {})},
        )  # fmt: skip
        return record_id

    def drop(self, object_name: str, record_id: str, into: str = "") -> None:
        """Delete a record, or merge it into another one, which thereby changes."""
        del self.objects[object_name][record_id]
        self.gone.setdefault(object_name, []).append(Gone(record_id, into))
        if into:
            self.put(object_name, {}, into)

    def rows(self, object_name: str) -> dict[str, dict[str, Value]]:
        """Everything an object holds, by id."""
        return {key: row.fields for key, row in self.objects.get(object_name, {}).items()}

    def called(self, call: str) -> None:
        """Count a call and let a fault strike."""
        self.calls[call] += 1
        for fault in list(self.faults):
            fault(call)


def _normal(value: Value) -> Value:
    return value.strip() if isinstance(value, str) else value


class TinyConnector:
    """The protocol over a `Remote`."""

    system = "tiny"
    round = 0

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.idempotent = frozenset(remote.unique)
        self.markers = {name: "reference" for name in remote.objects if name not in remote.unique}
        self.found_by_marker = frozenset(self.markers)
        self.found_for: dict[str, timedelta] = {}
        self.cancelled = {"bill": "cancelled"}
        self.verified = {"bill": ("customer",)}
        self.locks: Mapping[str, str] = {}
        self.owners: Mapping[str, str] = {}
        self.estimates_from: Mapping[str, frozenset[str]] = {}
        self.feedback: Mapping[str, Feedback] = {}
        self.options: dict[tuple[str, str], tuple[str, ...]] = {}

    def describe(self, object_name: str) -> ObjectSchema:
        self.remote.called("describe")
        names = {name for row in self.remote.objects.get(object_name, {}).values() for name in row.fields}
        names |= {"name", "city", "number", "org", "key", "phone", "currency", "amount", "customer", "status"}
        fields = {name: self._field(object_name, name) for name in names}
        line = {name: FieldSchema(name, name) for name in ("text", "quantity", "line_key")}
        return ObjectSchema("tiny", object_name, object_name, "id", fields, {"row": line}, lines="row")

    def _field(self, object_name: str, name: str) -> FieldSchema:
        options = self.options.get((object_name, name), ())
        if options:
            return FieldSchema(name, name, FieldType.ENUM, options=tuple(Option(value, value) for value in options))
        return FieldSchema(name, name, FieldType.NUMBER if name == "amount" else FieldType.STRING)

    def changed(
        self, object_name: str, since: str | None, fields: Fields, *, resume: str = "", subset: str = ""
    ) -> Iterator[Page]:
        started = str(self.remote.clock)
        floor = int(since) - 5 if since and since.isdigit() else 0  # the overlap
        everything = sorted(self.remote.objects.get(object_name, {}).items(), key=lambda item: int(item[0]))
        rows = [item for item in everything if item[1].changed >= floor]
        if subset:
            rows = [item for item in everything if item[1].fields.get("status") == subset]
        size, start = self.remote.page_size, int(resume or 0)
        pages = range(start, max(len(rows), 1), size)
        for offset in pages:
            self.remote.called("list")
            part = rows[offset : offset + size]
            if self.remote.drop_from_page == offset // size:
                part = part[:-1]
                yield Page(
                    [self._record(object_name, *item, fields) for item in part], str(offset + size), None, len(rows)
                )
                raise IncompleteRead(f"{len(rows)} announced, {len(rows) - 1} received", code="incomplete")
            last = offset + size >= len(rows)
            cursor = started if last else None
            gone = self.remote.gone.get(object_name, []) if not offset and since else []
            found = [self._record(object_name, *item, fields) for item in part]
            yield Page(found, str(offset + size), cursor, len(rows), gone)

    def _record(self, name: str, key: str, row: Stored, fields: Fields, *, full: bool = False) -> Record:
        hidden = set() if full else self.remote.detail_only.get(name, set())
        visible = {k: v for k, v in row.fields.items() if k not in hidden}
        wanted = set(fields.get(name, ())) | ({"row"} if fields.get("row") else set())
        complete = full or not (hidden & wanted)
        version = hashlib.sha256(repr(sorted((k, str(v)) for k, v in visible.items())).encode()).hexdigest()
        lines = [dict(line) for line in row.lines] if full or not hidden else []
        return Record(
            name, key, dict(visible), {}, lines, str(row.fields.get("name") or key), f"https://tiny.test/{name}/{key}",
            version, complete,
        )  # fmt: skip

    def load(self, object_name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        batched = object_name in self.remote.unique
        for number, key in enumerate(ids):
            if not batched or number % 100 == 0:
                self.remote.called("batch_read" if batched else "detail")
            row = self.remote.objects.get(object_name, {}).get(key)
            yield self._record(object_name, key, row, fields, full=True) if row else (key, Missing("gone", record=key))

    def find(
        self, object_name: str, field_name: str, values: Sequence[str], spell: Callable[[str], Iterable[str]],
        read: Callable[[str], str], fields: frozenset[str],
    ) -> dict[str, list[Record]]:  # fmt: skip
        self.remote.called("find")
        found: dict[str, list[Record]] = {}
        for key, row in self.remote.objects.get(object_name, {}).items():
            value = read(str(row.fields.get(field_name) or ""))
            if value in values and key not in self.remote.invisible:
                found.setdefault(value, []).append(self._record(object_name, key, row, {}, full=True))
        return found

    def search(self, object_name: str, field_name: str, text: str, fields: frozenset[str], limit: int) -> list[Record]:
        self.remote.called("search")
        rows = self.remote.objects.get(object_name, {}).items()
        hits = [item for item in rows if text.lower() in str(item[1].fields.get(field_name) or "").lower()]
        return [self._record(object_name, *item, {}, full=True) for item in hits[:limit]]

    def count(self, object_name: str) -> int:
        self.remote.called("count")
        return len(self.remote.objects.get(object_name, {}))

    def upsert(self, object_name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        for number, write in enumerate(writes):
            if number % 100 == 0:
                self.remote.called("write")
            yield self._written(object_name, write)

    def _written(self, object_name: str, write: Write) -> Outcome:
        error = self.remote.refuse.get(str(write.fields.get("name", "")))
        if error is not None:
            return Outcome(key=write.key, error=error)
        existing = write.id or self._by_unique(object_name, write)
        fields = dict(write.fields)
        if write.unique:
            fields[write.unique[0]] = write.unique[1]
        more: dict[str, Any] = {"links": dict(write.links)}
        if write.lines is not None:
            more["lines"] = [dict(line) for line in write.lines]
        key = self.remote.put(object_name, fields, existing, **more)
        row = self.remote.objects[object_name][key]
        ids = {str(line.get("line_key")): f"{key}-{n}" for n, line in enumerate(row.lines)}
        return Outcome(write.key, key, not existing, dict(row.fields), ids, f"https://tiny.test/{object_name}/{key}")

    def _by_unique(self, object_name: str, write: Write) -> str:
        if not write.unique:
            return ""
        name, value = write.unique
        rows = self.remote.objects.get(object_name, {})
        return next((key for key, row in rows.items() if row.fields.get(name) == value), "")

    def create(self, object_name: str, write: Write) -> Outcome:
        about_to_send()
        self.remote.calls["create"] += 1
        fields = {**write.fields, "reference": write.marker}
        key = self.remote.put(object_name, fields)
        for fault in list(self.remote.faults):
            fault("create")  # after the commit: the answer is lost
        return Outcome(write.key, key, True, self.remote.objects[object_name][key].fields)

    def totals(self, object_name: str, record: Record) -> Totals | None:
        """None: nothing here has amounts of a ledger."""
        return None

    def totals_fields(self, object_name: str) -> Fields:
        """Empty, see `totals`."""
        return {}

    def estimate(
        self,
        object_name: str,
        fields: Mapping[str, Value],
        lines: Sequence[Mapping[str, Value]],
        known: Mapping[str, Record],
    ) -> Estimate | None:
        """None: nothing is estimated here."""
        return None

    def perform(self, object_name: str, record_id: str, act: str) -> Outcome:
        """Nothing can be carried out here."""
        return Outcome(record_id, error=Misconfigured(f"“{act}” is not known for {object_name}", code="act_unknown"))

    def owners_of(self, object_name: str, ids: Sequence[str]) -> dict[str, str]:
        """Empty: nothing here is a part of something else."""
        return {}

    def prepare(self, setup: Setup) -> dict[str, str]:
        self.remote.called("prepare")
        return {}

    def check(self) -> list[ReadinessLine]:
        return []

    def record_url(self, object_name: str, record_id: str) -> str:
        return f"https://tiny.test/{object_name}/{record_id}"


def lost_answer(times: int = 1) -> Callable[[str], None]:
    """A fault: the next `times` creates are done, and the answer never arrives."""
    left = [times]

    def strike(call: str) -> None:
        if call == "create" and left[0]:
            left[0] -= 1
            raise OutcomeUnknown("read timed out", code="timeout")

    return strike


def failing(call_name: str, error: Exception, times: int = 1) -> Callable[[str], None]:
    """A fault: the next `times` calls of this kind raise."""
    left = [times]

    def strike(call: str) -> None:
        if call == call_name and left[0]:
            left[0] -= 1
            raise error

    return strike
