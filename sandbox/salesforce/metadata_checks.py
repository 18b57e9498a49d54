"""What is wrong with the components of a package, seen against the org and the rest of the package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from .metadata_fields import Wrong, field_of, object_of, truth
from .metadata_store import deployed
from .metadata_zip import Component, listed
from .org import Org
from .outbound_formula import FormulaError, parse

FORMULA_FIELD = re.compile(r"\{!\$Record(?:__Prior)?\.(\w+)\}")


class Checker:
    """Knows what there will be when the whole package is in place."""

    def __init__(self, org: Org, components: list[Component]) -> None:
        self._org = org
        self._coming = {(entry.type, entry.name.lower()) for entry in components}
        self._checks: dict[str, Callable[[Component], Iterator[str]]] = {
            "CustomObject": self._object,
            "CustomField": self._field,
            "PermissionSet": self._permission_set,
            "Layout": self._layout,
            "QuickAction": self._quick_action,
            "WorkflowOutboundMessage": self._outbound_message,
            "Flow": self._flow,
            "CspTrustedSite": self._site,
            "ApexPage": self._page,
            "CustomTab": self._tab,
        }

    def problems(self, component: Component) -> list[str]:
        """Why a component cannot be deployed; nothing when it can."""
        check = self._checks.get(component.type)
        try:
            return list(check(component)) if check else []
        except Wrong as wrong:
            return [str(wrong)]

    # -- what there is or will be

    def has_object(self, name: str) -> bool:
        """A standard object of the org, or a custom one of the org or the package."""
        coming = name.endswith("__c") and ("CustomObject", name.lower()) in self._coming
        return coming or self._org.find(name) is not None

    def _has_field(self, object_name: str, field_name: str) -> bool:
        if ("CustomField", f"{object_name}.{field_name}".lower()) in self._coming:
            return True
        definition = self._org.find(object_name)
        if definition is not None:
            return definition.field(field_name) is not None
        return self.has_object(object_name) and not field_name.endswith("__c")

    def _has(self, kind: str, name: str) -> bool:
        return (kind, name.lower()) in self._coming or deployed(self._org).get(kind, name) is not None

    def _need_fields(self, object_name: str, names: Iterator[str] | list[str]) -> Iterator[str]:
        for name in names:
            if not self._has_field(object_name, name):
                yield f"In field: field - no CustomField named {object_name}.{name} found"

    # -- the types

    def _object(self, component: Component) -> Iterator[str]:
        if component.name.endswith("__c") and self._org.find(component.name) is None:
            object_of(component.name, component.body)
        elif not self.has_object(component.name):
            yield f"no CustomObject named {component.name} found"

    def _field(self, component: Component) -> Iterator[str]:
        owner, _, name = component.name.partition(".")
        if not self.has_object(owner):
            yield f"no CustomObject named {owner} found"
            return
        field = field_of(name, component.body, self.has_object)
        definition = self._org.find(owner)
        known = definition.field(name) if definition else None
        if known is not None and known.type != field.type:
            yield f"Cannot change the type of {component.name} from {known.type} to {field.type}"
        rows = self._org.rows[definition.name].values() if definition else ()
        if known is None and not field.nillable and field.type == "reference" and any(not r.deleted for r in rows):
            yield "Cannot add a required relationship field to an object that has records"

    def _permission_set(self, component: Component) -> Iterator[str]:
        body = component.body
        if not body.get("label"):
            yield "Required field is missing: label"
        for entry in listed(body.get("objectPermissions")):
            if not self.has_object(str(entry.get("object"))):
                yield f"In field: field - no CustomObject named {entry.get('object')} found"
        for entry in listed(body.get("fieldPermissions")):
            yield from self._field_permission(entry)
        for tag, kind, key in _GRANTS:
            for entry in listed(body.get(tag)):
                name = str(entry.get(key))
                if not self._has(kind, name) and not (kind == "CustomTab" and name.startswith("standard-")):
                    yield f"In field: {key} - no {kind} named {name} found"

    def _field_permission(self, entry: Mapping[str, Any]) -> Iterator[str]:
        full = str(entry.get("field"))
        owner, _, name = full.partition(".")
        if not self._has_field(owner, name):
            yield f"In field: field - no CustomField named {full} found"
            return
        definition = self._org.find(owner)
        known = definition.field(name) if definition else None
        if known is not None and not known.governed and known.custom:
            yield f"You cannot deploy to a required field: {full}"
        if truth(entry.get("editable")) and not truth(entry.get("readable")):
            yield f"The user license or permission does not allow edit without read: {full}"

    def _layout(self, component: Component) -> Iterator[str]:
        owner = component.name.partition("-")[0]
        if not self.has_object(owner):
            yield f"Parent entity failed to deploy: {owner}"
            return
        names = [
            str(item["field"])
            for section in listed(component.body.get("layoutSections"))
            for column in listed(section.get("layoutColumns"))
            if isinstance(column, Mapping)
            for item in listed(column.get("layoutItems"))
            if isinstance(item, Mapping) and item.get("field")
        ]
        yield from self._need_fields(owner, names)

    def _quick_action(self, component: Component) -> Iterator[str]:
        owner = component.name.partition(".")[0]
        if not self.has_object(owner):
            yield f"In field: QuickAction - no CustomObject named {owner} found"
            return
        overrides = [str(entry.get("field")) for entry in listed(component.body.get("fieldOverrides"))]
        yield from self._need_fields(owner, overrides)

    def _outbound_message(self, component: Component) -> Iterator[str]:
        body, owner = component.body, component.name.partition(".")[0]
        if not self.has_object(owner):
            yield f"no CustomObject named {owner} found"
            return
        yield from self._need_fields(owner, [str(name) for name in listed(body.get("fields"))])
        address = urlsplit(str(body.get("endpointUrl", "")))
        if address.scheme not in ("http", "https") or not address.hostname:
            yield f"endpointUrl: invalid URL {body.get('endpointUrl')}"
        name = str(body.get("integrationUser", ""))
        if all(str(row.values.get("Username")).lower() != name.lower() for row in self._org.rows["User"].values()):
            yield f"In field: integrationUser - no User named {name} found"

    def _flow(self, component: Component) -> Iterator[str]:
        start = component.body.get("start")
        if not isinstance(start, Mapping):
            yield "Required field is missing: start"
            return
        owner = str(start.get("object", ""))
        if owner and not self.has_object(owner):
            yield f"start: the object {owner} doesn't exist or isn't accessible"
            return
        used = [str(entry.get("field")) for entry in listed(start.get("filters"))]
        used += FORMULA_FIELD.findall(str(start.get("filterFormula", "")))
        if start.get("filterFormula"):
            try:
                parse(str(start["filterFormula"]))
            except FormulaError as wrong:
                yield f"The formula expression is invalid: {wrong}"
        for name in used:
            if not self._has_field(owner, name):
                yield f"The formula expression is invalid: Field {name} does not exist. Check spelling."
        for call in listed(component.body.get("actionCalls")):
            name = str(call.get("actionName"))
            if call.get("actionType") == "outboundMessage" and not self._has("WorkflowOutboundMessage", name):
                yield f"{call.get('name')} (Action): the outbound message {name} can't be found"

    def _site(self, component: Component) -> Iterator[str]:
        address = urlsplit(str(component.body.get("endpointUrl", "")))
        if address.scheme not in ("http", "https", "wss") or not address.hostname:
            yield f"Invalid URL: {component.body.get('endpointUrl')}"

    def _page(self, component: Component) -> Iterator[str]:
        if not component.body.get("label"):
            yield "Required field is missing: label"
        controller = re.search(r'standardController="(\w+)"', str(component.body.get("markup", "")))
        if controller and not self.has_object(controller[1]):
            yield f"Unknown object {controller[1]} in standardController"

    def _tab(self, component: Component) -> Iterator[str]:
        if truth(component.body.get("customObject")) and not self.has_object(component.name):
            yield f"In field: customObject - no CustomObject named {component.name} found"


_GRANTS = (
    ("customPermissions", "CustomPermission", "name"),
    ("tabSettings", "CustomTab", "tab"),
    ("pageAccesses", "ApexPage", "apexPage"),
)
