"""Looking Fortnox's records up by a value: search, then compare exactly here.

Fortnox's search means "contains" without regard to case, so a hit counts only after an exact comparison. The
invariant: "not found" is said only of lists that add up to the total announced and whose rows could all be read,
because what is not found is created.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from integrations.connector import Fields, Record
from integrations.errors import IncompleteRead, Misconfigured, Missing
from integrations.fortnox import schema, times
from integrations.fortnox.client import Fortnox, ListPage
from integrations.fortnox.read import Reader, reply_of
from integrations.fortnox.schema import Resource

RECENT = timedelta(days=7)
"""How far back a record is looked for by a marker that Fortnox cannot search: a long weekend without workers, and more.
"""


class Finder:
    """The look-ups of the connector."""

    def __init__(self, client: Fortnox, reader: Reader) -> None:
        self.client = client
        self.reader = reader

    def find(
        self,
        name: str,
        field_name: str,
        values: Sequence[str],
        spell: Callable[[str], Iterable[str]],
        read: Callable[[str], str],
        fields: frozenset[str],
    ) -> dict[str, list[Record]]:
        """See `Connector.find`. Reads the whole register instead when that takes fewer calls than the searches."""
        it = schema.resource(name)
        parameter = it.searches.get(field_name)
        if parameter is None and field_name != it.marker:
            raise Misconfigured(
                f"Fortnox cannot search {name} by {field_name}", code="not_searchable", field=field_name
            )
        wanted = {name: fields | {field_name, it.key} | schema.listed(name)}  # what rows carry costs nothing
        # Fortnox refuses angle brackets in searches; no stored text can contain them either.
        spellings = _widest(s for value in values for s in spell(value) if s and not {"<", ">"} & set(s))
        if parameter is None:
            since = (datetime.now(UTC) - RECENT).isoformat()
            params = {"lastmodified": times.lastmodified(since)}
            candidates = self._whole(it, self.client.list_page(it, 1, params), params, wanted)
        else:
            candidates = self._candidates(it, parameter, spellings, wanted)
        return self._exact(it, field_name, set(values), read, candidates, wanted)

    def search(self, name: str, field_name: str, text: str, fields: frozenset[str], limit: int) -> list[Record]:
        """See `Connector.search`: the first rows of a list that is searched, one call."""
        it = schema.resource(name)
        parameter, plain = it.searches.get(field_name), text.replace("<", "").replace(">", "").strip()
        if parameter is None:
            raise Misconfigured(
                f"Fortnox cannot search {name} by {field_name}", code="not_searchable", field=field_name
            )
        if not plain:
            return []
        page = self.client.list_page(it, 1, {parameter: plain, "limit": str(limit)})
        return self.reader.records(it, page, {name: fields | schema.listed(name)})[:limit]

    def _candidates(self, it: Resource, parameter: str, spellings: Sequence[str], wanted: Fields) -> list[Record]:
        if len(spellings) > 3:
            first = self.client.list_page(it, 1, {})
            if first.pages <= len(spellings):
                return self._whole(it, first, {}, wanted)
        calls = (self.client.list_call(it, 1, {parameter: text}) for text in spellings)
        records: list[Record] = []
        for text, reply in zip(spellings, self.client.api.call_many(calls), strict=True):
            records += self._whole(it, ListPage(reply_of(reply), it.many), {parameter: text}, wanted)
        return records

    def _whole(self, it: Resource, first: ListPage, params: Mapping[str, str], wanted: Fields) -> list[Record]:
        """Every record of a list whose first page is given. Raises `IncompleteRead` when it does not add up: an
        answer that lost a row would say "not found", and what is not found is created."""
        page, records = first, self.reader.records(it, first, wanted)
        for number in range(2, first.pages + 1):
            page = self.client.list_page(it, number, params)
            records += self.reader.records(it, page, wanted)
        if len({record.id for record in records}) != page.total:
            raise IncompleteRead(f"Fortnox announced {page.total} {it.many} and gave {len(records)}", code="incomplete")
        return records

    def _exact(
        self,
        it: Resource,
        field_name: str,
        values: set[str],
        read: Callable[[str], str],
        candidates: Iterable[Record],
        wanted: Fields,
    ) -> dict[str, list[Record]]:
        """Candidates by normalised value, each once; those whose row lacks what was asked for are read in full."""
        unique = {record.id: record for record in candidates}

        def value_of(record: Record) -> str:
            value = record.fields.get(field_name)
            return read("" if value is None else str(value))

        if field_name in schema.listed(it.name):
            # A row that could not be read has no fields and may be the one: it is read in full.
            unique = {k: record for k, record in unique.items() if not record.fields or value_of(record) in values}
        partial = [key for key, record in unique.items() if not record.complete]
        partial = self._told_active(it, unique, partial, wanted)
        for loaded in self.reader.load(it.name, partial, wanted) if partial else ():
            if isinstance(loaded, tuple):
                if not isinstance(loaded[1], Missing):
                    raise loaded[1]
                del unique[loaded[0]]
            else:
                unique[loaded.id] = loaded
        found: dict[str, list[Record]] = {}
        for record in unique.values():
            if (value := value_of(record)) in values:
                found.setdefault(value, []).append(record)
        return found

    def _told_active(
        self, it: Resource, records: Mapping[str, Record], partial: Sequence[str], wanted: Fields
    ) -> list[str]:
        """The keys that still need a full read, after the list of inactive records said who is active.

        Lists lack `Active`, but one filters by it: a single call instead of one per record, when nothing else is
        missing and the inactive ones are few.
        """
        unreadable = [key for key in partial if not records[key].fields]
        readable = [key for key in partial if records[key].fields]
        missing = wanted[it.name] - schema.listed(it.name)
        if missing != {"Active"} or "inactive" not in it.subsets or len(readable) < 2:
            return list(partial)
        params = it.subsets["inactive"]
        first = self.client.list_page(it, 1, params)
        if first.pages > len(readable):
            return list(partial)
        inactive = {record.id for record in self._whole(it, first, params, {it.name: frozenset()})}
        for key in readable:
            records[key].fields["Active"] = key not in inactive
            records[key].complete = True
        return unreadable


def _widest(spellings: Iterable[str]) -> list[str]:
    """The spellings to search for: one that contains another is found by the other's search already."""
    texts = sorted(set(spellings), key=len)
    kept: list[str] = []
    for text in texts:
        if len(texts) > 100 or not any(known.lower() in text.lower() for known in kept):
            kept.append(text)
    return sorted(kept)
