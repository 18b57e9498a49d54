"""The walls around the cards: one portal never sees another, cookies open nothing, only the host frames (SEC-11…14)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from integrations.cards import CardCaller
from integrations.hubspot.card import FRAME_ANCESTORS
from sync.cards.records import chosen, places
from sync.cards.summary import summary
from sync.models import CardTicket, Change, Flow
from sync.states import State
from tests.factories import make_link, make_superuser
from tests.sync.cards_world import Portal, planned, record_body, use_secret

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def secret(settings: Any) -> None:
    use_secret(settings)


# --- SEC-11: one portal never sees another ------------------------------------------------------------------------

PORTALS = 50
STEP = 7  # does not divide the number of portals: every portal meets another stranger over the wire


def _world() -> list[Portal]:
    """Portals whose records have the same ids, and whose names and numbers name their owner."""
    portals = []
    for number in range(PORTALS):
        mark = f"owner{number:02d}x"
        portal = Portal(portal=str(7_000_000 + number), name=f"crm {mark}")
        ledger = portal.integration.ledger_account
        ledger.name = f"ledger {mark}"
        ledger.save()
        portal.integration.name = f"pair {mark}"
        portal.integration.save()
        planned(portal.deals, "501", source_title=f"deal {mark}")
        make_link(portal.integration, crm_id="88", ledger_id=f"customer {mark}", title=mark)
        make_link(portal.integration, crm_id=f"9{number:02d}", ledger_id=f"extra {mark}", title=mark)
        portals.append(portal)
    return portals


def test_fifty_portals_see_only_themselves() -> None:
    portals = _world()
    before = list(Change.objects.order_by("pk").values_list("pk", "state", "actor"))
    flows = list(Flow.objects.order_by("pk").values_list("pk", "enabled"))
    for number, portal in enumerate(portals):
        answers = [portal.post("settings"), portal.post("summary", record_body("deal", "501"))]
        answers += [portal.post("summary", record_body("company", "88"))]
        page = portal.open()
        answers.append(page.get())
        shapes = set()
        stranger = portals[(number + STEP) % PORTALS]
        for given in (str(stranger.integration.pk), "999999999"):  # a stranger's, and nobody's
            body = {"integration": given, "toggle": "deals-to-invoices", "on": False}
            body |= {"expected": "f" * 64, "repair": "look_again", "value": ""}
            refused = [portal.post("toggle", body), page.get(integration=given)]
            refused += [page.post(name, **body) for name in _BUTTONS]
            shapes |= {(answer.status_code, answer.content) for answer in refused}
        assert shapes == {(404, b'{"ok": false, "error": "not_found"}')}
        marks = {mark for answer in answers for mark in re.findall(r"owner\d\dx", answer.content.decode())}
        assert marks == {f"owner{number:02d}x"}
    assert list(Change.objects.order_by("pk").values_list("pk", "state", "actor")) == before
    assert list(Flow.objects.order_by("pk").values_list("pk", "enabled")) == flows


def test_no_portal_finds_any_record_or_integration_of_any_other() -> None:
    portals = _world()
    nobody = json.dumps(summary(CardCaller(portals[0].crm, "1", "a@b.example", "company", "404")) | {"updatedAt": ""})
    nobodys = nobody.replace("owner00x", "mine").replace(portals[0].integration.name, "mine")
    for number, portal in list(enumerate(portals))[::STEP]:
        own = f"owner{number:02d}x"
        for other, stranger in enumerate(portals):
            caller = CardCaller(portal.crm, "1", "a@b.example", "company", f"9{other:02d}")
            card = json.dumps(summary(caller) | {"updatedAt": ""})
            if other == number:
                assert f"extra {own}" in card
                continue
            # The same card, to the letter, as for a record that nobody has.
            assert card.replace(own, "mine") == nobodys
            if other == 0 or number == 0:
                assert chosen(places(caller), stranger.integration.pk) is None


_BUTTONS = ("look", "refresh", "create", "repair", "credit_and_new")


def test_a_portal_signed_for_another_account_gets_that_accounts_records_only() -> None:
    first, second = Portal(), Portal()
    make_link(first.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="first")
    answer = second.post("summary", {**record_body("deal", "501"), "portalId": first.crm.remote_id})
    assert "first" not in answer.content.decode() and answer.json()["state"] == "unlinked"


# --- SEC-12: no cookies, and what is bound stays bound ------------------------------------------------------------


def _card_addresses() -> list[str]:
    names = ("state", *_BUTTONS)
    return [f"/cards/api/{name}" for name in names] + ["/cards/session"] + [
        f"/cards/hubspot/{name}" for name in ("summary", "open", "settings", "toggle")
    ]  # fmt: skip


def test_cookies_alone_open_nothing_and_none_are_set() -> None:
    portal = Portal()
    planned(portal.deals)
    browser = Client()
    browser.force_login(make_superuser())
    body = json.dumps({**record_body("deal", "501"), "integration": str(portal.integration.pk), "expected": "f" * 64})
    for address in _card_addresses():
        for method in (browser.get, browser.post):
            answer = method(address, *((body,) if method == browser.post else ()), content_type="application/json")
            assert answer.status_code in (400, 401, 405, 410), (address, answer.status_code)
            assert not answer.cookies, address
    assert Change.objects.get().state == State.PLANNED and not CardTicket.objects.exists()


def test_the_page_of_a_signed_in_person_touches_no_session() -> None:
    portal = Portal()
    planned(portal.deals)
    page = portal.open()
    page.client.force_login(make_superuser())
    answer = page.post("create", expected=page.state["fingerprint"])
    assert answer.json()["outcome"]["status"] == "queued" and not answer.cookies
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert Change.objects.get().approved_by is None  # the cookie's person had no part in it


def test_a_bearer_is_for_one_record_of_one_account() -> None:
    portal, stranger = Portal(), Portal()
    planned(portal.deals, "501")
    mine = portal.open(record="501")
    theirs = planned(stranger.deals, "501")
    other = planned(portal.deals, "502")
    answer = mine.post(
        "create", expected="f" * 64, objectId="502", record_id="502", account=str(stranger.crm.pk), change=other.pk
    )
    assert answer.status_code == 200
    states = dict(Change.objects.values_list("pk", "state"))
    assert (states[other.pk], states[theirs.pk]) == (State.PLANNED, State.PLANNED)
    assert Change.objects.get(flow=portal.deals, source_id="501").state == State.QUEUED


# --- SEC-13: who may frame what -----------------------------------------------------------------------------------


def test_only_the_card_page_may_be_framed_and_only_by_its_host(settings: Any) -> None:
    settings.EXTRA_FRAME_ANCESTORS = ["http://sandbox.localhost:9400"]
    browser = Client(raise_request_exception=False)
    browser.force_login(make_superuser())
    framed = {}
    for address, _view in _addresses():
        answer = browser.get(address)
        policy = str(answer.headers.get("Content-Security-Policy", ""))
        found = re.search(r"frame-ancestors ([^;]*)", policy)
        assert found, address
        framed[address] = (found.group(1), answer.headers.get("X-Frame-Options"))
    page = framed.pop("/cards/hubspot/page")
    assert page == (" ".join((*FRAME_ANCESTORS, "http://sandbox.localhost:9400")), None)
    assert set(framed.values()) == {("'none'", "DENY")} and len(framed) > 50


def test_the_pages_headers() -> None:
    answer = Client().get("/cards/hubspot/page?t=x")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";") if part)
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'none'",
        "connect-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": " ".join(FRAME_ANCESTORS),
    }
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Frame-Options" not in answer.headers and not answer.cookies
    assert not re.search(rb"<script(?! type=\"module\" src=)|style=|onclick=", answer.content)


# --- SEC-14: whatever changes something is guarded ----------------------------------------------------------------


def _addresses() -> Iterator[tuple[str, Any]]:
    """Every address of the product, filled in, with its view."""
    for route, view in _walk(get_resolver().url_patterns, ""):
        yield "/" + route, view


def _walk(patterns: Any, before: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = before + _filled(pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.callback


_SAMPLES = {"int": "1", "uuid": "00000000-0000-4000-8000-000000000000", "slug": "hubspot", "str": "1", "path": "1"}


def _filled(pattern: Any) -> str:
    route = getattr(pattern.pattern, "_route", None)
    if route is None:  # a regular expression: Django's own catch-all
        return "nothing-is-here"
    return re.sub(r"<(?:(\w+):)?\w+>", lambda match: _SAMPLES[match.group(1) or "str"], str(route))


def test_every_unsafe_view_is_csrf_protected_or_signed() -> None:
    assert "django.middleware.csrf.CsrfViewMiddleware" in django_settings.MIDDLEWARE
    exempt = {}
    for address, view in _addresses():
        if getattr(view, "csrf_exempt", False):
            exempt[address] = getattr(view, "signed_by", "") or ("bearer" if getattr(view, "bearer", False) else "")
    assert [address for address, guard in exempt.items() if not guard] == []
    assert {address for address in exempt if address.startswith("/cards/")} == set(_card_addresses())


def test_a_view_that_is_exempt_without_a_reason_would_be_found() -> None:
    """The walker sees through decorators: the flag that Django reads is the one that is looked at."""
    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.http import require_POST

    view = require_POST(csrf_exempt(lambda request: None))
    assert view.csrf_exempt and not hasattr(view, "signed_by")
