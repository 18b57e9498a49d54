"""Being told: the banner, the list, setting work going again, the own wishes and the chat, at both widths (Q-25)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from sync.models import ChatChannel, NoticePreference
from sync.notices import chat, tell
from tests import factories as make
from tests.browser.test_admin import fits, press

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_banner_leads_to_what_stands_still_and_it_is_set_going_again(page: Page, sign_in: Any) -> None:
    old = timezone.now() - timedelta(minutes=40)
    run = make.make_run(state="delivering", due_at=old, heartbeat_at=old)
    organization = run.integration.organization
    words = {"flow": run.flow.name, "run": f"#{run.pk}", "state": "delivering", "since": old.isoformat()}
    tell("run_stuck", organization, integration=run.integration, key=str(run.pk), params=words, obj=run)
    tell("failures_waiting", organization, key="f", params={"flow": "Deals", "count": "3", "record": "A", "code": "x"})
    sign_in(make.make_user("anna", organization=organization, role="owner"))
    page.goto("/admin/")
    fits(page)
    page.get_by_role("status", name="What is wrong now").get_by_role("link", name="A run is stuck").click()
    fits(page)
    expect(page.locator(".lb-told")).to_have_count(1)
    press(page, "Set it going again…")
    fits(page)
    press(page, "Set it going again")
    expect(page.get_by_text("is due again")).to_be_visible()
    run.refresh_from_db()
    assert run.failures == 1
    page.get_by_role("link", name="Healed").click()
    expect(page.get_by_text("Nothing has healed")).to_be_visible()
    fits(page)


def test_somebody_chooses_what_they_are_told_and_tries_the_chat(
    page: Page, sign_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[str] = []
    monkeypatch.setattr(chat, "post", lambda url, text: posted.append(f"{url} {text}"))
    user = make.make_user("anna", organization=make.make_organization("Acme AB"), role="owner")
    user.email = "anna@example.test"
    user.save()
    sign_in(user)
    page.goto("/admin/notices/")
    expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
    fits(page)
    page.get_by_role("link", name="What you are told", exact=True).click()
    fits(page)
    page.get_by_label("Guards:").uncheck()
    page.get_by_label("Digest of all that is open").select_option(label="Every Monday")
    page.get_by_label("Hour of the digest").select_option(label="16:00")
    press(page, "Save")
    expect(page.get_by_text("You are told as you chose.")).to_be_visible()
    row = NoticePreference.objects.get()
    assert "guard" not in row.immediate and "connection" in row.immediate and (row.digest, row.hour) == ("weekly", 16)
    page.get_by_label("Address of the incoming webhook").fill("https://hooks.example.com/services/T1/s3cr3t")
    press(page, "Store the chat")
    expect(page.get_by_text("hooks.example.com", exact=True)).to_be_visible()
    fits(page)
    press(page, "Send a test")
    expect(page.get_by_text("The test was sent to hooks.example.com.")).to_be_visible()
    assert len(posted) == 1 and "s3cr3t" in posted[0] and "s3cr3t" not in page.content()
    press(page, "Remove")
    expect(page.get_by_text("The chat is told nothing more.")).to_be_visible()
    assert not ChatChannel.objects.exists()
