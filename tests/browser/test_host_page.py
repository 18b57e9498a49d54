"""The stand-in of HubSpot's pages in a real Chromium: the card it draws, and our page framed from another origin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from tests.sandbox.app_stand_in import AppStandIn, Asked, Reply, answer
from tests.sandbox.hubspot_world import MAIN, Hub

pytestmark = pytest.mark.browser

SUMMARY, OPEN = "/cards/hubspot/summary", "/cards/hubspot/open"
UNLINKED: dict[str, Any] = {
    "connected": True,
    "allowed": True,
    "kind": "deal",
    "state": "unlinked",
    "company": {"name": "Fortnox AB"},
    "rows": [{"label": "Deal amount", "value": "12 500,00 kr"}],
    "checklist": {"passed": 11, "total": 12, "at": "2026-11-20T13:05:00Z"},
    "actions": [{"id": "open", "label": "Create invoice", "primary": True}],
    "updatedAt": "2026-11-20T13:05:00Z",
}
LINKED: dict[str, Any] = {
    **UNLINKED,
    "state": "linked",
    "number": "1042",
    "status": {"label": "Unbooked", "tone": "info"},
    "checklist": None,
    "rows": [{"label": "Due date", "value": "2026-12-20"}, {"label": "To pay", "value": "15 625,00 kr"}],
    "actions": [{"id": "open", "label": "Show invoice", "primary": False}],
}
PAGE = b"""<!doctype html><title>Ours</title><h1>Invoice</h1><script>
document.cookie = 'seen=1; SameSite=None'; document.title = window.origin;</script>"""
TOGGLES = [("a", "Sync Companies"), ("b", "Sync Products"), ("c", "Fortnox invoice to Deal pipeline")]
TOGGLES += [("d", "HubSpot deal to Fortnox invoice"), ("e", "HubSpot company to Fortnox customer")]


@pytest.fixture
def app() -> Iterator[AppStandIn]:
    with AppStandIn() as running:
        running.by_path["/cards/page"] = lambda asked: Reply(PAGE, headers={"Content-Type": "text/html"})
        running.by_path[SUMMARY] = lambda asked: answer(**UNLINKED)
        yield running


@pytest.fixture
def sandbox(app: AppStandIn) -> Iterator[tuple[Hub, str]]:
    """A sandbox over HTTP on 127.0.0.1, so that the app on localhost is another site."""
    hub = Hub(accounts=8)
    hub.world.configure({"app_url": app.url})
    server = make_server("127.0.0.1", 0, hub.client.application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield hub, f"http://127.0.0.1:{server.server_port}/hubspot/ui/{MAIN}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    context.close()
    assert not problems, problems


def opened(app: AppStandIn) -> list[Asked]:
    return [asked for asked in app.asked if asked.target.startswith(OPEN + "?")]


def deal(hub: Hub) -> str:
    return hub.create("deals", dealname="Serviceavtal Räksmörgås AB", amount="12500", dealstage="closedwon")


def test_a_deal_becomes_an_invoice_in_a_frame_of_another_origin(
    tab: Page, sandbox: tuple[Hub, str], app: AppStandIn
) -> None:
    hub, base = sandbox
    record = deal(hub)
    app.by_path[OPEN] = lambda asked: answer(url=f"{app.url}/cards/page?t=1", title="Invoice", width=1000, height=700)
    tab.goto(f"{base}/record/0-3/{record}")
    card = tab.locator("#card")
    expect(card).to_contain_text("11 of 12 conditions met")
    card.get_by_role("button", name="Create invoice").dblclick()
    expect(tab.frame_locator("iframe").locator("h1")).to_have_text("Invoice")
    frame = tab.frames[1]
    assert frame.evaluate("window.origin") == app.url != tab.evaluate("window.origin")
    assert [asked.json["view"] for asked in opened(app)] == ["create"]
    hub.hubspot.edit_record(MAIN, "deals", record, {"dealname": "Renamed meanwhile"})
    app.by_path[SUMMARY] = lambda asked: answer(**LINKED)
    tab.get_by_role("button", name="Close").click()
    expect(card).to_contain_text("1042")
    expect(tab.locator("#properties")).to_contain_text("Renamed meanwhile")
    expect(tab.locator("iframe")).to_have_count(0)


def test_a_failure_shows_its_remedy_and_can_be_tried_again(
    tab: Page, sandbox: tuple[Hub, str], app: AppStandIn
) -> None:
    hub, base = sandbox
    app.by_path[SUMMARY] = lambda asked: Reply(b'{"ok": false, "message": "Gone wrong.", "remedy": "Do this."}')
    tab.goto(f"{base}/record/0-3/{deal(hub)}?locale=sv")
    card = tab.locator("#card")
    expect(card.get_by_role("alert")).to_contain_text("Gone wrong.")
    expect(card).to_contain_text("Do this.")
    app.by_path[SUMMARY] = lambda asked: answer(**LINKED)
    card.get_by_role("button", name="Försök igen").click()
    expect(card).to_contain_text("1042")
    assert {asked.json["locale"] for asked in app.asked} == {"sv"}


def test_the_settings_have_five_toggles_and_both_systems(tab: Page, sandbox: tuple[Hub, str], app: AppStandIn) -> None:
    on: set[str] = set()

    def shown() -> dict[str, Any]:
        toggles = [{"id": key, "label": label, "help": "", "on": key in on} for key, label in TOGGLES]
        accounts = [
            {"system": name, "label": name, "account": "1", "status": "connected", "statusLabel": "Connected"}
            | {"reconnectUrl": f"{app.url}/connect/{name}"}
            for name in ("HubSpot", "Fortnox")
        ]
        integrations = [{"id": "i1", "name": "Fortnox AB", "toggles": toggles}]
        return {"ok": True, "accounts": accounts, "integrations": integrations, "mayEdit": True}

    def toggle(asked: Asked) -> Reply:
        (on.add if asked.json["on"] else on.discard)(asked.json["toggle"])
        return answer(settings=shown())

    app.by_path["/cards/hubspot/settings"] = lambda asked: answer(**shown())
    app.by_path["/cards/hubspot/toggle"] = toggle
    tab.goto(f"{sandbox[1]}/settings")
    expect(tab.get_by_role("switch")).to_have_count(5)
    tab.get_by_label("Sync Products").check()
    expect(tab.get_by_label("Sync Products")).to_be_checked()
    expect(tab.get_by_label("Sync Products")).to_be_enabled()
    assert on == {"b"}
    expect(tab.get_by_role("link", name="Re-authenticate")).to_have_count(2)
