"""What a card's buttons do and to whom they are offered: one more document, what is coming, what waits for approval."""

from __future__ import annotations

from typing import Any

import pytest

from sync import interactive
from sync.models import Change, Flow
from sync.states import LOOK, Action, State
from tests.factories import make_link, make_user
from tests.sync.cards_world import CardPage, Portal, blocked, check, planned, use_secret

pytestmark = pytest.mark.django_db

ASK = {"repair": "create_customer", "value": "900"}
CREATE_NEW = {"repair": "create_new", "value": ""}


@pytest.fixture(autouse=True)
def secret(settings: Any) -> None:
    use_secret(settings)


@pytest.fixture
def portal() -> Portal:
    return Portal()


def undecided(portal: Portal, code: str) -> Change:
    """A deal for which a person must say which invoice is meant."""
    return planned(
        portal.deals, action=Action.CONFLICT, state=State.REVIEW, candidates=[{"id": "9", "title": "Big deal"}],
        checks=[], error_class="conflict", error_code=code, payload={},
    )  # fmt: skip


def crediting(portal: Portal) -> None:
    user = make_user("eko", organization=portal.crm.organization, permissions="sync.credit_change")
    user.email = portal.email
    user.save()


def buttons(page: CardPage) -> set[str]:
    return {each["repair"] for item in page.state["checklist"]["items"] for each in item["repairs"]}


def without_customer(portal: Portal, **customer: Any) -> CardPage:
    """A deal that lacks its customer, whose own change stands as given."""
    row = check("customer_linked", ok=False, actual="Kund AB", repair="create_customer", value="900")
    blocked(portal.deals, "501", row, waits_for="companies-to-customers:900")
    if customer:
        planned(portal.companies, "900", **({"source_title": "Kund AB", "checks": []} | customer))
    return portal.open()


# --- One more of what was created before -----------------------------------------------------------------------------


def test_one_more_document_is_offered_only_to_who_may_credit(portal: Portal) -> None:
    change = undecided(portal, "created_before")
    page = portal.open()
    assert buttons(page) == {"link_to"}
    assert "may credit" in page.state["checklist"]["items"][0]["remedy"]
    assert page.post("repair", **CREATE_NEW).json()["outcome"]["status"] == "not_allowed"
    change.refresh_from_db()
    assert (change.state, change.generation) == (State.REVIEW, 1)
    crediting(portal)
    page = portal.open()
    assert buttons(page) == {"link_to", "create_new"}
    assert page.post("repair", **CREATE_NEW).json()["outcome"]["status"] == "queued"
    change.refresh_from_db()
    assert (change.state, change.generation) == (State.RETRYING, 2)


def test_who_may_not_credit_still_says_that_no_namesake_is_meant(portal: Portal) -> None:
    undecided(portal, "ambiguous")
    page = portal.open()
    assert buttons(page) == {"link_to", "create_new"}
    assert page.post("repair", **CREATE_NEW).json()["outcome"]["status"] == "queued"


# --- The customer that is created first ------------------------------------------------------------------------------


def test_why_the_customer_could_not_be_created_is_shown_with_its_remedy(portal: Portal) -> None:
    cause = {"message": {"en": "The number is not valid.", "sv": ""}, "remedy": {"en": "Correct it.", "sv": ""}}
    page = without_customer(portal, state=State.REVIEW, problems=[cause], error_code="2000359")
    problem = page.state["problem"]
    assert problem["message"] == "Kund AB: The number is not valid." and problem["remedy"] == "Correct it."
    assert "create_customer" in buttons(page)
    assert page.post("repair", **ASK).json()["outcome"]["status"] == "queued"
    assert Change.objects.get(source_id="900").state == State.RETRYING


def test_a_customer_that_waits_for_approval_is_said_to_and_not_asked_for_again(portal: Portal) -> None:
    page = without_customer(portal, state=State.HELD, decision="")
    assert page.state["problem"]["message"] == "Kund AB waits until somebody approves it."
    assert "create_customer" not in buttons(page)
    answer = page.post("repair", **ASK).json()
    assert answer["outcome"]["status"] == "refused" and "approves" in answer["outcome"]["message"]
    assert Change.objects.get(source_id="900").state == State.HELD


