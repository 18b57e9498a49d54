"""Every fault kind over real HTTP, and the server itself."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.app import Application
from sandbox.core.faults import KINDS, Faults
from sandbox.fortnox.emulator import CLIENT_ID, CLIENT_SECRET
from sandbox.server import Server

from .fortnox_world import Fortnox


class Served(Fortnox):
    """The emulator behind a real socket."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server(("127.0.0.1", 0), Application(self.world))
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        for number in range(1, 5):
            self.customer(str(number))

    def fault(self, **profile: float) -> None:
        """Load a profile, with short durations."""
        self.world.faults.load(profile, 1, None, timeout_seconds=5, late_seconds=0.2, drip_seconds=0.4)

    def http(self, method: str, path: str, body: Any = None, timeout: float = 1.0) -> requests.Response:
        """A request over the wire, on a connection of its own."""
        return requests.request(
            method,
            f"{self.server.url}/fortnox{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.access_token}"},
            timeout=timeout,
        )

    def create(self, timeout: float = 1.0) -> requests.Response:
        return self.http("POST", "/3/customers", {"Customer": {"Name": "Ny"}}, timeout)

    def count(self) -> int:
        return len(self.emulator.tenants[self.account].tables["customers"])

    def last(self) -> dict[str, Any]:
        """The last request of the journal."""
        entries = self.world.journal.since(self.world.journal.total - 1)
        return dict(entries[-1])


@pytest.fixture
def served() -> Iterator[Served]:
    world = Served()
    yield world
    world.server.shutdown()
    world.server.server_close()


@pytest.mark.parametrize(
    ("kind", "status"),
    [("status_401", 401), ("status_403", 403), ("status_429", 429), ("status_500", 500), ("status_503", 503)],
)
def test_injected_status_commits_nothing(served: Served, kind: str, status: int) -> None:
    served.fault(**{kind: 1})
    answer = served.create()
    assert answer.status_code == status
    assert "Retry-After" not in answer.headers
    assert served.count() == 4
    assert (served.last()["status"], served.last()["fault"]) == (status, kind)


def test_injected_429_may_say_when_to_come_back(served: Served) -> None:
    served.fault(status_429_retry_after=1)
    answer = served.create()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


def test_500_after_commit_has_created_the_record(served: Served) -> None:
    served.fault(status_500_after_commit=1)
    assert served.create().status_code == 500
    assert served.count() == 5


