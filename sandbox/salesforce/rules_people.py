"""Accounts, contacts and users: record types, computed names, person accounts."""

from __future__ import annotations

from typing import Any

from . import changes, errors
from .org import Org
from .table import Row, Values
from .write import Write

MIRRORED = {  # of a person account → of its hidden contact
    "FirstName": "FirstName",
    "LastName": "LastName",
    "Salutation": "Salutation",
    "PersonEmail": "Email",
    "PersonMobilePhone": "MobilePhone",
    "PersonHomePhone": "HomePhone",
    "PersonTitle": "Title",
    "PersonBirthdate": "Birthdate",
    "Phone": "Phone",
    "Fax": "Fax",
    "OwnerId": "OwnerId",
}


def record_type(write: Write) -> None:
    """The default record type on create, and only active ones of the right object."""
    if "recordtypeid" not in write.definition.fields:
        return
    if write.creating and write.values.get("RecordTypeId") is None:
        default = write.org.default_record_types.get(write.definition.name)
        if default is not None:
            write.values["RecordTypeId"] = default
        return
    wanted = write.values.get("RecordTypeId")
    if wanted is None:
        return
    row = write.org.row(wanted)
    if row is None or row.values.get("SobjectType") != write.definition.name or not row.values.get("IsActive"):
        raise errors.refused(
            "INVALID_CROSS_REFERENCE_KEY", f"Record Type ID: this ID value isn't valid for the user: {wanted}",
            "RecordTypeId",
        )  # fmt: skip


def is_person(write: Write) -> bool:
    """Whether an account is, or will be, a person account: its record type says so."""
    if not write.org.options.person_accounts:
        return False
    row = write.org.row(write.get("RecordTypeId"))
    return row is not None and bool(row.values.get("IsPersonType"))


def full_name(get: Any) -> str | None:
    """First name and last name."""
    return " ".join(part for part in (get("FirstName"), get("LastName")) if part) or None


def prepare_account(write: Write) -> None:
    """A person account takes LastName instead of Name; a business account takes none of the person's fields."""
    if not write.org.options.person_accounts:
        return
    person = is_person(write)
    wrong = [
        name
        for name, value in write.given.items()
        if value not in (None, False) and (name == "Name" if person else _of_person(name))
    ]
    if wrong and write.user_id is not None:
        raise errors.refused(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Account: bad field names on insert/update call: {', '.join(wrong)}",
            *wrong,
        )
    if person:
        write.values["IsPersonAccount"] = True
        if write.get("LastName") is None:
            raise errors.required(["LastName"])
        write.values["Name"] = full_name(write.get)


def _of_person(name: str) -> bool:
    return name in ("FirstName", "LastName", "Salutation") or (name.startswith("Person") and name != "PersonContactId")


def after_account(write: Write, row: Row) -> None:
    """The hidden contact of a person account follows it."""
    if not row.values.get("IsPersonAccount"):
        return
    org, values = write.org, {ours: row.values.get(theirs) for theirs, ours in MIRRORED.items()}
    values["Name"] = row.values["Name"]
    contact = org.row(row.values.get("PersonContactId"))
    if contact is not None:
        changed = {name: value for name, value in values.items() if contact.values.get(name) != value}
        if changed:
            changes.alter(org, contact, changed, write.user_id, write.request)
        return
    contact = _hidden_contact(org, row, values, write.request)
    changes.add(org, contact, write.user_id)
    changes.mirror(org, row, {"PersonContactId": contact.id})


def _hidden_contact(org: Org, account: Row, values: Values, request: int | None) -> Row:
    audit = {
        name: account.values.get(name)
        for name in ("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp")
    }
    record_id = org.ids.new("003")
    held: Values = {
        "Id": record_id,
        **org.plan(org.object("Contact")).defaults,
        **values,
        **audit,
        "IsDeleted": False,
        "AccountId": account.id,
        "IsPersonAccount": True,
    }
    if org.options.multi_currency:
        held["CurrencyIsoCode"] = account.values.get("CurrencyIsoCode")
    return Row("Contact", record_id, held, account.created, request)


def prepare_named(write: Write) -> None:
    """Name of a contact or user."""
    if any(name in write.values for name in ("FirstName", "LastName")):
        write.values["Name"] = full_name(write.get)
