"""What must not get out of sight: alarms, identities that are claimed, documents that nobody linked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from integrations.connector import Totals
from integrations.errors import AuthenticationFailed, RateLimited
from sync import interactive, repair, tasks
from sync.engine import exactly_once
from sync.engine.context import build
from sync.engine.outcomes import verdict
from sync.engine.references import carried, reference
from sync.engine.sweep import sweep
from sync.engine.verification import problem_of, search
from sync.models import Change, EntityLink, Flow
from sync.states import State
from tests.tiny import lost_answer
from tests.tiny_world import TinyWorld

World = Callable[..., TinyWorld]

pytestmark = pytest.mark.django_db(transaction=True)


def _alarmed(world: TinyWorld, flow: Flow) -> Change:
    """One order, two bills with its reference, and the alarm about them."""
    world.sync(flow)
    world.crm.put("bill", {"reference": Change.objects.get().remote_reference})
    sweep(flow)
    return Change.objects.get(error_code="duplicate_documents")


# --- Alarms -------------------------------------------------------------------------------------------------------


def test_an_edit_beside_an_alarm_is_written_when_the_alarm_is_dismissed(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    alarm = _alarmed(world, flow)
    world.ledger.put("order", {"number": "1", "name": "Renamed"}, "1")
    world.sync(flow)
    assert Change.objects.open().get().pk == alarm.pk  # a scan leaves it in sight
    repair.dismiss(Change.objects.filter(pk=alarm.pk), None, "The second one was credited.")
    world.later()
    world.sync(flow)
    assert world.crm.rows("bill")["1"]["name"] == "Renamed"


def test_an_alarm_that_was_dismissed_is_not_raised_again_and_one_that_was_replaced_is(
    billing: tuple[TinyWorld, Flow],
) -> None:
    world, flow = billing
    alarm = _alarmed(world, flow)
    repair.retry(Change.objects.filter(pk=alarm.pk), None)  # planned again: nothing to do, and two bills still
    world.sync(flow)
    assert not Change.objects.open().exists()
    sweep(flow)
    repair.dismiss(Change.objects.open(), None, "Both are wanted.")
    sweep(flow)
    assert not Change.objects.open().exists()


def test_a_document_whose_record_is_linked_to_another_one_is_told_and_a_replaced_one_is_not(
    billing: tuple[TinyWorld, Flow],
) -> None:
    world, flow = billing
    world.sync(flow)
    EntityLink.objects.update(crm_id=world.crm.put("bill", {"name": "By hand"}))
    assert [finding.kind for finding in sweep(flow)] == ["unlinked"]
    Change.objects.filter(state="review").delete()
    newer = Change.objects.get()
    newer.pk, newer.generation, newer.remote_reference = None, 2, "lb1-a-o1-2-abcd"
    newer.save(force_insert=True)  # a person decided on one more
    assert sweep(flow) == []


# --- Claims -------------------------------------------------------------------------------------------------------


def _two_claims(world: TinyWorld, flow: Flow) -> list[Change]:
    world.ledger.put("order", {"number": "2", "name": "Order 2"}, "2")
    world.sync(flow, dry_run=True)
    Change.objects.filter(flow=flow).update(state="queued", claim="orgnr:5560360793")
    return list(Change.objects.filter(flow=flow).order_by("pk"))


def test_an_identity_whose_record_was_made_a_moment_ago_is_a_persons_to_decide(
    billing: tuple[TinyWorld, Flow],
) -> None:
    world, flow = billing
    first, second = _two_claims(world, flow)
    assert exactly_once.create(build(flow), first) == {"applied": 1}
    assert exactly_once.create(build(flow), second) == {"review": 1}
    second.refresh_from_db()
    assert (second.error_code, [row["id"] for row in second.candidates]) == ("claim_taken", ["1"])
    assert len(world.crm.rows("bill")) == 1


def test_an_identity_under_way_is_waited_for_until_it_has_settled(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    first, second = _two_claims(world, flow)
    world.crm.faults.append(lost_answer())
    assert exactly_once.create(build(flow), first) == {"unknown": 1}
    first.refresh_from_db()
    assert not exactly_once.create(build(flow), second)
    second.refresh_from_db()
    assert first.settle_until is not None
    assert (second.state, second.attempts) == ("queued", 0) and second.due_at >= first.settle_until
    # Not found twice: the first one is sent once more, and goes first.
    Change.objects.filter(pk=first.pk).update(state="queued", settle_until=timezone.now())
    assert not exactly_once.create(build(flow), second)
    first.refresh_from_db()
    assert exactly_once.create(build(flow), first) == {"applied": 1}
    assert exactly_once.create(build(flow), second) == {"review": 1}
    assert len(world.crm.rows("bill")) == 1


# --- A restored database ------------------------------------------------------------------------------------------


def test_a_look_after_a_restore_finds_the_document_and_a_scan_pays_no_call_for_it(
    billing: tuple[TinyWorld, Flow],
) -> None:
    world, flow = billing
    world.sync(flow)
    assert not world.crm.calls["find"]
    Change.objects.all().delete()
    EntityLink.objects.all().delete()
    tasks.work_on(interactive.look(flow, "1", actor="anna@kund.se").pk)
    seen = Change.objects.open().get()
    assert (seen.error_code, [row["id"] for row in seen.candidates]) == ("created_before", ["1"])
    assert world.crm.calls["find"] == 1


def test_what_we_know_to_have_sent_is_left_to_the_search_before_it_is_sent_again(
    billing: tuple[TinyWorld, Flow],
) -> None:
    world, flow = billing
    world.sync(flow)
    ctx = build(flow, lane="interactive")
    assert carried(ctx, ["1"], {}) == {}
    Change.objects.update(sent_at=None)
    assert carried(ctx, ["1"], {})["1"].id == "1"
    ctx.target.found_by_marker = frozenset()
    assert carried(ctx, ["1"], {}) == {}
    assert reference(ctx, Change(source_id="1", generation=2)) != reference(ctx, Change(source_id="1", generation=1))


# --- Attempts and totals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [AuthenticationFailed("expired", code="401"), RateLimited("busy", code="429")])
def test_only_an_attempt_without_a_predecessor_counts_as_never_sent(error: Any) -> None:
    now = timezone.now()
    first = Change(action="create", attempts=1, sent_at=now)
    assert verdict(first, error, repeatable=False).updates["sent_at"] is None
    for earlier in ({"attempts": 2}, {"attempts": 1, "verifications": [{"hits": 0}]}):
        again = Change(action="create", sent_at=now, **earlier)
        assert "sent_at" not in verdict(again, error, repeatable=False).updates


def test_a_found_document_may_differ_as_much_as_the_check_of_totals_allows(billing: tuple[TinyWorld, Flow]) -> None:
    world, flow = billing
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    Change.objects.update(amount=Decimal("100.00"), settle_until=timezone.now() - timedelta(seconds=1))
    change = Change.objects.get()
    assert change.state == State.UNKNOWN
    ctx = build(flow)
    found = Totals("SEK", (Decimal("104.00"),), Decimal("104.00"), Decimal("26.00"), Decimal("130.00"))
    ctx.target.totals_fields = lambda name: {name: frozenset({"name"})}  # type: ignore[method-assign]
    ctx.target.totals = lambda name, record: found  # type: ignore[method-assign]
    assert problem_of(ctx, change, search(ctx, change)) is not None
    ctx.settings = {"tolerance": Decimal("5.00")}
    assert problem_of(ctx, change, search(ctx, change)) is None
