"""Shadow mode (I-11): what an observing integration planned, beside what is really there at the target.

The documents of the period are read once, in full; then each plan looks for the one that somebody else made: by its
number, by a reference that names its source record, by customer and amount, at last by amount and date. The invariant:
a document is matched with one plan at most, several that fit are left to a person, and nothing is ever written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from integrations.connector import Fields, Record, Value
from integrations.errors import IncompleteRead, RateLimited, SyncError, Transient
from integrations.figures import Figures, documents_of
from integrations.locks import process_lock
from integrations.models import Integration
from mappings.models.mapping_set import Side
from sync import queue
from sync.models import Change, Flow, Reconciliation, ShadowLine, ShadowReport
from sync.reconcile.sides import Sides, sides_of
from sync.states import Action, State
from sync.values import dump, dump_all, load, load_all

logger = logging.getLogger(__name__)
CHUNK = 50
ATTEMPTS = 5
NEAR = timedelta(days=31)
PLANS = (Action.CREATE, Action.LINK, Action.UPDATE, Action.CONFLICT, Action.BLOCKED)
Verdict = ShadowLine.Verdict
STATES = Reconciliation.State


def begin(integration: Integration, starts: date, ends: date, user: Any = None, *, kick: bool = True) -> ShadowReport:
    """A new report for the workers; the one at work already when there is one."""
    try:
        with transaction.atomic():
            row = ShadowReport.objects.create(integration=integration, starts=starts, ends=ends, user=user)
    except IntegrityError:
        row = ShadowReport.objects.get(integration=integration, state__in=ShadowReport.ACTIVE)
    if kick:
        queue.kick(queue.BULK)
    return row


def serve(keep_going: Callable[[], bool]) -> bool:
    """Carry on the report that is due; False when there is none, or another process has it. Never raises."""
    rows = ShadowReport.objects.filter(state__in=ShadowReport.ACTIVE, due_at__lte=timezone.now())
    row = rows.order_by("due_at", "pk").first()
    return row is not None and work(row.pk, keep_going)


def work(pk: int, keep_going: Callable[[], bool] = lambda: True) -> bool:
    """Carry one on until it ends or `keep_going` is False; what goes wrong is stored with it."""
    with process_lock(f"shadow:{pk}") as mine:
        if not mine:
            return False
        row = ShadowReport.objects.select_related("integration").get(pk=pk)
        if row.state not in ShadowReport.ACTIVE:
            return True
        try:
            _carry_on(row, _Shadow(row, sides_of(row.integration_id)), keep_going)
        except SyncError as error:
            _failed(row, error)
        except Exception as error:
            logger.exception("shadow report %s failed", pk)
            _failed(row, SyncError(f"{type(error).__name__}: {error}"[:300], code="bug"))
        return True


def _carry_on(row: ShadowReport, shadow: _Shadow, keep_going: Callable[[], bool]) -> None:
    if row.state == STATES.WAITING:
        row.lines.all().delete()
        row.state, row.seen, row.total = STATES.READING, 0, None
        row.position = {"step": 0, "resume": "", "again": row.position.get("again", 0)}
        row.save()
    steps = [(flow, step) for flow in shadow.flows for step in (shadow.listed, shadow.matched)]
    while row.position["step"] < len(steps):
        flow, step = steps[row.position["step"]]
        for place in step(flow, row.position["resume"]):
            row.position["resume"] = place
            row.position["step"] += not place
            row.failures = 0
            row.save()
            if not keep_going():
                return
    left = row.lines.filter(verdict=Verdict.ONLY_THEIRS)
    left.update(differences=[])
    row.counts = {v: row.lines.filter(verdict=v).count() for v in Verdict.values}
    row.state, row.finished_at = STATES.DONE, timezone.now()
    row.error_message = row.error_code = row.error_class = ""
    row.save()


def _failed(row: ShadowReport, error: SyncError) -> None:
    now, row = timezone.now(), ShadowReport.objects.get(pk=row.pk)
    row.error_class, row.error_code, row.error_message = error.error_class, error.code[:100], error.message
    row.failures += 1
    if isinstance(error, RateLimited):
        row.due_at, row.failures = now + timedelta(seconds=error.retry_after or 30), row.failures - 1
    elif isinstance(error, Transient) and row.failures < ATTEMPTS:
        row.due_at = now + timedelta(seconds=15 * 2**row.failures)
        if isinstance(error, IncompleteRead):
            row.state = STATES.WAITING
    else:
        row.state, row.finished_at, row.counts = STATES.FAILED, now, {}
        row.lines.all().delete()
    row.save()


class _Shadow:
    """One report's reading and matching."""

    def __init__(self, row: ShadowReport, sides: Sides) -> None:
        self.row = row
        self.sides = sides
        self.flows = [flow for flow in sides.flows if flow.enabled and self._figures(flow) is not None]

    def _figures(self, flow: Flow) -> Figures | None:
        """What the flow's target means; None where nothing can be read by figures."""
        if flow.target_side == Side.CRM and flow.prepared_at is None:
            return None
        known = documents_of(self._target(flow))
        return known.figures.get(flow.target_object) if known else None

    def _target(self, flow: Flow) -> Any:
        return self.sides.ledger if flow.target_side == Side.LEDGER else self.sides.crm

    def plans(self, flow: Flow) -> QuerySet[Change]:
        """The newest plan of each source record, of those made in the period."""
        zone = timezone.get_current_timezone()
        first = datetime.combine(self.row.starts, time(), zone)
        last = datetime.combine(self.row.ends + timedelta(days=1), time(), zone)
        rows = Change.objects.filter(flow=flow, created_at__gte=first, created_at__lt=last, action__in=PLANS)
        newest = rows.exclude(state=State.SUPERSEDED).order_by().values("source_id").annotate(last=Max("pk"))
        return Change.objects.filter(pk__in=newest.values("last")).order_by("pk")

    def fields(self, flow: Flow) -> Fields:
        """Every field that some plan would write, of documents and of their lines."""
        own, lines = set[str](), set[str]()
        for payload in self.plans(flow).values_list("payload", flat=True).iterator(chunk_size=200):
            own |= set(payload.get("fields") or {})
            for line in payload.get("lines") or ():
                lines |= set(line)
        figures = self._figures(flow)
        assert figures is not None  # noqa: S101 - the flow was chosen by it
        own |= figures.names | set(figures.references) | ({figures.customer_id} if figures.customer_id else set())
        part = self._target(flow).describe(flow.target_object).lines if lines else ""
        return {flow.target_object: frozenset(own)} | ({part: frozenset(lines)} if part else {})

    # --- reading ------------------------------------------------------------------------------------------------

    def listed(self, flow: Flow, resume: str) -> Iterator[str]:
        """The target's documents of the period, in full, a page at a time. Raises `IncompleteRead`."""
        fields, name = self.fields(flow), flow.target_object
        known = documents_of(self._target(flow))
        assert known is not None  # noqa: S101 - see `_figures`
        for page in known.documents(name, self.row.starts, self.row.ends, fields, resume=resume):
            partial = [record.id for record in page.records if not record.complete]
            records = [record for record in page.records if record.complete]
            for loaded in self._target(flow).load(name, partial, fields) if partial else ():
                if isinstance(loaded, tuple):
                    raise loaded[1]
                records.append(loaded)
            self._keep(flow, records)
            self.row.seen += len(records)
            self.row.total = max(page.total or 0, self.row.seen)
            if page.cursor is None:
                yield page.resume
        yield ""

    def _keep(self, flow: Flow, records: Sequence[Record]) -> None:
        figures = self._figures(flow)
        assert figures is not None  # noqa: S101 - see `_figures`
        ids = [record.id for record in records]
        self.row.lines.filter(object=flow.target_object, target_id__in=ids).delete()  # a page that is read again
        rows = []
        for record in records:
            get = record.fields.get
            if figures.status_of(get(figures.status)) == "cancelled":
                continue
            net, customer = get(figures.net), get(figures.customer)
            there = {
                "fields": dump_all(record.fields), "lines": [dump_all(line) for line in record.lines],
                "names": [str(get(name)) for name in (figures.number, *figures.references) if get(name)],
                "customer": str(get(figures.customer_id) or "") if figures.customer_id else "",
                "day": dump(get(figures.day)),
            }  # fmt: skip
            rows.append(
                ShadowLine(
                    report=self.row, verdict=Verdict.ONLY_THEIRS, object=flow.target_object, target_id=record.id,
                    target_title=(f"{record.id} {customer or ''}".strip() or record.title)[:300],
                    target_url=record.url or self._target(flow).record_url(flow.target_object, record.id),
                    amount=net if isinstance(net, Decimal) else None,
                    currency=str(get(figures.currency) or "")[:10], differences=there,
                )
            )  # fmt: skip
        ShadowLine.objects.bulk_create(rows)

    # --- matching -----------------------------------------------------------------------------------------------

    def matched(self, flow: Flow, resume: str) -> Iterator[str]:
        """Every plan with its document, in pages. The sure matches of all plans come before the likely ones."""
        rounds = (("names", self._by_name), ("amounts", self._by_amount))
        place, _, after = (resume or "names:0").partition(":")
        for name, look in rounds[[n for n, _l in rounds].index(place) :]:
            last = int(after)
            while plans := list(self.plans(flow).filter(pk__gt=last)[:CHUNK]):
                with transaction.atomic():
                    for change in plans:
                        self._match(flow, change, look, last_round=name == "amounts")
                last = plans[-1].pk
                yield f"{name}:{last}"
            after = "0"
        yield ""

    def _free(self, flow: Flow) -> QuerySet[ShadowLine]:
        return self.row.lines.filter(object=flow.target_object, verdict=Verdict.ONLY_THEIRS)

    def _by_name(self, flow: Flow, change: Change) -> tuple[str, list[ShadowLine]]:
        """By id or number, or by a reference that names the source record."""
        figures = self._figures(flow)
        number = load((change.payload.get("fields") or {}).get(figures.number)) if figures else None
        ids = {change.target_id, str(number or ""), *(str(hit.get("id")) for hit in change.candidates)} - {""}
        found = list(self._free(flow).filter(target_id__in=ids)) if ids else []
        if found:
            return "number", found
        wanted = {change.source_id, change.remote_reference} - {""}
        # A reference is text of somebody else's making: looked for in the stored names, compared exactly here.
        likely = Q()
        for text in wanted:
            likely |= Q(differences__icontains=f'"{text}"')
        rows = [line for line in self._free(flow).filter(likely)[:200] if wanted & set(line.differences["names"])]
        return "reference", rows

    def _by_amount(self, flow: Flow, change: Change) -> tuple[str, list[ShadowLine]]:
        """By customer and amount, else by amount and date."""
        if change.amount is None:
            return "", []
        rows = self._free(flow).filter(amount=change.amount)
        same = list((rows.filter(currency=change.currency) if change.currency else rows)[:200])
        figures, fields = self._figures(flow), change.payload.get("fields") or {}
        customer = str(load(fields.get(figures.customer_id)) or "") if figures and figures.customer_id else ""
        if customer:
            return "customer", [line for line in same if line.differences["customer"] == customer]
        planned = timezone.localdate(change.created_at)
        near = [line for line in same if _near(load(line.differences["day"]), planned)]
        return "amount", near

    def _match(self, flow: Flow, change: Change, look: Any, *, last_round: bool) -> None:
        if self.row.lines.filter(change=change).exists():
            return
        by, found = look(flow, change)
        if not found and not last_round:
            return
        about: dict[str, Any] = {
            "change": change, "source_id": change.source_id, "source_title": change.source_title,
            "source_url": change.source_url, "matched_by": by if found else "",
        }  # fmt: skip
        if len(found) == 1:
            line = found[0]
            differences = compare(change, line.differences)
            line.verdict = Verdict.DIFFERS if differences else Verdict.IDENTICAL
            line.differences = differences
            for name, value in about.items():
                setattr(line, name, value)
            line.save()
            return
        stopped = change.state == State.REVIEW and change.action == Action.BLOCKED
        verdict = Verdict.SEVERAL if found else Verdict.BLOCKED if stopped else Verdict.ONLY_OURS
        told = [{"field": "", "ours": None, "theirs": line.target_title} for line in found[:20]]
        if stopped:
            told = [{"field": change.error_field, "ours": change.error_message[:300], "theirs": None}]
        ShadowLine.objects.create(
            report=self.row, verdict=verdict, object=flow.target_object, amount=change.amount,
            currency=change.currency, differences=told, **about,
        )  # fmt: skip


