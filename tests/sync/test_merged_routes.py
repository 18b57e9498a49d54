"""Merged records and their companies: decisions are inherited, kept or asked about; nothing is billed in two places."""

from __future__ import annotations

import pytest

from sync import routes
from sync.models import Change, EntityLink, Flow, RoutePin, SyncLogEntry
from tests.sync.routing_world import PARTNERS, RoutingWorld

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> RoutingWorld:
    found = RoutingWorld(monkeypatch, approval=Flow.Approval.AUTOMATIC)
    found.crm_connector.tells_gone = True  # type: ignore[attr-defined]
    for company in found.pairs:  # merges are reported since the last run; the first one reads what is there
        found.sync(company)
        found.sync(company, PARTNERS)
    return found


def merge(world: RoutingWorld, gone: str, into: str, object_name: str = "deal") -> None:
    world.crm.drop(object_name, gone, into=into)
    slug = {"slug": PARTNERS} if object_name == "partner" else {}
    for _again in range(2):
        for company in world.pairs:
            world.sync(company, **slug)
    world.go_on(1, **slug)


def pins(object_name: str = "deal") -> dict[str, str]:
    rows = RoutePin.objects.filter(object_name=object_name).select_related("integration__ledger_account")
    return {row.record_id: row.integration.ledger_account.name[-1] for row in rows}


def told() -> str:
    return " ".join(SyncLogEntry.objects.filter(event="record gone").values_list("message", flat=True))


def test_the_record_that_remains_inherits_the_decision(world: RoutingWorld) -> None:
    world.rule("A")
    world.deal(1)
    world.deal(2)
    world.pin("B", "1")
    Flow.objects.update(approval=Flow.Approval.ALWAYS)
    world.sync("A")
    assert world.open("A") == {"2": "held"}
    merge(world, "1", "2")
    assert pins() == {"2": "B"} and "inherits" in told()
    assert not world.open("A") and world.open("B") == {"2": "held"}


def test_the_record_that_remains_keeps_its_own_where_both_agree(world: RoutingWorld) -> None:
    world.deal(1)
    world.deal(2)
    world.pin("B", "1")
    world.pin("B", "2")
    merge(world, "1", "2")
    assert pins() == {"2": "B"} and world.bills("B") == ["Deal 2"] and world.bills("A") == []
    assert RoutePin.objects.get().rival is None


def test_two_decisions_that_differ_are_held_and_a_person_is_asked_by_name(world: RoutingWorld) -> None:
    world.rule("A")
    world.deal(1)
    world.deal(2)
    world.pin("A", "1")
    world.pin("B", "2")
    merge(world, "1", "2")
    assert (world.bills("A"), world.bills("B")) == ([], [])
    (change,) = Change.objects.open()
    assert (change.state, change.error_code, change.source_id) == ("review", "no_route", "2")
    assert "Company A had been chosen for the one, Company B for the other" in change.error_message
    assert "choose the company" in str(change.problems[0])
    routes.choose(change, str(world.pairs["A"].pk), None, "Asked")
    world.go_on()
    assert (world.bills("A"), world.bills("B"), pins()) == (["Deal 2"], [], {"2": "A"})
    assert not Change.objects.open().exists()


def test_a_billed_record_merged_into_a_held_one_settles_where_it_belongs(world: RoutingWorld) -> None:
    for number, company in ((1, "A"), (2, "B"), (3, "B")):
        world.deal(number)
        world.pin(company, str(number))
    merge(world, "1", "2")
    assert Change.objects.open().get().error_code == "no_route" and world.bills("B") == ["Deal 3"]
    merge(world, "3", "2")
    assert not Change.objects.open().exists() and RoutePin.objects.get().rival is None
    assert (world.bills("A"), world.bills("B"), pins()) == ([], ["Deal 2"], {"2": "B"})


def test_a_linked_record_stays_where_it_is_whatever_was_chosen_for_the_other(world: RoutingWorld) -> None:
    world.rule("A")
    world.deal(2)
    world.sync("A")
    world.deal(1)
    world.pin("B", "1")
    merge(world, "1", "2")
    assert (world.bills("A"), world.bills("B"), pins()) == (["Deal 2"], [], {})
    assert "stays in the company that has it" in told()


