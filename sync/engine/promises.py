"""What a document would come to, beside what its source promised: shown before anything is sent, and weighed by limits.

The invariant: a figure that only the target can know is shown as unknown, never guessed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from integrations.connector import Estimate
from mappings.mapper import TOO_MUCH
from sync.texts import in_every_language

CENT = Decimal("0.01")

if TYPE_CHECKING:
    from sync.engine.draft import Draft, Related


def weigh(draft: Draft) -> None:
    """Amount and currency of the change, for the limits that ask a person first. One that is out of all bounds is
    stored as the largest there is: it must stop its own record, not the page it is on."""
    promise, fields, flow = draft.mapped.promise, draft.mapped.fields, draft.ctx.flow  # 0 is a promise too
    amount = promise if promise is not None else fields.get(flow.amount_field)
    if isinstance(amount, Decimal):
        draft.change.amount = max(min(amount, TOO_MUCH - CENT), CENT - TOO_MUCH).quantize(CENT)
    currency = draft.mapped.promise_currency or fields.get(flow.currency_field)
    draft.change.currency = str(currency or "")[:3]


def show(draft: Draft, related: Related) -> None:
    """What the document would be, beside what the CRM promised: kept with the plan and shown on the card."""
    if draft.ctx.mapping.promise is None:
        return
    weigh(draft)
    known = {number: record for found in related.found.values() for number, record in found.records.items()}
    name = draft.ctx.flow.target_object
    estimate = draft.ctx.target.estimate(name, draft.mapped.fields, draft.mapped.lines or [], known)
    if estimate is not None:
        draft.change.payload = {**draft.change.payload, "preview": _preview(draft, estimate)}


def _preview(draft: Draft, estimate: Estimate) -> dict[str, Any]:
    """The estimate as it is stored and shown; amounts as text, None where only the ledger knows."""

    def text(amount: Decimal | None) -> str | None:
        return None if amount is None else f"{amount:.2f}"

    nothing = [] if draft.change.amount is not None else [_("The CRM's amount is empty: the totals are not compared.")]
    return {
        "lines": [
            {
                "text": row.text,
                "article": row.article,
                "quantity": None if row.quantity is None else f"{row.quantity.normalize():f}",
                "price": text(row.price),
                "discount": row.discount,
                "net": text(row.net),
            }
            for row in estimate.rows
        ],
        "net": text(estimate.net),
        "vat": text(estimate.vat),
        "rounding": text(estimate.rounding),
        "total": text(estimate.gross),
        "currency": draft.change.currency,
        "promised": text(draft.change.amount),
        "compared": text(estimate.goods),
        "notes": [in_every_language(note) for note in (*draft.mapped.notes, *nothing)],
    }
