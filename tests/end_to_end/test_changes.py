"""Changes afterwards, on either side: only what changed is written, nothing is blanked, what waited goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from mappings.models import FieldMapping
from mappings.models.versions import new_draft, publish
from sync import tasks
from sync.models import Change, Flow, SyncRun
from sync.states import Action, State
from tests.end_to_end.checks import ALL_CURRENCIES, FLOWS, Before, check_all, check_deals
from tests.end_to_end.world import ARTICLES, CUSTOMERS, INVOICES, Raw, World

Build = Callable[..., World]
CLOCK = {"hs_lastmodifieddate", "lastmodifieddate"}


def changed(before: Raw, after: Raw) -> dict[str, Any]:
    """The properties that differ, with their new values; HubSpot's own clock and calculations left out."""
    own = {n for n in (*before, *after) if n.startswith("hs_") and n not in ("hs_sku", "hs_cost_of_goods_sold")}
    names = ({*before, *after} - own) - CLOCK - {"days_to_close", "amount_in_home_currency"}
    return {name: after.get(name) for name in sorted(names) if before.get(name) != after.get(name)}


def properties(world: World, name: str) -> dict[str, Raw]:
    """The properties of all live records by id."""
    return {record["id"]: dict(record["properties"]) for record in world.hubspot(name)}


def differences(world: World, name: str, before: dict[str, Raw]) -> dict[str, dict[str, Any]]:
    """What changed in which record since `before`; records that came or went count with everything they hold."""
    after = properties(world, name)
    found = {i: changed(before.get(i, {}), after.get(i, {})) for i in {*before, *after}}
    return {record_id: fields for record_id, fields in found.items() if fields}


def imported(world: Build, **sizes: int) -> World:
    """Everything synced once, and the vendors' clocks past every overlap."""
    there = world(**({"customers": 12, "articles": 8, "invoices": 20} | sizes))
    for slug in FLOWS:
        there.sync(slug)
    there.pass_time()
    return there


def paid_by(world: World, number: str, amount: float) -> None:
    world.edit("invoicepayments", InvoiceNumber=int(number), Amount=amount, ModeOfPayment="BG", Booked=True)


def unpaid(world: World, **wanted: Any) -> Raw:
    """A booked invoice in SEK with a balance that is a deal."""
    links = world.links(INVOICES)
    return next(
        i
        for i in world.fortnox("invoices")
        if i["Booked"] and i["Balance"] > 0 and i["Currency"] == "SEK" and str(i["DocumentNumber"]) in links
        and i["CreditInvoiceReference"] in ("0", "") and all(i[k] == v for k, v in wanted.items())
    )  # fmt: skip


def test_an_edited_customer_reaches_hubspot_with_only_the_changed_fields(world: Build) -> None:
    there = imported(world)
    before = properties(there, "companies")
    there.edit("customers", "3", City="Ängelholm", Phone1="0431-100 00")
    there.sync(CUSTOMERS)
    company = there.links(CUSTOMERS)["3"]
    assert differences(there, "companies", before) == {company: {"city": "Ängelholm", "phone": "0431-100 00"}}
    assert set(there.newest(CUSTOMERS)["3"].payload["fields"]) == {"city", "phone"}


def test_an_edit_of_an_unmapped_field_writes_nothing(world: Build) -> None:
    there = imported(world)
    there.edit("customers", "3", Comments="Ring före leverans")
    mark = there.mark()
    run = there.sync(CUSTOMERS)
    assert (run.seen, run.unchanged) == (1, 1)
    assert there.calls(mark) == {"fortnox customers list": 1}


def test_a_value_emptied_in_fortnox_is_not_emptied_in_hubspot(world: Build) -> None:
    there = imported(world)
    before = properties(there, "companies")
    there.edit("customers", "3", Phone1="", City="Ystad")
    there.sync(CUSTOMERS)
    assert differences(there, "companies", before) == {there.links(CUSTOMERS)["3"]: {"city": "Ystad"}}


def test_an_article_that_lost_its_vat_becomes_zero_percent(world: Build) -> None:
    there = imported(world)
    article = next(a for a in there.fortnox("articles") if a["VAT"] == 25)
    before = properties(there, "products")
    there.edit("articles", article["ArticleNumber"], SalesAccount=3004)
    there.sync(ARTICLES)
    product = there.links(ARTICLES)[article["ArticleNumber"]]
    assert differences(there, "products", before) == {product: {"tax": "0"}}


