"""Refreshing: when it is due, what a lost answer, a refusal or our own mistake means, and who may ask."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from integrations import token_store, tokens
from integrations.errors import AuthenticationFailed, Misconfigured, Transient
from integrations.fields import conceal, reveal
from integrations.models import ConnectedAccount, Integration
from tests.factories import make_integration
from tests.integrations.consent import Consultant, Remote, age, remote, sandbox_process  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
Status, Grant = ConnectedAccount.Status, ConnectedAccount.Grant
KINDS = [("hubspot", True), ("fortnox", True), ("fortnox", False)]


def connected(remote: Remote, system: str, service: bool = True) -> ConnectedAccount:
    account = Consultant(remote).connect(system, service=service)
    remote.mark()
    return account


def outcomes(account: ConnectedAccount) -> list[str]:
    return list(account.generations.order_by("number").values_list("outcome", flat=True))


@pytest.mark.parametrize(("system", "service"), KINDS)
def test_a_fresh_token_costs_no_call_and_a_due_one_exactly_one(remote: Remote, system: str, service: bool) -> None:
    account = connected(remote, system, service)
    first = tokens.access_token(account)
    assert tokens.access_token(account) == first
    assert remote.calls() == []
    second = tokens.access_token(age(account))
    assert second != first
    assert tokens.access_token(account) == second
    assert [call["status"] for call in remote.calls()] == [200]
    stored = ConnectedAccount.objects.get(pk=account.pk)
    assert reveal(stored, "access_token") == second


@pytest.mark.parametrize(("system", "service"), KINDS)
def test_the_next_refresh_is_at_half_the_lifetime_with_jitter(remote: Remote, system: str, service: bool) -> None:
    account = connected(remote, system, service)
    shares = set()
    for _ in range(5):
        tokens.access_token(age(account))
        assert account.refresh_due_at and account.refreshed_at and account.access_expires_at
        lifetime = account.access_expires_at - account.refreshed_at
        shares.add((account.refresh_due_at - account.refreshed_at) / lifetime)
    assert all(0.45 <= share <= 0.55 for share in shares)
    assert len(shares) == 5


def test_a_fortnox_refresh_token_is_replaced_before_the_new_token_is_used(remote: Remote) -> None:
    account = connected(remote, "fortnox", service=False)
    before = reveal(account, "refresh_token")
    for _ in range(3):
        tokens.access_token(age(account))
    assert reveal(account, "refresh_token") != before
    assert account.status == Status.CONNECTED
    hashes = list(account.generations.exclude(refresh_hash="").values_list("refresh_hash", flat=True))
    assert len(hashes) == len(set(hashes)) == 3


def test_another_process_was_faster(remote: Remote) -> None:
    account = connected(remote, "hubspot")
    stale = ConnectedAccount.objects.get(pk=account.pk)
    age(account)
    age(stale)
    new = tokens.access_token(account)
    assert tokens.access_token(stale) == new
    assert len(remote.calls()) == 1


@pytest.mark.parametrize(("system", "service"), KINDS)
def test_after_a_401_the_newer_stored_token_is_used_without_a_call(remote: Remote, system: str, service: bool) -> None:
    account = connected(remote, system, service)
    stale = ConnectedAccount.objects.get(pk=account.pk)
    rejected = tokens.access_token(stale)
    new = tokens.access_token(age(account))
    remote.mark()
    assert tokens.after_unauthorized(stale, rejected) == new
    assert remote.calls() == []


@pytest.mark.parametrize(("system", "service"), KINDS)
def test_a_second_401_on_a_token_fetched_after_a_401_needs_a_person(remote: Remote, system: str, service: bool) -> None:
    account = connected(remote, system, service)
    rejected = tokens.access_token(account)
    new = tokens.after_unauthorized(account, rejected)
    assert new != rejected
    with pytest.raises(AuthenticationFailed):
        tokens.after_unauthorized(account, new)
    assert account.status == Status.NEEDS_RECONNECT
    assert len(remote.calls()) == 1


# --- Refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("system", "service"), KINDS)
def test_a_revoked_consent_needs_a_person_and_makes_no_further_call(remote: Remote, system: str, service: bool) -> None:
    consultant = Consultant(remote)
    account = consultant.connect(system, service=service)
    make_integration_of(account, consultant)
    remote.remove_app(system)
    remote.mark()
    with pytest.raises(AuthenticationFailed):
        tokens.access_token(age(account, expired=True))
    account.refresh_from_db()
    assert account.status == Status.NEEDS_RECONNECT
    assert account.status_reason
    assert not account.usable
    calls = len(remote.calls())
    assert calls == 1
    for _ in range(5):
        with pytest.raises(AuthenticationFailed):
            tokens.access_token(account)
        with pytest.raises(AuthenticationFailed):
            tokens.after_unauthorized(account, "x")
        tokens.refresh_due_accounts(timezone.now() + dt.timedelta(days=30))
    assert len(remote.calls()) == calls
    assert consultant.reconnect(account).status_code == 302
    account.refresh_from_db()
    assert account.status == Status.CONNECTED
    assert tokens.access_token(account)


def make_integration_of(account: ConnectedAccount, consultant: Consultant) -> Integration:
    sides = {"crm" if account.system == "hubspot" else "ledger": account}
    return make_integration(consultant.organization, **sides)


@pytest.mark.parametrize("system", ["hubspot", "fortnox"])
def test_our_own_wrong_secret_never_asks_the_customer_to_reconnect(remote: Remote, settings: Any, system: str) -> None:
    account = connected(remote, system)
    good = settings.VENDORS
    settings.VENDORS = remote.vendors | {system: remote.vendors[system] | {"client_secret": "wrong"}}
    old = tokens.access_token(account)
    assert tokens.access_token(age(account)) == old
    with pytest.raises(Misconfigured):
        tokens.access_token(age(account, expired=True))
    assert account.status == Status.CONNECTED
    assert not account.usable
    settings.VENDORS = good
    account.paused_until = None
    assert tokens.access_token(age(account)) != old
    assert account.status_reason == ""


# --- Lost answers -------------------------------------------------------------------------------------------------


def test_hubspot_lost_answer_is_repaired_with_the_same_refresh_token(remote: Remote) -> None:
    account = connected(remote, "hubspot")
    old = tokens.access_token(account)
    remote.fault("hubspot", "lost_refresh")
    assert tokens.access_token(age(account)) == old
    assert outcomes(account)[-1].startswith("lost")
    remote.heal()
    assert tokens.access_token(age(account)) != old
    assert account.status == Status.CONNECTED


def test_fortnox_service_account_repairs_itself_after_a_lost_answer(remote: Remote) -> None:
    account = connected(remote, "fortnox")
    old = tokens.access_token(account)
    remote.fault("fortnox", "status_500_after_commit")
    assert tokens.access_token(age(account)) == old
    remote.heal()
    assert tokens.access_token(age(account, expired=True)) != old


def test_fortnox_code_grant_moves_to_client_credentials_when_consent_allows(remote: Remote) -> None:
    """A company that has a service account, whose row is still on the older grant."""
    consultant = Consultant(remote)
    consultant.connect("fortnox")
    account = consultant.connect("fortnox", service=False)
    account.refresh_from_db()
    code_row = ConnectedAccount.objects.get(pk=account.pk)
    code_row.grant = Grant.CODE
    conceal(code_row, "refresh_token", "already-used")
    code_row.save()
    old = tokens.access_token(code_row)
    remote.fault("fortnox", "lost_refresh")
    assert tokens.access_token(age(code_row)) == old
    remote.heal()
    assert tokens.access_token(age(code_row)) != old
    assert code_row.grant == Grant.CLIENT_CREDENTIALS
    assert code_row.refresh_token == ""


def test_fortnox_code_grant_keeps_the_old_token_then_probes_once_then_asks_a_person(remote: Remote) -> None:
    account = connected(remote, "fortnox", service=False)
    old = tokens.access_token(account)
    remote.fault("fortnox", "lost_refresh")
    assert tokens.access_token(age(account)) == old  # one refresh, answer lost
    remote.heal()
    for _ in range(3):
        assert tokens.access_token(age(account)) == old  # client credentials refused; the old token still works
    presented = account.generations.exclude(refresh_hash="").count()
    assert presented == 1
    with pytest.raises(AuthenticationFailed):
        tokens.access_token(age(account, expired=True))  # one probe: the token was used up
    assert account.generations.exclude(refresh_hash="").count() == 2
    assert account.status == Status.NEEDS_RECONNECT


def test_fortnox_probe_succeeds_when_the_lost_call_never_arrived(remote: Remote) -> None:
    account = connected(remote, "fortnox", service=False)
    old = tokens.access_token(account)
    remote.fault("fortnox", "status_500")
    assert tokens.access_token(age(account)) == old
    remote.heal()
    assert tokens.access_token(age(account, expired=True)) != old
    assert (account.status, account.grant) == (Status.CONNECTED, Grant.CODE)


def test_a_crash_between_call_and_answer_counts_as_a_lost_answer(remote: Remote) -> None:
    account = connected(remote, "fortnox", service=False)
    token_store.begin(account, Grant.CODE, reveal(account, "refresh_token"))  # and then the process was killed
    old = tokens.access_token(account)
    assert tokens.access_token(age(account)) == old
    assert account.generations.exclude(refresh_hash="").count() == 1


def test_a_rotated_fortnox_token_used_again_is_refused(remote: Remote) -> None:
    account = connected(remote, "fortnox", service=False)
    used = reveal(account, "refresh_token")
    tokens.access_token(age(account))
    conceal(account, "refresh_token", used)
    account.save()
    account.generations.update(refresh_hash="")  # as after a database restored to an older point
    with pytest.raises(AuthenticationFailed):
        tokens.access_token(age(account))
    assert account.status == Status.NEEDS_RECONNECT


# --- The vendor is down --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["status_503", "status_429", "malformed_json", "reset_before", "reset_mid_body"])
def test_trouble_at_the_vendor_keeps_the_old_token_and_backs_off(remote: Remote, fault: str) -> None:
    account = connected(remote, "hubspot")
    old = tokens.access_token(account)
    remote.fault("hubspot", fault)
    assert tokens.access_token(age(account)) == old
    assert tokens.access_token(account) == old  # backing off: no second call
    assert len(remote.calls()) == 1
    with pytest.raises(Transient):
        tokens.access_token(age(account, expired=True))
    with pytest.raises(Transient):
        tokens.access_token(account)
    assert len(remote.calls()) == 2
    remote.heal()
    assert tokens.access_token(age(account)) != old


def test_an_unreachable_vendor_has_certainly_not_been_asked(remote: Remote) -> None:
    account = connected(remote, "fortnox", service=False)
    account.oauth_url = "http://127.0.0.1:9"
    account.save()
    from django.conf import settings

    settings.EXTRA_ALLOWED_HOSTS.append("127.0.0.1:9")
    old = tokens.access_token(account)
    assert tokens.access_token(age(account)) == old
    assert outcomes(account)[-1] == "refused: not_sent"
    account.oauth_url = remote.vendors["fortnox"]["oauth_url"]
    account.save()
    assert tokens.access_token(age(account)) != old


# --- The minute tick ------------------------------------------------------------------------------------------------


def test_the_tick_refreshes_what_is_due_and_used(remote: Remote) -> None:
    consultant = Consultant(remote)
    account = consultant.connect("hubspot")
    pair = make_integration_of(account, consultant)
    remote.mark()
    assert tokens.refresh_due_accounts(timezone.now()) == 0
    age(account)
    assert tokens.refresh_due_accounts(timezone.now()) == 1
    Integration.objects.filter(pk=pair.pk).update(mode=Integration.Mode.OFF)
    account.refresh_from_db()
    age(account)
    assert tokens.refresh_due_accounts(timezone.now()) == 0
    assert len(remote.calls()) == 1


def test_a_dormant_account_is_kept_alive(remote: Remote) -> None:
    account = connected(remote, "fortnox", service=False)
    account.refreshed_at = timezone.now() - tokens.KEEP_ALIVE
    account.save()
    assert tokens.refresh_due_accounts(timezone.now()) == 0
    age(account, expired=True)
    assert tokens.refresh_due_accounts(timezone.now()) == 1
    account.refresh_from_db()
    assert account.refresh_expires_at and account.refresh_expires_at > timezone.now() + dt.timedelta(days=44)


def test_one_broken_account_does_not_stop_the_tick(remote: Remote) -> None:
    consultant = Consultant(remote)
    broken, fine = consultant.connect("fortnox"), consultant.connect("hubspot")
    make_integration(consultant.organization, crm=fine, ledger=broken)
    age(broken, expired=True)
    age(fine)
    remote.remove_app("fortnox")
    assert tokens.refresh_due_accounts(timezone.now()) == 1
    broken.refresh_from_db()
    assert broken.status == Status.NEEDS_RECONNECT


def test_a_token_under_a_lost_key_is_our_mistake_not_the_customers(remote: Remote, settings: Any) -> None:
    account = connected(remote, "hubspot")
    settings.FIELD_ENCRYPTION_KEYS = ["other:" + "A" * 43 + "="]
    with pytest.raises(Misconfigured, match="FIELD_ENCRYPTION_KEYS"):
        tokens.access_token(account)
    assert account.status == Status.CONNECTED
