"""The connector of Bokis: the whole protocol, for an accounting system that no product code knows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from integrations.connector import (
    Estimate,
    EstimatedRow,
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
from integrations.errors import IncompleteRead, SyncError
from integrations.http import about_to_send
from tests.third_system.books import Books, Entry, Refused
from tests.third_system.errors import asking, classify
from tests.third_system.schema import ONLY_IN_DETAIL, SCHEMAS

OVERLAP = timedelta(minutes=2)
DONE = {"book": ("booked", "paid", "credited"), "credit": ("credited",), "cancel": ("cancelled",)}


class BokisConnector:
    """One company in Bokis, spoken to in records."""

    system = "bokis"
    idempotent = frozenset({"article"})
    markers: Mapping[str, str] = {"customer": "external_ref", "invoice": "external_ref"}
    found_by_marker = frozenset({"customer", "invoice"})
    found_for: Mapping[str, timedelta] = {}
    cancelled: Mapping[str, str] = {"invoice": "cancelled"}
    verified: Mapping[str, tuple[str, ...]] = {"invoice": ("customer", "currency")}
    locks: Mapping[str, str] = {"invoice": "locked"}
    owners: Mapping[str, str] = {}
    estimates_from: Mapping[str, frozenset[str]] = {"article": frozenset({"name", "price", "vat_percent"})}
    feedback: Mapping[str, Feedback] = {}
    round = 0
    page_size = 50

    def __init__(self, books: Books) -> None:
        self.books = books

    def describe(self, object_name: str) -> ObjectSchema:
        """Bokis has no call for this: the tables above say it."""
        return SCHEMAS[object_name]

    # --- reading ---------------------------------------------------------------------------------------------------

    def changed(
        self, object_name: str, since: str | None, fields: Fields, *, resume: str = "", subset: str = ""
    ) -> Iterator[Page]:
        """Pages by number. The cursor is Bokis' clock at the start, so that what changes meanwhile is read next."""
        started = self.books.clock.isoformat()
        floor = datetime.fromisoformat(since) - OVERLAP if since and not subset else None
        entries = self.books.records[object_name]
        numbers = [number for number, entry in entries.items() if floor is None or entry.changed >= floor]
        if subset == "unpaid":
            numbers = [number for number in numbers if entries[number].fields["state"] == "booked"]
        position, total = int(resume or 0), len(numbers)
        while True:
            self.books.asked(f"list {object_name}")
            part = numbers[position : position + self.page_size]
            position += self.page_size
            last = position >= total
            if not part and not last:
                raise IncompleteRead(f"{total} announced, fewer received", code="incomplete")
            records = [self._record(object_name, entries[number], fields) for number in part]
            yield Page(records, str(position), started if last else None, total)
            if last:
                return

    def load(self, object_name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """One call each."""
        for number in ids:
            self.books.asked(f"read {object_name}")
            try:
                yield self._record(object_name, self.books.get(object_name, number), fields, full=True)
            except Refused as refused:
                yield number, classify(refused, number)

    def _record(self, name: str, entry: Entry, fields: Fields, *, full: bool = False) -> Record:
        hidden = frozenset() if full else ONLY_IN_DETAIL.get(name, frozenset())
        values = {key: value for key, value in entry.fields.items() if key not in hidden}
        if name == "invoice":
            state = entry.fields["state"]
            values["locked"] = "" if state == "draft" else f"{state}:{entry.fields['number']}"
        wanted = fields.get(name, frozenset())
        complete = full or not (hidden & wanted or fields.get("row"))
        version = hashlib.sha256(repr(sorted((key, str(value)) for key, value in values.items())).encode()).hexdigest()
        number = str(entry.fields["number"])
        rows = [dict(row) for row in entry.rows] if full else []
        title = str(entry.fields.get(SCHEMAS[name].title) or number)
        return Record(name, number, values, {}, rows, title, self.record_url(name, number), version, complete)

    def find(
        self, object_name: str, field_name: str, values: Sequence[str], spell: Callable[[str], Iterable[str]],
        read: Callable[[str], str], fields: frozenset[str],
    ) -> dict[str, list[Record]]:  # fmt: skip
        """Bokis' search gives whatever contains the text; only what is equal after normalising counts."""
        found: dict[str, list[Record]] = {}
        for value in values:
            hits: dict[str, None] = {}
            for spelling in spell(value):
                self.books.asked(f"search {object_name}")
                hits |= dict.fromkeys(self.books.search(object_name, field_name, spelling))
            for number in hits:
                entry = self.books.get(object_name, number)
                if read(str(entry.fields.get(field_name) or "")) == value:
                    found.setdefault(value, []).append(self._record(object_name, entry, {}, full=True))
        return found

    def search(self, object_name: str, field_name: str, text: str, fields: frozenset[str], limit: int) -> list[Record]:
        """Bokis' search gives whatever contains the text."""
        self.books.asked(f"search {object_name}")
        hits = self.books.search(object_name, field_name, text)[:limit]
        return [self._record(object_name, self.books.get(object_name, number), {}, full=True) for number in hits]

    def count(self, object_name: str) -> int:
        """How many there are."""
        self.books.asked(f"count {object_name}")
        return len(self.books.records[object_name])

    # --- writing --------------------------------------------------------------------------------------------------

    def upsert(self, object_name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """By number, one after another: customers and invoices only by theirs, articles by the one that we choose."""
        for write in writes:
            number = write.id or (write.unique[1] if write.unique else "")
            try:
                with asking(number):
                    yield self._upserted(object_name, number, write)
            except SyncError as error:
                yield Outcome(write.key, write.id, error=error)

    def _upserted(self, name: str, number: str, write: Write) -> Outcome:
        created = name == "article" and number not in self.books.records[name]
        if created:
            self.books.add(name, {**write.fields, "number": number})
        else:
            self.books.change(name, number, write.fields, write.lines)
        self.books.asked(f"write {name}")
        return self._outcome(name, number, write.key, created=created)

    def create(self, object_name: str, write: Write) -> Outcome:
        """One request; the marker is how it is found again when the answer is lost."""
        about_to_send()
        with asking():
            fields = {**write.fields, self.markers[object_name]: write.marker}
            number = self.books.add(object_name, fields, write.lines or ())
            self.books.asked(f"create {object_name}")
        return self._outcome(object_name, number, write.key, created=True)

    def _outcome(self, name: str, number: str, key: str, *, created: bool) -> Outcome:
        record = self._record(name, self.books.get(name, number), {}, full=True)
        return Outcome(key, number, created, record.fields, url=record.url)

    # --- documents -----------------------------------------------------------------------------------------------

    def perform(self, object_name: str, record_id: str, act: str) -> Outcome:
        """Book, credit or cancel. What is done already is a success."""
        with asking(record_id):
            fields = self.books.get(object_name, record_id).fields
            if fields["state"] not in DONE[act]:
                {"book": self.books.book, "credit": self.books.credit, "cancel": self.books.cancel}[act](record_id)
            self.books.asked(f"{act} {object_name}")
        return Outcome(record_id, str(fields["credited_by"]) if act == "credit" else record_id)

    def totals_fields(self, object_name: str) -> Fields:
        """What Bokis computed for an invoice, and its rows."""
        if object_name != "invoice":
            return {}
        names = frozenset({"currency", "net", "vat", "rounding", "total"})
        return {"invoice": names, "row": frozenset({"sum"})}

    def totals(self, object_name: str, record: Record) -> Totals | None:
        """As Bokis says it; nothing is added up here."""
        if object_name != "invoice":
            return None
        net, vat, total, rounding = (_money(record.fields[name]) for name in ("net", "vat", "total", "rounding"))
        rows = tuple(_money(line["sum"]) for line in record.lines)
        return Totals(str(record.fields["currency"]), rows, net, vat, total, rounding)

    def estimate(
        self,
        object_name: str,
        fields: Mapping[str, Value],
        lines: Sequence[Mapping[str, Value]],
        known: Mapping[str, Record],
    ) -> Estimate | None:
        """Rows and net; VAT and rounding are left to Bokis."""
        rows = tuple(_estimated(line, known) for line in lines)
        nets = [row.net for row in rows]
        net = None if None in nets else sum((each for each in nets if each is not None), Decimal(0))
        return Estimate(rows, net, None, None, None, goods=net)

    # --- the rest -------------------------------------------------------------------------------------------------

    def owners_of(self, object_name: str, ids: Sequence[str]) -> dict[str, str]:
        """Empty: rows are read with their invoice."""
        return {}

    def prepare(self, setup: Setup) -> dict[str, str]:
        """Nothing to make: Bokis has no custom fields, and needs none of ours."""
        return {}

    def check(self) -> list[ReadinessLine]:
        """Whether the company's clock is right: the cursors are made of it."""
        fine = abs(self.books.clock - timezone.now()) < timedelta(hours=1)
        return [ReadinessLine("clock", "ok" if fine else "warning", "Clock", fix="" if fine else "Set Bokis' clock.")]

    def record_url(self, object_name: str, record_id: str) -> str:
        """Bokis opens records by their number."""
        return f"https://bokis.test/{object_name}/{record_id}"


def _money(value: Value) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(0)


def _estimated(line: Mapping[str, Value], known: Mapping[str, Record]) -> EstimatedRow:
    number = str(line.get("article") or "")
    article = known[number].fields if number in known else {}
    price, quantity = line.get("price"), _money(line.get("quantity"))
    net = (price * quantity).quantize(Decimal("0.01")) if isinstance(price, Decimal) else None
    text = str(line.get("text") or article.get("name") or number)
    return EstimatedRow(text, number, quantity, price if isinstance(price, Decimal) else None, "", net)
