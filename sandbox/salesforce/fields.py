"""Short ways to declare standard fields, and the fields that every object has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .countries import COUNTRY_CHOICES, STATE_CHOICES
from .schema import Choice, FieldDef, ObjectDef, by_name

CURRENCY_NAMES = {
    "SEK": "Swedish Krona",
    "EUR": "Euro",
    "NOK": "Norwegian Krone",
    "DKK": "Danish Krone",
    "USD": "U.S. Dollar",
    "GBP": "British Pound",
}


def label_of(name: str) -> str:
    """``BillingPostalCode`` → ``Billing Postal Code``; ``OwnerId`` → ``Owner ID``."""
    words: list[str] = []
    for letter in name:
        if letter.isupper() or not words:
            words.append(letter)
        else:
            words[-1] += letter
    if len(words) > 1 and words[-1] == "Id":
        words[-1] = "ID"
    return " ".join(words)


def text(name: str, length: int, **more: Any) -> FieldDef:
    """A string."""
    return FieldDef(name, more.pop("label", label_of(name)), more.pop("type", "string"), length, **more)


def area(name: str, length: int, **more: Any) -> FieldDef:
    """A text area."""
    return text(name, length, type="textarea", **more)


def flag(name: str, *, default: bool = False, **more: Any) -> FieldDef:
    """A checkbox: never null."""
    label = more.pop("label", label_of(name))
    return FieldDef(name, label, "boolean", nillable=False, defaulted=True, default=default, **more)


def number(name: str, precision: int, scale: int, kind: str = "double", **more: Any) -> FieldDef:
    """A number with so many digits in all, ``scale`` of them decimals."""
    return FieldDef(name, more.pop("label", label_of(name)), kind, precision=precision, scale=scale, **more)


def money(name: str, scale: int = 2, **more: Any) -> FieldDef:
    """A currency amount."""
    return number(name, 18, scale, "currency", **more)


def whole(name: str, digits: int = 8, **more: Any) -> FieldDef:
    """An integer."""
    return FieldDef(name, more.pop("label", label_of(name)), "int", digits=digits, **more)


def day(name: str, **more: Any) -> FieldDef:
    """A date without time."""
    return FieldDef(name, more.pop("label", label_of(name)), "date", **more)


def moment(name: str, **more: Any) -> FieldDef:
    """A point in time."""
    return FieldDef(name, more.pop("label", label_of(name)), "datetime", **more)


def picklist(name: str, length: int, values: Iterable[str | Choice] = (), **more: Any) -> FieldDef:
    """A picklist; values that are given as text are their own labels."""
    choices = tuple(entry if isinstance(entry, Choice) else Choice(entry) for entry in values)
    return text(name, length, type="picklist", choices=choices, **more)


def reference(name: str, *targets: str, **more: Any) -> FieldDef:
    """A lookup; the relationship is called like the field without ``Id``."""
    relationship = more.pop("relationship", name.removesuffix("Id"))
    label = more.pop("label", label_of(name))
    return FieldDef(name, label, "reference", 18, reference_to=targets, relationship=relationship, **more)


def shown(field: FieldDef) -> FieldDef:
    """The same field, computed by Salesforce and read-only."""
    field.createable = field.updateable = False
    return field


def once(field: FieldDef) -> FieldDef:
    """The same field, writable on create alone."""
    field.updateable = False
    return field


def needed(field: FieldDef) -> FieldDef:
    """The same field, required."""
    field.nillable = False
    return field


def address(stem: str, label: str, **more: Any) -> list[FieldDef]:
    """The parts of an address and their read-only compound; codes exist with state and country picklists."""
    compound = f"{stem}Address"
    lead = f"{label} " if label else ""

    def part(field: FieldDef, when: str = "") -> FieldDef:
        field.label, field.compound = lead + field.label, compound
        field.when = " ".join(filter(None, (when, more.get("when", ""))))
        return field

    codes = "state_country_picklists"
    return [
        part(area(f"{stem}Street", 255, label="Street")),
        part(text(f"{stem}City", 40, label="City")),
        part(text(f"{stem}State", 80, label="State/Province")),
        part(text(f"{stem}PostalCode", 20, label="Zip/Postal Code")),
        part(text(f"{stem}Country", 80, label="Country")),
        part(picklist(f"{stem}StateCode", 10, STATE_CHOICES, label="State/Province Code", restricted=True), codes),
        part(picklist(f"{stem}CountryCode", 10, COUNTRY_CHOICES, label="Country Code", restricted=True), codes),
        part(number(f"{stem}Latitude", 18, 15, label="Latitude")),
        part(number(f"{stem}Longitude", 18, 15, label="Longitude")),
        part(picklist(f"{stem}GeocodeAccuracy", 40, ("Address", "Street", "Zip", "City"), label="Geocode Accuracy")),
        FieldDef(compound, f"{lead}Address", "address", createable=False, updateable=False, when=more.get("when", "")),
    ]


def currency_field(object_label: str, **more: Any) -> FieldDef:
    """CurrencyIsoCode, which exists in multi-currency orgs alone; the org's currencies are its values."""
    return picklist(
        "CurrencyIsoCode",
        3,
        label=f"{object_label} Currency" if object_label else "Currency ISO Code",
        when="multi_currency",
        restricted=True,
        defaulted=True,
        nillable=False,
        **more,
    )


def system_fields(label: str) -> list[FieldDef]:
    """The audit fields and the id that every object has."""
    fixed: dict[str, Any] = {"createable": False, "updateable": False, "nillable": False, "defaulted": True}
    return [
        FieldDef("Id", f"{label} ID", "id", 18, id_lookup=True, **fixed),
        FieldDef("IsDeleted", "Deleted", "boolean", **fixed),
        FieldDef("CreatedDate", "Created Date", "datetime", **fixed),
        reference("CreatedById", "User", label="Created By ID", **fixed),
        FieldDef("LastModifiedDate", "Last Modified Date", "datetime", **fixed),
        reference("LastModifiedById", "User", label="Last Modified By ID", **fixed),
        FieldDef("SystemModstamp", "System Modstamp", "datetime", **fixed),
    ]


def owner() -> FieldDef:
    """OwnerId: the creating user unless another is named."""
    return needed(reference("OwnerId", "User", label="Owner ID", defaulted=True))


def record_type() -> FieldDef:
    """RecordTypeId: the user's default unless another is named."""
    return reference("RecordTypeId", "RecordType", label="Record Type ID")


def table_of(
    name: str, prefix: str, fields: Sequence[FieldDef], *, label: str = "", plural: str = "", **flags: Any
) -> ObjectDef:
    """An object with the system fields around its own."""
    shown_label = label or label_of(name)
    head, *tail = system_fields(shown_label)
    return ObjectDef(
        name, shown_label, plural or f"{shown_label}s", prefix, by_name([head, tail[0], *fields, *tail[1:]]), **flags
    )


def custom_object(
    name: str, label: str, plural: str, *, name_label: str = "", auto_number: str = "", required_name: bool = False
) -> ObjectDef:
    """A custom object as ``Org.add_object`` takes it, without custom fields yet. ``auto_number`` is the display format
    of an automatic name, such as ``INV-{0000}``. The name is not required of the interface: an empty one becomes the
    record id."""
    named = FieldDef("Name", name_label or f"{label} Name", "string", 80, name_field=True, id_lookup=True)
    if auto_number:
        named.auto_number, named.number_format = True, auto_number
        named.createable = named.updateable = False
        named.nillable, named.defaulted = False, True
    else:
        named.nillable = not required_name
    return table_of(name, "", [owner(), named, currency_field(label)], label=label, plural=plural, custom=True)
