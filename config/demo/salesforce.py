"""The second organization of the demonstration: a Salesforce org and another Fortnox company.

The consultant connects the org through the product's own pages, an administrator of the org signs in to deploy our
fields, the workers run the flows, and a salesperson closes opportunities as won.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils import timezone

from config.demo import story
from config.demo.org import Org
from config.demo.processes import Processes
from config.demo.visitor import Visitor
from integrations.deployment_models import Deployment
from integrations.models import ConnectedAccount, Integration, Organization
from mappings.models import RoutingRule
from sync.flows import install
from sync.models import Change, EntityLink, Flow
from sync.states import State

ORGANIZATION = "Nordkraft Försäljning AB"
ADMINISTRATOR = "Astrid Ek"
INVOICES = "opportunities-to-invoices"
FLOWS = ("customers-to-accounts", "articles-to-products", "invoices-to-records", "accounts-to-customers", INVOICES)
PATIENCE = 60
RULE = 'account.Legal_Entity__c == "Nordkraft Sverige AB"'
_CARD = re.compile(r'value="(http[^"]+/canvas/[^"]+)"')

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Who and what every step of this part needs."""

    org: Org
    visitor: Visitor
    base: str
    processes: Processes
    say: Say


def show(org: Org, visitor: Visitor, base: str, person: User, processes: Processes, say: Say) -> None:
    """The whole part. Raises `RuntimeError` that says what did not happen."""
    started = time.monotonic()
    stage = Stage(org, visitor, base, processes, say)
    say(f"\n{ORGANIZATION}: a Salesforce org")
    integration = connect(stage)
    deploy(stage, integration.crm_account)
    furnish(stage, integration)
    configure(integration, person)
    story.first_syncs(integration, person, processes, say, only=FLOWS)
    route(stage, integration)
    win(stage, integration)
    story.settle(integration, processes)
    story.summary(integration, say)
    places(stage, integration)
    say(f"Salesforce's part took {time.monotonic() - started:.0f} s.")


def connect(stage: Stage) -> Integration:
    """The org's key and secret in our form, a person's consent at Salesforce, a company at Fortnox, and a name."""
    visitor, org = stage.visitor, stage.org
    visitor.open(f"{stage.base}/admin/integrations/integration/connect/")
    visitor.submit(click="create", name=ORGANIZATION)
    visitor.submit(action="/salesforce/", click="connect")
    visitor.submit(
        click="save and connect",
        grant=ConnectedAccount.Grant.CODE,
        place="my_domain",
        address=org.address,
        client_id=org.app["client_id"],
        client_secret=org.app["client_secret"],
        currency="SEK",
    )
    visitor.submit(click="allow")
    stage.say("connected salesforce")
    visitor.submit(action="/fortnox/", click="connect")
    visitor.submit(click="approve", choose=org.company)
    stage.say("connected fortnox")
    visitor.submit(action="/create/", click="create", name="Salesforce ↔ Fortnox")
    return Integration.objects.select_related("crm_account", "ledger_account").get(
        organization=Organization.objects.get(name=ORGANIZATION)
    )


def deploy(stage: Stage, account: ConnectedAccount) -> None:
    """Our fields and permission sets, with the sign-in of an administrator of the org."""
    started = time.monotonic()
    page = f"{stage.base}/admin/integrations/connectedaccount/{account.pk}/fields/"
    stage.visitor.open(page)
    stage.visitor.submit(action="/deploy/", click="deploy")
    stage.visitor.submit(click="allow", choose=ADMINISTRATOR)
    deployment = account.deployments.get()
    while deployment.state == Deployment.State.RUNNING:
        if time.monotonic() > started + PATIENCE:
            raise RuntimeError(f"the deployment did not end within {PATIENCE} s")
        stage.processes.check()
        time.sleep(0.2)
        stage.visitor.open(page)  # as the page does by itself: whoever looks moves it on
        deployment.refresh_from_db()
    if deployment.state != Deployment.State.SUCCEEDED or deployment.problems:
        raise RuntimeError(f"the deployment {deployment.state}: {deployment.problems}")
    stage.say(
        f"deployed {deployment.done} of {deployment.total} components with {ADMINISTRATOR}'s sign-in, "
        f"permission sets assigned, in {time.monotonic() - started:.1f} s"
    )


def furnish(stage: Stage, integration: Integration) -> None:
    """What the page of fields leaves to the org's administrator."""
    stage.org.admit_sellers()
    address = _CARD.search(stage.visitor.page.text if stage.visitor.page is not None else "")
    if address is None:
        raise RuntimeError(f"the page of fields of {integration.crm_account} does not show the card's address")
    stage.org.place_card(address[1])
    stage.say(f"the administrator copied {stage.org.copy_organisation_numbers()} organisation numbers to our field")


