"""Which index a WHERE clause lets the query use: ids, lookups and external ids, as the service's own optimiser does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .conditions import Compiler
from .scope import Column, Scope
from .tree import Comparison, Condition, Logical, Membership, Name, Query

Candidates = Callable[[], Iterable[str]]


def narrow(condition: Condition, scope: Scope, compiler: Compiler) -> Candidates | None:
    """The ids that are left to test when an indexed field must have one of some values; None when no index helps."""
    if isinstance(condition, Logical):
        if condition.operator != "AND":
            return None
        return next((found for part in condition.parts if (found := narrow(part, scope, compiler)) is not None), None)
    if not isinstance(condition.term, Name):
        return None
    column = scope.column(condition.term)
    if not column.own or not _indexed(column, scope):
        return None
    wanted = _wanted(condition, compiler)
    return None if wanted is None else _ids(column, scope, wanted)


def _indexed(column: Column, scope: Scope) -> bool:
    table = scope.org.table(scope.object.name)
    name = column.field.name
    if column.field.type == "id":
        return True
    return name in table.children or (name in table.keyed and not scope.include_deleted)


def _wanted(condition: Comparison | Membership, compiler: Compiler) -> list[str] | None:
    """The values an indexed field must have one of; None when the condition does not say so, or allows null."""
    if isinstance(condition, Comparison):
        if condition.operator != "=" or condition.value.kind == "period":
            return None
        values = [condition.value]
    elif condition.operator != "IN":
        return None
    elif isinstance(condition.values, Query):
        return list(compiler.ids_of(condition.values))
    else:
        values = list(condition.values)
    operand = compiler.operand(condition.term)
    found = [compiler.literal(operand, value) for value in values]
    return None if any(value is None for value in found) else found


def _ids(column: Column, scope: Scope, wanted: list[str]) -> Candidates:
    table = scope.org.table(scope.object.name)
    name = column.field.name
    if column.field.type == "id":
        return lambda: wanted
    if name in table.children:
        return lambda: [key for value in wanted for key in table.children[name].get(value, ())]
    return lambda: [key for value in wanted for key in table.holders(name, value)]
