"""What objects and fields are made of: the same definitions serve validation, describe, SOQL and deploys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TEXT_TYPES = frozenset(
    {"string", "textarea", "phone", "email", "url", "picklist", "multipicklist", "combobox", "encryptedstring"}
)
NUMBER_TYPES = frozenset({"double", "currency", "percent"})


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a picklist."""

    value: str
    label: str = ""
    active: bool = True
    default: bool = False

    @property
    def text(self) -> str:
        """The label, which is the value unless an administrator renamed it."""
        return self.label or self.value


@dataclass(slots=True)
class FieldDef:
    """One field. ``type`` is the describe type; ``when`` names the org option without which the field is absent;
    ``child_name`` is what the parent calls the records that point at it with this lookup; ``on_delete`` is what
    becomes of them when the parent goes: SetNull, Cascade or Restrict."""

    name: str
    label: str
    type: str = "string"
    length: int = 0
    precision: int = 0
    scale: int = 0
    digits: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    external_id: bool = False
    unique: bool = False
    id_lookup: bool = False
    case_sensitive: bool = False
    calculated: bool = False
    formula: str | None = None
    choices: tuple[Choice, ...] = ()
    restricted: bool = False
    reference_to: tuple[str, ...] = ()
    relationship: str | None = None
    child_name: str | None = None
    on_delete: str = "SetNull"
    compound: str | None = None
    defaulted: bool = False
    default: Any = None
    auto_number: bool = False
    number_format: str = ""
    custom: bool = False
    name_field: bool = False
    help_text: str | None = None
    when: str = ""

    @property
    def required(self) -> bool:
        """Needed on create (Salesforce: not nillable, not defaulted on create, createable)."""
        return not self.nillable and not self.defaulted and self.createable

    @property
    def filterable(self) -> bool:
        """Long text cannot stand in a WHERE clause; nor can binary."""
        return not self.long_text and self.type != "base64"

    @property
    def long_text(self) -> bool:
        """A text area of more than 255 characters."""
        return self.type == "textarea" and self.length > 255

    @property
    def governed(self) -> bool:
        """Whether field-level security applies: custom fields that are not required of everybody."""
        return self.custom and (self.nillable or self.defaulted) and self.type != "id"

    def choice(self, value: str) -> Choice | None:
        """The picklist entry with this value, compared as Salesforce does, without regard to case."""
        wanted = value.casefold()
        return next((entry for entry in self.choices if entry.value.casefold() == wanted), None)


@dataclass(frozen=True, slots=True)
class ChildDef:
    """Records of ``object`` point here with their lookup ``field``; ``name`` is the child relationship's name (None
    when it cannot be queried)."""

    object: str
    field: str
    name: str | None
    cascade: bool = False
    restricted: bool = False


@dataclass(slots=True)
class ObjectDef:
    """One object. ``fields`` by lower-case name in declaration order; ``when`` names the org option it needs."""

    name: str
    label: str
    label_plural: str
    prefix: str
    fields: dict[str, FieldDef] = field(default_factory=dict)
    children: list[ChildDef] = field(default_factory=list)
    custom: bool = False
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    undeletable: bool = True
    mergeable: bool = False
    queryable: bool = True
    searchable: bool = True
    triggerable: bool = True
    replicateable: bool = True
    hard_delete: bool = False
    when: str = ""

    def field(self, name: str) -> FieldDef | None:
        """A field by name, without regard to case or to whether anybody may see it."""
        return self.fields.get(name.lower())

    @property
    def name_field(self) -> FieldDef | None:
        """The field that names a record."""
        return next((entry for entry in self.fields.values() if entry.name_field), None)

    def lookup(self, relationship: str) -> FieldDef | None:
        """The reference field behind a parent relationship name such as ``Account`` or ``Invoice__r``."""
        wanted = relationship.lower()
        for entry in self.fields.values():
            if entry.relationship is not None and entry.relationship.lower() == wanted:
                return entry
        return None

    def child(self, relationship: str) -> ChildDef | None:
        """The child relationship with this name."""
        wanted = relationship.lower()
        return next((child for child in self.children if child.name and child.name.lower() == wanted), None)


def by_name(fields: Sequence[FieldDef]) -> dict[str, FieldDef]:
    """Fields keyed as ``ObjectDef.fields`` wants them."""
    return {entry.name.lower(): entry for entry in fields}


def of_options(options: object, when: str) -> bool:
    """Whether the options of an org provide what a field or object needs: names joined by spaces, all of them on."""
    return not when or all(getattr(options, name) for name in when.split())
