"""Whether the VAT of an invoice fits its customer (I-09): Fortnox charges by the customer's VAT type, which nobody
compares with the customer's country.

An invoice to Sweden with VAT and one abroad without are what everybody expects: they cost no call. The others are
judged by the customer's record. The invariant: a doubt names what the customer's record says, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from integrations.connector import Totals, Value
from integrations.fortnox.estimate import CHARGED

HOME = frozenset({"", "sverige", "sweden"})
"""Fortnox writes a document's country by name, in the document's language; none is the company's own."""
ABROAD_ONLY = frozenset({"EUREVERSEDVAT", "EXPORT"})
"""VAT types that Fortnox has for customers outside Sweden."""


def vat_doubt(
    fields: Mapping[str, Value], totals: Totals, customer_of: Callable[[str], Mapping[str, Any] | None]
) -> str | Promise:
    """Why the VAT of an invoice's rows is not plausible for its customer; "" when it is, or cannot be judged.

    `fields` are the invoice's, with Country and CustomerNumber; `customer_of` reads a customer as Fortnox sends it,
    None when there is none; what it raises is not caught, because an invoice that was not judged is not booked.
    """
    home = str(fields.get("Country") or "").strip().casefold() in HOME
    charged = totals.vat != totals.surcharge_vat
    if home == charged or not totals.net:
        return ""
    customer = customer_of(str(fields.get("CustomerNumber") or ""))
    if customer is None:
        return ""
    vat_type, vat_number = str(customer.get("VATType") or "SEVAT"), str(customer.get("VATNumber") or "").strip()
    if home:
        text = _("The customer is in Sweden, and the VAT type {type} leaves the invoice without VAT.")
        return format_lazy(text, type=vat_type) if vat_type in ABROAD_ONLY else ""
    if vat_type not in CHARGED:
        return format_lazy(_("The customer's VAT type {type} is without VAT, and the invoice has VAT."), type=vat_type)
    if vat_type == "SEVAT" and vat_number and not vat_number.upper().startswith("SE"):
        text = _("The customer has the VAT number {number} of another country, and is charged Swedish VAT.")
        return format_lazy(text, number=vat_number)
    return ""
