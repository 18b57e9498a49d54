"""The editor's doors to what is stored: schemas and value maps of a draft, the sample a person looks at, the pickers.

The invariants: constant SQL whatever the number of rows; a person's sample is read by that person only, and only while
its time lasts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from integrations.connector import FieldSchema, ObjectSchema, Record
from integrations.fields import DecryptionError, conceal, reveal
from mappings import samples, schemas
from mappings.editor_rows import World
from mappings.editor_warnings import type_name
from mappings.expressions import ValueTable, text_of
from mappings.models import EditorSample, MappingSet, ValueMap
from mappings.models.editor import KEPT_FOR, forget_old_samples
from mappings.samples import Sample

MAX_KEPT = 400_000
"""Characters of a kept sample; a record with more keeps its first lines only."""
MAX_OPTIONS = 30
MAX_SAMPLE = 80


def world_of(mapping_set: MappingSet) -> World:
    """What the rows of this draft may name. Two queries."""
    tables: dict[str, ValueTable] = {}
    for value_map in ValueMap.objects.usable_by(mapping_set).prefetch_related("entries"):
        if value_map.mapping_set_id or value_map.name not in tables:
            tables[value_map.name] = value_map.table()
    return World(
        names=schemas.names_of(mapping_set.source_schema, mapping_set.source_object),
        line_part=mapping_set.line_part,
        source=mapping_set.source_schema,
        target=mapping_set.target_schema,
        tables=tables,
        keys=frozenset({mapping_set.unique_field, mapping_set.line_unique_field})
        | frozenset(mapping_set.link_rules.exclude(target_field="").values_list("target_field", flat=True)),
    )


def described_at(mapping_set: MappingSet, side: str) -> datetime | None:
    """When the schema of "source" or "target" was read; None when never, or by a version that did not note it."""
    source = side == "source"
    account = mapping_set.integration.account(mapping_set.source_side if source else mapping_set.target_side)
    stored = account.schemas.get(mapping_set.source_object if source else mapping_set.target_object)
    try:
        at = parse_datetime(stored["at"]) if isinstance(stored, dict) and "schema" in stored else None
    except (KeyError, ValueError, TypeError):
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


# --- the sample record --------------------------------------------------------------------------------------------


def keep(user: Any, mapping_set: MappingSet, sample: Sample) -> None:
    """Keeps the sample for this person for a short while, in place of the one before; forgets what is too old."""
    forget_old_samples()
    text = samples.dump(sample)
    if len(text) > MAX_KEPT and sample.record is not None:
        record = sample.record
        short = {name: value[:500] if isinstance(value, str) else value for name, value in record.fields.items()}
        small = Record(record.object, record.id, short, record.parts, record.lines[:20], record.title)
        text = samples.dump(Sample(sample.id, small, sample.extra))[:MAX_KEPT]
    row, _made = EditorSample.objects.update_or_create(
        user=user,
        mapping_set=mapping_set,
        defaults={
            "source_id": sample.id[:100],
            "title": (sample.record.title if sample.record else "")[:300],
            "expires_at": timezone.now() + KEPT_FOR,
        },
    )
    conceal(row, "data", text)
    row.save(update_fields=["data"])


def kept(user: Any, mapping_set: MappingSet) -> Sample | None:
    """The sample this person looks at, if it is still kept. One query."""
    row = EditorSample.objects.filter(user_id=user.pk, mapping_set=mapping_set, expires_at__gt=timezone.now()).first()
    if row is None:
        return None
    try:
        return samples.load_text(reveal(row, "data"))
    except (DecryptionError, ValueError, KeyError, TypeError):
        return None  # written under a lost key or by another version: it is loaded again


# --- pickers --------------------------------------------------------------------------------------------------------


def pickers(mapping_set: MappingSet, sample: Sample | None) -> dict[str, Any]:
    """Everything that can be picked, as JSON: the source by part, the target by scope, with sample values."""
    source, target = mapping_set.source_schema, mapping_set.target_schema
    return {
        "source": [*_source(source, sample), *_extra(mapping_set, sample)],
        "target": {"header": _fields("", target.fields, {}), "line": _fields("", _lines_of(target), {})}
        if target
        else {"header": [], "line": []},
        "line_part": mapping_set.line_part,
    }


def _lines_of(schema: ObjectSchema) -> Mapping[str, FieldSchema]:
    return schema.parts.get(schema.lines, {}) if schema.lines else {}


def _source(schema: ObjectSchema | None, sample: Sample | None) -> list[dict[str, Any]]:
    if schema is None:
        return []
    record = sample.record if sample else None
    own = _fields(schema.name, schema.fields, record.fields if record else {})
    parts = []
    for part, fields in schema.parts.items():
        line = record.lines[0] if record and record.lines and part == schema.lines else None
        parts += _fields(part, fields, line or (record.parts.get(part, {}) if record else {}))
    return [*own, *parts]


def _extra(mapping_set: MappingSet, sample: Sample | None) -> list[dict[str, Any]]:
    """What is beside the record: the accounts, ids that set-up made, the flow's settings."""
    extra = sample.extra if sample else {}
    labels = {
        "account_id": _("Account id"), "account_name": _("Account"), "currency": _("Currency of the account"),
        "position": _("Place of the line"),
    }  # fmt: skip
    found = []
    for part in ("source", "target"):
        names = schemas.EXTRA_PARTS[part] or frozenset()
        values = extra.get(part, {})
        found += _fields(part, {name: FieldSchema(name, str(labels[name])) for name in sorted(names)}, values)
    setup = {str(name): text for name, text in mapping_set.integration.setup.items()}
    found += _fields("setup", {name: FieldSchema(name, _("Made by set-up")) for name in sorted(setup)}, setup)
    settings = extra.get("setting", {})
    found += _fields("setting", {n: FieldSchema(n, _("Setting of the flow")) for n in sorted(settings)}, settings)
    return found


def _fields(part: str, fields: Mapping[str, FieldSchema], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_option(part, schema, values.get(name)) for name, schema in fields.items()]


def _option(part: str, schema: FieldSchema, value: Any) -> dict[str, Any]:
    """One line of a picker; only what says something."""
    word = schema.name.isidentifier()
    insert = (f"{part}.{schema.name}" if word else f"{part}[{json.dumps(schema.name)}]") if part else schema.name
    row: dict[str, Any] = {"insert": insert, "name": schema.name, "label": schema.label, "type": type_name(schema)}
    if part:
        row["part"] = part
    if schema.max_length:
        row["length"] = schema.max_length
    for flag in ("required", "unique"):
        if getattr(schema, flag):
            row[flag] = True
    if not schema.writable:
        row["readonly"] = True
    if schema.options:
        row["options"] = [[option.value, option.label] for option in schema.options[:MAX_OPTIONS]]
        row["more"] = max(len(schema.options) - MAX_OPTIONS, 0)
    text = text_of(value) if value is None or not isinstance(value, (dict, list)) else ""
    if text:
        row["sample"] = text[:MAX_SAMPLE]
    return row
