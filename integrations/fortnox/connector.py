"""Fortnox behind the connector protocol: reading in `read`, writing in `write`, both thin over `client`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from integrations.connector import (
    Fields,
    ObjectSchema,
    Outcome,
    Page,
    ReadinessLine,
    Record,
    Setup,
    Write,
)
from integrations.errors import SyncError
from integrations.fortnox import readiness, schema
from integrations.fortnox.client import Fortnox
from integrations.fortnox.read import Reader
from integrations.fortnox.write import Writer
from integrations.http import Api


class FortnoxConnector:
    """One Fortnox company. Nothing in it is idempotent by a key of ours: creates need the intent protocol."""

    system = "fortnox"
    idempotent: frozenset[str] = frozenset()
    # A customer's ExternalReference cannot be searched; `find` reads the customers of the last two days for it.
    markers: Mapping[str, str] = {name: it.marker for name, it in schema.RESOURCES.items() if it.marker}
    cancelled: Mapping[str, str] = {"invoice": "Cancelled"}

    def __init__(self, api: Api) -> None:
        self.api = api
        self._client = Fortnox(api)
        self._reader = Reader(self._client)
        self._writer = Writer(self._client)

    def describe(self, object_name: str) -> ObjectSchema:
        """The schema from our own tables: Fortnox has no call for it."""
        return schema.object_schema(object_name)

    def changed(
        self, object_name: str, since: str | None, fields: Fields, *, resume: str = "", subset: str = ""
    ) -> Iterator[Page]:
        """Pages of 500 in order of number; the cursor is the `Date` of the first page, given with the last."""
        return self._reader.changed(object_name, since, fields, resume, subset)

    def load(self, object_name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """One call per record (Fortnox has no bulk read), plus one per distinct customer of invoices."""
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
        """Searches ("contains") compared exactly, or the whole register when that is cheaper."""
        return self._reader.find(object_name, field_name, values, spell, read, fields)

    def count(self, object_name: str) -> int:
        """The total of a list, one call."""
        return self._reader.count(object_name)

    def upsert(self, object_name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """PUT by number; repeatable."""
        return self._writer.upsert(object_name, writes)

    def create(self, object_name: str, write: Write) -> Outcome:
        """One POST with its marker, never repeated."""
        return self._writer.create(object_name, write)

    def prepare(self, setup: Setup) -> dict[str, str]:
        """Fortnox needs nothing prepared."""
        return {}

    def check(self) -> list[ReadinessLine]:
        """The readiness lines of the company."""
        return readiness.check(self._client)

    def record_url(self, object_name: str, record_id: str) -> str:
        """Fortnox publishes no addresses of single records."""
        return ""
