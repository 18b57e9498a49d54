"""Consent over real HTTP: both vendors, both grants, refusals, and the same account again."""

# ruff: noqa: F811 - fixtures are imported by name
from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse

from integrations import tokens
from integrations.fields import reveal
from integrations.models import AuthorizationAttempt, ConnectedAccount
from tests.factories import make_organization
from tests.integrations.consent import Consultant, Remote, remote, sandbox_process  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
Status, Grant = ConnectedAccount.Status, ConnectedAccount.Grant


def test_a_hubspot_portal_is_connected_with_pkce_name_and_pages(remote: Remote) -> None:
    consultant = Consultant(remote)
    asked = parse_qs(urlsplit(consultant.depart("hubspot")).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["state"][0]) >= 32
    assert asked["redirect_uri"] == ["http://localhost:8000/connect/hubspot/callback"]
    account = consultant.connect("hubspot")
    assert account.status == Status.CONNECTED
    assert (account.grant, account.missing_scopes) == (Grant.CODE, [])
    assert account.name
    assert account.ui_url.startswith("http")
    assert reveal(account, "access_token").startswith("C")
    assert account.refresh_expires_at is None


def test_a_fortnox_company_moves_to_client_credentials_at_once(remote: Remote) -> None:
    consultant = Consultant(remote)
    asked = parse_qs(urlsplit(consultant.depart("fortnox")).query)
    assert asked["account_type"] == ["service"]
    assert asked["access_type"] == ["offline"]
    assert "code_challenge" not in asked
    account = consultant.connect("fortnox")
    assert account.grant == Grant.CLIENT_CREDENTIALS
    assert (account.refresh_token, account.refresh_expires_at) == ("", None)
    assert account.remote_id == remote.remote_id("fortnox")
    assert account.name
    assert set(account.granted_scopes) == set(account.needed_scopes)


def test_without_a_service_account_the_refresh_token_is_kept(remote: Remote) -> None:
    account = Consultant(remote).connect("fortnox", service=False)
    assert account.grant == Grant.CODE
    assert reveal(account, "refresh_token")
    assert account.refresh_expires_at


def test_a_declined_approval_says_so_and_stores_nothing(remote: Remote) -> None:
    consultant = Consultant(remote)
    for system in ("fortnox", "hubspot"):
        answer = consultant.arrive(remote.decide(consultant.depart(system), approve=False))
        assert answer.status_code == 400
        assert "declined" in answer.content.decode()
    assert not ConnectedAccount.objects.exclude(status=Status.NEW).exists()


def test_neither_code_nor_error_is_explained(remote: Remote) -> None:
    consultant = Consultant(remote)
    state = parse_qs(urlsplit(consultant.depart("fortnox")).query)["state"][0]
    answer = consultant.arrive(f"/connect/fortnox/callback?state={state}")
    assert answer.status_code == 400
    assert "without an answer" in answer.content.decode()
    nothing = consultant.arrive("/connect/fortnox/callback")
    assert nothing.status_code == 400


def test_a_second_connect_finds_the_first_row(remote: Remote) -> None:
    consultant = Consultant(remote)
    first = consultant.connect("hubspot")
    second = consultant.connect("hubspot")
    assert first.pk == second.pk
    assert ConnectedAccount.objects.count() == 1


def test_two_companies_of_one_organization_are_two_rows(remote: Remote) -> None:
    consultant = Consultant(remote)
    consultant.connect("fortnox")
    consultant.connect("fortnox", account=remote.remote_id("fortnox", 1))
    assert {a.remote_id for a in ConnectedAccount.objects.all()} == {
        remote.remote_id("fortnox", 0),
        remote.remote_id("fortnox", 1),
    }


def test_reconnecting_as_another_company_is_refused_and_changes_nothing(remote: Remote) -> None:
    consultant = Consultant(remote)
    for system in ("fortnox", "hubspot"):
        account = consultant.connect(system)
        before = ConnectedAccount.objects.filter(pk=account.pk).values().get()
        answer = consultant.reconnect(account, to=remote.remote_id(system, 1))
        assert answer.status_code == 400
        assert "Another company needs a connection of its own" in answer.content.decode()
        assert ConnectedAccount.objects.filter(pk=account.pk).values().get() == before
    assert ConnectedAccount.objects.count() == 2


