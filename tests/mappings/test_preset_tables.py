"""The presets hold exactly the promised field tables, flows and set-up: what they say, before anything is installed."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.presets import Preset, available

CUSTOMERS, ARTICLES, INVOICES = "customers-to-companies", "articles-to-products", "invoices-to-deals"
NUMBERS, STATES = "customer-numbers-to-companies", "invoice-status-to-deals"
COMPANIES, DEALS = "companies-to-customers", "deals-to-invoices"

# What a deal shows of its invoice's state, whoever made the invoice (S28, SA10, SA15, SA16, Q-04).
STATE_TABLE = [
    ("SA15", "fortnox_invoice_date", "invoice.InvoiceDate"),
    ("SA15", "fortnox_due_date", "invoice.DueDate"),
    ("SA15", "fortnox_last_reminder_date", "invoice.LastRemindDate"),
    ("SA15", "fortnox_voucher", "invoice.voucher"),
    ("SA16", "fortnox_total", "invoice.TotalToPay"),
    ("SA16", "fortnox_net", "invoice.Net"),
    ("SA16", "fortnox_vat", "invoice.TotalVAT"),
    ("SA16", "fortnox_currency_rate", "invoice.CurrencyRate"),
    ("S28", "fortnox_balance", "invoice.Balance"),
    ("Q-04", "fortnox_credit_invoice", "invoice.CreditInvoiceReference"),
    ("Q-04", "fortnox_credits_invoice", "invoice.InvoiceReference"),
]

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
    *((requirement, slug, "header", target, source) for requirement, target, source in STATE_TABLE
      for slug in (INVOICES, STATES)),
    ("R104", STATES, "header", "invoice_number_in_fortnox", "invoice.DocumentNumber"),
    ("R45", STATES, "header", "final_pay_date_in_fortnox", "invoice.FinalPayDate"),
    ("R105", STATES, "header", "fortnox_status", 'lookup(invoice.status, "Invoice status")'),
    ("R104", NUMBERS, "header", "fortnox_id", "customer.CustomerNumber"),
    ("R22", NUMBERS, "header", "organization_number_from_fortnox", "customer.OrganisationNumber"),
]  # fmt: skip


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


@pytest.mark.parametrize("slug", [CUSTOMERS, ARTICLES, INVOICES, NUMBERS, STATES])
def test_nothing_beyond_the_promised_fields_is_mapped(slug: str) -> None:
    assert set(rows(slug)) == {(scope, target) for _r, s, scope, target, _e in FIELD_TABLE if s == slug}


def test_the_presets_come_in_the_order_of_their_dependencies() -> None:
    assert [p.slug for p in available("hubspot", "fortnox")] == [
        CUSTOMERS, ARTICLES, INVOICES, COMPANIES, NUMBERS, DEALS, STATES,
    ]  # fmt: skip
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


def test_set_up_creates_the_properties_and_the_pipeline() -> None:
    assert [f["name"] for f in preset(CUSTOMERS).setup.fields["company"]] == [
        "fortnox_id", "organization_number_from_fortnox", "fortnox_key",
    ]  # fmt: skip
    assert [f["name"] for f in preset(INVOICES).setup.fields["deal"]] == [
        "invoice_number_in_fortnox", "final_pay_date_in_fortnox", "fortnox_status", "fortnox_invoice_date",
        "fortnox_due_date", "fortnox_last_reminder_date", "fortnox_total", "fortnox_net", "fortnox_vat",
        "fortnox_balance", "fortnox_currency_rate", "fortnox_voucher", "fortnox_credit_invoice",
        "fortnox_credits_invoice", "fortnox_key",
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
