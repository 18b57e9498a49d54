"""Whether an invoice's VAT fits its customer, and that nobody is asked where nothing is odd."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from integrations.connector import Totals
from integrations.fortnox.vat_doubt import vat_doubt

NET = Decimal("100.00")


def _doubt(country: str | None, vat: str, customer: Mapping[str, Any] | None, **totals: Any) -> tuple[str, list[str]]:
    asked: list[str] = []

    def customer_of(number: str) -> Mapping[str, Any] | None:
        asked.append(number)
        return customer

    made = Totals(currency="SEK", rows=(NET,), net=NET, vat=Decimal(vat), gross=NET + Decimal(vat), **totals)
    return str(vat_doubt({"Country": country, "CustomerNumber": "7"}, made, customer_of)), asked


@pytest.mark.parametrize(("country", "vat"), [(None, "25.00"), ("", "25.00"), ("Sverige", "25.00"), ("Tyskland", "0")])
def test_what_everybody_expects_asks_nobody(country: str | None, vat: str) -> None:
    assert _doubt(country, vat, {"VATType": "EXPORT"}) == ("", [])


def test_the_vat_of_freight_is_not_that_of_the_goods() -> None:
    assert _doubt("Tyskland", "5.00", {"VATType": "EXPORT"}, surcharge_vat=Decimal("5.00")) == ("", [])


@pytest.mark.parametrize(
    ("country", "vat", "customer", "words"),
    [
        ("Tyskland", "25.00", {"VATType": "SEVAT", "VATNumber": "DE129273398"}, "VAT number DE129273398"),
        ("Norge", "25.00", {"VATType": "EXPORT"}, "VAT type EXPORT is without VAT"),
        ("Sverige", "0", {"VATType": "EXPORT"}, "leaves the invoice without VAT"),
        ("Sverige", "0", {"VATType": "EUREVERSEDVAT"}, "leaves the invoice without VAT"),
    ],
)
def test_what_does_not_fit_says_what_the_customer_s_record_says(
    country: str, vat: str, customer: dict[str, Any], words: str
) -> None:
    text, asked = _doubt(country, vat, customer)
    assert words in text and asked == ["7"]


@pytest.mark.parametrize(
    ("country", "vat", "customer"),
    [
        ("Tyskland", "25.00", {"VATType": "EUVAT"}),  # a private person there
        ("Tyskland", "25.00", {"VATType": "SEVAT", "VATNumber": ""}),
        ("Sverige", "0", {"VATType": "SEREVERSEDVAT"}),  # building work
        ("Sverige", "0", {"VATType": "SEVAT"}),  # goods without VAT
        ("Norge", "25.00", None),
    ],
)
def test_what_the_record_explains_or_cannot_say_is_no_doubt(
    country: str, vat: str, customer: dict[str, Any] | None
) -> None:
    assert _doubt(country, vat, customer)[0] == ""
