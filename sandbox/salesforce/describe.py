"""What the interface tells about objects and fields, as the calling user sees them."""

from __future__ import annotations

from typing import Any

from .checks import choices_of
from .ids import MASTER_RECORD_TYPE
from .org import Org
from .schema import NUMBER_TYPES, FieldDef, ObjectDef

SOAP_TYPES = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "time": "xsd:time",
    "base64": "xsd:base64Binary",
    "address": "urn:address",
    "location": "urn:location",
    **dict.fromkeys(NUMBER_TYPES, "xsd:double"),
}
UNGROUPABLE = frozenset({"address", "location", "base64", "datetime", "textarea", *NUMBER_TYPES})


def urls(name: str, version: str) -> dict[str, str]:
    """The addresses of an object."""
    base = f"/services/data/v{version}/sobjects/{name}"
    return {"rowTemplate": f"{base}/{{ID}}", "describe": f"{base}/describe", "sobject": base}


def head(org: Org, user_id: str | None, definition: ObjectDef, version: str) -> dict[str, Any]:
    """What describe global says of one object, and describe repeats: what it lets this user do."""
    may = org.object_rights.may
    return {
        "activateable": False,
        "createable": definition.createable and may(definition, user_id, "create"),
        "custom": definition.custom,
        "customSetting": False,
        "deletable": definition.deletable and may(definition, user_id, "delete"),
        "deprecatedAndHidden": False,
        "feedEnabled": definition.name in ("Account", "Contact", "Opportunity", "Product2", "Order", "User"),
        "hasSubtypes": definition.mergeable,
        "isSubtype": False,
        "keyPrefix": definition.prefix,
        "label": definition.label,
        "labelPlural": definition.label_plural,
        "layoutable": definition.createable,
        "mergeable": definition.mergeable and may(definition, user_id, "delete"),
        "mruEnabled": definition.createable,
        "name": definition.name,
        "queryable": definition.queryable,
        "replicateable": definition.replicateable,
        "retrieveable": True,
        "searchable": definition.searchable,
        "triggerable": definition.triggerable,
        "undeletable": definition.undeletable and may(definition, user_id, "delete"),
        "updateable": definition.updateable and may(definition, user_id, "edit"),
        "urls": urls(definition.name, version),
    }


