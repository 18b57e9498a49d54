"""The script of a new consultant: from an empty database to the first approved sync, counted."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Locator, Page, expect

from integrations.models import Integration, Organization
from sync.models import Change, Flow
from sync.tasks import drain
from tests import factories as make
from tests.browser.test_admin import fits
from tests.browser.test_connect import served  # noqa: F401
from tests.integrations.consent import Remote, remote, sandbox_process  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PICTURES = os.environ.get("SCREENSHOTS", "")
AT_MOST = 25


class Consultant:
    """Somebody new, with hands that are counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.did: Counter[str] = Counter()

    def click(self, what: Locator, *, consent: bool = False) -> None:
        self.did["consent" if consent else "clicks"] += 1
        what.click()

    def fill(self, what: Locator, text: str) -> None:
        self.did["fields"] += 1
        what.fill(text)

    def button(self, name: str, *, consent: bool = False) -> None:
        self.click(self.page.get_by_role("button", name=name).first, consent=consent)

    def link(self, name: str) -> None:
        self.click(self.page.get_by_role("link", name=name).first)

    def look(self, name: str) -> None:
        fits(self.page)
        if PICTURES:
            width = self.page.viewport_size["width"]  # type: ignore[index]
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                picture = Path(PICTURES) / f"path-{name}-{width}-{scheme}.png"
                self.page.screenshot(path=str(picture), full_page=True)
            self.page.emulate_media(color_scheme="light")


@pytest.fixture
def desk(browser: Browser, served: str, settings: Any) -> Iterator[Page]:
    """The browser of somebody who may do everything; what our own pages complain about fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=served, locale="en-GB")
    client = Client()
    client.force_login(make.make_superuser("anna"))
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": served}])
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" and served in page.url else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert not [text for text in complaints if "404" not in text], complaints  # the vendors' pages have no icon


def test_from_an_empty_database_to_the_first_approved_sync(desk: Page, remote: Remote) -> None:
    page = desk
    me = Consultant(page)
    page.goto("/admin/")
    me.link("Set up the first integration")
    me.look("1-start")
    me.fill(page.get_by_label("Name"), "Norrsken Byrå AB")
    me.button("Create and continue")
    me.look("2-connect")
    me.button("Connect HubSpot")
    me.button("Connect app", consent=True)
    me.button("Connect Fortnox")
    me.button("Approve", consent=True)
    me.button("Create the integration")
    me.look("3-readiness")  # asked for by itself
    expect(page.get_by_text("Checking both sides", exact=True)).to_be_visible()
    drain()
    expect(page.get_by_text("Ready, with warnings")).to_be_visible(timeout=20_000)  # without reloading
    me.look("4-board")
    me.link("Next: Choose flows")
    me.look("5-flows")
    me.button("Add the flows")
    expect(page.get_by_text("It starts in a moment")).to_be_visible()
    me.look("6-planning")
    drain()
    approve = page.get_by_role("link", name="Approve and go live")
    expect(approve).to_be_visible(timeout=20_000)
    me.look("7-approve")
    me.link("linked,")  # the match wizard, to look at what will be new and what is known
    me.look("8-match")
    me.link("Next: Read the plan")
    me.look("9-plan")
    me.link("Next: Approve and go live")
    me.look("10-live")
    me.button("Approve")
    expect(page.locator(".messagelist")).to_contain_text("is live.")
    me.look("11-done")
    drain()
    pair = Integration.objects.get()
    assert pair.mode == "live" and Organization.objects.get().name == "Norrsken Byrå AB"
    assert Flow.objects.get(enabled=True).first_run_approved_at is not None
    assert Change.objects.filter(state="applied").count() >= 2
    total = sum(me.did.values())
    print(f"from nothing to the first approved sync: {dict(me.did)} = {total}")
    assert total <= AT_MOST, me.did
