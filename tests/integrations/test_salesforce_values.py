"""Salesforce's ids, values and query texts: what is accepted, what becomes an error, and that nothing changes on the
way out and back."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.connector import FieldType
from integrations.errors import InvalidData, Misconfigured, TooLarge
from integrations.salesforce import ids, soql, values
from integrations.salesforce.client import LONGEST_URL

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SHORT = st.text(LETTERS, min_size=15, max_size=15)
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(4000, 1, 1), timezones=st.just(UTC))
# Texts as they come from JSON: any character but lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)

# --- Ids ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "full",
    ["001Fx00000AbCdEIAV", "006Fx00000QrStUIAV", "00kFx00000VwXyaIAF", "801Fx00000JjKkLIAV", "01sFx00000DdEeFIAV"],
)
def test_known_ids_get_their_checksum(full: str) -> None:
    assert ids.to18(full[:15]) == ids.checked(full) == full


@given(SHORT)
def test_both_spellings_of_an_id_are_the_same_record(short: str) -> None:
    full = ids.to18(short)
    assert (len(full), ids.to18(full), ids.checked(full)) == (18, full, full)
    assert ids.same(short, full)
    assert ids.is_id(full, short[:3])


@given(SHORT, st.integers(0, 14))
def test_an_id_in_another_case_is_refused_by_its_checksum(short: str, place: int) -> None:
    full = ids.to18(short)
    wrong = full[:place] + full[place].swapcase() + full[place + 1 :]
    assert ids.is_id(wrong) == (wrong == full)
    assert not ids.same(wrong, full) or wrong == full


@pytest.mark.parametrize(
    "text", ["", "001", "001Fx00000AbCdEIA", "001Fx00000AbCd-IAV", "001Fx00000AbCdEIAVx", "å" * 15]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidData) as caught:
        ids.to18(text)
    assert caught.value.code == "MALFORMED_ID"
    assert not ids.is_id(text)
    assert not ids.same("", "")


# --- Values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "given_value", "expected"),
    [
        (FieldType.NUMBER, Decimal("1000.0"), Decimal(1000)),
        (FieldType.NUMBER, 7, Decimal(7)),
        (FieldType.NUMBER, "-12.50", Decimal("-12.5")),  # CSV
        (FieldType.NUMBER, Decimal("1E+3"), Decimal(1000)),
        (FieldType.BOOLEAN, False, False),
        (FieldType.BOOLEAN, "true", True),
        (FieldType.DATE, "2026-11-20", date(2026, 11, 20)),
        (FieldType.DATETIME, "2026-11-20T14:05:12.000+0000", datetime(2026, 11, 20, 14, 5, 12, tzinfo=UTC)),
        (FieldType.DATETIME, "2026-11-20T14:05:12.000Z", datetime(2026, 11, 20, 14, 5, 12, tzinfo=UTC)),
        (FieldType.DATETIME, "2026-11-20T15:05:12+01:00", datetime(2026, 11, 20, 14, 5, 12, tzinfo=UTC)),
        (FieldType.STRING, "Storgatan 1\r\nPlan 2", "Storgatan 1\nPlan 2"),
        (FieldType.STRING, "a\0b", "ab"),
        (FieldType.STRING, "Bygg;Service", "Bygg;Service"),  # a multi-select picklist
        (FieldType.ENUM, "Closed Won", "Closed Won"),
        (FieldType.STRING, "", None),
        (FieldType.NUMBER, None, None),
    ],
)
def test_values_become_what_they_mean(kind: FieldType, given_value: Any, expected: Any) -> None:
    assert values.parse("F", kind, given_value) == expected


@pytest.mark.parametrize(
    ("kind", "given_value"),
    [
        (FieldType.NUMBER, "1,5"),
        (FieldType.NUMBER, True),
        (FieldType.NUMBER, Decimal("1E+999999999")),
        (FieldType.NUMBER, Decimal("NaN")),
        (FieldType.NUMBER, float("inf")),
        (FieldType.NUMBER, {"amount": 1}),
        (FieldType.BOOLEAN, "yes"),
        (FieldType.BOOLEAN, 2),
        (FieldType.DATE, "2026-02-30"),
        (FieldType.DATE, "2026-11-20T00:00:00.000+0000"),
        (FieldType.DATETIME, "2026-11-20T14:05:12.000"),
        (FieldType.DATETIME, "2026-11-20"),
        (FieldType.DATETIME, 1795255200000),
        (FieldType.STRING, ["a"]),
        (FieldType.STRING, False),
        (FieldType.STRING, "\ud800"),
        (FieldType.STRING, "x" * (values.LONGEST_TEXT + 1)),
        (FieldType.ENUM, {}),
    ],
)
def test_what_does_not_fit_its_type_names_record_and_field(kind: FieldType, given_value: Any) -> None:
    with pytest.raises(TooLarge) as caught:
        values.parse("Amount", kind, given_value, "006Fx00000QrStUIAV")
    assert (caught.value.code, caught.value.record, caught.value.field) == (
        "unreadable",
        "006Fx00000QrStUIAV",
        "Amount",
    )


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.decimals(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(FieldType), JSON_VALUES)
def test_whatever_comes_is_a_typed_value_or_one_clear_error(kind: FieldType, given_value: Any) -> None:
    wanted = {FieldType.NUMBER: Decimal, FieldType.BOOLEAN: bool, FieldType.DATE: date, FieldType.DATETIME: datetime}
    try:
        value = values.parse("F", kind, given_value)
    except TooLarge:
        return
    assert value is None or isinstance(value, wanted.get(kind, str))
    if isinstance(value, Decimal):
        assert len(format(value, "f")) < 200  # no exponent that fills the memory when it is written out


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12))
def test_money_reads_back_as_it_was_sent(amount: Decimal) -> None:
    sent = json.loads(json.dumps(values.wire("Amount", amount)), parse_float=Decimal)
    assert values.parse("Amount", FieldType.NUMBER, sent) == amount


@given(MOMENTS)
def test_moments_read_back_to_the_millisecond(moment: datetime) -> None:
    sent = values.wire("At", moment)
    assert isinstance(sent, str)
    back = values.parse("At", FieldType.DATETIME, sent)
    assert isinstance(back, datetime)
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)
    # Another offset is the same moment.
    assert values.wire("At", moment.astimezone(timezone(timedelta(hours=5)))) == sent


@pytest.mark.parametrize(
    "value",
    [Decimal("NaN"), Decimal("Infinity"), Decimal("1e20"), Decimal("0.12345678901234567891"), datetime(2026, 1, 1)],
)
def test_what_salesforce_would_keep_otherwise_is_not_sent(value: Any) -> None:
    with pytest.raises(InvalidData) as caught:
        values.wire("Amount", value)
    assert (caught.value.field, caught.value.code) == ("Amount", "wrong_type")


def test_values_as_text() -> None:
    spelled = [values.spelled("F", v) for v in (Decimal("12.50"), Decimal(1200), True, None, date(2026, 1, 2), "Å")]
    assert spelled == ["12.5", "1200", "true", "", "2026-01-02", "Å"]


# --- Queries --------------------------------------------------------------------------------------------------


def _unquoted(literal: str) -> str:
    """What Salesforce reads in a text literal, by its own table of escapes."""
    assert literal[0] == literal[-1] == "'"
    back = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
    inner = literal[1:-1]
    assert not re.search(r"(?<!\\)(?:\\\\)*'", inner), "the literal ends early"
    return re.sub(r"\\(.)", lambda found: back.get(found[1], found[1]), inner, flags=re.DOTALL)


@given(TEXTS)
def test_no_text_ends_its_literal(text: str) -> None:
    try:
        literal = soql.quoted(text)
    except InvalidData as error:
        assert error.code == "forbidden_characters"
        assert re.search(r"[\x00-\x1f]", text)
        return
    assert _unquoted(literal) == text


@pytest.mark.parametrize("text", ["O'Brien", "\\", "\\'", "' OR Name != '", 'a"b', "rad\r\nrad"])
def test_texts_that_would_break_out(text: str) -> None:
    assert _unquoted(soql.quoted(text)) == text


@pytest.mark.parametrize(
    ("kind", "text", "literal"),
    [
        (FieldType.NUMBER, "12.50", "12.50"),
        (FieldType.BOOLEAN, "TRUE", "true"),
        (FieldType.DATE, "2026-11-20", "2026-11-20"),
        (FieldType.DATETIME, "2026-11-20T15:05:12+01:00", "2026-11-20T14:05:12Z"),
        (FieldType.STRING, "a", "'a'"),
        (FieldType.ENUM, "Closed Won", "'Closed Won'"),
    ],
)
def test_literals_by_type(kind: FieldType, text: str, literal: str) -> None:
    assert soql.literal(kind, text) == literal


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (FieldType.NUMBER, "1 OR 1=1"),
        (FieldType.NUMBER, "1e5"),
        (FieldType.BOOLEAN, "null"),
        (FieldType.DATE, "TODAY"),
        (FieldType.DATETIME, "2026-11-20"),
    ],
)
def test_what_is_no_literal_of_its_type_is_refused(kind: FieldType, text: str) -> None:
    with pytest.raises(InvalidData):
        soql.literal(kind, text)


@pytest.mark.parametrize("text", ["", "Name)", "Na me", "Name,Id", "1Name", "Account..Name", "a.b.c.d.e.f.g", "Näme"])
def test_a_name_that_is_none_never_reaches_a_query(text: str) -> None:
    with pytest.raises(Misconfigured):
        soql.select([text], "Account")


def test_a_query_with_lines() -> None:
    lines = soql.child(["Id", "Product2.Name"], "OpportunityLineItems", order="Id")
    query = soql.select(["Id", "Account.Name", lines], "Opportunity", where="IsWon = true", order="Id", limit=5)
    assert query == (
        "SELECT Id, Account.Name, (SELECT Id, Product2.Name FROM OpportunityLineItems ORDER BY Id) FROM Opportunity"
        " WHERE IsWon = true ORDER BY Id LIMIT 5"
    )


@given(st.lists(TEXTS.filter(lambda text: not re.search(r"[\x00-\x1f]", text)), max_size=60))
def test_long_lists_are_cut_to_what_an_address_holds_and_none_is_lost(texts: list[str]) -> None:
    frame = soql.select(["Id", "Name"], "Account", where=soql.within("Name", []))
    literals = [soql.quoted(text) for text in texts]
    found = list(soql.chunks(literals, frame, at_most=20))
    assert [text for chunk in found for text in chunk] == literals
    for chunk in found:
        query = soql.select(["Id", "Name"], "Account", where=soql.within("Name", chunk))
        assert len(chunk) <= 20
        assert len(quote_plus(query)) <= LONGEST_URL


def test_a_query_that_fits_no_address_says_so() -> None:
    with pytest.raises(Misconfigured) as caught:
        soql.fits(soql.select([f"Field_{number}__c" for number in range(900)], "Account"))
    assert caught.value.code == "too_many_fields"
