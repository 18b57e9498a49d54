"""What the commands print about a run: progress while it goes on, a summary at the end, or JSON for machines."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from django.db.models import Count

from sync.engine.run import Order, Work, work
from sync.engine.stops import stopped_scan
from sync.models import Change, Flow, SyncRun


def find_flow(flow_id: int) -> Flow:
    """The flow, or a `CommandError` that lists the flows there are."""
    try:
        flow: Flow = Flow.objects.select_related("integration").get(pk=flow_id)
    except Flow.DoesNotExist as error:
        there = "\n".join(f"  {flow.pk}  {flow.integration} · {flow}" for flow in Flow.objects.all()) or "  none"
        raise CommandError(f"There is no flow {flow_id}. Flows:\n{there}") from error
    return flow


class Progress:
    """Prints records read, rate and time left, at most twice a second, on a terminal or not."""

    def __init__(self, out: OutputWrapper, quiet: bool) -> None:
        self.out, self.quiet = out, quiet
        self.started, self.last = time.monotonic(), 0.0

    def __call__(self, run: SyncRun) -> None:
        now = time.monotonic()
        if self.quiet or (now - self.last < 0.5 and run.seen != run.total):
            return
        self.last = now
        rate = run.seen / max(now - self.started, 0.001)
        left = f", {(run.total - run.seen) / rate:.0f} s left" if run.total and rate else ""
        self.out.write(f"  {run.seen} of {run.total or '?'} records read, {rate:.0f}/s{left}")


def run_to_end(flow: Flow, order: Order | None, out: OutputWrapper, *, as_json: bool) -> Work:
    """Work on `flow` in this process until nothing is due now, with progress. `CommandError` when it is busy."""
    if order is not None and stopped_scan(flow):
        raise CommandError(f"A person stopped the plan of flow {flow.pk}. Resume or cancel it on its page first.")
    progress = Progress(out, quiet=as_json)
    total = Work()
    while True:
        done = work(flow, order, progress=progress)
        if done.busy:
            raise CommandError(f"Flow {flow.pk} is being worked on by another process. Try again in a moment.")
        total.run, order = done.run or total.run, None
        total.delivered += done.delivered
        waiting = done.run is not None and done.run.state in SyncRun.ACTIVE and not done.delivered
        if done.run is None or done.finished or waiting:
            return total


def summary(run: SyncRun | None, delivered: dict[str, int]) -> dict[str, Any]:
    """The outcome of a run as plain data: planned by action, changes by state, calls, error."""
    if run is None:
        return {"run": None, "delivered": dict(delivered)}
    run.refresh_from_db()
    states = Change.objects.filter(run=run).values_list("state").annotate(n=Count("pk"))
    return {
        "run": run.pk,
        "flow": run.flow_id,
        "state": run.state,
        "hold_reason": run.hold_text,
        "seen": run.seen,
        "unchanged": run.unchanged,
        "planned": run.counts,
        "changes": dict(states),
        "delivered": dict(delivered),
        "api_calls": run.api_calls,
        "cursor": run.cursor_to,
        "error": {"class": run.error_class, "code": run.error_code, "message": run.error_message}
        if run.error_class and run.state != SyncRun.State.DONE
        else None,
        "seconds": round(run.duration.total_seconds(), 2),
    }


def show(data: dict[str, Any], out: OutputWrapper, *, as_json: bool) -> None:
    """Print a summary as JSON or in words. Exits 1 when the run failed."""
    if as_json:
        out.write(json.dumps(data, ensure_ascii=False, default=str))
    elif data["run"] is None:
        out.write("Nothing was due.")
    else:
        planned = ", ".join(f"{count} {action}" for action, count in sorted(data["planned"].items())) or "no changes"
        out.write(f"Run {data['run']}: {data['state']}. {data['seen']} records read, {planned}.")
        if data["changes"]:
            out.write("Changes: " + ", ".join(f"{n} {state}" for state, n in sorted(data["changes"].items())) + ".")
        if data["state"] == SyncRun.State.HELD:
            out.write(f"Held ({data['hold_reason']}). Approve in the admin, or: manage.py apply {data['run']}")
        if data["error"]:
            out.write(f"Error: {data['error']['message']} [{data['error']['class']} {data['error']['code']}]")
    if data.get("state") == SyncRun.State.FAILED or data.get("error"):
        sys.exit(1)
