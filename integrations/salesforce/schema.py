"""What an org's objects look like to the rest of Ledgerbridge: their own fields, their parts and their lines.

Everything is asked of the org, because every org is different: features may be off, fields added, hidden or required.
The invariant: what this says can be read, and `writable` fields can be written by our user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from integrations.connector import FieldSchema, FieldType, ObjectSchema
from integrations.errors import Misconfigured
from integrations.salesforce.client import SYSTEM, Salesforce
from integrations.salesforce.described import Catalogue, Described, Field, clear_cache, hidden
from integrations.salesforce.layouts import (
    KNOWN,
    LINE,
    PRODUCT,
    PRODUCT_FIELD,
    ROLES,
    Layout,
    Lines,
    layout_of,
    layouts_of,
)
from integrations.salesforce.outgoing import ADDRESSES

__all__ = ["Objects", "Part", "clear_cache", "hidden"]

# What a lookup that may point at users or queues lets us read of either (Salesforce's object reference, Name).
NAME_FIELDS = frozenset(
    {"Id", "Name", "FirstName", "LastName", "Email", "Phone", "Title", "Alias", "Username", "IsActive"}
)
DERIVED: Mapping[str, FieldSchema] = {
    "price": FieldSchema("price", "Standard price", FieldType.NUMBER, decimals=2, derived=True),
    "currency": FieldSchema("currency", "Currency of the price", max_length=3, derived=True),
    "price_book": FieldSchema("price_book", "Second price book (name)", max_length=255, derived=True),
}
"""Fields of a product that are entries of price books: read with the product, written by `prices`."""
SAID_OTHERWISE: Mapping[str, tuple[str, FieldSchema]] = {
    "currency": (
        "CurrencyIsoCode",
        FieldSchema("currency", "Currency, else the org's own", max_length=3, writable=False, derived=True),
    ),
    "is_person": (
        "IsPersonAccount",
        FieldSchema("is_person", "Is a person", FieldType.BOOLEAN, writable=False, derived=True),
    ),
    "person_email": (
        "PersonEmail",
        FieldSchema("person_email", "E-mail of a person", max_length=80, writable=False, derived=True),
    ),
}
"""Fields that every org can be asked for, with the field that says it where the org has that feature: without several
currencies there is no `CurrencyIsoCode`, without person accounts neither `IsPersonAccount` nor `PersonEmail`."""


def said_otherwise(remote: str) -> dict[str, FieldSchema]:
    """Those of `SAID_OTHERWISE` that an object has."""
    names = [] if remote == PRODUCT else ["currency"]
    names += ["is_person", "person_email"] if remote == "Account" else []
    return {name: SAID_OTHERWISE[name][1] for name in names}


def texts_of_codes(described: Described) -> dict[str, str]:
    """Codes of countries and states that an org without those lists lacks, each with the text that is there instead.

    What is written to the code goes into that text, too (see `outgoing`)."""
    texts = (f"{prefix}{part}" for prefix in ADDRESSES for part in ("Country", "State"))
    found = described.fields
    return {f"{text}Code": text for text in texts if text in found and f"{text}Code" not in found}


def derived(remote: str) -> Mapping[str, FieldSchema]:
    """The fields of an object that are ours, not Salesforce's: none of them can be searched by."""
    return DERIVED if remote == PRODUCT else said_otherwise(remote)


@dataclass(frozen=True, slots=True)
class Part:
    """A related record: the relationship that leads to it, the object it is, and what of it can be read."""

    relationship: str
    remote: str
    fields: Mapping[str, Field]


