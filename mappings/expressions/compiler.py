"""From source text to a closure: parse with `ast`, refuse everything not on the list, bind the rest.

The invariant: every node of an accepted expression was recognised here by its exact type, every name, field,
function and table in it is known, and its size and depth are bounded. Errors point at the character.
"""

from __future__ import annotations

import ast
import decimal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from django.utils.translation import gettext as _

from integrations.connector import Value
from mappings.expressions import functions
from mappings.expressions.errors import ExpressionError, MappingError
from mappings.expressions.nodes import (
    call_node,
    choice_node,
    compare_node,
    constant_node,
    field_node,
    item_node,
    lines_node,
    logic_node,
    lookup_node,
    member_node,
    not_node,
    operation_node,
    unary_node,
)
from mappings.expressions.operators import BINARY, COMPARE, negate, unary_plus
from mappings.expressions.registry import Function
from mappings.expressions.scope import Node, Scope
from mappings.expressions.source import SourceText
from mappings.expressions.values import ValueTable, checked

MAX_OPTIONS = 100
OPEN_PARTS = frozenset({"setup", "setting"})
"""Parts that hold settings, not record fields: only these may be read by a computed key."""


@dataclass(frozen=True)
class Compiled:
    """An accepted expression. `reads` are the (part, field) pairs it may look at."""

    source: str
    reads: frozenset[tuple[str, str]]
    node: Node = field(repr=False, compare=False)

    def evaluate(
        self,
        parts: Mapping[str, Mapping[str, Value]],
        tables: Mapping[str, ValueTable],
        lines: Sequence[Mapping[str, Value]] = (),
    ) -> Value:
        """The value of the expression for this data; raises `MappingError`."""
        try:
            return checked(self.node(Scope(parts, tables, lines)))
        except (decimal.DecimalException, OverflowError) as error:
            raise MappingError(_("The calculation is out of bounds"), _("Check the values at their source.")) from error


def compile_expression(
    source: str,
    names: Mapping[str, frozenset[str] | None],
    tables: Collection[str] = (),
    *,
    lines: str = "",
) -> Compiled:
    """The compiled expression, or an `ExpressionError` that points at what is wrong.

    `names` are the parts and their fields (None: any field). `lines` names the part that exists once per line and is
    therefore read through `sum_lines` and `first_line` only.
    """
    builder = _Builder(source, names, tables, lines)
    node = builder.build(builder.text.parse())
    return Compiled(source, frozenset(builder.reads), node)


