"""What the demonstration does, step by step: connect, plan, approve, deliver, and say what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TypeVar

from django.contrib.auth.models import User
from django.db.models import Count, Max

from config.demo.processes import Processes
from config.demo.visitor import Visitor
from integrations.models import Integration, Organization
from sync import queue
from sync.admin.path import go_live
from sync.engine.approve import approve
from sync.flows import install, switch_on
from sync.models import Change, ChangeQuerySet, Flow, SyncRun
from sync.states import State
from sync.texts import in_this_language

USERNAME, PASSWORD = "demo", "ledgerbridge-demo"
ORGANIZATION = "Demo Group AB"
PATIENCE = 600
"""Seconds that one step of a flow may take on the slowest machine."""

Say = Callable[[str], None]
ResultT = TypeVar("ResultT")


def make_person() -> User:
    """The consultant of the demonstration."""
    return User.objects.create_superuser(USERNAME, email="demo@konsult.example", password=PASSWORD)


def sign_in(base: str) -> Visitor:
    """The consultant's browser, signed in."""
    visitor = Visitor()
    visitor.open(f"{base}/admin/login/")
    visitor.submit(username=USERNAME, password=PASSWORD)
    return visitor


def connect(visitor: Visitor, base: str, say: Say) -> Integration:
    """Connect both sides through the guided pages and the sandbox's consent pages."""
    visitor.open(f"{base}/admin/integrations/integration/connect/")
    visitor.submit(click="create", name=ORGANIZATION)
    for system in ("hubspot", "fortnox"):
        visitor.submit(action=f"/{system}/", click="connect")
        visitor.submit(click="approve" if system == "fortnox" else "connect")
        say(f"connected {system}")
    visitor.submit(action="/create/", click="create", name="HubSpot ↔ Fortnox")
    return Integration.objects.select_related("crm_account", "ledger_account").get(
        organization=Organization.objects.get(name=ORGANIZATION)
    )


def first_syncs(
    integration: Integration, person: User, processes: Processes, say: Say, only: Collection[str] = ()
) -> None:
    """Each flow's first run: planned by the workers, approved by the consultant, delivered by the workers. `only` names
    the flows that are switched on; without it, all."""
    for flow in install(integration, user=person):
        if only and flow.slug not in only:
            continue
        switch_on(flow)
        if not flow.scheduled:
            continue  # it works when somebody asks, see `creating`
        queue.kick(queue.BULK)
        run = _wait_for_plan(flow, processes)
        planned = ", ".join(f"{n} {action}" for action, n in sorted(run.counts.items())) or "nothing to do"
        say(f"{flow.name}: {run.seen} records read, planned {planned}")
        if run.state == SyncRun.State.HELD:
            if integration.mode == Integration.Mode.LIVE:
                approve(run, person)
            else:  # the last step of the guided path: until then nothing is written
                go_live(integration, run, person)
                integration.refresh_from_db(fields=["mode"])
            queue.kick(queue.BULK)
            _wait_until_idle(flow, processes)
        if states := _states(flow):
            say(f"{flow.name}: {states}")
    settle(integration, processes)


def settle(integration: Integration, processes: Processes) -> None:
    """Until nothing of any flow is on its way."""
    for flow in Flow.objects.filter(integration=integration):
        _wait_until_idle(flow, processes)


def _wait_for_plan(flow: Flow, processes: Processes) -> SyncRun:
    run: SyncRun = _poll(
        lambda: SyncRun.objects.filter(flow=flow, planned_at__isnull=False).order_by("pk").first(),
        flow, processes, "its first plan",
    )  # fmt: skip
    return run


def _wait_until_idle(flow: Flow, processes: Processes) -> None:
    def idle() -> bool:
        busy = Change.objects.filter(flow=flow, state__in=[State.QUEUED, State.SENDING, State.PLANNED, State.RETRYING])
        return not busy.exists() and not SyncRun.objects.filter(flow=flow, state__in=SyncRun.ACTIVE).exists()

    _poll(idle, flow, processes, "its delivery")


def _poll(look: Callable[[], ResultT | None], flow: Flow, processes: Processes, what: str) -> ResultT:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        processes.check()
        result = look()
        if result:
            return result
        failed = SyncRun.objects.filter(flow=flow, state=SyncRun.State.FAILED).first()
        if failed is not None:
            raise RuntimeError(f"{flow.name}: {failed.error_message}")
        time.sleep(0.3)
    raise RuntimeError(f"{flow.name} did not finish {what} within {PATIENCE} s: see the log of the worker")


def _states(flow: Flow) -> str:
    rows = Change.objects.filter(flow=flow).exclude(state=State.SUPERSEDED).values_list("state")
    return ", ".join(f"{n} {State(state).label.lower()}" for state, n in rows.annotate(n=Count("pk")).order_by("state"))


def summary(integration: Integration, say: Say) -> None:
    """What was created, linked, held and blocked, and why, with the remedy."""
    for flow in Flow.objects.filter(integration=integration, changes__isnull=False).distinct().order_by("position"):
        changes = Change.objects.filter(flow=flow).exclude(state=State.SUPERSEDED)
        if not changes.exists():
            continue
        say("")
        say(f"{flow.name}")
        applied = changes.filter(state=State.APPLIED).values_list("action").annotate(n=Count("pk")).order_by("action")
        for action, count in applied:
            say(f"  {count:>5} {_DONE[action]}")
        newest = changes.values("source_id").annotate(newest=Max("pk")).values("newest")
        skipped = changes.filter(state=State.SKIPPED, pk__in=newest)
        _explain(skipped, "skipped", say)
        _explain(changes.filter(state=State.REVIEW), "need a person", say)
        _explain(changes.filter(state=State.HELD), "wait for approval", say)


def failed_checks(change: Change) -> list[str]:
    """What keeps a record from becoming a document, each with what to do about it."""
    return [
        f"{in_this_language(check['message'])} → {in_this_language(check['remedy'])}"
        for check in change.checks
        if not check["ok"]
    ]


_DONE = {
    "create": "created",
    "link": "linked to what was there",
    "update": "updated",
    "act": "documents compared with what was promised",
}


def _explain(changes: ChangeQuerySet, what: str, say: Say) -> None:
    """One line per kind of reason, with an example and what to do."""
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in changes.order_by("pk"):
        kind = change.error_value if change.error_code == "option_unknown" else ""
        groups.setdefault((change.error_code, kind), []).append(change)
    for rows in sorted(groups.values(), key=len, reverse=True):
        first = rows[0]
        say(f"  {len(rows):>5} {what}, such as {first.source_title or first.source_id}:")
        say(f"        {first.reason_text}")
        for problem in first.problems[:1]:
            say(f"        → {in_this_language(problem['remedy'])}")
