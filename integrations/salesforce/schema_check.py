"""What of our package an org has: every field we deploy, compared with what the org says about its objects.

Asked with the daily connection, so it shows what that connection can really use: a field that exists and is hidden
from its user looks exactly like one that does not exist. Whether the permission set is assigned tells the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from integrations.errors import Missing, PermissionMissing, SyncError
from integrations.http import Reply
from integrations.models import ConnectedAccount
from integrations.salesforce import ids, object_rights, soql
from integrations.salesforce.client import Salesforce
from integrations.salesforce.components import ExpectedField, expected_fields, permission_sets
from integrations.salesforce.deployments import parts_of, wanted_permission_sets
from integrations.salesforce.layouts import KNOWN

LEVEL = {"ok": "ok", "missing": "failed", "hidden": "failed", "read_only": "failed", "differs": "held"}


@dataclass(frozen=True, slots=True)
class FieldLine:
    """One field: `state` is "ok", "missing", "hidden", "read_only" or "differs"; `problem` says it in words."""

    field: ExpectedField
    state: str
    problem: str = ""

    @property
    def status_class(self) -> str:
        """The colour of its dot."""
        return LEVEL[self.state]

    @property
    def word(self) -> str:
        """The state as people say it."""
        return {
            "ok": _("present"),
            "missing": _("missing"),
            "hidden": _("not visible"),
            "read_only": _("not editable"),
            "differs": _("differs"),
        }[self.state]


@dataclass(frozen=True, slots=True)
class ObjectLines:
    """One object with its fields."""

    name: str
    lines: Sequence[FieldLine]
    label: str = ""

    @property
    def wrong(self) -> int:
        """How many fields are not as they should be."""
        return sum(line.state != "ok" for line in self.lines)

    @property
    def open(self) -> bool:
        """Whether the fields are worth a look at once: some are wrong, and not all for one and the same reason."""
        return bool(self.wrong) and len({line.problem for line in self.lines}) > 1


@dataclass(frozen=True, slots=True)
class SchemaCheck:
    """All objects, and the permission sets and the rights on objects that the integration's user lacks."""

    objects: Sequence[ObjectLines]
    unassigned: Sequence[str]
    lacking: Sequence[object_rights.Lacking] = ()

    @property
    def wrong(self) -> int:
        """How many fields are not as they should be."""
        return sum(entry.wrong for entry in self.objects)

    @property
    def total(self) -> int:
        """How many fields the package has in this org."""
        return sum(len(entry.lines) for entry in self.objects)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.wrong or self.unassigned or self.lacking)


def check(account: ConnectedAccount, client: Salesforce) -> SchemaCheck:
    """Compare. Raises a `SyncError` when the org cannot be asked at all."""
    parts, sets = parts_of(account), wanted_permission_sets(account)
    unassigned = _unassigned(client, sets, str(account.details.get("user_id") or ""))
    wanted = {name: [field for field in fields if field.part in parts] for name, fields in expected_fields().items()}
    rights = object_rights.wanted(sets)
    names = list(dict.fromkeys([*(name for name, fields in wanted.items() if fields), *rights]))
    replies = client.api.call_many([client.describe_call(name) for name in names])
    described = {name: _description(reply) for name, reply in zip(names, replies, strict=True)}
    objects = [
        ObjectLines(name, compare(wanted[name], found, hidden=bool(unassigned)), _label(name, found))
        for name, found in described.items()
        if wanted.get(name)
    ]
    return SchemaCheck(objects, unassigned, object_rights.lacking(rights, described))


def _label(name: str, described: Mapping[str, Any] | None) -> str:
    """What people in the org call an object; ours has a name before it is there."""
    ours = next((layout.label for layout in KNOWN.values() if layout.remote == name), name)
    return str((described or {}).get("label") or ours)[:100]