def test_a_booked_payment_moves_the_deal_to_paid_in_full(world: Build) -> None:
    there = imported(world, invoices=40)
    before, start = properties(there, "deals"), Before(there)
    start.deals = []
    invoice = unpaid(there)
    paid_by(there, invoice["DocumentNumber"], invoice["Balance"])
    there.sync(INVOICES)
    deal = there.links(INVOICES)[str(invoice["DocumentNumber"])]
    found = differences(there, "deals", before)
    assert set(found) == {deal}
    assert set(found[deal]) == {"dealstage", "fortnox_status", "final_pay_date_in_fortnox", "fortnox_balance"}
    assert (found[deal]["fortnox_status"], found[deal]["fortnox_balance"]) == ("Paid", "0")


def test_a_part_payment_leaves_the_stage_alone(world: Build) -> None:
    there = imported(world)
    made = there.edit("invoices", CustomerNumber="1", InvoiceRows=[ROW])
    there.edit("invoices", made["DocumentNumber"], Booked=True)
    there.sync(INVOICES)
    there.pass_time()
    before = properties(there, "deals")
    paid_by(there, made["DocumentNumber"], 100)
    there.sync(INVOICES)
    deal = there.links(INVOICES)[str(made["DocumentNumber"])]
    left = f"{Decimal(str(made['Balance'])) - 100:f}"
    assert differences(there, "deals", before) == {deal: {"fortnox_status": "Partly paid", "fortnox_balance": left}}


ROW = {"ArticleNumber": "", "Description": "Arbete", "DeliveredQuantity": 1, "Price": 800, "VAT": 25}


def test_an_invoice_overdue_by_the_clock_is_moved_by_the_daily_pass_and_not_before(world: Build) -> None:
    there = imported(world)
    start = Before(there)
    start.deals, start.lines = [], []
    made = there.edit("invoices", CustomerNumber="1", InvoiceRows=[ROW])
    there.edit("invoices", made["DocumentNumber"], Booked=True)
    there.sync(INVOICES)
    deal = there.links(INVOICES)[str(made["DocumentNumber"])]
    there.pass_time()
    there.sync(INVOICES)  # the cursor is past the invoice, overlap included
    before = properties(there, "deals")
    there.pass_time(days=31)
    mark = there.mark()
    there.sync(INVOICES)
    assert differences(there, "deals", before) == {}
    assert there.calls(mark) == {"fortnox invoices list": 1}
    daily = there.flow(INVOICES).passes.get(subset="unpaid")
    assert daily.every_minutes == 1440
    assert daily.next_run_at is not None and daily.next_run_at > timezone.now() + timedelta(hours=23)
    Flow.objects.update(next_run_at=timezone.now() + timedelta(days=1))
    assert tasks.drain() == 0
    there.flow(INVOICES).passes.filter(subset="unpaid").update(next_run_at=timezone.now())
    tasks.drain()
    found = differences(there, "deals", before)
    assert set(found[deal]) == {"dealstage", "fortnox_status"} and found[deal]["fortnox_status"] == "Overdue"
    check_deals(there, start, later=timedelta(days=31, minutes=20))


def test_a_currency_switched_on_in_hubspot_releases_its_invoices(world: Build) -> None:
    there = world(customers=20, articles=8, invoices=120)
    before = Before(there)
    for slug in FLOWS:
        there.sync(slug)
    waiting = {c.source_id for c in there.newest(INVOICES).values() if c.error_code == "option_unknown"}
    assert waiting
    there.enable_currencies()
    there.pass_time()
    there.sync(INVOICES)
    check_all(there, before, currencies=ALL_CURRENCIES)
    assert waiting <= set(there.links(INVOICES))


def test_an_invoice_of_a_customer_that_is_not_imported_imports_it_first(world: Build) -> None:
    there = imported(world)
    there.edit("customers", "77", Name="Ny Kund AB")
    made = there.edit("invoices", CustomerNumber="77", InvoiceRows=[ROW])
    mark = there.mark()
    there.sync(INVOICES)
    company = there.links(CUSTOMERS)["77"]
    assert str(made["DocumentNumber"]) in there.links(INVOICES)
    assert properties(there, "companies")[company]["name"] == "Ny Kund AB"
    assert there.calls(mark)["fortnox customers detail"] == 1
    mark = there.mark()
    there.sync(CUSTOMERS)
    assert there.calls(mark) == {"fortnox customers list": 1}


def test_an_invoice_waits_for_a_customer_that_a_person_must_decide_on_and_then_goes_on(world: Build) -> None:
    there = imported(world)
    number = there.fortnox("customers")[0]["OrganisationNumber"]
    there.edit("customers", "78", Name="Tvilling AB", OrganisationNumber=number)
    made = there.edit("invoices", CustomerNumber="78", InvoiceRows=[ROW])
    there.sync(INVOICES)
    change = there.newest(INVOICES)[str(made["DocumentNumber"])]
    assert (change.state, change.error_class) == (State.REVIEW, "dependency")
    there.pass_time()
    there.edit("customers", "78", OrganisationNumber="")
    there.sync(CUSTOMERS)
    there.quiet(INVOICES)
    assert str(made["DocumentNumber"]) in there.links(INVOICES)


