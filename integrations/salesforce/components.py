"""What our package puts into a Salesforce org, read from the very files that are deployed.

`metadata/` is written by Salesforce's converter from the project in `package/` (Metadata API format, one folder per
part). Reading it here keeps one truth: a readiness check compares the org with what was meant to be deployed, and
nobody repeats names, lengths or picklist values in code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

Part = Literal["base", "orders"]

# In the order of deployment: orders refer to what the base brings.
PARTS: Final[tuple[Part, ...]] = ("base", "orders")
NAMESPACE: Final = "http://soap.sforce.com/2006/04/metadata"
METADATA: Final = Path(__file__).parent / "metadata"

# Salesforce REST guide, describe: the same types under the names that `fields[].type` uses.
_DESCRIBED: Final = {
    "Checkbox": "boolean",
    "Currency": "currency",
    "Date": "date",
    "DateTime": "datetime",
    "Email": "email",
    "Lookup": "reference",
    "Number": "double",
    "Picklist": "picklist",
    "Text": "string",
    "Url": "url",
}


@dataclass(frozen=True, slots=True)
class ExpectedField:
    """One field of ours. `type` is the Metadata API's word; lengths are characters, precision counts all digits."""

    object: str
    name: str
    label: str
    type: str
    part: Part
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    external_id: bool = False
    unique: bool = False
    required: bool = False
    picklist: tuple[str, ...] = ()
    reference_to: str = ""

    @property
    def full_name(self) -> str:
        """The name that permission sets and `package.xml` use: `Account.Fortnox_Key__c`."""
        return f"{self.object}.{self.name}"

    @property
    def described_type(self) -> str:
        """The type as a describe call names it, for example `reference` for a lookup."""
        return _DESCRIBED[self.type]


_RIGHTS = {
    "read": "allowRead",
    "create": "allowCreate",
    "edit": "allowEdit",
    "delete": "allowDelete",
    "view_all": "viewAllRecords",
}


@dataclass(frozen=True, slots=True)
class PermissionSet:
    """One permission set of ours: what it grants on fields (full name → may edit) and on objects (name → rights)."""

    name: str
    label: str
    part: Part
    fields: Mapping[str, bool]
    objects: Mapping[str, frozenset[str]]


@cache
def expected_fields() -> Mapping[str, Sequence[ExpectedField]]:
    """Every field we deploy, by object, in the order of names; those of the orders part come last."""
    found: dict[str, list[ExpectedField]] = {}
    for part in PARTS:
        for path in sorted((METADATA / part / "objects").glob("*.object")):
            fields = found.setdefault(path.stem, [])
            fields.extend(_field(path.stem, part, element) for element in _children(_root(path), "fields"))
    return MappingProxyType({name: tuple(fields) for name, fields in found.items()})


@cache
def permission_sets() -> Mapping[str, PermissionSet]:
    """Every permission set we deploy, by API name."""
    found: dict[str, PermissionSet] = {}
    for part in PARTS:
        for path in sorted((METADATA / part / "permissionsets").glob("*.permissionset")):
            found[path.stem] = _permission_set(path.stem, part, _root(path))
    return MappingProxyType(found)


def _field(owner: str, part: Part, element: Element) -> ExpectedField:
    values = element.find(f"{{{NAMESPACE}}}valueSet/{{{NAMESPACE}}}valueSetDefinition")
    return ExpectedField(
        object=owner,
        name=_text(element, "fullName"),
        label=_text(element, "label"),
        type=_text(element, "type"),
        part=part,
        length=_number(element, "length"),
        precision=_number(element, "precision"),
        scale=_number(element, "scale"),
        external_id=_flag(element, "externalId"),
        unique=_flag(element, "unique"),
        required=_flag(element, "required"),
        picklist=tuple(_text(value, "fullName") for value in _children(values, "value")) if values is not None else (),
        reference_to=_text(element, "referenceTo"),
    )


def _permission_set(name: str, part: Part, root: Element) -> PermissionSet:
    granted = {
        _text(entry, "field"): _flag(entry, "editable")
        for entry in _children(root, "fieldPermissions")
        if _flag(entry, "readable")
    }
    objects = {
        _text(entry, "object"): frozenset(right for right, tag in _RIGHTS.items() if _flag(entry, tag))
        for entry in _children(root, "objectPermissions")
    }
    return PermissionSet(name, _text(root, "label"), part, MappingProxyType(granted), MappingProxyType(objects))


def _root(path: Path) -> Element:
    root: Element = fromstring(path.read_bytes(), forbid_dtd=True)
    return root


def _children(element: Element, tag: str) -> Iterator[Element]:
    return element.iterfind(f"{{{NAMESPACE}}}{tag}")


def _text(element: Element, tag: str) -> str:
    return element.findtext(f"{{{NAMESPACE}}}{tag}") or ""


def _number(element: Element, tag: str) -> int | None:
    text = _text(element, tag)
    return int(text) if text else None


def _flag(element: Element, tag: str) -> bool:
    return _text(element, tag) == "true"
