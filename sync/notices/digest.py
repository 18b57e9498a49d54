"""Digests: once a day or on Mondays, everything that is still open in an organization, for who asked for it.

Its content is made when it is sent, so what healed meanwhile is not in it, and an empty one is never sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Min
from django.utils import timezone

from sync.models import Notice, NoticeDelivery, NoticePreference
from sync.notices.people import wishes

CATCH_UP = timedelta(hours=8)
"""A digest whose hour passed while nobody sent anything still goes out within this time."""


def due_digests(now: datetime | None = None) -> int:
    """Put the digests into the outbox whose hour has come; returns how many were looked at. Four queries at most.

    A message exists once per person, organization and day, so this may run as often as it likes.
    """
    local = timezone.localtime(now or timezone.now())
    oldest = dict(
        Notice.objects.open()
        .filter(organization__isnull=False)
        .order_by()
        .values("organization_id")
        .annotate(first=Min("opened_at"))
        .values_list("organization_id", "first")
    )
    if not oldest:
        return 0
    rows = []
    for wish in wishes(set(oldest)):
        if wish.organization_id is None or wish.digest == NoticePreference.Digest.OFF:
            continue
        at = local.replace(hour=wish.hour, minute=0, second=0, microsecond=0)
        weekly = wish.digest == NoticePreference.Digest.WEEKLY
        if not at <= local < at + CATCH_UP or oldest[wish.organization_id] > at or (weekly and at.weekday() != 0):
            continue
        rows.append(
            NoticeDelivery(
                organization_id=wish.organization_id,
                user_id=wish.user_id,
                channel=NoticeDelivery.Channel.EMAIL,
                phase=NoticeDelivery.Phase.DIGEST,
                due_at=at,
                dedupe=f"digest:{wish.organization_id}:{wish.user_id}:{at:%Y-%m-%d}",
            )
        )
    if rows:
        NoticeDelivery.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    return len(rows)


def content(organization_id: int, limit: int = 200) -> list[Notice]:
    """What is open in an organization, most urgent first, then oldest."""
    rows = (
        Notice.objects.open()
        .filter(organization=organization_id)
        .select_related("organization", "integration")
        .order_by("opened_at", "pk")[:limit]
    )
    return sorted(rows, key=lambda notice: notice.level != Notice.Level.IMMEDIATE)
