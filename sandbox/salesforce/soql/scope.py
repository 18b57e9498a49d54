"""What names mean in one FROM: fields, paths to parents and child relationships, as far as the user may see them.

Salesforce REST guide: a field that is hidden by field-level security is reported exactly like one that is absent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import SfError
from ..schema import ChildDef, FieldDef, ObjectDef
from .tokens import malformed, placed
from .tree import Name

if TYPE_CHECKING:
    from ..org import Org

DEEPEST = 5  # parents in one path
REFERENCE = "Please reference your WSDL or the describe call for the appropriate names."
Read = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A field reached from a row over its parents. ``lookups`` are the reference fields on the way with the object
    each leads to; ``names`` the canonical path, relationship names included."""

    lookups: tuple[tuple[FieldDef, ObjectDef], ...]
    field: FieldDef
    names: tuple[str, ...]

    @property
    def own(self) -> bool:
        """A field of the queried object itself."""
        return not self.lookups


@dataclass(frozen=True, slots=True)
class Scope:
    """One FROM as one user sees it."""

    org: Org
    user_id: str
    object: ObjectDef
    alias: str | None
    source: str
    include_deleted: bool = False

    def column(self, name: Name) -> Column:
        """The field a path names. INVALID_FIELD for an unknown or hidden one, with a caret at its place."""
        steps = self.steps(name)
        if len(steps) - 1 > DEEPEST:
            raise malformed(f"SOQL statements cannot query more than {DEEPEST} levels of parent relationships.")
        current, lookups, names = self.object, [], []
        for step in steps[:-1]:
            lookup = current.lookup(step)
            if lookup is None or lookup.name.lower() not in self.org.visible_fields(current, self.user_id):
                raise self._no_relationship(step, name.start)
            target = self._target(lookup)
            if target is None:
                raise self._no_relationship(step, name.start)
            lookups.append((lookup, target))
            names.append(lookup.relationship or step)
            current = target
        field = self.org.visible_fields(current, self.user_id).get(steps[-1].lower())
        if field is None:
            raise self.no_column(steps[-1], current, name.start)
        return Column(tuple(lookups), field, (*names, field.name))

    def child(self, name: Name) -> ChildDef:
        """The child relationship a sub-select reads."""
        step = self.steps(name)[-1]
        child = self.object.child(step)
        target = None if child is None else self.find(child.object)
        if child is None or target is None or child.field.lower() not in self.org.visible_fields(target, self.user_id):
            text = (
                f"Didn't understand relationship '{step}' in FROM part of query call. If you are attempting to use a "
                f"custom relationship, be sure to append the '__r' after the custom relationship name. {REFERENCE}"
            )
            raise placed("INVALID_TYPE", text, self.source, name.start)
        return child

    def find(self, object_name: str) -> ObjectDef | None:
        """An object of the org that can be queried."""
        found = self.org.find_for(self.user_id, object_name)
        return found if found is not None and found.queryable else None

    def steps(self, name: Name) -> list[str]:
        """The path without the alias or the name of the object in front."""
        steps = name.steps
        if len(steps) > 1 and steps[0].lower() in {(self.alias or "").lower(), self.object.name.lower()}:
            return steps[1:]
        return steps

    def reader(self, column: Column) -> Read:
        """How a column is read from a row. A missing parent gives null, or false for a checkbox."""
        name = column.field.name
        if column.own and column.field.type == "boolean":
            return lambda row: row.values.get(name) or False
        if column.own:
            return lambda row: row.values.get(name)
        missing = False if column.field.type == "boolean" else None
        hops = [(lookup.name, self.org.rows[target.name]) for lookup, target in column.lookups]

        def read(row: Any) -> Any:
            for field, rows in hops:
                row = rows.get(row.values.get(field))
                if row is None or (row.deleted and not self.include_deleted):
                    return missing
            found = row.values.get(name)
            return missing if found is None else found

        return read

    def no_column(self, step: str, owner: ObjectDef, start: int) -> SfError:
        """INVALID_FIELD for a name that is no field, or none this user may see."""
        text = (
            f"No such column '{step}' on entity '{owner.name}'. If you are attempting to use a custom field, be sure "
            f"to append the '__c' after the custom field name. {REFERENCE}"
        )
        return placed("INVALID_FIELD", text, self.source, start)

    def _target(self, lookup: FieldDef) -> ObjectDef | None:
        return next((found for name in lookup.reference_to if (found := self.find(name))), None)

    def _no_relationship(self, step: str, start: int) -> SfError:
        text = (
            f"Didn't understand relationship '{step}' in field path. If you are attempting to use a custom "
            f"relationship, be sure to append the '__r' after the custom relationship name. {REFERENCE}"
        )
        return placed("INVALID_FIELD", text, self.source, start)


def no_object(name: Name, source: str) -> SfError:
    """INVALID_TYPE: there is no such object, or the org does not have the feature it belongs to."""
    text = (
        f"sObject type '{name.text}' is not supported. If you are attempting to use a custom object, be sure to append "
        f"the '__c' after the entity name. {REFERENCE}"
    )
    return placed("INVALID_TYPE", text, source, name.start)
