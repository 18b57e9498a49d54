"""Data manipulation: the only way rows change. Every function raises ``SfError`` and leaves no trace when it does.

``user_id`` None stands for the org itself: it sees every field, may set read-only ones such as CreatedDate, and is not
stopped by the customer's rules. ``request`` is the journal number of the call, ``headers`` its HTTP headers (the
duplicate rule header is read)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import changes, checks, duplicates, errors, hooks, ids, inputs, places, rules_people, times
from .dml_delete import delete, merge, undelete
from .org import Org
from .schema import ObjectDef
from .table import Row, Values
from .values import clean
from .write import Write

__all__ = ["delete", "find", "insert", "key_field", "matches", "merge", "undelete", "update", "upsert"]

Headers = Mapping[str, str]
NO_HEADERS: Headers = {}


def find(org: Org, definition: ObjectDef, record_id: str, user_id: str | None = None) -> Row:
    """A live row by an id in either form: MALFORMED_ID for another object's id, ENTITY_IS_DELETED for one in the
    recycle bin, NOT_FOUND for nobody's and for one that sharing keeps from the user."""
    full = ids.full(record_id)
    if full is None or full[:3] != definition.prefix:
        raise errors.wrong_id(definition.label, record_id)
    row = org.rows[definition.name].get(full)
    if row is None:
        if full in org.table(definition.name).purged:
            raise errors.gone()
        raise errors.unknown_record()
    if row.deleted:
        raise errors.gone()
    if full[:15] in org.hidden_from(user_id):
        raise errors.unknown_record()
    return row


def insert(
    org: Org,
    user_id: str | None,
    object_name: str,
    values: Mapping[str, Any],
    *,
    request: int | None = None,
    headers: Headers | None = None,
) -> Row:
    """Create a record from wire values, field names in any case."""
    definition = org.object(object_name, user_id)
    if not definition.createable and user_id is not None:
        raise _not_here("inserted", definition)
    if not org.object_rights.may(definition, user_id, "create"):
        raise errors.no_right("inserted", definition.label)
    with org.transaction():
        given = inputs.parse(org, user_id, definition, values, creating=True)
        write = Write(
            org, user_id, definition, None, given, _start(org, definition, given), request, headers or NO_HEADERS
        )
        _rules(write)
        row = _store(write)
        _follow(write, row)
    return row


def _start(org: Org, definition: ObjectDef, given: Values) -> Values:
    plan = org.plan(definition)
    values = {**plan.defaults, **{name: value for name, value in given.items() if value is not None}}
    for name, value in given.items():  # an explicit null beats a default, save for what is never null
        if value is None and name in plan.defaults and definition.fields[name.lower()].nillable:
            values.pop(name)
    if plan.multi_currency and values.get("CurrencyIsoCode") is None:
        values["CurrencyIsoCode"] = org.options.default_currency
    return values


def _not_here(verb: str, definition: ObjectDef) -> errors.SfError:
    return errors.SfError(400, "INVALID_TYPE_FOR_OPERATION", f"entity type cannot be {verb}: {definition.label}", [])


def _rules(write: Write) -> None:
    """Everything that may refuse or complete the write, in Salesforce's order: system checks, then the customer's."""
    org, definition = write.org, write.definition
    name = definition.name
    rules_people.record_type(write)
    if name in hooks.PREPARE:
        hooks.PREPARE[name](write)
    checks.required(write)
    checks.picklists(write)
    checks.references(write)
    places.align(write)
    checks.access(org, write.user_id, name, write.row)
    if name in hooks.BEFORE:
        hooks.BEFORE[name](write)
    checks.unique(write)
    checks.locks(org, write.row, write.values, org.plan(definition).references)
    checks.owner(write)
    checks.customer_rules(write)
    duplicates.check(write)


