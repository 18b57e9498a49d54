"""A checked query, ready to run: which rows, in which order, shown how."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import SfError
from ..table import Row
from .conditions import Operand, Test
from .groups import MOST_GROUPS, Group, Grouping
from .layout import Child, Layout
from .scope import Read, Scope
from .tree import Order


@dataclass(frozen=True, slots=True)
class SortKey:
    """One entry of ORDER BY; ``read`` gives comparable values of a row, or of a group."""

    read: Read
    descending: bool
    nulls_first: bool


def sort_key(operand: Operand, order: Order) -> SortKey:
    """How rows or groups are ordered by an operand; text without regard to case."""
    read, fold = operand.read, operand.fold
    if operand.kind in ("text", "multi"):
        return SortKey(lambda item: fold(read(item)), order.descending, order.nulls_first)
    return SortKey(read, order.descending, order.nulls_first)


@dataclass(slots=True)
class Plan:
    """``candidates`` gives the ids an index leaves to test, or is None when every row must be."""

    scope: Scope
    layout: Layout
    test: Test | None = None
    candidates: Callable[[], Iterable[str]] | None = None
    orders: list[SortKey] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0
    count: bool = False
    grouping: Grouping | None = None
    selects_compound: bool = False

    @property
    def has_children(self) -> bool:
        """Whether a sub-select is shown."""
        return any(isinstance(entry, Child) for entry in self.layout.entries)

    def rows(self) -> list[Row]:
        """The rows found, sorted, after OFFSET and LIMIT; without ORDER BY in order of their ids."""
        return self._cut(self._sorted(self._found()))

    def aggregates(self) -> list[dict[str, Any]]:
        """The rows of an aggregate query. There is no second page of these: EXCEEDED_ID_LIMIT when one is needed."""
        grouping = self.grouping or Grouping((), (), None)
        groups: list[Group] = self._cut(self._sorted(grouping.groups(self._found())))
        if len(groups) > MOST_GROUPS:
            text = "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch"
            raise SfError(400, "EXCEEDED_ID_LIMIT", text)
        return [grouping.show(group) for group in groups]

    def below(self, lookup: str, parent: Row) -> list[Row]:
        """As a sub-select: the rows whose ``lookup`` points at a parent."""
        table = self.scope.org.table(self.scope.object.name)
        keys = table.children.get(lookup, {}).get(parent.id, ())
        return self._cut(self._sorted(self._tested([table.rows[key] for key in sorted(keys) if key in table.rows])))

    def _found(self) -> list[Row]:
        rows = self.scope.org.rows[self.scope.object.name]
        if self.candidates is None:
            return self._tested(rows.values())
        return self._tested([rows[key] for key in sorted(set(self.candidates())) if key in rows])

    def _tested(self, rows: Iterable[Row]) -> list[Row]:
        test = self.test
        hidden = self.scope.org.hidden_from(self.scope.user_id)
        if hidden:  # sharing hides rows without a word
            rows = [row for row in rows if row.id[:15] not in hidden]
        if self.scope.include_deleted:
            return [row for row in rows if test is None or test(row)]
        if test is None:
            return [row for row in rows if not row.deleted]
        return [row for row in rows if not row.deleted and test(row)]

    def _sorted(self, items: list[Any]) -> list[Any]:
        for order in reversed(self.orders):
            keyed = [(order.read(item), item) for item in items]
            nulls = [item for value, item in keyed if value is None]
            held = [pair for pair in keyed if pair[0] is not None] if nulls else keyed
            held.sort(key=_first, reverse=order.descending)
            values = [item for _, item in held]
            items = nulls + values if order.nulls_first else values + nulls
        return items

    def _cut(self, items: list[Any]) -> list[Any]:
        if not self.offset and self.limit is None:
            return items
        end = None if self.limit is None else self.offset + self.limit
        return items[self.offset : end]


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]
