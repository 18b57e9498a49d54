"""What is known about the objects of a connected account, and which names an expression on them may use.

A stored schema is the JSON form of `ObjectSchema` in `ConnectedAccount.schemas`. The invariant:
`load_schema(dump_schema(schema)) == schema`, and a missing or unreadable schema means "any field", never "no field".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.connector import FieldSchema, FieldType, ObjectSchema, Option
from integrations.models import Integration

EXTRA_PARTS: dict[str, frozenset[str] | None] = {
    # `position` is the line's place among the source lines, in line rules.
    # `currency` is the account's own, for records that name none.
    "source": frozenset({"account_id", "account_name", "currency", "position"}),
    "target": frozenset({"account_id", "account_name"}),
    "setup": None,
    "setting": None,
}
"""Parts that every expression sees beside the record: where it comes from and goes to, ids of what set-up created, and
the settings of the flow."""

SHAPES: dict[str, tuple[tuple[str, ...], str]] = {
    "customer": ((), ""),
    "article": ((), ""),
    "invoice": (("customer",), "row"),
    "company": ((), ""),
    "product": ((), ""),
    "deal": (("company", "contact"), "line"),
}
"""Parts and line part of well-known objects, for when the account has not described them yet."""


def dump_schema(schema: ObjectSchema) -> dict[str, Any]:
    """The schema as JSON-compatible data."""
    return {
        "system": schema.system,
        "name": schema.name,
        "label": schema.label,
        "key": schema.key,
        "lines": schema.lines,
        "title": schema.title,
        "subsets": list(schema.subsets),
        "currency": schema.currency,
        "fields": _dump_fields(schema.fields),
        "parts": {part: _dump_fields(fields) for part, fields in schema.parts.items()},
    }


def load_schema(data: Mapping[str, Any]) -> ObjectSchema:
    """The inverse of `dump_schema`; keys it does not know are ignored."""
    return ObjectSchema(
        system=data["system"],
        name=data["name"],
        label=data["label"],
        key=data["key"],
        lines=data.get("lines", ""),
        title=data.get("title", ""),
        subsets=tuple(data.get("subsets", ())),
        currency=str(data.get("currency", "")),
        fields=_load_fields(data["fields"]),
        parts={part: _load_fields(fields) for part, fields in data.get("parts", {}).items()},
    )


def _dump_fields(fields: Mapping[str, FieldSchema]) -> dict[str, Any]:
    # Only what differs from the default: a CRM object has hundreds of fields.
    plain = FieldSchema("", "")
    dumped: dict[str, Any] = {}
    for name, schema in fields.items():
        row: dict[str, Any] = {"label": schema.label}
        if schema.type is not FieldType.STRING:
            row["type"] = str(schema.type)
        for attribute in ("max_length", "decimals", "required", "writable", "unique", "derived"):
            if getattr(schema, attribute) != getattr(plain, attribute):
                row[attribute] = getattr(schema, attribute)
        if schema.options:
            row["options"] = [[option.value, option.label] for option in schema.options]
        dumped[name] = row
    return dumped


def _load_fields(data: Mapping[str, Any]) -> dict[str, FieldSchema]:
    return {name: _load_field(name, row) for name, row in data.items()}


def _load_field(name: str, row: Mapping[str, Any]) -> FieldSchema:
    return FieldSchema(
        name=name,
        label=row.get("label", name),
        type=FieldType(row.get("type", FieldType.STRING)),
        max_length=row.get("max_length"),
        decimals=row.get("decimals"),
        required=row.get("required", False),
        writable=row.get("writable", True),
        unique=row.get("unique", False),
        derived=row.get("derived", False),
        options=tuple(Option(value, label) for value, label in row.get("options", ())),
    )


def known_schema(integration: Integration, side: str, object_name: str) -> ObjectSchema | None:
    """The stored schema of an object on one side, or None when the account has not described it."""
    if side not in ("crm", "ledger"):  # a form that is not filled in yet
        return None
    stored = integration.account(side).schemas.get(object_name)
    if not isinstance(stored, dict):
        return None
    try:
        return load_schema(stored.get("schema", stored))  # usually kept beside the time it was asked
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def known_names(integration: Integration, side: str, object_name: str) -> dict[str, frozenset[str] | None]:
    """The parts and fields an expression on this object may read; None: any field."""
    return names_of(known_schema(integration, side, object_name), object_name)


def names_of(schema: ObjectSchema | None, object_name: str) -> dict[str, frozenset[str] | None]:
    """Like `known_names`, for a schema at hand."""
    if schema is not None:
        return {**schema.names(), **EXTRA_PARTS}
    parts, lines = SHAPES.get(object_name, ((), ""))
    names: dict[str, frozenset[str] | None] = dict.fromkeys((object_name, *parts, *([lines] if lines else [])))
    return {**names, **EXTRA_PARTS}


def line_part(schema: ObjectSchema | None, object_name: str) -> str:
    """The name of the line part, or ""."""
    return schema.lines if schema is not None else SHAPES.get(object_name, ((), ""))[1]
