"""What the expression language accepts, refuses, and gives."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils.functional import Promise

from mappings.expressions import ExpressionError, MappingError, compile_expression, table_of
from tests.mappings.world import expression, value_of

NAMES = {"customer": frozenset({"Name", "City", "@url"}), "setup": None}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("customer.Name", "Ada"),
        ('customer["Name"]', "Ada"),
        ("customer.Missing", None),
        ("1 + 2 * 3", Decimal(7)),
        ("0.1 + 0.2", Decimal("0.3")),
        ("1_000.50", Decimal("1000.50")),
        ("10 / 4", Decimal("2.5")),
        ("7 % 4", Decimal(3)),
        ("-customer.Amount", Decimal("-12.50")),
        ("+customer.Amount", Decimal("12.50")),
        ('"a" + "b"', "ab"),
        ('"AMOUNT" if customer.Amount > 10 else "PERCENT"', "AMOUNT"),
        ("customer.Empty or customer.Name", "Ada"),
        ("customer.Name and customer.Amount", Decimal("12.50")),
        ("not customer.Empty", True),
        ("1 < customer.Amount <= 12.5", True),
        ("1 < customer.Amount < 2", False),
        ('customer.Name in ("Ada", "Eva")', True),
        ('customer.Name not in ["Eva"]', True),
        ("customer.Amount in (-1, 12.50)", True),
        ("customer.Empty is None", True),
        ("customer.Name is not None", True),
        ('customer.Blank == ""', True),
        ("customer.Blank == None", True),
        ("customer.Day < date('2027-01-01')", True),
        ("True", True),
        ("None", None),
        ("concat(\n  customer.Name,  # first\n  '!'\n)", "Ada!"),
        (" customer.Name ", "Ada"),
        ("customer.Group.inner", "deep"),
        ('customer.Group["inner"]', "deep"),
        ("customer.Group.none.at_all", None),
    ],
)
def test_an_expression_gives_its_value(source: str, expected: object) -> None:
    found = value_of(
        source, Name="Ada", Amount=Decimal("12.50"), Empty=None, Blank="", Day=date(2026, 1, 1), Group={"inner": "deep"}
    )
    assert found == expected
    assert type(found) is type(expected)


def test_a_missing_part_reads_as_nothing() -> None:
    assert expression("invoice.Total").evaluate({}, {}) is None


def test_setup_may_be_read_by_a_computed_key() -> None:
    stages = table_of("Stage", {"paid": "stage_paid"})
    compiled = compile_expression('setup[lookup(customer.Name, "Stage")]', NAMES, {"Stage"})
    parts = {"customer": {"Name": "paid"}, "setup": {"stage_paid": "77"}}
    assert compiled.evaluate(parts, {"Stage": stages}) == "77"
    assert compiled.reads == {("customer", "Name")}


def test_the_fields_an_expression_reads_are_known_without_running_it() -> None:
    compiled = expression('customer.A if customer["B"] else concat(invoice.C)')
    assert compiled.reads == {("customer", "A"), ("customer", "B"), ("invoice", "C")}


def test_lines_are_read_through_line_functions_only() -> None:
    assert expression("sum_lines(row.Total)", lines="row").evaluate(
        {}, {}, [{"Total": Decimal(2)}, {"Total": Decimal("3.5")}, {"Total": None}]
    ) == Decimal("5.5")
    with pytest.raises(ExpressionError, match="once per line"):
        expression("row.Total", lines="row")
    with pytest.raises(ExpressionError, match="no lines"):
        expression("sum_lines(row.Total)")
    with pytest.raises(ExpressionError, match="no lines"):
        expression("sum_lines(sum_lines(row.Total))", lines="row")


REFUSED = [
    ("customer.Nmae", 9, "Did you mean “Name”"),
    ('customer["Nmae"]', 9, "Did you mean “Name”"),
    ("custmer.Name", 0, "Did you mean “customer”"),
    ("trimm(customer.Name)", 0, "Did you mean “trim”"),
    ("zzzzzz", 0, "Known names: customer, setup"),
    ("customer", 0, "is a part of the record"),
    ("trim", 0, "is a function"),
    ("concat(customer.Name, trim())", 22, "takes 1 arguments, not 0"),
    ("trim(customer.Name, 1)", 0, "takes 1 arguments, not 2"),
    ("trim(text=customer.Name)", 10, "no names here"),
    ("concat(*customer.Name)", 7, "not part of the language"),
    ("2 ** 9", 0, "not part of the language"),
    ("1 | 2", 0, "not part of the language"),
    ("~1", 0, "not part of the language"),
    ('f"{customer.Name}"', 0, "not part of the language"),
    ("[c for c in customer]", 0, "not part of the language"),
    ("lambda: 1", 0, "not part of the language"),
    ("(x := 1)", 1, "not part of the language"),
    ("{}", 0, "not part of the language"),
    ("(1, 2)", 0, "not part of the language"),
    ("b'x'", 0, "kind of constant"),
    ("1j", 0, "kind of constant"),
    ("...", 0, "kind of constant"),
    ("1e400", 0, "number cannot be used"),
    ("0x10", 0, "number cannot be used"),
    ("9" * 41, 0, "number cannot be used"),
    ("customer.__class__", 9, "is not a field"),
    ('customer["__class__"]', 9, "is not a field"),
    ("customer.Name.__class__", 14, "is not a field"),
    ("customer.Name.upper()", 0, "Only functions by name"),
    ('"".join', 0, "Only fields have parts"),
    ("trim(customer.Name).x", 0, "Only fields have parts"),
    ("customer[customer.Name]", 9, "must be named, not computed"),
    ("customer[0]", 9, "field name in quotes"),
    ("customer.Name is 1", 17, "None only"),
    ('customer.Name in "abc"', 17, "list of constants"),
    ("customer.Name in (customer.City,)", 18, "constant was expected"),
    ("1 < 2 in (3,)", 9, "cannot be chained"),
    ('lookup(customer.Name, "Stagge")', 22, "Unknown value map"),
    ("lookup(customer.Name, customer.City)", 22, "constant was expected"),
    ('regex_extract(customer.Name, "(")', 29, "“)” is missing"),
    ("regex_extract(customer.Name, customer.City)", 29, "constant was expected"),
    ("today()", 0, "Unknown function"),
    ("1 +", 2, "not complete"),
    ("", None, "empty"),
    ("   ", None, "empty"),
    ("-" * 30 + "1", 20, "nested deeper"),
    ("concat(" + ",".join(["1"] * 250) + ")", None, "more than 200"),
    ("'" + "a" * 2000 + "'", 2000, "longer than 2000"),
    ("customer.Name in (" + ",".join(["1"] * 101) + ")", 17, "more than 100"),
]


@pytest.mark.parametrize(("source", "position", "words"), REFUSED, ids=[source[:40] for source, *_ in REFUSED])
def test_a_mistake_is_refused_with_its_place_and_its_remedy(source: str, position: int | None, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, NAMES, {"Stage"})
    assert words in str(caught.value)
    if position is not None:
        assert caught.value.position == position
        assert f"at character {position + 1}" in str(caught.value)


@pytest.mark.parametrize(
    "source", ["(" * 1500, "[" * 1500, "not " * 450 + "1", "1" + "+1" * 900, "\0", "'\\ud800'", "if", "\ud800"]
)
def test_unreadable_source_is_refused_not_crashed_on(source: str) -> None:
    with pytest.raises((ExpressionError, MappingError)):
        compile_expression(source, NAMES).evaluate({}, {})


@pytest.mark.parametrize(
    ("source", "words", "remedy"),
    [
        ("customer.Name + customer.Empty", "empty value", "concat() or default()"),
        ("customer.Amount + customer.Empty", "empty value", "default"),
        ("customer.Amount * customer.Empty", "empty value", "default"),
        ("customer.Name + customer.Amount", "joins text with text", "concat()"),
        ('"a" * 10', "needs a number", "decimal"),
        ("True + 1", "needs a number", "decimal"),
        ("1 / 0", "Division by zero", "Guard"),
        ("1 % 0", "Division by zero", "Guard"),
        ("0 / 0", "Division by zero", "Guard"),
        ('customer.Amount == "12.50"', "Cannot compare", "Convert"),
        ("customer.Amount > customer.Empty", "empty value", "default"),
        ('customer.Amount > "a"', "Cannot compare", "Convert"),
        ("True > False", "Cannot compare", "Convert"),
        ("customer.Moment > customer.Naive", "time zone", "datetime_utc"),
        ("customer.Group", "single value", "Name one"),
        ("concat(customer.Group)", "single value", "Name one"),
        ("customer.Name.x", "nothing to look up", "Remove"),
        ("customer.List", "single value", "Name one"),
        ("customer.Infinite", "too large", "source"),
        ("1e29 * 1e29", "too large", "source"),
        ("customer.Long", "64 KB", "truncate"),
        ("customer.Huge", "too many digits", "source"),
    ],
)
def test_a_value_that_does_not_fit_is_a_mapping_error_with_a_remedy(source: str, words: str, remedy: str) -> None:
    with pytest.raises(MappingError) as caught:
        value_of(
            source, Name="Ada", Amount=Decimal("12.50"), Empty=None, Group={"a": 1}, List=[1],
            Infinite=Decimal("Infinity"), Long="x" * 70_000, Huge=10**50,
            Moment=datetime(2026, 1, 1, tzinfo=UTC), Naive=datetime(2026, 1, 1),
        )  # fmt: skip
    assert words in str(caught.value.message)
    assert remedy in str(caught.value.remedy)


@pytest.mark.parametrize("given", [1, 1.5, True])
def test_json_numbers_from_settings_become_decimals(given: Any) -> None:
    found = expression("setup.x").evaluate({"setup": {"x": given}}, {})
    assert not isinstance(found, float)
    assert found == given


def test_a_branch_not_taken_is_not_evaluated() -> None:
    assert value_of("0 if customer.Amount == 0 else 1 / customer.Amount", Amount=Decimal(0)) == 0
    assert value_of("False and 1 / 0") is False


def test_messages_speak_the_readers_language() -> None:
    with pytest.raises(MappingError) as caught:
        value_of("1 / 0")
    assert str(caught.value.message) == "Division by zero"
    assert isinstance(caught.value.message, Promise)  # translated when read, not when made


def test_a_table_that_vanished_is_reported() -> None:
    compiled = compile_expression('lookup(customer.Name, "Stage")', NAMES, {"Stage"})
    with pytest.raises(MappingError, match="no longer exists"):
        compiled.evaluate({"customer": {"Name": "x"}}, {})
