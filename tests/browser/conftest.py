"""A real Chromium for the browser tests, at the width of a desk and of a phone.

The invariant: a test that used `page` has seen no console error, so a page that breaks the content security policy
fails even when it looks right.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-gpu-rasterization",
    "--disable-software-rasterizer",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=20_000)  # five seconds are too few on a machine that three parts of the suite share
WIDTHS = {"desk": 1280, "phone": 390}

# Playwright's sync API runs an event loop in this thread, which Django would take for an async context.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; its path is `CHROMIUM`."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=ARGS
        )
        yield chromium
        chromium.close()


@pytest.fixture(params=WIDTHS)
def width(request: Any) -> int:
    """Both widths, one after the other."""
    return WIDTHS[request.param]


@pytest.fixture
def page(browser: Browser, live_server: Any, width: int) -> Iterator[Page]:
    """A fresh browser context at `width`; any console error fails the test."""
    context = browser.new_context(viewport={"width": width, "height": 900}, base_url=live_server.url, locale="en-GB")
    opened = context.new_page()
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    context.close()
    assert not problems, problems


@pytest.fixture
def sign_in(page: Page, live_server: Any) -> Any:
    """`sign_in(user)`: this browser is that person, without going through the login page."""
    from django.conf import settings
    from django.test import Client

    def signed_in(user: Any) -> Page:
        client = Client()
        client.force_login(user)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}])
        return page

    return signed_in


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In CI each test that is made for both widths runs at one of them, half of the tests at each; a developer's run,
    and whatever is about fitting (`test_swedish`), has both."""
    if "CI" not in os.environ:
        return
    left_out = [item for item in items if _other_width(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _other_width(item: pytest.Item) -> bool:
    path, _bracket, variant = item.nodeid.partition("[")
    width = next((name for name in WIDTHS if variant.removesuffix("]") == name), "")
    return bool(width) and "test_swedish" not in path and list(WIDTHS)[crc32(path.encode()) % 2] != width
