"""Value maps beside the editor: where a map is used, what its targets allow, and which values came by without a line.

The invariant: constant SQL for any number of lines and uses; nothing is asked of a remote here, records are handed in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Q
from django.utils.translation import gettext as _

from integrations.connector import FieldSchema, ObjectSchema, Option
from mappings import samples, schemas
from mappings.editor_rows import World
from mappings.editor_warnings import plain_field
from mappings.expressions import Compiled, ExpressionError, MappingError, ValueTable, key_of, text_of
from mappings.models import FieldMapping, MappingSet, State, ValueMap
from mappings.samples import Sample, Seen

MAX_USES = 50
MAX_SEEN = 200
MAX_VALUE = 200


@dataclass(frozen=True)
class Use:
    """One row that looks values up in the map. `source` gives what is looked up; None when it cannot be told."""

    row: FieldMapping
    mapping_set: MappingSet
    source: Compiled | None
    options: Sequence[Option] = ()
    targets: Sequence[Option] = ()
    world: World | None = field(default=None, repr=False)


def uses(value_map: ValueMap) -> list[Use]:
    """Rows of drafts and published mappings that use the map. One query beside the map's integration."""
    quoted = [f"{quote}{value_map.name}{quote}" for quote in "\"'"]
    by_name = Q(expression__contains="lookup(") & (
        Q(expression__contains=quoted[0]) | Q(expression__contains=quoted[1])
    )
    rows = FieldMapping.objects.filter(
        Q(value_map=value_map) | by_name, mapping_set__integration_id=value_map.integration_id
    ).exclude(mapping_set__state=State.RETIRED)
    if value_map.mapping_set_id:
        rows = rows.filter(mapping_set_id=value_map.mapping_set_id)
    rows = rows.select_related("mapping_set").order_by("mapping_set__slug", "-mapping_set__version", "position")
    known: dict[tuple[str, str], ObjectSchema | None] = {}
    table = value_map.table()
    return [_use(row, value_map, known, table) for row in rows[:MAX_USES]]


def _use(
    row: FieldMapping, value_map: ValueMap, known: dict[tuple[str, str], ObjectSchema | None], table: ValueTable
) -> Use:
    mapping_set, integration = row.mapping_set, value_map.integration
    for side, name in (
        (mapping_set.source_side, mapping_set.source_object),
        (mapping_set.target_side, mapping_set.target_object),
    ):
        if (side, name) not in known:
            known[side, name] = schemas.known_schema(integration, side, name)
    source = known[mapping_set.source_side, mapping_set.source_object]
    target = known[mapping_set.target_side, mapping_set.target_object]
    line_part = schemas.line_part(source, mapping_set.source_object)
    names = schemas.names_of(source, mapping_set.source_object)
    world = World(names, line_part, source, target, {value_map.name: table})
    inner, direct, setup = _looked_up(row, value_map)
    try:
        compiled = world.compile(inner, row.scope) if inner else None
    except ExpressionError:
        compiled = None
    read = plain_field(compiled, world) if compiled else None
    written = world.targets(row.scope).get(row.target_field) if direct else None
    targets = [Option(name, name) for name in sorted(map(str, integration.setup))] if setup else _options(written)
    return Use(row, mapping_set, compiled, _options(read), targets, world)


def _options(schema: FieldSchema | None) -> Sequence[Option]:
    return schema.options if schema is not None else ()


def _looked_up(row: FieldMapping, value_map: ValueMap) -> tuple[str, bool, bool]:
    """The expression whose value is looked up, whether the map's values go straight to the target, and whether they
    name what set-up made."""
    if row.value_map_id == value_map.pk:
        return row.expression, True, False
    call = rf"lookup\(\s*([\w.]+)\s*,\s*[\"']{re.escape(value_map.name)}[\"']\s*\)"
    found = re.search(call, row.expression)
    if found is None:
        return "", False, False
    whole = row.expression.strip() == found.group(0)
    return found.group(1), whole, bool(re.search(rf"setup\[\s*{call}\s*\]", row.expression))


def targets_of(found: Iterable[Use]) -> list[Option]:
    """What the map's target values may be, where the targets say so."""
    return list({option.value: option for use in found for option in use.targets}.values())


@dataclass(frozen=True, slots=True)
class Missing:
    """A value without a line: how many records wait for it or carried it, and where it was seen, in words."""

    value: str
    count: int
    where: str
    label: str = ""


def missing(value_map: ValueMap, found: Sequence[Use]) -> list[Missing]:
    """Values seen in failures that wait for review, and those that the source's lists offer; most frequent first."""
    have = {entry.source_key for entry in value_map.entries.all()}
    seen: dict[str, Missing] = {}
    provider = samples.provider()
    fields: dict[str, set[str]] = {}
    for use in found:
        fields.setdefault(use.mapping_set.slug, set()).add(use.row.target_field)
    waiting: list[Seen] = provider.unmapped(value_map, fields) if provider and fields else []
    for one in waiting:
        if key_of(one.value) not in have:
            seen[key_of(one.value)] = Missing(one.value[:MAX_VALUE], one.count, _("waits for review"))
    for use in found:
        for option in use.options:
            key = key_of(option.value)
            if key not in have and key not in seen:
                label = option.label if option.label != option.value else ""
                seen[key] = Missing(option.value[:MAX_VALUE], 0, _("offered by the source"), label)
    return sorted(seen.values(), key=lambda one: (-one.count, one.value))[:MAX_SEEN]


def missing_in(value_map: ValueMap, found: Sequence[Use], records: Mapping[int, Sequence[Sample]]) -> list[Missing]:
    """Values without a line in these records, by mapping set id."""
    have = {entry.source_key for entry in value_map.entries.all()}
    counts: Counter[str] = Counter()
    texts: dict[str, str] = {}
    for use in found:
        for sample in records.get(use.mapping_set.pk, ()):
            for value in set(_values(use, sample)):
                key = key_of(value)
                if key not in have:
                    counts[key] += 1
                    texts.setdefault(key, value[:MAX_VALUE])
    return [Missing(texts[key], n, _("in recent records")) for key, n in counts.most_common(MAX_SEEN)]


def _values(use: Use, sample: Sample) -> list[str]:
    if use.source is None or use.world is None or sample.record is None:
        return []
    line = use.row.scope == "line"
    places = sample.line_parts(use.world.line_part) if line else [sample.parts]
    lines = () if line else sample.record.lines
    values = []
    for parts in places:
        try:
            values.append(text_of(use.source.evaluate(parts, use.world.tables, lines)))
        except MappingError:
            continue
    return [value for value in values if value]


# --- pasted from a spreadsheet ---------------------------------------------------------------------------------------

MAX_PASTED = 1_000


def pasted(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Two columns as a spreadsheet copies them (tab, else semicolon), and what is wrong with which line."""
    rows: dict[str, tuple[str, str]] = {}
    problems: list[str] = []
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if len(lines) > MAX_PASTED:
        return [], [_("At most %(limit)d lines at once.") % {"limit": MAX_PASTED}]
    for number, line in lines:
        cells = [cell.strip() for cell in line.split("\t" if "\t" in line else ";")]
        if len(cells) != 2:
            problems.append(
                _("Line %(number)d has %(cells)d columns instead of two: %(line)s")
                % {"number": number, "cells": len(cells), "line": line[:60]}
            )
        elif max(map(len, cells)) > MAX_VALUE or "\x00" in line:
            problems.append(_("Line %(number)d has a value that is too long.") % {"number": number})
        else:
            rows[key_of(cells[0])] = (cells[0], cells[1])
    return list(rows.values()), problems
