"""“Invoices from an object of your own” in a real browser: choose, look at a real record, set up."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from integrations.models import Integration
from sync.models import Flow
from tests import factories as make
from tests.browser.test_admin import fits, press
from tests.browser.test_routing import picture
from tests.sync.test_custom_source_admin import Memory, memory, pair  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_an_object_becomes_a_flow_in_three_steps(sign_in: Any, memory: Memory, pair: Integration) -> None:
    page: Page = sign_in(make.make_superuser("anna"))
    page.goto(f"/admin/sync/flow/choose/{pair.pk}/")
    fits(page)
    picture(page, "offers")
    page.get_by_role("link", name="Invoices from an object of your own").click()
    fits(page)
    picture(page, "own-1")
    content = page.locator("#content")  # the line on top of every page has a search of its own
    content.get_by_label("Search").fill("nothing is called so")
    content.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("No object fits")).to_be_visible()
    content.get_by_label("Search").fill("")
    content.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("link", name="Jobb").click()
    picture(page, "own-2")
    page.get_by_label("Lines of Jobb").select_option(index=1)
    press(page, "Show its fields")
    fits(page)
    picture(page, "own-3")
    expect(page.get_by_label("Unit price")).to_have_value("Rate__c")  # guessed by its name
    page.get_by_label("Date").select_option("Day__c")
    page.get_by_label("Article number").select_option("")
    press(page, "Show a record")  # the browser refuses it, or the page says which field
    expect(page.get_by_role("heading", name="What becomes of a record")).to_have_count(0)
    page.get_by_label("Article number").select_option("Code__c")
    press(page, "Show a record")
    expect(page.get_by_role("heading", name="What becomes of a record")).to_be_visible()
    expect(page.get_by_role("cell", name="Arbete")).to_be_visible()
    fits(page)
    picture(page, "own-4")
    assert not Flow.objects.filter(integration=pair).exists()
    press(page, "Set up the flow")
    expect(page.get_by_text("is set up. Look at its settings, then switch it on.")).to_be_visible()
    assert not Flow.objects.filter(integration=pair, enabled=True).exists()
