"""When readiness is checked, and by what it is judged: what is queued for the ledger, daily or when somebody asks.

One integration at a time, under a lock of its own. The invariant: a check that fails leaves the last report as it is,
and becomes due again later; nothing here raises to the tick.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import timedelta
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from integrations import readiness
from integrations.connector import Expected
from integrations.locks import process_lock
from integrations.models import Integration, ReadinessReport
from integrations.readiness_store import Stored, register_bell, report_of, store
from sync import notices, queue
from sync.models import Change, Side
from sync.states import OPEN
from sync.values import load

logger = logging.getLogger(__name__)

QUEUED_AT_MOST = 500
"""How many queued writes are looked at, the newest first."""
LONGEST_VALUE = 60
SETTLED = timedelta(hours=1)
"""How old an integration is before it is checked without being asked."""
AGAIN = timedelta(minutes=30)


def expectations(integration: Integration) -> Expected:
    """The values of writes that are queued for the ledger, by field."""
    found: dict[str, set[str]] = defaultdict(set)
    rows = (
        Change.objects.filter(
            flow__integration=integration, flow__target_side=Side.LEDGER, state__in=[str(state) for state in OPEN]
        )
        .order_by("-pk")
        .values_list("flow__target_object", "payload")[:QUEUED_AT_MOST]
    )
    for name, payload in rows:
        _collect(found, name, payload.get("fields") or {})
        for line in payload.get("lines") or ():
            _collect(found, f"{name}.lines", line)
    return Expected({name: frozenset(values) for name, values in found.items()})


def _collect(found: dict[str, set[str]], prefix: str, fields: dict[str, Any]) -> None:
    for name, stored in fields.items():
        value: Any = load(stored)
        text = "" if value is None or isinstance(value, list) else str(value)
        if text and len(text) <= LONGEST_VALUE:
            found[f"{prefix}.{name}"].add(text)


def check_now(integration: Integration, *, lane: str = "interactive") -> Stored | None:
    """Check, store, and tell people when a line turned red; None while another process is at it."""
    with process_lock(f"readiness:{integration.pk}") as mine:
        if not mine:
            return None
        found = readiness.check_sides(integration, expectations(integration), lane=lane)
        stored = store(integration, found)
    _tell(integration, stored)
    return stored


def _tell(integration: Integration, stored: Stored) -> None:
    key = f"integration:{integration.pk}"
    if not stored.red:
        notices.heal("readiness_red", key, integration.organization)
    elif stored.turned_red:
        first = stored.turned_red[0]
        words = {f"what_{code}": text for code, text in first.title.items()}
        notices.tell(
            "readiness_red", integration.organization, integration=integration, key=key,
            params={"integration": str(integration), "count": str(len(stored.red)), **words},
            url_name="integrations_integration_readiness", obj=integration,
        )  # fmt: skip


@register_bell
def ring() -> None:
    """A person waits for a check."""
    queue.kick(queue.BULK)


def serve_asked() -> int:
    """Check what people asked for; returns how many. One cheap query when nobody did."""
    asked = Q(asked_at__isnull=False) & (Q(checked_at=None) | Q(checked_at__lt=F("asked_at")))
    return sum(_serve(report) for report in _reports().filter(asked).order_by("asked_at")[:10])


def serve_due() -> int:
    """Check the one integration that is due for its daily check; returns how many were checked."""
    now = timezone.now()
    able = Q(integration__created_at__lt=now - SETTLED) & ~Q(integration__mode=Integration.Mode.OFF)
    report = _reports().filter(able, due_at__lte=now).order_by("due_at").first()
    if report is not None:
        return _serve(report, lane="bulk")
    new = Integration.objects.filter(readiness_report=None, created_at__lt=now - SETTLED)
    for integration in new.exclude(mode=Integration.Mode.OFF).order_by("pk")[:1]:
        report_of(integration)  # its turn comes with the next tick
    return 0


def _reports() -> Any:
    return ReadinessReport.objects.select_related(
        "integration__organization", "integration__crm_account", "integration__ledger_account"
    )


def _serve(report: ReadinessReport, lane: str = "interactive") -> int:
    try:
        return int(check_now(report.integration, lane=lane) is not None)
    except Exception:
        logger.exception("readiness of integration %s could not be checked", report.integration_id)
        later = timezone.now() + AGAIN
        ReadinessReport.objects.filter(pk=report.pk).update(due_at=later, asked_at=None)
        return 0
