"""``/sobjects``: describes, and single records by id or external id."""

from __future__ import annotations

from typing import Any

from . import describe, dml, errors, preconditions, render, times
from .call import Answer, Call
from .schema import ObjectDef
from .table import Row


def route(call: Call) -> Answer:
    """Answer everything below ``/sobjects`` but the replication lists."""
    match call.parts[1:]:
        case ():
            call.allow("GET")
            unchanged = preconditions.fresh(call, call.org.schema_moment)
            return unchanged or _dated(call, describe.everything(call.org, call.user_id, call.version))
        case (name,):
            return _object(call, call.org.object(name, call.user_id))
        case (name, "describe"):
            call.allow("GET")
            definition = call.org.object(name, call.user_id)
            unchanged = preconditions.fresh(call, call.org.schema_moment)
            return unchanged or _dated(call, describe.full(call.org, call.user_id, definition, call.version))
        case (name, "Id" | "id" | "ID") if call.method in ("POST", "PATCH"):
            return _create(call, call.org.object(name, call.user_id), created=True)
        case (name, record_id):
            return _record(call, call.org.object(name, call.user_id), record_id)
        case (name, key_field, value):
            return _keyed(call, call.org.object(name, call.user_id), key_field, value)
    raise errors.not_found()


def _dated(call: Call, body: Any) -> Answer:
    return Answer(200, body, {"Last-Modified": times.http_date(call.org.schema_date())})


def _object(call: Call, definition: ObjectDef) -> Answer:
    call.allow("GET", "POST")
    if call.method == "POST":
        return _create(call, definition)
    return Answer(
        200, {"objectDescribe": describe.head(call.org, call.user_id, definition, call.version), "recentItems": []}
    )


def location(call: Call, row: Row) -> str:
    """Where a record is."""
    return f"{call.data}/sobjects/{row.object}/{row.id}"


def _create(call: Call, definition: ObjectDef, *, created: bool = False) -> Answer:
    """Create; through the upsert path (``created``) the answer says so."""
    row = dml.insert(
        call.org, call.user_id, definition.name, call.json(), request=call.number, headers=dict(call.headers)
    )
    body: dict[str, Any] = {"id": row.id, "success": True, "errors": []}
    if created:
        body["created"] = True
    return Answer(201, body, {"Location": location(call, row)})


def _record(call: Call, definition: ObjectDef, record_id: str) -> Answer:
    call.allow("GET", "PATCH", "DELETE")
    row = dml.find(call.org, definition, record_id, call.user_id)
    if call.method == "GET":
        return preconditions.reading(call, row) or _read(call, definition, row)
    preconditions.writing(call, row)
    if call.method == "DELETE":
        dml.delete(call.org, call.user_id, definition.name, row.id, request=call.number)
        return Answer(204)
    body = call.json()
    _without(body, "Id")
    dml.update(call.org, call.user_id, definition.name, row.id, body, request=call.number, headers=dict(call.headers))
    return Answer(204)


def _read(call: Call, definition: ObjectDef, row: Row) -> Answer:
    names = [part.strip() for text in call.query.getlist("fields") for part in text.split(",") if part.strip()]
    visible = call.org.visible_fields(definition, call.user_id)
    for name in names:
        if name.lower() not in visible:
            raise errors.no_column(name, definition.name)
    record = render.record(
        call.org, call.user_id, definition, row, [*names, "Id"] if names else None, version=call.version
    )
    return Answer(200, record, preconditions.headers_of(row))


def _without(body: dict[str, Any], *names: str) -> None:
    """The field that the address already names may not be in the body."""
    refused = {name.lower() for name in names}
    for name in body:
        if name.lower() in refused:
            raise errors.id_in_body(name)


def _keyed(call: Call, definition: ObjectDef, key_field: str, value: str) -> Answer:
    call.allow("GET", "PATCH", "DELETE")
    org, user_id = call.org, call.user_id
    name = dml.key_field(org, user_id, definition, key_field)
    found = dml.matches(org, definition, name, value)
    if len(found) > 1:
        return Answer(300, [f"{call.data}/sobjects/{definition.name}/{record_id}" for record_id in found])
    row = org.row(found[0]) if found else None
    if call.method == "PATCH":
        return _upsert(call, definition, name, value, row)
    if row is None or row.id[:15] in org.hidden_from(user_id):
        raise errors.not_found()
    if call.method == "GET":
        return preconditions.reading(call, row) or _read(call, definition, row)
    preconditions.writing(call, row)
    dml.delete(org, user_id, definition.name, row.id, request=call.number)
    return Answer(204)


def _upsert(call: Call, definition: ObjectDef, name: str, value: str, known: Row | None) -> Answer:
    body = call.json()
    _without(body, name, "Id")
    if known is not None:
        preconditions.writing(call, known)
    row, created = dml.upsert(
        call.org,
        call.user_id,
        definition.name,
        name,
        value,
        body,
        update_only=call.flag("updateOnly"),
        request=call.number,
        headers=dict(call.headers),
    )
    answer = {"id": row.id, "success": True, "errors": [], "created": created}
    return Answer(201, answer, {"Location": location(call, row)}) if created else Answer(200, answer)
