"""What a selected record looks like: its fields, its parents as nested objects and its child rows, in SELECT order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import render
from ..schema import FieldDef, ObjectDef
from ..table import Row
from .scope import Column, Scope

if TYPE_CHECKING:
    from .plan import Plan

Children = Callable[["Child", Row], Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A field under its name, or under its alias; ``label`` shows a picklist's label (toLabel)."""

    key: str
    field: FieldDef
    label: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A sub-select: the rows whose field ``lookup`` points at the shown row."""

    name: str
    lookup: str
    plan: Plan


@dataclass(slots=True)
class Layout:
    """What is shown of one object. ``parents`` are entered where their first field stands."""

    object: ObjectDef
    entries: list[Shown | Child | Parent] = field(default_factory=list)

    def add(self, column: Column, alias: str | None = None, label: bool = False) -> None:
        """Enter a selected field, below its parents."""
        layout = self
        for (lookup, target), name in zip(column.lookups, column.names, strict=False):
            layout = layout.parent(name, lookup, target)
        layout.entries.append(Shown(alias or column.field.name, column.field, label))

    def parent(self, name: str, lookup: FieldDef, target: ObjectDef) -> Layout:
        """The layout of a parent, made when it is first needed."""
        for entry in self.entries:
            if isinstance(entry, Parent) and entry.name == name:
                return entry.layout
        entry = Parent(name, lookup, Layout(target))
        self.entries.append(entry)
        return entry.layout

    def show(self, scope: Scope, row: Row, version: str, children: Children) -> dict[str, Any]:
        """One record as JSON; ``children`` renders a sub-select's rows."""
        shown: dict[str, Any] = {"attributes": render.attributes(self.object.name, row.id, version)}
        for entry in self.entries:
            if isinstance(entry, Shown):
                shown[entry.key] = self._value(scope, row, entry)
            elif isinstance(entry, Child):
                shown[entry.name] = children(entry, row)
            else:
                parent = self.parent_row(scope, row, entry)
                shown[entry.name] = None if parent is None else entry.layout.show(scope, parent, version, children)
        return shown

    def parent_row(self, scope: Scope, row: Row, parent: Parent) -> Row | None:
        """The row a lookup points at, unless it is in the recycle bin and the query does not look there."""
        key = row.values.get(parent.lookup.name)
        found = scope.org.rows[parent.layout.object.name].get(key) if key else None
        return None if found is None or (found.deleted and not scope.include_deleted) else found

    def _value(self, scope: Scope, row: Row, entry: Shown) -> Any:
        if entry.label:
            return choice_label(entry.field, row.values.get(entry.field.name))
        return render.value(scope.org, self.object, row, entry.field)


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent under its relationship name."""

    name: str
    lookup: FieldDef
    layout: Layout


def choice_label(definition: FieldDef, value: Any) -> Any:
    """The label of a picklist value; any other value is its own."""
    found = definition.choice(value) if isinstance(value, str) else None
    return found.text if found is not None else value