def test_a_customer_that_was_left_out_when_it_was_asked_for_says_why(portal: Portal) -> None:
    reason = {"en": "The flow's filter leaves this record out.", "sv": ""}
    page = without_customer(portal, state=State.SKIPPED, action=Action.SKIP, reason=reason)
    assert page.state["problem"]["message"] == "Kund AB: The flow's filter leaves this record out."


def test_a_customer_that_a_scan_has_planned_is_not_pressed_for_without_a_word(portal: Portal) -> None:
    page = without_customer(portal, decision="", lane="bulk")
    answer = page.post("repair", **ASK).json()
    assert (answer["outcome"]["status"], answer["outcome"]["message"]) == ("refused", "It is on its way already.")


def test_a_customer_on_its_way_is_no_trouble(portal: Portal) -> None:
    page = without_customer(portal, state=State.QUEUED)
    assert "problem" not in page.state and page.state["poll"]


@pytest.mark.parametrize("off", [{"enabled": False}, {"may_create": False}])
def test_a_customer_is_not_created_when_its_flow_may_not(portal: Portal, off: dict[str, Any]) -> None:
    page = without_customer(portal)
    Flow.objects.filter(pk=portal.companies.pk).update(**off)
    answer = page.post("repair", **ASK).json()
    assert answer["outcome"]["status"] == "refused" and "switched off" in answer["outcome"]["message"]
    assert not Change.objects.filter(source_id="900").exists()


def test_a_customer_is_not_created_when_the_settings_say_to_stop(portal: Portal) -> None:
    page = without_customer(portal)
    Flow.objects.filter(pk=portal.deals.pk).update(settings={"missing_customer": "block"})
    assert page.post("repair", **ASK).json()["outcome"]["status"] == "refused"
    assert not Change.objects.filter(source_id="900").exists()


# --- What waits for approval -----------------------------------------------------------------------------------------


def test_what_a_press_left_over_a_limit_can_be_looked_at_anew(portal: Portal) -> None:
    change = planned(portal.deals, state=State.HELD, decision="approve")
    portal.open().post("refresh")
    change.refresh_from_db()
    assert (change.state, change.decision) == (State.RETRYING, LOOK)


def test_the_plan_of_a_scan_that_waits_for_approval_is_left_to_it(portal: Portal) -> None:
    change = planned(portal.deals, state=State.HELD, decision="", lane="bulk")
    interactive.look(portal.deals, "501", actor="anna")
    change.refresh_from_db()
    assert change.state == State.HELD


# --- The card beside the record --------------------------------------------------------------------------------------


def test_the_card_of_a_record_that_is_looked_at_asks_again_by_itself(portal: Portal) -> None:
    planned(portal.deals, state=State.RETRYING, replan=True, checks=[])
    card = portal.summary()
    assert (card["state"], card["status"]["label"]) == ("working", "Being checked")
    assert card["message"].startswith("Checking the record")


def test_the_card_asks_again_while_the_customer_is_coming(portal: Portal) -> None:
    without_customer(portal, state=State.SENDING)
    card = portal.summary()
    assert (card["state"], card["status"]["label"]) == ("working", "Being created")
    assert card["message"] == "What is missing is being created …" and "remedy" not in card


def test_the_card_does_not_ask_again_for_what_does_not_come(portal: Portal) -> None:
    without_customer(portal, state=State.HELD)
    assert portal.summary()["state"] == "unlinked"


def test_a_look_that_cannot_go_on_is_not_waited_for(portal: Portal) -> None:
    planned(portal.deals, state=State.RETRYING, replan=True, checks=[])
    Flow.objects.filter(pk=portal.deals.pk).update(enabled=False)
    assert portal.summary()["state"] == "unlinked"


def test_what_is_linked_stays_linked_while_it_is_looked_at_again(portal: Portal) -> None:
    make_link(portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="9")
    planned(portal.deals, state=State.RETRYING, replan=True, checks=[])
    assert portal.summary()["state"] == "linked"
