"""A review of the cards' walls: what is signed and what is not, odd input, rights, personal numbers."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings as django_settings
from django.test import Client

from integrations.hubspot.signature import sign
from integrations.models import Membership
from integrations.redaction import redact
from sync.cards import people, tickets, words
from sync.models import CardTicket, Change
from sync.states import Action, State
from tests.factories import make_integration, make_link, make_user
from tests.sync.cards_world import SECRET, Portal, check, planned, record_body, use_secret

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def secret(settings: Any) -> None:
    use_secret(settings)


@pytest.fixture
def portal() -> Portal:
    return Portal()


def as_member(portal: Portal, role: str, permissions: str = "", name: str = "anna") -> Any:
    """The person at the card has a login, with this role in the account's organization."""
    user = make_user(name, organization=portal.crm.organization, permissions=permissions, role=role)
    user.email = portal.email
    user.save()
    return user


# --- The signature: nothing that differs from what was signed --------------------------------------------------------


def signed_settings(portal: Portal, timestamp: str, query: dict[str, str]) -> tuple[str, dict[str, str]]:
    """A signed call of the settings without a body, as it might be seen on the way."""
    path = "/cards/hubspot/settings?" + urlencode(query)
    signature = sign("POST", f"{django_settings.PUBLIC_URL}{path}", b"", timestamp, SECRET)
    return path, {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": timestamp}


def test_no_digit_moves_from_the_address_into_the_timestamp() -> None:
    """Address, body and timestamp are signed as one text: a portal ending in 0 must not become the one without it."""
    portal, other = Portal(portal="5550"), Portal(portal="555", name="the other's")
    now = str(int(time.time() * 1000))
    query = {"userId": "77", "userEmail": portal.email, "appId": "1", "portalId": "5550"}
    path, headers = signed_settings(portal, now, query)
    assert Client().post(path, b"", content_type="application/json", headers=headers).status_code == 200
    moved = headers | {"X-HubSpot-Request-Timestamp": "0" + now}
    answer = Client().post(path[:-1], b"", content_type="application/json", headers=moved)
    assert answer.status_code == 401 and other.crm.name not in answer.content.decode()


@pytest.mark.parametrize("raw", [False, True])
def test_nothing_unsigned_can_be_appended_behind_a_fragment(portal: Portal, raw: bool) -> None:
    now = str(int(time.time() * 1000))
    query = {"portalId": portal.crm.remote_id, "userId": "77", "appId": "1", "userEmail": portal.email}
    path, headers = signed_settings(portal, now, query)
    more = {"RAW_URI": f"{path}#@evil.example"} if raw else {}
    route, _mark, parameters = path.partition("?")
    answer = Client().generic(
        "POST", route, b"", content_type="application/json", headers=headers,
        QUERY_STRING=f"{parameters}#@evil.example", **more,
    )  # fmt: skip
    assert answer.status_code == 401


# --- Odd input: an answer, never a fault -----------------------------------------------------------------------------

ODD: list[Any] = ["\x00", "\ud800", "a\x00b\ud800", [], {}, None, True, 1.5, 10**30, "x" * 5000, "🙂" * 50, "<script>"]


@pytest.mark.parametrize("odd", ODD, ids=[repr(each)[:12] for each in ODD])
def test_odd_values_in_signed_bodies_are_no_fault(portal: Portal, odd: Any) -> None:
    body = record_body("deal", "501")
    for name, value in (("open", {"view": odd}), ("open", {"locale": odd}), ("summary", {"locale": odd}),
                        ("toggle", {"toggle": odd}), ("toggle", {"integration": odd}), ("toggle", {"on": odd}),
                        ("summary", {"objectId": odd}), ("summary", {"objectTypeId": odd})):  # fmt: skip
        answer = portal.post(name, body | value)
        assert answer.status_code in (200, 400, 404), (name, value)
    assert all("\x00" not in row.view + row.locale for row in CardTicket.objects.all())


@pytest.mark.parametrize("odd", ODD, ids=[repr(each)[:12] for each in ODD])
def test_odd_values_of_the_page_are_no_fault(portal: Portal, odd: Any) -> None:
    planned(portal.deals)
    page = portal.open()
    for name in ("look", "refresh", "create", "repair", "credit_and_new"):
        for field in ("integration", "expected", "repair", "value"):
            answer = page.post(name, **{field: odd})
            assert answer.status_code in (200, 400, 404), (name, field)
    answer = Client().post("/cards/session", json.dumps({"ticket": odd, "locale": odd}), content_type="text/plain")
    assert answer.status_code == 410
    assert Change.objects.filter(state=State.QUEUED).count() == 0


@pytest.mark.parametrize("body", [b"[" * 15_000, b'{"a":' * 3_000, b"9" * 15_000, b"\xff\xfe", b"[]", b"null", b'"x"'])
def test_odd_bodies_are_refused(portal: Portal, body: bytes) -> None:
    assert portal.post("summary", raw=body).status_code == 400
    answer = Client().post("/cards/session", body, content_type="application/json")
    assert answer.status_code in (400, 410)


@pytest.mark.parametrize("length", ["9" * 5_000, "-1", "x", "1e3"])
def test_an_absurd_length_is_refused_and_no_fault(portal: Portal, length: str) -> None:
    for address in ("/cards/hubspot/summary", "/cards/session", "/webhooks/hubspot"):
        browser = Client(raise_request_exception=True)
        answer = browser.post(address, b"{}", content_type="application/json", CONTENT_LENGTH=length)
        assert answer.status_code in (400, 401, 410, 413), address


@pytest.mark.parametrize("token", ["", "x", "é" * 40, "a:b:c", ":" * 100, "\x7f", "." + "A" * 200, "x" * 8000])
def test_a_bearer_that_is_none_is_refused_alike(portal: Portal, token: str) -> None:
    answer = Client().get("/cards/api/state", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.content) == (401, b"")


# --- The ticket ------------------------------------------------------------------------------------------------------


def test_a_ticket_does_not_stand_in_a_log_line(portal: Portal) -> None:
    """Development servers and proxies write whole addresses."""
    ticket = portal.ticket()
    assert ticket not in redact(f'"GET /cards/hubspot/page?t={ticket}&l=sv HTTP/1.1" 200 812')
    assert ticket not in redact(f"Not Found: /cards/hubspot/page?l=sv&t={ticket}")


def test_two_windows_cannot_use_one_ticket_and_a_disconnected_account_ends_its_bearers(portal: Portal) -> None:
    ticket = portal.ticket()
    caller = tickets.consume(ticket)
    with pytest.raises(tickets.NotValid, match="used"):
        tickets.consume(ticket)
    bearer = tickets.bearer_for(caller)
    portal.crm.status = portal.crm.Status.DISCONNECTED
    portal.crm.save()
    with pytest.raises(tickets.NotValid, match="account_gone"):
        tickets.caller_of(bearer)


@pytest.mark.parametrize("name", ["summary", "open", "settings", "toggle"])
def test_a_portal_that_was_disconnected_is_shown_nothing_any_more(portal: Portal, name: str) -> None:
    """Who ends the connection ends what the portal sees, also before the app is taken away there."""
    portal.crm.status = portal.crm.Status.DISCONNECTED
    portal.crm.save()
    make_link(portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="4711")
    answer = portal.post(name, record_body("deal", "501") | {"toggle": "deals-to-invoices", "on": True})
    assert (answer.status_code, answer.content) == (403, b"")


def test_a_disconnected_namesake_does_not_take_the_card_from_who_must_reconnect(portal: Portal) -> None:
    Portal(portal=portal.crm.remote_id, status="disconnected")
    portal.crm.status = portal.crm.Status.NEEDS_RECONNECT
    portal.crm.save()
    assert portal.summary()["connected"] is False


# --- Rights ----------------------------------------------------------------------------------------------------------


def locked(portal: Portal) -> None:
    make_link(portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="9")
    planned(
        portal.deals, state=State.REVIEW, action=Action.BLOCKED, error_class="locked", error_code="locked",
        error_message="Booked as A-123.",
    )  # fmt: skip


@pytest.mark.parametrize("role", [Membership.Role.VIEWER, Membership.Role.SUPPORT])
def test_a_right_from_elsewhere_does_not_credit_where_one_only_looks(portal: Portal, role: str) -> None:
    """A role counts in its own organization; in this one they only look."""
    locked(portal)
    user = as_member(portal, role)
    other = make_integration().organization
    Membership.objects.create(organization=other, user=user, role=Membership.Role.CONSULTANT)
    page = portal.open()
    assert [row["id"] for row in page.state["actions"]] == ["refresh"]
    assert page.post("credit_and_new").json()["outcome"]["status"] == "not_allowed"
    assert Change.objects.filter(action=Action.ACT).count() == 0


def test_a_person_who_was_switched_off_or_left_keeps_no_right(portal: Portal) -> None:
    locked(portal)
    user = as_member(portal, Membership.Role.OWNER, "sync.credit_change")
    page = portal.open()
    user.is_active = False
    user.save()
    assert page.post("credit_and_new").json()["outcome"]["status"] == "not_allowed"
    user.is_active = True
    user.save()
    Membership.objects.filter(user=user).delete()
    assert page.post("credit_and_new").json()["outcome"]["status"] == "not_allowed"


def test_a_toggle_needs_the_right_that_the_admins_switch_needs(portal: Portal) -> None:
    as_member(portal, Membership.Role.ACCOUNTANT)
    assert portal.post("settings").json()["mayEdit"] is False


def test_an_empty_email_is_nobody(portal: Portal) -> None:
    user = as_member(portal, Membership.Role.OWNER)
    user.email = portal.email = ""
    user.save()
    assert portal.post("settings").json()["mayEdit"] is False
    caller = tickets.consume(portal.ticket())
    assert people.members(caller) == []


# --- Personal numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    ["8101011234", "810101-1234", "19810101-1234", "198101011234", "810161-1234", "SE810101123401", "SE8101011234-01",
     "810101+1234", "810101 1234", "16810101-1234", "nr 810101-1234"],
)  # fmt: skip
def test_every_spelling_of_a_sole_traders_number_is_masked(number: str) -> None:
    said = words.organisation(number)
    assert "1234" not in said and "•" in said


