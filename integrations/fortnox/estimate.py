"""What an invoice would add up to, by the arithmetic that Fortnox documents: for the preview and the totals guard.

Never sent: Fortnox owns VAT, numbering and rounding. The invariant: a figure that only Fortnox can know (a price of a
price list, the VAT of an article that was not read) is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

from integrations.connector import Estimate, EstimatedRow, Record, Value

CENT = Decimal("0.01")
CHARGED = frozenset({"SEVAT", "EUVAT"})
"""Fortnox: customers of the other VAT types (reverse charge at home or in the EU, export) are invoiced without VAT."""

SURCHARGES = ("InvoiceFreight", "InvoiceAdministrationFee")
"""Fortnox: what a customer's new invoices cost besides their rows, with VAT of its own."""


def _number(value: Value) -> Decimal | None:
    return value if isinstance(value, Decimal) else None


def _cents(value: Decimal) -> Decimal:
    # Fortnox rounds prices, quantities and row totals half up to two decimals.
    return value.quantize(CENT, ROUND_HALF_UP)


def row_net(line: Mapping[str, Value]) -> Decimal | None:
    """The row total of one row: price times quantity, less its discount (percent, or once from the row sum)."""
    price, quantity = _number(line.get("Price")), _number(line.get("DeliveredQuantity"))
    if price is None:
        return Decimal(0) if not line.get("ArticleNumber") else None
    amount = _cents(price) * _cents(quantity or Decimal(0))
    discount = _number(line.get("Discount")) or Decimal(0)
    if line.get("DiscountType") == "AMOUNT":
        return _cents(amount - discount)
    return _cents(amount * (100 - discount) / 100)


def estimate(
    fields: Mapping[str, Value],
    lines: Sequence[Mapping[str, Value]],
    known: Mapping[str, Record],
    *,
    charged: bool | None = True,
) -> Estimate:
    """Rows, net, VAT, rounding and total of an invoice; `known` are article records by number, for their VAT rates.

    `charged`: whether the customer's VAT type lets Fortnox charge the articles' rates; None where that is not known.
    """
    rows = tuple(_row(line, known) for line in lines)
    nets = [row.net for row in rows]
    included = fields.get("VATIncluded") is True
    goods = sum((row for row in nets if row is not None), Decimal(0)) if None not in nets else None
    vat = _vat(nets, _rates(lines, known, charged), included=included)
    if goods is None or vat is None:
        # Prices with VAT whose rates are not known say nothing of the net.
        return Estimate(rows, None if included else goods, None, None, None, goods)
    net, gross = (goods - vat, goods) if included else (goods, goods + vat)
    # Only kronor are rounded to whole units.
    whole = gross.quantize(Decimal(1), ROUND_HALF_UP) if fields.get("Currency") in (None, "SEK") else gross
    return Estimate(rows, net, vat, whole - gross, whole, goods)


def _row(line: Mapping[str, Value], known: Mapping[str, Record]) -> EstimatedRow:
    number = str(line.get("ArticleNumber") or "")
    article = known.get(number)
    text = str(line.get("Description") or (article.fields.get("Description") if article else "") or number)
    discount = _number(line.get("Discount")) or Decimal(0)
    percent = line.get("DiscountType") != "AMOUNT"
    shown = (f"{discount.normalize():f} %" if percent else f"{discount}") if discount else ""
    return EstimatedRow(
        text=text,
        article=number,
        quantity=_number(line.get("DeliveredQuantity")),
        price=_number(line.get("Price")),
        discount=shown,
        net=row_net(line),
    )


def _rates(
    lines: Sequence[Mapping[str, Value]], known: Mapping[str, Record], charged: bool | None
) -> Iterator[Decimal | None]:
    """The VAT rate of each row: its own, else the article's for a customer who is charged it, else 0."""
    for line in lines:
        rate, article = _number(line.get("VAT")), known.get(str(line.get("ArticleNumber") or ""))
        if rate is None and charged is False:
            rate = Decimal(0)
        elif rate is None and charged and article is not None:
            rate = _number(article.fields.get("VAT"))
        yield rate


def _vat(nets: Iterable[Decimal | None], rates: Iterable[Decimal | None], *, included: bool) -> Decimal | None:
    """VAT of all rows, where every row's rate is known: on top of the rows' amounts, or `included` in them. Rows
    without an amount have none."""
    total = Decimal(0)
    for net, rate in zip(nets, rates, strict=True):
        if net is None:
            return None
        if not net:
            continue
        if rate is None:
            return None
        # Fortnox: what a row excludes is its total divided by 1 + rate, in whole cents; the rest of it is VAT.
        total += net - _cents(net * 100 / (100 + rate)) if included else _cents(net * rate / 100)
    return total
