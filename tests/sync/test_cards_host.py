"""What the host's servers are answered: the card from our own tables, tickets, settings and toggles."""

from __future__ import annotations

import json
import socket
import time
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.inbox_models import RefusedCall
from integrations.models import Integration, Membership
from mappings import presets
from sync.models import CardTicket, Change, Flow, RoutePin, SyncLogEntry
from sync.states import Action, State
from sync.values import dump_all
from tests.factories import make_account, make_integration, make_link, make_user
from tests.sync.cards_world import (
    CardPage,
    Portal,
    blocked,
    check,
    make_flow_from_crm,
    planned,
    record_body,
    use_secret,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(settings: Any) -> Portal:
    use_secret(settings)
    return Portal()


# --- The card ---------------------------------------------------------------------------------------------------


def test_an_unknown_record_offers_the_button(portal: Portal) -> None:
    card = portal.summary()
    assert (card["ok"], card["connected"], card["allowed"], card["kind"]) == (True, True, True, "deal")
    assert (card["state"], card["rows"], card["checklist"]) == ("unlinked", [], None)
    assert card["actions"] == [{"id": "open", "label": "Create as invoice in Fortnox", "primary": True}]
    assert card["company"]["name"] == portal.integration.ledger_account.name


def test_a_linked_deal_shows_number_status_dates_and_balance(portal: Portal) -> None:
    values = {
        "fortnox_status": "Overdue", "fortnox_due_date": date(2026, 11, 3), "fortnox_balance": Decimal("12500.00"),
        "deal_currency_code": "SEK",
    }  # fmt: skip
    make_link(
        portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="1042",
        agreed_crm=dump_all(values), agreed_ledger={"Currency": "SEK"},
    )  # fmt: skip
    card = portal.summary()
    assert (card["state"], card["number"]) == ("linked", "1042")
    assert card["status"] == {"label": "Overdue", "tone": "bad"}
    rows = {row["label"]: row["value"].replace("\u00a0", " ") for row in card["rows"]}
    assert rows == {
        "Invoice number in Fortnox": "1042", "Due date": "3 Nov 2026", "Balance": "12,500.00 SEK",
    }  # fmt: skip
    assert card["actions"][0]["label"] == "Show details"


def test_a_linked_company_shows_its_id_and_organisation_number(portal: Portal) -> None:
    make_link(
        portal.integration,
        crm_id="88",
        ledger_id="1042",
        agreed_crm={"organization_number_from_fortnox": "556677-8899"},
    )
    card = portal.summary("company", "88")
    assert card["rows"] == [
        {"label": "Fortnox ID", "value": "1042"},
        {"label": "Organization number from Fortnox", "value": "556677-8899"},
    ]


def test_a_sole_traders_number_is_masked(portal: Portal) -> None:
    make_link(portal.integration, crm_id="88", ledger_id="1", agreed_ledger={"OrganisationNumber": "19550101-1236"})
    assert portal.summary("company", "88")["rows"][1]["value"] == "550101-••••"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.PLANNED, "unlinked"), (State.QUEUED, "working"), (State.SENDING, "working"),
        (State.UNKNOWN, "verifying"), (State.HELD, "working"), (State.REVIEW, "review"),
    ],
)  # fmt: skip
def test_the_state_of_an_open_change_is_on_the_card(portal: Portal, state: State, expected: str) -> None:
    planned(portal.deals, state=state, error_class="data", error_message="It went wrong.")
    card = portal.summary()
    assert card["state"] == expected
    assert (card.get("message") == "It went wrong.") == (state == State.REVIEW)


def test_conditions_are_counted_and_the_first_cause_is_told_in_the_persons_language(portal: Portal) -> None:
    blocked(portal.deals)
    card = portal.summary(locale="sv-SE")
    assert (card["checklist"]["passed"], card["checklist"]["total"], card["state"]) == (1, 3, "unlinked")
    assert (card["message"], card["remedy"]) == ("ABC-1 is not an article. (sv)", "Create it. (sv)")


