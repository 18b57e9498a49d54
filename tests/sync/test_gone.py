"""Records that were deleted or merged at their source: links follow, nothing is deleted, nothing is made twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from integrations.connector import Outcome
from sync.engine.confirm import confirm
from sync.engine.context import build
from sync.models import Change, EntityLink, Flow, SyncLogEntry
from tests.tiny import lost_answer
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(tiny: Callable[..., TinyWorld]) -> TinyWorld:
    world = tiny()
    for number in (1, 2, 3):
        world.customer(number)
    world.sync()
    return world


def link(source_id: str) -> EntityLink:
    return EntityLink.objects.get(ledger_id=source_id)


def test_the_link_of_a_merged_record_moves_to_the_one_that_remains(world: Any) -> None:
    world.customer(4)  # not linked yet
    company = link("1").crm_id
    world.ledger.drop("customer", "1", into="4")
    world.sync()
    moved = EntityLink.objects.get(crm_id=company)
    assert (moved.ledger_id, moved.former) == ("4", [{"id": "1", "merged_into": "4"}])
    assert len(world.crm.rows("company")) == 3
    assert world.crm.rows("company")[company]["name"] == "Customer 4"
    assert SyncLogEntry.objects.filter(event="record gone").count() == 1


def test_a_merge_of_a_merge_is_followed_to_the_record_that_remains(world: Any) -> None:
    for number in (4, 5):
        world.customer(number)
    company, other = link("1").crm_id, link("2").crm_id
    world.ledger.drop("customer", "1", into="4")
    world.ledger.drop("customer", "4", into="5")
    world.ledger.put("customer", {"number": "6", "name": "Customer 6"}, "6")
    world.ledger.drop("customer", "2", into="6")
    world.ledger.drop("customer", "6")
    world.sync()
    assert EntityLink.objects.get(crm_id=company).ledger_id == "5"
    assert EntityLink.objects.get(crm_id=other).frozen_reason == "ledger: deleted"
    assert len(world.crm.rows("company")) == 3


@pytest.fixture
def under_way(tiny: Callable[..., TinyWorld]) -> tuple[TinyWorld, Flow]:
    """Orders become bills, which the register cannot deduplicate; the answer about the first one's bill was lost."""
    world = tiny()
    flow = world.add_flow(
        "orders", source="order", target="bill", unique=False, fields=[("number", "order.number", {})]
    )  # fmt: skip
    world.ledger.put("order", {"number": "1"}, "1")
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    assert Change.objects.get().state == "unknown"
    world.ledger.put("order", {"number": "2"}, "2")
    return world, flow


@pytest.mark.parametrize("state", ["unknown", "sending", "review"])
def test_a_bill_that_was_under_way_for_a_merged_order_becomes_the_remaining_ones(
    under_way: tuple[TinyWorld, Flow], state: str
) -> None:
    world, flow = under_way
    if state == "review":
        Change.objects.update(error_class="outcome_unknown", error_code="unknown_twice", settle_until=timezone.now())
    Change.objects.update(state=state)
    world.ledger.drop("order", "1", into="2")
    world.sync(flow)
    first = Change.objects.earliest("pk")
    assert (first.source_id, first.fence) == ("2", 2)
    for _round in range(2):
        world.later()
        world.sync(flow)
    made = Change.objects.get(state="applied", action="create")
    assert (made.source_id, made.remote_reference) == ("2", first.remote_reference)
    assert len(world.crm.rows("bill")) == 1
    assert EntityLink.objects.get(ledger_object="order").ledger_id == "2"


def test_whoever_was_sending_stores_no_link_for_a_record_that_was_merged_meanwhile(
    under_way: tuple[TinyWorld, Flow],
) -> None:
    world, flow = under_way
    Change.objects.update(state="sending")
    sender = Change.objects.get()
    world.ledger.drop("order", "1", into="2")
    world.sync(flow)
    confirm(build(flow), [(sender, Outcome(key=str(sender.pk), id="1", created=True))])
    assert Change.objects.get().state == "sending" and not EntityLink.objects.filter(ledger_object="order").exists()


def test_seeing_the_merge_again_changes_nothing(world: Any) -> None:
    world.customer(4)
    world.ledger.drop("customer", "1", into="4")
    for _again in range(3):
        world.sync()
    assert SyncLogEntry.objects.filter(event="record gone").count() == 1
    assert EntityLink.objects.count() == 3


def test_a_merge_of_two_linked_records_asks_a_person_once_and_moves_nothing(world: Any) -> None:
    before = {row.ledger_id: row.crm_id for row in EntityLink.objects.all()}
    world.ledger.drop("customer", "1", into="2")
    for _again in range(3):
        world.sync()
    (change,) = Change.objects.filter(state="review")
    assert (change.error_code, change.source_id, change.target_id) == ("merged", "1", before["1"])
    assert {row.ledger_id: row.crm_id for row in EntityLink.objects.all()} == before
    assert link("1").frozen_reason == "ledger: merged into 2"
    assert len(world.crm.rows("company")) == 3


def test_a_deleted_record_freezes_its_link_and_deletes_nothing(world: Any) -> None:
    world.ledger.drop("customer", "2")
    for _again in range(2):
        world.sync()
    assert link("2").frozen_reason == "ledger: deleted"
    assert len(world.crm.rows("company")) == 3
    assert not Change.objects.filter(state="review").exists()


def test_a_record_that_was_restored_goes_on_with_its_link(world: Any) -> None:
    world.ledger.drop("customer", "2")
    world.sync()
    world.ledger.gone.clear()
    world.customer(2, name="Back again")
    world.sync()
    assert link("2").frozen_reason == ""
    assert len(world.crm.rows("company")) == 3
    assert world.companies()["2"][0] == "Back again"


def test_what_waited_for_a_record_that_is_gone_is_not_sent(tiny: Callable[..., TinyWorld]) -> None:
    world = tiny(approval="always")
    world.customer(1)
    world.sync()
    assert Change.objects.get().state == "held"
    world.ledger.drop("customer", "1")
    world.sync()
    assert Change.objects.get().state == "superseded"
    assert world.crm.rows("company") == {}


def test_a_record_planned_before_it_took_over_a_link_is_planned_again_with_it(tiny: Callable[..., TinyWorld]) -> None:
    """A merge may reach us after the record that remains: what was planned for it as a new record is not sent."""
    world = tiny(page_size=1)
    world.customer(1)
    world.sync()
    company = link("1").crm_id
    world.flow.approval = "always"
    world.flow.save()
    world.customer(2)
    world.sync()
    assert Change.objects.get(source_id="2").state == "held"
    world.ledger.drop("customer", "1", into="2")
    world.sync()
    world.approve(Change.objects.filter(source_id="2", state="held").get().run)
    assert len(world.crm.rows("company")) == 1
    assert EntityLink.objects.get().crm_id == company
