"""The presets hold exactly the promised field tables, compile, install, and give the promised values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from integrations.connector import Record
from mappings.mapper import Mapped, map_record
from mappings.models import MappingSet, ValueMap, compile_mapping, new_draft, publish
from mappings.presets import Preset, available, install
from mappings.presets.texts import TEXTS
from tests.mappings import world
from tests.mappings.world import EXTRA, a_row, an_invoice

CUSTOMERS, ARTICLES, INVOICES = "customers-to-companies", "articles-to-products", "invoices-to-deals"

# requirement, preset, scope, target field, source expression (None: tested by value below)
FIELD_TABLE = [
    ("R21", CUSTOMERS, "header", "fortnox_id", "customer.CustomerNumber"),
    ("R22", CUSTOMERS, "header", "organization_number_from_fortnox", "customer.OrganisationNumber"),
    ("R23", CUSTOMERS, "header", "name", "customer.Name"),
    ("R24", CUSTOMERS, "header", "address", "customer.Address1"),
    ("R25", CUSTOMERS, "header", "address2", "customer.Address2"),
    ("R26", CUSTOMERS, "header", "city", "customer.City"),
    ("R27", CUSTOMERS, "header", "zip", "customer.ZipCode"),
    ("R28", CUSTOMERS, "header", "phone", "customer.Phone1"),
    ("R32", ARTICLES, "header", "hs_sku", "article.ArticleNumber"),
    ("R33", ARTICLES, "header", "name", "article.Description"),
    ("R34", ARTICLES, "header", "description", "article.Description"),
    ("R35", ARTICLES, "header", "price", "article.SalesPrice"),
    ("R36", ARTICLES, "header", "hs_cost_of_goods_sold", "article.PurchasePrice"),
    ("R37", ARTICLES, "header", "tax", "article.VAT"),
    ("R44", INVOICES, "header", "invoice_number_in_fortnox", "invoice.DocumentNumber"),
    ("R45", INVOICES, "header", "final_pay_date_in_fortnox", "invoice.FinalPayDate"),
    ("R46", INVOICES, "header", "amount", None),
    ("R47", INVOICES, "header", "deal_currency_code", "invoice.Currency"),
    ("R48", INVOICES, "header", "closedate", "datetime_utc(invoice.DueDate)"),
    ("R49", INVOICES, "header", "createdate", "datetime_utc(invoice.InvoiceDate)"),
    ("R50", INVOICES, "header", "dealname", None),
    ("R51", INVOICES, "header", "description", "invoice.Comments"),
    ("R39", INVOICES, "header", "pipeline", "setup.pipeline_fortnox_invoices"),
    ("R40", INVOICES, "header", "dealstage", None),
    ("RB14", INVOICES, "header", "fortnox_status", None),
    ("R52", INVOICES, "line", "hs_sku", "row.ArticleNumber"),
    ("R53", INVOICES, "line", "name", "row.Description"),
    ("R54", INVOICES, "line", "quantity", "row.DeliveredQuantity"),
    ("RB18", INVOICES, "line", "price", "row.PriceExcludingVAT"),
    ("RB18", INVOICES, "line", "hs_discount_percentage", None),
    ("RB18", INVOICES, "line", "discount", None),
]


def preset(slug: str) -> Preset:
    [found] = [p for p in available("hubspot", "fortnox") if p.slug == slug]
    return found


def rows(slug: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row.get("scope", "header"), row["target"]): row for row in preset(slug).mapping["fields"]}


@pytest.mark.parametrize(("requirement", "slug", "scope", "target", "source"), FIELD_TABLE)
def test_each_promised_field_is_mapped_as_promised(
    requirement: str, slug: str, scope: str, target: str, source: str | None
) -> None:
    row = rows(slug)[scope, target]
    assert source is None or row["expression"] == source
    assert row.get("precedence", "source") == "source"
    assert row.get("when", "always") == "always"
    # RB33; a line is found by its place, so what its row does not have must not stay from the row before.
    assert row.get("blank", "keep") == ("clear" if row.get("scope") == "line" else "keep")


@pytest.mark.parametrize("slug", [CUSTOMERS, ARTICLES, INVOICES])
def test_nothing_beyond_the_promised_fields_is_mapped(slug: str) -> None:
    assert set(rows(slug)) == {(scope, target) for _r, s, scope, target, _e in FIELD_TABLE if s == slug}


def test_the_presets_come_in_the_order_of_their_dependencies() -> None:
    assert [p.slug for p in available("hubspot", "fortnox")] == [CUSTOMERS, ARTICLES, INVOICES]
    assert available("hubspot", "unknown") == []
    assert available("..", "x") == []
    assert available("../presets/hubspot", "fortnox") == []


@pytest.mark.parametrize(("slug", "minutes"), [(CUSTOMERS, 120), (ARTICLES, 30), (INVOICES, 30)])
def test_schedules_are_as_promised_and_the_first_run_waits_for_a_person(slug: str, minutes: int) -> None:
    assert preset(slug).flow["every_minutes"] == minutes  # R15, R29
    assert preset(slug).flow["first_run"] == "hold"


def test_overdue_invoices_have_a_daily_pass() -> None:
    flow = preset(INVOICES).flow
    assert {"name": "overdue", "subset": "unpaid", "every_minutes": 1440} in flow["passes"]  # RB12
    assert flow["depends_on"] == [CUSTOMERS]  # R43


def test_the_match_orders_are_as_promised() -> None:
    orders = preset(CUSTOMERS).match_orders
    assert [(r["target_field"], r["outcome"]) for r in orders["default"]] == [  # RB2
        ("fortnox_id", "link"), ("organization_number_from_fortnox", "link"), ("domain", "link"), ("name", "suggest"),
    ]  # fmt: skip
    assert [r["target_field"] for r in orders["previous_app"]] == ["name", "fortnox_id", "domain"]  # R17–R19
    assert [r["target_field"] for r in preset(ARTICLES).match_orders["default"]] == ["hs_sku"]  # R31


def test_the_default_customer_mapping_needs_no_detail_call() -> None:
    listed = {
        "Address1", "Address2", "City", "CustomerNumber", "Email", "Name", "OrganisationNumber", "Phone1", "ZipCode",
        "email_domain",
    }  # fmt: skip
    assert compiled(CUSTOMERS).reads["customer"] <= listed


def test_set_up_creates_the_properties_and_the_pipeline() -> None:
    assert [f["name"] for f in preset(CUSTOMERS).setup.fields["company"]] == [
        "fortnox_id", "organization_number_from_fortnox", "fortnox_key",
    ]  # fmt: skip
    assert [f["name"] for f in preset(INVOICES).setup.fields["deal"]] == [
        "invoice_number_in_fortnox", "final_pay_date_in_fortnox", "fortnox_status", "fortnox_key",
    ]  # fmt: skip
    for p in available("hubspot", "fortnox"):
        for created in p.setup.fields.values():
            assert [f["unique"] for f in created if f["name"] == "fortnox_key"] == [True]
            assert {f["group"] for f in created} == {"fortnox"}
            assert all(f["label"] and f["type"] and f["description"] for f in created)
    [(name, pipeline)] = preset(INVOICES).setup.pipelines.items()
    assert (name, pipeline["label"]) == ("pipeline_fortnox_invoices", "Fortnox Invoices")
    stages: Any = pipeline["stages"]
    assert [stage["label"] for stage in stages] == ["Unpaid", "Paid in Full", "Unpaid Overdue", "Credited"]  # R40
    assert all(0 <= float(stage["probability"]) <= 1 for stage in stages)


_compiled: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _installed(db: None) -> None:
    pair = world.integration(described=True)
    for p in available("hubspot", "fortnox"):
        _compiled[p.slug] = compile_mapping(install(pair, p))


def compiled(slug: str) -> Any:
    return _compiled[slug]


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
    assert mapped.fields == {
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


def test_the_sentences_of_presets_are_marked_for_translation() -> None:
    sentences = {
        row[key]
        for p in available("hubspot", "fortnox")
        for row in (*p.mapping["fields"], *p.mapping.get("validations", ()))
        for key in ("message", "remedy", "hint")
        if row.get(key)
    }
    assert sentences == TEXTS


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
