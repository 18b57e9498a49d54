"""The lowest step of a write: change rows so that it can be undone, keep their stamps, and tell the listeners."""

from __future__ import annotations

from . import times
from .org import Event, Org
from .table import Row, Values


def moment(org: Org) -> int:
    """Now, in the whole seconds that Salesforce keeps."""
    return org.now_ms() // 1000 * 1000


def add(org: Org, row: Row, user_id: str | None) -> None:
    """Enter a new row."""
    table = org.table(row.object)
    table.add(row)
    org.undoable(lambda: table.drop(row))
    org.tell(Event(row.object, row.id, "create", {}, dict(row.values), user_id, row.request))


def alter(org: Org, row: Row, values: Values, user_id: str | None, request: int | None, *, edited: bool = True) -> None:
    """Set fields of a row. ``edited`` tells a user's own change, which moves LastModifiedDate, from one Salesforce
    makes by itself, which moves SystemModstamp alone."""
    table = org.table(row.object)
    now = moment(org)
    stamp = times.wire(now)
    before_times = (row.stamp, row.modified)
    old = dict(row.values)
    changes = {**values, "SystemModstamp": stamp}
    if edited:
        changes |= {"LastModifiedDate": stamp, "LastModifiedById": user_id or row.values.get("LastModifiedById")}
        row.modified = now
    row.stamp = now
    before = table.change(row, changes)

    def undo() -> None:
        table.change(row, before)
        row.stamp, row.modified = before_times

    org.undoable(undo)
    org.tell(Event(row.object, row.id, "update", old, dict(row.values), user_id, request))


def mirror(org: Org, row: Row, values: Values) -> None:
    """Set fields that only show what another record holds: no stamp moves and nobody is told."""
    table = org.table(row.object)
    before = table.change(row, values)
    org.undoable(lambda: table.change(row, before))


def bin_row(org: Org, row: Row, user_id: str | None, request: int | None, values: Values | None = None) -> None:
    """Into the recycle bin; ``values`` are set at the same moment."""
    _move(org, row, True, user_id, request, values or {})


def restore(org: Org, row: Row, user_id: str | None, request: int | None) -> None:
    """Out of the recycle bin."""
    _move(org, row, False, user_id, request, {})


def _move(org: Org, row: Row, deleted: bool, user_id: str | None, request: int | None, values: Values) -> None:
    table = org.table(row.object)
    now = moment(org)
    before_times, old = (row.stamp, row.modified), dict(row.values)
    stamp = times.wire(now)
    before = table.change(row, {**values, "SystemModstamp": stamp, "LastModifiedDate": stamp})
    row.stamp = row.modified = now
    table.set_deleted(row, deleted)

    def undo() -> None:
        table.set_deleted(row, not deleted)
        table.change(row, before)
        row.stamp, row.modified = before_times

    org.undoable(undo)
    action = "delete" if deleted else "undelete"
    org.tell(Event(row.object, row.id, action, old, dict(row.values), user_id, request))


def purge(org: Org, row: Row, user_id: str | None, request: int | None) -> None:
    """Remove for good; only getDeleted still knows the id."""
    table = org.table(row.object)
    old, before = dict(row.values), (row.stamp, row.deleted)
    table.drop(row)
    row.stamp, row.deleted = moment(org), True
    table.purged[row.id] = row

    def undo() -> None:
        del table.purged[row.id]
        row.stamp, row.deleted = before
        table.add(row)

    org.undoable(undo)
    org.tell(Event(row.object, row.id, "delete", old, {}, user_id, request))
