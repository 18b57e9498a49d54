"""The plan of a grouped or aggregating query: every selected field must be grouped by, or aggregated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .conditions import Compiler, Operand, kind_of
from .groups import Grouping, aggregate
from .parser import AGGREGATES
from .plan import Plan, sort_key
from .scope import Read, Scope
from .tokens import malformed, placed
from .tree import Function, Name, Query, Term

if TYPE_CHECKING:
    from .checker import Checker

Key = tuple[str, ...]
UNGROUPABLE = ("number", "datetime", "multi", "other")  # describe says groupable false


def aggregate_plan(checker: Checker, plan: Plan, query: Query) -> None:
    """Complete the plan of an aggregate query. MALFORMED_QUERY for fields that are neither grouped nor aggregated."""
    if not query.groups and (query.limit is not None or query.offset):
        raise malformed("Non-grouped query that uses overall aggregate functions cannot also use LIMIT")
    work = _Grouped(checker, plan.scope, query)
    having = None
    if query.having is not None:
        rows = checker.compiler(plan.scope)
        having = Compiler(checker.source, work.operand, rows.ids_of, rows.today, rows.zone).test(query.having)
    plan.grouping = Grouping(tuple(work.keys), tuple(work.columns()), having)
    plan.orders = [sort_key(work.operand(order.term), order) for order in query.orders]


class _Grouped:
    """What terms mean over groups."""

    def __init__(self, checker: Checker, scope: Scope, query: Query) -> None:
        self._checker = checker
        self._scope = scope
        self._query = query
        self._places: dict[Key, int] = {}
        self._operands: list[Operand] = []
        for term in query.groups:
            operand = checker.operand(scope, term)
            self._need_groupable(term, operand)
            self._places.setdefault(self._key(term), len(self._operands))
            self._operands.append(operand)

    @property
    def keys(self) -> list[Read]:
        """How the key of a row's group is read."""
        return [operand.read for operand in self._operands]

    def columns(self) -> list[tuple[str, Read]]:
        """The shown columns by name; aggregates without an alias are expr0, expr1 …"""
        named: dict[str, Read] = {}
        nameless = 0
        for entry in self._query.selected:
            if not isinstance(entry.term, Name | Function):
                raise malformed("Grouped queries cannot select FIELDS() or sub-selects")
            operand = self.operand(entry.term)
            name = entry.alias
            if name is None and isinstance(entry.term, Name):
                name = self._scope.column(entry.term).field.name
            elif name is None:
                name, nameless = f"expr{nameless}", nameless + 1
            if name in named:
                raise malformed(f"duplicate alias: {name}")
            named[name] = operand.read
        return list(named.items())

    def operand(self, term: Term) -> Operand:
        """A grouped term or an aggregate, as it is read from a group."""
        if isinstance(term, Function) and term.name in AGGREGATES:
            return self._aggregate(term)
        place = self._places.get(self._key(term))
        if place is None:
            text = f"Field must be grouped or aggregated: {term.text}"
            raise placed("MALFORMED_QUERY", text, self._checker.source, term.start)
        held = self._operands[place]
        return Operand(lambda group: group.key[place], held.kind, held.label, term.start)

    def _aggregate(self, term: Function) -> Operand:
        if term.argument is None:
            raise malformed("COUNT() must be the only element of a query")
        column = self._scope.column(term.argument)
        kind = kind_of(column.field)
        unfit = term.name in ("SUM", "AVG") and kind != "number"
        unfit = unfit or (term.name in ("MIN", "MAX") and kind in ("boolean", "multi", "other"))
        if unfit or column.field.long_text or column.field.type in ("address", "location", "base64"):
            text = f"field {column.field.name} does not support aggregate operator {term.name}"
            raise placed("MALFORMED_QUERY", text, self._checker.source, term.start)
        operand = Operand(self._scope.reader(column), kind, term.text, term.start)
        shown = kind if term.name in ("MIN", "MAX") else "number"
        return Operand(aggregate(term.name, operand), shown, term.text, term.start)

    def _key(self, term: Term) -> Key:
        if isinstance(term, Name):
            return self._scope.column(term).names
        name = term.argument
        return (term.name,) if name is None else (term.name, *self._scope.column(name).names)

    def _need_groupable(self, term: Term, operand: Operand) -> None:
        name = term if isinstance(term, Name) else term.argument
        field = None if name is None else self._scope.column(name).field
        loose = isinstance(term, Name) and operand.kind in UNGROUPABLE
        if field is None or field.long_text or loose:
            text = f"field '{operand.label}' can not be grouped in a query call"
            raise placed("MALFORMED_QUERY", text, self._checker.source, operand.start)
