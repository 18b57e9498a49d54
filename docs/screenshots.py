"""Takes the pictures of README.md and docs/ from a demonstration that is being served.

    make demo                                  # in one terminal
    .venv/bin/python docs/screenshots.py       # in another; --base for another address, --only to take some

Those of the workplace are in `workplace_pictures.py`, beside this file.

Signs in as the demonstration's consultant and walks through the pages in a real Chromium (path: CHROMIUM). For the
picture of a plan it edits a few customers in the sandbox and presses "Plan now"; nothing is approved or retried. For
the certificate one invoice is made from a deal while its answer gets lost, which takes some minutes to be verified.
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
import workplace_pictures
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page, Route, sync_playwright

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
INVOICED, READY, BLOCKED, LOST = "Procentrabatt", "Konsultuppdrag 2028", "Okänd artikel", "Leverans 2028"
"""Deals of the demonstration, by the beginning of their names."""
AMOUNTS = {READY: "9344", LOST: "25689"}
"""What their lines add up to: a salesperson would have corrected the invented amounts."""
NARROW = 760
COLOURS = 128

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
    _control("settings", {"socket_open": False})  # or the events would be quicker than the plan
    for number, fields in EDITS.items():
        _control(f"records/fortnox/{_account('fortnox')}/customers", {"id": number, "fields": fields})
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
    _group(page)
    page.locator("table tbody tr a[href*='/sync/change/']").first.click()
    page.wait_for_url(re.compile(r"/sync/change/\d+/"))


def _group(page: Page) -> None:
    """The review queue's group of invoices in a currency that the CRM does not know."""
    page.goto("/admin/review/")
    page.locator("table tbody tr").filter(has_text="NOK").locator("a").first.click()
    page.wait_for_url(re.compile("/review/group/"))


def decide(page: Page) -> None:
    """A customer for whom a company is only suggested: the candidate beside the decision."""
    workplace_pictures.match(page)
    page.locator("#content a[href*='/sync/change/']").first.click()
    page.wait_for_url(re.compile(r"/sync/change/\d+/"))


def host(page: Page) -> None:
    """A deal in the CRM (the stand-in of its page) with our card."""
    page.goto(_deal_page(INVOICED))
    page.locator("#card button").first.wait_for()


def card_ready(page: Page) -> None:
    """The page that the card opens: everything is in place."""
    _correct(READY)
    _card_page(page, READY)
    page.get_by_role("button", name="Check again").click()
    _status(page, "Being checked")
    _status(page, "Ready to create")


def card_blocked(page: Page) -> None:
    """Something is missing."""
    _card_page(page, BLOCKED)


def card_done(page: Page) -> None:
    """The invoice is there."""
    _card_page(page, INVOICED)


def review(page: Page) -> None:
    """The review queue: groups that one repair releases."""
    page.goto("/admin/review/")


def release(page: Page) -> None:
    """A group whose cause was put right: what its release would do. The currency is enabled in the CRM for it."""
    token = _control("token", {"system": "hubspot", "account": _account("hubspot")})
    address = f"{token['base_url']}/settings/currencies/2026-09/exchange-rates"
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    requests.post(address, json={"fromCurrencyCode": "NOK", "conversionRate": 1}, headers=bearer, timeout=10)
    _group(page)
    page.get_by_role("button", name="See what this would release").click()
    page.get_by_role("status").wait_for()


def certificate(page: Page) -> None:
    """The certificate of an invoice whose answer got lost on the way."""
    wanted = page.locator("#result_list tbody tr").filter(has_text="Applied").filter(has_text="Create")
    page.goto(f"/admin/sync/change/?q={LOST}")
    if not wanted.count():
        _lose_an_answer(page)
    for _ in range(60):
        page.goto(f"/admin/sync/change/?q={LOST}")
        if wanted.count():
            break
        page.wait_for_timeout(5000)
    wanted.first.locator("a[href*='/sync/change/']").first.click()
    page.get_by_role("link", name="Certificate to print").click()


def _lose_an_answer(page: Page) -> None:
    """Press on a deal while the connection breaks in the middle of the ledger's answer. Its article is made first."""
    _correct(LOST)
    _card_page(page, LOST)
    repair = page.get_by_role("button", name="Create article")
    _status(page, "Ready to create|Something is missing")
    if repair.count():
        repair.click()
    _status(page, "Ready to create")
    match = {"system": "fortnox", "method": "POST", "path_contains": "/invoices"}
    _control("faults", {"profile": {"reset_mid_body": 1}, "match": match})
    page.get_by_role("button", name="Create as invoice").click()
    page.get_by_text("never created twice").first.wait_for()
    _control("faults", {})


def salesforce(page: Page) -> None:
    """An opportunity in Salesforce (the stand-in of its page) with our card: the invoice is there."""
    org = _account("salesforce")
    rows = _control(f"state/salesforce/{org}/Opportunity")["records"]
    key = next(row["id"] for row in rows if row.get("Fortnox_Invoice_Number__c"))
    page.goto(f"{sandbox}/salesforce/ui/{org}/lightning/r/Opportunity/{key}/view".replace("localhost", "127.0.0.1"))
    page.frame_locator("#card").locator("#result").wait_for()


def salesforce_fields(page: Page) -> None:
    """The fields of our package in the org, as the integration's user sees them."""
    page.goto("/admin/integrations/connectedaccount/")
    page.locator("#result_list tbody tr").filter(has_text="Salesforce").locator("a").first.click()
    page.get_by_role("link", name="Fields in Salesforce").click()
    page.get_by_text("fields are in place").wait_for()


