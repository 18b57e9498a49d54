"""Small worlds for the tests of this room: schemas, organizations, mapping sets, records."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from integrations.connector import FieldSchema, FieldType, ObjectSchema, Option, Record
from integrations.fortnox.schema import object_schema
from integrations.models import ConnectedAccount, Integration, Membership, Organization
from mappings.expressions import Compiled, ValueTable, compile_expression
from mappings.mapper import CompiledMapping, FieldRule
from mappings.models import FieldMapping, MappingSet
from mappings.schemas import dump_schema


def text(name: str, **options: Any) -> FieldSchema:
    return FieldSchema(name, name.capitalize(), **options)


def number(name: str, **options: Any) -> FieldSchema:
    return FieldSchema(name, name.capitalize(), FieldType.NUMBER, **options)


def by_name(*fields: FieldSchema) -> dict[str, FieldSchema]:
    return {field.name: field for field in fields}


CUSTOMER, INVOICE, ARTICLE = (object_schema(name) for name in ("customer", "invoice", "article"))
COMPANY = ObjectSchema(
    "hubspot", "company", "Company", "hs_object_id",
    by_name(
        *(text(n) for n in ("fortnox_id", "organization_number_from_fortnox", "fortnox_key", "name", "address")),
        *(text(n) for n in ("address2", "city", "phone", "domain")),
        text("zip", max_length=10), text("hs_object_id", writable=False),
    ),
)  # fmt: skip
DEAL = ObjectSchema(
    "hubspot", "deal", "Deal", "hs_object_id",
    by_name(
        *(text(n) for n in ("invoice_number_in_fortnox", "dealname", "description", "fortnox_status", "fortnox_key")),
        *(text(n) for n in ("fortnox_voucher", "fortnox_credit_invoice", "fortnox_credits_invoice")),
        *(number(n) for n in ("fortnox_total", "fortnox_net", "fortnox_vat", "fortnox_balance")),
        number("fortnox_currency_rate"),
        *(
            FieldSchema(n, n, FieldType.DATE)
            for n in ("fortnox_invoice_date", "fortnox_due_date", "fortnox_last_reminder_date")
        ),
        FieldSchema("final_pay_date_in_fortnox", "Final pay date", FieldType.DATE),
        number("amount", decimals=2),
        FieldSchema(
            "deal_currency_code", "Currency", FieldType.ENUM, options=(Option("SEK", "SEK"), Option("USD", "USD"))
        ),
        FieldSchema("closedate", "Close date", FieldType.DATETIME),
        FieldSchema("createdate", "Create date", FieldType.DATETIME),
        FieldSchema("pipeline", "Pipeline", FieldType.ENUM, options=(Option("p1", "Fortnox Invoices"),)),
        FieldSchema(
            "dealstage", "Deal stage", FieldType.ENUM,
            options=tuple(Option(f"s-{name}", name) for name in ("unpaid", "paid", "overdue", "credited")),
        ),
    ),
    parts={
        "line": by_name(
            text("hs_sku"), text("name"), text("fortnox_key"), number("quantity"), number("price"),
            number("discount"), number("hs_discount_percentage"), number("hs_total_discount", writable=False),
            text("hs_line_item_currency_code"), text("recurringbillingfrequency"),
        ),
        "company": by_name(
            *(text(n) for n in ("name", "organization_number_from_fortnox", "fortnox_id")),
            number("hs_object_id", writable=False),
        ),
        "contact": by_name(text("firstname"), text("lastname")),
    },
    lines="line",
)  # fmt: skip
PRODUCT = ObjectSchema(
    "hubspot", "product", "Product", "hs_object_id",
    by_name(
        *(text(n) for n in ("hs_sku", "name", "description", "fortnox_key")),
        *(number(n) for n in ("price", "hs_cost_of_goods_sold", "tax")),
    ),
)  # fmt: skip
SETUP: dict[str, Any] = {
    "pipeline_fortnox_invoices": "p1",
    "stage_unpaid": "s-unpaid",
    "stage_paid": "s-paid",
    "stage_overdue": "s-overdue",
    "stage_credited": "s-credited",
}
EXTRA: dict[str, dict[str, Any]] = {"source": {"account_id": "t1"}, "setup": SETUP}
PARTS = dict.fromkeys(("customer", "invoice", "row", "source", "setup", "setting"))


def expression(source: str, tables: dict[str, ValueTable] | None = None, lines: str = "") -> Compiled:
    return compile_expression(source, PARTS, tables or {}, lines=lines)


def value_of(source: str, tables: dict[str, ValueTable] | None = None, **customer: Any) -> Any:
    return expression(source, tables).evaluate({"customer": customer}, tables or {})


def rule(target: str, source: str = "", **options: Any) -> FieldRule:
    return FieldRule(None, options.pop("label", ""), target, expression(source or f"customer.{target}"), **options)


def mapping(*fields: FieldRule, **options: Any) -> CompiledMapping:
    reads: dict[str, set[str]] = {}
    for field in fields:
        for part, name in field.expression.reads:
            reads.setdefault(part, set()).add(name)
    options.setdefault("reads", {part: frozenset(names) for part, names in reads.items()})
    return CompiledMapping(1, "customer", "company", fields, **options)


def customer(**fields: Any) -> Record:
    return Record("customer", "1", fields)


def an_invoice(*rows: dict[str, Any], **fields: Any) -> Record:
    """A booked, unpaid invoice of 1 250.00 with the numbers of the requirement's own check."""
    return Record(
        "invoice", "203",
        {
            "DocumentNumber": "203", "CustomerNumber": "42", "CustomerName": "Åkers Järn AB", "Currency": "SEK",
            "InvoiceType": "INVOICE", "status": "booked", "is_credit": False, "VATIncluded": False,
            "TotalToPay": Decimal("1250.00"), "TotalVAT": Decimal("249.90"), "RoundOff": Decimal("0.50"),
            "TaxReduction": None, "Net": Decimal("999.60"), "Freight": Decimal(0), "FreightVAT": Decimal(0),
            "AdministrationFee": Decimal(0), "AdministrationFeeVAT": Decimal(0), "Comments": "Call first",
            "InvoiceDate": date(2026, 11, 1), "DueDate": date(2026, 12, 1), "FinalPayDate": None,
            **fields,
        },
        lines=list(rows),
    )  # fmt: skip


