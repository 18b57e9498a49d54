"""The estimate of an invoice against what the sandbox makes of exactly the rows that would be sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.connector import Record, Value
from integrations.fortnox import parse, schema, wire
from integrations.fortnox.estimate import CHARGED, estimate
from tests.sandbox.fortnox_world import Fortnox

INVOICE = schema.RESOURCES["invoice"]
CENTS = st.decimals(min_value=0, max_value=5000, places=2)
ROWS = st.builds(
    lambda price, quantity, discount, kind, vat: {
        "Description": "Rad",
        "Price": price,
        "DeliveredQuantity": quantity,
        "Discount": discount,
        "DiscountType": kind,
        "VAT": Decimal(vat),
    },
    st.decimals(min_value=0, max_value=5000, places=3),
    st.decimals(min_value=Decimal("0.01"), max_value=99, places=2),
    st.decimals(min_value=0, max_value=100, places=2),
    st.sampled_from(["PERCENT", "AMOUNT"]),
    st.sampled_from([25, 12, 6, 0]),
)


@pytest.fixture(scope="module")
def fortnox() -> Fortnox:
    world = Fortnox()
    world.customer()
    world.article("25", 10)
    world.article("12", 10, SalesAccount=3002)
    return world


def _made(fortnox: Fortnox, header: dict[str, Value], rows: list[dict[str, Value]]) -> Any:
    """What the sandbox adds up, read back as the totals guard reads it."""
    body = wire.wire(INVOICE, {"CustomerNumber": "1", **header}, create=True)
    raw = fortnox.post("/invoices", {"Invoice": {**body, "InvoiceRows": wire.wire_lines(rows, create=True)}})["Invoice"]
    exact = _decimals(raw)
    values = parse.values_of(INVOICE.table, exact, parse.TOTALS_OF["invoice"], "1")
    return parse.invoice_totals(values, parse.lines_of(exact, parse.TOTALS_OF["row"], "1"), "1")


def _decimals(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {key: _decimals(item) for key, item in value.items()}
    return [_decimals(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=5), currency=st.sampled_from(["SEK", "EUR"]), included=st.booleans())
def test_the_estimate_is_what_fortnoxs_documented_arithmetic_gives(
    fortnox: Fortnox, rows: list[dict[str, Value]], currency: str, included: bool
) -> None:
    header: dict[str, Value] = {"Currency": currency, "VATIncluded": included}
    ours = estimate(header, rows, {})
    theirs = _made(fortnox, header, rows)
    assert included or [row.net for row in ours.rows] == list(theirs.rows)
    assert (ours.net, ours.gross) == (theirs.net, theirs.gross)
    assert (ours.vat, ours.rounding) == (theirs.vat, theirs.rounding)


def test_an_articles_rate_is_taken_from_the_article_and_a_text_row_costs_nothing(fortnox: Fortnox) -> None:
    rows: list[dict[str, Value]] = [
        {"ArticleNumber": "12", "Price": Decimal(100), "DeliveredQuantity": Decimal(1)},
        {"Description": "Tack för ordern"},
    ]
    known = {"12": Record("article", "12", {"VAT": Decimal(12)})}
    ours, theirs = estimate({"Currency": "SEK"}, rows, known), _made(fortnox, {"Currency": "SEK"}, rows)
    assert (ours.net, ours.vat, ours.gross) == (theirs.net, theirs.vat, theirs.gross) == (100, 12, 112)


@pytest.mark.parametrize("vat_type", ["SEVAT", "SEREVERSEDVAT", "EUREVERSEDVAT", "EUVAT", "EXPORT"])
@pytest.mark.parametrize("included", [False, True])
def test_the_customers_vat_type_decides_whether_the_articles_rate_is_charged(
    fortnox: Fortnox, vat_type: str, included: bool
) -> None:
    number = fortnox.customer(f"{vat_type}-{included}", VATType=vat_type)
    rows: list[dict[str, Value]] = [{"ArticleNumber": "12", "Price": Decimal(112), "DeliveredQuantity": Decimal(1)}]
    known = {"12": Record("article", "12", {"VAT": Decimal(12)})}
    header: dict[str, Value] = {"CustomerNumber": number, "Currency": "SEK", "VATIncluded": included}
    ours, theirs = estimate(header, rows, known, charged=vat_type in CHARGED), _made(fortnox, header, rows)
    assert (ours.net, ours.vat, ours.gross) == (theirs.net, theirs.vat, theirs.gross)
    unknown = estimate(header, rows, known, charged=None)
    assert (unknown.vat, unknown.gross) == (None, None)


def test_prices_with_vat_hold_a_fifth_of_them_as_vat_not_a_quarter() -> None:
    rows: list[dict[str, Value]] = [{"Price": Decimal(125), "DeliveredQuantity": Decimal(1), "VAT": Decimal(25)}]
    ours = estimate({"Currency": "SEK", "VATIncluded": True}, rows, {})
    assert (ours.net, ours.vat, ours.gross, ours.goods) == (100, 25, 125, 125)


def test_the_net_of_prices_with_vat_is_not_known_before_their_rates_are() -> None:
    rows: list[dict[str, Value]] = [{"ArticleNumber": "A", "Price": Decimal(125), "DeliveredQuantity": Decimal(1)}]
    ours = estimate({"VATIncluded": True}, rows, {})
    assert (ours.net, ours.vat, ours.gross, ours.goods) == (None, None, None, 125)
