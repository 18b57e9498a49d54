"""What goes wrong in a Salesforce org, end to end: each case has its outcome, loses nothing, goes on when mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import oauth, tokens
from integrations.errors import AuthenticationFailed
from integrations.fields import reveal
from integrations.models import ConnectedAccount
from integrations.salesforce import usage
from integrations.salesforce.client import Salesforce
from mappings.models import FieldMapping
from mappings.models.versions import new_draft, publish
from sync import repair
from sync.engine.run import Order, work
from sync.models import Change, Flow, SyncRun
from tests.end_to_end.deals import article
from tests.end_to_end.salesforce_world import ORG_NUMBERS, SalesforceWorld
from tests.factories import make_superuser
from tests.integrations import consent, salesforce_app
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Org = Callable[..., SalesforceWorld]
ACCOUNTS, BACK, INVOICES = "customers-to-accounts", "accounts-to-customers", "opportunities-to-invoices"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A field that is missing is asked for again at once, locks are not waited for, and no numbers are left over."""
    monkeypatch.setattr("integrations.salesforce.described.ASK_AGAIN", 0.0)
    monkeypatch.setattr("integrations.salesforce.batches.time.sleep", lambda seconds: None)
    usage.clear()
    yield
    usage.clear()


def customer(world: SalesforceWorld, index: int = 0, **fields: Any) -> str:
    """A company in Fortnox; its number."""
    given = {"Name": f"Kund {index} AB", "Type": "COMPANY", "OrganisationNumber": ORG_NUMBERS[index], "City": "Lund"}
    return str(world.edit("customers", **(given | fields))["CustomerNumber"])


def selling(world: SalesforceWorld, **settings: Any) -> None:
    """Won opportunities become invoices by themselves, their customers with them."""
    article(world, "A-1")
    given = {"automatic_from": "2026-01-01", "missing_customer": "create"} | settings
    Flow.objects.filter(slug=INVOICES).update(settings=given)


def remap(world: SalesforceWorld, slug: str, target: str, expression: str) -> None:
    """A consultant publishes the mapping with another expression for one field."""
    draft = new_draft(world.flow(slug).mapping_set(), None)
    rows = FieldMapping.objects.filter(mapping_set=draft, target_field=target)
    row = rows.first() or FieldMapping(mapping_set=draft, target_field=target, position=99)
    row.expression = expression
    row.save()
    publish(draft, None, check=False)


def refused(slug: str = ACCOUNTS) -> Change:
    """The one change of a flow that waits for a person."""
    return Change.objects.get(flow__slug=slug, state="review")


def told(change: Change) -> tuple[str, str]:
    """What is wrong and what helps, as the person reads it."""
    return change.problems[0]["message"]["en"], change.problems[0]["remedy"]["en"]


def mended(world: SalesforceWorld, change: Change, slug: str = ACCOUNTS) -> None:
    """The person presses Retry, and the flow comes to rest without anything left to do."""
    repair.retry(Change.objects.filter(pk=change.pk), None)
    world.quiet(slug)
    assert not Change.objects.filter(flow__slug=slug, state="review").exists()


# --- Fields -----------------------------------------------------------------------------------------------------


def test_a_mapped_field_that_our_user_may_not_see_stops_the_flow_by_name_until_it_is_shown(org: Org) -> None:
    world = org()
    number = customer(world, Email="a@kund.se")
    world.sync(ACCOUNTS)
    before = world.flow(ACCOUNTS).cursor
    world.set(hidden_fields=["Account.Fortnox_Email__c"])
    world.pass_time()
    world.edit("customers", number, Email="ny@kund.se")
    run = world.sync(ACCOUNTS)
    assert (run.state, run.error_class, run.error_code) == (SyncRun.State.FAILED, "configuration", "INVALID_FIELD")
    assert "Account.Fortnox_Email__c" in run.error_message and "Assign the permission set" in run.error_message
    assert world.flow(ACCOUNTS).cursor == before
    world.set(hidden_fields=[])
    assert world.sync(ACCOUNTS).state == SyncRun.State.DONE
    assert [row["Fortnox_Email__c"] for row in world.records("Account")] == ["ny@kund.se"]