@pytest.mark.parametrize("number", ["556677-8899", "5566778899", "SE556677889901", "165566778899", "", "ABC", "12"])
def test_a_companys_number_is_shown_as_it_is(number: str) -> None:
    assert words.organisation(number) == number


def test_a_sole_traders_number_is_masked_wherever_the_page_repeats_it(portal: Portal) -> None:
    number = "19810101-1234"
    planned(
        portal.companies, "88", payload={"fields": {}},
        checks=[check("organization_number_known", actual=number),
                check("unique", ok=False, actual=number, message=f"Several have {number}.", remedy="Choose.")],
        diff=[{"field": "OrganisationNumber", "before": None, "after": "810101-1234"},
              {"field": "VATNumber", "before": None, "after": "SE810101123401"}],
    )  # fmt: skip
    page = portal.open("company", "88")
    assert "1234" not in json.dumps(page.get().json(), ensure_ascii=False)


# --- What vendors and people write is text ---------------------------------------------------------------------------


def test_a_links_address_is_a_web_address_or_none(portal: Portal) -> None:
    for url in ("javascript:alert(1)", "data:text/html,x", "  javascript:alert(1)", "//evil.example", "JAVASCRIPT:x"):
        make_link(
            portal.integration, crm_object="deal", crm_id=url[:20], ledger_object="invoice", ledger_id=url[:20],
            ledger_url=url,
        )  # fmt: skip
        place = people_place(portal, url[:20])
        assert place.url == ""


