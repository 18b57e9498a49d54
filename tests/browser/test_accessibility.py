"""Every page that a person can reach by links, in a real browser: no serious finding of axe, nothing sticks out.

The walk follows links from the home page and looks once at every kind of page, so a new page is looked at by itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import Resolver404, resolve
from playwright.sync_api import Page

from tests import factories as make
from tests.browser.axe import serious
from tests.workplace import Workplace

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PICTURES = os.environ.get("SCREENSHOTS", "")
LANGUAGE = os.environ.get("SCREENSHOTS_LANGUAGE", "en")
AT_MOST = 150
NO_PAGES = ("logout", "jsi18n", "autocomplete", "csv", "pdf", "export", "download")

SETTLED = "() => document.getAnimations().forEach(moving => { try { moving.finish(); } catch { moving.cancel(); } })"
"""Colours fade from one theme to the other; what is half-way has no contrast to measure."""


def _kind(path: str) -> str:
    """Pages of one kind share a view; what cannot be resolved is its own kind."""
    try:
        return resolve(path).view_name
    except Resolver404:
        return path


@pytest.mark.parametrize("width", [1280])
def test_no_page_has_a_serious_finding_and_none_scrolls_sideways(page: Page, sign_in: Any, live_server: Any) -> None:
    world = Workplace()
    sign_in(make.make_superuser("anna"))
    assert len(crawl(page, world)) > 40


@pytest.mark.soak
@pytest.mark.parametrize("width", [1280])
def test_pages_that_offer_less_have_no_serious_finding_either(page: Page, sign_in: Any, live_server: Any) -> None:
    """What a viewer may not do leaves holes: fields as text, lists without boxes, cards without buttons. No link
    leads to what the role may not open."""
    world = Workplace()
    sign_in(make.make_user("bo", organization=world.organization, role="viewer"))
    world.addresses = [address for address in world.addresses if page.request.get(address).status == 200]
    assert len(crawl(page, world, everything=False, most=50)) > 40


def crawl(page: Page, world: Workplace, *, everything: bool = True, most: int = AT_MOST) -> set[str]:
    """Looks at every kind of page once, and says which there were. With `everything`, in the dark as well; without, the
    person is one who may not open everything, and each link is tried first."""
    if LANGUAGE != "en":
        page.context.add_cookies(
            [{"name": "django_language", "value": LANGUAGE, "url": page.evaluate("location.href")}]
        )
    waiting, seen, problems = [(address, "") for address in ("/admin/", *world.addresses)], set[str](), list[str]()
    while waiting and len(seen) < most:
        address, source = waiting.pop(0)
        kind = _kind(urlsplit(address).path) + ("?q" if "?q=" in address else "")
        if kind in seen or any(word in kind or word in address for word in NO_PAGES):
            continue
        seen.add(kind)
        if source and not everything and (status := page.request.get(address).status) in (403, 404):
            problems.append(f"{address}: {status}, linked from {source}")
            continue
        page.set_viewport_size({"width": 1280, "height": 900})
        answer = page.goto(address)
        if answer is None or "text/html" not in (answer.headers.get("content-type") or ""):
            continue
        if answer.status != 200:
            problems.append(f"{address}: {answer.status}")
            continue
        problems += [f"{address}: {finding}" for finding in serious(page)]
        _picture(page, kind, 1280)
        if everything:
            problems += _in_the_dark(page, address, kind)
        page.set_viewport_size({"width": 390, "height": 844})
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            problems.append(f"{address}: scrolls sideways at 390 pixels")
        _picture(page, kind, 390)
        links = page.eval_on_selector_all("a[href]:not([href^='#'])", "found => found.map(a => a.href)")
        for parts in map(urlsplit, links):
            if parts.netloc == urlsplit(page.url).netloc:
                waiting.append((parts.path + (f"?{parts.query}" if parts.query else ""), address))
    assert not problems, f"{len(problems)} of {len(seen)} kinds of pages:\n" + "\n".join(problems)
    return seen


def _in_the_dark(page: Page, address: str, kind: str) -> list[str]:
    page.emulate_media(color_scheme="dark")
    page.evaluate(SETTLED)
    problems = [f"{address} (dark): {finding}" for finding in serious(page, "color-contrast")]
    _picture(page, kind, 1280, "-dark")
    page.emulate_media(color_scheme="light")
    page.evaluate(SETTLED)
    return problems


def _picture(page: Page, kind: str, width: int, theme: str = "") -> None:
    if PICTURES:
        name = kind.replace("admin:", "").replace("/", "_").replace("?", "_")
        page.screenshot(path=str(Path(PICTURES) / f"{name}-{width}-{LANGUAGE}{theme}.png"), full_page=True)
