"""SOQL on random conditions, against a plain reading of the same rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.salesforce.errors import SfError
from sandbox.salesforce.soql.parser import parse
from sandbox.salesforce.soql.tree import Comparison

from .salesforce_desk import Desk

TEXTS = [None, "", "a", "A", "b", "ab", "aB%", "_", "ö", "Ö'\\"]
AMOUNTS = [None, "-1", "0", "2.5", "10"]
DAYS = [None, "2025-12-31", "2026-11-20", "2026-11-21"]
FIELDS = {"Name": TEXTS, "Amount": AMOUNTS, "CloseDate": DAYS, "IsPrivate": [False, True]}
Rows = list[dict[str, Any]]


def _escaped(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _literal(field: str, value: Any) -> str:
    if value is None:
        return "null"
    if field == "Name":
        return _escaped(value)
    return str(value)


def _plain(field: str, value: Any) -> Any:
    """The value as the rules compare it."""
    if value is None or value == "":
        return None
    if field == "Amount":
        return Decimal(value)
    return value.casefold() if isinstance(value, str) else value


def _compare(sign: str, held: Any, wanted: Any) -> bool:
    if sign == "=":
        return bool(held == wanted)
    if sign == "!=":
        return bool(held != wanted)
    if held is None or wanted is None:
        return False
    return bool({"<": held < wanted, "<=": held <= wanted, ">": held > wanted, ">=": held >= wanted}[sign])


@st.composite
def _leaves(draw: st.DrawFn) -> tuple[str, Any]:
    field = draw(st.sampled_from(sorted(FIELDS)))
    if draw(st.booleans()):
        values = draw(st.lists(st.sampled_from(FIELDS[field]), min_size=1, max_size=3))
        inside = draw(st.booleans())
        wanted = {_plain(field, value) for value in values}
        text = f"{field} {'IN' if inside else 'NOT IN'} ({', '.join(_literal(field, value) for value in values)})"
        return text, lambda row: (row[field] in wanted) is inside
    signs = ["=", "!="] if field == "IsPrivate" else ["=", "!=", "<", "<=", ">", ">="]
    sign, value = draw(st.sampled_from(signs)), draw(st.sampled_from(FIELDS[field]))
    wanted_value = _plain(field, value)
    return f"{field} {sign} {_literal(field, value)}", lambda row: _compare(sign, row[field], wanted_value)


def _join(parts: list[tuple[str, Any]], sign: str) -> tuple[str, Any]:
    text = f" {sign} ".join(f"({part})" for part, _ in parts)
    tests = [test for _, test in parts]
    if sign == "AND":
        return text, lambda row: all(test(row) for test in tests)
    return text, lambda row: any(test(row) for test in tests)


def _deny(part: tuple[str, Any]) -> tuple[str, Any]:
    text, test = part
    return f"NOT ({text})", lambda row: not test(row)


CONDITIONS = st.recursive(
    _leaves(),
    lambda inner: st.one_of(
        inner.map(_deny),
        st.builds(_join, st.lists(inner, min_size=2, max_size=3), st.sampled_from(["AND", "OR"])),
    ),
    max_leaves=6,
)
ROWS = st.lists(
    st.fixed_dictionaries({field: st.sampled_from(values) for field, values in FIELDS.items()}), min_size=1, max_size=8
)
SHARED = Desk()


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, condition=CONDITIONS)
def test_any_condition_selects_what_a_plain_reading_selects(rows: Rows, condition: tuple[str, Any]) -> None:
    text, test = condition
    table = SHARED.org.table("Opportunity")
    for row in list(table.rows.values()):
        table.drop(row)
    expected = []
    for row in rows:
        stored = {**row, "Name": row["Name"] or None, "Amount": _plain("Amount", row["Amount"])}
        record_id = SHARED.put("Opportunity", **stored)
        if test({field: _plain(field, value) for field, value in row.items()}):
            expected.append(record_id)
    answer = SHARED.soql(f"SELECT Id FROM Opportunity WHERE {text} ORDER BY Id")
    assert [record["Id"] for record in answer["records"]] == expected


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=30), pattern=st.text(alphabet="ab%_\\'", max_size=6))
def test_quoted_text_survives_its_escapes(text: str, pattern: str) -> None:
    for raw in (text, pattern):
        condition = parse(f"SELECT Id FROM Account WHERE Name = {_escaped(raw)}").where
        assert isinstance(condition, Comparison)
        assert condition.value.value == raw


PIECES = (
    "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "ORDER BY", "GROUP BY", "HAVING", "LIMIT", "OFFSET",
    "NULLS", "FIRST", "DESC", "Id", "Name", "Account", "Account.Name", "Contacts", "Contact", "Amount", "COUNT()",
    "COUNT(Id)", "MAX(Amount)", "FIELDS(ALL)", "toLabel(Name)", "(", ")", ",", "=", "<", "'a'", "'\\'", "'", "5", "-1",
    "null", "true", "TODAY", "LAST_N_DAYS:3", "2026-11-21", "2026-11-21T10:00:00Z", "a", ":", "*", "\n", "é", ".",
)  # fmt: skip
SENTENCES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=8).map(lambda rest: " ".join(["SELECT Id FROM Opportunity", *rest])),
    st.lists(st.sampled_from(PIECES), max_size=6).map(
        lambda rest: " ".join(["SELECT Id FROM Opportunity WHERE Name", *rest])
    ),
)


@settings(max_examples=400, deadline=None)
@given(text=SENTENCES)
def test_any_text_is_answered_or_refused_in_words(text: str) -> None:
    try:
        answer = SHARED.soql(text)
    except SfError as error:
        assert error.status == 400
        assert error.message
    else:
        assert answer["done"] is True
