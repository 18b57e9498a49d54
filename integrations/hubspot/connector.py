"""HubSpot behind the connector protocol: reading in `read`, writing in `write`, set-up in `setup`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta

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
from integrations.hubspot import readiness, schema
from integrations.hubspot.client import HubSpot, plural
from integrations.hubspot.period import FIGURES, documents, sold
from integrations.hubspot.read import Reader
from integrations.hubspot.schema import Properties
from integrations.hubspot.setup import prepare
from integrations.hubspot.write import Writer


class HubSpotConnector:
    """One HubSpot portal. What we write carries a unique key of ours, so its upserts may be repeated freely."""

    system = "hubspot"
    idempotent = frozenset({"company", "product", "deal", "line_item"})
    markers: Mapping[str, str] = {}
    found_by_marker: frozenset[str] = frozenset()
    found_for: Mapping[str, timedelta] = {}
    cancelled: Mapping[str, str] = {}
    verified: Mapping[str, tuple[str, ...]] = {}
    locks: Mapping[str, str] = {}
    owners: Mapping[str, str] = {"line_item": "deal"}
    round = 0
    estimates_from: Mapping[str, frozenset[str]] = {}
    feedback: Mapping[str, Feedback] = {}
    figures: Mapping[str, Figures] = {"deal": FIGURES}

    def __init__(self, api: Api) -> None:
        self.api = api
        self._client = HubSpot(api)
        self._properties = Properties(self._client)
        self._reader = Reader(self._client, self._properties)
        self._writer = Writer(self._client, self._properties, self._reader)

    def describe(self, object_name: str) -> ObjectSchema:
        """The schema as the portal describes it: one call per object and part, two more for deals."""
        plural(object_name)
        return schema.describe(self._client, object_name)

    def changed(
        self, object_name: str, since: str | None, fields: Fields, *, resume: str = "", subset: str = ""
    ) -> Iterator[Page]:
        """Everything by list, or what changed by search in order of change; 60 s of overlap."""
        plural(object_name)
        if subset:
            raise Misconfigured(f"HubSpot's {object_name} has no subset {subset!r}", code="unknown_subset")
        if since:
            return self._reader.changed(object_name, since, fields, resume)
        return self._reader.everything(object_name, fields, resume)

    def documents(
        self, object_name: str, first: date, last: date, fields: Fields, *, resume: str = ""
    ) -> Iterator[Page]:
        """Deals by the invoice date that they carry, by search, in order of id."""
        return documents(self._reader, object_name, first, last, fields, resume)

    def sold(self, object_name: str, first: date, last: date, fields: Fields, *, resume: str = "") -> Iterator[Page]:
        """Deals closed as won in the period, by search, in order of id."""
        return sold(self._reader, object_name, first, last, fields, resume)

    def open_days(self, first: date, last: date) -> bool | None:
        """Unknown: nothing here has fiscal years."""
        return None

    def load(self, object_name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """Batches of 100; a deal's company, contact and lines when asked for."""
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
        """Batch reads by unique properties, searches by others; always compared exactly."""
        return self._reader.find(object_name, field_name, values, spell, read, fields)

    def search(self, object_name: str, field_name: str, text: str, fields: frozenset[str], limit: int) -> list[Record]:
        """HubSpot's own search: every word, wherever it begins."""
        return self._reader.search(object_name, field_name, text, fields, limit)

    def count(self, object_name: str) -> int:
        """The total of a search, one call."""
        return self._reader.count(object_name)

    def upsert(self, object_name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """Batches by id or by our unique key, then lines, associations and the amount again."""
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
        """The deal of each line item: one association read per 1,000; deleted ones and those without are left out."""
        return self._reader.links.chosen(object_name, self.owners[object_name], ids) if ids else {}

    def prepare(self, setup: Setup) -> dict[str, str]:
        """Groups, properties, pipelines and stages that are missing; ids by the names the set-up gives them."""
        return prepare(self._client, setup)

    def check(self) -> list[ReadinessLine]:
        """The readiness lines of the portal."""
        return readiness.check(self._client)

    def record_url(self, object_name: str, record_id: str) -> str:
        """The record's page in the portal."""
        return self._reader.url(object_name, record_id)
