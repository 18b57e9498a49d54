"""Every button of the sync room's admin, pressed in a real browser at both widths (Q-25)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from sync.models import WorkerHeartbeat
from tests import factories as make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def admin(sign_in: Any) -> Page:
    """The browser of somebody who may do everything."""
    return sign_in(make.make_superuser("anna"))  # type: ignore[no-any-return]


def press(page: Page, name: str) -> None:
    """Press the one button of that name."""
    page.get_by_role("button", name=name, exact=True).click()


def choose(page: Page, action: str) -> None:
    """Tick every row, choose a list action and go."""
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option(label=action)
    press(page, "Go")


def fits(page: Page) -> None:
    """Nothing sticks out sideways: the page itself never scrolls that way."""
    page.wait_for_load_state()
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= seen, (page.url, wide, seen)


def open_page(page: Page, row: Any) -> None:
    page.goto(f"/admin/sync/{row._meta.model_name}/{row.pk}/change/")
    fits(page)


def open_list(page: Page, name: str) -> None:
    page.goto(f"/admin/sync/{name}/")
    fits(page)


@pytest.mark.parametrize(("button", "asked"), [("Plan now", "plan"), ("Run now", "run")])
def test_a_flow_is_planned_and_run_from_its_page(admin, button, asked):
    flow = make.make_flow()
    open_page(admin, flow)
    press(admin, button)
    expect(admin.get_by_text("Starts in a moment", exact=True)).to_be_visible()
    flow.refresh_from_db()
    assert flow.run_requested == asked


def test_a_flow_is_paused_and_switched_on_from_its_page(admin):
    flow = make.make_flow()
    open_page(admin, flow)
    press(admin, "Pause")
    expect(admin.get_by_text("The flow is off. What was queued waits.")).to_be_visible()
    press(admin, "Switch on")
    expect(admin.get_by_role("button", name="Pause")).to_be_visible()
    flow.refresh_from_db()
    assert flow.enabled


def test_the_plan_of_a_flow_is_approved_from_its_page(admin):
    run = make.make_run(state="held")
    for _number in range(3):
        make.make_change(run)
    open_page(admin, run.flow)
    press(admin, f"Approve 3 changes in {run.integration.crm_account.name}")
    fits(admin)
    expect(admin.get_by_role("heading", name="Approve 3 changes in")).to_be_visible()
    press(admin, "Approve 3 changes")
    expect(admin.get_by_text("3 changes were approved.")).to_be_visible()
    run.refresh_from_db()
    assert run.state == "delivering"


def test_the_settings_of_a_flow_are_saved(admin):
    flow = make.make_flow()
    make.make_pass(flow)
    open_page(admin, flow)
    admin.locator("#id_every_minutes").fill("45")
    press(admin, "Save")
    flow.refresh_from_db()
    assert flow.every_minutes == 45


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("Plan now", "run_requested", "plan"),
        ("Run now", "run_requested", "run"),
        ("Pause", "enabled", False),
        ("Switch on", "enabled", True),
    ],
)
def test_a_list_action_on_flows(admin, action, field, value):
    flow = make.make_flow(enabled=action != "Switch on")
    open_list(admin, "flow")
    choose(admin, action)
    expect(admin.locator(".messagelist")).to_contain_text("1 flow")
    flow.refresh_from_db()
    assert getattr(flow, field) == value


def test_a_plan_is_read_by_tab_and_approved(admin):
    run = make.make_run(state="held")
    make.make_change(run, action="create", source_title="New AB", target_id="")
    make.make_change(run, source_title="Old AB")
    open_page(admin, run)
    admin.get_by_role("link", name="Update 1").click()
    expect(admin.get_by_role("link", name="Old AB")).to_be_visible()
    expect(admin.get_by_role("link", name="New AB")).to_have_count(0)
    fits(admin)
    press(admin, f"Approve 2 changes in HubSpot: {run.integration.crm_account.name}")
    press(admin, "Approve 2 changes")
    expect(admin.get_by_text("2 changes were approved.")).to_be_visible()


def test_only_ticked_changes_of_a_plan_are_approved(admin):
    run = make.make_run(state="held")
    ticked, other = make.make_change(run), make.make_change(run)
    open_page(admin, run)
    admin.get_by_label(f"Select {ticked.source_title}").check()
    press(admin, "Approve selected")
    press(admin, "Approve 1 change")
    expect(admin.get_by_text("1 change was approved.")).to_be_visible()
    ticked.refresh_from_db()
    other.refresh_from_db()
    assert (ticked.decision, other.state) == ("approve", "held")


def test_a_plan_is_cancelled_after_asking(admin):
    run = make.make_run(state="held")
    make.make_change(run)
    open_page(admin, run)
    press(admin, "Cancel plan")
    press(admin, "Cancel the plan")
    expect(admin.get_by_text("The plan was cancelled. Nothing was written.")).to_be_visible()
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_going_back_from_a_question_changes_nothing(admin):
    run = make.make_run(state="held")
    change = make.make_change(run)
    open_page(admin, run)
    press(admin, "Cancel plan")
    admin.get_by_role("link", name="Go back").click()
    expect(admin.get_by_role("heading", name=f"Run {run.pk} of")).to_be_visible()
    change.refresh_from_db()
    assert change.state == "held"


def test_a_change_is_retried_from_its_page(admin):
    change = make.make_change(state="review")
    open_page(admin, change)
    press(admin, "Retry")
    expect(admin.get_by_text("It is tried again now.")).to_be_visible()
    change.refresh_from_db()
    assert change.state == "retrying"


def test_a_change_is_dismissed_with_a_reason_from_its_page(admin):
    change = make.make_change(state="review")
    open_page(admin, change)
    press(admin, "Dismiss…")
    fits(admin)
    admin.get_by_label("Reason").fill("Entered twice")
    press(admin, "Dismiss 1 change")
    expect(admin.get_by_text("It was dismissed.")).to_be_visible()
    expect(admin.locator(".lb-card--state").get_by_text("Entered twice")).to_be_visible()


def test_a_change_is_approved_from_its_page(admin):
    change = make.make_change()
    open_page(admin, change)
    press(admin, "Approve this change")
    press(admin, "Approve 1 change")
    expect(admin.get_by_text("It was approved.")).to_be_visible()
    change.refresh_from_db()
    assert change.decision == "approve"


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [("Retry", "review", "retrying"), ("Dismiss", "review", "dismissed"), ("Approve", "held", "retrying")],
)
def test_a_list_action_on_changes_asks_once(admin, action, before, after):
    change = make.make_change(state=before)
    open_list(admin, "change")
    choose(admin, action)
    if action == "Dismiss":
        admin.get_by_label("Reason").fill("Not ours")
    press(admin, f"{action} 1 change")
    expect(admin.locator(".messagelist")).to_contain_text("1 change")
    change.refresh_from_db()
    assert change.state == after


def test_a_filter_is_chosen_from_its_list(admin):
    make.make_change(state="review", source_title="Broken AB")
    make.make_change(state="applied", source_title="Fine AB")
    open_list(admin, "change")
    admin.locator("summary", has_text="State:").click()
    admin.get_by_role("link", name="Needs a person", exact=True).click()
    expect(admin.get_by_role("link", name="Broken AB")).to_be_visible()
    expect(admin.get_by_role("link", name="Fine AB")).to_have_count(0)


def test_a_run_at_work_shows_its_progress_and_looks_again_by_itself(admin):
    run = make.make_run(state="planning", seen=100, total=400, started_at=timezone.now() - timedelta(minutes=1))
    open_page(admin, run)
    expect(admin.locator(".lb-progress")).to_contain_text("100 / 400 records read")
    type(run).objects.filter(pk=run.pk).update(seen=300)
    expect(admin.locator(".lb-progress")).to_contain_text("300 / 400 records read")


def test_home_leads_to_what_needs_a_person(admin):
    run = make.make_run(state="held")
    make.make_change(run)
    make.make_change(run, state="review", source_title="Broken AB")
    WorkerHeartbeat.objects.create(queue="bulk")
    admin.goto("/admin/")
    fits(admin)
    admin.get_by_role("link", name="Review the plan").click()
    expect(admin.get_by_role("button", name="Approve 1 change in")).to_be_visible()
    admin.goto("/admin/")
    admin.get_by_role("link", name="Look", exact=True).click()
    expect(admin.get_by_role("link", name="Broken AB")).to_be_visible()


def test_the_language_and_the_theme_are_switched_without_leaving_the_page(admin):
    open_list(admin, "flow")
    admin.locator(".theme-toggle").click()
    assert admin.evaluate("document.documentElement.dataset.theme") in ("light", "dark")
    press(admin, "Svenska")
    expect(admin.locator("html")).to_have_attribute("lang", "sv")
    assert admin.url.endswith("/admin/sync/flow/")


def test_links_log_and_queue_open(admin):
    change = make.make_change()
    entry, link = make.make_log(change), make.make_link(change.integration)
    for name in ("entitylink", "synclogentry", "workerheartbeat", "syncrun"):
        open_list(admin, name)
    open_page(admin, link)
    expect(admin.get_by_text("What both sides last agreed on")).to_be_visible()
    open_page(admin, entry)
