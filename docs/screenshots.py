"""Takes the pictures of README.md and docs/ from a demonstration that is being served.

    make demo                                  # in one terminal
    .venv/bin/python docs/screenshots.py       # in another; --base for another address, --only to take some

Signs in as the demonstration's consultant and walks through the pages in a real Chromium (path: CHROMIUM). For the
picture of a plan it edits a few customers in the sandbox and presses "Plan now"; nothing is approved or retried.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).resolve().parent / "pictures"
WIDTH = 1280
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
USERNAME, PASSWORD = "demo", "ledgerbridge-demo"
FLOW = "Invoices to deals"
EDITS = {
    "1": {"City": "Malmö", "ZipCode": "21119"},
    "2": {"Phone1": "040-12 34 56"},
    "3": {"Name": "Bobergs Bryggeri & Musteri AB"},
    "5": {"Address1": "Hamngatan 4", "City": "Ystad"},
    "6": {"City": "Åhus"},
}
"""What a bookkeeper changes in Fortnox before the picture of a plan."""

sandbox = "http://localhost:9400"


def home(page: Page) -> None:
    """What needs a person, and how every flow is doing."""
    page.goto("/admin/")


def connect(page: Page) -> None:
    """The guided connection, as it looks before anything is connected."""
    page.goto("/admin/integrations/integration/connect/")
    page.locator(".lb-choices a").first.click()
    page.goto(page.url.split("?")[0] + "?crm=new&ledger=new")


def flow(page: Page) -> None:
    """A flow: state first, then its settings."""
    page.goto("/admin/sync/flow/")
    page.get_by_role("link", name=FLOW).first.click()
    page.wait_for_url(re.compile(r"/sync/flow/\d+/"))


def plan(page: Page) -> None:
    """A plan that waits for approval: customers that moved, changed their telephone or their name in Fortnox."""
    tenant = next(a["account"] for a in _control("accounts")["accounts"] if a["system"] == "fortnox")
    for number, fields in EDITS.items():
        _control(f"records/fortnox/{tenant}/customers", {"id": number, "fields": fields})
    page.goto("/admin/sync/flow/")
    page.get_by_role("link", name="Customers to companies").first.click()
    page.wait_for_url(re.compile(r"/sync/flow/\d+/"))
    read = page.get_by_role("link", name="Read the plan")
    if not read.count():
        page.get_by_role("button", name="Plan now").click()
    for _ in range(60):
        if read.count():
            break
        page.wait_for_timeout(1000)
        page.reload()
    read.click()
    page.wait_for_url(re.compile(r"/sync/syncrun/\d+/"))


def person(page: Page) -> None:
    """A change that needs a person: cause, remedy, button."""
    page.goto("/admin/sync/change/?state=review&q=NOK")
    rows = page.locator("#result_list tbody a[href*='/sync/change/']")
    if not rows.count():
        page.goto("/admin/sync/change/?state=review")
    rows.first.click()
    page.wait_for_url(re.compile(r"/sync/change/\d+/"))


def decide(page: Page) -> None:
    """A customer for whom a company is only suggested: the candidate beside the decision."""
    page.goto("/admin/sync/change/?state=review&action=conflict")
    page.locator("#result_list tbody a[href*='/sync/change/']").last.click()
    page.wait_for_url(re.compile(r"/sync/change/\d+/"))


def mapping(page: Page) -> None:
    """Rules of a mapping: source expression, target field."""
    page.goto("/admin/mappings/mappingset/")
    page.locator("#result_list a[href*='/mappingset/']").filter(has_text="nvoice").first.click()
    page.wait_for_url(re.compile(r"/mappingset/\d+/"))
    page.locator("#field_mappings-group").evaluate("element => window.scrollTo(0, element.offsetTop - 20)")


PICTURES: dict[str, tuple[Callable[[Page], None], int]] = {
    "home": (home, 640),
    "connect": (connect, 600),
    "flow": (flow, 800),
    "plan": (plan, 840),
    "change": (person, 900),
    "decide": (decide, 860),
    "mapping": (mapping, 1000),
}
"""Name → how to get there, and the height that is kept."""


def _control(path: str, body: dict[str, Any] | None = None) -> Any:
    """A call of the sandbox's control interface."""
    if body is None:
        return requests.get(f"{sandbox}/control/{path}", timeout=10).json()
    answer = requests.post(f"{sandbox}/control/{path}", json=body, timeout=10)
    answer.raise_for_status()
    return answer.json()


@contextmanager
def _signed_in(browser: Browser, base: str) -> Iterator[Page]:
    context = browser.new_context(
        base_url=base, viewport={"width": WIDTH, "height": 900}, locale="en-GB", color_scheme="light",
        timezone_id="Europe/Stockholm", reduced_motion="reduce",
    )  # fmt: skip
    page = context.new_page()
    page.goto("/admin/login/")
    page.fill("#id_username", USERNAME)
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit], input[type=submit]")
    page.wait_for_url(re.compile(r"/admin/$"))
    yield page
    context.close()


def main() -> None:
    """Take the pictures that were asked for, or all."""
    parser = argparse.ArgumentParser(description="Pictures for README.md and docs/, from a running `make demo`.")
    parser.add_argument("--base", default="http://localhost:8000", help="where the demonstration is served")
    parser.add_argument("--only", nargs="*", choices=sorted(PICTURES), help="some of them; all when absent")
    parser.add_argument("--sandbox", default="http://localhost:9400", help="where its sandbox is")
    options = parser.parse_args()
    global sandbox
    sandbox = options.sandbox
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=ARGS)
        with _signed_in(browser, options.base) as page:
            for name in options.only or PICTURES:
                go, height = PICTURES[name]
                page.set_viewport_size({"width": WIDTH, "height": height})
                go(page)
                path = FOLDER / f"{name}.png"
                page.screenshot(path=path)
                print(f"{path.name}: {path.stat().st_size // 1024} kB")
        browser.close()


if __name__ == "__main__":
    main()
