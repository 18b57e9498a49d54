"""The properties interface: definitions and groups, one object type at a time. Setup calls must be repeatable,
so the conflicts are as telling as the real ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from . import errors
from .batch import envelope
from .call import Answer, Call, kind_of, unknown_path, wrong_method
from .definitions import FIELD_TYPES, UNIQUE_LIMIT, Definition, Group, Option
from .errors import ApiError
from .kinds import Kind
from .render import definitions_json
from .shape import objects, whole

NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
SIZE = 100
USER = "9274996"


def route(call: Call) -> Answer:
    """``/crm/properties/{version}/{type}[/…]``."""
    kind = kind_of(call.parts[0])
    call.need(kind.schema_scopes("read" if _reads(call) else "write"))
    match (call.method, *call.parts[1:]):
        case ("GET",):
            return listing(call, kind)
        case ("POST",):
            return Answer(201, create(call, kind, call.json()).to_json())
        case "POST", "batch", action if action in _BATCHES:
            return _BATCHES[action](call, kind)
        case _, "groups", *rest if len(rest) <= 1:
            return _groups(call, kind, rest[0] if rest else None)
        case "GET", name:
            return Answer(200, _one(call, kind, name, call.flag("archived")).to_json())
        case "PATCH", name:
            return Answer(200, update(call, kind, name).to_json())
        case "DELETE", name:
            return archive(call, kind, name)
        case _, *rest if len(rest) <= 1:
            raise wrong_method()
    raise unknown_path()


def _reads(call: Call) -> bool:
    return call.method == "GET" or call.parts[1:] == ("batch", "read")


def listing(call: Call, kind: Kind) -> Answer:
    """Every property, without paging; sensitive ones would be a list of their own and there are none."""
    schema = call.portal.schema(kind)
    chosen = schema.archived if call.flag("archived") else schema.active
    if call.query.get("dataSensitivity", "non_sensitive") != "non_sensitive":
        return Answer(200, {"results": []})
    return Answer(200, {"results": definitions_json(chosen.values())})


def create(call: Call, kind: Kind, body: Mapping[str, Any]) -> Definition:
    """A custom property. The name of an archived one restores it."""
    needed = ("name", "label", "type", "fieldType", "groupName")
    missing = [name for name in needed if not body.get(name)]
    name = str(body.get("name", ""))
    schema = call.portal.schema(kind)
    if name in schema.active:
        text = f"A property named '{name}' already exists."
        raise errors.exists(text, "Properties.PROPERTY_WITH_NAME_EXISTS", name)
    if missing:
        raise errors.bad_json(
            f"Cannot build PropertyCreate, some of required attributes are not set [{', '.join(missing)}]"
        )
    _check(call, kind, body)
    definition = Definition(
        name=name,
        label=str(body["label"]),
        type=str(body["type"]),
        field_type=str(body["fieldType"]),
        group=str(body["groupName"]),
        options=_options(body),
        description=str(body.get("description") or ""),
        unique=bool(body.get("hasUniqueValue")),
        calculated=body["fieldType"] == "calculation_equation",
        hidden=bool(body.get("hidden")),
        form_field=bool(body.get("formField")),
        order=whole(body, "displayOrder", -1),
        created=call.moment,
        updated=call.moment,
        user_id=USER,
    )
    schema.add(definition)
    if definition.unique:
        call.portal.store(kind).index(name)
    return definition


def _check(call: Call, kind: Kind, body: Mapping[str, Any]) -> None:
    name, type_name, field_type = str(body["name"]), str(body["type"]), str(body["fieldType"])
    schema = call.portal.schema(kind)
    if not NAME.fullmatch(name):
        raise _refused(
            f"Property name '{name}' is invalid: names are lower-case letters, digits and underscores, and begin "
            "with a letter",
            "INVALID_PROPERTY_NAME",
        )
    if type_name not in FIELD_TYPES:
        raise errors.bad_json(f'Cannot deserialize value of type `TypeEnum` from String "{type_name}"')
    if field_type not in FIELD_TYPES[type_name]:
        text = f"Field type '{field_type}' is not valid for property type '{type_name}'"
        raise _refused(text, "INVALID_FIELD_TYPE")
    if str(body["groupName"]) not in schema.groups:
        raise _refused(f"Property group '{body['groupName']}' does not exist", "PROPERTY_GROUP_NOT_FOUND")
    if body.get("hasUniqueValue"):
        if type_name not in ("string", "number") or field_type not in ("text", "number"):
            raise _refused("Only single-line text and number properties can be unique", "INVALID_UNIQUE_TYPE")
        if len(schema.unique_names()) >= UNIQUE_LIMIT:
            text = f"The maximum of {UNIQUE_LIMIT} unique properties for {kind.plural} has been reached"
            raise _refused(text, "UNIQUE_PROPERTY_LIMIT_REACHED")
    if type_name == "enumeration" and field_type != "calculation_equation" and not body.get("options"):
        raise _refused("Enumeration properties need options", "OPTIONS_REQUIRED")


def _refused(text: str, code: str) -> ApiError:
    return errors.invalid(text, subCategory=f"PropertyValidationError.{code}")


def _options(body: Mapping[str, Any]) -> list[Option]:
    given = objects(body, "options")
    if not given and body.get("type") == "bool":
        return [Option("true", "Yes", 0), Option("false", "No", 1)]
    options: list[Option] = []
    for order, entry in enumerate(given):
        if "label" not in entry or "value" not in entry:
            raise errors.bad_json("Cannot build OptionInput, some of required attributes are not set [label, value]")
        value = str(entry["value"])
        if any(option.value == value for option in options):
            raise _refused(f"Option values must be unique, got '{value}' twice", "DUPLICATE_OPTION")
        shown = whole(entry, "displayOrder", order)
        options.append(Option(value, str(entry["label"]), shown, bool(entry.get("hidden")), entry.get("description")))
    return options


def update(call: Call, kind: Kind, name: str) -> Definition:
    """Change a definition. ``options`` replaces the whole list; uniqueness and the name cannot be changed."""
    definition = _one(call, kind, name, archived=False)
    body = call.json()
    if definition.standard and set(body) - {"options", "displayOrder", "hidden", "groupName"}:
        raise _refused(f"Property '{name}' is defined by HubSpot and cannot be changed", "READ_ONLY_DEFINITION")
    if "groupName" in body and body["groupName"] not in call.portal.schema(kind).groups:
        raise _refused(f"Property group '{body['groupName']}' does not exist", "PROPERTY_GROUP_NOT_FOUND")
    type_name = str(body.get("type", definition.type))
    field_type = str(body.get("fieldType", definition.field_type))
    if field_type not in FIELD_TYPES.get(type_name, set()):
        text = f"Field type '{field_type}' is not valid for property type '{type_name}'"
        raise _refused(text, "INVALID_FIELD_TYPE")
    definition.type, definition.field_type = type_name, field_type
    definition.label = str(body.get("label", definition.label))
    definition.description = str(body.get("description", definition.description))
    definition.group = str(body.get("groupName", definition.group))
    definition.order = whole(body, "displayOrder", definition.order)
    definition.hidden = bool(body.get("hidden", definition.hidden))
    definition.form_field = bool(body.get("formField", definition.form_field))
    if "options" in body:
        definition.set_options(_options(body))
    definition.updated = call.moment
    return definition


def archive(call: Call, kind: Kind, name: str) -> Answer:
    """Into the bin; HubSpot's own properties and those in use stay."""
    definition = call.portal.schema(kind).active.get(name)
    if definition is None:
        raise _unknown(name)
    _archive(call, kind, definition)
    return Answer(204)


