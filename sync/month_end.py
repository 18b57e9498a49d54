"""What must be in order before a month is closed (I-14), and closing it.

Everything comes from our own tables: what the newest reconciliation that covers the month has read, and the open
changes; no remote is called. The invariant: a month is closed once, with a signed reconciliation of exactly that month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Integration
from mappings.models.mapping_set import Side
from sync import queue
from sync.engine import aftermath
from sync.models import Change, EntityLink, Flow, FlowPass, MonthClose, Reconciliation, ReconciliationDocument
from sync.reconcile import store, telling
from sync.reconcile.amounts import NAMES, ZERO, Amounts, Totals
from sync.states import Action, State
from sync.texts import in_every_language
from sync.values import load

LISTED = 50
Document = ReconciliationDocument


@dataclass(slots=True)
class Section:
    """One thing to look at: how many rows, and the first `LISTED` of them, oldest first. `verb` is what can be done."""

    code: str
    total: int
    rows: Sequence[Any] = field(default_factory=list)
    verb: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """What is known of a month: the newest finished reconciliation that covers it and whose documents are still kept,
    the newest finished one of exactly this month, and the one at work."""

    read: Reconciliation | None = None
    exact: Reconciliation | None = None
    working: Reconciliation | None = None


def compared(integration: Integration, month: date) -> Compared:
    """The reconciliations that the month's page needs: two queries."""
    first, last = store.month_of(month)
    done = Q(state=Reconciliation.State.DONE)
    # Of one that read something and has no document left nothing can be listed: it must not look as if all were done.
    kept = Q(seen=0) | Exists(Document.objects.filter(reconciliation=OuterRef("pk")))
    rows = Reconciliation.objects.filter(integration=integration)
    found = rows.order_by().aggregate(
        read=Max("pk", filter=done & kept & Q(starts__lte=first, ends__gte=last)),
        exact=Max("pk", filter=done & Q(starts=first, ends=last)),
        working=Max("pk", filter=Q(state__in=Reconciliation.ACTIVE)),
    )
    by_pk = rows.in_bulk({pk for pk in found.values() if pk})
    return Compared(**{name: by_pk.get(pk) for name, pk in found.items()})


def newest(integration: Integration, month: date) -> Reconciliation | None:
    """The newest finished reconciliation whose period covers the month and whose documents are still kept."""
    return compared(integration, month).read


def obstacle(month: date, known: Compared) -> str:
    """Why the month cannot be closed with what was compared, and the remedy; "" when it can."""
    _first, last = store.month_of(month)
    row = known.exact
    if last >= timezone.localdate():
        return _("The month is not over yet.")
    if row is None:
        return _("The month has not been compared yet. Compare both sides first.")
    if timezone.localdate(row.started_at) <= last:  # what was dated in its last days may be missing
        return _("Both sides were compared before the month was over. Compare both sides again, then close the month.")
    if overtaken(row, known.read, month):
        return _(
            "A newer comparison found other figures or unexplained differences in this month. Compare both sides "
            "again, then close the month."
        )
    return ""


def overtaken(row: Reconciliation, later: Reconciliation | None, month: date, *, accepted: int = 0) -> bool:
    """Whether `later`, which covers the month too, speaks against the figures of `row`: the ledger's are others, or
    more than `accepted` differences in the month are unexplained. Payments are no change of the month."""
    if later is None or later.pk <= row.pk:
        return False
    first, last = store.month_of(month)
    mine = Document.objects.filter(reconciliation=later, side=Side.LEDGER, counted=True, sold=False)
    mine = mine.filter(day__range=(first, last)).order_by()
    sums: Any = {f"sum_{name}": Sum(name) for name in NAMES}
    rows: Any = mine.values("currency", "status").annotate(count=Count("pk"), **sums)
    read = Totals({})
    for found in rows:
        amounts = [found[f"sum_{name}"] or ZERO for name in NAMES]
        read.add(found["currency"], found["status"], Amounts(found["count"], *amounts))
    if _invoiced(read) != _invoiced(Totals.load(row.totals.get("ledger", ()))):
        return True
    return _unexplained(later, first, last) > accepted


def _invoiced(totals: Totals) -> dict[tuple[str, bool], list[Decimal | int]]:
    """What was invoiced, by currency, apart from what was cancelled; to the öre: a database may add in floats."""
    kept = Totals({})
    for (currency, status), amounts in totals.by.items():
        kept.add(currency, "cancelled" if status == "cancelled" else "", amounts)
    return {
        (currency, bool(status)): [a.count, *(round(value, 2) for value in (a.net, a.vat, a.gross))]
        for (currency, status), a in kept.by.items()
    }


