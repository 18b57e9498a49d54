"""Who should hear of a reconciliation: differences that nothing explains, and a month that is still open (I-03, I-14).

A notice belongs to a period. The invariant: it stays until that period was compared again without a remainder, as part
of a longer one too, or until somebody signed for it; comparing another period ends nothing.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from sync import notices
from sync.models import MonthClose, Notice, Reconciliation

UNEXPLAINED, OPEN_MONTH, FAILED = "reconciliation_unexplained", "month_end_open", "reconciliation_failed"
FROM_DAY = 5
"""From this day of a month on, people are told that the month before is not closed."""


def finished(row: Reconciliation) -> None:
    """It was read and judged to its end: tell, and end what it settles. Never raises for a notice."""
    own = _key(row)
    notices.heal(FAILED, str(row.integration_id), row.integration.organization)
    for key in _inside(row):
        if key != own or not row.unexplained:
            notices.heal(UNEXPLAINED, key, row.integration.organization)
    if row.unexplained:
        notices.tell(
            UNEXPLAINED, row.integration.organization, integration=row.integration, key=own,
            params={"integration": str(row.integration), "count": str(row.unexplained)},
            url_name="reconcile_one", obj=row.pk,
        )  # fmt: skip
    if row.trigger == Reconciliation.Trigger.NIGHT:
        _month(row)


def failed(row: Reconciliation) -> None:
    """It was given up: without a word the proof would be missing, and nobody would know. Any comparison that comes to
    its end heals it. Never raises for a notice."""
    integration = row.integration
    systems = f"{integration.ledger_account.system},{integration.crm_account.system}"
    notices.tell(
        FAILED, integration.organization, integration=integration, key=str(row.integration_id),
        params={
            "integration": str(integration), "starts": row.starts.isoformat(), "ends": row.ends.isoformat(),
            "systems": systems, "code": row.error_code, "message": row.error_message,
        },
        url_name="reconcile_one", obj=row.pk,
    )  # fmt: skip


def signed(row: Reconciliation) -> None:
    """Somebody signed, and gave a reason where one was needed: the period is settled."""
    for key in _inside(row):
        notices.heal(UNEXPLAINED, key, row.integration.organization)


def closed(row: Reconciliation) -> None:
    """A month was closed: nobody needs to be told that it is open."""
    notices.heal(OPEN_MONTH, str(row.integration_id), row.integration.organization)


def _month(row: Reconciliation) -> None:
    """By night: is the month before this one still open, with rows that need somebody?"""
    from sync import month_end  # it asks reconciliations

    today = timezone.localdate()
    month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    integration, key = row.integration, str(row.integration_id)
    done = MonthClose.objects.filter(integration=integration, month=month).exists()
    count = 0
    if not done and today.day >= FROM_DAY:
        found = month_end.sections(integration, month, month_end.newest(integration, month))
        count = sum(section.total for section in found)
    if count:
        notices.tell(
            OPEN_MONTH, integration.organization, integration=integration, key=key,
            params={"integration": str(integration), "count": str(count)}, url_name="month_end",
        )  # fmt: skip
    else:
        notices.heal(OPEN_MONTH, key, integration.organization)


def _key(row: Reconciliation) -> str:
    return f"{row.integration_id}:{row.starts.isoformat()}:{row.ends.isoformat()}"


def _inside(row: Reconciliation) -> list[str]:
    """The open notices of periods that lie inside this one, by key."""
    rows = Notice.objects.open().filter(kind=UNEXPLAINED, integration=row.integration_id)
    found = []
    for key in rows.values_list("key", flat=True):
        _integration, starts, ends = key.split(":")
        if row.starts.isoformat() <= starts and ends <= row.ends.isoformat():
            found.append(key)
    return found
