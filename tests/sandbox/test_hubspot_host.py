"""The host pages call the app as HubSpot's proxy does: signed, bounded, repeated once, and never further."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import Client

from integrations.hubspot.signature import SignatureRefused, verify
from sandbox.hubspot.host_proxy import IN_FLIGHT, LIMIT, WINDOW, Caller, Proxy, signed_headers

from .app_stand_in import AppStandIn, Asked, Reply, answer
from .hubspot_world import MAIN, SECOND, Hub

VECTORS = json.loads(
    (Path(__file__).parents[1] / "integrations" / "payloads" / "hubspot_signature_vectors.json").read_text()
)["vectors"]
BODY = {"objectId": 210458813, "objectTypeId": "0-2", "locale": "sv", "note": "Åäö ”x”"}
UI = f"/hubspot/ui/{MAIN}"


@pytest.fixture
def app() -> Iterator[AppStandIn]:
    with AppStandIn() as running:
        yield running


@pytest.fixture
def hub(app: AppStandIn) -> Hub:
    made = Hub(accounts=6)
    made.world.configure({"app_url": app.url})
    return made


def fetch(hub: Hub, app: AppStandIn, path: str = "/cards/hubspot/summary", **changed: Any) -> tuple[int, Any]:
    """What the card's side of the browser gets for one call."""
    asked = {"url": app.url + path, "method": "POST", "body": BODY, **changed}
    response = Client(hub.client.application).post(f"{UI}/fetch", data=json.dumps(asked))
    return response.status_code, response.get_json()


def check(hub: Hub, app: AppStandIn, asked: Asked) -> None:
    """Raises unless the app's own check of the signature accepts the call."""
    verify(asked.method, app.url + asked.target, asked.body, asked.headers, secret(hub), datetime.now(UTC))


def secret(hub: Hub) -> str:
    return hub.hubspot.oauth.app.client_secret


# --- Who asks, and the proof of it


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["source"][:30])
def test_signatures_are_those_of_the_published_vectors(vector: dict[str, str]) -> None:
    made = signed_headers(
        vector["method"], vector["uri"], vector["body"].encode(), vector["timestamp"], vector["clientSecret"]
    )
    assert made["X-HubSpot-Signature-v3"] == vector["v3"]
    assert (made["X-HubSpot-Signature"], made["X-HubSpot-Signature-Version"]) == (vector["v2"], "v2")
    assert made["X-HubSpot-Request-Timestamp"] == vector["timestamp"]


def test_the_app_can_verify_the_call_and_sees_who_asks(hub: Hub, app: AppStandIn) -> None:
    app.replies = [answer(state="linked")]
    status, envelope = fetch(hub, app)
    assert (status, envelope["status"], envelope["responseBody"]) == (200, "success", {"ok": True, "state": "linked"})
    asked = app.asked[0]
    check(hub, app, asked)
    assert parse_qs(urlsplit(asked.target).query) == {
        "userId": ["9274996"],
        "portalId": [MAIN],
        "userEmail": ["anna.svensson@demobolaget.example"],
        "appId": ["1234567"],
    }
    assert "userEmail=anna.svensson%40demobolaget.example" in asked.target
    assert asked.body == json.dumps(BODY, ensure_ascii=False, separators=(",", ":")).encode()
    assert asked.headers["content-type"] == "application/json"
    assert "Cookie" not in asked.headers


def test_another_person_and_a_query_of_the_cards_own(hub: Hub, app: AppStandIn) -> None:
    asked = {"url": f"{app.url}/cards/x?view=1", "method": "POST", "body": {}}
    hub.client.post(f"{UI}/fetch?user=9274997", data=json.dumps(asked))
    query = parse_qs(urlsplit(app.asked[0].target).query)
    assert (query["view"], query["userId"]) == (["1"], ["9274997"])
    check(hub, app, app.asked[0])


def test_a_tampered_call_is_not_accepted(hub: Hub, app: AppStandIn) -> None:
    fetch(hub, app)
    sent = app.asked[0]
    foreign = Asked(sent.method, sent.target.replace(MAIN, SECOND), sent.headers, sent.body)
    with pytest.raises(SignatureRefused):
        check(hub, app, foreign)


def test_a_get_has_no_body_and_no_content_type(hub: Hub, app: AppStandIn) -> None:
    fetch(hub, app, method="GET")
    assert (app.asked[0].method, app.asked[0].body) == ("GET", b"")
    assert "content-type" not in {name.lower() for name in app.asked[0].headers}
    check(hub, app, app.asked[0])


