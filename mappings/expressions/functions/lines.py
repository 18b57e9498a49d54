"""Functions over the lines of a record. Their argument is evaluated once per line."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from integrations.connector import Value
from mappings.expressions.errors import MappingError
from mappings.expressions.functions.arguments import need_number
from mappings.expressions.messages import _
from mappings.expressions.operators import truth
from mappings.expressions.registry import function
from mappings.expressions.values import CONTEXT, MAX_TEXT, bounded, is_blank, text_of

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


@function(
    "count_lines(condition)",
    "count_lines(row.Total > 500)",
    Decimal(1),
    group=_GROUP,
    arguments=(1, 1),
    form="lines",
)
def count_lines(values: Sequence[Value]) -> Value:
    """How many lines the condition holds for; `count_lines(True)` counts all."""
    return Decimal(sum(truth(value) for value in values))


@function(
    "list_lines(value)", "list_lines(row.ArticleNumber)", "A-1, A-2", group=_GROUP, arguments=(1, 1), form="lines"
)
def list_lines(values: Sequence[Value]) -> Value:
    """The different values of all lines in one text, in order; empty ones are left out."""
    texts = list(dict.fromkeys(text_of(value) for value in values if not is_blank(value)))
    if sum(map(len, texts)) + 2 * len(texts) > MAX_TEXT:
        raise MappingError(_("The text is longer than 64 KB"), _("Shorten its parts with truncate()."))
    return ", ".join(texts)