def _unexplained(row: Reconciliation, first: date, last: date) -> int:
    """How many unexplained differences of a longer period are about these days; one without a date may be."""
    if not row.unexplained:
        return 0
    count = 0
    for sides in row.lines.filter(explained=False).values_list("sides", flat=True).iterator():
        said = (sides.get("ledger"), sides.get("crm"))
        days = [load(side["day"]) for side in said if side and side.get("day")]
        count += not days or any(isinstance(day, date) and first <= day <= last for day in days)
    return count


def sections(integration: Integration, month: date, read: Reconciliation | None) -> list[Section]:
    """What is to be looked at: one query that counts, and one for each section with rows."""
    found: list[Section] = []
    if read is not None:
        ledger = Q(side=Side.LEDGER, counted=True)
        wanted = [
            ("sold", Q(sold=True), "create"),
            ("drafts", ledger & Q(status__in=["draft", "unbooked"]), "book"),
            ("credits", ledger & Q(status="credited", gross__lt=0, credits=""), ""),
            ("paid", ledger & _PAID_APART, "sync"),
            ("overdue", ledger & Q(due=timezone.localdate() - timedelta(days=1), status="overdue"), "sync"),
        ]
        if read.totals.get("open_days") is False:
            wanted.append(("years", ledger, ""))
        first, last = store.month_of(month)
        found += _counted(Document.objects.filter(reconciliation=read, day__gte=first, day__lte=last), read, wanted)
    failures = Change.objects.filter(integration=integration, state=State.REVIEW, flow__in=_document_flows(integration))
    rows = failures.select_related("flow").defer("payload", "agreed", "diff", "candidates")
    found.append(_capped("failures", rows.order_by("created_at", "pk"), "retry"))
    return found


_PAID_APART = Q(crm_status__isnull=False) & (
    Q(status="paid") & ~Q(crm_status="paid") | ~Q(status="paid") & Q(crm_status="paid")
)
"""Documents that one side calls paid and the other does not."""


def _counted(rows: QuerySet[Document], read: Reconciliation, wanted: Sequence[tuple[str, Q, str]]) -> list[Section]:
    """The sections, counted together; only those with rows are read."""
    theirs = Document.objects.filter(reconciliation=read, side=Side.CRM, pair=OuterRef("pair")).exclude(pair="")
    both = rows.annotate(crm_status=Subquery(theirs.order_by("pk").values("status")[:1]))
    totals = both.order_by().aggregate(**{code: Count("pk", filter=condition) for code, condition, _verb in wanted})
    found = []
    for code, condition, verb in wanted:
        mine = (both if code == "paid" else rows).filter(condition).order_by("day", "pk")
        found.append(Section(code, totals[code], list(mine[:LISTED]) if totals[code] else [], verb))
    return found


def _capped(code: str, rows: QuerySet[Any], verb: str) -> Section:
    """The first rows; they are counted only when there are more."""
    shown = list(rows[: LISTED + 1])
    return Section(code, len(shown) if len(shown) <= LISTED else rows.count(), shown[:LISTED], verb)


def _document_flows(integration: Integration) -> list[int]:
    """The flows that carry documents either way: those whose ledger object is written from the CRM or has amounts."""
    looks = Exists(FlowPass.objects.filter(flow=OuterRef("pk")))
    flows: list[Any] = list(Flow.objects.filter(integration=integration).annotate(looks_again=looks))
    documents = {f.target_object for f in flows if f.target_side == Side.LEDGER and f.follow_up}
    documents |= {f.source_object for f in flows if f.source_side == Side.LEDGER and f.looks_again}
    return [
        flow.pk
        for flow in flows
        if (flow.target_object if flow.target_side == Side.LEDGER else flow.source_object) in documents
    ]


# --- what people do -----------------------------------------------------------------------------------------------


def maker_of(integration: Integration, crm_object: str) -> Flow | None:
    """The flow that makes documents of this CRM object, switched on in a live or observing integration."""
    flows = Flow.objects.startable().filter(integration=integration, source_side=Side.CRM, source_object=crm_object)
    return flows.exclude(follow_up="").order_by("position", "pk").first()


