"""The connector protocol: what `sync` may ask of any system. Batched, typed, and ignorant of flows.

A connector turns these calls into the cheapest remote calls its vendor allows (a list of 500 instead of 500 details,
a batch of 100, a collection of 200). Values that leave a connector are Python's own: `str`, `Decimal`, `bool`,
`date`, aware `datetime` or `None`; ids are strings. The one invariant: a record never leaves half-parsed, and a list
that does not add up raises `IncompleteRead`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from django.utils.functional import Promise

from integrations.errors import SyncError
from integrations.schema import (
    Expected,
    Feedback,
    Fields,
    FieldSchema,
    FieldType,
    ObjectSchema,
    Option,
    ReadinessLine,
    Setup,
    Value,
)

__all__ = [
    "Connector",
    "Estimate",
    "EstimatedRow",
    "Expected",
    "Feedback",
    "FieldSchema",
    "FieldType",
    "Fields",
    "Gone",
    "ObjectSchema",
    "Option",
    "Outcome",
    "Page",
    "ReadinessLine",
    "Record",
    "Setup",
    "Totals",
    "Value",
    "Write",
]


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
class Gone:
    """A record that is no longer there: deleted, or merged `into` another one ("" when it was deleted)."""

    id: str
    into: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Records of one remote page, and those that the page says are gone.

    `resume` continues the same scan after this page (opaque, stored with the run). `cursor` is set on the last page
    only, unless the stream is sorted by change time: the remote's clock at the start of the scan, from which the next
    scan may start. `total` is what the vendor says the scan holds, for progress; None when it does not say.
    """

    records: Sequence[Record]
    resume: str
    cursor: str | None
    total: int | None = None
    gone: Sequence[Gone] = ()


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
class Totals:
    """What a ledger document adds up to, as the ledger computed it, in the document's currency.

    `rows` are the net amounts (without VAT) of its rows in order, `prices` what the ledger took as unit price, quantity
    and discount for each; `net` is the ledger's own sum of them. `gross` = net + freight + fee + vat + rounding.
    `surcharge_vat` is the part of `vat` that is for freight and fee. `vat_doubt` says why the VAT is not plausible for
    the document's customer; "" when nothing is odd about it.
    """

    currency: str
    rows: tuple[Decimal, ...]
    net: Decimal
    vat: Decimal
    gross: Decimal
    rounding: Decimal = Decimal(0)
    freight: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    surcharge_vat: Decimal = Decimal(0)
    vat_included: bool = False
    vat_doubt: str | Promise = ""


@dataclass(frozen=True, slots=True)
class EstimatedRow:
    """One row of a document as it would become; `net` is None where only the ledger knows the price."""

    text: str
    article: str
    quantity: Decimal | None
    price: Decimal | None
    discount: str
    net: Decimal | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a document would add up to, computed here, only to be compared and shown: the ledger decides.

    None where it cannot be known before the ledger has the document (a price of its price list, a VAT rate).
    `goods` is what the rows add up to as they are priced: with VAT where the prices include it, else the net.
    """

    rows: tuple[EstimatedRow, ...]
    net: Decimal | None
    vat: Decimal | None
    rounding: Decimal | None
    gross: Decimal | None
    goods: Decimal | None = None


class Connector(Protocol):
    """One connected account, spoken to in records. Every method may raise `SyncError`."""

    system: str
    idempotent: frozenset[str]
    """Objects whose `upsert` may be repeated freely because a unique key of ours guards it."""
    markers: Mapping[str, str]
    """Per object that cannot be deduplicated: the searchable remote field that carries `Write.marker`."""
    found_by_marker: frozenset[str]
    """Those of `markers` whose field the remote searches itself: one call per value, cheap enough while planning."""
    found_for: Mapping[str, timedelta]
    """The others of `markers`: how long after it was made a record is still found by its marker."""
    cancelled: Mapping[str, str]
    """Per object that can be cancelled at the remote: the boolean field that says so."""
    verified: Mapping[str, tuple[str, ...]]
    """Per object: the fields by which a record found by its marker is known to be the one that was sent."""
    locks: Mapping[str, str]
    """Per object that the remote locks at some point: the derived text field that says how ("" while it is open)."""
    owners: Mapping[str, str]
    """Objects that exist only as lines or parts of another one: `{"line_item": "deal"}`."""
    round: int
    """How many writes are cheapest together. A scan collects so many of several pages before it delivers; 0: a page's
    writes are as good as any."""
    estimates_from: Mapping[str, frozenset[str]]
    """Per register, the fields of its records that `estimate` can use: `{"article": {"VAT"}}`."""

    @property
    def feedback(self) -> Mapping[str, Feedback]:
        """Per object, where its records may show what became of them; whether a record has these fields, the schema
        says."""

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

    def search(self, object_name: str, field_name: str, text: str, fields: frozenset[str], limit: int) -> list[Record]:
        """For a person who looks for a record: up to `limit` of those whose field holds `text`, as the vendor searches.
        One call, whatever there is; what is not in the answer may exist all the same, and nothing may follow from it
        (see `find`). Raises `Misconfigured` for a field that cannot be searched."""

    def count(self, object_name: str) -> int:
        """How many records the object has (one call)."""

    def upsert(self, object_name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """Create or update by our unique key, or update by id. Repeatable."""

    def create(self, object_name: str, write: Write) -> Outcome:
        """One create that the remote cannot deduplicate: a single request, never repeated by the transport."""

    def totals(self, object_name: str, record: Record) -> Totals | None:
        """What the document adds up to; None for objects without amounts. `record` was loaded with `totals_fields`."""

    def totals_fields(self, object_name: str) -> Fields:
        """What `totals` needs to be loaded; empty for objects without amounts."""

    def estimate(
        self,
        object_name: str,
        fields: Mapping[str, Value],
        lines: Sequence[Mapping[str, Value]],
        known: Mapping[str, Record],
    ) -> Estimate | None:
        """What a document of these fields and lines would add up to; `known` are records of its articles by number."""

    def perform(self, object_name: str, record_id: str, act: str) -> Outcome:
        """Carry out "book", "credit" or "cancel" on a document. The state is read first: what is done already is a
        success, so that it may be repeated. For "credit" the outcome's id is the credit document's."""

    def owners_of(self, object_name: str, ids: Sequence[str]) -> dict[str, str]:
        """For objects of `owners`: the id of the record that each belongs to; those without one are left out."""

    def prepare(self, setup: Setup) -> dict[str, str]:
        """Create the missing custom fields and pipelines; idempotent. Returns ids by symbolic name."""

    def check(self) -> list[ReadinessLine]:
        """What is missing before flows can work, asked of the remote now."""

    def record_url(self, object_name: str, record_id: str) -> str:
        """Where a person opens the record in the vendor's own pages; "" when unknown."""
