"""What the tests of the mapping editor share: a sample, a provider of samples, drafts, the page's form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from integrations.connector import Record
from integrations.errors import Transient
from mappings import samples
from mappings.admin.saving import state_of
from mappings.models import FieldMapping, MappingSet, ValueMap
from mappings.models.editor import touched
from mappings.samples import Sample, SampleRef, Seen
from tests import factories as make
from tests.mappings import world
from tests.mappings.test_admin import consultant, form_of, signed_in

INVOICE = Sample(
    "203",
    Record(
        "invoice", "203", {"DocumentNumber": "203", "Total": Decimal("1250.50"), "InvoiceDate": date(2026, 11, 1)},
        parts={"customer": {"Name": "Åkers Järn AB"}}, title="203",
        lines=[{"ArticleNumber": f"A-{n}", "Price": Decimal(n)} for n in range(1, 6)],
    ),
    {"source": {"account_id": "t1"}, "setting": {"days": Decimal(30)}},
)  # fmt: skip


class Shelf:
    """A provider that remembers what it was asked."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.fails = False

    def recent(self, mapping_set: MappingSet, n: int, *, ask: bool = False) -> list[SampleRef]:
        return [SampleRef("1", "Åkers")] if ask else []

    def load(self, mapping_set: MappingSet, ids: Sequence[str]) -> list[Sample]:
        if self.fails:
            raise Transient("Fortnox is closed")
        self.loaded += ids
        found = [
            Sample(key, world.customer(Name="Åkers", City="Lund"), {"source": {"account_id": "t1"}}) for key in ids
        ]
        return [
            Sample(key, None, error="Gone.") if key == "404" else sample for key, sample in zip(ids, found, strict=True)
        ]

    def describe(self, mapping_set: MappingSet, side: str) -> None:
        self.loaded.append(side)

    def unmapped(self, value_map: ValueMap, fields: Mapping[str, set[str]]) -> list[Seen]:
        return [Seen("Sverige", 3, "review")] if any("city" in names for names in fields.values()) else []

    def linked(self, mapping_sets: Sequence[MappingSet]) -> dict[int, int]:
        return {}


def a_draft(rows: int = 2, **options: Any) -> tuple[MappingSet, Client]:
    user = consultant()
    draft = world.draft(world.integration(described=True, user=user), **options)
    for number, name in enumerate(["name", "city", "phone", "address"][:rows]):
        world.field(draft, name, "customer.Name", position=number)
    return draft, signed_in(user)


def url(draft: MappingSet, name: str) -> str:
    return reverse(f"admin:mappings_mappingset_editor_{name}", args=[draft.pk])


def ask(client: Client, draft: MappingSet, name: str, body: Any) -> Any:
    return client.post(url(draft, name), json.dumps(body), content_type="application/json")


def form(draft: MappingSet, **changes: Any) -> dict[str, Any]:
    """The page as a browser has it open."""
    post = form_of(draft)
    post = {name: value for name, value in post.items() if not name.startswith("field_mappings-0")}
    state = state_of(draft)
    rows = state["field_mappings"]
    post |= {"field_mappings-TOTAL_FORMS": len(rows), "field_mappings-INITIAL_FORMS": len(rows)}
    for number, (pk, row) in enumerate(rows.items()):
        post |= {f"field_mappings-{number}-{name}": value for name, value in row.items() if value}
        post |= {f"field_mappings-{number}-id": pk, f"field_mappings-{number}-mapping_set": draft.pk}
    draft.refresh_from_db()
    return (
        post | {"editor_revision": draft.revision, "editor_base": json.dumps(state), "editor_decisions": ""} | changes
    )


def elsewhere(draft: MappingSet, target: str, **values: Any) -> None:
    """Bo saves meanwhile."""
    row = draft.field_mappings.filter(target_field=target).first()
    if values:
        row = row or FieldMapping(mapping_set=draft, target_field=target)
        for name, value in values.items():
            setattr(row, name, value)
        row.save()
    elif row:
        row.delete()
    touched(draft, make.make_user())


def expressions(draft: MappingSet) -> dict[str, str]:
    return dict(draft.field_mappings.values_list("target_field", "expression"))


def page_form(reply: Any) -> dict[str, Any]:
    """What the page that came back would post."""
    context = reply.context
    data = {name: context["editor"][name] for name in ("revision", "base", "decisions")}
    post = {f"editor_{name}": value for name, value in data.items()}
    for inline in context["inline_admin_formsets"]:
        formset = inline.formset
        for name in ("TOTAL_FORMS", "INITIAL_FORMS"):
            post[f"{formset.prefix}-{name}"] = formset.management_form[name].value()
        for one in formset.forms:
            for field in one:
                value = field.value()
                if value not in (None, False, ""):
                    post[field.html_name] = "on" if value is True else value
    return post | {field.html_name: field.value() or "" for field in context["adminform"].form}


def shelved(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A provider for this test, and no count of earlier requests."""
    found = Shelf()
    monkeypatch.setattr(samples, "_provider", [found])
    cache.clear()
    return found
