"""Permission sets: what they may hold, and that rights change at once."""

from __future__ import annotations

from . import errors
from .object_rights import FIELDS, governed
from .table import Row
from .write import Write


def before_set(write: Write) -> None:
    """Names of permission sets are unique."""
    name = write.values.get("Name")
    for row in write.org.rows["PermissionSet"].values() if name else ():
        same = row.values["Name"].casefold() == str(name).casefold()
        if same and not row.deleted and (write.row is None or row.id != write.row.id):
            raise errors.duplicate_value("Name", row.id)


def before_assignment(write: Write) -> None:
    """A user has a permission set once."""
    for row in write.org.table("PermissionSetAssignment").pointing("AssigneeId", str(write.get("AssigneeId"))):
        if write.creating and row.values["PermissionSetId"] == write.get("PermissionSetId"):
            raise errors.duplicate_value("<unknown>", row.id)


def before_permissions(write: Write) -> None:
    """Only fields that exist and have field-level security; the right to edit includes the right to read."""
    if write.creating:
        object_name, _, field_name = str(write.get("Field")).partition(".")
        definition = write.org.find(object_name)
        field = definition.field(field_name) if definition else None
        if definition is None or field is None or object_name.lower() != str(write.get("SobjectType")).lower():
            raise errors.bad_choice("Field Name", "Field", str(write.get("Field")))
        if not field.nillable and not field.defaulted:
            raise errors.integrity(f"You cannot deploy to a required field: {definition.name}.{field.name}", "Field")
        write.values["Field"] = f"{definition.name}.{field.name}"
        write.values["SobjectType"] = definition.name
        for row in write.org.table("FieldPermissions").pointing("ParentId", str(write.get("ParentId"))):
            if row.values["Field"] == write.values["Field"]:
                raise errors.duplicate_value("Field", row.id)
    if write.get("PermissionsEdit"):
        write.values["PermissionsRead"] = True


def after_rights(write: Write, _row: Row) -> None:
    """What every user sees is worked out anew, also when the transaction fails later."""
    write.org.rights_changed()


def before_object(write: Write) -> None:
    """An object that has permissions, once per set; every right depends on the right to read, delete also on edit."""
    if write.creating:
        definition = write.org.find(str(write.get("SobjectType")))
        if definition is None or not governed(definition):
            raise errors.bad_choice("Sobject Type Name", "SobjectType", str(write.get("SobjectType")))
        write.values["SobjectType"] = definition.name
        for row in write.org.table("ObjectPermissions").pointing("ParentId", str(write.get("ParentId"))):
            if row.values["SobjectType"] == definition.name:
                raise errors.duplicate_value("SobjectType", row.id)
    rights = {right: bool(write.get(name)) for right, name in FIELDS.items()}
    name = write.get("SobjectType")
    if not any(rights.values()):
        raise errors.integrity("You can't create or update an object permission without any right; delete it instead")
    for right, needs in (("create", "read"), ("edit", "read"), ("view_all", "read"), ("delete", "edit")):
        if rights[right] and not rights[needs]:
            told = f"Permission {right.title()} {name} depends on permission(s): {needs.title()} {name}"
            raise errors.integrity(told)


def after_object(write: Write, row: Row) -> None:
    """The rights of a permission set's users are worked out anew."""
    write.org.object_rights.changed(row)
    after_rights(write, row)
