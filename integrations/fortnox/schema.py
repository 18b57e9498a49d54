"""Fortnox's objects as the rest of the product sees them; static, because the vendor has no describe call.

`RESOURCES` holds what differs between the registers: paths, envelopes, which fields a list carries and under which
name, filters and search parameters. The invariant: every name an expression may use is a real field of the vendor or
a derived one listed in `DERIVED`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from integrations.connector import FieldSchema, FieldType, ObjectSchema, Option
from integrations.errors import Misconfigured
from integrations.fortnox import fields

STATUSES: Mapping[str, str] = {
    "draft": "Draft",
    "unbooked": "Unbooked",
    "booked": "Booked",
    "sent": "Sent",
    "partly_paid": "Partly paid",
    "paid": "Paid",
    "overdue": "Overdue",
    "credited": "Credited",
    "cancelled": "Cancelled",
}
_KINDS = {"number": FieldType.NUMBER, "int": FieldType.NUMBER, "bool": FieldType.BOOLEAN, "date": FieldType.DATE}


@dataclass(frozen=True, slots=True)
class Resource:
    """One register: its path under /3, its envelopes, what its list carries and how it is searched."""

    name: str
    path: str
    one: str
    many: str
    key: str
    title: str
    table: str
    searches: Mapping[str, str]
    subsets: Mapping[str, Mapping[str, str]]
    marker: str = ""


# Search parameters are lower-case field names; only these exist.
RESOURCES: Mapping[str, Resource] = {
    "customer": Resource(
        name="customer",
        path="/3/customers",
        one="Customer",
        many="Customers",
        key="CustomerNumber",
        title="Name",
        table=fields.CUSTOMER,
        searches={
            "CustomerNumber": "customernumber",
            "Name": "name",
            "ZipCode": "zipcode",
            "City": "city",
            "Email": "email",
            "Phone1": "phone",
            "OrganisationNumber": "organisationnumber",
            "GLN": "gln",
        },
        subsets={"active": {"filter": "active"}, "inactive": {"filter": "inactive"}},
        marker="ExternalReference",
    ),
    "article": Resource(
        name="article",
        path="/3/articles",
        one="Article",
        many="Articles",
        key="ArticleNumber",
        title="Description",
        table=fields.ARTICLE,
        searches={
            "ArticleNumber": "articlenumber",
            "Description": "description",
            "EAN": "ean",
            "SupplierNumber": "suppliernumber",
            "Manufacturer": "manufacturer",
            "ManufacturerArticleNumber": "manufacturerarticlenumber",
        },
        subsets={"active": {"filter": "active"}, "inactive": {"filter": "inactive"}},
    ),
    "invoice": Resource(
        name="invoice",
        path="/3/invoices",
        one="Invoice",
        many="Invoices",
        key="DocumentNumber",
        title="DocumentNumber",
        table=fields.INVOICE,
        searches={
            "DocumentNumber": "documentnumber",
            "CustomerNumber": "customernumber",
            "CustomerName": "customername",
            "OCR": "ocr",
            "OurReference": "ourreference",
            "YourReference": "yourreference",
            "ExternalInvoiceReference1": "externalinvoicereference1",
            "ExternalInvoiceReference2": "externalinvoicereference2",
            "YourOrderNumber": "yourordernumber",
        },
        subsets={
            "unpaid": {"filter": "unpaid"},
            "overdue": {"filter": "unpaidoverdue"},
            "unbooked": {"filter": "unbooked"},
            "cancelled": {"filter": "cancelled"},
            # Fully paid in the last days: whether a payment moves `lastmodified` is not documented.
            "recently_paid": {},
        },
        marker="ExternalInvoiceReference1",
    ),
}

DERIVED: Mapping[str, tuple[FieldSchema, ...]] = {
    "customer": (
        FieldSchema("email_domain", "Domain of the e-mail address", writable=False, derived=True),
        FieldSchema("domain", "Domain (web address, else e-mail)", writable=False, derived=True),
    ),
    "article": (),
    "invoice": (
        FieldSchema(
            "status",
            "Status",
            FieldType.ENUM,
            writable=False,
            derived=True,
            options=tuple(Option(value, label) for value, label in STATUSES.items()),
        ),
        FieldSchema("is_credit", "Is a credit invoice", FieldType.BOOLEAN, writable=False, derived=True),
        FieldSchema("voucher", "Voucher", writable=False, derived=True),
        FieldSchema("locked", "Locked", writable=False, derived=True),
    ),
}
# What of the derived fields a list row is enough for: the web address, the credit references and the
# accounting method are not in lists.
DERIVED_FROM_LIST: Mapping[str, frozenset[str]] = {
    "customer": frozenset({"email_domain"}),
    "article": frozenset(),
    "invoice": frozenset({"is_credit", "voucher"}),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One parsed line of a field table."""

    name: str
    kind: str
    schema: FieldSchema
    listed: str  # its name in list rows; "" when lists lack it
    zero: bool  # list rows spell 0 as null


