"""Field-level security: which fields a user may read and write.

Salesforce: standard fields follow the profile; a custom field made through the Metadata or Tooling API is visible to
nobody until a permission set or profile grants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .schema import FieldDef, ObjectDef, of_options

if TYPE_CHECKING:
    from .org import Org

Fields = dict[str, FieldDef]


class Visibility:
    """Rights on the fields of one org, worked out once per object and user and forgotten at every change."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self.granted: set[str] = set()  # "object.field" in lower case that every profile shows
        self._readable: dict[tuple[str, str | None], Fields] = {}
        self._editable: dict[tuple[str, str | None], frozenset[str]] = {}
        self._sets: dict[str, frozenset[str]] | None = None

    def forget(self) -> None:
        """Rights, schema or options changed."""
        self._readable.clear()
        self._editable.clear()
        self._sets = None

    def readable(self, definition: ObjectDef, user_id: str | None) -> Fields:
        """The fields that exist for a user, by lower-case name."""
        key = (definition.name, user_id)
        found = self._readable.get(key)
        if found is None:
            found = self._readable[key] = {
                name: field
                for name, field in definition.fields.items()
                if of_options(self._org.options, field.when)
                and self._may(definition, field, user_id, "PermissionsRead")
            }
        return found

    def editable(self, definition: ObjectDef, user_id: str | None) -> frozenset[str]:
        """The lower-case names of the readable fields whose security also lets the user write."""
        key = (definition.name, user_id)
        found = self._editable.get(key)
        if found is None:
            found = self._editable[key] = frozenset(
                name
                for name, field in self.readable(definition, user_id).items()
                if self._may(definition, field, user_id, "PermissionsEdit")
            )
        return found

    def _may(self, definition: ObjectDef, field: FieldDef, user_id: str | None, right: str) -> bool:
        if user_id is None:
            return True
        full_name = f"{definition.name}.{field.name}"
        if any(full_name.lower() == hidden.lower() for hidden in self._org.rules.hidden_fields):
            return False
        if not field.governed or not self._org.options.field_security or full_name.lower() in self.granted:
            return True
        return any(full_name.lower() + ":" + right in grants for grants in self._grants_of(user_id))

    def _grants_of(self, user_id: str) -> list[frozenset[str]]:
        sets = self._permission_sets()
        return [
            sets.get(row.values["PermissionSetId"], frozenset())
            for row in self._org.table("PermissionSetAssignment").pointing("AssigneeId", user_id)
        ]

    def _permission_sets(self) -> dict[str, frozenset[str]]:
        """What each permission set grants, as "object.field:right"."""
        if self._sets is None:
            grants: dict[str, set[str]] = {}
            for row in self._org.rows["FieldPermissions"].values():
                if row.deleted:
                    continue
                held = grants.setdefault(row.values["ParentId"], set())
                for right in ("PermissionsRead", "PermissionsEdit"):
                    if row.values.get(right):
                        held.add(f"{row.values['Field'].lower()}:{right}")
            self._sets = {parent: frozenset(held) for parent, held in grants.items()}
        return self._sets
