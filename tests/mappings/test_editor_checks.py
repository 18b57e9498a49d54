"""The editor checks rows as somebody types: what is wrong, what is missed, what a sample gives."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.connector import FieldSchema, FieldType, ObjectSchema, Option
from mappings import editor
from mappings.admin import editor_pages
from mappings.editor_check import check
from mappings.editor_rows import Row, World
from mappings.expressions import table_of
from mappings.models import MappingSet, ValueMap, publish
from tests import factories as make
from tests.mappings import world
from tests.mappings.editor_kit import (
    INVOICE,
    Shelf,
    a_draft,
    ask,
    shelved,
    url,
)
from tests.mappings.test_admin import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return shelved(monkeypatch)


WORLD = World(
    {
        "customer": frozenset({"Name", "Kind", "Sum", "When"}), "row": frozenset({"No"}),
        "source": frozenset({"position"}),
    },
    "row",
    ObjectSchema(
        "x", "customer", "Customer", "No",
        world.by_name(
            world.text("Name", max_length=100), world.number("Sum"), FieldSchema("When", "When", FieldType.DATE),
            FieldSchema("Kind", "Kind", FieldType.ENUM, options=(Option("a", "A"), Option("b", "B"))),
        ),
        {"row": world.by_name(world.text("No"))}, "row",
    ),
    ObjectSchema(
        "y", "company", "Company", "id",
        world.by_name(
            world.text("name", max_length=50, required=True), world.number("amount"), world.text("id", writable=False),
            FieldSchema("stage", "Stage", FieldType.ENUM, options=(Option("s1", "S1"), Option("a", "A"))),
            world.text("key", required=True), FieldSchema("paid", "Paid", FieldType.BOOLEAN),
        ),
        {"line": world.by_name(world.text("sku", required=True), world.text("text"))}, "line",
    ),
    {"Kinds": table_of("Kinds", {"a": "s1", "b": "wrong"}), "Half": table_of("Half", {"A": "s1"})},
    frozenset({"key"}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row("r", "customer.Nam", "name"), "Did you mean “Name”?"),
        (Row("r", "customer.Name", "nmae"), "Did you mean “name”?"),
        (Row("r", "customer.Name", "id"), "cannot be written"),
        (Row("r", "customer.Name", "name"), "may have 100 characters, “Name” holds 50"),
        (Row("r", "customer.Name", "amount"), "“Name” is text, “Amount” wants a number."),
        (Row("r", "customer.When", "paid"), "wants yes or no"),
        (Row("r", "customer.Kind", "stage"), "1 of 2 values of “Kind” have no translation: b"),
        (Row("r", "customer.Kind", "stage", value_map="Half"), "have no translation: b"),
        (Row("r", "customer.Kind", "stage", value_map="Kinds"), "does not take: wrong"),
        (Row("r", "customer.Name", ""), "names no target field"),
        (Row("r", "row.No", "name"), "Use sum_lines(row.No) or first_line(row.No)"),
        (Row("r", "source.position", "name"), "Unknown field “position”"),
        (Row("r", "", "name"), "The expression is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row_is_said_before_any_record_fails(row: Row, said: str) -> None:
    ((answer,), _general) = check([row], WORLD)
    assert any(said in f"{found.message} {found.remedy}" for found in answer.findings), answer.findings


def test_good_rows_are_quiet_and_what_is_required_is_missed_per_scope() -> None:
    good = [
        Row("1", "trim(customer.Name)", "name"),
        Row("2", "customer.Sum", "amount"),
        Row("3", "row.No", "text", "line"),
    ]
    answers, general = check(good, WORLD)
    assert [answer.findings for answer in answers] == [[], [], []]
    assert [found.where for found in general] == ["line:sku"]  # "key" is written by the mapping's own key
    assert {found.where for found in check([], WORLD)[1]} == {"header:name"}
    twice = [Row("1", "customer.Name", "name"), Row("2", "customer.Name", "name"), Row("3", "row.No", "name", "line")]
    assert sum("more than one row" in f.message for answer in check(twice, WORLD)[0] for f in answer.findings) == 2


def test_each_row_gives_its_value_for_the_sample_or_the_reason_why_not() -> None:
    names = {"invoice": None, "customer": None, "row": None, "source": None}
    here = World(names, "row", None, world.DEAL, {"Kinds": table_of("Kinds", {"x": "y"})})
    rows = [
        Row("value", "invoice.Total", "amount"), Row("part", "upper(customer.Name)", "dealname"),
        Row("sum", "sum_lines(row.Price)", "amount"), Row("line", "row.ArticleNumber", "hs_sku", "line"),
        Row("place", "source.position", "quantity", "line"), Row("type", "customer.Name", "amount"),
        Row("map", "invoice.DocumentNumber", "dealname", value_map="Kinds"),
        Row("none", "invoice.Nothing", "dealname", required=True), Row("list", '"SEK"', "deal_currency_code"),
        Row("label", '"s-paid"', "dealstage"),
    ]  # fmt: skip
    answers, _general = check(rows, here, INVOICE)
    found = {answer.key: answer.value if answer.value is not None else answer.failed for answer in answers}
    assert found["value"] == "1250.50"
    assert found["part"] == "ÅKERS JÄRN AB"
    assert found["sum"] == "15.00"
    assert found["line"] == "A-1 · A-2 · A-3 · …"
    assert found["place"].startswith("1 · 2")
    assert "needs a number" in found["type"]
    assert "not in the value map" in found["map"]
    assert "is required and has no value" in found["none"]
    assert (found["list"], found["label"]) == ("SEK", "paid (s-paid)")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
a_row = st.fixed_dictionaries(
    {},
    optional={
        "key": anything, "target": st.sampled_from(["name", "zip", "x"]) | anything, "scope": anything,
        "value_map": st.sampled_from(["Shared"]) | anything, "required": anything,
        "expression": st.text(max_size=60)
        | st.sampled_from(
            ["customer.Name", "customer.Name + 1", "((((", "customer.\ud800", "lookup(1, 'Shared')", "a" * 5000]
        ),
    },
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.fixed_dictionaries({"rows": st.lists(a_row, max_size=4)}) | anything)
def test_whatever_is_posted_the_check_answers(body: Any) -> None:
    cache.clear()
    draft = MappingSet.objects.first()
    if draft is None:
        draft, _client = a_draft()
        ValueMap.objects.create(integration=draft.integration, name="Shared")
        editor.keep(draft.integration.organization.members.get(), draft, INVOICE)
    client = signed_in(draft.integration.organization.members.get())
    reply = ask(client, draft, "check", body)
    assert reply.status_code in (200, 400)
    if reply.status_code == 200:
        assert len(reply.json()["rows"]) == len(body["rows"])


def test_the_check_is_for_those_who_may_change_this_draft_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    draft, client = a_draft()
    other = signed_in(make.make_user(organization=make.make_organization()))
    viewer = signed_in(make.make_user(organization=draft.integration.organization, role="viewer"))
    for name in ("check", "sample", "recent", "schema"):
        assert other.post(url(draft, name)).status_code == 404
        assert viewer.post(url(draft, name)).status_code == 403
        assert client.get(url(draft, name)).status_code == 405
    assert other.get(url(draft, "fields")).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(draft.integration.organization.members.get(username="anna"))
    assert ask(strict, draft, "check", {"rows": []}).status_code == 403
    assert ask(client, draft, "check", {"rows": [{}] * 301}).status_code == 400
    assert client.post(url(draft, "check"), b"x" * 500_000, content_type="application/json").status_code == 400
    assert client.post(url(draft, "check"), b"\xff\xfe", content_type="application/json").status_code == 400
    monkeypatch.setattr(editor_pages, "CHECKS_PER_MINUTE", 3)
    assert [ask(client, draft, "check", {"rows": []}).status_code for _n in range(5)][-1] == 429
    published = publish(draft, None)
    assert ask(client, published, "check", {"rows": []}).status_code == 403
