"""The fields in an org: what is missing in words, deployed by an administrator whose token is forgotten afterwards."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from integrations import readiness_store, upkeep
from integrations.account_page import particulars, usage
from integrations.custom_models import CustomSource
from integrations.deployment_models import Deployment
from integrations.errors import InvalidData
from integrations.fields import conceal, reveal
from integrations.http import Api
from integrations.models import ConnectedAccount
from integrations.salesforce import deployments, setup_page
from integrations.salesforce.client import Salesforce
from integrations.salesforce.components import ExpectedField, expected_fields
from integrations.salesforce.deploy import Administrator, parse_status
from integrations.salesforce.events import inbound_url
from integrations.salesforce.schema_check import check, compare
from tests.factories import make_account, make_integration, make_organization
from tests.integrations.consent import Consultant, Remote, remote, sandbox_process  # noqa: F401
from tests.integrations.salesforce_app import Org, connected

pytestmark = pytest.mark.django_db(transaction=True)
Grant, State = ConnectedAccount.Grant, Deployment.State


@pytest.fixture
def consultant(remote: Remote) -> Consultant:
    return Consultant(remote)


@pytest.fixture
def account(remote: Remote, consultant: Consultant) -> ConnectedAccount:
    return connected(remote, consultant, Org(remote), Grant.CLIENT_CREDENTIALS)


def page(account: ConnectedAccount, name: str = "fields") -> str:
    return reverse(f"admin:integrations_salesforce_{name}", args=[account.pk])


def deploy(remote: Remote, consultant: Consultant, account: ConnectedAccount, user: str = "admin") -> Any:
    """Press the button, sign in as that user of the org; what the browser is told."""
    answer = consultant.browser.post(page(account, "deploy"))
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    assert "prompt=login" in answer["Location"]
    assert "refresh_token" not in answer["Location"]
    return consultant.arrive(remote.decide(answer["Location"], user=Org(remote).user(user)))


def look(consultant: Consultant, account: ConnectedAccount) -> str:
    answer = consultant.browser.get(page(account))
    assert answer.status_code == 200
    return str(answer.content.decode())


def until_done(consultant: Consultant, account: ConnectedAccount) -> str:
    for _ in range(10):
        text = look(consultant, account)
        if Deployment.objects.get().state != State.RUNNING:
            return text
    raise AssertionError("the deployment does not end")


# --- Deploying ----------------------------------------------------------------------------------------------------


def test_an_administrator_deploys_and_the_fields_are_there(
    remote: Remote, consultant: Consultant, account: ConnectedAccount
) -> None:
    pair = make_integration(account.organization, crm=account)
    assert not readiness_store.report_of(pair).running
    before = look(consultant, account)
    assert "fields are not as they should be" in before
    assert "Fortnox_Integration" in before
    daily = reveal(account, "access_token")
    answer = deploy(remote, consultant, account)
    assert answer["Location"] == page(account)
    deployment = Deployment.objects.get()
    assert (deployment.state, deployment.user) == (State.RUNNING, consultant.user)
    secret = reveal(deployment, "access_token")
    assert secret
    assert secret != daily
    assert secret not in look(consultant, account)
    text = until_done(consultant, account)
    deployment.refresh_from_db()
    assert (deployment.state, deployment.problems, deployment.access_token) == (State.SUCCEEDED, [], "")
    assert deployment.total == deployment.done > 50
    assert f"All {sum(map(len, expected_fields().values()))} fields are in place" in text
    assert readiness_store.report_of(pair).running  # what was red is checked again without anybody asking
    account.refresh_from_db()
    assert reveal(account, "access_token") == daily
    url = f"{account.api_url}/services/data/v67.0/limits"
    gone = requests.get(url, headers={"Authorization": f"Bearer {secret}"}, timeout=60)
    assert gone.status_code == 401  # revoked, not only forgotten
    found = check(account, Salesforce(Api(account)))
    assert found.complete


def test_it_goes_on_when_nobody_looks(remote: Remote, consultant: Consultant, account: ConnectedAccount) -> None:
    deploy(remote, consultant, account)
    for _ in range(4):
        upkeep.every_minute()
    assert Deployment.objects.get().state == State.SUCCEEDED


def test_a_user_without_the_right_is_told_so(remote: Remote, consultant: Consultant, account: ConnectedAccount) -> None:
    deploy(remote, consultant, account, user="integration")
    text = look(consultant, account)
    assert "The last deployment failed" in text
    assert "ModifyMetadata" in text
    deployment = Deployment.objects.get()
    assert (deployment.state, deployment.access_token) == (State.FAILED, "")


def test_fields_that_arrived_without_the_permission_set_are_not_called_a_failure(
    remote: Remote, consultant: Consultant, account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any) -> list[str]:
        raise InvalidData("The user license doesn't allow the permission", code="FIELD_INTEGRITY_EXCEPTION")

    monkeypatch.setattr(Administrator, "assign", refused)
    deploy(remote, consultant, account)
    text = until_done(consultant, account)
    deployment = Deployment.objects.get()
    assert (deployment.state, deployment.access_token) == (State.SUCCEEDED, "")
    assert "license doesn" in text
    assert "Not assigned to the integration" in text
    assert "nothing of it was kept" not in text


def test_a_sign_in_in_another_org_deploys_nothing(
    remote: Remote, consultant: Consultant, account: ConnectedAccount
) -> None:
    url = consultant.browser.post(page(account, "deploy"))["Location"]
    other = Org(remote, 1)
    account.remote_id = other.id  # as if the row belonged to the other org
    account.save()
    answer = consultant.arrive(remote.decide(url, user=Org(remote).user("admin")))
    assert answer.status_code == 400
    assert not Deployment.objects.exists()
    assert "Connect Salesforce again" not in answer.content.decode()


def test_a_declined_sign_in_deploys_nothing(remote: Remote, consultant: Consultant, account: ConnectedAccount) -> None:
    url = consultant.browser.post(page(account, "deploy"))["Location"]
    answer = consultant.arrive(remote.decide(url, approve=False))
    assert answer.status_code == 400
    assert "declined" in answer.content.decode()
    assert not Deployment.objects.exists()


def test_two_deployments_at_once_are_refused(remote: Remote, consultant: Consultant, account: ConnectedAccount) -> None:
    deploy(remote, consultant, account)
    assert deploy(remote, consultant, account).status_code == 400
    assert Deployment.objects.count() == 1


def test_after_an_hour_the_token_is_gone_whatever_salesforce_does(
    remote: Remote, consultant: Consultant, account: ConnectedAccount
) -> None:
    deploy(remote, consultant, account)
    remote.fault("salesforce", "status_503", path="/deployRequest")
    upkeep.every_minute()
    assert Deployment.objects.get().state == State.RUNNING
    Deployment.objects.update(started_at=timezone.now() - timedelta(minutes=61))
    upkeep.every_minute()
    deployment = Deployment.objects.get()
    assert (deployment.state, deployment.access_token) == (State.FAILED, "")


def test_the_database_refuses_a_token_after_the_end() -> None:
    deployment = Deployment(account=make_account(system="salesforce"), state=State.FAILED)
    conceal(deployment, "access_token", "x")
    with pytest.raises(IntegrityError):
        deployment.save()


def test_failures_are_listed_by_component(consultant: Consultant, account: ConnectedAccount) -> None:
    result = {
        "status": "Failed", "done": True, "success": False, "numberComponentsTotal": 9, "numberComponentsDeployed": 8,
        "details": {"componentFailures": [{
            "componentType": "CustomField", "fullName": "Opportunity.Fortnox_Invoice__c",
            "problem": "In field: referenceTo - no CustomObject named Fortnox_Invoice__c found",
        }]},
    }  # fmt: skip
    status = parse_status(result)
    Deployment.objects.create(
        account=account, state=State.FAILED, problems=[list(p) for p in status.problems], finished_at=timezone.now()
    )
    text = look(consultant, account)
    assert "CustomField Opportunity.Fortnox_Invoice__c" in text
    assert "no CustomObject named" in text


@pytest.mark.parametrize("odd", [None, [], {}, {"status": 5}, "Failed"])
def test_an_unreadable_status_is_said_to_be_one(odd: Any) -> None:
    with pytest.raises(InvalidData):
        parse_status(odd)


# --- Comparing ----------------------------------------------------------------------------------------------------

KEY = ExpectedField("Account", "Fortnox_Key__c", "Key", "Text", "base", length=80, external_id=True, unique=True)
GOOD = {
    "name": "Fortnox_Key__c", "type": "string", "length": 80, "unique": True, "externalId": True,
    "updateable": True, "createable": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({}, "ok", ""),
        ({"length": 255}, "ok", ""),
        ({"length": 40}, "differs", "40 characters"),
        ({"type": "double"}, "differs", "double"),
        ({"unique": False}, "differs", "unique"),
        ({"externalId": False}, "differs", "external id"),
        ({"updateable": False, "createable": False}, "read_only", "not write"),
        ({"name": "Other__c"}, "missing", "Deploy"),
    ],
)
def test_each_difference_is_said_in_words(change: dict[str, Any], state: str, words: str) -> None:
    line = compare([KEY], {"fields": [GOOD | change]}, hidden=False)[0]
    assert line.state == state
    assert words in line.problem


def test_what_is_not_seen_may_be_hidden() -> None:
    assert compare([KEY], {"fields": []}, hidden=True)[0].state == "hidden"
    assert compare([KEY], None, hidden=False)[0].state == "missing"
    assert compare([KEY], {"fields": "odd"}, hidden=False)[0].state == "missing"


def test_lookups_options_and_digits_are_compared() -> None:
    lookup = ExpectedField("Order", "X__c", "X", "Lookup", "orders", reference_to="Fortnox_Invoice__c")
    options = ExpectedField("Order", "Y__c", "Y", "Picklist", "orders", picklist=("Pending", "Synced"))
    amount = ExpectedField("Order", "Z__c", "Z", "Currency", "orders", precision=18, scale=2)
    described = {
        "fields": [
            {"name": "X__c", "type": "reference", "referenceTo": ["Account"], "updateable": True},
            {"name": "Y__c", "type": "picklist", "picklistValues": [{"value": "Pending"}], "updateable": True},
            {"name": "Z__c", "type": "currency", "precision": 16, "scale": 2, "updateable": True},
        ]
    }
    problems = [line.problem for line in compare([lookup, options, amount], described, hidden=False)]
    assert "Fortnox_Invoice__c" in problems[0]
    assert "Synced" in problems[1]
    assert "16 digits" in problems[2]


def test_an_org_without_orders_is_not_asked_about_them(remote: Remote, consultant: Consultant) -> None:
    org = Org(remote)
    org.decide(orders_enabled=False)
    account = connected(remote, consultant, org, Grant.CLIENT_CREDENTIALS)
    assert account.details["orders"] is False
    names = [entry.name for entry in check(account, Salesforce(Api(account))).objects]
    assert "Order" not in names
    assert "Account" in names
    assert deployments.parts_of(account) == ["base"]


# --- Around it ----------------------------------------------------------------------------------------------------


def test_the_source_project_and_the_message_address(consultant: Consultant, account: ConnectedAccount) -> None:
    answer = consultant.browser.get(page(account, "source"))
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert any(name.endswith("sfdx-project.json") for name in names)
    address = inbound_url(account)
    assert address in look(consultant, account)
    assert inbound_url(ConnectedAccount.objects.get(pk=account.pk)) == address


def test_usage_and_particulars_are_on_the_account_page(consultant: Consultant, account: ConnectedAccount) -> None:
    account.usage = {"used": 81_000, "max": 100_000, "at": timezone.now().isoformat()}
    account.save()
    text = consultant.browser.get(reverse("admin:integrations_connectedaccount_change", args=[account.pk]))
    text = text.content.decode()
    assert "lb-status--held" in text
    assert "81" in text
    assert "Enterprise Edition" in text
    found = usage(account)
    assert found
    assert (found.percent, found.status_class) == (81, "held")
    for odd in ({}, {"used": 5}, {"used": 5, "max": 0}, {"used": "5", "max": 9}):
        account.usage = odd
        assert usage(account) is None
    account.details = {"orders": False, "edition": ""}
    assert [value for _name, value in particulars(account)] == ["no"]


# --- Custom sources -----------------------------------------------------------------------------------------------


def custom_url(name: str, *args: Any) -> str:
    return reverse(f"admin:integrations_customsource_{name}", args=args)


def may_edit_sources(consultant: Consultant) -> None:
    from django.contrib.auth.models import Permission

    consultant.user.user_permissions.add(*Permission.objects.filter(content_type__model="customsource"))


def test_a_custom_object_is_chosen_from_what_the_org_has(
    remote: Remote, consultant: Consultant, account: ConnectedAccount
) -> None:
    may_edit_sources(consultant)
    deploy(remote, consultant, account)
    until_done(consultant, account)
    entered = {"account": account.pk, "label": "Jobs", "name": "jobs", "remote_object": "Service_Order__c"}
    answer = consultant.browser.post(custom_url("add"), entered)
    source = CustomSource.objects.get()
    assert answer["Location"] == custom_url("change", source.pk)
    text = consultant.browser.get(answer["Location"]).content.decode()
    assert "Account__c" in text
    changed = entered | {"line_relationship": "", "parts": "account: Account__c\nowner = OwnerId"}
    assert consultant.browser.post(custom_url("change", source.pk), changed).status_code == 302
    source.refresh_from_db()
    assert source.parts == {"account": "Account__c", "owner": "OwnerId"}
    wrong = consultant.browser.post(custom_url("change", source.pk), changed | {"parts": "account: Status__c"})
    assert "do not point at a record" in wrong.content.decode()
    odd = consultant.browser.post(custom_url("change", source.pk), changed | {"parts": "nonsense"})
    assert "is not a name and a field" in odd.content.decode()


def test_a_custom_source_can_be_edited_while_the_org_is_silent(
    remote: Remote, consultant: Consultant, account: ConnectedAccount
) -> None:
    may_edit_sources(consultant)
    source = CustomSource.objects.create(
        account=account, name="jobs", label="Jobs", remote_object="Job__c",
        line_object="Job_Line__c", line_relationship="Lines__r", parts={"account": "Account__c"},
    )  # fmt: skip
    remote.fault("salesforce", "status_503", path="/sobjects")
    data = {"label": "Work", "remote_object": "Job__c", "line_relationship": "Lines__r", "parts": "account: Account__c"}
    assert consultant.browser.post(custom_url("change", source.pk), data).status_code == 302
    source.refresh_from_db()
    assert (source.label, source.line_object, source.parts) == ("Work", "Job_Line__c", {"account": "Account__c"})


def test_foreign_custom_sources_and_orgs_are_not_there(remote: Remote, account: ConnectedAccount) -> None:
    stranger = Consultant(remote, organization=make_organization())
    may_edit_sources(stranger)
    source = CustomSource.objects.create(account=account, name="jobs", label="Jobs", remote_object="Job__c")
    assert stranger.browser.get(custom_url("change", source.pk)).status_code == 404
    assert str(account.pk) not in stranger.browser.get(custom_url("add")).content.decode()
    entered = {"account": account.pk, "label": "X", "name": "x", "remote_object": "X__c"}
    assert stranger.browser.post(custom_url("add"), entered).status_code == 200
    assert CustomSource.objects.count() == 1


def test_the_page_what_next_names_the_fields_until_they_are_there(account: ConnectedAccount) -> None:
    pair = make_integration(account.organization, crm=account)
    assert [step.state for step in setup_page.next_steps(pair)] == ["next"]
    Deployment.objects.create(account=account, state=State.SUCCEEDED)
    assert [step.state for step in setup_page.next_steps(pair)] == ["done"]
    assert setup_page.next_steps(make_integration()) == []


def test_the_guided_page_offers_every_crm(consultant: Consultant) -> None:
    url = reverse("admin:integrations_connect_organization", args=[consultant.organization.pk])
    text = consultant.browser.get(url).content.decode()
    assert "Connect HubSpot" in text
    assert "Connect Salesforce" in text
    answer = consultant.browser.post(
        reverse("admin:integrations_connect_begin", args=[consultant.organization.pk, "salesforce"])
    )
    row = consultant.organization.accounts.get(system="salesforce")
    assert answer["Location"] == page(row, "app")
    assert row.signing_key
    assert row.inbound_secret
