"""Writing to Fortnox: one POST that is never repeated, and PUTs that may be, because the number decides.

The invariant: a create goes out once, carrying its marker where it can be found again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from integrations.connector import Outcome, Write
from integrations.errors import InvalidData, Misconfigured, Missing, SyncError
from integrations.fortnox import parse, schema, times
from integrations.fortnox.client import Fortnox
from integrations.fortnox.schema import Resource
from integrations.http import Call, Reply


class Writer:
    """The writing half of the connector."""

    def __init__(self, client: Fortnox) -> None:
        self.client = client

    def create(self, name: str, write: Write) -> Outcome:
        """POST one record with its marker. The answer must echo the marker; raises nothing, see `Outcome.error`."""
        it = schema.resource(name)
        try:
            raw = self.client.create(it, self._body(it, write, create=True))
            return self._outcome(it, write, raw, created=True)
        except SyncError as error:
            return Outcome(write.key, error=error)

    def upsert(self, name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """PUT each record by number. A number of our own choice that does not exist yet is created with a POST."""
        it = schema.resource(name)
        calls: list[Call] = []
        ready: list[Write] = []
        for write in writes:
            try:
                calls.append(self.client.update_call(it, self._number(it, write), self._body(it, write, create=False)))
                ready.append(write)
            except SyncError as error:
                yield Outcome(write.key, error=error)
        for write, reply in zip(ready, self.client.api.call_many(calls), strict=True):
            if isinstance(reply, Missing) and not write.id:
                yield self.create(name, write)
            else:
                yield self._updated(it, write, reply)

    def _updated(self, it: Resource, write: Write, reply: Reply | SyncError) -> Outcome:
        if isinstance(reply, SyncError):
            return Outcome(write.key, id=write.id, error=reply)
        try:
            return self._outcome(it, write, self.client.opened(it, reply), created=False)
        except SyncError as error:
            return Outcome(write.key, id=write.id, error=error)

    @staticmethod
    def _number(it: Resource, write: Write) -> str:
        number = write.id or (write.unique[1] if write.unique and write.unique[0] == it.key else "")
        if not number:
            raise Misconfigured(f"An update of a {it.name} needs its {it.key}", code="no_key", field=it.key)
        return number

    def _body(self, it: Resource, write: Write, *, create: bool) -> dict[str, Any]:
        values = dict(write.fields)
        if create and write.unique and write.unique[0] == it.key:
            values.setdefault(it.key, write.unique[1])
        if create and write.marker and it.marker:
            given = values.setdefault(it.marker, write.marker)
            if it.name == "invoice" and given != write.marker:
                # Two owners of one field would make our own invoices unfindable after a lost answer.
                raise InvalidData(
                    f"{it.marker} carries our reference and cannot be mapped", code="marker_taken", field=it.marker
                )
        body = parse.wire(it, values, create=create)
        if write.lines is not None:
            body["InvoiceRows"] = parse.wire_lines(write.lines, create=create)
        return body

    @staticmethod
    def _outcome(it: Resource, write: Write, raw: Any, *, created: bool) -> Outcome:
        number = str(raw[it.key])
        today = times.local_date(datetime.now(UTC))
        values = parse.values_of(it.table, raw, schema.columns(it.table), number)
        values |= parse.derived(it.name, raw, today, number)
        line_ids = {}
        rows = raw.get("InvoiceRows")
        if write.lines and isinstance(rows, list) and len(rows) == len(write.lines):
            keys = [str(line.get("line_key") or index) for index, line in enumerate(write.lines, start=1)]
            line_ids = {key: str(row.get("RowId") or "") for key, row in zip(keys, rows, strict=True)}
        return Outcome(write.key, id=number, created=created, returned=values, line_ids=line_ids)
