"""Reconciliation over the sandbox, compared with what the sandbox itself knows to be true (I-03, Q-21, Q-22)."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command

from integrations.connector import Write
from integrations.connectors import connector_for
from integrations.figures import STATUSES
from sync.models import Change, Reconciliation, ReconciliationLine
from sync.reconcile.amounts import Amounts, Totals
from sync.reconcile.store import begin
from sync.reconcile.work import work
from tests.end_to_end.world import CUSTOMERS, INVOICES, World

Sums = dict[str, tuple[int, Decimal, Decimal, Decimal, Decimal]]


def reconcile(world: World, first: date, last: date, **options: Any) -> Reconciliation:
    row = begin(world.integration, first, last, kick=False, **options)
    work(row.pk)
    row.refresh_from_db()
    return row


def truth(rows: list[dict[str, Any]], first: date, last: date, names: tuple[str, ...]) -> Sums:
    """Currency → (count, net, VAT, gross, balance), added up here from what the vendor's own state says."""
    day, currency, *figures = names
    found: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 5)
    for row in rows:
        given = row.get("properties", row)
        if given.get(day) and first <= date.fromisoformat(str(given[day])[:10]) <= last:
            sums = found[str(given.get(currency))]
            found[str(given.get(currency))] = [
                sums[0] + 1, *(s + Decimal(str(given.get(n) or 0)) for s, n in zip(sums[1:], figures, strict=True))
            ]  # fmt: skip
    return {key: (int(sums[0]), *sums[1:]) for key, sums in found.items()}  # type: ignore[misc]


LEDGER = ("InvoiceDate", "Currency", "Net", "TotalVAT", "TotalToPay", "Balance")
CRM = ("fortnox_invoice_date", "deal_currency_code", "fortnox_net", "fortnox_vat", "fortnox_total", "fortnox_balance")


def said(row: Reconciliation, side: str) -> Sums:
    by = Totals.load(row.totals[side]).currencies()
    return {c: (a.count, a.net, a.vat, a.gross, a.balance) for c, a in by.items()}


@pytest.fixture
def synced(world: Any) -> World:
    made: World = world(customers=12, articles=4, invoices=60, accounts=4)
    made.enable_currencies()
    made.sync(CUSTOMERS)
    made.sync(INVOICES)
    return made


def test_both_sides_are_read_compared_and_explained(synced: World) -> None:
    world = synced
    days = sorted(date.fromisoformat(row["InvoiceDate"]) for row in world.fortnox("invoices"))
    first, last = days[0], days[-1]
    if (last - first).days > 790:
        first = days[10]
    mark = world.mark()
    row = reconcile(world, first, last)
    assert row.state == "done", row.error_message
    inside = [r for r in world.fortnox("invoices") if first.isoformat() <= r["InvoiceDate"] <= last.isoformat()]
    # What one pass costs: pages of 500, one detail per invoice (lists carry no VAT), pages of 200 deals.
    calls = world.calls(mark)
    assert calls["fortnox invoices list"] <= 2  # the period, and what changed since
    assert calls["fortnox invoices detail"] == len(inside)
    assert calls["deals search"] == 2  # those that carry an invoice's date, and those that were won
    assert said(row, "ledger") == truth(world.fortnox("invoices"), first, last, LEDGER)
    assert said(row, "crm") == truth(world.hubspot("deals"), first, last, CRM)
    assert {r["status"] for r in row.totals["ledger"]} <= set(STATUSES)
    kinds = set(row.lines.values_list("kind", flat=True))
    assert row.unexplained == 0, list(row.lines.filter(explained=False).values("kind", "number", "explanation"))
    # Cancelled invoices were never brought over; what the review queue holds is said with its reason.
    assert kinds <= {"cancelled", "in_review", "filtered", "not_synced"}
    for line in row.lines.filter(kind="in_review"):
        assert line.change is not None and line.change.state == "review"
    sums: dict[str, Amounts] = defaultdict(Amounts)
    for line in row.lines.all():
        sums[line.currency] += Amounts.of(line, line.count)
    ledger, crm = (Totals.load(row.totals[s]).currencies() for s in ("ledger", "crm"))
    for currency in {*ledger, *crm}:
        assert sums[currency] == ledger.get(currency, Amounts()) - crm.get(currency, Amounts())


