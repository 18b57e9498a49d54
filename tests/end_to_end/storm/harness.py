"""Runs a storm and says what became of it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils import timezone

from sync.models import Change, Flow
from sync.states import State
from tests.end_to_end.processes import database_url
from tests.end_to_end.storm.invariants import duplicates, violations
from tests.end_to_end.storm.world import FIRST_DEAL, Plan, prepare
from tests.sandbox_process import ROOT, SandboxProcess

MOVING = [State.PLANNED, State.QUEUED, State.SENDING, State.UNKNOWN, State.RETRYING]


@dataclass
class Report:
    """What a storm did."""

    seed: int
    operations: int
    seconds: float = 0.0
    arrival: float = 0.0  # how many per second really arrived
    processor: float = 0.0  # seconds of the workers' processor time, whatever else the machine was doing
    kills: int = 0
    stops: int = 0
    hits: dict[str, int] = field(default_factory=dict)  # deaths by failpoint
    states: dict[str, int] = field(default_factory=dict)
    review: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    verified: int = 0
    documents: int = 0
    duplicates: int = 0
    violations: dict[str, list[str]] = field(default_factory=dict)
    refused: str = ""

    def __str__(self) -> str:
        shown = {name: value for name, value in vars(self).items() if value}
        shown["violations"] = {name: (len(found), found[:3]) for name, found in self.violations.items()}
        return " ".join(f"{name}={value}" for name, value in shown.items())


class Workers:
    """The forking parent of a storm's processes; a context manager that leaves nothing behind."""

    def __init__(self, plan: Plan, log: Path) -> None:
        self.plan, self.log = plan, log
        self.living: dict[str, int] = {}
        self.died: Counter[str] = Counter()
        self.pressed: dict[str, float] = {}
        self.refused = ""
        self.ready = threading.Event()

    def __enter__(self) -> Workers:
        env = os.environ | {
            "DATABASE_URL": database_url(), "EXTRA_ALLOWED_HOSTS": "127.0.0.1", "LOG_LEVEL": "ERROR",
            "FORTNOX_RATE": "0", "HUBSPOT_RATE": "0", "HUBSPOT_SEARCH_RATE": "0", "SALESFORCE_RATE": "0",
            "Q_WORKERS": "1",
        } | self.plan.environment()  # fmt: skip
        self._out = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.storm.worker"],
            cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._out, text=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(self.plan.told()) + "\n")
        self.process.stdin.flush()
        threading.Thread(target=self._listen, daemon=True).start()
        if not self.ready.wait(60):
            raise RuntimeError("the workers did not start: " + self.text())
        return self

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, *rest = line.split(maxsplit=2)
            if word == "spawn":
                self.living[rest[0]] = int(rest[1])
            elif word == "died":
                self.died[rest[1].strip()] += 1
            elif word == "pressed":
                self.pressed[rest[0].strip()] = time.monotonic()
            elif word in ("ready", "refused"):
                self.refused = " ".join(rest) if word == "refused" else ""
                self.ready.set()
        self.ready.set()

    def hurt(self, role: str, sign: int) -> bool:
        """Send a signal to the process of a role; False when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.living[role], sign)
            return True
        return False

    def text(self) -> str:
        """What the processes complained about."""
        return self.log.read_text(errors="replace")[-4000:]

    def __exit__(self, *_error: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(60)
        self._out.close()


class Nemesis(threading.Thread):
    """Kills and stops processes, evenly over the time in which work arrives."""

    def __init__(self, plan: Plan, workers: Workers) -> None:
        super().__init__(daemon=True)
        self.plan, self.workers = plan, workers
        self.kills = self.stops = 0
        self.ended = threading.Event()
        self.dice = random.Random(plan.seed)

    def run(self) -> None:
        """One blow at a time, spread over a little more than the arrival."""
        blows = ["kill"] * self.plan.kills + ["stop"] * self.plan.stops
        self.dice.shuffle(blows)
        pause = 1.05 * self.plan.operations / self.plan.rate / max(len(blows), 1)
        for blow in blows:
            if self.ended.wait(pause):
                return
            roles = [role for role in self.workers.living if role.startswith("work") or self.dice.random() < 0.2]
            role = self.dice.choice(roles)
            if blow == "kill":
                self.kills += self.workers.hurt(role, signal.SIGKILL)
            elif self.workers.hurt(role, signal.SIGSTOP):
                self.stops += 1
                pid = self.workers.living[role]
                threading.Timer(self.plan.stop_seconds, self._go_on, [role, pid]).start()

    def _go_on(self, role: str, pid: int) -> None:
        if self.workers.living.get(role) == pid:
            self.workers.hurt(role, signal.SIGCONT)


def run(sandbox: SandboxProcess, plan: Plan, log: Path) -> Report:
    """One storm from the first press until everything rests, judged by the truth journal."""
    report = Report(plan.seed, plan.operations)
    flow = prepare(sandbox, plan)
    plan.flow_id = flow.pk
    sandbox.control(
        "POST", "/faults",
        {
            "profile": plan.faults, "seed": plan.seed, "match": {"system": "fortnox"},
            "timeout_seconds": plan.timeout * 3, "late_seconds": plan.timeout + 0.8, "drip_seconds": 3,
        },
    )  # fmt: skip
    started, used = time.monotonic(), _processor()
    with Workers(plan, log) as workers:
        if workers.refused:
            report.refused = workers.refused
            return report
        nemesis = Nemesis(plan, workers)
        nemesis.start()
        try:
            _wait(flow, plan, workers, nemesis)
        finally:
            nemesis.ended.set()
        report.seconds = round(time.monotonic() - started, 1)
        report.arrival = round(plan.operations / (min(workers.pressed.values()) - started), 1)
        report.kills, report.stops = nemesis.kills, nemesis.stops
        report.hits = {place: count for place, count in sorted(workers.died.items()) if place != "-"}
    report.processor = round(_processor() - used, 1)
    sandbox.control("POST", "/faults", {"profile": {}})
    _judge(sandbox, flow, plan, report)
    return report


def _processor() -> float:
    children = os.times()
    return children.children_user + children.children_system


def _wait(flow: Flow, plan: Plan, workers: Workers, nemesis: Nemesis) -> None:
    """Until everything was pressed, every blow was dealt and nothing moves any more."""
    deadline, before, analyzed = time.monotonic() + plan.patience, -1, time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(0.25)
        if time.monotonic() > analyzed + 5:
            _know_the_tables()
            analyzed = time.monotonic()
        moving = Change.objects.filter(flow=flow, state__in=MOVING).count()
        if moving != before:
            deadline, before = time.monotonic() + plan.patience, moving
        rows = Change.objects.filter(flow=flow)
        over = len(workers.pressed) == 2 and not nemesis.is_alive()
        if over and not rows.filter(state__in=MOVING).exists():
            return
        if workers.process.poll() is not None:
            break
    states = Counter(Change.objects.filter(flow=flow).values_list("state", flat=True))
    raise AssertionError(f"the storm does not end: {dict(states)}, seed {plan.seed}\n{workers.text()}")


def _know_the_tables() -> None:
    """What a server's own maintenance does every minute: a storm fills empty tables within seconds, and a planner that
    still takes them for empty reads all of them for each row."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE sync_change, sync_entitylink")


