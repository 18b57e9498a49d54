"""Invoice arithmetic: the documented samples and what must hold for every invoice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fortnox.fields import round_half_up
from sandbox.fortnox.totals import RowInput, compute, ocr

PRICES = st.decimals(min_value=0, max_value=100_000, places=2)
QUANTITIES = st.decimals(min_value=0, max_value=1000, places=2)
ROWS = st.lists(
    st.builds(
        RowInput,
        price=PRICES,
        quantity=QUANTITIES,
        discount=st.decimals(min_value=0, max_value=100, places=2),
        discount_type=st.sampled_from(("PERCENT", "AMOUNT")),
        vat=st.sampled_from((25, 12, 6, 0)),
        cost=PRICES,
    ),
    max_size=5,
)
SURCHARGES = st.decimals(min_value=0, max_value=500, places=2)


def test_fortnox_documented_sample_203() -> None:
    row = RowInput(Decimal(159), Decimal(10), vat=25, cost=Decimal(99))
    totals = compute([row], freight=Decimal(95))
    assert (totals.gross, totals.net, totals.freight_vat) == (1590, 1590, Decimal("23.75"))
    assert (totals.total_vat, totals.round_off, totals.total) == (Decimal("421.25"), Decimal("-0.25"), 2106)
    assert (totals.contribution, totals.contribution_percent) == (600, Decimal("37.74"))


def test_fortnox_documented_sample_that_rounds_up() -> None:
    totals = compute([RowInput(Decimal(159), Decimal(10), vat=25)])
    assert (totals.round_off, totals.total) == (Decimal("0.5"), 1988)


def test_fortnox_foreign_currency_keeps_its_cents() -> None:
    totals = compute([RowInput(Decimal("10.55"), Decimal(1), vat=25)], whole_units=False)
    assert (totals.total, totals.round_off) == (Decimal("13.19"), 0)


def test_fortnox_discounts_in_percent_and_in_kronor() -> None:
    rows = [
        RowInput(Decimal(100), Decimal(3), Decimal(10)),
        RowInput(Decimal(100), Decimal(3), Decimal(10), "AMOUNT"),
    ]
    assert [row.total for row in compute(rows).rows] == [270, 290]


def test_fortnox_prices_including_vat() -> None:
    totals = compute([RowInput(Decimal(125), Decimal(2), vat=25)], vat_included=True)
    row = totals.rows[0]
    assert (row.total, row.total_excluding_vat, row.price_excluding_vat) == (250, 200, 100)
    assert (totals.net, totals.total_vat, totals.total) == (200, 50, 250)


@given(rows=ROWS, freight=SURCHARGES, fee=SURCHARGES, included=st.booleans(), whole=st.booleans())
def test_fortnox_total_is_the_sum_of_its_parts(
    rows: list[RowInput], freight: Decimal, fee: Decimal, included: bool, whole: bool
) -> None:
    totals = compute(rows, freight=freight, fee=fee, vat_included=included, whole_units=whole)
    parts = totals.net + totals.freight + totals.fee + totals.total_vat + totals.round_off
    assert totals.total == parts
    assert abs(totals.round_off) <= Decimal("0.5")
    if whole:
        assert totals.total == totals.total.to_integral_value()
    if included:
        assert totals.freight + totals.freight_vat == freight
    else:
        assert (totals.freight, totals.fee) == (freight, fee)


@given(rows=ROWS, freight=SURCHARGES, included=st.booleans())
def test_fortnox_credit_mirrors_its_original(rows: list[RowInput], freight: Decimal, included: bool) -> None:
    original = compute(rows, freight=freight, vat_included=included)
    mirrored = [replace(row, quantity=-row.quantity) if row.quantity else row for row in rows]
    if any(row.quantity == 0 and row.discount_type == "AMOUNT" and row.discount for row in rows):
        return  # a discount on nothing has no quantity to turn
    credit = compute(mirrored, freight=-freight, vat_included=included)
    assert credit.total == -original.total
    assert credit.total_vat == -original.total_vat
    assert credit.round_off == -original.round_off


@pytest.mark.parametrize(
    ("number", "expected"),
    [("1", "133"), ("15", "1545"), ("16", "1644"), ("20", "2048"), ("78", "7849"), ("203", "20354")],
)
def test_fortnox_recorded_payment_references(number: str, expected: str) -> None:
    assert ocr(number) == expected


@pytest.mark.parametrize(("value", "expected"), [("1.125", "1.13"), ("1.124", "1.12"), ("-1.125", "-1.13")])
def test_fortnox_decimals_round_half_away_from_zero(value: str, expected: str) -> None:
    assert round_half_up(Decimal(value)) == Decimal(expected)
