"""How a row of the month end looks: what it is about, how much, how old, and its one button."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from integrations.models import Integration
from sync import month_end, repair
from sync.admin import show
from sync.admin.reconciliation_show import money, status_word
from sync.models import Change, ReconciliationDocument

NEEDS = {"create": "sync.run_flow", "book": "sync.approve_flow", "sync": "sync.run_flow", "retry": "sync.retry_change"}
BUTTONS = {
    "create": gettext_lazy("Create invoice…"),
    "book": gettext_lazy("Book…"),
    "sync": gettext_lazy("Sync now"),
    "retry": gettext_lazy("Retry"),
}
TITLES: dict[str, tuple[Any, Any]] = {
    "sold": (gettext_lazy("Won without an invoice"), gettext_lazy("Won in the month, and no document was made.")),
    "drafts": (gettext_lazy("Not booked"), gettext_lazy("Drafts and unbooked documents dated in the month.")),
    "credits": (gettext_lazy("Credits without a debit"), gettext_lazy("The ledger does not say what they credit.")),
    "paid": (gettext_lazy("Paid on one side only"), gettext_lazy("One side says paid, the other does not.")),
    "overdue": (gettext_lazy("Overdue from today"), gettext_lazy("Due yesterday and not paid.")),
    "years": (
        gettext_lazy("Outside an open fiscal year"),
        gettext_lazy("The ledger has no fiscal year for the whole period. Open it in the ledger's settings."),
    ),
    "failures": (gettext_lazy("Failures that need a person"), gettext_lazy("They may be missing from the figures.")),
}


def section_row(
    section: month_end.Section, integration: Integration, may: dict[str, bool], links: dict[str, int]
) -> dict[str, Any]:
    """One section as the page shows it, with the buttons that this person may press."""
    title, help_text = TITLES[section.code]
    verb = section.verb if may.get(section.verb) else ""
    documents = [row for row in section.rows if isinstance(row, ReconciliationDocument)]
    ours = set(month_end.bookable(documents, integration)) if section.verb == "book" and documents else set()
    rows = []
    for row in section.rows:
        if isinstance(row, ReconciliationDocument):
            allowed = "" if verb == "book" and row.record_id not in ours else verb
            rows.append(_document(row, links.get(row.record_id), allowed))
        else:
            rows.append(_failure(row, verb))
    return {
        "code": section.code,
        "title": title,
        "help": help_text,
        "total": show.number(section.total),
        "any": bool(section.total),
        "rows": rows,
        "more": section.total - len(section.rows),
    }


def _document(row: ReconciliationDocument, link: int | None, verb: str) -> dict[str, Any]:
    age = timezone.localdate() - row.day if row.day else timedelta()
    apart = getattr(row, "crm_status", None)
    title = " ".join(filter(None, (row.number, row.customer or row.title))) or row.record_id
    return {
        "title": title,
        "url": reverse("admin:record", args=[link]) if link else "",
        "outside": _outside(row.url, row.record_id, title),
        "amount": money(row.gross, row.currency),
        "age": show.duration(age),
        "detail": f"{status_word(row.status)} → {status_word(apart)}"
        if apart
        else status_word(row.status)
        if row.status
        else "",
        "act_url": reverse("admin:month_end_act", args=[verb, row.pk]) if verb else "",
        "button": BUTTONS.get(verb, ""),
    }


def _outside(url: str, key: str, title: str) -> SafeString | str:
    """The record at the vendor; "" for a bare id that the title begins with already."""
    return show.outside(url, key) if url or not title.startswith(key) else ""


def _failure(change: Change, verb: str) -> dict[str, Any]:
    """A change that needs a person. One that only a choice settles is opened: trying it again would end here again."""
    choose = change.error_code in repair.UNDECIDED
    verb = "" if choose else verb
    title = change.source_title or change.source_id
    return {
        "title": title,
        "url": show.page_url(change),
        "outside": _outside(change.source_url, change.source_id, title),
        "amount": money(change.amount, change.currency),
        "age": show.duration(timezone.now() - change.created_at),
        "detail": change.error_text or change.error_code,
        "look": gettext_lazy("Choose") if choose else "",
        "act_url": reverse("admin:month_end_act", args=[verb, change.pk]) if verb else "",
        "button": BUTTONS.get(verb, ""),
    }