def _label(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).split()
    return " ".join(w if w.isupper() or i == 0 else w.lower() for i, w in enumerate(words))


def _column(line: str) -> Column:
    name, kind, *flags = line.split()
    kind, _, values = kind.partition(":")
    length = next((int(flag) for flag in flags if flag.isdigit()), None)
    places = next((int(flag[1:]) for flag in flags if flag.startswith(".")), 0 if kind == "int" else None)
    listed = next((flag.partition("=")[2] or name for flag in flags if flag.startswith("list")), "")
    schema = FieldSchema(
        name=name,
        label=_label(name),
        type=FieldType.ENUM if values else _KINDS.get(kind, FieldType.STRING),
        max_length=length,
        decimals=places,
        required="req" in flags,
        writable="ro" not in flags,
        options=tuple(Option(value, value) for value in values.split(",") if value),
    )
    return Column(name, kind, schema, listed, "zero" in flags)


@lru_cache
def columns(table: str) -> Mapping[str, Column]:
    """The columns of a field table, by name."""
    return {column.name: column for column in map(_column, table.split("\n")[1:-1])}


def resource(object_name: str) -> Resource:
    """The register of an object; raises `Misconfigured` for a name Fortnox does not have."""
    try:
        return RESOURCES[object_name]
    except KeyError:
        raise Misconfigured(f"Fortnox has no object {object_name!r}", code="unknown_object") from None


@lru_cache
def listed(object_name: str) -> frozenset[str]:
    """The fields that a list row is enough for, derived ones included."""
    found = {c.name for c in columns(resource(object_name).table).values() if c.listed}
    return frozenset(found) | DERIVED_FROM_LIST[object_name]


def _schemas(object_name: str) -> dict[str, FieldSchema]:
    own = {c.name: c.schema for c in columns(resource(object_name).table).values()}
    return own | {schema.name: schema for schema in DERIVED[object_name]}


@lru_cache
def object_schema(object_name: str) -> ObjectSchema:
    """What `describe` answers. Keys may be chosen on create but never changed."""
    it = resource(object_name)
    invoice = object_name == "invoice"
    rows = {c.name: c.schema for c in columns(fields.ROW).values()}
    return ObjectSchema(
        system="fortnox",
        name=object_name,
        label=it.one,
        key=it.key,
        fields=_schemas(object_name),
        parts={"customer": _schemas("customer"), "row": rows} if invoice else {},
        lines="row" if invoice else "",
        title=it.title,
        subsets=tuple(it.subsets),
    )


def with_currencies(known: ObjectSchema, codes: Sequence[str]) -> ObjectSchema:
    """The schema with the company's currencies as the options of `Currency`; none: they are not known."""
    options = tuple(Option(code, code) for code in codes)
    currency = replace(known.fields["Currency"], type=FieldType.ENUM, options=options)
    return replace(known, fields={**known.fields, "Currency": currency})
