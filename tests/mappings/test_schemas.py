"""Stored schemas and the names that expressions may use."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.connector import FieldSchema, FieldType, ObjectSchema, Option
from mappings.schemas import dump_schema, known_names, known_schema, line_part, load_schema, names_of
from tests.mappings import world

names = st.text("abcXYZ_", min_size=1, max_size=8)
fields = st.builds(
    FieldSchema, name=st.just("?"), label=names, type=st.sampled_from(FieldType),
    max_length=st.none() | st.integers(1, 99), decimals=st.none() | st.integers(0, 6), required=st.booleans(),
    writable=st.booleans(), unique=st.booleans(), derived=st.booleans(),
    options=st.lists(st.builds(Option, names, names), max_size=3).map(tuple),
)  # fmt: skip


def named(plain: dict[str, FieldSchema]) -> dict[str, FieldSchema]:
    return {name: FieldSchema(**{**_slots(field), "name": name}) for name, field in plain.items()}


def _slots(field: FieldSchema) -> dict[str, Any]:
    return {slot: getattr(field, slot) for slot in FieldSchema.__slots__}


field_sets = st.dictionaries(names, fields, max_size=4).map(named)
schemas = st.builds(
    ObjectSchema, system=names, name=names, label=names, key=names, fields=field_sets,
    parts=st.dictionaries(names, field_sets, max_size=2), lines=st.just("") | names, title=names,
    subsets=st.lists(names, max_size=2).map(tuple),
)  # fmt: skip


@given(schemas)
def test_a_schema_survives_its_stored_form(schema: ObjectSchema) -> None:
    assert load_schema(json.loads(json.dumps(dump_schema(schema)))) == schema


def test_an_object_that_was_never_described_accepts_any_field_of_its_known_parts() -> None:
    assert names_of(None, "invoice") == {
        "invoice": None, "customer": None, "row": None, "setup": None, "setting": None,
        "source": frozenset({"account_id", "account_name", "currency", "position"}),
        "target": frozenset({"account_id", "account_name"}),
    }  # fmt: skip
    assert set(names_of(None, "unheard_of")) == {"unheard_of", "source", "target", "setup", "setting"}
    assert line_part(None, "deal") == "line"
    assert line_part(None, "unheard_of") == ""


@pytest.mark.django_db
def test_a_described_object_limits_the_names() -> None:
    pair = world.integration(described=True)
    assert known_names(pair, "ledger", "customer")["customer"] == frozenset(world.CUSTOMER.fields)
    assert known_schema(pair, "crm", "deal") == world.DEAL  # stored with the time it was asked
    assert known_schema(pair, "ledger", "invoice") == world.INVOICE  # stored bare
    assert line_part(world.INVOICE, "invoice") == "row"


@pytest.mark.django_db
@pytest.mark.parametrize("stored", [None, [], {}, {"fields": 3}, {"schema": {"name": "x"}}, {"fields": {"a": None}}])
def test_an_unreadable_schema_means_any_field(stored: Any) -> None:
    pair = world.integration()
    pair.ledger_account.schemas = {"customer": stored}
    assert known_schema(pair, "ledger", "customer") is None
    assert known_names(pair, "ledger", "customer")["customer"] is None
