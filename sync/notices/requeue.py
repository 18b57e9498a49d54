"""Setting going again what stands still, by hand: safe at any moment, and it counts as an attempt (Q-07).

Nothing is sent from here. A run becomes due, and continues at its last stored page under the flow's lock, so that a
process that only looked dead is not doubled; a write whose outcome is unknown becomes due for its verification, which
searches before anything is sent once more.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sync import queue
from sync.bulk import insert_rows
from sync.models import Notice, SyncLogEntry, SyncRun

KINDS = frozenset({"run_stuck", "outcome_unknown_old"})
PORTION = 500


def possible(notice: Notice) -> bool:
    """Whether what the notice is about can be set going from here."""
    return notice.kind in KINDS and notice.healed_at is None


def requeue(notice: Notice, user: Any) -> int:
    """Make what the notice is about due again, on behalf of `user`; returns how many rows. What has moved meanwhile is
    left alone, so pressing twice changes nothing more."""
    from sync.watchdog import old_unknowns, stuck_runs

    if not possible(notice) or notice.integration_id is None:
        return 0
    now = timezone.now()
    with transaction.atomic():
        if notice.kind == "run_stuck":
            runs = stuck_runs(now).filter(pk=int(notice.key), integration=notice.integration_id)
            ids = list(runs.values_list("pk", flat=True))
            fresh = SyncRun.objects.filter(pk__in=ids)
            n = fresh.update(failures=F("failures") + 1, due_at=now, heartbeat_at=now)
            entries = [_entry(notice.integration_id, user, run_id=pk) for pk in ids]
        else:
            rows = old_unknowns(now).filter(integration=notice.integration_id).order_by("pk")
            ids = list(rows.values_list("pk", flat=True)[:PORTION])
            n = old_unknowns(now).filter(pk__in=ids).update(attempts=F("attempts") + 1, settle_until=now)
            entries = [_entry(notice.integration_id, user, change_id=pk) for pk in ids]
        insert_rows(entries)
    if n:
        queue.kick(queue.BULK)
    return n


def _entry(integration_id: int, user: Any, *, run_id: int | None = None, change_id: int | None = None) -> SyncLogEntry:
    return SyncLogEntry(
        integration_id=integration_id, run_id=run_id, change_id=change_id, user=user, event="set going again",
        message=f"set going again by {user}; counts as an attempt",
    )  # fmt: skip
