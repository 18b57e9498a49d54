"""The card on a Salesforce record page in a real Chromium: the signed request, the checks, the buttons, the refusals.

The sandbox is the org and the ledger, the engine is the real one; `serve` is what the workers would do. The browser
keeps third-party cookies out, and our pages live under another host name than the org's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, FrameLocator, Page, expect

from integrations.fields import conceal
from integrations.inbox_models import RefusedCall
from integrations.salesforce import described
from sync.models import CardTicket, Change, Flow
from sync.states import State
from tests.browser.conftest import ARGS
from tests.browser.test_cards_in_host import BLOCKED, serve, states
from tests.end_to_end.deals import article
from tests.end_to_end.salesforce_world import SalesforceWorld
from tests.integrations.clients import set_vendor
from tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PICTURES = os.environ.get("SCREENSHOTS", "")
ACCOUNTS, OPPORTUNITIES = "accounts-to-customers", "opportunities-to-invoices"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess("--no-limits", "--empty") as process:
        yield process


@pytest.fixture(scope="module")
def strict_browser(browser: Browser) -> Iterator[Browser]:
    """Chromium that keeps third-party cookies out."""
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    chromium = browser.browser_type.launch(executable_path=path, args=[*ARGS, BLOCKED])
    yield chromium
    chromium.close()


class Desk:
    """A salesperson at the record pages of the org."""

    def __init__(self, world: SalesforceWorld, tab: Page) -> None:
        self.world, self.tab = world, tab
        self.base = f"{world.sandbox.url}/salesforce/ui/{world.crm.remote_id}/lightning/r"

    def open(self, remote: str, key: str, locale: str = "en") -> FrameLocator:
        """The page of a record, and the card in it."""
        self.tab.goto(f"{self.base}/{remote}/{key}/view?locale={locale}")
        return self.tab.frame_locator("#card")

    def picture(self, name: str) -> None:
        """The page at the width of a desk and of a phone."""
        if not PICTURES:
            return
        for width in (1280, 390):
            self.tab.set_viewport_size({"width": width, "height": 900})
            self.tab.locator("#card").scroll_into_view_if_needed()
            self.tab.wait_for_timeout(150)
            self.tab.screenshot(path=str(Path(PICTURES) / f"salesforce_{name}_{width}.png"))
        self.tab.set_viewport_size({"width": 1280, "height": 900})


@pytest.fixture
def desk(
    live_server: Any, settings: Any, sandbox: SandboxProcess, strict_browser: Browser
) -> Iterator[Callable[..., Desk]]:
    """An org with our package and every flow on, whose canvas app is this process."""
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    set_vendor(settings, "salesforce", rate=(0, 5.0))
    settings.PUBLIC_URL = live_server.url.replace("127.0.0.1", "localhost")
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.EXTRA_FRAME_ANCESTORS = [sandbox.url]
    context = strict_browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    tab = context.new_page()
    problems: list[str] = []
    tab.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))

    def build(**policies: Any) -> Desk:
        world = SalesforceWorld(sandbox)
        accounts = sandbox.control("GET", "/accounts")["accounts"]
        app = next(row for row in accounts if row["system"] == "salesforce")
        world.crm.client_id = app["client_id"]
        conceal(world.crm, "client_secret", app["client_secret"])
        world.crm.save()
        sandbox.control("POST", "/settings", {"app_url": settings.PUBLIC_URL})
        address = reverse("salesforce-canvas", args=[world.crm.pk])
        world.set(canvas_url=f"{{app_url}}{address}", **policies)
        Flow.objects.update(next_run_at=None)  # nothing but what the card asks for
        return Desk(world, tab)

    yield build
    context.close()
    described.clear_cache()
    assert not problems, problems


def test_an_account_becomes_a_customer_and_its_opportunity_an_invoice(desk: Callable[..., Desk]) -> None:
    at = desk()
    account = at.world.account()
    article(at.world, "A-1")
    deal = at.world.opportunity(account, (at.world.entry("A-1"), 8, 1000.0))

    card = at.open("Account", account)
    button = card.get_by_role("button", name="Create as customer in")
    expect(button).to_be_visible()
    assert not Change.objects.exists()  # looking at a record asks nobody
    at.picture("account_before")
    button.click()
    serve(lambda: State.PLANNED in states(ACCOUNTS))
    expect(card.locator("#preview")).to_be_visible()
    at.picture("account_ready")
    button.click()
    serve(lambda: State.APPLIED in states(ACCOUNTS))
    number = at.world.fortnox("customers")[0]["CustomerNumber"]
    expect(card.locator("#result")).to_contain_text(number)
    at.picture("account_done")

    card = at.open("Opportunity", deal)
    button = card.get_by_role("button", name="Create as invoice in")
    button.click()
    serve(lambda: State.PLANNED in states(OPPORTUNITIES))
    expect(card.locator("#preview tbody tr")).to_have_count(1)
    expect(card.locator("#checks li").first).to_be_visible()
    at.picture("opportunity_ready")
    button.dblclick()
    serve(lambda: State.APPLIED in states(OPPORTUNITIES))
    (invoice,) = at.world.fortnox("invoices")
    expect(card.locator("#result")).to_contain_text(str(invoice["DocumentNumber"]))
    at.picture("opportunity_done")

    time.sleep(1.1)  # the org's pages tell the second in which they were shown
    card = at.open("Opportunity", deal)
    expect(card.locator("#headline")).to_contain_text(str(invoice["DocumentNumber"]))
    assert at.tab.context.cookies() == []


def test_what_is_missing_is_said_in_swedish(desk: Callable[..., Desk]) -> None:
    at = desk()
    deal = at.world.opportunity(at.world.account(), (at.world.entry("NY-1"), 2, 500.0), won=False)
    card = at.open("Opportunity", deal, locale="sv")
    card.get_by_role("button", name="Skapa som faktura i").click()
    serve(lambda: State.REVIEW in states(OPPORTUNITIES))
    expect(card.locator("#checks .failed").first).to_be_visible()
    expect(card.locator("html")).to_have_attribute("lang", "sv")
    at.picture("opportunity_blocked")


def test_a_repeated_request_gets_a_page_that_helps_and_no_card(desk: Callable[..., Desk]) -> None:
    at = desk()
    card = at.open("Account", at.world.account())
    expect(card.get_by_role("button", name="Create as customer in")).to_be_visible()
    at.tab.get_by_role("button", name="Repeat the same request").click()
    expect(card.locator("#closed")).to_contain_text("Reload the page of the record")
    at.picture("repeated")
    assert CardTicket.objects.count() == 1
    assert RefusedCall.objects.get(kind="card page").reason == "repeated"


def test_somebody_who_may_not_see_the_record_sees_no_card(desk: Callable[..., Desk]) -> None:
    at = desk()
    theirs, hidden = at.world.account("Öppen AB"), at.world.account("Hemlig AB", "5567037485")
    person = _person(at)
    at.world.set(
        canvas_location="None", canvas_parameters={"recordId": hidden}, hidden_records={person["Username"]: [hidden]}
    )
    card = at.open("Account", theirs, locale="sv")  # the page in the browser asks for another record
    expect(card.locator("#closed h1")).to_be_visible()
    at.picture("no_access")
    assert RefusedCall.objects.get(kind="card page").reason == "no_access"
    assert not CardTicket.objects.exists()


def _person(at: Desk) -> dict[str, Any]:
    """The salesperson at the desk."""
    query = "SELECT+Id,Username+FROM+User+WHERE+Username+LIKE+'anna%25'"
    return dict(at.world.ask("salesforce", "GET", f"/services/data/v67.0/query/?q={query}")["records"][0])


def test_somebody_who_must_allow_the_app_is_led_to_the_org(desk: Callable[..., Desk]) -> None:
    at = desk(self_authorize=True)
    card = at.open("Account", at.world.account())
    link = card.get_by_role("link", name="Allow in Salesforce")
    expect(link).to_be_visible()
    assert str(link.get_attribute("href")).startswith(f"{at.world.crm.api_url}/services/oauth2/authorize?")
    at.picture("approve")


def test_nobody_else_may_frame_the_card(desk: Callable[..., Desk], settings: Any, strict_browser: Browser) -> None:
    at = desk()
    settings.EXTRA_FRAME_ANCESTORS = []
    at.tab = strict_browser.new_page()
    refused: list[str] = []
    at.tab.on("console", lambda said: refused.append(said.text))
    at.open("Account", at.world.account())
    deadline = time.monotonic() + 10
    while not any("frame" in text for text in refused):
        assert time.monotonic() < deadline, refused
        at.tab.wait_for_timeout(50)
    assert not CardTicket.objects.exclude(used_at=None).exists()
    at.tab.close()