def _archive(call: Call, kind: Kind, definition: Definition) -> None:
    if definition.standard:
        raise _refused(f"Property '{definition.name}' is defined by HubSpot", "CANNOT_DELETE_HUBSPOT_DEFINED")
    if any(definition.name in pair for pair in call.portal.conditional.get(kind.type_id, ())):
        text = f"Property '{definition.name}' is in use and cannot be deleted"
        raise _refused(text, "CANNOT_DELETE_PROPERTY_IN_USE")
    call.portal.schema(kind).archive(definition.name, call.moment)
    call.portal.store(kind).unique.pop(definition.name, None)


def _one(call: Call, kind: Kind, name: str, archived: bool) -> Definition:
    schema = call.portal.schema(kind)
    definition = (schema.archived if archived else schema.active).get(name)
    if definition is None:
        raise _unknown(name)
    return definition


def _unknown(name: str) -> ApiError:
    return errors.not_found(f"The property named '{name}' does not exist.", context={"name": [name]})


def _batch_create(call: Call, kind: Kind) -> Answer:
    """Each definition stands alone: conflicts are reported beside what was created."""
    results: list[Any] = []
    failures: list[Any] = []
    for entry in call.inputs(SIZE):
        try:
            results.append(create(call, kind, entry).to_json())
        except ApiError as error:
            failures.append(error.entry(name=[str(entry.get("name", ""))]))
    return envelope(call, results, failures, 201)


