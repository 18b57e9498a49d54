"""What each role may do: the permissions behind a membership, asked per organization.

`user.has_perm(permission, row)` is true when the person's role in the row's organization has the permission;
`user.has_perm(permission)` when the role in any organization has it, which opens a page but no row on it. Rows are
limited by membership, whatever the permissions. The invariant: a viewer's rights are part of every other role's.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.utils import translation

from integrations.models import Membership, Organization

_VIEW = (
    *(f"sync.view_{name}" for name in ("flow", "syncrun", "change", "entitylink", "synclogentry", "reviewnote")),
    *(f"mappings.view_{name}" for name in ("mappingset", "fieldmapping", "matchrule", "validationrule", "linkrule")),
    "mappings.view_lookuprule",
    "mappings.view_goldensample",
    "mappings.view_routingrule",
    "sync.view_routemove",
    "sync.view_routepin",
    *(f"sync.view_{name}" for name in ("reconciliation", "monthclose", "shadowreport")),
    "sync.view_fieldpause",
    "sync.view_notice",
    *(f"mappings.view_{name}" for name in ("valuemap", "valuemapentry")),
    *(f"integrations.view_{name}" for name in ("organization", "membership", "integration", "connectedaccount")),
)
_SUPPORT = (
    "sync.retry_change",
    "sync.dismiss_change",
    "sync.assign_change",
    "sync.add_reviewnote",
    "sync.run_flow",
    "sync.match_record",
    "sync.view_workerheartbeat",
    "integrations.check_readiness",
    "sync.run_reconciliation",
    "sync.requeue_notice",
)
_CONSULTANT = (
    "sync.edit_payload_change",
    "sync.credit_change",
    "sync.move_record",
    "sync.resume_fieldpause",
    "sync.approve_flow",
    "sync.add_flow",
    "sync.change_flow",
    "sync.change_chatchannel",
    *(
        f"mappings.{verb}_{name}"
        for verb in ("add", "change", "delete")
        for name in (
            "mappingset", "fieldmapping", "matchrule", "validationrule", "linkrule", "lookuprule", "valuemap",
            "valuemapentry", "routingrule",
        )
    ),
    "mappings.publish_mappingset",
    *(f"mappings.{verb}_goldensample" for verb in ("add", "change", "delete")),
    "integrations.add_integration",
    "integrations.change_integration",
    "integrations.change_connectedaccount",
    *(f"integrations.{verb}_customsource" for verb in ("view", "add", "change")),
)  # fmt: skip
_ACCOUNTANT = (
    "sync.sign_off_reconciliation",
    "sync.approve_flow",
    "sync.credit_change",
)
"""Approves, books, credits and signs off; changes no configuration."""
_OWNER = (
    "integrations.change_organization",
    "integrations.delete_connectedaccount",
    *(f"integrations.{verb}_membership" for verb in ("add", "change", "delete")),
)

PERMISSIONS: dict[str, tuple[str, ...]] = {
    Membership.Role.VIEWER: _VIEW,
    Membership.Role.SUPPORT: (*_VIEW, *_SUPPORT),
    Membership.Role.CONSULTANT: (*_VIEW, *_SUPPORT, *_CONSULTANT),
    Membership.Role.ACCOUNTANT: (*_VIEW, *_SUPPORT, *_ACCOUNTANT),
    Membership.Role.OWNER: (*_VIEW, *_SUPPORT, *_CONSULTANT, *_ACCOUNTANT, *_OWNER),
}


class PasswordBackend(ModelBackend):
    """Django's own, without a look at groups: roles are memberships, and the look would cost every page a query."""

    def _get_group_permissions(self, user_obj: Any) -> QuerySet[Permission]:
        return Permission.objects.none()


class RolesBackend(BaseBackend):
    """Answers `has_perm` from memberships; direct permissions of a person count in every organization of theirs."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """The permissions in the organization that `obj` is or belongs to; without `obj`, in any organization."""
        if not user_obj.is_active or user_obj.is_anonymous:
            return set()
        roles = roles_of(user_obj)
        if obj is None:
            return {label for role in set(roles.values()) for label in PERMISSIONS.get(role, ())}
        role = roles.get(organization_id_of(obj))
        if role is None:
            return set()
        return {*PERMISSIONS.get(role, ()), *ModelBackend().get_user_permissions(user_obj)}

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether the permission is among them."""
        return perm in self.get_all_permissions(user_obj, obj)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether any of them is of that room."""
        return any(label.startswith(f"{app_label}.") for label in self.get_all_permissions(user_obj))


_PARENTS = (
    "integration", "account", "flow", "mapping_set", "change", "run", "value_map", "link", "reconciliation", "report",
    "notice",
)  # fmt: skip
"""By which names rows lead to what belongs to an organization, the direct ones first."""


def organization_id_of(row: Any) -> int | None:
    """The organization that a row belongs to: itself, its own column, or that of its integration, flow or change."""
    if isinstance(row, Organization):
        return row.pk
    if hasattr(row, "organization_id"):
        return int(row.organization_id) if row.organization_id is not None else None
    for name in _PARENTS:
        parent = getattr(row, name, None)
        if parent is not None:
            return organization_id_of(parent)
    return None


def roles_of(user: Any) -> dict[int | None, str]:
    """The role by organization, read once per request (a request has its own user object)."""
    if not hasattr(user, "_ledgerbridge_roles"):
        rows = list(user.memberships.values_list("organization_id", "role", "organization__name"))
        user._ledgerbridge_roles = {pk: role for pk, role, _name in rows}
        user._ledgerbridge_only = rows[0][2] if len(rows) == 1 else ""
    found: dict[int | None, str] = user._ledgerbridge_roles
    return found


def table() -> str:
    """All rights and who has them, for people: a table in the documentation's markup, one right per line.

    Raises `LookupError` when no model declares a right that a role has.
    """
    known = _declared()
    wanted = dict.fromkeys(label for labels in PERMISSIONS.values() for label in labels)
    if missing := [label for label in wanted if label not in known]:
        raise LookupError(", ".join(missing))
    roles = [Membership.Role(role) for role in PERMISSIONS]
    lines = ["| right | " + " | ".join(role.value for role in roles) + " |", "|---" * (len(roles) + 1) + "|"]
    for label in wanted:
        marks = " | ".join("●" if label in PERMISSIONS[role] else "" for role in roles)
        lines.append(f"| {known[label].removeprefix('Can ')} (`{label}`) | {marks} |")
    return "\n".join(lines)


def _declared() -> dict[str, str]:
    """Every right of every model with its English words, as Django makes them when it migrates."""
    found = {}
    for model in apps.get_models():
        opts = model._meta
        for action in opts.default_permissions:
            found[f"{opts.app_label}.{action}_{opts.model_name}"] = f"Can {action} {opts.verbose_name_raw}"
        with translation.override("en"):
            found.update({f"{opts.app_label}.{codename}": str(name) for codename, name in opts.permissions})
    return found
