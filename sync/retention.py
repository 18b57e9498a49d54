"""How long things are kept (Q-23): what was sent and answered, what was heard, the log, the record's history, messages
and reports.

Accounting evidence (everything about documents written to the ledger, and what a person signed) is apart: it is kept
for whole years after the calendar year in which its fiscal year ends (bokföringslagen 7 kap. 2 §). We do not know the
fiscal year, so the longest there may be is assumed: it is never too short. The invariants: what is open is never
touched; of a record, the newest change stays, and so does whatever says that a document was created, because that is
how it is not created twice; each batch is one transaction and holds ids only, so a purge of any size needs the same
memory, and one that is interrupted goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from integrations.inbox_models import RefusedCall
from integrations.models import AuthorizationAttempt, InboundEvent
from mappings.models import EditorSample
from sync.models import (
    CardTicket,
    Change,
    FieldCount,
    FieldPause,
    Notice,
    NoticeDelivery,
    Reconciliation,
    ReconciliationDocument,
    ReconciliationLine,
    ShadowLine,
    ShadowReport,
    SyncLogEntry,
    SyncRun,
)
from sync.states import FINAL, OPEN, Action, State

COUNTERS_DAYS = 400
LONGEST_FISCAL_YEAR = 18
"""Months: a first or changed fiscal year may be extended to so many (bokföringslagen 3 kap. 3 §)."""


def evidence(prefix: str = "") -> Q:
    """Changes that are accounting evidence (`prefix` leads to the change): documents, what was done to them, and
    whatever carries a reference of ours."""
    return (
        ~Q(**{f"{prefix}remote_reference": ""})
        | Q(**{f"{prefix}action": Action.ACT})
        | (~Q(**{f"{prefix}mapping_set__promise_expression": ""}) & Q(**{f"{prefix}mapping_set__isnull": False}))
    )


def kept_until(moment: datetime) -> date:
    """The last day on which evidence of that moment must be there."""
    day = timezone.localtime(moment)
    months = day.year * 12 + (day.month - 1) + LONGEST_FISCAL_YEAR - 1  # it may have begun in that very month
    return date(months // 12 + int(settings.RETENTION["evidence_years"]), 12, 31)


def _evidence_before(now: datetime) -> datetime:
    """Evidence from before this moment may go: the inverse of `kept_until`."""
    year = timezone.localtime(now).year - int(settings.RETENTION["evidence_years"])
    months = year * 12 - (LONGEST_FISCAL_YEAR - 1)
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)  # a day for time zones


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of thing that expires: which rows, and what becomes of them."""

    name: str
    rows: Callable[[datetime], QuerySet[Any]]
    do: Callable[[QuerySet[Any]], Any]


def _days(name: str, now: datetime) -> datetime:
    return now - timedelta(days=int(settings.RETENTION[name]))


def _delete(rows: QuerySet[Any]) -> None:
    rows.delete()


_OLD_PAYLOAD: dict[str, Any] = {"payload": {}, "agreed": {}, "candidates": [], "checks": [], "edits": {}}


def _exchanges(now: datetime) -> QuerySet[Any]:
    rows = SyncLogEntry.objects.filter(exchange__isnull=False, at__lt=_days("payloads", now))
    plain = Q(change=None) | (Q(change__state__in=FINAL) & ~evidence("change__"))
    return rows.filter(plain | Q(change__state__in=FINAL, at__lt=_evidence_before(now)))


def _payloads(now: datetime) -> QuerySet[Any]:
    rows = Change.objects.filter(state__in=FINAL, updated_at__lt=_days("payloads", now)).exclude(payload={})
    return rows.filter(~evidence() | Q(updated_at__lt=_evidence_before(now)))


def _log(now: datetime) -> QuerySet[Any]:
    rows = SyncLogEntry.objects.filter(at__lt=_days("logs", now)).exclude(change__state__in=OPEN)
    plain = Q(change=None) | ~evidence("change__")
    return rows.filter(plain | Q(at__lt=_evidence_before(now)))


def _changes(now: datetime) -> QuerySet[Any]:
    newer = Change.objects.filter(flow_id=OuterRef("flow_id"), source_id=OuterRef("source_id"), pk__gt=OuterRef("pk"))
    made = Q(action=Action.CREATE) & (Q(state=State.APPLIED) | ~Q(target_id=""))
    rows = Change.objects.filter(Exists(newer), state__in=FINAL, updated_at__lt=_days("changes", now))
    return rows.exclude(made).exclude(evidence())


def _runs(now: datetime) -> QuerySet[Any]:
    rows = SyncRun.objects.filter(started_at__lt=_days("changes", now), finished_at__isnull=False)
    return rows.exclude(Exists(Change.objects.filter(run=OuterRef("pk"))))


def old_notices(now: datetime) -> QuerySet[Any]:
    """Those that healed and of which nothing waits to be told."""
    unsent = NoticeDelivery.objects.filter(notice=OuterRef("pk"), state=NoticeDelivery.State.WAITING)
    return Notice.objects.filter(closed_at__lt=_days("notices", now)).exclude(Exists(unsent))


def old_messages(now: datetime) -> QuerySet[Any]:
    """By their own age; those of a notice that is still open say that it was told, and stay."""
    rows = NoticeDelivery.objects.filter(done_at__lt=_days("notices", now)).exclude(state=NoticeDelivery.State.WAITING)
    return rows.filter(Q(notice=None) | Q(notice__closed_at__lt=_days("notices", now)))