def test_every_kind_of_difference_is_found_to_the_last_oere(synced: World) -> None:
    world = synced
    days = sorted(date.fromisoformat(row["InvoiceDate"]) for row in world.fortnox("invoices"))
    first, last = days[10], days[-1]
    linked = world.links(INVOICES)
    inside = [
        r for r in world.fortnox("invoices")
        if first.isoformat() <= r["InvoiceDate"] <= last.isoformat() and r["DocumentNumber"] in linked
    ]  # fmt: skip
    oere, status, currency, moved, gone, fresh = inside[:6]
    deal = {r["DocumentNumber"]: linked[r["DocumentNumber"]] for r in inside}
    total = Decimal(str(oere["TotalToPay"]))
    world.edit_crm("deals", deal[oere["DocumentNumber"]], fortnox_total=str(total + Decimal("0.01")))
    world.edit_crm("deals", deal[status["DocumentNumber"]], fortnox_status="Draft")
    other = "NOK" if currency["Currency"] != "NOK" else "SEK"
    world.edit_crm("deals", deal[currency["DocumentNumber"]], deal_currency_code=other)
    world.edit_crm("deals", deal[moved["DocumentNumber"]], fortnox_invoice_date="1999-12-31")
    world.delete_crm("deals", deal[gone["DocumentNumber"]])
    by_hand, double = (
        world.ask("hubspot", "POST", "/crm/objects/2026-09/deals", {"properties": {
            "dealname": "Typed", "pipeline": "default", "dealstage": "presentationscheduled", "fortnox_total": "10",
            "invoice_number_in_fortnox": number, "fortnox_invoice_date": last.isoformat(), "deal_currency_code": "SEK",
        }})
        for number in ("999999", fresh["DocumentNumber"])
    )  # fmt: skip
    world.pass_time()
    row = reconcile(world, first, last)
    assert row.state == "done", row.error_message
    by_ledger = {line.ledger_id: line for line in row.lines.exclude(ledger_id="")}
    by_crm = {line.crm_id: line for line in row.lines.filter(ledger_id="")}
    line = by_ledger[oere["DocumentNumber"]]
    assert (line.kind, line.explained, line.gross, line.net) == ("figures", False, Decimal("-0.01"), 0)
    assert (by_ledger[status["DocumentNumber"]].kind, by_ledger[status["DocumentNumber"]].gross) == ("status", 0)
    both = row.lines.filter(ledger_id=currency["DocumentNumber"])
    assert {(one.kind, one.count) for one in both} == {("currency", 1), ("currency", -1)}
    assert {one.explained for one in both} == {False}, "somebody changed it in the CRM"
    assert (by_ledger[moved["DocumentNumber"]].kind, by_ledger[moved["DocumentNumber"]].explained) == ("period", False)
    lost = by_ledger[gone["DocumentNumber"]]
    assert (lost.kind, lost.explained) == ("only_ledger", False)
    assert (by_crm[str(by_hand["id"])].kind, by_crm[str(by_hand["id"])].explained) == ("by_hand", False)
    assert (by_crm[str(double["id"])].kind, by_crm[str(double["id"])].explained) == ("only_crm", False)
    assert row.unexplained == 8, "also the number that no invoice has, the two currencies, and the moved date"
    assert "sv" in line.explanation and line.link is not None

    # Öre within a tolerance that somebody chose are explained as that, and still listed.
    tolerant = reconcile(world, first, last, tolerance=Decimal("0.01"))
    assert tolerant.lines.get(ledger_id=oere["DocumentNumber"]).kind == "rounding"
    assert tolerant.unexplained == 7


def test_what_changed_after_the_last_sync_is_explained_until_it_is_synced(synced: World) -> None:
    world = synced
    days = sorted(date.fromisoformat(row["InvoiceDate"]) for row in world.fortnox("invoices"))
    first, last = days[10], days[-1]
    world.pass_time(hours=1)
    linked = world.links(INVOICES)
    draft = next(
        r for r in world.fortnox("invoices")
        if r["DocumentNumber"] in linked and not r["Booked"] and not r["Cancelled"] and r["InvoiceDate"] >= str(first)
    )  # fmt: skip
    world.edit("invoices", draft["DocumentNumber"], Freight="100")
    row = reconcile(world, first, last)
    line = row.lines.get(ledger_id=draft["DocumentNumber"])
    assert (line.kind, line.explained) == ("changed", True), line.explanation
    world.pass_time()
    world.sync(INVOICES)
    assert not reconcile(world, first, last).lines.filter(ledger_id=draft["DocumentNumber"]).exists()
    # What waits for approval says so, with the change behind it.
    held = Change.objects.filter(source_id=draft["DocumentNumber"]).latest("pk")
    Change.objects.filter(pk=held.pk).update(state="held")
    world.edit_crm("deals", linked[draft["DocumentNumber"]], fortnox_total="1")
    line = reconcile(world, first, last).lines.get(ledger_id=draft["DocumentNumber"])
    assert (line.kind, line.change_id) == ("not_synced", held.pk)


