"""What a person does in Fortnox's own pages, and what the test interface reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from . import actions
from .api import INVOICES, PAYMENTS, RESOURCES, witness
from .fields import BLANK_WORD
from .records import Record
from .render import BASE, plain
from .resource import Resource
from .tenant import Call, Tenant

_STEPS = ("Booked", "Cancelled", "Sent")


def _stamp(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat()


def _raw(resource: Resource, tenant: Tenant, record: Record) -> dict[str, Any]:
    shown: dict[str, Any] = plain(resource.detail(tenant, record))
    shown["@url"] = shown["@url"].replace(BASE, "")
    if "@urlTaxReductionList" in shown:
        shown["@urlTaxReductionList"] = shown["@urlTaxReductionList"].replace(BASE, "")
    return shown | {
        "created_at": _stamp(record.created),
        "updated_at": _stamp(record.updated),
        "created_by_request": record.created_by,
    }


def raw_records(tenant: Tenant, object_name: str) -> list[dict[str, Any]]:
    """Every record of one kind, in full."""
    resource = RESOURCES[object_name]
    return [_raw(resource, tenant, record) for record in tenant.tables[object_name]]


def edit(call: Call, object_name: str, record_id: str | None, fields: dict[str, Any]) -> dict[str, Any]:
    """Change or create. "" and null clear; Booked, Cancelled and Sent press the buttons of that name."""
    if object_name == "lockedperiod":
        call.tenant.locked_until = fields.get("EndDate") or None
        return {"EndDate": call.tenant.locked_until}
    if object_name == "company":
        call.tenant.accounting_method = fields.pop("AccountingMethod", call.tenant.accounting_method)
        call.tenant.warehouse = bool(fields.pop("Warehouse", call.tenant.warehouse))
        call.tenant.company |= fields
        return dict(call.tenant.company)
    resource = RESOURCES[object_name]
    steps = [name for name in _STEPS if fields.pop(name, False)]
    record = call.tenant.tables[object_name].get(record_id) if record_id else None
    if record is None:
        if record_id is not None and resource.key in resource.fields and resource.fields[resource.key].writable:
            fields = {resource.key: record_id, **fields}
        record = resource.create(call, fields)
        witness(call, resource, record, "create")
    elif fields:
        cleared = {name: BLANK_WORD if value in ("", None) else value for name, value in fields.items()}
        resource.update(call, record, cleared)
        witness(call, resource, record, "update")
    for step in steps:
        _press(call, resource, record, step)
    return _raw(resource, call.tenant, record)


def _press(call: Call, resource: Resource, record: Record, step: str) -> None:
    if resource is PAYMENTS and step == "Booked":
        PAYMENTS.bookkeep(call, record)
        witness(call, resource, record, "bookkeep")
    elif resource is INVOICES:
        action = {"Booked": actions.bookkeep, "Cancelled": actions.cancel, "Sent": actions.external_print}[step]
        action(INVOICES, call, record)
        witness(call, resource, record, {"Booked": "bookkeep", "Cancelled": "cancel"}.get(step, "externalprint"))


def delete(call: Call, object_name: str, record_id: str) -> None:
    """Delete; the rules of the API apply."""
    resource = RESOURCES[object_name]
    record = resource.find(call.tenant, record_id)
    resource.delete(call, record)
    witness(call, resource, record, "delete")
