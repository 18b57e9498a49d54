"""What a portal's objects look like, asked of the portal: its properties, currencies and pipelines.

Types are kept per process for a while, because every page of values needs them and they hardly change; a property
that is not known yet is asked for at once. The invariant: a field is writable only if HubSpot says that its value is
neither read-only nor calculated.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from integrations.connector import FieldSchema, FieldType, ObjectSchema, Option
from integrations.errors import PermissionMissing
from integrations.hubspot.client import HubSpot
from integrations.hubspot.values import Types

KINDS: Mapping[str, FieldType] = {
    "number": FieldType.NUMBER,
    "bool": FieldType.BOOLEAN,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "enumeration": FieldType.ENUM,
}
PARTS: Mapping[str, tuple[str, ...]] = {"deal": ("company", "contact")}
LINES: Mapping[str, str] = {"deal": "line"}
LABELS = {"company": "Company", "contact": "Contact", "deal": "Deal", "product": "Product", "line_item": "Line item"}
BASIC_FIELDS: Mapping[str, Mapping[str, str]] = {
    "company": {"name": "Company name", "domain": "Company domain name"},
    "contact": {"firstname": "First name", "lastname": "Last name", "email": "Email", "phone": "Phone number"},
}
TITLES = {"company": "name", "contact": "email", "deal": "dealname", "product": "name", "line_item": "name"}
MAX_LENGTH = 65_536
TTL = 600.0

_known: dict[tuple[str, str, str], tuple[float, Types, frozenset[str]]] = {}


def clear_cache() -> None:
    """Forget what the portals said about their properties."""
    _known.clear()


class Properties:
    """The property types of one portal."""

    def __init__(self, client: HubSpot) -> None:
        self.client = client
        account = client.api.account
        self._portal = (account.api_url, account.remote_id)

    def _load(self, name: str, needed: Iterable[str]) -> tuple[float, Types, frozenset[str]]:
        key = (*self._portal, name)
        entry = _known.get(key)
        age = time.monotonic() - entry[0] if entry else TTL
        unknown = entry is not None and any(property_name not in entry[1] for property_name in needed)
        # A name that stays unknown (a typo in a mapping) must not cost a call a page.
        if entry is None or age >= TTL or (unknown and age > 5):
            rows = self._listed(name)
            types = {str(row["name"]): KINDS.get(str(row.get("type")), FieldType.STRING) for row in rows}
            unique = frozenset(str(row["name"]) for row in rows if row.get("hasUniqueValue"))
            entry = _known[key] = (time.monotonic(), types, unique)
        return entry

    def _listed(self, name: str) -> list[Mapping[str, Any]]:
        """The property list; of an object whose list we may not see, the documented basic ones, which are text."""
        try:
            return list(self.client.properties(name))
        except PermissionMissing:
            if name not in BASIC_FIELDS:
                raise
            return [{"name": field, "type": "string"} for field in BASIC_FIELDS[name]]

    def types(self, name: str, needed: Iterable[str] = ()) -> Types:
        """The type of each property of an object; `needed` are names that should be among them."""
        return self._load(name, needed)[1]

    def unique(self, name: str, needed: Iterable[str] = ()) -> frozenset[str]:
        """The properties that identify a record: those made with `hasUniqueValue`."""
        return self._load(name, needed)[2]


def field_schema(row: Mapping[str, Any]) -> FieldSchema:
    """One property as HubSpot describes it."""
    metadata = row.get("modificationMetadata") or {}
    kind = KINDS.get(str(row.get("type")), FieldType.STRING)
    options = [
        Option(str(o.get("value")), str(o.get("label") or o.get("value")))
        for o in row.get("options") or []
        if not o.get("hidden")
    ]
    return FieldSchema(
        name=str(row["name"]),
        label=str(row.get("label") or row["name"]),
        type=kind,
        max_length=MAX_LENGTH if kind is FieldType.STRING else None,
        writable=not metadata.get("readOnlyValue") and not row.get("calculated"),
        unique=bool(row.get("hasUniqueValue")),
        options=tuple(options) if kind is FieldType.ENUM else (),
    )


def describe(client: HubSpot, name: str) -> ObjectSchema:
    """The schema of an object with its parts, and for deals the currencies and pipelines that may be used."""
    fields = {schema.name: schema for schema in map(field_schema, client.properties(name))}
    currency = ""
    if name == "deal":
        options = _deal_options(client, fields)
        fields |= options
        # The account's own currency comes first; deals of a portal with one currency do not name theirs.
        currency = next((option.value for option in options["deal_currency_code"].options), "")
    parts = {part: _part(client, part) for part in PARTS.get(name, ())}
    if line := LINES.get(name, ""):
        parts[line] = {schema.name: schema for schema in map(field_schema, client.properties("line_item"))}
    return ObjectSchema(
        system="hubspot",
        name=name,
        label=LABELS[name],
        key="hs_object_id",
        fields=fields,
        parts=parts,
        lines=line,
        title=TITLES[name],
        currency=currency,
    )


def _part(client: HubSpot, part: str) -> dict[str, FieldSchema]:
    """The fields of a related object. HubSpot's suggested scopes let us read contacts but not their property list:
    then it is the documented basic properties, which every portal has."""
    try:
        return {schema.name: schema for schema in map(field_schema, client.properties(part))}
    except PermissionMissing:
        return {name: FieldSchema(name, label, writable=False) for name, label in BASIC_FIELDS[part].items()}


def _deal_options(client: HubSpot, fields: Mapping[str, FieldSchema]) -> dict[str, FieldSchema]:
    """The effective currencies come from the account: the property may not exist when it has only one."""
    account = client.account()
    codes = [str(account.get("companyCurrency") or ""), *map(str, account.get("additionalCurrencies") or [])]
    pipelines = client.pipelines("deal")
    stages = [
        Option(str(stage.get("id")), f"{pipeline.get('label')}: {stage.get('label')}")
        for pipeline in pipelines
        for stage in pipeline.get("stages") or []
    ]
    given = {
        "deal_currency_code": [Option(code, code) for code in codes if code],
        "pipeline": [Option(str(p.get("id")), str(p.get("label"))) for p in pipelines],
        "dealstage": stages,
    }
    return {name: _with_options(name, fields.get(name), options) for name, options in given.items()}


def _with_options(name: str, known: FieldSchema | None, options: list[Option]) -> FieldSchema:
    return FieldSchema(
        name=name,
        label=known.label if known else name,
        type=FieldType.ENUM,
        writable=known.writable if known else True,
        options=tuple(options),
    )