def _reconciliations(now: datetime) -> QuerySet[Any]:
    """Unsigned ones by their age, signed ones as evidence of the last day that they speak of, or of their signature.

    The newest finished one of each period with unexplained differences stays until it is settled, and the newest of an
    integration for its pages."""
    finished = Reconciliation.objects.exclude(state__in=Reconciliation.ACTIVE)
    later = Reconciliation.objects.filter(
        integration=OuterRef("integration"), state=Reconciliation.State.DONE, pk__gt=OuterRef("pk")
    )
    settled = later.filter(starts__lte=OuterRef("starts"), ends__gte=OuterRef("ends"))
    open_ = Q(state=Reconciliation.State.DONE) & (~Exists(later) | (Q(unexplained__gt=0) & ~Exists(settled)))
    evidence_before = _evidence_before(now)
    plain = Q(signed_at=None, started_at__lt=_days("reconciliations", now)) & ~open_
    return finished.filter(plain | Q(signed_at__lt=evidence_before, ends__lt=evidence_before.date()))


def _shadows(now: datetime) -> QuerySet[Any]:
    rows = ShadowReport.objects.exclude(state__in=ShadowReport.ACTIVE)
    return rows.filter(started_at__lt=_days("shadow_reports", now))


def _of(model: Any, column: str, parents: Callable[[datetime], QuerySet[Any]]) -> Callable[[datetime], QuerySet[Any]]:
    """The rows of what expires: they go first, in batches of their own, because there may be millions of them."""
    return lambda now: model.objects.filter(**{f"{column}__in": parents(now).order_by().values("pk")})


STEPS: tuple[Step, ...] = (
    Step("events", lambda now: InboundEvent.objects.filter(
        processed_at__isnull=False, received_at__lt=_days("events", now)), _delete),
    Step("exchanges", _exchanges, lambda rows: rows.update(exchange=None)),
    Step("payloads", _payloads, lambda rows: rows.update(**_OLD_PAYLOAD)),
    Step("log entries", _log, _delete),
    Step("changes", _changes, _delete),
    Step("runs", _runs, _delete),
    Step("counters", lambda now: FieldCount.objects.filter(
        day__lt=(now - timedelta(days=COUNTERS_DAYS)).date()), _delete),
    Step("ended pauses", lambda now: FieldPause.objects.filter(resumed_at__lt=_days("logs", now)), _delete),
    Step("messages", old_messages, _delete),
    Step("notices", old_notices, _delete),
    Step("comparison rows", _of(ReconciliationDocument, "reconciliation", _reconciliations), _delete),
    Step("differences", _of(ReconciliationLine, "reconciliation", _reconciliations), _delete),
    Step("reconciliations", _reconciliations, _delete),
    Step("shadow lines", _of(ShadowLine, "report", _shadows), _delete),
    Step("shadow reports", _shadows, _delete),
    Step("refused calls", lambda now: RefusedCall.objects.filter(day__lt=_days("logs", now).date()), _delete),
    Step("card tickets", lambda now: CardTicket.objects.filter(expires_at__lt=now - timedelta(days=1)), _delete),
    Step("sample records", lambda now: EditorSample.objects.filter(expires_at__lte=now), _delete),
    Step("sign-in attempts", lambda now: AuthorizationAttempt.objects.filter(
        created_at__lt=now - timedelta(days=1)), _delete),
)  # fmt: skip
"""In this order: what hangs on a change goes before the change."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is older than its time and stays nevertheless: how many, and why."""

    name: str
    count: int
    why: str


def left(now: datetime | None = None) -> Iterator[Left]:
    """What a purge keeps although its days are over, one line per cause; nothing for a cause without rows. A handful of
    counting queries."""
    now = now or timezone.now()
    years, days = settings.RETENTION["evidence_years"], settings.RETENTION["changes"]
    old = Change.objects.filter(updated_at__lt=_days("changes", now))
    moving, proof = old.filter(state__in=OPEN).count(), old.filter(evidence(), state__in=FINAL).count()
    others = old.count() - moving - proof - _changes(now).count()  # in a dry run those that would go are still there
    compared = Reconciliation.objects.filter(started_at__lt=_days("reconciliations", now))
    compared = compared.exclude(pk__in=_reconciliations(now).order_by().values("pk"))
    signed, unsigned = compared.exclude(signed_at=None).count(), compared.filter(signed_at=None).count()
    notices = Notice.objects.filter(opened_at__lt=_days("notices", now), closed_at=None).count()
    events = InboundEvent.objects.filter(received_at__lt=_days("events", now), processed_at=None).count()
    law = f"accounting evidence: {years} years after the year in which its fiscal year ends"
    for name, count, why in (
        ("events", events, "not dealt with yet"),
        ("changes", proof, law),
        ("changes", moving, "still open"),
        ("changes", others, f"older than {days} days, but the newest of its record, or it says what was created"),
        ("notices", notices, "not healed yet"),
        ("reconciliations", signed, f"signed; {law}"),
        ("reconciliations", unsigned, "at work, the newest, or nobody has settled its unexplained differences"),
    ):
        if count:
            yield Left(name, count, why)


def purge(*, dry_run: bool, batch: int = 2_000, now: datetime | None = None) -> Iterator[tuple[str, int]]:
    """Carry out every step, batch by batch; yields its name and how many rows it concerned. Writes nothing when dry."""
    now = now or timezone.now()
    for step in STEPS:
        yield step.name, step.rows(now).count() if dry_run else _carry_out(step, now, batch)


def _carry_out(step: Step, now: datetime, batch: int) -> int:
    """By rising id, so that each row is looked at once."""
    total, last = 0, None
    while True:
        rows = step.rows(now).order_by("pk")
        if last is not None:
            rows = rows.filter(pk__gt=last)
        ids = list(rows.values_list("pk", flat=True)[:batch])
        if not ids:
            return total
        with transaction.atomic():
            step.do(rows.model._base_manager.filter(pk__in=ids))
        total, last = total + len(ids), ids[-1]
