"""What a write to one object must look at, worked out once per schema so that each write stays cheap."""

from __future__ import annotations

from dataclasses import dataclass

from .options import OrgOptions
from .schema import FieldDef, ObjectDef, of_options
from .table import Values


@dataclass(frozen=True, slots=True)
class Plan:
    """Derived from an ObjectDef and the org's options."""

    defaults: Values  # what a new record holds where nothing was said
    required: tuple[str, ...]
    unique: tuple[str, ...]
    references: dict[str, FieldDef]  # by canonical name, without those to users who wrote the record
    choices: dict[str, FieldDef]  # picklists whose values are checked
    numbers: tuple[FieldDef, ...]  # automatic numbers
    relationships: dict[str, FieldDef]  # parent lookups by lower-case relationship name
    address_stems: tuple[str, ...]  # "Billing", "Shipping": addresses with state and country picklists
    multi_currency: bool


AUDIT = frozenset({"CreatedById", "LastModifiedById"})


def make_plan(definition: ObjectDef, options: OrgOptions) -> Plan:
    """The plan of an object in an org with these options."""
    fields = [field for field in definition.fields.values() if of_options(options, field.when)]
    return Plan(
        defaults=_defaults(fields),
        required=tuple(field.name for field in fields if field.required),
        unique=tuple(field.name for field in fields if field.unique),
        references={field.name: field for field in fields if field.type == "reference" and field.name not in AUDIT},
        choices={field.name: field for field in fields if field.type in ("picklist", "multipicklist")},
        numbers=tuple(field for field in fields if field.auto_number),
        relationships={field.relationship.lower(): field for field in fields if field.relationship},
        address_stems=tuple(
            field.name.removesuffix("Address")
            for field in fields
            if field.type == "address"
            and f"{field.name.removesuffix('Address')}CountryCode".lower() in definition.fields
        )
        if options.state_country_picklists
        else (),
        multi_currency=options.multi_currency and "currencyisocode" in definition.fields,
    )


def _defaults(fields: list[FieldDef]) -> Values:
    found: Values = {}
    for field in fields:
        chosen = next((choice.value for choice in field.choices if choice.default), None)
        if field.default is not None:
            found[field.name] = field.default
        elif field.type == "boolean":
            found[field.name] = False
        elif chosen is not None:
            found[field.name] = chosen
    return found
