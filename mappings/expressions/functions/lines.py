"""Functions over the lines of a record. Their argument is evaluated once per line."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from integrations.connector import Value
from mappings.expressions.functions.arguments import need_number
from mappings.expressions.registry import function
from mappings.expressions.values import CONTEXT, bounded, is_blank

_GROUP = "Lines"


@function("sum_lines(number)", "sum_lines(row.Total)", Decimal("1000.40"), group=_GROUP, arguments=(1, 1), form="lines")
def sum_lines(values: Sequence[Value]) -> Value:
    """The sum over all lines; empty values count as 0."""
    total = Decimal(0)
    for value in values:
        if not is_blank(value):
            total = bounded(CONTEXT.add(total, need_number(value, "sum_lines")))
    return total


@function("first_line(value)", "first_line(row.ArticleNumber)", "A-1", group=_GROUP, arguments=(1, 1), form="lines")
def first_line(values: Sequence[Value]) -> Value:
    """The first value that is not empty, from the first line on."""
    return next((value for value in values if not is_blank(value)), None)
