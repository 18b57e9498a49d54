"""The pictures of the workplace, one function each: how to get to what is shown. `screenshots.py` takes them."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page

CUSTOMERS, INVOICES = "Customers to companies", "Invoices to deals"


def path(page: Page) -> None:
    """The guided path, before anything is connected."""
    page.goto("/admin/path/")


def readiness(page: Page) -> None:
    """What is missing on either side, with the remedy beside each line."""
    page.goto(f"/admin/integrations/integration/{_integration(page)}/readiness/")
    again = page.get_by_role("button", name=re.compile("Check again|Check now"))
    for _ in range(60):
        if again.count():
            break
        page.wait_for_timeout(1000)
        page.reload()


def match(page: Page) -> None:
    """Which records are the same: suggestions, with what speaks for each."""
    page.goto(f"/admin/match/{_run(page)}/")


def editor(page: Page) -> None:
    """The rules of a draft, with the values that they give for one record."""
    page.goto(f"/admin/mappings/mappingset/{_draft(page)}/change/")
    page.locator("[data-recent-list]").select_option(index=1)
    page.locator("#editor [data-sample-name]").get_by_text(re.compile(r"\d")).wait_for()
    page.wait_for_timeout(1500)  # the rows ask one after the other
    page.locator("#editor").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#editor').scrollIntoView()")


def lab(page: Page) -> None:
    """A draft tried on the last records: only what differs."""
    page.goto(f"/admin/lab/{_draft(page)}/")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Version in force").first.wait_for()


def publish(page: Page) -> None:
    """What a version would change, before it is published."""
    page.goto(f"/admin/lab/{_draft(page)}/publish/")
    page.get_by_role("button", name="Count", exact=True).click()
    page.get_by_text(re.compile("would differ")).first.wait_for()


def golden(page: Page) -> None:
    """Golden samples: what every version must give."""
    page.goto(f"/admin/lab/{_draft(page)}/golden/")


def versions(page: Page) -> None:
    """The versions of a mapping, and what differs between two."""
    page.goto(f"/admin/lab/{_draft(page)}/versions/")


def mapping_file(page: Page) -> None:
    """A mapping as a file: download, and look at one before it becomes a draft."""
    page.goto(f"/admin/lab/{_draft(page)}/file/")


def search(page: Page) -> None:
    """What a caller reads out, over all organizations of the person."""
    page.goto("/admin/search/?q=Bygg")


def record(page: Page) -> None:
    """One record on both sides, with its values and its timeline."""
    page.goto(f"/admin/record/{_link(page)}/")


def why(page: Page) -> None:
    """Why a value is what it is."""
    record(page)
    page.locator("a[href*='/value/']").filter(has_text="Unbooked").first.click()
    page.get_by_text("Where it comes from").wait_for()


def ownership(page: Page) -> None:
    """Who decides about each field."""
    page.goto(f"/admin/ownership/{_integration(page)}/")


def reconcile(page: Page) -> None:
    """A month, compared: totals of both sides, and what differs."""
    page.goto("/admin/reconcile/")
    page.locator("#reconcile-newest a[href*='/reconcile/']").first.click()
    page.wait_for_url(re.compile(r"/reconcile/\d+/"))


def differences(page: Page) -> None:
    """Each difference of a month: what explains it, and what can be done."""
    reconcile(page)
    page.get_by_role("link", name=re.compile(r"^All")).first.click()
    page.get_by_role("heading", name="Differences").evaluate("heading => heading.scrollIntoView()")


def month_end(page: Page) -> None:
    """What must be in order before a month is closed."""
    page.goto("/admin/reconcile/")
    page.locator("#reconcile-newest a[href*='/month-end/']").first.click()
    page.wait_for_url(re.compile("/month-end/"))


def notices(page: Page) -> None:
    """What is wrong now, with cause, remedy and the way there."""
    page.goto("/admin/notices/")


def told(page: Page) -> None:
    """What a person wants to be told, and how."""
    page.goto("/admin/notices/settings/")


def people(page: Page) -> None:
    """The people of an organization, with their roles."""
    page.goto("/admin/integrations/organization/")
    page.locator("#result_list a[href*='/organization/']").filter(has_text="Demo").first.click()
    page.get_by_role("link", name=re.compile("People")).last.click()
    page.wait_for_url(re.compile("/people/"))


def second_step(page: Page) -> None:
    """Setting up the second step of signing in."""
    page.set_viewport_size({"width": 560, "height": 900})
    page.goto("/admin/two-factor/set-up/")


def _integration(page: Page) -> str:
    """The id of the HubSpot integration."""
    page.goto("/admin/integrations/integration/")
    rows = page.locator("a[href*='/integrations/integration/']").filter(has_text="HubSpot")
    return _number(rows.first.get_attribute("href") or "", "integration")


def _draft(page: Page) -> str:
    """The id of the mapping draft."""
    page.goto("/admin/mappings/mappingset/?state__exact=draft")
    row = page.locator("#result_list a[href*='/mappingset/']").filter(has_text=INVOICES)
    return _number(row.first.get_attribute("href") or "", "mappingset")


def _run(page: Page) -> str:
    """The id of the newest run of the customers."""
    page.goto("/admin/sync/flow/")
    page.get_by_role("link", name=CUSTOMERS).first.click()
    page.wait_for_url(re.compile(r"/sync/flow/\d+/"))
    flow = _number(page.url, "flow")
    page.goto(f"/admin/sync/syncrun/?flow={flow}")
    return _number(page.locator("#result_list a[href*='/syncrun/']").last.get_attribute("href") or "", "syncrun")


def _link(page: Page) -> str:
    """The id of the link of an invoice."""
    page.goto("/admin/search/?q=Procentrabatt")
    found = page.locator("a[href*='/record/']").first
    return _number(found.get_attribute("href") or "", "record")


def _number(address: str, before: str) -> str:
    found = re.search(rf"/{before}/(\d+)/", address)
    if found is None:
        raise LookupError(f"no {before} in {address!r}")
    return found[1]


PICTURES: dict[str, tuple[Callable[[Page], None], int]] = {
    "path": (path, 760),
    "readiness": (readiness, 1120),
    "match": (match, 820),
    "editor": (editor, 800),
    "lab": (lab, 760),
    "publish": (publish, 820),
    "golden": (golden, 560),
    "versions": (versions, 700),
    "mapping-file": (mapping_file, 560),
    "search": (search, 600),
    "record": (record, 900),
    "why": (why, 760),
    "ownership": (ownership, 760),
    "reconcile": (reconcile, 640),
    "differences": (differences, 420),
    "month-end": (month_end, 820),
    "notices": (notices, 700),
    "told": (told, 760),
    "people": (people, 440),
    "second-step": (second_step, 700),
}
"""Name → how to get there, and the height that is kept."""