def _judge(sandbox: SandboxProcess, flow: Flow, plan: Plan, report: Report) -> None:
    ledger = flow.integration.ledger_account.remote_id
    deeds = sandbox.control("GET", f"/truth?system=fortnox&account={ledger}")["deeds"]
    records = sandbox.control("GET", f"/state/fortnox/{ledger}/invoices")["records"]
    wanted = [str(FIRST_DEAL + number) for number in range(plan.operations)]
    made = [deed for deed in deeds if deed["object"] == "invoices" and deed["action"] == "create"]
    rows = Change.objects.filter(flow=flow)
    report.documents, report.duplicates = len(made), duplicates(made)
    report.states = dict(Counter(rows.values_list("state", flat=True)))
    report.review = dict(Counter(rows.filter(state=State.REVIEW).values_list("error_code", flat=True)))
    report.verified = rows.exclude(verifications=[]).count()
    requests: list[dict[str, Any]] = sandbox.control("GET", "/requests?since=0")["requests"]
    report.faults = dict(Counter(str(request["fault"]) for request in requests if request["fault"]))
    if not plan.naive:
        report.violations = violations(flow, wanted, deeds, records)


def describe() -> str:
    """The machine's part in the numbers."""
    return f"{connection.vendor}, {os.cpu_count()} cores, {timezone.now():%Y-%m-%d}"
