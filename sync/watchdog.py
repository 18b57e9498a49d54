"""The watchdog: is the work going on? Asked from outside the queue, because a dead queue reports nothing (Q-07).

`look` asks, `watch` also tells people, and sends the messages itself when nobody else does; `banner` is what every
page of the admin shows of it. The invariant: looking costs a constant number of queries and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Max, Min, Q
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from integrations.inbox_models import ListenerPulse
from integrations.models import ConnectedAccount
from sync import notices, queue
from sync.models import Change, Flow, Notice, NoticeDelivery, SyncRun, WorkerHeartbeat
from sync.notices.kinds import KINDS, WATCHED
from sync.notices.settle import Finding, settle
from sync.notices.survey import WATCHDOG
from sync.states import State
from sync.tasks import beat

SILENT_AFTER = timedelta(minutes=3)
"""The tick beats each minute; three missed ones mean that nobody works."""
STUCK_AFTER = timedelta(minutes=15)
"""A drain lasts less than a minute, a page a few at most: a run that was due and has not moved for so long is stuck."""
UNKNOWN_AFTER = timedelta(minutes=30)
LATE_ROUNDS = 3
LATE_AT_LEAST = timedelta(minutes=30)
UNSENT_AFTER = timedelta(minutes=30)

_BEHIND_WORKERS = frozenset({"queue_stuck", "scheduler_silent", "run_stuck", "cursor_old", "outcome_unknown_old"})
"""While no worker works these follow by themselves: they are neither opened nor healed."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One line of the banner: how urgent ("failed" or "held"), what, how many, and the page that lists them."""

    tone: str
    text: str
    n: int
    url: str


def banner(user: Any) -> list[Alarm]:
    """What is wrong now for this person, one line per kind, most urgent first. One query per request at most."""
    if not getattr(user, "is_authenticated", False):
        return []
    kept: list[Alarm] | None = getattr(user, "_ledgerbridge_alarms", None)
    if kept is None:
        kept = user._ledgerbridge_alarms = _alarms(user)
    return kept


def _alarms(user: Any) -> list[Alarm]:
    loud = [name for name, kind in KINDS.items() if kind.banner]
    rows = (
        Notice.objects.for_user(user)
        .open()
        .filter(kind__in=loud)
        .order_by()
        .values("kind")
        .annotate(n=Count("pk"), newest=Max("pk"))
    )
    alarms = []
    for row in rows:
        kind = KINDS[row["kind"]]
        address = f"{reverse('admin:notices')}?kind={row['kind']}"
        alarms.append(Alarm(kind.tone, str(kind.headline), row["n"], address))
    return sorted(alarms, key=lambda alarm: (alarm.tone != "failed", -alarm.n))


def watch() -> list[Finding]:
    """Look, tell people, and beat. When the workers are silent, send what is due, which they would do otherwise."""
    now = timezone.now()
    found = list(look(now))
    dead = any(finding.kind in {"workers_silent", "workers_missing"} for finding in found)
    settle(WATCHED - _BEHIND_WORKERS if dead else WATCHED, found, now)
    beat(WATCHDOG)
    if dead:
        notices.every_minute()
    return found


def look(now: datetime) -> Iterator[Finding]:
    """Everything that stands still now."""
    flows = list(
        Flow.objects.startable()
        .filter(first_run_approved_at__isnull=False)
        .select_related("integration")
        .only(
            "name",
            "every_minutes",
            "scheduled",
            "next_run_at",
            "last_success_at",
            "integration__organization_id",
            "integration__name",
        )
    )
    yield from _workers(now, bool(flows))
    yield from _queue(now)
    yield from _behind(flows, now)
    yield from _runs(now)
    yield from _unknown(now)
    yield from _listeners(now)
    yield from _outbox(now)


def _queue_url() -> str:
    return reverse("admin:sync_workerheartbeat_changelist")


def _workers(now: datetime, needed: bool) -> Iterator[Finding]:
    beats = dict(WorkerHeartbeat.objects.filter(queue__in=queue.QUEUES).values_list("queue", "at"))
    if not beats and needed:
        yield Finding("workers_missing", "workers", url=_queue_url())
    for name, at in beats.items():
        if now - at > SILENT_AFTER:
            yield Finding(
                "workers_silent", name, params={"queue": name, "since": at.isoformat()}, url=_queue_url()
            )  # fmt: skip


def _queue(now: datetime) -> Iterator[Finding]:
    """The minute tick is put into the queue by the scheduler; tasks that nobody takes stay where they are."""
    schedule = Schedule.objects.filter(name=queue.TICK).first()
    if schedule is not None and schedule.next_run is not None and now - schedule.next_run > SILENT_AFTER:
        since = {"since": schedule.next_run.isoformat()}
        yield Finding("scheduler_silent", queue.TICK, params=since, url=_queue_url())
    old = OrmQ.objects.filter(lock__lt=now - STUCK_AFTER).order_by()
    for row in old.values("key").annotate(n=Count("pk"), oldest=Min("lock")):
        params = {"queue": row["key"], "count": str(row["n"]), "since": row["oldest"].isoformat()}
        yield Finding("queue_stuck", row["key"], params=params, url=_queue_url())