def test_a_mapping_that_reads_a_field_the_org_does_not_have_says_which(org: Org) -> None:
    world = org()
    selling(world)
    remap(world, INVOICES, "Currency", "opportunity.CurrencyIsoCode")  # there is none in an org with one currency
    world.opportunity(world.account(), (world.entry("A-1"), 2, 150.0))
    run = world.sync(INVOICES)
    assert (run.state, run.error_code) == (SyncRun.State.FAILED, "INVALID_FIELD")
    assert "Opportunity.CurrencyIsoCode is not there" in run.error_message and "change the mapping" in run.error_message
    assert world.fortnox("invoices") == []
    remap(world, INVOICES, "Currency", "opportunity.currency")
    world.quiet(INVOICES)
    assert [row["Currency"] for row in world.fortnox("invoices")] == ["SEK"]


def test_a_value_that_a_picklist_does_not_have_stops_its_record_alone(org: Org) -> None:
    world = org()
    remap(world, ACCOUNTS, "BillingCountryCode", "customer.City")
    bad, good = customer(world, 0, City="XX"), customer(world, 1, City="SE")
    world.sync(ACCOUNTS)
    change = refused()
    assert (change.source_id, change.error_code) == (bad, "option_unknown")
    assert (change.error_field, change.error_value) == ("BillingCountryCode", "XX")
    assert "“XX” is not one of the values" in told(change)[0] and "translate it with a value map" in told(change)[1]
    assert set(world.links(ACCOUNTS)) == {good}
    world.pass_time()
    world.edit("customers", bad, City="SE")
    world.sync(ACCOUNTS)  # a record that was corrected needs no press
    assert set(world.links(ACCOUNTS)) == {bad, good}
    assert not Change.objects.filter(state="review").exists()


