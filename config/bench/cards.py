"""The card under twenty clients at once, beside an empty view of the same server on the same machine."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings

from integrations.hubspot.signature import sign
from integrations.models import ConnectedAccount, Integration, Organization
from sync.models import Change, EntityLink, Flow
from sync.states import Action, State

CLIENTS = 20
SECRET = "bench"  # noqa: S105  (of a server that lives for this case)
PORTAL = "4711"
HOST, PORT = "127.0.0.1", 9517
Call = Callable[[http.client.HTTPConnection, int], None]


def measure(scale: float) -> dict[str, Any]:
    """Latencies in milliseconds of both, in alternating rounds, so that whatever else the machine does hits both."""
    records = max(int(2_000 * scale), 100)
    _seed(records)
    server = _server()
    try:
        _wait()
        empty: list[float] = []
        card: list[float] = []
        _round(_empty, 10)
        _round(_card(records), 10)
        for _turn in range(5):
            empty += _round(_empty, max(int(60 * scale), 10))
            card += _round(_card(records), max(int(60 * scale), 10))
    finally:
        server.terminate()
        server.wait(10)
    slow, base = _quantile(card, 99), _quantile(empty, 99)
    return {
        "clients": CLIENTS, "requests": len(card), "records": records,
        "empty_p50_ms": statistics.median(empty), "empty_p99_ms": base,
        "card_p50_ms": statistics.median(card), "card_p99_ms": slow,
        "p50_factor": statistics.median(card) / statistics.median(empty), "p99_factor": slow / base,
    }  # fmt: skip


def _seed(records: int) -> None:
    """A portal with `records` deals: half of them linked, all with a checked change."""
    organization = Organization.objects.create(name="Bench cards")
    accounts = [
        ConnectedAccount.objects.create(
            organization=organization, system=system, remote_id=PORTAL, name=system, status="connected",
            api_url="http://127.0.0.1:9", oauth_url="http://127.0.0.1:9",
        )
        for system in ("hubspot", "fortnox")
    ]  # fmt: skip
    pair = Integration.objects.create(
        organization=organization, name="Bench cards", crm_account=accounts[0], ledger_account=accounts[1]
    )
    flow = Flow.objects.create(
        integration=pair, slug="deals-to-invoices", name="Deals", source_side="crm", source_object="deal",
        target_side="ledger", target_object="invoice", enabled=True,
    )  # fmt: skip
    said = {"en": "The condition holds.", "sv": "Villkoret är uppfyllt."}
    checks = [
        {"code": f"c{number}", "ok": True, "label": said, "actual": "1", "message": said, "remedy": said}
        for number in range(14)
    ]
    Change.objects.bulk_create(
        Change(
            integration=pair, flow=flow, action=Action.CREATE, source_id=str(number), source_title=f"Deal {number}",
            state=State.APPLIED if number % 2 else State.PLANNED, checks=checks, amount=Decimal("100.00"),
            payload={"fields": {}, "lines": [{"Price": "1"}] * 10},
        )
        for number in range(records)
    )  # fmt: skip
    EntityLink.objects.bulk_create(
        EntityLink(
            integration=pair, crm_object="deal", crm_id=str(number), ledger_object="invoice", ledger_id=str(number),
            agreed_crm={"fortnox_status": "Unbooked"},
        )
        for number in range(1, records, 2)
    )  # fmt: skip


def _server() -> subprocess.Popen[bytes]:
    env = os.environ | {"HUBSPOT_CLIENT_SECRET": SECRET, "PUBLIC_URL": f"http://{HOST}:{PORT}", "LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "-b", f"{HOST}:{PORT}", "--workers", "2"]
    command += ["--threads", "10", "--log-level", "error"]
    return subprocess.Popen(command, cwd=settings.BASE_DIR, env=env)  # noqa: S603  (our own server)


def _wait() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection(HOST, PORT, timeout=5)
            _empty(connection, 0)
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the server did not start")


def _round(call: Call, times: int) -> list[float]:
    """`times` calls by each client, all at once; milliseconds of every call."""
    taken: list[float] = []
    lock = threading.Lock()

    def client(seed: int) -> None:
        connection = http.client.HTTPConnection(HOST, PORT, timeout=60)
        own = []
        for turn in range(times):
            started = time.perf_counter()
            call(connection, seed * 7919 + turn)
            own.append((time.perf_counter() - started) * 1e3)
        connection.close()
        with lock:
            taken.extend(own)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(taken) != CLIENTS * times:
        raise RuntimeError("a client failed")
    return taken


def _empty(connection: http.client.HTTPConnection, _turn: int) -> None:
    _answer(connection, "GET", "/livez")


def _card(records: int) -> Call:
    """A signed call per record, signed before the clock starts."""
    query = urlencode({"userId": "1", "portalId": PORTAL, "userEmail": "anna@kund.example", "appId": "1"})
    path = f"/cards/hubspot/summary?{query}"
    stamp = str(int(time.time() * 1000))
    calls = []
    for number in range(records):
        body = json.dumps({"objectId": number, "objectTypeId": "0-3", "locale": "sv"}).encode()
        signature = sign("POST", f"http://{HOST}:{PORT}{path}", body, stamp, SECRET)
        calls.append((body, {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": stamp}))

    def call(connection: http.client.HTTPConnection, turn: int) -> None:
        body, headers = calls[turn % records]
        _answer(connection, "POST", path, body, headers)

    return call


def _answer(connection: http.client.HTTPConnection, method: str, path: str, *rest: Any) -> None:
    connection.request(method, urlsplit(path).geturl(), *rest)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {text[:200]!r}")


def _quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]
