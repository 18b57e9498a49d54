"""The objects of Bokis, which has no call that would describe them."""

from __future__ import annotations

from integrations.connector import FieldSchema, FieldType, ObjectSchema

NUMBER, BOOL = FieldType.NUMBER, FieldType.BOOLEAN


def _fields(*fields: FieldSchema) -> dict[str, FieldSchema]:
    return {field.name: field for field in fields}


def _computed(name: str, type_: FieldType = NUMBER) -> FieldSchema:
    return FieldSchema(name, name.replace("_", " ").capitalize(), type_, writable=False)


_MARKER = FieldSchema("external_ref", "External reference", max_length=60)
SCHEMAS = {
    "customer": ObjectSchema(
        "bokis", "customer", "Customers", "number",
        _fields(
            FieldSchema("number", "Customer number", writable=False, unique=True),
            FieldSchema("name", "Name", max_length=80, required=True),
            FieldSchema("org_number", "Organisation number", max_length=13),
            FieldSchema("email", "E-mail", max_length=100),
            FieldSchema("city", "City", max_length=40),
            FieldSchema("blocked", "Blocked for invoicing", BOOL),
            _MARKER,
        ),
        title="name",
    ),
    "article": ObjectSchema(
        "bokis", "article", "Articles", "number",
        _fields(
            FieldSchema("number", "Article number", max_length=20, required=True, unique=True),
            FieldSchema("name", "Name", max_length=80),
            FieldSchema("price", "Price", NUMBER, decimals=2),
            FieldSchema("vat_percent", "VAT percent", NUMBER, decimals=0),
            FieldSchema("whole_packages", "Sold in whole packages", BOOL),
        ),
        title="name",
    ),
    "invoice": ObjectSchema(
        "bokis", "invoice", "Invoices", "number",
        _fields(
            FieldSchema("number", "Invoice number", writable=False, unique=True),
            FieldSchema("customer", "Customer number", required=True),
            FieldSchema("currency", "Currency", max_length=3),
            FieldSchema("note", "Note", max_length=200),
            FieldSchema("credited_by", "Credited by", writable=False),
            _computed("state", FieldType.STRING), _computed("cancelled", BOOL), _computed("net"), _computed("vat"),
            _computed("rounding"), _computed("total"), _computed("paid"),
            FieldSchema("locked", "Locked", writable=False, derived=True),
            _MARKER,
        ),
        {
            "row": _fields(
                FieldSchema("article", "Article number"),
                FieldSchema("text", "Text", max_length=80),
                FieldSchema("quantity", "Quantity", NUMBER, decimals=2),
                FieldSchema("price", "Price", NUMBER, decimals=2),
                FieldSchema("vat_percent", "VAT percent", NUMBER, decimals=0),
            )
        },
        lines="row", title="number", subsets=("unpaid",), currency="SEK",
    ),
}  # fmt: skip
ONLY_IN_DETAIL = {"invoice": frozenset({"note", "external_ref"})}