def test_a_value_that_salesforce_refuses_names_field_and_value(org: Org) -> None:
    world = org()
    remap(world, ACCOUNTS, "RecordTypeId", '"Kund"')
    limited = {"object": "Account", "developer_name": "Kund", "values": {"BillingCountryCode": ["NO"]}}
    world.set(record_types=[limited])
    remap(world, ACCOUNTS, "BillingCountryCode", '"SE"')
    customer(world)
    world.sync(ACCOUNTS)
    change = refused()
    assert (change.error_class, change.error_code) == ("data", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
    assert (change.error_field, change.error_value) == ("BillingCountryCode", "SE")
    assert "record type" in told(change)[1]
    world.set(record_types=[limited | {"values": {}}])
    mended(world, change)
    assert [row["BillingCountryCode"] for row in world.records("Account")] == ["SE"]


# --- The customer's own rules -----------------------------------------------------------------------------------


def test_a_duplicate_rule_that_blocks_offers_the_record_that_is_there(org: Org, client: Client) -> None:
    world = org()
    there = world.make("Account", Name="Dubbel AB")
    world.set(duplicates=[{"object": "Account", "fields": ["Name"], "action": "block"}])
    doubled, single = customer(world, 0, Name="Dubbel AB"), customer(world, 1)
    world.sync(ACCOUNTS)
    change = refused()
    assert (change.source_id, change.error_class, change.error_code) == (doubled, "conflict", "DUPLICATES_DETECTED")
    assert "duplicate rule" in told(change)[0] and "Link to the record that is there" in told(change)[1]
    assert [row["id"] for row in change.candidates] == [there] and there in change.candidates[0]["url"]
    client.force_login(make_superuser())
    page = client.get(reverse("admin:sync_change_change", args=[change.pk])).content.decode()
    assert "Use this one" in page and "Create a new record" not in page  # it would only be refused again
    client.post(reverse("admin:sync_change_link", args=[change.pk]), {"target": there})
    world.quiet(ACCOUNTS)
    assert world.links(ACCOUNTS)[doubled] == there and set(world.links(ACCOUNTS)) == {doubled, single}
    assert len(world.records("Account")) == 2


def test_a_duplicate_rule_that_only_warns_lets_the_record_pass(org: Org) -> None:
    world = org()
    world.make("Account", Name="Dubbel AB")
    world.set(duplicates=[{"object": "Account", "fields": ["Name"], "action": "alert"}])
    customer(world, Name="Dubbel AB")
    world.sync(ACCOUNTS)
    assert len(world.records("Account")) == 2 and not Change.objects.exclude(state="applied").exists()


def test_a_validation_rule_is_told_in_the_customers_own_words(org: Org) -> None:
    world = org()
    rule = {
        "object": "Account", "message": "Ange telefon, tack!", "field": "Phone",
        "conditions": [{"field": "Phone", "operator": "blank"}],
    }  # fmt: skip
    world.set(validation=[rule])
    number = customer(world)
    world.sync(ACCOUNTS)
    change = refused()
    assert (change.error_class, change.error_code) == ("data", "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    assert (change.error_field, change.error_message) == ("Phone", "Ange telefon, tack!")
    assert "Ange telefon, tack!" in told(change)[0] and "correct the record" in told(change)[1]
    world.edit("customers", number, Phone1="018-123456")
    mended(world, change)
    assert [row["Phone"] for row in world.records("Account")] == ["018-123456"]


def test_a_locked_row_is_tried_again_by_itself(org: Org) -> None:
    world = org()
    number = customer(world)
    world.sync(ACCOUNTS)
    key = world.links(ACCOUNTS)[number]
    for tries, city in ((2, "Kiruna"), (6, "Ystad")):
        world.set(lock_rows={key: tries})
        world.pass_time()
        world.edit("customers", number, City=city)
        world.sync(ACCOUNTS)
        if tries > 2:  # longer than one delivery's patience
            change = Change.objects.get(state="retrying", flow__slug=ACCOUNTS)
            assert (change.error_class, change.error_code) == ("transient", "UNABLE_TO_LOCK_ROW")
            assert key[:15] in change.error_message
            world.quiet(ACCOUNTS)
        assert world.record("Account", key)["BillingCity"] == city
    assert not Change.objects.exclude(state__in=["applied", "superseded"]).exists()


# --- Records that go away ---------------------------------------------------------------------------------------


def merge(world: SalesforceWorld, winner: str, loser: str) -> None:
    """A person merges two accounts on the winner's page."""
    page = f"{world.sandbox.url}/salesforce/ui/{world.crm.remote_id}/lightning/r/Account/{winner}/merge"
    requests.post(page, data={"other": loser}, timeout=30, allow_redirects=False).raise_for_status()


def test_the_link_follows_a_merged_account_and_two_linked_ones_ask_a_person(org: Org) -> None:
    world = org()
    first, second, third = (customer(world, index) for index in range(3))
    world.sync(ACCOUNTS)
    world.sync(BACK)
    ids = world.links(ACCOUNTS)
    other = world.account("Kund 0 AB", ORG_NUMBERS[0], BillingCity="Lund")
    world.pass_time()
    merge(world, other, ids[first])
    merge(world, ids[second], ids[third])
    world.quiet(BACK)
    assert world.links(ACCOUNTS)[first] == other
    change = refused(BACK)
    assert (change.error_class, change.error_code, change.source_id) == ("conflict", "merged", ids[third])
    for word in (ids[third], ids[second], "Merge the two there"):
        assert word in change.error_message
    world.pass_time()
    world.edit("customers", first, Phone1="018-1")
    world.quiet(ACCOUNTS)
    assert world.record("Account", other)["Phone"] == "018-1"
    assert len(world.fortnox("customers")) == 3 and len(world.records("Account")) == 2


def test_a_deleted_line_is_left_out_of_what_can_still_be_changed(org: Org) -> None:
    world = org()
    selling(world)
    entry = world.entry("A-1")
    deal = world.opportunity(world.account(), (entry, 2, 150.0), (entry, 1, 50.0), (entry, 1, 7.0), won=False)
    lines = [row["id"] for row in world.records("OpportunityLineItem")]
    Flow.objects.filter(slug=INVOICES).update(approval="always")
    world.change("Opportunity", deal, StageName="Closed Won")
    run = world.sync(INVOICES)
    world.remove("OpportunityLineItem", lines[0])  # between the plan and the approval
    world.approve(run)
    assert world.fortnox("invoices") == []  # what they approved is not there any more: it is shown again
    Flow.objects.filter(slug=INVOICES).update(approval="automatic")
    world.approve(SyncRun.objects.filter(flow__slug=INVOICES).latest("pk"))
    world.quiet(INVOICES)
    (invoice,) = world.fortnox("invoices")
    assert invoice["Net"] == 57
    world.pass_time()
    world.remove("OpportunityLineItem", lines[1])
    world.quiet(INVOICES)
    assert [row["Net"] for row in world.fortnox("invoices")] == [7]
    world.ask("fortnox", "PUT", f"/3/invoices/{invoice['DocumentNumber']}/bookkeep")
    world.pass_time()
    world.make("OpportunityLineItem", OpportunityId=deal, PricebookEntryId=entry, Quantity=1, UnitPrice=3.0)
    world.remove("OpportunityLineItem", lines[2])
    world.quiet(INVOICES)
    change = refused(INVOICES)
    assert (change.error_class, change.error_code, change.source_id) == ("conflict", "locked", deal)
    assert "Credit it and create it anew" in change.error_message
    assert [row["Net"] for row in world.fortnox("invoices")] == [7]


def test_an_account_deleted_while_its_opportunity_waits_leaves_nothing_to_invoice(org: Org) -> None:
    world = org()
    selling(world, missing_customer="ask", require_won=False)
    account = world.account()
    given = {"Fortnox_Sync_Status__c": "Pending"}
    lost = world.opportunity(account, (world.entry("A-1"), 2, 150.0), won=False, **given)
    kept = world.opportunity(account, (world.entry("A-1b"), 1, 10.0), won=False, Name="Flyttas", **given)
    article(world, "A-1b")
    world.sync(INVOICES)
    waiting = Change.objects.filter(state="review", error_code="customer_missing")
    assert set(waiting.values_list("source_id", flat=True)) == {lost, kept}
    world.pass_time()
    world.change("Opportunity", kept, AccountId=None)
    world.remove("Account", account)  # takes its opportunities along
    world.quiet(INVOICES)
    assert Change.objects.filter(source_id=lost).latest("pk").state == "superseded"
    change = refused(INVOICES)
    assert (change.source_id, change.error_code) == (kept, "account_known")
    assert told(change)[1].startswith("Choose the account that is to be invoiced")
    world.pass_time()
    customer(world, 1)
    world.change(
        "Opportunity", kept, AccountId=world.account("Ny AB", ORG_NUMBERS[1]), Fortnox_Sync_Status__c="Pending"
    )
    world.quiet(INVOICES)
    assert [row["CustomerName"] for row in world.fortnox("invoices")] == ["Kund 1 AB"]


# --- The connection ---------------------------------------------------------------------------------------------


def test_a_rotated_token_that_was_used_twice_waits_for_a_person_and_then_everything_goes_on(
    org: Org, sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consent, "SIZES", {"seed": 1, "customers": 0, "articles": 0, "invoices": 0, "accounts": 0})
    remote = consent.Remote(sandbox, settings)
    person, theirs = consent.Consultant(remote), salesforce_app.Org(remote)
    theirs.decide(rotation=True)
    world = org(connected=[salesforce_app.connected(remote, person, theirs), person.connect("fortnox")])
    details = dict(world.crm.details)
    world.furnish()
    ConnectedAccount.objects.filter(pk=world.crm.pk).update(details=details | world.crm.details)
    number = customer(world, Name="Före AB")
    world.quiet(ACCOUNTS)
    known = set(world.links(ACCOUNTS))
    account = ConnectedAccount.objects.get(pk=world.crm.pk)
    old = reveal(account, "refresh_token")
    tokens.access_token(consent.age(account))
    with pytest.raises(AuthenticationFailed):
        oauth.refresh(account, old)  # a copy of the database, or a thief: Salesforce ends the whole family
    world.edit("customers", number, Name="Efter AB")
    work(world.flow(ACCOUNTS), Order())
    account.refresh_from_db()
    assert account.status == ConnectedAccount.Status.NEEDS_RECONNECT
    assert "used twice" in account.status_reason and "Reconnect Salesforce" in account.status_reason
    assert not Change.objects.filter(state="review").exists()
    calls = len(remote.calls())
    world.later()
    work(world.flow(ACCOUNTS), Order())
    assert len(remote.calls()) == calls  # nobody knocks again and again
    assert person.reconnect(account).status_code == 302
    world.quiet(ACCOUNTS)
    names = {row["Fortnox_Customer_Number__c"]: row["Name"] for row in world.records("Account")}
    assert names[number] == "Efter AB" and set(world.links(ACCOUNTS)) == known
    assert not Change.objects.filter(state="review").exists()


def test_the_daily_allowance_slows_then_stops_background_work_which_goes_on_by_itself(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("integrations.salesforce.usage.time.sleep", slept.append)
    world = org()
    number = customer(world)
    world.set(api_max=1000, api_used=500)
    world.sync(ACCOUNTS)
    assert slept == []
    for used, city in ((850, "Kiruna"), (960, "Ystad")):
        world.set(api_used=used)
        world.pass_time()
        world.edit("customers", number, City=city)
        work(world.flow(ACCOUNTS), Order())
    assert slept and max(slept) < usage.LONGEST_PAUSE
    assert world.records("Account")[0]["BillingCity"] == "Kiruna"
    account = ConnectedAccount.objects.get(pk=world.crm.pk)
    assert (account.usage["max"], account.status) == (1000, ConnectedAccount.Status.CONNECTED)
    assert account.usage["used"] < 970  # it stopped at once, and left the rest to people
    run = SyncRun.objects.filter(flow__slug=ACCOUNTS).latest("pk")
    held = Change.objects.filter(flow__slug=ACCOUNTS, state="queued")
    assert run.error_code == "daily_limit" or held.exists()
    a_quarter_later(world)
    world.sandbox.control("POST", "/settings", {"limits": True})
    world.set(api_used=1000)  # somebody else used up the rest meanwhile: Salesforce itself says so
    work(world.flow(ACCOUNTS))
    account.refresh_from_db()
    assert account.usage["used"] >= 1000
    held.get(due_at__gt=timezone.now())
    assert world.records("Account")[0]["BillingCity"] == "Kiruna"
    assert not Change.objects.filter(state="review").exists()
    world.set(api_used=10)
    a_quarter_later(world)
    world.quiet(ACCOUNTS)
    assert world.records("Account")[0]["BillingCity"] == "Ystad"
    assert not SyncRun.objects.exclude(state=SyncRun.State.DONE, error_message="").exists()


def a_quarter_later(world: SalesforceWorld) -> None:
    """What was heard about the allowance is too old to count, and what waited is due."""
    usage.clear()
    old = (timezone.now() - usage.FRESH).isoformat()
    row = ConnectedAccount.objects.get(pk=world.crm.pk)
    ConnectedAccount.objects.filter(pk=row.pk).update(usage=row.usage | {"at": old})
    world.later()


def test_a_query_locator_that_expired_in_the_middle_of_a_scan_costs_no_row(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = org(accounts=450)
    first, following = Salesforce.query_call, Salesforce.following_call
    monkeypatch.setattr(Salesforce, "query_call", lambda *given, **named: first(*given, **(named | {"batch": 200})))
    monkeypatch.setattr(
        Salesforce, "following_call", lambda *given, **named: following(*given, **(named | {"batch": 200}))
    )
    turns = iter((True, False))
    done = work(world.flow(BACK), Order(), keep_going=lambda: next(turns, False))
    assert done.run is not None and done.run.state == SyncRun.State.PLANNING
    assert 0 < done.run.seen < 450
    world.pass_time(days=3)  # a locator lives for two
    world.later()
    mark = world.mark()
    done = work(world.flow(BACK))
    assert done.run is not None and (done.run.state, done.run.seen) == (SyncRun.State.DONE, 450)
    assert [path.split("/")[0] for path in world.paths(mark)].count("GET query") == 2  # the dead one, and the rest