def test_a_locked_document_says_so(portal: Portal) -> None:
    make_link(portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="9")
    planned(
        portal.deals, state=State.REVIEW, action=Action.BLOCKED, error_class="locked", error_code="locked",
        error_message="Booked as A-123.",
    )  # fmt: skip
    card = portal.summary()
    assert (card["state"], card["message"], card["number"]) == ("locked", "Booked as A-123.", "9")


def test_a_toggle_that_is_off_and_an_integration_that_observes_say_so(portal: Portal) -> None:
    Flow.objects.filter(pk=portal.deals.pk).update(enabled=False)
    card = portal.summary()
    assert not card["allowed"] and "switched off" in card["allowedReason"]
    assert not card["actions"][0]["primary"]
    Flow.objects.filter(pk=portal.deals.pk).update(enabled=True)
    Integration.objects.filter(pk=portal.integration.pk).update(mode="observe")
    assert "observes" in portal.summary()["allowedReason"]


def test_a_broken_connection_says_so(portal: Portal) -> None:
    ledger = portal.integration.ledger_account
    ledger.status = ledger.Status.NEEDS_RECONNECT
    ledger.save()
    card = portal.summary()
    assert (card["connected"], card["allowed"]) == (False, False)
    assert "broken" in card["message"] and "Sign in again" in card["remedy"]


def test_the_rules_choose_the_company_of_a_record_that_none_has(portal: Portal) -> None:
    other = make_integration(portal.crm.organization, crm=portal.crm)
    flow = make_flow_from_crm(other, "deals-to-invoices", "deal", "invoice")
    card = portal.summary()
    assert card["company"] is None and card["rows"][0]["value"] == "Chosen by the routing rules"
    assert card["actions"] == [{"id": "open", "label": "Check the record", "primary": True}]
    planned(flow)
    assert portal.summary()["company"]["name"] == other.ledger_account.name  # where it was planned
    make_link(portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="77")
    assert portal.summary()["number"] == "77"  # the record says which


def test_a_record_that_no_rule_takes_says_who_can_put_it_right(portal: Portal) -> None:
    make_flow_from_crm(
        make_integration(portal.crm.organization, crm=portal.crm), "deals-to-invoices", "deal", "invoice"
    )
    row = check("company_chosen", ok=False, message="No routing rule matches.", remedy="Ask a consultant.")
    blocked(portal.deals, "501", row)
    Change.objects.update(error_code="no_route", error_class="configuration")
    card = portal.summary()
    assert card["company"] is None and card["rows"][0]["value"] == "No routing rule matches"
    assert (card["message"], card["remedy"]) == ("No routing rule matches.", "Ask a consultant.")
    assert card["actions"][0]["label"] == "See what to do"
    state = portal.open().state
    assert (state["company"], state["heading"], state["phase"]) == ("", "Which company?", "blocked")
    assert not [action for action in state["actions"] if action["id"] == "create" and not action["disabled"]]


def test_a_decision_of_a_person_says_which_company(portal: Portal) -> None:
    other = make_integration(portal.crm.organization, crm=portal.crm)
    make_flow_from_crm(other, "deals-to-invoices", "deal", "invoice")
    planned(portal.deals)
    RoutePin.objects.create(account=portal.crm, object_name="deal", record_id="501", integration=other)
    assert portal.summary()["company"]["name"] == other.ledger_account.name


def test_a_record_that_was_moved_shows_its_new_company(portal: Portal) -> None:
    other = make_integration(portal.crm.organization, crm=portal.crm)
    make_flow_from_crm(other, "deals-to-invoices", "deal", "invoice")
    make_link(
        portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="77",
        frozen_reason="moved: to the other",
    )  # fmt: skip
    RoutePin.objects.create(account=portal.crm, object_name="deal", record_id="501", integration=other)
    card = portal.summary()
    assert card["company"]["name"] == other.ledger_account.name and "number" not in card


