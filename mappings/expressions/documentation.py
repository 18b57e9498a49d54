"""The text of `docs/expressions.md`: the language in one page, and every registered function with its example."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from itertools import groupby

from mappings.expressions.functions import FUNCTIONS
from mappings.expressions.registry import EXAMPLE_PARTS
from mappings.expressions.source import MAX_DEPTH, MAX_NODES, MAX_SOURCE
from mappings.expressions.values import text_of

_INTRODUCTION = """\
# Expressions

<!-- Written by `manage.py document_expressions`; change the functions, not this file. -->

A mapping says where each target field gets its value from: a field, or an expression over fields.

| write | for |
|---|---|
| `customer.Name` | a field of a part of the record; a missing part or field is empty |
| `customer["Name"]` | the same, for names that are not words |
| `setup.pipeline_fortnox_invoices`, `setup[lookup(invoice.status, "Invoice stage")]` | an id that set-up created |
| `setting.tolerance`, `default(setting.require_org_number, True)` | a setting of the flow |
| `source.account_id`, `source.position` | the account a record comes from; in line rules, the place of the line |
| `"text"`, `12.50`, `True`, `False`, `None` | constants; numbers are exact decimals |
| `+ - * / %` | arithmetic; `+` also joins two texts |
| `== != < <= > >=`, `in ("A", "B")`, `is None` | comparisons; empty text and nothing are equal |
| `and or not`, `a if condition else b` | conditions; empty, zero and no are false |
| `concat(a, b)` | one of the functions below |

Nothing else is part of the language. Values of different kinds are never mixed silently: `"25" == 25` is an error that
says how to convert. An empty value in arithmetic is an error as well; `default(x, 0)` says what it should be. There is
no “today”, because the same record and mapping must always give the same result.

Limits: {source:,} characters, {nodes} parts, {depth} levels, 64 KB of text, 40 digits.

The examples see these fields:

{fields}
"""


def document() -> str:
    """The whole page."""
    introduction = _INTRODUCTION.format(source=MAX_SOURCE, nodes=MAX_NODES, depth=MAX_DEPTH, fields=_fields())
    sections = []
    for group, functions in groupby(sorted(FUNCTIONS.values(), key=lambda f: f.group), key=lambda f: f.group):
        rows = [
            f"| `{_cell(f.signature)}` | {_cell(f.summary)} | `{_cell(f.example)}` | `{_cell(shown(f.result))}` |"
            for f in functions
        ]
        sections.append(
            "\n".join([f"## {group}", "", "| function | gives | example | result |", "|---|---|---|---|", *rows])
        )
    return introduction + "\n" + "\n\n".join(sections) + "\n"


def _fields() -> str:
    rows = ["| field | value |", "|---|---|"]
    for part, fields in EXAMPLE_PARTS.items():
        rows += [f"| `{part}.{name}` | `{shown(value)}` |" for name, value in fields.items()]
    return "\n".join(rows)


def shown(value: object) -> str:
    """A result as the page writes it."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (Decimal, date, datetime)):
        return text_of(value)
    return "nothing"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
