"""What several files about the engine start from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync.models import Flow
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
