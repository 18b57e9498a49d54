"""A review of the engine that creates: wishes that meet, answers that were lost, alarms that must stay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.connector import Outcome
from sync import inbox, interactive, repair, tasks
from sync.engine import exactly_once
from sync.engine.context import build
from sync.engine.deliver import deliver
from sync.engine.match import holders
from sync.engine.sweep import sweep
from sync.models import Change, EntityLink, Flow, Hint
from sync.states import State
from tests.factories import make_account, make_integration
from tests.tiny import lost_answer
from tests.tiny_world import TinyWorld

World = Callable[..., TinyWorld]

pytestmark = pytest.mark.django_db(transaction=True)


def _billing(tiny: World, **flow: Any) -> tuple[TinyWorld, Flow]:
    """Orders become bills, which the register cannot deduplicate."""
    world = tiny()
    made = world.add_flow(
        "orders", source="order", target="bill", unique=False,
        fields=[("name", "order.name", {}), ("number", "order.number", {})], **flow,
    )  # fmt: skip
    world.ledger.put("order", {"number": "1", "name": "Order 1"}, "1")
    return world, made


def _queued(world: TinyWorld, flow: Flow, **fields: Any) -> list[Change]:
    world.sync(flow, dry_run=True)
    Change.objects.filter(flow=flow).update(state="queued", **fields)
    return list(Change.objects.filter(flow=flow, state="queued").order_by("pk"))


def _bills(world: TinyWorld) -> int:
    return len(world.crm.rows("bill"))


# --- A second document --------------------------------------------------------------------------------------------


def test_a_document_that_lost_our_reference_is_not_made_again_by_a_retry(tiny: World) -> None:
    world, flow = _billing(tiny)
    create = world.crm_connector.create

    def forgetful(object_name: str, write: Any) -> Outcome:
        outcome = create(object_name, write)
        world.crm.objects["bill"][outcome.id].fields.pop("reference")
        return Outcome(outcome.key, outcome.id, True, {"name": "Order 1"})

    world.crm_connector.create = forgetful  # type: ignore[method-assign]
    world.sync(flow)
    change = Change.objects.get()
    assert (change.state, change.error_code) == ("review", "marker_not_echoed")
    world.crm_connector.create = create  # type: ignore[method-assign]
    repair.retry(Change.objects.all(), None)
    Change.objects.filter(settle_until__isnull=False).update(settle_until=timezone.now() - timedelta(minutes=1))
    for _round in range(3):
        world.sync(flow)
        world.later()
    assert _bills(world) == 1


def test_an_alarm_about_two_documents_stays_when_somebody_opens_the_card(tiny: World) -> None:
    world, flow = _billing(tiny)
    world.sync(flow)
    first = Change.objects.get()
    world.crm.put("bill", {"reference": first.remote_reference})
    assert [finding.kind for finding in sweep(flow)] == ["duplicate"]
    assert Change.objects.open().get().error_code == "duplicate_documents"
    tasks.work_on(interactive.look(flow, "1", actor="anna@kund.se").pk)
    sweep(flow)  # the next night
    assert Change.objects.open().filter(error_code="duplicate_documents").exists()


def test_of_two_records_with_one_identity_only_one_is_made_while_the_first_one_s_outcome_is_unknown(
    tiny: World,
) -> None:
    world = tiny()
    flow = world.add_flow(
        "orders", source="order", target="bill", unique=False,
        fields=[("name", "order.name", {}), ("org", "order.org", {})],
        matches=[{"label": "Org", "expression": "order.org", "target_field": "org", "normaliser": "orgnr",
                  "outcome": "link"}],
    )  # fmt: skip
    for number in ("1", "2"):
        world.ledger.put("order", {"number": number, "name": f"Order {number}", "org": "556036-0793"}, number)
    # Both were planned in the same moment, by two people at two cards.
    _queued(world, flow)
    Change.objects.update(claim="orgnr:5560360793", action="create", error_class="", candidates=[])
    rows = list(Change.objects.order_by("pk"))
    plain = rows[0].payload
    Change.objects.update(payload=plain)
    world.crm.faults.append(lost_answer())
    ctx = build(flow)
    ctx.claim_lookup = lambda change: holders(ctx, change.claim)
    assert exactly_once.create(ctx, Change.objects.get(pk=rows[0].pk)) == {"unknown": 1}
    world.crm.invisible = {"1"}  # the search index lags behind
    exactly_once.create(ctx, Change.objects.get(pk=rows[1].pk))
    assert _bills(world) == 1


def test_a_reference_says_which_account_the_document_is_for(tiny: World) -> None:
    world, flow = _billing(tiny)
    (change,) = _queued(world, flow)
    first = world.integration
    second = make_integration(
        first.organization, crm=make_account(first.organization, "hubspot"), ledger=first.ledger_account, name="second"
    )  # reads the same source account, writes another target account
    ctx = build(flow)
    ours = exactly_once.reference(ctx, change)
    ctx.integration = second
    assert exactly_once.reference(ctx, change) != ours  # else the second one is refused as `reference_taken`, for ever


def test_a_found_document_is_not_hidden_behind_a_link_that_was_made_meanwhile(tiny: World) -> None:
    world, flow = _billing(tiny)
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    assert Change.objects.get().state == "unknown"
    by_hand = world.crm.put("bill", {"name": "By hand"})
    side = {"crm_id": by_hand, "ledger_id": "1", "crm_object": "bill", "ledger_object": "order"}
    EntityLink.objects.create(integration=world.integration, **side)
    world.later()
    world.sync(flow)
    world.later()
    world.sync(flow)
    change = Change.objects.order_by("pk").first()
    assert change is not None
    linked = EntityLink.objects.get(ledger_object="order").crm_id
    assert change.state != State.APPLIED or linked == change.target_id, (change.target_id, linked, sweep(flow))


# --- A decision that is lost --------------------------------------------------------------------------------------


def test_one_more_document_is_made_each_time_a_person_decides_so(tiny: World) -> None:
    world, flow = _billing(tiny)
    world.sync(flow)
    for wanted in (2, 3):
        EntityLink.objects.filter(ledger_object="order").delete()  # somebody unlinked it
        tasks.work_on(interactive.look(flow, "1", actor="anna@kund.se").pk)
        asked = Change.objects.open().get()
        assert asked.error_code == "created_before"
        repair.create_new(asked, None)
        world.sync(flow)
        assert _bills(world) == wanted, list(Change.objects.values_list("pk", "state", "generation", "decision"))


def test_a_look_in_the_middle_of_a_scan_does_not_take_the_record_out_of_it(tiny: World) -> None:
    world, flow = _billing(tiny)
    Flow.objects.filter(pk=flow.pk).update(last_success_at=timezone.now())
    flow.refresh_from_db()
    for number in range(2, 15):  # two pages
        world.ledger.put("order", {"number": str(number), "name": f"Order {number}"}, str(number))
    changed = world.ledger_connector.changed

    def with_a_visitor(*args: Any, **more: Any) -> Any:
        for number, page in enumerate(changed(*args, **more)):
            yield page
            if number == 0:
                tasks.work_on(interactive.look(flow, "1", actor="anna@kund.se").pk)

    world.ledger_connector.changed = with_a_visitor  # type: ignore[method-assign]
    world.sync(flow)
    world.ledger_connector.changed = changed  # type: ignore[method-assign]
    Change.objects.filter(state="planned").update(updated_at=timezone.now() - timedelta(hours=25))
    interactive.expire_looks()
    world.ledger.clock += 100
    world.ledger.put("order", {"number": "99", "name": "Order 99"}, "99")
    world.sync(flow)
    world.sync(flow)
    assert "Order 1" in {row.get("name") for row in world.crm.rows("bill").values()}


def test_many_events_do_not_evade_the_limit_of_the_hour(tiny: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world, flow = _billing(tiny, max_creates_per_hour=3)
    world.sync(flow)
    world.integration.brake_records = 1_000
    world.integration.save()
    monkeypatch.setattr(inbox, "PLANNED_AT_ONCE", 2)
    for number in range(2, 12):
        world.ledger.put("order", {"number": str(number), "name": f"Order {number}"}, str(number))
        Hint.objects.create(flow=flow, source_id=str(number))
    from sync.engine.run import work

    work(flow)
    assert _bills(world) <= 3


def test_creates_end_when_the_time_is_spent(tiny: World) -> None:
    world, flow = _billing(tiny)
    for number in range(2, 31):
        world.ledger.put("order", {"number": str(number), "name": f"Order {number}"}, str(number))
    _queued(world, flow)
    left = [True]
    deliver(build(flow), keep_going=lambda: left.pop() if left else False)
    assert _bills(world) < 30


# --- Found to be fine ---------------------------------------------------------------------------------------------


def test_a_found_document_that_somebody_linked_to_another_record_goes_to_a_person(tiny: World) -> None:
    """The clash is found inside the transaction that stores the search: PostgreSQL must not lose that one."""
    world, flow = _billing(tiny)
    world.crm.faults.append(lost_answer())
    world.sync(flow)
    side = {"crm_id": "1", "ledger_id": "77", "crm_object": "bill", "ledger_object": "order"}
    EntityLink.objects.create(integration=world.integration, **side)
    world.later()
    world.sync(flow)
    change = Change.objects.get()
    assert (change.state, change.error_code, len(change.verifications)) == ("review", "link_taken", 1)
