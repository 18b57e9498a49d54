"""Creates that the remote cannot deduplicate: one intended document, one document, whatever fails in between."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from integrations.errors import InvalidData, OutcomeUnknown
from integrations.locks import process_lock
from sync.engine import exactly_once
from sync.engine.context import build
from sync.models import Change, Flow
from tests.tiny import failing, lost_answer
from tests.tiny_world import TinyWorld

World = Callable[..., TinyWorld]


@pytest.fixture
def billing(tiny: World) -> tuple[TinyWorld, Flow]:
    """A flow from orders to bills, which the register cannot deduplicate: no unique key of ours."""
    world = tiny()
    flow = world.add_flow(
        "orders", source="order", target="bill", unique=False,
        fields=[("name", "order.name", {}), ("number", "order.number", {})],
    )  # fmt: skip
    world.ledger.put("order", {"number": "1", "name": "Order 1"}, "1")
    return world, flow


def bills(world: TinyWorld) -> list[str]:
    return [str(row["reference"]) for row in world.crm.rows("bill").values()]


def test_a_create_carries_a_reference_derived_from_its_source(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.sync(flow)
    change = Change.objects.get()
    assert bills(world) == [change.remote_reference]
    assert change.remote_reference == exactly_once.reference(build(flow), change)
    assert set(change.remote_reference) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(change.remote_reference) <= 50
    assert change.state == "applied" and change.target_id == "1"


def test_a_lost_answer_is_verified_after_the_settle_time_and_linked(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    change = Change.objects.get()
    assert change.state == "unknown" and change.settle_until is not None
    world.sync(flow)
    assert Change.objects.get().state == "unknown"  # not before its time
    world.later()
    world.sync(flow)
    change.refresh_from_db()
    assert (change.state, change.target_id, [look["hits"] for look in change.verifications]) == ("applied", "1", [1])
    assert len(bills(world)) == 1 and world.links() == 1


def test_not_found_twice_is_sent_once_more(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    world.crm.objects["bill"].clear()  # the server rolled back
    world.later()
    world.sync(flow)
    assert Change.objects.get().state == "unknown" and not bills(world)
    world.later()
    world.sync(flow, rounds=2)
    change = Change.objects.get()
    assert (change.state, change.attempts) == ("applied", 2)
    assert len(bills(world)) == 1


def test_a_lagging_search_never_makes_a_second_document(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    world.crm.invisible = {"1"}
    world.later()
    world.sync(flow)
    world.crm.invisible = set()
    world.later()
    world.sync(flow)
    assert Change.objects.get().state == "applied"
    assert len(bills(world)) == 1


def test_unknown_twice_goes_to_a_person(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(failing("create", OutcomeUnknown("timeout"), times=9))
    for _round in range(8):
        world.sync(flow)
        world.crm.objects["bill"].clear()
        world.later()
    change = Change.objects.get()
    assert (change.state, change.error_code) == ("review", "unknown_twice")


def test_two_documents_with_one_reference_are_an_alarm(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    world.crm.put("bill", {"reference": bills(world)[0]})
    world.later()
    world.sync(flow)
    change = Change.objects.get()
    assert (change.state, change.error_code) == ("review", "reference_not_single")


def test_a_found_document_that_was_cancelled_is_for_a_person(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    world.crm.objects["bill"]["1"].fields["cancelled"] = True
    world.later()
    world.sync(flow)
    assert Change.objects.get().error_code == "reference_not_single"
    assert len(bills(world)) == 1


def test_a_refused_create_is_not_repeated(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm_connector.create = failing_create  # type: ignore[method-assign]
    world.sync(flow)
    world.later()
    world.sync(flow)
    change = Change.objects.get()
    assert (change.state, change.attempts) == ("review", 1)


def failing_create(object_name: str, write: object) -> None:
    raise InvalidData("unknown article", code="2001302")


def test_a_change_that_another_worker_holds_is_left_alone(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.sync(flow, dry_run=True)
    Change.objects.update(state="queued")
    change = Change.objects.get()
    taken, done = threading.Event(), threading.Event()

    def other_worker() -> None:
        with process_lock(f"change:{change.pk}") as mine:
            assert mine
            taken.set()
            done.wait(10)

    thread = threading.Thread(target=other_worker)
    thread.start()
    assert taken.wait(10)
    try:
        assert not exactly_once.create(build(flow), change)
        world.sync(flow)  # and a whole run ends, instead of asking for it again and again
    finally:
        done.set()
        thread.join()
    assert not bills(world)


def test_a_sender_that_died_is_verified_not_repeated(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(failing("create", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        world.sync(flow)
    assert Change.objects.get().state == "sending"
    world.later()
    world.sync(flow)
    assert Change.objects.get().state == "applied"
    assert len(bills(world)) == 1
