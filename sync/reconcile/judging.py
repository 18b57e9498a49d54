"""Judging what was read: pair by pair, in pages, with the running totals kept where the reading stands.

The invariant: at the end the lines add up, in every currency, to the ledger's total minus the CRM's; a sum that does
not is a fault of ours and ends the reconciliation with an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from django.db.models import Exists, OuterRef

from integrations.errors import SyncError
from mappings.models.mapping_set import Side
from sync.models import Reconciliation, ReconciliationDocument, ReconciliationLine
from sync.reconcile.amounts import NAMES, Amounts, Totals
from sync.reconcile.compare import Difference, Facts, differences
from sync.reconcile.evidence import COMPARED, Known, evidence, known_about, primary
from sync.reconcile.explain import Verdict, beside, explain
from sync.reconcile.sides import Sides
from sync.values import dump

CHUNK = 300
Document = ReconciliationDocument


def facts(row: Document | None) -> Facts | None:
    """A row as the compare takes it."""
    if row is None:
        return None
    return Facts(row.record_id, row.currency, row.status, Amounts.of(row), row.day, row.counted, row, row.rate)


class Judging:
    """One reconciliation's judgement; `totals` and `sums` are what was added up so far."""

    def __init__(self, reconciliation: Reconciliation, sides: Sides) -> None:
        self.row = reconciliation
        self.sides = sides
        stored = reconciliation.totals
        self.totals = {side: Totals.load(stored.get(side, ())) for side in ("ledger", "crm")}
        self.sums = {name: Totals.load(stored.get(name, ())) for name in ("explained", "unexplained")}
        self.kinds: dict[str, int] = dict(stored.get("kinds", {}))

    def run(self, resume: str) -> Iterator[str]:
        """Both halves, page by page: every document of the ledger with its record, then records without document."""
        half, _, after = (resume or "ledger:0").partition(":")
        if half == "ledger":
            yield from self._ledger(int(after))
            after = "0"
        yield from self._crm(int(after))
        self._prove()
        yield ""

    def _rows(self, side: str) -> Any:
        return Document.objects.filter(reconciliation=self.row, side=side, sold=False).exclude(pair="").order_by("pk")

    def _ledger(self, after: int) -> Iterator[str]:
        while rows := list(self._rows(Side.LEDGER).filter(pk__gt=after)[:CHUNK]):
            theirs: dict[str, list[Document]] = {}
            for row in self._rows(Side.CRM).filter(pair__in=[row.pair for row in rows]):
                theirs.setdefault(row.pair, []).append(row)
            known = known_about(self.sides, rows)
            lines: list[ReconciliationLine] = []
            for row in rows:
                lines += self._pair(known, row, theirs.get(row.pair, []))
            self._keep(lines)
            after = rows[-1].pk
            yield f"ledger:{after}"

    def _crm(self, after: int) -> Iterator[str]:
        there = Document.objects.filter(reconciliation=self.row, side=Side.LEDGER, pair=OuterRef("pair"))
        alone = self._rows(Side.CRM).exclude(Exists(there))
        while rows := list(alone.filter(pk__gt=after)[:CHUNK]):
            known = known_about(self.sides, rows)
            lines: list[ReconciliationLine] = []
            for row in rows:
                lines += self._judge(known, None, row)
            self._keep(lines)
            after = rows[-1].pk
            yield f"crm:{after}"

    def _pair(self, known: Known, row: Document, theirs: Sequence[Document]) -> list[ReconciliationLine]:
        """The lines of one document. A second record of the same object counts in the CRM, so it is a difference; a
        mirror of another object counts nothing, and must say the same."""
        chosen = primary(theirs, self.sides.crm_objects, known) if theirs else None
        lines = self._judge(known, row, chosen)
        for other in theirs:
            if other is not chosen and chosen is not None and other.object == chosen.object:
                lines += self._judge(known, None, other, double=True)
            elif other is not chosen and self._kept(known, row, other):
                lines += self._mirror(known, row, other)
        return lines

    def _kept(self, known: Known, row: Document, other: Document) -> bool:
        """Whether a flow keeps this record up to date: another that only carries the number was made by somebody."""
        link = known.crm_links.get((other.object, other.record_id))
        return other.object in self.sides.mirrors and link is not None and not link.frozen_reason

    def _mirror(self, known: Known, ledger: Document, crm: Document) -> list[ReconciliationLine]:
        """The lines of a record beside the one that counts: every figure that its flow writes must be the ledger's.
        They say how far it is off and add nothing to the sums, because the document is counted already."""
        written, names = self.sides.written[crm.object], self.sides.figures(Side.CRM, crm.object)
        seen = copy(crm)
        for name in COMPARED:
            if getattr(names, name) not in written:
                setattr(seen, name, getattr(ledger, name))
        left, right = facts(ledger), facts(seen)
        lines = []
        for difference in differences(left, right):
            told = evidence(self.sides, self.row, known, ledger, seen)
            verdict = beside(self.sides.label(crm.object), explain(left, right, difference, told, self.row.tolerance))
            self._count(verdict)
            nothing = replace(difference, amounts=Amounts())
            lines.append(self._line(known, ledger, crm, nothing, verdict))
            lines[-1].sides["beside"] = crm.object
        return lines

    def _count(self, verdict: Verdict) -> None:
        self.kinds[verdict.kind] = self.kinds.get(verdict.kind, 0) + 1
        self.row.differences += 1
        self.row.unexplained += not verdict.explained

    def _judge(
        self, known: Known, ledger: Document | None, crm: Document | None, *, double: bool = False
    ) -> list[ReconciliationLine]:
        left, right = facts(ledger), facts(crm)
        for side, one in (("ledger", left), ("crm", right)):
            if one is not None and one.counted:
                self.totals[side].add(one.currency, one.status, one.amounts)
        found = differences(left, right)
        if not found:
            return []
        told = evidence(self.sides, self.row, known, ledger, crm, double=double)
        lines = []
        for difference in found:
            verdict = explain(left, right, difference, told, self.row.tolerance)
            name = "explained" if verdict.explained else "unexplained"
            self.sums[name].add(difference.currency, "", difference.amounts)
            self._count(verdict)
            lines.append(self._line(known, ledger, crm, difference, verdict))
        return lines

    def _line(
        self, known: Known, ledger: Document | None, crm: Document | None, difference: Difference, verdict: Verdict
    ) -> ReconciliationLine:
        one = next(row for row in (ledger, crm) if row is not None)
        change = known.change(one.pair, crm.object if crm else "")
        link = known.crm_links.get((crm.object, crm.record_id)) if crm else known.links.get(one.pair)
        amounts = {name: getattr(difference.amounts, name) for name in NAMES}
        return ReconciliationLine(
            reconciliation=self.row, kind=verdict.kind, explained=verdict.explained, explanation=verdict.text,
            currency=difference.currency, count=difference.amounts.count, **amounts, number=one.number or one.record_id,
            title=(ledger.customer if ledger else "") or one.title, change=change, link=link,
            ledger_object=ledger.object if ledger else "", ledger_id=ledger.record_id if ledger else "",
            ledger_url=ledger.url if ledger else "", crm_object=crm.object if crm else "",
            crm_id=crm.record_id if crm else "", crm_url=crm.url if crm else "",
            sides={"ledger": _said(ledger), "crm": _said(crm)},
        )  # fmt: skip

    def _keep(self, lines: Sequence[ReconciliationLine]) -> None:
        ReconciliationLine.objects.bulk_create(lines)
        self.row.totals = {
            **self.row.totals,
            **{name: totals.dump() for name, totals in (self.totals | self.sums).items()},
            "kinds": self.kinds,
        }

    def _prove(self) -> None:
        """The lines add up to the difference between the sides, exactly."""
        ledger, crm = self.totals["ledger"].currencies(), self.totals["crm"].currencies()
        said = {name: totals.currencies() for name, totals in self.sums.items()}
        for currency in {*ledger, *crm, *said["explained"], *said["unexplained"]}:
            wanted = ledger.get(currency, Amounts()) - crm.get(currency, Amounts())
            given = said["explained"].get(currency, Amounts()) + said["unexplained"].get(currency, Amounts())
            if wanted != given:
                raise SyncError(f"The differences in {currency} do not add up to the totals", code="sums_differ")


def _said(row: Document | None) -> dict[str, Any] | None:
    if row is None:
        return None
    figures = {name: dump(getattr(row, name)) for name in (*NAMES, "rate", "day")}
    return {"currency": row.currency, "status": row.status, "counted": row.counted} | figures
