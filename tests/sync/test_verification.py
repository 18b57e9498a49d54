"""What becomes of a create whose answer was lost: searched for after the settle time, sent again only when that proves
nothing is there, and otherwise a person's question."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.errors import OutcomeUnknown
from sync.engine import exactly_once
from sync.models import Change, Flow
from tests.sync.test_exactly_once import bills
from tests.tiny import failing, lost_answer
from tests.tiny_world import TinyWorld


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


def test_the_settle_time_counts_from_the_lost_answer_because_a_frozen_sender_sends_late(
    billing: tuple[TinyWorld, Flow], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, flow = billing
    look = exactly_once._last_look

    def frozen(change: Change, locks: list[str]) -> None:
        look(change, locks)
        assert change.sent_at is not None
        change.sent_at -= timedelta(minutes=10)  # the request leaves ten minutes after its last look

    monkeypatch.setattr(exactly_once, "_last_look", frozen)
    world.crm.faults.append(lost_answer())
    begun = timezone.now()
    world.sync(flow)
    change = Change.objects.get()
    assert change.state == "unknown" and change.settle_until is not None
    assert change.settle_until >= begun + timedelta(seconds=119)


def test_a_sender_that_died_is_given_the_settle_time_from_its_death_before_nothing_counts(
    billing: tuple[TinyWorld, Flow], settings: Any
) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    bill = world.crm.objects["bill"].popitem()
    Change.objects.update(state="sending", settle_until=timezone.now())
    begun = timezone.now()
    world.sync(flow)
    change = Change.objects.get()
    assert (change.state, len(change.verifications)) == ("unknown", 1) and change.settle_until is not None
    assert change.settle_until >= begun + timedelta(seconds=settings.SETTLE_SECONDS)
    world.crm.objects["bill"].update([bill])  # it arrived after all
    world.later()
    world.sync(flow)
    assert Change.objects.get().state == "applied" and len(bills(world)) == 1


def test_what_is_no_longer_found_by_its_marker_is_not_sent_again_by_itself(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm_connector.found_for = {"bill": timedelta(days=7)}
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    world.crm.objects["bill"].clear()  # it is there, and the target's list of what is new does not show it any more
    Change.objects.update(sent_at=timezone.now() - timedelta(days=8), settle_until=timezone.now())
    world.sync(flow, rounds=3)
    change = Change.objects.get()
    assert (change.state, change.error_code) == ("review", "looked_too_late")
    assert not bills(world)


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
    assert Change.objects.get().error_code == "reference_cancelled"
    assert len(bills(world)) == 1


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
