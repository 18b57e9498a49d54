"""The preview: the rows that would be sent, net, VAT, rounding and total, beside the amount that the CRM shows.

VAT and rounding belong to the ledger: what is shown is an estimate and says so. Figures that only the ledger can know
are left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from mappings.models import FieldMapping
from sync.cards import words
from sync.cards.records import Place
from sync.models import Change
from sync.states import State
from sync.values import load, show

CENT = Decimal("0.01")


def build(place: Place, change: Change) -> dict[str, Any] | None:
    """The preview that the plan stored with the change, ready to be laid out; None when there is none."""
    stored = change.payload.get("preview")
    if not isinstance(stored, Mapping):
        return _plain(change)
    currency = str(stored.get("currency") or change.currency or "")
    net, vat = words.decimal(stored.get("net")), words.decimal(stored.get("vat"))
    rounding, total = words.decimal(stored.get("rounding")), words.decimal(stored.get("total"))
    if total is None and net is not None and vat is not None:
        total = net + vat + (rounding or Decimal(0))
    totals = [
        _total(_("Net"), net, currency),
        _total(_("VAT"), vat, currency) or _unknown(_("VAT"), place),
        _total(_("Rounding"), rounding or None, currency),
        _total(_("To pay"), total, currency, strong=True),
    ]
    return {
        "heading": _("Preview"),
        "sums": _("Amounts (estimate)"),
        "columns": {
            "text": _("Text"), "quantity": _("Quantity"), "price": _("Price"), "discount": _("Discount"),
            "net": _("Net"),
        },
        "lines": [_line(line, currency) for line in stored.get("lines") or () if isinstance(line, Mapping)],
        "fields": [],
        "totals": [row for row in totals if row],
        "compare": _compare(stored, change, net, currency),
        "notes": [text for note in stored.get("notes") or () if (text := words.said(note))],
        "notesLabel": _("Please note"),
    }  # fmt: skip


def _line(line: Mapping[str, Any], currency: str) -> dict[str, str]:
    discount = line.get("discount")
    return {
        "text": words.said(line.get("text")) or str(line.get("article") or ""),
        "article": str(line.get("article") or ""),
        "quantity": words.quantity(line.get("quantity")),
        "price": words.money(line.get("price")),
        "discount": str(discount) if isinstance(discount, str) and "%" in discount else words.quantity(discount),
        "net": words.money(line.get("net")),
    }


def _plain(change: Change) -> dict[str, Any] | None:
    """A record without amounts: the fields that would be written, by the names that the mapping gives them."""
    if change.state != State.PLANNED or not change.diff:
        return None
    rules = FieldMapping.objects.filter(mapping_set_id=change.mapping_set_id)
    labels = dict(rules.values_list("target_field", "label"))
    fields = [
        {"label": _(labels.get(row["field"]) or row["field"]), "value": value}
        for row in change.diff
        if (value := words.discreet(_value(row.get("after")), change.checks))
    ]
    empty: dict[str, Any] = {
        "columns": {},
        "lines": [],
        "totals": [],
        "compare": None,
        "notes": [],
        "notesLabel": "",
        "sums": "",
    }
    return {"heading": _("Preview"), "fields": fields, **empty} if fields else None


def _value(stored: Any) -> str:
    try:
        return show(load(stored))[:300]
    except (KeyError, TypeError, ValueError):
        return ""


def _total(label: str, value: Decimal | None, currency: str, *, strong: bool = False) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"label": label, "value": words.money(value, currency), "strong": strong}


def _unknown(label: str, place: Place) -> dict[str, Any]:
    """A figure that only the ledger can know."""
    return {"label": label, "value": _("set by %(ledger)s") % {"ledger": place.system}, "strong": False}


def _compare(stored: Mapping[str, Any], change: Change, net: Decimal | None, currency: str) -> dict[str, Any] | None:
    """The CRM's amount, what would be invoiced, and the difference (Q-03)."""
    promised = words.decimal(stored.get("promised"))
    if promised is None:
        promised = change.amount
    made = words.decimal(stored.get("compared"))  # with VAT, where the prices include it
    made = net if made is None else made
    if promised is None or made is None:
        return None
    difference = made - promised
    same = abs(difference) < CENT
    return {
        "heading": _("Compared with the CRM"),
        "rows": [
            {"label": _("Amount in the CRM"), "value": words.money(promised, currency)},
            {
                "label": _("Net of the preview") if made == net else _("The preview's rows, with VAT"),
                "value": words.money(made, currency),
            },
            {"label": _("Difference"), "value": words.money(difference, currency), "tone": "ok" if same else "warn"},
        ],
        "same": same,
    }
