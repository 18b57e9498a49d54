"""Compare: what the two sides of one document differ by. Pure, so that its sums can be proved.

The invariant: for any set of pairs, the differences add up, per currency, to the ledger's total minus the CRM's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sync.reconcile.amounts import Amounts


@dataclass(frozen=True, slots=True)
class Facts:
    """What one side says about a document. One that is not `counted` belongs to another period: it is known, and adds
    nothing."""

    id: str
    currency: str
    status: str
    amounts: Amounts
    day: date | None = None
    counted: bool = True
    row: Any = None
    rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Ledger minus CRM in one currency. `status_only`: the figures agree, the states do not. `rate_only`: it says that
    the currency rates do not agree, whatever else differs."""

    currency: str
    amounts: Amounts
    status_only: bool = False
    rate_only: bool = False


def _added(facts: Facts | None) -> Amounts:
    return facts.amounts if facts is not None and facts.counted else Amounts()


def differences(ledger: Facts | None, crm: Facts | None) -> list[Difference]:
    """The differences of one pair; empty when both sides agree, or when neither is of the period."""
    left, right = _added(ledger), _added(crm)
    if ledger is not None and crm is not None and ledger.currency != crm.currency:
        both = [Difference(ledger.currency, left), Difference(crm.currency, -right)]
        return [one for one in both if one.amounts]
    currency = ledger.currency if ledger is not None else crm.currency if crm is not None else ""
    delta = left - right
    found = [Difference(currency, delta)] if delta else []
    if ledger is None or crm is None or not (ledger.counted and crm.counted):
        return found
    if not delta and ledger.status != crm.status:
        found.append(Difference(currency, Amounts(), status_only=True))
    if ledger.rate is not None and crm.rate is not None and ledger.rate != crm.rate:
        found.append(Difference(currency, Amounts(), rate_only=True))  # apart: nothing that explains an amount hides it
    return found


def total(pairs: Iterable[tuple[Facts | None, Facts | None]]) -> dict[str, Amounts]:
    """Ledger minus CRM by currency, summed side by side: what the differences must add up to."""
    found: dict[str, Amounts] = {}
    for ledger, crm in pairs:
        for facts, sign in ((ledger, 1), (crm, -1)):
            if facts is not None and facts.counted:
                amounts = facts.amounts if sign > 0 else -facts.amounts
                found[facts.currency] = found.get(facts.currency, Amounts()) + amounts
    return {currency: amounts for currency, amounts in found.items() if amounts}
