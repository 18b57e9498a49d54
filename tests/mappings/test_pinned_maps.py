"""A version keeps the value maps that it was published with; an edit of a shared map reaches records by publishing."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection

from mappings import bundle
from mappings.bundle_diff import edits
from mappings.models import (
    MappingSet,
    PinnedMaps,
    ValueMap,
    ValueMapEntry,
    compile_mapping,
    new_draft,
    publish,
    rollback,
)
from mappings.models.pinned import waiting
from tests.mappings import world
from tests.mappings.test_admin import change_url, consultant, signed_in

pytestmark = pytest.mark.django_db


def terms(pair: Any, unmapped: str = "block", **lines: str) -> ValueMap:
    made: ValueMap = ValueMap.objects.create(integration=pair, name="Terms", unmapped=unmapped)
    for source, target in lines.items():
        ValueMapEntry.objects.create(value_map=made, source_value=source, target_value=target)
    return made


def version(shared: ValueMap) -> MappingSet:
    """A mapping that uses the map by a row, published."""
    draft = world.draft(shared.integration)
    world.field(draft, "name", "customer.TermsOfPayment", value_map=shared)
    world.field(draft, "city", 'lookup(customer.TermsOfPayment, "Terms")')
    return publish(draft, None)


def lines(mapping_set: MappingSet) -> dict[str, str]:
    return dict(compile_mapping(mapping_set).tables["Terms"].entries)


def change(shared: ValueMap, source: str, target: str) -> None:
    entry = shared.entries.get(source_value=source)
    entry.target_value = target
    entry.save()


def test_an_edit_of_a_shared_map_is_in_force_with_the_next_version_and_not_before() -> None:
    shared = terms(world.integration(), a="1", b="2")
    first = version(shared)
    change(shared, "a", "9")
    shared.entries.get(source_value="b").delete()
    assert lines(first) == {"a": "1", "b": "2"}
    assert {rule.value_map.look_up("a") for rule in compile_mapping(first).fields if rule.value_map} == {"1"}
    assert waiting(shared) == {first.pk: 2}
    draft = new_draft(first, None)
    assert lines(draft) == {"a": "9"}
    found = edits(bundle.bundle_of(first), bundle.bundle_of(draft))
    assert [(edit.column, edit.before, edit.after, edit.writes) for edit in found] == [
        ("“a”", "1", "9", True), ("“b”", "2", "", True),
    ]  # fmt: skip
    second = publish(draft, None)
    assert lines(second) == {"a": "9"} and waiting(shared) == {}
    first.refresh_from_db()
    assert lines(first) == {"a": "1", "b": "2"}  # and for ever


def test_going_back_brings_the_values_of_then_and_leaves_the_shared_map_as_it_is() -> None:
    shared = terms(world.integration(), a="1")
    first = version(shared)
    change(shared, "a", "9")
    second = publish(new_draft(first, None), None)
    first.refresh_from_db()
    back = rollback(first, None)
    assert (lines(back), lines(second), shared.entries.get().target_value) == ({"a": "1"}, {"a": "9"}, "9")
    assert waiting(shared) == {back.pk: 1}
    assert edits(bundle.bundle_of(first), bundle.bundle_of(back)) == []
    assert lines(rollback(back, None)) == {"a": "1"}


def test_a_line_for_a_value_that_stops_the_record_works_at_once() -> None:
    shared = terms(world.integration(), a="1")
    first = version(shared)
    ValueMapEntry.objects.create(value_map=shared, source_value=" B ", target_value="2")
    assert lines(first) == {"a": "1", "b": "2"} and waiting(shared) == {}
    ValueMapEntry.objects.create(value_map=shared, source_value="", target_value="none")  # "" never stopped anything
    assert lines(first) == {"a": "1", "b": "2"} and waiting(shared) == {first.pk: 1}


@pytest.mark.parametrize("unmapped", ["default", "pass"])
def test_a_line_for_a_value_that_was_written_otherwise_waits_for_a_version(unmapped: str) -> None:
    shared = terms(world.integration(), unmapped, a="1")
    first = version(shared)
    ValueMapEntry.objects.create(value_map=shared, source_value="b", target_value="2")
    ValueMap.objects.filter(pk=shared.pk).update(unmapped="block")
    shared.refresh_from_db()
    assert lines(first) == {"a": "1"} and compile_mapping(first).tables["Terms"].unmapped == unmapped
    assert waiting(shared) == {first.pk: 2}


def test_a_shared_map_that_gets_another_name_leaves_what_is_published_running() -> None:
    shared = terms(world.integration(), a="1")
    first = version(shared)
    ValueMap.objects.filter(pk=shared.pk).update(name="Payment terms")
    change(shared, "a", "9")
    rule = next(rule for rule in compile_mapping(first).fields if rule.value_map)
    assert rule.value_map is not None and rule.value_map.look_up("a") == "1" and lines(first) == {"a": "1"}
    content = bundle.bundle_of(first)
    assert [one["name"] for one in content["value_maps"]] == ["Terms"]
    assert content["fields"][0]["value_map"] == "Terms"


def test_a_map_that_somebody_edits_after_the_page_was_opened_is_not_published_unseen() -> None:
    shared = terms(world.integration(), a="1")
    draft = new_draft(version(shared), None)
    seen = bundle.maps_stamp(draft)
    change(shared, "a", "9")
    with pytest.raises(ValidationError, match="value map of this mapping was edited"):
        publish(draft, None, maps=seen)
    assert not PinnedMaps.objects.filter(pk=draft.pk).exists()
    publish(draft, None, maps=bundle.maps_stamp(draft))


def test_of_two_who_edit_one_map_the_second_does_not_put_back_what_the_first_changed() -> None:
    user = consultant()
    shared = terms(world.integration(user=user), a="1", b="2")
    first, second = shared.entries.order_by("source_value")
    client, page = signed_in(user), change_url(shared)
    opened = client.get(page).context["opened"]

    def form(**targets: str) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for number, entry in enumerate((first, second)):
            name = f"entries-{number}-"
            rows |= {f"{name}id": entry.pk, f"{name}source_value": entry.source_value, f"{name}value_map": shared.pk}
            rows[f"{name}target_value"] = targets[entry.source_value]
        return rows | {
            "integration": shared.integration_id, "mapping_set": "", "name": "Terms", "unmapped": "block",
            "default_value": "", "entries-TOTAL_FORMS": 2, "entries-INITIAL_FORMS": 2, "opened": opened,
        }  # fmt: skip

    assert client.post(page, form(a="9", b="2")).status_code == 302
    late = client.post(page, form(a="1", b="7"))  # opened before that save
    assert late.status_code == 200 and "Somebody else saved this value map meanwhile" in late.content.decode()
    assert late.context["opened"] == opened  # pressing once more does not help
    assert dict(shared.entries.values_list("source_value", "target_value")) == {"a": "9", "b": "2"}
    opened = client.get(page).context["opened"]
    assert client.post(page, form(a="9", b="7")).status_code == 302
    assert dict(shared.entries.values_list("source_value", "target_value")) == {"a": "9", "b": "7"}


def test_versions_that_are_older_than_pinning_keep_what_they_run_with() -> None:
    """What the migration does, with a map that is used by row, one by name in an expression, and one not at all."""
    shared = terms(world.integration(), a="1")
    first = version(shared)
    ValueMap.objects.create(integration=shared.integration, name="Unused")
    theirs = terms(world.integration("Other"), a="theirs")
    expected = list(bundle.maps_used(first).values())
    PinnedMaps.objects.all().delete()
    new_draft(first, None)
    import_module("mappings.migrations.0007_pinned_maps").pin(apps, SimpleNamespace(connection=connection))
    assert [(row.mapping_set_id, row.maps) for row in PinnedMaps.objects.all()] == [(first.pk, expected)]
    assert theirs.pk not in [one["id"] for one in expected]
