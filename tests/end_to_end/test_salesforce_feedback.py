"""What a salesperson sees on the record: the answer to “Send to Fortnox”, over real HTTP, and then silence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integrations.models import ConnectedAccount
from sync.models import Change, Flow
from tests.end_to_end.deals import article
from tests.end_to_end.salesforce_world import SalesforceWorld

pytestmark = pytest.mark.django_db(transaction=True)

Org = Callable[..., SalesforceWorld]
FLOW = "opportunities-to-invoices"


def shows(world: SalesforceWorld, deal: str) -> tuple[str, str]:
    row = world.record("Opportunity", deal)
    return row["Fortnox_Sync_Status__c"], row["Fortnox_Sync_Message__c"]


def test_send_to_fortnox_is_answered_within_one_run_and_stays_quiet(org: Org) -> None:
    world = org()
    ConnectedAccount.objects.filter(pk=world.crm.pk).update(details=world.crm.details | {"language": "sv"})
    article(world, "A-1")
    account = world.account()
    good = world.opportunity(account, (world.entry("A-1"), 2, 150.0))
    bad = world.opportunity(account, Name="Utan rader")
    other = world.opportunity(account, Name="Ingen frågade")
    Flow.objects.filter(slug=FLOW).update(settings={"missing_customer": "create"})
    for deal in (good, bad):
        world.change("Opportunity", deal, Fortnox_Sync_Status__c="Pending")  # what the quick action does
    mark = world.mark()
    world.sync(FLOW)
    world.quiet(FLOW)
    (invoice,) = world.fortnox("invoices")
    assert shows(world, good)[0] == "Synced" and invoice["DocumentNumber"] in shows(world, good)[1]
    problem = Change.objects.get(state="review", source_id=bad).problems[0]
    assert shows(world, bad)[0] == "Error" and shows(world, bad)[1].startswith(problem["message"]["sv"])
    assert not world.record("Opportunity", other).get("Fortnox_Sync_Message__c")
    told = sum(count for path, count in world.paths(mark).items() if path.startswith("PATCH"))
    assert told == 1  # both in one call
    for _round in range(2):
        world.sync(FLOW)
    mark, changes = world.mark(), Change.objects.count()
    world.sync(FLOW)
    calls = world.paths(mark)
    assert Change.objects.count() == changes
    assert not [path for path in calls if not path.startswith("GET")], calls
    assert world.fortnox("invoices") == [invoice]
    # They press again, having added what was missing.
    world.make("OpportunityLineItem", OpportunityId=bad, PricebookEntryId=world.entry("A-2"), Quantity=1, UnitPrice=9)
    article(world, "A-2")
    world.change("Opportunity", bad, Fortnox_Sync_Status__c="Pending")
    world.sync(FLOW)
    world.quiet(FLOW)
    assert shows(world, bad)[0] == "Synced"
    assert len(world.fortnox("invoices")) == 2
