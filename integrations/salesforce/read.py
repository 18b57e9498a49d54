"""Reading Salesforce: one query a page, changes by `SystemModstamp`, records by id and by value.

`SystemModstamp` moves with every write, but a transaction is seen only when it is committed, minutes after its stamp;
so the start is overlapped, and the server's own clock at the first answer is the next start. What does not move it (a
line that changes without the record's amount) is asked for by the line. The invariant: no record between two stamps is
passed over, though a page, its locator or this process may be lost on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar

from integrations.connector import Fields, FieldType, Gone, Page, Record
from integrations.errors import InvalidData, Misconfigured, Missing, SyncError, TooLarge
from integrations.salesforce import ids, soql, values
from integrations.salesforce.address import pages_address
from integrations.salesforce.client import Rows, Salesforce, rows_of
from integrations.salesforce.described import Field
from integrations.salesforce.scan import Scan, Spot
from integrations.salesforce.schema import Objects, derived, hidden
from integrations.salesforce.shape import STAMP, Shape, id_of, record, shape

OVERLAP = timedelta(minutes=10)
"""How long before it is seen a change may have got its stamp (Salesforce ends a transaction after ten minutes)."""
LONGEST_VALUE = 255
"""Characters of the longest value that a condition can compare."""
# The org changed after we were told about it: a field was removed or hidden, an object taken away.
_OUTDATED = frozenset({"INVALID_FIELD", "INVALID_TYPE"})
T = TypeVar("T")


class Reader:
    """The reading half of the connector."""

    def __init__(self, client: Salesforce, objects: Objects) -> None:
        self.client = client
        self.objects = objects

    # --- Records ----------------------------------------------------------------------------------------------

    def url(self, name: str, record_id: str) -> str:
        """Where a person opens the record."""
        account = self.client.api.account
        base = (account.ui_url or pages_address(account.api_url)).rstrip("/")
        return f"{base}/lightning/r/{self.objects.remote(name)}/{record_id}/view"

    def record(self, asked: Shape, raw: Mapping[str, Any]) -> Record:
        """A row as a record, with the further pages of its lines. Raises `TooLarge` when it cannot be read."""
        return record(asked, raw, lambda key: self.url(asked.name, key), self._follow)

    def _follow(self, following: str) -> Rows:
        return rows_of(self.client.api.do(self.client.following_call(following, kind="lines.query")).data)

    def _asking(self, name: str, fields: Fields, ask: Callable[[Shape], T]) -> T:
        """What `ask` gives for the query of these fields. When the org says that it lacks one of them, it is described
        again: the error is then the clear one, or there is none any more."""
        asked = shape(self.objects, name, fields)
        try:
            return ask(asked)
        except SyncError as error:
            if error.code not in _OUTDATED:
                raise
            self.objects.catalogue.forget(asked.remotes)
            return ask(shape(self.objects, name, fields))

    # --- Scans ------------------------------------------------------------------------------------------------

    def changed(self, name: str, since: str | None, fields: Fields, resume: str) -> Iterator[Page]:
        """See `Connector.changed`: a scan of what changed, then one of records of which only lines (or prices) did."""
        spot = Spot.read(resume)
        asked = shape(self.objects, name, fields, gone=bool(since))
        conditions = self._conditions(name, asked, since)
        with ThreadPoolExecutor(1, thread_name_prefix="query") as pool:
            while True:
                last_stage = spot.stage == len(conditions) - 1
                scan = Scan(self, asked, conditions[spot.stage], fields, deleted=bool(since), spot=spot)
                for rows, place in scan.pages(pool):
                    following = place or (None if last_stage else spot.next_stage(scan.spot))
                    records = [self.record(scan.asked, raw) for raw in rows if raw.get("IsDeleted") is not True]
                    gone = [_gone(asked.remote, raw) for raw in rows if raw.get("IsDeleted") is True]
                    clock = None if following else scan.spot.clock
                    yield Page(records, following.text() if following else "", clock, scan.spot.total, gone)
                if last_stage:
                    return
                asked, spot = scan.asked, spot.next_stage(scan.spot)

    def _conditions(self, name: str, asked: Shape, since: str | None) -> list[str]:
        """The conditions of the scans that are needed, one after the other."""
        if not since:
            return [""]
        start = soql.moment(datetime.fromisoformat(since) - OVERLAP)
        conditions = [f"{STAMP} >= {start}"]
        children = []
        if asked.lines is not None:
            lines, _described = self.objects.lines(name)
            children.append((lines.object, self.objects.line_parent(name)))
        if asked.prices:
            children.append(("PricebookEntry", "Product2Id"))
        for remote, parent in children:
            inner = soql.select([parent], remote, where=f"{STAMP} >= {start}")
            conditions.append(f"{STAMP} < {start} AND Id IN ({inner})")
        return conditions

    def count(self, name: str) -> int:
        """How many live records an object has."""
        query = f"SELECT COUNT() FROM {soql.name(self.objects.remote(name))}"  # noqa: S608 - the name is checked
        return rows_of(self.client.api.do(self.client.query_call(query, kind=f"{name}.count")).data).total

    # --- By id ------------------------------------------------------------------------------------------------

    def load(self, name: str, wanted: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """See `Connector.load`; an id may be given with 15 or 18 characters."""
        full: dict[str, str] = {}
        for key in wanted:
            try:
                full[key] = ids.checked(key)
            except InvalidData as error:
                error.record = key
                yield key, error
        unique = list(dict.fromkeys(full.values()))
        found = self._asking(name, fields, lambda asked: self._by_id(asked, unique)) if unique else {}
        for key, long in full.items():
            entry = found[long]
            yield entry if isinstance(entry, Record) else (key, entry)

    def batch(self, name: str, wanted: Sequence[str], fields: Fields) -> dict[str, Record | SyncError]:
        """Records by id of 18 characters, an error for each that is not there."""
        return self._asking(name, fields, lambda asked: self._by_id(asked, list(dict.fromkeys(wanted))))

    def _by_id(self, asked: Shape, wanted: Sequence[str]) -> dict[str, Record | SyncError]:
        literals = [soql.quoted(key) for key in wanted]
        chunks = list(soql.chunks(literals, asked.query("Id IN ()")))
        found: dict[str, Record | SyncError] = {}
        for chunk, rows in zip(chunks, self._query_many(asked, "Id", chunks), strict=True):
            if isinstance(rows, SyncError):
                if rows.code in _OUTDATED:
                    raise rows
                found |= {text.strip("'"): rows for text in chunk}
                continue
            for raw in rows:
                key = id_of(raw, asked.remote)
                try:
                    found[key] = self.record(asked, raw)
                except SyncError as error:
                    found[key] = error
        for key in wanted:
            text = f"Salesforce has no {asked.remote} {key}, or our user may not see it"
            found.setdefault(key, Missing(text, code="NOT_FOUND", record=key))
        return found

    def _query_many(
        self, asked: Shape, field_name: str, chunks: Sequence[Sequence[str]]
    ) -> Iterator[list[Mapping[str, Any]] | SyncError]:
        """The rows of each chunk of values, over all pages, or its error."""
        kind = f"{asked.name}.query"
        calls = (self.client.query_call(asked.query(soql.within(field_name, chunk)), kind=kind) for chunk in chunks)
        for reply in self.client.api.call_many(calls):
            if isinstance(reply, SyncError):
                yield reply
                continue
            try:
                page = rows_of(reply.data)
                rows = list(page.rows)
                while page.following:
                    page = rows_of(self.client.api.do(self.client.following_call(page.following, kind=kind)).data)
                    rows += page.rows
                if len(rows) < page.total:
                    raise TooLarge(f"Salesforce sent {len(rows)} of {page.total} rows", code="unreadable")
                yield rows
            except SyncError as error:
                yield error

    # --- Look-ups ---------------------------------------------------------------------------------------------

    def find(
        self,
        name: str,
        field_name: str,
        wanted: Sequence[str],
        spell: Callable[[str], Iterable[str]],
        read: Callable[[str], str],
        fields: frozenset[str],
    ) -> dict[str, list[Record]]:
        """See `Connector.find`. Salesforce compares text without regard to case; here it is compared exactly."""
        field = self._searchable(name, field_name)
        spellings = dict.fromkeys(text for value in wanted for text in spell(value) if text)
        literals = list(dict.fromkeys(filter(None, (_literal(field, text) for text in spellings))))
        if not literals:
            return {}
        asked_fields = {name: fields | {field_name}}
        candidates = self._asking(name, asked_fields, lambda asked: self._by_value(asked, field_name, literals))
        known, found = set(wanted), dict[str, list[Record]]()
        for hit in candidates:
            key = read(values.spelled(field_name, hit.fields.get(field_name)))
            if key in known:
                found.setdefault(key, []).append(hit)
        return found

    def search(self, name: str, field_name: str, text: str, fields: frozenset[str], limit: int) -> list[Record]:
        """See `Connector.search`: one query for what contains the text."""
        self._searchable(name, field_name)
        if not text.strip():
            return []

        def ask(asked: Shape) -> list[Record]:
            query = f"{asked.query(soql.containing(field_name, text.strip()))} LIMIT {limit:d}"
            reply = self.client.api.do(self.client.query_call(query, kind=f"{name}.query"))
            return [self.record(asked, raw) for raw in rows_of(reply.data).rows]

        return self._asking(name, {name: fields | {field_name}}, ask)

    def _searchable(self, name: str, field_name: str) -> Field:
        remote = self.objects.remote(name)
        found = self.objects.own(name, frozenset({field_name})).fields.get(field_name)
        if found is None and field_name not in derived(remote):
            raise hidden(remote, field_name)
        if found is None or not found.filterable:
            text = f"Salesforce cannot search {remote} by {field_name}: it is a long text, or derived by us"
            raise Misconfigured(text, code="not_searchable", field=field_name)
        return found

    def _by_value(self, asked: Shape, field_name: str, literals: Sequence[str]) -> list[Record]:
        frame = asked.query(soql.within(field_name, []))
        records: dict[str, Record] = {}
        for rows in self._query_many(asked, field_name, list(soql.chunks(literals, frame))):
            if isinstance(rows, SyncError):
                raise rows
            for raw in rows:
                hit = self.record(asked, raw)
                records[hit.id] = hit
        return list(records.values())

    def owners_of(self, owner: str, wanted: Sequence[str]) -> dict[str, str]:
        """The record of each line, by the line's id as it was given."""
        lines, _described = self.objects.lines(owner)
        parent = self.objects.line_parent(owner)
        full = {ids.to18(key): key for key in wanted if ids.is_id(key)}
        frame = soql.select(["Id", parent], lines.object, where="Id IN ()")
        found = {}
        for chunk in soql.chunks(map(soql.quoted, full), frame):
            query = soql.select(["Id", parent], lines.object, where=soql.within("Id", chunk))
            for raw in self.client.query(query, kind=f"{owner}.owners"):
                key = id_of(raw, lines.object)
                if raw.get(parent) and key in full:
                    found[full[key]] = id_of({"Id": raw[parent]}, owner)
        return found


def _gone(remote: str, raw: Mapping[str, Any]) -> Gone:
    """A deleted row; `MasterRecordId` is the record that it was merged into."""
    into = raw.get("MasterRecordId")
    return Gone(id_of(raw, remote), id_of({"Id": into}, remote) if into else "")


def _literal(field: Field, text: str) -> str | None:
    """The value as literal; None when no record can have it."""
    if field.schema.name == "Id" or field.references:
        return soql.quoted(ids.to18(text)) if ids.is_id(text) else None
    if field.kind in (FieldType.STRING, FieldType.ENUM) and len(text) > (field.schema.max_length or LONGEST_VALUE):
        return None
    try:
        return soql.literal(field.kind, text)
    except InvalidData:
        return None