def test_a_record_that_several_companies_have_is_chosen_from(portal: Portal) -> None:
    other = make_integration(portal.crm.organization, crm=portal.crm)
    make_flow_from_crm(other, "deals-to-invoices", "deal", "invoice")
    for number, pair in enumerate((portal.integration, other)):
        make_link(pair, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id=f"7{number}")
    card = portal.summary()
    assert [row["label"] for row in card["rows"]] == [
        portal.integration.ledger_account.name, other.ledger_account.name,
    ]  # fmt: skip
    assert card["actions"][0]["label"] == "Choose the company"


def test_an_account_without_such_a_flow_is_told_what_to_do(portal: Portal) -> None:
    Flow.objects.all().delete()
    card = portal.summary()
    assert card["actions"] == [] and "not set up" in card["message"] and card["remedy"]


# --- Its price --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("integrations", [1, 5])
def test_the_card_takes_two_queries_no_remote_call_and_no_time(
    portal: Portal, integrations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [portal.integration]
    for _number in range(integrations - 1):
        pairs.append(make_integration(portal.crm.organization, crm=portal.crm))
        make_flow_from_crm(pairs[-1], "deals-to-invoices", "deal", "invoice")
    for pair in pairs:
        make_link(pair, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id=str(pair.pk))
        planned(pair.flows.get(slug="deals-to-invoices"))
    monkeypatch.setattr(socket.socket, "connect", _no_calls)
    portal.summary()
    started = time.thread_time()
    with CaptureQueriesContext(connection) as captured:
        portal.summary()
    assert len(captured) == 2, [query["sql"] for query in captured]
    assert time.thread_time() - started < 1.2


def _no_calls(*_args: object) -> None:
    raise AssertionError("a card called a remote")


# --- Opening the page -------------------------------------------------------------------------------------------


def test_open_gives_an_address_with_a_ticket_that_is_stored_only_as_a_hash(portal: Portal, settings: Any) -> None:
    answer = portal.post("open", record_body("deal", "501", "sv")).json()
    assert answer["ok"] and answer["width"] and answer["height"]
    assert answer["url"].startswith(f"{settings.PUBLIC_URL}/cards/hubspot/page?t=") and answer["url"].endswith("&l=sv")
    row = CardTicket.objects.get()
    assert row.token_hash not in answer["url"] and len(row.token_hash) == 64
    assert (row.user_id, row.user_email, row.object, row.record_id) == ("77", portal.email, "deal", "501")
    assert timedelta(seconds=55) < row.expires_at - timezone.now() <= timedelta(seconds=60)


def test_a_repeated_open_gives_another_ticket_and_old_ones_are_cleared(portal: Portal) -> None:
    first, second = portal.ticket(), portal.ticket()
    assert first != second
    CardTicket.objects.update(expires_at=timezone.now() - timedelta(days=2))
    portal.ticket()
    assert CardTicket.objects.count() == 1


def test_the_same_request_to_open_gives_the_same_ticket_which_opens_the_page_once(portal: Portal) -> None:
    at, body = str(int(time.time() * 1000)), record_body("deal", "501")
    first, repeated = (portal.post("open", body, timestamp=at).json()["url"] for _twice in range(2))
    assert first == repeated and CardTicket.objects.count() == 1
    assert CardPage(portal, first.partition("?t=")[2].partition("&")[0]).bearer
    again = portal.post("open", body, timestamp=at).json()["url"].partition("?t=")[2].partition("&")[0]
    answer = portal.client.post("/cards/session", {"ticket": again}, content_type="application/json")
    assert (answer.status_code, "bearer" in answer.json()) == (410, False)


def test_a_call_without_a_record_is_told_so(portal: Portal) -> None:
    for name in ("summary", "open"):
        answer = portal.post(name, {})
        assert (answer.status_code, answer.json()["ok"]) == (200, False)


# --- Settings and toggles ---------------------------------------------------------------------------------------


@pytest.fixture
def installed(portal: Portal, settings: Any) -> Portal:
    """All flows of the presets, switched off, and a consultant whose e-mail the portal's user has."""
    from sync.flows import install

    Flow.objects.all().delete()
    install(portal.integration)
    user = make_user("konsult", organization=portal.crm.organization)
    user.email = "Konsult@byra.example"
    user.save()
    portal.email = "konsult@byra.example"
    return portal


def test_the_five_toggles_and_both_accounts_are_listed(installed: Portal) -> None:
    answer = installed.post("settings").json()
    assert [account["system"] for account in answer["accounts"]] == ["hubspot", "fortnox"]
    assert all(account["reconnectUrl"].startswith("http") for account in answer["accounts"])
    toggles = answer["integrations"][0]["toggles"]
    offered = [p.slug for p in presets.available("hubspot", "fortnox") if p.flow.get("toggle")]
    assert len(toggles) == 5 and [toggle["id"] for toggle in toggles] == offered
    assert not any(toggle["on"] for toggle in toggles) and all(toggle["every"] for toggle in toggles)
    assert answer["mayEdit"] is True


def test_a_toggle_is_flipped_once_however_often_it_comes_and_leaves_a_line(installed: Portal) -> None:
    body = {"integration": str(installed.integration.pk), "toggle": "deals-to-invoices", "on": True}
    for _again in range(3):
        answer = installed.post("toggle", body).json()
        on = {row["id"]: row["on"] for row in answer["settings"]["integrations"][0]["toggles"]}
        assert answer["ok"] and on["deals-to-invoices"]
    assert Flow.objects.get(slug="deals-to-invoices").enabled
    lines = SyncLogEntry.objects.filter(event="switched on")
    assert len(lines) == 1 and "konsult@byra.example (HubSpot 77)" in lines[0].message
    assert lines[0].user is not None and lines[0].user.username == "konsult"
    installed.post("toggle", body | {"on": False})
    assert not Flow.objects.get(slug="deals-to-invoices").enabled


def test_a_toggle_that_is_sent_again_does_not_undo_what_was_decided_since(installed: Portal) -> None:
    at = str(int(time.time() * 1000))
    body = {"integration": str(installed.integration.pk), "toggle": "deals-to-invoices", "on": True}
    assert installed.post("toggle", body, timestamp=at).json()["ok"]
    assert installed.post("toggle", body | {"on": False}).json()["ok"]
    answer = installed.post("toggle", body, timestamp=at)  # byte for byte the first request, still within five minutes
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    assert not Flow.objects.get(slug="deals-to-invoices").enabled
    assert SyncLogEntry.objects.filter(event="switched on").count() == 1
    assert installed.post("toggle", body).json()["ok"] and Flow.objects.get(slug="deals-to-invoices").enabled


def test_a_toggle_that_failed_on_our_side_works_when_the_host_repeats_it(
    installed: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = str(int(time.time() * 1000))
    body = {"integration": str(installed.integration.pk), "toggle": "deals-to-invoices", "on": True}
    with monkeypatch.context() as patch:
        patch.setattr("sync.flows.switch_on", Mock(side_effect=DatabaseError("away")))
        with pytest.raises(DatabaseError):
            installed.post("toggle", body, timestamp=at)
    assert installed.post("toggle", body, timestamp=at).json()["ok"]
    assert Flow.objects.get(slug="deals-to-invoices").enabled


@pytest.mark.parametrize("who", ["nobody", "viewer", "inactive", "foreign", "no e-mail"])
def test_others_may_look_and_not_touch(installed: Portal, who: str) -> None:
    user = Membership.objects.get().user
    if who == "nobody":
        installed.email = "someone@kund.example"
    elif who == "viewer":
        Membership.objects.update(role=Membership.Role.VIEWER)
    elif who == "inactive":
        user.is_active = False
        user.save()
    elif who == "foreign":
        Membership.objects.update(organization=make_account().organization)
    else:
        user.email = installed.email = ""
        user.save()
    assert installed.post("settings").json()["mayEdit"] is False
    body = {"integration": str(installed.integration.pk), "toggle": "deals-to-invoices", "on": True}
    answer = installed.post("toggle", body)
    assert (answer.status_code, answer.json()["ok"]) == (200, False)
    assert not Flow.objects.filter(enabled=True).exists() and not SyncLogEntry.objects.exists()


@pytest.mark.parametrize("on", ["yes", 1, None, []])
def test_a_toggle_wants_on_or_off(installed: Portal, on: Any) -> None:
    body = {"integration": str(installed.integration.pk), "toggle": "deals-to-invoices", "on": on}
    assert installed.post("toggle", body).json()["ok"] is False
    assert not Flow.objects.filter(enabled=True).exists()


# --- Refusals ---------------------------------------------------------------------------------------------------

BODY = record_body("deal", "501")


@pytest.mark.parametrize("name", ["summary", "open", "settings", "toggle"])
@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        ({"secret": "another"}, 401, "mismatch"),
        ({"timestamp": "1600000000000"}, 401, "stale"),
        ({"headers": {"X-HubSpot-Signature-v3": ""}}, 401, "no_signature"),
        ({"portal": "999999"}, 403, "unknown_portal"),
        ({"portal": "12ab"}, 400, "bad_portal"),
        ({"user_id": ""}, 400, "bad_user"),
        ({"email": "a b@kund.example"}, 400, "bad_userEmail"),
        ({"raw": b"[]"}, 400, "not_an_object"),
        ({"raw": b"{"}, 400, "not_json"),
        ({"raw": b'{"objectId": "1 or 1=1", "objectTypeId": "0-3"}'}, 400, "bad_record"),
        ({"raw": b'{"objectId": "501", "objectTypeId": "0-1"}'}, 400, "unknown_object"),
        ({"raw": b" " * 20_000}, 413, "too_large"),
    ],
)  # fmt: skip
def test_what_is_not_the_host_gets_an_empty_answer_and_is_counted(
    portal: Portal, name: str, options: dict[str, Any], status: int, reason: str
) -> None:
    answer = portal.post(name, BODY, **options)
    assert (answer.status_code, answer.content, dict(answer.cookies)) == (status, b"", {})
    row = RefusedCall.objects.get()
    assert (row.kind, row.reason, row.source, row.count) == ("card call", reason, "127.0.0.1", 1)
    assert not CardTicket.objects.exists()


