"""Edits of a shared value map: what waits to be published is said, with mappings and records, and seen before."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from mappings.models import MappingSet, ValueMap, ValueMapEntry, publish, rollback
from sync.engine.run import work
from sync.lab import impact, trial
from sync.models import SyncRun
from tests.lab_world import LabWorld

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> LabWorld:
    return LabWorld(monkeypatch)


def with_cities(world: LabWorld) -> ValueMapEntry:
    """The published mapping translates cities by a shared map; its one line."""
    cities = ValueMap.objects.create(integration=world.integration, name="Cities")
    entry: ValueMapEntry = ValueMapEntry.objects.create(value_map=cities, source_value="Lund", target_value="Lund C")
    publish(world.draft('lookup(customer.city, "Cities")', "city"), None)
    return entry


def edited(entry: ValueMapEntry, target: str) -> None:
    entry.target_value = target
    entry.save()


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_a_rollback_corrects_records_with_the_map_values_of_then(world: LabWorld) -> None:
    entry = with_cities(world)
    good = world.flow.mapping_set()
    world.customer(1)
    world.sync()
    edited(entry, "Wrong")
    world.customer(1, name="Renamed")
    world.sync()
    assert world.companies()["1"] == ("Renamed", "Lund C")  # an edit alone writes nothing
    bad = publish(world.draft(), None)
    counted = impact.count_group(trial.bench(bad), 0)
    assert counted.looked == 1
    world.customer(1, name="Again")
    world.sync()
    assert world.companies()["1"] == ("AGAIN", "Wrong")
    good.refresh_from_db()
    back = rollback(good, None)
    impact.order(back, impact.written_since(good), None)
    work(world.flow)
    for _round in range(2):
        for run in SyncRun.objects.filter(state="held"):
            world.approve(run)
    assert world.companies()["1"] == ("Again", "Lund C")


def test_the_page_of_a_map_says_which_mappings_write_the_earlier_values_and_for_how_many_records(
    world: LabWorld,
) -> None:
    entry = with_cities(world)
    for number in range(3):
        world.customer(number)
    world.sync()
    _user, client = world.person()
    page = reverse("admin:mappings_valuemap_change", args=[entry.value_map_id])
    assert "Not in force yet" not in text_of(client.get(page))
    form = {
        "integration": world.integration.pk, "mapping_set": "", "name": "Cities", "unmapped": "block",
        "default_value": "", "entries-TOTAL_FORMS": 1, "entries-INITIAL_FORMS": 1, "entries-0-id": entry.pk,
        "entries-0-source_value": "Lund", "entries-0-target_value": "LUND", "entries-0-value_map": entry.value_map_id,
        "_continue": "1",
    }  # fmt: skip
    said = text_of(client.post(page, form, follow=True))
    version = world.flow.mapping_set()
    assert f"Not in force yet: {version}." in said and "1 edit waits, 3 linked records" in said
    assert reverse("admin:lab_versions", args=[version.pk]) in said
    publish(world.draft("customer.name"), None)
    assert "Not in force yet" not in text_of(client.get(page))


def test_the_publish_page_lists_the_edit_of_a_map_and_refuses_one_that_it_did_not_show(world: LabWorld) -> None:
    entry = with_cities(world)
    world.customer(1)
    world.sync()
    edited(entry, "LUND")
    draft = world.draft("customer.name")
    _user, client = world.person()
    page = reverse("admin:lab_publish", args=[draft.pk])
    opened = client.get(page)
    assert "<del>Lund C</del>" in text_of(opened) and "<ins>LUND</ins>" in text_of(opened)
    seen = {name: str(opened.context[name]) for name in ("revision", "maps")}
    counted = client.post(reverse("admin:lab_count", args=[draft.pk]), seen)
    assert "1 would differ" in text_of(counted)
    edited(entry, "Elsewhere")
    stale = client.post(reverse("admin:lab_count", args=[draft.pk]), seen)
    assert "edited after you opened this page" in text_of(stale) and "would differ" not in text_of(stale)
    assert {name: str(stale.context[name]) for name in seen} == seen  # so that this is not published either
    refused = client.post(reverse("admin:lab_publish_now", args=[draft.pk]), seen | {"then": "future"}, follow=True)
    assert "value map of this mapping was edited" in text_of(refused)
    assert MappingSet.objects.get(pk=draft.pk).editable


def test_a_count_that_began_before_the_draft_was_saved_again_is_not_gone_on_with(world: LabWorld) -> None:
    for number in range(22):
        world.customer(number)
    world.sync()
    draft = world.draft()
    _user, client = world.person()
    url = reverse("admin:lab_count", args=[draft.pk])
    first = client.post(url)
    carry = {name: str(first.context[name]) for name in ("revision", "maps", "after", "differ", "looked")}
    MappingSet.objects.filter(pk=draft.pk).update(revision=7)
    second = client.post(url, carry)
    assert "edited after you opened this page" in text_of(second)
    done = client.post(
        reverse("admin:lab_publish_now", args=[draft.pk]),
        {"then": "future", "revision": str(second.context["revision"]), "maps": second.context["maps"]}, follow=True,
    )  # fmt: skip
    assert "Nothing was published" in text_of(done)


def test_of_two_who_go_back_the_second_is_told_instead_of_publishing_once_more(world: LabWorld) -> None:
    with_cities(world)
    _user, client = world.person()
    old = MappingSet.objects.get(version=1)
    page = reverse("admin:lab_rollback", args=[old.pk])
    asked = client.post(page)
    [(name, value)] = asked.context["question"].fields
    assert f'name="{name}" value="{value}"' in text_of(asked)
    for _press in range(2):
        said = text_of(client.post(page, {"confirmed": "1", name: value}, follow=True))
    assert "Another version came into force" in said and MappingSet.objects.count() == 3