def compare(change: Change, there: dict[str, Any]) -> list[dict[str, Any]]:
    """Field by field, and line by line: what we would have written and the document has otherwise."""
    found = _differences("", load_all(change.payload.get("fields") or {}), load_all(there["fields"]))
    ours, theirs = change.payload.get("lines"), there["lines"]
    if ours is not None and theirs:
        if len(ours) != len(theirs):
            found.append({"field": "#", "ours": str(len(ours)), "theirs": str(len(theirs))})
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=False), 1):
            found += _differences(f"{number}. ", load_all(mine), load_all(other))
    return found


def _differences(prefix: str, ours: dict[str, Value], theirs: dict[str, Value]) -> list[dict[str, Any]]:
    return [
        {"field": f"{prefix}{name}", "ours": dump(value), "theirs": dump(theirs.get(name))}
        for name, value in ours.items()
        if not _same(value, theirs.get(name))
    ]


def _same(ours: Value, theirs: Value) -> bool:
    """A blank is no wish; a zero or an off that the other leaves out is the same."""
    if ours in (None, "", False) or (isinstance(ours, Decimal) and not ours):
        return not theirs
    if isinstance(ours, Decimal) and isinstance(theirs, Decimal):
        return ours == theirs
    return str(ours).strip() == str(theirs if theirs is not None else "").strip()


def _near(day: Value, planned: date) -> bool:
    return isinstance(day, date) and abs(day - planned) <= NEAR
