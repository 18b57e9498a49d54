"""Reading HubSpot: every record through lists, changed ones through search windows, full ones through batches.

Search stops at 10,000 results, pages by offset, lags, and its `IN` wants lower case; so scans restart from the last
stamp seen, the start is overlapped, and every hit is compared exactly here. The invariant: no record between two
stamps is passed over, however many share one stamp.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.connector import Fields, FieldType, Gone, Page, Record
from integrations.errors import Misconfigured, Missing, SyncError, TooLarge, Transient
from integrations.http import Reply
from integrations.hubspot import schema, values
from integrations.hubspot.client import (
    BATCH,
    SEARCH_BODY,
    SEARCH_CAP,
    SEARCH_PAGE,
    TYPE_IDS,
    HubSpot,
    after_of,
    results_of,
)
from integrations.hubspot.deals import Deals
from integrations.hubspot.errors import classify, is_absence
from integrations.hubspot.links import Links
from integrations.hubspot.schema import Properties

OVERLAP = timedelta(seconds=60)
"""Twice what the search index usually lags."""


def stamp_name(name: str) -> str:
    """The property with the time of the last change: contacts spell it differently."""
    return "lastmodifieddate" if name == "contact" else "hs_lastmodifieddate"


def milliseconds(moment: datetime) -> int:
    """Epoch milliseconds, as search wants them."""
    return int(moment.timestamp() * 1000)


MERGED = "hs_merged_object_ids"
"""A survivor's list of the records that were merged into it, parted by semicolons."""
MERGEABLE = frozenset({"company", "contact", "deal"})

_WORD = re.compile(r"[^\W_]+")