def test_only_an_authorization_header_may_be_given(hub: Hub, app: AppStandIn) -> None:
    assert fetch(hub, app, headers={"Authorization": "Bearer x"})[0] == 200
    assert app.asked[0].headers["Authorization"] == "Bearer x"
    status, refused = fetch(hub, app, headers={"X-Mine": "1"})
    assert (status, refused["category"]) == (400, "VALIDATION_ERROR")
    assert "Only 'Authorization' header is allowed from hubspot.fetch()" in refused["message"]
    assert len(app.asked) == 1


# --- What can go wrong on the way


def repeated(app: AppStandIn) -> bool:
    """Whether the app got the same call exactly twice, signature and timestamp included."""
    return len(app.asked) == 2 and app.asked[0] == app.asked[1]


@pytest.mark.parametrize("first", [Reply(status=500), Reply(status=503), Reply(drop=True)])
def test_a_failure_is_repeated_once_and_unchanged(hub: Hub, app: AppStandIn, first: Reply) -> None:
    app.replies = [first, answer(second=True)]
    status, envelope = fetch(hub, app)
    assert (status, envelope["responseBody"]) == (200, {"ok": True, "second": True})
    assert repeated(app)


def test_a_second_failure_reaches_the_card_in_hubspots_envelope(hub: Hub, app: AppStandIn) -> None:
    app.replies = [Reply(b'{"detail": "boom"}', status=500)]
    status, envelope = fetch(hub, app)
    url = f"{app.url}/cards/hubspot/summary"
    assert status == 200
    context = envelope.pop("context")
    assert envelope == {
        "status": "error",
        "category": "BAD_GATEWAY",
        "message": "Error returned from Request Uri",
        "responseBody": '{"detail": "boom"}',
        "errors": [{"message": f"Unacceptable HTTP status 500 calling {url}"}],
    }
    assert context.pop("correlationId")
    assert context == {
        "appServerStatusCode": 500,
        "portalId": int(MAIN),
        "httpMethod": "POST",
        "requestUri": url,
    }
    assert repeated(app)


def test_a_broken_connection_twice_ends_there(hub: Hub, app: AppStandIn) -> None:
    app.replies = [Reply(drop=True)]
    status, envelope = fetch(hub, app)
    assert (status, envelope["category"]) == (200, "BAD_GATEWAY")
    assert repeated(app)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 429])
def test_a_refusal_is_not_repeated(hub: Hub, app: AppStandIn, code: int) -> None:
    app.replies = [Reply(status=code)]
    status, envelope = fetch(hub, app)
    assert (status, envelope["category"], envelope["context"]["appServerStatusCode"]) == (200, "BAD_GATEWAY", code)
    assert len(app.asked) == 1


def test_redirects_are_not_followed(hub: Hub, app: AppStandIn) -> None:
    app.replies = [Reply(status=302, headers={"Location": f"{app.url}/login"}), answer()]
    envelope = fetch(hub, app)[1]
    assert envelope["errors"][0]["message"].startswith("Unacceptable HTTP status 302")
    assert [urlsplit(asked.target).path for asked in app.asked] == ["/cards/hubspot/summary"]


def test_the_window_ends_and_the_call_is_not_repeated(hub: Hub, app: AppStandIn) -> None:
    release = threading.Event()
    app.replies = [Reply(wait=release)]
    started = time.monotonic()
    status, envelope = fetch(hub, app, timeout=300)
    release.set()
    assert (status, envelope["category"]) == (504, "GATEWAY_TIMEOUT")
    assert envelope["message"] == "Gateway took too long to respond"
    assert time.monotonic() - started < 60
    assert len(app.asked) == 1


def test_the_card_cannot_ask_for_more_than_the_window(hub: Hub, app: AppStandIn) -> None:
    release = threading.Event()
    app.replies = [Reply(wait=release)]
    assert WINDOW == 15.0
    portal = hub.portal
    proxy = Proxy(secret(hub), 1, time.time, window=0.3)
    asked = {"url": f"{app.url}/x", "method": "POST", "timeout": 60_000}
    assert proxy.fetch(Caller(portal.id, portal.profile.owners[0]), app.url, asked).status == 504
    release.set()


def test_more_than_a_megabyte_is_carried_neither_way(hub: Hub, app: AppStandIn) -> None:
    status, refused = fetch(hub, app, body={"x": "a" * LIMIT})
    assert (status, refused["category"]) == (400, "VALIDATION_ERROR")
    assert not app.asked
    app.replies = [Reply(b'"' + b"a" * LIMIT + b'"')]
    status, envelope = fetch(hub, app)
    assert (status, envelope["category"]) == (200, "BAD_GATEWAY")
    assert len(app.asked) == 1
    app.replies = [Reply(b'"' + b"a" * (LIMIT - 2) + b'"')]
    assert len(fetch(hub, app)[1]["responseBody"]) == LIMIT - 2