class _Builder:
    """Walks one tree. `line_open` is true inside `sum_lines(…)`."""

    def __init__(
        self, source: str, names: Mapping[str, frozenset[str] | None], tables: Collection[str], lines: str
    ) -> None:
        self.text = SourceText(source)
        self.names = names
        self.tables = tables
        self.lines = lines
        self.line_open = False
        self.reads: set[tuple[str, str]] = set()

    # --- building -------------------------------------------------------------------------------------------

    def build(self, node: ast.expr) -> Node:
        """The closure of one node; dispatch is by exact type, so that a new kind of node is refused."""
        method = _BUILDERS.get(type(node))
        if method is None:
            raise self.text.error(
                node,
                _("This construction is not part of the language"),
                _("Expected fields, constants, arithmetic, comparisons, conditions and functions"),
            )
        return method(self, node)

    def constant(self, node: ast.Constant) -> Node:
        """Text, numbers, True, False, None."""
        return constant_node(self.text.literal(node))

    def name(self, node: ast.Name) -> Node:
        """A bare name is always a mistake: parts need a field, functions need parentheses."""
        if node.id in self.names:
            raise self.text.error(
                node,
                _("“%(name)s” is a part of the record") % {"name": node.id},
                _("Name one of its fields: %(name)s.%(field)s")
                % {"name": node.id, "field": min(self.names[node.id] or {"field"})},
            )
        if node.id in functions.FUNCTIONS:
            raise self.text.error(
                node,
                _("“%(name)s” is a function") % {"name": node.id},
                _("Call it: %(signature)s") % {"signature": functions.FUNCTIONS[node.id].signature},
            )
        raise self._unknown_part(node)

    def _unknown_part(self, node: ast.Name) -> ExpressionError:
        known = ", ".join(sorted(self.names))
        return self.text.error(
            node,
            _("Unknown name “%(name)s”") % {"name": node.id[:50]},
            _suggest(node.id, [*self.names, *functions.FUNCTIONS]) or _("Known names: %(names)s") % {"names": known},
        )

    def attribute(self, node: ast.Attribute) -> Node:
        """`part.field`, or `part.field.key` on a field that holds settings."""
        if isinstance(node.value, ast.Name):
            return self._field(node.value, node.attr, node)
        return item_node(self._group(node.value), constant_node(self._plain(node, node.attr)))

    def subscript(self, node: ast.Subscript) -> Node:
        """`part["field"]`, or a computed key on the part that holds settings."""
        base = node.value
        if isinstance(base, ast.Name) and isinstance(node.slice, ast.Constant):
            if not isinstance(node.slice.value, str):
                raise self.text.error(node.slice, _("A field name in quotes was expected"))
            return self._field(base, node.slice.value, node.slice)
        key = self.build(node.slice)
        if isinstance(base, ast.Name):
            if base.id not in self.names:
                raise self._unknown_part(base)
            if base.id not in OPEN_PARTS:
                raise self.text.error(
                    node.slice,
                    _("A field must be named, not computed"),
                    _('Write %(part)s.field or %(part)s["field"]') % {"part": base.id},
                )
            return item_node(lambda scope, part=base.id: scope.parts.get(part), key)  # type: ignore[misc]
        return item_node(self._group(base), key)

    def _group(self, node: ast.expr) -> Node:
        if not isinstance(node, (ast.Attribute, ast.Subscript)):
            raise self.text.error(
                node, _("Only fields have parts that can be named"), _('Expected part.field or part.field["key"]')
            )
        return self.build(node)

    def _plain(self, node: ast.AST, name: str) -> str:
        if name.startswith("_"):
            raise self.text.error(
                node,
                _("“%(name)s” is not a field") % {"name": name[:50]},
                _("Fields do not begin with “_”"),
                own_name=True,
            )
        return name

    def _field(self, part: ast.Name, name: str, node: ast.AST) -> Node:
        if part.id not in self.names:
            raise self._unknown_part(part)
        self._plain(node, name)
        known = self.names[part.id]
        if known is not None and name not in known:
            raise self.text.error(
                node,
                _("Unknown field “%(field)s” in “%(part)s”") % {"field": name[:50], "part": part.id},
                _suggest(name, known) or _("It has: %(names)s") % {"names": ", ".join(sorted(known)[:12])},
                own_name=True,
            )
        if part.id == self.lines and not self.line_open:
            raise self.text.error(
                part,
                _("“%(part)s” exists once per line") % {"part": part.id},
                _("Use sum_lines(%(part)s.%(field)s) or first_line(%(part)s.%(field)s)")
                % {"part": part.id, "field": name},
            )
        self.reads.add((part.id, name))
        return field_node(part.id, name)

    def operation(self, node: ast.BinOp) -> Node:
        """`+ - * / %`."""
        run = BINARY.get(type(node.op))
        if run is None:
            raise self.text.error(node, _("This operator is not part of the language"), _("Expected one of: + - * / %"))
        return operation_node(run, self.build(node.left), self.build(node.right))

    def unary(self, node: ast.UnaryOp) -> Node:
        """`not`, `-`, `+`."""
        inner = self.build(node.operand)
        if isinstance(node.op, ast.Not):
            return not_node(inner)
        if isinstance(node.op, ast.USub):
            return unary_node(negate, inner)
        if isinstance(node.op, ast.UAdd):
            return unary_node(unary_plus, inner)
        raise self.text.error(node, _("This operator is not part of the language"), _("Expected not or -"))

    def logic(self, node: ast.BoolOp) -> Node:
        """`and`, `or`: as in Python, the deciding value is the result."""
        return logic_node(isinstance(node.op, ast.And), [self.build(value) for value in node.values])

    def choice(self, node: ast.IfExp) -> Node:
        """`a if condition else b`."""
        return choice_node(self.build(node.test), self.build(node.body), self.build(node.orelse))

    def compare(self, node: ast.Compare) -> Node:
        """`== != < <= > >=`, `in` a list of constants, `is None`."""
        left = self.build(node.left)
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            return member_node(left, self._options(node.comparators[0]), isinstance(node.ops[0], ast.NotIn))
        rights = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            if type(op) not in COMPARE:
                raise self.text.error(right, _("“in” cannot be chained"), _("Use and"))
            if isinstance(op, (ast.Is, ast.IsNot)) and not (isinstance(right, ast.Constant) and right.value is None):
                raise self.text.error(right, _("“is” compares with None only"), _("Use =="))
            rights.append((COMPARE[type(op)], self.build(right)))
        return compare_node(left, rights)

    def _options(self, node: ast.expr) -> tuple[Value, ...]:
        if not isinstance(node, (ast.Tuple, ast.List)):
            raise self.text.error(
                node,
                _("“in” needs a list of constants"),
                _('Write in ("A", "B"); for text within text use contains(text, part)'),
            )
        if len(node.elts) > MAX_OPTIONS:
            raise self.text.error(node, _("The list has more than %(limit)d values") % {"limit": MAX_OPTIONS})
        return tuple(self.text.literal(element) for element in node.elts)

    # --- calls ----------------------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> Node:
        """A registered function, with the right number of arguments and valid literals."""
        known = self._function(node)
        for keyword in node.keywords:
            raise self.text.error(keyword.value, _("Arguments have no names here"), _("Write %s") % known.signature)
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                raise self.text.error(argument, _("“*” is not part of the language"))
        if not known.minimum <= len(node.args) <= known.maximum:
            raise self.text.error(
                node,
                _("%(name)s() takes %(arity)s arguments, not %(given)d")
                % {"name": known.name, "arity": known.arity, "given": len(node.args)},
                _("Write %s") % known.signature,
            )
        self._check_literals(known, node)
        if known.form == "lines":
            return self._over_lines(known, node)
        if known.form == "lookup":
            return lookup_node(self.build(node.args[0]), self._table(node.args[1]))
        return call_node(known.call, [self.build(argument) for argument in node.args])

    def _function(self, node: ast.Call) -> Function:
        if not isinstance(node.func, ast.Name):
            raise self.text.error(
                node.func, _("Only functions by name can be called"), _("Values have no methods here")
            )
        known = functions.FUNCTIONS.get(node.func.id)
        if known is None:
            raise self.text.error(
                node.func,
                _("Unknown function “%(name)s”") % {"name": node.func.id[:50]},
                _suggest(node.func.id, functions.FUNCTIONS)
                or _("Functions: %s") % ", ".join(sorted(functions.FUNCTIONS)),
            )
        return known

    def _check_literals(self, known: Function, node: ast.Call) -> None:
        for position, check in known.literals.items():
            if position < len(node.args):
                try:
                    check(self.text.literal(node.args[position]))
                except ExpressionError:
                    raise
                except ValueError as error:
                    raise self.text.error(node.args[position], str(error)) from None

    def _table(self, node: ast.expr) -> str:
        name = self.text.literal(node)
        if not isinstance(name, str) or name not in self.tables:
            raise self.text.error(
                node,
                _("Unknown value map “%(name)s”") % {"name": str(name)[:50]},
                _suggest(str(name), self.tables)
                or (_("Value maps: %s") % ", ".join(sorted(self.tables)) if self.tables else ""),
            )
        return name

    def _over_lines(self, known: Function, node: ast.Call) -> Node:
        if not self.lines or self.line_open:
            raise self.text.error(
                node,
                _("%(name)s() has no lines to read here") % {"name": known.name},
                _("It works in header rules of objects with lines"),
            )
        self.line_open = True
        try:
            inner = self.build(node.args[0])
        finally:
            self.line_open = False
        return lines_node(known.call, inner, self.lines)


def _suggest(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    if not close:
        folded = {name.casefold(): name for name in known}
        close = [folded[word.casefold()]] if word.casefold() in folded else []
    return _("Did you mean “%(name)s”?") % {"name": close[0]} if close else ""


_BUILDERS: dict[type[ast.expr], Callable[[_Builder, Any], Node]] = {
    ast.Constant: _Builder.constant,
    ast.Name: _Builder.name,
    ast.Attribute: _Builder.attribute,
    ast.Subscript: _Builder.subscript,
    ast.BinOp: _Builder.operation,
    ast.UnaryOp: _Builder.unary,
    ast.BoolOp: _Builder.logic,
    ast.IfExp: _Builder.choice,
    ast.Compare: _Builder.compare,
    ast.Call: _Builder.call,
}
