"""Connecting an org: three ways in, addresses, signatures, the org that is pinned, and everything that is refused."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.utils import timezone

from integrations import oauth, tokens
from integrations.errors import AuthenticationFailed, InvalidData, Misconfigured
from integrations.fields import conceal, reveal
from integrations.hosts import ForbiddenAddress
from integrations.models import AuthorizationAttempt, ConnectedAccount
from integrations.salesforce.address import is_my_domain, login_audience, pages_address, sign_in_address
from integrations.salesforce.certificate import certificate_of, new_key_pair, signed_assertion
from integrations.salesforce.org_facts import learn
from tests.factories import make_account, make_organization
from tests.integrations.consent import Consultant, Remote, age, remote, sandbox_process  # noqa: F401
from tests.integrations.salesforce_app import Org, app_url, connected, row

pytestmark = pytest.mark.django_db(transaction=True)
Grant, Status = ConnectedAccount.Grant, ConnectedAccount.Status

# The vendor's published way of computing it, on an invented secret.
SECRET = "EXAMPLE_CONSUMER_SECRET_0123456789"
IDENTITY = "https://login.salesforce.com/id/00DFx0000004Sx1MAE/005Fx00000PpQqRIAV"
ANSWER = {
    "access_token": "00DFx0000004Sx1!AQEAQ.access",
    "refresh_token": "5Aep861.refresh",
    "signature": "0lvidAGy/9gbX9YoSo+Qqkkrwsc1Awl6MlQ+DZLPNDc=",
    "scope": "refresh_token api",
    "instance_url": "https://nordkraft.my.salesforce.com",
    "id": IDENTITY,
    "token_type": "Bearer",
    "issued_at": "1795168800000",
}


def account_with_app(**fields: Any) -> ConnectedAccount:
    account = make_account(
        system="salesforce",
        remote_id=fields.pop("remote_id", ""),
        status=fields.pop("status", Status.NEW),
        oauth_url="https://nordkraft.my.salesforce.com",
        api_url="https://nordkraft.my.salesforce.com",
        client_id="3MVG9",
        **fields,
    )
    conceal(account, "client_secret", SECRET)
    account.save()
    return account


# --- Addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("nordkraft.my.salesforce.com", "https://nordkraft.my.salesforce.com"),
        ("nordkraft", "https://nordkraft.my.salesforce.com"),
        (" https://Nordkraft.my.salesforce.com/ ", "https://nordkraft.my.salesforce.com"),
        ("https://nordkraft.lightning.force.com/lightning/r/Account/001/view", "https://nordkraft.my.salesforce.com"),
        (
            "https://nordkraft--test.sandbox.lightning.force.com",
            "https://nordkraft--test.sandbox.my.salesforce.com",
        ),
        ("https://nordkraft.my.salesforce-setup.com/lightning/setup", "https://nordkraft.my.salesforce.com"),
        ("nord-dev-ed.develop.my.salesforce.com", "https://nord-dev-ed.develop.my.salesforce.com"),
        ("login.salesforce.com", "https://login.salesforce.com"),
        ("https://test.salesforce.com/", "https://test.salesforce.com"),
    ],
)
def test_any_address_of_an_org_leads_to_its_sign_in(typed: str, address: str) -> None:
    assert sign_in_address(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "https://evil.example",
        "https://nordkraft.my.salesforce.com.evil.example",
        "https://evil.example/.my.salesforce.com",
        "https://nordkraft.my.salesforce.com@evil.example",
        "http://nordkraft.my.salesforce.com",
        "https://nordkraft.my.salesforce.com:8443",
        "https://www.salesforce.com",
        "https://a.b.c.my.salesforce.com",
        "https://127.0.0.1",
        "https://nordkraft.force.com",
        "ftp://nordkraft.my.salesforce.com",
        "https://nordkräft.my.salesforce.com",
        "https://[::1",
        "javascript:alert(1)",
        "https://my.salesforce.com",
    ],
)
def test_nothing_else_is_an_address(typed: str) -> None:
    with pytest.raises(InvalidData):
        sign_in_address(typed)


def test_pages_and_audience_follow_from_the_address() -> None:
    sandbox = "https://nordkraft--test.sandbox.my.salesforce.com"
    assert pages_address(sandbox) == "https://nordkraft--test.sandbox.lightning.force.com"
    assert pages_address("http://localhost:9400/salesforce/my/x") == "http://localhost:9400/salesforce/my/x"
    assert [login_audience(a) for a in (sandbox, "https://test.salesforce.com", "https://x.my.salesforce.com")] == [
        "https://test.salesforce.com",
        "https://test.salesforce.com",
        "https://login.salesforce.com",
    ]
    assert is_my_domain(sandbox)
    assert not is_my_domain("https://login.salesforce.com")


# --- Answers of the token endpoint ------------------------------------------------------------------------------


def test_a_signed_answer_is_read() -> None:
    answer = oauth.parse(account_with_app(), ANSWER)
    assert (answer.remote_id, answer.user_id) == ("00DFx0000004Sx1MAE", "005Fx00000PpQqRIAV")
    assert (answer.api_url, answer.lifetime) == ("https://nordkraft.my.salesforce.com", None)
    assert answer.scopes == ("refresh_token", "api")


@pytest.mark.parametrize(
    "change",
    [
        {"signature": "AAAAAGy/9gbX9YoSo+Qqkkrwsc1Awl6MlQ+DZLPNDc="},
        {"signature": ""},
        {"issued_at": "1795168800001"},
        {"id": IDENTITY.replace("MAE", "MAF")},
        {"issued_at": None},
    ],
)
def test_an_answer_that_was_changed_on_its_way_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        oauth.parse(account_with_app(), ANSWER | change)
    assert refused.value.code == "bad_signature"


def test_a_token_that_is_bound_to_a_key_is_refused() -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        oauth.parse(account_with_app(), ANSWER | {"token_type": "DPoP"})
    assert refused.value.code == "token_type"


@pytest.mark.parametrize(
    "instance",
    ["https://evil.example", "http://nordkraft.my.salesforce.com", "https://x.my.salesforce.com@evil.example", "", "x"],
)
def test_an_api_address_that_is_not_salesforces_is_refused_before_anything_is_sent(instance: str) -> None:
    with responses.RequestsMock(), pytest.raises(ForbiddenAddress):
        oauth.identify(account_with_app(), oauth.parse(account_with_app(), ANSWER | {"instance_url": instance}))


@responses.activate
def test_an_org_without_the_pinned_version_is_refused() -> None:
    account = account_with_app()
    responses.get(f"{ANSWER['instance_url']}/services/data/", json=[{"version": "64.0"}])
    with pytest.raises(Misconfigured) as refused:
        oauth.identify(account, oauth.parse(account, ANSWER))
    assert refused.value.code == "api_version"


@pytest.mark.parametrize("stated", ["00DFx0000004Sx2", "", "nonsense"])
@responses.activate
def test_an_org_that_contradicts_itself_or_says_nothing_is_refused(stated: str) -> None:
    account = account_with_app()
    api = ANSWER["instance_url"]
    responses.get(f"{api}/services/data/", json=[{"version": "67.0"}])
    responses.get(f"{api}/services/oauth2/userinfo", json={"organization_id": stated})
    responses.add_passthru("http://never")
    for path in ("query", "sobjects/CurrencyType/describe", "sobjects/Order/describe", "sobjects/Account/describe"):
        responses.get(f"{api}/services/data/v67.0/{path}", status=500, body="<html>")
    with pytest.raises(AuthenticationFailed) as refused:
        oauth.identify(account, oauth.parse(account, ANSWER))
    assert refused.value.code == "no_identity"


def test_features_that_cannot_be_asked_about_are_left_out() -> None:
    def ask(path: str, params: Any) -> tuple[int, Any]:
        if path == "/query":
            row = {"Id": "00DFx0000004Sx1", "Name": "Nordkraft", "IsSandbox": False, "OrganizationType": "Enterprise"}
            return 200, {"records": [row]}
        if "Account" in path:
            return 200, {"fields": [{"name": "BillingCountryCode"}, {"name": "IsPersonAccount"}, "odd"]}
        return {"/sobjects/Order/describe": 404}.get(path, 0), None

    facts = learn(ask)
    assert facts.org_id == "00DFx0000004Sx1MAE"
    assert facts.details == {
        "is_sandbox": False,
        "edition": "Enterprise",
        "orders": False,
        "person_accounts": True,
        "state_picklists": True,
    }


def test_the_assertion_is_signed_by_the_certificate_that_is_offered() -> None:
    pair = new_key_pair("Ledgerbridge")
    assert "PRIVATE" not in certificate_of(pair)
    text = signed_assertion(pair, client_id="key", username="me@x.example", audience="https://login.salesforce.com")
    signed, _, signature = text.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    key: Any = x509.load_pem_x509_certificate(certificate_of(pair).encode()).public_key()
    key.verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    claims = signed.split(".")[1]
    data = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert (data["iss"], data["sub"], data["aud"]) == ("key", "me@x.example", "https://login.salesforce.com")
    assert 0 < data["exp"] - timezone.now().timestamp() <= 180


# --- Against the sandbox ----------------------------------------------------------------------------------------


def test_a_person_connects_with_pkce_and_secret(remote: Remote) -> None:
    consultant, org = Consultant(remote), Org(remote)
    account = row(consultant)
    answer = consultant.browser.post(app_url(account), org.entered())
    query = parse_qs(urlsplit(answer["Location"]).query)
    assert answer["Location"].startswith(f"{org.address}/services/oauth2/authorize?")
    assert query["code_challenge_method"] == ["S256"]
    assert query["scope"] == ["api refresh_token"]
    back = consultant.arrive(remote.decide(answer["Location"]))
    assert back["Location"].endswith(f"crm={account.pk}")
    account.refresh_from_db()
    assert (account.status, account.remote_id) == (Status.CONNECTED, org.id)
    assert (account.api_url, account.ui_url) == (org.address, org.address)
    assert account.name == "Nordkraft"
    assert account.details["edition"] == "Enterprise Edition"
    assert account.details["orders"] is True
    assert account.details["multi_currency"] is False
    assert account.details["person_accounts"] is False
    assert account.details["currency"] == "SEK"
    assert account.missing_scopes == []
    assert account.access_expires_at
    assert timedelta(minutes=110) < account.access_expires_at - timezone.now() < timedelta(minutes=121)  # introspected
    assert org.client_secret not in account.client_secret


def test_a_service_user_connects_without_a_person(remote: Remote) -> None:
    consultant, org = Consultant(remote), Org(remote)
    account = connected(remote, consultant, org, Grant.CLIENT_CREDENTIALS)
    assert (account.grant, account.refresh_token, account.missing_scopes) == (Grant.CLIENT_CREDENTIALS, "", [])
    assert tokens.access_token(account)
    before = tokens.access_token(account)
    assert tokens.after_unauthorized(account, before) != before


def test_a_service_user_with_a_certificate_connects(remote: Remote) -> None:
    consultant, org = Consultant(remote), Org(remote)
    account = row(consultant)
    url = app_url(account).replace("/app/", "/certificate/")
    certificate = consultant.browser.get(url).content.decode()
    assert certificate == certificate_of(reveal(account, "signing_key"))
    org.decide(certificate=certificate)
    entered = org.entered(Grant.JWT_BEARER, username=username_of(remote, org), client_secret="")
    answer = consultant.browser.post(app_url(account), entered)
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    account.refresh_from_db()
    assert (account.status, account.grant, account.remote_id) == (Status.CONNECTED, Grant.JWT_BEARER, org.id)
    before = tokens.access_token(account)
    assert tokens.after_unauthorized(account, before) != before


def username_of(remote: Remote, org: Org) -> str:
    other = connected(remote, Consultant(remote), org, Grant.CLIENT_CREDENTIALS)
    user = other.details["user_id"]
    return next(str(entry["Username"]) for entry in org.users() if entry["Id"] == user)


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ({"run_as": "none"}, "run-as user"),
        ({"app_installed": False}, "installed"),
        ({"ip_restricted": True}, "IP"),
        ({"user_active": False}, "inactive"),
    ],
)
def test_what_the_org_refuses_is_said_with_its_remedy(remote: Remote, policies: dict[str, Any], words: str) -> None:
    consultant, org = Consultant(remote), Org(remote)
    org.decide(**policies)
    account = row(consultant)
    answer = consultant.browser.post(app_url(account), org.entered(Grant.CLIENT_CREDENTIALS))
    assert answer.status_code == 400
    assert words in answer.content.decode()
    account.refresh_from_db()
    assert (account.status, account.access_token) == (Status.NEW, "")


def test_a_wrong_secret_is_said_and_can_be_replaced(remote: Remote) -> None:
    consultant, org = Consultant(remote), Org(remote)
    account = row(consultant)
    assert consultant.browser.post(app_url(account), org.entered(Grant.CLIENT_CREDENTIALS, client_secret="x" * 30)
                                   ).status_code == 400  # fmt: skip
    page = consultant.browser.get(app_url(account)).content.decode()
    assert "x" * 30 not in page
    assert "Leave empty to keep" in page
    assert consultant.browser.post(app_url(account), org.entered(Grant.CLIENT_CREDENTIALS)).status_code == 302
    assert consultant.browser.post(app_url(account), org.entered(Grant.CLIENT_CREDENTIALS, client_secret="")
                                   ).status_code == 302  # fmt: skip
    account.refresh_from_db()
    assert reveal(account, "client_secret") == org.client_secret


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"address": "https://evil.example"}, "not an address of Salesforce"),
        ({"address": ""}, "Enter the org"),
        ({"place": "production", "grant": Grant.CLIENT_CREDENTIALS}, "own address only"),
        ({"grant": Grant.JWT_BEARER}, "user name is needed"),
        ({"client_secret": ""}, "consumer secret is needed"),
        ({"client_id": ""}, "required"),
        ({"currency": "kronor"}, "valid value"),
    ],
)
def test_the_form_says_what_is_missing(remote: Remote, fields: dict[str, str], words: str) -> None:
    consultant, org = Consultant(remote), Org(remote)
    account = row(consultant)
    answer = consultant.browser.post(app_url(account), org.entered() | fields)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    account.refresh_from_db()
    assert account.client_id == ""


def test_the_general_login_page_is_used_when_chosen(remote: Remote) -> None:
    consultant, org = Consultant(remote), Org(remote)
    account = connected(remote, consultant, org, place="production", address="")
    assert account.oauth_url == remote.vendors["salesforce"]["oauth_url"]
    assert account.api_url == org.address


def test_another_org_is_refused_for_a_pinned_row(remote: Remote) -> None:
    consultant, org, other = Consultant(remote), Org(remote), Org(remote, 1)
    account = connected(remote, consultant, org, Grant.CLIENT_CREDENTIALS)
    before = tokens.access_token(account)
    answer = consultant.browser.post(app_url(account), other.entered(Grant.CLIENT_CREDENTIALS))
    assert answer.status_code == 400
    assert org.id in answer.content.decode()
    leave = consultant.browser.post(app_url(account), other.entered())
    assert consultant.arrive(remote.decide(leave["Location"], account=other.id)).status_code == 400
    account.refresh_from_db()
    assert (account.remote_id, reveal(account, "access_token")) == (org.id, before)
    assert (account.client_id, account.grant) == (org.client_id, Grant.CLIENT_CREDENTIALS)  # and it goes on working
    assert tokens.access_token(age(account, expired=True)) != before


def test_a_new_app_takes_effect_with_the_consent_and_not_before(remote: Remote) -> None:
    consultant, org = Consultant(remote), Org(remote)
    account = connected(remote, consultant, org, Grant.CLIENT_CREDENTIALS)
    account.client_id = "an older app"
    account.save()
    leave = consultant.browser.post(app_url(account), org.entered(currency="eur"))
    account.refresh_from_db()
    assert (account.client_id, account.details["currency"]) == ("an older app", "EUR")
    assert consultant.arrive(remote.decide(leave["Location"], account=org.id)).status_code == 302
    account.refresh_from_db()
    assert (account.client_id, account.grant) == (org.client_id, Grant.CODE)
    assert not AuthorizationAttempt.objects.exclude(app="").exists()
    assert tokens.access_token(age(account))


def test_an_org_that_became_a_sandbox_is_refused() -> None:
    account = account_with_app(remote_id="00DFx0000004Sx1MAE", status=Status.CONNECTED)
    account.details = {"is_sandbox": False}
    account.save()
    identity = oauth.Identity("00DFx0000004Sx1MAE", "Nordkraft", "x", {"is_sandbox": True})
    with pytest.raises(tokens.WrongAccount):
        tokens.store_grant(account, oauth.parse(account, ANSWER), identity=identity)


def test_a_second_connect_of_an_org_finds_its_row_and_brings_the_new_app(remote: Remote) -> None:
    consultant, org = Consultant(remote), Org(remote)
    first = connected(remote, consultant, org, Grant.CLIENT_CREDENTIALS)
    first.client_id = "an older app"
    first.save()
    second = connected(remote, consultant, org)
    assert (second.pk, second.client_id, second.grant) == (first.pk, org.client_id, Grant.CODE)
    assert reveal(second, "client_secret") == org.client_secret
    assert consultant.organization.accounts.filter(system="salesforce").count() == 1


def test_the_secrets_of_an_org_are_only_its_members_business(remote: Remote) -> None:
    mine, stranger = Consultant(remote), Consultant(remote, organization=make_organization())
    account = row(mine)
    for name in ("app", "certificate", "fields", "source"):
        assert stranger.browser.get(app_url(account).replace("/app/", f"/{name}/")).status_code == 404
    assert stranger.browser.post(app_url(account).replace("/app/", "/deploy/")).status_code == 404
    assert mine.browser.get(app_url(account)).status_code == 200


def test_disconnecting_revokes_and_forgets(remote: Remote) -> None:
    consultant, org = Consultant(remote), Org(remote)
    account = connected(remote, consultant, org)
    access, refresh = reveal(account, "access_token"), reveal(account, "refresh_token")
    assert tokens.disconnect(account, consultant.user) is True
    assert (account.status, account.access_token, account.refresh_token) == (Status.DISCONNECTED, "", "")
    with pytest.raises(AuthenticationFailed):
        oauth.refresh(account, refresh)
    assert oauth.expires_at(account, access) is None
