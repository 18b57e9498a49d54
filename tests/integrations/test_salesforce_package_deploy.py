"""The package deployed into an org of the sandbox, over real HTTP and with the calls that the product makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from integrations.salesforce.components import Part, expected_fields, permission_sets
from integrations.salesforce.deploy import Administrator, DeployStatus
from integrations.salesforce.deploy_files import build_zip
from tests.sandbox_process import SandboxProcess

BOTH: list[Part] = ["base", "orders"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    options = ("--customers", "0", "--invoices", "0", "--accounts", "1", "--deals", "0", "--no-limits")
    with SandboxProcess(*options) as process:
        yield process


class Org:
    """The sandbox's first org, seen by the integration's user, who may deploy there."""

    def __init__(self, sandbox: SandboxProcess, **features: bool) -> None:
        answer = sandbox.control("POST", "/token", {"system": "salesforce"})
        wanted = {"user_may_deploy": True, "orders_enabled": True, **features}
        sandbox.control("POST", "/settings", {"salesforce": {answer["account"]: wanted}})
        self.url = f"{sandbox.url}/salesforce"
        self.headers = {"Authorization": f"Bearer {answer['access_token']}"}
        self.administrator = Administrator(self.url, answer["access_token"])
        who = requests.get(f"{self.url}/services/oauth2/userinfo", headers=self.headers, timeout=30).json()
        self.user_id = str(who["user_id"])
        self.username = self.administrator.username(self.user_id)

    def deploy(self, parts: list[Part], **values: Any) -> DeployStatus:
        """Deploy and wait for the end."""
        chosen = {"endpoint": "https://ledger.example/in/s3cret", "site": "https://ledger.example", **values}
        archive = build_zip(parts, **{"username": self.username, **chosen})
        deployment = self.administrator.deploy(archive)
        for _ in range(20):
            status = self.administrator.status(deployment)
            if status.done:
                return status
        raise AssertionError(f"the deployment does not end: {status}")

    def described(self, name: str) -> dict[str, dict[str, Any]]:
        """The fields of an object that the user sees, by name; none for an object that is not there."""
        reply = requests.get(
            f"{self.url}/services/data/v67.0/sobjects/{name}/describe", headers=self.headers, timeout=30
        )
        return {field["name"]: field for field in reply.json()["fields"]} if reply.ok else {}


@pytest.fixture(autouse=True)
def _sandbox_allowed(settings: Any) -> None:
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]


def test_an_org_without_orders_refuses_their_part_and_takes_the_rest(sandbox: SandboxProcess) -> None:
    org = Org(sandbox, orders_enabled=False)
    refused = org.deploy(BOTH)
    assert not refused.success
    assert any("Order" in component for component, _ in refused.problems)
    assert org.deploy(["base"]).success


def test_what_was_deployed_is_there_once_the_permission_sets_are_given(sandbox: SandboxProcess) -> None:
    org = Org(sandbox)
    status = org.deploy(BOTH)
    assert (status.success, list(status.problems)) == (True, [])
    assert status.deployed == status.total > sum(len(fields) for fields in expected_fields().values())
    assert "Fortnox_Rate__c" not in org.described("Order")  # nobody sees a field that nothing grants

    names = [name for name in permission_sets() if name.startswith("Fortnox_Integration")]
    assert org.administrator.assign(names, org.user_id) == []
    for name, fields in expected_fields().items():
        described = org.described(name)
        for field in fields:
            found = described[field.name]
            assert (found["type"], found["externalId"], found["unique"]) == (
                field.described_type, field.external_id, field.unique,
            ), field.full_name  # fmt: skip
            assert [entry["value"] for entry in found["picklistValues"]] == list(field.picklist)
            assert found["referenceTo"] == ([field.reference_to] if field.reference_to else [])
            assert field.length is None or found["length"] == field.length
            assert field.precision is None or (found["precision"], found["scale"]) == (field.precision, field.scale)
            assert found["createable"] and found["updateable"]


def test_a_second_deployment_changes_nothing_and_succeeds(sandbox: SandboxProcess) -> None:
    org = Org(sandbox)
    assert org.deploy(BOTH).success
    assert org.deploy(BOTH, events=False).success
    assert org.deploy(BOTH, flows_active=False).success


def test_a_user_name_that_the_org_does_not_have_is_refused_with_the_message_it_stands_in(
    sandbox: SandboxProcess,
) -> None:
    refused = Org(sandbox).deploy(["base"], username="nobody@elsewhere.example")
    assert not refused.success
    assert {component for component, _ in refused.problems} == {
        "WorkflowOutboundMessage Account.Fortnox_Account",
        "WorkflowOutboundMessage Opportunity.Fortnox_Opportunity",
    }