def _store(write: Write) -> Row:
    """The new row with its id, audit fields and automatic numbers."""
    org, definition, values = write.org, write.definition, write.values
    now = changes.moment(org)
    stamp = times.wire(now)
    record_id = values.get("Id") or org.ids.new(definition.prefix)
    author = values.get("CreatedById") or write.user_id
    for field in org.plan(definition).numbers:
        if values.get(field.name) is None:
            values[field.name] = _next_number(org, definition.name, field.name, field.number_format)
    if "ownerid" in definition.fields and values.get("OwnerId") is None:
        values["OwnerId"] = write.user_id
    if definition.custom and values.get("Name") is None:
        values["Name"] = record_id  # Salesforce: a custom object's empty text name becomes the id
    held: Values = {
        "Id": record_id,
        "IsDeleted": False,
        "CreatedDate": stamp,
        "CreatedById": author,
        "LastModifiedDate": values.get("CreatedDate") or stamp,
        "LastModifiedById": author,
        "SystemModstamp": values.get("LastModifiedDate") or values.get("CreatedDate") or stamp,
        **values,
    }
    row = Row(definition.name, record_id, held, now, write.request)
    if write.user_id is None:  # the org itself may date records back
        row.created = times.to_ms(held["CreatedDate"]) or now
        row.modified = times.to_ms(held["LastModifiedDate"]) or now
        row.stamp = times.to_ms(held["SystemModstamp"]) or now
    changes.add(org, row, write.user_id)
    return row


def _next_number(org: Org, object_name: str, field_name: str, number_format: str) -> str:
    key = f"{object_name}.{field_name}"
    number = org.counters[key] = org.counters.get(key, 0) + 1
    lead, _, rest = number_format.partition("{")
    places_wanted, _, tail = rest.partition("}")
    return f"{lead}{number:0{len(places_wanted) or 1}d}{tail}"


def _follow(write: Write, row: Row) -> None:
    follow = hooks.AFTER.get(write.definition.name)
    if follow is not None:
        follow(write, row)


def update(
    org: Org,
    user_id: str | None,
    object_name: str,
    record_id: str,
    values: Mapping[str, Any],
    *,
    request: int | None = None,
    headers: Headers | None = None,
) -> Row:
    """Change a record. An update without fields still moves its stamps."""
    definition = org.object(object_name, user_id)
    if not definition.updateable and user_id is not None:
        raise _not_here("updated", definition)
    if not org.object_rights.may(definition, user_id, "edit"):
        raise errors.no_right("updated", definition.label)
    row = find(org, definition, record_id, user_id)
    with org.transaction():
        given = inputs.parse(org, user_id, definition, values, creating=False)
        write = Write(org, user_id, definition, row, given, dict(given), request, headers or NO_HEADERS)
        _rules(write)
        changes.alter(org, row, write.values, user_id, request)
        _follow(write, row)
    return row


def key_field(org: Org, user_id: str | None, definition: ObjectDef, name: str) -> str:
    """The canonical name of an external id; 404 when it is absent, no external id, or hidden."""
    field = org.visible_fields(definition, user_id).get(name.lower())
    if field is None or not (field.external_id or field.id_lookup):
        raise errors.no_external_id(name)
    return field.name


def matches(org: Org, definition: ObjectDef, key_name: str, key: Any) -> list[str]:
    """Ids of the live rows with this external id; an empty key matches nothing."""
    if key_name == "Id":
        full = ids.full(str(key))
        return [full] if full and org.row(full) is not None and full in org.rows[definition.name] else []
    stored = clean(definition.fields[key_name.lower()], key)
    table = org.table(definition.name)
    table.index(key_name)
    return [] if stored is None else table.holders(key_name, stored)


def upsert(
    org: Org,
    user_id: str | None,
    object_name: str,
    key_name: str,
    key: Any,
    values: Mapping[str, Any],
    *,
    update_only: bool = False,
    request: int | None = None,
    headers: Headers | None = None,
) -> tuple[Row, bool]:
    """(row, created): change the record with this external id or make it. Several matches: SfError 300
    DUPLICATE_EXTERNAL_ID whose ``ids`` names them, nothing written. With ``update_only`` an unknown key is 404."""
    definition = org.object(object_name, user_id)
    name = key_field(org, user_id, definition, key_name)
    found = matches(org, definition, name, key)
    if len(found) > 1:
        raise errors.SeveralMatches(name, found)
    body = {field: value for field, value in values.items() if field.lower() != name.lower()}
    if found:
        return update(org, user_id, object_name, found[0], body, request=request, headers=headers), False
    if update_only or (name == "Id" and key):
        raise errors.not_found()
    if name != "Id":
        if clean(definition.fields[name.lower()], key) is None:
            raise errors.refused("MISSING_ARGUMENT", f"{name} not specified", name)
        body[name] = key
    return insert(org, user_id, object_name, body, request=request, headers=headers), True
