"""SEC-04, SEC-05 and the admin's manners: no canary, foreign rows are 404, constant queries, read-only logs."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import io
import logging
import traceback
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations import oauth, tokens
from integrations.errors import SyncError
from integrations.fields import conceal, reveal
from integrations.models import (
    AuthorizationAttempt,
    ConnectedAccount,
    InboundEvent,
    Integration,
    Membership,
    Organization,
    RateBudget,
    TokenGeneration,
)
from integrations.redaction import RedactionFilter
from tests.factories import make_account, make_integration, make_organization, make_superuser, make_user
from tests.integrations.consent import PERMISSIONS, Consultant, Remote, age, remote, sandbox_process  # noqa: F401
from tests.integrations.salesforce_app import Org, connected
from tests.settings_form import opened

pytestmark = pytest.mark.django_db(transaction=True)
CANARIES = ("CANARY-access", "CANARY-refresh", "CANARY-verifier", "CANARY-client-secret", "gcm1:", "c0ffee" * 8)
MODELS = (Organization, ConnectedAccount, Integration, TokenGeneration, InboundEvent, RateBudget)


def laden(organization: Organization) -> Integration:
    """An integration whose secret columns hold canaries."""
    pair = make_integration(organization)
    org = make_account(organization, "salesforce", client_id="3MVG9", status="needs_reconnect")
    for name in ("client_secret", "signing_key", "inbound_secret"):
        conceal(org, name, "CANARY-client-secret")
    org.save()
    for account in (pair.crm_account, pair.ledger_account):
        conceal(account, "access_token", "CANARY-access")
        conceal(account, "refresh_token", "CANARY-refresh")
        account.refreshed_at, account.token_generation = timezone.now(), 1
        account.save()
        TokenGeneration.objects.create(account=account, number=1, grant="code", refresh_hash="c0ffee" * 8)
        InboundEvent.objects.create(
            account=account, dedupe_key="k", object="customer", record_id="1", kind="customer-updated"
        )
    somebody = User.objects.filter(is_superuser=True).first() or make_superuser()
    attempt = AuthorizationAttempt(
        state_hash=str(pair.pk), account=account, user=somebody, session_hash="h", redirect_uri="x"
    )
    conceal(attempt, "code_verifier", "CANARY-verifier")
    attempt.save()
    RateBudget.objects.create(key=f"fortnox:{pair.pk}")
    return pair


def pages(pair: Integration) -> list[str]:
    """Every page of the room for the rows of `pair`."""
    found = [
        reverse("admin:integrations_connect"),
        reverse("admin:index"),
        reverse("admin:app_list", args=["integrations"]),
    ]
    for model in MODELS:
        name = model._meta.model_name
        found.append(reverse(f"admin:integrations_{name}_changelist"))
        for row in model._default_manager.all():
            found += [
                reverse(f"admin:integrations_{name}_{page}", args=[row.pk]) for page in ("change", "history", "delete")
            ]
    for field in ("organization", "crm_account", "ledger_account"):
        query = f"app_label=integrations&model_name=integration&field_name={field}"
        found.append(f"{reverse('admin:autocomplete')}?{query}")
    found.append(reverse("admin:integrations_connect_organization", args=[pair.organization_id]))
    found += [reverse(f"admin:integrations_integration_{page}", args=[pair.pk]) for page in ("next", "readiness")]
    for account in pair.organization.accounts.all():
        found.append(reverse("admin:integrations_account_disconnect", args=[account.pk]))
        if account.system == "salesforce":
            found.append(reverse("admin:integrations_salesforce_app", args=[account.pk]))
    return found


def test_no_page_of_the_room_shows_a_secret(settings: Any) -> None:
    settings.VENDORS = {k: v | {"client_secret": "CANARY-client-secret"} for k, v in settings.VENDORS.items()}
    pair = laden(make_organization())
    browser = Client()
    browser.force_login(make_superuser())
    seen = 0
    for url in pages(pair):
        answer = browser.get(url)
        assert answer.status_code in (200, 302, 403, 404), url
        seen += answer.status_code == 200
        content = answer.content.decode()
        assert [canary for canary in CANARIES if canary in content] == [], url
    assert seen >= 25


def test_no_export_shows_a_secret() -> None:
    laden(make_organization())
    out = io.StringIO()
    call_command("dumpdata", "integrations", stdout=out)
    assert [canary for canary in CANARIES[:5] if canary in out.getvalue()] == []


def test_no_log_and_no_exception_holds_a_secret(remote: Remote, settings: Any) -> None:
    """A whole life of three accounts at the most talkative log level, with faults, and every error's traceback."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactionFilter())
    loggers = [logging.getLogger(), logging.getLogger("requests_oauthlib"), logging.getLogger("urllib3")]
    before = [(logger, logger.level) for logger in loggers]
    secrets: set[str] = set()
    try:
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
        loggers[0].addHandler(handler)
        consultant = Consultant(remote)
        org = Org(remote)
        for system in ("hubspot", "fortnox", "salesforce"):
            if system == "salesforce":
                account = connected(remote, consultant, org)
            else:
                account = consultant.connect(system, service=False)
            for fault in ("", "lost_refresh", "malformed_json", "status_503", "status_401", "reset_mid_body"):
                secrets |= {reveal(account, "access_token"), reveal(account, "refresh_token")}
                if fault:
                    remote.fault(system, fault)
                try:
                    tokens.access_token(age(account, expired=True))
                except SyncError as error:
                    stream.write("".join(traceback.format_exception(error)) + repr(error.__dict__))
                remote.heal()
    finally:
        loggers[0].removeHandler(handler)
        for logger, level in before:
            logger.setLevel(level)
    secrets |= {v["client_secret"] for v in remote.vendors.values()} | {org.client_secret}
    secrets |= {reveal(account, "inbound_secret"), reveal(account, "signing_key")}
    secrets.discard("")
    assert len(secrets) >= 9
    assert "Traceback" in stream.getvalue()
    assert [secret for secret in secrets if secret in stream.getvalue()] == []
    stored = [str(row) for model in (*MODELS, AuthorizationAttempt) for row in model._default_manager.values()]
    assert [secret for secret in secrets if any(secret in row for row in stored)] == []


