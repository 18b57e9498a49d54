"""Consent, codes, tokens and scopes."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from werkzeug.test import TestResponse

from sandbox.hubspot.oauth import REQUIRED_SCOPES, code_challenge

from .hubspot_world import MAIN, SECOND, Hub, V, assert_same_shape, payload

URI = "http://localhost:8000/hubspot/oauth/callback"
TOKEN = "/hubspot/oauth/2026-09/token"


def authorize(hub: Hub, path: str = "/oauth/authorize", **changed: str | None) -> tuple[str, TestResponse]:
    given = {"client_id": hub.hubspot.oauth.app.client_id, "redirect_uri": URI, "scope": " ".join(REQUIRED_SCOPES)}
    query = {key: value for key, value in {**given, "state": "s 1", **changed}.items() if value is not None}
    address = f"/hubspot{path}?{urlencode(query)}"
    return address, hub.client.get(address)


def press(hub: Hub, address: str, decision: str = "connect", portal: str = MAIN) -> dict[str, str]:
    answer = hub.client.post(address, data={"decision": decision, "portal": portal})
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(URI + "?")
    return {key: values[0] for key, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def token(hub: Hub, **form: str) -> TestResponse:
    app = hub.hubspot.oauth.app
    return hub.client.post(TOKEN, data={"client_id": app.client_id, "client_secret": app.client_secret, **form})


def exchange(hub: Hub, code: str, **more: str) -> TestResponse:
    return token(hub, **{"grant_type": "authorization_code", "code": code, "redirect_uri": URI, **more})


def connected(hub: Hub, portal: str = MAIN) -> Any:
    address, _ = authorize(hub)
    answer = exchange(hub, press(hub, address, portal=portal)["code"])
    assert answer.status_code == 200
    return answer.get_json()


def assert_refused(answer: TestResponse, status: str) -> None:
    known = {case["body"]["status"]: case for case in payload("oauth_token_errors")["cases"]}
    assert (answer.status_code, answer.get_json()["status"]) == (400, status)
    if status in known and status != "BAD_REFRESH_TOKEN":
        assert answer.get_json() == known[status]["body"]


def test_the_consent_page_offers_every_portal_and_works_without_a_password() -> None:
    _, page = authorize(Hub())
    text = page.get_data(as_text=True)
    assert "Demonstration" in text
    assert re.findall(r'name="portal" value="(\d+)"', text) == [MAIN, SECOND]
    assert 'type="password"' not in text
    assert re.findall(r'value="(connect|deny)"', text) == ["connect", "deny"]


def test_an_address_with_a_portal_preselects_it() -> None:
    _, page = authorize(Hub(), f"/oauth/{SECOND}/authorize")
    assert f'value="{SECOND}" required checked' in page.get_data(as_text=True)


def test_connecting_gives_a_code_and_the_state_back() -> None:
    hub = Hub()
    address, _ = authorize(hub)
    answer = press(hub, address)
    assert answer["state"] == "s 1"
    body = exchange(hub, answer["code"]).get_json()
    assert_same_shape(payload("oauth_token_authorization_code")["response"]["body"], body)
    assert (body["hub_id"], body["expires_in"]) == (int(MAIN), 1800)


def test_the_chosen_portal_is_the_one_connected() -> None:
    hub = Hub(accounts=8)
    granted = connected(hub, SECOND)
    details = hub.ok("GET", f"/account-info/{V}/details", token=granted["access_token"])
    assert details["portalId"] == int(SECOND) == granted["hub_id"]


def test_denying_is_told_to_the_app() -> None:
    hub = Hub()
    address, _ = authorize(hub)
    answer = press(hub, address, "deny")
    assert (answer["error"], answer["state"]) == ("access_denied", "s 1")


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "other"},
        {"redirect_uri": "https://elsewhere.example/callback"},
        {"redirect_uri": None},
        {"scope": "oauth"},
        {"scope": " ".join([*REQUIRED_SCOPES, "tickets"])},
        {"optional_scope": "crm.lists.read"},
        {"code_challenge": "abc", "code_challenge_method": "plain"},
    ],
)
def test_an_install_address_that_differs_from_the_registration_shows_no_buttons(changed: dict[str, str | None]) -> None:
    _, page = authorize(Hub(), **changed)
    assert page.status_code == 400
    assert "<button" not in page.get_data(as_text=True)


def test_registered_addresses_and_optional_scopes_are_settings() -> None:
    hub = Hub()
    uri = "https://app.example.se/hubspot/oauth/callback"
    hub.world.configure({"hubspot_redirect_uris": [uri], "hubspot_optional_scopes": ["tax_rates.read"]})
    address, page = authorize(hub, redirect_uri=uri, optional_scope="tax_rates.read")
    assert page.status_code == 200
    location = hub.client.post(address, data={"decision": "connect", "portal": MAIN}).headers["Location"]
    code = parse_qs(urlsplit(location).query)["code"][0]
    assert "tax_rates.read" in exchange(hub, code, redirect_uri=uri).get_json()["scopes"]


def test_a_code_works_once() -> None:
    hub = Hub()
    address, _ = authorize(hub)
    code = press(hub, address)["code"]
    assert exchange(hub, code).status_code == 200
    assert_refused(exchange(hub, code), "BAD_AUTH_CODE")


def test_a_code_is_short_lived() -> None:
    hub = Hub()
    address, _ = authorize(hub)
    code = press(hub, address)["code"]
    hub.world.clock.advance(600)
    assert_refused(exchange(hub, code), "BAD_AUTH_CODE")


def test_the_exchange_needs_the_same_redirect_address() -> None:
    hub = Hub()
    address, _ = authorize(hub)
    code = press(hub, address)["code"]
    assert_refused(exchange(hub, code, redirect_uri=URI + "/"), "BAD_REDIRECT_URI")


@pytest.mark.parametrize(("verifier", "status"), [("right" * 10, 200), ("wrong" * 10, 400), ("", 400)])
def test_pkce_is_checked_when_used(verifier: str, status: int) -> None:
    hub = Hub()
    challenge = code_challenge("right" * 10)
    address, _ = authorize(hub, code_challenge=challenge, code_challenge_method="S256")
    answer = exchange(hub, press(hub, address)["code"], code_verifier=verifier)
    assert answer.status_code == status
    if status == 400:
        assert_refused(answer, "BAD_CODE_VERIFIER")


def test_a_refresh_gives_a_new_access_token_and_the_same_refresh_token() -> None:
    hub = Hub()
    granted = connected(hub)
    body = token(hub, grant_type="refresh_token", refresh_token=granted["refresh_token"]).get_json()
    assert_same_shape(payload("oauth_token_refresh")["response"]["body"], body)
    assert body["refresh_token"] == granted["refresh_token"]
    assert body["access_token"] != granted["access_token"]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"grant_type": "password"}, "BAD_GRANT_TYPE"),
        ({"client_id": "x"}, "BAD_CLIENT_ID"),
        ({"client_secret": "x", "grant_type": "refresh_token"}, "BAD_CLIENT_SECRET"),
        ({"grant_type": "refresh_token"}, "BAD_REFRESH_TOKEN"),
        ({"grant_type": "refresh_token", "refresh_token": "eu1-0000"}, "BAD_REFRESH_TOKEN"),
        ({"grant_type": "authorization_code"}, "BAD_AUTH_CODE"),
    ],
)
def test_the_token_endpoint_refuses_in_its_own_words(form: dict[str, str], status: str) -> None:
    assert_refused(token(Hub(), **form), status)


def test_dated_paths_do_not_read_credentials_from_the_address() -> None:
    hub = Hub()
    app = hub.hubspot.oauth.app
    query = urlencode({"client_id": app.client_id, "client_secret": app.client_secret, "grant_type": "refresh_token"})
    assert_refused(hub.client.post(f"{TOKEN}?{query}"), "BAD_CLIENT_ID")
    assert_refused(hub.client.post(f"/hubspot/oauth/v1/token?{query}"), "BAD_REFRESH_TOKEN")


@pytest.mark.parametrize("version", ["2026-09", "2026-03", "v3", "v1"])
def test_every_version_of_the_token_path_answers(version: str) -> None:
    hub = Hub()
    granted, app = connected(hub), hub.hubspot.oauth.app
    form = {"client_id": app.client_id, "client_secret": app.client_secret, "grant_type": "refresh_token"}
    answer = hub.client.post(
        f"/hubspot/oauth/{version}/token", data={**form, "refresh_token": granted["refresh_token"]}
    )
    assert answer.status_code == 200


def test_access_tokens_end_after_thirty_minutes() -> None:
    hub = Hub()
    granted = connected(hub)
    hub.world.clock.advance(1790)
    assert hub.call("GET", f"/account-info/{V}/details", token=granted["access_token"]).status_code == 200
    hub.world.clock.advance(20)
    answer = hub.call("GET", f"/account-info/{V}/details", token=granted["access_token"])
    assert (answer.status_code, answer.get_json()["category"]) == (401, "EXPIRED_AUTHENTICATION")


def test_introspection_tells_what_a_token_is_worth() -> None:
    hub = Hub()
    granted, app = connected(hub), hub.hubspot.oauth.app
    form = {"client_id": app.client_id, "client_secret": app.client_secret, "token": granted["access_token"]}
    body = hub.client.post(f"{TOKEN}/introspect", data={**form, "token_type_hint": "access_token"}).get_json()
    assert_same_shape(payload("oauth_introspect")["response"]["body"], body)
    hub.world.clock.advance(1900)
    assert hub.client.post(f"{TOKEN}/introspect", data=form).get_json() == {"active": False}


def test_revoking_ends_the_refresh_token_and_lets_access_tokens_live_out() -> None:
    hub = Hub()
    granted, app = connected(hub), hub.hubspot.oauth.app
    form = {"client_id": app.client_id, "client_secret": app.client_secret, "token": granted["refresh_token"]}
    assert hub.client.post(f"{TOKEN}/revoke", data={**form, "token_type_hint": "refresh_token"}).status_code == 200
    assert_refused(token(hub, grant_type="refresh_token", refresh_token=granted["refresh_token"]), "BAD_REFRESH_TOKEN")
    assert hub.call("GET", f"/account-info/{V}/details", token=granted["access_token"]).status_code == 200


def test_uninstalling_ends_everything_in_that_portal_only() -> None:
    hub = Hub()
    first, second = connected(hub), connected(hub, SECOND)
    answer = hub.call("DELETE", f"/appinstalls/{V}/external-install", token=first["access_token"])
    assert answer.status_code == 204
    refused = token(hub, grant_type="refresh_token", refresh_token=first["refresh_token"])
    known = payload("oauth_token_errors")["cases"][0]
    assert refused.get_json() == known["body"]
    assert hub.call("GET", f"/account-info/{V}/details", token=first["access_token"]).status_code == 401
    assert token(hub, grant_type="refresh_token", refresh_token=second["refresh_token"]).status_code == 200


def test_an_administrator_can_disconnect_from_the_control_interface() -> None:
    hub = Hub()
    granted = connected(hub)
    hub.client.post("/control/disconnect", json={"system": "hubspot", "account": MAIN})
    assert_refused(token(hub, grant_type="refresh_token", refresh_token=granted["refresh_token"]), "BAD_REFRESH_TOKEN")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", f"/crm/objects/{V}/companies", "crm.objects.companies.read"),
        ("POST", f"/crm/objects/{V}/companies", "crm.objects.companies.write"),
        ("POST", f"/crm/objects/{V}/companies/batch/read", "crm.objects.companies.read"),
        ("POST", f"/crm/objects/{V}/companies/search", "crm.objects.companies.read"),
        ("POST", f"/crm/objects/{V}/products", "crm.objects.products.write"),
        ("POST", f"/crm/objects/{V}/products", "e-commerce"),
        ("GET", f"/crm/objects/{V}/line_items", "e-commerce"),
        ("GET", f"/crm/owners/{V}", "crm.objects.owners.read"),
        ("GET", f"/crm/properties/{V}/deals", "crm.schemas.deals.read"),
        ("POST", f"/crm/properties/{V}/products", "e-commerce"),
        ("POST", f"/crm/pipelines/{V}/deals", "crm.schemas.deals.write"),
        ("GET", f"/settings/currencies/{V}/company-currency", "settings.currencies.read"),
        ("GET", f"/tax-rates/{V}/tax-rates", "tax_rates.read"),
        ("POST", f"/crm/associations/{V}/deals/companies/batch/read", "crm.objects.companies.read"),
        ("PUT", f"/crm/objects/{V}/deals/1/associations/default/line_items/2", "e-commerce"),
    ],
)
def test_a_missing_scope_is_a_403_that_names_it(method: str, path: str, scope: str) -> None:
    hub = Hub()
    answer = hub.call(method, path, {} if method != "GET" else None, token=hub.token_without(scope))
    assert (answer.status_code, answer.get_json()["category"]) == (403, "MISSING_SCOPES")
    assert scope in answer.get_json()["errors"][0]["context"]["requiredGranularScopes"]


def test_portals_share_no_records() -> None:
    hub = Hub()
    record_id = hub.create("companies", name="Bara här AB")
    other = hub.hubspot.token(SECOND)[1]
    assert hub.call("GET", f"/crm/objects/{V}/companies/{record_id}", token=other).status_code == 404
