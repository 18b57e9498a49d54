"""The sandbox's Fortnox socket, spoken to with an ordinary client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.sandbox_process import SandboxProcess


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxProcess]:
    with SandboxProcess("--no-limits", "--empty") as process:
        yield process


@pytest.fixture
def sandbox(process: SandboxProcess) -> SandboxProcess:
    process.control("POST", "/reset", {"customers": 0, "articles": 0, "invoices": 0, "accounts": 0})
    return process


Dial = Callable[..., ClientConnection]


@pytest.fixture
def dial(sandbox: SandboxProcess) -> Iterator[Dial]:
    """A connection that has subscribed: `dial(customers="offset")`; without topics all three from now on."""
    stack = ExitStack()

    def make(**offsets: str) -> ClientConnection:
        url = sandbox.url.replace("http", "ws", 1) + "/fortnox/topics-v1"
        there = stack.enter_context(connect(url, proxy=None))
        account = sandbox.control("POST", "/token", {"system": "fortnox"})
        secret = sandbox.account("fortnox")["client_secret"]
        bearer = f"Bearer {account['access_token']}"
        added = ask(there, "add-tenants-v1", clientSecret=secret, accessTokens=[bearer])
        assert added == {
            "response": "add-tenants-v1",
            "result": "ok",
            "tenantIds": {bearer: int(account["account"])},
        }
        names = [*offsets] or ["customers", "articles", "invoices"]
        topics = [{"topic": name} | ({"offset": offsets[name]} if offsets.get(name) else {}) for name in names]
        assert ask(there, "add-topics-v1", topics=topics)["result"] == "ok"
        assert ask(there, "subscribe-v1")["result"] == "ok"
        return there

    with stack:
        yield make


def ask(connection: ClientConnection, command: str, **body: Any) -> dict[str, Any]:
    connection.send(json.dumps({"command": command, **body}))
    answer: dict[str, Any] = json.loads(connection.recv(timeout=5))
    return answer


def hear(connection: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(connection.recv(timeout=5))
    return event


def silent(connection: ClientConnection) -> bool:
    try:
        connection.recv(timeout=0.3)
    except TimeoutError:
        return True
    return False


def edit(sandbox: SandboxProcess, name: str, key: str | None = None, **fields: Any) -> dict[str, Any]:
    tenant = sandbox.account("fortnox")["account"]
    path = f"/records/fortnox/{tenant}/{name}"
    return dict(sandbox.control("POST", path, {"id": key, "fields": fields})["record"])


def test_a_change_is_announced_with_its_id_and_its_company(sandbox: SandboxProcess, dial: Dial) -> None:
    there = dial()
    number = edit(sandbox, "customers", Name="Alfa AB")["CustomerNumber"]
    event = hear(there)
    assert event["topic"] == "customers" and event["type"] == "customer-created-v1"
    assert event["entityId"] == number and str(event["tenantId"]) == sandbox.account("fortnox")["account"]
    assert event["timestamp"][-6:] in ("+01:00", "+02:00")
    edit(sandbox, "customers", number, City="Lund")
    assert hear(there)["type"] == "customer-updated-v2"


def test_documents_and_payments_are_announced_under_invoices(sandbox: SandboxProcess, dial: Dial) -> None:
    there = dial()
    customer = edit(sandbox, "customers", Name="Beta AB")["CustomerNumber"]
    rows = [{"Description": "Tjänst", "DeliveredQuantity": 1, "Price": 100, "VAT": 25}]
    invoice = edit(sandbox, "invoices", CustomerNumber=customer, InvoiceRows=rows)["DocumentNumber"]
    edit(sandbox, "invoices", invoice, Booked=True)
    payment = edit(sandbox, "invoicepayments", InvoiceNumber=int(invoice), Amount=125)
    edit(sandbox, "invoicepayments", payment["Number"], Booked=True)
    seen = [hear(there) for _event in range(4)]
    assert [(event["type"], event["entityId"]) for event in seen[1:3]] == [
        ("invoice-created-v1", invoice),
        ("invoice-bookkeep-v1", invoice),
    ]
    assert (seen[3]["topic"], seen[3]["type"]) == ("invoices", "invoicepayment-bookkeep-v1")
    assert seen[3]["entityId"] == str(payment["Number"])


def test_an_offset_replays_from_there_and_none_means_from_now_on(sandbox: SandboxProcess, dial: Dial) -> None:
    first = dial()
    for name in ("A", "B", "C"):
        edit(sandbox, "customers", Name=name)
    events = [hear(first) for _event in range(3)]
    assert len({event["offset"] for event in events}) == 3
    assert silent(dial(customers=""))
    again = dial(customers=events[1]["offset"])
    assert [hear(again)["entityId"] for _event in range(2)] == [event["entityId"] for event in events[1:]]
    sandbox.control("POST", "/clock", {"advance_seconds": 15 * 86_400})
    assert silent(dial(customers=events[0]["offset"]))


def test_bad_tokens_secrets_topics_and_commands_are_refused(sandbox: SandboxProcess, dial: Dial) -> None:
    there = dial()
    secret = sandbox.account("fortnox")["client_secret"]
    token = sandbox.control("POST", "/token", {"system": "fortnox"})["access_token"]
    refused = ask(there, "add-tenants-v1", clientSecret=secret, accessTokens=[token, "Bearer nonsense"])
    assert refused == {"response": "add-tenants-v1", "result": "error", "invalidTokens": ["Bearer nonsense"]}
    assert ask(there, "add-tenants-v1", clientSecret="x", accessTokens=[token])["result"] == "error"
    bad = ask(there, "add-topics-v1", topics=[{"topic": "invoyces"}])
    assert bad == {"response": "add-topics-v1", "result": "error", "invalidTopics": ["invoyces"]}
    assert ask(there, "sing-v1")["result"] == "error"
    tenant = int(sandbox.account("fortnox")["account"])
    assert ask(there, "list-tenants-v1")["tenantIds"] == [tenant]
    assert ask(there, "remove-tenants-v1", tenants=[tenant])["result"] == "ok"
    edit(sandbox, "customers", Name="Unheard AB")
    assert silent(there)


def test_duplicates_disconnects_and_a_closed_door_come_when_asked_for(sandbox: SandboxProcess, dial: Dial) -> None:
    sandbox.control("POST", "/settings", {"socket_duplicates": 1.0})
    there = dial()
    edit(sandbox, "customers", Name="Twice AB")
    assert hear(there) == hear(there)
    sandbox.control("POST", "/settings", {"socket_duplicates": 0, "socket_drop_after": 2})
    edit(sandbox, "customers", Name="Last AB")
    hear(there)
    with pytest.raises(ConnectionClosed):
        there.recv(timeout=5)
    sandbox.control("POST", "/settings", {"socket_open": False})
    with pytest.raises(InvalidStatus):
        dial()