def everything(org: Org, user_id: str | None, version: str) -> dict[str, Any]:
    """Describe global: objects that the user may not read are simply absent."""
    objects = sorted(org.objects.values(), key=lambda entry: entry.name)
    seen = [entry for entry in objects if org.object_rights.may(entry, user_id, "read")]
    return {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": [head(org, user_id, one, version) for one in seen]}


def full(org: Org, user_id: str | None, definition: ObjectDef, version: str) -> dict[str, Any]:
    """Describe of one object: hidden fields are simply absent."""
    editable = org.visibility.editable(definition, user_id)
    visible = org.visible_fields(definition, user_id)
    top = head(org, user_id, definition, version)
    creates, edits = (editable if top[flag] else frozenset() for flag in ("createable", "updateable"))
    return {
        **top,
        "actionOverrides": [],
        "childRelationships": [
            {
                "cascadeDelete": child.cascade,
                "childSObject": child.object,
                "deprecatedAndHidden": False,
                "field": child.field,
                "junctionIdListNames": [],
                "junctionReferenceTo": [],
                "relationshipName": child.name,
                "restrictedDelete": child.restricted,
            }
            for child in definition.children
            if org.object_rights.may(org.object(child.object), user_id, "read")
            and child.field.lower() in org.visible_fields(org.object(child.object), user_id)
        ],
        "compactLayoutable": True,
        "fields": [
            field(org, definition, entry, creates=name in creates, edits=name in edits)
            for name, entry in visible.items()
        ],
        "namedLayoutInfos": [],
        "networkScopeFieldName": None,
        "recordTypeInfos": record_types(org, definition, version),
        "supportedScopes": [{"label": f"All {definition.label_plural.lower()}", "name": "everything"}],
    }


def field(org: Org, definition: ObjectDef, entry: FieldDef, *, creates: bool, edits: bool) -> dict[str, Any]:
    """One field; the user may give it a value in a new record, or in one that is there."""
    measured = entry.type in NUMBER_TYPES
    texty = entry.length if entry.type not in ("int", "boolean") else 0
    plain = entry.type not in UNGROUPABLE
    return {
        "aggregatable": plain or measured or entry.type == "datetime",
        "aiPredictionField": False,
        "autoNumber": entry.auto_number,
        "byteLength": texty if entry.type in ("id", "reference") else texty * 3,
        "calculated": entry.calculated,
        "calculatedFormula": entry.formula,
        "cascadeDelete": entry.type == "reference" and entry.on_delete == "Cascade",
        "caseSensitive": entry.case_sensitive,
        "compoundFieldName": entry.compound,
        "controllerName": _controller(entry),
        "createable": entry.createable and creates,
        "custom": entry.custom,
        "defaultValue": entry.default,
        "defaultValueFormula": None,
        "defaultedOnCreate": entry.defaulted,
        "dependentPicklist": _controller(entry) is not None,
        "deprecatedAndHidden": False,
        "digits": entry.digits,
        "displayLocationInDecimal": False,
        "encrypted": entry.type == "encryptedstring",
        "externalId": entry.external_id,
        "extraTypeInfo": None,
        "filterable": entry.filterable,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": plain,
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": entry.id_lookup or entry.external_id,
        "inlineHelpText": entry.help_text,
        "label": entry.label,
        "length": texty,
        "mask": None,
        "maskType": None,
        "name": entry.name,
        "nameField": entry.name_field,
        "namePointing": False,
        "nillable": entry.nillable,
        "permissionable": _permissionable(entry),
        "picklistValues": _picklist(org, entry),
        "polymorphicForeignKey": len(entry.reference_to) > 1,
        "precision": entry.precision,
        "queryByDistance": False,
        "referenceTargetField": None,
        "referenceTo": list(entry.reference_to),
        "relationshipName": entry.relationship,
        "relationshipOrder": None,
        "restrictedDelete": entry.type == "reference" and entry.on_delete == "Restrict",
        "restrictedPicklist": entry.restricted,
        "scale": entry.scale,
        "searchPrefilterable": False,
        "soapType": SOAP_TYPES.get(entry.type, "xsd:string"),
        "sortable": not entry.long_text and entry.type != "base64",
        "type": entry.type,
        "unique": entry.unique,
        "updateable": entry.updateable and edits,
        "writeRequiresMasterRead": False,
    }


def _permissionable(entry: FieldDef) -> bool:
    """Whether a permission set may name the field: not system fields, and not required ones."""
    return entry.nillable or (entry.defaulted and entry.createable and entry.type != "id")


def _controller(entry: FieldDef) -> str | None:
    """State codes depend on the country code."""
    return entry.name.replace("StateCode", "CountryCode") if entry.name.endswith("StateCode") else None


def _picklist(org: Org, entry: FieldDef) -> list[dict[str, Any]]:
    if entry.type not in ("picklist", "multipicklist"):
        return []
    return [
        {
            "active": choice.active,
            "defaultValue": choice.default,
            "label": choice.text,
            "validFor": None,
            "value": choice.value,
        }
        for choice in choices_of(org, entry)
    ]


def record_types(org: Org, definition: ObjectDef, version: str) -> list[dict[str, Any]]:
    """The record types of an object; the master one stands for none."""
    default = org.default_record_types.get(definition.name)
    rows = [
        row
        for row in org.rows["RecordType"].values()
        if row.values.get("SobjectType") == definition.name and not row.deleted
    ]
    found = [
        _record_type(definition, row.id, row.values["DeveloperName"], row.values["Name"], version)
        | {"active": bool(row.values.get("IsActive")), "available": bool(row.values.get("IsActive"))}
        | {"defaultRecordTypeMapping": row.id == default}
        for row in rows
    ]
    master = _record_type(definition, MASTER_RECORD_TYPE, "Master", "Master", version)
    return [*found, master | {"defaultRecordTypeMapping": default is None, "master": True}]


def _record_type(definition: ObjectDef, record_id: str, developer_name: str, name: str, version: str) -> dict[str, Any]:
    layout = f"/services/data/v{version}/sobjects/{definition.name}/describe/layouts/{record_id}"
    return {
        "active": True,
        "available": True,
        "defaultRecordTypeMapping": False,
        "developerName": developer_name,
        "master": False,
        "name": name,
        "recordTypeId": record_id,
        "urls": {"layout": layout},
    }
