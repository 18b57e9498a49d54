"""The pages of routing in a real browser at both widths: rules, the box that tries them, a held record, a move."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from mappings.models import RoutingRule
from sync.models import Change, EntityLink, Flow, RouteMove
from tests import factories as make
from tests.browser.test_admin import fits, press
from tests.sync.routing_world import RoutingWorld

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> RoutingWorld:
    found = RoutingWorld(monkeypatch, approval=Flow.Approval.AUTOMATIC)
    found.deal(1, city="North")
    found.deal(2, city="West")
    return found


@pytest.fixture
def admin(world: RoutingWorld, sign_in: Any) -> Page:
    return sign_in(make.make_superuser("anna"))  # type: ignore[no-any-return]


def picture(page: Page, name: str) -> None:
    """Keep a picture where `SCREENSHOTS` says, for people to look at."""
    folder = os.environ.get("SCREENSHOTS")
    if folder and page.viewport_size:
        page.screenshot(path=Path(folder) / f"routing-{name}-{page.viewport_size['width']}.png", full_page=True)


def test_rules_are_made_ordered_and_tried(admin: Page, world: RoutingWorld) -> None:
    admin.goto("/admin/mappings/routingrule/")
    admin.get_by_role("link", name="Portal · deal").click()
    expect(admin.get_by_text("There are no rules yet.")).to_be_visible()
    fits(admin)
    picture(admin, "empty")
    for name, condition, company in (
        ("The south", 'deal.city == "South"', "Company B"),
        ("The north", 'deal.city == "North"', "Company A"),
    ):
        admin.get_by_role("link", name="Add a rule").click()
        admin.get_by_label("Name:").fill(name)
        admin.get_by_label("Condition:").fill(condition)
        admin.get_by_label("Company:").select_option(label=company)
        fits(admin)
        picture(admin, "form")
        admin.get_by_role("button", name="Save", exact=True).click()
    fits(admin)
    press(admin, "Move The north up")
    assert list(RoutingRule.objects.values_list("name", flat=True)) == ["The north", "The south"]
    admin.get_by_label("Id of the record").fill("1")
    press(admin, "Try")
    expect(admin.get_by_role("status")).to_contain_text("Company A")
    expect(admin.get_by_text("Yes: takes it")).to_be_visible()
    expect(admin.get_by_text("Not reached")).to_be_visible()
    fits(admin)
    picture(admin, "tried")
    admin.get_by_label("Id of the record").fill("2")
    press(admin, "Try")
    expect(admin.get_by_text("Held: nobody takes it")).to_be_visible()
    fits(admin)
    picture(admin, "held")


def test_a_held_record_is_sent_to_a_company(admin: Page, world: RoutingWorld) -> None:
    world.rule("A", 'deal.city == "North"', name="The north")
    world.sync("A")
    change = Change.objects.get(error_code="no_route")
    admin.goto(f"/admin/sync/change/{change.pk}/change/")
    fits(admin)
    picture(admin, "change")
    admin.get_by_label("Send it to a company. Why?").fill("The west belongs to B")
    press(admin, "Send to Company B")
    expect(admin.get_by_text("It goes to Company B")).to_be_visible()
    fits(admin)


def test_a_record_is_moved(admin: Page, world: RoutingWorld) -> None:
    world.rule("A", 'deal.city == "North"', name="The north")
    world.sync("A")
    link = EntityLink.objects.get()
    admin.goto(f"/admin/sync/entitylink/{link.pk}/change/")
    admin.get_by_role("link", name="Move to another company…").click()
    expect(admin.get_by_role("alert")).to_contain_text("billed twice")
    fits(admin)
    picture(admin, "stands")
    world.ledgers["A"].put("bill", {"cancelled": True}, link.ledger_id)
    admin.reload()
    fits(admin)
    picture(admin, "move")
    admin.get_by_label("Reason").fill("Sold to the other company")
    press(admin, "Move the record")
    expect(admin.get_by_text("It belongs to Company B now.")).to_be_visible()
    fits(admin)
    picture(admin, "moved")
    assert RouteMove.objects.get().reason == "Sold to the other company"
