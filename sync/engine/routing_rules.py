"""The routing rules of one object of a CRM account, tried on a record: which company they name, and what they read.

No remote call, and one query for all of them. The invariant: a rule that cannot be evaluated ends the trial; a record
never falls through to the next one because of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from integrations.connector import Record, Value
from integrations.models import ConnectedAccount
from mappings.expressions import Compiled, ExpressionError, MappingError
from mappings.models import RoutingRule
from sync.values import show


@dataclass(frozen=True, slots=True)
class Step:
    """One rule as it was tried on a record: what it read, and "yes", "no" or "error" with the reason."""

    rule: RoutingRule
    values: tuple[tuple[str, str], ...]
    verdict: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules alone say of a record: the company of the first that holds. `error` when one could not be tried;
    nothing after it was."""

    integration_id: int | None = None
    steps: tuple[Step, ...] = ()
    error: str = ""

    @property
    def rule(self) -> RoutingRule | None:
        """The rule that took the record."""
        return self.steps[-1].rule if self.steps and self.steps[-1].verdict == "yes" else None


class Rules:
    """The active rules of one object of a CRM account, compiled. One query."""

    def __init__(self, account: ConnectedAccount, object_name: str) -> None:
        self.account, self.object_name = account, object_name
        rows = RoutingRule.objects.of(account.pk, object_name).filter(active=True)
        self.rows: list[RoutingRule] = list(rows.select_related("integration__ledger_account"))
        for row in self.rows:
            row.account = account
        self._compiled: list[tuple[RoutingRule, Compiled | None, str]] = [(row, *_compiled(row)) for row in self.rows]

    @property
    def stamp(self) -> list[tuple[Any, ...]]:
        """What tells these rules from others; see `stamp_now`."""
        return [(row.pk, row.position, row.expression, row.integration_id) for row in self.rows]

    @staticmethod
    def stamp_now(account_id: UUID, object_name: str) -> list[tuple[Any, ...]]:
        """`stamp` of the rules as the database has them now: one query."""
        rows = RoutingRule.objects.of(account_id, object_name).filter(active=True)
        return list(rows.values_list("pk", "position", "expression", "integration_id"))

    def changed_since(self, moment: datetime) -> bool:
        """Whether a rule was added, changed or deleted since then: one query."""
        rows = RoutingRule.history.filter(account_id=self.account.pk, object_name=self.object_name)
        return bool(rows.filter(history_date__gte=moment).exists())

    @property
    def reads(self) -> frozenset[tuple[str, str]]:
        """The (part, field) pairs that the conditions look at."""
        return frozenset().union(*(compiled.reads for _row, compiled, _error in self._compiled if compiled))

    def judge(self, record: Record) -> Judged:
        """Try the rules in order; no query, no remote call."""
        parts: Mapping[str, Mapping[str, Value]] = {
            **record.named(),
            "source": {
                "account_id": self.account.remote_id, "account_name": self.account.name, "currency": None,
                "position": None,
            },
        }  # fmt: skip
        steps: list[Step] = []
        for row, compiled, broken in self._compiled:
            values = _values(parts, compiled)
            try:
                holds = not broken and (compiled is None or bool(compiled.evaluate(parts, {}, record.lines)))
            except MappingError as error:
                broken = str(error)
            if broken:
                steps.append(Step(row, values, "error", broken))
                return Judged(None, tuple(steps), broken)
            steps.append(Step(row, values, "yes" if holds else "no"))
            if holds:
                return Judged(row.integration_id, tuple(steps))
        return Judged(None, tuple(steps))


def _compiled(rule: RoutingRule) -> tuple[Compiled | None, str]:
    try:
        return rule.compile(), ""
    except ExpressionError as error:  # a field that the account had when the rule was saved, and has no more
        return None, str(error)


def _values(parts: Mapping[str, Mapping[str, Value]], compiled: Compiled | None) -> tuple[tuple[str, str], ...]:
    reads = sorted(compiled.reads) if compiled else ()
    return tuple((f"{part}.{name}", show((parts.get(part) or {}).get(name))[:200]) for part, name in reads)
