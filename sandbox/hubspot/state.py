"""The control interface's view of a portal: raw records, and edits as a person would make them."""

from __future__ import annotations

from typing import Any

from . import times
from .kinds import KINDS, Kind, find
from .portal import Portal
from .render import source_json, value_of
from .store import Record, Source
from .writes import Writer


def records(portal: Portal, object_name: str) -> list[dict[str, Any]]:
    """Everything of one kind, archived records included; KeyError for a name there is nothing under."""
    if object_name == "associations":
        return _links(portal)
    if object_name == "properties":
        return _definitions(portal)
    if object_name == "pipelines":
        return [_dated(pipeline.to_json()) for pipeline in portal.pipelines.values()]
    kind = _kind(object_name)
    return [raw(portal, kind, record) for record in portal.store(kind).records.values()]


def _kind(object_name: str) -> Kind:
    kind = find(object_name)
    if kind is None:
        raise KeyError(object_name)
    return kind


def raw(portal: Portal, kind: Kind, record: Record) -> dict[str, Any]:
    """One record with all its values and its history."""
    return {
        "id": str(record.id),
        "properties": {
            **dict(record.values),
            **{name: value_of(kind, record, name) for name in kind.always},
        },
        "archived": record.archived is not None,
        "merged_ids": [str(record_id) for record_id in record.merged or []],
        "created_at": times.iso(record.created),
        "updated_at": times.iso(record.updated),
        "created_by_request": record.request,
        "history": {
            name: [{"value": v.value, "at": times.iso(v.moment), **source_json(v.source)} for v in versions]
            for name, versions in (record.history or {}).items()
        },
    }


def _links(portal: Portal) -> list[dict[str, Any]]:
    """Every link in both directions; links have no dates of their own."""
    return [
        {
            "id": f"{one}:{from_id}-{other}:{to_id}",
            "from_type": one,
            "from_id": str(from_id),
            "to_type": other,
            "to_id": str(to_id),
            "type_ids": list(type_ids),
            "created_at": None,
            "updated_at": None,
            "created_by_request": None,
        }
        for one, from_id, other, to_id, type_ids in portal.links.every()
    ]


def _definitions(portal: Portal) -> list[dict[str, Any]]:
    return [
        {"object_type": kind.plural, **_dated(definition.to_json())}
        for kind in KINDS
        for group in (portal.schema(kind).active, portal.schema(kind).archived)
        for definition in group.values()
    ]


def _dated(body: dict[str, Any]) -> dict[str, Any]:
    return {
        **body,
        "created_at": body["createdAt"],
        "updated_at": body["updatedAt"],
        "created_by_request": None,
    }


def edit(
    portal: Portal, object_name: str, record_id: str | None, fields: dict[str, Any], moment: int
) -> dict[str, Any]:
    """A person saves a record page: the same checks, another source in the history."""
    if object_name == "associations":
        return _link(portal, fields, moment)
    kind = _kind(object_name)
    user = portal.profile.owners[0]
    writer = Writer(portal, kind, Source("CRM_UI", f"userId:{user.user_id}", user.user_id), moment)
    known = portal.store(kind).live(int(record_id)) if record_id and record_id.isdecimal() else None
    plan = writer.plan(fields, known)
    if known is None:
        known = writer.create(plan)
    else:
        writer.update(known, plan)
    return raw(portal, kind, known)


def _link(portal: Portal, fields: dict[str, Any], moment: int) -> dict[str, Any]:
    """A person links two records: from_type, from_id, to_type, to_id and perhaps type_ids."""
    one, other = _kind(str(fields["from_type"])), _kind(str(fields["to_type"]))
    user = portal.profile.owners[0]
    portal.acting = (Source("CRM_UI", f"userId:{user.user_id}", user.user_id), moment)
    ends = (one.type_id, int(fields["from_id"]), other.type_id, int(fields["to_id"]))
    if fields.get("type_ids"):
        portal.links.label(*ends, fields["type_ids"])
    else:
        portal.links.connect(*ends)
    return next(link for link in _links(portal) if link["id"] == f"{ends[0]}:{ends[1]}-{ends[2]}:{ends[3]}")


def delete(portal: Portal, object_name: str, record_id: str, moment: int) -> None:
    """A person deletes a record, which archives it; KeyError when there is none."""
    kind = _kind(object_name)
    record = portal.store(kind).live(int(record_id)) if record_id.isdecimal() else None
    if record is None:
        raise KeyError(record_id)
    user = portal.profile.owners[0]
    Writer(portal, kind, Source("CRM_UI", f"userId:{user.user_id}", user.user_id), moment).archive(record)
