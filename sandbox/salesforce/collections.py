"""sObject Collections: up to 200 records in one call, each with its own result.

Salesforce REST guide: HTTP 200 even when rows failed, results in the order of the request; a body that cannot be read
fails as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import dml, errors, ids, render
from .call import Answer, Call
from .errors import SfError
from .schema import ObjectDef

LIMIT = 200
READ_LIMIT = 2000
CHUNKS = 10

Result = dict[str, Any]
Record = dict[str, Any]


class _RolledBack(Exception):
    """A row of an all-or-none call failed."""


def route(call: Call) -> Answer:
    """Answer ``/composite/sobjects…``."""
    match call.parts[2:]:
        case ():
            call.allow("POST", "PATCH", "DELETE")
            return {"POST": _create, "PATCH": _update, "DELETE": _delete}[call.method](call)
        case (name,):
            call.allow("GET", "POST")
            return _retrieve(call, call.org.object(name, call.user_id))
        case (name, key_field):
            call.allow("PATCH")
            return _upsert(call, call.org.object(name, call.user_id), key_field)
    raise errors.not_found()


def _create(call: Call) -> Answer:
    records, all_or_none = _records(call)
    headers = dict(call.headers)

    def one(record: Record) -> Result:
        row = dml.insert(call.org, call.user_id, _type(record), record, request=call.number, headers=headers)
        return {"id": row.id, "success": True, "errors": []}

    return _each(call, records, one, all_or_none)


def _update(call: Call) -> Answer:
    records, all_or_none = _records(call)
    headers = dict(call.headers)

    def one(record: Record) -> Result:
        name = next((key for key in record if key.lower() == "id"), None)
        if name is None or not record[name]:
            raise errors.refused("MISSING_ARGUMENT", "Id not specified in an update call")
        body = {key: value for key, value in record.items() if key != name}
        definition = call.org.object(_type(record))
        row = dml.find(call.org, definition, str(record[name]), call.user_id)
        dml.update(call.org, call.user_id, definition.name, row.id, body, request=call.number, headers=headers)
        return {"id": row.id, "success": True, "errors": []}

    return _each(call, records, one, all_or_none)


def _upsert(call: Call, definition: ObjectDef, key_field: str) -> Answer:
    records, all_or_none = _records(call)
    name = dml.key_field(call.org, call.user_id, definition, key_field)
    headers = dict(call.headers)
    seen: set[str] = set()

    def one(record: Record) -> Result:
        if _type(record).lower() != definition.name.lower():
            raise errors.refused("INVALID_TYPE", f"records of {_type(record)} cannot be upserted as {definition.name}")
        key_name = next((key for key in record if key.lower() == name.lower()), None)
        key = None if key_name is None else record[key_name]
        if key is None and name != "Id":
            raise errors.refused("MISSING_ARGUMENT", f"{name} not specified", name)
        if key is not None:
            folded = call.org.table(definition.name).key(name, str(key))
            if folded in seen:
                raise errors.refused("DUPLICATE_VALUE", f"Duplicate external id specified: {key}", name)
            seen.add(folded)
        body = {field: value for field, value in record.items() if field != key_name}
        row, created = dml.upsert(
            call.org, call.user_id, definition.name, name, key, body, request=call.number, headers=headers
        )
        return {"id": row.id, "success": True, "errors": [], "created": created}

    return _each(call, records, one, all_or_none)


def _delete(call: Call) -> Answer:
    wanted = [part.strip() for part in call.query.get("ids", "").split(",") if part.strip()]
    if not wanted:
        raise SfError(400, "MISSING_ARGUMENT", "The ids parameter is required")
    _bounded(wanted, LIMIT)

    def one(record: Record) -> Result:
        text = record["id"]
        full = ids.full(text)
        definition = call.org.object_of(full) if full else None
        if full is None or definition is None:
            raise errors.refused("MALFORMED_ID", f"malformed id {text}", "Id")
        dml.delete(call.org, call.user_id, definition.name, full, request=call.number)
        return {"id": full, "success": True, "errors": []}

    return _each(call, [{"id": text} for text in wanted], one, call.flag("allOrNone"))


def _each(call: Call, records: list[Record], one: Callable[[Record], Result], all_or_none: bool) -> Answer:
    """Every record in its own transaction, or all in one that a single failure takes back."""
    results: list[Result] = []
    try:
        with call.org.transaction():
            results.extend(_row(call, record, one) for record in records)
            if all_or_none and not all(result["success"] for result in results):
                raise _RolledBack
    except _RolledBack:
        for result in results:
            if result["success"]:
                result.update(success=False, errors=errors.rolled_back_row().row())
                result.pop("created", None)
    return Answer(200, results)


def _row(call: Call, record: Record, one: Callable[[Record], Result]) -> Result:
    try:
        with call.org.transaction():
            return one(record)
    except SfError as error:
        if error.code == "JSON_PARSER_ERROR":  # the body could not be read: nothing of it is carried out
            raise
        if error.code == "NOT_FOUND":
            error = errors.cross_reference()
        return {"success": False, "errors": error.row()}


def _records(call: Call) -> tuple[list[Record], bool]:
    """The records of the body and allOrNone; everything that makes the whole call malformed is refused here."""
    body = call.json()
    records = body.get("records")
    if not isinstance(records, list) or any(not isinstance(record, dict) for record in records):
        raise errors.bad_json("Cannot deserialize instance of list: records")
    _bounded(records, LIMIT)
    chunks, last = 0, None
    for record in records:
        name = _type(record).lower()
        if call.org.find_for(call.user_id, name) is None:
            raise SfError(400, "INVALID_TYPE", f"sObject type '{_type(record)}' is not supported.")
        chunks, last = chunks + (name != last), name
    if chunks > CHUNKS:
        raise SfError(
            400,
            "LIMIT_EXCEEDED",
            "Cannot have more than 10 chunks in a single operation. Please rearrange the data to reduce chunking.",
        )
    return records, body.get("allOrNone") is True


def _type(record: Record) -> str:
    attributes = record.get("attributes")
    name = attributes.get("type") if isinstance(attributes, dict) else None
    if not isinstance(name, str) or not name:
        raise SfError(400, "INVALID_TYPE", "Must send a concrete entity type.")
    return name


def _bounded(entries: list[Any], limit: int) -> None:
    if len(entries) > limit:
        raise SfError(
            400, "EXCEEDED_ID_LIMIT", f"record limit reached. cannot submit more than {limit} records into this call"
        )


def _retrieve(call: Call, definition: ObjectDef) -> Answer:
    """Records by id; null where there is none, or none of this object."""
    if call.method == "POST":
        body = call.json()
        wanted, names = body.get("ids"), body.get("fields")
    else:
        wanted, names = call.query.get("ids", "").split(","), call.query.get("fields", "").split(",")
    if not isinstance(wanted, list) or not isinstance(names, list) or not all(wanted) or not all(names):
        raise SfError(400, "MISSING_ARGUMENT", "The ids and fields parameters are required")
    _bounded(wanted, READ_LIMIT)
    visible = call.org.visible_fields(definition, call.user_id)
    for name in names:
        if str(name).lower() not in visible:
            raise errors.no_column(str(name), definition.name)
    return Answer(200, [_found(call, definition, str(text), names) for text in wanted])


def _found(call: Call, definition: ObjectDef, text: str, names: list[str]) -> Record | None:
    row = call.org.rows[definition.name].get(ids.full(text) or "")
    if row is None or row.deleted or row.id[:15] in call.org.hidden_from(call.user_id):
        return None
    return render.record(call.org, call.user_id, definition, row, names, version=call.version)
