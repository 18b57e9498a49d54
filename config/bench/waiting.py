"""How long a person's calls wait for the rate budget while a bulk import uses all of it, at the vendors' real pace."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

from django.db import connection

from config.bench.world import Sandbox, build
from integrations import budget
from integrations.connectors import connector_for
from integrations.models import ConnectedAccount
from sync.engine.run import Order, work
from sync.models import SyncRun

INVOICES = "invoices-to-deals"
CALLS_PER_CLICK = 3
"""What a click that creates an invoice asks of the ledger: the create, the totals, and one look-up."""
PAUSE = 2.0


def measure(scale: float) -> dict[str, Any]:
    """Waits in seconds of the ledger calls of one click every two seconds, and of a salvo of ten clicks at once."""
    seconds = max(60 * scale, 20)
    sizes = ("--customers", "5", "--articles", "5", "--invoices", str(int(seconds * 5) + 200), "--accounts", "5")
    with Sandbox(*sizes) as sandbox:
        flow = build(sandbox)[INVOICES]
        account = flow.integration.ledger_account
        stop = threading.Event()
        bulk = threading.Thread(target=_import, args=(flow, stop))
        bulk.start()
        time.sleep(5)  # the budget is used up by now
        since, waits = sandbox.total(), _clicks(account, seconds - 15)
        salvo = _salvo(account)
        stop.set()
        bulk.join()
        rows = [row for row in sandbox.requests_since(since) if row["system"] == "fortnox"]
        return {
            "clicks": len(waits) // CALLS_PER_CLICK, "wait_p50_s": statistics.median(waits),
            "wait_p95_s": _quantile(waits, 95), "wait_max_s": max(waits),
            "salvo_calls": len(salvo), "salvo_p95_s": _quantile(salvo, 95),
            "ledger_calls_per_s": len(rows) / max(seconds - 15, 1),
            "refused_429": sum(row["status"] == 429 for row in rows),
        }  # fmt: skip


def _import(flow: Any, stop: threading.Event) -> None:
    try:
        done = work(flow, Order(trigger=SyncRun.Kind.COMMAND), keep_going=lambda: not stop.is_set())
        while not stop.is_set() and done.run is not None and not done.finished:
            done = work(flow, keep_going=lambda: not stop.is_set())
    finally:
        connection.close()


def _clicks(account: ConnectedAccount, seconds: float) -> list[float]:
    connector = connector_for(account, lane="interactive")
    key, limit = budget.key_of(account), budget.limit_of(account.system)
    waits: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        waits += [budget.wait_and_take(key, limit, lane="interactive") for _call in range(CALLS_PER_CLICK)]
        connector.count("customer")  # and a real call, so that the reserve is used as it is in life
        time.sleep(PAUSE)
    return waits


def _salvo(account: ConnectedAccount) -> list[float]:
    """Ten people press in the same moment."""
    key, limit = budget.key_of(account), budget.limit_of(account.system)
    waits: list[float] = []

    def click() -> None:
        try:
            waits.extend([budget.wait_and_take(key, limit, lane="interactive") for _call in range(CALLS_PER_CLICK)])
        finally:
            connection.close()

    people = [threading.Thread(target=click) for _person in range(10)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    return waits


def _quantile(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, round(len(values) * percent / 100))]
