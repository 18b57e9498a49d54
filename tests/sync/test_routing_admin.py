"""The pages of routing: rules, the box that tries them, choosing a company, moving a record (Q-15, SA11, S56)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from integrations.errors import Transient
from integrations.models import Integration
from mappings.models import RoutingRule
from sync import routes
from sync.admin.review import group_url
from sync.models import Change, EntityLink, Flow, RouteMove, RoutePin, SyncLogEntry
from sync.review import key_of
from tests.factories import make_account, make_integration, make_organization, make_user
from tests.sync.routing_world import RoutingWorld
from tests.tiny import failing

pytestmark = pytest.mark.django_db

RULES = "/admin/mappings/routingrule/"
RIGHTS = "mappings.view_routingrule mappings.add_routingrule mappings.change_routingrule mappings.delete_routingrule"
NORTH = 'deal.city == "North"'


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> RoutingWorld:
    return RoutingWorld(monkeypatch, approval=Flow.Approval.AUTOMATIC)


def signed_in(world: RoutingWorld, permissions: str = RIGHTS, *, own: bool = True) -> Client:
    organization = world.account.organization if own else make_organization()
    client = Client()
    client.force_login(make_user(organization=organization, permissions=permissions))
    return client


@pytest.fixture
def client(world: RoutingWorld) -> Client:
    return signed_in(world)


def page_of(world: RoutingWorld, name: str = "deal") -> str:
    return f"{RULES}?account={world.account.pk}&object={name}"


def form(world: RoutingWorld, company: str = "A", **fields: Any) -> dict[str, Any]:
    values = {
        "account": str(world.account.pk), "object_name": "deal", "name": "The north", "expression": NORTH,
        "integration": str(world.pairs[company].pk), "active": "on",
    }  # fmt: skip
    return values | fields


# --- rules -----------------------------------------------------------------------------------------


def test_the_page_without_rules_says_what_that_means(world: RoutingWorld, client: Client) -> None:
    assert "held for a person" in client.get(page_of(world)).content.decode()
    world.pairs["B"].flows.all().delete()
    assert "No rules are needed" in client.get(page_of(world)).content.decode()
    Flow.objects.all().delete()
    assert "No CRM account sends records" in client.get(RULES).content.decode()


def test_rules_are_added_changed_ordered_and_deleted(world: RoutingWorld, client: Client) -> None:
    make_integration(world.account.organization)
    shown = client.get(f"{RULES}add/?account={world.account.pk}&object=deal")
    choices = shown.context["adminform"].form.fields["integration"].choices
    assert [label for _key, label in choices] == ["Company A", "Company B"]
    answer = client.post(f"{RULES}add/", form(world, "A"), follow=True)
    assert answer.redirect_chain and "The north" in answer.content.decode()
    client.post(f"{RULES}add/", form(world, "B", name="Rest", expression=""))
    first, last = RoutingRule.objects.of(world.account.pk, "deal")
    assert (first.name, last.name, last.integration) == ("The north", "Rest", world.pairs["B"])
    client.post(f"{RULES}{last.pk}/move/", {"to": "up"})
    assert list(RoutingRule.objects.of(world.account.pk, "deal")) == [last, first]
    client.post(f"{RULES}{first.pk}/change/", form(world, "B", name="Changed"))
    first.refresh_from_db()
    assert (first.name, first.integration) == ("Changed", world.pairs["B"])
    client.post(f"{RULES}{first.pk}/delete/", {"post": "yes"})
    assert RoutingRule.objects.count() == 1


def test_a_condition_that_cannot_work_is_shown_at_its_field(world: RoutingWorld, client: Client) -> None:
    answer = client.post(f"{RULES}add/", form(world, expression="deal.city =="))
    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    assert not RoutingRule.objects.exists()


def test_a_form_that_was_tampered_with_is_refused(world: RoutingWorld, client: Client) -> None:
    foreign = make_integration()
    sibling = make_integration(world.account.organization, crm=make_account(world.account.organization, "hubspot"))
    for fields in (
        {"integration": str(foreign.pk)},
        {"integration": str(sibling.pk)},
        {"account": str(foreign.crm_account_id), "integration": str(foreign.pk)},
        {"account": "nonsense"},
    ):
        assert client.post(f"{RULES}add/", form(world, **fields)).status_code == 200
    rule = world.rule("A", NORTH)
    client.post(f"{RULES}{rule.pk}/change/", form(world, account=str(foreign.crm_account_id)))
    client.post(f"{RULES}{rule.pk}/change/", form(world, integration=str(foreign.pk)))
    rule.refresh_from_db()
    assert RoutingRule.objects.count() == 1
    assert (rule.account_id, rule.integration_id) == (world.account.pk, world.pairs["A"].pk)


def test_others_rules_do_not_exist(world: RoutingWorld) -> None:
    rule = world.rule("A", NORTH)
    stranger = signed_in(world, own=False)
    for address in (page_of(world), f"{RULES}{rule.pk}/change/", f"{RULES}{rule.pk}/delete/"):
        assert stranger.get(address).status_code == 404
    assert stranger.post(f"{RULES}{rule.pk}/move/", {"to": "up"}).status_code == 404
    body = {"account": str(world.account.pk), "object": "deal", "record": "1"}
    assert stranger.post(f"{RULES}try/", body).status_code == 404
    assert world.account.name not in stranger.get(RULES).content.decode()


def test_who_may_only_look_changes_nothing(world: RoutingWorld) -> None:
    rule = world.rule("A", NORTH)
    viewer = signed_in(world, "mappings.view_routingrule")
    assert "Add a rule" not in viewer.get(page_of(world)).content.decode()
    assert viewer.post(f"{RULES}{rule.pk}/move/", {"to": "up"}).status_code == 403
    assert viewer.post(f"{RULES}add/", form(world)).status_code == 403
    assert signed_in(world, RIGHTS, own=False).get(page_of(world)).status_code == 404


# --- the box ---------------------------------------------------------------------------------------


def tried(world: RoutingWorld, client: Client, record: str, name: str = "deal") -> str:
    answer = client.post(f"{RULES}try/", {"account": str(world.account.pk), "object": name, "record": record})
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_the_box_shows_every_rule_what_it_read_and_who_takes_the_record(world: RoutingWorld, client: Client) -> None:
    world.rule("A", NORTH, name="The north")
    world.rule("B", 'deal.city == "South"', name="The south")
    world.rule("A", name="Default")
    world.deal(1, city="South")
    shown = tried(world, client, "1")
    assert "Company B</span>" in shown and "The first rule that holds takes it." in shown
    assert "deal.city:</span> South" in shown
    assert [shown.count(word) for word in (">No<", "Yes: takes it", "Not reached")] == [1, 1, 1]
    assert not Change.objects.exists()


def test_the_box_shows_links_decisions_failures_and_holds(world: RoutingWorld, client: Client) -> None:
    rule = world.rule("A", NORTH)
    world.deal(1, city="North")
    world.pin("B", "1")
    shown = tried(world, client, "1")
    assert "Somebody decided" in shown and "The rules alone would say Company A." in shown
    world.link("A", "1", "9")
    assert "It is linked there" in tried(world, client, "1")
    world.deal(2, city="West")
    assert "Held: nobody takes it" in tried(world, client, "2")
    rule.expression = "deal.name * 2 > 5"
    rule.save()
    shown = tried(world, client, "2")
    assert "Cannot be evaluated" in shown and "Held" in shown


def test_the_box_says_what_is_wrong_with_the_record(world: RoutingWorld, client: Client) -> None:
    assert "There is no such record." in tried(world, client, "404")
    assert "Give the id" in tried(world, client, " ")
    world.crm.faults.append(failing("batch_read", Transient("The CRM is <b>away</b>.", code="busy")))
    world.deal(1)
    assert "The CRM is &lt;b&gt;away&lt;/b&gt;." in tried(world, client, "1")


def test_the_page_costs_the_same_for_one_rule_as_for_many(world: RoutingWorld, client: Client) -> None:
    world.rule("A", NORTH)
    client.get(page_of(world))
    with CaptureQueriesContext(connection) as few:
        client.get(page_of(world))
    for number in range(15):
        world.rule("B", f'deal.city == "{number}"')
    with CaptureQueriesContext(connection) as many:
        client.get(page_of(world))
    assert len(few) == len(many)


# --- choosing a company ------------------------------------------------------------------------------


def held(world: RoutingWorld) -> Change:
    world.rule("A", NORTH)
    world.deal(1, city="West")
    world.sync("A")
    return Change.objects.get()


def test_a_held_record_is_sent_to_a_company_from_its_page(world: RoutingWorld) -> None:
    change = held(world)
    client = signed_in(world, "sync.view_change sync.move_record")
    assert "Send to Company B" in client.get(f"/admin/sync/change/{change.pk}/change/").content.decode()
    body = {"company": str(world.pairs["B"].pk), "reason": "West belongs to B"}
    answer = client.post(f"/admin/sync/change/{change.pk}/company/", body, follow=True)
    assert "It goes to Company B" in answer.content.decode()
    pin = RoutePin.objects.get()
    assert (pin.integration, pin.reason, pin.record_id) == (world.pairs["B"], "West belongs to B", "1")
    world.go_on()
    assert world.bills("B") == ["Deal 1"]


def test_choosing_needs_the_right_and_one_of_its_own_companies(world: RoutingWorld) -> None:
    change = held(world)
    address = f"/admin/sync/change/{change.pk}/company/"
    body = {"company": str(world.pairs["B"].pk)}
    assert signed_in(world, "sync.view_change").post(address, body).status_code == 403
    assert signed_in(world, "sync.view_change sync.move_record", own=False).post(address, body).status_code == 404
    for wrong in (str(make_integration().pk), "x", ""):
        client = signed_in(world, "sync.view_change sync.move_record")
        answer = client.post(address, {"company": wrong}, follow=True)
        assert "may not take" in answer.content.decode()
    assert not RoutePin.objects.exists()


def test_the_review_queue_leads_to_the_rules(world: RoutingWorld) -> None:
    change = held(world)
    client = signed_in(world, "sync.view_change sync.retry_change")
    queue = client.get("/admin/review/").content.decode()
    assert "No routing rule matches this record." in queue and "Consultant" in queue
    group = client.get(group_url("review_group", key_of(change))).content.decode()
    assert f"{RULES}?account={world.account.pk}&amp;object=deal" in group


# --- moving --------------------------------------------------------------------------------------------

MOVER = "sync.view_entitylink sync.view_routemove sync.move_record"


def linked(world: RoutingWorld, **bill: Any) -> EntityLink:
    world.rule("A", NORTH)
    world.deal(1)
    world.sync("A")
    link = EntityLink.objects.get(crm_object="deal")
    world.ledgers["A"].put("bill", bill, link.ledger_id)
    return link


def moved(
    world: RoutingWorld, client: Client, link: EntityLink, company: str = "B", reason: str = "Reorganised"
) -> Any:
    body = {"company": str(world.pairs[company].pk), "reason": reason}
    return client.post(f"/admin/sync/entitylink/{link.pk}/move/", body, follow=True)


def test_a_record_is_moved_with_a_reason_and_planned_in_its_new_company(world: RoutingWorld) -> None:
    link = linked(world, cancelled=True)
    client = signed_in(world, MOVER)
    assert "Move to another company" in client.get(f"/admin/sync/entitylink/{link.pk}/change/").content.decode()
    assert "Company B" in client.get(f"/admin/sync/entitylink/{link.pk}/move/").content.decode()
    assert "belongs to Company B now" in moved(world, client, link).content.decode()
    move = RouteMove.objects.get()
    assert (move.integration, move.moved_to, move.reason) == (world.pairs["A"], world.pairs["B"], "Reorganised")
    assert move.by is not None and move.before["links"][0]["ledger_id"] == link.ledger_id
    assert SyncLogEntry.objects.filter(event="moved").count() == 2
    world.go_on()
    assert world.bills("B") == ["Deal 1"] and len(world.ledgers["A"].rows("bill")) == 1
    world.deal(1, name="Deal 1 anew")
    world.sync("A")
    world.sync("B")
    assert world.bills("B") == ["Deal 1 anew"] and world.bills("A") == ["Deal 1"]
    assert "Moved to Company B" in client.get(f"/admin/sync/entitylink/{link.pk}/change/").content.decode()
    assert client.get(f"/admin/sync/routemove/{move.pk}/change/").status_code == 200
    assert client.get("/admin/sync/routemove/").status_code == 200


def test_a_document_that_stands_is_not_moved(world: RoutingWorld) -> None:
    link = linked(world)
    client = signed_in(world, MOVER)
    page = client.get(f"/admin/sync/entitylink/{link.pk}/move/").content.decode()
    assert "billed twice" in page and "<textarea" not in page
    moved(world, client, link)
    assert not RouteMove.objects.exists() and not RoutePin.objects.exists()


def test_a_document_that_is_gone_from_the_ledger_stands_in_nobodys_way(world: RoutingWorld) -> None:
    link = linked(world)
    del world.ledgers["A"].objects["bill"][link.ledger_id]
    assert routes.why_not_move(link) == ""


@pytest.mark.parametrize(("state", "action"), [("sending", "update"), ("unknown", "update"), ("queued", "act")])
def test_nothing_is_moved_while_something_is_under_way(world: RoutingWorld, state: str, action: str) -> None:
    link = linked(world, cancelled=True)
    Change.objects.create(
        integration=world.pairs["A"], flow=world.flow("A"), source_id="1", action=action, state=state
    )  # fmt: skip
    with pytest.raises(ValueError, match="being sent"):
        routes.move_record(link, world.pairs["B"], None, "Why not")


def test_what_waits_in_the_old_company_is_given_up(world: RoutingWorld) -> None:
    link = linked(world, cancelled=True)
    waiting = Change.objects.create(
        integration=world.pairs["A"], flow=world.flow("A"), source_id="1", action="update", state="held"
    )
    routes.move_record(link, world.pairs["B"], None, "Reorganised")
    waiting.refresh_from_db()
    assert waiting.state == "superseded"


def test_a_customer_moves_and_comes_back_to_the_number_it_had(world: RoutingWorld) -> None:
    world.rule("A", object_name="partner")
    world.partner(5)
    world.sync("A", "partners-to-customers")
    link = EntityLink.objects.get()
    routes.move_record(link, world.pairs["B"], None, "There")
    world.go_on(2, "partners-to-customers")
    there = EntityLink.objects.exclude(pk=link.pk).get()
    assert there.integration == world.pairs["B"]
    world.partner(5, city="Umeå")
    for company in "AB":
        world.sync(company, "partners-to-customers")
    cities = {name: [row["city"] for row in world.ledgers[name].rows("customer").values()] for name in "AB"}
    assert cities == {"A": ["North"], "B": ["Umeå"]}
    routes.move_record(there, world.pairs["A"], None, "And back")
    world.go_on(2, "partners-to-customers")
    link.refresh_from_db()
    assert link.frozen_reason == "" and len(world.ledgers["A"].rows("customer")) == 1
    assert [row["city"] for row in world.ledgers["A"].rows("customer").values()] == ["Umeå"]
    assert RouteMove.objects.count() == 2


def test_a_move_needs_a_right_a_reason_and_a_company_of_its_own(world: RoutingWorld) -> None:
    link = linked(world, cancelled=True)
    assert moved(world, signed_in(world, "sync.view_entitylink"), link).status_code == 403
    assert moved(world, signed_in(world, MOVER, own=False), link).status_code == 404
    client = signed_in(world, MOVER)
    assert moved(world, client, link, reason=" ").status_code == 422
    foreign = make_integration()
    sibling = make_integration(world.account.organization, crm=make_account(world.account.organization, "hubspot"))
    for wrong in (foreign, sibling, world.pairs["A"]):
        answer = client.post(f"/admin/sync/entitylink/{link.pk}/move/", {"company": wrong.pk, "reason": "x"})
        assert answer.status_code == 422
        with pytest.raises(ValueError):
            routes.move_record(link, wrong, None, "x")
    assert not RouteMove.objects.exists() and Integration.objects.count() == 4


def test_a_ledger_that_does_not_answer_moves_nothing(world: RoutingWorld) -> None:
    link = linked(world, cancelled=True)
    world.ledgers["A"].faults.append(failing("detail", Transient("away", code="busy"), times=9))
    client = signed_in(world, MOVER)
    assert "cannot be asked" in moved(world, client, link).content.decode()
    assert not RouteMove.objects.exists()


def test_only_consultants_and_owners_are_given_the_right() -> None:
    from sync.roles import PERMISSIONS

    assert Permission.objects.filter(codename="move_record").exists()
    assert {role for role, given in PERMISSIONS.items() if "sync.move_record" in given} == {"consultant", "owner"}
