"""The lab knows what the flow would take and what a rule would find: filter and match rules of the engine itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from integrations.errors import Transient
from mappings.models import MatchRule, publish
from sync.engine.run import work
from sync.lab import impact, trial
from sync.models import Change, Flow, SyncRun
from tests.lab_world import LabWorld
from tests.tiny import failing

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> LabWorld:
    return LabWorld(
        monkeypatch, matches=[{"label": "Same number", "expression": "customer.number", "target_field": "number"}]
    )


def tried(world: LabWorld, draft: Any, *ids: str) -> dict[str, trial.Tried]:
    return {row.id: row for row in trial.run(trial.bench(draft), ids, matching=True)}


def filtered(world: LabWorld, expression: str) -> None:
    Flow.objects.filter(pk=world.flow.pk).update(filter_expression=expression)


def test_a_record_that_the_filter_leaves_out_is_not_called_different_and_says_which_value_decided(
    world: LabWorld,
) -> None:
    for number, city in ((1, "Lund"), (2, "Malmö")):
        world.customer(number, city=city)
    world.sync()
    filtered(world, 'customer.city == "Lund" or source.asked')
    found = tried(world, world.draft(), "1", "2")
    assert {key: (row.verdict, row.writes) for key, row in found.items()} == {
        "1": ("differs", True), "2": ("not_taken", False),
    }  # fmt: skip
    assert 'customer.city == "Lund"' in found["2"].not_taken and "customer.city = “Malmö”" in found["2"].not_taken
    assert found["1"].not_taken == "" and "Linked with" in found["1"].counterpart


def test_a_filter_may_take_what_is_linked_already(world: LabWorld) -> None:
    world.customer(1)
    world.sync()
    world.customer(2)
    filtered(world, "source.linked")
    assert {key: row.writes for key, row in tried(world, world.draft(), "1", "2").items()} == {"1": True, "2": False}
    world.customer(1, name="Changed")
    world.sync()
    assert {key: row[0] for key, row in world.companies().items()} == {"1": "Changed"}


def test_the_filter_reads_fields_that_no_rule_reads(world: LabWorld) -> None:
    world.customer(1, phone="070")
    filtered(world, 'customer.phone != "070"')
    assert "customer.phone = “070”" in tried(world, world.draft(), "1")["1"].not_taken


def test_records_that_a_run_would_not_write_are_not_counted_as_differing(world: LabWorld) -> None:
    for number in range(6):
        world.customer(number, city="Lund" if number % 2 else "Malmö")
    world.sync()
    filtered(world, 'customer.city == "Lund"')
    draft = world.draft()
    draft.validations.create(
        label="No fives", expression='customer.number != "5"', outcome="skip", message="A five", position=1
    )
    counted = impact.count_group(trial.bench(draft), 0)
    assert (counted.looked, counted.failing) == (6, 0)
    assert sorted(impact.source_ids(draft, counted.differ)) == ["1", "3"]
    order = impact.order(publish(draft, None), ["0", "1", "2", "3", "4", "5"], None)
    assert order is not None
    work(world.flow)
    run = SyncRun.objects.get(pk=Change.objects.filter(state="held").latest("pk").run_id)
    assert sorted(run.changes.filter(state="held").values_list("source_id", flat=True)) == ["1", "3"]  # as counted


def test_it_says_which_rule_finds_the_counterpart_as_a_run_would(world: LabWorld) -> None:
    for number in range(1, 5):
        world.customer(number)
    world.crm.put("company", {"name": "One", "number": "1"}, "c1")
    for key in ("c2", "c3"):
        world.crm.put("company", {"name": key, "number": "2"}, key)
    draft = world.draft()
    before = Change.objects.count()
    found = {key: row.counterpart for key, row in tried(world, draft, "1", "2", "3").items()}
    assert "“Same number” finds" in found["1"] and "c1" in found["1"] and "person" not in found["1"]
    assert "c2" in found["2"] and "c3" in found["2"] and "a person decides" in found["2"]
    assert found["3"] == "No rule finds a counterpart."
    MatchRule.objects.filter(mapping_set=draft).update(outcome="suggest")  # the draft's own rules are tried
    assert "a person decides" in tried(world, draft, "1")["1"].counterpart
    assert Change.objects.count() == before
    world.crm.faults.append(failing("find", Transient("away", code="503"), times=9))
    down = tried(world, draft, "1")["1"]
    assert "could not be looked for: away" in down.counterpart and down.verdict == "differs"


def test_a_filter_that_does_not_compile_is_said_on_the_page_and_stops_no_trial(world: LabWorld) -> None:
    world.customer(1)
    filtered(world, "customer.city ==")
    _user, client = world.person()
    answer = client.post(reverse("admin:lab_try", args=[world.draft().pk]), {"record": "1"})
    text = answer.content.decode()
    assert "filter cannot be used" in text and "CUSTOMER 1" in text
