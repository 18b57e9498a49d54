"""The connector protocol: what `sync` may ask of any system. Batched, typed, and ignorant of flows.

A connector turns these calls into the cheapest remote calls its vendor allows (a list of 500 instead of 500 details,
a batch of 100, a collection of 200). Values that leave a connector are Python's own: `str`, `Decimal`, `bool`,
`date`, aware `datetime` or `None`; ids are strings. The one invariant: a record never leaves half-parsed, and a list
that does not add up raises `IncompleteRead`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from integrations.errors import SyncError

Value = str | Decimal | bool | date | datetime | None
"""A typed value as it travels between the rooms."""
Fields = Mapping[str, frozenset[str]]
"""Which fields are wanted, by part: `{"invoice": {"DocumentNumber"}, "row": {"ArticleNumber"}}`."""


class FieldType(enum.StrEnum):
    """How a value is typed inside Ledgerbridge, whatever its spelling on the wire."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    ENUM = "enum"


@dataclass(frozen=True, slots=True)
class Option:
    """One allowed value of an ENUM field."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """One field of a remote object. `derived` fields are computed by our connector and read-only by nature.

    `decimals` is what the vendor keeps (it rounds the rest away); `max_length` is in characters.
    """

    name: str
    label: str
    type: FieldType = FieldType.STRING
    max_length: int | None = None
    decimals: int | None = None
    required: bool = False
    writable: bool = True
    unique: bool = False
    derived: bool = False
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectSchema:
    """One remote object: its own fields and those of its parts.

    `name` is also the name of the main part in expressions (`customer.Name`). `parts` are related records an
    expression may read (`company`, `contact`); `lines` is the name of the line part (`row`, `line`) or "".
    """

    system: str
    name: str
    label: str
    key: str
    fields: Mapping[str, FieldSchema]
    parts: Mapping[str, Mapping[str, FieldSchema]] = field(default_factory=dict)
    lines: str = ""
    title: str = ""
    subsets: tuple[str, ...] = ()

    def names(self) -> dict[str, frozenset[str]]:
        """Every part and the fields it has: what an expression on this object may read."""
        return {self.name: frozenset(self.fields)} | {part: frozenset(f) for part, f in self.parts.items()}


@dataclass(slots=True)
class Record:
    """One remote record. `fields` holds at least what was asked for; `complete` is False for a list row whose
    missing fields need `load`. `version` is a hash of everything the record came with (list rows: the row)."""

    object: str
    id: str
    fields: dict[str, Value]
    parts: dict[str, dict[str, Value]] = field(default_factory=dict)
    lines: list[dict[str, Value]] = field(default_factory=list)
    title: str = ""
    url: str = ""
    version: str = ""
    complete: bool = True

    def named(self) -> dict[str, dict[str, Value]]:
        """The record as expressions see it: its parts by name, itself included."""
        return {self.object: self.fields, **self.parts}


@dataclass(frozen=True, slots=True)
class Page:
    """Records of one remote page.

    `resume` continues the same scan after this page (opaque, stored with the run). `cursor` is set on the last page
    only, unless the stream is sorted by change time: the remote's clock at the start of the scan, from which the next
    scan may start. `total` is what the vendor says the scan holds, for progress; None when it does not say.
    """

    records: Sequence[Record]
    resume: str
    cursor: str | None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """One intended write. `key` is the caller's handle, echoed in the Outcome.

    `id` is the remote id (updates) or ""; `unique` is (field, value) of our own unique key for upserts; `fields` only
    what changes. `lines` (None: leave alone) replaces the line set, each line with its own unique `key` under
    `line_key`. `links` are associations to set, by target object: `{"company": "123"}`. `marker` is the derived
    RemoteReference of a create that the remote cannot deduplicate.
    """

    key: str
    id: str = ""
    fields: Mapping[str, Value] = field(default_factory=dict)
    unique: tuple[str, str] | None = None
    lines: Sequence[Mapping[str, Value]] | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one Write: the remote id and what the remote holds now (normalised by it), or the error.

    `created` is None when the remote does not say. `returned` are field values after the write, as the remote
    returned them; `line_ids` maps line key to remote line id.
    """

    key: str
    id: str = ""
    created: bool | None = None
    returned: Mapping[str, Value] = field(default_factory=dict)
    line_ids: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    error: SyncError | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What a flow needs to exist at its target before it can write: vendor-neutral description, as data.

    `fields` are custom fields to create (name → {label, type, unique, group, …}) per object; `pipelines` are stage
    sets. `Connector.prepare` makes what is missing, leaves what exists, and returns ids by symbolic name.
    """

    fields: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    pipelines: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadinessLine:
    """One line of the readiness board: is it fine, what is wrong, how to mend it, and where."""

    code: str
    level: str  # "ok" | "warning" | "error"
    title: str
    detail: str = ""
    fix: str = ""


class Connector(Protocol):
    """One connected account, spoken to in records. Every method may raise `SyncError`."""

    system: str
    idempotent: frozenset[str]
    """Objects whose `upsert` may be repeated freely because a unique key of ours guards it."""
    markers: Mapping[str, str]
    """Per object that cannot be deduplicated: the searchable remote field that carries `Write.marker`."""
    cancelled: Mapping[str, str]
    """Per object that can be cancelled at the remote: the boolean field that says so."""

    def describe(self, object_name: str) -> ObjectSchema:
        """The schema of an object; cached by the caller."""

    def changed(
        self, object_name: str, since: str | None, fields: Fields, *, resume: str = "", subset: str = ""
    ) -> Iterator[Page]:
        """Pages of records changed at or after `since` (None: all), or of a named subset. Overlap is applied here."""

    def load(self, object_name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """Full records by id, in any order, with the parts and lines asked for; (id, error) for those that fail."""

    def find(
        self,
        object_name: str,
        field_name: str,
        values: Sequence[str],
        spell: Callable[[str], Iterable[str]],
        read: Callable[[str], str],
        fields: frozenset[str],
    ) -> dict[str, list[Record]]:
        """Candidates per normalised value: those whose field, normalised by `read`, equals it exactly.

        `spell` gives the spellings under which a normalised value may be stored remotely.
        """

    def count(self, object_name: str) -> int:
        """How many records the object has (one call)."""

    def upsert(self, object_name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """Create or update by our unique key, or update by id. Repeatable."""

    def create(self, object_name: str, write: Write) -> Outcome:
        """One create that the remote cannot deduplicate: a single request, never repeated by the transport."""

    def prepare(self, setup: Setup) -> dict[str, str]:
        """Create the missing custom fields and pipelines; idempotent. Returns ids by symbolic name."""

    def check(self) -> list[ReadinessLine]:
        """What is missing before flows can work, asked of the remote now."""

    def record_url(self, object_name: str, record_id: str) -> str:
        """Where a person opens the record in the vendor's own pages; "" when unknown."""
