"""The body of a write: names resolved without regard to case, rights checked, values brought into stored form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import errors
from .org import Org
from .schema import FieldDef, ObjectDef
from .table import Values
from .values import clean


def parse(org: Org, user_id: str | None, definition: ObjectDef, body: Mapping[str, Any], *, creating: bool) -> Values:
    """Canonical name → stored form. INVALID_FIELD for a field that is unknown or hidden,
    INVALID_FIELD_FOR_INSERT_UPDATE for one that may not be written. ``attributes`` is no field. The org itself (no
    user) may write what is read-only for everybody else, such as audit dates."""
    visible = org.visible_fields(definition, user_id)
    editable = org.visibility.editable(definition, user_id)
    values: Values = {}
    refused: list[str] = []
    for name, value in body.items():
        lower = name.lower()
        field = visible.get(lower)
        if field is None:
            if lower == "attributes":
                continue
            field = org.plan(definition).relationships.get(lower)
            if field is None or field.name.lower() not in visible or not isinstance(value, Mapping | None):
                raise errors.no_column(name, definition.name)
            value = _by_key(org, user_id, field, value)
        if user_id is not None and (
            not (field.createable if creating else field.updateable) or field.name.lower() not in editable
        ):
            refused.append(field.name)
            continue
        values[field.name] = clean(field, value)
    if "Id" in refused:
        raise (
            errors.SfError(400, "INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", ["Id"])
            if creating
            else errors.id_in_body()
        )
    if refused:
        raise errors.read_only(refused)
    return values


def _by_key(org: Org, user_id: str | None, field: FieldDef, value: Mapping[str, Any] | None) -> str | None:
    """The id of the parent whose external id is given: ``{"Customer_Number__c": "1001"}``."""
    if value is None:
        return None
    keys = {name: key for name, key in value.items() if name.lower() not in ("attributes", "type")}
    named = value.get("attributes")
    wanted = str(named.get("type", "")) if isinstance(named, Mapping) else str(value.get("type", ""))
    target = org.find(wanted) if wanted else org.find(field.reference_to[0])
    if target is None or target.name not in field.reference_to or len(keys) != 1:
        raise errors.refused("INVALID_FIELD", f"Exactly one external id field is needed for {field.relationship}")
    (name, key), *_ = keys.items()
    if name.lower() == "id":
        return str(key)
    key_field = org.visible_fields(target, user_id).get(name.lower())
    if key_field is None:
        raise errors.no_column(name, target.name)
    table = org.table(target.name)
    if not (key_field.external_id or key_field.id_lookup or key_field.unique):
        raise errors.refused("INVALID_FIELD", f"Field name provided, {name}, is not an External ID or indexed field")
    table.index(key_field.name)
    stored = clean(key_field, key)
    holders = [] if stored is None else table.holders(key_field.name, stored)
    if not holders:
        raise errors.refused(
            "INVALID_FIELD",
            f"Foreign key external ID: {key} not found for field {key_field.name} in entity {target.name}",
        )
    if len(holders) > 1:
        raise errors.refused(
            "DUPLICATE_EXTERNAL_ID",
            f"{key_field.label}: more than one record found for external id field: {holders}",
        )
    return holders[0]
