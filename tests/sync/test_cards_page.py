"""The page in the frame: its ticket, its bearer, what it shows in each phase, and what its buttons do."""

from __future__ import annotations

import json
import re
import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings as django_settings
from django.core import signing
from django.db import connection
from django.test import Client
from django.utils import timezone

from integrations.inbox_models import RefusedCall
from sync.models import CardTicket, Change, EntityLink, Flow, Hint
from sync.states import Action, State
from tests.factories import make_integration, make_link, make_user
from tests.sync.cards_world import CardPage, Portal, blocked, check, make_flow_from_crm, planned, use_secret

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def portal(settings: Any) -> Portal:
    use_secret(settings)
    return Portal()


def actions(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The buttons at the foot of the page, by id."""
    return {action["id"]: action for action in state["actions"]}


# --- Ticket and bearer ------------------------------------------------------------------------------------------


def test_the_shell_shows_nothing_and_does_not_use_up_the_ticket(portal: Portal) -> None:
    ticket = portal.ticket()
    shell = Client().get("/cards/hubspot/page", {"t": ticket, "l": "sv"})
    assert shell.status_code == 200 and not shell.cookies
    text = shell.content.decode()
    assert ticket not in text and "501" not in text and '<html lang="sv"' in text
    assert CardTicket.objects.get().used_at is None


def test_a_ticket_opens_the_page_once(portal: Portal) -> None:
    ticket = portal.ticket()
    CardPage(portal, ticket)
    again = Client().post("/cards/session", json.dumps({"ticket": ticket}), content_type="application/json")
    assert again.status_code == 410 and again.json()["remedy"]
    assert RefusedCall.objects.get(kind="card ticket").reason == "used"


def test_of_many_browsers_at_once_one_gets_the_page(portal: Portal) -> None:
    body = json.dumps({"ticket": portal.ticket()})
    gate, answers = threading.Barrier(6), []

    def browser() -> None:
        gate.wait(60)
        answers.append(Client().post("/cards/session", body, content_type="application/json").status_code)
        connection.close()

    threads = [threading.Thread(target=browser) for _each in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [200, 410, 410, 410, 410, 410]


@pytest.mark.parametrize("ticket", ["expired", "unknown", "", None, 7, "x" * 43, "x" * 5000, "å" * 43])
def test_other_tickets_all_get_the_same_answer(portal: Portal, ticket: Any) -> None:
    if ticket == "expired":
        ticket = portal.ticket()
        CardTicket.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif ticket == "unknown":
        ticket = "A" * 43
    body = json.dumps({"ticket": ticket, "locale": "sv"})
    answer = Client().post("/cards/session", body, content_type="application/json")
    assert answer.status_code == 410
    assert answer.json()["error"] == "gone" and "bearer" not in answer.json()


def test_a_body_that_is_none_is_refused(portal: Portal) -> None:
    for raw in ("[]", "{", " " * 20_000):
        answer = Client().post("/cards/session", raw, content_type="application/json")
        assert (answer.status_code, answer.content) == (400, b"")


def test_a_bearer_lasts_fifteen_minutes(portal: Portal) -> None:
    page = portal.open()
    assert page.get().status_code == 200
    with patch("django.core.signing.time.time", return_value=timezone.now().timestamp() + 15 * 60 + 2):
        late = page.get()
    assert (late.status_code, late.content) == (401, b"")


def test_a_bearer_ends_with_its_account(portal: Portal) -> None:
    page = portal.open()
    portal.crm.status = "disconnected"
    portal.crm.save()
    assert page.get().status_code == 401


@pytest.mark.parametrize("change", ["cut", "flip", "foreign salt", "empty"])
def test_a_forged_bearer_is_nothing(portal: Portal, change: str) -> None:
    page = portal.open()
    good = page.bearer
    page.bearer = {
        "cut": good[:-1],
        "flip": good[:5] + ("A" if good[5] != "A" else "B") + good[6:],
        "foreign salt": signing.dumps([str(portal.crm.pk), "77", "a", "deal", "501", "en"], salt="other"),
        "empty": "",
    }[change]
    assert page.get().status_code == 401
    assert page.post("create", expected="x").status_code == 401


# --- What it shows ----------------------------------------------------------------------------------------------


def test_a_new_record_is_looked_at_first(portal: Portal) -> None:
    state = portal.open().state
    assert (state["phase"], state["look"], state["poll"]) == ("none", True, 0)
    assert actions(state)["create"]["disabled"]


def test_looking_asks_the_workers_and_polls(portal: Portal) -> None:
    page = portal.open()
    state = page.post("look", integration=page.state["integration"]).json()
    assert state["phase"] == "looking" and state["poll"] and not state["look"]
    change = Change.objects.get()
    assert (change.state, change.decision, change.actor) == (State.RETRYING, "look", "anna@kund.example (HubSpot 77)")
    page.post("look")
    assert Change.objects.count() == 1


def test_a_record_that_is_left_out_says_why_and_is_not_looked_at_without_end(portal: Portal) -> None:
    why = {"en": "The filter of the flow leaves it out.", "sv": "Flödets filter utelämnar den."}
    left_out = {"action": Action.SKIP, "state": State.SKIPPED, "checks": [], "payload": {}, "reason": why}
    planned(portal.deals, **left_out)
    state = portal.open().state
    assert (state["look"], state["poll"], state["intro"]) == (False, 0, why["en"])
    assert "create" not in actions(state) and not actions(state)["refresh"]["disabled"]
    assert portal.summary()["message"] == why["en"]
    Change.objects.update(updated_at=timezone.now() - timedelta(minutes=2))
    assert portal.open().state["look"]  # what was said long ago is looked at again, once:
    planned(portal.deals, state=State.SUPERSEDED)  # what was said stays on record, only the question is gone
    assert not portal.open().state["look"]


def test_a_plan_without_conditions_is_not_looked_at_without_end(portal: Portal) -> None:
    planned(portal.deals, checks=[])
    state = portal.open().state
    assert (state["phase"], state["look"]) == ("ready", False) and not actions(state)["create"]["disabled"]
    Change.objects.update(decision="")  # a scan's plan, which stores no conditions, is looked at
    assert portal.open().state["look"]


def test_ready_shows_checklist_preview_and_the_button(portal: Portal) -> None:
    planned(portal.deals)
    state = portal.open().state
    assert state["phase"] == "ready" and not state["look"] and state["fingerprint"] == "f" * 64
    assert [item["ok"] for item in state["checklist"]["items"]] == [True, True]
    assert state["checklist"]["items"][0]["actual"] == "Kund AB"
    button = actions(state)["create"]
    assert (button["label"], button["disabled"]) == ("Create as invoice in Fortnox", False)
    preview = state["preview"]
    assert [line["net"].replace("\u00a0", " ") for line in preview["lines"]] == ["8,000.00", "675.00"]
    totals = {row["label"]: row["value"].replace("\u00a0", " ") for row in preview["totals"]}
    assert totals == {
        "Net": "8,675.00 SEK", "VAT": "2,168.75 SEK", "Rounding": "0.25 SEK",
        "To pay": "10,844.00 SEK",
    }  # fmt: skip
    assert preview["compare"]["same"] and preview["compare"]["rows"][2]["tone"] == "ok"
    assert preview["notes"] == ["The description is printed."]


def test_a_difference_from_the_deal_is_shown(portal: Portal) -> None:
    change = planned(portal.deals)
    change.payload["preview"]["promised"] = "9000.00"
    change.save()
    compare = portal.open().state["preview"]["compare"]
    assert not compare["same"]
    assert [row["value"].replace("\u00a0", " ") for row in compare["rows"]] == [
        "9,000.00 SEK", "8,675.00 SEK", "-325.00 SEK",
    ]  # fmt: skip


def test_figures_that_only_the_ledger_knows_are_left_out(portal: Portal) -> None:
    change = planned(portal.deals)
    change.payload["preview"] |= {"vat": None, "rounding": None, "total": None}
    change.save()
    totals = portal.open().state["preview"]["totals"]
    assert [(row["label"], row["value"]) for row in totals][1:] == [("VAT", "set by Fortnox")]


def test_a_sole_traders_number_is_masked_on_the_page_too(portal: Portal) -> None:
    diff = [{"field": "OrganisationNumber", "after": "550101-1236"}, {"field": "Phone1", "after": "0701012366"}]
    rows = [check("organization_number_known", actual="195501011236")]
    planned(portal.companies, "88", checks=rows, diff=diff, payload={})
    state = portal.open("company", "88").state
    assert state["checklist"]["items"][0]["actual"] == "550101-••••"
    assert [row["value"] for row in state["preview"]["fields"]] == ["550101-••••", "0701012366"]


def test_what_is_being_made_for_it_is_waited_for(portal: Portal) -> None:
    blocked(portal.deals, waits_for="companies-to-customers:900")
    assert portal.open().state["poll"] == 0
    waiting = planned(portal.companies, "900", state=State.QUEUED)
    state = portal.open().state
    assert state["poll"] and "being created" in state["intro"]
    assert not any(item["repairs"] for item in state["checklist"]["items"])
    waiting.state = State.APPLIED
    waiting.save()
    assert portal.open().state["poll"] == 0


def test_swedish_pages_are_swedish_throughout(portal: Portal) -> None:
    blocked(portal.deals)
    state = portal.open(locale="sv-SE").state
    assert state["lang"] == "sv"
    item = state["checklist"]["items"][0]
    assert (item["label"], item["message"]) == ("Article_exists (sv)", "ABC-1 is not an article. (sv)")


def test_what_fails_comes_first_with_cause_remedy_lines_and_repairs(portal: Portal) -> None:
    blocked(portal.deals)
    state = portal.open().state
    assert state["phase"] == "blocked"
    article, customer, rest = state["checklist"]["items"]
    assert (article["actual"], article["message"], article["remedy"], article["lines"]) == (
        "ABC-1", "ABC-1 is not an article.", "Create it.", "Lines: 2",
    )  # fmt: skip
    assert [repair["label"] for repair in article["repairs"]] == ["Create article “ABC-1”"]
    assert [repair["label"] for repair in customer["repairs"]] == ["Use 1042, Kund AB", "Use 7"]
    assert rest["ok"] and rest["repairs"] == []
    assert actions(state)["create"]["disabled"] and actions(state)["create"]["why"]


@pytest.mark.parametrize("state_", [State.QUEUED, State.SENDING, State.UNKNOWN])
def test_while_it_is_under_way_there_is_no_button(portal: Portal, state_: State) -> None:
    planned(portal.deals, state=state_, sent_at=timezone.now() - timedelta(seconds=75))
    state = portal.open().state
    assert state["actions"] == [] and state["poll"]
    current = [step["label"] for step in state["progress"]["steps"] if step["state"] == "current"]
    assert len(current) == 1
    if state_ == State.UNKNOWN:
        assert state["phase"] == "verifying" and current == ["Being verified"]
        assert "75 s ago" in state["progress"]["note"] or "76 s ago" in state["progress"]["note"]


def test_the_result_ends_with_a_plain_sentence_and_a_link(portal: Portal) -> None:
    planned(portal.deals, state=State.APPLIED)
    company = portal.integration.ledger_account.name
    make_link(
        portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="1042",
        agreed_crm={"fortnox_status": "Unbooked"}, ledger_url="https://apps.fortnox.se/invoice/1042",
    )  # fmt: skip
    result = portal.open().state["result"]
    assert result["sentence"].replace("\u00a0", " ") == f"Invoice 1042 in {company}, unbooked, 8,675.00 SEK."
    assert result["url"] == "https://apps.fortnox.se/invoice/1042"


def test_a_link_that_is_no_web_address_is_not_one(portal: Portal) -> None:
    make_link(
        portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_url="javascript:alert(1)"
    )
    assert portal.open().state["result"]["url"] == ""


def test_a_failure_shows_cause_remedy_and_a_reference(portal: Portal) -> None:
    problem = {
        "message": {"en": "Year is closed.", "sv": "Året är stängt."},
        "remedy": {"en": "Open it.", "sv": "Öppna."},
    }
    change = planned(
        portal.deals, state=State.REVIEW, error_class="data", error_code="1", problems=[problem],
        sent_at=timezone.now(),
    )  # fmt: skip
    shown = portal.open(locale="sv").state["problem"]
    assert shown == {"message": "Året är stängt.", "remedy": "Öppna.", "reference": f"#{change.pk}"}


def test_an_existing_customer_is_linked_instead_of_made(portal: Portal) -> None:
    planned(portal.companies, "88", action=Action.LINK, target_id="1042", target_title="Kund AB", payload={})
    state = portal.open("company", "88").state
    assert actions(state)["create"]["label"] == "Link to 1042 in Fortnox"
    assert "1042, Kund AB" in state["intro"]


def test_several_companies_are_chosen_from(portal: Portal) -> None:
    other = make_integration(portal.crm.organization, crm=portal.crm)
    make_flow_from_crm(other, "deals-to-invoices", "deal", "invoice")
    for number, pair in enumerate((portal.integration, other)):
        make_link(pair, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id=f"7{number}")
    page = portal.open()
    assert len(page.state["integrations"]) == 2 and "phase" not in page.state
    assert page.post("look").status_code == 404  # nobody said which
    state = page.get(integration=str(other.pk)).json()
    assert (state["phase"], state["integration"]) == ("done", str(other.pk))


def test_nobody_chooses_a_company_by_its_number(portal: Portal) -> None:
    other = make_integration(portal.crm.organization, crm=portal.crm)
    planned(make_flow_from_crm(other, "deals-to-invoices", "deal", "invoice"))
    page = portal.open()
    assert (page.state["phase"], page.state["integration"]) == ("ready", str(other.pk))
    state = page.get(integration=str(portal.integration.pk)).json()
    assert state["integration"] == str(other.pk)  # where the rules sent it
    page.post("create", integration=str(portal.integration.pk), expected=page.state["fingerprint"])
    assert list(Change.objects.filter(state=State.QUEUED).values_list("integration", flat=True)) == [other.pk]


# --- What its buttons do ----------------------------------------------------------------------------------------


def test_two_clicks_are_one_create(portal: Portal) -> None:
    change = planned(portal.deals)
    page = portal.open()
    answers = [page.post("create", expected=page.state["fingerprint"]).json() for _click in range(2)]
    assert [answer["outcome"]["status"] for answer in answers] == ["queued", "already"]
    change.refresh_from_db()
    assert (change.state, change.actor) == (State.QUEUED, "anna@kund.example (HubSpot 77)")
    assert Change.objects.count() == 1


def test_what_changed_since_it_was_shown_is_not_created(portal: Portal) -> None:
    change = planned(portal.deals)
    answer = portal.open().post("create", expected="e" * 64).json()
    assert answer["outcome"]["status"] == "changed" and answer["outcome"]["message"]
    change.refresh_from_db()
    assert change.state == State.PLANNED


def test_a_toggle_that_went_off_meanwhile_stops_the_button(portal: Portal) -> None:
    planned(portal.deals)
    page = portal.open()
    Flow.objects.update(enabled=False)
    answer = page.post("create", expected=page.state["fingerprint"]).json()
    assert answer["outcome"]["status"] == "off" and "switched off" in answer["off"]
    assert Change.objects.get().state == State.PLANNED


def test_a_candidate_is_linked_and_the_person_named(portal: Portal) -> None:
    blocked(portal.deals, waits_for="companies-to-customers:900")
    page = portal.open()
    answer = page.post("repair", repair="link_customer", value="1042").json()
    assert answer["outcome"]["status"] == "queued", answer["outcome"]
    link = EntityLink.objects.get()
    assert (link.crm_id, link.ledger_id, link.linked_by) == ("900", "1042", "anna@kund.example (HubSpot 77)")
    assert answer["phase"] == "looking"


def test_a_missing_article_is_made_with_the_document(portal: Portal) -> None:
    blocked(
        portal.deals, "501",
        check("article_exists", ok=False, repair="create_article", value="ABC-1"),
        check("article_exists", ok=False, repair="create_article", value="ABC-2"),
    )  # fmt: skip
    answer = portal.open().post("repair", repair="create_article", value="ABC-2").json()
    assert answer["outcome"]["status"] == "queued"
    assert Change.objects.get().payload["create"] == ["ABC-2"]


def test_a_choice_between_customers_is_made_on_the_card(portal: Portal) -> None:
    rows = [{"id": "1042", "title": "Kund AB"}, {"id": "1043", "title": "Kund AB"}]
    planned(
        portal.companies, "88", action=Action.CONFLICT, state=State.REVIEW, candidates=rows, checks=[],
        error_class="conflict", error_code="ambiguous", payload={},
    )  # fmt: skip
    page = portal.open("company", "88")
    offered = page.state["checklist"]["items"][0]["repairs"]
    assert [repair["label"] for repair in offered] == [
        "Use 1042, Kund AB", "Use 1043, Kund AB", "None of them: create a new one",
    ]  # fmt: skip
    answer = page.post("repair", **{name: offered[1][name] for name in ("repair", "value")}).json()
    assert answer["outcome"]["status"] == "queued", answer["outcome"]
    link = EntityLink.objects.get()
    assert (link.crm_id, link.ledger_id, link.linked_by) == ("88", "1043", "anna@kund.example (HubSpot 77)")


@pytest.mark.parametrize(
    ("repair", "value"),
    [("link_customer", "9999"), ("create_article", "OTHER"), ("open_source", ""), ("", ""), ("link_to", "1042")],
)
def test_what_is_not_offered_is_not_done(portal: Portal, repair: str, value: str) -> None:
    blocked(portal.deals, waits_for="companies-to-customers:900")
    answer = portal.open().post("repair", repair=repair, value=value).json()
    assert answer["outcome"]["status"] == "not_offered"
    assert not EntityLink.objects.exists() and Change.objects.get().state == State.REVIEW


def locked(portal: Portal) -> Change:
    """A booked invoice whose deal was changed."""
    make_link(portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="9")
    return planned(
        portal.deals, state=State.REVIEW, action=Action.BLOCKED, error_class="locked", error_code="locked",
        error_message="Booked as A-123.",
    )  # fmt: skip


def test_only_people_with_the_right_may_credit(portal: Portal) -> None:
    locked(portal)
    page = portal.open()
    assert page.state["phase"] == "locked" and "credit_and_new" not in actions(page.state)
    with patch("sync.interactive.credit_and_new") as done:
        assert page.post("credit_and_new").json()["outcome"]["status"] == "not_allowed"
        user = make_user("eko", organization=portal.crm.organization, permissions="sync.credit_change")
        user.email = portal.email
        user.save()
        page = portal.open()
        button = actions(page.state)["credit_and_new"]
        assert button["confirm"] and not button["disabled"]
        assert page.post("credit_and_new").json()["outcome"]["status"] == "queued"
    done.assert_called_once_with(portal.deals, "501", actor="anna@kund.example (HubSpot 77)", user=user)


def test_the_right_of_another_organization_is_none(portal: Portal) -> None:
    locked(portal)
    user = make_user("eko", organization=make_integration().organization, permissions="sync.credit_change")
    user.email = portal.email
    user.save()
    with patch("sync.interactive.credit_and_new") as done:
        assert portal.open().post("credit_and_new").json()["outcome"]["status"] == "not_allowed"
    done.assert_not_called()


def test_refresh_looks_at_the_counterpart_too(portal: Portal) -> None:
    back = make_flow_from_crm(portal.integration, "invoice-status-to-deals", "x", "y")
    Flow.objects.filter(pk=portal.deals.pk).update(follow_up=back.slug)
    make_link(portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="9")
    page = portal.open()
    for _again in range(2):
        page.post("refresh")
    hint = Hint.objects.get()
    assert (hint.flow_id, hint.source_id) == (back.pk, "9")


def test_a_broken_connection_is_not_used(portal: Portal) -> None:
    ledger = portal.integration.ledger_account
    ledger.status = ledger.Status.NEEDS_RECONNECT
    ledger.save()
    page = portal.open()
    page.post("look")
    page.post("refresh")
    assert not Change.objects.exists() and "renewed" in page.state["off"]


# --- Its colours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_is_readable_on_every_ground(theme: int) -> None:
    """WCAG AA: 4.5 to 1 for text."""
    sheet = (django_settings.BASE_DIR / "static" / "cards" / "cards.css").read_text()
    pairs = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", sheet)
    colour = {name: _luminance((light, dark)[theme]) for name, light, dark in pairs}
    grounds = {"bg", "raised", "warn-wash", "bad-wash"}
    weak = [
        (text, ground)
        for text in ("text", "strong", "muted", "accent", "ok", "warn", "info", "bad")
        for ground in grounds
        if not (text == "accent" and ground.endswith("wash")) and _contrast(colour[text], colour[ground]) < 4.5
    ]
    assert weak == []
    assert all(_contrast(1.0, colour[name]) >= 4.5 for name in ("button", "button-hover"))


def _luminance(code: str) -> float:
    parts = [int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return (high + 0.05) / (low + 0.05)