def _behind(flows: list[Flow], now: datetime) -> Iterator[Finding]:
    """Flows whose schedule says that they should have finished several times by now."""
    for flow in flows:
        if not flow.scheduled or flow.last_success_at is None:
            continue
        late = max(LATE_ROUNDS * timedelta(minutes=flow.every_minutes), LATE_AT_LEAST)
        if now - flow.last_success_at > late:
            params = {
                "flow": flow.name, "minutes": str(flow.every_minutes), "since": flow.last_success_at.isoformat(),
            }  # fmt: skip
            url = reverse("admin:sync_flow_change", args=[flow.pk])
            yield Finding(
                "cursor_old", str(flow.pk), flow.integration.organization_id, flow.integration_id, params, url
            )  # fmt: skip


def stuck_runs(now: datetime) -> Any:
    """Runs at work that were due and have not moved for a while, in integrations that could."""
    limit = now - STUCK_AFTER
    return SyncRun.objects.filter(
        state__in=SyncRun.ACTIVE, due_at__lt=limit, heartbeat_at__lt=limit, stopped_at=None,
        flow__enabled=True, integration__mode__in=["observe", "live"],
        integration__crm_account__status=ConnectedAccount.Status.CONNECTED,
        integration__ledger_account__status=ConnectedAccount.Status.CONNECTED,
    )  # fmt: skip


def _runs(now: datetime) -> Iterator[Finding]:
    rows = stuck_runs(now).annotate(name=F("flow__name"), owner=F("integration__organization_id"))
    for run in rows.only("state", "heartbeat_at", "due_at", "integration_id", "flow_id")[:200]:
        since = max(run.heartbeat_at, run.due_at).isoformat()
        params = {"flow": run.name, "run": f"#{run.pk}", "state": run.state, "since": since}
        url = reverse("admin:sync_syncrun_change", args=[run.pk])
        yield Finding("run_stuck", str(run.pk), run.owner, run.integration_id, params, url)


def old_unknowns(now: datetime) -> Any:
    """Writes whose outcome should have been verified long ago."""
    return Change.objects.filter(state__in=[State.SENDING, State.UNKNOWN], settle_until__lt=now - UNKNOWN_AFTER)


def _unknown(now: datetime) -> Iterator[Finding]:
    rows = (
        old_unknowns(now)
        .order_by()
        .values("integration_id", "integration__name", "integration__organization_id")
        .annotate(n=Count("pk"), oldest=Min("settle_until"), record=Min("source_title"))
    )
    for row in rows:
        params = {
            "integration": row["integration__name"], "count": str(row["n"]), "since": row["oldest"].isoformat(),
            "record": row["record"] or "–",
        }  # fmt: skip
        url = f"{reverse('admin:sync_change_changelist')}?integration={row['integration_id']}&state={State.UNKNOWN}"
        organization = row["integration__organization_id"]
        yield Finding(
            "outcome_unknown_old", str(row["integration_id"]), organization, row["integration_id"], params, url
        )


def _listeners(now: datetime) -> Iterator[Finding]:
    silent = Q(at__lt=now - SILENT_AFTER) | Q(connected=False, connected_at__lt=now - STUCK_AFTER)
    for pulse in ListenerPulse.objects.filter(silent):
        since = (pulse.connected_at or pulse.at).isoformat()
        params = {"system": str(ConnectedAccount(system=pulse.system).get_system_display()), "since": since}
        yield Finding("listener_silent", pulse.system, params=params, url=_queue_url())


def _outbox(now: datetime) -> Iterator[Finding]:
    unsent = NoticeDelivery.objects.filter(
        Q(notice__healed_at=None) | Q(notice=None), state=NoticeDelivery.State.WAITING, attempts__gte=1,
        created_at__lt=now - UNSENT_AFTER,
    ).exclude(error="")  # fmt: skip
    row = unsent.aggregate(n=Count("pk"), oldest=Min("created_at"), error=Max("error"))
    if row["n"]:
        params = {"count": str(row["n"]), "since": row["oldest"].isoformat(), "error": row["error"]}
        yield Finding("outbox_stuck", "outbox", params=params, url=reverse("admin:notices"))


def warn_operators(subject: str, text: str) -> int:
    """Mail to `ALARM_EMAILS`, for when not even the database can be asked who is to be told. Returns how many went."""
    from django.core.mail import send_mail

    if not settings.ALARM_EMAILS:
        return 0
    return send_mail(subject, text, None, settings.ALARM_EMAILS)
