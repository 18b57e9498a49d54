"""What the CRM's companies and deals become in the ledger: exactly the promised tables, every check by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from integrations.connector import Record
from mappings.checking import failed_checks
from mappings.mapper import Checked, Mapped, map_record
from mappings.models import compile_mapping
from mappings.presets import available, install
from tests.mappings import world
from tests.mappings.test_presets import COMPANIES, CUSTOMERS, DEALS, preset

pytestmark = pytest.mark.django_db

# requirement, preset, scope, target field, source expression (None: tested by value below)
FIELD_TABLE = [
    ("R68", COMPANIES, "header", "Address1", "plain(company.address)"),
    ("R69", COMPANIES, "header", "Address2", "plain(company.address2)"),
    ("R70", COMPANIES, "header", "City", "plain(company.city)"),
    ("R72", COMPANIES, "header", "Name", "plain(company.name)"),
    ("R73", COMPANIES, "header", "OrganisationNumber", None),
    ("R74", COMPANIES, "header", "Phone1", "company.phone"),
    ("R75", COMPANIES, "header", "ZipCode", "company.zip"),
    ("R57", DEALS, "header", "Currency", "first_of(deal.deal_currency_code, source.currency)"),
    ("R59", DEALS, "header", "YourReference", None),
    ("R60", DEALS, "header", "Remarks", "plain(deal.description)"),
    ("RB21", DEALS, "header", "VATIncluded", "default(setting.vat_included, False)"),
    ("SA1", DEALS, "header", "NotCompleted", None),
    ("R61", DEALS, "line", "ArticleNumber", None),
    ("RB27", DEALS, "line", "Description", None),
    ("R62", DEALS, "line", "DeliveredQuantity", "line.quantity"),
    ("R63", DEALS, "line", "Price", "line.price"),
    ("R64", DEALS, "line", "Discount", None),
    ("R65", DEALS, "line", "DiscountType", None),
]
CHECKS = {  # R89-R103 and what the ledger would refuse
    COMPANIES: ["organization_number_known", "organization_number_valid", "name_known"],
    DEALS: [
        "company_associated", "organization_number_known", "has_lines", "not_too_many_lines", "one_currency",
        "not_recurring", "sku_allowed", "sku_present", "default_article_set", "line_described", "quantity_positive",
        "price_known", "discount_possible", "row_rounding", "field_currency",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("requirement", "slug", "scope", "target", "source"), FIELD_TABLE)
def test_each_promised_field_is_mapped_as_promised(
    requirement: str, slug: str, scope: str, target: str, source: str | None
) -> None:
    rows = {(row.get("scope", "header"), row["target"]): row for row in preset(slug).mapping["fields"]}
    assert source is None or rows[scope, target]["expression"] == source


@pytest.mark.parametrize("slug", [COMPANIES, DEALS])
def test_nothing_beyond_the_promised_fields_is_mapped(slug: str) -> None:
    rows = {(row.get("scope", "header"), row["target"]) for row in preset(slug).mapping["fields"]}
    assert rows == {(scope, target) for _r, s, scope, target, _e in FIELD_TABLE if s == slug}


_compiled: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def _installed(django_db_setup: None, django_db_blocker: Any) -> None:
    """Compiled once: a compiled mapping is plain data."""
    from django.db import transaction

    with django_db_blocker.unblock(), transaction.atomic():
        pair = world.integration("Creating", described=True)
        for p in available("hubspot", "fortnox"):
            if p.slug in (COMPANIES, DEALS, CUSTOMERS):
                _compiled[p.slug] = compile_mapping(install(pair, p))
        transaction.set_rollback(True)


def with_settings(slug: str, **chosen: Any) -> dict[str, dict[str, Any]]:
    values = {row["name"]: row["default"] for row in preset(slug).settings} | chosen
    return {"source": {"account_id": "146", "currency": "SEK"}, "setup": {}, "setting": values}


def customer(_settings: dict[str, Any] | None = None, **fields: Any) -> Mapped:
    company = {"name": "Åkers Järn AB", "organization_number_from_fortnox": "165560160680", "address": "Storg 1"}
    record = Record("company", "9", {**company, **fields})
    return map_record(_compiled[COMPANIES], record, with_settings(COMPANIES, **(_settings or {})), world.CUSTOMER)


def a_line(**fields: Any) -> dict[str, Any]:
    plain = {
        "hs_sku": "A-1", "name": "Widget", "quantity": Decimal(2), "price": Decimal("499.80"), "discount": None,
        "hs_discount_percentage": None, "hs_total_discount": None, "hs_line_item_currency_code": "SEK",
        "recurringbillingfrequency": None,
    }  # fmt: skip
    return {**plain, **fields}


COMPANY = {"hs_object_id": Decimal(9), "name": "Åkers Järn AB", "organization_number_from_fortnox": "556016-0680"}


def invoice(
    *lines: dict[str, Any],
    company: dict[str, Any] | None = COMPANY,
    contact: dict[str, Any] | None = None,
    chosen: dict[str, Any] | None = None,
    **fields: Any,
) -> Mapped:
    deal = {"dealname": "Order 7", "deal_currency_code": "SEK", "amount": Decimal("999.60"), "description": None}
    parts = {name: part for name, part in (("company", company), ("contact", contact)) if part is not None}
    record = Record("deal", "7", {**deal, **fields}, parts=parts, lines=list(lines))
    return map_record(_compiled[DEALS], record, with_settings(DEALS, **(chosen or {})), world.INVOICE)


def failing(mapped: Mapped) -> dict[str, Checked]:
    return {check.code: check for check in failed_checks(mapped)}


# --- Companies --------------------------------------------------------------------------------------------------------


def test_a_company_becomes_a_customer_numbered_by_the_ledger() -> None:
    mapped = customer(address2="c/o Ek", city="Lund", zip="222 23", phone="046-1", fortnox_id="1042")
    assert mapped.problems == []
    assert mapped.fields == {
        "Name": "Åkers Järn AB", "OrganisationNumber": "556016-0680", "Address1": "Storg 1", "Address2": "c/o Ek",
        "ZipCode": "222 23", "City": "Lund", "Phone1": "046-1",
    }  # fmt: skip
    assert mapped.unique is None  # RB22: the number is given by the ledger
    assert [(check.code, check.ok) for check in mapped.checks] == [(code, True) for code in CHECKS[COMPANIES]]


def test_a_company_without_organisation_number_waits_for_it_unless_the_flow_does_not_ask() -> None:
    check = failing(customer(organization_number_from_fortnox=None))["organization_number_known"]  # R89
    assert (check.actual, check.repair) == ("", "open_source")
    assert str(check.message)
    assert str(check.remedy)
    relaxed = {"require_org_number": False}
    assert customer(relaxed, organization_number_from_fortnox=None).problems == []  # RB23
    assert customer(relaxed, organization_number_from_fortnox="DE 811").fields["OrganisationNumber"] == "DE 811"
    assert (
        customer(relaxed, organization_number_from_fortnox="5560160680").fields["OrganisationNumber"] == "556016-0680"
    )


def test_a_wrong_check_digit_is_named_with_the_number_and_nothing_else_fails() -> None:
    mapped = customer(organization_number_from_fortnox="556016-0681")
    assert {code: check.actual for code, check in failing(mapped).items()} == {
        "organization_number_valid": "556016-0681"
    }
    assert [problem.code for problem in mapped.problems] == ["organization_number_valid"]


@pytest.mark.parametrize("name", [None, "", "  ", "\U0001f600", "[]", "…"])
def test_a_company_that_cannot_be_named_is_stopped(name: str | None) -> None:
    assert set(failing(customer(name=name))) == {"name_known"}


def test_emoji_and_control_characters_are_left_out_and_noted() -> None:
    mapped = customer(name="Åkers\x00 Järn \U0001f600")
    assert mapped.fields["Name"] == "Åkers Järn"
    assert [str(note) for note in mapped.notes] == ["Emoji and control characters in name and address are left out."]
    assert customer().notes == []


def test_a_name_of_300_characters_is_kept_and_one_of_2000_is_a_named_check() -> None:
    assert customer(name="A" * 300).fields["Name"] == "A" * 300
    check = failing(customer(name="A" * 2000))["field_name"]
    assert "1024" in str(check.message)
    assert str(check.remedy)


def test_a_customer_is_found_by_organisation_number_only() -> None:
    [rule] = _compiled[COMPANIES].match_rules  # RB24, RB25
    assert (rule.target_field, rule.normaliser, rule.outcome) == ("OrganisationNumber", "orgnr", "link")


# --- Deals ------------------------------------------------------------------------------------------------------------


def test_a_deal_becomes_an_invoice() -> None:
    mapped = invoice(
        a_line(), contact={"firstname": "Eva", "lastname": "Ek"}, description="PO 4711", deal_currency_code="SEK"
    )
    assert mapped.problems == []
    assert mapped.fields == {
        "Currency": "SEK", "YourReference": "Eva Ek", "Remarks": "PO 4711", "VATIncluded": False, "NotCompleted": None,
    }  # fmt: skip
    assert mapped.lines == [
        {
            "ArticleNumber": "A-1", "DeliveredQuantity": Decimal(2), "Price": Decimal("499.80"),
            "Discount": Decimal(0), "DiscountType": "PERCENT",
        }
    ]  # fmt: skip
    assert mapped.line_numbers == [1]
    assert mapped.links == {"customer": "9"}
    assert mapped.lookups == {"article": [(1, "A-1")]}
    assert mapped.lookup_texts == {"article": {1: "Widget"}}
    assert (mapped.promise, mapped.promise_currency) == (Decimal("999.60"), "SEK")
    assert [(check.code, check.ok) for check in mapped.checks] == [(code, True) for code in CHECKS[DEALS]]
    assert mapped.unique is None


def test_the_customer_number_is_the_link_to_the_company() -> None:
    [link] = _compiled[DEALS].links  # R58
    assert (link.name, link.target_field, link.related, link.required) == (
        "customer",
        "CustomerNumber",
        COMPANIES,
        True,
    )
    [lookup] = _compiled[DEALS].lookups  # R102
    assert (lookup.name, lookup.code, lookup.object, lookup.field) == (
        "article", "article_exists", "article", "ArticleNumber",
    )  # fmt: skip
    assert (lookup.writes, lookup.text_field, lookup.repair) == ("ArticleNumber", "Description", "create_article")


def test_an_empty_deal_fails_every_check_that_it_fails_at_once() -> None:
    mapped = invoice(company=None, deal_currency_code=None, chosen={"require_org_number": True})
    assert set(failing(mapped)) == {"company_associated", "organization_number_known", "has_lines"}
    assert [problem.code for problem in mapped.problems] == [
        "company_associated", "organization_number_known", "has_lines",
    ]  # fmt: skip


# requirement, check, what the deal has, its value as shown, the failing lines
BAD = [
    ("R98", "organization_number_known", {"company": {**COMPANY, "organization_number_from_fortnox": ""}}, "", ()),
    ("R99", "has_lines", {"lines": []}, "0", ()),
    ("limit", "not_too_many_lines", {"lines": [a_line()] * 501}, "501", ()),
    ("R100", "one_currency", {"lines": [a_line(), a_line(hs_line_item_currency_code="EUR")]}, "line 2: EUR", (2,)),
    ("R101", "not_recurring", {"lines": [a_line(recurringbillingfrequency="monthly")]}, "line 1: monthly", (1,)),
    ("R103", "sku_allowed", {"lines": [a_line(), a_line(hs_sku="A B"), a_line(hs_sku="Å;")]},
     "line 2: A B; line 3: Å;", (2, 3)),
    ("R103", "field_articlenumber", {"lines": [a_line(hs_sku="9" * 51)]}, "line 1: " + "9" * 51, (1,)),
    ("RB27", "sku_present", {"lines": [a_line(hs_sku="")], "chosen": {"rows_without_sku": "block"}},
     "line 1: Widget", (1,)),
    ("RB27", "default_article_set", {"lines": [a_line(hs_sku=None)], "chosen": {"rows_without_sku": "default"}},
     "line 1: Widget", (1,)),
    ("RB27", "line_described", {"lines": [a_line(hs_sku=None, name="\U0001f600")]}, "line 1: \U0001f600", (1,)),
    ("input", "quantity_positive", {"lines": [a_line(quantity=Decimal(-1))]}, "line 1: -1", (1,)),
    ("input", "quantity_positive", {"lines": [a_line(quantity=None)]}, "line 1", (1,)),
    ("input", "quantity_positive", {"lines": [a_line(quantity=Decimal("0.004"))]}, "line 1: 0.004", (1,)),
    ("input", "price_known", {"lines": [a_line(hs_sku=None, price=None)]}, "line 1", (1,)),
    ("input", "price_known", {"lines": [a_line(price=Decimal(-5))]}, "line 1: -5", (1,)),
    ("input", "discount_possible", {"lines": [a_line(hs_discount_percentage=Decimal(101))]}, "line 1: 101%", (1,)),
    ("input", "discount_possible", {"lines": [a_line(discount=Decimal(500))]}, "line 1: 500", (1,)),
    ("input", "discount_possible", {"lines": [a_line(discount=Decimal(-1))]}, "line 1: -1", (1,)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("requirement", "code", "options", "actual", "lines"),
    BAD,
    ids=[f"{r}-{c}-{i}" for i, (r, c, *_o) in enumerate(BAD)],
)
def test_each_bad_deal_fails_its_named_check_with_the_value(
    requirement: str, code: str, options: dict[str, Any], actual: str, lines: tuple[int, ...]
) -> None:
    given_options = dict(options)
    mapped = invoice(*given_options.pop("lines", [a_line()]), **given_options)
    assert set(failing(mapped)) == {code}
    check = failing(mapped)[code]
    assert (str(check.actual), check.lines) == (actual, lines)
    assert str(check.message)
    assert str(check.remedy)
    assert check.repair
    assert {problem.code for problem in mapped.problems} == {code if not code.startswith("field_") else "too_long"}


def test_the_pattern_of_a_sku_is_a_setting() -> None:
    assert failing(invoice(a_line(hs_sku="A+1")))["sku_allowed"].lines == (1,)
    assert failing(invoice(a_line(hs_sku="A+1"), chosen={"sku_pattern": r"[A-Z0-9+]+"})) == {}
    broken = invoice(a_line(), chosen={"sku_pattern": "(["})
    assert failing(broken)["sku_allowed"].message
    assert [problem.code for problem in broken.problems] == ["pattern"]


@pytest.mark.parametrize("sku", ["1", "a_B-9", "A/1", "Ö-1", "9" * 50])
def test_letters_digits_underscores_hyphens_and_slashes_are_allowed_in_a_sku(sku: str) -> None:
    assert failing(invoice(a_line(hs_sku=sku))) == {}  # RB26


def test_a_blank_line_currency_is_the_deals_and_a_blank_deal_currency_the_accounts() -> None:
    assert failing(invoice(a_line(hs_line_item_currency_code=None))) == {}  # RB29
    alone = invoice(a_line(), deal_currency_code=None)
    assert (alone.problems, alone.fields["Currency"], alone.promise_currency) == ([], "SEK", "SEK")
    assert "one_currency" in failing(invoice(a_line(), deal_currency_code="EUR"))


def test_a_currency_the_ledger_lacks_is_a_named_check() -> None:
    from dataclasses import replace

    from integrations.connector import FieldType, Option

    known = replace(world.INVOICE.fields["Currency"], type=FieldType.ENUM, options=(Option("SEK", "SEK"),))
    target = replace(world.INVOICE, fields={**world.INVOICE.fields, "Currency": known})
    record = Record("deal", "7", {"deal_currency_code": "NOK"}, parts={"company": dict(COMPANY)}, lines=[])
    mapped = map_record(_compiled[DEALS], record, with_settings(DEALS), target)
    check = failing(mapped)["field_currency"]  # R96
    assert check.actual == "NOK"
    assert "add NOK in Fortnox" in str(check.remedy)


def test_lines_without_sku_are_text_with_price_or_the_default_article() -> None:
    free = a_line(hs_sku=None, name="Consulting \U0001f600")
    [row] = invoice(free).lines or []
    assert (row["ArticleNumber"], row["Description"], row["Price"]) == (None, "Consulting", Decimal("499.80"))
    mapped = invoice(free, chosen={"rows_without_sku": "default", "default_article": "X"})
    [row] = mapped.lines or []
    assert (row["ArticleNumber"], row["Description"]) == ("X", "Consulting")
    assert mapped.lookups == {"article": [(1, "X")]}
    assert mapped.problems == []


def test_the_reference_is_cut_at_50_characters_and_says_so() -> None:
    mapped = invoice(a_line(), contact={"firstname": "E" * 30, "lastname": "K" * 30})
    assert mapped.fields["YourReference"] == "E" * 30 + " " + "K" * 19  # RB19
    assert "longer than 50" in str(mapped.notes[0])
    assert invoice(a_line(), contact={"firstname": None, "lastname": None}).fields["YourReference"] is None
    assert invoice(a_line()).fields["YourReference"] is None


def test_what_is_printed_on_the_invoice_is_said_beforehand() -> None:
    assert [str(n) for n in invoice(a_line(), description="Hi").notes] == [
        "The deal's description is printed on the invoice."  # RB11
    ]
    assert "field_remarks" in failing(invoice(a_line(), description="x" * 1025))


@pytest.mark.parametrize(("mode", "draft"), [("not_completed", True), ("unbooked", None), ("booked", None)])
def test_the_document_mode_makes_a_draft_only_when_chosen(mode: str, draft: bool | None) -> None:
    assert invoice(a_line(), chosen={"document_mode": mode}).fields["NotCompleted"] is draft
    [rule] = [rule for rule in _compiled[DEALS].fields if rule.target == "NotCompleted"]
    assert rule.when == "create"


def test_prices_are_without_vat_unless_chosen() -> None:
    assert invoice(a_line()).fields["VATIncluded"] is False
    assert invoice(a_line(), chosen={"vat_included": True}).fields["VATIncluded"] is True


def test_a_blank_price_leaves_the_price_list_in_charge() -> None:
    mapped = invoice(a_line(price=None))
    assert mapped.problems == []
    assert mapped.lines is not None
    assert mapped.lines[0]["Price"] is None


def test_more_decimals_than_the_ledger_keeps_are_noted() -> None:
    mapped = invoice(a_line(price=Decimal("0.3333")))
    assert mapped.lines is not None
    assert mapped.lines[0]["Price"] == Decimal("0.33")
    assert [str(note) for note in mapped.notes] == ["Line 1: “Unit price” 0.3333 is rounded to 0.33"]


# percent, amount per unit, HubSpot's own total -> type, value, notes
DISCOUNTS = [
    (None, None, None, "PERCENT", "0", 0),
    ("0", "0", "0", "PERCENT", "0", 0),
    ("12.5", None, "124.95", "PERCENT", "12.5", 0),
    ("12.0001", None, "119.953", "AMOUNT", "119.95", 1),  # the ledger would make it 12 %
    (None, "10", "20", "AMOUNT", "20", 0),  # per unit there, per line here
    (None, "10", None, "AMOUNT", "20", 0),
    ("10", "3", "6", "PERCENT", "10", 1),  # the percentage wins
    ("10.001", "3", "6", "AMOUNT", "99.97", 2),
    ("100", None, None, "PERCENT", "100", 0),
]


@pytest.mark.parametrize(("percent", "amount", "total", "kind", "value", "notes"), DISCOUNTS)
def test_discounts_are_sent_as_the_ledger_understands_them(
    percent: str | None, amount: str | None, total: str | None, kind: str, value: str, notes: int
) -> None:
    names = ("hs_discount_percentage", "discount", "hs_total_discount")
    given_values = (Decimal(text) if text is not None else None for text in (percent, amount, total))
    mapped = invoice(a_line(**dict(zip(names, given_values, strict=True))))
    assert mapped.problems == []
    assert mapped.lines is not None
    assert (mapped.lines[0]["DiscountType"], mapped.lines[0]["Discount"]) == (kind, Decimal(value))  # RB20
    assert len(mapped.notes) == notes


def test_a_percentage_with_many_decimals_and_no_price_is_rounded_and_noted() -> None:
    mapped = invoice(a_line(price=None, hs_discount_percentage=Decimal("12.0001")))
    assert mapped.lines is not None
    assert (mapped.lines[0]["DiscountType"], mapped.lines[0]["Discount"]) == ("PERCENT", Decimal("12.00"))
    assert "rounded to 12.00" in str(mapped.notes[0])


MONEY = st.decimals(min_value=0, max_value=100_000, places=2)
QUANTITY = st.decimals(min_value=Decimal("0.01"), max_value=1_000, places=2)
CENT = Decimal("0.01")


@settings(max_examples=150, deadline=None)
@given(
    price=MONEY,
    quantity=QUANTITY,
    percent=st.none() | st.decimals(min_value=0, max_value=100, places=2)
    | st.decimals(min_value=0, max_value=100, places=5),
    per_unit=st.none() | MONEY,
)  # fmt: skip
def test_the_row_comes_to_what_the_crm_shows(
    price: Decimal, quantity: Decimal, percent: Decimal | None, per_unit: Decimal | None
) -> None:
    assume(per_unit is None or per_unit <= price)
    mapped = invoice(a_line(price=price, quantity=quantity, hs_discount_percentage=percent, discount=per_unit))
    assert mapped.problems == []
    assert mapped.lines is not None
    row = mapped.lines[0]
    discount, kind = row["Discount"], row["DiscountType"]
    assert isinstance(discount, Decimal)
    assert discount == discount.quantize(CENT)
    gross = price * quantity
    off = gross * discount / 100 if kind == "PERCENT" else discount
    wanted = gross * percent / 100 if percent else (per_unit or Decimal(0)) * quantity
    assert abs(off - wanted) <= CENT / 2
    assert 0 <= off <= gross + CENT / 2


@settings(max_examples=100, deadline=None)
@given(
    name=st.text(max_size=400), description=st.text(max_size=400), sku=st.text(max_size=60),
    numbers=st.lists(st.none() | st.decimals(allow_nan=False, allow_infinity=False), min_size=4, max_size=4),
)  # fmt: skip
def test_any_deal_maps_or_is_reported(name: str, description: str, sku: str, numbers: list[Decimal | None]) -> None:
    fields = dict(zip(("quantity", "price", "discount", "hs_discount_percentage"), numbers, strict=True))
    mapped = invoice(
        a_line(name=name, hs_sku=sku, **fields), description=description, contact={"firstname": name, "lastname": sku}
    )
    assert [str(check.actual) + str(check.message) for check in mapped.checks]
    assert bool(failed_checks(mapped)) == bool(mapped.problems)
