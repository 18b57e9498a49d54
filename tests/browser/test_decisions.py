"""Deciding conflicts, adding flows and repeating the set-up, pressed in a real browser at both widths (Q-25)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sync.models import EntityLink, Flow
from tests import factories as make
from tests.browser.test_admin import fits, open_page, press

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def admin(sign_in: Any) -> Page:
    """The browser of somebody who may do everything."""
    return sign_in(make.make_superuser("anna"))  # type: ignore[no-any-return]


def conflict() -> Any:
    candidates = [{"id": "501", "title": "Lund Bygg AB", "url": "", "fields": {"city": "Lund"}}]
    return make.make_change(
        state="review", action="conflict", error_class="conflict", error_code="ambiguous", candidates=candidates,
        target_id="", diff=[], problems=[],
    )  # fmt: skip


def test_a_candidate_is_used(admin):
    change = conflict()
    open_page(admin, change)
    press(admin, "Use this one")
    expect(admin.get_by_text("They belong together now")).to_be_visible()
    fits(admin)
    change.refresh_from_db()
    assert change.state == "retrying" and EntityLink.objects.get().crm_id == "501"


def test_a_new_record_is_created_instead(admin):
    change = conflict()
    open_page(admin, change)
    press(admin, "Create a new record")
    expect(admin.get_by_text("A new record is planned")).to_be_visible()
    change.refresh_from_db()
    assert (change.state, change.decision) == ("retrying", "create")


def test_flows_are_added_to_an_integration(admin):
    integration = make.make_integration()
    admin.goto(f"/admin/sync/flow/choose/{integration.pk}/")
    fits(admin)
    admin.get_by_label("As the previous app did").check()
    press(admin, "Add the flows")
    expect(admin.get_by_role("link", name="Invoices to deals")).to_be_visible()
    assert Flow.objects.filter(integration=integration).count() == 7


def test_the_set_up_is_done_again(admin):
    flow = make.make_flow(prepared_at="2026-01-01T00:00Z")
    open_page(admin, flow)
    press(admin, "Set up again")
    expect(admin.get_by_text("The next run looks whether")).to_be_visible()
    flow.refresh_from_db()
    assert flow.prepared_at is None
