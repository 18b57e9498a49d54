"""A filter that speaks of what a flow takes by itself: somebody at a card may ask for more, where it says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync import interactive, tasks
from sync.models import Change
from sync.states import State
from tests.sync.test_feedback import ASKED, Shop, shop

__all__ = ["shop"]
pytestmark = pytest.mark.django_db


def asked(world: Shop, key: str) -> Change:
    """Somebody looks at the card of a record."""
    looked = interactive.look(world.bills, key, actor="anna@kund.example")
    tasks.work_on(looked.pk)
    return Change.objects.filter(source_id=key).latest("pk")


def test_a_record_that_the_flow_leaves_alone_is_made_when_a_card_asks(shop: Callable[..., Shop]) -> None:
    world = shop(filter_expression=f"source.asked or {ASKED}")
    world.company("1", state="")
    world.sync(world.bills)
    assert not world.ledger.rows("bill")
    change = asked(world, "1")
    assert change.state == State.PLANNED
    pressed = interactive.press(change.pk, actor="anna@kund.example", fingerprint=change.source_fingerprint)
    assert pressed.status == "queued"
    tasks.work_on(change.pk)
    assert len(world.ledger.rows("bill")) == 1 and world.shows("1")[0] == "Synced"
    world.quiet()
    assert len(world.ledger.rows("bill")) == 1


def test_a_filter_that_does_not_say_so_holds_for_everybody(shop: Callable[..., Shop]) -> None:
    world = shop()
    world.company("1", state="")
    assert asked(world, "1").state == State.SKIPPED
    assert not world.ledger.rows("bill")
