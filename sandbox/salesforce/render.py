"""Records as they go over the wire: numbers as JSON floats, empty fields as null, addresses as compounds."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .schema import FieldDef, ObjectDef, of_options
from .table import Row

if TYPE_CHECKING:
    from .org import Org

ADDRESS_PARTS = (
    "City",
    "Country",
    "CountryCode",
    "GeocodeAccuracy",
    "Latitude",
    "Longitude",
    "PostalCode",
    "State",
    "StateCode",
    "Street",
)


def plain(value: Any) -> Any:
    """A stored value as JSON holds it."""
    return float(value) if isinstance(value, Decimal) else value


def value(org: Org, definition: ObjectDef, row: Row, field: FieldDef) -> Any:
    """What one field of a row shows."""
    if field.type == "address":
        return address(org, definition, row, field)
    found = row.values.get(field.name)
    if found is None and field.type == "boolean":
        return False  # checkboxes are never null
    return plain(found)


def address(org: Org, definition: ObjectDef, row: Row, field: FieldDef) -> dict[str, Any] | None:
    """A compound address such as BillingAddress; null when every part is."""
    stem = field.name.removesuffix("Address")
    parts: dict[str, Any] = {}
    filled = False
    for part in ADDRESS_PARTS:
        entry = definition.field(stem + part)
        if entry is None or not of_options(org.options, entry.when):
            continue
        held = plain(row.values.get(entry.name))
        filled = filled or held is not None
        parts[part[0].lower() + part[1:]] = held
    return parts if filled else None


def attributes(object_name: str, record_id: str, version: str = "67.0") -> dict[str, str]:
    """The ``attributes`` every record carries."""
    return {"type": object_name, "url": f"/services/data/v{version}/sobjects/{object_name}/{record_id}"}


def record(
    org: Org,
    user_id: str | None,
    definition: ObjectDef,
    row: Row,
    names: Iterable[str] | None = None,
    *,
    version: str = "67.0",
) -> dict[str, Any]:
    """One record. ``names`` are field names in any case, shown in their order (hidden and unknown ones are left out);
    None shows everything the user may read."""
    visible = org.visible_fields(definition, user_id)
    wanted = visible.values() if names is None else [visible[name.lower()] for name in names if name.lower() in visible]
    shown: dict[str, Any] = {"attributes": attributes(definition.name, row.id, version)}
    for field in wanted:
        shown[field.name] = value(org, definition, row, field)
    return shown
