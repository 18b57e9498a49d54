"""An org's address and secret are renewed in a real browser, at both widths: what is in use, and the end of the old."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from integrations.inbound_models import FormerSecret
from integrations.inbound_secret import secret_of
from integrations.salesforce.events import inbound_url
from tests import factories as make
from tests.browser.test_admin import fits, press
from tests.integrations.test_salesforce_outbound import ORG, message, notification

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def picture(page: Page, name: str) -> None:
    """Keep a picture where `SCREENSHOTS` says, for people to look at."""
    folder = os.environ.get("SCREENSHOTS")
    if folder and page.viewport_size:
        page.screenshot(path=Path(folder) / f"secret-{name}-{page.viewport_size['width']}.png", full_page=True)


def test_address_and_secret_are_renewed_and_the_old_one_is_ended(page: Page, sign_in: Any) -> None:
    account = make.make_account(system="salesforce", remote_id=ORG, name="Nordkraft")
    old = secret_of(account)
    body = message(notification())
    Client().generic("POST", f"/webhooks/salesforce/{account.pk}/{old}", body, content_type="text/xml")
    sign_in(make.make_superuser("anna"))
    page.goto(f"/admin/integrations/connectedaccount/{account.pk}/change/")
    page.get_by_role("link", name="Messages", exact=True).click()
    expect(page.get_by_text("Last used")).to_be_visible()
    expect(page.get_by_label("Secret for callouts")).to_have_value(old)
    fits(page)
    page.get_by_label("The old ones stay valid for").select_option(label="7 days")
    press(page, "Renew address and secret")
    expect(page.get_by_text("There is a new address and a new secret.")).to_be_visible()
    expect(page.get_by_text("Not used yet: the org sends with an old one")).to_be_visible()
    account.refresh_from_db()
    new = secret_of(account)
    expect(page.get_by_label("Secret for callouts")).to_have_value(new)
    expect(page.get_by_label("Address for messages")).to_have_value(inbound_url(account))
    expect(page.get_by_text("what it sends would be refused")).to_be_visible()
    fits(page)
    picture(page, "renewed")
    Client().generic("POST", f"/webhooks/salesforce/{account.pk}/{new}", body, content_type="text/xml")
    page.reload()
    expect(page.get_by_text("what it sends would be refused")).to_have_count(0)
    press(page, "End now")
    expect(page.get_by_text("are not accepted any more")).to_be_visible()
    expect(page.get_by_text("ended by hand")).to_be_visible()
    fits(page)
    picture(page, "ended")
    assert FormerSecret.objects.get().secret == ""