def test_changed_rows_replace_the_line_items_and_the_amount(world: Build) -> None:
    there = imported(world)
    start = Before(there)
    start.deals, start.lines = [], []
    made = there.edit("invoices", CustomerNumber="1", InvoiceRows=[ROW, ROW | {"Price": 200}])
    there.sync(INVOICES)
    check_deals(there, start)
    there.pass_time()
    there.edit("invoices", made["DocumentNumber"], InvoiceRows=[ROW | {"Description": "Resa", "Price": 50}])
    there.sync(INVOICES)
    check_deals(there, start)
    deal = properties(there, "deals")[there.links(INVOICES)[str(made["DocumentNumber"])]]
    assert deal["amount"] == "50"


def test_a_credited_invoice_and_its_note_are_both_in_credited(world: Build) -> None:
    there = imported(world)
    start = Before(there)
    start.deals, start.lines = [], []
    invoice = unpaid(there)
    there.ask("fortnox", "PUT", f"/3/invoices/{invoice['DocumentNumber']}/credit")
    there.sync(INVOICES)
    deals = check_deals(there, start)
    note = next(i for i in deals.values() if i["InvoiceReference"] == str(invoice["DocumentNumber"]))
    labels = {s["id"]: s["label"] for p in there.hubspot("pipelines") for s in p["stages"]}
    held = properties(there, "deals")
    for number in (invoice["DocumentNumber"], note["DocumentNumber"]):
        assert labels[held[there.links(INVOICES)[str(number)]]["dealstage"]] == "Credited"


def _precedence(world: World, field: str, precedence: str) -> None:
    """A consultant publishes a mapping in which `field` has another precedence."""
    draft = new_draft(world.flow(CUSTOMERS).mapping_set(), None)
    FieldMapping.objects.filter(mapping_set=draft, target_field=field).update(precedence=precedence)
    publish(draft, None, check=False)


@pytest.mark.parametrize(
    ("precedence", "city", "outcome"),
    [("source", "Malmö", State.APPLIED), ("target", "Lund", State.APPLIED), ("ask", "Lund", State.REVIEW)],
)
def test_an_edit_on_both_sides_follows_the_precedence(world: Build, precedence: str, city: str, outcome: State) -> None:
    there = world(customers=5)
    there.sync(CUSTOMERS)
    _precedence(there, "city", precedence)
    company = there.links(CUSTOMERS)["2"]
    there.pass_time()
    there.edit_crm("companies", company, city="Lund")
    there.edit("customers", "2", City="Malmö", Address1="Nya gatan 1")
    there.sync(CUSTOMERS)
    held = properties(there, "companies")[company]
    change = there.newest(CUSTOMERS)["2"]
    assert (held["city"], change.state) == (city, outcome)
    if outcome == State.REVIEW:
        assert (change.action, change.error_code) == (Action.CONFLICT, "both_changed")
        assert "city" in change.reason["en"]
    else:
        assert held["address"] == "Nya gatan 1"


def test_our_own_writes_and_edits_of_other_fields_in_hubspot_cause_nothing(world: Build) -> None:
    there = imported(world)
    company = there.links(CUSTOMERS)["2"]
    there.edit_crm("companies", company, description="Viktig kund")
    before = properties(there, "companies")
    mark = there.mark()
    there.sync(CUSTOMERS, full=True)
    assert differences(there, "companies", before) == {}
    assert there.calls(mark) == {"fortnox customers list": 1}


def test_a_company_deleted_in_hubspot_is_a_conflict_not_a_new_company(world: Build) -> None:
    there = imported(world)
    count = len(there.hubspot("companies"))
    there.delete_crm("companies", there.links(CUSTOMERS)["2"])
    there.edit("customers", "2", City="Malmö")
    there.sync(CUSTOMERS)
    change = there.newest(CUSTOMERS)["2"]
    assert (change.state, change.error_code) == (State.REVIEW, "target_gone")
    assert "no longer there" in change.reason["en"] and change.reason["sv"]
    assert len(there.hubspot("companies")) == count - 1


def test_a_run_that_would_change_too_much_is_held(world: Build) -> None:
    there = world(customers=80, brake=50)
    there.sync(CUSTOMERS)
    before = properties(there, "companies")
    there.pass_time()
    for customer in there.fortnox("customers"):
        there.edit("customers", customer["CustomerNumber"], City="Överallt")
    run = there.sync(CUSTOMERS)
    assert (run.state, differences(there, "companies", before)) == (SyncRun.State.HELD, {})
    there.approve(run)
    assert {p["city"] for p in properties(there, "companies").values()} == {"Överallt"}
    assert not Change.objects.filter(state=State.HELD).exists()
