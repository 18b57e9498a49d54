"""Ringing the queue's bell. The only module that speaks to django-q2 about tasks and its one schedule row.

A kick may be lost, late or repeated; nothing depends on it. Kicks are coalesced: one that is still waiting serves for
all. Losing every kick costs at most a minute, because `tick` kicks too.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task

TICK = "tick"
INTERACTIVE = "default"
BULK = "bulk"
QUEUES = (INTERACTIVE, BULK)

BUDGET_SECONDS = 45
"""A drain hands over before a minute is over; the cluster's own timeout is a safety net above it."""


def _cluster(queue: str) -> str:
    return settings.Q_CLUSTER["name"] if queue == INTERACTIVE else queue


def kick(queue: str = BULK) -> bool:
    """Ask the workers of `queue` to look for due work; False when a kick is waiting already."""
    if OrmQ.objects.filter(key=_cluster(queue), lock__lte=timezone.now()).exists():
        return False
    _ring("sync.tasks.drain", queue, queue)
    return True


def kick_change(change_id: int) -> None:
    """A person is waiting for this change: ring the interactive workers for it."""
    _ring("sync.tasks.work_on", change_id, INTERACTIVE)


def _ring(task: str, argument: int | str, queue: str) -> None:
    options = {} if queue == INTERACTIVE else {"cluster": queue}
    async_task(task, argument, q_options=options)


def ensure_schedule() -> None:
    """Exactly one schedule row, the minute tick; anything else in the table is removed (it could name any callable)."""
    with transaction.atomic():
        Schedule.objects.exclude(name=TICK, func="sync.tasks.tick").delete()
        Schedule.objects.update_or_create(
            name=TICK,
            defaults={
                "func": "sync.tasks.tick",
                "args": None,
                "kwargs": None,
                "hook": None,
                "schedule_type": Schedule.MINUTES,
                "minutes": 1,
                "repeats": -1,
                "cluster": None,
            },
        )