class Reader:
    """The reading half of the connector."""

    def __init__(self, client: HubSpot, properties: Properties) -> None:
        self.client = client
        self.properties = properties
        self.links = Links(client)
        self._deals = Deals(self)

    # --- Records ----------------------------------------------------------------------------------------------

    def record(self, name: str, raw: Mapping[str, Any], wanted: Iterable[str], *, complete: bool = True) -> Record:
        """A raw object as a record with the wanted properties, typed. Raises `TooLarge` when unreadable."""
        given, key = raw.get("properties"), raw.get("id")
        if not isinstance(given, Mapping) or key in (None, ""):
            raise TooLarge(f"HubSpot sent a {name} without id or properties", code="unreadable")
        wanted = set(wanted)
        types = self.properties.types(name, wanted)
        fields = {p: values.parse(p, types.get(p, FieldType.STRING), given.get(p), str(key)) for p in sorted(wanted)}
        told = {name: value for name, value in given.items() if name != MERGED}  # no change of the record's own
        text = json.dumps(told, sort_keys=True, ensure_ascii=False)
        return Record(
            name,
            str(key),
            fields,
            title=str(given.get(schema.TITLES[name]) or key)[:200],
            url=self.url(name, str(key)),
            version=hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
            complete=complete,
        )

    def url(self, name: str, record_id: str) -> str:
        """Where a person opens the record."""
        account = self.client.api.account
        base = account.ui_url.rstrip("/") or "https://app.hubspot.com"
        return f"{base}/contacts/{account.remote_id}/record/{TYPE_IDS[name]}/{record_id}"

    @staticmethod
    def asked(name: str, wanted: Iterable[str]) -> list[str]:
        """The properties to ask for: the wanted ones and those that every record needs."""
        return sorted({*wanted, stamp_name(name), schema.TITLES[name], "hs_object_id"})

    @classmethod
    def _scanned(cls, name: str, wanted: Iterable[str]) -> list[str]:
        """What a scan asks for: also which records were merged into each, so that a webhook that got lost is made good
        without a further call. A merge changes the survivor, so a scan of changes sees it."""
        return sorted({*cls.asked(name, wanted), *([MERGED] if name in MERGEABLE else [])})

    # --- Scans ------------------------------------------------------------------------------------------------

    def everything(self, name: str, fields: Fields, resume: str) -> Iterator[Page]:
        """Every live record by id, the next page under way while the caller works. `resume` is "clock|after"."""
        wanted = fields.get(name, frozenset())
        asked, complete = self._scanned(name, wanted), set(fields) <= {name}
        clock, _, after = resume.partition("|")
        with ThreadPoolExecutor(1, thread_name_prefix="list") as pool:
            answer = self.client.api.begin(pool, self.client.list_call(name, asked, after))
            while True:
                reply = answer()
                clock = clock or reply.remote_time.isoformat()
                after = after_of(reply.data) if isinstance(reply.data, Mapping) else ""
                if after:
                    answer = self.client.api.begin(pool, self.client.list_call(name, asked, after))
                rows = results_of(reply)
                records = [self.record(name, raw, wanted, complete=complete) for raw in rows]
                place = f"{clock}|{after}" if after else ""
                yield Page(records, place, None if after else clock, gone=_merged(rows))
                if not after:
                    return

    def changed(self, name: str, since: str, fields: Fields, resume: str) -> Iterator[Page]:
        """Records changed since, oldest change first; `resume` is "clock|stamp" and restarts at that stamp."""
        wanted = fields.get(name, frozenset())
        asked, complete = self._scanned(name, wanted), set(fields) <= {name}
        clock, _, stamp = resume.partition("|")
        start = int(stamp) if stamp else milliseconds(datetime.fromisoformat(since) - OVERLAP)
        for reply, rows, reached, last, total in self._windows(name, start, asked):
            clock = clock or reply.remote_time.isoformat()
            records = [self.record(name, raw, wanted, complete=complete) for raw in rows]
            place = "" if last else f"{clock}|{reached}"
            yield Page(records, place, clock if last else None, total, gone=_merged(rows))

    def _windows(
        self, name: str, start: int, asked: Sequence[str]
    ) -> Iterator[tuple[Reply, list[Mapping[str, Any]], int, bool, int | None]]:
        """(answer, new rows, stamp reached, is last, total), always restarting at the last stamp seen.

        HubSpot's own paging counts offsets: a record that changes meanwhile moves to the end, everything behind it
        slips forward, and one record is never seen. Starting again at a stamp cannot skip, and knows no cap.
        """
        stamp, seen = stamp_name(name), set[str]()
        total: int | None = None
        while True:
            body = _search_body([_filter(stamp, "GTE", start)], stamp, asked, 0)
            reply = self.client.api.do(self.client.search_call(name, body))
            rows = results_of(reply)
            total = int(reply.data.get("total") or 0) if total is None else total
            reached = _stamp_of(rows[-1], stamp) if rows else start
            fresh = [row for row in rows if str(row.get("id")) not in seen]
            more = bool(after_of(reply.data))
            yield reply, fresh, reached, not more, total
            if not more:
                return
            if reached > start:
                seen = {str(row.get("id")) for row in rows if _stamp_of(row, stamp) == reached}
                start = reached
            else:
                yield from self._same_stamp(name, start, asked, {str(row.get("id")) for row in rows})
                start, seen = start + 1, set()

    def _same_stamp(
        self, name: str, at: int, asked: Sequence[str], seen: set[str]
    ) -> Iterator[tuple[Reply, list[Mapping[str, Any]], int, bool, int | None]]:
        """More than a page share one stamp (a bulk import): walk them by id."""
        last_id = "0"
        while True:
            filters = [_filter(stamp_name(name), "EQ", at), _filter("hs_object_id", "GT", last_id)]
            reply = self.client.api.do(self.client.search_call(name, _search_body(filters, "hs_object_id", asked, 0)))
            rows = results_of(reply)
            yield reply, [row for row in rows if str(row.get("id")) not in seen], at, False, None
            if not after_of(reply.data) or not rows:
                return
            last_id = str(rows[-1].get("id"))

    def count(self, name: str) -> int:
        """How many live records an object has, by the search index."""
        reply = self.client.api.do(self.client.search_call(name, {"filterGroups": [], "limit": 1}))
        return int(reply.data["total"])

    # --- By id ------------------------------------------------------------------------------------------------

    def load(self, name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """See `Connector.load`: a batch of 100 per call; deals with parts in `deals`."""
        if name == "deal" and set(fields) - {name}:
            yield from self._deals.load(ids, fields)
            return
        found = self.batch(name, ids, fields.get(name, frozenset()))
        for key in ids:
            entry = found[key]
            yield entry if isinstance(entry, Record) else (key, entry)

    def batch(
        self, name: str, ids: Sequence[str], wanted: Iterable[str], id_property: str = ""
    ) -> dict[str, Record | SyncError]:
        """Records by id (or by the value of a unique property), an error for each that is not there."""
        asked = self.asked(name, {*wanted, *([id_property] if id_property else [])})
        found: dict[str, Record | SyncError] = {}
        explained = self._read(name, ids, asked, wanted, id_property, found)
        # An answer that is short of entries without a word about them may have been cut off: those are asked for again.
        if rest := [key for key in ids if key not in found and key not in explained]:
            self._read(name, rest, asked, wanted, id_property, found)
        for key in ids:
            # Also a merged id: the answer carries the survivor, which is another record.
            found.setdefault(key, Missing(f"HubSpot has no {name} {key}", code="OBJECT_NOT_FOUND", record=key))
        return found

    def _read(
        self, name: str, ids: Sequence[str], asked: Sequence[str], wanted: Iterable[str], id_property: str,
        found: dict[str, Record | SyncError],
    ) -> set[str]:  # fmt: skip
        """Read in batches into `found`; the keys that HubSpot says it does not have. Any other word about a key is an
        error of that record: it may well be there."""
        chunks = [ids[i : i + BATCH] for i in range(0, len(ids), BATCH)]
        calls = (self.client.read_call(name, chunk, asked, id_property) for chunk in chunks)
        explained: set[str] = set()
        for chunk, reply in zip(chunks, self.client.api.call_many(calls), strict=True):
            try:
                if isinstance(reply, SyncError):
                    raise reply
                for raw in results_of(reply):
                    key = str((raw.get("properties") or {}).get(id_property) if id_property else raw.get("id"))
                    found[key] = self._record_or_error(name, raw, wanted)
                for entry in reply.data.get("errors") or []:
                    told = {str(key) for key in (entry.get("context") or {}).get("ids") or []}
                    if is_absence(entry):
                        explained |= told
                        continue
                    for key in (told or set(chunk)) - set(found):
                        found[key] = classify(207, {}, entry, "", None)
            except SyncError as error:
                found |= dict.fromkeys(chunk, error)
        return explained

    def _record_or_error(self, name: str, raw: Mapping[str, Any], wanted: Iterable[str]) -> Record | SyncError:
        try:
            return self.record(name, raw, wanted)
        except TooLarge as error:
            return error

    # --- Look-ups ---------------------------------------------------------------------------------------------

    def find(
        self,
        name: str,
        field_name: str,
        wanted_values: Sequence[str],
        spell: Callable[[str], Iterable[str]],
        read: Callable[[str], str],
        fields: frozenset[str],
    ) -> dict[str, list[Record]]:
        """See `Connector.find`: unique properties by batch read (no index lag), others by search, compared exactly."""
        wanted = fields | {field_name}
        spellings = list(dict.fromkeys(s for value in wanted_values for s in spell(value) if s))
        if not spellings:
            return {}
        types = self.properties.types(name, [field_name])
        if field_name not in types:
            raise Misconfigured(f"HubSpot has no property {field_name}", code="PROPERTY_DOESNT_EXIST", field=field_name)
        if field_name in self.properties.unique(name) or field_name == "hs_object_id":
            candidates = self._by_unique(name, field_name, spellings, wanted)
        else:
            lower = types[field_name] is FieldType.STRING
            candidates = self._by_search(name, field_name, spellings, wanted, lower=lower)
        known, found = set(wanted_values), dict[str, list[Record]]()
        for record in {record.id: record for record in candidates}.values():
            value = record.fields.get(field_name)
            key = read(values.wire(field_name, value))
            if key in known:
                found.setdefault(key, []).append(record)
        return found

    def search(self, name: str, field_name: str, text: str, fields: frozenset[str], limit: int) -> list[Record]:
        """See `Connector.search`: records whose property has every word of the text, or words that begin so."""
        words = _WORD.findall(text.lower())[:5]
        if field_name not in self.properties.types(name, [field_name]):
            raise Misconfigured(f"HubSpot has no property {field_name}", code="PROPERTY_DOESNT_EXIST", field=field_name)
        if not words:
            return []
        by_id = field_name == "hs_object_id"
        filters = [_filter(field_name, "EQ" if by_id else "CONTAINS_TOKEN", w if by_id else f"*{w}*") for w in words]
        wanted = fields | {field_name}
        body = _search_body(filters, "", self.asked(name, wanted), 0) | {"limit": limit}
        reply = self.client.api.do(self.client.search_call(name, body))
        return [self.record(name, raw, wanted) for raw in results_of(reply)][:limit]

    def _by_unique(self, name: str, field_name: str, spellings: Sequence[str], wanted: Iterable[str]) -> list[Record]:
        entries = self.batch(name, spellings, wanted, "" if field_name == "hs_object_id" else field_name)
        for entry in entries.values():
            if isinstance(entry, SyncError) and not isinstance(entry, Missing):
                raise entry
        return [entry for entry in entries.values() if isinstance(entry, Record)]

    def _by_search(
        self, name: str, field_name: str, spellings: Sequence[str], wanted: Iterable[str], *, lower: bool
    ) -> list[Record]:
        # IN on text wants lower case, on options the option's own case.
        texts = list(dict.fromkeys(s.lower() if lower else s for s in spellings))
        asked = self.asked(name, wanted)
        records: list[Record] = []
        for chunk in _fitting(texts, field_name, asked):
            after = 0
            while True:
                body = _search_body([{"propertyName": field_name, "operator": "IN", "values": chunk}], "", asked, after)
                reply = self.client.api.do(self.client.search_call(name, body))
                rows = results_of(reply)
                if len(rows) < min(SEARCH_PAGE, int(reply.data.get("total") or 0) - after):
                    raise Transient("HubSpot's search gave fewer records than it announced", code="incomplete")
                records += [self.record(name, raw, wanted) for raw in rows]
                after += SEARCH_PAGE
                if not after_of(reply.data) or after > SEARCH_CAP - SEARCH_PAGE:
                    break
        return records


def _merged(rows: Iterable[Mapping[str, Any]]) -> list[Gone]:
    """The records that were merged into these, however long ago: whoever follows one again changes nothing."""
    told = ((str(row.get("id")), str((row.get("properties") or {}).get(MERGED) or "")) for row in rows)
    return [Gone(key.strip(), into) for into, text in told for key in text.split(";") if key.strip()]


def _filter(name: str, operator: str, value: object) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _search_body(filters: Sequence[Mapping[str, Any]], sort: str, asked: Sequence[str], after: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "filterGroups": [{"filters": list(filters)}],
        "properties": list(asked),
        "limit": SEARCH_PAGE,
    }
    if sort:
        body["sorts"] = [{"propertyName": sort, "direction": "ASCENDING"}]
    return body | ({"after": str(after)} if after else {})


def _fitting(texts: Sequence[str], field_name: str, asked: Sequence[str]) -> Iterator[list[str]]:
    """Chunks of at most 100 values whose search body stays below HubSpot's limit of characters."""
    frame = len(
        json.dumps(_search_body([{"propertyName": field_name, "operator": "IN", "values": []}], "", asked, 9999))
    )
    room = SEARCH_BODY - frame - 50
    chunk: list[str] = []
    used = 0
    for text in texts:
        size = len(json.dumps(text)) + 2
        if chunk and (len(chunk) >= BATCH or used + size > room):
            yield chunk
            chunk, used = [], 0
        chunk.append(text)
        used += size
    if chunk:
        yield chunk


def _stamp_of(row: Mapping[str, Any], name: str) -> int:
    moment = values.parse(name, FieldType.DATETIME, (row.get("properties") or {}).get(name) or row.get("updatedAt"))
    if not isinstance(moment, datetime):
        raise TooLarge(f"HubSpot sent a record without {name}", code="unreadable")
    return milliseconds(moment.astimezone(UTC))
