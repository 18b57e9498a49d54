"""The object types a portal holds: their names, ids, scopes and defaults. Knows nothing of records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One CRM object type. HubSpot accepts its plural, its singular and its type id in every path."""

    type_id: str
    plural: str
    singular: str
    modified: str  # contacts say "lastmodifieddate", every other type "hs_lastmodifieddate"
    defaults: tuple[str, ...]  # what an answer carries when no properties are asked for
    searched: tuple[str, ...]  # where the search's free-text query looks
    group: str
    mergeable: bool = True
    commerce: bool = False  # needs the scope "e-commerce" as well as its own
    first_id: int = 1

    @property
    def upper(self) -> str:
        """The name HubSpot uses in error texts, such as LINE_ITEM."""
        return self.singular.upper()

    @property
    def always(self) -> tuple[str, ...]:
        """Properties every answer carries, whatever was asked for."""
        return ("createdate", self.modified, "hs_object_id")

    def scopes(self, action: str) -> list[str]:
        """Scopes an object call needs; the interface lists products and line items with e-commerce too."""
        own = f"crm.objects.{self.plural}.{action}"
        return [own, "e-commerce"] if self.commerce else [own]

    def schema_scopes(self, action: str) -> list[str]:
        """Scopes for properties and pipelines; there is no crm.schemas scope for products to grant."""
        return ["e-commerce"] if self.commerce else [f"crm.schemas.{self.plural}.{action}"]


MODIFIED = "hs_lastmodifieddate"

CONTACTS = Kind(
    "0-1",
    "contacts",
    "contact",
    "lastmodifieddate",
    ("firstname", "lastname", "email"),
    ("firstname", "lastname", "email", "phone", "mobilephone", "company"),
    "contactinformation",
    first_id=37765128953,
)
COMPANIES = Kind(
    "0-2",
    "companies",
    "company",
    MODIFIED,
    ("name", "domain"),
    ("website", "phone", "name", "domain"),
    "companyinformation",
    first_id=210458813,
)
DEALS = Kind(
    "0-3",
    "deals",
    "deal",
    MODIFIED,
    ("dealname", "amount", "closedate", "pipeline", "dealstage"),
    ("dealname", "pipeline", "dealstage", "description", "dealtype"),
    "dealinformation",
    first_id=51569020844,
)
PRODUCTS = Kind(
    "0-7",
    "products",
    "product",
    MODIFIED,
    ("name", "description", "price"),
    ("name", "description", "price", "hs_sku"),
    "productinformation",
    mergeable=False,
    commerce=True,
    first_id=1780454411,
)
LINE_ITEMS = Kind(
    "0-8",
    "line_items",
    "line_item",
    MODIFIED,
    ("quantity", "amount", "price"),
    (),
    "lineiteminformation",
    mergeable=False,
    commerce=True,
    first_id=53810745416,
)

KINDS = (CONTACTS, COMPANIES, DEALS, PRODUCTS, LINE_ITEMS)
_BY_NAME = {name: kind for kind in KINDS for name in (kind.type_id, kind.plural, kind.singular)}


def find(name: str) -> Kind | None:
    """The type a path segment means, or None for a name HubSpot does not know."""
    return _BY_NAME.get(name) or _BY_NAME.get(name.lower())
