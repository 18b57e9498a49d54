"""``/composite/tree/X``: records with their children, created together or not at all.

Limits: 200 records, five levels, five objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import dml, errors
from .call import Answer, Call
from .errors import SfError
from .schema import ObjectDef

RECORDS, LEVELS, TYPES = 200, 5, 5

Record = dict[str, Any]


class _RolledBack(Exception):
    """A record was refused."""


def respond(call: Call, definition: ObjectDef) -> Answer:
    """201 with every id, or 400 with the failing records alone."""
    records: Any = call.json().get("records")
    _check(call, definition, records)
    created: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    try:
        with call.org.transaction():
            for record in records:
                _plant(call, definition, record, {}, created, failed)
            if failed:
                raise _RolledBack
    except _RolledBack:
        return Answer(400, {"hasErrors": True, "results": failed})
    return Answer(201, {"hasErrors": False, "results": created})


def _check(call: Call, definition: ObjectDef, records: Any) -> None:
    entries = list(_walk(call, definition, records, 1))
    names = [_reference(record) for _, record, _ in entries]
    if not names:
        raise errors.bad_json("records must be a list of records")
    if len(names) > RECORDS or max(level for _, _, level in entries) > LEVELS:
        raise SfError(400, "LIMIT_EXCEEDED", f"A tree has at most {RECORDS} records on {LEVELS} levels")
    if len({name for name, _, _ in entries}) > TYPES:
        raise SfError(400, "LIMIT_EXCEEDED", f"A tree has at most {TYPES} types of record")
    if not all(names):
        raise SfError(400, "INVALID_INPUT", "Include a reference ID for each record in the request.")
    if len(set(names)) != len(names):
        raise SfError(400, "INVALID_INPUT", "Duplicate ReferenceId provided in the request.")


def _walk(call: Call, definition: ObjectDef, records: Any, level: int) -> Iterator[tuple[str, Record, int]]:
    if not isinstance(records, list) or any(not isinstance(record, dict) for record in records):
        raise errors.bad_json("records must be a list of records")
    for record in records:
        attributes = record.get("attributes")
        if not isinstance(attributes, dict) or str(attributes.get("type", "")).lower() != definition.name.lower():
            raise SfError(400, "INVALID_INPUT", f"Include attributes of type {definition.name} for each record.")
        yield definition.name, record, level
        for child, children in _children(definition, record):
            yield from _walk(call, call.org.object(child.object, call.user_id), children, level + 1)


def _children(definition: ObjectDef, record: Record) -> Iterator[tuple[Any, Any]]:
    """(child relationship, records) of the branches of a record."""
    for name, value in record.items():
        child = definition.child(name)
        if child is not None and isinstance(value, dict) and "records" in value:
            yield child, value["records"]


def _reference(record: Record) -> str:
    return str(record["attributes"].get("referenceId", ""))


def _plant(
    call: Call,
    definition: ObjectDef,
    record: Record,
    lookups: dict[str, str],
    created: list[dict[str, Any]],
    failed: list[dict[str, Any]],
) -> None:
    """Create a record and then its children; those of a refused record are not tried."""
    branches = list(_children(definition, record))
    names = {child.name.lower() for child, _ in branches}
    body = {name: value for name, value in record.items() if name.lower() not in names} | lookups
    try:
        row = dml.insert(call.org, call.user_id, definition.name, body, request=call.number, headers=dict(call.headers))
    except SfError as error:
        if error.code == "JSON_PARSER_ERROR":
            raise
        failed.append({"referenceId": _reference(record), "errors": error.row()})
        return
    created.append({"referenceId": _reference(record), "id": row.id})
    for child, children in branches:
        for other in children:
            _plant(call, call.org.object(child.object, call.user_id), other, {child.field: row.id}, created, failed)
