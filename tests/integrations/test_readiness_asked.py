"""Readiness is asked for by itself where a person would have to press a button that decides nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations import readiness_store
from integrations.deployment_models import Deployment
from integrations.models import Integration
from integrations.salesforce import deployments
from tests import factories as make

pytestmark = pytest.mark.django_db


def test_a_new_integration_is_checked_at_once_and_its_board_is_the_next_page() -> None:
    organization = make.make_organization()
    crm, ledger = (make.make_account(organization, system) for system in ("hubspot", "fortnox"))
    client = Client()
    client.force_login(make.make_superuser())
    data = {"name": "Pair", "crm": str(crm.pk), "ledger": str(ledger.pk)}
    answer = client.post(reverse("admin:integrations_connect_create", args=[organization.pk]), data)
    pair = Integration.objects.get()
    assert answer["Location"] == reverse("admin:integrations_integration_readiness", args=[pair.pk])
    assert readiness_store.report_of(pair).running
    assert "Checking both sides" in client.get(answer["Location"]).content.decode()


@pytest.mark.parametrize("success", [True, False])
def test_a_deployment_that_succeeded_has_readiness_checked_again(monkeypatch: Any, success: bool) -> None:
    account = make.make_account(system="salesforce")
    pair = make.make_integration(account.organization, crm=account)
    off = make.make_integration(account.organization, crm=account, mode="off")
    status = deployments.DeployStatus("Succeeded" if success else "Failed", True, success, 5, 5)
    monkeypatch.setattr(deployments.Administrator, "status", lambda self, key: status)
    monkeypatch.setattr(deployments, "_assign", lambda account, administrator: [])
    monkeypatch.setattr(deployments, "_revoke", lambda account, token: True)
    deployment = Deployment.objects.create(account=account, remote_id="0Af1", access_token="")
    deployments._look(deployment, deployments.Administrator(account.api_url, "x"))
    assert readiness_store.report_of(pair).running is success
    assert not readiness_store.report_of(off).running
