"""Every button of the plan page and of the match wizard, pressed in a real browser at both widths (Q-25)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from integrations.connector import Record
from sync.models import Change, MatchDecision, SyncRun
from tests import factories as make
from tests.browser.test_admin import fits, open_page, press
from tests.sync.matching_world import make_plan

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def admin(sign_in: Any) -> Page:
    """The browser of somebody who may do everything."""
    return sign_in(make.make_superuser("anna"))  # type: ignore[no-any-return]


def open_bucket(page: Page, run: SyncRun, bucket: str) -> None:
    page.goto(f"/admin/match/{run.pk}/?bucket={bucket}")
    fits(page)


def test_a_plan_is_filtered_exported_and_approved_in_part(admin: Page) -> None:
    _flow, run, rows = make_plan()
    open_page(admin, run)
    admin.get_by_label("Name or number").fill("delta")
    admin.get_by_label("Amount over").fill("100")
    press(admin, "Filter")
    expect(admin.get_by_role("link", name="Remove filter: over 100")).to_be_visible()
    expect(admin.get_by_role("row", name="Zeta AB")).to_have_count(0)
    fits(admin)
    with admin.expect_download() as download:
        admin.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename == f"plan-{run.pk}.csv"
    press(admin, "Approve only the 1 shown")
    fits(admin)
    press(admin, "Approve 1 change")
    expect(admin.get_by_text("1 change was approved.")).to_be_visible()
    admin.get_by_role("link", name="Remove filter: over 100").click()
    admin.get_by_role("link", name="Remove filter: “delta”").click()
    admin.get_by_role("link", name="Approved and sent 1").click()
    expect(admin.get_by_role("row", name="Delta & Söner")).to_be_visible()
    assert Change.objects.get(pk=rows["update"].pk).state == "held"


def test_a_run_at_work_is_stopped_resumed_and_given_up(admin: Page) -> None:
    _flow, run, _rows = make_plan(state="planning", total=600, seen=200)
    open_page(admin, run)
    press(admin, "Stop")
    expect(admin.get_by_text("anna stopped it")).to_be_visible()
    fits(admin)
    press(admin, "Resume")
    expect(admin.get_by_text("It goes on where it was stopped.")).to_be_visible()
    press(admin, "Stop")
    press(admin, "Cancel what is left")
    press(admin, "Cancel the plan")
    expect(admin.get_by_text("Cancelled. Nothing more is written.")).to_be_visible()
    assert SyncRun.objects.get().state == "cancelled"


def test_suggestions_are_accepted_together_one_by_one_and_rejected(admin: Page) -> None:
    _flow, run, _rows = make_plan()
    open_page(admin, run)
    admin.get_by_role("link", name="Which records are the same?").click()
    fits(admin)
    press(admin, "Eta AB and Etage are not the same")
    expect(admin.get_by_text("1 record is being planned again")).to_be_visible()
    press(admin, "Accept all of them")  # at least 80: none
    expect(admin.get_by_text("No record here has one candidate")).to_be_visible()
    admin.locator(".lb-bar").get_by_label("Alike, at least").fill("70")
    press(admin, "Accept all of them")
    fits(admin)
    press(admin, "Accept 1 suggestion")
    expect(admin.get_by_text("1 decision is stored.")).to_be_visible()
    open_bucket(admin, run, "ambiguous")
    press(admin, "Gamma AB and Gamma Fastigheter are the same")
    found = set(MatchDecision.objects.values_list("kind", "target_id", "by__username"))
    assert found == {("reject", "507", "anna"), ("link", "502", "anna"), ("link", "504", "anna")}


def test_records_are_decided_by_ticking_them(admin: Page) -> None:
    _flow, run, rows = make_plan()
    open_bucket(admin, run, "ambiguous")
    admin.get_by_label("Select Gamma AB").check()
    admin.get_by_label("Choose Gamma AB").check()
    press(admin, "Accept selected")
    open_bucket(admin, run, "suggested")
    admin.get_by_label("Select Beta Bygg AB").check()
    press(admin, "Create selected as new")
    open_bucket(admin, run, "suggested")
    press(admin, "Create Eta AB as new")
    open_bucket(admin, run, "certain")
    fits(admin)
    admin.get_by_label("Select Alfa AB").check()
    press(admin, "Selected are not the same")
    open_bucket(admin, run, "none")
    admin.get_by_label("Select Delta & Söner i Malmö Aktiebolag").check()
    press(admin, "Leave out selected")
    expect(admin.get_by_text("5 records are being planned again")).to_be_visible()
    kinds = dict(MatchDecision.objects.values_list("source_title", "kind"))
    assert sorted(kinds.values()) == ["create", "create", "ignore", "link", "reject"]
    assert Change.objects.get(pk=rows["none"].pk).state == "retrying"


def test_what_was_left_out_is_listed_and_taken_back(admin: Page) -> None:
    flow, run, _rows = make_plan()
    open_bucket(admin, run, "ignored")
    expect(admin.get_by_text("Nobody has left out a record.")).to_be_visible()
    open_bucket(admin, run, "none")
    press(admin, "Leave out Delta & Söner i Malmö Aktiebolag")
    for number in (1, 2):
        MatchDecision.objects.create(
            integration=flow.integration,
            flow=flow,
            kind="ignore",
            source_id=f"9{number}",
            source_title=f"Test {number}",
        )
    open_bucket(admin, run, "ignored")
    press(admin, "Take back: Delta & Söner i Malmö Aktiebolag")
    expect(admin.get_by_text("1 decision was taken back.")).to_be_visible()
    admin.get_by_label("Select Test 1").check()
    admin.get_by_label("Select Test 2").check()
    press(admin, "Take back selected")
    expect(admin.get_by_text("2 decisions were taken back.")).to_be_visible()
    assert not MatchDecision.objects.in_force().exists()


def test_links_and_new_records_of_the_plan_are_approved_from_their_bucket(admin: Page) -> None:
    _flow, run, rows = make_plan()
    open_bucket(admin, run, "certain")
    press(admin, "Approve all links of the plan")
    press(admin, "Approve 1 change")
    expect(admin.get_by_text("1 change was approved.")).to_be_visible()
    open_bucket(admin, run, "none")
    press(admin, "Approve all new records of the plan")
    press(admin, "Approve 1 change")
    expect(admin.get_by_text("1 change was approved.")).to_be_visible()
    assert {rows[name].pk for name in ("certain", "none")} == set(
        Change.objects.filter(state="retrying").values_list("pk", flat=True)
    )


def test_two_records_are_picked_by_hand(admin: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    _flow, run, rows = make_plan()
    delta = rows["none"].source_id

    def found(flow: Any, side: str, field: str, text: str) -> list[Record]:
        if side == "source":
            return [Record("customer", delta, {"Name": "Delta"}, title="Delta & Söner")]
        return [Record("company", "601", {"name": "Delta Söner", "city": "Malmö"}, title="Delta Söner")]

    monkeypatch.setattr("sync.counterparts.search", found)
    open_bucket(admin, run, "none")
    admin.get_by_role("link", name="Search on both sides").click()
    fits(admin)
    admin.get_by_label("Text").fill("delta")
    press(admin, "Search Fortnox")
    admin.get_by_role("link", name="Choose Delta & Söner").click()
    fits(admin)
    admin.get_by_role("search", name="HubSpot").get_by_label("Text").fill("delta")
    press(admin, "Search HubSpot")
    fits(admin)
    press(admin, "The same as Delta Söner")
    expect(admin.get_by_text("1 decision is stored.")).to_be_visible()
    decision = MatchDecision.objects.get()
    assert (decision.source_id, decision.target_id, decision.target_title) == (delta, "601", "Delta Söner")
