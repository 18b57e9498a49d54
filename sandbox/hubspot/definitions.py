"""Property definitions and groups of one object type in one portal: what the properties interface manages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import times

FIELD_TYPES = {
    "string": {"text", "textarea", "html", "phonenumber", "file", "calculation_equation"},
    "number": {"number", "calculation_equation"},
    "enumeration": {"select", "radio", "checkbox", "booleancheckbox", "calculation_equation"},
    "bool": {"booleancheckbox", "calculation_equation"},
    "date": {"date"},
    "datetime": {"date"},
    "phone_number": {"phonenumber"},
}
UNIQUE_LIMIT = 10


@dataclass(slots=True)
class Option:
    """One value of an enumeration."""

    value: str
    label: str
    order: int = -1
    hidden: bool = False
    description: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As answers show it."""
        body: dict[str, Any] = {
            "label": self.label,
            "value": self.value,
            "displayOrder": self.order,
            "hidden": self.hidden,
        }
        if self.description is not None:
            body["description"] = self.description
        return body


@dataclass(slots=True)
class Definition:
    """One property. ``writable`` is HubSpot's own test: neither readOnlyValue nor calculated."""

    name: str
    label: str
    type: str
    field_type: str
    group: str
    options: list[Option] = field(default_factory=list)
    description: str = ""
    unique: bool = False
    calculated: bool = False
    read_only: bool = False
    standard: bool = False
    external: bool = False
    hidden: bool = False
    form_field: bool = False
    order: int = -1
    created: int = 0
    updated: int = 0
    user_id: str | None = None
    archived: int | None = None
    currency: bool = False
    allowed: frozenset[str] = frozenset()
    identifying: bool = False  # unique by nature, not by choice: a contact's e-mail address

    def set_options(self, options: list[Option]) -> None:
        """Replace the options; the set of values is kept beside them because every write looks there."""
        self.options = options
        self.allowed = frozenset(option.value for option in options)

    @property
    def multiple(self) -> bool:
        """Several values joined by semicolons."""
        return self.type == "enumeration" and self.field_type == "checkbox"

    @property
    def writable(self) -> bool:
        """Whether a client may set the value."""
        return not (self.calculated or self.read_only)

    def to_json(self) -> dict[str, Any]:
        """The Property resource of the properties interface."""
        body: dict[str, Any] = {
            "updatedAt": times.iso(self.updated),
            "createdAt": times.iso(self.created),
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": [option.to_json() for option in self.options],
            "displayOrder": self.order,
            "calculated": self.calculated,
            "externalOptions": self.external,
            "archived": self.archived is not None,
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "modificationMetadata": self._modification(),
            "formField": self.form_field,
            "dataSensitivity": "non_sensitive",
        }
        if self.standard:
            body["hubspotDefined"] = True
        if self.user_id:
            body.update(createdUserId=self.user_id, updatedUserId=self.user_id)
        if self.currency:
            body["showCurrencySymbol"] = True
        if self.external:
            body["referencedObjectType"] = "OWNER"
        if self.archived is not None:
            body["archivedAt"] = times.iso(self.archived)
        return body

    def _modification(self) -> dict[str, bool]:
        body = {
            "archivable": not self.standard,
            "readOnlyDefinition": self.standard,
            "readOnlyValue": not self.writable,
        }
        if self.type == "enumeration":
            body["readOnlyOptions"] = self.standard and (self.external or not self.writable)
        return body


@dataclass(slots=True)
class Group:
    """A heading properties are filed under."""

    name: str
    label: str
    order: int = -1
    archived: bool = False

    def to_json(self) -> dict[str, Any]:
        """The PropertyGroup resource."""
        return {
            "name": self.name,
            "label": self.label,
            "displayOrder": self.order,
            "archived": self.archived,
        }


class Schema:
    """All properties and groups of one object type. Archived ones are kept apart so that writes never see them."""

    def __init__(self) -> None:
        self.active: dict[str, Definition] = {}
        self.archived: dict[str, Definition] = {}
        self.groups: dict[str, Group] = {}

    def add(self, definition: Definition) -> Definition:
        """File a definition under its name."""
        definition.set_options(definition.options)
        self.archived.pop(definition.name, None)
        self.active[definition.name] = definition
        return definition

    def archive(self, name: str, now: int) -> bool:
        """Put a property into the bin; False when it is not there."""
        definition = self.active.pop(name, None)
        if definition is None:
            return False
        definition.archived = definition.updated = now
        self.archived[name] = definition
        return True

    def identifies(self, name: str) -> bool:
        """Whether a record can be named by this property in ``idProperty``."""
        definition = self.active.get(name)
        return definition is not None and (definition.unique or definition.identifying)

    def unique_names(self) -> list[str]:
        """Properties created with hasUniqueValue."""
        return [name for name, definition in self.active.items() if definition.unique]
