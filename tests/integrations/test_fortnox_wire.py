"""What leaves towards Fortnox: in its alphabet, within its lengths, or refused by field and value."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.errors import InvalidData, Misconfigured
from integrations.fortnox import fields, schema, wire
from sandbox.fortnox.fields import FORBIDDEN

CUSTOMER = schema.RESOURCES["customer"]
INVOICE = schema.RESOURCES["invoice"]
ARTICLE = schema.RESOURCES["article"]
ROWS = schema.columns(fields.ROW)


def test_none_clears_on_update_and_is_left_out_on_create() -> None:
    assert wire.wire(CUSTOMER, {"Name": "A", "City": None}, create=False) == {"Name": "A", "City": "API_BLANK"}
    assert wire.wire(CUSTOMER, {"Name": "A", "City": None}, create=True) == {"Name": "A"}


def test_text_of_which_nothing_remains_is_no_text() -> None:
    assert wire.wire(CUSTOMER, {"Name": "A", "City": "🙂"}, create=True) == {"Name": "A"}
    assert wire.wire(CUSTOMER, {"City": "[]"}, create=False) == {"City": "API_BLANK"}


def test_the_key_stands_in_the_path_of_an_update() -> None:
    values = {"Name": "A", "CustomerNumber": "7"}
    assert "CustomerNumber" not in wire.wire(CUSTOMER, values, create=False)
    assert wire.wire(CUSTOMER, values, create=True)["CustomerNumber"] == "7"


@pytest.mark.parametrize("name", ["Country", "NoSuchField", "status"])
def test_a_field_that_cannot_be_written_is_named(name: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        wire.wire(CUSTOMER, {name: "x"}, create=True)
    assert caught.value.field == name


# --- Numbers --------------------------------------------------------------------------------------------------------


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_amounts_survive_the_way_out(amount: Decimal) -> None:
    (row,) = wire.wire_lines([{"Price": amount, "line_key": "1"}], create=True)
    assert Decimal(str(row["Price"])) == amount
    assert "line_key" not in row


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=5))
def test_more_decimals_than_fortnox_keeps_are_rounded_as_fortnox_rounds(amount: Decimal) -> None:
    (row,) = wire.wire_lines([{"DeliveredQuantity": amount}], create=True)
    assert Decimal(str(row["DeliveredQuantity"])) == amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_a_half_is_rounded_away_from_zero() -> None:
    (row,) = wire.wire_lines([{"Price": Decimal("1.125"), "Discount": Decimal("-1.125")}], create=True)
    assert (row["Price"], row["Discount"]) == (1.13, -1.13)


@pytest.mark.parametrize("value", ["abc", Decimal("NaN"), Decimal("Infinity"), Decimal("1e400"), True])
def test_a_number_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(InvalidData) as caught:
        wire.wire_lines([{"Description": "x"}, {"Price": value}], create=True)  # type: ignore[dict-item]
    assert (caught.value.code, caught.value.field, caught.value.context["row"]) == ("wrong_type", "Price", 2)


@pytest.mark.parametrize("name", ["VAT", "AccountNumber"])
def test_a_whole_number_is_never_rounded_into_another(name: str) -> None:
    with pytest.raises(InvalidData) as caught:
        wire.wire_lines([{name: Decimal("25.5")}], create=True)
    assert (caught.value.field, caught.value.value) == (name, "25.5")


# --- Text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given_text,sent",
    [
        ('O\'Brien <"AB"> [x] {y}', "O’Brien AB x y"),
        ("å é\t1_2 🙂 — “citat”", "å é 1_2  – citat"),
        ("kaffe\u0301", "kaffé"),
        ("a\u0000b\u0007c\u200bd", "abcd"),
        ("10 × 20 …", "10 x 20 ."),
        ("rad 1\r\nrad 2", "rad 1\r\nrad 2"),
        ("٣ ①", " "),
    ],
)
def test_free_text_is_spelled_in_fortnoxs_alphabet(given_text: str, sent: str) -> None:
    assert wire.spelled(given_text) == sent


@given(st.text(max_size=80))
def test_spelled_text_holds_only_characters_that_fortnox_takes(text: str) -> None:
    spelled = wire.spelled(text)
    assert not FORBIDDEN.search(spelled)
    assert not re.search("['\"<>\\[\\]{}~\t]", spelled)
    assert wire.spelled(spelled) == spelled
    assert len(spelled) <= len(unicodedata.normalize("NFC", text))


@given(st.text(alphabet=st.characters(categories=["L"]), max_size=40))
def test_letters_of_any_script_are_kept(text: str) -> None:
    # Some letters have no composed form of their own: their points are marks and go (U+FB2A becomes a plain shin).
    letters = (char for char in unicodedata.normalize("NFC", text) if unicodedata.category(char).startswith("L"))
    assert wire.spelled(text) == "".join(letters).replace("ʼ", "’")


def test_a_line_break_stays_only_where_there_is_room_for_one() -> None:
    values = {"Remarks": "a\nb", "YourReference": " Anna\nAl ", "CustomerNumber": "1"}
    body = wire.wire(INVOICE, values, create=True)
    assert (body["Remarks"], body["YourReference"]) == ("a\nb", "Anna Al")


@pytest.mark.parametrize("value", ["A'1", "A\t1", "A[1]", "A🙂", "A\n1", 'A"1'])
def test_a_key_is_refused_rather_than_spelled_differently(value: str) -> None:
    with pytest.raises(InvalidData) as caught:
        wire.wire_lines([{"ArticleNumber": value}], create=True)
    error = caught.value
    assert (error.code, error.field, error.value, error.context["row"]) == (
        "forbidden_characters",
        "ArticleNumber",
        value,
        1,
    )
    with pytest.raises(InvalidData) as caught:
        wire.wire(CUSTOMER, {"Name": "A", "OrganisationNumber": value}, create=True)
    assert caught.value.field == "OrganisationNumber"


@given(st.text(max_size=60))
def test_a_key_is_sent_as_it_is_or_not_at_all(text: str) -> None:
    try:
        body = wire.wire(ARTICLE, {"ArticleNumber": text, "Description": "x"}, create=True)
    except InvalidData as error:
        assert error.field == "ArticleNumber"
    else:
        assert body.get("ArticleNumber", "") == text


@pytest.mark.parametrize(
    "it,name,limit", [(INVOICE, "YourReference", 50), (INVOICE, "Remarks", 1024), (ARTICLE, "Description", 200)]
)
def test_what_is_too_long_is_refused_with_its_length(it: schema.Resource, name: str, limit: int) -> None:
    assert len(wire.wire(it, {name: "x" * limit}, create=True)[name]) == limit
    with pytest.raises(InvalidData) as caught:
        wire.wire(it, {name: "x" * (limit + 1)}, create=True)
    assert (caught.value.code, caught.value.field) == ("too_long", name)
    assert str(limit) in caught.value.message


def test_a_row_text_of_three_hundred_characters_is_refused() -> None:
    with pytest.raises(InvalidData) as caught:
        wire.wire_lines([{"Description": "x" * 300}], create=True)
    assert (caught.value.code, caught.value.field) == ("too_long", "Description")


def test_length_counts_after_spelling() -> None:
    assert wire.wire_lines([{"Description": "x" * 255 + "🙂"}], create=True) == [{"Description": "x" * 255}]


def test_an_option_that_fortnox_does_not_have_is_refused() -> None:
    assert wire.wire_lines([{"DiscountType": "AMOUNT"}], create=True) == [{"DiscountType": "AMOUNT"}]
    with pytest.raises(InvalidData) as caught:
        wire.wire_lines([{"DiscountType": "amount"}], create=True)
    assert (caught.value.code, caught.value.field) == ("not_an_option", "DiscountType")


def test_dates_are_days() -> None:
    assert wire.wire(INVOICE, {"DueDate": date(2026, 12, 24)}, create=True) == {"DueDate": "2026-12-24"}
    assert wire.wire(INVOICE, {"DueDate": "2026-12-24"}, create=True) == {"DueDate": "2026-12-24"}
    with pytest.raises(InvalidData):
        wire.wire(INVOICE, {"DueDate": "24/12"}, create=True)


# --- The rows of an update ------------------------------------------------------------------------------------------

_ARTICLES = st.sampled_from(["", "A", "B", "C"])
_LINES = st.lists(
    st.builds(
        lambda article, text: (
            {"ArticleNumber": article, "DeliveredQuantity": Decimal(1)} if article else {"Description": text}
        ),
        _ARTICLES,
        st.sampled_from(["x", "y"]),
    ),
    max_size=6,
)


@given(_LINES, _LINES)
def test_an_update_names_every_line_in_order_and_each_old_row_at_most_once(
    lines: list[dict[str, object]], before: list[dict[str, object]]
) -> None:
    old = [{**row, "RowId": index} for index, row in enumerate(before, start=1)]
    rows = wire.rows_of_update(lines, old)  # type: ignore[arg-type]
    assert len(rows) == len(lines)
    ids = [row["RowId"] for row in rows if "RowId" in row]
    assert len(ids) == len(set(ids))
    assert set(ids) <= {row["RowId"] for row in old}
    # Without any RowId Fortnox would match by position.
    assert bool(ids) == bool(lines and old)
    for line, row in zip(lines, rows, strict=True):
        assert row.get("Description", row.get("ArticleNumber")) in (
            line.get("Description"),
            line.get("ArticleNumber"),
            "API_BLANK",
        )
