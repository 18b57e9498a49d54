"""The Fortnox listener against the sandbox's socket: it resumes, catches up, survives, and never says a token."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from websockets.sync.client import ClientConnection

from integrations import inbox
from integrations.fortnox import listener
from integrations.fortnox.events import PAYMENT, Heard, Session, read
from integrations.fortnox.listener import Listener
from integrations.inbox_models import ListenerOffset, ListenerPulse, RefusedCall
from integrations.models import ConnectedAccount, InboundEvent, Integration
from tests.end_to_end.processes import Worker, wait_for
from tests.factories import make_integration
from tests.integrations.clients import connected, in_sandbox, set_vendor
from tests.sandbox_process import ROOT, SandboxProcess

EVENT = {
    "topic": "customers",
    "offset": "aB3xK",
    "type": "customer-updated-v2",
    "tenantId": 34231,
    "entityId": "1042",
    "timestamp": "2026-05-04T09:12:00.120+02:00",
}


def test_an_event_is_read_as_documented() -> None:
    heard = Heard()
    read(json.dumps(EVENT), heard)
    read(json.dumps(EVENT | {"topic": "invoices", "type": "invoicepayment-bookkeep-v1", "offset": "xDy7J"}), heard)
    first, second = heard.events
    assert (first.remote_id, first.object, first.record_id, first.kind) == (
        "34231", "customer", "1042", "customer-updated-v2",
    )  # fmt: skip
    assert first.occurred_at is not None and first.occurred_at.utcoffset() == timedelta(hours=2)
    assert second.object == PAYMENT
    assert heard.offsets == {"customers": "aB3xK", "invoices": "xDy7J"} and not heard.unreadable


@pytest.mark.parametrize(
    "message",
    [
        "", "{", "null", "[]", "7", '"x"', b"\xff\xfe", "[" * 50_000,
        json.dumps(EVENT | {"topic": "vouchers"}),
        json.dumps(EVENT | {"topic": {}}),
        json.dumps(EVENT | {"entityId": None}),
        json.dumps(EVENT | {"entityId": ["1"]}),
        json.dumps(EVENT | {"offset": ""}),
        json.dumps(EVENT | {"entityId": "a\u0000b"}),
        json.dumps(EVENT | {"entityId": "9" * 101}),
        json.dumps(EVENT | {"tenantId": True}),
        json.dumps({k: v for k, v in EVENT.items() if k != "type"}),
    ],
)  # fmt: skip
def test_what_is_no_event_only_counts(message: str | bytes) -> None:
    heard = Heard()
    read(message, heard)
    assert (heard.events, heard.offsets, heard.unreadable) == ([], {}, 1)


def test_a_stream_of_what_cannot_be_read_does_not_keep_back_an_event() -> None:
    class Flood:
        sent = 0

        def recv(self, timeout: float) -> str:
            self.sent += 1
            assert self.sent < 10_000, "it listens without end"
            return json.dumps(EVENT) if self.sent == 1 else "{"

    heard = Session(cast(ClientConnection, Flood()), "secret").hear(0.1)
    assert len(heard.events) == 1 and heard.offsets == {"customers": "aB3xK"} and heard.unreadable


def test_pauses_between_tries_grow_are_capped_and_differ() -> None:
    for failures, bound in ((1, 2), (3, 8), (6, 60), (50, 60)):
        pauses = [listener.backoff(failures) for _try in range(200)]
        assert min(pauses) >= 0 and max(pauses) <= bound and max(pauses) > bound / 2 and len(set(pauses)) > 100


# --- Against the sandbox ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxProcess]:
    with SandboxProcess("--no-limits", "--empty") as process:
        yield process


@pytest.fixture
def sandbox(process: SandboxProcess, transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fresh world, our settings pointing at it, and a listener that does not dawdle."""
    process.control("POST", "/reset", {"customers": 0, "articles": 0, "invoices": 0, "accounts": 0})
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    url = process.url.replace("http", "ws", 1) + "/fortnox/topics-v1"
    set_vendor(settings, "fortnox", socket_url=url, client_secret=process.account("fortnox")["client_secret"])
    for name, value in {"PULSE_SECONDS": 0.2, "LOOK_SECONDS": 0.2, "BACKOFF_CAP_SECONDS": 0.3}.items():
        monkeypatch.setattr(listener, name, value)
    return process


@pytest.fixture
def account(sandbox: SandboxProcess) -> ConnectedAccount:
    """A connected company with a CRM beside it."""
    row = in_sandbox(sandbox, "fortnox")
    make_integration(row.organization, ledger=row)
    return row


