"""How flows are doing, for the home page, the list and the flow's own page: one reading, the same words everywhere.

The invariant: `read` costs three queries, however many flows it is asked about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext as _

from integrations.models import ConnectedAccount, Integration
from sync.admin import show
from sync.models import Change, Flow, SyncRun, WorkerHeartbeat
from sync.notices.survey import WATCHDOG
from sync.states import OPEN, State

SILENT_AFTER = timedelta(minutes=3)
"""The tick beats each minute; three missed ones mean that nobody works."""

_UNREAD = -1
ON_THE_WAY = (State.PLANNED, State.QUEUED, State.SENDING, State.UNKNOWN, State.RETRYING)


@dataclass(slots=True)
class FlowHealth:
    """One flow, as of now."""

    flow: Flow
    counts: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    """What needs a person, by error class."""
    active: SyncRun | None = None
    held: SyncRun | None = None
    latest: SyncRun | None = None

    @property
    def queued(self) -> int:
        """Changes that go out by themselves."""
        return sum(self.counts.get(state, 0) for state in ON_THE_WAY)

    @property
    def waiting(self) -> int:
        """Changes that wait for approval."""
        return self.counts.get(State.HELD, 0)

    @property
    def review(self) -> int:
        """Changes that need a person."""
        return self.counts.get(State.REVIEW, 0)

    def queued_link(self) -> SafeString:
        """The count, leading to the rows."""
        return show.count(self.queued, show.rows_url(Change, flow=self.flow.pk, state="going"), "running")

    def waiting_link(self) -> SafeString:
        """The count, leading to the plan when there is one to approve, else to the rows."""
        url = show.page_url(self.held) if self.held else show.rows_url(Change, flow=self.flow.pk, state=State.HELD)
        return show.count(self.waiting, url, "held")

    def review_link(self) -> SafeString:
        """The count, leading to the rows."""
        return show.count(self.review, show.rows_url(Change, flow=self.flow.pk, state=State.REVIEW), "failed")

    def last_success(self) -> SafeString:
        """When it last finished."""
        return show.when(self.flow.last_success_at, _("never"))

    def cursor(self) -> SafeString:
        """Up to which moment it has read."""
        return show.when(self.flow.cursor_at if self.flow.scheduled else None)

    def next_run(self) -> SafeString:
        """When it is due; nothing for a flow that is off."""
        return show.when(self.flow.next_run_at if self.flow.enabled else None)

    @property
    def why_not(self) -> str:
        """Why the flow cannot run now; "" when it can."""
        integration = self.flow.integration
        if integration.mode == Integration.Mode.OFF:
            return _("The integration is off.")
        for account in (integration.crm_account, integration.ledger_account):
            if account.status != ConnectedAccount.Status.CONNECTED:
                return _("%(account)s: %(status)s.") % {"account": account, "status": account.get_status_display()}
        return "" if self.flow.enabled else _("The flow is off.")

    def state(self) -> tuple[str, str]:
        """Tone and word: what matters most about the flow now."""
        if self.flow.integration.mode == Integration.Mode.OFF:
            return "off", _("Integration off")
        if not self.flow.enabled:
            return "off", _("Off")
        if self.why_not:
            return "failed", _("Not connected")
        if self.active is not None and self.active.stopped_at is not None:
            return "held", _("Stopped")
        if self.active is not None:
            return "running", str(self.active.get_state_display())
        if self.flow.run_requested:
            return "running", _("Starts in a moment")
        if self.review:
            return "failed", _("Needs a person")
        if self.waiting:
            return "held", _("Waiting for approval")
        if self.latest is not None and self.latest.state == SyncRun.State.FAILED:
            return "failed", _("Last run failed")
        if self.flow.last_success_at:
            return "ok", _("Healthy")
        return "off", _("Has not run yet") if self.flow.scheduled else _("Runs when asked")

    def status(self) -> SafeString:
        """The state as a dot and a word."""
        return show.status(*self.state())

    @property
    def moving(self) -> bool:
        """Whether the page should look again by itself."""
        return self.active is not None or bool(self.flow.run_requested) or self.queued > 0


def with_latest(flows: Any) -> Any:
    """Flows that bring the id of their newest run along, which spares `read` a query."""
    newest = SyncRun.objects.filter(flow=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    return flows.annotate(latest_run_id=Subquery(newest))


def read(flows: Iterable[Flow]) -> dict[int, FlowHealth]:
    """The health of each flow by its id. The flows come with their integration and accounts."""
    found = {flow.pk: FlowHealth(flow) for flow in flows}
    if not found:
        return {}
    changes = Change.objects.filter(flow__in=found, state__in=OPEN).order_by()
    for row in changes.values("flow_id", "state", "error_class").annotate(n=Count("pk")):
        health = found[row["flow_id"]]
        health.counts[row["state"]] = health.counts.get(row["state"], 0) + row["n"]
        if row["state"] == State.REVIEW:
            health.failures[row["error_class"]] = row["n"]
    latest = {pk: getattr(health.flow, "latest_run_id", _UNREAD) for pk, health in found.items()}
    if _UNREAD in latest.values():
        latest = dict(with_latest(Flow.objects.filter(pk__in=found)).order_by().values_list("pk", "latest_run_id"))
    holds = Exists(Change.objects.filter(run=OuterRef("pk"), state=State.HELD))
    unfinished = Q(flow__in=found, state__in=[*SyncRun.ACTIVE, SyncRun.State.HELD])
    wanted = Q(pk__in=[pk for pk in latest.values() if pk]) | unfinished
    for run in SyncRun.objects.filter(wanted).annotate(holds=holds).order_by("pk"):
        health = found[run.flow_id]
        run.flow = health.flow
        if run.state in SyncRun.ACTIVE:
            health.active = health.active or run
        if run.state == SyncRun.State.HELD and run.holds:
            health.held = run
        if run.pk == latest[run.flow_id]:
            health.latest = run
    return found


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    label: str
    done: int
    total: int | None
    per_minute: int
    left: str


def progress(run: SyncRun, counts: Mapping[str, int]) -> Progress | None:
    """Progress, rate and time left of a run that is at work; `counts` are its changes by state."""
    if run.state == SyncRun.State.PLANNING:
        return _progress(_("records read"), run.seen, run.total, run.started_at, run.heartbeat_at)
    if run.state != SyncRun.State.DELIVERING:
        return None
    total = sum(n for state, n in counts.items() if state not in (State.SKIPPED, State.SUPERSEDED, State.HELD))
    going = sum(counts.get(state, 0) for state in ON_THE_WAY)
    began = run.approved_at or run.planned_at or run.started_at
    return _progress(_("changes delivered"), total - going, total, began, timezone.now())


def _progress(label: str, done: int, total: int | None, began: datetime, now: datetime) -> Progress:
    seconds = max((now - began).total_seconds(), 1)
    left = ""
    if total and 0 < done < total:
        left = show.duration(timedelta(seconds=(total - done) * seconds / done))
    return Progress(label, done, total, round(done * 60 / seconds), left)


def states_by_run(runs: Iterable[SyncRun]) -> dict[int, dict[str, int]]:
    """How many changes each run has in each state; one query."""
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    rows = Change.objects.filter(run__in=list(runs)).order_by().values("run_id", "state").annotate(n=Count("pk"))
    for row in rows:
        counts[row["run_id"]][row["state"]] = row["n"]
    return counts


@dataclass(frozen=True, slots=True)
class Workers:
    """The sign of life of the workers: the queues that are silent, and since when."""

    silent: tuple[str, ...]
    since: datetime | None

    @property
    def sentence(self) -> str:
        """What is wrong and what to do; "" while all live."""
        if not self.silent:
            return ""
        if self.since is None:
            return _("No worker has started yet. Nothing runs until “manage.py worker” is running.")
        span = show.duration(timezone.now() - self.since)
        text = _("The workers (%(queues)s) have been silent for %(span)s. See that “manage.py worker” is running.")
        return text % {"queues": ", ".join(self.silent), "span": span}


def workers(rows: Iterable[WorkerHeartbeat] | None = None) -> Workers:
    """How the workers are: one query, or none for a page that has read the heartbeats."""
    read = WorkerHeartbeat.objects.order_by("queue") if rows is None else rows
    beats = {row.queue: row.at for row in read if row.queue != WATCHDOG}  # no worker: it watches them
    if not beats:
        return Workers((gettext("all"),), None)
    silent = {name: at for name, at in beats.items() if timezone.now() - at > SILENT_AFTER}
    return Workers(tuple(silent), min(silent.values(), default=None))
