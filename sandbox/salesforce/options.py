"""What differs from org to org: identity, features, and the customer's own rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from .ids import full

OBJECT_RIGHTS = {
    "read": "Read",
    "create": "Create",
    "edit": "Edit",
    "delete": "Delete",
    "view_all": "ViewAllRecords",
    "modify_all": "ModifyAllRecords",
}
CRUD = frozenset({"read", "create", "edit", "delete"})


@dataclass(slots=True)
class OrgProfile:
    """Who an org belongs to. ``instance`` is the two letters inside every record id of the org."""

    name: str = "Nordkraft Service AB"
    my_domain: str = "nordkraft"
    instance: str = "Fx"
    is_sandbox: bool = False
    organization_type: str = "Enterprise Edition"
    instance_name: str = "SWE12"
    country: str = "SE"
    locale: str = "sv_SE"
    language: str = "sv"
    time_zone: str = "Europe/Stockholm"


@dataclass(slots=True)
class OrgOptions:
    """Features of an org, switchable while it runs. ``field_security`` off shows every field to everybody;
    ``view_setup`` off lets administrators alone query rights; ``currencies`` are the active ones of a multi-currency
    org."""

    multi_currency: bool = False
    person_accounts: bool = False
    state_country_picklists: bool = True
    orders_enabled: bool = True
    field_security: bool = True
    view_setup: bool = True
    default_currency: str = "SEK"
    currencies: tuple[str, ...] = ("SEK", "EUR", "NOK", "DKK", "USD", "GBP")

    def change(self, settings: Mapping[str, Any]) -> None:
        """Set options by name; ValueError for an unknown one."""
        known = {entry.name for entry in fields(self)}
        for name, value in settings.items():
            if name not in known:
                raise ValueError(f"unknown option {name}; known: {sorted(known)}")
            if name == "currencies":
                self.currencies = tuple(str(code) for code in value)
            elif name == "default_currency":
                self.default_currency = str(value)
            else:
                setattr(self, name, bool(value))


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a rule: ``operator`` is blank, filled, equals, not_equals, matches (a regular expression),
    less, more or changed."""

    field: str
    operator: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """A customer's validation rule: a write after which every condition holds is refused with ``message``. With
    ``trigger`` the refusal is that of failing Apex code instead (CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY)."""

    object: str
    conditions: tuple[Condition, ...]
    message: str
    field: str = ""
    trigger: bool = False
    on: tuple[str, ...] = ("create", "update")


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """Records of ``object`` that agree in all ``fields`` (without case) are duplicates. ``action`` is alert, which
    the duplicate rule header may override, or block."""

    object: str
    fields: tuple[str, ...]
    action: str = "alert"
    name: str = ""
    match_rule: str = ""
    message: str = "Use one of these records?"
    on: tuple[str, ...] = ("create", "update")


@dataclass(frozen=True, slots=True)
class RecordTypeRule:
    """A record type of ``object``; ``values`` limits picklists, ``person`` makes its accounts person accounts."""

    object: str
    developer_name: str
    name: str = ""
    default: bool = False
    person: bool = False
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Rules:
    """The customer's rules, replaced by ``load``; ``Org.configure`` makes new record types and hidden fields count.
    ``locks`` are ids of records in an approval process; ``hidden_fields`` are "Object.Field" that nobody's profile
    shows; ``read_only`` are ids, or names of objects, that users may read and not write; ``object_permissions`` is by
    lower-case object what the profile of integrations may do with it, and the most that a permission set gives."""

    validation: list[ValidationRule] = field(default_factory=list)
    duplicates: list[DuplicateRule] = field(default_factory=list)
    locks: set[str] = field(default_factory=set)
    hidden_fields: set[str] = field(default_factory=set)
    read_only: set[str] = field(default_factory=set)
    record_types: list[RecordTypeRule] = field(default_factory=list)
    object_permissions: dict[str, frozenset[str]] = field(default_factory=dict)

    def load(self, settings: Mapping[str, Any]) -> None:
        """Replace the lists that are named; ValueError for anything else. Their forms:
        validation ``[{object, conditions: [{field, operator, value}], message, field?, trigger?, on?}]``,
        duplicates ``[{object, fields, action?, name?, message?}]``, locks ``[id]``, read_only ``[id or object]``,
        hidden_fields ``["Object.Field"]``, record_types ``[{object, developer_name, name?, default?, person?,
        values?: {field: [value]}}]``, object_permissions ``{object: [read, create, edit, delete, view_all]}``."""
        try:
            for name, value in settings.items():
                if name == "validation":
                    self.validation = [_validation(entry) for entry in value]
                elif name == "duplicates":
                    self.duplicates = [_duplicate(entry) for entry in value]
                elif name == "record_types":
                    self.record_types = [_record_type(entry) for entry in value]
                elif name in ("locks", "read_only"):
                    setattr(self, name, {full(str(entry)) or str(entry) for entry in value})
                elif name == "object_permissions":
                    self.object_permissions = {str(key).lower(): _rights(key, given) for key, given in value.items()}
                elif name == "hidden_fields":
                    self.hidden_fields = {str(entry) for entry in value}
                else:
                    raise ValueError(f"unknown rules {name}")
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"rules not understood: {error}") from error


OPERATORS = ("blank", "filled", "equals", "not_equals", "matches", "less", "more", "changed")


def _validation(entry: Mapping[str, Any]) -> ValidationRule:
    conditions = tuple(
        Condition(str(one["field"]), str(one["operator"]), one.get("value")) for one in entry.get("conditions", ())
    )
    unknown = [one.operator for one in conditions if one.operator not in OPERATORS]
    if unknown:
        raise ValueError(f"unknown operators {unknown}; known: {OPERATORS}")
    return ValidationRule(
        object=str(entry["object"]),
        conditions=conditions,
        message=str(entry["message"]),
        field=str(entry.get("field", "")),
        trigger=bool(entry.get("trigger", False)),
        on=_names(entry.get("on", ("create", "update"))),
    )


def _record_type(entry: Mapping[str, Any]) -> RecordTypeRule:
    return RecordTypeRule(
        object=str(entry["object"]),
        developer_name=str(entry["developer_name"]),
        name=str(entry.get("name", "")),
        default=bool(entry.get("default", False)),
        person=bool(entry.get("person", False)),
        values={str(name): _names(values) for name, values in entry.get("values", {}).items()},
    )


def _duplicate(entry: Mapping[str, Any]) -> DuplicateRule:
    object_name = str(entry["object"])
    return DuplicateRule(
        object=object_name,
        fields=_names(entry["fields"]),
        action=str(entry.get("action", "alert")),
        name=str(entry.get("name") or f"Standard_{object_name}_Duplicate_Rule"),
        match_rule=str(entry.get("match_rule") or f"Standard_{object_name}_Match_Rule_v1_0"),
        message=str(entry.get("message", "Use one of these records?")),
        on=_names(entry.get("on", ("create", "update"))),
    )


def _rights(object_name: str, value: Sequence[Any]) -> frozenset[str]:
    found = frozenset(_names(value))
    if unknown := found - set(OBJECT_RIGHTS):
        raise ValueError(f"unknown rights {sorted(unknown)}; known: {list(OBJECT_RIGHTS)}")
    if found and "read" not in found:
        raise ValueError(f"every right on {object_name} depends on read")
    return found


def _names(value: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(entry) for entry in value)
