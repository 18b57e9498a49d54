"""What single calls and batches share: which record is meant, what is written, which links come along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import errors
from .associations import BadLink
from .call import Call, kind_of
from .kinds import Kind
from .render import Renderer
from .shape import id_of, objects, type_ids
from .store import Record
from .writes import Plan

NOT_YET = -1  # the id of a record that is being created

Link = tuple[Kind, int, list[int]]


def find(call: Call, kind: Kind, record_id: str, archived: bool = False) -> Record:
    """The record a path names, honouring ``idProperty``."""
    id_property = call.query.get("idProperty")
    if id_property and id_property != "hs_object_id":
        record = lookup(call, kind, record_id, id_property)
    elif not record_id.isdecimal():
        record = None
    else:
        store = call.portal.store(kind)
        record = store.binned(int(record_id)) if archived else store.live(int(record_id))
    if record is None:
        raise errors.unknown_record(record_id)
    return record


def lookup(call: Call, kind: Kind, key: str, id_property: str) -> Record | None:
    """The record with this value of a unique property; any other property is refused."""
    if not call.portal.schema(kind).identifies(id_property):
        raise errors.not_unique(kind.type_id, id_property)
    folded = key.strip().lower() if id_property == "email" else key
    return call.portal.store(kind).holder(id_property, folded)


def properties_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``properties`` of a write."""
    properties = body.get("properties")
    if not isinstance(properties, dict):
        raise errors.bad_json(
            "Cannot build SimplePublicObjectInput, some of required attributes are not set [properties]"
        )
    return properties


def written(call: Call, kind: Kind, record: Record, plan: Plan) -> dict[str, Any]:
    """The answer to a write; a line item's net price comes along."""
    shown = [name for name in plan.changes if name not in plan.silent]
    names = [*shown, *(("amount",) if kind.singular == "line_item" else ())]
    cleared = [name for name in shown if plan.changes[name] == ""]
    body = Renderer(call.portal, kind).written(record, names, cleared)
    if plan.warnings:
        body["warnings"] = plan.warnings
    return body


def planned_links(call: Call, kind: Kind, body: Mapping[str, Any]) -> list[Link]:
    """Check the ``associations`` of a create before anything is stored."""
    links: list[Link] = []
    for entry in objects(body, "associations"):
        to_id, wanted = id_of(entry, "to"), type_ids(entry)
        if not wanted:
            raise errors.invalid("One or more associations are invalid")
        target = _target_kind(call, kind, wanted)
        call.need(target.scopes("read"))
        if not to_id.isdecimal() or call.portal.store(target).live(int(to_id)) is None:
            detail = {"message": f"{target.singular} {to_id} does not exist", "code": "OBJECT_NOT_FOUND"}
            raise errors.invalid("One or more associations are invalid", errors=[detail])
        try:
            call.portal.links.check_parent(kind.type_id, NOT_YET, target.type_id, int(to_id))
        except BadLink as bad:
            raise errors.invalid(f"One or more associations are invalid: {bad}") from None
        links.append((target, int(to_id), wanted))
    return links


def _target_kind(call: Call, kind: Kind, wanted: list[int]) -> Kind:
    """The other end is told by the type id, which must be the one of the direction new record → other."""
    for (source, target), known in call.portal.links.types.items():
        if source == kind.type_id and all(type_id in known for type_id in wanted):
            return kind_of(target)
    sources = [s for (s, _), known in call.portal.links.types.items() if wanted[0] in known]
    text = "One or more associations are invalid"
    if sources:
        text += f": invalid from object type {kind.type_id} for associations to be created. expected: {sources[0]}"
    raise errors.invalid(text)


def make_links(call: Call, kind: Kind, record: Record, links: list[Link]) -> None:
    """Store checked links."""
    for target, to_id, wanted in links:
        try:
            call.portal.links.label(kind.type_id, record.id, target.type_id, to_id, wanted)
        except BadLink as bad:
            raise errors.invalid(str(bad)) from None
