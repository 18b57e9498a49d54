"""Canvas: only what the org signed is read, once, and only for a person who may see the record (SEC-10, SEC-15)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import responses
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from integrations import inbox
from integrations.cards import posting_hosts
from integrations.fields import conceal
from integrations.inbox_models import RefusedCall, SeenRequest
from integrations.models import ConnectedAccount, CustomSource
from integrations.salesforce import canvas, card
from sync.cards import tickets
from sync.models import CardTicket
from tests.factories import make_account

SECRET = "EXAMPLE_CONSUMER_SECRET_0123456789"
VECTOR = Path(__file__).parent / "payloads" / "canvas_signed_request.txt"
ORG, USER, RECORD = "00DFx0000004Sx1MAE", "005Fx00000PpQqRIAV", "001Fx00000AbCdEIAV"
TOKEN = "00DFx0000004Sx1!AQEAQEXAMPLEACCESSTOKEN.not.a.real.token"
API = "https://nordkraft.my.salesforce.com"
Open = Callable[..., Any]


def content(**changes: Any) -> dict[str, Any]:
    """What an envelope holds; `user`, `environment` and `organization` replace those parts of the context."""
    context: dict[str, Any] = {
        "user": {"userId": USER, "email": "anna@nordkraft.example", "language": "sv", "locale": "sv_SE"},
        "organization": {"organizationId": ORG},
        "environment": {"parameters": {}, "record": {"attributes": {"type": "Account"}, "Id": RECORD}},
    }
    context |= {name: changes.pop(name) for name in tuple(changes) if name in context}
    client = {"oauthToken": TOKEN, "refreshToken": None, "instanceUrl": "https://evil.example"}
    return {"context": context, "client": client, "algorithm": "HMACSHA256", "userId": USER, "issuedAt": None} | changes


def signed(what: Any = None, secret: str = SECRET, *, url_safe: bool = False, padded: bool = True) -> str:
    """A signed request."""
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    raw = what if isinstance(what, bytes) else json.dumps(content() if what is None else what).encode()
    envelope = encode(raw).decode()
    envelope = envelope if padded else envelope.rstrip("=")
    signature = encode(hmac.new(secret.encode(), envelope.encode(), hashlib.sha256).digest()).decode()
    return f"{signature if padded else signature.rstrip('=')}.{envelope}"


def record(**changes: Any) -> dict[str, Any]:
    """An envelope of another record."""
    kind, key = changes.pop("kind", "Account"), changes.pop("key", RECORD)
    return content(environment={"record": {"attributes": {"type": kind}, "Id": key}, **changes})


@pytest.fixture
def account(db: None) -> ConnectedAccount:
    """An org with an app of its own."""
    made = make_account(system="salesforce", remote_id=ORG, api_url=API, client_id="3MVG9key")
    conceal(made, "client_secret", SECRET)
    made.save()
    return made


@pytest.fixture
def vendor() -> Any:
    """The org's API; nothing may be called that a test does not name."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def shows(vendor: responses.RequestsMock) -> Callable[..., None]:
    """What the person's token is answered when it opens a record."""

    def answer(status: int = 200, kind: str = "Account", key: str = RECORD, body: Any = None) -> None:
        found = {"attributes": {"type": kind}, "Id": key} if body is None else body
        vendor.get(f"{API}/services/data/v67.0/sobjects/{kind}/{key}", json=found, status=status)

    return answer


@pytest.fixture
def open_(account: ConnectedAccount, settings: Any) -> Open:
    """Post into the frame, as a page of the org does."""
    settings.EXTRA_ALLOWED_HOSTS = []

    def post(given: str | None, *, to: str = "") -> Any:
        return post_form(f"/canvas/{to or account.pk}/", {} if given is None else {"signed_request": given})

    return post


def post_form(address: str, form: dict[str, Any]) -> Any:
    """As a browser posts a form from a page of the org."""
    client = Client(enforce_csrf_checks=True)
    return client.post(address, urlencode(form, doseq=True), content_type=card.FORM, headers={"Origin": API})


