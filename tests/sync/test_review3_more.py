"""A review of the engine that creates, continued: the hour's limit and what counts for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from integrations.connector import Outcome
from integrations.errors import AuthenticationFailed
from sync import interactive, tasks
from sync.models import Change, Flow
from tests.tiny_world import TinyWorld

World = Callable[..., TinyWorld]

pytestmark = pytest.mark.django_db(transaction=True)


def _orders(world: TinyWorld, count: int, **flow: Any) -> Flow:
    made = world.add_flow(
        "orders", source="order", target="bill", unique=False,
        fields=[("name", "order.name", {}), ("number", "order.number", {})], **flow,
    )  # fmt: skip
    for number in range(1, count + 1):
        world.ledger.put("order", {"number": str(number), "name": f"Order {number}"}, str(number))
    return made


def test_many_presses_do_not_evade_the_limit_of_the_hour(tiny: World) -> None:
    world = tiny()
    flow = _orders(world, 6, max_creates_per_hour=2, takes="linked")
    statuses = []
    for number in range(1, 7):
        tasks.work_on(interactive.look(flow, str(number), actor="a").pk)
    for change in Change.objects.filter(flow=flow, state="planned").order_by("pk"):
        statuses.append(interactive.press(change.pk, actor="a", fingerprint=change.source_fingerprint).status)
    world.sync(flow)
    assert len(world.crm.rows("bill")) <= 2, statuses


def test_creates_that_the_login_refused_do_not_count_for_the_hour(tiny: World) -> None:
    world = tiny()
    flow = _orders(world, 3, max_creates_per_hour=4)  # the overlap plans the superseded ones again: 1, 2, 3 and 9
    create = world.crm_connector.create
    refused = AuthenticationFailed("expired", code="401")
    world.crm_connector.create = lambda name, write: Outcome(write.key, error=refused)  # type: ignore[method-assign]
    world.sync(flow)
    world.crm_connector.create = create  # type: ignore[method-assign]
    Change.objects.update(due_at=timezone.now())
    world.ledger.clock += 100
    world.ledger.put("order", {"number": "9", "name": "Order 9"}, "9")
    Change.objects.filter(flow=flow).exclude(source_id="1").update(state="superseded")
    world.sync(flow)
    assert "Order 9" in {row.get("name") for row in world.crm.rows("bill").values()}
