"""What a sync costs in calls and queries, counted by the sandbox: neither more than the data needs nor fewer checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import ceil

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.end_to_end.checks import ALL_CURRENCIES, FLOWS, Before, check_companies, check_deals
from tests.end_to_end.world import ARTICLES, CUSTOMERS, INVOICES, World

Build = Callable[..., World]
N = 2_000
SET_UP = "hubspot crm/properties other"


def without_set_up(calls: Counter[str]) -> Counter[str]:
    """The calls that grow with the data."""
    return Counter({kind: count for kind, count in calls.items() if kind != SET_UP})


def test_a_first_import_costs_a_call_per_page_and_a_write_per_hundred(world: Build) -> None:
    there = world(customers=N)
    before = Before(there)
    mark = there.mark()
    run = there.sync(CUSTOMERS)
    calls = there.calls(mark)
    created = run.counts["create"]
    assert run.seen == N and created > N * 0.95
    assert calls["fortnox customers list"] == ceil(N / 500)
    assert calls["fortnox customers detail"] == 0
    # One page of 500 is delivered before the next one is planned: each page rounds up to hundreds by itself.
    assert ceil(created / 100) <= calls["companies batch/upsert"] <= N / 100
    assert calls["companies search"] == 1  # how many there are: none, so nothing is looked up
    expected = {"fortnox customers list", "companies batch/upsert", "companies search"}
    assert set(without_set_up(calls)) == expected
    assert calls[SET_UP] <= 12
    check_companies(there, before)


def test_matching_against_a_full_register_costs_no_more_than_a_look_up_per_hundred_and_rule(world: Build) -> None:
    there = world(customers=1_000, accounts=600)
    before = Before(there)
    mark = there.mark()
    there.sync(CUSTOMERS)
    calls = there.calls(mark)
    reads = sum(n for kind, n in calls.items() if kind in ("companies search", "companies batch/read", LISTS))
    assert reads <= 5 * ceil(1_000 / 100)
    assert calls["fortnox customers list"] == 2 and calls["fortnox customers detail"] == 0
    # Every page of 500 fills its batches of links and of creations apart, so each may end in one that is not full.
    assert calls["companies batch/upsert"] + calls["companies batch/update"] <= 10 + 2 * 2
    check_companies(there, before)


LISTS = "hubspot crm/objects other"


def test_a_run_without_changes_costs_one_call_and_the_same_queries_at_any_size(world: Build) -> None:
    def cost(customers: int) -> tuple[Counter[str], int]:
        there = world(customers=customers, articles=20)
        for slug in (CUSTOMERS, ARTICLES):
            there.sync(slug)
        there.pass_time()
        there.sync(CUSTOMERS)
        mark = there.mark()
        with CaptureQueriesContext(connection) as captured:
            there.sync(CUSTOMERS)
        return there.calls(mark), len(captured)

    small, large = cost(50), cost(1_500)
    assert small[0] == large[0] == {"fortnox customers list": 1}
    assert small[1] == large[1] <= 49  # five looks: stopped, cancelled, at work; re-syncs; plans of an older version


def test_one_percent_changed_is_read_and_written_and_nothing_else(world: Build) -> None:
    there = world(customers=N)
    before = Before(there)
    there.sync(CUSTOMERS)
    there.pass_time()
    moved = list(there.links(CUSTOMERS))[:: N // 20][:20]
    for number in moved:
        there.edit("customers", number, City="Flyttad")
    mark = there.mark()
    run = there.sync(CUSTOMERS)
    assert (run.seen, run.counts) == (20, {"update": 20})
    assert there.calls(mark) == {
        "fortnox customers list": 1,
        "companies batch/read": 1,
        "companies batch/update": 1,
    }
    check_companies(there, before)


def test_invoices_cost_one_detail_each_and_batches_for_the_rest(world: Build) -> None:
    there = world(customers=40, articles=40, invoices=600)
    there.enable_currencies()  # an invoice that waits for its currency makes every run ask for it
    before = Before(there)
    there.sync(CUSTOMERS)
    mark = there.mark()
    run = there.sync(INVOICES)
    calls = there.calls(mark)
    deals = check_deals(there, before, currencies=ALL_CURRENCIES)
    lines = sum(len([r for r in i["InvoiceRows"] if r["ArticleNumber"] or r["DeliveredQuantity"] != "0"])
                for i in deals.values())  # fmt: skip
    pages = ceil(run.seen / 500)
    assert calls["fortnox invoices detail"] == run.seen == len(there.fortnox("invoices"))
    assert calls["fortnox invoices list"] == pages
    assert calls["fortnox customers detail"] == 0
    # Every page of 500 fills its own batches.
    assert ceil(len(deals) / 100) <= calls["deals batch/upsert"] <= ceil(len(deals) / 100) + pages
    # The amount is asserted again once the lines are there.
    assert ceil(len(deals) / 100) <= calls["deals batch/update"] <= ceil(len(deals) / 100) + pages
    assert ceil(lines / 100) <= calls["line_items batch/upsert"] <= ceil(lines / 100) + pages
    assert calls["associations batch/create"] <= 2 * pages + 2
    assert calls["deals batch/read"] == calls["associations batch/read"] == 0
    there.pass_time()
    mark = there.mark()
    there.sync(INVOICES)
    assert there.calls(mark) == {"fortnox invoices list": 1}


def test_one_percent_of_the_invoices_changed_costs_one_detail_each(world: Build) -> None:
    there = world(customers=20, articles=20, invoices=300)
    there.enable_currencies()
    before = Before(there)
    for slug in FLOWS:
        there.sync(slug)
    there.pass_time()
    open_ones = [i for i in there.fortnox("invoices") if not i["Booked"] and not i["Cancelled"]]
    open_ones = [i for i in open_ones if str(i["DocumentNumber"]) in there.links(INVOICES)][:3]
    for invoice in open_ones:
        there.edit("invoices", invoice["DocumentNumber"], Comments="Ändrad")
    mark = there.mark()
    run = there.sync(INVOICES)
    assert (run.seen, run.counts) == (3, {"update": 3})
    assert there.calls(mark) == {
        "fortnox invoices list": 1,
        "fortnox invoices detail": 3,
        "deals batch/read": 1,
        "deals batch/update": 1,
    }
    check_deals(there, before, currencies=ALL_CURRENCIES)
