"""What the editor's page shows besides Django's form: who saved last, two saves that met, help, problems, samples.

Constant SQL, no remote call: schemas are the stored ones, samples are those that our own tables know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from mappings import editor, samples
from mappings.admin.saving import Meeting, state_of
from mappings.editor_check import check
from mappings.editor_rows import Finding, Row
from mappings.expressions.documentation import shown
from mappings.expressions.functions import FUNCTIONS
from mappings.expressions.summaries import summary
from mappings.models import MappingSet, ValueMap
from mappings.models.versions import RULES

RECENT = 20
DATALIST = 400


def editor_context(
    request: HttpRequest, mapping_set: MappingSet, formsets: Iterable[Any], meeting: Meeting | None
) -> dict[str, Any]:
    """For the change page of a draft that this person may change."""
    by_prefix = {formset.formset.prefix: formset.formset for formset in formsets}
    world = editor.world_of(mapping_set)
    rows = _rows(by_prefix["field_mappings"]) if "field_mappings" in by_prefix else []
    answers, general = check(rows, world)
    problems = [found for answer in answers for found in answer.findings] + general
    provider = samples.provider()
    return {
        "urls": {
            name: reverse(f"admin:mappings_mappingset_editor_{name}", args=[mapping_set.pk])
            for name in ("check", "fields", "sample", "recent", "schema")
        },
        "revision": _revision(request, mapping_set, meeting),
        "base": _base(request, mapping_set, by_prefix, meeting),
        "meeting": meeting,
        "decisions": request.POST.get("editor_decisions", "") if meeting else "",
        "problems": [problem_row(found) for found in problems],
        "errors": sum(found.level == "error" for found in problems),
        "functions": function_groups(),
        "operators": operators(),
        "maps": [
            {"name": row.name, "policy": row.get_unmapped_display(), "own": row.mapping_set_id is not None,
             "url": reverse("admin:mappings_valuemap_change", args=[row.pk])}
            for row in ValueMap.objects.usable_by(mapping_set)
        ],
        "recent": provider.recent(mapping_set, RECENT) if provider else [],
        "has_samples": provider is not None,
        "sample": editor.kept(request.user, mapping_set),
        "source_at": editor.described_at(mapping_set, "source"),
        "target_at": editor.described_at(mapping_set, "target"),
        "source": mapping_set.source_schema,
        "target": mapping_set.target_schema,
        "targets": {scope: list(world.targets(scope).values())[:DATALIST] for scope in ("header", "line")},
    }  # fmt: skip


def _revision(request: HttpRequest, mapping_set: MappingSet, meeting: Meeting | None) -> object:
    """The revision that the form's base belongs to: a form that came back keeps the one it was opened with."""
    if meeting is not None:
        return meeting.mapping_set.revision
    return request.POST.get("editor_revision", "") if request.method == "POST" else mapping_set.revision


def _base(request: HttpRequest, mapping_set: MappingSet, formsets: Mapping[str, Any], meeting: Meeting | None) -> str:
    """What the form starts from: what is stored now, or, for a form that came back with a mistake, what it came with
    (its rows' instances hold posted values by then)."""
    if meeting is not None:
        return json.dumps(meeting.state, ensure_ascii=False)
    if request.method == "POST":
        return str(request.POST.get("editor_base", ""))
    rows = {
        prefix: formsets[prefix].get_queryset() if prefix in formsets else getattr(mapping_set, prefix).all()
        for prefix in RULES
    }
    return json.dumps(state_of(mapping_set, rows), ensure_ascii=False)


def _rows(formset: Any) -> list[Row]:
    names = {str(value): str(label) for value, label in formset.empty_form.fields["value_map"].choices}
    rows = []
    for form in formset.forms:
        value = {name: form[name].value() for name in ("expression", "target_field", "scope", "label", "required")}
        if value["expression"] or value["target_field"]:
            chosen = form["value_map"].value()
            rows.append(
                Row(
                    form.prefix, str(value["expression"] or ""), str(value["target_field"] or "").strip(),
                    str(value["scope"] or "header"), names.get(str(chosen), "") if chosen else "",
                    bool(value["required"]), str(value["label"] or ""),
                )
            )  # fmt: skip
    return rows


def problem_row(found: Finding) -> dict[str, Any]:
    """A finding as the list on top shows it."""
    return {"level": found.level, "message": found.message, "remedy": found.remedy, "key": found.key,
            "name": found.name}  # fmt: skip


def function_groups() -> list[tuple[str, list[dict[str, str]]]]:
    """The functions by group, from the register that the documentation is made of too."""
    ordered = sorted(FUNCTIONS.values(), key=lambda function: function.group)
    return [
        (
            group,
            [
                {"name": f.name, "signature": f.signature, "summary": summary(f.summary), "example": f.example,
                 "result": shown(f.result)}
                for f in functions
            ],
        )
        for group, functions in groupby(ordered, key=lambda function: function.group)
    ]  # fmt: skip


def operators() -> list[tuple[str, str]]:
    """How expressions are written besides functions."""
    return [
        ("customer.Name", _("A field of a part of the record. A missing part or field is empty.")),
        ('customer["Name"]', _("The same, for names that are not words.")),
        ('"text"  12.50  True  None', _("Constants; numbers are exact.")),
        ("+ - * / %", _("Arithmetic; + also joins two texts.")),
        ('== != < <= > >=   in ("A", "B")   is None', _("Comparisons; empty text and nothing are equal.")),
        ("and  or  not  a if condition else b", _("Conditions; empty, zero and no are false.")),
        ('lookup(invoice.status, "Stage")', _("Translates a value by a value map.")),
        ("setting.…  setup.…  source.position", _("Settings of the flow, ids made by set-up, the place of a line.")),
    ]


def open_draft(mapping_set: MappingSet) -> MappingSet | None:
    """The draft of the same mapping that is open, if there is one."""
    rows: QuerySet[MappingSet] = MappingSet.objects.drafts().family(mapping_set)
    return rows.first()
