"""What every collection has in common: detail, list row, create, update, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from . import errors
from .fields import BLANK, Fields, clean, without_blanks
from .records import Record
from .render import BASE, dumps
from .tenant import Call, Tenant

Predicate = Callable[[Record], bool]
Search = Callable[[Call, str], Predicate]


def store(target: dict[str, Any], unset: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Apply cleaned values; what equals the unset value is not kept."""
    for name, value in changes.items():
        if isinstance(value, dict):
            inner = dict(target.get(name) or {})
            store(inner, unset[name], value)
            value = inner or None
        if isinstance(value, list):
            value = [without_blanks(item) for item in value] or None
        if value is BLANK or value is None or value == unset.get(name):
            target.pop(name, None)
        else:
            target[name] = value


class Resource:
    """A collection under /3/; subclasses say what is special."""

    name: ClassVar[str]
    single: ClassVar[str]
    plural: ClassVar[str]
    scope: ClassVar[str]
    key: ClassVar[str]
    fields: ClassVar[Fields]
    unset: ClassVar[Mapping[str, Any]]
    filters: ClassVar[Mapping[str, Callable[[Call], Predicate]]] = {}
    searches: ClassVar[Mapping[str, Search]] = {}
    sorts: ClassVar[Mapping[str, str]] = {}
    ignores_sortorder = False
    may_create = may_update = may_delete = True

    def find(self, tenant: Tenant, key: str) -> Record:
        """The record, or this resource's 404."""
        record = tenant.tables[self.name].get(key)
        if record is None:
            raise errors.not_found(self.name)
        return record

    def url(self, key: str) -> str:
        """Recorded: absolute, with the key percent-encoded."""
        return f"{BASE}/3/{self.name}/{quote(key, safe='')}"

    def detail(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """The record as GET by key shows it."""
        shown = {**self.unset, **record.values, "@url": self.url(record.key)}
        for name, value in record.values.items():
            if isinstance(value, dict):
                shown[name] = {**self.unset[name], **value}
        return shown

    def brief(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """The record as lists show it."""
        return self.detail(tenant, record)

    def row(self, tenant: Tenant, record: Record) -> str:
        """The list row as JSON, rendered once per change."""
        if record.row is None:
            record.row = dumps(self.brief(tenant, record))
        return record.row

    def create(self, call: Call, payload: Any) -> Record:
        """POST."""
        values = without_blanks(clean(self.fields, payload))
        key = values[self.key] = self.new_key(call, values)
        record = Record(key, {}, call.now, call.seq)
        self.write(call, record, values, creating=True)
        return call.tenant.tables[self.name].add(record)

    def new_key(self, call: Call, values: dict[str, Any]) -> str:
        """The key of a new record: chosen by the client, or the next in the series."""
        if self.key not in values:
            raise errors.required(self.key)
        key = str(values[self.key])
        if key in call.tenant.tables[self.name]:
            raise errors.own(3, f"{self.key} {key} används redan.")
        return key

    def update(self, call: Call, record: Record, payload: Any) -> None:
        """PUT: what is omitted stays. The key may be repeated but not changed."""
        values = clean(self.fields, payload)
        if str(values.pop(self.key, record.key)) != record.key:
            raise errors.unknown_field(self.key)
        self.write(call, record, values, creating=False)
        record.touch(call.now)

    def write(self, call: Call, record: Record, values: dict[str, Any], *, creating: bool) -> None:
        """Check against other records and store; nothing is stored when a check fails."""
        self.check(call, values, creating=creating)
        store(record.values, self.unset, values)

    def check(self, call: Call, values: dict[str, Any], *, creating: bool) -> None:
        """Rules beyond the field table."""

    def delete(self, call: Call, record: Record) -> None:
        """DELETE: permanent, the number stays reserved."""
        call.tenant.tables[self.name].remove(record)
