"""The closures that an expression is made of. Each takes the scope and gives a value; none touches an attribute.

Field look-up reads dictionaries only (`Mapping.get`), which is why no object behind the data can be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from integrations.connector import Value
from mappings.expressions.errors import MappingError
from mappings.expressions.messages import _, say
from mappings.expressions.operators import Binary, member, truth
from mappings.expressions.scope import Node, Scope
from mappings.expressions.values import checked, kind


def constant_node(value: Value) -> Node:
    """Always the same value."""
    return lambda scope: value


def field_node(part: str, name: str) -> Node:
    """`part.name`; a missing part or field is None."""

    def run(scope: Scope) -> object:
        found = scope.parts.get(part)
        if found is None:
            return None
        value = found.get(name)
        return value if isinstance(value, Mapping) else checked(value)

    return run


def item_node(base: Node, key: Node) -> Node:
    """`base[key]` on a group of values; a missing group or key is None."""

    def run(scope: Scope) -> object:
        group, name = base(scope), key(scope)
        if group is None:
            return None
        if not isinstance(group, Mapping):
            raise MappingError(
                say(_("There is nothing to look up in %(kind)s"), {"kind": kind(group)}),
                _("Remove the part after the field."),
            )
        if name is None:
            return None
        if not isinstance(name, str):
            raise MappingError(say(_("The key must be text, not %(kind)s"), {"kind": kind(name)}), "")
        value = group.get(name)
        return value if isinstance(value, Mapping) else checked(value)

    return run


def operation_node(operation: Binary, left: Node, right: Node) -> Node:
    """`left operation right`."""
    return lambda scope: operation(left(scope), right(scope))


def unary_node(operation: Callable[[object], object], inner: Node) -> Node:
    """`-inner`, `+inner`."""
    return lambda scope: operation(inner(scope))


def not_node(inner: Node) -> Node:
    """`not inner`."""
    return lambda scope: not truth(inner(scope))


def logic_node(conjunction: bool, nodes: Sequence[Node]) -> Node:
    """`and` / `or`: evaluates from the left until the outcome is known."""
    *first, last = nodes

    def run(scope: Scope) -> object:
        for node in first:
            value = node(scope)
            if truth(value) != conjunction:
                return value
        return last(scope)

    return run


def choice_node(test: Node, body: Node, otherwise: Node) -> Node:
    """`body if test else otherwise`; only the chosen branch is evaluated."""
    return lambda scope: body(scope) if truth(test(scope)) else otherwise(scope)


def compare_node(left: Node, rights: Sequence[tuple[Callable[[object, object], bool], Node]]) -> Node:
    """`left < a < b …`."""

    def run(scope: Scope) -> object:
        value = left(scope)
        for compare, right in rights:
            other = right(scope)
            if not compare(value, other):
                return False
            value = other
        return True

    return run


def member_node(inner: Node, options: tuple[Value, ...], negated: bool) -> Node:
    """`inner in (…)`."""
    return lambda scope: member(inner(scope), options) != negated


def call_node(call: Callable[..., object], arguments: Sequence[Node]) -> Node:
    """A function applied to single values; groups never reach a function."""

    def run(scope: Scope) -> object:
        return checked(call(*[checked(argument(scope)) for argument in arguments]))

    return run


def lookup_node(inner: Node, table: str) -> Node:
    """`lookup(inner, "table")`."""

    def run(scope: Scope) -> object:
        value = checked(inner(scope))
        found = scope.tables.get(table)
        if found is None:
            raise MappingError(
                say(_("The value map “%(table)s” no longer exists"), {"table": table}),
                _("Create the value map again, or change the expression."),
                code="value_map_missing",
            )
        return found.look_up(value)

    return run


def lines_node(call: Callable[..., object], inner: Node, part: str) -> Node:
    """`sum_lines(inner)` and its like: the inner expression once per line."""

    def run(scope: Scope) -> object:
        return checked(call([checked(inner(scope.at_line(part, line))) for line in scope.lines]))

    return run
