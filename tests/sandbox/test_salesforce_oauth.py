"""Connecting to the Salesforce emulator: every flow, every refusal, and what ends a grant."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.salesforce.oauth import signature

from .salesforce_orgs import CALLBACK, VERIFIER, Orgs, V, error_of

JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture
def orgs() -> Orgs:
    return Orgs(accounts=0)


def test_the_web_server_flow_gives_tokens_that_name_the_orgs_own_host(orgs: Orgs) -> None:
    body = orgs.connect(user=orgs.main.admin)
    assert set(body) == {
        "access_token", "refresh_token", "signature", "scope", "id_token", "instance_url", "id", "token_type",
        "issued_at",
    }  # fmt: skip
    assert body["instance_url"] == "http://localhost/salesforce/my/nordkraft"
    assert body["id"] == f"http://localhost/salesforce/id/{orgs.main.org.id}/{orgs.main.admin}"
    assert body["signature"] == signature(orgs.main.app.client_secret, body["id"], body["issued_at"])
    assert body["access_token"].startswith(orgs.main.org.id[:15] + "!")
    who = orgs.ok("GET", f"/id/{orgs.main.org.id}/{orgs.main.admin}", token=body["access_token"])
    assert who["username"] == "admin@nordkraft.example"
    assert who["urls"]["custom_domain"] == body["instance_url"]
    claims = orgs.ok("GET", "/services/oauth2/userinfo", token=body["access_token"])
    assert claims["organization_id"] == orgs.main.org.id


def test_both_hosts_answer_calls_and_another_orgs_host_does_not(orgs: Orgs) -> None:
    for host in ("", "/my/nordkraft"):
        assert orgs.call("GET", f"{host}{V}/limits").status_code == 200
    refused = orgs.call("GET", f"/my/fjallverk{V}/limits")
    assert refused.status_code == 401
    assert refused.get_json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    assert orgs.call("GET", f"/my/nobody{V}/limits").status_code == 404


def test_a_code_is_worth_one_exchange_within_fifteen_minutes(orgs: Orgs) -> None:
    code = orgs.consent(orgs.authorize_url())["code"]
    assert orgs.exchange(code).status_code == 200
    assert error_of(orgs.exchange(code)) == (400, "invalid_grant", "expired authorization code")
    late = orgs.consent(orgs.authorize_url())["code"]
    orgs.world.clock.advance(901)
    assert error_of(orgs.exchange(late))[1] == "invalid_grant"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "x" * 64}, ("invalid_grant", "invalid code verifier")),
        ({"code_verifier": ""}, ("invalid_grant", "invalid code verifier")),
        ({"redirect_uri": "http://localhost:8000/other"}, ("redirect_uri_mismatch", None)),
        ({"client_secret": "guessed"}, ("invalid_client", "invalid client credentials")),
        ({"client_id": "guessed"}, ("invalid_client_id", "client identifier invalid")),
    ],
)
def test_an_exchange_must_be_right_in_everything(
    orgs: Orgs, changed: dict[str, str], error: tuple[str, str | None]
) -> None:
    status, code, text = error_of(orgs.exchange(orgs.consent(orgs.authorize_url())["code"], **changed))
    assert (status, code) == (400, error[0])
    assert error[1] in (None, text)


def test_deny_and_a_wrong_org_reach_the_callback(orgs: Orgs) -> None:
    denied = orgs.consent(orgs.authorize_url(), decision="deny")
    assert denied == {
        "error": "access_denied",
        "error_description": "end-user denied authorization",
        "state": "s1",
    }
    elsewhere = orgs.consent(orgs.authorize_url(), user=orgs.second.integration)
    assert elsewhere["error"] == "OAUTH_EC_APP_NOT_FOUND"
    orgs.settings(app_installed=False)
    assert orgs.consent(orgs.authorize_url())["error"] == "OAUTH_EC_APP_NOT_FOUND"
    assert orgs.consent(orgs.authorize_url(code_challenge=None))["error"] == "invalid_request"


def test_the_consent_page_offers_people_and_refuses_strange_callbacks(orgs: Orgs) -> None:
    page = orgs.client.get(orgs.authorize_url(login_hint="anna.aberg@nordkraft.example"))
    assert "Allow" in page.text and "erik.lindberg" not in page.text
    assert f'value="{orgs.main.sellers[0]}" required checked' in page.text
    strange = orgs.client.get(orgs.authorize_url(redirect_uri="https://elsewhere.example/"))
    assert (strange.status_code, "redirect_uri_mismatch" in strange.text) == (400, True)
    orgs.settings(callback_urls=["https://elsewhere.example/"])
    assert orgs.client.get(orgs.authorize_url(redirect_uri="https://elsewhere.example/")).status_code == 200
    assert orgs.client.get(orgs.authorize_url(client_id="x")).status_code == 400


def test_without_rotation_a_refresh_token_stays(orgs: Orgs) -> None:
    granted = orgs.connect()
    for _ in range(2):
        refreshed = orgs.refresh(granted["refresh_token"]).get_json()
        assert "refresh_token" not in refreshed
        assert orgs.call("GET", f"{V}/limits", token=refreshed["access_token"]).status_code == 200
    deeds = orgs.world.truth.since(0, object="token")
    assert [deed["action"] for deed in deeds] == ["accepted", "accepted"]


def test_with_rotation_an_old_refresh_token_ends_everything(orgs: Orgs) -> None:
    granted = orgs.connect(orgs.second)
    second = orgs.refresh(granted["refresh_token"], orgs.second).get_json()
    assert second["refresh_token"] != granted["refresh_token"]
    expired = (400, "invalid_grant", "expired access/refresh token")
    assert error_of(orgs.refresh(granted["refresh_token"], orgs.second)) == expired
    assert error_of(orgs.refresh(second["refresh_token"], orgs.second)) == expired
    assert orgs.call("GET", f"{V}/limits", token=second["access_token"]).status_code == 401


def test_a_lost_answer_to_a_refresh_has_rotated_all_the_same(orgs: Orgs) -> None:
    granted = orgs.connect(orgs.second)
    orgs.world.faults.load({"lost_refresh": 1.0})
    with pytest.raises(ConnectionResetError):
        orgs.refresh(granted["refresh_token"], orgs.second)
    orgs.world.faults.load({})
    assert error_of(orgs.refresh(granted["refresh_token"], orgs.second))[1] == "invalid_grant"
    assert orgs.connect(orgs.second)["refresh_token"] != granted["refresh_token"]


def test_sessions_end_without_use_and_idle_refresh_tokens_too(orgs: Orgs) -> None:
    granted = orgs.connect()
    orgs.world.clock.advance(3600)
    assert orgs.call("GET", f"{V}/limits", token=granted["access_token"]).status_code == 200
    orgs.world.clock.advance(7100)
    assert orgs.call("GET", f"{V}/limits", token=granted["access_token"]).status_code == 200
    orgs.world.clock.advance(7300)
    assert orgs.call("GET", f"{V}/limits", token=granted["access_token"]).status_code == 401
    orgs.settings(idle_ttl_days=30)
    orgs.world.clock.advance(29 * 86_400)
    assert orgs.refresh(granted["refresh_token"]).status_code == 200
    orgs.world.clock.advance(29 * 86_400)
    assert orgs.refresh(granted["refresh_token"]).status_code == 200
    orgs.world.clock.advance(31 * 86_400)
    assert error_of(orgs.refresh(granted["refresh_token"]))[1] == "invalid_grant"


def test_a_sixth_grant_of_one_person_ends_the_first(orgs: Orgs) -> None:
    tokens = [orgs.connect()["refresh_token"] for _ in range(6)]
    assert orgs.refresh(tokens[0]).status_code == 400
    assert orgs.refresh(tokens[1]).status_code == 200


def test_client_credentials_work_on_the_orgs_own_host_alone(orgs: Orgs) -> None:
    form = {"grant_type": "client_credentials", **orgs.app_of()}
    elsewhere = (400, "invalid_grant", "request not supported on this domain")
    assert error_of(orgs.post("/services/oauth2/token", **form)) == elsewhere
    body = orgs.post("/my/nordkraft/services/oauth2/token", **form).get_json()
    assert body["id"].endswith(orgs.main.integration) and "refresh_token" not in body
    key, secret = orgs.app_of().values()
    basic = {"Authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}
    by_header = orgs.client.post(
        "/salesforce/my/nordkraft/services/oauth2/token", data={"grant_type": "client_credentials"}, headers=basic
    )
    assert by_header.status_code == 200
    orgs.settings(run_as="none")
    refused = error_of(orgs.post("/my/nordkraft/services/oauth2/token", **form))
    assert refused == (400, "invalid_grant", "no client credentials user enabled")


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        ({"user_active": False}, ("inactive_user", "user is inactive")),
        ({"ip_restricted": True}, ("invalid_grant", "ip restricted")),
        ({"app_installed": False}, ("invalid_client_id", "External client app is not installed in this org")),
    ],
)
def test_an_administrators_policies_refuse_a_refresh(orgs: Orgs, policy: Any, error: tuple[str, str]) -> None:
    granted = orgs.connect()
    orgs.settings(**policy)
    assert error_of(orgs.refresh(granted["refresh_token"])) == (400, *error)


def test_revoking_a_refresh_token_ends_its_sessions_and_introspection_knows(orgs: Orgs) -> None:
    granted = orgs.connect()
    asked = {"token": granted["access_token"], **orgs.app_of()}
    active = orgs.post("/services/oauth2/introspect", **asked).get_json()
    assert active["active"] and active["username"] == "integration@nordkraft.example"
    assert active["exp"] > active["iat"]
    assert orgs.post("/services/oauth2/revoke", token=granted["refresh_token"]).status_code == 200
    assert orgs.post("/services/oauth2/introspect", **asked).get_json() == {"active": False}
    assert orgs.call("GET", f"{V}/limits", token=granted["access_token"]).status_code == 401
    assert orgs.call("GET", "/services/oauth2/userinfo", token=granted["access_token"]).text == "Bad_OAuth_Token"


def test_disconnecting_ends_every_token_of_the_org(orgs: Orgs) -> None:
    granted = orgs.connect()
    orgs.client.post("/control/disconnect", json={"system": "salesforce", "account": orgs.main.org.id})
    assert orgs.refresh(granted["refresh_token"]).status_code == 400
    assert orgs.call("GET", f"{V}/limits").status_code == 401


# -- JWT bearer


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def assertion(key: rsa.RSAPrivateKey, orgs: Orgs, **changed: Any) -> str:
    claims = {
        "iss": orgs.main.app.client_id,
        "sub": "integration@nordkraft.example",
        "aud": "https://login.salesforce.com",
        "exp": int(time.time()) + 180,
        **changed,
    }
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "RS256"}, claims)]
    signed = b".".join(parts)
    return (signed + b"." + base64.urlsafe_b64encode(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


@pytest.fixture
def certified(orgs: Orgs, key: rsa.RSAPrivateKey) -> Orgs:
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    orgs.settings(certificate=pem.decode())
    return orgs


def test_a_signed_assertion_logs_in_without_a_refresh_token(certified: Orgs, key: rsa.RSAPrivateKey) -> None:
    answer = certified.post("/services/oauth2/token", grant_type=JWT, assertion=assertion(key, certified))
    assert set(answer.get_json()) == {"access_token", "scope", "instance_url", "id", "token_type"}
    assert certified.call("GET", f"{V}/limits", token=answer.get_json()["access_token"]).status_code == 200


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"aud": "https://test.salesforce.com"}, "audience is invalid"),
        ({"exp": 1_700_000_000}, "invalid assertion"),
        ({"exp": 4_000_000_000}, "invalid assertion"),
        ({"sub": "nobody@nordkraft.example"}, "user hasn't approved this consumer"),
    ],
)
def test_an_assertion_must_hold(certified: Orgs, key: rsa.RSAPrivateKey, changed: Any, error: str) -> None:
    answer = certified.post("/services/oauth2/token", grant_type=JWT, assertion=assertion(key, certified, **changed))
    assert error_of(answer) == (400, "invalid_grant", error)


def test_an_assertion_of_another_key_is_refused(certified: Orgs) -> None:
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    answer = certified.post("/services/oauth2/token", grant_type=JWT, assertion=assertion(other, certified))
    assert error_of(answer) == (400, "invalid_grant", "invalid assertion")


# -- versions and the edges of REST


def test_versions_are_listed_to_anybody_and_old_ones_are_gone(orgs: Orgs) -> None:
    versions = orgs.call("GET", "/services/data/", token="")
    assert versions.get_json()[-1] == {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}
    assert "Sforce-Limit-Info" not in versions.headers
    statuses = {v: orgs.call("GET", f"/services/data/{v}/limits").status_code for v in ("v60.0", "latest", "v30.0")}
    assert statuses == {"v60.0": 200, "latest": 200, "v30.0": 410}
    assert orgs.call("GET", "/services/data/v99.0/limits").status_code == 404
    assert "vv67.0" not in orgs.ok("GET", V)["query"]
    assert orgs.call("GET", f"{V}/query/?q={'x' * 16_400}").status_code == 414


def test_every_answer_counts_and_an_exhausted_org_refuses(orgs: Orgs) -> None:
    assert orgs.call("GET", f"{V}/limits").headers["Sforce-Limit-Info"] == "api-usage=1/115000"
    orgs.settings(api_used=10, api_max=11)
    assert orgs.call("GET", f"{V}/nothing").headers["Sforce-Limit-Info"] == "api-usage=11/11"
    refused = orgs.call("GET", f"{V}/limits")
    assert (refused.status_code, refused.get_json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")


def test_sessions_can_be_made_to_fail_in_two_ways(orgs: Orgs) -> None:
    orgs.settings(session_fault="not_for_rest")
    assert "not valid for use with the REST API" in orgs.call("GET", f"{V}/limits").get_json()[0]["message"]
    orgs.settings(session_fault="expired")
    assert orgs.call("GET", f"{V}/limits").get_json()[0]["message"] == "Session expired or invalid"
    orgs.settings(session_fault="")
    assert orgs.call("GET", f"{V}/limits").status_code == 200


def test_unknown_settings_change_nothing(orgs: Orgs) -> None:
    before = orgs.client.get("/control/settings").get_json()["salesforce"]
    for wrong in ({"rotation": True, "rotaton": True}, {"rotation": "yes"}, {"session_fault": "sometimes"}):
        assert orgs.settings(**wrong).status_code == 400
    assert orgs.client.post("/control/settings", json={"salesforce": {"00Dnobody": {}}}).status_code == 400
    assert orgs.client.get("/control/settings").get_json()["salesforce"] == before


def test_sandboxes_log_in_at_the_other_host(orgs: Orgs) -> None:
    orgs.settings(is_sandbox=True)
    assert orgs.query("SELECT IsSandbox FROM Organization")[0]["IsSandbox"] is True
    code = orgs.consent(orgs.authorize_url(host="/test"))["code"]
    assert error_of(orgs.exchange(code))[1] == "invalid_client_id"
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    answer = orgs.post("/test/services/oauth2/token", **form, **orgs.app_of())
    assert answer.get_json()["id"].startswith("http://localhost/salesforce/test/id/00D")
