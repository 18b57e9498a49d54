"""The Tooling API as far as fields and objects go: one component a call, and a query to look before.

Tooling API guide: a created field is visible to nobody until a permission set grants it; creating needs the right to
customize the application."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .call import Answer, Call
from .errors import SfError, not_found, refused
from .held import PerOrg
from .ids import full
from .metadata_fields import Wrong, add_or_change, field_of, object_of
from .org import Org
from .schema import FieldDef, ObjectDef

QUERY = re.compile(
    r"\s*SELECT\s+(?P<fields>[\w\s,.()]+?)\s+FROM\s+(?P<object>\w+)(?:\s+WHERE\s+(?P<where>.+?))?(?:\s+LIMIT\s+\d+)?\s*",
    re.IGNORECASE | re.DOTALL,
)
CONDITION = re.compile(r"\s*(\w+)\s*(=|!=|LIKE|IN)\s*('(?:[^'\\]|\\.)*'|\([^)]*\)|\w+)\s*", re.IGNORECASE)
_IDS: PerOrg[dict[str, str]] = PerOrg(dict)  # full name: id of the component


def route(call: Call) -> Answer:
    """Answer ``tooling/…``."""
    if call.tenant is not None and not call.tenant.may_deploy(call.user_id):
        raise SfError(403, "INSUFFICIENT_ACCESS", "The Tooling API requires the View Setup and Configuration right")
    match call.parts[1:]:
        case ("query",):
            call.allow("GET")
            return Answer(200, _query(call))
        case ("sobjects", ("CustomField" | "CustomObject") as kind):
            call.allow("POST")
            return _create(call, kind)
        case ("sobjects", ("CustomField" | "CustomObject") as kind, record_id):
            call.allow("GET", "DELETE")
            return _one(call, kind, record_id)
    raise not_found()


def _create(call: Call, kind: str) -> Answer:
    body = call.json()
    name, metadata = body.get("FullName"), body.get("Metadata")
    if not isinstance(name, str) or not isinstance(metadata, dict):
        raise refused("REQUIRED_FIELD_MISSING", "Required fields are missing: [FullName, Metadata]", "FullName")
    org = call.org
    try:
        if kind == "CustomObject":
            if org.find(name) is not None:
                raise _taken(f"There is already an object named {name}.")
            org.add_object(object_of(name, metadata))
        else:
            _create_field(org, name, metadata)
    except Wrong as wrong:
        raise refused("FIELD_INTEGRITY_EXCEPTION", str(wrong), "FullName") from None
    return Answer(201, {"id": _id(org, kind, name), "success": True, "errors": [], "warnings": [], "infos": []})


def _create_field(org: Org, full_name: str, metadata: dict[str, Any]) -> None:
    owner, _, name = full_name.partition(".")
    definition = org.find(owner)
    if definition is None:
        raise refused("INVALID_CROSS_REFERENCE_KEY", f"Entity Enumeration Or ID: bad value {owner}", "EntityEnumOrId")
    if definition.field(name) is not None:
        raise _taken(f"There is already a field named {name.removesuffix('__c')} on {definition.name}.")
    add_or_change(org, definition.name, field_of(name, metadata, lambda target: org.find(target) is not None))


def _taken(message: str) -> SfError:
    return refused("DUPLICATE_DEVELOPER_NAME", message, "DeveloperName")


def _id(org: Org, kind: str, full_name: str) -> str:
    """The id of a component, given out when it is first asked for."""
    known = _IDS.of(org)
    key = f"{kind}:{full_name.lower()}"
    if key not in known:
        known[key] = org.ids.new("00N" if kind == "CustomField" else "01I")
    return known[key]


def _one(call: Call, kind: str, record_id: str) -> Answer:
    wanted = full(record_id)
    found = next((row for row in _rows(call.org, kind) if row["Id"] == wanted), None)
    if found is None:
        raise not_found()
    if call.method == "GET":
        url = f"{call.data}/tooling/sobjects/{kind}/{found['Id']}"
        return Answer(200, {"attributes": {"type": kind, "url": url}, **found})
    if kind == "CustomObject":
        raise refused("CANNOT_DELETE_MANAGED_OBJECT", "This component cannot be deleted here")
    call.org.remove_field(found["TableEnumOrId"], f"{found['DeveloperName']}__c")
    return Answer(204)


def _rows(org: Org, kind: str) -> Iterator[dict[str, Any]]:
    for definition in org.objects.values():
        if kind == "CustomObject":
            if definition.custom:
                yield _object_row(org, definition)
        else:
            yield from (_field_row(org, definition, entry) for entry in definition.fields.values() if entry.custom)


def _object_row(org: Org, definition: ObjectDef) -> dict[str, Any]:
    return {
        "Id": _id(org, "CustomObject", definition.name),
        "DeveloperName": definition.name.removesuffix("__c"),
        "NamespacePrefix": None,
        "FullName": definition.name,
    }


def _field_row(org: Org, definition: ObjectDef, field: FieldDef) -> dict[str, Any]:
    owner = _id(org, "CustomObject", definition.name) if definition.custom else definition.name
    return {
        "Id": _id(org, "CustomField", f"{definition.name}.{field.name}"),
        "DeveloperName": field.name.removesuffix("__c"),
        "NamespacePrefix": None,
        "TableEnumOrId": owner,
        "EntityDefinitionId": owner,
        "FullName": f"{definition.name}.{field.name}",
        "Length": field.length or None,
    }


def _query(call: Call) -> dict[str, Any]:
    text = call.query.get("q", "")
    match = QUERY.fullmatch(text)
    kinds = {"customfield": "CustomField", "customobject": "CustomObject"}
    if match is None:
        raise SfError(400, "MALFORMED_QUERY", f"unexpected token: '{text.split(' ')[0]}'")
    kind = kinds.get(match["object"].lower())
    if kind is None:
        raise SfError(400, "INVALID_TYPE", f"sObject type '{match['object']}' is not supported.")
    names = [name.strip() for name in match["fields"].split(",")]
    rows = [row for row in _rows(call.org, kind) if _meets(row, match["where"] or "")]
    if [name.lower() for name in names] == ["count()"]:
        return {"size": len(rows), "totalSize": len(rows), "done": True, "records": []}
    records = [
        {
            "attributes": {"type": kind, "url": f"{call.data}/tooling/sobjects/{kind}/{row['Id']}"},
            **dict(_pick(row, name) for name in names),
        }
        for row in rows
    ]
    return {"size": len(rows), "totalSize": len(rows), "done": True, "queryLocator": None, "records": records,
            "entityTypeName": kind}  # fmt: skip


def _pick(row: dict[str, Any], name: str) -> tuple[str, Any]:
    for key, value in row.items():
        if key.lower() == name.lower():
            return key, value
    raise SfError(400, "INVALID_FIELD", f"No such column '{name}' on entity")


def _meets(row: dict[str, Any], where: str) -> bool:
    """Conditions joined by AND; that is what looking before creating needs."""
    for part in re.split(r"\s+AND\s+", where, flags=re.IGNORECASE) if where else []:
        match = CONDITION.fullmatch(part)
        if match is None:
            raise SfError(400, "MALFORMED_QUERY", f"unexpected token: '{part}'")
        value = str(_pick(row, match[1])[1] or "").lower()
        wanted = [text.lower() for text in re.findall(r"'((?:[^'\\]|\\.)*)'", match[3])] or [match[3].lower()]
        if match[2].upper() == "LIKE":
            pattern = re.escape(wanted[0]).replace("%", ".*").replace("_", ".")
            holds = re.fullmatch(pattern, value) is not None
        else:
            holds = (value in wanted) != (match[2] == "!=")
        if not holds:
            return False
    return True
