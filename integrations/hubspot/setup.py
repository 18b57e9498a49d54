"""Preparing a portal: property groups, our own properties, the pipeline; what exists is left as it is.

The invariants: a property that exists is never changed (another type, or not unique where it must be, is an error
that names it); a pipeline is recognised by its stored id, by its label only the first time; repeating does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from integrations.connector import Setup
from integrations.errors import Conflict, Misconfigured
from integrations.hubspot import schema
from integrations.hubspot.client import HubSpot

_FIELD_TYPES: Mapping[str, str] = {
    "string": "text",
    "number": "number",
    "date": "date",
    "datetime": "date",
    "bool": "booleancheckbox",
    "enumeration": "select",
}
_SPELLINGS: Mapping[str, str] = {"boolean": "bool", "enum": "enumeration"}
_GROUP_LABELS: Mapping[str, str] = {"fortnox": "Fortnox"}
Definition = Mapping[str, object]


def prepare(client: HubSpot, setup: Setup) -> dict[str, str]:
    """Make what is missing; ids of pipelines and stages by symbolic name. `Misconfigured`: a person must act."""
    for name, definitions in setup.fields.items():
        _groups(client, name, definitions)
        _properties(client, name, definitions)
    ids: dict[str, str] = {}
    for symbol, pipeline in setup.pipelines.items():
        ids |= _pipeline(client, symbol, pipeline)
    schema.clear_cache()
    return ids


def _groups(client: HubSpot, name: str, definitions: Sequence[Definition]) -> None:
    wanted = {str(d["group"]) for d in definitions if d.get("group")}
    existing = {str(group.get("name")) for group in client.groups(name)} if wanted else set()
    for group in sorted(wanted - existing):
        label = _GROUP_LABELS.get(group, group.replace("_", " ").capitalize())
        _unless_there(lambda group=group, label=label: client.create_group(name, group, label))  # type: ignore[misc]


def _properties(client: HubSpot, name: str, definitions: Sequence[Definition]) -> None:
    existing = {str(row.get("name")): row for row in client.properties(name)}
    for definition in definitions:
        row = existing.get(str(definition["name"]))
        if row is not None:
            _accept(name, definition, row)
        else:
            body = _property_body(name, definition)
            _unless_there(lambda body=body: client.create_property(name, body))  # type: ignore[misc]


def _property_body(name: str, definition: Definition) -> dict[str, Any]:
    kind = _kind(definition)
    body: dict[str, Any] = {
        "name": definition["name"],
        "label": definition.get("label") or definition["name"],
        "description": definition.get("description") or "",
        "type": kind,
        "fieldType": definition.get("field_type") or _FIELD_TYPES[kind],
        "groupName": definition.get("group") or f"{name.replace('_', '')}information",
    }
    if definition.get("unique"):
        body["hasUniqueValue"] = True
    options = definition.get("options")
    if kind == "bool":
        options = [{"value": "true", "label": "Yes"}, {"value": "false", "label": "No"}]
    if isinstance(options, Sequence):
        body["options"] = [
            {"label": o["label"], "value": o["value"], "displayOrder": i, "hidden": False}
            for i, o in enumerate(options)
        ]
    return body


def _kind(definition: Definition) -> str:
    given = str(definition.get("type") or "string")
    kind = _SPELLINGS.get(given, given)
    if kind not in _FIELD_TYPES:
        raise Misconfigured(
            f"HubSpot has no property type {given!r}", code="unknown_type", field=str(definition["name"])
        )
    return kind


def _accept(name: str, definition: Definition, row: Mapping[str, Any]) -> None:
    """An existing property is used as it is, if it can do the job."""
    property_name = str(definition["name"])
    if str(row.get("type")) != _kind(definition):
        raise Misconfigured(
            f"The {name} property {property_name} exists in HubSpot with type {row.get('type')}, "
            f"not {_kind(definition)}. Rename or archive it there; it is not changed.",
            code="property_type",
            field=property_name,
        )
    if definition.get("unique") and not row.get("hasUniqueValue"):
        raise Misconfigured(
            f"The {name} property {property_name} exists in HubSpot without unique values. "
            "HubSpot sets that only at creation: rename or archive the property there; it is not changed.",
            code="property_not_unique",
            field=property_name,
        )


def _unless_there(create: Callable[[], object]) -> None:
    """Create; somebody else having done so meanwhile (409) is as good."""
    try:
        create()
    except Conflict:
        pass


def _pipeline(client: HubSpot, symbol: str, wanted: Definition) -> dict[str, str]:
    name = str(wanted.get("object") or "deal")
    stored = str(wanted.get("id") or "")
    pipelines = client.pipelines(name)
    found = _find(pipelines, stored, str(wanted["label"]))
    if found is None and stored and not wanted.get("recreate"):
        raise Misconfigured(
            f"The pipeline {wanted['label']!r} was removed from HubSpot. Restore it, or let it be created again.",
            code="pipeline_missing",
            field="pipeline",
        )
    stages = wanted.get("stages")
    stages = list(stages) if isinstance(stages, Sequence) else []
    made = found is None
    if found is None:
        found = _create_pipeline(client, name, wanted, stages)
    ids = {symbol: str(found["id"])}
    for order, stage in enumerate(stages):
        known = "" if made else str(stage.get("id") or "")
        there = _find(found.get("stages") or [], known, str(stage["label"]))
        if there is None:
            there = client.create_stage(name, str(found["id"]), _stage_body(stage, order))
        ids[str(stage["name"])] = str(there["id"])
    return ids


def _find(rows: Sequence[Mapping[str, Any]], stored: str, label: str) -> Mapping[str, Any] | None:
    """By stored id; by label only when there is no stored id."""
    for row in rows:
        if row.get("archived"):
            continue
        if str(row.get("id")) == stored if stored else str(row.get("label")).casefold() == label.casefold():
            return row
    return None


def _create_pipeline(client: HubSpot, name: str, wanted: Definition, stages: Sequence[Any]) -> Mapping[str, Any]:
    body = {
        "label": wanted["label"],
        "displayOrder": wanted.get("order", 10),
        "stages": [_stage_body(stage, order) for order, stage in enumerate(stages)],
    }
    try:
        return client.create_pipeline(name, body)
    except Conflict:
        again = _find(client.pipelines(name), "", str(wanted["label"]))
        if again is None:
            raise
        return again


def _stage_body(stage: Mapping[str, Any], order: int) -> dict[str, Any]:
    """HubSpot wants the probability of a deal stage, as text."""
    return {
        "label": stage["label"],
        "displayOrder": order,
        "metadata": {"probability": str(stage.get("probability", "0.5"))},
    }