@pytest.fixture
def gaps() -> Iterator[list[tuple[set[UUID], str]]]:
    """What the listener said may have been missed."""
    said: list[tuple[set[UUID], str]] = []

    def hear(accounts: Any, name: str) -> None:
        said.append((set(accounts), name))

    inbox.on_gap(hear)
    yield said
    inbox._on_gap.remove(hear)


@contextmanager
def listening(**options: Any) -> Iterator[Listener]:
    """A listener in a thread, subscribed when the block begins and stopped when it ends."""
    stop = threading.Event()
    there = Listener(stop, **options)

    def run() -> None:
        there.run()
        connection.close()

    thread = threading.Thread(target=run)
    before = timezone.now()
    thread.start()
    try:
        wait_for(
            lambda: ListenerPulse.objects.filter(connected=True, connected_at__gt=before).exists(), "a subscription",
            seconds=20, ticking=False,
        )  # fmt: skip
        yield there
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def edit(sandbox: SandboxProcess, name: str = "customers", key: str | None = None, /, **fields: Any) -> str:
    """Somebody works in Fortnox; the record's number."""
    tenant = sandbox.account("fortnox")["account"]
    record = sandbox.control("POST", f"/records/fortnox/{tenant}/{name}", {"id": key, "fields": fields})["record"]
    return str(record.get("CustomerNumber") or record.get("ArticleNumber"))


def heard() -> list[str]:
    """The record ids of what is stored."""
    return list(InboundEvent.objects.order_by("pk").values_list("record_id", flat=True))


def until(*numbers: str) -> None:
    """Wait until exactly these records were heard of, in any order and as often as given."""
    wait_for(lambda: sorted(heard()) == sorted(numbers), f"{numbers}, not {heard()}", seconds=15, ticking=False)


def test_changes_are_stored_with_their_offset(sandbox: SandboxProcess, account: ConnectedAccount) -> None:
    with listening():
        first = edit(sandbox, Name="Alfa AB")
        until(first)
        event = InboundEvent.objects.get()
        assert (event.account, event.object, event.kind) == (account, "customer", "customer-created-v1")
        offset = ListenerOffset.objects.get()
        assert offset.topic == "customers" and f"customers|{offset.offset}|" in event.dedupe_key
        article = edit(sandbox, "articles", Description="Tjänst")
        until(first, article)
    pulse = ListenerPulse.objects.get()
    assert (pulse.connected, pulse.detail, pulse.events) == (False, "stopped", 2)
    assert pulse.accounts == [account.remote_id]


def test_it_catches_up_after_downtime_and_stores_nothing_twice(
    sandbox: SandboxProcess, account: ConnectedAccount, gaps: list[Any]
) -> None:
    with listening():
        first = edit(sandbox, Name="Alfa AB")
        until(first)
    missed = [edit(sandbox, Name=f"Bolag {number}") for number in range(5)]
    gaps.clear()
    with listening():
        until(first, *missed)
    # Customers go on from their offset; the others have none yet, so their flows look by themselves.
    assert {name for _accounts, name in gaps} == {"article", "invoice"}


def test_duplicates_garbage_and_broken_connections_lose_nothing(
    sandbox: SandboxProcess, account: ConnectedAccount
) -> None:
    with listening():
        numbers = [edit(sandbox, Name="First AB")]
        until(*numbers)
        faults = {"socket_duplicates": 0.5, "socket_garbage": 0.5, "socket_drop_after": 3}
        sandbox.control("POST", "/settings", faults)
        sandbox.control("POST", "/settings", {"socket_open": False})
        numbers += [edit(sandbox, Name=f"Bolag {number}") for number in range(20)]
        sandbox.control("POST", "/settings", {"socket_open": True})
        # Each connection delivers three events from the last offset on, so it takes a dozen of them.
        wait_for(lambda: set(heard()) == set(numbers), "all of them", seconds=40, ticking=False)
        sandbox.control("POST", "/settings", dict.fromkeys(faults, 0))
    assert len(heard()) == len(numbers)
    assert RefusedCall.objects.filter(kind="fortnox socket", reason="unreadable", count__gt=0).exists()


