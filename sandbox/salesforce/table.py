"""The rows of one object in one org, with the look-ups that keep writes fast.

Invariants: ``keyed[field][key]`` lists the live rows that hold a value of an external id, a unique
field or another field that is looked up;
``children[field][parent]`` lists every row, deleted ones too, whose lookup ``field`` points at ``parent``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from .schema import FieldDef, ObjectDef

Values = dict[str, Any]


class Row:
    """One record. ``values`` holds every stored field, system fields included, under canonical names; datetimes and
    dates as they go over the wire. ``created``, ``modified`` and ``stamp`` repeat the audit fields in milliseconds;
    ``request`` is the journal number of the call that created it."""

    __slots__ = ("created", "deleted", "id", "modified", "object", "request", "stamp", "values")

    def __init__(self, object_name: str, record_id: str, values: Values, moment: int, request: int | None) -> None:
        self.object = object_name
        self.id = record_id
        self.values = values
        self.deleted = False
        self.created = moment
        self.modified = moment
        self.stamp = moment
        self.request = request


class Table:
    """All rows of one object; ``purged`` keeps the ids of those removed for good, for getDeleted alone."""

    def __init__(self, definition: ObjectDef) -> None:
        self.name = definition.name
        self.rows: dict[str, Row] = {}
        self.purged: dict[str, Row] = {}
        self.keyed: dict[str, dict[str, list[str]]] = {}
        self.children: dict[str, dict[str, dict[str, None]]] = {}
        self._folded: dict[str, bool] = {}
        for field in definition.fields.values():
            self.watch(field)

    def watch(self, field: FieldDef) -> None:
        """Start keeping the look-up that a field needs, if any; rows already there are entered."""
        if field.type == "reference":
            index = self.children.setdefault(field.name, {})
            for row in self.rows.values():
                if row.values.get(field.name):
                    index.setdefault(row.values[field.name], {})[row.id] = None
        elif field.external_id or field.unique:
            self._folded[field.name] = not field.case_sensitive
            self.index(field.name)

    def index(self, name: str) -> None:
        """Look rows up by this field from now on."""
        if name not in self.keyed:
            self.keyed[name] = {}
            for row in self.rows.values():
                if not row.deleted:
                    self._enter(name, row.values.get(name), row.id)

    def ignore(self, field: FieldDef) -> None:
        """Stop keeping the look-up of a field that was removed."""
        self.children.pop(field.name, None)
        self.keyed.pop(field.name, None)

    def key(self, field: str, value: Any) -> str:
        """How values of a field are compared for uniqueness: text without case, numbers by size."""
        if isinstance(value, Decimal):
            return str(value.normalize())
        text = str(value)
        return text.casefold() if self._folded.get(field, True) else text

    def holders(self, field: str, value: Any) -> list[str]:
        """Ids of the live rows with this value of an indexed field."""
        return list(self.keyed.get(field, {}).get(self.key(field, value), ()))

    def pointing(self, field: str, parent: str) -> Iterator[Row]:
        """The live rows whose lookup points at a parent."""
        found = (self.rows.get(record_id) for record_id in list(self.children.get(field, {}).get(parent, ())))
        return (row for row in found if row is not None and not row.deleted)

    def add(self, row: Row) -> None:
        """Enter a row with everything it holds."""
        self.rows[row.id] = row
        self._index(row, row.values)

    def drop(self, row: Row) -> None:
        """Take a row out entirely."""
        self._unindex(row, row.values)
        self.rows.pop(row.id, None)

    def change(self, row: Row, changes: Values) -> Values:
        """Set fields; returns what they held before (absent ones as None)."""
        before = {name: row.values.get(name) for name in changes}
        self._unindex(row, before)
        row.values.update(changes)
        self._index(row, changes)
        return before

    def set_deleted(self, row: Row, deleted: bool) -> None:
        """Move a row into or out of the recycle bin; while inside, its unique values are free."""
        if not row.deleted:
            self._release(row, self.keyed.keys())
        row.deleted = deleted
        row.values["IsDeleted"] = deleted
        if not deleted:
            for name in self.keyed:
                self._enter(name, row.values.get(name), row.id)

    def _index(self, row: Row, values: Values) -> None:
        for name, index in self.children.items():
            parent = values.get(name)
            if parent:
                index.setdefault(parent, {})[row.id] = None
        if not row.deleted:
            for name in self.keyed:
                if name in values:
                    self._enter(name, values[name], row.id)

    def _unindex(self, row: Row, values: Values) -> None:
        for name, index in self.children.items():
            parent = values.get(name)
            if parent and parent in index:
                index[parent].pop(row.id, None)
        if not row.deleted:
            self._release(row, [name for name in self.keyed if name in values])

    def _enter(self, name: str, value: Any, record_id: str) -> None:
        if value is not None:
            self.keyed[name].setdefault(self.key(name, value), []).append(record_id)

    def _release(self, row: Row, names: Iterable[str]) -> None:
        for name in names:
            value = row.values.get(name)
            if value is None:
                continue
            key = self.key(name, value)
            left = [held for held in self.keyed[name].get(key, ()) if held != row.id]
            if left:
                self.keyed[name][key] = left
            else:
                self.keyed[name].pop(key, None)
