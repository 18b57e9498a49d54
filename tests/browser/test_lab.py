"""The mapping lab in a real browser: run a draft, pin a sample, be blocked by it, publish with a re-sync, go back,
import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from mappings import bundle
from mappings.models import GoldenSample, MappingSet, Resync, State, publish
from sync.engine.run import work
from sync.models import Change
from tests.browser.test_admin import fits, press
from tests.lab_world import LabWorld

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> LabWorld:
    found = LabWorld(monkeypatch)
    for number in range(25):
        found.customer(number)
    found.sync()
    return found


@pytest.fixture
def desk(world: LabWorld, sign_in: Any) -> Page:
    """The browser of a consultant of the organization."""
    user, _client = world.person()
    return sign_in(user)  # type: ignore[no-any-return]


def tab(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Mapping lab").get_by_role("link", name=name).click()
    fits(page)


def test_a_draft_is_run_pinned_blocked_and_published_with_a_re_sync(world: LabWorld, desk: Page) -> None:
    draft = world.draft()
    desk.goto(f"/admin/lab/{draft.pk}/")
    fits(desk)
    desk.get_by_label("The last").select_option("50")
    press(desk, "Run")
    expect(desk.get_by_text("25 of 25 records tried.")).to_be_visible()  # the second group came by itself
    expect(desk.locator(".lb-tried")).to_have_count(25)
    fits(desk)
    # One of them is pinned as the version in force gives it; the draft breaks it.
    tab(desk, "Golden samples")
    expect(desk.get_by_text("No golden sample yet.")).to_be_visible()
    tab(desk, "Try")
    desk.get_by_label("or one record, by its id").fill("3")
    press(desk, "Run")
    desk.get_by_role("link", name="Pin as golden sample").click()
    desk.get_by_label("What it is an example of").fill("An ordinary customer")
    desk.get_by_label("What is right").select_option(label="What version 1 gives, which is in force")
    press(desk, "Pin the record")
    expect(desk.get_by_text("1 golden sample fails: this version cannot be published.")).to_be_visible()
    tab(desk, "Publish")
    expect(desk.get_by_text("1 problem blocks publishing")).to_be_visible()
    expect(desk.get_by_role("button", name="Publish version 2")).to_have_count(0)
    tab(desk, "Golden samples")
    desk.get_by_role("link", name="An ordinary customer").click()
    fits(desk)
    press(desk, "The new result is right: expect it")
    expect(desk.get_by_text("1 value is expected anew.")).to_be_visible()
    press(desk, "Remove personal data…")
    fits(desk)
    press(desk, "Remove personal data")
    expect(desk.locator(".lb-tag", has_text="personal data removed")).to_be_visible()
    tab(desk, "Publish")
    press(desk, "Count")
    expect(desk.get_by_text("25 would differ, of the 25 looked at")).to_be_visible()
    expect(desk.get_by_text("Exact: all of them were read.")).to_be_visible()
    fits(desk)
    desk.get_by_label("Plan 5 of them first").check()
    desk.get_by_label("Why this version exists").fill("Names in capitals")
    press(desk, "Publish version 2")
    expect(desk.get_by_text("Version 2 is in force.")).to_be_visible()
    fits(desk)
    work(world.flow)
    desk.reload()
    press(desk, "Plan the other 20")
    expect(desk.get_by_text("The other records are planned now, and wait for approval.")).to_be_visible()
    work(world.flow)
    desk.reload()
    desk.get_by_role("link", name="Run ", exact=False).first.click()
    fits(desk)
    assert Change.objects.filter(state="held").count() == 25
    assert (GoldenSample.objects.get().redacted, Resync.objects.get().planned) == (True, 25)


def test_an_old_version_comes_back_and_a_file_becomes_a_draft(world: LabWorld, desk: Page, tmp_path: Path) -> None:
    publish(world.draft(), None)
    desk.goto(f"/admin/lab/{world.published.pk}/versions/")
    fits(desk)
    expect(desk.get_by_text("upper(customer.name)")).to_be_visible()
    press(desk, "Go back to this…")
    fits(desk)
    press(desk, "Go back to version 1")
    expect(desk.get_by_text("Version 3, equal to version 1, is in force.")).to_be_visible()
    data = bundle.bundle_of(world.flow.mapping_set())
    data["fields"][1]["expression"] = "upper(customer.city)"
    good, bad = tmp_path / "customers.json", tmp_path / "bad.json"
    good.write_bytes(bundle.dumps(data))
    bad.write_text('{"format": "ledgerbridge-mapping",\n "a": 1, "a": 2}')
    tab(desk, "File")
    for file, words in ((bad, "Line 2, a: this key is there twice"), (good, "upper(customer.city)")):
        desk.get_by_label("Mapping file").set_input_files(file)
        press(desk, "Look at it")
        expect(desk.get_by_text(words)).to_be_visible()
        fits(desk)
    press(desk, "Make this draft")
    expect(desk.get_by_text("Version 4 is a draft now.")).to_be_visible()
    with desk.expect_download() as found:
        tab(desk, "File")
        desk.get_by_role("link", name="Download customers.json").click()
    assert Path(found.value.path()).read_bytes() == bundle.dumps(data)
    assert MappingSet.objects.get(version=4).state == State.DRAFT
