"""The registered functions: documented examples, edges, refusals."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from mappings.expressions import MappingError, compile_expression, table_of
from mappings.expressions.functions import FUNCTIONS
from mappings.expressions.registry import EXAMPLE_LINE_PART, EXAMPLE_LINES, EXAMPLE_PARTS, EXAMPLE_TABLES
from tests.mappings.world import expression, value_of

EXAMPLE_NAMES = {part: frozenset(fields) for part, fields in EXAMPLE_PARTS.items()} | {
    EXAMPLE_LINE_PART: frozenset(EXAMPLE_LINES[0])
}
WANTED = {
    "trim", "upper", "lower", "default", "concat", "split", "replace", "regex_extract", "lookup", "date",
    "datetime_utc", "decimal", "round", "percent", "bool", "country", "language", "currency", "orgnr", "vat_number",
    "phone", "domain", "email_domain", "first_of", "truncate", "length", "starts_with", "contains", "sum_lines",
    "first_line", "abs", "min", "max", "join", "count_lines", "list_lines", "plain", "matches", "is_orgnr",
}  # fmt: skip


def test_exactly_the_agreed_functions_are_registered() -> None:
    assert set(FUNCTIONS) == WANTED


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_the_documented_example_gives_the_documented_result(name: str) -> None:
    function = FUNCTIONS[name]
    compiled = compile_expression(function.example, EXAMPLE_NAMES, EXAMPLE_TABLES, lines=EXAMPLE_LINE_PART)
    found = compiled.evaluate(EXAMPLE_PARTS, EXAMPLE_TABLES, EXAMPLE_LINES)  # type: ignore[arg-type]
    assert found == function.result
    assert type(found) is type(function.result)
    assert function.name in function.example
    assert function.summary.endswith(".")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("trim(None)", None),
        ("plain(None)", None),
        ("plain('\\tA\\x00 b\\n')", "A b"),
        ("plain('§ 2, 5 °C, Acme™ \\u2764\\ufe0f\\U0001f1f8\\U0001f1ea')", "§ 2, 5 °C, Acme™"),
        ("plain('A\\u030angstro\\u0308m')", "Ångström"),
        ("matches(None, 'a')", False),
        ("matches('ab', 'a')", False),
        ("matches('a\\n', 'a')", False),
        ("matches('b', 'a|b')", True),
        ("is_orgnr(None)", False),
        ("is_orgnr('556016-0681')", False),
        ("country(None)", None),
        ("language(None)", None),
        ("currency('')", None),
        ("orgnr(None)", None),
        ("vat_number(None)", None),
        ("phone(None)", None),
        ("domain(None)", None),
        ("email_domain(None)", None),
        ("datetime_utc(None)", None),
        ("abs(None)", None),
        ("starts_with('Lund', 'lu')", True),
        ("date(datetime_utc('2026-11-21'))", date(2026, 11, 21)),
        ("datetime_utc(datetime_utc('2026-11-21'))", datetime(2026, 11, 21, tzinfo=UTC)),
        ("date(date('2026-11-21'))", date(2026, 11, 21)),
        ("date('0001-01-01T00:00:00+10:00')", date(1, 1, 1)),
        ("upper(None)", None),
        ("truncate(None, 3)", None),
        ("round(None)", None),
        ("round(2.5)", Decimal(3)),
        ("round(-2.5)", Decimal(-3)),
        ("round(1.005, 2)", Decimal("1.01")),
        ("decimal('1 234,50')", Decimal("1234.50")),
        ("decimal('1\u00a0234.5')", Decimal("1234.5")),
        ("decimal('\u2212 5')", Decimal(-5)),
        ("decimal(None)", None),
        ("decimal('')", None),
        ("bool('NEJ')", False),
        ("bool(1)", True),
        ("bool(False)", False),
        ("bool(None)", None),
        ("date('2026-11-21T23:30:00+01:00')", date(2026, 11, 21)),
        ("date('2026-11-21T00:30:00+01:00')", date(2026, 11, 20)),
        ("date(None)", None),
        ("datetime_utc('2026-11-21T10:00:00Z')", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("datetime_utc(date('2026-03-29'))", datetime(2026, 3, 29, tzinfo=UTC)),
        ("split('a,b,c', ',', -1)", "c"),
        ("split('a,b,c', ',', 9)", None),
        ("split(None, ',', 1)", None),
        ("replace('aXb', 'X', None)", "ab"),
        ("replace(None, 'a', 'b')", None),
        ("concat(1.50, ' ', True, ' ', date('2026-01-02'))", "1.50 true 2026-01-02"),
        ("concat(None, '')", ""),
        ("join(', ', 'a', None, '', 'b')", "a, b"),
        ("first_of(None, '', 0)", Decimal(0)),
        ("first_of(None)", None),
        ("default(0, 5)", Decimal(0)),
        ("length(None)", Decimal(0)),
        ("starts_with(None, 'a')", False),
        ("contains('Åkers', 'åk')", True),
        ("min(3, None, 2)", Decimal(2)),
        ("max(None)", None),
        ("abs(-3)", Decimal(3)),
        ("country('se')", "SE"),
        ("country('United Kingdom')", "GB"),
        ("country('Norge')", "NO"),
        ("country('Korea, Republic of')", "KR"),
        ("language('EN')", "en"),
        ("language('sv-SE')", "sv"),
        ("currency('sek')", "SEK"),
        ("orgnr('165560160680')", "556016-0680"),
        ("orgnr('SE556016068001')", "556016-0680"),
        ("vat_number('se556016068001')", "SE556016068001"),
        ("phone('0046 8 123 45 67')", "+4681234567"),
        ("phone('+46 (0)70-123 45 67')", "+46701234567"),
        ("phone('22 12 34 56', '47')", "22123456"),
        ("domain('info@Example.se')", "example.se"),
        ("domain('http://www.example.se:8080/x?y')", "example.se"),
        ("domain('anna@gmail.com')", None),
        ("domain('not a domain')", None),
        ("domain('www.åkersjärn.se')", "xn--kersjrn-2za0o.se"),
        ("email_domain('anna@hotmail.com')", None),
        ("email_domain('www.example.se')", None),
        ("regex_extract('no match', '[0-9]+')", None),
        ("regex_extract(None, '[0-9]+')", None),
        ("percent(1, 3) > 33.33", True),
    ],
)
def test_edges(source: str, expected: object) -> None:
    found = value_of(source)
    if source.startswith("domain('www.å"):
        assert str(found).startswith("xn--")
        return
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "source",
    [
        "trim(1)", "upper(True)", "length(1)", "truncate('a', -1)", "truncate('a', 1.5)", "truncate('a', None)",
        "split('a', '', 1)", "split('a', ',', 0)", "replace('a', '', 'b')", "join(1, 'a')", "round('1')",
        "round(1, 11)", "round(9999999999999999999999999999999, 10)", "percent(1, 0)", "percent(None, 1)",
        "decimal('1.234,5')", "decimal('1e5')", "decimal('abc')", "decimal(True)", "decimal('NaN')", "min('a')",
        "bool('perhaps')", "bool(2)", "date('21/11/2026')", "date(5)", "datetime_utc('soon')", "country('Narnia')",
        "language('Klingon')", "currency('KR')", "orgnr('556016-0681')", "orgnr('0000000000')", "vat_number('SE1')",
        "vat_number('XX123')", "phone('call me')", "phone('0812345', 'x')", "domain(1)", "country(1)",
    ],
)  # fmt: skip
def test_a_value_a_function_cannot_read_is_refused_with_a_remedy(source: str) -> None:
    with pytest.raises(MappingError) as caught:
        value_of(source)
    assert str(caught.value.message)
    assert str(caught.value.remedy)


def test_replace_cannot_grow_text_without_bound() -> None:
    with pytest.raises(MappingError, match="64 KB"):
        value_of("replace(customer.x, 'a', customer.x)", x="a" * 2000)


def test_concat_cannot_grow_text_without_bound() -> None:
    with pytest.raises(MappingError, match="64 KB"):
        value_of("concat(customer.x, customer.x)", x="a" * 40_000)


@pytest.mark.parametrize("key", ["INVOICE", " invoice ", "Invoice"])
def test_lookup_ignores_case_and_spaces(key: str) -> None:
    tables = {"T": table_of("T", {"invoice": "Faktura"})}
    assert value_of('lookup(customer.x, "T")', tables, x=key) == "Faktura"


def test_lookup_of_numbers_ignores_trailing_zeros() -> None:
    tables = {"T": table_of("T", {"25": "high"})}
    assert value_of('lookup(customer.x, "T")', tables, x=Decimal("25.00")) == "high"


@pytest.mark.parametrize(
    ("policy", "default", "expected"), [("default", "other", "other"), ("pass", "", "x"), ("default", "", "")]
)
def test_unmapped_values_follow_the_policy(policy: str, default: str, expected: str) -> None:
    tables = {"T": table_of("T", {}, policy, default)}  # type: ignore[arg-type]
    assert value_of('lookup(customer.x, "T")', tables, x="x") == expected


def test_an_unmapped_value_blocks_and_says_what_to_add() -> None:
    with pytest.raises(MappingError) as caught:
        value_of('lookup(customer.x, "VAT")', {"VAT": table_of("VAT", {})}, x="MOMS 25")
    assert caught.value.code == "unmapped_value"
    assert caught.value.value == "MOMS 25"
    assert "Add “MOMS 25” to the value map “VAT”" in str(caught.value.remedy)


def test_nothing_is_looked_up_as_nothing_unless_the_table_translates_it() -> None:
    assert value_of('lookup(customer.x, "T")', {"T": table_of("T", {})}, x=None) is None
    assert value_of('lookup(customer.x, "T")', {"T": table_of("T", {"": "none"})}, x=None) == "none"
    assert value_of('lookup(customer.x, "T")', {"T": table_of("T", {}, "default", "d")}, x="") == "d"


def test_first_line_takes_the_first_line_with_a_value() -> None:
    lines = [{"A": None}, {"A": ""}, {"A": "x"}, {"A": "y"}]
    assert expression("first_line(row.A)", lines="row").evaluate({}, {}, lines) == "x"
    assert expression("first_line(row.A)", lines="row").evaluate({}, {}, []) is None
    assert expression("sum_lines(1)", lines="row").evaluate({}, {}, lines) == 4


def test_every_function_is_explained_in_words_that_can_be_translated() -> None:
    from mappings.expressions.summaries import SUMMARIES

    assert {found.summary for found in FUNCTIONS.values()} == set(SUMMARIES)