def reasons() -> dict[str, int]:
    """What was refused, by reason."""
    return dict(RefusedCall.objects.values_list("reason", "count"))


def text(answer: Any) -> str:
    """The page."""
    return str(answer.content.decode())


# --- The signature ----------------------------------------------------------------------------------------------


def test_a_whole_request_as_an_org_sends_it(account: ConnectedAccount) -> None:
    given = VECTOR.read_text().strip()
    looking = canvas.read(canvas.verify(given, SECRET), account)
    assert (looking.user_id, looking.email, looking.locale) == (USER, "anna@nordkraft.example", "sv")
    assert (looking.remote, looking.record_id, looking.token) == ("Account", RECORD, TOKEN)


@pytest.mark.parametrize("url_safe", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_both_alphabets_are_read_with_and_without_padding(url_safe: bool, padded: bool) -> None:
    for number in range(40):  # every length, and both of the letters in which the alphabets differ
        what = content(noise="ÿþ?>" * number + "x" * (number % 3))
        assert canvas.verify(signed(what, url_safe=url_safe, padded=padded), SECRET) == what


def test_ten_thousand_mutations_and_none_is_accepted() -> None:
    dice, good = random.Random(7), signed()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=. "
    dot = good.index(".")
    accepted = 0
    for _number in range(10_000):
        at = dice.randrange(len(good))
        kind = dice.randrange(3)
        broken = good[:at] + ("" if kind == 0 else dice.choice(letters)) + good[at + (kind != 1) :]
        try:
            canvas.verify(broken, SECRET)
        except canvas.NotSigned:
            continue
        accepted += broken not in (good, good[:dot].rstrip("=") + good[dot:])  # without padding it is the same
    assert accepted == 0


@pytest.mark.parametrize(
    ("given", "secret", "reason"),
    [
        (signed(), "", "no_secret"),
        (signed(), "another", "mismatch"),
        ("", SECRET, "malformed"),
        (".", SECRET, "malformed"),
        ("abc", SECRET, "malformed"),
        (signed() + "é", SECRET, "malformed"),
        (signed().partition(".")[2], SECRET, "malformed"),
        (signed(b"\xff\xfe"), SECRET, "malformed"),
        (signed(b"[" * 50_000), SECRET, "malformed"),
        (signed([]), SECRET, "algorithm"),
        (signed(content(algorithm="none")), SECRET, "algorithm"),
        (signed(content(algorithm="HMACSHA1")), SECRET, "algorithm"),
        (signed(content(algorithm=None)), SECRET, "algorithm"),
    ],
)
def test_what_the_org_did_not_sign_is_refused(given: str, secret: str, reason: str) -> None:
    with pytest.raises(canvas.NotSigned, match=reason):
        canvas.verify(given, secret)


def test_nothing_is_decoded_before_the_signature_was_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas.json, "loads", lambda *args: pytest.fail("it was decoded"))
    with pytest.raises(canvas.NotSigned):
        canvas.verify(signed(secret="another"), SECRET)


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9+/_=-]{0,60}\.[A-Za-z0-9+/_=-]{0,60}", fullmatch=True))
def test_whatever_comes_is_not_signed(given: str) -> None:
    with pytest.raises(canvas.NotSigned):
        canvas.verify(given, SECRET)


# --- What opens the page ----------------------------------------------------------------------------------------


def test_a_signed_request_opens_the_page_with_a_ticket(open_: Open, shows: Any, account: ConnectedAccount) -> None:
    shows()
    answer = open_(signed())
    assert answer.status_code == 200 and not answer.cookies
    assert '<html lang="sv" data-host="salesforce">' in text(answer)
    ticket = text(answer).partition('data-ticket="')[2].partition('"')[0]
    caller = tickets.consume(ticket)
    assert (caller.account.pk, caller.user_id, caller.user_email) == (account.pk, USER, "anna@nordkraft.example")
    assert (caller.object, caller.record_id, caller.locale) == ("account", RECORD, "sv")
    with pytest.raises(tickets.NotValid):
        tickets.consume(ticket)