class Objects:
    """The objects of one org under our names."""

    def __init__(self, client: Salesforce) -> None:
        self.client = client
        self.catalogue = Catalogue(client)
        self._layouts: dict[str, Layout] | None = None

    def layout(self, name: str) -> Layout:
        """The layout of an object of ours. Raises `Misconfigured` for a name that we do not know."""
        if name in KNOWN:
            return KNOWN[name]
        return layout_of(self.layouts, name)

    @property
    def layouts(self) -> Mapping[str, Layout]:
        """Every object of ours, those that the customer made included."""
        if self._layouts is None:
            self._layouts = layouts_of(self.client.api.account)
        return self._layouts

    def is_own(self, name: str) -> bool:
        """Whether this is an object that the customer made."""
        return name in self.layouts and name not in KNOWN

    def know(self, layout: Layout) -> None:
        """From now on there is this object too."""
        self._layouts = {**self.layouts, layout.name: layout}

    def remote(self, name: str) -> str:
        """Salesforce's name of an object of ours."""
        return self.layout(name).remote

    def own(self, name: str, needed: frozenset[str] = frozenset()) -> Described:
        """The description of an object of ours."""
        return self.catalogue.get(self.remote(name), needed)

    def parts(self, name: str, *, only: str = "") -> dict[str, Part]:
        """The parts that the org really has (or one of them); the contact of an opportunity is its primary role's."""
        layout = self.layout(name)
        own = self.catalogue.get(layout.remote)
        references = {part: reference for part, reference in layout.parts.items() if only in ("", part)}
        targets = {part: self._target(own, reference) for part, reference in references.items()}
        self.catalogue.load_missing(remote for _relationship, remote, _wide in targets.values() if remote)
        found = {}
        for part, (relationship, remote, polymorphic) in targets.items():
            described = self.catalogue.find(remote) if remote else None
            if described is not None:
                fields = {n: f for n, f in described.fields.items() if not polymorphic or n in NAME_FIELDS}
                found[part] = Part(relationship, remote, fields)
        return found

    def part(self, name: str, part: str) -> Part:
        """One part. Raises `Misconfigured` when the org does not have it."""
        layout = self.layout(name)
        if found := self.parts(name, only=part).get(part):
            return found
        raise hidden(layout.remote, layout.parts.get(part, part))

    @staticmethod
    def _target(own: Described, reference: str) -> tuple[str, str, bool]:
        """(relationship, object, may be several kinds of object) of a lookup; empty names when the org lacks it."""
        if reference == ROLES:
            return ROLES, "Contact", False
        field = own.fields.get(reference)
        if field is None or not field.relationship or not field.references:
            return "", "", False
        several = len(field.references) > 1
        return field.relationship, "User" if "User" in field.references else field.references[0], several

    # --- Lines ------------------------------------------------------------------------------------------------

    def lines(self, name: str) -> tuple[Lines, Described]:
        """The lines of an object and what they are. Raises `Misconfigured` when it has none or they are not seen."""
        layout = self.layout(name)
        if layout.lines is None:
            raise Misconfigured(f"{layout.remote} has no lines", code="INVALID_FIELD", field=LINE)
        lines = layout.lines
        if not lines.object:
            own = self.catalogue.get(layout.remote)
            lines = replace(lines, object=own.children.get(lines.relationship, ("", ""))[0])
        if not lines.object:
            raise Misconfigured(
                f"{layout.remote} has no child relationship {lines.relationship}",
                code="INVALID_FIELD",
                field=lines.relationship,
            )
        return lines, self.catalogue.get(lines.object)

    def line_parent(self, name: str) -> str:
        """The field by which a line points at its record."""
        layout = self.layout(name)
        lines, described = self.lines(name)
        child = self.catalogue.get(layout.remote).children.get(lines.relationship)
        reference = child[1] if child and child[0] == lines.object else described.reference_to(layout.remote)
        if not reference:
            raise Misconfigured(
                f"{lines.object} points at no {layout.remote}", code="INVALID_FIELD", field=lines.object
            )
        return reference

    def line_fields(self, name: str) -> dict[str, tuple[str, Field]]:
        """The fields of a line by the name that expressions use, each with its path in a query."""
        _lines, described = self.lines(name)
        fields = {}
        product = described.fields.get(described.reference_to(PRODUCT))
        sold = self.catalogue.find(PRODUCT) if product and product.relationship else None
        if product and sold:
            for field_name, field in sold.fields.items():
                ours = PRODUCT_FIELD + field_name
                shown = replace(field.schema, name=ours, writable=False, required=False, unique=False)
                fields[ours] = (f"{product.relationship}.{field_name}", replace(field, schema=shown))
        return fields | {field_name: (field_name, field) for field_name, field in described.fields.items()}

    # --- What leaves this room --------------------------------------------------------------------------------

    def describe(self, name: str) -> ObjectSchema:
        """The schema of an object with its parts and lines: one call per object behind it that is not known yet."""
        layout = self.layout(name)
        own = self.catalogue.get(layout.remote)
        fields = {field_name: field.schema for field_name, field in own.fields.items()}
        parts = {
            part: {field_name: field.schema for field_name, field in found.fields.items()}
            for part, found in self.parts(name).items()
        }
        if layout.lines:
            parts[LINE] = {ours: field.schema for ours, (_path, field) in self.line_fields(name).items()}
        fields |= {code: replace(fields[text], name=code) for code, text in texts_of_codes(own).items()}
        fields |= derived(layout.remote)
        return ObjectSchema(
            system=SYSTEM,
            name=name,
            label=layout.label if layout.name != own.name else own.label,
            key="Id",
            fields=fields,
            parts=parts,
            lines=LINE if layout.lines else "",
            title=own.title,
            currency=self.currency,
        )

    @property
    def currency(self) -> str:
        """The org's own currency, as found out when it was connected or set by a person; "" when nobody knows."""
        return str(self.client.api.account.details.get("currency") or "")
