"""Keeping an org connected: rotation without a token used twice, lost answers, dormant orgs, sessions that end."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from integrations import oauth, tokens
from integrations.errors import AuthenticationFailed, SyncError, Transient
from integrations.fields import conceal, reveal
from integrations.http import Api
from integrations.models import ConnectedAccount
from integrations.salesforce.client import Salesforce
from tests.integrations.consent import Consultant, Remote, age, remote, sandbox_process  # noqa: F401
from tests.integrations.salesforce_app import Org, connected
from tests.integrations.test_tokens_race import WORKER, in_flight, process_environment, said

pytestmark = pytest.mark.django_db(transaction=True)
Grant, Status = ConnectedAccount.Grant, ConnectedAccount.Status
THREADS, ROUNDS = 8, 4


@pytest.fixture
def org(remote: Remote) -> Org:
    return Org(remote)


def rotating(remote: Remote, org: Org) -> ConnectedAccount:
    """Connected, in an org whose refresh tokens work once; the rotation has been seen."""
    org.decide(rotation=True)
    account = connected(remote, Consultant(remote), org)
    tokens.access_token(age(account))
    remote.mark()
    return account


def presented_twice(remote: Remote) -> int:
    """Refresh tokens that the org was shown after they had been used."""
    deeds = remote.process.control("GET", "/truth?system=salesforce&object=token")["deeds"]
    return sum(deed["action"] != "accepted" for deed in deeds)


# --- Rotation ---------------------------------------------------------------------------------------------------


def test_a_rotated_token_is_stored_before_it_is_used(remote: Remote, org: Org, monkeypatch: Any) -> None:
    account = rotating(remote, org)
    seen: list[bool] = []
    ask = oauth.expires_at

    def watched(row: ConnectedAccount, token: str) -> Any:
        stored = ConnectedAccount.objects.get(pk=row.pk)
        seen.append(reveal(stored, "access_token") == token and reveal(stored, "refresh_token") != before)
        return ask(row, token)

    monkeypatch.setattr(oauth, "expires_at", watched)  # the first use of a new token
    for _ in range(3):
        before = reveal(account, "refresh_token")
        tokens.access_token(age(account, expired=True))
    assert seen == [True] * 3
    hashes = list(account.generations.exclude(refresh_hash="").values_list("refresh_hash", flat=True))
    assert len(hashes) == len(set(hashes)) == 4
    assert account.details["rotation"] is True


def test_threads_and_every_expiry_never_show_a_used_token(remote: Remote, org: Org, monkeypatch: Any) -> None:
    account = rotating(remote, org)
    seen = in_flight(monkeypatch)
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
    assert presented_twice(remote) == 0
    assert account.status == Status.CONNECTED


def test_processes_never_show_a_used_token(remote: Remote, org: Org, settings: Any) -> None:
    account = rotating(remote, org)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(account.pk)],
            env=process_environment(remote, settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
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
    assert presented_twice(remote) == 0


def test_a_used_token_shown_by_somebody_else_ends_the_grant_and_a_person_is_asked(remote: Remote, org: Org) -> None:
    """A copy of the database, or a thief, shows the old token: Salesforce ends the whole family."""
    org.decide(rotation=True)
    account = connected(remote, Consultant(remote), org)
    old = reveal(account, "refresh_token")
    tokens.access_token(age(account))
    with pytest.raises(AuthenticationFailed):
        oauth.refresh(account, old)
    assert presented_twice(remote) == 1
    with pytest.raises(AuthenticationFailed):
        tokens.access_token(age(account, expired=True))
    assert account.status == Status.NEEDS_RECONNECT
    assert "used twice" in account.status_reason
    assert "Reconnect Salesforce" in account.status_reason
    remote.mark()
    with pytest.raises(AuthenticationFailed):
        tokens.access_token(account)
    assert remote.calls() == []


# --- Lost answers -----------------------------------------------------------------------------------------------


def test_a_lost_rotating_refresh_keeps_the_old_access_token_then_probes_once_then_asks(
    remote: Remote, org: Org
) -> None:
    account = rotating(remote, org)
    before = tokens.access_token(account)
    remote.fault("salesforce", "lost_refresh")
    assert tokens.access_token(age(account)) == before
    remote.heal()
    remote.mark()
    for _ in range(3):
        assert tokens.access_token(age(account)) == before
    assert remote.calls() == []
    with pytest.raises(AuthenticationFailed):
        tokens.access_token(age(account, expired=True))
    assert len(remote.calls()) == 1
    assert account.status == Status.NEEDS_RECONNECT


def test_a_refresh_that_never_arrived_is_made_up_for_by_the_probe(remote: Remote, org: Org) -> None:
    account = rotating(remote, org)
    remote.fault("salesforce", "status_500")
    with pytest.raises(Transient):
        tokens.access_token(age(account, expired=True))
    remote.heal()
    assert tokens.access_token(age(account, expired=True))
    assert account.status == Status.CONNECTED


def test_without_rotation_the_same_token_is_shown_until_an_answer_comes(remote: Remote, org: Org) -> None:
    account = connected(remote, Consultant(remote), org)
    tokens.access_token(age(account))
    assert account.details["rotation"] is False
    remote.fault("salesforce", "lost_refresh")
    for _ in range(4):
        with pytest.raises(Transient):
            tokens.access_token(age(account, expired=True))
    remote.heal()
    assert tokens.access_token(age(account, expired=True))
    assert account.status == Status.CONNECTED


def test_a_lost_service_token_is_asked_for_again(remote: Remote, org: Org) -> None:
    account = connected(remote, Consultant(remote), org, Grant.CLIENT_CREDENTIALS)
    remote.fault("salesforce", "status_500")
    with pytest.raises(Transient):
        tokens.access_token(age(account, expired=True))
    remote.heal()
    assert tokens.access_token(age(account, expired=True))


# --- Staying alive ----------------------------------------------------------------------------------------------


def test_a_dormant_org_is_refreshed_once_a_day_so_that_it_outlives_the_idle_limit(remote: Remote, org: Org) -> None:
    org.decide(rotation=True, idle_ttl_days=30.0)
    account = connected(remote, Consultant(remote), org)
    assert tokens.refresh_due_accounts(timezone.now()) == 0
    for _ in range(40):
        remote.process.control("POST", "/clock", {"advance_seconds": 86_400})
        age(account, expired=True)
        ConnectedAccount.objects.update(refreshed_at=timezone.now() - dt.timedelta(days=1, minutes=1))
        assert tokens.refresh_due_accounts(timezone.now()) == 1
        account.refresh_from_db()
    assert account.status == Status.CONNECTED


def test_an_org_idle_for_thirty_days_needs_a_person(remote: Remote, org: Org) -> None:
    org.decide(idle_ttl_days=30.0)
    account = connected(remote, Consultant(remote), org)
    remote.process.control("POST", "/clock", {"advance_seconds": 31 * 86_400})
    with pytest.raises(AuthenticationFailed):
        tokens.access_token(age(account, expired=True))
    assert account.status == Status.NEEDS_RECONNECT
    assert "unused for too long" in account.status_reason


def test_an_unstated_lifetime_is_taken_as_an_hour(remote: Remote, org: Org) -> None:
    remote.fault("salesforce", "status_500", path="/introspect")
    account = connected(remote, Consultant(remote), org)
    assert account.access_expires_at
    assert dt.timedelta(minutes=58) < account.access_expires_at - timezone.now() <= dt.timedelta(minutes=60)


# --- Sessions that end ------------------------------------------------------------------------------------------


def test_a_session_that_ended_early_is_replaced_once_and_the_call_repeated(remote: Remote, org: Org) -> None:
    account = connected(remote, Consultant(remote), org)
    remote.process.control("POST", "/clock", {"advance_seconds": 3 * 3600})
    remote.mark()
    assert Salesforce(Api(account)).objects()["sobjects"]
    assert len(remote.calls()) == 1


@pytest.mark.parametrize("grant", [Grant.CODE, Grant.CLIENT_CREDENTIALS])
def test_a_session_that_no_refresh_cures_is_not_refreshed_again_and_again(remote: Remote, org: Org, grant: str) -> None:
    account = connected(remote, Consultant(remote), org, grant)
    org.decide(session_fault="not_for_rest")
    remote.mark()
    with pytest.raises(SyncError):
        Salesforce(Api(account)).objects()
    assert remote.calls() == []


def test_a_session_that_is_refused_at_once_again_needs_a_person(remote: Remote, org: Org) -> None:
    account = connected(remote, Consultant(remote), org)
    org.decide(session_fault="expired")
    remote.mark()
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            Salesforce(Api(account)).objects()
    assert len(remote.calls()) == 1
    account.refresh_from_db()
    assert account.status == Status.NEEDS_RECONNECT


def test_a_secret_that_the_customer_changed_pauses_and_says_so(remote: Remote, org: Org) -> None:
    account = connected(remote, Consultant(remote), org)
    conceal(account, "client_secret", "an older secret")
    account.save()
    with pytest.raises(SyncError):
        tokens.access_token(age(account, expired=True))
    account.refresh_from_db()
    assert account.status == Status.CONNECTED
    assert account.paused_until
    assert "secret" in account.status_reason


def test_a_refresh_that_opens_another_org_is_refused_and_stored_nowhere(
    remote: Remote, org: Org, monkeypatch: Any
) -> None:
    """What a refreshed copy of an org (a sandbox) would do: the same names, another id."""
    account = connected(remote, Consultant(remote), org)
    before = tokens.access_token(account)
    ask = oauth.refresh
    monkeypatch.setattr(oauth, "refresh", lambda *args: replace(ask(*args), remote_id="00DGz00000AW7EnMAL"))
    with pytest.raises(AuthenticationFailed):
        tokens.access_token(age(account, expired=True))
    account.refresh_from_db()
    assert (account.status, reveal(account, "access_token")) == (Status.NEEDS_RECONNECT, before)