def test_the_persons_token_goes_to_the_known_address_and_is_kept_nowhere(
    open_: Open, shows: Any, vendor: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    shows()
    with caplog.at_level(logging.DEBUG), CaptureQueriesContext(connection) as queries:
        open_(signed(content(client={"oauthToken": TOKEN, "refreshToken": "5Aep861REFRESH"})))
    assert vendor.calls[0].request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert len(vendor.calls) == 1
    kept = " ".join(query["sql"] for query in queries) + caplog.text
    assert TOKEN not in kept and "REFRESH" not in kept


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"record": {"attributes": {"type": "Opportunity"}, "Id": "006Fx00000QrStU"}}, ("opportunity", "Opportunity")),
        ({"record": {"attributes": {"type": "Job__c"}, "Id": "a01Fx00000QrStU"}}, ("job", "Job__c")),
        ({"record": {}, "parameters": {"recordId": "006Fx00000QrStU"}}, ("opportunity", "Opportunity")),
        ({"parameters": {"recordId": "a01Fx00000QrStU", "object": "Job__c"}}, ("job", "Job__c")),
        ({"record": {"attributes": {"type": "Case"}, "Id": "500Fx00000QrStU"}}, ("Case", "Case")),
    ],
)
def test_the_record_is_the_pages_own_or_what_the_page_passes_on(
    open_: Open, vendor: responses.RequestsMock, account: ConnectedAccount, environment: Any, expected: tuple[str, str]
) -> None:
    CustomSource.objects.create(account=account, name="job", label="Job", remote_object="Job__c")
    given = environment.get("record", {}).get("Id") or environment["parameters"]["recordId"]
    full = canvas.ids.to18(given)
    vendor.get(f"{API}/services/data/v67.0/sobjects/{expected[1]}/{full}", json={"Id": full})
    assert open_(signed(content(environment=environment))).status_code == 200
    assert CardTicket.objects.values_list("object", "record_id").get() == (expected[0], full)


def test_the_language_is_that_of_the_persons_pages(open_: Open, shows: Any) -> None:
    shows()
    for number, (language, locale, expected) in enumerate(
        [("en_US", "sv_SE", "en"), ("sv", "en_US", "sv"), (None, "sv_SE", "sv"), ("fr", "fr_FR", "en"), (7, 8, "en")]
    ):
        user = {"userId": USER, "email": None, "language": language, "locale": locale}
        assert f'<html lang="{expected}"' in text(open_(signed(content(user=user, number=number))))


# --- What is refused --------------------------------------------------------------------------------------------


def test_a_repeated_request_is_refused_with_a_page_that_helps(open_: Open, shows: Any) -> None:
    shows()
    given = signed(content(user={"userId": USER, "language": "en_US"}))
    first, second = open_(given), open_(given)
    assert (first.status_code, second.status_code) == (200, 409)
    assert "opened already" in text(second) and "data-ticket" not in text(second)
    assert CardTicket.objects.count() == 1 and reasons() == {"repeated": 1}


def test_a_request_of_another_kind_is_remembered_apart(open_: Open, shows: Any, account: ConnectedAccount) -> None:
    shows()
    given = signed()
    assert inbox.first_time("toggle", given.partition(".")[2])
    assert inbox.first_time("canvas", str(account.pk))
    assert [open_(given).status_code, open_(given).status_code] == [200, 409]


def test_another_spelling_of_the_signature_is_a_repetition_too(open_: Open, shows: Any) -> None:
    shows()
    given = signed()
    signature, _dot, envelope = given.partition(".")
    spelled = signature.translate(str.maketrans("+/", "-_")).rstrip("=")
    assert spelled != signature
    assert open_(given).status_code == 200
    assert open_(f"{spelled}.{envelope}").status_code == 409


def test_what_was_seen_is_forgotten_after_a_day(open_: Open, shows: Any) -> None:
    shows()
    open_(signed())
    SeenRequest.objects.update(seen_at=timezone.now() - timedelta(hours=23))
    assert open_(signed()).status_code == 409
    SeenRequest.objects.update(seen_at=timezone.now() - timedelta(hours=25))
    open_(signed(content(other=1)))
    assert SeenRequest.objects.count() == 1


