"""Typing mapped values for the target field."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.connector import FieldSchema, FieldType, Option
from mappings.coercion import coerce
from mappings.expressions import MappingError
from mappings.merge import same

STOCKHOLM = timezone(timedelta(hours=1))
CURRENCY = (Option("SEK", "kronor"), Option("USD", "dollar"))


@pytest.mark.parametrize(
    ("given_value", "options", "expected"),
    [
        (Decimal("12.50"), {}, "12.50"),
        (True, {}, "true"),
        (date(2026, 1, 2), {}, "2026-01-02"),
        (datetime(2026, 1, 2, 3, tzinfo=STOCKHOLM), {}, "2026-01-02T02:00:00Z"),
        ("", {}, None),
        (None, {}, None),
        ("12.345", {"type": FieldType.NUMBER, "decimals": 2}, Decimal("12.35")),
        (Decimal("-0.005"), {"type": FieldType.NUMBER, "decimals": 2}, Decimal("-0.01")),
        (Decimal("1E+3"), {"type": FieldType.NUMBER, "decimals": 0}, Decimal(1000)),
        ("1", {"type": FieldType.BOOLEAN}, True),
        ("nej", {"type": FieldType.BOOLEAN}, False),
        (Decimal(0), {"type": FieldType.BOOLEAN}, False),
        ("2026-11-21", {"type": FieldType.DATE}, date(2026, 11, 21)),
        (datetime(2026, 11, 21, 0, 30, tzinfo=STOCKHOLM), {"type": FieldType.DATE}, date(2026, 11, 20)),
        (date(2026, 11, 21), {"type": FieldType.DATETIME}, datetime(2026, 11, 21, tzinfo=UTC)),
        (date(2026, 3, 29), {"type": FieldType.DATETIME}, datetime(2026, 3, 29, tzinfo=UTC)),
        ("2026-11-21T10:00:00+01:00", {"type": FieldType.DATETIME}, datetime(2026, 11, 21, 9, tzinfo=UTC)),
        ("SEK", {"type": FieldType.ENUM, "options": CURRENCY}, "SEK"),
        (Decimal(5), {"type": FieldType.ENUM}, "5"),
        ("ÅÄÖ", {"max_length": 3}, "ÅÄÖ"),
    ],
)
def test_a_value_becomes_what_the_field_holds(given_value: Any, options: dict[str, Any], expected: object) -> None:
    found = coerce(given_value, FieldSchema("f", "F", **options))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("given_value", "options", "code", "remedy"),
    [
        ("abcd", {"max_length": 3}, "too_long", "truncate(…, 3)"),
        ("1 234", {"type": FieldType.NUMBER}, "wrong_type", "decimal"),
        (True, {"type": FieldType.NUMBER}, "wrong_type", "decimal"),
        (date(2026, 1, 1), {"type": FieldType.NUMBER}, "wrong_type", "decimal"),
        ("NaN", {"type": FieldType.NUMBER}, "expression", "source"),
        (Decimal("1e30"), {"type": FieldType.NUMBER, "decimals": 10}, "wrong_type", "source"),
        ("maybe", {"type": FieldType.BOOLEAN}, "wrong_type", "bool"),
        ("21/11", {"type": FieldType.DATE}, "wrong_type", "2026-11-21"),
        ("soon", {"type": FieldType.DATETIME}, "wrong_type", "datetime_utc"),
        ("EUR", {"type": FieldType.ENUM, "options": CURRENCY}, "option_unknown", "Enable “EUR”"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_a_remedy(
    given_value: Any, options: dict[str, Any], code: str, remedy: str
) -> None:
    with pytest.raises(MappingError) as caught:
        coerce(given_value, FieldSchema("f", "F", **options))
    assert caught.value.code == code
    assert remedy in str(caught.value.remedy)
    assert "F" in str(caught.value.message) or code == "expression"


values = st.one_of(
    st.none(), st.booleans(), st.text(max_size=30), st.dates(), st.datetimes(timezones=st.just(UTC)),
    st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False),
)  # fmt: skip
schemas = st.builds(
    FieldSchema,
    st.just("f"),
    st.just("F"),
    st.sampled_from(FieldType),
    max_length=st.none() | st.integers(1, 20),
    decimals=st.none() | st.integers(0, 6),
)


@settings(max_examples=500, deadline=None)
@given(values, schemas)
def test_coercing_twice_changes_nothing(value: Any, schema: FieldSchema) -> None:
    try:
        once = coerce(value, schema)
    except MappingError:
        return
    assert same(coerce(once, schema), once)
