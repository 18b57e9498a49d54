"""Keeping the readiness board: asked for by a person, checked by a worker, stored with since when each line is so.

Who checks stands above this room (it knows what is queued); `ring` tells it. The invariant: a report is replaced in one
transaction, and a line keeps `first_seen` as long as it keeps its level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from integrations.models import Integration, ReadinessEntry, ReadinessReport
from integrations.readiness import Found
from integrations.words import in_every_language

EVERY = timedelta(hours=24)
SPREAD_MINUTES = 120
"""Daily checks are spread over two hours, so that not all ask at once."""

_bells: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True)
class Stored:
    """The report after a check, and the lines that are red now and were not before."""

    report: ReadinessReport
    turned_red: list[ReadinessEntry]
    red: list[ReadinessEntry]


def register_bell(bell: Callable[[], None]) -> Callable[[], None]:
    """What rings for a worker; for the rooms above, which this room must not import."""
    if bell not in _bells:
        _bells.append(bell)
    return bell


def report_of(integration: Integration) -> ReadinessReport:
    """The integration's report, made when there is none."""
    return ReadinessReport.objects.get_or_create(integration=integration)[0]


def ask(integration: Integration, user: Any) -> ReadinessReport:
    """Note that a person wants it checked now, and ring. Asking twice is asking once."""
    report = report_of(integration)
    with transaction.atomic():
        report = ReadinessReport.objects.select_for_update(of=("self",)).get(pk=report.pk)
        if not report.running:
            report.asked_at, report.asked_by = timezone.now(), user if user and user.pk else None
            report.save(update_fields=["asked_at", "asked_by"])
    for bell in _bells:
        bell()
    return report


def store(integration: Integration, found: Found, *, now: datetime | None = None) -> Stored:
    """Replace what was known by what was found."""
    now = now or timezone.now()
    report = report_of(integration)
    with transaction.atomic():
        report = ReadinessReport.objects.select_for_update(of=("self",)).get(pk=report.pk)
        known = {(line.side, line.code, line.subject): line for line in report.lines.all()}
        fresh: dict[tuple[str, str, str], ReadinessEntry] = {}
        for position, (side, line) in enumerate(found):
            key = (side, line.code[:60], line.subject[:60])
            if key in fresh:
                key = (side, line.code[:60], str(position))  # two lines of one name: both are shown
            before = known.get(key)
            same = before is not None and before.level == line.level
            fresh[key] = ReadinessEntry(
                report=report, side=key[0], code=key[1], subject=key[2], level=line.level, position=position,
                title=in_every_language(line.title), detail=in_every_language(line.detail),
                fix=in_every_language(line.fix) if line.level != "ok" else {},
                first_seen=before.first_seen if same and before else now, checked_at=now,
            )  # fmt: skip
        report.lines.all().delete()
        ReadinessEntry.objects.bulk_create(fresh.values())
        report.checked_at, report.due_at = now, now + EVERY + _spread(integration)
        report.errors = sum(line.level == "error" for line in fresh.values())
        report.warnings = sum(line.level == "warning" for line in fresh.values())
        report.save(update_fields=["checked_at", "due_at", "errors", "warnings"])
    red = [line for line in fresh.values() if line.level == "error"]
    were_red = {key for key, line in known.items() if line.level == "error"}
    turned = [line for line in red if (line.side, line.code, line.subject) not in were_red]
    return Stored(report, turned, red)


def _spread(integration: Integration) -> timedelta:
    """A few minutes more or less, by integration, so that checks that began together drift apart."""
    return timedelta(minutes=(integration.pk * 37) % SPREAD_MINUTES - SPREAD_MINUTES // 2)
