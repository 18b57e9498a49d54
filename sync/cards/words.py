"""The words of the cards: labels of states, buttons and repairs, money and moments, in the active language.

The invariant: a status is a word and a tone, and the name of a system comes from the account, never from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, gettext_lazy, pgettext_lazy
from django.utils.translation import gettext as _

from integrations.cards import Facts
from integrations.connector import Value
from sync.cards import records
from sync.texts import in_this_language
from sync.values import load

CREATE = {  # by what the ledger calls it: the CRMs have many names for what becomes an invoice
    "customer": gettext_lazy("Create as customer in %(ledger)s"),
    "invoice": gettext_lazy("Create as invoice in %(ledger)s"),
}
NUMBER = {
    "customer": gettext_lazy("%(ledger)s ID"),
    "invoice": gettext_lazy("Invoice number in %(ledger)s"),
}
STATUSES: Mapping[str, tuple[Any, str]] = {
    "draft": (gettext_lazy("Draft"), "info"),
    "unbooked": (gettext_lazy("Unbooked"), "info"),
    "booked": (gettext_lazy("Booked"), "info"),
    "sent": (gettext_lazy("Sent"), "info"),
    "partly_paid": (gettext_lazy("Partly paid"), "info"),
    "paid": (gettext_lazy("Paid"), "ok"),
    "overdue": (gettext_lazy("Overdue"), "bad"),
    "credited": (gettext_lazy("Credited"), "off"),
    "cancelled": (pgettext_lazy("document", "Cancelled"), "off"),
}
PHASES: Mapping[str, tuple[Any, str]] = {
    records.NONE: (gettext_lazy("Not created yet"), "off"),
    records.LOOKING: (gettext_lazy("Being checked"), "info"),
    records.READY: (gettext_lazy("Ready to create"), "ok"),
    records.BLOCKED: (gettext_lazy("Something is missing"), "warn"),
    records.WORKING: (gettext_lazy("Being created"), "info"),
    records.VERIFYING: (gettext_lazy("Being verified"), "warn"),
    records.REVIEW: (gettext_lazy("Needs a person"), "bad"),
    records.DONE: (gettext_lazy("Linked"), "ok"),
    records.LOCKED: (gettext_lazy("Locked"), "warn"),
    records.HELD: (gettext_lazy("Waiting for approval"), "warn"),
}
ORGANISATION = "organization_number"
"""How the codes of checks on an organisation number begin."""
_PERSONAL = re.compile(
    r"(?<!\d)(?:1[689]|20)?(?P<date>\d\d(?:0[1-9]|1[0-2])(?:[0-8]\d|9[01]))[-+ ]?(?P<rest>\d{4})(?=(?:-?01)?(?!\d))"
)
"""A personal number, with or without its century, also inside a VAT number. A company's has 20 or more for a month."""
FACT_LABELS = {
    "invoice_date": gettext_lazy("Invoice date"),
    "due_date": gettext_lazy("Due date"),
    "paid_date": gettext_lazy("Paid on"),
    "total": gettext_lazy("Total"),
    "balance": gettext_lazy("Balance"),
}


def status_of(place: records.Place, known: Facts, phase: str) -> dict[str, str]:
    """Label and tone: the document's own status once there is one, else where the record stands."""
    if phase == records.DONE and known.status:
        label, tone = STATUSES[known.status]
        return {"label": str(label), "tone": tone}
    if phase == records.DONE and known.status_text:
        return {"label": known.status_text[:60], "tone": "info"}
    label, tone = PHASES[phase]
    return {"label": str(label), "tone": tone}


def create_label(kind: str, ledger: str) -> str:
    """What the button says; `kind` is the object in the ledger."""
    template = CREATE.get(kind) or gettext_lazy("Create in %(ledger)s")
    return str(template) % {"ledger": ledger}


def number_label(kind: str, ledger: str) -> str:
    """What the counterpart's number is called; `kind` is the object in the ledger."""
    template = NUMBER.get(kind) or gettext_lazy("Number in %(ledger)s")
    return str(template) % {"ledger": ledger}


def fact_rows(known: Facts) -> list[dict[str, str]]:
    """Dates and money of a document, as rows of label and value; what is unknown is left out."""
    values = known.values or {}
    currency = str(values.get("currency") or "")
    rows = []
    for name, label in FACT_LABELS.items():
        value = values.get(name)
        if value in (None, ""):
            continue
        text = money(value, currency) if name in ("total", "balance") else day(value)
        if text:
            row = {"label": str(label), "value": text}
            rows.append(row | {"tone": "bad"} if name == "due_date" and known.status == "overdue" else row)
    return rows


def decimal(value: object) -> Decimal | None:
    """A number as it may be stored in JSON; None when it is none."""
    loaded: Any = load(value) if isinstance(value, dict) and "$" in value else value
    if loaded is None or isinstance(loaded, bool) or loaded == "":
        return None
    try:
        number = Decimal(str(loaded))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def money(value: object, currency: str = "") -> str:
    """Money with its currency: `1 234,50 kr` in Swedish, `1,234.50 SEK` in English; "" for nothing."""
    number = decimal(value)
    if number is None:
        return ""
    unit = "kr" if (get_language() or "").startswith("sv") and currency == "SEK" else currency
    return f"{number_format(number, decimal_pos=2, force_grouping=True)} {unit}".strip().replace(" ", "\u00a0")


def quantity(value: object) -> str:
    """A quantity or a percentage, without trailing zeros; text stays text."""
    number = decimal(value)
    if number is None:
        return "" if value is None else str(value)
    text = f"{number:f}"
    places = len(text.rpartition(".")[2].rstrip("0")) if "." in text else 0
    return str(number_format(number, decimal_pos=places, force_grouping=True))


def day(value: Value) -> str:
    """A date as people write it here; text that is no date as it is."""
    if isinstance(value, datetime):
        value = timezone.localtime(value).date() if timezone.is_aware(value) else value.date()
    if isinstance(value, date):
        return date_format(value, "DATE_FORMAT")
    return str(value or "")


def moment(at: datetime) -> str:
    """A moment as people say it: the time today, the day and time before that."""
    local = timezone.localtime(at)
    clock = f"{local:%H:%M}"
    if local.date() == timezone.localdate():
        return _("today %(time)s") % {"time": clock}
    return f"{date_format(local, 'MONTH_DAY_FORMAT')} {clock}"


def organisation(number: str) -> str:
    """An organisation number. A sole trader's is a personal number: its last digits are nobody's business here."""
    return _PERSONAL.sub(_masked, number)


def _masked(match: re.Match[str]) -> str:
    return f"{match['date']}-••••"


def discreet(text: str, checks: Sequence[Mapping[str, Any]]) -> str:
    """`text`, with the organisation number that one of the checks is about masked, however it is spelled."""
    about = [str(row.get("actual")) for row in checks if str(row.get("code")).startswith(ORGANISATION)]
    known = {_number(match) for actual in about for match in _PERSONAL.finditer(actual)}
    return _PERSONAL.sub(lambda match: _masked(match) if _number(match) in known else match[0], text)


def _number(match: re.Match[str]) -> str:
    return match["date"] + match["rest"]


def said(texts: object) -> str:
    """A stored sentence in the active language; plain text as it is."""
    if isinstance(texts, dict):
        return in_this_language(texts)
    return str(texts or "")