def test_an_answer_that_is_not_json_is_refused(hub: Hub, app: AppStandIn) -> None:
    app.replies = [Reply(b"<html>")]
    status, envelope = fetch(hub, app)
    assert (status, envelope["message"]) == (400, "Invalid JSON Response Body")


def test_twenty_calls_at_a_time_then_429(hub: Hub, app: AppStandIn) -> None:
    release = threading.Event()
    app.replies = [Reply(wait=release)]
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        flying = [pool.submit(fetch, hub, app) for _ in range(IN_FLIGHT)]
        deadline = time.monotonic() + 10
        while len(app.asked) < IN_FLIGHT:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        status, envelope = fetch(hub, app)
        release.set()
        assert [future.result()[0] for future in flying] == [200] * IN_FLIGHT
    assert (status, envelope["category"]) == (429, "RATE_LIMITS")
    assert len(app.asked) == IN_FLIGHT
    assert fetch(hub, app)[0] == 200


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x", "https://evil.example/x", "/cards", ""])
def test_only_the_apps_own_origin_is_called(hub: Hub, app: AppStandIn, address: str) -> None:
    status, envelope = fetch(hub, app, url=address)
    assert (status, envelope["category"]) == (400, "VALIDATION_ERROR")
    assert not app.asked


def test_the_app_may_ask_the_sandbox_while_it_answers(hub: Hub, app: AppStandIn) -> None:
    def asks_back(asked: Asked) -> Reply:
        seen = hub.call("GET", "/crm/objects/2026-09/companies?limit=1")
        return answer(status=seen.status_code)

    app.by_path["/cards/hubspot/summary"] = asks_back
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(fetch, hub, app).result(timeout=10)[1]["responseBody"] == {"ok": True, "status": 200}


# --- The pages


def test_a_record_page_shows_the_record_and_where_its_card_asks(hub: Hub, app: AppStandIn) -> None:
    record_id = hub.create("companies", name="Räksmörgås & <b>Co</b>", city="Lund")
    page = hub.client.get(f"{UI}/record/0-2/{record_id}?locale=sv").get_data(as_text=True)
    assert "<title>Demonstration: stand-in for a CRM record page</title>" in page
    assert escape("Räksmörgås & <b>Co</b>") in page and "<b>Co" not in page
    assert "Lund" in page
    assert f"data-object-id='{record_id}'" in page and "data-object-type-id='0-2'" in page
    assert f"data-app-url='{app.url}'" in page and "data-locale='sv'" in page
    again = hub.client.get(f"{UI}/record/0-2/{record_id}/properties").get_data(as_text=True)
    assert "Lund" in again and "<html" not in again


def test_the_list_leads_to_companies_and_deals(hub: Hub) -> None:
    page = hub.client.get(f"{UI}/").get_data(as_text=True)
    assert f"{UI}/record/0-2/" in page and f"{UI}/record/0-3/" in page
    assert f'href="{UI}/"' in hub.client.get("/").get_data(as_text=True)


def test_the_settings_page_and_the_files_it_needs(hub: Hub) -> None:
    assert "data-kind='settings'" in hub.client.get(f"{UI}/settings").get_data(as_text=True)
    for name, kind in (("host.js", "text/javascript"), ("host.css", "text/css")):
        answered = hub.client.get(f"/hubspot/ui/static/{name}")
        assert (answered.status_code, answered.mimetype) == (200, kind)


@pytest.mark.parametrize(
    "path",
    [
        "/hubspot/ui/1/settings",
        f"{UI}/record/0-2/1",
        f"{UI}/record/0-1/37765128953",
        f"{UI}/record/0-2/x",
        f"{UI}/fetch",
        f"{UI}/nothing",
        "/hubspot/ui/static/host.py",
        "/hubspot/ui/static/../host.py",
    ],
)
def test_what_is_not_there_is_not_found(hub: Hub, path: str) -> None:
    assert hub.client.get(path).status_code == 404


def test_records_of_the_other_account_are_not_shown(hub: Hub) -> None:
    record_id = hub.create("companies", name="Only here")
    assert hub.client.get(f"{UI}/record/0-2/{record_id}").status_code == 200
    assert hub.client.get(f"/hubspot/ui/{SECOND}/record/0-2/{record_id}").status_code == 404


def test_the_apps_address_can_be_changed_while_it_runs(hub: Hub) -> None:
    assert hub.client.post("/control/settings", json={"app_url": "http://localhost:8123"}).status_code == 200
    assert "data-app-url='http://localhost:8123'" in hub.client.get(f"{UI}/settings").get_data(as_text=True)
    hub.client.post("/control/reset", json={})
    assert "data-app-url='http://localhost:8123'" in hub.client.get(f"{UI}/settings").get_data(as_text=True)
