"""The script of a new consultant with Salesforce: from an empty database to the first approved sync, counted."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from integrations.models import Integration
from sync.models import Change, Flow
from sync.tasks import drain
from tests.browser.test_connect import served  # noqa: F401
from tests.browser.test_home_path import AT_MOST, Consultant, desk  # noqa: F401
from tests.integrations.consent import Remote, remote, sandbox_process  # noqa: F401
from tests.integrations.salesforce_app import Org

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_from_an_empty_database_to_the_first_approved_sync_with_salesforce(desk: Page, remote: Remote) -> None:
    page, org = desk, Org(remote)
    me = Consultant(page)
    page.goto("/admin/")
    me.link("Set up the first integration")
    me.fill(page.get_by_label("Name"), "Norrsken Byrå AB")
    me.button("Create and continue")
    me.button("Connect Salesforce")
    me.click(page.get_by_label("A person signs in and approves"))
    me.fill(page.get_by_label("Address of the org"), org.address)
    me.fill(page.get_by_label("Consumer key"), org.client_id)
    me.fill(page.get_by_label("Consumer secret"), org.client_secret)
    me.look("sf-1-app")
    me.button("Save and connect")
    me.button("Allow", consent=True)
    me.button("Connect Fortnox")
    me.button("Approve", consent=True)
    me.button("Create the integration")
    me.look("sf-2-created")
    expect(page.get_by_text("Checking both sides", exact=True)).to_be_visible()
    drain()
    me.link("Fields in Salesforce")  # where the board says that they are missing, without reloading
    me.look("sf-3-missing")
    me.button("Deploy with an administrator")
    me.click(page.locator(f"input[value='{org.user('admin')}']"), consent=True)
    me.button("Allow", consent=True)
    expect(page.get_by_text("fields are in place")).to_be_visible(timeout=40_000)
    me.look("sf-4-fields")
    drain()  # checked again by itself
    me.link("Check readiness")
    expect(page.get_by_role("link", name="Next: Choose flows")).to_be_visible(timeout=40_000)
    me.look("sf-6-board")
    me.link("Next: Choose flows")
    me.look("sf-6-flows")
    me.button("Add the flows")
    expect(page.get_by_text("It starts in a moment")).to_be_visible()
    drain()
    decide = page.get_by_role("link", name="Decide what belongs together")  # an account looks like a customer
    expect(decide).to_be_visible(timeout=40_000)
    me.look("sf-7-path")
    me.click(decide)
    me.look("sf-8-match")
    me.click(page.get_by_role("button", name=re.compile("are the same$")).first)
    drain()
    me.link("Next: Read the plan")
    me.look("sf-9-plan")
    me.link("Next: Approve and go live")
    me.button("Approve")
    expect(page.locator(".messagelist")).to_contain_text("is live.")
    me.look("sf-10-done")
    drain()
    assert Integration.objects.get().mode == "live"
    assert Flow.objects.get(enabled=True).first_run_approved_at is not None
    assert Change.objects.filter(state="applied").count() >= 2
    total = sum(me.did.values())  # with the consent pages of both vendors, and of the administrator who deploys
    print(f"from nothing to the first approved sync with Salesforce: {dict(me.did)} = {total}")
    assert total <= AT_MOST, me.did
