"""Mapping files: the same bytes again after an import, and nothing half-imported of a file that is bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings import bundle
from mappings.bundle_diff import edits
from mappings.bundle_import import clone, make_draft, preview
from mappings.bundle_reading import MAX_BYTES, BundleError, read
from mappings.models import FieldMapping, MappingSet, State, ValueMap, new_draft, publish
from mappings.presets import available, install
from tests import factories as make

pytestmark = pytest.mark.django_db

PAIRS = [("hubspot", preset.slug) for preset in available("hubspot", "fortnox")] + [
    ("salesforce", preset.slug) for preset in available("salesforce", "fortnox")
]


WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)


def pair(crm: str = "hubspot") -> Any:
    organization = make.make_organization()
    return make.make_integration(organization, crm=make.make_account(organization, crm))


def installed(crm: str, slug: str) -> MappingSet:
    preset = next(preset for preset in available(crm, "fortnox") if preset.slug == slug)
    return install(pair(crm), preset)


def content(**changes: Any) -> dict[str, Any]:
    """A small good file."""
    head = {"slug": "customers", "name": "Customers", "source_side": "ledger", "source_object": "customer",
            "target_side": "crm", "target_object": "company"}  # fmt: skip
    base: dict[str, Any] = {
        "format": bundle.FORMAT, "format_version": 1, "systems": {"crm": "hubspot", "ledger": "fortnox"},
        "mapping": head, "fields": [{"target_field": "name", "expression": "customer.Name"}],
    }  # fmt: skip
    return base | changes


def refused(data: bytes | dict[str, Any], *words: str, into: Any = None) -> None:
    """The file is refused in these words, and nothing of it is there."""
    before = (MappingSet.objects.count(), FieldMapping.objects.count(), ValueMap.objects.count())
    raw = data if isinstance(data, bytes) else json.dumps(data, indent=1).encode()
    with pytest.raises(BundleError) as caught:
        make_draft(into or pair(), read(raw), None)
    text = " ".join(caught.value.messages)
    assert all(word in text for word in words), text
    assert (MappingSet.objects.count(), FieldMapping.objects.count(), ValueMap.objects.count()) == before


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.sampled_from(PAIRS), elsewhere=st.booleans(),
    entries=st.dictionaries(
        WORDS.filter(lambda word: word == word.casefold()), WORDS | st.just(""), max_size=4
    ),
)  # fmt: skip
def test_what_is_exported_imports_and_exports_as_the_same_bytes(
    chosen: tuple[str, str], elsewhere: bool, entries: dict[str, str]
) -> None:
    crm, slug = chosen
    original = installed(crm, slug)
    if entries:  # a version with a map of its own
        original = new_draft(original, None)
        own = ValueMap.objects.create(integration=original.integration, mapping_set=original, name="Own “map”")
        for source, target in entries.items():
            own.entries.create(source_value=source, source_key=source, target_value=target)
        original = publish(original, None, check=False)
    first = bundle.export(original)
    there = pair(crm) if elsewhere else original.integration
    # Salesforce's objects are known once an account described them: what is not known yet is listed, not refused.
    copy = make_draft(there, read(first), None, lenient=True).draft
    assert bundle.export(copy) == first
    assert copy.state == State.DRAFT
    assert edits(bundle.bundle_of(original), bundle.bundle_of(copy)) == []


def test_a_file_says_one_thing_per_line_and_nothing_that_is_only_ours() -> None:
    original = installed("hubspot", "invoices-to-deals")
    text = bundle.export(original).decode()
    assert text.endswith("}\n")
    assert '\n      "target_field": "amount",\n' in text
    assert not [word for word in ('"id"', '"pk"', '_id"', "created_", "remote_id", "token") if word in text]
    assert json.loads(text)["value_maps"][0]["entries"]
    assert '"required": false' not in text  # defaults are left out


def test_an_import_is_a_draft_shows_what_differs_and_leaves_the_rest_alone() -> None:
    original = installed("hubspot", "customers-to-companies")
    data = bundle.bundle_of(original)
    data["fields"][2]["expression"] = "upper(customer.Name)"
    data["fields"].append({"target_field": "country", "expression": "customer.CountryCode"})
    dropped = data["fields"].pop(0)["target_field"]
    looked = preview(original.integration, data, None)
    assert MappingSet.objects.count() == 1
    kinds = {(edit.kind, edit.what, edit.after) for edit in looked.edits}
    assert (
        "changed",
        data["fields"][1].get("label", data["fields"][1]["target_field"]),
        "upper(customer.Name)",
    ) in kinds
    assert ("added", "country", "customer.CountryCode") in kinds
    assert any(edit.kind == "removed" for edit in looked.edits), dropped
    made = make_draft(original.integration, data, None)
    original.refresh_from_db()
    assert (made.draft.state, made.draft.version, original.state) == (State.DRAFT, 2, State.PUBLISHED)
    assert made.edits == looked.edits
    refused(bundle.dumps(data), "already a draft", into=original.integration)


def test_a_value_map_that_differs_belongs_to_the_draft_alone() -> None:
    original = installed("hubspot", "invoices-to-deals")
    shared = ValueMap.objects.filter(mapping_set=None).count()
    data = bundle.bundle_of(original)
    data["value_maps"][0]["entries"]["new one"] = "x"
    before = {row.pk: row.table() for row in ValueMap.objects.all()}
    draft = make_draft(original.integration, data, None).draft
    assert {row.pk: row.table() for row in ValueMap.objects.filter(mapping_set=None)} == before
    assert draft.value_maps.get().entries.filter(source_value="new one").exists()
    assert ValueMap.objects.filter(mapping_set=None).count() == shared


DAMAGED: list[tuple[bytes, tuple[str, ...]]] = [
    (b"", ("no JSON",)),
    (b"\xff\xfe\x00", ("UTF-8",)),
    (json.dumps(content(), indent=1).encode()[:-40], ("Line", "damaged")),
    (b"[]", ("no mapping file",)),
    (b'{"format": "other"}', ("no mapping file",)),
    (b"x" * (MAX_BYTES + 1), ("larger than",)),
    (b'{"format": ' * 3000, ("nested deeper",)),
    (b"[" * 100_000, ("nested deeper",)),
    (b'{"a":1,\n"a":2}', ("Line 2, a", "twice")),
    (b'{"a":1,\n"\\u0061":2}', ("Line 2, a", "twice")),
    (b'{"format_version": NaN}', ("NaN",)),
    (b'{"format_version": ' + b"9" * 5000 + b"}", ("too large",)),
    (b"[" + b"1," * 70_000 + b"1]", ("more values",)),
    (b'{"format": "ledgerbridge-mapping", "format_version": true}', ("version of the format",)),
    (b'"\\ud800"', ("no mapping file",)),
]


@pytest.mark.parametrize(("data", "words"), DAMAGED)
def test_damaged_and_hostile_bytes_are_refused_in_words(data: bytes, words: tuple[str, ...]) -> None:
    with pytest.raises(BundleError) as caught:
        read(data)
    assert all(word in caught.value.messages[0] for word in words), caught.value.messages


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\a1\n', max_size=80).map(str.encode))
def test_no_bytes_do_anything_but_read_or_be_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        read(data)


def head(**changes: Any) -> dict[str, Any]:
    return {"mapping": content()["mapping"] | changes}


def fields(*rows: Any) -> dict[str, Any]:
    return {"fields": list(rows)}


ROW = {"target_field": "name", "expression": "customer.Name"}
FOREIGN: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"format_version": 2}, ("format_version", "newer")),
    ({"systems": {"crm": "salesforce", "ledger": "fortnox"}}, ("salesforce ↔ fortnox", "hubspot ↔ fortnox")),
    ({"extra": 1}, ("extra", "not known")),
    (fields({**ROW, "pk": "7"}), ("fields.0.pk", "not known")),
    (fields({**ROW, "mapping_set": "7"}), ("fields.0.mapping_set", "not known")),
    (fields({**ROW, "required": "yes"}), ("fields.0.required", "true or false")),
    (fields({**ROW, "label": 5}), ("fields.0.label", "quotation marks")),
    (fields({**ROW, "label": "<b>x</b>"}), ("fields.0.label", "<")),
    (fields({**ROW, "hint": "a\u202eb"}), ("fields.0.hint", "cannot be seen")),
    (fields({**ROW, "label": "Na\u200fme"}), ("fields.0.label", "cannot be seen")),
    (fields({**ROW, "hint": "x" * 301}), ("fields.0.hint", "301")),
    (fields({**ROW, "precedence": "whoever"}), ("fields.0.precedence",)),
    (fields({**ROW, "expression": "customer."}), ("fields.0.expression",)),
    (fields({**ROW, "expression": "__import__('os')"}), ("fields.0.expression",)),
    (fields(ROW, ROW), ("fields.1", "twice")),
    (fields({**ROW, "value_map": "None such"}), ("fields.0.value_map", "None such")),
    (fields(*[{**ROW, "target_field": f"f{n}"} for n in range(1001)]), ("1001 rows",)),
    ({"fields": {"a": 1}}, ("fields", "a list")),
    ({"fields": [[]]}, ("fields.0", "an object")),
    (head(slug="Not a slug!"), ("mapping.slug",)),
    (head(target_side="ledger"), ("mapping.target_side", "different sides")),
    (head(source_side="moon"), ("mapping.source_side",)),
    (head(unique_field="key"), ("mapping.unique_field", "both")),
    ({"value_maps": [{"name": "M", "entries": {"a": "1", "A ": "2"}}]}, ("translated twice",)),
    ({"value_maps": [{"name": "M", "unmapped": "explode", "entries": {}}]}, ("value_maps.0.unmapped",)),
    ({"value_maps": [{"name": "M", "entries": {"a": 1}}]}, ("value_maps.0.entries.a",)),
    ({"validations": [{"label": "L", "expression": "true", "scope": "line", "outcome": "skip_create"}]}, ("line",)),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), FOREIGN)
def test_what_does_not_belong_is_refused_with_field_and_remedy(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    refused(content(**changes), *words)


def test_a_file_of_another_object_does_not_become_a_version_of_this_mapping() -> None:
    original = installed("hubspot", "customers-to-companies")
    other = bundle.bundle_of(original)
    other["mapping"]["target_object"] = "contact"
    refused(other, "contact", "company", into=original.integration)


def test_a_clone_lists_what_the_other_side_lacks() -> None:
    original = installed("hubspot", "customers-to-companies")
    there = pair()
    schema = {"system": "hubspot", "name": "company", "label": "Company", "key": "id",
              "fields": {"name": {"label": "Name"}}}  # fmt: skip
    there.crm_account.schemas = {"company": {"at": "2026-01-01T00:00:00+00:00", "schema": schema}}
    there.crm_account.save()
    made = clone(original, there, None)
    assert any("city" in text for text in made.lacking)
    assert not any("“name”" in text for text in made.lacking)
    assert made.draft.field_mappings.count() == original.field_mappings.count()
    with pytest.raises(ValidationError, match="no field"):
        publish(made.draft, None)


def test_the_commands_write_and_read_files_all_or_none(tmp_path: Path, capsys: Any) -> None:
    original = installed("hubspot", "customers-to-companies")
    call_command("export_mappings", original.integration_id, out=str(tmp_path))
    file = tmp_path / "customers-to-companies.json"
    assert file.read_bytes() == bundle.export(original)
    there = pair()
    call_command("import_mappings", there.pk, str(file), dry_run=True)
    assert "would become version 1" in capsys.readouterr().out
    assert not there.mapping_sets.exists()
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    with pytest.raises(CommandError, match=r"bad\.json"):
        call_command("import_mappings", there.pk, str(file), str(bad))
    assert not there.mapping_sets.exists()
    call_command("import_mappings", there.pk, str(file))
    assert there.mapping_sets.get().state == State.DRAFT
    with pytest.raises(CommandError, match="There is no integration"):
        call_command("export_mappings", 999_999)