def a_row(**fields: Any) -> dict[str, Any]:
    return {
        "ArticleNumber": "A-1", "Description": "Widget", "DeliveredQuantity": Decimal(2), "DiscountType": "PERCENT",
        "PriceExcludingVAT": Decimal("499.80"), "TotalExcludingVAT": Decimal("999.60"), "Discount": Decimal(0),
        **fields,
    }  # fmt: skip


def integration(name: str = "Acme", *, described: bool = False, user: User | None = None) -> Integration:
    organization = Organization.objects.create(name=name)
    if user is not None:
        Membership.objects.create(organization=organization, user=user)
    crm = ConnectedAccount.objects.create(organization=organization, system="hubspot", remote_id=f"hub-{name}")
    ledger = ConnectedAccount.objects.create(organization=organization, system="fortnox", remote_id=f"fx-{name}")
    if described:
        crm.schemas = {s.name: {"at": "2026-11-21", "schema": dump_schema(s)} for s in (COMPANY, DEAL, PRODUCT)}
        ledger.schemas = {s.name: dump_schema(s) for s in (CUSTOMER, INVOICE, ARTICLE)}
        crm.save()
        ledger.save()
    return Integration.objects.create(
        organization=organization, name=f"{name} pair", crm_account=crm, ledger_account=ledger, setup=SETUP
    )


def draft(pair: Integration, slug: str = "customers", **options: Any) -> MappingSet:
    return MappingSet.objects.create(
        integration=pair, slug=slug, name=slug.capitalize(), source_side="ledger", source_object="customer",
        target_side="crm", target_object="company", **options,
    )  # fmt: skip


def field(mapping_set: MappingSet, target: str = "name", source: str = "customer.Name", **options: Any) -> FieldMapping:
    return FieldMapping.objects.create(mapping_set=mapping_set, target_field=target, expression=source, **options)
