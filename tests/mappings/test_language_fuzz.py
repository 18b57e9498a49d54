"""The language under random source and data: no escape, no float, no unbounded work (SEC-16)."""

from __future__ import annotations

import string
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.expressions import ExpressionError, MappingError, compile_expression, table_of
from mappings.expressions.functions import FUNCTIONS

NAMES = {"customer": frozenset({"Name", "Amount", "Day", "Empty"}), "row": frozenset({"Total"}), "setup": None}
TABLES = {"T": table_of("T", {"a": "b"}, "pass")}

values = st.one_of(
    st.none(), st.booleans(), st.text(max_size=50), st.decimals(allow_nan=True, allow_infinity=True),
    st.dates(), st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.integers(), st.floats(),
)  # fmt: skip
leaves = st.one_of(
    st.sampled_from([
        "customer.Name", "customer.Amount", "customer.Day", "customer.Empty", 'customer["Name"]', "setup.anything",
        "setup.group.key", "None", "True", "False", "0", "1.5", "-3", "1e29", '""', '"a"', '"%s{0.__class__}"',
    ]),
    st.integers(-(10**6), 10**6).map(str),
    st.text(string.printable, max_size=20).map(repr),
)  # fmt: skip


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    call = st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.lists(inner, min_size=1, max_size=3))
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "==", "<", "and", "or"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        call.map(lambda t: f"{t[0]}({', '.join(t[1])})"),
        inner.map(lambda source: f"sum_lines({source} or row.Total)"),
        inner.map(lambda source: f"(not {source})"),
        inner.map(lambda source: f'({source} in ("a", 1, None))'),
        inner.map(lambda source: f'lookup({source}, "T")'),
        inner.map(lambda source: f'regex_extract({source}, "(a*)*b|[^c]+?")'),
        inner.map(lambda source: f"setup[{source}]"),
    )


expressions = st.recursive(leaves, _compound, max_leaves=12)


@settings(max_examples=600, deadline=None)
@given(expressions, st.fixed_dictionaries(dict.fromkeys(("Name", "Amount", "Day", "Empty"), values)), values)
def test_every_accepted_expression_gives_a_value_or_a_mapping_error(
    source: str, customer: dict[str, Any], setting: Any
) -> None:
    try:
        compiled = compile_expression(source, NAMES, TABLES, lines="row")
    except ExpressionError as error:
        assert error.position is None or 0 <= error.position <= len(source)
        return
    parts: Any = {"customer": customer, "setup": {"anything": setting, "group": {"key": setting}}}
    started = time.thread_time()
    try:
        found = compiled.evaluate(parts, TABLES, [{"Total": setting}] * 3)
    except MappingError as error:
        assert str(error.message)
    else:
        assert found is None or type(found) in (str, Decimal, bool, date, datetime)
        assert not isinstance(found, str) or len(found) <= 65_536
        assert not isinstance(found, Decimal) or found.is_finite()
    assert time.thread_time() - started < 2


@settings(max_examples=600, deadline=None)
@given(st.text(string.printable + "åäö€𝔘", max_size=80))
def test_any_text_is_accepted_or_refused_with_a_reason(source: str) -> None:
    try:
        compiled = compile_expression(source, NAMES, TABLES, lines="row")
    except ExpressionError as error:
        assert str(error)
    else:
        assert {part for part, _field in compiled.reads} <= set(NAMES)


ATTACKS = [
    "().__class__.__bases__[0].__subclasses__()",
    "customer.__class__",
    "customer.Name.__class__.__mro__",
    'customer["__class__"]',
    'setup["__class__"]',
    "setup.__init__.__globals__",
    "''.format(customer)",
    "'{0.__class__}'.format(customer)",
    "'%s' % customer.Name",
    "f'{customer}'",
    "getattr(customer, 'x')",
    "__import__('os')",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd')",
    "globals()",
    "lambda: 1",
    "(lambda f: f(f))(lambda f: f(f))",
    "[x for x in (1,)]",
    "{x: 1 for x in (1,)}",
    "(yield)",
    "await x",
    "(a := 1)",
    "9 ** 9 ** 9",
    "1 << 999999999",
    "'a' * 10 ** 9",
    "[0] * 10 ** 9",
    "concat.__globals__",
    "trim.__code__",
    "type(customer)",
    "breakpoint()",
    "customer.Name.encode('idna')",
    "'x'.join(('a',) * 9)",
    "...",
    "print(1)",
    "setup.items()",
    "setup.get('x')",
    "setup[concat]",
    "customer[0]",
    "customer[:]",
    "setup[1:2]",
    "*customer",
    "trim(**setup)",
    "1e1000000",
    "0x" + "f" * 1000,
]


@pytest.mark.parametrize("source", ATTACKS)
def test_an_attack_reaches_nothing(source: str) -> None:
    with pytest.raises((ExpressionError, MappingError)):
        compile_expression(source, NAMES, TABLES).evaluate({"customer": {"Name": "a"}, "setup": {}}, TABLES)


def test_data_is_read_as_data_only() -> None:
    class Trap(dict[str, Any]):
        secret = "attribute"

    parts: Any = {"customer": Trap(Name="item"), "setup": Trap(x=Trap(y="deep"))}
    assert compile_expression("customer.Name", NAMES).evaluate(parts, {}) == "item"
    assert compile_expression("setup.x.y", NAMES).evaluate(parts, {}) == "deep"
    assert compile_expression("setup.secret", NAMES).evaluate(parts, {}) is None


def test_a_format_string_is_text_like_any_other() -> None:
    assert (
        compile_expression('concat("{0.__class__} %s", customer.Name)', NAMES).evaluate(
            {"customer": {"Name": "{x}"}}, {}
        )
        == "{0.__class__} %s{x}"
    )


def test_the_largest_accepted_expression_is_fast() -> None:
    source = "concat(" + ", ".join(["upper(customer.Name)"] * 45) + ")"
    compiled = compile_expression(source, NAMES)
    started = time.thread_time()
    for _number in range(20):
        compiled.evaluate({"customer": {"Name": "a" * 1000}}, {})
    assert (time.thread_time() - started) / 20 < 0.04
