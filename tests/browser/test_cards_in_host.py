"""The whole way in a real Chromium: the host's record page, its signed proxy, our page framed from another site.

The sandbox is the CRM and the ledger, the engine is the real one; `serve` is what the workers would do. The browser
blocks third-party cookies, as most do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from integrations.hubspot import schema
from integrations.inbox_models import RefusedCall
from sandbox.hubspot.oauth import App
from sync import tasks
from sync.models import CardTicket, Change, Flow
from sync.states import State
from tests.browser.axe import serious
from tests.browser.conftest import ARGS
from tests.end_to_end import deals
from tests.end_to_end.world import World
from tests.factories import make_user
from tests.integrations.clients import set_vendor
from tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PICTURES = os.environ.get("SCREENSHOTS", "")
BLOCKED = "--test-third-party-cookie-phaseout"


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
    """A person at a record in the CRM."""

    def __init__(self, world: World, tab: Page) -> None:
        self.world, self.tab = world, tab
        self.base = f"{world.sandbox.url}/hubspot/ui/{world.crm.remote_id}"

    def record(self, kind: str, record_id: str, locale: str = "en") -> Page:
        """The page of a record."""
        self.tab.goto(f"{self.base}/record/{kind}/{record_id}?locale={locale}")
        return self.tab

    def press(self, name: str) -> FrameLocator:
        """A button of the card, and the page that it opens."""
        self.tab.locator("#card").get_by_role("button", name=name).click()
        return self.tab.frame_locator("iframe")

    def picture(self, name: str) -> None:
        if PICTURES:
            self.tab.screenshot(path=str(Path(PICTURES) / f"host_{name}.png"))


@pytest.fixture
def desk(
    live_server: Any, settings: Any, sandbox: SandboxProcess, strict_browser: Browser
) -> Iterator[Callable[..., Desk]]:
    """A portal with every flow on, whose app is this process, under another host name than the CRM's pages."""
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    set_vendor(settings, "hubspot", rate=(0, 10.0), search_rate=(0, 1.0), client_secret=App().client_secret)
    settings.PUBLIC_URL = live_server.url.replace("127.0.0.1", "localhost")
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.EXTRA_FRAME_ANCESTORS = [sandbox.url]
    context = strict_browser.new_context(viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    problems: list[str] = []
    tab.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))

    def build(**sizes: int) -> Desk:
        world = World(sandbox, **sizes)
        sandbox.control("POST", "/settings", {"app_url": settings.PUBLIC_URL})
        for slug in ("customers-to-companies", "invoices-to-deals"):
            world.sync(slug)  # the first imports make our fields in the portal
        Flow.objects.update(next_run_at=None)  # from now on nothing but what the card asks for
        return Desk(world, tab)

    yield build
    context.close()
    schema.clear_cache()
    assert not problems, problems


def serve(until: Callable[[], bool], seconds: float = 30) -> None:
    """Workers serve what cards asked for, until something is so."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, list(Change.objects.values_list("state", "error_code", "error_message"))
        waiting = Change.objects.filter(state__in=[State.RETRYING, State.QUEUED]).order_by("pk")
        for key in waiting.values_list("pk", flat=True):
            tasks.work_on(key)
        time.sleep(0.05)


def states(slug: str) -> list[str]:
    """The states of a flow's changes, oldest first."""
    return list(Change.objects.filter(flow__slug=slug).order_by("pk").values_list("state", flat=True))


def missing(slug: str) -> list[str]:
    """The checks of a flow's newest plan that do not hold."""
    newest = Change.objects.filter(flow__slug=slug).order_by("pk").last()
    return [check["code"] for check in newest.checks if not check["ok"]] if newest else []


DEALS, COMPANIES = "deals-to-invoices", "companies-to-customers"


def test_a_company_becomes_a_customer_and_its_deal_an_invoice(desk: Callable[..., Desk]) -> None:
    at = desk()
    company = deals.company(at.world)
    deals.article(at.world, "KONS")
    deal = deals.deal(at.world, company, deals.line("KONS", "8", "1000.00"), deals.line("", "1", "675.00"))

    at.record("0-2", company)
    frame = at.press("Create as customer in")
    serve(lambda: State.PLANNED in states(COMPANIES))
    create = frame.get_by_role("button", name="Create as customer in")
    expect(create).not_to_have_attribute("aria-disabled", "true")
    at.picture("company_ready")
    create.click()
    serve(lambda: State.APPLIED in states(COMPANIES))
    number = at.world.fortnox("customers")[0]["CustomerNumber"]
    expect(frame.locator("#result")).to_contain_text(number)
    at.tab.get_by_role("button", name="Close").click()
    expect(at.tab.locator("#card")).to_contain_text(number)

    at.record("0-3", deal)
    frame = at.press("Create as invoice in")
    serve(lambda: State.PLANNED in states(DEALS))
    expect(frame.locator("#preview tbody tr")).to_have_count(2)
    expect(frame.locator("#compare")).to_contain_text("Difference")
    assert serious(at.tab.frames[-1]) == []
    at.picture("deal_ready")
    frame.get_by_role("button", name="Create as invoice in").dblclick()
    serve(lambda: State.APPLIED in states(DEALS))
    invoices = at.world.fortnox("invoices")
    assert len(invoices) == 1
    expect(frame.locator("#result")).to_contain_text(str(invoices[0]["DocumentNumber"]))
    at.picture("deal_done")
    at.tab.get_by_role("button", name="Close").click()
    expect(at.tab.locator("#card")).to_contain_text(str(invoices[0]["DocumentNumber"]))
    assert at.tab.context.cookies() == []