def test_a_database_that_is_away_costs_nothing(
    sandbox: SandboxProcess, account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening():
        first = edit(sandbox, Name="Alfa AB")
        until(first)
        failures: list[int] = []
        real = inbox.store

        def broken(*args: Any, **kwargs: Any) -> int:
            if len(failures) < 3:
                failures.append(1)
                raise OperationalError("away")
            return real(*args, **kwargs)

        monkeypatch.setattr(inbox, "store", broken)
        second = edit(sandbox, Name="Beta AB")
        until(first, second)
    assert len(failures) == 3


def test_companies_come_and_go_while_it_listens(
    sandbox: SandboxProcess, account: ConnectedAccount, gaps: list[Any]
) -> None:
    with listening() as there:
        said: list[str] = []
        there.say = said.append
        numbers = [edit(sandbox, Name="Alfa AB")]
        until(*numbers)
        Integration.objects.update(mode="off")
        wait_for(lambda: ListenerPulse.objects.get().accounts == [], "it left", ticking=False)
        edit(sandbox, Name="Unheard AB")
        gaps.clear()
        Integration.objects.update(mode="live")
        wait_for(lambda: ({account.pk}, "") in gaps, "it came back", ticking=False)
        numbers.append(edit(sandbox, Name="Beta AB"))
        until(*numbers)


def test_nobody_connected_means_no_connection(sandbox: SandboxProcess) -> None:
    stop = threading.Event()
    there = Listener(stop)
    assert there._session() is False


def test_a_token_of_another_company_is_let_go_and_leaves_the_others(
    sandbox: SandboxProcess, account: ConnectedAccount, caplog: pytest.LogCaptureFixture
) -> None:
    bad = in_sandbox(sandbox, "fortnox")
    ConnectedAccount.objects.filter(pk=bad.pk).update(remote_id="424242")
    make_integration(bad.organization, ledger=bad)
    bad.refresh_from_db()
    with listening():
        first = edit(sandbox, Name="Alfa AB")
        until(first)  # one event for one row: the foreign token was let go again
        second = edit(sandbox, Name="Beta AB")
        until(first, second)
    assert ListenerPulse.objects.get().accounts == [account.remote_id]
    assert caplog.text.count("are of other companies") == 1


def test_a_token_that_is_refused_leaves_the_others(
    sandbox: SandboxProcess, account: ConnectedAccount, caplog: pytest.LogCaptureFixture
) -> None:
    bad = connected("fortnox", api_url=account.api_url, token="nonsense", remote_id="424242")
    make_integration(bad.organization, ledger=bad)
    with listening():
        until(edit(sandbox, Name="Alfa AB"))
    assert caplog.text.count("refuses tenants ['424242']") == 1


def test_more_than_a_fortnight_away_means_that_the_flows_look_by_themselves(
    sandbox: SandboxProcess, account: ConnectedAccount, gaps: list[Any]
) -> None:
    with listening():
        until(edit(sandbox, Name="Alfa AB"))
    assert gaps == [({account.pk}, "")]  # the very first time, too
    gaps.clear()
    ListenerPulse.objects.update(connected_at=timezone.now() - timedelta(days=14))
    with listening():
        assert gaps == [({account.pk}, "")]


def test_no_token_and_no_secret_is_ever_logged(
    sandbox: SandboxProcess, account: ConnectedAccount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with listening(say=said.append):
        until(edit(sandbox, Name="Alfa AB"))
        sandbox.control("POST", "/settings", {"socket_open": False})
        wait_for(lambda: any("trying again" in line for line in said), "a broken connection", ticking=False)
        sandbox.control("POST", "/settings", {"socket_open": True})
    token = sandbox.control("POST", "/token", {"system": "fortnox"})["access_token"]
    everything = caplog.text + "\n".join(said) + ListenerPulse.objects.get().detail
    assert token[:12] not in everything and "Bearer" not in everything
    assert sandbox.account("fortnox")["client_secret"] not in everything


@pytest.mark.cluster
def test_the_command_stands_by_takes_over_and_ends_cleanly(
    sandbox: SandboxProcess, account: ConnectedAccount, tmp_path: Path
) -> None:
    url = sandbox.url.replace("http", "ws", 1) + "/fortnox/topics-v1"
    secret = sandbox.account("fortnox")["client_secret"]
    env = Worker(tmp_path, FORTNOX_SOCKET_URL=url, FORTNOX_CLIENT_SECRET=secret).env
    logs = [tmp_path / "one.log", tmp_path / "two.log"]

    def start(log: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "manage.py", "listen", "--standby", "0.2"]
        with log.open("wb") as out:
            return subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)

    def shows(log: Path, text: str) -> Callable[[], bool]:
        return lambda: text in log.read_text()

    processes = [start(logs[0])]
    try:
        wait_for(shows(logs[0], "listening to 1"), "the first listens", seconds=40, ticking=False)
        processes.append(start(logs[1]))
        wait_for(shows(logs[1], "listener ready"), "the second is there", seconds=40, ticking=False)
        first = edit(sandbox, Name="Alfa AB")
        until(first)
        processes[0].kill()
        second = edit(sandbox, Name="Beta AB")
        until(first, second)
        assert "listening to 1" in logs[1].read_text()
        processes[1].send_signal(signal.SIGTERM)
        assert processes[1].wait(60) == 0
        assert "listener stopped" in logs[1].read_text()
        assert ListenerPulse.objects.get().detail == "stopped"
    finally:
        for process in processes:
            process.kill()
            process.wait(60)
