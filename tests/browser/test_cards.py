"""The page inside the CRM in a real Chromium: every state, every button, by keyboard, from 320 px, in two languages.

What the engine would do is done here by rows; the page and its server are the real ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, Route, expect

from sync.models import CardTicket, Change, EntityLink
from sync.states import Action, State
from tests.browser.axe import serious
from tests.factories import make_integration, make_link, make_user
from tests.sync.cards_world import Portal, blocked, check, make_flow_from_crm, planned, use_secret

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PICTURES = os.environ.get("SCREENSHOTS", "")
WIDTHS = (320, 640, 1100)
LONG = "Räksmörgås & Smörgåsbord Konsultförmedling i Västra Götalandsregionen Aktiebolag (publ)"


@pytest.fixture
def portal(live_server: Any, settings: Any) -> Portal:
    use_secret(settings)
    settings.PUBLIC_URL = live_server.url
    portal = Portal()
    ledger = portal.integration.ledger_account
    ledger.name = "Nordisk Handel AB"
    ledger.save()
    return portal


class Screen:
    """A browser in front of the page. Whatever the console complains about fails the test."""

    def __init__(self, browser: Browser, width: int = 640, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 760}, **options)
        self.page: Page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def open(self, portal: Portal, kind: str = "deal", record: str = "501", locale: str = "en") -> Page:
        """The page of a record, with a fresh ticket."""
        ticket = portal.ticket(kind, record, locale)
        self.page.goto(f"{portal_url()}/cards/hubspot/page?t={ticket}&l={locale}")
        expect(self.page.locator("#headline")).to_be_visible()
        return self.page

    def picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def portal_url() -> str:
    """Our address, as the host would be given it."""
    from django.conf import settings

    return str(settings.PUBLIC_URL)


@pytest.fixture
def screen(browser: Browser) -> Iterator[Screen]:
    opened = Screen(browser)
    yield opened
    opened.context.close()
    assert not opened.problems, opened.problems


def button(page: Page, name: str) -> Any:
    """A button by what it says."""
    return page.get_by_role("button", name=name)


# --- Every state ------------------------------------------------------------------------------------------------


def _new(portal: Portal) -> None:
    """Nothing is known yet."""


def _ready(portal: Portal) -> None:
    planned(portal.deals, source_title="Website, phase 2", checks=_CHECKS)


def _different(portal: Portal) -> None:
    _ready(portal)
    change = Change.objects.get()
    change.payload["preview"]["promised"] = "9000.00"
    change.save()


_CHECKS = [
    check("company", label="Company is associated", actual=LONG),
    check("number", label="Organisation number is known", actual="556677-8899"),
    check("lines", label="There are line items", actual="2"),
    check("currency", label="Currency exists in the ledger", actual="SEK"),
    check("customer", label="Customer in the ledger", actual="1042", message="Found by: Organisation number."),
]


def _blocked(portal: Portal) -> None:
    blocked(
        portal.deals, "501", *_CHECKS[:2],
        check("article", ok=False, label="Articles exist", actual="ABC-1",
              message="ABC-1 does not exist, but abc-1 does.", remedy="Correct the SKU, or create the article.",
              repair="create_article", value="ABC-1", lines=[2, 5]),
        check("customer_linked", ok=False, label="Customer in the ledger", actual=LONG,
              message="Several may be meant (2).", remedy="Choose the right one.", repair="link_customer", value="900",
              choices=[{"id": "1042", "title": LONG}, {"id": "1043", "title": "Kund AB"}]),
        source_title=LONG, waits_for="companies-to-customers:900",
    )  # fmt: skip


def _working(portal: Portal) -> None:
    planned(portal.deals, state=State.SENDING, sent_at=timezone.now(), checks=_CHECKS)


def _verifying(portal: Portal) -> None:
    sent = timezone.now() - timedelta(seconds=40)
    planned(portal.deals, state=State.UNKNOWN, sent_at=sent, checks=_CHECKS)


def _review(portal: Portal) -> None:
    problem = {
        "message": {"en": "The financial year 2027 is missing.", "sv": "Räkenskapsår 2027 saknas."},
        "remedy": {"en": "Create it in the ledger.", "sv": "Lägg upp det i bokföringen."},
    }
    planned(
        portal.deals, state=State.REVIEW, error_class="data", error_code="2000637", problems=[problem],
        sent_at=timezone.now(), checks=_CHECKS,
    )  # fmt: skip


def _held(portal: Portal) -> None:
    reason = {"en": "The amount is over the limit of 5,000.00.", "sv": "Beloppet är över gränsen 5 000,00."}
    planned(portal.deals, state=State.HELD, reason=reason, checks=_CHECKS)


def _done(portal: Portal) -> None:
    planned(portal.deals, state=State.APPLIED)
    values = {
        "fortnox_status": "Unbooked", "fortnox_due_date": {"$": "d", "v": "2026-12-20"},
        "fortnox_invoice_date": {"$": "d", "v": "2026-11-20"}, "fortnox_total": {"$": "n", "v": "10844.00"},
        "fortnox_balance": {"$": "n", "v": "10844.00"}, "deal_currency_code": "SEK",
    }  # fmt: skip
    make_link(
        portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="1042", title="Website",
        agreed_crm=values, ledger_url="https://apps.fortnox.se/invoice/1042", synced_at=timezone.now(),
    )  # fmt: skip


def _locked(portal: Portal) -> None:
    _done(portal)
    user = make_user("eko", organization=portal.crm.organization, permissions="sync.credit_change")
    user.email = portal.email
    user.save()
    planned(
        portal.deals, state=State.REVIEW, action=Action.BLOCKED, error_class="locked", error_code="locked",
        error_message="Locked: booked as A-123.",
    )  # fmt: skip


def _several(portal: Portal) -> None:
    other = make_integration(portal.crm.organization, crm=portal.crm)
    make_flow_from_crm(other, "deals-to-invoices", "deal", "invoice")
    for number, pair in enumerate((portal.integration, other)):
        make_link(pair, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id=f"7{number}")


def _left_out(portal: Portal) -> None:
    reason = {"en": "The flow's filter leaves this record out.", "sv": "Flödets filter utelämnar posten."}
    planned(portal.deals, action=Action.SKIP, state=State.SKIPPED, checks=[], payload={}, reason=reason)


def _off(portal: Portal) -> None:
    _ready(portal)
    portal.deals.enabled = False
    portal.deals.save()


STATES = {
    "new": _new, "ready": _ready, "different": _different, "blocked": _blocked, "working": _working,
    "verifying": _verifying, "review": _review, "held": _held, "done": _done, "locked": _locked, "several": _several,
    "off": _off, "left_out": _left_out,
}  # fmt: skip


@pytest.mark.parametrize("locale", ["en", "sv"])
@pytest.mark.parametrize("state", STATES)
def test_every_state_fits_every_width(browser: Browser, portal: Portal, state: str, locale: str) -> None:
    STATES[state](portal)
    screen = Screen(browser, color_scheme="dark" if locale == "sv" else "light")
    page = screen.open(portal, locale=locale)
    assert page.evaluate("document.documentElement.lang") == locale
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 760})
        screen.picture(f"{state}_{locale}_{width}")
        wide = page.evaluate("document.scrollingElement.scrollWidth")
        assert wide <= width, f"{state} is {wide} px wide at {width}"
        bar = page.locator("#actions").bounding_box() if page.locator("#actions button").count() else None
        assert bar is None or bar["y"] + bar["height"] <= 761  # the main button is always in view
    assert serious(page) == []
    screen.context.close()
    assert not screen.problems, screen.problems


# --- Every button -----------------------------------------------------------------------------------------------


def test_a_double_click_is_one_create_and_the_number_arrives(screen: Screen, portal: Portal) -> None:
    _ready(portal)
    page = screen.open(portal)
    expect(page.locator("#checks li.met")).to_have_count(5)
    button(page, "Create as invoice in Fortnox").dblclick()
    expect(page.locator("#progress .current")).to_have_text("Waiting for its turn")
    expect(page.locator("#headline")).to_be_focused()
    assert page.locator("#actions button").count() == 0
    assert [change.state for change in Change.objects.all()] == [State.QUEUED]
    Change.objects.update(state=State.SENDING)
    expect(page.locator("#progress .current")).to_have_text("Being sent to Fortnox")
    Change.objects.update(state=State.UNKNOWN, sent_at=timezone.now())
    expect(page.locator("#age")).to_contain_text("do not create it by hand")
    assert page.locator("#actions button").count() == 0
    Change.objects.update(state=State.APPLIED)
    make_link(portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="1042")
    expect(page.locator("#result .sentence")).to_contain_text("Invoice 1042 in Nordisk Handel AB, 8,675.00 SEK.")
    expect(page.locator("#live")).to_contain_text("1042 in Nordisk Handel AB")
    expect(page.locator("#headline")).to_be_focused()


def test_a_new_record_is_checked_by_itself_and_then_ready(screen: Screen, portal: Portal) -> None:
    page = screen.open(portal)
    expect(page.locator("#headline")).to_have_text("Create as invoice in Fortnox")
    expect(page.locator(".intro")).to_contain_text("Checking the record")
    change = Change.objects.get()
    change.delete()
    _ready(portal)
    expect(page.locator(".intro")).to_contain_text("Everything is in place")
    expect(page.locator("#live")).to_contain_text("Ready to create")
    expect(page.locator("#notes")).to_contain_text("The description is printed.")
    expect(page.locator("#compare")).to_contain_text("Difference")


def test_an_unready_button_says_why_and_does_nothing(screen: Screen, portal: Portal) -> None:
    _blocked(portal)
    page = screen.open(portal)
    create = button(page, "Create as invoice in Fortnox")
    expect(create).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#why-create")).to_contain_text("Put right what is marked")
    create.click(force=True)
    assert Change.objects.get().state == State.REVIEW


def test_the_repairs_do_what_they_say(screen: Screen, portal: Portal) -> None:
    _blocked(portal)
    page = screen.open(portal)
    failed = page.locator("#checks li.failed")
    expect(failed).to_have_count(2)
    expect(failed.first).to_contain_text("Lines: 2, 5")
    button(page, "Create article “ABC-1”").click()
    expect(page.locator(".intro")).to_contain_text("Checking the record")
    assert Change.objects.get().payload["create"] == ["ABC-1"]
    Change.objects.all().delete()
    _blocked(portal)
    expect(button(page, "Use 1043, Kund AB")).to_be_visible()
    button(page, "Use 1043, Kund AB").click()
    expect(page.locator(".intro")).to_contain_text("Checking the record")
    assert EntityLink.objects.get().ledger_id == "1043"


def test_what_changed_meanwhile_is_said_and_shown_again(screen: Screen, portal: Portal) -> None:
    _ready(portal)
    page = screen.open(portal)
    Change.objects.update(source_fingerprint="0" * 64)
    button(page, "Create as invoice in Fortnox").click()
    expect(page.locator("#outcome")).to_contain_text("changed meanwhile")
    assert Change.objects.get().state == State.PLANNED
    button(page, "Create as invoice in Fortnox").click()
    expect(page.locator("#progress")).to_be_visible()


def test_crediting_asks_once(screen: Screen, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sync.interactive.credit_and_new", lambda flow, record, **who: asked.append(record))
    _locked(portal)
    page = screen.open(portal)
    expect(page.locator("#problem")).to_contain_text("booked as A-123")
    button(page, "Credit and create anew").click()
    expect(button(page, "Yes, do it")).to_be_focused()
    assert serious(page) == []
    button(page, "Cancel").click()
    assert asked == []
    button(page, "Credit and create anew").click()
    button(page, "Yes, do it").click()
    expect(page.locator("#card")).to_have_attribute("aria-busy", "false")
    assert asked == ["501"]


def test_a_company_is_chosen(screen: Screen, portal: Portal) -> None:
    _several(portal)
    page = screen.open(portal)
    expect(page.locator("#choices button")).to_have_count(2)
    page.locator("#choices button").nth(1).click()
    expect(page.locator("#result .sentence")).to_contain_text("71")
    expect(page.locator('#choices button[aria-pressed="true"]')).to_have_count(1)


def test_a_customer_is_linked_or_chosen_on_the_companys_page(screen: Screen, portal: Portal) -> None:
    rows = [{"id": "1042", "title": "Kund AB"}, {"id": "1043", "title": "Kund Syd AB"}]
    planned(
        portal.companies, "88", action=Action.CONFLICT, state=State.REVIEW, candidates=rows, checks=[], payload={},
        error_class="conflict", error_code="ambiguous", reason={"en": "Two customers have this number."},
    )  # fmt: skip
    page = screen.open(portal, "company", "88")
    screen.picture("company_choice")
    expect(page.locator("#checks")).to_contain_text("Two customers have this number.")
    button(page, "Use 1043, Kund Syd AB").click()
    expect(page.locator("#result .sentence")).to_contain_text("Customer 1043")
    assert EntityLink.objects.get().crm_id == "88"


def test_everything_can_be_done_by_keyboard(screen: Screen, portal: Portal) -> None:
    _blocked(portal)
    page = screen.open(portal)
    reached = []
    for _key in range(12):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.dataset.key || ''")
        if name:
            reached.append(name)
    assert reached[:5] == [
        "repair-create_article-ABC-1", "repair-link_customer-1042", "repair-link_customer-1043", "action-create",
        "action-refresh",
    ]  # fmt: skip
    button(page, "Check again").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".intro")).to_contain_text("Checking the record")


def test_focus_stays_where_it_is_while_the_page_looks_again(screen: Screen, portal: Portal) -> None:
    _done(portal)
    page = screen.open(portal)
    refresh = button(page, "Refresh")
    refresh.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".status").first).to_have_text("Being checked")
    planned(portal.deals, state=State.APPLIED)
    Change.objects.filter(state=State.RETRYING).delete()
    EntityLink.objects.update(agreed_crm={"fortnox_status": "Paid"})
    expect(page.locator(".status").first).to_have_text("Paid")
    expect(button(page, "Refresh")).to_be_focused()


# --- Endings ----------------------------------------------------------------------------------------------------


def test_the_ticket_leaves_the_address_and_a_reload_asks_to_reopen(browser: Browser, portal: Portal) -> None:
    _ready(portal)
    screen = Screen(browser)
    page = screen.open(portal)
    assert page.url == f"{portal_url()}/cards/hubspot/page"
    page.reload()
    expect(page.locator("#closed")).to_contain_text("open it again from the card")
    assert page.context.cookies() == []
    screen.context.close()


@pytest.mark.parametrize("locale", ["en", "sv"])
def test_an_expired_ticket_is_explained(browser: Browser, portal: Portal, locale: str) -> None:
    ticket = portal.ticket(locale=locale)
    CardTicket.objects.update(expires_at=timezone.now())
    screen = Screen(browser, 320)
    screen.page.goto(f"{portal_url()}/cards/hubspot/page?t={ticket}&l={locale}")
    expect(screen.page.locator("#closed h1")).to_be_focused()
    expect(screen.page.locator("#closed")).to_contain_text("60")
    screen.picture(f"expired_{locale}")
    screen.context.close()


def test_a_session_that_ends_says_that_nothing_was_lost(browser: Browser, portal: Portal) -> None:
    _ready(portal)
    screen = Screen(browser)
    page = screen.open(portal)
    portal.crm.status = "disconnected"
    portal.crm.save()
    button(page, "Check again").click()
    expect(page.locator("#closed")).to_contain_text("Nothing was lost")
    screen.context.close()


def test_a_connection_that_breaks_is_tried_again(browser: Browser, portal: Portal) -> None:
    _working(portal)
    screen = Screen(browser)
    page = screen.open(portal)
    screen.context.set_offline(True)
    expect(page.locator("#live")).to_contain_text("interrupted")
    expect(page.locator("#offline")).to_be_visible()  # not for screen readers alone
    screen.context.set_offline(False)
    Change.objects.update(state=State.REVIEW, error_class="data", error_message="It went wrong.")
    expect(page.locator("#problem")).to_contain_text("It went wrong.")
    expect(page.locator("#offline")).to_have_count(0)
    screen.context.close()


def test_a_connection_that_is_broken_when_the_page_opens_is_tried_again(browser: Browser, portal: Portal) -> None:
    _working(portal)
    screen = Screen(browser)
    tries: list[str] = []

    def broken_once(route: Route) -> None:
        tries.append(route.request.url)
        route.abort() if len(tries) == 1 else route.continue_()

    screen.page.route("**/cards/session", broken_once)
    page = screen.open(portal)
    expect(page.locator("#progress")).to_be_visible()
    assert len(tries) == 2
    expect(page.locator("#offline")).to_have_count(0)
    screen.context.close()


def test_text_from_outside_stays_text(screen: Screen, portal: Portal) -> None:
    evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    change = planned(portal.deals, source_title=evil, checks=[check("x", actual=evil, label=evil)])
    change.payload["preview"]["lines"][0]["text"] = evil
    change.save()
    page = screen.open(portal)
    expect(page.locator("#preview")).to_contain_text("<img src=x")
    assert page.title() == "Ledgerbridge" and page.locator("#card img").count() == 0