def test_a_portal_of_two_organizations_shows_neither(portal: Portal) -> None:
    second = make_account(system="hubspot", remote_id=portal.crm.remote_id)
    assert portal.post("summary", BODY).status_code == 403
    second.status = "disconnected"
    second.save()
    assert portal.post("summary", BODY).status_code == 200


def test_the_identity_must_stand_there_once(portal: Portal) -> None:
    import tests.sync.cards_world as world

    def twice(pairs: dict[str, str]) -> str:
        return f"{world_urlencode(pairs)}&portalId=1"

    world_urlencode, world.urlencode = world.urlencode, twice  # type: ignore[assignment]
    try:
        assert portal.post("summary", BODY).status_code == 400
    finally:
        world.urlencode = world_urlencode


def test_other_methods_and_other_systems_are_not_there(portal: Portal) -> None:
    assert portal.client.get("/cards/hubspot/summary").status_code == 405
    for system in ("fortnox", "nobody"):
        assert portal.client.post(f"/cards/{system}/summary").status_code == 404
        assert portal.client.get(f"/cards/{system}/page").status_code == 404


def test_a_repeated_call_gives_the_same_card(portal: Portal) -> None:
    blocked(portal.deals)
    first, second = (json.dumps({**portal.summary(), "updatedAt": ""}) for _again in range(2))
    assert first == second


def test_a_check_without_a_sentence_does_no_harm(portal: Portal) -> None:
    blocked(portal.deals, "501", check("odd", ok=False))
    assert portal.summary()["checklist"]["total"] == 2
