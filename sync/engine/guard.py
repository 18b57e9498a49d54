"""The totals guard: what the ledger made of a document, against what was sent and what the CRM promised.

After each create the document is read again. Rows must be what was sent, the header the sum of its rows, and the net
(with VAT, where the prices include it) what the CRM promised, within the flow's tolerance for rounding, and the VAT
plausible for the customer (Q-03, I-09).
The invariant: a document that breaks one of these is never booked by us, and a person sees by which component it
differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import cast

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from integrations.connector import Estimate, Totals
from integrations.errors import ErrorClass, Missing, SyncError
from mappings.mapper import Problem
from sync.engine.context import FlowContext
from sync.models import Change
from sync.texts import say
from sync.values import load_all

CENT = Decimal("0.01")


def check(ctx: FlowContext, change: Change, payload: dict[str, object]) -> list[Problem]:
    """Read the document of `change.target_id` again and compare; every difference as a problem.

    `payload` is what was sent. One remote call. Raises `SyncError` when it cannot be read.
    """
    name = ctx.flow.target_object
    wanted = ctx.target.totals_fields(name)
    if not wanted:
        return []
    for loaded in ctx.target.load(name, [change.target_id], wanted):
        if isinstance(loaded, tuple):
            raise loaded[1]
        totals = ctx.target.totals(name, loaded)
        return compare(ctx, change, payload, totals) if totals else []
    raise Missing("The document that was just written is not there.", code="gone", record=change.target_id)


def compare(ctx: FlowContext, change: Change, payload: dict[str, object], totals: Totals) -> list[Problem]:
    """The differences between what was sent, what the ledger made of it, and what the CRM promised."""
    fields = load_all(payload.get("fields") or {})  # type: ignore[arg-type]
    raw_lines = payload.get("lines")
    lines = [load_all(line) for line in raw_lines] if isinstance(raw_lines, list) else None
    problems: list[Problem] = []
    if lines is not None:
        estimate = ctx.target.estimate(ctx.flow.target_object, fields, lines, {})
        problems += _rows(estimate, totals)
    if abs(sum(totals.rows, Decimal(0)) - totals.net) > CENT * max(1, len(totals.rows)):
        rows = sum(totals.rows, Decimal(0))
        text = _("The rows add up to {left}, the document says {right}.")
        problems.append(_problem("header", rows, totals.net, text))
    if change.currency and totals.currency and change.currency != totals.currency:
        said = say(_("Promised in {left}, made in {right}."), left=change.currency, right=totals.currency)
        code = "totals_currency"
        problems.append(Problem(code, "", "currency", totals.currency, said, _REMEDY, ErrorClass.CONFLICT))  # type: ignore[arg-type]
    if totals.vat_doubt:
        why = cast(str, totals.vat_doubt)  # said in every language when it is stored
        vat = f"{totals.vat:.2f}"
        problems.append(Problem("totals_vat", "", "vat", vat, why, _VAT_REMEDY, ErrorClass.CONFLICT))  # type: ignore[arg-type]
    problems += _promise(ctx, change, totals)
    return problems


_VAT_REMEDY = _("Correct the customer's VAT type in the ledger, then the invoice; or accept the VAT as it is.")
_REMEDY = _("Compare both records, correct the one that is wrong and plan again, or accept the difference.")


def _problem(component: str, left: Decimal, right: Decimal, text: object) -> Problem:
    return Problem(
        code=f"totals_{component}",
        rule="",
        field=component,
        value=str(right),
        message=say(text, left=f"{left:.2f}", right=f"{right:.2f}"),  # type: ignore[arg-type]
        remedy=_REMEDY,  # type: ignore[arg-type]
        error_class=ErrorClass.CONFLICT,
    )


def _rows(estimate: Estimate | None, totals: Totals) -> list[Problem]:
    """Row by row; a row whose price the ledger set itself has nothing to be compared with."""
    if estimate is None:
        return []
    if len(estimate.rows) != len(totals.rows):
        text = _("{left} rows were sent, the document has {right}.")
        return [_problem("row_count", Decimal(len(estimate.rows)), Decimal(len(totals.rows)), text)]
    problems = []
    for number, (sent, made) in enumerate(zip(estimate.rows, totals.rows, strict=True), start=1):
        expected = sent.net
        if expected is not None and not totals.vat_included and abs(expected - made) > CENT:
            text = say(_("Row {number}, “{text}”:"), number=number, text=sent.text)
            both = say(_("{row} {left} was sent, {right} was made of it."), row=text, left="{left}", right="{right}")
            problems.append(_problem("row", expected, made, both))
    return problems


def _promise(ctx: FlowContext, change: Change, totals: Totals) -> list[Problem]:
    promised = change.amount
    if promised is None or ctx.mapping.promise is None:
        return []
    # What prices with VAT add up to is an amount with VAT; freight and fees are no part of either.
    made = totals.net + totals.vat - totals.surcharge_vat if totals.vat_included else totals.net
    difference = made - promised
    tolerance = Decimal(ctx.setting("tolerance", "1.00"))
    if abs(difference) <= tolerance:
        return []
    parts = [
        say(_("net {amount}"), amount=f"{totals.net:.2f}"),
        *_component(_("freight {amount}"), totals.freight),
        *_component(_("fee {amount}"), totals.fee),
        say(_("VAT {amount}"), amount=f"{totals.vat:.2f}"),
        *_component(_("rounding {amount}"), totals.rounding),
        say(_("total {amount}"), amount=f"{totals.gross:.2f}"),
    ]
    text = say(
        _("The CRM promised {promised} {currency}, the document says {net}: a difference of {difference} ({parts})."),
        promised=f"{promised:.2f}",
        currency=change.currency or totals.currency,
        net=f"{made:.2f}",
        difference=f"{difference:.2f}",
        parts=format_lazy(", ".join(["{}"] * len(parts)), *parts),
    )
    hint = _explain(difference, totals)
    remedy = say("{hint} {remedy}", hint=hint, remedy=_REMEDY) if hint else _REMEDY
    return [Problem("totals_promise", "", "amount", f"{difference:.2f}", text, remedy, ErrorClass.CONFLICT)]  # type: ignore[arg-type]


def _component(text: object, amount: Decimal) -> Sequence[object]:
    return [say(text, amount=f"{amount:.2f}")] if amount else []  # type: ignore[arg-type]


def _explain(difference: Decimal, totals: Totals) -> object:
    """The component that accounts for the whole difference, if one does."""
    if totals.vat_included and totals.vat and abs(difference - totals.vat + totals.surcharge_vat) <= CENT:
        return _("The promised amount seems to be without VAT.")
    if totals.vat and abs(difference + totals.vat) <= CENT:
        return _("The promised amount seems to include VAT.")
    if totals.vat and abs(difference - totals.vat) <= CENT:
        return _("VAT seems to have been added to prices that include it.")
    for amount, text in (
        (totals.freight, _("The difference is the freight.")),
        (totals.fee, _("The difference is the administration fee.")),
        (totals.rounding, _("The difference is the rounding.")),
    ):
        if amount and abs(abs(difference) - abs(amount)) <= CENT:
            return text
    return ""


__all__ = ["SyncError", "check", "compare"]
