"""Which value counts, in a real browser: both sides changed a field, a person chooses by keyboard, and it goes."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sync.models import Change
from tests import factories as make
from tests.browser.test_admin import fits
from tests.browser.test_routing import picture
from tests.sync.test_two_way import both, edit, held, world  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_person_chooses_whose_value_counts_for_each_field(sign_in: Any, world: Any) -> None:
    world.customer(1)
    both(world)
    edit(world, "crm", name="Mine", city="Ystad")
    edit(world, "ledger", name="Yours", city="Kalmar")
    both(world)
    change = Change.objects.get(state="review", flow=world.back)
    page: Page = sign_in(make.make_superuser("anna"))
    page.goto(f"/admin/sync/change/{change.pk}/change/")
    fits(page)
    picture(page, "values")
    button = page.get_by_role("button", name="Use these values")
    button.click()
    expect(page.get_by_role("heading", name="Which value counts?")).to_be_visible()  # the browser asks for a choice
    assert Change.objects.get(pk=change.pk).state == "review"
    name, city = page.get_by_role("group", name="name"), page.get_by_role("group", name="city")
    mine = name.get_by_role("radio", name="Mine")
    mine.focus()
    page.keyboard.press("Space")
    expect(mine).to_be_checked()
    city.get_by_role("radio", name="Kalmar").check()
    picture(page, "values-chosen")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Decided. The chosen values go to the other side in a moment.")).to_be_visible()
    fits(page)
    both(world, rounds=2)
    assert held(world) == (("Mine", "KALMAR"), ("Mine", "Kalmar"))
    assert not Change.objects.filter(state="review").exists()
