"""The sandbox's webhook sender: batches, signatures, repeats and the unpleasant switches."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from tests.sandbox_process import SandboxProcess

Event = dict[str, Any]


class Receiver:
    """Somebody's webhook address; `answers` are the statuses it gives, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[int] = [204]
        self.requests: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/webhooks/hubspot"

    @property
    def events(self) -> list[Event]:
        """Everything that arrived, repeats included."""
        return [event for _headers, body in list(self.requests) for event in json.loads(body)]


def wait_for(look: Callable[[], Any], seconds: float = 10) -> Any:
    """Look until there is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("nothing within the time")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess("--no-limits", "--empty") as process:
        yield process


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    there = Receiver()
    yield there
    there.server.shutdown()
    there.server.server_close()


@pytest.fixture
def start(sandbox: SandboxProcess, receiver: Receiver) -> Callable[..., Receiver]:
    """A fresh world that sends to the receiver, with these settings."""

    def begin(**settings: Any) -> Receiver:
        sandbox.control("POST", "/reset", {"customers": 0, "articles": 0, "invoices": 0, "accounts": 0})
        sandbox.control("POST", "/webhooks", {"target_url": receiver.url, **settings})
        return receiver

    return begin


def edit(sandbox: SandboxProcess, kind: str = "companies", key: str | None = None, /, **fields: Any) -> str:
    portal = sandbox.account("hubspot")["account"]
    answer = sandbox.control("POST", f"/records/hubspot/{portal}/{kind}", {"id": key, "fields": fields})
    return str(answer["record"]["id"])


def settled(sandbox: SandboxProcess) -> dict[str, Any]:
    """The sender's counts once nothing is to be sent."""
    wait_for(lambda: sandbox.control("GET", "/webhooks")["pending"] == 0)
    return sandbox.control("GET", "/webhooks")


def test_a_persons_edit_is_announced_and_signed(start: Callable[..., Receiver], sandbox: SandboxProcess) -> None:
    there = start()
    key = edit(sandbox, name="Alfa AB")
    settled(sandbox)
    kinds = [event["subscriptionType"] for event in there.events]
    assert kinds[0] == "object.creation" and "object.propertyChange" in kinds
    for event in there.events:
        assert (event["objectId"], event["objectTypeId"], event["changeSource"]) == (int(key), "0-2", "CRM_UI")
        assert event["attemptNumber"] == 0
    headers, body = there.requests[0]
    stamp, secret = headers["x-hubspot-request-timestamp"], sandbox.account("hubspot")["client_secret"]
    source = b"POST" + there.url.encode() + body + stamp.encode()
    mac = hmac.new(secret.encode(), source, hashlib.sha256).digest()
    assert headers["x-hubspot-signature-v3"] == base64.b64encode(mac).decode()
    assert headers["x-hubspot-signature"] == hashlib.sha256(secret.encode() + body).hexdigest()


def test_what_an_app_writes_carries_its_id(start: Callable[..., Receiver], sandbox: SandboxProcess) -> None:
    there = start()
    token = sandbox.control("POST", "/token", {"system": "hubspot"})
    answer = requests.post(
        f"{token['base_url']}/crm/objects/2026-09/companies",
        json={"properties": {"name": "Beta AB"}},
        headers={"Authorization": f"Bearer {token['access_token']}"},
        timeout=10,
    )
    assert answer.status_code == 201
    settled(sandbox)
    assert there.events
    for event in there.events:
        assert event["changeSource"] == "INTEGRATION" and event["sourceId"] == str(event["appId"])


def test_links_merges_and_deletions_are_announced(start: Callable[..., Receiver], sandbox: SandboxProcess) -> None:
    there = start()
    company, deal = edit(sandbox, name="Gamma AB"), edit(sandbox, "deals", dealname="Affär", dealstage="closedwon")
    link = {"from_type": "deals", "from_id": deal, "to_type": "companies", "to_id": company}
    edit(sandbox, "associations", **link)
    portal = sandbox.account("hubspot")["account"]
    sandbox.control("DELETE", f"/records/hubspot/{portal}/companies/{company}")
    settled(sandbox)
    links = [event for event in there.events if event["subscriptionType"] == "object.associationChange"]
    assert {(event["associationType"], event["fromObjectId"]) for event in links} == {
        ("DEAL_TO_COMPANY", int(deal)),
        ("COMPANY_TO_DEAL", int(company)),
    }
    assert there.events[-1]["subscriptionType"] == "object.deletion"


def test_refused_batches_come_again_with_their_attempt_and_not_for_ever(
    start: Callable[..., Receiver], sandbox: SandboxProcess
) -> None:
    there = start(retry_seconds=0.01)
    there.answers = [500, 404, 204]
    edit(sandbox, name="Delta AB")
    status = settled(sandbox)
    assert {event["attemptNumber"] for event in there.events} >= {0, 1}
    assert status["delivered"] == status["events"]
    there.answers = [503]
    sandbox.control("POST", "/webhooks", {"retry_seconds": 0.001})
    edit(sandbox, name="Epsilon AB")
    status = settled(sandbox)
    assert max(event["attemptNumber"] for event in there.events) == 10
    assert status["dead"] > 0


def test_batches_hold_a_hundred_duplicates_and_forgeries_come_when_asked_for(
    start: Callable[..., Receiver], sandbox: SandboxProcess
) -> None:
    there = start(duplicate=1.0, shuffle=True, forge=1.0, delay_seconds=0.3, gather_seconds=0.3)
    for number in range(40):
        edit(sandbox, name=f"Bolag {number}")
    status = settled(sandbox)
    wait_for(lambda: sandbox.control("GET", "/webhooks").get("forged", 0) > 0)
    genuine = [event for event in there.events if event["objectId"] != 666]
    assert len(genuine) == 2 * status["events"]
    assert len({event["eventId"] for event in genuine}) == status["events"]
    assert max(len(json.loads(body)) for _headers, body in there.requests) <= 100
    forged = [(h, body) for h, body in there.requests if json.loads(body)[0]["objectId"] == 666]
    secret = sandbox.account("hubspot")["client_secret"]
    assert forged
    for headers, body in forged:
        source = b"POST" + there.url.encode() + body + headers["x-hubspot-request-timestamp"].encode()
        mac = hmac.new(secret.encode(), source, hashlib.sha256).digest()
        assert headers["x-hubspot-signature-v3"] != base64.b64encode(mac).decode()


def test_classic_names_and_silence_without_a_target(start: Callable[..., Receiver], sandbox: SandboxProcess) -> None:
    there = start(format="classic")
    edit(sandbox, name="Zeta AB")
    settled(sandbox)
    assert there.events[0]["subscriptionType"] == "company.creation" and "objectTypeId" not in there.events[0]
    sandbox.control("POST", "/reset", {"empty": True})
    before = len(there.requests)
    edit(sandbox, name="Eta AB")
    assert settled(sandbox)["settings"]["target_url"] == "" and len(there.requests) == before
    with pytest.raises(RuntimeError, match="unknown settings"):
        sandbox.control("POST", "/webhooks", {"colour": "red"})
