"""What our own tables know about a page of pairs: the newest change, the link, the flows. Three queries a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Max
from django.utils import timezone
from django.utils.functional import lazy

from sync.models import Change, EntityLink, Reconciliation, ReconciliationDocument
from sync.reconcile.explain import Evidence
from sync.reconcile.sides import TAKES_ALL, Sides
from sync.states import OPEN, Action, State

PREFIX = "lb1-"
COMPARED = ("day", "status", "currency", "net", "vat", "gross", "balance", "rate")


@dataclass
class Known:
    """Changes by the CRM's object and the ledger's id, links by the ledger's id and by the CRM's."""

    changes: dict[tuple[str, str], Change] = field(default_factory=dict)
    links: dict[str, EntityLink] = field(default_factory=dict)
    crm_links: dict[tuple[str, str], EntityLink] = field(default_factory=dict)

    def change(self, pair: str, name: str = "") -> Change | None:
        """What would carry a document over to an object of the CRM; to any of them, an open one first, where there is
        no record yet."""
        if name:
            return self.changes.get((name, pair))
        found = [change for (_object, key), change in self.changes.items() if key == pair]
        return max(found, key=lambda change: (change.state in OPEN, change.pk), default=None)


def known_about(sides: Sides, documents: Iterable[ReconciliationDocument]) -> Known:
    """What is known about these documents of either side."""
    rows = list(documents)
    pairs = {row.pair for row in rows if row.pair}
    flows = {flow.pk: flow.target_object for flow in sides.carriers}
    newest = (
        Change.objects.filter(flow__in=list(flows), source_id__in=pairs)
        .exclude(state=State.SUPERSEDED)
        .order_by()
        .values("flow_id", "source_id")
        .annotate(last=Max("pk"))
        .values_list("last", flat=True)
    )
    found = Known()
    for change in Change.objects.filter(pk__in=list(newest)).order_by("pk").defer("payload", "agreed"):
        key = (flows[change.flow_id], change.source_id)
        before = found.changes.get(key)
        if before is None or before.state not in OPEN or change.state in OPEN:
            found.changes[key] = change
    stored = EntityLink.objects.filter(
        integration=sides.integration, ledger_object__in=sides.ledger_objects,
        ledger_id__in=pairs | {row.credits for row in rows if row.credits},
    )  # fmt: skip
    for link in stored.order_by("pk").defer("agreed_crm", "agreed_ledger", "sent_crm", "sent_ledger"):
        found.links.setdefault(link.ledger_id, link)
        found.crm_links[(link.crm_object, link.crm_id)] = link
    return found


def evidence(
    sides: Sides,
    reconciliation: Reconciliation,
    known: Known,
    ledger: ReconciliationDocument | None,
    crm: ReconciliationDocument | None,
    *,
    double: bool = False,
) -> Evidence:
    """The evidence on one pair."""
    pair = (ledger or crm).pair if ledger or crm else ""  # type: ignore[union-attr]
    change = known.change(pair, crm.object if crm else "")
    link = known.crm_links.get((crm.object, crm.record_id)) if crm is not None else known.links.get(pair)
    carriers = [flow for flow in sides.carriers if flow.enabled and (flow.cursor or flow.last_success_at)]
    return Evidence(
        state=change.state if change else "",
        reason=change.reason if change else {},
        error=_LAZY_WORDS(change) if change else "",
        flow=bool(carriers),
        takes_all=any(flow.takes in TAKES_ALL for flow in carriers),
        linked=link is not None,
        ours=bool(ledger and ledger.marker.startswith(PREFIX)) or bool(link and link.origin == "crm"),
        changed=bool(ledger and ledger.changed),
        resynced=bool(link and link.synced_at and link.synced_at >= reconciliation.started_at),
        overdue=bool(
            ledger and ledger.status == "overdue" and ledger.due and link and link.synced_at
            and timezone.localdate(link.synced_at) <= ledger.due
        ),
        double=double,
        mends=_mends(sides, change, ledger, crm),
        debit=bool(ledger and ledger.credits in known.links),
    )  # fmt: skip


def _words(change: Change) -> str:
    """What stands in the way; a verdict is stored in every language, so it is read in each."""
    return change.dismissed_reason or change.error_text or change.error_code


_LAZY_WORDS = lazy(_words, str)


def _mends(
    sides: Sides, change: Change | None, ledger: ReconciliationDocument | None, crm: ReconciliationDocument | None
) -> bool:
    """Whether an open change writes every figure that differs. True where that is not known: there is no such change,
    one side has no document, or the change could not be worked out and says so."""
    if change is None or change.state not in OPEN or ledger is None or crm is None:
        return True
    if change.action == Action.CREATE:
        return False  # it makes another record, and leaves this one as it is
    touched = {row["field"] for row in change.diff} | {problem.get("field") for problem in change.problems}
    if change.replan or (change.state == State.REVIEW and not change.diff):
        return True
    names = sides.figures("crm", crm.object)
    compared = [n for n in COMPARED if n != "rate" or None not in (ledger.rate, crm.rate)]
    wrong = {getattr(names, n) for n in compared if getattr(ledger, n) != getattr(crm, n)}
    return wrong <= {"", *touched}


def primary(rows: Sequence[ReconciliationDocument], order: Sequence[str], known: Known) -> ReconciliationDocument:
    """Of several records of one document the one that counts: by object, then the linked one, then the oldest."""
    return min(rows, key=lambda r: (order.index(r.object), (r.object, r.record_id) not in known.crm_links, r.pk))