@pytest.mark.parametrize(
    ("status", "body", "expected", "said"),
    [
        (404, [{"errorCode": "NOT_FOUND", "message": "x"}], 403, "may not see this record"),
        (403, [{"errorCode": "INSUFFICIENT_ACCESS", "message": "x"}], 403, "may not see this record"),
        (200, {"Id": "001Fx00000AbCdFIAV"}, 403, "may not see this record"),
        (401, [{"errorCode": "INVALID_SESSION_ID", "message": "x"}], 403, "session in Salesforce is over"),
        (403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "x"}], 503, "does not answer"),
        (429, [], 503, "does not answer"),
        (503, [], 503, "does not answer"),
        (302, {}, 403, "may not see this record"),
    ],
)
def test_somebody_who_may_not_see_the_record_sees_no_card(
    open_: Open, shows: Any, status: int, body: Any, expected: int, said: str
) -> None:
    shows(status, body=body)
    answer = open_(signed(content(user={"userId": USER, "language": "en_US"})))
    assert answer.status_code == expected and said in text(answer)
    assert not CardTicket.objects.exists() and RECORD not in text(answer)


def test_an_org_that_cannot_be_reached_shows_no_card(open_: Open, vendor: responses.RequestsMock) -> None:
    answer = open_(signed(content(user={"userId": USER, "language": "en_US"})))  # the mock refuses to connect
    assert answer.status_code == 503 and "does not answer" in text(answer)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (content(organization={"organizationId": "00DFx0000004Sx2MAG"}), "wrong_org"),
        (content(organization={}), "wrong_org"),
        (content(organization=7), "wrong_org"),
        (content(context=None), "wrong_org"),
        (content(user={"userId": "001Fx00000AbCdEIAV"}), "no_user"),
        (content(user={"userId": 5}), "no_user"),
        (content(client={}), "no_token"),
        (content(client={"oauthToken": "a\r\nHost: evil.example"}), "no_token"),
        (content(client={"oauthToken": ""}), "no_token"),
        (content(environment={}), "no_record"),
        (record(key="001Fx/../../query"), "no_record"),
        (record(key=7), "no_record"),
        (record(kind="Account/../x"), "no_record"),
        (record(kind="../query"), "no_record"),
    ],
)
def test_what_is_signed_and_makes_no_sense_is_refused_before_anybody_is_asked(
    open_: Open, vendor: responses.RequestsMock, what: Any, reason: str
) -> None:
    answer = open_(signed(what))
    assert answer.status_code in (400, 403) and reasons() == {reason: 1}
    assert not vendor.calls and not CardTicket.objects.exists()


def test_an_unproven_caller_learns_nothing(open_: Open, account: ConnectedAccount) -> None:
    other = make_account(system="salesforce", remote_id="00DFx0000004Sx2MAG", api_url=API)
    conceal(other, "client_secret", "another")
    other.save()
    bare = make_account(system="salesforce", remote_id=ORG, api_url=API)
    pages = [
        open_(signed(secret="another")),
        open_(signed(), to=str(other.pk)),
        open_(signed(), to=str(bare.pk)),
        open_(signed(), to=str(make_account(system="hubspot").pk)),
        open_(signed(), to="00000000-0000-4000-8000-000000000000"),
    ]
    assert {(answer.status_code, answer.content) for answer in pages} == {(403, pages[0].content)}
    assert not SeenRequest.objects.exists()  # nobody can fill the table without the secret


def test_a_form_that_is_none_is_refused(open_: Open, account: ConnectedAccount) -> None:
    assert open_(None).status_code == 400
    address = f"/canvas/{account.pk}/"
    assert post_form(address, {"signed_request": [signed(), signed()]}).status_code == 400
    assert Client().post(address, {"signed_request": signed()}).status_code == 400  # multipart
    assert Client().post(address, json.dumps({"signed_request": signed()}), "application/json").status_code == 400
    assert open_("x" * 200_000).status_code == 413
    assert Client().put(address).status_code == 405


