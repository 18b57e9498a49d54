"""OAuth: consent, codes, rotation, service accounts, expiry, the rate limit per client and company."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from werkzeug.test import TestResponse

from sandbox.fortnox.emulator import CLIENT_ID, CLIENT_SECRET

from .fortnox_world import Fortnox, assert_same_shape, payload

CALLBACK = "https://app.example.com/fortnox/callback?tenant=7"
STATE = "a b+c/ö=%&"
SECOND = "1018319"


class OAuth(Fortnox):
    """The emulator as a connecting application sees it."""

    def ask(self, **changes: str) -> dict[str, str]:
        """The parameters of an authorization request."""
        asked = {
            "client_id": CLIENT_ID,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "customer invoice",
            "state": STATE,
            "access_type": "offline",
        }
        return asked | changes

    def page(self, **changes: str) -> TestResponse:
        return self.client.get("/fortnox/oauth-v1/auth?" + urlencode(self.ask(**changes)))

    def press(self, decision: str, company: str = "1018318", **changes: str) -> dict[str, str]:
        """Press a button of the consent page; the parameters of the redirect."""
        form = self.ask(**changes) | {"company": company, "decision": decision}
        answer = self.client.post("/fortnox/oauth-v1/auth", data=form)
        assert answer.status_code == 302, answer.text
        return self.returned(answer)

    @staticmethod
    def returned(answer: TestResponse) -> dict[str, str]:
        parts = urlsplit(answer.headers["Location"])
        assert parts.path == "/fortnox/callback"
        values = {name: found[0] for name, found in parse_qs(parts.query).items()}
        assert values.pop("tenant") == "7"
        return values

    def token(self, secret: str = CLIENT_SECRET, tenant: str = "", **form: str) -> TestResponse:
        headers = {"TenantId": tenant} if tenant else {}
        return self.client.post("/fortnox/oauth-v1/token", data=form, auth=(CLIENT_ID, secret), headers=headers)

    def redeem(self, code: str, redirect_uri: str = CALLBACK) -> TestResponse:
        return self.token(grant_type="authorization_code", code=code, redirect_uri=redirect_uri)

    def refresh(self, token: str) -> TestResponse:
        return self.token(grant_type="refresh_token", refresh_token=token)

    def connect(self, **changes: str) -> dict[str, Any]:
        answer = self.redeem(self.press("approve", **changes)["code"]).json
        assert isinstance(answer, dict)
        return answer

    def works(self, access_token: str) -> bool:
        self.access_token = access_token
        answer = self.call("GET", "/customers")
        assert answer.status_code in (200, 401)
        return answer.status_code == 200


def test_fortnox_consent_page_offers_the_companies_and_two_buttons() -> None:
    page = OAuth().page().text
    assert page.count('name="company"') == 2
    assert 'value="approve"' in page
    assert 'value="deny"' in page
    assert "customer, invoice" in page
    assert "password" not in page.lower()


def test_fortnox_approval_returns_code_and_the_exact_state_to_the_exact_address() -> None:
    oauth = OAuth()
    back = oauth.press("approve")
    assert back["state"] == STATE
    answer = oauth.redeem(back["code"])
    expected = payload("token_responses")[0]["response"]
    assert answer.status_code == expected["status"]
    assert_same_shape(expected["body"], answer.json)
    assert answer.json is not None
    assert answer.json["scope"] == "customer invoice"
    assert oauth.works(answer.json["access_token"])


def test_fortnox_denial_returns_an_error_and_the_state() -> None:
    back = OAuth().press("deny")
    assert back["error"] == "access_denied"
    assert back["state"] == STATE
    assert "code" not in back


def test_fortnox_unknown_scope_redirects_with_invalid_scope() -> None:
    answer = OAuth().page(scope="customer Invoice")
    assert OAuth.returned(answer)["error"] == "invalid_scope"


def test_fortnox_unknown_client_or_unregistered_address_shows_a_page_instead_of_redirecting() -> None:
    oauth = OAuth()
    assert oauth.page(client_id="other").status_code == 400
    assert oauth.page(redirect_uri="javascript:alert(1)").status_code == 400
    oauth.world.configure({"redirect_uris": ["https://else.example.com/cb"]})
    assert oauth.page().status_code == 400


def test_fortnox_code_works_once_within_ten_minutes_and_with_its_address() -> None:
    oauth = OAuth()
    code = oauth.press("approve")["code"]
    assert oauth.redeem(code, "https://app.example.com/other").status_code == 400
    assert oauth.redeem(code).status_code == 200
    assert json.loads(oauth.redeem(code).text) == {
        "error": "invalid_grant",
        "error_description": "Invalid authorization code",
    }
    late = oauth.press("approve")["code"]
    oauth.world.clock.advance(601)
    assert oauth.redeem(late).status_code == 400


def test_fortnox_refresh_answers_as_recorded_and_rotates() -> None:
    oauth = OAuth()
    first = oauth.connect()
    answer = oauth.refresh(first["refresh_token"])
    expected = payload("token_refresh_success")["response"]
    assert answer.status_code == 200
    assert_same_shape(expected["body"], answer.json)
    for header in ("Content-Type", "Cache-Control", "Pragma", "Server"):
        assert answer.headers[header] == expected["headers"][header]
    assert answer.json is not None
    assert answer.json["refresh_token"] != first["refresh_token"]
    assert oauth.works(first["access_token"]), "a refresh does not kill a valid access token"


def test_fortnox_reused_refresh_token_is_refused_as_recorded_and_the_new_pair_stays_valid() -> None:
    oauth = OAuth()
    old = oauth.connect()["refresh_token"]
    new = oauth.refresh(old).json
    assert new is not None
    answer = oauth.refresh(old)
    expected = payload("token_responses")[4]["response"]
    assert (answer.status_code, json.loads(answer.text)) == (expected["status"], expected["body"])
    assert answer.headers["Content-Type"] == expected["headers"]["Content-Type"]
    assert oauth.works(new["access_token"])
    assert oauth.refresh(new["refresh_token"]).status_code == 200


def test_fortnox_of_two_simultaneous_refreshes_only_the_last_pair_works() -> None:
    oauth = OAuth()
    authority, token = oauth.emulator.authority, oauth.connect()["refresh_token"]
    now = oauth.world.clock.time()
    one = authority.redeem_refresh(CLIENT_ID, token, now, now)
    two = authority.redeem_refresh(CLIENT_ID, token, now + 0.1, now)
    assert not oauth.works(str(one["access_token"]))
    assert oauth.refresh(str(one["refresh_token"])).status_code == 400
    assert oauth.works(str(two["access_token"]))
    assert oauth.refresh(str(two["refresh_token"])).status_code == 200


def test_fortnox_access_token_lasts_an_hour_and_refresh_token_45_days() -> None:
    oauth = OAuth()
    pair = oauth.connect()
    oauth.world.clock.advance(3595)
    assert oauth.works(pair["access_token"])
    oauth.world.clock.advance(10)
    answer = oauth.call("GET", "/customers")
    expected = payload("token_responses")[6]["response"]
    assert (answer.status_code, answer.json) == (401, expected["body"])
    assert answer.headers["Content-Type"] == "application/json"
    assert "X-Build" not in answer.headers
    oauth.world.clock.advance(44 * 86400)
    pair = oauth.refresh(pair["refresh_token"]).json
    oauth.world.clock.advance(45 * 86400 + 1)
    assert pair is not None
    assert oauth.refresh(pair["refresh_token"]).status_code == 400


def test_fortnox_wrong_secret_is_answered_as_recorded() -> None:
    answer = OAuth().token(secret="wrong", grant_type="refresh_token", refresh_token="x")
    expected = payload("token_responses")[5]["response"]
    assert (answer.status_code, json.loads(answer.text)) == (401, expected["body"])
    assert answer.headers["Content-Type"] == expected["headers"]["Content-Type"]


def test_fortnox_client_credentials_need_a_service_consent_and_give_no_refresh_token() -> None:
    oauth = OAuth()
    oauth.connect()
    assert oauth.token(grant_type="client_credentials", tenant=oauth.account).status_code == 400
    oauth.press("approve", account_type="service")
    answer = oauth.token(grant_type="client_credentials", tenant=oauth.account)
    assert_same_shape(payload("token_responses")[2]["response"]["body"], answer.json)
    assert answer.json is not None
    assert oauth.works(answer.json["access_token"])
    assert oauth.token(grant_type="client_credentials", tenant=SECOND).status_code == 400


def test_fortnox_revoke_ends_the_refresh_token_and_accepts_unknown_ones() -> None:
    oauth = OAuth()
    token = oauth.connect()["refresh_token"]
    for value in (token, "unknown"):
        form = {"token_type_hint": "refresh_token", "token": value}
        answer = oauth.client.post("/fortnox/oauth-v1/revoke", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
        assert (answer.status_code, answer.json) == (200, {"revoked": True})
    assert oauth.refresh(token).status_code == 400


def test_fortnox_disconnecting_in_the_vendors_pages_ends_every_grant() -> None:
    oauth = OAuth()
    pair = oauth.connect(account_type="service")
    body = {"system": "fortnox", "account": oauth.account}
    assert oauth.client.post("/control/disconnect", json=body).status_code == 200
    assert not oauth.works(pair["access_token"])
    assert oauth.refresh(pair["refresh_token"]).status_code == 400
    assert oauth.token(grant_type="client_credentials", tenant=oauth.account).status_code == 400


def test_fortnox_scope_that_was_not_granted_is_refused() -> None:
    oauth = OAuth()
    oauth.access_token = oauth.connect(scope="customer")["access_token"]
    assert oauth.call("GET", "/customers").status_code == 200
    assert oauth.refusal("GET", "/invoices") == (2000663, "Har inte behörighet för scope.")


def test_fortnox_companies_are_separate() -> None:
    oauth = OAuth()
    oauth.customer("1")
    scope = "customer companyinformation"
    oauth.access_token = oauth.connect(company=SECOND, scope=scope)["access_token"]
    assert oauth.numbers("/customers", "Customers", "CustomerNumber") == []
    assert oauth.get("/companyinformation")["CompanyInformation"]["DatabaseNumber"] == int(SECOND)


def test_fortnox_missing_and_unknown_bearers_are_unauthorized() -> None:
    oauth = OAuth()
    for value in ("", "nonsense"):
        assert not oauth.works(value)


def test_fortnox_limit_is_25_requests_in_5_seconds_per_client_and_company() -> None:
    oauth = OAuth(limits=True)
    for _ in range(25):
        assert oauth.call("GET", "/units").status_code == 200
    answer = oauth.call("GET", "/units")
    assert answer.status_code == 429
    assert answer.headers["Content-Type"] == "text/html"
    assert "Retry-After" not in answer.headers
    other = oauth.emulator.token(SECOND)[1]
    headers = {"Authorization": f"Bearer {other}"}
    assert oauth.client.get("/fortnox/3/units", headers=headers).status_code == 200
    oauth.world.clock.advance(5.01)
    assert oauth.call("GET", "/units").status_code == 200


def test_fortnox_limit_counts_all_tokens_of_a_company_and_slides() -> None:
    oauth = OAuth(limits=True)
    for _ in range(20):
        oauth.call("GET", "/units")
    oauth.world.clock.advance(3)
    oauth.access_token = oauth.emulator.token(None)[1]
    statuses = [oauth.call("GET", "/units").status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    oauth.world.clock.advance(2.2)
    statuses = [oauth.call("GET", "/units").status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]


def test_fortnox_limit_can_send_retry_after_and_be_switched_off() -> None:
    oauth = OAuth(limits=True)
    oauth.world.configure({"retry_after": 3})
    answers = [oauth.call("GET", "/units") for _ in range(26)]
    assert answers[-1].headers["Retry-After"] == "3"
    oauth.world.configure({"limits": False})
    assert oauth.call("GET", "/units").status_code == 200


@pytest.mark.parametrize("path", ["/auth?client_id=x", "/nothing"])
def test_fortnox_oauth_errors_are_not_redirects(path: str) -> None:
    assert OAuth().client.get(f"/fortnox/oauth-v1{path}").status_code in (400, 404)
