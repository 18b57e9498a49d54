"""GROUP BY and the aggregate functions: groups of rows and what is computed from them.

Salesforce SOQL guide: nulls are left out of every aggregate; an aggregate over nothing is null, a count 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from ..render import plain
from ..table import Row
from .conditions import Operand, Test
from .scope import Read

MOST_GROUPS = 2_000


@dataclass(slots=True)
class Group:
    """Rows with the same key, the values of the GROUP BY terms in order."""

    key: tuple[Any, ...]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Grouping:
    """How an aggregate query groups, and the named columns it shows."""

    keys: tuple[Read, ...]
    columns: tuple[tuple[str, Read], ...]
    having: Test | None

    def groups(self, rows: Iterable[Row]) -> list[Group]:
        """The groups in the order in which their first rows come; without keys all rows are one group."""
        if not self.keys:
            return [Group((), list(rows))]
        found: dict[tuple[Any, ...], Group] = {}
        for row in rows:
            key = tuple(read(row) for read in self.keys)
            group = found.get(key)
            if group is None:
                found[key] = Group(key, [row])
            else:
                group.rows.append(row)
        return [group for group in found.values() if self.having is None or self.having(group)]

    def show(self, group: Group) -> dict[str, Any]:
        """One AggregateResult."""
        shown: dict[str, Any] = {"attributes": {"type": "AggregateResult"}}
        for name, read in self.columns:
            shown[name] = plain(read(group))
        return shown


def aggregate(function: str, operand: Operand) -> Read:
    """The function of a group that COUNT, COUNT_DISTINCT, SUM, AVG, MIN or MAX of a field is."""
    read, fold = operand.read, operand.fold

    def values(group: Group) -> list[Any]:
        return [value for row in group.rows if (value := read(row)) is not None]

    if function == "COUNT":
        return lambda group: len(values(group))
    if function == "COUNT_DISTINCT":
        return lambda group: len({fold(value) for value in values(group)})
    if function == "SUM":
        return lambda group: _sum(values(group))
    if function == "AVG":
        return lambda group: _average(values(group))
    if function == "MIN":
        return lambda group: min(values(group), key=fold, default=None)
    return lambda group: max(values(group), key=fold, default=None)


def _sum(values: Sequence[Any]) -> Decimal | None:
    return sum((Decimal(value) for value in values), Decimal()) if values else None


def _average(values: Sequence[Any]) -> Decimal | None:
    total = _sum(values)
    return None if total is None else total / len(values)


def date_part(function: str, read: Read) -> Read:
    """CALENDAR_YEAR and its like: a part of a date, or of a datetime in UTC."""
    part = _PARTS[function]

    def found(row: Any) -> Any:
        text = read(row)
        return None if text is None else part(text)

    return found


def _day(text: str) -> date:
    return date.fromisoformat(text[:10])


_PARTS: dict[str, Callable[[str], Any]] = {
    "CALENDAR_YEAR": lambda text: int(text[:4]),
    "CALENDAR_QUARTER": lambda text: (int(text[5:7]) + 2) // 3,
    "CALENDAR_MONTH": lambda text: int(text[5:7]),
    "DAY_IN_MONTH": lambda text: int(text[8:10]),
    "DAY_IN_WEEK": lambda text: _day(text).isoweekday() % 7 + 1,
    "DAY_IN_YEAR": lambda text: _day(text).timetuple().tm_yday,
    "DAY_ONLY": lambda text: text[:10],
    "HOUR_IN_DAY": lambda text: int(text[11:13]),
    "WEEK_IN_YEAR": lambda text: (_day(text).timetuple().tm_yday - 1) // 7 + 1,
}
