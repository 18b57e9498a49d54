"""Deletes with what they take along, undeletes and merges."""

from __future__ import annotations

from collections.abc import Sequence

from . import changes, checks, errors, ids, rules_opportunity, rules_orders
from .org import Org
from .schema import ChildDef, ObjectDef
from .table import Row

MERGE_LIMIT = 2  # a merge takes at most two losing records


def delete(org: Org, user_id: str | None, object_name: str, record_id: str, *, request: int | None = None) -> None:
    """Into the recycle bin with everything that cascades; opportunity lines are gone at once. An entry that lines use
    is archived and hidden instead (Salesforce object reference)."""
    from .dml import find

    definition = org.object(object_name, user_id)
    if not definition.deletable and user_id is not None:
        raise errors.SfError(
            400, "INVALID_TYPE_FOR_OPERATION", f"entity type cannot be deleted: {definition.label}", []
        )
    row = find(org, definition, record_id, user_id)
    with org.transaction():
        if not org.object_rights.may(definition, user_id, "delete"):
            raise errors.read_only_record()
        checks.access(org, user_id, row.object, row)
        checks.locks(org, row, {}, org.plan(definition).references)
        _may_go(org, row, user_id)
        if row.object == "PricebookEntry" and _used(org, row):
            changes.bin_row(org, row, user_id, request, {"IsArchived": True, "IsActive": False})
            changes.mirror(org, row, {"IsDeleted": False})
            return
        taken: list[str] = []
        _take(org, definition, row, user_id, request, taken, direct=True)
        org.casualties[row.id] = taken
        _roll_up(org, row, user_id, request)
        if row.object in ("PermissionSet", "PermissionSetAssignment", "FieldPermissions", "ObjectPermissions"):
            org.rights_changed()


def _used(org: Org, entry: Row) -> bool:
    return any(
        next(org.table(name).pointing("PricebookEntryId", entry.id), None) is not None
        for name in ("OpportunityLineItem", "OrderItem")
    )


def _may_go(org: Org, row: Row, user_id: str | None) -> None:
    if row.object == "Pricebook2" and row.values.get("IsStandard"):
        raise _failed("the standard price book cannot be deleted")
    if row.object == "Order" and rules_orders.activated(row) and user_id is not None:
        raise _failed("an activated order cannot be deleted")
    if row.object == "OrderItem" and user_id is not None and rules_orders.activated(org.row(row.values["OrderId"])):
        raise rules_orders.frozen_order()


def _failed(message: str) -> errors.SfError:
    return errors.refused("DELETE_FAILED", f"Your attempt to delete this record could not be completed: {message}")


def _take(
    org: Org,
    definition: ObjectDef,
    row: Row,
    user_id: str | None,
    request: int | None,
    taken: list[str],
    *,
    direct: bool,
) -> None:
    for child in definition.children:
        for other in list(org.table(child.object).pointing(child.field, row.id)):
            _release(org, child, other, user_id, request, taken)
    if definition.hard_delete and direct:
        changes.purge(org, row, user_id, request)
    else:
        changes.bin_row(org, row, user_id, request)


def _release(org: Org, child: ChildDef, other: Row, user_id: str | None, request: int | None, taken: list[str]) -> None:
    if child.cascade:
        taken.append(other.id)
        _take(org, org.object(child.object), other, user_id, request, taken, direct=False)
    elif child.restricted:
        raise _failed(f"it is associated with the following {org.object(child.object).label_plural}: {other.id}")
    elif child.field not in ("MasterRecordId", "Product2Id", "CreatedById", "LastModifiedById", "OwnerId"):
        changes.alter(org, other, {child.field: None}, user_id, request, edited=False)


def _roll_up(org: Org, row: Row, user_id: str | None, request: int | None) -> None:
    if row.object == "OpportunityLineItem":
        rules_opportunity.roll_up(org, row.values["OpportunityId"], user_id, request)
    elif row.object == "OrderItem":
        rules_orders.roll_up(org, row.values["OrderId"], user_id, request)


def undelete(org: Org, user_id: str | None, record_id: str, *, request: int | None = None) -> Row:
    """Out of the recycle bin with what went along; UNDELETE_FAILED when it is not there, DUPLICATE_VALUE when a unique
    value has been taken meanwhile."""
    full = ids.full(record_id) or ""
    row = org.any_row(full)
    if row is None or not row.deleted or not org.object(row.object).undeletable:
        raise errors.refused("UNDELETE_FAILED", "Entity is not in the recycle bin")
    with org.transaction():
        for each in [row, *(org.any_row(other) for other in org.casualties.pop(full, []))]:
            if each is None or not each.deleted:
                continue
            table = org.table(each.object)
            for name in org.plan(org.object(each.object)).unique:
                holders = table.holders(name, each.values.get(name)) if each.values.get(name) is not None else []
                if holders:
                    raise errors.duplicate_value(name, holders[0])
            changes.restore(org, each, user_id, request)
        _roll_up(org, row, user_id, request)
    return row


def merge(
    org: Org,
    user_id: str | None,
    object_name: str,
    master_id: str,
    loser_ids: Sequence[str],
    *,
    request: int | None = None,
) -> Row:
    """Accounts or contacts into one: the losers go to the recycle bin with MasterRecordId, and whatever points at them
    points at the master instead. INVALID_TYPE_FOR_OPERATION for other objects."""
    from .dml import find

    definition = org.object(object_name)
    if not definition.mergeable:
        raise errors.SfError(400, "INVALID_TYPE_FOR_OPERATION", f"entity type cannot be merged: {definition.label}", [])
    if not 1 <= len(loser_ids) <= MERGE_LIMIT:
        raise errors.refused("INVALID_NUMBER_OF_RECORDS", "a merge takes one or two records beside the master")
    master = find(org, definition, master_id)
    losers = [find(org, definition, loser_id) for loser_id in loser_ids]
    if master in losers:
        raise errors.refused("INVALID_ID_FIELD", "cannot merge a record with itself")
    with org.transaction():
        for loser in losers:
            for child in definition.children:
                if child.field != "MasterRecordId":
                    for other in list(org.table(child.object).pointing(child.field, loser.id)):
                        changes.alter(org, other, {child.field: master.id}, user_id, request, edited=False)
            changes.bin_row(org, loser, user_id, request, {"MasterRecordId": master.id})
        changes.alter(org, master, {}, user_id, request)
    return master
