"""Every button of the review queue and of one failure, pressed in a real browser at both widths (Q-25)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sync.models import Change, ReviewNote
from tests import factories as make
from tests.browser.test_admin import fits, open_page, press

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def admin(sign_in: Any) -> Page:
    """The browser of somebody who may do everything."""
    return sign_in(make.make_superuser("anna"))  # type: ignore[no-any-return]


def failure(flow: Any = None, **fields: Any) -> Change:
    values: dict[str, Any] = {
        "error_class": "data",
        "error_code": "2001302",
        "error_field": "ArticleNumber",
        "error_value": "A-17",
        "error_message": "Kunde inte hitta artikel",
        "error_fingerprint": "a" * 64,
        "payload": {"fields": {"city": "Malmö", "name": "Bad name"}, "unique": None, "lines": None},
        "source_url": "https://app.example.test/record/1",
    }
    return make.make_change(flow=flow, state="review", **(values | fields))


def open_group(page: Page) -> None:
    page.goto("/admin/review/")
    fits(page)
    page.get_by_role("link", name="A row names an article").click()
    fits(page)


def test_the_queue_is_filtered_and_cleared(admin: Page) -> None:
    failure()
    failure(error_code="2999999", error_fingerprint="b" * 64, error_message="Något nytt", error_class="conflict")
    admin.goto("/admin/review/")
    fits(admin)
    expect(admin.get_by_text("not in the catalogue", exact=True)).to_be_visible()
    admin.locator("summary", has_text="Kind:").click()
    admin.get_by_role("link", name="Conflict", exact=True).click()
    expect(admin.get_by_role("link", name="A row names an article")).to_have_count(0)
    expect(admin.get_by_role("link", name="Något nytt")).to_be_visible()
    fits(admin)
    admin.get_by_role("link", name="Clear all filters").click()
    expect(admin.get_by_role("link", name="A row names an article")).to_be_visible()


def test_an_empty_queue_is_a_page_too(admin: Page) -> None:
    admin.goto("/admin/")
    admin.get_by_role("link", name="Review", exact=True).first.click()
    expect(admin.get_by_text("Nothing needs a person.")).to_be_visible()
    fits(admin)


def test_a_group_is_released(admin: Page) -> None:
    flow = make.make_flow()
    for _number in range(3):
        failure(flow)
    open_group(admin)
    press(admin, "Release 3")
    fits(admin)
    press(admin, "Release 3 changes")
    expect(admin.get_by_text("3 changes are tried again.")).to_be_visible()
    assert set(Change.objects.values_list("state", flat=True)) == {"retrying"}


def test_a_group_says_what_its_release_would_do(admin: Page) -> None:
    failure(make.make_flow(slug="without-a-mapping"))
    open_group(admin)
    press(admin, "See what this would release")
    expect(admin.get_by_role("status")).to_contain_text("It could not be worked out now")
    fits(admin)
    assert Change.objects.get().state == "review"


def test_a_group_is_dismissed_with_a_reason(admin: Page) -> None:
    failure()
    open_group(admin)
    press(admin, "Dismiss…")
    admin.get_by_label("Reason").fill("Test data")
    press(admin, "Dismiss 1 change")
    expect(admin.get_by_text("1 change was dismissed.")).to_be_visible()
    assert Change.objects.get().dismissed_reason == "Test data"


def test_one_failure_is_retried_from_its_group(admin: Page) -> None:
    change = failure(source_title="Broken AB")
    open_group(admin)
    admin.get_by_role("link", name="Broken AB").click()
    fits(admin)
    press(admin, "Retry")
    expect(admin.get_by_text("It is tried again now.")).to_be_visible()
    change.refresh_from_db()
    assert change.state == "retrying"


def test_one_failure_is_sent_again_with_an_edited_value(admin: Page) -> None:
    change = failure()
    open_page(admin, change)
    admin.get_by_role("link", name="Retry with edited values…").click()
    fits(admin)
    admin.get_by_label("name").fill("Good name")
    press(admin, "Send these values")
    expect(admin.get_by_text("It is sent again with the edited values.")).to_be_visible()
    expect(admin.get_by_role("heading", name="Edited before it was sent again")).to_be_visible()
    change.refresh_from_db()
    assert (change.state, change.edits["name"]["after"]) == ("queued", "Good name")


def test_one_failure_is_assigned(admin: Page) -> None:
    change = failure()
    make.make_user("bo", organization=change.integration.organization)
    open_page(admin, change)
    admin.get_by_label("Assigned to").select_option(label="bo")
    press(admin, "Assign")
    expect(admin.get_by_text("Assigned to bo.")).to_be_visible()
    change.refresh_from_db()
    assert str(change.assigned_to) == "bo"


def test_one_failure_is_given_a_note(admin: Page) -> None:
    change = failure()
    open_page(admin, change)
    admin.get_by_label("New note").fill("They add the article today.")
    press(admin, "Keep the note")
    expect(admin.get_by_text("The note is kept.")).to_be_visible()
    expect(admin.locator(".lb-timeline").get_by_text("They add the article today.")).to_be_visible()
    assert ReviewNote.objects.get().user is not None


def test_one_failure_is_dismissed_with_a_reason(admin: Page) -> None:
    change = failure()
    open_page(admin, change)
    press(admin, "Dismiss…")
    admin.get_by_label("Reason").fill("Entered twice")
    press(admin, "Dismiss 1 change")
    expect(admin.get_by_text("It was dismissed.")).to_be_visible()
    change.refresh_from_db()
    assert change.state == "dismissed"


def test_a_certificate_is_opened_and_prints_alone(admin: Page) -> None:
    change = make.make_change(
        state="applied", action="create", remote_reference="lb1-2s-d1-1-ab12", target_id="1042", attempts=1,
        verifications=[{"at": "2026-11-20T10:00:00+00:00", "hits": 1}],
    )  # fmt: skip
    make.make_log(change, "queued→sending")
    make.make_log(change, "sending→unknown", message="read timed out")
    make.make_log(change, "unknown→applied", message="delivered")
    open_page(admin, change)
    expect(admin.get_by_role("heading", name="Exactly once")).to_be_visible()
    admin.get_by_role("link", name="Certificate to print").click()
    fits(admin)
    expect(admin.get_by_text("exactly 1 match")).to_be_visible()
    admin.emulate_media(media="print")
    expect(admin.locator("#header")).to_be_hidden()
    expect(admin.locator(".lb-nav")).to_be_hidden()
    expect(admin.get_by_text("lb1-2s-d1-1-ab12")).to_be_visible()