def test_a_disconnected_org_shows_nothing(open_: Open, account: ConnectedAccount) -> None:
    account.status = ConnectedAccount.Status.DISCONNECTED
    account.save()
    assert open_(signed()).status_code == 403


# --- The frame --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api_url", "expected"),
    [
        (API, ("nordkraft.lightning.force.com", "nordkraft.my.salesforce.com", "nordkraft--c.vf.force.com")),
        (
            "https://nordkraft--full.sandbox.my.salesforce.com",
            (
                "nordkraft--full.sandbox.lightning.force.com",
                "nordkraft--full.sandbox.my.salesforce.com",
                "nordkraft--full--c.sandbox.vf.force.com",
            ),
        ),
        ("https://evil.example", ()),
        ("https://evil.example/x.my.salesforce.com", ()),
    ],
)
def test_only_the_orgs_own_pages_may_frame_the_card(
    account: ConnectedAccount, settings: Any, api_url: str, expected: tuple[str, ...]
) -> None:
    settings.EXTRA_FRAME_ANCESTORS = ["http://localhost:9400"]
    account.api_url = api_url
    account.save()
    ancestors = posting_hosts()["salesforce"].frame_ancestors(account.pk)
    assert ancestors == (*(f"https://{host}" for host in expected), "http://localhost:9400")


def test_the_pages_headers(open_: Open, shows: Any) -> None:
    shows()
    for answer in (open_(signed()), open_(signed())):  # the card, and a refusal
        policy = answer.headers["Content-Security-Policy"]
        assert (
            "frame-ancestors https://nordkraft.lightning.force.com https://nordkraft.my.salesforce.com "
            "https://nordkraft--c.vf.force.com;" in policy + ";"
        )
        assert "script-src 'self'" in policy and "form-action 'none'" in policy
        assert "X-Frame-Options" not in answer.headers and not answer.cookies
        assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    stranger = open_(signed(), to="00000000-0000-4000-8000-000000000000")
    assert "frame-ancestors 'none'" in stranger.headers["Content-Security-Policy"]
    assert stranger.headers["X-Frame-Options"] == "DENY"


# --- Approval ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["_sfdc_canvas_auth", "_sfdc_canvas_authvalue"])
def test_somebody_who_must_approve_the_app_gets_the_orgs_own_link(account: ConnectedAccount, name: str) -> None:
    query = {name: "user_approval_required", "loginUrl": "https://evil.example"}
    answer = Client().get(f"/canvas/{account.pk}/", query, headers={"Accept-Language": "en"})
    link = text(answer).partition('href="https://nordkraft')[2].partition('"')[0]
    assert answer.status_code == 403 and "evil.example" not in text(answer)
    assert link.startswith(".my.salesforce.com/services/oauth2/authorize?response_type=code&amp;client_id=3MVG9key")
    assert 'target="_blank"' in text(answer) and "code_challenge=" in link
    assert "Tillåt" not in text(answer)


def test_the_page_opened_by_hand_says_where_it_belongs(account: ConnectedAccount) -> None:
    answer = Client().get(f"/canvas/{account.pk}/", headers={"Accept-Language": "en"})
    assert answer.status_code == 400 and "Open it from a record" in text(answer)


def test_the_consent_of_a_card_ends_on_a_page_that_can_be_closed(db: None) -> None:
    for query, said in (({"code": "aPrx"}, "Allowed"), ({"error": "access_denied"}, "Not allowed")):
        answer = Client().get("/connect/salesforce/callback", {"state": "card", **query})
        assert answer.status_code == 200 and f"<h1>{said}</h1>" in text(answer)


# --- Facts ------------------------------------------------------------------------------------------------------


def test_facts_come_from_the_fields_of_our_package() -> None:
    values = {"Fortnox_Status__c": "Partly paid", "Fortnox_Total__c": 7, "Fortnox_Currency__c": "SEK"}
    found = card.facts("order", values)
    assert (found.status, found.status_text) == ("partly_paid", "Partly paid")
    assert found.values is not None and (found.values["total"], found.values["currency"]) == (7, "SEK")
    assert card.facts("account", {"Fortnox_Organisation_Number__c": "556036-0793"}).organisation_number == "556036-0793"
