"""The processes of a storm: a parent that has loaded everything forks workers and pressers and replaces the dead.

`python -m tests.end_to_end.storm.worker` with the plan as JSON on the first line of its input; ends when the input
ends. Says `spawn ROLE PID`, `died ROLE PLACE` and `pressed ROLE` on its output. A fork takes milliseconds, so that
hundreds of kills fit into a minute.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from typing import Any

from tests.end_to_end.storm.serving import serve_for_ever

CHUNK = 12
_DIE_WITH_PARENT = 1


def say(text: str) -> None:
    """One line to the harness."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def press_all(plan: Any) -> None:
    """Press every deal at the plan's rate; after a death go on where the table ends, and fill gaps at the end."""
    from sync.models import Change, Flow
    from tests.end_to_end.storm.world import FIRST_DEAL, jitter, press

    flow = Flow.objects.get(pk=plan.flow_id)
    begun = Change.objects.filter(flow=flow).count()
    position = max(0, begun - 10 * CHUNK)
    started = time.monotonic() - position / plan.rate
    for first in range(position, plan.operations, CHUNK):
        time.sleep(max(0.0, started + first / plan.rate + jitter() - time.monotonic()))
        press(flow, range(first, min(first + CHUNK, plan.operations)))
    there = set(Change.objects.filter(flow=flow).values_list("source_id", flat=True))
    missing = [number for number in range(plan.operations) if str(FIRST_DEAL + number) not in there]
    for first in range(0, len(missing), CHUNK):
        press(flow, missing[first : first + CHUNK])


def work_for_ever(plan: Any) -> None:
    """What the workers' drains do for one flow, with several processes at one flow: deliver, retry, verify."""
    from integrations.locks import lock_session
    from sync.engine import again, exactly_once, outcomes
    from sync.engine.context import build
    from sync.models import Change, Flow
    from sync.states import State
    from tests.end_to_end.storm import naive

    as_usual = outcomes.backoff
    outcomes.backoff = lambda attempts: as_usual(attempts) / 10  # scaled, as all times are
    ctx = build(Flow.objects.get(pk=plan.flow_id))
    sweep_at = 0.0
    with lock_session():
        while True:
            due = list(
                Change.objects.deliverable()
                .filter(flow=ctx.flow)
                .order_by("pk")
                .values_list("pk", flat=True)[: 3 * plan.workers]
            )
            taken = random.sample(due, min(4, len(due)))
            for pk in taken:
                if plan.naive:
                    naive.create(ctx, pk)
                else:
                    exactly_once.create(ctx, Change.objects.get(pk=pk))
            if time.monotonic() >= sweep_at:
                sweep_at = time.monotonic() + random.uniform(0.3, 0.7)
                naive.sweep(ctx) if plan.naive else again.retry(ctx, lambda: False)
                lost = [] if plan.naive else list(_unsettled(ctx, State, Change)[:40])
                for change in random.sample(lost, min(6, len(lost))):
                    exactly_once.verify(ctx, change)
            if not taken:
                time.sleep(0.05)


def _unsettled(ctx: Any, state: Any, model: Any) -> Any:
    from django.utils import timezone

    in_flight = [state.UNKNOWN, state.SENDING]
    return model.objects.filter(flow=ctx.flow, state__in=in_flight, settle_until__lte=timezone.now()).order_by("pk")


def child(plan: Any, role: str, place: str) -> None:
    """The life of a forked process; never returns."""
    from sync.engine import failpoints

    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)  # nothing is left behind, whoever is killed
    faulthandler.register(signal.SIGUSR1)  # where does it hang?
    random.seed(f"{plan.seed}|{os.getpid()}|{time.monotonic_ns()}")
    if place:
        failpoints.arm(f"{place}:kill@0.3")
    code = 1
    try:
        if plan.flow_ids:
            serve_for_ever(plan)
        else:
            press_all(plan) if role.startswith("press") else work_for_ever(plan)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


class Parent:
    """Forks, and replaces what dies."""

    def __init__(self, plan: Any) -> None:
        self.plan = plan
        self.roles: dict[int, tuple[str, str]] = {}
        self.killed: Counter[str] = Counter()

    def place(self, role: str) -> str:
        """The failpoint that is hit least so far, of those that this role reaches; "" when all had their share."""
        from sync.engine.failpoints import PLACES

        if not self.plan.each_place:
            return ""
        mine = [name for name in sorted(PLACES) if name.startswith("press.") == role.startswith("press")]
        under_way = Counter(place for _role, place in self.roles.values())
        open_places = [name for name in mine if self.killed[name] < self.plan.each_place]
        return min(open_places, key=lambda name: (under_way[name], self.killed[name]), default="")

    def spawn(self, role: str) -> None:
        """Fork a process for the role."""
        place = self.place(role)
        pid = os.fork()
        if pid == 0:
            child(self.plan, role, place)
        self.roles[pid] = (role, place)
        say(f"spawn {role} {pid}")

    def reap(self) -> None:
        """Replace the dead; a presser that finished is not replaced."""
        while self.roles:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            role, place = self.roles.pop(pid)
            if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
                say(f"pressed {role}")
                continue
            if os.WIFSIGNALED(status):
                self.killed[place] += 1
                say(f"died {role} {place or '-'}")
            self.spawn(role)

    def run(self) -> None:
        """Until the harness closes our input."""
        pressing = () if self.plan.flow_ids else ("press-a", "press-b")
        for role in (*pressing, *(f"work-{n}" for n in range(self.plan.workers))):
            self.spawn(role)
        try:
            while True:
                ready, _w, _x = select.select([sys.stdin], [], [], 0.02)
                if ready and not sys.stdin.readline():
                    return
                self.reap()
        finally:
            for pid in self.roles:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)  # so that their processor time is counted


def main() -> None:
    """Load everything once, then fork."""
    import django

    django.setup()
    from django.core import checks

    from tests.end_to_end.storm.world import Plan

    plan = Plan(**json.loads(sys.stdin.readline()))
    refused = [error for error in checks.run_checks() if error.is_serious()]
    if refused:
        say(f"refused {refused[0].id} {refused[0].msg}")
        return
    import sync.engine.replan  # noqa: F401  (loaded here, not in every child)
    import tests.end_to_end.storm.naive  # noqa: F401

    say("ready")
    Parent(plan).run()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    main()
