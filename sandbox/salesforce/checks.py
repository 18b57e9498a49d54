"""The checks every write passes, whatever its object."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from . import errors
from .fields import CURRENCY_NAMES
from .options import Condition, ValidationRule
from .org import Org
from .schema import Choice, FieldDef
from .table import Row, Values
from .write import Write


def required(write: Write) -> None:
    """REQUIRED_FIELD_MISSING for everything that would be empty and may not be."""
    if write.creating:
        missing = [name for name in write.org.plan(write.definition).required if write.values.get(name) is None]
    else:
        fields = write.definition.fields
        missing = [
            name
            for name, value in write.values.items()
            if value is None and not fields[name.lower()].nillable and fields[name.lower()].updateable
        ]
    if missing:
        raise errors.required(missing)


def choices_of(org: Org, field: FieldDef) -> tuple[Choice, ...]:
    """The values of a picklist; those of CurrencyIsoCode are the org's currencies."""
    if field.name in ("CurrencyIsoCode", "DefaultCurrencyIsoCode", "IsoCode"):
        default = org.options.default_currency
        return tuple(
            Choice(code, CURRENCY_NAMES.get(code, code), True, code == default) for code in org.options.currencies
        )
    return field.choices


def picklists(write: Write) -> None:
    """Values in the picklist's own case; those a restricted picklist or the record type does not have are refused."""
    fields = write.org.plan(write.definition).choices
    record_type = write.get("RecordTypeId")
    limits = write.org.record_type_values
    for name, value in write.values.items():
        field = fields.get(name)
        if field is None or value is None:
            continue
        parts = value.split(";") if field.type == "multipicklist" else [value]
        write.values[name] = ";".join(_choice(write.org, field, part) for part in parts)
        if limits and record_type:
            allowed = limits.get((record_type, name))
            if allowed is not None and not allowed.issuperset(write.values[name].split(";")):
                raise errors.bad_choice(field.label, field.name, value)


def _choice(org: Org, field: FieldDef, value: str) -> str:
    wanted = value.casefold()
    for entry in choices_of(org, field):
        if entry.value.casefold() == wanted and (entry.active or not field.restricted):
            return entry.value
    if field.name == "CurrencyIsoCode":
        raise errors.refused("INVALID_CURRENCY_ISO", f"{field.label}: invalid currency ISO code: {value}", field.name)
    if field.restricted:
        raise errors.bad_choice(field.label, field.name, value)
    return value


def references(write: Write) -> None:
    """Every lookup that was set points at a live record of a kind it takes."""
    org = write.org
    plan = org.plan(write.definition).references
    for name, value in write.values.items():
        field = plan.get(name)
        if field is None or value is None:
            continue
        target = org.object_of(value)
        if target is None or target.name not in field.reference_to:
            raise errors.bad_lookup(field.name, value, field.label)
        row = org.rows[target.name].get(value)
        if row is None or value[:15] in org.hidden_from(write.user_id):
            raise errors.hidden_reference(value)
        if row.deleted and value != write.old(name):
            raise errors.cross_reference()


def unique(write: Write) -> None:
    """DUPLICATE_VALUE when another live record has the value of a unique field."""
    table = write.org.table(write.definition.name)
    for name in write.org.plan(write.definition).unique:
        value = write.values.get(name)
        if value is None:
            continue
        for holder in table.holders(name, value):
            if write.row is None or holder != write.row.id:
                raise errors.duplicate_value(name, holder)


def locks(org: Org, row: Row | None, values: Values, references: dict[str, FieldDef]) -> None:
    """UNABLE_TO_LOCK_ROW while somebody else holds the record or a record it points at."""
    if not org.locked:
        return
    held = [] if row is None else [row.id]
    parents = (values.get(name) or (row.values.get(name) if row else None) for name in references)
    held += [record_id for record_id in parents if record_id]
    for record_id in held:
        left = org.locked.get(record_id, 0)
        if left > 0:
            org.locked[record_id] = left - 1
            raise errors.row_lock(record_id)


def access(org: Org, user_id: str | None, object_name: str, row: Row | None) -> None:
    """INSUFFICIENT_ACCESS_OR_READONLY for what the user may only read, ENTITY_IS_LOCKED while the record is in an
    approval process."""
    if user_id is None:
        return
    rules = org.rules
    if object_name in rules.read_only or (row is not None and row.id in rules.read_only):
        raise errors.read_only_record()
    if row is not None and row.id in rules.locks:
        raise errors.refused("ENTITY_IS_LOCKED", "the entity is locked for editing")


def owner(write: Write) -> None:
    """A record cannot be given to an inactive user; one that an inactive user already owns may change."""
    if write.user_id is None or not write.changed("OwnerId"):
        return
    holder = write.org.row(write.values["OwnerId"])
    if holder is not None and not holder.values.get("IsActive"):
        raise errors.refused(
            "INACTIVE_OWNER_OR_USER",
            f"operation performed with inactive user [{holder.id}] as owner of {write.definition.name.lower()}",
            "OwnerId",
        )


def customer_rules(write: Write) -> None:
    """The customer's validation rules and failing triggers."""
    for rule in write.org.rules.validation:
        if rule.object.lower() != write.definition.name.lower() or write.user_id is None:
            continue
        if ("create" if write.creating else "update") in rule.on and all(holds(write, one) for one in rule.conditions):
            raise _refusal(rule)


def _refusal(rule: ValidationRule) -> errors.SfError:
    if rule.trigger:
        return errors.refused("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", rule.message)
    return errors.refused("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.message, *([rule.field] if rule.field else []))


def holds(write: Write, condition: Condition) -> bool:
    """Whether a rule's condition is true of the record as it would be saved."""
    field = write.definition.field(condition.field)
    if field is None:
        return False
    value = write.get(field.name)
    match condition.operator:
        case "blank":
            return value is None
        case "filled":
            return value is not None
        case "changed":
            return write.changed(field.name)
        case "equals":
            return _text(value) == _text(condition.value)
        case "not_equals":
            return _text(value) != _text(condition.value)
        case "matches":
            return value is not None and re.search(str(condition.value), str(value)) is not None
        case _:
            return _compares(value, condition)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return str(Decimal(str(value)).normalize())
    return "" if value is None else str(value).casefold()


def _compares(value: Any, condition: Condition) -> bool:
    if value is None:
        return False
    try:
        found, limit = Decimal(str(value)), Decimal(str(condition.value))
        return found < limit if condition.operator == "less" else found > limit
    except InvalidOperation:
        text, bound = str(value), str(condition.value)
        return text < bound if condition.operator == "less" else text > bound
