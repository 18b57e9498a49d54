"""Writing to Fortnox: one POST that is never repeated, and PUTs that may be, because the number decides.

The invariants: a create goes out once, carrying its marker where it can be found again; after Fortnox accepted one,
its outcome is never reported as a failure that may be tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from integrations.connector import Outcome, Write
from integrations.errors import Conflict, InvalidData, Misconfigured, Missing, OutcomeUnknown, SyncError
from integrations.fortnox import parse, schema, times, wire
from integrations.fortnox.client import Fortnox
from integrations.fortnox.schema import Resource
from integrations.http import Call, Reply


class Writer:
    """The writing half of the connector."""

    def __init__(self, client: Fortnox) -> None:
        self.client = client

    def create(self, name: str, write: Write) -> Outcome:
        """POST one record with its marker; raises nothing, see `Outcome.error`.

        Once Fortnox has accepted it, nothing here says that it failed: an answer that cannot be read, or that names
        a record with another reference, is `OutcomeUnknown`. A record that lost our reference is an outcome whose
        `returned` lacks it: the caller must not send again, because no search would ever find the first one.
        """
        it = schema.resource(name)
        try:
            raw = self.client.create(it, self._body(it, write, create=True))
        except SyncError as error:
            return Outcome(write.key, error=error)
        number = str(raw[it.key])
        try:
            if write.marker and it.marker and raw.get(it.marker) != write.marker:
                raw = self._marked(it, number, write.marker)
            return self._outcome(it, write, raw, created=True)
        except SyncError as error:
            return Outcome(write.key, error=OutcomeUnknown(error.message, code=error.code, record=number))

    def _marked(self, it: Resource, number: str, marker: str) -> Mapping[str, Any]:
        """The record once more, when the answer did not echo our marker. Raises `OutcomeUnknown` for another one."""
        raw = self.client.detail(it, number)
        if raw.get(it.marker) not in (marker, None, ""):
            raise OutcomeUnknown(f"Fortnox answered with another {it.one.lower()}, {number}", code="other_record")
        return raw

    def upsert(self, name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """PUT each record by number. A number of our own choice that does not exist yet is created with a POST.

        An invoice whose lines change is read first: its rows must be known to be replaced, and a locked one is
        refused by name.
        """
        it = schema.resource(name)
        calls: list[Call] = []
        ready: list[Write] = []
        for write in writes:
            try:
                body = self._body(it, write, create=False)
                calls.append(self.client.update_call(it, self._number(it, write), body))
                ready.append(write)
            except SyncError as error:
                yield Outcome(write.key, id=write.id, error=error)
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
            if given != write.marker:
                # Two owners of one field would make our own records unfindable after a lost answer.
                raise InvalidData(
                    f"{it.marker} carries our reference and cannot be mapped", code="marker_taken", field=it.marker
                )
        body = wire.wire(it, values, create=create)
        if write.lines is not None and create:
            body["InvoiceRows"] = wire.wire_lines(write.lines, create=True)
        elif write.lines is not None:
            wire.wire_lines(write.lines, create=True)  # refused before anything is asked
            body["InvoiceRows"] = wire.rows_of_update(write.lines, self._open_rows(it, self._number(it, write)))
        return body

    def _open_rows(self, it: Resource, number: str) -> list[Mapping[str, Any]]:
        """The rows of an invoice that may still be changed; raises `Conflict` when it is locked."""
        raw = self.client.detail(it, number)
        lock = parse.invoice_lock(parse.values_of(it.table, raw, parse.LOCK_FIELDS, number))
        if lock:
            raise Conflict(f"Invoice {number} is locked in Fortnox ({lock})", code="locked", record=number, value=lock)
        parse.lines_of(raw, ["RowId"], number)
        return list(raw["InvoiceRows"])

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