@pytest.mark.parametrize("number", range(100))
def test_no_other_account_is_ever_accepted_for_a_pinned_row(number: int) -> None:
    """SEC-07, the judgement itself: 100 ids that are almost the right one."""
    from integrations.oauth import Identity, parse
    from tests.factories import make_account

    system = ("fortnox", "hubspot")[number % 2]
    account = make_account(system=system, remote_id="1018318")
    other = ["1018319", "01018318", "1018318 ", " 1018318", "", "10183180", "101831", "-1018318"][number % 8]
    identity = Identity(other + str(number) if number >= 8 else other, "Evil AB", "https://evil.example")
    answer = parse(account, {"access_token": "x", "expires_in": 3600})
    with pytest.raises(tokens.WrongAccount):
        tokens.store_grant(account, answer, identity=identity)
    account.refresh_from_db()
    assert (account.remote_id, account.access_token, account.name) == ("1018318", "", account.name)


def test_reconnect_after_revocation_resumes_on_the_same_row(remote: Remote) -> None:
    consultant = Consultant(remote)
    account = consultant.connect("hubspot")
    tokens.needs_reconnect(account, "gone")
    answer = consultant.reconnect(account)
    assert answer.status_code == 302
    assert answer["Location"] == reverse("admin:integrations_connectedaccount_change", args=[account.pk])
    account.refresh_from_db()
    assert (account.status, account.status_reason) == (Status.CONNECTED, "")
    assert tokens.access_token(account)


def test_wrong_credentials_of_ours_are_said_to_be_ours(remote: Remote, settings) -> None:  # type: ignore[no-untyped-def]
    consultant = Consultant(remote)
    back = remote.decide(consultant.depart("fortnox"))
    settings.VENDORS = remote.vendors | {"fortnox": remote.vendors["fortnox"] | {"client_secret": "wrong"}}
    answer = consultant.arrive(back)
    assert answer.status_code == 400
    assert "An administrator must correct" in answer.content.decode()


def test_missing_credentials_stop_before_the_vendor(settings) -> None:  # type: ignore[no-untyped-def]
    settings.VENDORS = {k: v | {"client_id": ""} for k, v in settings.VENDORS.items()}
    consultant = Consultant()
    url = reverse("admin:integrations_connect_begin", args=[consultant.organization.pk, "fortnox"])
    answer = consultant.browser.post(url)
    assert answer.status_code == 400
    assert "FORTNOX_CLIENT_ID" in answer.content.decode()
    assert not AuthorizationAttempt.objects.exists()


def test_disconnect_revokes_erases_and_keeps_the_row(remote: Remote) -> None:
    consultant = Consultant(remote)
    for system in ("hubspot", "fortnox"):
        account = consultant.connect(system)
        url = reverse("admin:integrations_account_disconnect", args=[account.pk])
        assert "Disconnect" in consultant.browser.get(url).content.decode()
        account.refresh_from_db()
        assert account.status == Status.CONNECTED
        consultant.browser.post(url)
        account.refresh_from_db()
        assert account.status == Status.DISCONNECTED
        assert (account.access_token, account.refresh_token, account.remote_id != "") == ("", "", True)
    assert [call["status"] for call in remote.calls("external-install")] == [204]


def test_a_disconnected_account_can_be_connected_again(remote: Remote) -> None:
    consultant = Consultant(remote)
    account = consultant.connect("hubspot")
    tokens.disconnect(account, consultant.user)
    assert consultant.connect("hubspot").pk == account.pk


def test_the_same_portal_in_two_organizations_is_not_uninstalled_under_the_other(remote: Remote) -> None:
    one, two = Consultant(remote), Consultant(remote, organization=make_organization())
    first, second = one.connect("hubspot"), two.connect("hubspot")
    tokens.disconnect(first, one.user)
    assert remote.calls("external-install") == []
    assert tokens.after_unauthorized(second, tokens.access_token(second))
