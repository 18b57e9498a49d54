"""What was deployed to an org besides objects and fields, which are its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .held import PerOrg
from .metadata_zip import listed
from .org import Org


class Deployed:
    """Components by type and name."""

    def __init__(self) -> None:
        self._components: dict[tuple[str, str], Mapping[str, Any]] = {}

    def set(self, kind: str, name: str, body: Mapping[str, Any]) -> bool:
        """Put a component in place; whether it is new."""
        new = (kind, name) not in self._components
        self._components[(kind, name)] = body
        return new

    def get(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """A component, or None."""
        return self._components.get((kind, name))

    def of(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """All of one type, by name."""
        return {name: body for (found, name), body in self._components.items() if found == kind}


_DEPLOYED: PerOrg[Deployed] = PerOrg(Deployed)


def deployed(org: Org) -> Deployed:
    """What an org has."""
    return _DEPLOYED.of(org)


def holds_permission(org: Org, user_id: str | None, name: str) -> bool:
    """Whether a user has a custom permission through an assigned permission set."""
    if user_id is None:
        return False
    sets = {row.id: str(row.values["Name"]) for row in org.rows["PermissionSet"].values() if not row.deleted}
    for assignment in org.table("PermissionSetAssignment").pointing("AssigneeId", user_id):
        body = deployed(org).get("PermissionSet", sets.get(assignment.values["PermissionSetId"], "")) or {}
        granted = (entry for entry in listed(body.get("customPermissions")) if entry.get("enabled") == "true")
        if any(entry.get("name") == name for entry in granted):
            return True
    return False
