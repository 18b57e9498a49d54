"""What is sent, checked against the org's own description before it leaves: names, rights, lengths, options, countries.

Salesforce would refuse most of this too, but in its own words, for a whole call at times, and after we spent it. The
invariants: nothing is shortened but a message of our own; nothing is blanked that was not given as empty; an error
names the field and the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.connector import FieldType, Value
from integrations.errors import InvalidData, Misconfigured, PermissionMissing
from integrations.salesforce import ids, values
from integrations.salesforce.described import Described, Field, hidden

CREATE, UPDATE, UPSERT = "create", "update", "upsert"
SHORTENED = frozenset({"Fortnox_Sync_Message__c"})
"""Texts of our own making for people to read; a long one is cut rather than refused."""
ADDRESSES = ("Billing", "Shipping", "Mailing", "Other", "Person")
CURRENCY = "CurrencyIsoCode"
UNKNOWN_CURRENCY = "INVALID_CURRENCY_ISO"
OWN_CURRENCY: Mapping[str, str] = {"Fortnox_Invoice__c": "Invoice_Currency__c"}
"""The field of ours that says which currency an object's amounts are in; Salesforce takes them for that too."""
SYNCED_AT = "Fortnox_Synced_At__c"
"""When we last wrote a record, where our package gave its object that field."""
FIRST_SEEN: Mapping[str, tuple[str, str]] = {"Fortnox_Invoice__c": ("Voucher__c", "Booked_At__c")}
"""(what is written once something has happened, when we saw that): Fortnox does not say when an invoice was booked."""
OF_SOME_ORGS = frozenset({CURRENCY, *(f"{prefix}{part}Code" for prefix in ADDRESSES for part in ("Country", "State"))})
"""Fields that a write may name though the org lacks them: they are said in another way there, or need not be said."""
RECORD_TYPE = "RecordTypeId"
_EMAIL = re.compile(r"[^@\s,;<>()]{1,64}@[^@\s,;<>()]{1,190}\.[^@\s,;<>().]{2,}")

RecordTypes = Callable[[str], Mapping[str, str]]
"""(object) → ids of its record types by developer name."""


class Outgoing:
    """Makes bodies for one org. `currency` is the org's own, "" when nobody knows it."""

    def __init__(self, currency: str, record_types: RecordTypes) -> None:
        self.currency = currency
        self.record_types = record_types

    def body(self, described: Described, fields: Mapping[str, Value], action: str) -> dict[str, Any]:
        """The JSON fields of one record. Raises `InvalidData` or `Misconfigured` for the first that cannot be sent."""
        given = dict(fields)
        self._currency(described, given)
        _addresses(described, given)
        _person(described, given)
        _moments(described, given)
        body: dict[str, Any] = {}
        for name, value in given.items():
            field = described.fields.get(name)
            if field is None:
                raise hidden(described.name, name)
            _writable(described, name, field, action)
            if name == RECORD_TYPE and value and not ids.is_id(str(value)):
                body[name] = self._record_type(described, str(value))
            else:
                body[name] = wire(name, field, value)
        return body

    def _currency(self, described: Described, given: dict[str, Value]) -> None:
        """An org with one currency has no field for it; a record in another one must not become one in that."""
        if CURRENCY in described.fields and (own := given.get(OWN_CURRENCY.get(described.name, ""))):
            given.setdefault(CURRENCY, own)  # else the amounts would be in the org's default currency
        if CURRENCY not in given or CURRENCY in described.fields:
            return
        code = str(given.pop(CURRENCY) or "")
        if code and self.currency and code.upper() != self.currency.upper():
            raise Misconfigured(
                f"The org has one currency, {self.currency}; a record in {code} cannot be written",
                code=UNKNOWN_CURRENCY,
                field=CURRENCY,
                value=code,
            )

    def _record_type(self, described: Described, developer_name: str) -> str:
        known = self.record_types(described.name)
        if developer_name not in known:
            raise Misconfigured(
                f"{described.name} has no active record type {developer_name!r}; it has {', '.join(known) or 'none'}",
                code="record_type",
                field=RECORD_TYPE,
                value=developer_name,
            )
        return known[developer_name]


def require_right(described: Described, action: str) -> None:
    """Raise `PermissionMissing` when our user may not do this to any record of the object: every field would look as
    if it could not be written, and none of them is to blame."""
    allowed = {CREATE: described.createable, UPDATE: described.updateable}
    if not allowed.get(action, described.createable or described.updateable):
        right = "Edit" if action == UPDATE else "Create"
        text = f"The integration user lacks the right “{right}” on the object {described.name}"
        raise PermissionMissing(text, code="object_right", value=described.name)


def _writable(described: Described, name: str, field: Field, action: str) -> None:
    allowed = {
        CREATE: field.createable,
        UPDATE: field.updateable,
        UPSERT: field.createable or field.updateable,  # only Salesforce knows which of the two it will be
    }[action]
    if not allowed:
        text = f"{described.name}.{name} cannot be written on {action}: Salesforce computes it, or our user may not"
        raise Misconfigured(text, code="INVALID_FIELD_FOR_INSERT_UPDATE", field=name)


# --- Features of an org ---------------------------------------------------------------------------------------


def _addresses(described: Described, given: dict[str, Value]) -> None:
    """Countries and states by code where the org picks them from lists, as text where it does not.

    The text of a state is left out where the org's list has no such state: most countries, Sweden among them, have
    none, and Salesforce would refuse the record.
    """
    for prefix in ADDRESSES:
        for part in ("Country", "State"):
            text_name, code_name = f"{prefix}{part}", f"{prefix}{part}Code"
            listed = described.fields.get(code_name)
            if listed is None:
                if code_name in given and text_name in described.fields:
                    code = given.pop(code_name)
                    given.setdefault(text_name, code)
                continue
            if text_name not in given:
                continue
            text = given.pop(text_name)
            if code_name not in given:
                code = _code_of(listed, str(text or ""))
                if text and not code and part == "Country":
                    raise InvalidData(
                        f"{text!r} is not in the org's list of countries",
                        code="country_picklist",
                        field=text_name,
                        value=str(text),
                    )
                if code or not text:
                    given[code_name] = code or None


