"""Reconciliation where an invoice stands on two records of the CRM: both must say what the ledger says (I-03, SA16)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from integrations.connector import Value, Write
from integrations.connectors import connector_for
from mappings.models import FieldMapping
from sync.models import Change, Flow, Reconciliation, ReconciliationLine
from sync.reconcile.amounts import Totals
from tests.end_to_end.salesforce_world import SalesforceWorld
from tests.end_to_end.test_reconcile import reconcile

CREATING, MIRRORING, STATES = "opportunities-to-invoices", "invoices-to-records", "invoice-status-to-opportunities"


@pytest.fixture
def twice(org: Any) -> SalesforceWorld:
    """One invoice, made of an opportunity, that is on the opportunity and on a record of its own."""
    here: SalesforceWorld = org()
    here.edit("articles", ArticleNumber="A-1", Description="Artikel A-1", Unit="st", Type="SERVICE")
    here.opportunity(here.account(), (here.entry("A-1"), 2, 150.0))
    Flow.objects.filter(slug=CREATING).update(settings={"automatic_from": "2026-01-01", "missing_customer": "create"})
    for slug in (CREATING, STATES, MIRRORING):
        here.sync(slug)
        here.quiet(slug)
    assert not Change.objects.filter(state="review").exists()
    return here


def period(world: SalesforceWorld) -> tuple[date, date]:
    day = date.fromisoformat(world.fortnox("invoices")[0]["InvoiceDate"])
    return day, day


def write(world: SalesforceWorld, name: str, key: str, **fields: Value) -> None:
    """As our own user: nobody else may edit these fields."""
    assert not any(
        outcome.error for outcome in connector_for(world.crm).upsert(name, [Write("1", id=key, fields=fields)])
    )


def open_lines(row: Reconciliation) -> list[ReconciliationLine]:
    return list(row.lines.filter(explained=False).order_by("pk"))


def test_a_wrong_figure_on_the_second_record_is_listed_and_adds_nothing_to_the_sums(twice: SalesforceWorld) -> None:
    (deal,) = twice.records("Opportunity")
    agreed = reconcile(twice, *period(twice))
    assert (agreed.state, agreed.differences) == ("done", 0), (agreed.error_message, list(agreed.lines.values()))
    write(twice, "opportunity", deal["id"], Fortnox_VAT__c=Decimal("75.01"))
    mark = twice.mark()
    row = reconcile(twice, *period(twice))
    assert not [path for path in twice.paths(mark) if path.startswith("GET") and deal["id"] in path]
    (line,) = open_lines(row)
    assert (line.kind, line.crm_object, line.crm_id) == ("figures", "opportunity", deal["id"])
    assert line.explanation["en"].startswith("Opportunity, beside the record that counts:")
    assert (line.net, line.vat, line.gross, line.count) == (0, 0, 0, 0)
    assert row.totals["crm"] == agreed.totals["crm"]
    assert not any(Totals.load(row.totals["unexplained"]).currencies().values())


def test_a_figure_that_no_flow_keeps_on_the_second_record_is_nobodys_difference(twice: SalesforceWorld) -> None:
    (deal,) = twice.records("Opportunity")
    FieldMapping.objects.filter(mapping_set__slug=STATES, target_field="Fortnox_VAT__c").delete()
    write(twice, "opportunity", deal["id"], Fortnox_VAT__c=Decimal("75.01"))
    assert reconcile(twice, *period(twice)).differences == 0


def test_a_second_record_whose_flow_is_off_is_nobodys_difference(twice: SalesforceWorld) -> None:
    (deal,) = twice.records("Opportunity")
    Flow.objects.filter(slug=STATES).update(enabled=False)
    write(twice, "opportunity", deal["id"], Fortnox_VAT__c=Decimal("75.01"))
    assert reconcile(twice, *period(twice)).differences == 0


def test_a_wrong_currency_rate_is_listed_on_either_record(twice: SalesforceWorld) -> None:
    (deal,), (record,) = twice.records("Opportunity"), twice.records("Fortnox_Invoice__c")
    write(twice, "fortnox_invoice", record["id"], Rate__c=Decimal("1.05"))
    write(twice, "opportunity", deal["id"], Fortnox_Rate__c=Decimal("11.4021"))
    first, second = open_lines(reconcile(twice, *period(twice)))
    assert (first.kind, first.crm_id, second.kind, second.crm_id) == ("rate", record["id"], "rate", deal["id"])
    assert first.explanation["en"] == "The currency rate is 1.00 in the ledger and 1.05 in the CRM."
    assert "11.4021" in second.explanation["en"] and second.explanation["en"].startswith("Opportunity, beside")


def test_a_rate_that_one_side_does_not_say_is_not_compared(twice: SalesforceWorld) -> None:
    (record,) = twice.records("Fortnox_Invoice__c")
    write(twice, "fortnox_invoice", record["id"], Rate__c=None)
    assert reconcile(twice, *period(twice)).differences == 0