def test_a_token_answer_does_not_show_itself() -> None:
    given = {"access_token": "CANARY-access", "refresh_token": "CANARY-refresh"}
    answer = oauth.parse(ConnectedAccount(system="hubspot"), given)
    assert "CANARY" not in repr(answer)


# --- Whose rows ----------------------------------------------------------------------------------------------------


def test_foreign_rows_are_neither_listed_nor_reachable() -> None:
    foreign = laden(make_organization("Foreign AB"))
    consultant = Consultant()
    own = make_integration(consultant.organization)
    for url in pages(foreign):
        answer = consultant.browser.get(url)
        if answer.status_code == 200:
            content = answer.content.decode()
            assert "Foreign AB" not in content, url
            assert foreign.crm_account.name not in content, url
        else:
            assert answer.status_code in (403, 404), url
    change = reverse("admin:integrations_integration_change", args=[foreign.pk])
    assert consultant.browser.get(change).status_code == 404
    assert consultant.browser.get(change.replace(str(foreign.pk), "987654")).status_code == 404
    assert consultant.browser.get(reverse("admin:integrations_integration_change", args=[own.pk])).status_code == 200
    for name in ("test", "reauthenticate", "disconnect"):
        url = reverse(f"admin:integrations_account_{name}", args=[foreign.crm_account_id])
        assert consultant.browser.post(url).status_code == 404
    foreign.crm_account.refresh_from_db()
    assert foreign.crm_account.status == ConnectedAccount.Status.CONNECTED


