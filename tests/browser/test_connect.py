"""The guided connection in a real browser: two consents, a window of its own, a refusal, the account page."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from integrations.models import ConnectedAccount, Integration
from tests.integrations.consent import Consultant, Remote, remote, sandbox_process  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PICTURES = os.environ.get("SCREENSHOTS", "")


class Desk:
    """A consultant before a real screen."""

    def __init__(self, browser: Browser, server: str, remote: Remote, *, javascript: bool = True) -> None:
        self.consultant = Consultant(remote)
        self.server = server
        context = browser.new_context(
            viewport={"width": 1200, "height": 900}, java_script_enabled=javascript, locale="en-GB"
        )
        cookie = self.consultant.browser.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": server}])
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and "Content Security Policy" in text:
            self.complaints.append(text)

    def open(self, path: str) -> None:
        self.page.goto(f"{self.server}{path}")

    def picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


@pytest.fixture
def served(live_server: Any, settings: Any, remote: Remote) -> str:
    """The address of our server, known to the vendors and to the content security policy."""
    settings.PUBLIC_URL = live_server.url
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "localhost"]
    settings.CSRF_TRUSTED_ORIGINS = [live_server.url]
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(remote.process.url))
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": directives | {"form-action": ["'self'", origin]}}
    return str(live_server.url)


@pytest.mark.parametrize("javascript", [True, False])
def test_both_systems_are_connected_and_paired(browser: Browser, served: str, remote: Remote, javascript: bool) -> None:
    desk = Desk(browser, served, remote, javascript=javascript)
    page = desk.page
    desk.open("/admin/integrations/integration/connect/")
    desk.picture("1-organization")
    page.get_by_role("link", name=desk.consultant.organization.name).click()
    desk.picture("2-crm")
    page.get_by_role("button", name="Connect HubSpot", exact=True).click()
    page.get_by_role("button", name="Connect app").click()
    expect(page.get_by_role("button", name="Connect Fortnox", exact=True)).to_be_visible()
    desk.picture("3-fortnox")
    page.get_by_role("button", name="Connect Fortnox", exact=True).click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("button", name="Create the integration")).to_be_visible()
    desk.picture("4-integration")
    page.get_by_label("Name").fill("Our pair")
    page.get_by_role("button", name="Create the integration").click()
    expect(page.get_by_role("heading", name="Readiness of Our pair")).to_be_visible()
    desk.picture("5-next")
    assert Integration.objects.get().name == "Our pair"
    assert ConnectedAccount.objects.filter(status="connected").count() == 2
    assert desk.complaints == []


def test_a_window_of_its_own_may_be_closed(browser: Browser, served: str, remote: Remote) -> None:
    desk = Desk(browser, served, remote)
    page = desk.page
    desk.open(f"/admin/integrations/integration/connect/{desk.consultant.organization.pk}/")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="In a new window").first.click()
    window = opened.value
    window.get_by_role("button", name="Connect app").click()
    expect(window.get_by_text("You can close this window")).to_be_visible()
    if PICTURES:
        window.screenshot(path=str(Path(PICTURES) / "6-window.png"))
    window.close()
    page.reload()
    expect(page.get_by_role("button", name="Connect another HubSpot account")).to_be_visible()


def test_a_declined_approval_leads_back_to_the_button(browser: Browser, served: str, remote: Remote) -> None:
    desk = Desk(browser, served, remote)
    page = desk.page
    desk.open(f"/admin/integrations/integration/connect/{desk.consultant.organization.pk}/")
    page.get_by_role("button", name="Connect HubSpot", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The approval was declined in HubSpot.")).to_be_visible()
    desk.picture("7-declined")
    page.get_by_role("button", name="Connect HubSpot again").click()
    page.get_by_role("button", name="Connect app").click()
    expect(page.get_by_role("button", name="Connect Fortnox", exact=True)).to_be_visible()


def test_the_account_page_tests_reauthenticates_and_disconnects(
    browser: Browser, served: str, remote: Remote, settings: Any
) -> None:
    desk = Desk(browser, served, remote)
    page = desk.page
    desk.open(f"/admin/integrations/integration/connect/{desk.consultant.organization.pk}/")
    page.get_by_role("button", name="Connect Fortnox", exact=True).click()
    page.get_by_role("button", name="Approve").click()
    account = ConnectedAccount.objects.get(system="fortnox")
    desk.open(f"/admin/integrations/connectedaccount/{account.pk}/change/")
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator(".messagelist li").first).to_be_visible()
    desk.picture("8-account")
    account.granted_scopes = account.granted_scopes[2:]
    account.save()
    page.reload()
    expect(page.get_by_text("Rights are missing").first).to_be_visible()
    desk.picture("9-missing-rights")
    page.get_by_role("button", name="Reconnect").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Rights are missing")).to_have_count(0)
    page.get_by_role("link", name="Disconnect…").click()
    desk.picture("10-disconnect")
    page.get_by_role("button", name="Disconnect", exact=True).click()
    expect(page.get_by_text("Disconnected", exact=True).first).to_be_visible()
    account.refresh_from_db()
    assert account.access_token == ""
    desk.open("/admin/integrations/connectedaccount/")
    desk.picture("11-list")
    assert desk.complaints == []