def routing(page: Page) -> None:
    """The routing rules of an object, tried on a record that no rule takes."""
    page.goto("/admin/mappings/routingrule/")
    page.get_by_role("link", name=re.compile("Nordkraft.*opportunity", re.IGNORECASE)).click()
    rows = _control(f"state/salesforce/{_account('salesforce')}/Opportunity")["records"]
    page.locator("input[name=record]").fill(next(row["id"] for row in rows if row["Name"] == "Order 9"))
    page.get_by_role("button", name="Try").click()
    page.get_by_text("nobody takes it").wait_for()
    page.evaluate("window.scrollTo(0, 0)")


def own_object(page: Page) -> None:
    """Invoices from an object that the customer made: a real record as preview."""
    page.goto("/admin/integrations/integration/")
    page.locator("#result_list tbody tr").filter(has_text="Salesforce").locator("a").first.click()
    page.wait_for_url(re.compile(r"/integration/\d+/"))
    number = re.search(r"/integration/(\d+)/", page.url)
    page.goto(f"/admin/sync/flow/choose/{number[1] if number else ''}/")
    page.get_by_role("link", name="Invoices from an object of your own").click()
    page.goto(page.url + "?object=Service_Order__c&lines=Service_Order_Lines__r")
    page.get_by_role("button", name="Show a record").click()
    page.get_by_role("heading", name="3. What becomes of a record").scroll_into_view_if_needed()
    page.get_by_role("button", name="Set up the flow").scroll_into_view_if_needed()


PICTURES: dict[str, tuple[Callable[[Page], None], int]] = {
    "home": (home, 1180),
    "connect": (connect, 600),
    "flow": (flow, 800),
    "plan": (plan, 840),
    "change": (person, 900),
    "decide": (decide, 860),
    "host": (host, 760),
    "card-blocked": (card_blocked, 900),
    "card-ready": (card_ready, 900),
    "card-done": (card_done, 380),
    "review": (review, 640),
    "release": (release, 620),
    "certificate": (certificate, 580),
    "salesforce": (salesforce, 760),
    "salesforce-fields": (salesforce_fields, 620),
    "routing": (routing, 820),
    "own-object": (own_object, 760),
}
PICTURES = workplace_pictures.PICTURES | PICTURES
"""Name → how to get there, and the height that is kept. Those of the workplace first: others change what they show."""


def _control(path: str, body: dict[str, Any] | None = None) -> Any:
    """A call of the sandbox's control interface."""
    if body is None:
        return requests.get(f"{sandbox}/control/{path}", timeout=10).json()
    answer = requests.post(f"{sandbox}/control/{path}", json=body, timeout=10)
    answer.raise_for_status()
    return answer.json()


def _account(system: str) -> str:
    """The sandbox's first account of a system."""
    return str(next(row["account"] for row in _control("accounts")["accounts"] if row["system"] == system))


def _deal(name: str) -> str:
    """The id of the deal whose name begins so."""
    rows = _control(f"state/hubspot/{_account('hubspot')}/deals")["records"]
    return str(next(row["id"] for row in rows if str(row["properties"].get("dealname")).startswith(name)))


def _correct(name: str) -> None:
    """The deal's amount becomes what its lines add up to."""
    _control(f"records/hubspot/{_account('hubspot')}/deals", {"id": _deal(name), "fields": {"amount": AMOUNTS[name]}})


def _deal_page(name: str) -> str:
    """Its page in the CRM, on another site than ours, as in life."""
    return f"{sandbox}/hubspot/ui/{_account('hubspot')}/record/0-3/{_deal(name)}".replace("localhost", "127.0.0.1")


def _card_page(page: Page, name: str) -> None:
    """What the card's button opens, alone: the address is taken from the frame before the frame uses it."""
    taken: list[str] = []

    def take(route: Route) -> None:
        taken.append(route.request.url)
        route.abort()

    page.route("**/cards/hubspot/page*", take)
    page.goto(_deal_page(name))
    page.locator("#card button").first.click()
    page.locator("iframe").wait_for()
    for _ in range(100):
        if taken:
            break
        page.wait_for_timeout(100)
    page.unroute("**/cards/hubspot/page*")
    page.goto(taken[0])
    page.locator("#headline").wait_for()
    page.get_by_role("button", name=re.compile("Check again|Refresh")).wait_for()


def _status(page: Page, words: str) -> None:
    """Wait until the card's page says so."""
    page.locator(".status").filter(has_text=re.compile(words)).wait_for()


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


def _shrink(path: Path) -> None:
    """Without the empty part at the bottom, and with fewer colours: a third of the size, no difference to the eye."""
    with Image.open(path) as picture:
        whole = picture.convert("RGB")
        empty = Image.new("RGB", whole.size, whole.getpixel((4, whole.height - 4)))
        filled = ImageChops.difference(whole, empty).getbbox()
        if filled:
            whole = whole.crop((0, 0, whole.width, min(filled[3] + 24, whole.height)))
        small = whole.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


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
                width = NARROW if name.startswith("card-") else WIDTH
                page.set_viewport_size({"width": width, "height": height})
                go(page)
                path = FOLDER / f"{name}.png"
                page.screenshot(path=path)
                _shrink(path)
                print(f"{path.name}: {path.stat().st_size // 1024} kB", flush=True)
        _control("settings", {"socket_open": True})
        browser.close()


if __name__ == "__main__":
    main()
