"""Requests that go wrong in every way the sandbox knows, while the flows run: in the end nothing is lost or doubled."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from integrations import http
from integrations.models import ConnectedAccount
from sync.models import Change, SyncLogEntry, SyncRun
from sync.states import State
from tests.end_to_end.checks import FLOWS, Before, check_all, check_companies
from tests.end_to_end.world import CUSTOMERS, INVOICES, World
from tests.integrations import consent
from tests.sandbox_process import SandboxProcess

Build = Callable[..., World]
SEED = 20_261_121
DURATIONS = {"timeout_seconds": 0.5, "drip_seconds": 0.6, "late_seconds": 0.2}
SIZES = {"customers": 60, "articles": 20, "invoices": 40, "accounts": 12}
KINDS = (
    "status_429", "status_429_retry_after", "status_500", "status_503", "status_500_after_commit", "reset_before",
    "reset_mid_body", "late_commit", "truncated_page", "malformed_json", "wrong_types", "empty_list", "slow_drip",
    "timeout_after_commit",
)  # fmt: skip


LATE = ("late_commit", "slow_drip", "timeout_after_commit")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch, settings: Any, request: pytest.FixtureRequest) -> None:
    """A told wait is over at once. Where answers are to be late, a third of a second is late; elsewhere a busy machine
    must not make one late that was not meant to be."""
    monkeypatch.setattr(http, "time", SimpleNamespace(sleep=lambda seconds: None, monotonic=time.monotonic))
    parameters = getattr(getattr(request.node, "callspec", None), "params", {})
    if "seed" in parameters or parameters.get("kind") in LATE:
        settings.HTTP_TIMEOUT_SECONDS = 0.3


def sync_everything(there: World) -> None:
    """Every flow until it is at rest."""
    for slug in FLOWS:
        there.quiet(slug)


def check_no_fault_of_ours() -> None:
    """Everything that went wrong was recognised as what it was."""
    assert not Change.objects.filter(error_class="bug").exists()
    assert not SyncRun.objects.filter(error_class="bug").exists()
    assert not SyncLogEntry.objects.filter(message__contains="Internal fault").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_one_kind_in_every_tenth_request_changes_nothing_in_the_end(world: Build, kind: str) -> None:
    there = world(**SIZES)
    before = Before(there)
    mark = there.mark()
    there.faults(SEED, durations=DURATIONS, **{kind: 0.1})
    sync_everything(there)
    there.faults()
    assert there.faulted(mark) >= 5
    sync_everything(there)  # the next scheduled runs, in better times
    check_all(there, before)
    check_no_fault_of_ours()


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_storm_of_all_faults_in_a_fifth_of_the_requests_loses_and_doubles_nothing(world: Build, seed: int) -> None:
    there = world(**SIZES | {"seed": seed})
    before = Before(there)
    mark = there.mark()
    there.faults(seed, durations=DURATIONS, **dict.fromkeys(KINDS, 0.2 / len(KINDS)))
    sync_everything(there)
    moved = sorted(there.links(CUSTOMERS), key=int)[:9]
    for number in moved:
        there.edit("customers", number, City="Flyttad")
    sync_everything(there)
    there.faults()
    assert there.faulted(mark) > 20
    sync_everything(there)
    check_all(there, before)
    check_no_fault_of_ours()


@pytest.mark.parametrize("kind", ["truncated_page", "empty_list"])
def test_a_list_that_does_not_add_up_fails_the_run_and_the_next_one_heals_it(world: Build, kind: str) -> None:
    there = world(customers=40)
    before = Before(there)
    there.faults(SEED, match={"system": "fortnox", "path_contains": "/3/customers"}, **{kind: 1.0})
    run = there.sync(CUSTOMERS)
    assert (run.state, run.error_code, there.flow(CUSTOMERS).cursor) == (SyncRun.State.FAILED, "incomplete", "")
    assert "announced 40 Customers" in run.error_message
    there.faults()
    assert there.sync(CUSTOMERS).state == SyncRun.State.DONE
    assert there.flow(CUSTOMERS).cursor != ""
    check_companies(there, before)


def connected_world(
    world: Build, sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[World, consent.Remote, consent.Consultant]:
    """A world whose accounts were connected by a person's consent, so that their tokens can be had anew."""
    monkeypatch.setattr(consent, "SIZES", SIZES)
    remote = consent.Remote(sandbox, settings)
    person = consent.Consultant(remote)
    accounts = [person.connect("hubspot"), person.connect("fortnox")]
    return world(connected=accounts), remote, person


def test_tokens_that_expire_on_the_way_are_renewed_unnoticed(
    world: Build, sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, remote, _person = connected_world(world, sandbox, settings, monkeypatch)
    before = Before(there)
    there.quiet(CUSTOMERS)
    remote.mark()
    # By the vendors' clock the tokens have run out, by ours they have not: only the 401 tells.
    sandbox.control("POST", "/clock", {"advance_seconds": 7_200})
    for slug in FLOWS:
        assert there.quiet(slug) == 1
    check_all(there, before)
    renewed = {call["system"] for call in remote.calls()}
    assert renewed == {"hubspot", "fortnox"}
    assert all(call["status"] == 200 for call in remote.calls())


def test_a_revoked_connection_stops_the_flow_and_reconnecting_lets_it_go_on(
    world: Build, sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, remote, person = connected_world(world, sandbox, settings, monkeypatch)
    before = Before(there)
    for slug in FLOWS[:2]:
        there.quiet(slug)
    remote.remove_app("hubspot")
    there.sync(INVOICES)
    account = ConnectedAccount.objects.get(pk=there.crm.pk)
    assert account.status == ConnectedAccount.Status.NEEDS_RECONNECT
    assert not Change.objects.filter(flow__slug=INVOICES, state=State.REVIEW, error_class="authentication").exists()
    assert person.reconnect(account).status_code == 302
    there.quiet(INVOICES)
    check_all(there, before)
