"""Counting what happened per flow and day, for the charts of the home page.

A day is counted from indexed ranges of changes, log and runs, and its counters are *replaced* by what was found; so
counting is idempotent, may happen twice at once, and heals itself. The tick counts the day that goes on (and the one
before it, in the first hour): a constant number of queries, whatever the tables hold. Days before the window keep what
was counted last, also when their rows are long purged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, CharField, Count, F, Max, Q, QuerySet, Sum, Value, When
from django.db.models.functions import TruncDate
from django.utils import timezone

from sync.models import Change, DailyCount, Flow, SyncLogEntry, SyncRun
from sync.models.log import FAILURES, TO_A_PERSON
from sync.states import Action, State

WINDOW = 30
"""Days that the charts show, today included."""
LATE = timedelta(hours=1)
"""How long after midnight the day before is counted again: what was stamped before it and committed after it."""

Outcome = DailyCount.Outcome
_OF_ACTION = {
    Action.CREATE: Outcome.CREATED,
    Action.UPDATE: Outcome.UPDATED,
    Action.LINK: Outcome.LINKED,
    Action.ACT: Outcome.CARRIED_OUT,
}
_Key = tuple[int, date, str]


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; the installation's where it is unknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(settings.TIME_ZONE)


def count(now: datetime | None = None) -> int:
    """What the tick does: count from the last day that was counted, at most the window; returns how many counters
    changed. The first time, this fills the whole window."""
    now = now or timezone.now()
    latest = DailyCount.objects.exclude(outcome=Outcome.CALLS).aggregate(day=Max("day"))["day"]
    changed = 0
    for zone, flows in flows_by_zone().items():
        today = now.astimezone(zone).date()
        oldest = today - timedelta(days=WINDOW - 1)
        recent = (now - LATE).astimezone(zone).date()
        since = oldest if latest is None else max(oldest, min(latest, recent))
        changed += recount(flows, zone, since, today)
    return changed


def recount(flows: dict[int, int], zone: ZoneInfo, first: date, last: date) -> int:
    """Count the days from `first` to `last` anew, in `zone`; `flows` are ids of flows with their integrations'.
    Returns how many counters changed."""
    begin = datetime.combine(first, time.min, tzinfo=zone)
    end = datetime.combine(last + timedelta(days=1), time.min, tzinfo=zone)
    truth = {key: n for key, n in _truth(begin, end, zone).items() if key[0] in flows}
    with transaction.atomic():
        rows = DailyCount.objects.filter(flow__in=flows, day__gte=first, day__lte=last).exclude(outcome=Outcome.CALLS)
        known = {(row.flow_id, row.day, row.outcome): row.n for row in rows}
        fresh = [
            DailyCount(flow_id=flow, integration_id=flows[flow], day=day, outcome=outcome, n=n)
            for (flow, day, outcome), n in truth.items()
            if known.get((flow, day, outcome)) != n
        ]
        DailyCount.objects.bulk_create(
            fresh, update_conflicts=True, unique_fields=["flow", "day", "outcome"], update_fields=["n"]
        )
        gone = known.keys() - truth.keys()
        for flow, day, outcome in gone:
            rows.filter(flow=flow, day=day, outcome=outcome).delete()
    return len(fresh) + len(gone)


def add_calls(flow: Flow, n: int, now: datetime | None = None) -> None:
    """Add `n` calls that a run of the flow made to the day's counter; what is counted by adding is never recounted."""
    day = (now or timezone.now()).astimezone(zone_of(flow.integration.time_zone)).date()
    row = DailyCount.objects.filter(flow=flow, day=day, outcome=Outcome.CALLS)
    if n < 1 or row.update(n=F("n") + n):
        return
    try:
        with transaction.atomic():
            DailyCount.objects.create(
                flow=flow, integration_id=flow.integration_id, day=day, outcome=Outcome.CALLS, n=n
            )
    except IntegrityError:  # another process had the first call of the day
        row.update(n=F("n") + n)


def flows_by_zone() -> dict[ZoneInfo, dict[int, int]]:
    """The ids of all flows with their integrations', by the time zone they count in."""
    found: dict[ZoneInfo, dict[int, int]] = defaultdict(dict)
    for pk, integration_id, name in Flow.objects.order_by().values_list(
        "pk", "integration_id", "integration__time_zone"
    ):
        found[zone_of(name)][pk] = integration_id
    return found


def _truth(begin: datetime, end: datetime, zone: ZoneInfo) -> dict[_Key, int]:
    found: dict[_Key, int] = {}
    applied = Change.objects.filter(state=State.APPLIED, finished_at__gte=begin, finished_at__lt=end)
    for flow, day, action, n in _grouped(applied, "finished_at", zone, "flow_id", "action"):
        if action in _OF_ACTION:
            found[flow, day, str(_OF_ACTION[Action(action)])] = n
    failed = SyncLogEntry.objects.filter(event__in=FAILURES, at__gte=begin, at__lt=end, change__isnull=False)
    kind = Case(
        When(event__in=TO_A_PERSON, then=Value(str(Outcome.REVIEW))),
        default=Value(str(Outcome.RETRIED)),
        output_field=CharField(),
    )
    for flow, day, outcome, n in _grouped(failed.annotate(kind=kind), "at", zone, "change__flow_id", "kind"):
        found[flow, day, outcome] = n
    runs = SyncRun.objects.filter(state=SyncRun.State.FAILED, finished_at__gte=begin, finished_at__lt=end)
    for flow, day, _state, n in _grouped(runs, "finished_at", zone, "flow_id", "state"):
        found[flow, day, str(Outcome.RUN_FAILED)] = n
    return found


def _grouped(
    rows: QuerySet[Change] | QuerySet[SyncLogEntry] | QuerySet[SyncRun], at: str, zone: ZoneInfo, flow: str, kind: str
) -> Iterable[tuple[int, date, str, int]]:
    days = rows.order_by().annotate(counted_day=TruncDate(at, tzinfo=zone), counted_flow=F(flow))
    return days.values_list("counted_flow", "counted_day", kind).annotate(n=Count("pk"))


@dataclass(frozen=True, slots=True)
class Counted:
    """What the charts need: (day, outcome, number), and today's calls by integration."""

    numbers: list[tuple[date, str, int]]
    calls: dict[int, int]


def read(integrations: Iterable[int], last: date, days: int = WINDOW) -> Counted:
    """The counters of these integrations added up; one query with a bounded answer."""
    whose = Case(When(outcome=Outcome.CALLS, then=F("integration_id")), default=Value(0))
    rows = DailyCount.objects.filter(
        Q(day=last) | ~Q(outcome=Outcome.CALLS),
        integration__in=list(integrations), day__gt=last - timedelta(days=days), day__lte=last,
    )  # fmt: skip
    found = Counted([], {})
    for day, outcome, owner, n in (
        rows.order_by().annotate(whose=whose).values_list("day", "outcome", "whose").annotate(total=Sum("n"))
    ):
        if outcome == Outcome.CALLS:
            found.calls[owner] = n
        else:
            found.numbers.append((day, outcome, n))
    return found