def compare(wanted: Sequence[ExpectedField], described: Mapping[str, Any] | None, *, hidden: bool) -> list[FieldLine]:
    """Each expected field against the raw description of its object (None: the object is not there). `hidden`: what
    is not seen may be there, because its permission set is not assigned."""
    listed = described.get("fields") if described else None
    entries = listed if isinstance(listed, list) else []
    found = {str(entry.get("name")): entry for entry in entries if isinstance(entry, dict)}
    lines = [_line(field, found.get(field.name), hidden) for field in wanted]
    return sorted(lines, key=lambda line: line.state == "ok")  # what is wrong comes first


def _line(field: ExpectedField, entry: Mapping[str, Any] | None, hidden: bool) -> FieldLine:
    if entry is None:
        if hidden:
            return FieldLine(field, "hidden", _("It is missing, or hidden: the permission set is not assigned."))
        return FieldLine(field, "missing", _("Deploy the package, or create the field by hand."))
    if problem := _difference(field, entry):
        return FieldLine(field, "differs", problem)
    if _must_be_editable(field) and entry.get("updateable") is not True and entry.get("createable") is not True:
        return FieldLine(field, "read_only", _("The integration's user may read it, not write it."))
    return FieldLine(field, "ok")


def _must_be_editable(field: ExpectedField) -> bool:
    sets = (entry for name, entry in permission_sets().items() if name.startswith("Fortnox_Integration"))
    return any(entry.fields.get(field.full_name) for entry in sets)


def _difference(field: ExpectedField, entry: Mapping[str, Any]) -> str:
    """What makes the field unusable for us, in words; "" when nothing does. Longer texts than ours are fine."""
    kind = str(entry.get("type"))
    if kind != field.described_type:
        return _("It is of the type %(found)s; %(wanted)s is needed.") % {
            "found": kind,
            "wanted": field.described_type,
        }
    for wanted, name, word in (
        (field.length, "length", _("characters")),
        (field.precision, "precision", _("digits")),
    ):
        size = entry.get(name)
        if wanted and isinstance(size, int) and size < wanted:
            return _("It holds %(found)s %(what)s; %(wanted)s are needed.") % {
                "found": size,
                "what": word,
                "wanted": wanted,
            }
    if field.unique and entry.get("unique") is not True:
        return _("It must be unique; otherwise two records could carry one key.")
    if field.external_id and entry.get("externalId") is not True:
        return _("It must be an external id.")
    if field.reference_to and field.reference_to not in (entry.get("referenceTo") or []):
        return _("It must point to %(object)s.") % {"object": field.reference_to}
    return _missing_options(field, entry)


def _missing_options(field: ExpectedField, entry: Mapping[str, Any]) -> str:
    listed = entry.get("picklistValues")
    options = listed if isinstance(listed, list) else []
    values = {str(value.get("value")) for value in options if isinstance(value, dict)}
    missing = [value for value in field.picklist if value not in values]
    return _("Options are missing: %(options)s") % {"options": ", ".join(missing)} if missing else ""


def _description(reply: Reply | SyncError) -> Mapping[str, Any] | None:
    """The raw description; None for an object that is not there or not visible. Raises what else went wrong."""
    if isinstance(reply, Missing | PermissionMissing):
        return None
    if isinstance(reply, SyncError):
        raise reply
    return reply.data if isinstance(reply.data, dict) else None


def _unassigned(client: Salesforce, wanted: Sequence[str], user_id: str) -> list[str]:
    """The permission sets that the user lacks; none when the org does not let its user ask."""
    if not ids.is_id(user_id, "005"):
        return []
    theirs = soql.within("AssigneeId", [soql.quoted(user_id)])
    try:
        rows = client.query(soql.select(["PermissionSet.Name"], "PermissionSetAssignment", where=theirs))
    except SyncError:
        return []
    held = {str((row.get("PermissionSet") or {}).get("Name")) for row in rows}
    return [name for name in wanted if name not in held]
