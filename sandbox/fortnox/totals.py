"""Invoice arithmetic: rows, VAT, freight, fee, rounding to whole kronor.

Documented sample (invoice 203): row 10 × 159 = 1590, freight 95 and its VAT 23.75, TotalVAT 421.25, sum
2106.25, RoundOff −0.25, Total 2106. Halves round away from zero, so a credit mirrors its original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

ZERO = Decimal(0)
HUNDRED = Decimal(100)
CENT = Decimal("0.01")


def cents(value: Decimal) -> Decimal:
    """Two decimals, halves away from zero."""
    return value.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class RowInput:
    """What a row contributes."""

    price: Decimal = ZERO
    quantity: Decimal = ZERO
    discount: Decimal = ZERO
    discount_type: str = "PERCENT"
    vat: int = 0
    cost: Decimal = ZERO  # purchase price per unit


@dataclass(frozen=True)
class RowTotals:
    """The computed fields of a row."""

    price_excluding_vat: Decimal
    gross_excluding_vat: Decimal
    total: Decimal
    total_excluding_vat: Decimal
    vat: Decimal
    contribution: Decimal
    contribution_percent: Decimal


@dataclass(frozen=True)
class Totals:
    """The computed fields of an invoice."""

    rows: tuple[RowTotals, ...]
    gross: Decimal
    net: Decimal
    freight: Decimal
    freight_vat: Decimal
    fee: Decimal
    fee_vat: Decimal
    total_vat: Decimal
    round_off: Decimal
    total: Decimal
    contribution: Decimal
    contribution_percent: Decimal


def _excluding(amount: Decimal, vat: int, included: bool) -> Decimal:
    return cents(amount / (1 + Decimal(vat) / HUNDRED)) if included else amount


def row_totals(row: RowInput, vat_included: bool) -> RowTotals:
    """An AMOUNT discount is taken once from the row sum, not per unit (decision; no source)."""
    gross = cents(row.price * row.quantity)
    if row.discount_type == "AMOUNT":
        signed = row.discount if row.quantity >= 0 else -row.discount
        total = cents(row.price * row.quantity - signed)
    else:
        total = cents(row.price * row.quantity * (1 - row.discount / HUNDRED))
    net = _excluding(total, row.vat, vat_included)
    vat = total - net if vat_included else cents(net * row.vat / HUNDRED)
    contribution = net - cents(row.cost * row.quantity)
    return RowTotals(
        price_excluding_vat=_excluding(row.price, row.vat, vat_included),
        gross_excluding_vat=_excluding(gross, row.vat, vat_included),
        total=total,
        total_excluding_vat=net,
        vat=vat,
        contribution=contribution,
        contribution_percent=percent(contribution, net),
    )


def percent(part: Decimal, whole: Decimal) -> Decimal:
    """A share in percent with two decimals; 0 of nothing."""
    return cents(part / whole * HUNDRED) if whole else ZERO


def _surcharge(amount: Decimal, rate: int, included: bool) -> tuple[Decimal, Decimal]:
    """(without VAT, VAT) of freight or fee."""
    net = _excluding(amount, rate, included)
    return net, amount - net if included else cents(net * rate / HUNDRED)


def compute(
    rows: Sequence[RowInput],
    *,
    freight: Decimal = ZERO,
    fee: Decimal = ZERO,
    surcharge_vat: int = 25,
    vat_included: bool = False,
    whole_units: bool = True,
) -> Totals:
    """All sums of an invoice; ``whole_units`` is the company's öre rounding, known for SEK only."""
    parts = tuple(row_totals(row, vat_included) for row in rows)
    net = sum((part.total_excluding_vat for part in parts), ZERO)
    freight_net, freight_vat = _surcharge(freight, surcharge_vat, vat_included)
    fee_net, fee_vat = _surcharge(fee, surcharge_vat, vat_included)
    total_vat = sum((part.vat for part in parts), ZERO) + freight_vat + fee_vat
    exact = net + freight_net + fee_net + total_vat
    total = exact.quantize(Decimal(1), ROUND_HALF_UP) if whole_units else exact
    contribution = sum((part.contribution for part in parts), ZERO)
    return Totals(
        rows=parts,
        gross=sum((part.gross_excluding_vat for part in parts), ZERO),
        net=net,
        freight=freight_net,
        freight_vat=freight_vat,
        fee=fee_net,
        fee_vat=fee_vat,
        total_vat=total_vat,
        round_off=total - exact,
        total=total,
        contribution=contribution,
        contribution_percent=percent(contribution, net),
    )


def ocr(number: str) -> str:
    """Payment reference: number + length digit + Luhn digit (recorded: 1→133, 20→2048, 203→20354)."""
    digits = number + str((len(number) + 2) % 10)
    total = 0
    for position, char in enumerate(reversed(digits)):
        value = int(char) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)
