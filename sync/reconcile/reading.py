"""Reading both sides, page by page, into rows: only the fields that carry figures, only the period, in constant memory.

Each step goes on at a place and gives, after every page that it stored, the place behind it ("" at its end). A list is
believed only when its rows are as many as it announced; anything less raises `IncompleteRead`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from integrations.connector import Page, Record, Value
from integrations.errors import IncompleteRead, InvalidData, Missing, SyncError, TooLarge, Transient
from integrations.figures import Figures
from mappings.models.mapping_set import Side
from sync.engine import links
from sync.models import EntityLink, Reconciliation, ReconciliationDocument
from sync.reconcile.sides import Sides

CHUNK = 100
LOAD_ROUNDS = 3
_KEY = ("reconciliation", "side", "object", "record_id")
_REST = (
    "pair", "number", "title", "url", "customer", "day", "due", "status", "currency", "net", "vat", "gross", "balance",
    "rate", "credits", "credited_by", "marker", "version", "complete", "counted",
)  # fmt: skip


class Reading:
    """One reconciliation's reading; see the module's docstring."""

    def __init__(self, reconciliation: Reconciliation, sides: Sides) -> None:
        self.row = reconciliation
        self.sides = sides

    def steps(self) -> list[list[str]]:
        """What is to be read, in order: (step, side, object)."""
        sides = self.sides
        found = [[step, Side.LEDGER, name] for name in sides.ledger_objects for step in ("listed", "completed")]
        found += [[step, Side.CRM, name] for name in sides.crm_objects for step in ("listed", "linked")]
        found += [[step, Side.LEDGER, name] for name in sides.ledger_objects for step in ("elsewhere", "changed")]
        return found + [["sold", Side.CRM, name] for name in sides.sold_objects]

    @property
    def documents(self) -> QuerySet[ReconciliationDocument]:
        """The rows read so far."""
        return ReconciliationDocument.objects.filter(reconciliation=self.row)

    # --- steps --------------------------------------------------------------------------------------------------

    def listed(self, side: str, name: str, resume: str) -> Iterator[str]:
        """The documents of the period. Raises `IncompleteRead` when the list does not add up."""
        connector, fields = self.sides.documents(side), self.sides.fields(side, name)
        for page in connector.documents(name, self.row.starts, self.row.ends, fields, resume=resume):
            self._store(side, name, page.records)
            self._count(page)
            if page.cursor is not None:
                stored = self.documents.filter(side=side, object=name).count()
                if page.total is not None and stored != page.total:
                    text = f"{page.total} {name} records were announced and {stored} read"
                    raise IncompleteRead(text, code="incomplete")
                yield ""
                return
            yield page.resume
        raise IncompleteRead(f"The list of {name} records ended before its last page", code="incomplete")

    def completed(self, side: str, name: str, resume: str) -> Iterator[str]:
        """The documents whose list row lacked figures, in full."""
        rows = self.documents.filter(side=side, object=name, complete=False).order_by("pk")
        while versions := dict(rows.values_list("record_id", "version")[:CHUNK]):
            loaded = self._load(side, name, list(versions))
            lost = set(versions) - {record.id for record in loaded}
            if lost:
                raise IncompleteRead(f"{name} {sorted(lost)[0]} was listed and could not be read", code="incomplete")
            for record in loaded:
                # The list row's hash: only that can be compared with what the last sync saw.
                record.version, record.complete = versions[record.id], True
            self._store(side, name, loaded)
            yield "more"
        yield ""

    def linked(self, side: str, name: str, resume: str) -> Iterator[str]:
        """Records linked to a document of the period that were not listed: of another date, or not found yet."""
        there = self.documents.filter(side=Side.CRM, object=name, pair=OuterRef("pair"))
        alone = self.documents.filter(side=Side.LEDGER, counted=True).exclude(Exists(there)).order_by("pk")
        after = int(resume or 0)
        while rows := list(alone.filter(pk__gt=after).values_list("pk", "record_id", "object")[:CHUNK]):
            pairs = EntityLink.objects.filter(
                integration=self.sides.integration, crm_object=name, ledger_object__in={o for _p, _r, o in rows},
                ledger_id__in=[record_id for _p, record_id, _o in rows],
            )  # fmt: skip
            wanted = list(pairs.values_list("crm_id", flat=True))
            self._store(side, name, self._load(side, name, wanted) if wanted else [])
            after = rows[-1][0]
            yield str(after)
        yield ""

    def elsewhere(self, side: str, name: str, resume: str) -> Iterator[str]:
        """Documents that the CRM has in the period and the ledger has not: their real date, if they exist."""
        there = self.documents.filter(side=Side.LEDGER, pair=OuterRef("pair"))
        alone = (
            self.documents.filter(side=Side.CRM, counted=True).exclude(pair="").exclude(Exists(there)).order_by("pk")
        )
        after = int(resume or 0)
        while rows := list(alone.filter(pk__gt=after).values_list("pk", "pair")[:CHUNK]):
            found = self._load(side, name, sorted({pair for _pk, pair in rows}))
            self._store(side, name, found)
            if self.documents.filter(side=side, object=name, counted=True, pair__in=[r.id for r in found]).exists():
                raise IncompleteRead("The ledger's list left out a document of the period", code="incomplete")
            after = rows[-1][0]
            yield str(after)
        yield ""

    def changed(self, side: str, name: str, resume: str) -> Iterator[str]:
        """Which documents the ledger changed since the last sync, asked of the ledger itself."""
        carriers = [f for f in self.sides.carriers if f.enabled and f.cursor and f.source_object == name]
        if carriers:
            cursor = min(carriers, key=lambda flow: flow.cursor_at or timezone.now()).cursor
            number = {name: frozenset({self.sides.figures(side, name).number})}
            for page in self.sides.ledger.changed(name, cursor, number, resume=resume):
                ids = [record.id for record in page.records]
                rows = list(self.documents.filter(side=side, object=name, record_id__in=ids))
                fresh = {row.pk for row in rows} - self._seen_by_links(name, rows)
                self.documents.filter(pk__in=fresh).update(changed=True)
                if page.cursor is None:
                    yield page.resume
        yield ""

    def sold(self, side: str, name: str, resume: str) -> Iterator[str]:
        """Records that were won in the period and name no document."""
        figures = self.sides.figures(side, name)
        wanted = {name: frozenset(filter(None, (figures.number, figures.won_day, figures.amount, figures.currency)))}
        for page in self.sides.documents(side).sold(name, self.row.starts, self.row.ends, wanted, resume=resume):
            self._count(page)
            bare = [record for record in page.records if not record.fields.get(figures.number)]
            taken = self._taken(name, [record.id for record in bare])
            rows = [self._sold(name, record, figures) for record in bare if record.id not in taken]
            ReconciliationDocument.objects.bulk_create(rows, ignore_conflicts=True)
            if page.cursor is None:
                yield page.resume
        yield ""

    # --- rows ---------------------------------------------------------------------------------------------------

    def _load(self, side: str, name: str, ids: Sequence[str]) -> list[Record]:
        """Records by id, what failed for the moment asked for again; those that do not exist are left out. Raises the
        error of a record that cannot be read: numbers without it would be wrong."""
        connector = self.sides.ledger if side == Side.LEDGER else self.sides.crm
        found: list[Record] = []
        wanted = list(ids)
        for rounds_left in range(LOAD_ROUNDS, -1, -1):
            again: list[tuple[str, SyncError]] = []
            for loaded in connector.load(name, wanted, self.sides.fields(side, name)):
                if isinstance(loaded, Record):
                    found.append(loaded)
                elif isinstance(loaded[1], Transient | TooLarge) and rounds_left:
                    again.append(loaded)
                elif not isinstance(loaded[1], Missing | InvalidData):
                    raise loaded[1]
            if not again:
                break
            wanted = [key for key, _error in again]
        return found

    def _store(self, side: str, name: str, records: Sequence[Record]) -> None:
        if not records:
            return
        figures = self.sides.figures(side, name)
        ids = [record.id for record in records]
        pairs = {key: key for key in ids} if side == Side.LEDGER else self._pairs(name, ids)
        foreign = set() if side == Side.LEDGER else self._foreign(name, ids)
        rows = {r.id: self._document(side, name, r, figures, pairs.get(r.id), r.id in foreign) for r in records}
        ReconciliationDocument.objects.bulk_create(
            rows.values(), update_conflicts=True, unique_fields=_KEY, update_fields=_REST
        )

    def _document(
        self, side: str, name: str, record: Record, figures: Figures, pair: str | None, foreign: bool
    ) -> ReconciliationDocument:
        def get(field: str) -> Value:
            return record.fields.get(field) if field else None

        connector = self.sides.ledger if side == Side.LEDGER else self.sides.crm
        day, number = _day(get(figures.day)), str(get(figures.number) or "")
        inside = day is None or self.row.starts <= day <= self.row.ends
        return ReconciliationDocument(
            reconciliation=self.row, side=side, object=name, record_id=record.id,
            pair="" if foreign else pair or number,
            number=number[:100], title=record.title[:300], url=record.url or connector.record_url(name, record.id),
            customer=str(get(figures.customer) or "")[:300], day=day, due=_day(get(figures.due)),
            status=figures.status_of(get(figures.status)),
            currency=str(get(figures.currency) or (self.sides.currency(name) if side == Side.CRM else ""))[:10],
            net=_number(get(figures.net)), vat=_number(get(figures.vat)), gross=_number(get(figures.gross)),
            balance=_number(get(figures.balance)), rate=_number(get(figures.rate)),
            credits=str(get(figures.credits) or "")[:100], credited_by=str(get(figures.credited_by) or "")[:100],
            marker=str(get(connector.markers.get(name, "")) or "")[:100], version=record.version[:64],
            complete=record.complete, counted=inside and not foreign,
        )  # fmt: skip

    def _sold(self, name: str, record: Record, figures: Figures) -> ReconciliationDocument:
        currency = record.fields.get(figures.currency) or self.sides.currency(name)
        return ReconciliationDocument(
            reconciliation=self.row, side=Side.CRM, object=name, record_id=record.id, title=record.title[:300],
            url=record.url or self.sides.crm.record_url(name, record.id), day=_day(record.fields.get(figures.won_day)),
            currency=str(currency or "")[:10], gross=_number(record.fields.get(figures.amount)),
            counted=False, sold=True,
        )  # fmt: skip

    def _count(self, page: Page) -> None:
        self.row.seen += len(page.records)
        self.row.total = max(self.row.seen, page.total or 0, self.row.total or 0)

    # --- links --------------------------------------------------------------------------------------------------

    def _pairs(self, name: str, ids: Iterable[str]) -> dict[str, str]:
        """The ledger's document of each CRM record, by link; the newest where a document was credited and replaced."""
        rows = EntityLink.objects.filter(
            integration=self.sides.integration, crm_object=name, crm_id__in=list(ids),
            ledger_object__in=self.sides.ledger_objects,
        )  # fmt: skip
        return dict(rows.order_by("pk").values_list("crm_id", "ledger_id"))

    def _foreign(self, name: str, ids: Iterable[str]) -> set[str]:
        """Records of the same CRM account that belong to another company's integration."""
        crm, here = self.sides.integration.crm_account_id, self.sides.integration.pk
        rows = EntityLink.objects.filter(
            integration__crm_account=crm, crm_object=name, crm_id__in=list(ids),
            ledger_object__in=self.sides.ledger_objects,
        )  # fmt: skip
        known = list(rows.values_list("crm_id", "integration_id"))
        return {key for key, _owner in known} - {key for key, owner in known if owner == here}

    def _taken(self, name: str, ids: list[str]) -> set[str]:
        """Records that are linked to a document of any company."""
        crm = self.sides.integration.crm_account_id
        rows = EntityLink.objects.filter(integration__crm_account=crm, crm_object=name, crm_id__in=ids)
        return set(rows.filter(ledger_object__in=self.sides.ledger_objects).values_list("crm_id", flat=True))

    def _seen_by_links(self, name: str, rows: Iterable[ReconciliationDocument]) -> set[int]:
        """Documents whose list row is the very one that the last sync saw."""
        sets = [flow.mapping_set() for flow in self.sides.carriers if flow.enabled and flow.cursor]
        by_id = {row.record_id: row for row in rows}
        stored = EntityLink.objects.filter(
            integration=self.sides.integration, ledger_object=name, ledger_id__in=list(by_id)
        ).values_list("ledger_id", "ledger_version")
        return {
            by_id[key].pk
            for key, version in stored
            if version and version in {links.list_version(one.pk, by_id[key].version) for one in sets}
        }


def _day(value: Value) -> date | None:
    if isinstance(value, datetime):
        return timezone.localdate(value)
    return value if isinstance(value, date) else None


def _number(value: Value) -> Decimal | None:
    return value if isinstance(value, Decimal) else None
