"""Every button of reconciliation, month end and the shadow report, pressed in a real browser at both widths (Q-25)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from sync.models import Change, MonthClose, Reconciliation, ReconciliationDocument, ShadowLine, ShadowReport
from sync.reconcile.store import month_of
from tests import factories as make
from tests.browser.test_admin import fits, press
from tests.sync.test_reconcile_pages import reconciliation

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def admin(sign_in: Any) -> Page:
    """The browser of somebody who may do everything."""
    return sign_in(make.make_superuser("anna"))  # type: ignore[no-any-return]


def test_a_reconciliation_is_begun_mended_signed_and_taken_home(admin: Page) -> None:
    row = reconciliation(lines=3)
    admin.goto("/admin/reconcile/")
    fits(admin)
    press(admin, "Compare now")
    expect(admin.get_by_text("Waiting to start")).to_be_visible()
    fits(admin)
    begun = Reconciliation.objects.latest("pk")
    assert begun.state == "waiting"
    Reconciliation.objects.filter(pk=begun.pk).update(state="failed", error_code="incomplete", error_message="60 of 61")
    admin.goto(f"/admin/reconcile/{begun.pk}/")
    expect(admin.get_by_text("No numbers are shown")).to_be_visible()
    press(admin, "Compare again")
    expect(admin.get_by_text("Waiting to start")).to_be_visible()
    admin.goto(f"/admin/reconcile/{row.pk}/")
    fits(admin)
    expect(admin.get_by_text("1 of 3 differences is not explained.")).to_be_visible()
    press(admin, "Retry")
    expect(admin.get_by_text("It is looked at again now.")).to_be_visible()
    admin.get_by_role("link", name="Figures differ 3").click()
    fits(admin)
    admin.get_by_role("button", name="Sync now").first.click()
    expect(admin.get_by_text("moved on since")).to_be_visible()
    for name in ("PDF", "CSV"):
        with admin.expect_download() as taken:
            admin.get_by_role("link", name=name, exact=True).click()
        assert taken.value.suggested_filename.endswith(name.lower())
    press(admin, "Sign off…")
    fits(admin)
    admin.get_by_label("Reason").fill("Settled by phone")
    press(admin, "Sign off")
    expect(admin.get_by_text("Signed. It cannot be changed any more.")).to_be_visible()
    expect(admin.get_by_role("button", name="Sign off…")).to_have_count(0)
    row.refresh_from_db()
    assert row.signed_reason == "Settled by phone"


def test_a_month_is_put_in_order_and_closed(admin: Page) -> None:
    first, last = month_of(timezone.localdate().replace(day=1) - timedelta(days=1))
    row = reconciliation(starts=first, ends=last, unexplained=0, lines=0)
    flow = make.make_flow(
        row.integration, "deals", source_side="crm", source_object="deal", target_side="ledger",
        target_object="invoice", follow_up="back",
    )  # fmt: skip
    make.make_flow(row.integration, "carry", source_object="invoice", target_object="deal")
    make.make_change(flow=flow, state="applied", action="create", source_id="77", target_id="1042",
                     payload={"fields": {}, "lines": []})  # fmt: skip
    make.make_change(flow=flow, state="review", source_title="Failed AB")
    values: dict[str, Any] = {"reconciliation": row, "day": first, "currency": "SEK", "gross": Decimal("125.50")}
    for side, key, status, more in (
        ("ledger", "1042", "unbooked", {}), ("ledger", "1043", "paid", {}),
        ("crm", "d1043", "overdue", {"pair": "1043"}),
        ("crm", "d9", "", {"sold": True, "counted": False}),
    ):  # fmt: skip
        ReconciliationDocument.objects.create(
            side=side, record_id=key, number=key, title=f"Åkeri {key}", status=status,
            object="invoice" if side == "ledger" else "deal", **({"pair": key} | more | values),
        )  # fmt: skip
    here = f"/admin/month-end/?integration={row.integration_id}"
    admin.goto(here)
    fits(admin)
    press(admin, "Retry")
    expect(admin.get_by_text("It is tried again now.")).to_be_visible()
    press(admin, "Sync now")
    expect(admin.get_by_text("It is looked at again now.")).to_be_visible()
    press(admin, "Book…")
    fits(admin)
    expect(admin.get_by_text("Document 1042 in")).to_be_visible()
    press(admin, "Book it")
    expect(admin.get_by_text("It is compared and booked now.")).to_be_visible()
    assert Change.objects.get(action="act").payload["then"] == "book"
    press(admin, "Create invoice…")
    expect(admin.get_by_text("nothing is written yet")).to_be_visible()
    admin.goto(here)
    press(admin, "Compare both sides")
    expect(admin.get_by_text("Waiting to start")).to_be_visible()
    fits(admin)
    Reconciliation.objects.filter(state="waiting").delete()
    admin.goto(here)
    press(admin, "Close the month…")
    fits(admin)
    press(admin, "Close the month")
    expect(admin.get_by_text("The month is closed and its reconciliation signed.")).to_be_visible()
    expect(admin.get_by_text("Closed", exact=True)).to_be_visible()
    fits(admin)
    assert MonthClose.objects.get().reconciliation == row


def test_a_shadow_report_is_begun_and_read(admin: Page) -> None:
    integration = make.make_integration(mode="observe")
    admin.goto("/admin/reconcile/")
    admin.get_by_role("link", name="Shadow report").click()
    fits(admin)
    press(admin, "Compare now")
    expect(admin.get_by_text("Waiting to start")).to_be_visible()
    report = ShadowReport.objects.get(integration=integration)
    ShadowLine.objects.create(
        report=report, verdict="differs", object="invoice", source_id="1", source_title="Affär Åre", target_id="17",
        target_title="17 Åre AB", matched_by="customer", amount=Decimal("250"), currency="SEK",
        differences=[{"field": "1. Price", "ours": {"$": "n", "v": "250"}, "theirs": {"$": "n", "v": "125"}}],
    )  # fmt: skip
    ShadowReport.objects.update(state="done", counts={"differs": 1, "identical": 209}, finished_at=timezone.now())
    admin.goto(f"/admin/shadow/{integration.pk}/")
    fits(admin)
    expect(admin.get_by_text("We would have made 210 documents: 209 are identical")).to_be_visible()
    expect(admin.get_by_text("1. Price:")).to_be_visible()
    admin.get_by_role("link", name="Identical 209").click()
    fits(admin)
    with admin.expect_download() as taken:
        admin.get_by_role("link", name="CSV", exact=True).click()
    assert taken.value.suggested_filename.endswith(".csv")
