"""Tokens of an org and of its administrators: none in a log of ours, none alive that nobody needs."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.urls import reverse

from integrations import oauth
from integrations.custom_models import CustomSource
from integrations.deployment_models import Deployment
from integrations.errors import Conflict
from integrations.models import ConnectedAccount, Membership
from integrations.redaction import redact, redact_data
from integrations.salesforce import deployments
from integrations.salesforce.deploy import Administrator
from integrations.sign_in import Identity, TokenAnswer
from integrations.token_store import WrongAccount
from tests.factories import make_account, make_integration

ORG, OTHER = "00DFx0000004Sx1MAE", "00DFx0000004Sx2MAE"
TOKEN = "00DFx0000004Sx1!AQEAQEXAMPLE.ACCESS_TOKENnotarealone"
BASE = Path(__file__).resolve().parents[2]


# --- Logs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"the session {TOKEN} has ended", TOKEN),
        ('{"client": {"oauthToken": "0123456789abcdefghij"}}', "0123456789abcdefghij"),
        ("signing_key = 'MIIEvQIBADANBgkqhkiG9w0BAQ'", "MIIEvQIBADANBgkqhkiG9w0BAQ"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n", "BgkqhkiG9w0B"),
        ("-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADAN", "MIIEvQIBADAN"),
    ],
)
def test_what_an_org_trusts_us_with_is_masked(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert secret not in str(redact_data({"error": text}))


_SERVER = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
from gunicorn.config import Config
from gunicorn.glogging import Logger
cfg = Config()
cfg.set("accesslog", "-")
log = Logger(cfg)
import django
django.setup()
atoms = {"t": "[now]", "m": "POST", "U": sys.argv[1], "s": 200, "L": "0.1"}
log.access_log.info("%(t)s %(m)s %(U)s %(s)s %(L)s", atoms)
"""


def test_the_access_log_of_our_server_does_not_hold_the_secret_of_an_orgs_messages() -> None:
    """As the server does it: its own loggers are there before the worker loads the app."""
    secret = "kL9xExampleExampleExampleExample_Example-43"
    path = f"/webhooks/salesforce/7d8d1c1e-4a0b-4a53-9c3b-0f2f6f0c9c11/{secret}"
    found = subprocess.run(
        [sys.executable, "-c", _SERVER, path], cwd=BASE, capture_output=True, text=True, timeout=60, check=True
    )
    logged = found.stdout + found.stderr
    assert "POST /webhooks/salesforce/" in logged and " 200 " in logged
    assert secret not in logged


# --- Own objects --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_an_object_has_one_source_in_an_org() -> None:
    """With two, an event would reach the flows of one of them, and a record be invoiced by both."""
    account, other = make_account(system="salesforce"), make_account(system="salesforce")
    jobs = CustomSource.objects.create(account=account, name="jobs", label="Jobs", remote_object="Job__c")
    jobs.full_clean()
    CustomSource(account=other, name="work", label="Work", remote_object="Job__c").full_clean()
    with pytest.raises(ValidationError):
        CustomSource(account=account, name="work", label="Work", remote_object="job__c").full_clean()


@pytest.mark.django_db
def test_what_we_read_ourselves_is_no_object_of_a_customers_own() -> None:
    """An opportunity would be invoiced by its own flow and by that of the source, which are strangers to each other."""
    account = make_account(system="salesforce")
    with pytest.raises(ValidationError):
        CustomSource(account=account, name="deals", label="Deals", remote_object="Opportunity").full_clean()


# --- Roles --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "may"),
    [("viewer", False), ("support", False), ("accountant", False), ("consultant", True), ("owner", True)],
)
def test_consultants_and_owners_may_choose_flows_and_describe_own_objects(role: str, may: bool, client: Client) -> None:
    user, pair = User.objects.create_user("anna", is_staff=True), make_integration()
    Membership.objects.create(organization=pair.organization, user=user, role=role)
    client.force_login(user)
    expected = 200 if may else 403
    assert client.get(reverse("admin:sync_flow_choose", args=[pair.pk])).status_code == expected
    assert client.get(reverse("admin:integrations_customsource_changelist")).status_code == expected


# --- The administrator's token --------------------------------------------------------------------------------------


@pytest.fixture
def account(db: None, monkeypatch: pytest.MonkeyPatch) -> ConnectedAccount:
    monkeypatch.setattr(oauth, "identify", lambda account, answer: Identity(answer.remote_id, "Org", ""))
    return make_account(system="salesforce", remote_id=ORG, api_url="https://nordkraft.my.salesforce.com")


@pytest.fixture
def revoked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that were revoked at the vendor."""
    tokens: list[str] = []

    def revoke(_session: Any, _account: Any, token: str) -> bool:
        tokens.append(token)
        return True

    monkeypatch.setattr(deployments, "revoke_token", revoke)
    return tokens


def _tick() -> None:
    try:
        deployments.advance_all()
    finally:
        connection.close()


def granted(org: str) -> TokenAnswer:
    return TokenAnswer(TOKEN, "", None, ("api",), org)


def test_an_administrators_token_of_another_org_does_not_stay_alive(
    account: ConnectedAccount, revoked: list[str]
) -> None:
    with pytest.raises(WrongAccount):
        deployments.begin(account, granted(OTHER), None)
    assert revoked == [TOKEN]


def test_an_administrators_token_that_came_too_late_does_not_stay_alive(
    account: ConnectedAccount, revoked: list[str]
) -> None:
    Deployment.objects.create(account=account, access_token="")
    with pytest.raises(Conflict):
        deployments.begin(account, granted(ORG), None)
    assert revoked == [TOKEN]


@pytest.mark.django_db(transaction=True)
def test_a_deployment_that_is_being_uploaded_is_not_taken_for_an_interrupted_one(
    account: ConnectedAccount, revoked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The minute's tick looks after all deployments while one is on its way to the org."""

    def uploading(self: Administrator, archive: bytes) -> str:
        tick = threading.Thread(target=_tick)
        tick.start()
        tick.join()
        return "0AfFx00000AbCdEKAV"

    monkeypatch.setattr(Administrator, "deploy", uploading)
    monkeypatch.setattr(deployments, "_archive", lambda *args: b"zip")
    deployments.begin(account, granted(ORG), None)
    deployment = Deployment.objects.get()
    assert (deployment.state, deployment.remote_id, revoked) == ("running", "0AfFx00000AbCdEKAV", [])
