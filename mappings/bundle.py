"""A mapping as a file that reviews well: one thing per line, always in the same order, without ids, secrets or dates.

What is at its default is left out. The invariant: exporting what was imported gives the same bytes, wherever it was
imported. Reading such a file, which anybody may have written, is `bundle_reading`; making rows of it `bundle_import`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.db import models

from integrations.models import Integration
from mappings.expressions import ExpressionError, compile_expression
from mappings.expressions.functions import FUNCTIONS
from mappings.models import MappingSet, State, ValueMap
from mappings.models.pinned import MapContent, maps_of
from mappings.schemas import names_of

FORMAT, FORMAT_VERSION = "ledgerbridge-mapping", 1
LOOKUPS = [name for name, function in FUNCTIONS.items() if function.form == "lookup"]

HEAD = (
    "slug", "name", "source_side", "source_object", "target_side", "target_object", "unique_field",
    "unique_expression", "line_unique_field", "line_unique_expression", "title_expression", "promise_expression",
    "promise_currency_expression",
)  # fmt: skip
SECTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "fields": (
        "field_mappings",
        ("target_field", "expression", "label", "scope", "when", "precedence", "blank", "required", "value_map",
         "hint"),
    ),
    "match_rules": (
        "match_rules",
        ("label", "expression", "target_field", "normaliser", "outcome", "extra_expression", "extra_field",
         "extra_normaliser"),
    ),
    "validations": (
        "validations",
        ("label", "expression", "scope", "outcome", "message", "remedy", "code", "actual", "repair"),
    ),
    "links": ("link_rules", ("name", "expression", "related_slug", "required", "target_field")),
    "lookups": (
        "lookups",
        ("name", "label", "expression", "scope", "target_object", "target_field", "writes", "text_expression",
         "text_field", "code", "message", "remedy", "repair"),
    ),
}  # fmt: skip
"""Section of the file → the mapping's rules of that kind, and their columns in the order of the file."""

Bundle = dict[str, Any]


def bundle_of(mapping_set: MappingSet) -> Bundle:
    """One version as plain data. A handful of queries."""
    content: Bundle = {"format": FORMAT, "format_version": FORMAT_VERSION}
    content["systems"] = systems_of(mapping_set.integration)
    content["mapping"] = {name: getattr(mapping_set, name) for name in HEAD if getattr(mapping_set, name) != ""}
    maps = maps_used(mapping_set)
    called = {one.get("id"): name for name, one in maps.items()}
    for section, (related, names) in SECTIONS.items():
        rows = getattr(mapping_set, related).all()
        rows = rows.select_related("value_map") if section == "fields" else rows
        content[section] = [_row(rule, names, called) for rule in rows]
    content["value_maps"] = [_value_map(one) for one in maps.values()]
    return content


def dumps(content: Bundle) -> bytes:
    """The file's bytes."""
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def export(mapping_set: MappingSet) -> bytes:
    """One version as the bytes of a file."""
    return dumps(bundle_of(mapping_set))


def published(integration: Integration) -> dict[str, bytes]:
    """Every mapping in force of an integration, by file name."""
    rows = MappingSet.objects.filter(integration=integration, state=State.PUBLISHED).order_by("slug")
    rows = rows.select_related("integration__crm_account", "integration__ledger_account")
    return {f"{row.slug}.json": export(row) for row in rows}


def systems_of(integration: Integration) -> dict[str, str]:
    """Which systems a mapping is between."""
    return {"crm": integration.crm_account.system, "ledger": integration.ledger_account.system}


def _row(rule: models.Model, names: tuple[str, ...], called: Mapping[int | None, str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in names:
        value = getattr(rule, name)
        if isinstance(value, ValueMap):
            value = called.get(value.pk, value.name)
        column = rule._meta.get_field(name)
        default = column.get_default() if isinstance(column, models.Field) else None
        if value != default and value not in (None, ""):
            row[name] = value
    return row


def _value_map(content: MapContent) -> dict[str, Any]:
    """As in a file: without its id, and without a default value that there is none of."""
    names = ("name", "unmapped", "default_value", "entries")
    return {name: value for name in names if (value := content.get(name)) is not None}


def maps_used(mapping_set: MappingSet) -> dict[str, MapContent]:
    """The value maps that the version uses: its own, and those shared ones that a rule names; see `pinned.maps_of`."""
    usable = maps_of(mapping_set)
    own = set(mapping_set.value_maps.values_list("name", flat=True))
    called = {one.get("id"): name for name, one in usable.items()}
    chosen = mapping_set.field_mappings.exclude(value_map=None).values_list("value_map_id", "value_map__name")
    used = own | {called.get(pk, name) for pk, name in chosen} | _named(mapping_set, set(usable))
    return {name: usable[name] for name in sorted(used & usable.keys())}


def maps_stamp(mapping_set: MappingSet) -> str:
    """Another text whenever the maps that publishing would pin are others; for a page that showed them."""
    text = json.dumps(maps_used(mapping_set), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class _Asked(frozenset[str]):
    """Names of value maps that remembers which of them an expression asked for."""

    asked: set[str]

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            self.asked.add(str(name))
            return True
        return False


def _named(mapping_set: MappingSet, names: set[str]) -> set[str]:
    """Names of value maps that any expression looks into."""
    found: set[str] = set()
    texts = [getattr(mapping_set, name) for name in HEAD if name.endswith("_expression")]
    for related, columns in SECTIONS.values():
        for rule in getattr(mapping_set, related).all():
            texts += [getattr(rule, name) for name in columns if name.endswith("expression") or name == "actual"]
    texts = [text for text in texts if text and _may_look_up(text)]
    if not names or not texts:
        return found
    parts = dict.fromkeys(names_of(mapping_set.source_schema, mapping_set.source_object))
    for text in texts:
        found |= _asked(text, parts, names, mapping_set.line_part)
    return found


def _may_look_up(text: str) -> bool:
    """Compiling costs a millisecond and a version has a hundred expressions: only those that can look up are compiled.
    Beyond ASCII a name may be written in more than one way."""
    return not text.isascii() or any(name in text for name in LOOKUPS)


def _asked(text: str, parts: Mapping[str, None], names: set[str], lines: str) -> set[str]:
    """The value maps that one expression looks into; of one that does not compile, those whose name is in it."""
    for part in (lines, ""):  # of the record, or of a line
        asking = _Asked(names)
        asking.asked = set()
        try:
            compile_expression(text, parts, asking, lines=part)
        except ExpressionError:
            continue
        return asking.asked
    return {name for name in names if json.dumps(name, ensure_ascii=False) in text}
