"""What a card says of a Fortnox customer or invoice, from the values that a link remembers. No call is made here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from integrations.cards import Facts
from integrations.connector import Value

STATUSES = frozenset({"draft", "unbooked", "booked", "sent", "partly_paid", "paid", "overdue", "credited", "cancelled"})
"""The derived `status` of an invoice, see `parse.invoice_status`."""
_NAMES = MappingProxyType(
    {
        "InvoiceDate": "invoice_date",
        "DueDate": "due_date",
        "FinalPayDate": "paid_date",
        "Total": "total",
        "Balance": "balance",
        "Currency": "currency",
    }
)


def facts(object_name: str, values: Mapping[str, Value]) -> Facts:
    """The facts of a customer or an invoice; empty for other objects."""
    if object_name == "customer":
        return Facts(organisation_number=str(values.get("OrganisationNumber") or ""))
    if object_name != "invoice":
        return Facts()
    status = str(values.get("status") or "")
    return Facts(
        status=status if status in STATUSES else "",
        status_text=status,
        values={ours: values.get(theirs) for theirs, ours in _NAMES.items()},
    )
