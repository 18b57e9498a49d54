"""A version keeps the value maps that it was published with. Versions that are there keep them as they are now: that is
what they have been running with."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

BATCH = 200
TEXTS = ("unique_expression", "line_unique_expression", "title_expression", "promise_expression",
         "promise_currency_expression")  # fmt: skip
RULES = {
    "FieldMapping": ("expression",), "MatchRule": ("expression", "extra_expression"),
    "ValidationRule": ("expression", "actual"), "LinkRule": ("expression",),
    "LookupRule": ("expression", "text_expression"),
}  # fmt: skip


def pin(apps: Any, schema_editor: Any) -> None:
    """One row per version that is no draft, for the maps that are its own, chosen by a row, or named in a text."""
    using = schema_editor.connection.alias
    versions = apps.get_model("mappings", "MappingSet").objects.using(using).exclude(state="draft")
    rows: list[Any] = []
    pinned = apps.get_model("mappings", "PinnedMaps")
    maps: dict[int, list[Any]] = defaultdict(list)
    for one in apps.get_model("mappings", "ValueMap").objects.using(using).prefetch_related("entries"):
        maps[one.integration_id].append(one)
    for version in versions.order_by("pk").iterator(chunk_size=BATCH):
        usable = [one for one in maps[version.integration_id] if one.mapping_set_id in (None, version.pk)]
        if usable:
            rows.append(pinned(mapping_set_id=version.pk, maps=_used(apps, using, version, usable)))
    pinned.objects.using(using).bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)


def _used(apps: Any, using: str, version: Any, usable: list[Any]) -> list[dict[str, Any]]:
    texts = [getattr(version, name) for name in TEXTS]
    chosen: set[int] = set()
    for model, columns in RULES.items():
        for rule in apps.get_model("mappings", model).objects.using(using).filter(mapping_set_id=version.pk):
            texts += [getattr(rule, name) for name in columns]
            chosen.add(getattr(rule, "value_map_id", None))
    text = "\n".join(filter(None, texts))
    own = {one.name for one in usable if one.mapping_set_id}
    return [
        _content(one)
        for one in sorted(usable, key=lambda row: row.name)
        if one.mapping_set_id or (one.name not in own and (one.pk in chosen or one.name in text))
    ]


def _content(one: Any) -> dict[str, Any]:
    entries = sorted(one.entries.all(), key=lambda entry: (entry.source_key, entry.source_value))
    found = {
        "id": one.pk, "name": one.name, "unmapped": one.unmapped,
        "entries": {entry.source_value: entry.target_value for entry in entries},
    }  # fmt: skip
    return found | ({"default_value": one.default_value} if one.default_value else {})


class Migration(migrations.Migration):
    dependencies = [("mappings", "0006_audit")]

    operations = [
        migrations.CreateModel(
            name="PinnedMaps",
            fields=[
                (
                    "mapping_set",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name="pinned",
                        serialize=False, to="mappings.mappingset", verbose_name="mapping version",
                    ),  # fmt: skip
                ),
                ("maps", models.JSONField(default=list, verbose_name="value maps")),
            ],
            options={"verbose_name": "pinned value maps", "verbose_name_plural": "pinned value maps"},
        ),
        migrations.RunPython(pin, migrations.RunPython.noop),
    ]
