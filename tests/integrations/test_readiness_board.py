"""The readiness board: our own lines, both connectors' lines, worst first, never an exception."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from integrations import readiness
from integrations.connector import ReadinessLine
from integrations.errors import Transient
from integrations.models import ConnectedAccount, Integration
from sync import board
from tests.factories import make_integration
from tests.integrations.consent import Consultant, Remote, remote, sandbox_process  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


class Quiet:
    """A connector that finds nothing wrong."""

    def check(self) -> list[ReadinessLine]:
        return [ReadinessLine("remote", "ok", "Remote")]


class Broken:
    """A connector that cannot ask."""

    def check(self) -> list[ReadinessLine]:
        raise Transient("no answer")


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Integration:
    """A pair whose accounts have everything."""
    monkeypatch.setattr("integrations.connectors.connector_for", lambda account, lane: Quiet())
    integration = make_integration()
    for account in (integration.crm_account, integration.ledger_account):
        account.granted_scopes = account.needed_scopes
        account.access_expires_at = timezone.now() + dt.timedelta(minutes=30)
        account.save()
    return integration


def codes(integration: Integration, level: str) -> list[str]:
    fresh = Integration.objects.get(pk=integration.pk)
    return [line.code for line in readiness.check(fresh) if line.level == level]


def test_all_is_well(pair: Integration) -> None:
    assert readiness.is_ready(readiness.check(pair))
    assert codes(pair, "warning") == []


def test_each_problem_has_its_line_and_remedy(pair: Integration) -> None:
    account = pair.crm_account
    account.granted_scopes = account.needed_scopes[1:]
    account.refresh_expires_at = timezone.now() + dt.timedelta(days=3)
    account.save()
    assert codes(pair, "error") == ["scopes", "token_dying"]
    ConnectedAccount.objects.filter(pk=account.pk).update(status="needs_reconnect", status_reason="revoked")
    assert codes(pair, "error") == ["connection"]
    Integration.objects.filter(pk=pair.pk).update(mode="observe")
    assert codes(pair, "warning") == ["mode"]
    pair.refresh_from_db()
    lines = readiness.check(Integration.objects.get(pk=pair.pk))
    assert [line.level for line in lines] == sorted((line.level for line in lines), key=readiness.LEVELS.index)
    assert all(line.fix for line in lines if line.level != "ok")


def test_a_side_that_cannot_be_asked_is_a_line(pair: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.connectors.connector_for", lambda account, lane: Broken())
    assert codes(pair, "error") == ["not_asked", "not_asked"]


def test_the_command_prints_and_exits_1_when_something_is_missing(pair: Integration) -> None:
    out = io.StringIO()
    call_command("readiness", pair.pk, stdout=out)
    assert "ok" in out.getvalue()
    ConnectedAccount.objects.update(status="disconnected")
    out = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("readiness", pair.pk, json=True, stdout=out)
    assert caught.value.code == 1
    answer = json.loads(out.getvalue())
    assert answer["ready"] is False
    assert {"code", "side", "level", "since", "title", "detail", "fix"} == set(answer["lines"][0])
    with pytest.raises(CommandError):
        call_command("readiness", 987654)


def test_the_page_asks_both_vendors_and_shows_what_was_kept(remote: Remote) -> None:
    consultant = Consultant(remote)
    crm, ledger = consultant.connect("hubspot"), consultant.connect("fortnox")
    pair = make_integration(consultant.organization, crm=crm, ledger=ledger)
    url = reverse("admin:integrations_integration_readiness", args=[pair.pk])
    assert "Not checked yet" in consultant.browser.get(url).content.decode()
    assert consultant.browser.post(url).status_code == 302
    assert "Checking both sides" in consultant.browser.get(url).content.decode()
    board.serve_asked()
    answer: Any = consultant.browser.get(url)
    assert "lb-line--ok" in answer.content.decode()
    assert "not_asked" not in [line.code for line in answer.context["board"]["lines"]]
    assert board.serve_asked() == 0


def test_test_connection_says_what_it_found(remote: Remote) -> None:
    consultant = Consultant(remote)
    account = consultant.connect("fortnox")
    url = reverse("admin:integrations_account_test", args=[account.pk])
    page = consultant.browser.post(url, follow=True).content.decode()
    assert "messagelist" in page
    remote.remove_app("fortnox")
    page = consultant.browser.post(url, follow=True).content.decode()
    assert "Needs reconnecting" in page
