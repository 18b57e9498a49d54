"""The guided connection: every step in order, resumable, without JavaScript, and only for one's own organizations."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations import connect, tokens
from integrations.connect import Step
from integrations.models import ConnectedAccount, Integration, Membership, Organization
from tests.factories import make_account, make_organization, make_user
from tests.integrations.consent import Consultant, Remote, remote, sandbox_process  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


def guided(organization: Organization) -> str:
    return reverse("admin:integrations_connect_organization", args=[organization.pk])


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_from_nothing_to_an_integration(remote: Remote) -> None:
    consultant = Consultant(remote)
    browser = consultant.browser
    answer = browser.post(reverse("admin:integrations_connect"), {"name": "Ny Kund AB"})
    organization = Organization.objects.get(name="Ny Kund AB")
    assert answer["Location"] == guided(organization)
    assert organization.memberships.get().role == Membership.Role.OWNER
    consultant.organization = organization
    assert connect.progress(organization, crm_system="hubspot").current == "crm"
    for system in ("hubspot", "fortnox"):
        back = consultant.arrive(remote.decide(consultant.depart(system)))
        assert back["Location"].startswith(guided(organization))
        assert browser.get(back["Location"]).status_code == 200
    state = connect.progress(organization, crm_system="hubspot")
    assert state.current == "create"
    assert state.suggested_name in text(browser.get(guided(organization))).replace("&amp;", "&")
    assert state.crm.chosen and state.ledger.chosen
    answer = browser.post(
        reverse("admin:integrations_connect_create", args=[organization.pk]),
        {"name": "HubSpot ↔ Fortnox", "crm": state.crm.chosen.pk, "ledger": state.ledger.chosen.pk},
    )
    integration = Integration.objects.get()
    assert answer["Location"] == reverse("admin:integrations_integration_readiness", args=[integration.pk])
    assert integration.readiness_report.running  # nobody has to ask for the first check
    assert (integration.organization, integration.mode) == (organization, Integration.Mode.OBSERVE)
    assert "Readiness of HubSpot ↔ Fortnox" in text(browser.get(answer["Location"]))
    assert connect.progress(organization, crm_system="hubspot").current == "done"


def test_it_resumes_where_it_was_left(remote: Remote) -> None:
    consultant = Consultant(remote)
    consultant.connect("hubspot")
    page = text(consultant.browser.get(guided(consultant.organization)))
    assert page.count('aria-current="step"') == 1
    assert 'lb-step--current"\n              aria-current="step">\n            <h2>Fortnox' in page
    consultant.depart("fortnox")  # and the window is closed
    page = text(consultant.browser.get(guided(consultant.organization)))
    assert "was begun and not finished" in page
    consultant.depart("fortnox")
    assert ConnectedAccount.objects.filter(system="fortnox").count() == 1


def test_a_window_of_its_own_ends_with_a_page_that_may_be_closed(remote: Remote) -> None:
    consultant = Consultant(remote)
    back = consultant.arrive(remote.decide(consultant.depart("fortnox", window="1")))
    assert back["Location"] == reverse("connect-done", args=["fortnox"])
    assert "close this window" in text(consultant.browser.get(back["Location"]))


def test_a_lost_connection_is_shown_with_its_cause_and_button(remote: Remote) -> None:
    consultant = Consultant(remote)
    account = consultant.connect("hubspot")
    tokens.needs_reconnect(account, "The vendor refuses the connection: revoked")
    page = text(consultant.browser.get(guided(consultant.organization)))
    assert "refuses the connection: revoked" in page
    assert reverse("admin:integrations_account_reauthenticate", args=[account.pk]) in page
    answer = consultant.browser.post(
        reverse("admin:integrations_connect_create", args=[consultant.organization.pk]), {"name": "x"}
    )
    assert answer.status_code == 422
    assert not Integration.objects.exists()


def test_the_same_pair_twice_is_one_integration() -> None:
    consultant = Consultant()
    crm, ledger = (make_account(consultant.organization, system) for system in ("hubspot", "fortnox"))
    data = {"name": "One", "crm": crm.pk, "ledger": ledger.pk}
    url = reverse("admin:integrations_connect_create", args=[consultant.organization.pk])
    assert [consultant.browser.post(url, data).status_code for _ in range(2)] == [302, 302]
    assert Integration.objects.get().name == "One"


def test_one_portal_feeds_two_companies() -> None:
    consultant = Consultant()
    crm = make_account(consultant.organization, "hubspot")
    ledgers = [make_account(consultant.organization, "fortnox") for _ in range(2)]
    url = reverse("admin:integrations_connect_create", args=[consultant.organization.pk])
    for ledger in ledgers:
        consultant.browser.post(url, {"name": ledger.name, "crm": crm.pk, "ledger": ledger.pk})
    assert {i.ledger_account for i in Integration.objects.all()} == set(ledgers)


def test_accounts_of_another_organization_are_never_paired_or_shown() -> None:
    consultant = Consultant()
    make_account(consultant.organization, "hubspot", name="Our portal")
    foreign = make_account(make_organization(), "fortnox", name="Foreign AB")
    page = text(consultant.browser.get(f"{guided(consultant.organization)}?ledger={foreign.pk}"))
    assert "Foreign AB" not in page
    url = reverse("admin:integrations_connect_create", args=[consultant.organization.pk])
    assert consultant.browser.post(url, {"name": "x", "ledger": foreign.pk}).status_code == 422
    assert not Integration.objects.exists()


@pytest.mark.parametrize("role", [Membership.Role.VIEWER, Membership.Role.SUPPORT, Membership.Role.ACCOUNTANT])
def test_who_only_looks_or_helps_cannot_connect(role: str) -> None:
    organization = make_organization()
    browser = Client()
    browser.force_login(make_user(organization=organization, role=role))
    account = make_account(organization)
    assert browser.get(guided(organization)).status_code == 403
    for name in ("reauthenticate", "disconnect", "test"):
        url = reverse(f"admin:integrations_account_{name}", args=[account.pk])
        assert browser.post(url).status_code == 403


def test_every_unsafe_view_wants_post_and_csrf() -> None:
    consultant = Consultant()
    account = make_account(consultant.organization)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(consultant.user)
    posts = [
        reverse("admin:integrations_connect"),
        reverse("admin:integrations_connect_begin", args=[consultant.organization.pk, "fortnox"]),
        reverse("admin:integrations_connect_create", args=[consultant.organization.pk]),
        *(
            reverse(f"admin:integrations_account_{name}", args=[account.pk])
            for name in ("reauthenticate", "disconnect", "test")
        ),
    ]
    for url in posts:
        assert strict.post(url).status_code == 403, url
    for url in posts[1:4] + posts[5:]:
        assert strict.get(url).status_code == 405, url
    account.refresh_from_db()
    assert account.status == ConnectedAccount.Status.CONNECTED


def test_the_rooms_above_add_their_next_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_providers", [])
    connect.register_next_steps(lambda integration: [Step(f"Plan {integration.name}", "first", "/admin/")])
    consultant = Consultant()
    crm, ledger = (make_account(consultant.organization, s, status="disconnected") for s in ("hubspot", "fortnox"))
    integration = Integration.objects.create(
        organization=consultant.organization, crm_account=crm, ledger_account=ledger, name="Pair"
    )
    page = text(consultant.browser.get(reverse("admin:integrations_integration_next", args=[integration.pk])))
    assert "Plan Pair" in page


def test_no_page_has_an_inline_script_or_style(remote: Remote) -> None:
    consultant = Consultant(remote)
    account = consultant.connect("hubspot")
    for url in (
        reverse("admin:integrations_connect"),
        guided(consultant.organization),
        reverse("admin:integrations_connectedaccount_change", args=[account.pk]),
        reverse("admin:integrations_account_disconnect", args=[account.pk]),
        "/connect/hubspot/callback?state=x",
    ):
        answer = consultant.browser.get(url)
        page = text(answer)
        assert " style=" not in page
        assert "<style" not in page
        assert " onclick=" not in page
        assert all(" src=" in tag.split(">")[0] for tag in page.split("<script")[1:])
        assert "default-src 'none'" in answer["Content-Security-Policy"]