def _code_of(listed: Field, text: str) -> str:
    """The code of a country or state, which may be given as its code or name; "" for one that is not in the list."""
    plain = text.strip().casefold()
    options = listed.schema.options
    by_code = next((o.value for o in options if o.value.casefold() == plain), "")
    return by_code or next((o.value for o in options if o.label.casefold() == plain), "") if plain else ""


def _person(described: Described, given: dict[str, Value]) -> None:
    """A person account's name is put together by Salesforce from first and last name."""
    if "IsPersonAccount" in described.fields and given.get("LastName"):
        given.pop("Name", None)


def _moments(described: Described, given: dict[str, Value]) -> None:
    """What only the moment of writing says. Only changed fields are written, so what is written was seen just now."""
    happened, seen_at = FIRST_SEEN.get(described.name, ("", ""))
    names = ([SYNCED_AT] if given else []) + ([seen_at] if given.get(happened) else [])
    for name in names:
        field = described.fields.get(name)
        if field is not None and field.createable and field.updateable:
            given.setdefault(name, datetime.now(UTC))


def as_person(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of an account that turned out to be a person: the last word of its name is the last name."""
    first, _, last = str(body.get("Name") or "").strip().rpartition(" ")
    rest = {name: value for name, value in body.items() if name != "Name"}
    return rest | ({"FirstName": first} if first else {}) | {"LastName": last}


# --- Values ---------------------------------------------------------------------------------------------------


def wire(name: str, field: Field, value: Value) -> str | int | float | bool | None:
    """The JSON value for a field, None to clear it. A checkbox cannot be empty: it is cleared to false."""
    if value is None or (isinstance(value, str) and not value.strip()):
        if field.kind is FieldType.BOOLEAN:
            return False
        if not field.nillable:
            raise InvalidData(f"{name} must not be empty", code="REQUIRED_FIELD_MISSING", field=name)
        return None
    if field.type == "reference":
        return _reference(name, str(value))
    try:
        typed = _typed(field.kind, value)
    except (ValueError, InvalidOperation):
        text = f"{str(value)[:80]!r} is not a {field.kind}"
        raise InvalidData(text, code="wrong_type", field=name, value=str(value)) from None
    if isinstance(typed, Decimal):
        _in_range(name, field, typed)
    return _text(name, field, typed) if isinstance(typed, str) else values.wire(name, typed)


def _typed(kind: FieldType, value: Value) -> Value:
    """The value as the type of its field. Raises `ValueError` or `InvalidOperation` for one that is none."""
    match kind:
        case FieldType.NUMBER:
            if isinstance(value, bool | date):
                raise ValueError(value)
            number = value if isinstance(value, Decimal) else Decimal(str(value))
            if not number.is_finite():
                raise ValueError(value)
            return number
        case FieldType.BOOLEAN:
            if not isinstance(value, bool) and str(value).lower() not in ("true", "false"):
                raise ValueError(value)
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case FieldType.DATE:
            if isinstance(value, datetime):
                raise ValueError(value)
            return value if isinstance(value, date) else date.fromisoformat(str(value))
        case FieldType.DATETIME:
            return value if isinstance(value, datetime) else values.moment(str(value))
        case _:
            return values.spelled("", value)


def _reference(name: str, value: str) -> str:
    try:
        return ids.checked(value)
    except InvalidData as error:
        error.field = name
        raise


def _in_range(name: str, field: Field, number: Decimal) -> None:
    """Salesforce keeps so many digits before the point; what is too many behind it, it rounds."""
    whole = field.precision - (field.schema.decimals or 0)
    if field.precision and number and number.adjusted() >= whole:
        text = f"{name}: {number:f} has more than {whole} digits before the decimal point"
        raise InvalidData(text, code="NUMBER_OUTSIDE_VALID_RANGE", field=name, value=f"{number:f}")


def _text(name: str, field: Field, text: str) -> str:
    schema = field.schema
    if field.restricted and field.kind is FieldType.ENUM:
        return _option(name, field, text)
    if field.type == "email" and not _EMAIL.fullmatch(text.strip()):
        raise InvalidData(f"{text[:80]!r} is no email address", code="INVALID_EMAIL_ADDRESS", field=name, value=text)
    if schema.max_length and len(text) > schema.max_length:
        if name in SHORTENED:
            return text[: schema.max_length - 1] + "…"
        raise InvalidData(
            f"{schema.label}: {len(text)} characters, {schema.max_length} fit",
            code="STRING_TOO_LONG",
            field=name,
            value=text,
        )
    return text


def _option(name: str, field: Field, text: str) -> str:
    """The option as the org spells it."""
    options = [option.value for option in field.schema.options]
    found = text if text in options else next((o for o in options if o.casefold() == text.strip().casefold()), None)
    if found is None and name == CURRENCY:
        raise Misconfigured(
            f"The org's currencies are {', '.join(options)[:300]}; a record in {text[:80]} cannot be written",
            code=UNKNOWN_CURRENCY,
            field=name,
            value=text,
        )
    if found is None:
        raise InvalidData(
            f"{field.schema.label}: {text[:80]!r} is not among {', '.join(options)[:300]}",
            code="INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            field=name,
            value=text,
        )
    return found
