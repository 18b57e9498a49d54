"""A record's page in a real browser: why a value is so, the slider, undo, resuming a pause; and the search."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from sync.finding import remember_links
from sync.models import Change, EntityLink, FieldPause
from tests import factories as make
from tests.browser.test_admin import fits, press

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def admin(sign_in: Any) -> Page:
    """The browser of somebody who may do everything."""
    return sign_in(make.make_superuser("anna"))  # type: ignore[no-any-return]


@pytest.fixture
def link(admin: Page) -> EntityLink:
    """A customer that moved twice, hours apart."""
    from mappings.models import FieldMapping
    from mappings.models.versions import publish

    mapping_set = make.make_mapping_set(state="draft")
    pair = mapping_set.integration
    FieldMapping.objects.create(mapping_set=mapping_set, target_field="city", expression="customer.City", label="City")
    publish(mapping_set, None, check=False)
    flow = make.make_flow(pair)
    link = make.make_link(
        pair, ledger_id="1042", title="Nordic Åkeri AB", agreed_crm={"city": "Ystad", "org": "556036-0793"},
        created_at=timezone.now() - timedelta(hours=5), ledger_fingerprint="f" * 64,
    )  # fmt: skip
    before = None
    for hours, city in ((4, "Lund"), (3, "Malmö"), (2, "Ystad")):
        at = timezone.now() - timedelta(hours=hours)
        run = make.make_run(flow, mapping_set=mapping_set)
        change = make.make_change(
            run, state="applied", action="update" if before else "create", source_id="1042", target_id=link.crm_id,
            source_title=link.title, mapping_set=mapping_set, created_at=at, finished_at=at,
            diff=[{"field": "city", "before": before, "after": city, "reason": ""}],
        )  # fmt: skip
        make.make_log(change, "sending→applied", at=at)
        before = city
    remember_links([link])
    return link


def test_why_slider_and_undo(admin: Page, link: EntityLink) -> None:
    admin.goto(f"/admin/record/{link.pk}/")
    fits(admin)
    admin.locator("a.lb-why-link", has_text="Ystad").click()
    dialog = admin.get_by_role("dialog")
    expect(dialog.get_by_text("customer.City").first).to_be_visible()
    expect(dialog.get_by_text("The source decides")).to_be_visible()
    fits(admin)
    press(admin, "Close")

    slider = admin.get_by_label("As of")
    slider.focus()
    slider.press("Home")
    expect(admin.locator("a.lb-why-link", has_text="Lund")).to_be_visible()
    admin.get_by_label("As of").press("ArrowRight")
    expect(admin.locator("a.lb-why-link", has_text="Malmö")).to_be_visible()
    fits(admin)
    admin.locator("a.lb-why-link", has_text="Malmö").click()
    expect(admin.get_by_role("dialog").get_by_text("Malmö").first).to_be_visible()
    press(admin, "Close")
    admin.get_by_role("link", name="Back to now").click()

    admin.get_by_role("link", name="Writes", exact=True).click()
    fits(admin)
    admin.get_by_role("button", name="Undo…").first.click()
    fits(admin)
    press(admin, "Plan putting them back")
    expect(admin.get_by_text("Nothing is written before somebody approves it")).to_be_visible()
    assert Change.objects.get(state="held").payload["fields"] == {"city": "Malmö"}


def test_a_paused_field_is_resumed(admin: Page, link: EntityLink) -> None:
    flow = link.integration.flows.get()
    pause = FieldPause.objects.create(
        integration=link.integration, flow=flow, link=link, field="city",
        reason={"en": "“City” went back and forth 6 times in 24 hours."},
        fight={"mine": {"flow": flow.pk, "name": flow.name, "field": "city", "expression": "customer.City",
                        "mapping_set": flow.mapping_set().pk, "version": 1}, "theirs": {},
               "values": ["Lund", "Malmö", "Lund"]},
    )  # fmt: skip
    admin.goto(f"/admin/record/{link.pk}/")
    admin.get_by_role("link", name="See both rules").click()
    fits(admin)
    expect(admin.get_by_text("1 field is paused")).to_be_visible()
    press(admin, "Resume this field…")
    fits(admin)
    press(admin, "Resume the field")
    expect(admin.get_by_text("No field goes back and forth")).to_be_visible()
    pause.refresh_from_db()
    assert pause.resumed_by is not None


def test_a_caller_reads_out_a_number(admin: Page, link: EntityLink) -> None:
    admin.goto("/admin/search/")
    fits(admin)
    expect(admin.get_by_text("16556036-0793")).to_be_visible()
    admin.get_by_label("What the caller reads out").fill("16556036-0793")
    admin.locator(".lb-find").get_by_role("button", name="Search").click()
    fits(admin)
    admin.get_by_role("link", name="Open the record").click()
    expect(admin.get_by_role("heading", name="Nordic Åkeri AB")).to_be_visible()
    fits(admin)
    admin.goto("/admin/search/?q=nobody")
    expect(admin.get_by_text("Nothing is known under")).to_be_visible()
