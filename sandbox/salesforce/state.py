"""The control interface's view of an org: raw records, and edits as a person would make them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from . import dml
from .org import Org
from .table import Row
from .tenant import Tenant


class Frozen:
    """A clock that stands: what is stamped in a transaction that commits later."""

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def time(self) -> float:
        """The moment it stands at."""
        return self._moment


def records(org: Org, object_name: str) -> list[dict[str, Any]]:
    """Everything of one object, the recycle bin included; KeyError for a name there is nothing under."""
    definition = org.find(object_name)
    if definition is None:
        raise KeyError(object_name)
    return [raw(row) for row in org.rows[definition.name].values()]


def raw(row: Row) -> dict[str, Any]:
    """One record with everything stored in it; numbers as text, so that no digit is lost."""
    values = {name: str(value) if isinstance(value, Decimal) else value for name, value in row.values.items()}
    return {
        **values,
        "id": row.id,
        "deleted": row.deleted,
        "created_at": _iso(row.created),
        "updated_at": _iso(row.stamp),
        "created_by_request": row.request,
    }


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat()


def edit(tenant: Tenant, object_name: str, record_id: str | None, fields: dict[str, Any]) -> dict[str, Any]:
    """A salesperson saves a record page, or makes a record when the id is absent or unknown."""
    org, user = tenant.org, tenant.sellers[0]
    definition = org.object(object_name)
    known = org.row(record_id)
    if known is None:
        return raw(dml.insert(org, user, definition.name, fields))
    return raw(dml.update(org, user, definition.name, known.id, fields))


def later(tenant: Tenant, object_name: str, record_id: str | None, fields: dict[str, Any]) -> Callable[[], object]:
    """The same save, stamped now, for a transaction that has not ended yet."""
    org = tenant.org
    stamped = Frozen(org.clock.time())

    def commit() -> None:
        running, org.clock = org.clock, stamped
        try:
            edit(tenant, object_name, record_id, fields)
        finally:
            org.clock = running

    return commit


def delete(tenant: Tenant, object_name: str, record_id: str) -> None:
    """A salesperson deletes a record; KeyError when there is none."""
    if tenant.org.row(record_id) is None:
        raise KeyError(record_id)
    dml.delete(tenant.org, tenant.sellers[0], object_name, record_id)
