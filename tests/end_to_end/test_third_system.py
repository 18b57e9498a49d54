"""A third system that no product code knows, through the unchanged engine: customers both ways, deals to invoices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from mappings.presets import loading
from sync import interactive, repair
from sync.engine.sweep import sweep
from sync.models import Change, EntityLink
from tests.third_system.world import DEALS, IN, NUMBERS, OUT, STATUS, ThirdWorld, no_answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThirdWorld]:
    yield ThirdWorld(monkeypatch)
    loading._load.cache_clear()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


def both(world: ThirdWorld, rounds: int = 1) -> None:
    for _round in range(rounds):
        world.sync(IN, OUT)


def checks(state: interactive.RecordState) -> dict[str, bool]:
    assert state.change is not None
    return {check["code"]: check["ok"] for check in state.change.checks}


def invoiced(world: ThirdWorld, *items: tuple[str, str, str], **fields: str) -> str:
    """A deal whose invoice was made by a press; returns the deal."""
    for sku in {sku for sku, _quantity, _price in items}:
        if sku not in world.books.records["article"]:
            world.article(sku)
    world.setting(DEALS, missing_customer="create")
    deal = world.deal(world.company(), *items, **fields)
    assert world.look(DEALS, deal).phase == "ready"
    world.press(DEALS, deal)
    return deal


# --- customers, both ways -------------------------------------------------------------------------------------------


def test_customers_become_companies_and_nothing_comes_back(world: ThirdWorld) -> None:
    for number, name in zip(NUMBERS, ("Ett AB", "Två AB", "Tre AB"), strict=True):
        world.books.add("customer", {"name": name, "org_number": number, "city": "Lund"})
    both(world, rounds=3)
    rows = world.register.rows("company").values()
    assert {row["number"]: (row["name"], row["key"]) for row in rows} == {
        "1001": ("Ett AB", "B-7:1001"), "1002": ("Två AB", "B-7:1002"), "1003": ("Tre AB", "B-7:1003"),
    }  # fmt: skip
    assert world.register.calls["write"] == 1
    assert "write customer" not in world.books.calls and "create customer" not in world.books.calls


def test_a_change_on_either_side_arrives_at_the_other(world: ThirdWorld) -> None:
    number = world.books.add("customer", {"name": "Ett AB", "org_number": NUMBERS[0], "city": "Lund"})
    both(world)
    (key,) = world.register.rows("company")
    world.register.put("company", {"city": "Malmö"}, key)
    both(world, rounds=2)
    assert world.books.get("customer", number).fields["city"] == "Malmö"
    world.books.change("customer", number, {"name": "Etta AB"})
    both(world, rounds=2)
    assert world.register.rows("company")[key]["name"] == "Etta AB"
    assert not Change.objects.filter(state="review").exists()


@pytest.mark.parametrize("side,kept", [("source", "Mine AB"), ("target", "Yours AB")])
def test_both_sides_changed_the_name_and_a_person_chooses(world: ThirdWorld, side: str, kept: str) -> None:
    number = world.books.add("customer", {"name": "Ett AB", "org_number": NUMBERS[0]})
    both(world)
    (key,) = world.register.rows("company")
    world.register.put("company", {"name": "Mine AB"}, key)
    world.books.change("customer", number, {"name": "Yours AB"})
    both(world)
    change = Change.objects.get(state="review", flow__slug=OUT)
    assert change.error_code == "both_changed"
    repair.choose(change, {"name": side}, None)
    both(world, rounds=2)
    names = {world.register.rows("company")[key]["name"], world.books.get("customer", number).fields["name"]}
    assert names == {kept} and not Change.objects.filter(state="review").exists()


def test_a_company_merged_in_the_crm_keeps_the_customer_and_one_deleted_changes_nothing(world: ThirdWorld) -> None:
    for number in NUMBERS[:2]:
        world.books.add("customer", {"name": f"Kund {number}", "org_number": number})
    both(world)
    by_number = {row["number"]: key for key, row in world.register.rows("company").items()}
    remaining = world.company("Samma AB", org="")
    world.register.drop("company", by_number["1001"], into=remaining)
    world.register.drop("company", by_number["1002"])
    world.sync(OUT)
    moved, frozen = (EntityLink.objects.get(ledger_id=number) for number in ("1001", "1002"))
    assert (moved.crm_id, moved.frozen_reason) == (remaining, "")
    assert frozen.frozen_reason == "crm: deleted"
    assert len(world.books.live("customer")) == 2


def test_two_linked_companies_merged_ask_a_person(world: ThirdWorld) -> None:
    for number in NUMBERS[:2]:
        world.books.add("customer", {"name": f"Kund {number}", "org_number": number})
    both(world)
    first, second = world.register.rows("company")
    world.register.drop("company", first, into=second)
    world.sync(OUT)
    change = Change.objects.get(state="review")
    assert (change.error_code, change.source_id, change.target_id) == ("merged", first, "1001")


# --- deals to invoices ----------------------------------------------------------------------------------------------


def test_a_deal_is_looked_at_repaired_pressed_and_becomes_one_invoice(world: ThirdWorld) -> None:
    deal = world.deal(world.company(), ("A-1", "2", "150"), stage="open")
    state = world.look(DEALS, deal)
    assert state.phase == "blocked"
    assert checks(state) == {
        "deal_won": False, "has_items": True, "customer_linked": False, "article_exists": False,
    }  # fmt: skip
    world.register.put("deal", {"stage": "won"}, deal)
    world.setting(DEALS, missing_customer="create", missing_article="create")
    state = world.look(DEALS, deal)
    assert state.phase == "ready" and all(checks(state).values())
    assert world.books.live("invoice") == [] and world.books.live("customer") == []  # a look writes nothing
    assert world.press(DEALS, deal).phase == "done"
    world.press(DEALS, deal)
    (invoice,) = world.books.live("invoice")
    assert (invoice["customer"], invoice["net"], invoice["vat"], invoice["total"]) == ("1001", 300, 75, 375)
    assert world.books.get("invoice", "1").rows[0]["article"] == "A-1"
    shown = world.deal_shows(deal)
    assert (shown["invoice_number"], shown["invoice_state"], shown["invoice_total"]) == ("1", "Draft", 375)
    assert (shown["told"], shown["why"]) == ("Synced", "In bokis, number 1.")
    (company,) = world.register.rows("company").values()
    assert company["number"] == "1001"  # the customer's number went back too


def test_an_answer_that_never_came_and_a_search_that_lags_make_no_second_invoice(world: ThirdWorld) -> None:
    world.article("A-1")
    world.setting(DEALS, missing_customer="create")
    deal = world.deal(world.company(), ("A-1", "1", "100"))
    world.look(DEALS, deal)
    world.books.faults.append(no_answer("create invoice"))
    world.books.lag = timedelta(seconds=30)
    assert world.press(DEALS, deal).phase == "verifying"
    world.later(DEALS)  # not found yet
    assert Change.objects.get(flow__slug=DEALS, state="unknown").verifications[0]["hits"] == 0
    world.books.wait(60)
    world.later(DEALS, STATUS)
    (invoice,) = world.books.live("invoice")
    change = Change.objects.get(flow__slug=DEALS, action="create", state="applied")
    assert (change.target_id, invoice["external_ref"]) == ("1", change.remote_reference)
    assert world.books.calls.count("create invoice") == 1
    assert world.deal_shows(deal)["invoice_number"] == "1"
    assert sweep(world.flow(DEALS)) == []


def test_rows_that_the_ledger_made_otherwise_are_shown_and_never_booked(world: ThirdWorld) -> None:
    world.article("BOX", whole_packages=True)
    world.setting(DEALS, document_mode="booked")
    deal = invoiced(world, ("BOX", "2.5", "100"))
    act = Change.objects.get(flow__slug=DEALS, state="review")
    assert act.error_code == "totals_promise"
    assert [row["code"] for row in act.problems] == ["totals_row", "totals_promise"]
    assert "250.00 was sent, 300.00 was made of it" in act.problems[0]["message"]["en"]
    assert world.books.get("invoice", "1").fields["state"] == "draft"
    world.books.change("article", "BOX", {"whole_packages": False})
    world.books.change("invoice", "1", {}, [{"article": "BOX", "quantity": Decimal("2.5"), "price": Decimal(100)}])
    repair.retry(Change.objects.filter(pk=act.pk), None)
    world.later(DEALS, STATUS)
    assert world.books.get("invoice", "1").fields["state"] == "booked"
    world.sync(STATUS)
    assert world.deal_shows(deal)["invoice_state"] == "Booked"


def test_an_invoice_is_booked_when_its_totals_are_right_and_its_payment_comes_back(world: ThirdWorld) -> None:
    world.setting(DEALS, document_mode="booked")
    deal = invoiced(world, ("A-1", "3", "33.33"))
    fields = world.books.get("invoice", "1").fields
    assert fields["state"] == "booked"
    assert (fields["net"], fields["vat"], fields["rounding"]) == (Decimal("99.99"), Decimal("25.00"), Decimal("0.01"))
    world.books.pay("1")
    world.sync(STATUS)
    assert world.deal_shows(deal)["invoice_state"] == "Paid"


def test_a_changed_deal_changes_the_draft_and_meets_the_lock_of_a_booked_invoice(world: ThirdWorld) -> None:
    deal = invoiced(world, ("A-1", "1", "100"))
    line = {"sku": "A-1", "text": "More", "quantity": Decimal(2), "price": Decimal(100)}
    world.register.put("deal", {"amount": Decimal(200)}, deal, lines=[line])
    world.sync(DEALS)
    assert world.books.get("invoice", "1").fields["net"] == 200
    world.books.book("1")
    world.register.put("deal", {"amount": Decimal(300)}, deal, lines=[line | {"quantity": Decimal(3)}])
    world.sync(DEALS)
    change = Change.objects.get(flow__slug=DEALS, state="review")
    assert (change.error_code, world.books.get("invoice", "1").fields["net"]) == ("locked", 200)
    assert "it is booked as 1. Credit it" in change.error_message


def test_a_booked_invoice_is_credited_and_made_anew(world: ThirdWorld) -> None:
    world.setting(DEALS, document_mode="booked")
    deal = invoiced(world, ("A-1", "1", "100"))
    world.register.put("deal", {"name": "Corrected"}, deal)
    act = interactive.credit_and_new(world.flow(DEALS), deal, actor="anna@kund.se", user=None, reason="wrong text")
    world.books.faults.append(no_answer("credit invoice"))
    for _round in range(3):  # carried out, but nobody heard of it: the state is read before anything is repeated
        world.later(DEALS)
    act.refresh_from_db()
    assert (act.state, act.payload["credit"]) == ("applied", "2")
    assert world.look(DEALS, deal).phase == "ready"
    world.press(DEALS, deal)
    invoices = {row["number"]: (row["state"], row.get("note"), row["net"]) for row in world.books.live("invoice")}
    assert invoices == {
        "1": ("credited", "Deal", 100), "2": ("booked", None, -100), "3": ("booked", "Corrected", 100),
    }  # fmt: skip
    link = EntityLink.objects.get(crm_object="deal")
    assert (link.ledger_id, [row["credit"] for row in link.former]) == ("3", ["2"])
    world.sync(STATUS)
    assert world.deal_shows(deal)["invoice_number"] == "3"


def test_what_bokis_refuses_says_what_it_is_about_and_goes_on_when_it_is_mended(world: ThirdWorld) -> None:
    world.article("A-1")
    world.books.add("customer", {"name": "Nordisk Handel", "org_number": NUMBERS[0], "blocked": True})
    deal = world.deal(world.company(), ("A-1", "1", "100"))
    assert world.look(DEALS, deal).phase == "ready"
    world.press(DEALS, deal)
    change = Change.objects.get(flow__slug=DEALS, state="review")
    assert (change.error_class, change.error_code, change.error_field) == ("data", "E23", "customer")
    assert "Customer 1001 is blocked" in change.error_message
    assert change.problems[0]["remedy"]["en"] == "Unblock it in Bokis."
    world.books.change("customer", "1001", {"blocked": False})
    repair.retry(Change.objects.filter(pk=change.pk), None)
    world.later(DEALS)
    assert [row["net"] for row in world.books.live("invoice")] == [100]
