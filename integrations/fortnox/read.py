"""Reading Fortnox: lists of 500 that must add up, details only where a list is not enough. Look-ups are in `find`.

The invariant: a scan's cursor is given only when the distinct records seen equal the total that Fortnox announced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from integrations.connector import Fields, Page, Record, Value
from integrations.errors import (
    IncompleteRead,
    InvalidData,
    Misconfigured,
    Missing,
    RateLimited,
    SyncError,
    TooLarge,
    Transient,
)
from integrations.fortnox import parse, schema, times
from integrations.fortnox.client import Fortnox, ListPage
from integrations.fortnox.schema import Resource
from integrations.http import Reply

AHEAD = 3
"""List pages under way while the caller works on one."""
CHUNK = 100
RECENTLY_PAID = timedelta(days=60)


@dataclass(slots=True)
class Scan:
    """Where a scan stands, stored as its `resume`: `seen` records before `page`, `total` as first announced."""

    page: int = 1
    cursor: str = ""
    total: int = -1
    seen: int = 0
    again: bool = False

    @classmethod
    def load(cls, text: str) -> Scan:
        """The scan that `dump` wrote; a new one for "" and for what an older version wrote."""
        try:
            return cls(**json.loads(text)) if text else cls()
        except (ValueError, TypeError):
            return cls()

    def dump(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


def fingerprint(raw: Mapping[str, Any], extra: str = "") -> str:
    """A hash of a raw object whatever the order of its keys."""
    text = json.dumps(raw, sort_keys=True, default=str, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b((text + extra).encode(), digest_size=16).hexdigest()


class Reader:
    """The reading half of the connector."""

    def __init__(self, client: Fortnox) -> None:
        self.client = client
        self._customers: dict[str, Mapping[str, Any] | SyncError] = {}

    def invoices_of(self, payments: Sequence[str]) -> dict[str, str]:
        """The invoice number of each payment; an id that is no payment stands for itself. Raises `SyncError`."""
        found: dict[str, str] = {}
        replies = self.client.api.call_many(self.client.payment_call(key) for key in payments)
        for key, reply in zip(payments, replies, strict=True):
            if isinstance(reply, Missing):
                found[key] = key
            elif isinstance(reply, SyncError):
                raise reply
            else:
                payment = reply.data.get("InvoicePayment") if isinstance(reply.data, Mapping) else None
                number = payment.get("InvoiceNumber") if isinstance(payment, Mapping) else None
                found[key] = str(number or key)
        return found

    # --- Lists ------------------------------------------------------------------------------------------------

    def changed(self, name: str, since: str | None, fields: Fields, resume: str, subset: str) -> Iterator[Page]:
        """See `Connector.changed`. A scan that does not add up is read once more from its first page, then refused."""
        it = schema.resource(name)
        yield from self._scan(it, self._params(it, since, subset), fields, resume)

    def between(self, name: str, first: date, last: date, fields: Fields, resume: str) -> Iterator[Page]:
        """The documents dated in a period, both days included; as `changed` otherwise."""
        params = {"fromdate": first.isoformat(), "todate": last.isoformat()}
        yield from self._scan(schema.resource(name), params, fields, resume)

    def _scan(self, it: Resource, params: Mapping[str, str], fields: Fields, resume: str) -> Iterator[Page]:
        scan = Scan.load(resume)
        while True:
            finished = True
            for page in self._pass(it, params, fields, scan):
                yield page
                finished = page.cursor is not None
            if finished:
                return
            scan = Scan(again=True)

    @staticmethod
    def _params(it: Resource, since: str | None, subset: str) -> dict[str, str]:
        if subset and subset not in it.subsets:
            raise Misconfigured(f"Fortnox's {it.name} has no subset {subset!r}", code="unknown_subset")
        params = dict(it.subsets[subset]) if subset else {}
        if subset == "recently_paid":
            params["fromfinalpaydate"] = (times.local_date(datetime.now(UTC)) - RECENTLY_PAID).isoformat()
        return params | ({"lastmodified": times.lastmodified(since)} if since else {})

    def _pass(self, it: Resource, params: Mapping[str, str], fields: Fields, scan: Scan) -> Iterator[Page]:
        """One reading from `scan.page` to the end; the last page has its cursor only when everything adds up."""
        before: set[str] = set()
        for number, page, last in self._pages(it, params, scan.page):
            if not scan.cursor:
                scan.cursor, scan.total = page.remote_time.isoformat(), page.total
            records = self.records(it, page, fields)
            ids = {record.id for record in records}
            # Lists ascend by number, so a record that slipped to the next page shows up on two neighbours.
            scan.seen += len(ids - before)
            before, scan.page = ids, number + 1
            if not last:
                yield Page(records, scan.dump(), None, scan.total)
            elif scan.seen == page.total and (scan.again or page.total == scan.total):
                yield Page(records, "", scan.cursor, page.total)
            elif scan.again:
                raise IncompleteRead(
                    f"Fortnox announced {page.total} {it.many} and gave {scan.seen}, twice", code="incomplete"
                )
            else:
                yield Page(records, Scan(again=True).dump(), None, page.total)

    def _pages(self, it: Resource, params: Mapping[str, str], start: int) -> Iterator[tuple[int, ListPage, bool]]:
        """(number, page, is last), reading ahead once the first page has said how many there are."""
        page = self.client.list_page(it, start, params)
        number, end = start, max(start, page.pages)
        yield number, page, number == end
        while number < end:
            calls = (self.client.list_call(it, n, params) for n in range(number + 1, end + 1))
            for reply in self.client.api.call_many(calls, overlap=AHEAD):
                page = ListPage(reply_of(reply), it.many)
                number += 1
                yield number, page, number == end and page.pages <= end
            end = max(end, page.pages)

    def records(self, it: Resource, page: ListPage, fields: Fields) -> list[Record]:
        wanted = fields.get(it.name, frozenset()) | {it.key}
        enough = set(fields) <= {it.name} and wanted <= schema.listed(it.name)
        today = times.local_date(page.remote_time)
        return [self._from_row(it, raw, wanted, enough, today) for raw in page.rows]

    def _from_row(
        self, it: Resource, raw: Mapping[str, Any], wanted: frozenset[str], enough: bool, today: date
    ) -> Record:
        """A list row as a record; one that cannot be read in full goes out incomplete, so that `load` says why."""
        key = raw.get(it.key)
        if not isinstance(key, str | int) or isinstance(key, bool) or key == "":
            raise TooLarge(f"Fortnox sent a {it.one} without {it.key}", code="unreadable", field=it.key)
        listed = wanted & schema.listed(it.name)
        record = Record(it.name, str(key), {}, title=str(raw.get(it.title) or key)[:200], complete=enough)
        try:
            extra = parse.derived(it.name, raw, today, record.id, row=True)
            record.fields = parse.values_of(it.table, raw, listed, record.id, row=True)
            record.fields |= {n: v for n, v in extra.items() if n in listed}
            record.version = fingerprint(raw, str(extra.get("status", "")))
        except TooLarge:
            record.complete, record.version = False, fingerprint(raw)
        return record

    def count(self, name: str) -> int:
        """How many records a register has: the total of its smallest list."""
        it = schema.resource(name)
        return self.client.list_page(it, 1, {"limit": "1"}).total

    # --- Details ----------------------------------------------------------------------------------------------

    def load(self, name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """See `Connector.load`: one call per record, and one per distinct customer where invoices ask for it."""
        it = schema.resource(name)
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            answers = self._details(it, chunk)
            if "customer" in fields and name == "invoice":
                yield from self._with_customers(it, list(answers), fields)
            else:
                yield from (self._opened(it, key, reply, fields) for key, reply in answers)

    def _details(self, it: Resource, keys: Iterable[str]) -> Iterator[tuple[str, Reply | SyncError]]:
        """(key, answer) of each record; a key that can be none is an error of its own, not of its neighbours."""
        good: list[str] = []
        for key in keys:
            try:
                self.client.detail_call(it, key)
                good.append(key)
            except InvalidData as error:
                yield key, error
        replies = self.client.api.call_many(self.client.detail_call(it, key) for key in good)
        yield from zip(good, replies, strict=True)

    def _with_customers(
        self, it: Resource, answers: Sequence[tuple[str, Reply | SyncError]], fields: Fields
    ) -> Iterator[Record | tuple[str, SyncError]]:
        numbers = {
            str(body["CustomerNumber"])
            for _key, reply in answers
            if isinstance(reply, Reply) and isinstance(body := (reply.data or {}).get(it.one), Mapping)
            if body.get("CustomerNumber") not in (None, "")
        }
        self._know_customers(numbers)
        for key, reply in answers:
            yield self._opened(it, key, reply, fields)

    def _know_customers(self, numbers: Iterable[str]) -> None:
        """Read the customers not read before; a run's invoices share few of them. One that could not be read for a
        moment is asked for again."""
        if len(self._customers) > 5000:
            self._customers.clear()
        it = schema.resource("customer")
        again = {key for key, found in self._customers.items() if isinstance(found, Transient | RateLimited)}
        new = sorted(set(numbers) - (set(self._customers) - again))
        for number, reply in self._details(it, new):
            try:
                self._customers[number] = self.client.opened(it, reply_of(reply))
            except SyncError as error:
                self._customers[number] = error

    def _opened(
        self, it: Resource, key: str, reply: Reply | SyncError, fields: Fields
    ) -> Record | tuple[str, SyncError]:
        try:
            raw = self.client.opened(it, reply_of(reply))
            return self.full_record(it, raw, fields, times.local_date(reply_of(reply).remote_time))
        except SyncError as error:
            error.record = error.record or key
            return key, error

    def full_record(self, it: Resource, raw: Mapping[str, Any], fields: Fields, today: date) -> Record:
        """A detail answer as a record with the parts and rows asked for. Raises `TooLarge` when unreadable."""
        key = str(raw[it.key])
        wanted = fields.get(it.name, frozenset()) | {it.key}
        values = self._values(it, raw, wanted, today, key)
        record = Record(it.name, key, values, title=str(raw.get(it.title) or key)[:200], version=fingerprint(raw))
        if it.name == "invoice":
            if "row" in fields:
                record.lines = parse.lines_of(raw, fields["row"], key)
            if "customer" in fields:
                record.parts["customer"] = self._customer_part(raw, fields["customer"], today)
            record.title = f"{key} {raw.get('CustomerName') or ''}".strip()[:200]
        return record

    @staticmethod
    def _values(it: Resource, raw: Mapping[str, Any], wanted: Iterable[str], today: date, key: str) -> dict[str, Value]:
        wanted = set(wanted)
        values = parse.values_of(it.table, raw, wanted, key)
        if wanted - set(values):
            values |= {n: v for n, v in parse.derived(it.name, raw, today, key).items() if n in wanted}
        return values

    def customer(self, number: str) -> Mapping[str, Any] | None:
        """A customer in full, asked for once; None when there is none. Raises `SyncError` when it cannot be read."""
        self._know_customers([number])
        found = self._customers[number]
        if isinstance(found, Missing):
            return None
        if isinstance(found, SyncError):
            raise found
        return found

    def _customer_part(self, raw: Mapping[str, Any], wanted: frozenset[str], today: date) -> dict[str, Value]:
        number = str(raw.get("CustomerNumber") or "")
        found = self._customers.get(number)
        if isinstance(found, SyncError):
            raise found
        if found is None:
            raise Missing(f"Customer {number!r} of the invoice was not read", code="customer", field="CustomerNumber")
        return self._values(schema.resource("customer"), found, wanted | {"CustomerNumber"}, today, number)


def reply_of(answer: Reply | SyncError) -> Reply:
    if isinstance(answer, SyncError):
        raise answer
    return answer
