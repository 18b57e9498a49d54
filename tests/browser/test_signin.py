"""Signing in with a second step, as a person does it; the page of somebody who guesses; people and history."""

from __future__ import annotations

from base64 import b32decode
from typing import Any

import pytest
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Page, expect

from tests import factories as make
from tests.browser.axe import serious

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.goto("/admin/login/")
    assert serious(page) == []
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_somebody_sets_up_the_second_step_and_signs_in_with_it(page: Page, settings: Any) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    organization = make.make_organization("Nordkraft")
    make.make_user("eva", organization=organization, role="owner")
    sign_in(page, "eva")
    expect(page.get_by_role("heading", name="Set up the second step")).to_be_visible()
    assert page.locator("img.lb-signin__code").evaluate("image => image.complete && image.naturalWidth > 100")
    assert fits(page) and serious(page) == []
    page.get_by_text("The app cannot scan").click()
    key = b32decode(page.locator(".lb-signin__secret").inner_text().replace(" ", ""))
    page.get_by_label("Code that the app shows").fill(f"{totp(key):06d}")
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", name="Backup codes")).to_be_visible()
    assert page.locator(".lb-signin__codes li").count() == 10 and fits(page) and serious(page) == []
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("button", name="Log out")).to_be_attached()

    page.context.clear_cookies()
    sign_in(page, "eva")
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    assert fits(page) and serious(page) == []
    TOTPDevice.objects.update(last_t=-1)  # half a minute later
    page.get_by_label("Code").fill(f"{totp(key):06d}")
    page.get_by_role("button", name="Continue").click()
    page.goto(f"/admin/integrations/organization/{organization.pk}/people/")
    expect(page.get_by_role("cell", name="Set up")).to_be_visible()
    assert fits(page)


def test_somebody_who_guesses_is_told_how_long_it_lasts(page: Page, settings: Any) -> None:
    settings.AXES_ENABLED = True
    make.make_user("eva", organization=make.make_organization())
    problems = []
    page.on("response", lambda answer: problems.append(answer.status) if answer.status >= 400 else None)
    for _again in range(4):
        sign_in(page, "eva", "wrong")
    assert problems == []
    answer = page.request.post(
        "/admin/login/",
        form={
            "username": "eva", "password": "wrong",
            "csrfmiddlewaretoken": page.locator("[name=csrfmiddlewaretoken]").first.input_value(),
        },
        headers={"Referer": page.url},
    )  # fmt: skip
    assert answer.status == 429
    page.set_content(answer.text())
    expect(page.get_by_role("alert")).to_contain_text("15 minutes")
    assert fits(page) and serious(page) == []