def bookable(documents: Sequence[Document], integration: Integration) -> dict[str, Change]:
    """Of these documents those that we made and may book: our newest write of each, by the ledger's id. One that we
    only wrote to, which a person made and linked, is theirs to book."""
    if integration.mode != Integration.Mode.LIVE:
        return {}
    rows = Change.objects.filter(
        integration=integration, flow__enabled=True, flow__target_side=Side.LEDGER, state=State.APPLIED,
        action__in=[Action.CREATE, Action.UPDATE], target_id__in=[row.record_id for row in documents],
        flow__target_object__in={row.object for row in documents},
    )  # fmt: skip
    newest: dict[str, Change] = {}
    made: set[str] = set()
    for change in rows.select_related("flow").order_by("pk"):
        newest[change.target_id] = change
        made |= {change.target_id} if change.action == Action.CREATE else set()
    return {key: change for key, change in newest.items() if key in made}


def book(document: Document, integration: Integration, user: Any) -> Change:
    """Compare the document's totals once more, then book it: an act for the workers, approved by this person.

    Raises `ValidationError` when it is not ours to book, or something about its record is under way."""
    change = bookable([document], integration).get(document.record_id)
    if change is None:
        raise ValidationError(_("This document was not made here. Book it in the ledger."))
    with transaction.atomic():
        open_one = Change.objects.open().filter(flow=change.flow, source_id=change.source_id).first()
        if open_one is not None:
            raise ValidationError(_("Something about this record is under way: %(what)s.") % {"what": open_one})
        writes = Change.objects.filter(flow=change.flow, source_id=change.source_id, target_id=document.record_id)
        written = writes.filter(state=State.APPLIED, action__in=[Action.CREATE, Action.UPDATE]).order_by("-pk")
        # Every row must be right, also those that the newest write did not touch.
        lines = next((row.payload["lines"] for row in written if row.payload.get("lines")), None)
        sent = {"fields": change.payload.get("fields"), "lines": lines}
        act = aftermath.act_of(change, aftermath.CHECK, document.record_id, {"then": aftermath.BOOK, "sent": sent})
        act.amount, act.currency = change.amount, change.currency
        act.run, act.approved_by, act.approved_at = None, user, timezone.now()
        act.reason = in_every_language(_("Compare the totals, then book."))
        try:
            with transaction.atomic():
                act.save()
        except IntegrityError:  # somebody else pressed in the same moment: one open change per record
            raise ValidationError(_("Somebody else is booking this document in this moment.")) from None
        transaction.on_commit(lambda: queue.kick(queue.BULK))
    return act


def close(integration: Integration, month: date, user: Any, reason: str = "") -> MonthClose:
    """Sign the month's reconciliation, unless it is signed, and close the month. Raises `ValidationError` when the
    month is not over, was closed already, has not been compared since it was over, or has unexplained differences and
    no reason."""
    first, _last = store.month_of(month)
    with transaction.atomic():
        Integration.objects.select_for_update(of=("self",)).get(pk=integration.pk)
        if MonthClose.objects.filter(integration=integration, month=first).exists():
            raise ValidationError(_("The month was closed already."))
        known = compared(integration, month)
        row = known.exact
        refusal = obstacle(month, known)
        if row is None or refusal:
            raise ValidationError(refusal)
        if row.signed_at is None:
            row = store.sign(row, user, reason)
        telling.closed(row)
        return MonthClose.objects.create(
            integration=integration, month=first, reconciliation=row, closed_by=user, closed_name=row.signed_name
        )


def changed_since(closed: MonthClose, later: Reconciliation | None) -> Reconciliation | None:
    """`later`, the newest reconciliation of the closed month, when its figures are others than those that were signed;
    None when nothing is known to have moved."""
    if later is None or later.pk == closed.reconciliation_id or not store.differs(later, closed.reconciliation):
        return None
    return later


def doubted_since(closed: MonthClose, later: Reconciliation | None) -> bool:
    """Whether `later`, the newest comparison that covers the closed month, speaks against what was signed."""
    signed = closed.reconciliation
    return overtaken(signed, later, closed.month, accepted=signed.unexplained)


def linked_records(integration: Integration, documents: Sequence[Document]) -> dict[str, int]:
    """The link behind each document, by the ledger's id."""
    rows = EntityLink.objects.filter(integration=integration, ledger_id__in=[row.record_id for row in documents])
    return dict(rows.filter(ledger_object__in={row.object for row in documents}).values_list("ledger_id", F("pk")))