def test_a_record_that_takes_over_a_link_stays_there_and_can_be_moved_later(world: RoutingWorld) -> None:
    world.rule("A")
    world.deal(1)
    world.sync("A")
    world.deal(2)
    world.pin("B", "2")
    merge(world, "1", "2")
    assert (world.bills("A"), world.bills("B")) == (["Deal 2"], []), "never billed twice because of a merge"
    assert pins() == {"2": "A"}
    link = EntityLink.objects.get()
    world.ledgers["A"].put("bill", {"cancelled": True}, link.ledger_id)
    assert routes.why_not_move(link) == ""


def test_a_held_change_in_another_company_follows_the_link(world: RoutingWorld) -> None:
    world.rule("A", 'deal.city == "North"')
    world.rule("B")
    world.deal(1)
    world.sync("A")
    Flow.objects.update(approval=Flow.Approval.ALWAYS)
    world.deal(2, city="West")
    world.sync("B")
    assert world.open("B") == {"2": "held"}
    world.crm.drop("deal", "1", into="2")
    world.sync("A")
    assert world.open("B") == {"2": "retrying"}, "nothing of B goes out before it is decided again"
    world.go_on()
    assert "2" not in world.open("B") and world.bills("B") == []


def test_documents_of_both_in_two_companies_are_told_by_name_and_only_one_is_kept_up(world: RoutingWorld) -> None:
    world.rule("A", 'deal.city == "North"')
    world.rule("B")
    world.deal(1)
    world.deal(2, city="West")
    world.sync("A")
    world.sync("B")
    merge(world, "1", "2")
    links = {row.crm_id: row for row in EntityLink.objects.select_related("integration")}
    assert set(links) == {"1", "2"} and links["1"].frozen_reason == "crm: merged into 2"
    assert not links["2"].frozen_reason
    (change,) = Change.objects.filter(state="review")
    assert (change.error_code, change.integration) == ("merged", world.pairs["A"])
    assert "in Company A and" in change.reason["en"] and "in Company B." in change.reason["en"]
    world.deal(2, name="Renamed")
    world.go_on()
    world.sync("A")
    world.sync("B")
    assert (world.bills("A"), world.bills("B")) == (["Deal 1"], ["Renamed"])


def test_customers_of_both_in_two_companies_are_both_kept_up_to_date(world: RoutingWorld) -> None:
    """A customer may live in several companies: each has invoices of its own."""
    world.partner(1)
    world.partner(2)
    for company, number in (("A", "1"), ("B", "2")):
        world.ledgers[company].put("customer", {"name": f"Partner {number}"}, number)
        world.link(company, number, number, "partner", "customer")
    merge(world, "1", "2", "partner")
    assert {row.crm_id for row in EntityLink.objects.filter(frozen_reason="")} == {"2"}
    assert EntityLink.objects.count() == 2 and not Change.objects.filter(state="review").exists()


def test_seeing_a_merge_again_changes_nothing(world: RoutingWorld) -> None:
    world.deal(1)
    world.deal(2)
    world.pin("B", "1")
    merge(world, "1", "2")
    count = SyncLogEntry.objects.filter(event="record gone").count()
    world.sync("A")
    world.sync("B")
    assert SyncLogEntry.objects.filter(event="record gone").count() == count and pins() == {"2": "B"}


def test_a_merge_just_before_a_full_run_is_followed_before_its_first_page(world: RoutingWorld) -> None:
    """A full run lists what there is: without a look at what is gone, the record that remains would be billed anew."""
    world.rule("A")
    world.deal(1)
    world.sync("A")
    world.deal(2)
    world.crm.drop("deal", "1", into="2")
    world.sync("A", full=True)
    world.go_on()
    link = EntityLink.objects.get()
    assert (link.crm_id, link.frozen_reason, world.bills("A")) == ("2", "", ["Deal 2"])


def test_a_deletion_just_before_a_rule_changes_is_not_forgotten(world: RoutingWorld) -> None:
    world.rule("A")
    world.deal(1)
    world.sync("A")
    world.crm.drop("deal", "1")
    world.rule("B", 'deal.city == "West"')  # every flow reads everything again
    world.sync("A")
    assert EntityLink.objects.get().frozen_reason == "crm: deleted"


def test_a_full_run_of_a_source_that_tells_of_nothing_asks_for_nothing(world: RoutingWorld) -> None:
    world.rule("A")
    world.sync("A")
    del world.crm_connector.tells_gone  # type: ignore[attr-defined]
    before = world.crm.calls["list"]
    world.sync("A", full=True)
    assert world.crm.calls["list"] == before + 1