def test_timeout_after_commit_holds_the_connection_and_has_created_the_record(served: Served) -> None:
    served.fault(timeout_after_commit=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        served.create(timeout=0.3)
    assert served.count() == 5


def test_late_commit_breaks_first_and_creates_later(served: Served) -> None:
    served.fault(late_commit=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        served.create()
    assert served.count() == 4
    deadline = time.monotonic() + 5
    while served.count() == 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert served.count() == 5


def test_reset_before_creates_nothing(served: Served) -> None:
    served.fault(reset_before=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        served.create()
    assert served.count() == 4
    assert served.last()["status"] == 0


def test_reset_mid_body_breaks_the_answer_after_the_commit(served: Served) -> None:
    served.fault(reset_mid_body=1)
    with pytest.raises((requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        served.create()
    assert served.count() == 5


def test_reset_is_a_reset_on_the_wire(served: Served) -> None:
    served.fault(reset_mid_body=1)
    parts = urlsplit(served.server.url)
    with socket.create_connection((parts.hostname, parts.port), 2) as wire:
        head = f"GET /fortnox/3/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.access_token}\r\n\r\n"
        wire.sendall(head.encode())
        received = b""
        with pytest.raises(ConnectionResetError):
            while chunk := wire.recv(65536):
                received += chunk
    assert received.startswith(b"HTTP/1.1 200 OK")
    length = int(received.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    assert 0 < len(received.partition(b"\r\n\r\n")[2]) < length


def test_truncated_page_lacks_records_that_its_counts_include(served: Served) -> None:
    served.fault(truncated_page=1)
    body = served.http("GET", "/3/customers").json()
    assert (body["MetaInformation"]["@TotalResources"], len(body["Customers"])) == (4, 2)


def test_empty_list_is_a_200_without_records(served: Served) -> None:
    served.fault(empty_list=1)
    answer = served.http("GET", "/3/customers")
    assert (answer.status_code, answer.json()["Customers"]) == (200, [])


def test_list_faults_leave_single_records_alone(served: Served) -> None:
    served.fault(truncated_page=0.5, empty_list=0.5)
    assert served.http("GET", "/3/customers/1").json()["Customer"]["Name"] == "Kund 1"
    assert served.last()["fault"] is None


def test_malformed_json_is_complete_http(served: Served) -> None:
    served.fault(malformed_json=1)
    answer = served.http("GET", "/3/customers")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


def test_wrong_types_keep_the_keys(served: Served) -> None:
    served.fault(wrong_types=1)
    body = served.http("GET", "/3/customers/1").json()["Customer"]
    assert (body["Name"], body["Active"]) == (["Kund 1"], None)


def test_slow_drip_arrives_whole_but_late(served: Served) -> None:
    served.fault(slow_drip=1)
    started = time.monotonic()
    assert len(served.http("GET", "/3/customers", timeout=3).json()["Customers"]) == 4
    assert time.monotonic() - started > 0.3


def test_lost_refresh_rotates_without_an_answer_and_touches_nothing_else(served: Served) -> None:
    now = served.world.clock.time()
    authority = served.emulator.authority
    grant = next(iter(authority.access.values()))
    code = authority.issue_code(grant, now, service=False)
    token = str(authority.redeem_code(CLIENT_ID, code, None, now)["refresh_token"])
    served.fault(lost_refresh=1)
    assert served.http("GET", "/3/customers").status_code == 200
    form = {"grant_type": "refresh_token", "refresh_token": token}
    url = f"{served.server.url}/fortnox/oauth-v1/token"
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(url, data=form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=1)
    served.fault()
    answer = requests.post(url, data=form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=1)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_match_restricts_faults(served: Served) -> None:
    served.world.faults.load(
        {"status_500": 1}, 1, {"method": "POST", "path_contains": "customers", "system": "fortnox"}
    )
    assert served.http("GET", "/3/customers").status_code == 200
    assert served.create().status_code == 500
    assert served.http("POST", "/3/units", {"Unit": {"Code": "x"}}).status_code == 201


def test_clearing_ends_faults(served: Served) -> None:
    served.fault(status_500=1)
    requests.post(f"{served.server.url}/control/faults", json={}, timeout=1)
    assert served.create().status_code == 201


def _draws(seed: int, order: list[int]) -> dict[int, str | None]:
    faults = Faults()
    faults.load({"status_500": 0.2, "reset_before": 0.2}, seed)
    return {number: faults.draw("fortnox", "POST", "/3/x", "", str(number).encode()) for number in order}


def test_draws_repeat_for_a_seed_whatever_the_order() -> None:
    numbers = list(range(500))
    assert _draws(1, numbers) == _draws(1, numbers[::-1])
    assert _draws(1, numbers) != _draws(2, numbers)
    hits = sum(kind is not None for kind in _draws(1, numbers).values())
    assert 150 < hits < 250


def test_every_kind_is_known() -> None:
    faults = Faults()
    for kind in KINDS:
        faults.load({kind: 1.0})
        assert faults.draw("fortnox", "POST", "/oauth-v1/token", "", b"grant_type=refresh_token") == kind


def test_server_keeps_connections_and_understands_chunks(served: Served) -> None:
    parts = urlsplit(served.server.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=2)
    headers = {"Authorization": f"Bearer {served.access_token}", "Content-Type": "application/json"}
    connection.request("GET", "/fortnox/3/units", headers=headers)
    connection.getresponse().read()
    first = connection.sock
    body = iter([b'{"Customer":', b'{"Name":"Delad"}}'])
    connection.request("POST", "/fortnox/3/customers", body, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["Customer"]["Name"]) == (201, "Delad")
    assert connection.sock is first
    connection.close()


def test_latency_delays_every_answer(served: Served) -> None:
    served.world.configure({"latency_ms": 80})
    started = time.monotonic()
    served.http("GET", "/3/units")
    assert time.monotonic() - started >= 0.08


def test_simultaneous_refreshes_over_the_wire_both_succeed(served: Served) -> None:
    now = served.world.clock.time()
    authority = served.emulator.authority
    grant = next(iter(authority.access.values()))
    pair = authority.redeem_code(CLIENT_ID, authority.issue_code(grant, now, service=False), None, now)
    served.world.configure({"latency_ms": 150})
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    url = f"{served.server.url}/fortnox/oauth-v1/token"
    statuses: list[int] = []

    def refresh() -> None:
        statuses.append(requests.post(url, data=form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=3).status_code)

    threads = [threading.Thread(target=refresh) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
    assert requests.post(url, data=form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=3).status_code == 400
