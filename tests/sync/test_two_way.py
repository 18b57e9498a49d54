"""Customers that flow both ways between two tiny systems: nothing bounces, nothing is overwritten unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync import repair
from sync.models import Change, EntityLink, Flow
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db

ASK = {"precedence": "ask"}


@pytest.fixture
def world(tiny: Callable[..., TinyWorld]) -> TinyWorld:
    """Customers ↔ companies: name and city flow both ways, the number only out of the ledger."""
    world = tiny(fields=None)
    world.flow.delete()
    world.out = world.add_flow(  # type: ignore[attr-defined]
        "out",
        fields=[
            ("name", "customer.name", ASK), ("city", "upper(customer.city)", ASK), ("number", "customer.number", {}),
        ],
    )  # fmt: skip
    world.back = world.add_flow(  # type: ignore[attr-defined]
        "back", source="company", target="customer", unique=False,
        fields=[("name", "company.name", ASK), ("city", "company.city", ASK)],
        source_side="crm", target_side="ledger", takes=Flow.Takes.ALL,
    )  # fmt: skip
    return world


def both(world: Any, *, rounds: int = 1) -> None:
    for _round in range(rounds):
        world.sync(world.out)
        world.sync(world.back)


def writes(world: TinyWorld) -> tuple[int, int]:
    return world.crm.calls["write"], world.ledger.calls["write"] + world.ledger.calls["create"]


def edit(world: TinyWorld, side: str, **fields: Any) -> None:
    remote, name = (world.crm, "company") if side == "crm" else (world.ledger, "customer")
    key = next(iter(remote.rows(name)))
    remote.put(name, fields, key)


def held(world: TinyWorld) -> tuple[Any, Any]:
    (company,), (customer,) = world.crm.rows("company").values(), world.ledger.rows("customer").values()
    return (company["name"], company["city"]), (customer["name"], customer["city"])


def test_an_import_comes_back_as_an_echo_that_writes_and_reads_nothing(world: Any) -> None:
    world.customer(1)
    both(world, rounds=3)
    # The mapping respells the city on the way out; the ledger's own spelling survives the way back.
    assert held(world) == (("Customer 1", "LUND"), ("Customer 1", "Lund"))
    assert writes(world) == (1, 0)
    assert world.ledger.calls["detail"] == 0
    assert EntityLink.objects.count() == 1


def test_a_change_on_either_side_goes_to_the_other_and_no_further(world: Any) -> None:
    world.customer(1)
    both(world)
    edit(world, "crm", name="Renamed in the CRM")
    both(world, rounds=2)
    assert held(world) == (("Renamed in the CRM", "LUND"), ("Renamed in the CRM", "Lund"))
    edit(world, "ledger", name="Renamed in the ledger")
    both(world, rounds=2)
    assert held(world)[0][0] == held(world)[1][0] == "Renamed in the ledger"
    assert writes(world) == (2, 1)
    assert not Change.objects.filter(state="review").exists()


@pytest.mark.parametrize("first", ["out", "back"])
def test_changes_of_different_fields_on_both_sides_both_arrive_whichever_flow_runs_first(
    world: Any, first: str
) -> None:
    world.customer(1)
    both(world)
    edit(world, "crm", name="New name")
    edit(world, "ledger", city="Malmö")
    for slug in (first, "back" if first == "out" else "out", "out", "back"):
        world.sync(getattr(world, slug))
    assert held(world) == (("New name", "MALMÖ"), ("New name", "Malmö"))
    assert not Change.objects.filter(state="review").exists()


@pytest.mark.parametrize("first", ["out", "back"])
def test_the_same_field_changed_on_both_sides_asks_a_person_and_writes_nothing(world: Any, first: str) -> None:
    world.customer(1)
    both(world)
    before = writes(world)
    edit(world, "crm", name="Mine")
    edit(world, "ledger", name="Yours")
    for slug in (first, "back" if first == "out" else "out"):
        world.sync(getattr(world, slug))
    assert (held(world)[0][0], held(world)[1][0]) == ("Mine", "Yours")
    assert writes(world) == before
    assert set(Change.objects.filter(state="review").values_list("error_code", flat=True)) == {"both_changed"}


def test_both_sides_changed_to_the_same_value_is_no_conflict_then_or_later(world: Any) -> None:
    world.customer(1)
    both(world)
    edit(world, "crm", name="Agreed")
    edit(world, "ledger", name="Agreed")
    both(world)
    edit(world, "crm", name="Later")
    both(world, rounds=2)
    assert (held(world)[0][0], held(world)[1][0]) == ("Later", "Later")
    assert not Change.objects.filter(state="review").exists()


def test_records_found_to_be_the_same_keep_their_differences_until_one_side_changes(world: Any) -> None:
    from mappings.models import MatchRule
    from mappings.models.versions import new_draft, publish

    draft = new_draft(world.out.mapping_set(), None)
    MatchRule.objects.create(
        mapping_set=draft, position=0, label="Number", expression="customer.number", target_field="number",
        normaliser="exact", outcome="link",
    )  # fmt: skip
    publish(draft, None, check=False)
    world.customer(1, name="In the ledger")
    world.crm.put("company", {"number": "1", "name": "In the CRM", "city": "LUND"})
    both(world, rounds=2)
    assert (held(world)[0][0], held(world)[1][0]) == ("In the CRM", "In the ledger")
    assert not Change.objects.filter(state="review").exists()
    edit(world, "ledger", name="Changed since")
    both(world)
    assert held(world)[0][0] == "Changed since"


def test_a_record_that_began_in_the_crm_goes_out_once_and_its_echo_is_silent(world: Any) -> None:
    world.crm.put("company", {"name": "New", "city": "Ystad"})
    world.sync(world.back)
    both(world, rounds=2)
    assert held(world)[1] == ("New", "Ystad")
    assert held(world)[0][0] == "New"
    assert world.ledger.calls["create"] == 1
    assert EntityLink.objects.get().origin == "crm"


def test_a_flow_that_is_switched_off_writes_nothing_back_and_needs_no_agreement(world: Any) -> None:
    Flow.objects.filter(pk=world.back.pk).update(enabled=False)
    world.customer(1)
    world.sync(world.out)
    assert EntityLink.objects.get().agreed_ledger == {}


@pytest.mark.parametrize("side,kept", [("source", "Mine"), ("target", "Yours")])
def test_the_value_that_a_person_chose_goes_to_the_other_side(world: Any, side: str, kept: str) -> None:
    world.customer(1)
    both(world)
    edit(world, "crm", name="Mine")
    edit(world, "ledger", name="Yours")
    both(world)
    change = Change.objects.get(state="review", flow=world.back)
    repair.choose(change, {"name": side}, None)
    both(world, rounds=2)
    assert (held(world)[0][0], held(world)[1][0]) == (kept, kept)
    assert not Change.objects.filter(state="review").exists()


def test_a_value_that_moved_after_the_decision_is_asked_about_again(world: Any) -> None:
    world.customer(1)
    both(world)
    edit(world, "crm", name="Mine")
    edit(world, "ledger", name="Yours")
    both(world)
    repair.choose(Change.objects.get(state="review", flow=world.back), {"name": "source"}, None)
    edit(world, "ledger", name="Yours again")
    both(world)
    assert Change.objects.filter(state="review", error_code="both_changed").exists()
    assert (held(world)[0][0], held(world)[1][0]) == ("Mine", "Yours again")


def test_nothing_is_decided_by_halves(world: Any) -> None:
    world.customer(1)
    both(world)
    edit(world, "crm", name="Mine", city="X")
    edit(world, "ledger", name="Yours", city="Y")
    both(world)
    change = Change.objects.get(state="review", flow=world.back)
    with pytest.raises(ValueError, match="every field"):
        repair.choose(change, {"name": "source"}, None)
