"""The value maps that a version was published with.

Value maps which an integration shares go on being edited. A version keeps what it was published with, so that an edit
reaches records only by publishing, with its consequences counted, and going back brings the values of then. One kind of
edit works at once: a line for a value that would stop the record. Nothing was written for it, so nothing written turns
wrong, and that is how such a record is repaired.

The invariant: what `maps_of` gives is what the version compiles with, what a file of it holds, and what differs between
two of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict

from django.db import models
from django.utils.translation import gettext_lazy as _

from mappings.expressions import ValueTable, key_of, table_of
from mappings.models.mapping_set import MappingSet
from mappings.models.value_map import ValueMap


class MapContent(TypedDict):
    """One value map as plain data; `id` is the row it was read from."""

    id: NotRequired[int]
    name: str
    unmapped: Literal["block", "default", "pass"]
    default_value: NotRequired[str]
    entries: dict[str, str]


class PinnedMaps(models.Model):
    """A row of its own, because versions are listed by the hundred and maps may be long. Written once, by `publish`."""

    mapping_set = models.OneToOneField(
        MappingSet, models.CASCADE, primary_key=True, related_name="pinned", verbose_name=_("mapping version")
    )
    maps = models.JSONField(_("value maps"), default=list)

    class Meta:
        verbose_name = _("pinned value maps")
        verbose_name_plural = _("pinned value maps")

    def __str__(self) -> str:
        return str(self.mapping_set)


def content_of(row: ValueMap) -> MapContent:
    """A value map as it is now, lines in the order of a file."""
    entries = sorted(row.entries.all(), key=lambda entry: (entry.source_key, entry.source_value))
    found: MapContent = {
        "id": row.pk, "name": row.name, "unmapped": row.unmapped,  # type: ignore[typeddict-item]
        "entries": {entry.source_value: entry.target_value for entry in entries},
    }  # fmt: skip
    if row.default_value:
        found["default_value"] = row.default_value
    return found


def table(content: MapContent) -> ValueTable:
    """A map as expressions use it."""
    return table_of(content["name"], content["entries"], content["unmapped"], content.get("default_value", ""))


def live_maps(mapping_set: MappingSet) -> dict[str, MapContent]:
    """Every value map that the version may use, by name, as they are now; its own win. Two queries."""
    found: dict[str, MapContent] = {}
    for row in ValueMap.objects.usable_by(mapping_set).prefetch_related("entries"):
        if row.mapping_set_id or row.name not in found:
            found[row.name] = content_of(row)
    return found


def maps_of(mapping_set: MappingSet) -> dict[str, MapContent]:
    """The value maps of the version, by name: as it was published with them, with the lines that answer what they left
    open; for a draft as they are now. Three queries."""
    live = live_maps(mapping_set)
    pinned = PinnedMaps.objects.filter(pk=mapping_set.pk).values_list("maps", flat=True).first() or []
    by_id = {content.get("id"): content for content in live.values()}
    return live | {one["name"]: answered(one, by_id.get(one.get("id")) or live.get(one["name"])) for one in pinned}


def answered(then: MapContent, now: MapContent | None) -> MapContent:
    """The map of then, with lines of now for values that would stop the record. No value at all never does."""
    if now is None or then["unmapped"] != "block":
        return then
    known = {key_of(source) for source in then["entries"]}
    new = {source: target for source, target in now["entries"].items() if key_of(source) not in known | {""}}
    entries = sorted({**then["entries"], **new}.items(), key=lambda pair: (key_of(pair[0]), pair[0]))
    return {**then, "entries": dict(entries)}


def waiting(value_map: ValueMap) -> dict[int, int]:
    """How many edits of a shared map no version in force writes yet, by id of that version; none without edits.

    A line, the answer to unknown values and the default value count one each. Two queries beside the map's lines.
    """
    now = content_of(value_map)
    rows = PinnedMaps.objects.filter(
        mapping_set__integration_id=value_map.integration_id, mapping_set__state="published"
    )
    found: dict[int, int] = {}
    for version, maps in rows.values_list("pk", "maps"):
        for one in maps:
            if one.get("id") == value_map.pk and (n := _differ(answered(one, now), now)):
                found[version] = n
    return found


def _differ(then: MapContent, now: MapContent) -> int:
    old, new = table(then), table(now)
    lines = sum(old.entries.get(key) != new.entries.get(key) for key in {**old.entries, **new.entries})
    return lines + (old.unmapped != new.unmapped) + (old.default != new.default)


def pin(mapping_set: MappingSet, maps: Mapping[str, MapContent]) -> None:
    """Keeps these maps for the version, unless it has some already: those that it goes back to."""
    PinnedMaps.objects.get_or_create(mapping_set=mapping_set, defaults={"maps": [maps[name] for name in sorted(maps)]})
