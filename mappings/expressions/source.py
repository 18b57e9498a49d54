"""The source text of an expression: parsing within bounds, positions, and constants read from their text.

The invariant: a tree leaves here only if its length, number of nodes and depth are within the limits.
"""

from __future__ import annotations

import ast
import decimal
import warnings
from decimal import Decimal

from django.utils.translation import gettext as _

from integrations.connector import Value
from mappings.expressions.errors import ExpressionError, MappingError
from mappings.expressions.values import bounded

MAX_SOURCE = 2_000
MAX_NODES = 200
MAX_DEPTH = 20


class SourceText:
    """One source text."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._shift = 0

    def parse(self) -> ast.expr:
        """The tree, if it is one expression of acceptable size."""
        if not self.source.strip():
            raise ExpressionError(_("The expression is empty"), None, _("Write a field, such as customer.Name"))
        if len(self.source) > MAX_SOURCE:
            raise ExpressionError(
                _("The expression is longer than %(limit)d characters") % {"limit": MAX_SOURCE}, MAX_SOURCE
            )
        # Parentheses let an expression span lines; the closing one is on its own line because of comments.
        text, self._shift = f"({self.source}\n)", 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise self._syntax_error(error) from None
        except (ValueError, RecursionError, MemoryError):
            raise ExpressionError(_("The expression cannot be read"), None) from None
        self._measure(tree)
        return tree

    def _syntax_error(self, error: SyntaxError) -> ExpressionError:
        lines = f"({self.source}\n)".splitlines(keepends=True)
        before = sum(len(line) for line in lines[: (error.lineno or 1) - 1])
        position = min(max(before + (error.offset or 1) - 1 - self._shift, 0), len(self.source) - 1)
        return ExpressionError(
            _("The expression is not complete or not well-formed"),
            position,
            _('Expected one expression, such as concat(contact.firstname, " ", contact.lastname)'),
        )

    def _measure(self, tree: ast.expr) -> None:
        count = 0
        level: list[ast.expr] = [tree]
        for depth in range(MAX_DEPTH + 1):
            if not level:
                return
            if depth == MAX_DEPTH:
                raise ExpressionError(
                    _("The expression is nested deeper than %(limit)d levels") % {"limit": MAX_DEPTH},
                    self.at(level[0]),
                    _("Join many parts with concat() instead of +"),
                )
            count += len(level)
            if count > MAX_NODES:
                raise ExpressionError(
                    _("The expression has more than %(limit)d parts") % {"limit": MAX_NODES},
                    self.at(level[0]),
                )
            level = [c for node in level for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]

    def at(self, node: ast.AST, *, own_name: bool = False) -> int:
        """The character a node begins at; with `own_name`, where the name of an attribute begins."""
        lines = f"({self.source}\n)".splitlines(keepends=True)
        row, column = getattr(node, "lineno", 1) - 1, getattr(node, "col_offset", 0)
        if own_name and isinstance(node, ast.Attribute):
            row, column = (node.end_lineno or 1) - 1, (node.end_col_offset or 0) - len(node.attr.encode())
        inside = len(lines[row].encode()[:column].decode(errors="ignore")) if row < len(lines) else 0
        return max(sum(len(line) for line in lines[:row]) + inside - self._shift, 0)

    def error(self, node: ast.AST, message: str, expected: str = "", *, own_name: bool = False) -> ExpressionError:
        """An error that points at a node."""
        return ExpressionError(message, self.at(node, own_name=own_name), expected)

    def literal(self, node: ast.expr) -> Value:
        """The value of a constant; numbers are read from their text, never through float."""
        sign = 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            node, sign = node.operand, -1
        if not isinstance(node, ast.Constant):
            raise self.error(node, _("A constant was expected here"), _("Write text in quotes or a number"))
        value = node.value
        if value is None or isinstance(value, (bool, str)):
            if sign < 0:
                raise self.error(node, _("Only numbers can be negative"))
            return value
        if isinstance(value, (int, float)):
            return self._number(node) * sign
        raise self.error(node, _("This kind of constant is not part of the language"))

    def _number(self, node: ast.Constant) -> Decimal:
        text = ast.get_source_segment(f"({self.source}\n)", node) or ""
        try:
            return bounded(Decimal(text.replace("_", "")))
        except (decimal.DecimalException, MappingError):
            raise self.error(
                node, _("This number cannot be used"), _("Write it with digits and a decimal point, at most 40 digits")
            ) from None
