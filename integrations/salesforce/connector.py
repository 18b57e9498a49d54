"""Salesforce behind the connector protocol: reading in `read`, writing in `write`, what is missing in `readiness`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property

from integrations.connector import (
    Estimate,
    Feedback,
    Fields,
    ObjectSchema,
    Outcome,
    Page,
    ReadinessLine,
    Record,
    Setup,
    Totals,
    Value,
    Write,
)
from integrations.errors import Misconfigured, SyncError
from integrations.figures import Figures
from integrations.http import Api
from integrations.salesforce import readiness
from integrations.salesforce.client import RETRIEVED, SYSTEM, Salesforce
from integrations.salesforce.layouts import KNOWN, OWNERS, Layout
from integrations.salesforce.period import FIGURES, documents, sold
from integrations.salesforce.read import Reader
from integrations.salesforce.schema import Objects
from integrations.salesforce.write import Writer

FEEDBACK = Feedback(
    "Fortnox_Sync_Status__c",
    "Fortnox_Sync_Message__c",
    {"pending": "Pending", "synced": "Synced", "error": "Error", "skipped": "Skipped"},
)
"""The fields of our package on what becomes a document."""
DOCUMENTS = frozenset({"opportunity", "order"})


class SalesforceConnector:
    """One Salesforce org. Where a record carries our unique key its upserts may be repeated freely; opportunities,
    orders and customers' own objects carry none, so we only update those."""

    system = SYSTEM
    idempotent = frozenset({"account", "contact", "product", "fortnox_invoice"})
    markers: Mapping[str, str] = {}
    found_by_marker: frozenset[str] = frozenset()
    found_for: Mapping[str, timedelta] = {}
    cancelled: Mapping[str, str] = {}
    verified: Mapping[str, tuple[str, ...]] = {}
    locks: Mapping[str, str] = {}
    owners: Mapping[str, str] = OWNERS
    round = RETRIEVED
    tells_gone = True
    estimates_from: Mapping[str, frozenset[str]] = {}
    figures: Mapping[str, Figures] = FIGURES

    def __init__(self, api: Api) -> None:
        self.api = api
        self._client = Salesforce(api)
        self._objects = Objects(self._client)
        self._reader = Reader(self._client, self._objects)
        self._writer = Writer(self._client, self._objects, self._reader)

    def know(self, layout: Layout) -> None:
        """Read an object that is not stored as a custom source (yet)."""
        self._objects.know(layout)

    @cached_property
    def feedback(self) -> Mapping[str, Feedback]:
        """Opportunities, orders and the customer's own objects."""
        return {name: FEEDBACK for name in self._objects.layouts if name in DOCUMENTS or name not in KNOWN}

    def describe(self, object_name: str) -> ObjectSchema:
        """The schema as our user may see it: one call per object, part and line object that is not known yet."""
        return self._objects.describe(object_name)

    def changed(
        self, object_name: str, since: str | None, fields: Fields, *, resume: str = "", subset: str = ""
    ) -> Iterator[Page]:
        """Everything, or what changed by `SystemModstamp` with 10 minutes of overlap, with what was deleted."""
        self._objects.layout(object_name)
        if subset:
            raise Misconfigured(f"Salesforce's {object_name} has no subset {subset!r}", code="unknown_subset")
        return self._reader.changed(object_name, since, fields, resume)

    def documents(
        self, object_name: str, first: date, last: date, fields: Fields, *, resume: str = ""
    ) -> Iterator[Page]:
        """Records by the invoice date that they carry: one query, in pages."""
        return documents(self._reader, object_name, first, last, fields, resume)

    def sold(self, object_name: str, first: date, last: date, fields: Fields, *, resume: str = "") -> Iterator[Page]:
        """Opportunities closed as won in the period; nothing for other objects."""
        return sold(self._reader, object_name, first, last, fields, resume)

    def open_days(self, first: date, last: date) -> bool | None:
        """Unknown: nothing here has fiscal years."""
        return None

    def load(self, object_name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """Queries of up to 200 ids, parts and lines included."""
        return self._reader.load(object_name, ids, fields)

    def find(
        self,
        object_name: str,
        field_name: str,
        values: Sequence[str],
        spell: Callable[[str], Iterable[str]],
        read: Callable[[str], str],
        fields: frozenset[str],
    ) -> dict[str, list[Record]]:
        """Queries by the field, whose comparison ignores case; always compared exactly here."""
        return self._reader.find(object_name, field_name, values, spell, read, fields)

    def search(self, object_name: str, field_name: str, text: str, fields: frozenset[str], limit: int) -> list[Record]:
        """A query: what contains the text."""
        return self._reader.search(object_name, field_name, text, fields, limit)

    def count(self, object_name: str) -> int:
        """One query that counts."""
        return self._reader.count(object_name)

    def upsert(self, object_name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """Collections of up to 200, by id or by our unique key."""
        return self._writer.upsert(object_name, writes)

    def create(self, object_name: str, write: Write) -> Outcome:
        """One record without a unique key, sent once."""
        return self._writer.create(object_name, write)

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
        """None: nothing here has amounts of a ledger."""
        return None

    def perform(self, object_name: str, record_id: str, act: str) -> Outcome:
        """Nothing can be carried out here."""
        return Outcome(record_id, error=Misconfigured(f"“{act}” is not known for {object_name}", code="act_unknown"))

    def owners_of(self, object_name: str, ids: Sequence[str]) -> dict[str, str]:
        """The record of each line: one query per 200; lines that are gone are left out."""
        return self._reader.owners_of(self.owners[object_name], ids) if ids else {}

    def prepare(self, setup: Setup) -> dict[str, str]:
        """Nothing is made from here, because the daily user has no such right: the package brings the fields. Raises
        `Misconfigured` with the remedy for one that is not there or may not be written."""
        readiness.require(self._objects, setup)
        return {}

    def check(self) -> list[ReadinessLine]:
        """The readiness lines of the org."""
        return readiness.check(self._client, self._objects)

    def record_url(self, object_name: str, record_id: str) -> str:
        """The record's page in Lightning."""
        return self._reader.url(object_name, record_id)
