"""The presets compile, install, and give the promised values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from integrations.connector import Record
from mappings.mapper import Mapped, map_record
from mappings.models import MappingSet, ValueMap, compile_mapping, new_draft, publish
from mappings.presets import available, install, settings_of, templates, texts, texts_salesforce
from tests.mappings import world
from tests.mappings.test_preset_tables import STATE_TABLE, preset
from tests.mappings.world import EXTRA, a_row, an_invoice

CUSTOMERS, ARTICLES, INVOICES = "customers-to-companies", "articles-to-products", "invoices-to-deals"
NUMBERS, STATES = "customer-numbers-to-companies", "invoice-status-to-deals"
COMPANIES, DEALS = "companies-to-customers", "deals-to-invoices"


_compiled: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _installed(db: None) -> None:
    pair = world.integration(described=True)
    for p in available("hubspot", "fortnox"):
        _compiled[p.slug] = compile_mapping(install(pair, p))


def compiled(slug: str) -> Any:
    return _compiled[slug]


def test_the_default_customer_mapping_needs_no_detail_call() -> None:
    listed = {
        "Address1", "Address2", "City", "CustomerNumber", "Email", "Name", "OrganisationNumber", "Phone1", "ZipCode",
        "email_domain",
    }  # fmt: skip
    assert compiled(CUSTOMERS).reads["customer"] <= listed


def deal(*lines: dict[str, Any], **fields: Any) -> Mapped:
    return map_record(compiled(INVOICES), an_invoice(*lines, **fields), EXTRA, world.DEAL)


def test_a_customer_becomes_a_company() -> None:
    record = Record(
        "customer", "42",
        {
            "CustomerNumber": "42", "OrganisationNumber": "556016-0680", "Name": "Åkers Järn AB", "Address1": "Storg 1",
            "Address2": "", "City": "Lund", "ZipCode": "22100", "Phone1": "08-123",
        },
    )  # fmt: skip
    mapped = map_record(compiled(CUSTOMERS), record, EXTRA, world.COMPANY)
    assert mapped.problems == []
    assert mapped.unique == ("fortnox_key", "t1:42")
    assert mapped.title == "42 Åkers Järn AB"
    assert mapped.fields == {
        "fortnox_id": "42", "organization_number_from_fortnox": "556016-0680", "name": "Åkers Järn AB",
        "address": "Storg 1", "address2": None, "city": "Lund", "zip": "22100", "phone": "08-123",
    }  # fmt: skip


def test_an_article_becomes_a_product() -> None:
    fields = {"ArticleNumber": "A/1", "Description": "Widget", "SalesPrice": Decimal("9.50"), "VAT": Decimal(25)}
    mapped = map_record(compiled(ARTICLES), Record("article", "A/1", fields), EXTRA, world.PRODUCT)
    assert mapped.problems == []
    assert mapped.unique == ("fortnox_key", "t1:A/1")
    assert mapped.fields == {
        "hs_sku": "A/1", "name": "Widget", "description": "Widget", "price": Decimal("9.50"),
        "hs_cost_of_goods_sold": None, "tax": Decimal(25),
    }  # fmt: skip


def test_an_invoice_becomes_a_deal() -> None:
    mapped = deal(a_row())
    assert mapped.problems == []
    assert mapped.unique == ("fortnox_key", "t1:203")
    assert mapped.links == {"company": "42"}
    state = {name for _requirement, name, _source in STATE_TABLE}
    assert {name: value for name, value in mapped.fields.items() if name not in state} == {
        "invoice_number_in_fortnox": "203", "final_pay_date_in_fortnox": None, "amount": Decimal("999.60"),
        "deal_currency_code": "SEK", "closedate": datetime(2026, 12, 1, tzinfo=UTC),
        "createdate": datetime(2026, 11, 1, tzinfo=UTC), "dealname": "Invoice 203 - Åkers Järn AB",
        "description": "Call first", "pipeline": "p1", "dealstage": "s-unpaid", "fortnox_status": "Booked",
    }  # fmt: skip
    assert mapped.lines == [
        {"hs_sku": "A-1", "name": "Widget", "quantity": Decimal(2), "price": Decimal("499.80"), "discount": None,
         "hs_discount_percentage": None, "fortnox_key": "t1:203:1"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "amount"),
    [
        ({}, "999.60"),  # RB8's own check
        ({"TaxReduction": Decimal(0)}, "999.60"),
        # ROT: half of the work is paid by the tax agency, the revenue stays.
        ({"TaxReduction": Decimal(500), "TotalToPay": Decimal("750.00")}, "999.60"),
        ({"TaxReduction": Decimal(500), "Freight": Decimal(80), "AdministrationFee": Decimal(20)}, "1099.60"),
        (
            {"TaxReduction": Decimal(500), "VATIncluded": True, "Freight": Decimal(100), "FreightVAT": Decimal(20)},
            "1079.60",
        ),
        ({"TaxReduction": Decimal(500), "Freight": None, "AdministrationFee": None}, "999.60"),
        # A credit invoice is negative.
        (
            {
                "is_credit": True,
                "TotalToPay": Decimal(-1250),
                "TotalVAT": Decimal("-249.90"),
                "RoundOff": Decimal("-0.5"),
            },
            "-999.60",
        ),
    ],
)
def test_the_amount_is_the_net_including_freight_and_fee(fields: dict[str, Any], amount: str) -> None:
    assert deal(**fields).fields["amount"] == Decimal(amount)


@pytest.mark.parametrize(
    ("status", "is_credit", "stage", "shown"),
    [
        ("draft", False, "s-unpaid", "Draft"), ("unbooked", False, "s-unpaid", "Unbooked"),
        ("booked", False, "s-unpaid", "Booked"), ("sent", False, "s-unpaid", "Sent"),
        ("partly_paid", False, "s-unpaid", "Partly paid"), ("overdue", False, "s-overdue", "Overdue"),
        ("paid", False, "s-paid", "Paid"), ("credited", False, "s-credited", "Credited"),
        ("booked", True, "s-credited", "Booked"), ("cancelled", False, None, "Cancelled"),
        ("cancelled", True, None, "Cancelled"),
    ],
)  # fmt: skip
def test_the_state_decides_the_stage(status: str, is_credit: bool, stage: str | None, shown: str) -> None:
    mapped = deal(status=status, is_credit=is_credit)
    assert mapped.problems == []
    assert (mapped.fields["dealstage"], mapped.fields["fortnox_status"]) == (stage, shown)


def test_a_credit_is_linked_both_ways() -> None:
    debit = deal(status="credited", CreditInvoiceReference="204").fields
    assert (debit["fortnox_credit_invoice"], debit["fortnox_credits_invoice"]) == ("204", None)
    credit = deal(is_credit=True, InvoiceReference="203").fields
    assert (credit["fortnox_credit_invoice"], credit["fortnox_credits_invoice"]) == (None, "203")


def test_the_five_toggles_are_as_promised() -> None:
    toggles = {p.slug: p.flow["toggle_label"] for p in available("hubspot", "fortnox") if p.flow.get("toggle")}
    assert toggles == {  # R77-R81
        CUSTOMERS: "Sync Companies",
        ARTICLES: "Sync Products",
        INVOICES: "Fortnox invoice to Deal pipeline",
        DEALS: "HubSpot deal to Fortnox invoice",
        COMPANIES: "HubSpot company to Fortnox customer",
    }


def test_each_flow_takes_what_is_its_own() -> None:
    takes = {p.slug: p.flow["takes"] for p in available("hubspot", "fortnox")}
    assert takes == {
        CUSTOMERS: "all", ARTICLES: "all", INVOICES: "own", COMPANIES: "linked", DEALS: "linked",
        NUMBERS: "returned", STATES: "returned",
    }  # fmt: skip


@pytest.mark.parametrize(("creating", "returning"), [(COMPANIES, NUMBERS), (DEALS, STATES)])
def test_what_is_created_is_followed_back_without_creating_anything(creating: str, returning: str) -> None:
    assert preset(creating).flow["follow_up"] == returning  # R104
    assert preset(returning).flow["may_create"] is False
    assert (preset(returning).source, preset(returning).target) == (preset(creating).target, preset(creating).source)
    assert preset(returning).mapping["unique"]["field"] == "fortnox_key"


def test_the_state_that_comes_back_leaves_the_deal_its_name_amount_and_pipeline() -> None:
    mapped = map_record(compiled(STATES), an_invoice(Balance=Decimal("1250.00")), EXTRA, world.DEAL)
    assert mapped.problems == []
    assert mapped.unique == ("fortnox_key", "t1:203")
    assert not {"pipeline", "dealstage", "amount", "dealname", "closedate"} & set(mapped.fields)
    assert mapped.lines is None
    shown = {"invoice_number_in_fortnox": "203", "fortnox_status": "Booked", "fortnox_balance": Decimal("1250.00")}
    assert shown.items() <= mapped.fields.items()


def test_a_state_nobody_knows_is_asked_about() -> None:
    assert [(p.code, p.field) for p in deal(status="lost").problems] == [("unmapped_value", "dealstage")]


def test_a_cancelled_invoice_is_not_imported_but_updated_if_it_was() -> None:
    mapped = deal(status="cancelled")
    assert (mapped.skip, mapped.skip_create_only) == ("The invoice is cancelled in Fortnox.", True)  # RB14


@pytest.mark.parametrize(
    ("kind", "name"),
    [("INVOICE", "Invoice"), ("INTRESTINVOICE", "Interest invoice"), ("CASHINVOICE", "Cash invoice"), ("NEW", "NEW")],
)
def test_the_deal_is_named_by_type_number_and_customer(kind: str, name: str) -> None:
    assert deal(InvoiceType=kind).fields["dealname"] == f"{name} 203 - Åkers Järn AB"  # R50, RB10


def test_a_currency_the_portal_lacks_says_what_to_enable() -> None:
    [problem] = deal(Currency="EUR").problems  # R42, RB16
    assert (problem.code, problem.field, problem.value) == ("option_unknown", "deal_currency_code", "EUR")
    assert "Enable EUR in HubSpot" in str(problem.remedy)


@pytest.mark.parametrize("missing", ["pipeline_fortnox_invoices", "stage_paid"])
def test_a_missing_pipeline_or_stage_blocks_with_its_repair(missing: str) -> None:
    extra = {**EXTRA, "setup": {k: v for k, v in world.SETUP.items() if k != missing}}
    problems = map_record(compiled(INVOICES), an_invoice(), extra, world.DEAL).problems  # R41, RB15
    assert [p.rule for p in problems] == ["Pipeline and stages exist"]
    assert "set-up" in str(problems[0].remedy)


def test_an_invoice_without_customer_is_reported() -> None:
    assert [p.code for p in deal(CustomerNumber=None).problems] == ["link_missing"]  # R43


def test_text_rows_are_left_out_by_name() -> None:
    text_row = a_row(ArticleNumber=None, DeliveredQuantity=Decimal(0), Description="Thank you")
    free_text = a_row(ArticleNumber=None, Description="Consulting")
    mapped = deal(text_row, a_row(), free_text)
    assert mapped.lines is not None
    assert [line["fortnox_key"] for line in mapped.lines] == ["t1:203:2", "t1:203:3"]
    assert [str(reason) for reason in mapped.skipped_lines] == ["Line 1: Text row: no article and no quantity."]


@pytest.mark.parametrize(
    ("kind", "discount", "total", "expected"),
    [
        ("PERCENT", Decimal(10), "899.64", (Decimal(10), None)),
        ("PERCENT", Decimal(0), "999.60", (None, None)),
        ("AMOUNT", Decimal(100), "899.60", (None, Decimal("50.000000"))),  # once per row, so half of it per unit
        ("AMOUNT", Decimal(0), "999.60", (None, None)),
        ("PERCENT", None, "999.60", (None, None)),
    ],
)
def test_discounts_are_percent_or_amount_per_unit(
    kind: str, discount: Decimal | None, total: str, expected: tuple[Any, Any]
) -> None:
    mapped = deal(a_row(DiscountType=kind, Discount=discount, TotalExcludingVAT=Decimal(total)))
    assert mapped.problems == []
    assert mapped.lines is not None
    assert (mapped.lines[0]["hs_discount_percentage"], mapped.lines[0]["discount"]) == expected


def test_dates_are_midnight_utc() -> None:
    mapped = deal(DueDate=date(2026, 3, 29), FinalPayDate=date(2026, 3, 30))
    assert mapped.fields["closedate"] == datetime(2026, 3, 29, tzinfo=UTC)  # RB9
    assert mapped.fields["final_pay_date_in_fortnox"] == date(2026, 3, 30)


MARKED = [("hubspot", texts), ("salesforce", texts_salesforce)]


@pytest.mark.parametrize(("crm", "marked"), MARKED)
def test_the_sentences_of_presets_are_marked_for_translation(crm: str, marked: Any) -> None:
    presets = available(crm, "fortnox") + templates(crm, "fortnox")
    sentences = {
        row[key]
        for p in presets
        for row in (*p.mapping["fields"], *p.mapping.get("validations", ()), *p.mapping.get("lookups", ()))
        for key in ("message", "remedy", "hint")
        if row.get(key)
    }
    labels = {
        row["label"]
        for p in presets
        for row in (*p.mapping.get("validations", ()), *p.mapping.get("lookups", ()))
        if row.get("code") and row.get("outcome", "block") == "block"
    }
    fields = {row["label"] for p in presets for row in p.mapping["fields"] if p.target["side"] == "ledger"}
    assert sentences | labels | fields == marked.TEXTS


@pytest.mark.parametrize(("crm", "marked"), MARKED)
def test_names_and_settings_of_presets_are_marked_for_translation(crm: str, marked: Any) -> None:
    presets = available(crm, "fortnox") + templates(crm, "fortnox")
    assert {p.name for p in presets} | {p.description for p in presets} | {
        p.flow["toggle_label"] for p in presets if p.flow.get("toggle_label")
    } == marked.NAMES
    settings = [row for p in presets for row in p.settings]
    choices = {label for row in settings for _value, label in row["choices"]}
    assert {row["label"] for row in settings} | {row["help"] for row in settings} | choices == marked.SETTINGS


def test_the_settings_of_a_preset_are_found_by_its_slug() -> None:
    names = [row["name"] for row in settings_of("hubspot", "fortnox", DEALS)]
    assert names[:2] == ["document_mode", "missing_customer"]
    assert settings_of("hubspot", "fortnox", "no-such-preset") == ()
    for row in settings_of("hubspot", "fortnox", DEALS):
        assert row["type"] in {"choice", "text", "bool", "decimal"}
        assert row["type"] != "choice" or row["default"] in [value for value, _label in row["choices"]]


def test_installing_twice_changes_nothing() -> None:
    pair = MappingSet.objects.first().integration  # type: ignore[union-attr]
    before = (MappingSet.objects.count(), ValueMap.objects.count())
    again = install(pair, preset(CUSTOMERS), match_order="previous_app")
    assert (MappingSet.objects.count(), ValueMap.objects.count()) == before
    assert (again.version, again.state) == (1, "published")


def test_the_match_order_is_chosen_at_installation() -> None:
    pair = world.integration("Second")
    chosen = install(pair, preset(CUSTOMERS), match_order="previous_app")
    assert [rule.target_field for rule in chosen.match_rules.all()] == ["name", "fortnox_id", "domain"]
    assert install(pair, preset(ARTICLES), match_order="previous_app").match_rules.count() == 1


def test_every_preset_may_be_edited_and_published_again() -> None:
    for mapping_set in MappingSet.objects.all():
        assert publish(new_draft(mapping_set, None), None).version == 2