def _batch_read(call: Call, kind: Kind) -> Answer:
    schema = call.portal.schema(kind)
    chosen = schema.archived if call.json().get("archived") else schema.active
    results: list[Any] = []
    failures: list[Any] = []
    for entry in call.inputs(SIZE):
        name = str(entry.get("name", ""))
        if name in chosen:
            results.append(chosen[name].to_json())
        else:
            failures.append(_unknown(name).entry())
    return envelope(call, results, failures)


def _batch_archive(call: Call, kind: Kind) -> Answer:
    schema = call.portal.schema(kind)
    for entry in call.inputs(SIZE):
        definition = schema.active.get(str(entry.get("name", "")))
        if definition is not None:
            _archive(call, kind, definition)
    return Answer(204)


_BATCHES: dict[str, Callable[[Call, Kind], Answer]] = {
    "create": _batch_create,
    "read": _batch_read,
    "archive": _batch_archive,
}


def _groups(call: Call, kind: Kind, name: str | None) -> Answer:
    groups = call.portal.schema(kind).groups
    if name is None:
        if call.method == "GET":
            return Answer(200, {"results": [group.to_json() for group in groups.values()]})
        if call.method == "POST":
            return Answer(201, _create_group(call, groups).to_json())
        raise wrong_method()
    group = groups.get(name)
    if group is None:
        raise errors.not_found(f"The property group named '{name}' does not exist.", context={"name": [name]})
    if call.method == "PATCH":
        body = call.json()
        group.label = str(body.get("label", group.label))
        group.order = whole(body, "displayOrder", group.order)
    elif call.method == "DELETE":
        _delete_group(call, kind, name)
        return Answer(204)
    elif call.method != "GET":
        raise wrong_method()
    return Answer(200, group.to_json())


def _create_group(call: Call, groups: dict[str, Group]) -> Group:
    body = call.json()
    missing = [key for key in ("name", "label") if not body.get(key)]
    if missing:
        raise errors.bad_json(
            f"Cannot build PropertyGroupCreate, some of required attributes are not set [{', '.join(missing)}]"
        )
    name = str(body["name"])
    if name in groups:
        text = f"A property group named '{name}' already exists."
        raise errors.exists(text, "PropertyGroupError.GROUP_WITH_NAME_EXISTS", name)
    groups[name] = Group(name, str(body["label"]), whole(body, "displayOrder", -1))
    return groups[name]


def _delete_group(call: Call, kind: Kind, name: str) -> None:
    schema = call.portal.schema(kind)
    if any(definition.group == name for definition in schema.active.values()):
        raise errors.invalid(
            f"Property group '{name}' has active properties and cannot be deleted",
            subCategory="PropertyGroupError.GROUP_WITH_ACTIVE_PROPERTIES",
        )
    del schema.groups[name]
