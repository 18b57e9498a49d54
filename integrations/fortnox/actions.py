"""What Fortnox can be asked to do with an invoice: book it, credit it, cancel it.

None of these can be repeated blindly (a second booking is refused, and Fortnox's codes for that are not public), so
the state is read first: what is done already is a success. The invariant: an act whose end is not known is
`OutcomeUnknown`, and performing it again after a while gives the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from integrations.connector import Outcome, Value
from integrations.errors import Conflict, InvalidData, Misconfigured, OutcomeUnknown, SyncError, TooLarge
from integrations.fortnox import parse, schema, times
from integrations.fortnox.client import Fortnox

INVOICE = schema.resource("invoice")
Values = Mapping[str, Value]


def _booked(number: str, now: Values) -> str:
    """Documented: only what is complete can be booked. Raises for a draft and for a cancelled invoice."""
    if now["Booked"]:
        return number
    if now["Cancelled"]:
        raise Conflict(f"Invoice {number} is cancelled and cannot be booked", code="cancelled", record=number)
    if now["NotCompleted"]:
        raise InvalidData(
            f"Invoice {number} is not completed: mark it as completed in Fortnox before it is booked",
            code="not_completed",
            record=number,
            field="NotCompleted",
            value="true",
        )
    return ""


def _credited(number: str, now: Values) -> str:
    """The credit invoice's number when there is one: an invoice can be credited once. See `_in_full`."""
    if now["CreditInvoiceReference"]:
        return str(now["CreditInvoiceReference"])
    if now["Cancelled"]:
        raise Conflict(f"Invoice {number} is cancelled and cannot be credited", code="cancelled", record=number)
    if now["is_credit"]:
        raise Conflict(f"Invoice {number} is a credit invoice itself", code="is_credit", record=number)
    if not now["Booked"]:
        raise InvalidData(
            f"Invoice {number} is not booked: it can be changed or cancelled instead of credited",
            code="not_booked",
            record=number,
            field="Booked",
            value="false",
        )
    return ""


def _cancelled(number: str, now: Values) -> str:
    """Reported: a booked invoice must be credited instead."""
    if now["Cancelled"]:
        return number
    if now["Booked"]:
        raise Conflict(
            f"Invoice {number} is booked ({now['voucher'] or 'voucher unknown'}) and must be credited instead",
            code="booked",
            record=number,
        )
    return ""


ACTS: Mapping[str, tuple[str, Callable[[str, Values], str]]] = {
    "book": ("bookkeep", _booked),
    "credit": ("credit", _credited),
    "cancel": ("cancel", _cancelled),
}


def perform(client: Fortnox, object_name: str, number: str, act: str) -> Outcome:
    """See `Connector.perform`; raises nothing, see `Outcome.error`.

    `created` is True when this call did it, False when it was done already. A credit invoice starts unbooked.
    """
    try:
        if object_name != INVOICE.name or act not in ACTS:
            raise Misconfigured(f"“{act}” is not known for {object_name}", code="act_unknown")
        return _perform(client, number, act)
    except SyncError as error:
        error.record = error.record or number
        return Outcome(number, error=error)


def _perform(client: Fortnox, number: str, act: str) -> Outcome:
    verb, done = ACTS[act]
    state = _state(client.detail(INVOICE, number), number)
    if result := done(number, state):
        return _done_before(client, number, act, result, state)
    try:
        raw = client.act(INVOICE, number, verb)
        after = _state(raw, str(raw.get("DocumentNumber")))
        result = _result(number, after, act)
    except (InvalidData, Conflict):
        # Someone else may have done it between our look and our request; Fortnox then only says that it refuses.
        after = _state(client.detail(INVOICE, number), number)
        if result := done(number, after):
            return _done_before(client, number, act, result, after)
        raise
    except TooLarge:
        after, result = {}, ""
    if not result:  # the answer does not say what became of it: look
        after = _state(client.detail(INVOICE, number), number)
        result = done(number, after)
    if not result:
        raise OutcomeUnknown(f"Fortnox accepted “{verb}”, but invoice {number} does not show it yet", code="not_shown")
    return Outcome(number, id=result, created=True, returned=after)


def _done_before(client: Fortnox, number: str, act: str, result: str, state: dict[str, Value]) -> Outcome:
    """What was done already. A credit counts only when it is of the whole invoice: one that somebody made of a part, or
    cancelled since, leaves money that a new invoice would bill twice."""
    if act == "credit":
        note = _state(client.detail(INVOICE, result), result)
        left = _amount(state) + _amount(note)
        if note["Cancelled"] or abs(left) > ROUNDING:
            why = "is cancelled" if note["Cancelled"] else f"is of {_amount(note)}"
            raise Conflict(
                f"Invoice {number} of {_amount(state)} is credited by {result}, which {why}",
                code="credited_in_part",
                record=number,
                field="CreditInvoiceReference",
                value=result,
            )
    return Outcome(number, id=result, created=False, returned=state)


ROUNDING = Decimal(1)
"""Totals are rounded to whole kronor each by itself."""


def _amount(state: Values) -> Decimal:
    total = state["Total"]
    return total if isinstance(total, Decimal) else Decimal(0)


def _result(number: str, after: Values, act: str) -> str:
    """What the answer says became of it. For a credit it may be the original or the credit invoice."""
    if after["DocumentNumber"] == number:
        return ACTS[act][1](number, after)
    if act == "credit" and after["InvoiceReference"] == number:
        return str(after["DocumentNumber"])
    return ""


def _state(raw: Mapping[str, Any], number: str) -> dict[str, Value]:
    values = parse.values_of(INVOICE.table, raw, schema.columns(INVOICE.table), number)
    return values | parse.derived(INVOICE.name, raw, times.local_date(datetime.now(UTC)), number)
