"""The cases, each a function of a scale; what a result means stands beside its limit formula."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from math import ceil
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.bench import cards, events, salesforce, waiting
from config.bench.pages import p_pages
from config.bench.storm import r01
from config.bench.world import Sandbox, build, peak_megabytes
from sync.engine.run import Order, work
from sync.models import Change, Flow, SyncRun

FORTNOX_PER_SECOND, HUBSPOT_PER_SECOND = 5.0, 11.0
Result = dict[str, Any]
CUSTOMERS, ARTICLES, INVOICES = "customers-to-companies", "articles-to-products", "invoices-to-deals"


def _run(flow: Flow, **order: Any) -> SyncRun:
    done = work(flow, Order(trigger=SyncRun.Kind.COMMAND, **order))
    while done.run is not None and not done.finished:
        done = work(flow)
    run: SyncRun = SyncRun.objects.filter(flow=flow).latest("pk")
    if run.state != SyncRun.State.DONE:
        raise RuntimeError(
            f"run is {run.state}: {run.error_class} {run.error_code} {run.error_message} {run.hold_text}"
        )
    return run


def _calls(sandbox: Sandbox, since: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    for request in sandbox.requests_since(since):
        path = request["path"]
        kind = "detail" if request["system"] == "fortnox" and path.rsplit("/", 1)[-1] not in _LISTS else "list"
        counted[f"fortnox {kind}" if request["system"] == "fortnox" else f"hubspot {_kind(path)}"] += 1
        if request["status"] == 429:
            counted["refused 429"] += 1
    return counted


_LISTS = {"customers", "articles", "invoices"}


def _kind(path: str) -> str:
    for part in ("batch/upsert", "batch/update", "batch/read", "batch/create", "batch/archive", "search"):
        if path.endswith(part):
            return f"{'association ' if 'associations' in path else ''}{part}"
    return "other"


def _timed(sandbox: Sandbox, flow: Flow, **order: Any) -> tuple[SyncRun, float, float, Counter[str]]:
    since, cpu, started = sandbox.total(), time.process_time(), time.monotonic()
    run = _run(flow, **order)
    return run, time.monotonic() - started, time.process_time() - cpu, _calls(sandbox, since)


def p01(scale: float) -> Result:
    """First import of 10,000 customers into an empty register; the limits alone allow it in max(20/F, 100/H) s."""
    n = int(10_000 * scale)
    with Sandbox("--customers", str(n), "--articles", "0", "--invoices", "0", "--accounts", "0") as sandbox:
        flow = build(sandbox)[CUSTOMERS]
        run, wall, cpu, calls = _timed(sandbox, flow)
        read = run.seen
        limit = max(ceil(read / 500) / FORTNOX_PER_SECOND, ceil(read / 100) / HUBSPOT_PER_SECOND)
        least = ceil(read / 500) + ceil(read / 100)
        main = calls["fortnox list"] + calls["hubspot batch/upsert"]
        second = _second_run(sandbox, flow)
        return {
            "records": read, "wall_s": wall, "cpu_s": cpu, "limit_s": limit, "efficiency": limit / wall,
            "time_factor_of_limit": wall / limit, "call_ratio": main / least, "calls": dict(calls),
            "applied": Change.objects.filter(state="applied").count(), "peak_mb": peak_megabytes(), **second,
        }  # fmt: skip


def _second_run(sandbox: Sandbox, flow: Flow) -> Result:
    _run(flow)  # queries of a warm process are what a worker pays
    since, cpu = sandbox.total(), time.process_time()
    with CaptureQueriesContext(connection) as captured:
        _run(flow)
    used = time.process_time() - cpu
    return {
        "no_change_calls": dict(_calls(sandbox, since)),
        "no_change_sql": len(captured),
        "no_change_cpu_ms": used * 1e3,
    }


def p03(scale: float) -> Result:
    """1 % of the customers changed: only those are read back, compared and written."""
    n = int(10_000 * scale)
    with Sandbox("--customers", str(n), "--articles", "0", "--invoices", "0", "--accounts", "0") as sandbox:
        flow = build(sandbox)[CUSTOMERS]
        _run(flow)
        sandbox.control("POST", "clock", {"advance_seconds": 600})
        tenant = flow.integration.ledger_account.remote_id
        records = sandbox.control("GET", f"state/fortnox/{tenant}/customers")["records"]
        changed = records[:: max(1, len(records) // (n // 100))][: n // 100]
        for record in changed:
            body = {"id": record["CustomerNumber"], "fields": {"City": "Flyttad"}}
            sandbox.control("POST", f"records/fortnox/{tenant}/customers", body)
        run, wall, cpu, calls = _timed(sandbox, flow)
        least = ceil(len(changed) / 500) + 2 * ceil(len(changed) / 100)
        return {
            "records": n, "changed": len(changed), "written": run.counts.get("update", 0), "wall_s": wall, "cpu_s": cpu,
            "calls": dict(calls), "call_ratio": sum(calls.values()) / least,
        }  # fmt: skip


def p04(scale: float) -> Result:
    """Nothing changed: one remote call per stream, and constant SQL."""
    n = int(10_000 * scale)
    with Sandbox("--customers", str(n), "--articles", "200", "--invoices", "0", "--accounts", "0") as sandbox:
        flows = build(sandbox)
        result: Result = {"records": n}
        for slug in (CUSTOMERS, ARTICLES):
            _run(flows[slug])
            sandbox.control("POST", "clock", {"advance_seconds": 600})
            result |= {f"{slug} {name}": value for name, value in _second_run(sandbox, flows[slug]).items()}
        return result


def p05(scale: float) -> Result:
    """10,000 invoices to deals with lines, at ten times the vendors' pace: (n/500 + n)/F alone bounds it."""
    n, factor = int(10_000 * scale), 10.0
    options = ("--customers", "300", "--articles", "200", "--invoices", str(n), "--accounts", "0")
    with Sandbox(*options, "--limit-factor", str(factor)) as sandbox:
        flows = build(sandbox)
        _run(flows[CUSTOMERS])
        run, wall, cpu, calls = _timed(sandbox, flows[INVOICES])
        read = run.seen
        limit = (ceil(read / 500) + read) / FORTNOX_PER_SECOND / factor
        deals = Change.objects.filter(flow=flows[INVOICES], state="applied").count()
        return {
            "records": read, "deals": deals, "wall_s": wall, "cpu_s": cpu, "limit_s": limit, "efficiency": limit / wall,
            "details_per_invoice": calls["fortnox detail"] / read, "calls": dict(calls), "peak_mb": peak_megabytes(),
        }  # fmt: skip


