"""Definitions of custom fields and objects as the Metadata and Tooling APIs give them, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .fields import custom_object
from .metadata_zip import listed
from .org import Org
from .schema import Choice, FieldDef, ObjectDef

NAME = re.compile(r"(?:[A-Za-z][A-Za-z0-9]*__)?[A-Za-z](?:_?[A-Za-z0-9])*__c")
PLAIN = {
    "Text": "string",
    "TextArea": "textarea",
    "LongTextArea": "textarea",
    "Checkbox": "boolean",
    "Number": "double",
    "Currency": "currency",
    "Percent": "percent",
    "Date": "date",
    "DateTime": "datetime",
    "Email": "email",
    "Phone": "phone",
    "Url": "url",
    "Picklist": "picklist",
    "MultiselectPicklist": "multipicklist",
    "Lookup": "reference",
    "MasterDetail": "reference",
}
LENGTHS = {"email": 80, "phone": 40, "url": 255, "picklist": 255, "multipicklist": 4099, "reference": 18}
NEEDS_SIZE = ("Number", "Currency", "Percent")


class Wrong(Exception):
    """The definition cannot be; the text is what the API says."""


def truth(value: Any) -> bool:
    """A flag of XML or JSON."""
    return value is True or str(value).lower() == "true"


def field_of(name: str, body: Mapping[str, Any], known_object: Callable[[str], bool]) -> FieldDef:
    """The field that a Metadata body describes; Wrong when it describes none. ``known_object`` says which objects
    there are, or will be."""
    kind = str(body.get("type", ""))
    if not NAME.fullmatch(name) or len(name) > 43:
        raise Wrong(
            f"The field name you provided {name} on object is not a valid, custom field name. Names must begin with a "
            "letter and use only alphanumeric characters and underscores."
        )
    if kind not in PLAIN:
        raise Wrong(f"'{kind}' is not a valid value for the enum 'FieldType'")
    if not body.get("label"):
        raise Wrong("Required field is missing: label")
    field = FieldDef(name, str(body["label"]), PLAIN[kind], custom=True)
    field.length = _length(kind, field.type, body)
    field.help_text = str(body["inlineHelpText"]) if body.get("inlineHelpText") else None
    field.external_id, field.unique = truth(body.get("externalId")), truth(body.get("unique"))
    field.case_sensitive = truth(body.get("caseSensitive"))
    field.id_lookup = field.external_id
    field.nillable = not truth(body.get("required"))
    if field.external_id and kind not in ("Text", "Number", "Email"):
        raise Wrong(f"Can not specify 'externalId' for a CustomField of type {kind}")
    if kind in NEEDS_SIZE:
        field.precision, field.scale = _size(kind, body)
    elif kind == "Checkbox":
        if "defaultValue" not in body:
            raise Wrong("Must specify 'defaultValue' for a CustomField of type Checkbox")
        field.default, field.nillable, field.defaulted = truth(body["defaultValue"]), False, True
    elif field.type in ("picklist", "multipicklist"):
        _values(field, body)
    elif field.type == "reference":
        _target(field, kind, body, known_object)
    return field


def _length(kind: str, described: str, body: Mapping[str, Any]) -> int:
    if kind in ("Text", "LongTextArea"):
        longest = 255 if kind == "Text" else 131_072
        text = str(body.get("length", ""))
        if not text.isdecimal():
            raise Wrong(f"Must specify 'length' for a CustomField of type {kind}")
        if not 1 <= int(text) <= longest:
            raise Wrong(f"Value of 'length' must be between 1 and {longest}")
        return int(text)
    return 255 if kind == "TextArea" else LENGTHS.get(described, 0)


def _size(kind: str, body: Mapping[str, Any]) -> tuple[int, int]:
    precision, scale = str(body.get("precision", "")), str(body.get("scale", ""))
    if not (precision.isdecimal() and scale.isdecimal()):
        raise Wrong(f"Must specify 'precision' and 'scale' for a CustomField of type {kind}")
    if not 1 <= int(precision) <= 18 or int(scale) > int(precision):
        raise Wrong(f"Precision must be between 1 and 18 and not below scale: {precision}, {scale}")
    return int(precision), int(scale)


def _values(field: FieldDef, body: Mapping[str, Any]) -> None:
    values = body.get("valueSet") or {}
    definition = (values if isinstance(values, Mapping) else {}).get("valueSetDefinition") or {}
    field.choices = tuple(
        Choice(str(entry["fullName"] if "fullName" in entry else entry.get("valueName")), str(entry.get("label") or ""),
               default=truth(entry.get("default")))
        for entry in listed(definition.get("value"))
    )  # fmt: skip
    if not field.choices:
        raise Wrong(f"You must specify a valueSet with at least one value for the picklist {field.name}")
    field.restricted = truth(values.get("restricted"))


def _target(field: FieldDef, kind: str, body: Mapping[str, Any], known_object: Callable[[str], bool]) -> None:
    target = str(body.get("referenceTo", ""))
    if not known_object(target):
        raise Wrong(f"In field: referenceTo - no CustomObject named {target} found")
    relationship = str(body.get("relationshipName") or "")
    if not relationship:
        raise Wrong(f"Must specify 'relationshipName' for a CustomField of type {kind}")
    field.reference_to = (target,)
    field.relationship = field.name.removesuffix("__c") + "__r"
    field.child_name = f"{relationship}__r"
    field.on_delete = "Cascade" if kind == "MasterDetail" else str(body.get("deleteConstraint") or "SetNull")
    if kind == "MasterDetail":
        field.nillable = False


def object_of(name: str, body: Mapping[str, Any]) -> ObjectDef:
    """The custom object that a Metadata body describes; Wrong when it describes none."""
    if not NAME.fullmatch(name):
        raise Wrong(f"{name} is not a valid name for a custom object")
    for needed in ("label", "pluralLabel", "nameField", "deploymentStatus", "sharingModel"):
        if not body.get(needed):
            raise Wrong(f"Must specify '{needed}' for a CustomObject")
    named = body["nameField"] if isinstance(body["nameField"], Mapping) else {}
    automatic = named.get("type") == "AutoNumber"
    return custom_object(
        name,
        str(body["label"]),
        str(body["pluralLabel"]),
        name_label=str(named.get("label") or "Name"),
        auto_number=str(named.get("displayFormat") or "{0}") if automatic else "",
    )


def add_or_change(org: Org, object_name: str, field: FieldDef) -> bool:
    """Put a field into an org, or its new definition in place of the old one; whether it is new. Stored values and
    rights stay."""
    definition = org.object(object_name)
    known = definition.field(field.name)
    if known is None:
        org.add_field(definition.name, field)
        return True
    table = org.table(definition.name)
    table.ignore(known)
    definition.fields[field.name.lower()] = field
    table.watch(field)
    org.schema_changed()
    return False
