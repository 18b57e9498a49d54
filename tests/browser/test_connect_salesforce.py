"""Salesforce in a real browser: the app, the consent, the fields and their deployment; at a desk and on a phone."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from integrations.deployment_models import Deployment
from integrations.models import ConnectedAccount
from tests.browser.test_connect import Desk, served  # noqa: F401
from tests.integrations.consent import Remote, remote, sandbox_process  # noqa: F401
from tests.integrations.salesforce_app import Org

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def no_sideways_scrolling(desk: Desk) -> None:
    wide = desk.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{desk.page.url} is {wide} pixels too wide"


@pytest.mark.parametrize("width", [1280, 390])
def test_an_org_is_connected_and_gets_its_fields(browser: Browser, served: str, remote: Remote, width: int) -> None:
    desk, org = Desk(browser, served, remote), Org(remote)
    page = desk.page
    page.set_viewport_size({"width": width, "height": 900})
    desk.open(f"/admin/integrations/integration/connect/{desk.consultant.organization.pk}/")
    desk.picture(f"sf-1-guided-{width}")
    no_sideways_scrolling(desk)
    page.get_by_role("button", name="Connect Salesforce", exact=True).click()
    expect(page.get_by_role("link", name="Download the certificate")).to_be_visible()
    desk.picture(f"sf-2-app-{width}")
    no_sideways_scrolling(desk)
    page.get_by_label("A person signs in and approves").check()
    page.get_by_label("Address of the org").fill("https://evil.example")
    page.get_by_label("Consumer key").fill(org.client_id)
    page.get_by_label("Consumer secret").fill(org.client_secret)
    page.get_by_role("button", name="Save and connect").click()
    expect(page.get_by_text("This is not an address of Salesforce")).to_be_visible()
    desk.picture(f"sf-3-app-refused-{width}")
    page.get_by_label("Address of the org").fill(org.address)
    page.get_by_label("Consumer secret").fill(org.client_secret)
    page.get_by_role("button", name="Save and connect").click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("Nordkraft is connected")).to_be_visible()
    desk.picture(f"sf-4-connected-{width}")
    account = ConnectedAccount.objects.get(system="salesforce")
    desk.open(f"/admin/integrations/connectedaccount/{account.pk}/change/")
    desk.picture(f"sf-5-account-{width}")
    no_sideways_scrolling(desk)
    page.get_by_role("link", name="Fields in Salesforce").click()
    expect(page.get_by_text("fields are not as they should be")).to_be_visible()
    desk.picture(f"sf-6-fields-missing-{width}")
    no_sideways_scrolling(desk)
    deploy(desk, org)
    desk.picture(f"sf-7-deploying-{width}")
    expect(page.get_by_text("fields are in place")).to_be_visible(timeout=20_000)
    desk.picture(f"sf-8-fields-there-{width}")
    no_sideways_scrolling(desk)
    assert Deployment.objects.get().access_token == ""
    assert desk.complaints == []


def deploy(desk: Desk, org: Org) -> None:
    page = desk.page
    page.get_by_role("button", name="Deploy with an administrator").click()
    page.locator(f"input[value='{org.user('admin')}']").check()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("Deploying", exact=True)).to_be_visible()


def test_a_custom_object_is_chosen_from_a_list(browser: Browser, served: str, remote: Remote, settings: Any) -> None:
    from django.contrib.auth.models import Permission

    from tests.integrations.salesforce_app import connected

    desk, org = Desk(browser, served, remote), Org(remote)
    desk.consultant.user.user_permissions.add(*Permission.objects.filter(content_type__model="customsource"))
    account = connected(remote, desk.consultant, org, ConnectedAccount.Grant.CLIENT_CREDENTIALS)
    page = desk.page
    desk.open(f"/admin/integrations/customsource/add/?account={account.pk}")
    page.get_by_label("Label").fill("Jobs")
    page.get_by_label("Name in expressions").fill("jobs")
    page.locator("select[name=remote_object]").select_option(index=1)
    desk.picture("sf-9-custom-add")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Now choose its lines and parts")).to_be_visible()
    desk.picture("sf-10-custom-change")
    assert desk.complaints == []
