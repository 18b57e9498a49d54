"""What the demonstration does, step by step: connect, plan, approve, deliver, and say what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.contrib.auth.models import User
from django.db.models import Count

from config.demo.processes import Processes
from config.demo.visitor import Visitor
from integrations.models import Integration, Organization
from sync import queue
from sync.engine.approve import approve
from sync.flows import install, switch_on
from sync.models import Change, ChangeQuerySet, Flow, SyncRun
from sync.states import State
from sync.texts import in_this_language

USERNAME, PASSWORD = "demo", "ledgerbridge-demo"
ORGANIZATION = "Demo Group AB"

Say = Callable[[str], None]
ResultT = TypeVar("ResultT")


def make_person() -> User:
    """The consultant of the demonstration."""
    return User.objects.create_superuser(USERNAME, email="", password=PASSWORD)


def connect(base: str, say: Say) -> Integration:
    """Connect both sides through the guided pages and the sandbox's consent pages."""
    visitor = Visitor()
    visitor.open(f"{base}/admin/login/")
    visitor.submit(username=USERNAME, password=PASSWORD)
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


def first_syncs(integration: Integration, person: User, processes: Processes, say: Say) -> None:
    """Each flow's first run: planned by the workers, approved by the consultant, delivered by the workers."""
    for flow in install(integration, user=person):
        switch_on(flow)
        queue.kick(queue.BULK)
        run = _wait_for_plan(flow, processes)
        planned = ", ".join(f"{n} {action}" for action, n in sorted(run.counts.items())) or "nothing to do"
        say(f"{flow.name}: {run.seen} records read, planned {planned}")
        if run.state == SyncRun.State.HELD:
            approve(run, person)
            queue.kick(queue.BULK)
            _wait_until_idle(flow, processes)
        say(f"{flow.name}: {_states(flow)}")
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
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        processes.check()
        result = look()
        if result:
            return result
        failed = SyncRun.objects.filter(flow=flow, state=SyncRun.State.FAILED).first()
        if failed is not None:
            raise RuntimeError(f"{flow.name}: {failed.error_message}")
        time.sleep(0.3)
    raise RuntimeError(f"{flow.name} did not finish {what} within ten minutes")


def _states(flow: Flow) -> str:
    rows = Change.objects.filter(flow=flow).exclude(state=State.SUPERSEDED).values_list("state")
    return ", ".join(f"{n} {State(state).label.lower()}" for state, n in rows.annotate(n=Count("pk")).order_by("state"))


def summary(integration: Integration, say: Say) -> None:
    """What was created, linked, held and blocked, and why, with the remedy."""
    for flow in Flow.objects.filter(integration=integration).order_by("position"):
        say("")
        say(f"{flow.name}")
        changes = Change.objects.filter(flow=flow).exclude(state=State.SUPERSEDED)
        applied = changes.filter(state=State.APPLIED).values_list("action").annotate(n=Count("pk")).order_by("action")
        for action, count in applied:
            say(f"  {count:>5} {_DONE[action]}")
        skipped = changes.filter(state=State.SKIPPED)
        _explain(skipped, "skipped", say)
        _explain(changes.filter(state=State.REVIEW), "need a person", say)
        _explain(changes.filter(state=State.HELD), "wait for approval", say)


_DONE = {"create": "created", "link": "linked to what was there", "update": "updated"}


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
