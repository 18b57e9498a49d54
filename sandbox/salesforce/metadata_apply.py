"""Putting checked components into an org."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .furniture import place
from .metadata_fields import add_or_change, field_of, object_of, truth
from .metadata_store import deployed
from .metadata_zip import Component, listed
from .object_rights import grant
from .org import Org
from .table import Row

_OBJECT_TAGS = {
    "read": "allowRead",
    "create": "allowCreate",
    "edit": "allowEdit",
    "delete": "allowDelete",
    "view_all": "viewAllRecords",
    "modify_all": "modifyAllRecords",
}
ORDER = ("CustomObject", "CustomField", "CustomPermission", "CustomTab", "ApexPage", "PermissionSet")


def ordered(components: list[Component]) -> list[Component]:
    """Objects before fields before what refers to them."""
    return sorted(components, key=lambda entry: ORDER.index(entry.type) if entry.type in ORDER else len(ORDER))


def apply(org: Org, component: Component) -> bool:
    """Put one component in place; whether it is new."""
    if component.type == "CustomObject":
        return _object(org, component)
    if component.type == "CustomField":
        owner, _, name = component.name.partition(".")
        return add_or_change(org, owner, field_of(name, component.body, lambda target: org.find(target) is not None))
    if component.type == "PermissionSet":
        _permission_set(org, component.name, component.body)
    return deployed(org).set(component.type, component.name, component.body)


def _object(org: Org, component: Component) -> bool:
    known = org.find(component.name)
    if known is None:
        org.add_object(object_of(component.name, component.body))
        return True
    if known.custom and component.body.get("label"):
        known.label, known.label_plural = str(component.body["label"]), str(component.body["pluralLabel"])
        org.schema_changed()
    return False


def _permission_set(org: Org, name: str, body: Mapping[str, Any]) -> None:
    """The set with its rights on fields and objects; what the file does not name stays: Salesforce merges."""
    table = org.table("PermissionSet")
    row = next((r for r in table.rows.values() if r.values.get("Name") == name and not r.deleted), None)
    values = {"Name": name, "Label": str(body["label"]), "Description": body.get("description")}
    if row is None:
        row = place(org, "PermissionSet", {**values, "IsOwnedByProfile": False})
    else:
        table.change(row, values)
    for entry in listed(body.get("fieldPermissions")):
        _grant(org, row, str(entry["field"]), truth(entry.get("readable")), truth(entry.get("editable")))
    for entry in listed(body.get("objectPermissions")):
        rights = frozenset(right for right, tag in _OBJECT_TAGS.items() if truth(entry.get(tag)))
        definition = org.object(str(entry["object"]))
        org.object_rights.changed(grant(org, row.id, definition.name, rights))
    org.schema_changed()


def _grant(org: Org, permission_set: Row, full_name: str, read: bool, edit: bool) -> None:
    table = org.table("FieldPermissions")
    held = next((r for r in table.pointing("ParentId", permission_set.id) if r.values["Field"] == full_name), None)
    rights = {"PermissionsRead": read, "PermissionsEdit": edit}
    if held is not None:
        table.change(held, rights)
    elif read:
        owner = full_name.partition(".")[0]
        place(
            org,
            "FieldPermissions",
            {"ParentId": permission_set.id, "SobjectType": owner, "Field": full_name, **rights},
        )
