"""Comparing what is wrong now with what is open: what is new is opened, what is gone is healed, what changed is noted.

The invariant: a constant number of statements, whatever was found, and none that writes while nothing changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from sync.models import Notice
from sync.notices.kinds import KINDS

Key = tuple[int | None, str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong now."""

    kind: str
    key: str
    organization_id: int | None = None
    integration_id: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    url: str = ""


def settle(kinds: Collection[str], findings: Iterable[Finding], now: datetime | None = None) -> tuple[int, int]:
    """Make the open notices of `kinds` say exactly `findings`. Returns how many opened and how many healed.

    What healed a short while ago, and whose end nobody was told yet, opens again as the same notice.
    """
    now = now or timezone.now()
    wrong: dict[Key, Finding] = {(f.organization_id, f.kind, f.key[:120]): f for f in findings if f.kind in kinds}
    known: dict[Key, Notice] = {}
    for notice in Notice.objects.filter(kind__in=kinds, closed_at=None).order_by("pk"):
        known[(notice.organization_id, notice.kind, notice.key)] = notice  # the newest: an open one comes last
    new, changed = [], []
    for key, finding in wrong.items():
        notice_or_none = known.get(key)
        params = {name: str(value)[:300] for name, value in finding.params.items()}
        if notice_or_none is None:
            new.append(_notice(finding, key, params, now))
            continue
        notice = notice_or_none
        if notice.healed_at is None and notice.params == params and notice.url == finding.url:
            continue
        notice.healed_at, notice.params, notice.url, notice.changed_at = None, params, finding.url, now
        changed.append(notice)
    over = [notice.pk for key, notice in known.items() if key not in wrong and notice.healed_at is None]
    if new:
        Notice.objects.bulk_create(new, batch_size=500, ignore_conflicts=True)
    if changed:
        Notice.objects.bulk_update(changed, ["healed_at", "params", "url", "changed_at"], batch_size=200)
    if over:
        Notice.objects.filter(pk__in=over, healed_at=None).update(healed_at=now)
    return len(new), len(over)


def _notice(finding: Finding, key: Key, params: dict[str, str], now: datetime) -> Notice:
    return Notice(
        organization_id=key[0], integration_id=finding.integration_id, kind=key[1], level=KINDS[key[1]].level,
        key=key[2], params=params, url=finding.url, opened_at=now, changed_at=now,
    )  # fmt: skip
