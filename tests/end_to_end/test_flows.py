"""The three flows from an untouched portal to a full one, compared field by field with an independent reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync.engine.approve import approve
from sync.engine.run import work
from sync.models import Change, Flow, SyncRun
from sync.states import State
from tests.end_to_end import reference
from tests.end_to_end.checks import FLOWS, Before, check_all, check_companies, check_deals, check_explained
from tests.end_to_end.world import ARTICLES, CUSTOMERS, INVOICES, World

Build = Callable[..., World]
SIZES = {"customers": 120, "articles": 60, "invoices": 240, "accounts": 40}


def test_nothing_is_written_before_a_person_approved_and_everything_is_right_afterwards(world: Build) -> None:
    there = world(**SIZES, approved=False)
    before = Before(there)
    for slug in FLOWS:
        run = there.sync(slug)
        assert run.state == SyncRun.State.HELD
        assert not Change.objects.filter(flow__slug=slug, state=State.APPLIED).exists()
        ours = [d for d in there.hubspot(_kind(slug)) if d["properties"].get("fortnox_key")]
        assert ours == []
        there.approve(run)
        run.refresh_from_db()
        assert (run.state, there.flow(slug).first_run_pending) == (SyncRun.State.DONE, False)
    check_all(there, before)
    assert len(before.outcome.review) > 5 and sum(1 for t in before.outcome.targets.values() if t) > 20


def test_an_approval_in_the_middle_of_other_work_is_not_lost(world: Build) -> None:
    there = world(customers=20, approved=False)
    before = Before(there)
    run = there.sync(CUSTOMERS)

    def approved_meanwhile() -> bool:
        approve(run, None)
        return True

    work(there.flow(CUSTOMERS), keep_going=approved_meanwhile)
    run.refresh_from_db()
    assert run.state == SyncRun.State.DELIVERING
    there.quiet(CUSTOMERS)
    check_companies(there, before)


def test_an_approval_whose_catch_up_fails_is_not_lost(world: Build) -> None:
    there = world(customers=20, approved=False)
    before = Before(there)
    run = there.sync(CUSTOMERS)
    there.faults(status_500=1.0, match={"system": "fortnox"})
    there.approve(run)
    run.refresh_from_db()
    assert (run.state, run.error_class) == (SyncRun.State.DELIVERING, "transient")
    there.faults()
    there.later()
    work(there.flow(CUSTOMERS))
    check_companies(there, before)


def _kind(slug: str) -> str:
    return slug.rsplit("-", 1)[1]


def test_every_invoice_state_has_its_stage(world: Build) -> None:
    there = world(customers=60, articles=40, invoices=200)
    before = Before(there)
    for slug in FLOWS:
        there.sync(slug)
    deals = check_deals(there, before)
    day = reference.today(datetime.now(UTC))
    seen = Counter(reference.status(invoice, day) for invoice in deals.values())
    assert set(seen) == {"Draft", "Unbooked", "Paid", "Overdue", "Sent", "Credited", "Booked", "Partly paid"} - (
        {"Booked", "Partly paid"} - set(seen)
    )
    assert {reference.stage(invoice, day) for invoice in deals.values()} == set(reference.STAGES.values())
    notes = [invoice for invoice in deals.values() if reference.is_credit(invoice)]
    assert notes and all(reference.amount(note) < 0 for note in notes)


def _invoice(world: World, row: dict[str, Any], **fields: Any) -> str:
    rows = [{"ArticleNumber": "", "Description": "Arbete", "DeliveredQuantity": 3, "Price": 333.33} | row]
    made = world.edit("invoices", CustomerNumber="1", InvoiceRows=rows, **fields)
    return str(made["DocumentNumber"])


def test_amounts_are_net_to_the_ore_whatever_the_invoice_looks_like(world: Build) -> None:
    there = world(customers=3, articles=3)
    before = Before(there)
    expected = {
        _invoice(there, {"VAT": 25}): "999.99",
        _invoice(there, {"VAT": 25}, Freight=95, AdministrationFee=29.5): "1124.49",
        _invoice(there, {"VAT": 12, "Discount": 10, "DiscountType": "PERCENT"}): "899.99",
        _invoice(there, {"VAT": 25, "Discount": 25, "DiscountType": "AMOUNT"}): "974.99",
        _invoice(there, {"VAT": 25, "Price": 1250, "DeliveredQuantity": 1}, VATIncluded=True): "1000",
        _invoice(there, {"VAT": 25, "Price": 1250, "DeliveredQuantity": 1}, VATIncluded=True, Freight=125): "1100",
        _invoice(there, {"VAT": 0, "Price": 100.4, "DeliveredQuantity": 1}): "100.4",
        _invoice(there, {"VAT": 6, "DeliveredQuantity": -2}): "-666.66",
    }
    there.sync(CUSTOMERS)
    there.sync(INVOICES)
    check_deals(there, before)
    amounts = {d["properties"]["invoice_number_in_fortnox"]: d["properties"]["amount"] for d in there.hubspot("deals")}
    assert {number: Decimal(value) for number, value in amounts.items()} == {
        number: Decimal(value) for number, value in expected.items()
    }


def test_text_rows_become_no_line_items_and_a_row_without_article_keeps_its_text(world: Build) -> None:
    there = world(customers=2, articles=3)
    before = Before(there)
    rows = [
        {"Description": "Enligt avtal"},
        {"Description": "Montering", "DeliveredQuantity": 1.5, "Price": 100},
        {"ArticleNumber": "1001", "DeliveredQuantity": 0},
    ]
    there.edit("invoices", CustomerNumber="1", InvoiceRows=rows)
    there.sync(CUSTOMERS)
    there.sync(INVOICES)
    check_deals(there, before)
    lines = there.hubspot("line_items")
    assert sorted((line["properties"].get("hs_sku", ""), line["properties"].get("quantity")) for line in lines) == [
        ("", "1.5"),
        ("1001", "0"),
    ]


def test_a_cancelled_invoice_is_not_imported_and_one_imported_earlier_only_says_so(world: Build) -> None:
    there = world(customers=2, articles=3)
    first, second = _invoice(there, {"VAT": 25}), _invoice(there, {"VAT": 25})
    there.edit("invoices", first, Cancelled=True)
    there.sync(CUSTOMERS)
    there.sync(INVOICES)
    (deal,) = there.hubspot("deals")
    assert deal["properties"]["invoice_number_in_fortnox"] == second
    assert there.newest(INVOICES)[first].state == State.SKIPPED
    there.pass_time()
    there.edit("invoices", second, Cancelled=True)
    there.sync(INVOICES)
    (after,) = there.hubspot("deals")
    assert after["properties"]["fortnox_status"] == "Cancelled"
    assert after["properties"]["fortnox_balance"] == "0"
    moved = ("fortnox_status", "fortnox_balance", "hs_lastmodifieddate")
    assert {k: v for k, v in after["properties"].items() if k not in moved} == {
        k: v for k, v in deal["properties"].items() if k not in moved
    }
    check_explained(there)


def test_groups_properties_and_pipeline_are_made_once_and_found_again(world: Build) -> None:
    there = world(customers=5, articles=5, invoices=5)
    for slug in FLOWS:
        there.sync(slug)
    ours = [(p["object_type"], p["name"]) for p in there.hubspot("properties") if p["groupName"] == "fortnox"]
    assert sorted(ours) == [
        ("companies", "fortnox_id"),
        ("companies", "fortnox_key"),
        ("companies", "organization_number_from_fortnox"),
        ("deals", "final_pay_date_in_fortnox"),
        ("deals", "fortnox_balance"),
        ("deals", "fortnox_credit_invoice"),
        ("deals", "fortnox_credits_invoice"),
        ("deals", "fortnox_currency_rate"),
        ("deals", "fortnox_due_date"),
        ("deals", "fortnox_invoice_date"),
        ("deals", "fortnox_key"),
        ("deals", "fortnox_last_reminder_date"),
        ("deals", "fortnox_net"),
        ("deals", "fortnox_status"),
        ("deals", "fortnox_total"),
        ("deals", "fortnox_vat"),
        ("deals", "fortnox_voucher"),
        ("deals", "invoice_number_in_fortnox"),
        ("line_items", "fortnox_key"),
        ("products", "fortnox_key"),
    ]
    pipelines = there.hubspot("pipelines")
    before = (there.hubspot("properties"), pipelines)
    Flow.objects.update(prepared_at=None)
    mark = there.mark()
    for slug in FLOWS:
        assert there.sync(slug).state == SyncRun.State.DONE
    assert (there.hubspot("properties"), there.hubspot("pipelines")) == before
    assert [p["label"] for p in pipelines].count("Fortnox Invoices") == 1
    assert not any("batch/upsert" in kind for kind in there.calls(mark))


def test_two_customers_of_one_organisation_number_make_one_company(world: Build) -> None:
    there = world(customers=3)
    number = there.fortnox("customers")[0]["OrganisationNumber"]
    there.edit("customers", "2", OrganisationNumber=number)
    there.sync(CUSTOMERS)
    assert sorted(c["properties"]["fortnox_id"] for c in there.hubspot("companies")) == ["1", "3"]
    change = there.newest(CUSTOMERS)["2"]
    assert (change.state, change.error_code) == (State.REVIEW, "taken")
    owner = there.fortnox("customers")[0]["Name"]
    assert f"belongs to {owner} already" in change.reason["en"] or "belongs to 1 already" in change.reason["en"]


def test_held_and_blocked_records_say_why(world: Build) -> None:
    there = world(**SIZES)
    for slug in FLOWS:
        there.sync(slug)
    check_explained(there)
    codes = Counter(Change.objects.filter(state=State.REVIEW).values_list("flow__slug", "error_code"))
    assert codes[CUSTOMERS, "suggested"] and codes[CUSTOMERS, "taken"]
    assert codes[INVOICES, "not_imported"] and codes[INVOICES, "option_unknown"]
    assert not any(slug == ARTICLES for slug, _code in codes)
