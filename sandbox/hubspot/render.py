"""Records as answers: values are strings or null, three properties always, unknown requested names left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from . import times
from .definitions import Definition
from .kinds import Kind, find
from .portal import Portal
from .store import Record, Source

Body = dict[str, Any]


class Renderer:
    """Turns records of one type into JSON, with the property names worked out once per request."""

    def __init__(self, portal: Portal, kind: Kind, names: Sequence[str] = (), history: Sequence[str] = ()) -> None:
        self._portal = portal
        self._kind = kind
        known = portal.schema(kind).active
        asked = [*names, *history] if names or history else kind.defaults
        always = set(kind.always) | {"hs_createdate"}
        self._plain = sorted({name for name in asked if name in known and name not in always})
        self._extra = [name for name in asked if name == "hs_createdate"]
        self._history = [name for name in history if name in known]
        self._url = portal.url(kind, 0)[:-1]

    def read(self, record: Record) -> Body:
        """A record as read: what was asked for, null where there is no value."""
        values = record.values
        properties: dict[str, str | None] = {name: values.get(name) for name in self._plain}
        body = self._wrap(record, properties)
        if self._history:
            body["propertiesWithHistory"] = {name: self._versions(record, name) for name in self._history}
        return body

    def written(self, record: Record, changes: Iterable[str], cleared: Iterable[str] = ()) -> Body:
        """The answer to a write: what was written, plus what every answer carries. A cleared value is ""."""
        values = record.values
        properties: dict[str, str | None] = {name: values[name] for name in changes if name in values}
        properties.update((name, "") for name in cleared if name not in values)
        return self._wrap(record, properties)

    def _wrap(self, record: Record, properties: dict[str, str | None]) -> Body:
        created, updated, record_id = times.iso(record.created), times.iso(record.updated), str(record.id)
        properties["createdate"] = created
        properties[self._kind.modified] = updated
        properties["hs_object_id"] = record_id
        for name in self._extra:
            properties[name] = created
        body: Body = {
            "id": record_id,
            "properties": properties,
            "createdAt": created,
            "updatedAt": updated,
            "archived": record.archived is not None,
            "url": self._url + record_id,
        }
        if record.archived is not None:
            body["archivedAt"] = times.iso(record.archived)
        return body

    def _versions(self, record: Record, name: str) -> list[Body]:
        return [
            {"value": version.value, "timestamp": times.iso(version.moment), **source_json(version.source)}
            for version in record.versions(name)
        ]


def source_json(source: Source) -> Body:
    """Who wrote a value."""
    body: Body = {"sourceType": source.type, "sourceId": source.id}
    if source.user_id is not None:
        body["updatedByUserId"] = source.user_id
    return body


SHOWN = 100


def old_associations(portal: Portal, kind: Kind, record: Record, names: Sequence[str]) -> Body:
    """The ``associations`` of an object answer, in its older shape: one entry per type, keys in words."""
    result: Body = {}
    for name in names:
        other = find(name)
        if other is None:
            continue
        entries = _old_entries(portal, kind, record, other)
        if entries:
            result[other.plural.replace("_", " ")] = _first_page(entries)
    return result


def _first_page(entries: list[Body]) -> Body:
    """Decision: an object answer shows a hundred associations of a kind and says that there are more."""
    if len(entries) <= SHOWN:
        return {"results": entries}
    return {"results": entries[:SHOWN], "paging": {"next": {"after": entries[SHOWN]["id"]}}}


def _old_entries(portal: Portal, kind: Kind, record: Record, other: Kind) -> list[Body]:
    types = portal.links.types.get((kind.type_id, other.type_id), {})
    labelled_pairs = any(t.label and t.category == "HUBSPOT_DEFINED" for t in types.values())
    base = f"{kind.singular}_to_{other.singular}"
    entries = []
    for target, type_ids in sorted(portal.links.targets(kind.type_id, record.id, other.type_id).items()):
        if portal.store(other).live(target) is None:
            continue
        for type_id in type_ids:
            unlabelled = types[type_id].label is None
            suffix = "_unlabeled" if unlabelled and labelled_pairs else ""
            entries.append({"id": str(target), "type": base + suffix})
    return sorted(entries, key=lambda entry: (entry["id"], entry["type"]))


def value_of(kind: Kind, record: Record, name: str) -> str | None:
    """Any property of a record, the ones kept on the record itself included."""
    if name == "hs_object_id":
        return str(record.id)
    if name in ("createdate", "hs_createdate"):
        return times.iso(record.created)
    if name == kind.modified:
        return times.iso(record.updated)
    return record.values.get(name)


def definitions_json(definitions: Iterable[Definition]) -> list[Body]:
    """Property resources."""
    return [definition.to_json() for definition in definitions]
