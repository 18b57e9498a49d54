"""The home page in a real browser: it looks again by itself, says nothing when nothing changed, and fits any width."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from sync import daily
from sync.models import Change, WorkerHeartbeat
from tests import factories as make
from tests.browser.test_admin import fits

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PICTURES = os.environ.get("SCREENSHOTS", "")


def picture(page: Page, name: str) -> None:
    if not PICTURES:
        return
    width = page.viewport_size["width"]  # type: ignore[index]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.screenshot(path=str(Path(PICTURES) / f"{name}-{width}-{scheme}.png"), full_page=True)
    page.emulate_media(color_scheme="light")


def make_office() -> Any:
    """Two organizations, three integrations, a month of work, failures and a plan that waits."""
    now = timezone.now()
    WorkerHeartbeat.objects.create(queue="bulk")
    WorkerHeartbeat.objects.create(queue="interactive")
    norr, syd = make.make_organization("Norrsken Byrå AB"), make.make_organization("Sydkustens Redovisning")
    first = None
    for organization, system, name in (
        (norr, "hubspot", "Norrsken"),
        (norr, "salesforce", "Fjällräven Öst"),
        (syd, "hubspot", "Kullen"),
    ):
        crm = make.make_account(
            organization, system, name=f"{name} CRM", refreshed_at=now, refresh_due_at=now + timedelta(minutes=25),
            usage={"used": 12400, "max": 15000, "at": now.isoformat()} if system == "salesforce" else {},
        )  # fmt: skip
        ledger = make.make_account(
            organization, name=f"{name} AB", refreshed_at=now, refresh_due_at=now + timedelta(minutes=40)
        )
        pair = make.make_integration(organization, crm=crm, ledger=ledger)
        for position, slug in enumerate(("customers-to-companies", "invoices-to-deals", "deals-to-invoices")):
            flow = make.make_flow(
                pair, slug, position=position, last_success_at=now - timedelta(minutes=12), cursor="x",
                cursor_at=now - timedelta(minutes=12), next_run_at=now + timedelta(minutes=18),
            )  # fmt: skip
            first = first or flow
            Change.objects.bulk_create(
                Change(
                    integration=pair, flow=flow, state="applied", source_id=f"{back}-{n}",
                    finished_at=now - timedelta(days=back),
                    action=("create", "update", "update", "link")[n % 4],
                )
                for back in range(29) for n in range((back * 7 + position * 3) % 11 + 2)
            )  # fmt: skip
            daily.add_calls(flow, 140 + position * 37)
    assert first is not None
    run = make.make_run(first, state="held")
    for _number in range(3):
        make.make_change(run)
    for error in ("data", "data", "permission"):
        failing = make.make_change(flow=first, state="review", error_class=error)
        make.make_log(failing, "sending→review")
        make.make_log(failing, "sending→retrying")
    daily.count()
    return first


def test_the_home_page_fits_is_filtered_and_unfiltered(sign_in: Any) -> None:
    flow = make_office()
    page = sign_in(make.make_superuser("anna"))
    page.goto("/admin/")
    fits(page)
    picture(page, "home")
    expect(page.get_by_role("heading", name="Sydkustens Redovisning")).to_be_visible()
    page.get_by_role("link", name=f"Show only this integration {flow.integration}").click()
    expect(page.get_by_role("heading", name="Sydkustens Redovisning")).to_have_count(0)
    fits(page)
    picture(page, "home-one")
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("heading", name="Sydkustens Redovisning")).to_be_visible()


def test_menus_open_by_keyboard_and_close_with_escape(sign_in: Any) -> None:
    make_office()
    page = sign_in(make.make_superuser("anna"))
    page.goto("/admin/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    menu = page.locator(".lb-nav summary", has_text="Work")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".lb-nav").get_by_role("link", name="Runs")).to_be_visible()
    fits(page)
    picture(page, "menu")
    page.keyboard.press("Escape")
    expect(page.locator(".lb-nav").get_by_role("link", name="Runs")).to_be_hidden()
    expect(menu).to_be_focused()
    menu.click()
    page.locator(".lb-nav").get_by_role("link", name="Runs").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    fits(page)


def test_the_page_changes_by_itself_and_is_quiet_when_nothing_does(sign_in: Any) -> None:
    flow = make_office()
    page = sign_in(make.make_superuser("anna"))
    page.clock.install()
    answers: list[tuple[int, int]] = []
    page.on(
        "response",
        lambda answer: (
            answers.append((answer.status, len(answer.body() if answer.status == 200 else b"")))
            if "x-live" in answer.request.headers
            else None
        ),
    )
    page.goto("/admin/")

    def look() -> None:
        with page.expect_response(lambda answer: "x-live" in answer.request.headers):
            page.clock.run_for(65_000)

    look()
    look()
    assert answers and all(answer == (204, 0) for answer in answers), answers
    quiet = len(answers)
    assert quiet <= 10  # in more than two minutes
    make.make_change(flow=flow, state="review", error_class="conflict", source_title="Late AB")
    look()
    expect(page.get_by_role("link", name="Conflict 1")).to_be_visible()
    news = [length for status, length in answers[quiet:] if status == 200]
    assert len(news) == 1 and 0 < news[0] < len(page.content())
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    before = len(answers)
    page.clock.run_for(300_000)
    assert len(answers) == before  # nobody looks: nothing is asked


def test_an_empty_installation_leads_into_the_path(sign_in: Any) -> None:
    page = sign_in(make.make_superuser("anna"))
    page.goto("/admin/")
    fits(page)
    picture(page, "home-empty")
    expect(page.get_by_role("link", name="Set up the first integration")).to_be_visible()
