"""SEC-06: of five hundred hostile arrivals at the callback, none is accepted and none changes anything."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from integrations import oauth
from integrations.models import AuthorizationAttempt, ConnectedAccount, Membership
from tests.integrations.consent import Consultant, Remote, remote, sandbox_process, state_of  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


def mutations(state: str) -> Iterator[str]:
    """Almost the right state."""
    for position in range(len(state)):
        yield state[:position] + ("A" if state[position] != "A" else "B") + state[position + 1 :]
        yield state[:position] + state[position + 1 :]
        yield state[:position] + state[position:].swapcase() if state[position:].swapcase() != state[position:] else "x"
        yield f"{state[:position]} {state[position:]}"
    yield from (
        "",
        " ",
        "null",
        "undefined",
        "0",
        "%",
        "_",
        "*",
        "[]",
        "{}",
        state + state,
        state + "\0",
        "\0" + state,
        state + "=",
        state + "\n",
        f" {state}",
        f"{state} ",
        "a" * 5000,
        base64.b64encode(state.encode()).decode(),
        "' OR 1=1 --",
        "../" + state,
    )


def queries(state: str) -> Iterator[str]:
    """Query strings that must all be refused."""
    for wrong in mutations(state):
        yield urlencode({"code": "abc", "state": wrong})
        yield urlencode({"error": "access_denied", "state": wrong})
    yield "code=abc"
    yield "state"
    yield f"code=abc&state={state}&state={state}"
    yield f"code=abc&state[]={state}"
    yield f"code=abc&State={state}"
    yield f"code=abc#state={state}"
    yield f"code=abc&amp;state={state}x"
    yield f"code=abc&state={quote(quote(state + '%'))}"


def refuse_to_exchange(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("a hostile arrival reached the code exchange")


def test_hostile_states_are_refused_without_a_call(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "exchange_code", refuse_to_exchange)
    consultant = Consultant(remote)
    state = state_of(consultant.depart("hubspot"))
    tried = list(queries(state))
    assert len(tried) >= 350
    for query in tried:
        answer = consultant.browser.get(f"/connect/hubspot/callback?{query}")
        assert answer.status_code == 400, query
    untouched(remote)


def untouched(remote: Remote) -> None:
    assert remote.calls() == []
    assert not ConnectedAccount.objects.exclude(status=ConnectedAccount.Status.NEW).exists()
    assert not ConnectedAccount.objects.exclude(access_token="").exists()


def test_no_other_session_user_or_system_can_use_a_state(remote: Remote) -> None:
    victim, stranger = Consultant(remote), Consultant(remote)
    colleague = Consultant(remote, organization=victim.organization)
    same_user_elsewhere = Client()
    same_user_elsewhere.force_login(victim.user)
    visitor = Client()
    refused = 0
    for _ in range(25):
        for system, other in (("hubspot", "fortnox"), ("fortnox", "hubspot")):
            back = remote.decide(victim.depart(system))
            path = back.removeprefix("http://localhost:8000")
            for browser in (stranger.browser, colleague.browser, same_user_elsewhere, visitor):
                answer = browser.get(path)
                assert answer.status_code in (400, 403)
                refused += 1
            answer = victim.browser.get(path.replace(f"/{system}/", f"/{other}/"))
            assert answer.status_code == 400
            refused += 1
    assert refused == 250
    untouched(remote)


def test_a_state_works_once(remote: Remote) -> None:
    consultant = Consultant(remote)
    back = remote.decide(consultant.depart("hubspot"))
    assert consultant.arrive(back).status_code == 302
    before = ConnectedAccount.objects.values().get()
    calls = len(remote.calls())
    for _ in range(20):
        assert consultant.arrive(back).status_code == 400
    assert ConnectedAccount.objects.values().get() == before
    assert len(remote.calls()) == calls


def test_a_denied_state_is_used_up_too(remote: Remote) -> None:
    consultant = Consultant(remote)
    url = consultant.depart("hubspot")
    assert consultant.arrive(remote.decide(url, approve=False)).status_code == 400
    answer = consultant.arrive(remote.decide(url))
    assert "was already used" in answer.content.decode()
    untouched(remote)


def test_a_state_lives_ten_minutes(remote: Remote) -> None:
    consultant = Consultant(remote)
    back = remote.decide(consultant.depart("hubspot"))
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=10, seconds=1)):
        assert consultant.arrive(back).status_code == 400
    untouched(remote)


def test_a_person_who_lost_the_organization_meanwhile_is_refused(remote: Remote) -> None:
    consultant = Consultant(remote)
    back = remote.decide(consultant.depart("hubspot"))
    Membership.objects.filter(user=consultant.user).delete()
    assert consultant.arrive(back).status_code == 400
    untouched(remote)


def test_another_redirect_address_is_refused(remote: Remote, settings: Any) -> None:
    consultant = Consultant(remote)
    back = remote.decide(consultant.depart("hubspot"))
    settings.PUBLIC_URL = "http://localhost:8001"
    assert consultant.arrive(back).status_code == 400
    untouched(remote)


def test_only_get_is_a_callback(remote: Remote) -> None:
    consultant = Consultant(remote)
    back = remote.decide(consultant.depart("hubspot")).removeprefix("http://localhost:8000")
    for method in ("post", "put", "delete", "head", "options"):
        assert getattr(consultant.browser, method)(back).status_code == 405
    assert consultant.browser.get(back.replace("/hubspot/", "/salesforce-x/")).status_code == 404
    untouched(remote)


def test_the_state_is_stored_only_as_a_hash_and_the_verifier_only_encrypted(remote: Remote) -> None:
    consultant = Consultant(remote)
    state = state_of(consultant.depart("hubspot"))
    attempt = AuthorizationAttempt.objects.get()
    assert state not in str(AuthorizationAttempt.objects.values().get())
    assert attempt.code_verifier.startswith("gcm1:")
    consultant.connect("hubspot")
    assert AuthorizationAttempt.objects.get(pk=attempt.pk).used_at is None
    assert AuthorizationAttempt.objects.exclude(pk=attempt.pk).get().code_verifier == ""
