"""Rights on whole objects: what our permission sets give our user, and what of it the org lets the user do.

Salesforce: an object that the user may not read is absent; the describe of one that it may read says whether records
can be created, edited and deleted. Whether sharing is overruled ("View All") is in ObjectPermissions alone, which only
users with "View Setup and Configuration" may query (object reference, since Summer '20).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from integrations.salesforce.components import permission_sets

READ, CREATE, EDIT, DELETE, VIEW_ALL = "read", "create", "edit", "delete", "view_all"
FLAGS: Mapping[str, str] = {CREATE: "createable", EDIT: "updateable", DELETE: "deletable"}


@dataclass(frozen=True, slots=True)
class Lacking:
    """A right that our user needs on an object, and does not have."""

    object: str
    right: str

    @property
    def word(self) -> str:
        """The right as Salesforce's own pages name it."""
        return {READ: _("Read"), CREATE: _("Create"), EDIT: _("Edit"), DELETE: _("Delete")}[self.right]


def wanted(names: Iterable[str]) -> dict[str, frozenset[str]]:
    """By object, the rights that these permission sets of ours give together."""
    found: dict[str, frozenset[str]] = {}
    for name in names:
        for remote, rights in permission_sets()[name].objects.items():
            found[remote] = found.get(remote, frozenset()) | rights
    return found


def lacking(needed: Mapping[str, frozenset[str]], described: Mapping[str, Mapping[str, Any] | None]) -> list[Lacking]:
    """The rights that the raw descriptions (None: the object is not shown) say our user does not have.

    An object of our own that is not shown may not be deployed yet: its missing fields say so."""
    found = []
    for remote in sorted(needed):
        about = described.get(remote)
        if about is None:
            found += [] if remote.endswith("__c") else [Lacking(remote, READ)]
            continue
        found += [
            Lacking(remote, right)
            for right, flag in FLAGS.items()
            if right in needed[remote] and about.get(flag) is False
        ]
    return found
