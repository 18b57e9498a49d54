"""What an administrator's switch does to the records that are there: currencies, codes of places, record types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .countries import BY_NAME
from .furniture import place, place_account_types, place_currencies
from .schema import ObjectDef
from .table import Values

if TYPE_CHECKING:
    from .org import Org


def apply(org: Org) -> None:
    """Bring rows in line with the options and rules as they are now; done again it changes nothing."""
    place_currencies(org)
    place_account_types(org)
    _record_types(org)
    org.object_rights.settle()
    for definition in org.objects.values():
        _complete(org, definition)


def _complete(org: Org, definition: ObjectDef) -> None:
    """Records get the org's currency when several are switched on, and country codes with the picklists."""
    plan = org.plan(definition)
    table = org.table(definition.name)
    for row in table.rows.values():
        values: Values = {}
        if plan.multi_currency and row.values.get("CurrencyIsoCode") is None:
            values["CurrencyIsoCode"] = org.options.default_currency
        for stem in plan.address_stems:
            country = row.values.get(f"{stem}Country")
            if country is not None and row.values.get(f"{stem}CountryCode") is None:
                values[f"{stem}CountryCode"] = BY_NAME.get(country.casefold())
        if values:
            table.change(row, values)


def _record_types(org: Org) -> None:
    """The record types the rules name, with their picklist values and defaults."""
    org.record_type_values, org.default_record_types = {}, {}
    known = {
        (row.values["SobjectType"], row.values["DeveloperName"]): row.id for row in org.rows["RecordType"].values()
    }
    for kind in org.rules.record_types:
        definition = org.object(kind.object)
        record_id = known.get((definition.name, kind.developer_name))
        if record_id is None:
            values = {
                "Name": kind.name or kind.developer_name,
                "DeveloperName": kind.developer_name,
                "SobjectType": definition.name,
                "IsActive": True,
                "IsPersonType": kind.person,
            }
            record_id = place(org, "RecordType", values).id
        if kind.default:
            org.default_record_types[definition.name] = record_id
        for name, allowed in kind.values.items():
            field = definition.field(name)
            if field is not None:
                org.record_type_values[record_id, field.name] = frozenset(allowed)