def p11(scale: float) -> Result:
    """Peak memory of a first import; the parent compares two sizes."""
    n = int(10_000 * scale)
    with Sandbox(
        "--customers", str(n), "--articles", "0", "--invoices", "0", "--accounts", "0", "--no-limits"
    ) as sandbox:
        run = _run(build(sandbox)[CUSTOMERS])
        return {"records": run.seen, "peak_mb": peak_megabytes()}


def p_card(scale: float) -> Result:
    """The card's answer under 20 clients, in times of an empty view of the same server; at most 3 at p99."""
    return cards.measure(scale)


def p_wait(scale: float) -> Result:
    """A person's calls while a bulk import uses the whole budget: their wait, p95 at most 1 s."""
    return waiting.measure(scale)


def p_events(scale: float) -> Result:
    """50 edits per direction, noticed by events: from the edit to our write, p95 at most 10 s (closed-won: 15 s)."""
    return events.measure(scale)


def p_accounts(scale: float) -> Result:
    """10,000 accounts both ways with a Salesforce org: ⌈n/2000⌉ query pages, ⌈n/200⌉ collections, silent echoes."""
    return salesforce.measure(scale)


CASES: dict[str, Callable[[float], Result]] = {
    "P-01": p01,
    "P-03": p03,
    "P-04": p04,
    "P-05": p05,
    "P-11": p11,
    "P-accounts": p_accounts,
    "P-card": p_card,
    "P-events": p_events,
    "P-pages": p_pages,
    "P-wait": p_wait,
    "R-01": r01,
}
