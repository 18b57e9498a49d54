"""Explain: which known cause a difference has, from what our own tables and the reading know. Pure.

The order is that of certainty: what is on its way or waits for a person first, then what a flow leaves out on purpose,
then what can be seen from the figures. The invariants: what no rule knows is unexplained, and stays so; an explanation
must be proven by what is stored, so where both sides have the document and nothing on its way writes what differs,
only the tolerance that a person chose and the passing of days explain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from sync.models import ReconciliationLine
from sync.reconcile.amounts import plain
from sync.reconcile.compare import Difference, Facts
from sync.states import State
from sync.texts import in_every_language, say

Kind = ReconciliationLine.Kind
_MOVING = frozenset({State.PLANNED, State.HELD, State.QUEUED, State.SENDING, State.UNKNOWN, State.RETRYING})

_BEFORE_OVERDUE = frozenset({"unbooked", "booked", "sent", "partly_paid"})
"""What a document may be called until it is overdue."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one pair besides its figures.

    `state` is that of the newest change that would carry the document over, `reason` and `error` its words. `flow` is
    whether any enabled flow would; `ours` whether the document began in the CRM. `linked`, `resynced` (written while
    we read), `overdue` (by the mere passing of days since it was synced) and `double` (another record carries the same
    number) come from the links and the reading. `mends` is whether that change writes what differs, or cannot say;
    `debit` whether the document is a credit whose debit has a record in the CRM.
    """

    state: str = ""
    reason: dict[str, str] = field(default_factory=dict)
    error: str = ""
    flow: bool = True
    takes_all: bool = True
    linked: bool = False
    ours: bool = False
    changed: bool = False
    resynced: bool = False
    overdue: bool = False
    double: bool = False
    mends: bool = True
    debit: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a difference is, whether that explains it, and the sentence that says so."""

    kind: str
    explained: bool
    text: dict[str, str]


def _because(kind: str, sentence: Any, *, explained: bool = True) -> Verdict:
    return Verdict(kind, explained, in_every_language(sentence))


def beside(label: str, verdict: Verdict) -> Verdict:
    """The verdict on a record that mirrors a document beside the one that counts, with the name of its object."""
    lead = in_every_language(say(_("{object}, beside the record that counts:"), object=label))
    text = {code: f"{lead[code]} {sentence}" for code, sentence in verdict.text.items()}
    return Verdict(verdict.kind, verdict.explained, text)


def explain(
    ledger: Facts | None, crm: Facts | None, difference: Difference, known: Evidence, tolerance: Decimal = Decimal(0)
) -> Verdict:
    """The verdict on one difference of one pair."""
    on_its_way = _on_its_way(known)
    if ledger is None:
        return _only_crm(known)
    if on_its_way is not None:
        return on_its_way
    if not ledger.counted or (crm is not None and not crm.counted):
        return _period(ledger, crm)
    if crm is None:
        return _only_ledger(ledger, known)
    return _both(ledger, crm, difference, known, tolerance)


def _on_its_way(known: Evidence) -> Verdict | None:
    if known.resynced:
        return _because(Kind.CHANGED, _("It was synced while both sides were being read."))
    if known.changed and (known.takes_all or known.linked or known.ours):
        return _because(Kind.CHANGED, _("The ledger changed it after the last sync; the next one brings it over."))
    if not known.mends:
        return None
    if known.state == State.REVIEW:
        return _because(
            Kind.IN_REVIEW, say(_("It could not be written and waits for a person: {error}"), error=known.error)
        )
    if known.state == State.HELD:
        return _because(Kind.NOT_SYNCED, _("It is planned and waits for approval."))
    if known.state in _MOVING:
        return _because(Kind.NOT_SYNCED, _("It is planned and on its way."))
    return None


def _period(ledger: Facts, crm: Facts | None) -> Verdict:
    text = say(
        _("Its date lies in the period on one side only: {ledger} in the ledger, {crm} in the CRM."),
        ledger=ledger.day or "–", crm=(crm.day if crm else None) or "–",
    )  # fmt: skip
    return _because(Kind.PERIOD, text, explained=False)


def _only_ledger(ledger: Facts, known: Evidence) -> Verdict:
    if known.linked:
        return _because(
            Kind.ONLY_LEDGER, _("Its record in the CRM is gone, or lost its invoice date."), explained=False
        )
    if ledger.status == "cancelled":
        return _because(Kind.CANCELLED, _("It was cancelled in the ledger and was never brought over."))
    if known.state == State.SKIPPED:
        return Verdict(Kind.FILTERED, True, known.reason)
    if known.state == State.DISMISSED:
        return Verdict(Kind.FILTERED, True, in_every_language(say(_("A person dismissed it: {why}"), why=known.error)))
    if known.debit and ledger.amounts.gross < 0 and (known.ours or not known.takes_all):
        return _because(Kind.CREDIT, _("It is a credit; its debit carries the state in the CRM."))
    if not known.flow:
        return _because(Kind.NOT_SYNCED, _("No flow that is switched on has brought documents over yet."))
    if not known.takes_all and not known.ours:
        return _because(Kind.BY_HAND, _("It was made by hand in the ledger, and no flow brings such documents over."))
    return _because(Kind.ONLY_LEDGER, _("The CRM has no record of it, and nothing says why."), explained=False)


def _only_crm(known: Evidence) -> Verdict:
    if known.double:
        return _because(Kind.ONLY_CRM, _("Another record carries the same invoice number."), explained=False)
    if known.linked or known.ours:
        return _because(Kind.ONLY_CRM, _("The ledger no longer has the document."), explained=False)
    text = _("Somebody gave the record an invoice number by hand; the ledger has no such document.")
    return _because(Kind.BY_HAND, text, explained=False)


def _both(ledger: Facts, crm: Facts, difference: Difference, known: Evidence, tolerance: Decimal) -> Verdict:
    if ledger.currency != crm.currency:
        text = say(
            _("The ledger has it in {ledger}, the CRM in {crm}."), ledger=ledger.currency, crm=crm.currency or "–"
        )
        return _because(Kind.CURRENCY, text, explained=False)
    if difference.rate_only:
        text = say(
            _("The currency rate is {ledger} in the ledger and {crm} in the CRM."),
            ledger=plain(ledger.rate or Decimal(0)), crm=plain(crm.rate or Decimal(0)),
        )  # fmt: skip
        return _because(Kind.RATE, text, explained=False)
    if difference.status_only and known.overdue and crm.status in _BEFORE_OVERDUE:
        return _because(Kind.CHANGED, _("It became overdue after the last sync; the daily pass brings that over."))
    if difference.status_only:
        text = say(
            _("The amounts agree, the states do not: “{ledger}” in the ledger, “{crm}” in the CRM."),
            ledger=ledger.status or "–", crm=crm.status or "–",
        )  # fmt: skip
        return _because(Kind.STATUS, text, explained=False)
    if tolerance and ledger.status == crm.status and difference.amounts.widest <= tolerance:
        return _because(
            Kind.ROUNDING, say(_("Within the rounding tolerance of {tolerance}."), tolerance=f"{tolerance:.2f}")
        )
    return _because(Kind.FIGURES, _("The figures differ, and nothing says why."), explained=False)
