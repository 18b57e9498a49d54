"""Two tiny systems: values that nobody agreed on, and plans made twice, are neither lost nor forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync.models import Change, EntityLink, Flow
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db

ASK = {"precedence": "ask"}


@pytest.fixture
def world(tiny: Callable[..., TinyWorld]) -> TinyWorld:
    """Customers ↔ companies: name and city flow both ways."""
    world = tiny(fields=None)
    world.flow.delete()
    world.out = world.add_flow(  # type: ignore[attr-defined]
        "out", fields=[("name", "customer.name", ASK), ("city", "customer.city", ASK)]
    )
    world.back = world.add_flow(  # type: ignore[attr-defined]
        "back", source="company", target="customer", unique=False,
        fields=[("name", "company.name", ASK), ("city", "company.city", ASK)],
        source_side="crm", target_side="ledger", takes=Flow.Takes.ALL,
    )  # fmt: skip
    world.customer(1)
    both(world)
    return world


def both(world: Any) -> None:
    world.sync(world.out)
    world.sync(world.back)


def edit(world: TinyWorld, side: str, **fields: Any) -> None:
    remote, name = (world.crm, "company") if side == "crm" else (world.ledger, "customer")
    remote.put(name, fields, next(iter(remote.rows(name))))


def held(world: TinyWorld, field: str) -> tuple[Any, Any]:
    (company,), (customer,) = world.crm.rows("company").values(), world.ledger.rows("customer").values()
    return company[field], customer[field]


def test_a_value_that_met_a_blank_is_not_overwritten_unseen_when_the_blank_is_filled(world: Any) -> None:
    """The CRM has a new name and the ledger lost its own: the CRM's was never agreed on, and stays a question."""
    edit(world, "crm", name="Mine")
    edit(world, "ledger", name="", city="Ystad")
    world.sync(world.back)
    world.sync(world.out)
    edit(world, "ledger", name="Yours")
    both(world)
    both(world)
    assert held(world, "name") == ("Mine", "Yours")
    assert Change.objects.filter(state="review", error_code="both_changed").exists()


def test_a_value_changed_while_the_other_side_was_emptied_is_not_taken_as_delivered(world: Any) -> None:
    edit(world, "ledger", city="Kiruna")
    edit(world, "crm", city="")
    world.sync(world.back)
    both(world)
    assert held(world, "city")[0] == "Kiruna" or Change.objects.filter(state="review").exists()


def test_what_was_held_does_not_overwrite_what_changed_at_the_target_since(world: Any) -> None:
    Flow.objects.filter(pk=world.out.pk).update(approval="always")
    edit(world, "ledger", name="Ledger")
    world.sync(world.out)
    waiting = Change.objects.get(state="held")
    edit(world, "crm", name="Salesperson")
    world.approve(waiting.run)
    assert held(world, "name")[0] == "Salesperson"


def test_a_page_that_was_planned_twice_is_known_by_the_hash_that_the_list_has(
    tiny: Callable[..., TinyWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import IntegrityError

    from sync.engine import run

    world = tiny()
    world.customer(1)
    calls = []
    store = run.store

    def clashing(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise IntegrityError
        return store(*args)

    monkeypatch.setattr(run, "store", clashing)
    world.sync()
    assert len(calls) == 2
    first = EntityLink.objects.get().ledger_version
    world.sync(full=True)
    assert EntityLink.objects.get().ledger_version == first
