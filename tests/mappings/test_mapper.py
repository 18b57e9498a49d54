"""Mapping one record: values, lines, keys, links, and every problem at once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.connector import Record
from integrations.errors import ErrorClass
from mappings.expressions import table_of
from mappings.mapper import CompiledLookup, CompiledMapping, CompiledValidation, LinkRule, fingerprint, map_record
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


# --- Checks, notes, look-ups, promise -------------------------------------------------------------------------------

SHOWN = CompiledValidation(
    None, "Has a city", expression("customer.city"), message="City missing", remedy="Add it", code="has_city",
    actual=expression("customer.name"), repair="open_source",
)  # fmt: skip


def test_every_blocking_condition_is_a_check_whether_it_holds_or_not() -> None:
    other = CompiledValidation(None, "Big enough!", expression("customer.n > 1"))
    skip = CompiledValidation(None, "Active", expression("True"), "header", "skip_create")
    rules = mapping(validations=(SHOWN, other, skip))
    held, failed = map_record(rules, customer(name="Ada", n=Decimal(2)), EXTRA, None).checks[::-1]
    assert (held.code, held.label, held.ok, held.actual) == ("big_enough", "Big enough!", True, "")
    assert (failed.code, failed.ok, failed.actual, failed.lines) == ("has_city", False, "Ada", ())
    assert (failed.message, failed.remedy, failed.repair) == ("City missing", "Add it", "open_source")
    [problem] = map_record(mapping(validations=(SHOWN,)), customer(), EXTRA, None).problems
    assert problem.code == "has_city"


def test_a_condition_that_cannot_be_evaluated_is_a_failed_check_too() -> None:
    check = CompiledValidation(None, "Ratio", expression("1 / customer.n > 1"), actual=expression("1 / customer.n"))
    [found] = map_record(mapping(validations=(check,)), customer(n=Decimal(0)), EXTRA, None).checks
    assert (found.code, found.ok, found.actual) == ("ratio", False, "")
    assert str(found.message)


def test_a_condition_of_lines_is_one_check_over_all_of_them() -> None:
    block = CompiledValidation(
        None, "Has article", expression("row.ArticleNumber"), "line", message="No article", code="has_article",
        actual=expression("row.DeliveredQuantity"),
    )  # fmt: skip
    rows = [{"ArticleNumber": a, "DeliveredQuantity": Decimal(n)} for n, a in enumerate(["A", "", "B", ""], start=1)]
    [check] = map_record(lines_mapping(validations=(block,)), an_invoice(*rows), EXTRA, DEAL).checks
    assert (check.ok, str(check.actual), check.lines) == (False, "line 2: 2; line 4: 4", (2, 4))
    [check] = map_record(lines_mapping(validations=(block,)), an_invoice(rows[0], rows[2]), EXTRA, DEAL).checks
    assert (check.ok, check.actual, check.lines) == (True, "1, 3", ())
    [check] = map_record(lines_mapping(validations=(block,)), an_invoice(), EXTRA, DEAL).checks
    assert (check.ok, check.actual) == (True, "")
    [check] = map_record(lines_mapping(validations=(block,)), an_invoice(*rows[1:2] * 30), EXTRA, DEAL).checks
    assert str(check.actual).endswith("line 20: 2; …")
    assert len(check.lines) == 30


def test_required_and_refused_fields_are_checks() -> None:
    rules = mapping(
        rule("name", required=True, label="Company name"), rule("zip"), rule("city", required=True), rule("phone")
    )
    mapped = map_record(rules, customer(name="Ada", zip="12345678901", phone="1"), EXTRA, COMPANY)
    assert [(c.code, c.label, c.ok, c.actual) for c in mapped.checks] == [
        ("field_name", "Company name", True, "Ada"),
        ("field_zip", "zip", False, "12345678901"),
        ("field_city", "city", False, ""),
    ]
    assert all(str(c.message) and str(c.remedy) for c in mapped.checks if not c.ok)


def test_an_option_the_target_lacks_is_a_failed_check_with_the_hint() -> None:
    rules = mapping(rule("deal_currency_code", "customer.c", hint="Enable {value} in HubSpot."))
    [check] = map_record(rules, customer(c="EUR"), EXTRA, DEAL).checks
    assert (check.ok, check.actual, check.remedy) == (False, "EUR", "Enable EUR in HubSpot.")


def test_a_condition_may_only_note_something() -> None:
    note = CompiledValidation(None, "Short", expression("not customer.name"), "header", "note", "The name is cut.")
    line = CompiledValidation(None, "Line", expression("False"), "line", "note", "Cut.")
    mapped = map_record(mapping(validations=(note,)), customer(name="Ada"), EXTRA, None)
    assert (mapped.notes, mapped.problems, mapped.checks) == (["The name is cut."], [], [])
    mapped = map_record(lines_mapping(validations=(line,)), an_invoice({}, {}), EXTRA, DEAL)
    assert [str(n) for n in mapped.notes] == ["Line 1: Cut.", "Line 2: Cut."]
    assert mapped.line_numbers == [1, 2]


def test_line_numbers_are_those_of_the_source() -> None:
    skip = CompiledValidation(None, "Text", expression("row.ArticleNumber"), "line", "skip")
    record = an_invoice({"ArticleNumber": ""}, {"ArticleNumber": "A"}, {"ArticleNumber": "B"})
    assert map_record(lines_mapping(validations=(skip,)), record, EXTRA, DEAL).line_numbers == [2, 3]


def test_values_to_be_looked_up_are_given_with_their_lines() -> None:
    skip = CompiledValidation(None, "Text", expression("row.Description"), "line", "skip")
    article = CompiledLookup(
        "article", "Article", expression("row.ArticleNumber"), "article", "ArticleNumber", "line",
        text=expression("row.Description"),
    )  # fmt: skip
    terms = CompiledLookup("terms", "Terms", expression("invoice.Currency"), "terms", "Code")
    broken = CompiledLookup("broken", "Broken", expression("1 / 0"), "x", "y")
    record = an_invoice(
        {"ArticleNumber": "A"}, {"ArticleNumber": "", "Description": "Free"},
        {"ArticleNumber": "B", "Description": "Widget"},
    )  # fmt: skip
    mapped = map_record(lines_mapping(validations=(skip,), lookups=(article, terms, broken)), record, EXTRA, DEAL)
    assert mapped.lookups == {"article": [(3, "B")], "terms": [(0, "SEK")], "broken": []}
    assert mapped.lookup_texts["article"] == {2: "Free", 3: "Widget"}
    assert [p.code for p in mapped.problems] == ["division_by_zero"]


def test_the_promise_is_what_the_source_says_the_document_comes_to() -> None:
    amount, currency = expression("customer.amount"), expression("customer.c")
    promised = mapping(promise=amount, promise_currency=currency)
    mapped = map_record(promised, customer(amount=Decimal("10.50"), c="SEK"), EXTRA, None)
    assert (mapped.promise, mapped.promise_currency) == (Decimal("10.50"), "SEK")
    absurd = map_record(promised, customer(amount=Decimal(10) ** 12, c="SEK"), EXTRA, None)
    assert [(problem.code, problem.value) for problem in absurd.problems] == [("too_large", "1000000000000")]
    assert map_record(promised, customer(amount="10.50"), EXTRA, None).promise == Decimal("10.50")
    assert map_record(promised, customer(), EXTRA, None).promise is None
    wrong = map_record(promised, customer(amount="much"), EXTRA, None)
    assert (wrong.promise, [p.code for p in wrong.problems]) == (None, ["wrong_type"])


def test_a_missing_link_that_a_check_named_already_is_not_reported_twice() -> None:
    link = LinkRule(None, "company", expression("customer.parent"), "customers", required=True)
    check = CompiledValidation(None, "Has parent", expression("customer.parent"), code="has_parent")
    mapped = map_record(mapping(links=(link,), validations=(check,)), customer(), EXTRA, None)
    assert [p.code for p in mapped.problems] == ["has_parent"]


def test_settings_are_read_like_fields() -> None:
    rules = mapping(rule("name", "default(setting.name, customer.name)"))
    extra = {**EXTRA, "setting": {"name": "Fixed"}}
    assert map_record(rules, customer(name="Ada"), extra, COMPANY).fields == {"name": "Fixed"}
    assert map_record(rules, customer(name="Ada"), EXTRA, COMPANY).fields == {"name": "Ada"}


def test_checks_of_a_problem_can_be_read_in_another_language() -> None:
    block = CompiledValidation(None, "Has article", expression("row.ArticleNumber"), "line", code="has_article")
    [check] = map_record(lines_mapping(validations=(block,)), an_invoice({}), EXTRA, DEAL).checks
    with translation.override("sv"):
        assert isinstance(str(check.actual), str)
    assert str(check.actual) == "line 1"