def test_what_is_missing_is_repaired_on_the_card(desk: Callable[..., Desk]) -> None:
    at = desk()
    company = deals.company(at.world)
    deal = deals.deal(at.world, company, deals.line("NY-1", "2", "500.00"))
    at.record("0-3", deal, locale="sv")
    frame = at.press("Skapa som faktura") if _swedish() else at.press("Create as invoice in")
    serve(lambda: State.REVIEW in states(DEALS))
    failed = frame.locator("#checks li.failed")
    expect(failed).to_have_count(2)
    at.picture("deal_blocked")
    frame.locator('[data-key^="repair-create_article"]').click()
    serve(lambda: missing(DEALS) == ["customer_linked"])
    expect(failed).to_have_count(1)
    frame.locator('[data-key^="repair-create_customer"]').click()
    serve(lambda: states(COMPANIES)[-1:] == [State.APPLIED] and State.PLANNED in states(DEALS))
    expect(failed).to_have_count(0)
    frame.locator('[data-key="action-create"]').click()
    serve(lambda: State.APPLIED in states(DEALS))
    expect(frame.locator("#result")).to_be_visible()
    assert [row["ArticleNumber"] for row in at.world.fortnox("articles")] == ["NY-1"]
    assert len(at.world.fortnox("invoices")) == 1


def _swedish() -> bool:
    from django.utils import translation
    from django.utils.translation import gettext

    with translation.override("sv"):
        return gettext("Create as invoice in %(ledger)s") != "Create as invoice in %(ledger)s"


def test_an_expired_ticket_asks_to_reopen(desk: Callable[..., Desk]) -> None:
    at = desk()
    at.record("0-3", deals.deal(at.world, deals.company(at.world)))

    def spend(route: Any) -> None:
        CardTicket.objects.update(used_at="2026-01-01T00:00:00Z")
        route.continue_()

    at.tab.route("**/cards/session", spend)
    frame = at.press("Create as invoice in")
    expect(frame.locator("#closed")).to_contain_text("open it again from the card")
    assert RefusedCall.objects.filter(kind="card ticket", reason="used").exists()
    at.tab.unroute("**/cards/session")
    at.tab.get_by_role("button", name="Close").click()
    expect(at.press("Create as invoice in").locator("#headline")).to_be_visible()


def test_a_portal_that_is_not_ours_gets_nothing(desk: Callable[..., Desk]) -> None:
    at = desk()
    deal = deals.deal(at.world, deals.company(at.world))
    at.world.crm.remote_id = "1"
    at.world.crm.save()
    at.record("0-3", deal)
    expect(at.tab.locator("#card").get_by_role("alert")).to_be_visible()
    assert at.tab.locator("iframe").count() == 0
    assert RefusedCall.objects.filter(kind="card call", reason="unknown_portal").exists()


def test_nobody_else_may_frame_the_page(desk: Callable[..., Desk], settings: Any, strict_browser: Browser) -> None:
    at = desk()
    settings.EXTRA_FRAME_ANCESTORS = []
    at.tab = strict_browser.new_page()
    refused: list[str] = []
    at.tab.on("console", lambda said: refused.append(said.text))
    at.record("0-3", deals.deal(at.world, deals.company(at.world)))
    at.press("Create as invoice in")
    expect(at.tab.locator("iframe")).to_be_visible()
    deadline = time.monotonic() + 10
    while not any("frame-ancestors" in text for text in refused):
        assert time.monotonic() < deadline, refused
        at.tab.wait_for_timeout(50)
    assert not CardTicket.objects.exclude(used_at=None).exists()
    at.tab.close()


def test_the_settings_switch_a_flow_for_real(desk: Callable[..., Desk]) -> None:
    at = desk()
    tab = at.tab
    tab.goto(f"{at.base}/settings")
    toggle = tab.get_by_label("HubSpot deal to Fortnox invoice")
    expect(toggle).to_be_disabled()  # nobody here has a login with the right to
    user = make_user("konsult", organization=at.world.crm.organization)
    user.email = _email_of(at)
    user.save()
    tab.reload()
    expect(toggle).to_be_enabled()
    toggle.uncheck()
    expect(toggle).to_be_enabled()
    assert not Flow.objects.get(slug=DEALS).enabled
    deal = deals.deal(at.world, deals.company(at.world), deals.line("", "1", "100.00"))
    at.record("0-3", deal)
    expect(tab.locator("#card")).to_contain_text("switched off")


def _email_of(at: Desk) -> str:
    """The e-mail that the host signs for the person at the desk."""
    at.record("0-3", deals.deal(at.world, deals.company(at.world)))
    at.press("Create as invoice in")
    expect(at.tab.locator("iframe")).to_be_visible()
    email = CardTicket.objects.latest("pk").user_email
    at.tab.goto(f"{at.base}/settings")
    return email
