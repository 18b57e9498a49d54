"""Object permissions: which users may read, create, edit and delete the records of an object, and view all of them.

Salesforce: profiles and permission sets grant them, added up; each profile owns a permission set of its own, and what
either grants is in ObjectPermissions (object reference). Without "read" an object does not exist for the user, its
describe included. Lines, contact roles and price book entries have no permissions of their own: they follow their
parent. Administrators have all of them ("Modify All Data").

The invariant: the rows of ObjectPermissions are the only truth, and ``settle`` keeps those of the profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .furniture import place
from .options import CRUD, OBJECT_RIGHTS
from .schema import ObjectDef
from .table import Row

if TYPE_CHECKING:
    from .org import Org

ADMINISTRATOR = "System Administrator"
INTEGRATION = "Minimum Access - API Only Integrations"
STANDARD = frozenset({"Account", "Contact", "Opportunity", "Order", "Pricebook2", "Product2"})
FOLLOWS = {
    "OpportunityLineItem": "Opportunity",
    "OpportunityContactRole": "Opportunity",
    "OrderItem": "Order",
    "PricebookEntry": "Pricebook2",
}
OF_SETUP = frozenset({"ObjectPermissions", "FieldPermissions"})
"""Only for users with "View Setup and Configuration" (object reference, since Summer '20)."""
FIELDS = {right: f"Permissions{name}" for right, name in OBJECT_RIGHTS.items()}
ALL = frozenset(FIELDS)


def governed(definition: ObjectDef) -> bool:
    """Whether an object has permissions of its own."""
    return definition.custom or definition.name in STANDARD


class ObjectRights:
    """What users may do with the objects of one org, worked out once per user and forgotten at every change."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._held: dict[str, dict[str, frozenset[str]] | None] = {}
        self._uncapped: dict[str, frozenset[str]] = {}  # permission id → what its set grants without the setting

    def forget(self) -> None:
        """Rights, assignments or objects changed."""
        self._held.clear()

    def may(self, definition: ObjectDef, user_id: str | None, right: str) -> bool:
        """Whether a user has a right on an object; ``None`` stands for the org itself, which may everything."""
        if user_id is None:
            return True
        name = definition.name
        if name in OF_SETUP:
            return self._org.options.view_setup or self._of(user_id) is None or self._administers(user_id)
        if name in FOLLOWS:
            name, right = FOLLOWS[name], right if right in ("read", "view_all") else "edit"
        elif not governed(definition):
            return True
        held = self._of(user_id)
        return held is None or right in held.get(name, frozenset())

    def _of(self, user_id: str) -> dict[str, frozenset[str]] | None:
        """Rights by object; None for somebody without a profile, whom nothing limits."""
        if user_id not in self._held:
            self._held[user_id] = self._added_up(user_id)
        return self._held[user_id]

    def _added_up(self, user_id: str) -> dict[str, frozenset[str]] | None:
        org = self._org
        user = org.rows["User"].get(user_id)
        profile = user.values.get("ProfileId") if user else None
        if profile is None:
            return None
        sets = {row.id for row in org.table("PermissionSet").pointing("ProfileId", profile)}
        assigned = org.table("PermissionSetAssignment").pointing("AssigneeId", user_id)
        sets |= {row.values["PermissionSetId"] for row in assigned}
        found: dict[str, frozenset[str]] = {}
        for parent in sets:
            for row in org.table("ObjectPermissions").pointing("ParentId", parent):
                name = row.values["SobjectType"]
                found[name] = found.get(name, frozenset()) | granted(row)
        return found

    def _administers(self, user_id: str) -> bool:
        user = self._org.rows["User"][user_id]
        return self._org.rows["Profile"][user.values["ProfileId"]].values.get("Name") == ADMINISTRATOR

    def settle(self) -> None:
        """Bring the rows in line with the objects there are and the setting ``object_permissions``, which is what the
        profile of integrations has, and the most that any permission set gives; done again it changes nothing. Other
        profiles have all rights but those that overrule sharing: people's work goes on."""
        org, wanted = self._org, self._org.rules.object_permissions
        objects = [definition.name for definition in org.objects.values() if governed(definition)]
        for owner in org.rows["PermissionSet"].values():
            profile = org.rows["Profile"].get(owner.values.get("ProfileId") or "")
            if profile is None or owner.deleted:
                continue
            for name in objects:
                limited = wanted.get(name.lower(), CRUD) if profile.values["Name"] == INTEGRATION else CRUD
                grant(org, owner.id, name, ALL if profile.values["Name"] == ADMINISTRATOR else limited)
        for row in list(org.rows["ObjectPermissions"].values()):
            if not org.rows["PermissionSet"][row.values["ParentId"]].values.get("IsOwnedByProfile"):
                self._cap(row, wanted.get(row.values["SobjectType"].lower()))
        self.forget()

    def changed(self, row: Row) -> None:
        """A permission set was given other rights: those count from now on, as far as the setting lets them."""
        self._uncapped.pop(row.id, None)
        self.settle()

    def _cap(self, row: Row, limit: frozenset[str] | None) -> None:
        whole = self._uncapped.get(row.id, granted(row))
        if limit is None:
            self._uncapped.pop(row.id, None)
        else:
            self._uncapped[row.id] = whole
        _set(self._org, row, whole if limit is None else whole & limit)


def granted(row: Row) -> frozenset[str]:
    """What one row of ObjectPermissions grants."""
    return frozenset(right for right, name in FIELDS.items() if row.values.get(name))


def grant(org: Org, parent: str, object_name: str, rights: frozenset[str]) -> Row:
    """The row by which a permission set has exactly these rights on an object."""
    table = org.table("ObjectPermissions")
    held = next((r for r in table.pointing("ParentId", parent) if r.values["SobjectType"] == object_name), None)
    if held is None:
        values = {name: right in rights for right, name in FIELDS.items()}
        return place(org, "ObjectPermissions", {"ParentId": parent, "SobjectType": object_name, **values})
    _set(org, held, rights)
    return held


def _set(org: Org, row: Row, rights: frozenset[str]) -> None:
    if granted(row) != rights:
        org.table("ObjectPermissions").change(row, {name: right in rights for right, name in FIELDS.items()})