def people_place(portal: Portal, record: str) -> Any:
    from integrations.cards import CardCaller
    from sync.cards.records import places

    return places(CardCaller(portal.crm, "1", "a@b.example", "deal", record))[0]


# --- What a bearer may not be used for -------------------------------------------------------------------------------


def test_a_bearer_is_no_ticket_no_session_and_opens_nothing_else(portal: Portal) -> None:
    page = portal.open()
    for address in ("/admin/", "/admin/sync/change/", "/admin/review/"):
        assert Client().get(address, headers=page.headers).status_code == 302
    answer = Client().post("/cards/session", json.dumps({"ticket": page.bearer}), content_type="application/json")
    assert answer.status_code == 410
    assert portal.post("settings", secret="another", headers=page.headers).status_code == 401


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
def test_nothing_happens_by_any_other_method(portal: Portal, method: str) -> None:
    planned(portal.deals)
    page, before = portal.open(), list(Change.objects.values())
    for name in ("look", "refresh", "create", "repair", "credit_and_new"):
        answer = getattr(page.client, method)(f"/cards/api/{name}?expected={'f' * 64}", headers=page.headers)
        assert answer.status_code == 405
    assert list(Change.objects.values()) == before


def test_a_forged_or_foreign_signing_key_makes_no_bearer(portal: Portal) -> None:
    from django.core import signing

    caller = tickets.consume(portal.ticket())
    claims = [str(caller.account.pk), "77", portal.email, "deal", "501", "en"]
    for token in (
        signing.dumps(claims, key="another key", salt="sync.cards.bearer"),
        signing.dumps(claims, salt="another purpose"),
        signing.dumps(claims),
        signing.dumps(claims[:5], salt="sync.cards.bearer"),
        signing.dumps("text", salt="sync.cards.bearer"),
    ):
        answer = Client().get("/cards/api/state", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, token


def test_a_fault_in_a_guard_lets_nothing_through(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEC-32: whatever a guard raises, the answer is an error and nothing happened."""
    planned(portal.deals)
    as_member(portal, Membership.Role.OWNER, "sync.credit_change")
    page = portal.open()
    before = list(Change.objects.values())
    for target in (
        "sync.cards.access.tickets.caller_of", "sync.cards.api.records.places", "sync.cards.api.summary.why_not",
        "sync.cards.people.members", "integrations.hubspot.card.verify_request", "integrations.hubspot.card._account",
    ):  # fmt: skip
        with monkeypatch.context() as patch:

            def broken(*args: Any, **kwargs: Any) -> Any:
                raise RuntimeError("broken")

            patch.setattr(target, broken)
            page.client.raise_request_exception = portal.client.raise_request_exception = False
            if target.startswith("sync."):
                for name in ("create", "credit_and_new"):
                    assert page.post(name, expected="f" * 64).status_code >= 400, target
            else:
                body = record_body("deal", "501") | {"toggle": "deals-to-invoices", "on": True}
                assert portal.post("toggle", body | {"integration": str(portal.integration.pk)}).status_code >= 400
    assert list(Change.objects.values()) == before
