"""R-13 in small: many threads and processes want a token at once; one asks, nobody presents a used refresh token."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection

from integrations import oauth, token_store, tokens
from integrations.models import ConnectedAccount
from tests.integrations.consent import Consultant, Remote, age, remote, sandbox_process  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
THREADS, ROUNDS = 8, 6

WORKER = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
from django.db import connection
from integrations import tokens
from integrations.models import ConnectedAccount
print("ready", flush=True)
for line in sys.stdin:
    account = ConnectedAccount.objects.get(pk=sys.argv[1])
    print(tokens.access_token(account), flush=True)
"""


def in_flight(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the token calls under way; `most` is the highest it ever was."""
    seen: Counter[str] = Counter()
    guard = threading.Lock()

    def watched(original: Any) -> Any:
        def call(*args: Any) -> Any:
            with guard:
                seen["now"] += 1
                seen["most"] = max(seen["most"], seen["now"])
            try:
                time.sleep(0.02)
                return original(*args)
            finally:
                with guard:
                    seen["now"] -= 1

        return call

    for name in ("refresh", "service_token"):
        monkeypatch.setattr(oauth, name, watched(getattr(oauth, name)))
    return seen


@pytest.mark.parametrize(("system", "service"), [("hubspot", True), ("fortnox", True), ("fortnox", False)])
def test_eight_threads_and_every_expiry_make_one_call_each(
    remote: Remote, monkeypatch: pytest.MonkeyPatch, system: str, service: bool
) -> None:
    account = Consultant(remote).connect(system, service=service)
    seen = in_flight(monkeypatch)
    remote.mark()
    start = threading.Barrier(THREADS)

    def want() -> str:
        try:
            mine = ConnectedAccount.objects.get(pk=account.pk)
            start.wait(60)
            return tokens.access_token(mine)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(ROUNDS):
            age(account, expired=True)
            answers = {future.result() for future in [pool.submit(want) for _ in range(THREADS)]}
            account.refresh_from_db()
            assert len(answers) == 1
    assert seen["most"] == 1
    assert [call["status"] for call in remote.calls()] == [200] * ROUNDS
    assert account.status == ConnectedAccount.Status.CONNECTED
    hashes = [h for h in account.generations.values_list("refresh_hash", flat=True) if h]
    if system == "fortnox":
        assert len(hashes) == len(set(hashes))


def test_simultaneous_401s_make_one_refresh(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Consultant(remote).connect("fortnox", service=False)
    seen = in_flight(monkeypatch)
    rejected = tokens.access_token(account)
    remote.mark()
    start = threading.Barrier(THREADS)

    def reject() -> str:
        try:
            mine = ConnectedAccount.objects.get(pk=account.pk)
            start.wait(60)
            return tokens.after_unauthorized(mine, rejected)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        answers = {future.result() for future in [pool.submit(reject) for _ in range(THREADS)]}
    assert len(answers) == 1
    assert seen["most"] == 1
    assert len(remote.calls()) == 1


def test_processes_share_one_refresher(remote: Remote, settings: Any) -> None:
    account = Consultant(remote).connect("fortnox", service=False)
    remote.mark()
    environment = process_environment(remote, settings)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(account.pk)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        assert {said(worker) for worker in workers} == {"ready"}
        for _ in range(ROUNDS):
            account.refresh_from_db()
            age(account, expired=True)
            for worker in workers:
                assert worker.stdin
                worker.stdin.write("go\n")
                worker.stdin.flush()
            assert len({said(worker) for worker in workers}) == 1
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(60)
    assert [call["status"] for call in remote.calls()] == [200] * ROUNDS


def said(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout
    return worker.stdout.readline().strip()


def process_environment(remote: Remote, settings: Any) -> dict[str, str]:
    """The settings of this test for another process."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        place = f"{database['HOST'] or 'localhost'}:{database['PORT'] or 5432}"
        url = f"postgres://{database['USER']}:{database['PASSWORD']}@{place}/{database['NAME']}"
    values = {"DATABASE_URL": url, "EXTRA_ALLOWED_HOSTS": ",".join(settings.EXTRA_ALLOWED_HOSTS)}
    for system, vendor in remote.vendors.items():
        for key in ("api_url", "oauth_url", "client_id", "client_secret"):
            values[f"{system}_{key}".upper()] = vendor[key]
    return {**os.environ, **values, "FIELD_ENCRYPTION_KEYS": ",".join(settings.FIELD_ENCRYPTION_KEYS)}


def test_without_the_lock_the_same_harness_sees_the_race(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the threads do collide, and the numbered generation is a second wall that stops them."""
    account = Consultant(remote).connect("hubspot")
    monkeypatch.setattr(tokens, "process_lock", lambda *args, **kwargs: contextlib.nullcontext(True))
    age(account, expired=True)
    meet = threading.Barrier(THREADS)
    begin = token_store.begin

    def together(*args: Any) -> Any:
        meet.wait(60)  # everybody has read the row and nobody has written it
        return begin(*args)

    monkeypatch.setattr(token_store, "begin", together)

    def want() -> str:
        mine = ConnectedAccount.objects.get(pk=account.pk)
        try:
            return tokens.access_token(mine)
        except IntegrityError:
            return "collided"
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda _: want(), range(THREADS)))
    assert "collided" in answers
