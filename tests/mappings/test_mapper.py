"""Mapping one record: values, lines, keys, links, and every problem at once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.connector import Record
from integrations.errors import ErrorClass
from mappings.expressions import table_of
from mappings.mapper import CompiledMapping, CompiledValidation, LinkRule, fingerprint, map_record
from tests.mappings.world import COMPANY, DEAL, EXTRA, an_invoice, customer, expression, mapping, rule

CHECK = CompiledValidation(None, "Has a city", expression("customer.city"), "header", "block", "City missing", "Add it")


def lines_mapping(**options: object) -> CompiledMapping:
    fields = (
        rule("hs_sku", "row.ArticleNumber", scope="line"),
        rule("quantity", "row.DeliveredQuantity", scope="line"),
    )
    reads = {"row": frozenset({"ArticleNumber", "DeliveredQuantity"})}
    return CompiledMapping(1, "invoice", "deal", fields, reads=reads, line_part="row", **options)  # type: ignore[arg-type]


def test_values_are_mapped_and_typed() -> None:
    mapped = map_record(mapping(rule("name"), rule("zip")), customer(name="Ada", zip=Decimal(22100)), EXTRA, COMPANY)
    assert mapped.fields == {"name": "Ada", "zip": "22100"}
    assert mapped.problems == []
    assert mapped.lines is None


def test_all_problems_are_reported_not_only_the_first() -> None:
    rules = mapping(
        rule("name", "1 / 0", label="Company name"), rule("zip"), rule("nowhere", "1"), rule("hs_object_id", "1"),
        rule("city", required=True), validations=(CHECK,),
    )  # fmt: skip
    problems = map_record(rules, customer(zip="12345678901"), EXTRA, COMPANY).problems
    assert [(p.code, p.field) for p in problems] == [
        ("validation", ""),
        ("division_by_zero", "name"),
        ("too_long", "zip"),
        ("target_field", "nowhere"),
        ("target_field", "hs_object_id"),
        ("required", "city"),
    ]
    assert all(str(p.message) and str(p.remedy) and str(p.rule) for p in problems)
    assert problems[1].rule == "Company name"
    assert problems[2].value == "12345678901"
    assert problems[3].error_class == ErrorClass.CONFIGURATION
    assert problems[5].error_class == ErrorClass.DATA
    assert "customer.city" in str(problems[5].remedy)


def test_a_failed_check_shows_the_values_it_looked_at() -> None:
    check = CompiledValidation(None, "Same", expression("customer.a == customer.b"))
    [problem] = map_record(mapping(validations=(check,)), customer(a="x", b="y"), EXTRA, None).problems
    assert problem.value == "x, y"
    assert problem.message == "Same"


def test_a_check_that_cannot_be_evaluated_is_its_own_problem() -> None:
    check = CompiledValidation(None, "Ratio", expression("1 / customer.n > 1"))
    [problem] = map_record(mapping(validations=(check,)), customer(n=Decimal(0)), EXTRA, None).problems
    assert (problem.code, problem.rule) == ("division_by_zero", "Ratio")


def test_a_value_map_translates_after_the_expression() -> None:
    terms = rule("name", value_map=table_of("Terms", {"30": "30 days"}))
    assert map_record(mapping(terms), customer(name="30"), EXTRA, COMPANY).fields == {"name": "30 days"}
    [problem] = map_record(mapping(terms), customer(name="45"), EXTRA, COMPANY).problems
    assert (problem.code, problem.error_class) == ("unmapped_value", ErrorClass.CONFIGURATION)


def test_an_option_the_target_lacks_is_refused_with_the_hint_of_the_rule() -> None:
    rules = mapping(rule("deal_currency_code", "customer.c", hint="Enable {value} in HubSpot."))
    [problem] = map_record(rules, customer(c="EUR"), EXTRA, DEAL).problems
    assert problem.code == "option_unknown"
    assert problem.remedy == "Enable EUR in HubSpot."
    assert problem.error_class == ErrorClass.CONFIGURATION
    assert problem.value == "EUR"


def test_a_hint_is_text_never_a_format_string() -> None:
    rules = mapping(rule("deal_currency_code", "customer.c", hint="{value.__class__} %s {0}"))
    [problem] = map_record(rules, customer(c="EUR"), EXTRA, DEAL).problems
    assert problem.remedy == "{value.__class__} %s {0}"


def test_without_a_schema_values_pass_as_they_are() -> None:
    mapped = map_record(mapping(rule("anything", "customer.n")), customer(n=Decimal(1)), EXTRA, None)
    assert mapped.fields == {"anything": Decimal(1)}


def test_blank_values_are_none() -> None:
    assert map_record(mapping(rule("name")), customer(name=""), EXTRA, COMPANY).fields == {"name": None}


def test_a_skipped_record_has_a_reason_and_no_problems() -> None:
    skip = CompiledValidation(None, "Active", expression("customer.active"), "header", "skip", "Inactive in Fortnox")
    mapped = map_record(mapping(rule("name", "1 / 0"), validations=(CHECK, skip)), customer(), EXTRA, COMPANY)
    assert (mapped.skip, mapped.skip_create_only, mapped.problems) == ("Inactive in Fortnox", False, [])
    assert mapped.fields == {}


def test_skipping_creation_only_still_maps() -> None:
    skip = CompiledValidation(None, "Not cancelled", expression("customer.ok"), "header", "skip_create")
    mapped = map_record(mapping(rule("name"), validations=(skip,)), customer(name="Ada"), EXTRA, COMPANY)
    assert (mapped.skip, mapped.skip_create_only) == ("Not cancelled", True)
    assert mapped.fields == {"name": "Ada"}


def test_skipping_altogether_outweighs_skipping_creation() -> None:
    both = tuple(CompiledValidation(None, o, expression("False"), "header", o) for o in ("skip_create", "skip"))
    mapped = map_record(mapping(validations=both), customer(), EXTRA, COMPANY)  # type: ignore[arg-type]
    assert (mapped.skip, mapped.skip_create_only) == ("skip", False)


def test_the_unique_key_is_given() -> None:
    rules = mapping(unique=("fortnox_key", expression('concat(source.account_id, ":", customer.n)')))
    assert map_record(rules, customer(n="7"), EXTRA, COMPANY).unique == ("fortnox_key", "t1:7")


@pytest.mark.parametrize("extra", [{}, {"source": {"account_id": ""}}, {"source": {"account_id": None}}])
def test_half_a_unique_key_is_a_problem_not_a_key(extra: dict[str, dict[str, None]]) -> None:
    rules = mapping(unique=("fortnox_key", expression('concat(source.account_id, ":", customer.n)')))
    mapped = map_record(rules, customer(n="7"), extra, COMPANY)
    assert mapped.unique is None
    assert [p.code for p in mapped.problems] == ["key_incomplete"]
    assert "source.account_id" in str(mapped.problems[0].message)


def test_lines_are_mapped_one_by_one_with_their_own_key() -> None:
    key = ("fortnox_key", expression('concat(source.account_id, ":", source.position)'))
    record = an_invoice(
        {"ArticleNumber": "A", "DeliveredQuantity": Decimal(2)}, {"ArticleNumber": None, "DeliveredQuantity": "1.5"}
    )
    mapped = map_record(lines_mapping(line_unique=key), record, EXTRA, DEAL)
    assert mapped.lines == [
        {"hs_sku": "A", "quantity": Decimal(2), "fortnox_key": "t1:1"},
        {"quantity": Decimal("1.5"), "fortnox_key": "t1:2"},
    ]


def test_a_line_can_be_left_out_with_its_reason_and_keeps_the_keys_of_the_others() -> None:
    key = ("fortnox_key", expression("concat(source.position)"))
    text_row = CompiledValidation(None, "Text row", expression("row.ArticleNumber"), "line", "skip", "No article")
    record = an_invoice({"ArticleNumber": None}, {"ArticleNumber": "B"})
    mapped = map_record(lines_mapping(line_unique=key, validations=(text_row,)), record, EXTRA, DEAL)
    assert mapped.lines == [{"hs_sku": "B", "fortnox_key": "2"}]
    assert [str(reason) for reason in mapped.skipped_lines] == ["Line 1: No article"]


def test_problems_of_lines_name_the_line_and_share_the_field() -> None:
    block = CompiledValidation(None, "Has article", expression("row.ArticleNumber"), "line", "block", "No article")
    record = an_invoice(
        {"ArticleNumber": "A", "DeliveredQuantity": "many"}, {"ArticleNumber": "", "DeliveredQuantity": "few"}
    )
    problems = map_record(lines_mapping(validations=(block,)), record, EXTRA, DEAL).problems
    assert [(p.code, p.field, str(p.rule)) for p in problems] == [
        ("wrong_type", "line.quantity", "quantity, line 1"),
        ("validation", "", "Has article, line 2"),
        ("wrong_type", "line.quantity", "quantity, line 2"),
    ]


def test_a_line_value_to_be_cleared_is_sent_as_nothing() -> None:
    rules = CompiledMapping(
        1, "invoice", "deal", (rule("discount", "row.Discount", scope="line", blank="clear"),), line_part="row"
    )
    assert map_record(rules, an_invoice({"Discount": None}), EXTRA, DEAL).lines == [{"discount": None}]


def test_header_rules_may_sum_lines() -> None:
    total = rule("amount", "0")
    summed = expression("sum_lines(row.Total)", lines="row")
    rules = CompiledMapping(1, "invoice", "deal", (type(total)(None, "", "amount", summed),), line_part="row")
    record = an_invoice({"Total": Decimal("1.10")}, {"Total": Decimal("2.20")})
    assert map_record(rules, record, EXTRA, DEAL).fields == {"amount": Decimal("3.30")}


def test_links_give_the_id_of_the_related_record() -> None:
    link = LinkRule(None, "company", expression("customer.parent"), "customers", required=True)
    assert map_record(mapping(links=(link,)), customer(parent=Decimal(42)), EXTRA, None).links == {"company": "42"}
    missing = map_record(mapping(links=(link,)), customer(), EXTRA, None)
    assert (missing.links, [p.code for p in missing.problems]) == ({}, ["link_missing"])


def test_an_optional_link_may_be_absent_and_a_broken_one_is_reported() -> None:
    optional = LinkRule(None, "company", expression("customer.parent"), "customers")
    broken = LinkRule(None, "owner", expression("1 / 0"), "owners")
    mapped = map_record(mapping(links=(optional, broken)), customer(), EXTRA, None)
    assert [p.field for p in mapped.problems] == ["owner"]


def test_the_title_is_the_expression_or_what_the_record_came_with() -> None:
    record = Record("customer", "1", {"n": "7"}, title="From the vendor")
    assert map_record(mapping(title=expression('concat("No ", customer.n)')), record, EXTRA, None).title == "No 7"
    assert map_record(mapping(title=expression("1 / 0")), record, EXTRA, None).title == "From the vendor"
    assert map_record(mapping(), record, EXTRA, None).title == "From the vendor"


def test_the_fingerprint_follows_mapped_fields_only() -> None:
    rules = mapping(rule("name"), rule("zip"))
    before = fingerprint(rules, customer(name="Ada", zip="1", phone="2"))
    assert fingerprint(rules, customer(name="Ada", zip="1", phone="3")) == before
    assert fingerprint(rules, customer(name="Eva", zip="1", phone="2")) != before


def test_the_fingerprint_follows_the_version() -> None:
    rules = mapping(rule("name"))
    other = CompiledMapping(2, rules.source, rules.target, rules.fields, reads=rules.reads)
    assert fingerprint(rules, customer(name="Ada")) != fingerprint(other, customer(name="Ada"))


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (Decimal("10.0"), Decimal(10), True), ("", None, True), (Decimal(1), "1", False), (True, Decimal(1), False),
        (date(2026, 1, 1), "2026-01-01", False), ("a", "b", False),
    ],
)  # fmt: skip
def test_the_fingerprint_compares_by_value(left: object, right: object, equal: bool) -> None:
    rules = mapping(rule("name"))
    same = fingerprint(rules, customer(name=left)) == fingerprint(rules, customer(name=right))
    assert same is equal


def test_the_fingerprint_follows_the_lines_and_their_order() -> None:
    one, two = ({"ArticleNumber": a, "DeliveredQuantity": Decimal(1), "RowId": i} for i, a in enumerate("AB"))
    rules = lines_mapping()
    before = fingerprint(rules, an_invoice(one, two))
    assert fingerprint(rules, an_invoice({**one, "RowId": 99}, two)) == before
    assert fingerprint(rules, an_invoice(two, one)) != before
    assert fingerprint(rules, an_invoice(one)) != before


def test_a_lone_surrogate_does_not_stop_the_fingerprint() -> None:
    assert fingerprint(mapping(rule("name")), customer(name="\ud800"))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "zip", "city"]), st.none() | st.text() | st.decimals() | st.booleans()))
def test_any_data_maps_or_is_reported(fields: dict[str, object]) -> None:
    rules = mapping(rule("name"), rule("zip"), rule("city", "customer.city + customer.name", required=True))
    mapped = map_record(rules, customer(**fields), EXTRA, COMPANY)
    assert set(mapped.fields) == {"name", "zip", "city"}
    assert mapped.fields["city"] is not None or mapped.problems