def test_a_list_that_does_not_add_up_gives_an_error_and_no_numbers(synced: World, monkeypatch: Any) -> None:
    from integrations.fortnox.client import ListPage

    world = synced
    days = sorted(date.fromisoformat(row["InvoiceDate"]) for row in world.fortnox("invoices"))
    real = ListPage.__init__

    def lying(self: ListPage, reply: Any, envelope: str) -> None:
        real(self, reply, envelope)
        self.rows = self.rows[:-1]

    monkeypatch.setattr(ListPage, "__init__", lying)
    row = begin(world.integration, days[10], days[-1], kick=False)
    for _attempt in range(3):
        assert row.moving
        work(row.pk)
        row.refresh_from_db()
    assert (row.state, row.error_code, row.totals) == ("failed", "incomplete", {})
    assert not row.documents.exists() and not ReconciliationLine.objects.exists()


def test_it_goes_on_where_it_was_interrupted(synced: World, monkeypatch: Any) -> None:
    world = synced
    days = sorted(date.fromisoformat(row["InvoiceDate"]) for row in world.fortnox("invoices"))
    monkeypatch.setattr("sync.reconcile.reading.CHUNK", 7)
    monkeypatch.setattr("sync.reconcile.judging.CHUNK", 9)
    whole = reconcile(world, days[10], days[-1])
    row = begin(world.integration, days[10], days[-1], kick=False)
    turns = 0
    while row.moving:
        work(row.pk, keep_going=lambda: False)
        row.refresh_from_db()
        turns += 1
    assert turns > 15
    assert (row.state, row.totals, row.differences) == ("done", whole.totals, whole.differences)


def test_an_org_with_a_record_for_every_invoice_agrees_and_a_changed_balance_is_found(org: Any) -> None:
    here = org(customers=8, articles=3, invoices=25)
    for slug in ("customers-to-accounts", "customers-to-contacts", "invoices-to-records"):
        here.sync(slug)
    first, last = period_of(here)
    out = io.StringIO()
    call_command("reconcile", here.integration.pk, "--from", str(first), "--to", str(last), "--json", stdout=out)
    row = Reconciliation.objects.get()
    assert row.state == "done", row.error_message
    assert json.loads(out.getvalue())["unexplained_count"] == row.unexplained == 0, list(
        row.lines.values("kind", "explanation", "number", "gross")
    )
    assert said(row, "ledger") == truth(here.fortnox("invoices"), first, last, LEDGER)
    names = ("Invoice_Date__c", "Invoice_Currency__c", "Net__c", "VAT__c", "Total__c", "Balance__c")
    assert said(row, "crm") == truth(here.records("Fortnox_Invoice__c"), first, last, names)
    assert set(row.lines.values_list("kind", flat=True)) <= {"cancelled", "filtered"}
    wrong = next(r for r in here.records("Fortnox_Invoice__c") if first <= date.fromisoformat(r["Invoice_Date__c"]))
    balance = Decimal(str(wrong.get("Balance__c") or 0)) + Decimal("0.01")
    written = Write("1", id=wrong["id"], fields={"Balance__c": balance})  # only our own user may edit these records
    assert not any(outcome.error for outcome in connector_for(here.crm).upsert("fortnox_invoice", [written]))
    line = reconcile(here, first, last).lines.get(explained=False)
    assert (line.crm_id, line.balance, line.gross) == (wrong["id"], Decimal("-0.01"), 0)


def period_of(world: World) -> tuple[date, date]:
    """Nearly all that the company has invoiced."""
    days = sorted(date.fromisoformat(row["InvoiceDate"]) for row in world.fortnox("invoices"))
    return days[3], days[-1]