def configure(integration: Integration, person: User) -> None:
    """What is won from today on becomes an invoice by itself."""
    install(integration, user=person)
    flow = Flow.objects.get(integration=integration, slug=INVOICES)
    flow.settings |= {
        "automatic_from": timezone.localdate().isoformat(),
        "missing_customer": "create",
        "missing_article": "create",
    }
    flow.save(update_fields=["settings"])


def route(stage: Stage, integration: Integration) -> None:
    """A rule says which opportunities are this company's. The fields that it may name are known by now."""
    # The workers stored what the org says of its objects with the account.
    account = ConnectedAccount.objects.get(pk=integration.crm_account_id)
    rule = RoutingRule(
        account=account, object_name="opportunity", name="The Swedish company", expression=RULE, integration=integration
    )
    rule.put_last()
    rule.save()
    stage.say(f"routing rule: opportunities with {RULE} become invoices of {integration.ledger_account.name}")


def win(stage: Stage, integration: Integration) -> None:
    """A salesperson closes opportunities as won: how long until each has its invoice number, or why it has none."""
    stage.say("")
    stage.say("Opportunities, closed as won in Salesforce")
    flow = Flow.objects.get(integration=integration, slug=INVOICES)
    accounts = {row["id"]: row for row in stage.org.records("Account")}
    for row in _chosen(stage.org, accounts):
        pressed = time.monotonic()
        stage.org.close_as_won(row["id"])
        number, change = _outcome(stage, flow, row["id"])
        took = time.monotonic() - pressed
        company = accounts[row["AccountId"]]["Name"]
        if number:
            stage.say(f"  “{row['Name']}” of {company}: invoice {number} stood on it {took:.1f} s after the click")
        elif change is not None:
            stage.say(f"  “{row['Name']}” of {company} waits, which was known {took:.1f} s after the click:")
            for line in _reasons(change):
                stage.say(f"        {line}")


def _chosen(org: Org, accounts: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    """Four that are about to be won: two as they should be, one whose account lacks its number, and one of a company
    that no rule names."""
    waiting = [row for row in org.records("Opportunity") if row["Name"].startswith("Order ") and not row["IsClosed"]]

    def good(row: dict[str, str]) -> bool:
        return bool(accounts[row["AccountId"]].get("Organization_Number__c"))

    def ours(row: dict[str, str]) -> bool:
        return accounts[row["AccountId"]].get("Legal_Entity__c") == "Nordkraft Sverige AB"

    plain = [row for row in waiting if good(row) and ours(row)][:2]
    odd = [row for row in waiting if not good(row) and ours(row)][:1]
    return plain + odd + [row for row in waiting if not ours(row)][:1]


def _outcome(stage: Stage, flow: Flow, key: str) -> tuple[str, Change | None]:
    """The invoice number on the opportunity, or the change that a person must look at."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        stage.processes.check()
        number = stage.org.record("Opportunity", key).get("Fortnox_Invoice_Number__c")
        if number:
            return str(number), None
        change = Change.objects.filter(flow=flow, source_id=key, state__in=[State.REVIEW, State.HELD]).first()
        if change is not None:
            return "", change
        time.sleep(0.1)
    raise RuntimeError(f"opportunity {key} has neither an invoice number nor a reason after {PATIENCE} s")


def _reasons(change: Change) -> list[str]:
    return story.failed_checks(change)[:2] or [change.error_message or change.reason_text]


def places(stage: Stage, integration: Integration) -> None:
    """Where to look. The record's page is on 127.0.0.1: the card in it is then framed from another site, as it is in
    Salesforce."""
    org, base, account = stage.org, stage.base, integration.crm_account
    made = EntityLink.objects.filter(integration=integration, crm_object="opportunity", origin="crm").first()
    stage.say("")
    stage.say("To look at:")
    if made is not None:
        page = org.page("Opportunity", made.crm_id).replace("//localhost:", "//127.0.0.1:", 1)
        stage.say(f"  an opportunity with its card: {page}")
    stage.say(f"  the org's other records: {org.host}/salesforce/ui/{org.id}/")
    stage.say(f"  the connected org: {base}/admin/integrations/connectedaccount/{account.pk}/change/")
    stage.say(f"  our fields in it: {base}/admin/integrations/connectedaccount/{account.pk}/fields/")
    rules = f"account={account.pk}&object=opportunity"
    stage.say(f"  the routing rule, to try on other records: {base}/admin/mappings/routingrule/?{rules}")
    stage.say(f"  what its flows did: {base}/admin/sync/syncrun/?integration={integration.pk}")