def test_a_visitor_without_a_membership_sees_nothing() -> None:
    pair = laden(make_organization())
    browser = Client()
    browser.force_login(make_user())
    for url in pages(pair):
        answer = browser.get(url, follow=True)
        assert answer.status_code in (200, 403, 404), url
        if answer.status_code == 200:
            assert pair.crm_account.name not in answer.content.decode(), url


def test_an_integration_cannot_be_moved_to_other_accounts() -> None:
    consultant = Consultant()
    pair = make_integration(consultant.organization)
    other = make_account(consultant.organization, "hubspot")
    data = {
        "name": "Renamed",
        "mode": "observe",
        "time_zone": "Europe/Stockholm",
        "brake_records": 10,
        "brake_percent": 5,
        "crm_account": other.pk,
        "organization": make_organization().pk,
    }
    url = reverse("admin:integrations_integration_change", args=[pair.pk])
    assert consultant.browser.post(url, data | opened(consultant.browser, url)).status_code == 302
    after = Integration.objects.get(pk=pair.pk)
    assert (after.name, after.mode) == ("Renamed", "observe")
    assert (after.crm_account_id, after.organization_id) == (pair.crm_account_id, pair.organization_id)


def test_posting_to_an_account_page_changes_nothing() -> None:
    consultant = Consultant()
    account = make_account(consultant.organization)
    before = ConnectedAccount.objects.values().get()
    url = reverse("admin:integrations_connectedaccount_change", args=[account.pk])
    consultant.browser.post(url, {"access_token": "x", "status": "new", "remote_id": "1", "api_url": "http://evil"})
    assert ConnectedAccount.objects.values().get() == before


@pytest.mark.parametrize("model", [TokenGeneration, InboundEvent, RateBudget])
def test_logs_are_read_only_even_for_a_superuser(model: Any) -> None:
    laden(make_organization())
    browser = Client()
    browser.force_login(make_superuser())
    name, row = model._meta.model_name, model._default_manager.first()
    assert browser.get(reverse(f"admin:integrations_{name}_add")).status_code == 403
    assert browser.post(reverse(f"admin:integrations_{name}_change", args=[row.pk]), {}).status_code == 403
    assert browser.post(reverse(f"admin:integrations_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def test_attempts_have_no_page_at_all() -> None:
    assert not admin.site.is_registered(AuthorizationAttempt)


def test_who_adds_an_organization_owns_it() -> None:
    consultant = Consultant()
    data = {"name": "Added AB", "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    consultant.browser.post(reverse("admin:integrations_organization_add"), data)
    assert Organization.objects.get(name="Added AB").memberships.get().role == Membership.Role.OWNER


@pytest.mark.parametrize("model", MODELS)
def test_a_list_costs_the_same_for_three_rows_as_for_thirty(model: Any) -> None:
    browser = Client()
    browser.force_login(make_superuser())
    url = reverse(f"admin:integrations_{model._meta.model_name}_changelist")

    def cost(pairs: int) -> int:
        for _ in range(pairs):
            laden(make_organization())
        browser.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(url).status_code == 200
        return len(queries)

    few = cost(3)
    assert cost(12) == few <= 12


def test_an_account_page_is_cheap() -> None:
    pair = laden(make_organization())
    browser = Client()
    browser.force_login(make_superuser())
    with CaptureQueriesContext(connection) as queries:
        browser.get(reverse("admin:integrations_connectedaccount_change", args=[pair.crm_account_id]))
    assert len(queries) <= 12


def test_missing_rights_are_shown_with_a_button_that_asks_for_them(remote: Remote) -> None:
    consultant = Consultant(remote)
    account = consultant.connect("fortnox")
    url = reverse("admin:integrations_connectedaccount_change", args=[account.pk])
    assert "Rights are missing" not in consultant.browser.get(url).content.decode()
    account.granted_scopes = account.granted_scopes[1:]
    account.save()
    page = consultant.browser.get(url).content.decode()
    assert "Rights are missing" in page
    assert "Reconnect" in page
    assert consultant.reconnect(account).status_code == 302
    account.refresh_from_db()
    assert account.missing_scopes == []
