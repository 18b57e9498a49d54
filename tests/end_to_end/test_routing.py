"""One portal that feeds two companies in Fortnox: the rules choose, on the card and in the flows (S55, S56, SA11)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.cards import CardCaller
from integrations.fields import conceal
from integrations.models import ConnectedAccount, Integration
from mappings.models import RoutingRule
from sync import interactive, routes, tasks
from sync.cards import records, show, summary
from sync.engine.run import Order, work
from sync.flows import install, switch_on
from sync.models import Change, EntityLink, Flow
from tests.end_to_end import deals
from tests.end_to_end.world import World
from tests.factories import make_account, make_integration

INVOICES, COMPANIES = "deals-to-invoices", "companies-to-customers"

pytestmark = pytest.mark.django_db(transaction=True)


class TwoCompanies:
    """The portal of `world` with a second Fortnox company beside the first; Uppsala is the first one's."""

    def __init__(self, world: World) -> None:
        self.world, self.first = world, world.integration
        known = world.sandbox.control("GET", "/accounts")["accounts"]
        tenants = [row["account"] for row in known if row["system"] == "fortnox"]
        other = next(tenant for tenant in tenants if tenant != world.ledger.remote_id)
        self.second = make_integration(world.crm.organization, crm=world.crm, ledger=self._ledger(other))
        for flow in install(self.second):
            switch_on(flow)
        Flow.objects.update(first_run_approved_at=timezone.now(), prepared_at=None)
        for slug in ("customers-to-companies", "invoices-to-deals"):
            for pair in (self.first, self.second):
                self.work(pair, slug)
        for flow in Flow.objects.filter(slug=INVOICES):
            flow.settings["missing_customer"] = "create"
            flow.save()
        for position, (name, expression, pair) in enumerate(
            [("Uppsala", 'company.city == "Uppsala"', self.first), ("Lund", 'company.city == "Lund"', self.second)]
        ):
            for kind in ("deal", "company"):
                RoutingRule.objects.create(
                    account=world.crm, object_name=kind, position=position, name=name, expression=expression,
                    integration=pair,
                )  # fmt: skip

    def _ledger(self, tenant: str) -> ConnectedAccount:
        token = self.world.sandbox.control("POST", "/token", {"system": "fortnox", "account": tenant})
        later = timezone.now() + timedelta(days=1)
        account = make_account(
            self.world.crm.organization, "fortnox", name="Dotterbolaget AB", remote_id=tenant,
            api_url=token["base_url"], oauth_url=token["base_url"], access_expires_at=later,
            refreshed_at=timezone.now(), refresh_due_at=later, granted_scopes=self.world.ledger.granted_scopes,
        )  # fmt: skip
        conceal(account, "access_token", token["access_token"])
        account.save()
        return account

    def work(self, pair: Integration, slug: str) -> None:
        """One run of a flow, as a worker does it."""
        work(Flow.objects.get(integration=pair, slug=slug), Order())

    def invoices(self, pair: Integration) -> list[dict[str, Any]]:
        """The invoices that a company has."""
        path = f"/state/fortnox/{pair.ledger_account.remote_id}/invoices"
        return list(self.world.sandbox.control("GET", path)["records"])

    # --- somebody at the card -------------------------------------------------------------------------------------

    def caller(self, deal: str) -> CardCaller:
        """A person at the card of a deal."""
        return CardCaller(self.world.crm, "77", "anna@kund.example", "deal", deal)

    def look(self, deal: str) -> records.Place:
        """They open the page, which looks; the workers answer every bell until it is quiet."""
        place = records.chosen(records.places(self.caller(deal)))
        assert place is not None
        interactive.look(place.flow, deal, actor="anna")
        while change := Change.objects.filter(source_id=deal, state="retrying").first():
            tasks.work_on(change.pk)
        found = records.chosen(records.places(self.caller(deal)))
        assert found is not None
        found.complete()
        return found

    def press(self, deal: str) -> None:
        """They press what they see."""
        place = records.chosen(records.places(self.caller(deal)))
        assert place is not None and place.change is not None
        change = Change.objects.get(pk=place.change.pk)
        pressed = interactive.press(change.pk, actor="anna", fingerprint=change.source_fingerprint)
        assert pressed.status == "queued", (pressed, change.problems)
        tasks.work_on(change.pk)


@pytest.fixture
def two(world: Callable[..., World]) -> TwoCompanies:
    return TwoCompanies(world())


def a_deal(two: TwoCompanies, city: str, number: int = 0) -> tuple[str, str]:
    company = deals.company(two.world, number=deals.ORG_NUMBERS[number], city=city)
    return company, deals.deal(two.world, company, deals.line("", "1", "100.00", name="Konsulttimme"))


def test_the_card_finds_the_company_and_the_deal_is_invoiced_there(two: TwoCompanies) -> None:
    _company, deal = a_deal(two, "Lund")
    assert summary.summary(two.caller(deal))["rows"][0]["value"] == "Chosen by the routing rules"
    assert show.state(two.caller(deal))["look"] is True
    place = two.look(deal)
    assert (place.integration, place.phase) == (two.second, "ready"), place.change and place.change.problems
    assert summary.summary(two.caller(deal))["company"]["name"] == "Dotterbolaget AB"
    two.press(deal)
    assert (len(two.invoices(two.first)), len(two.invoices(two.second))) == (0, 1)
    link = EntityLink.objects.get(crm_object="deal")
    assert link.integration == two.second and EntityLink.objects.get(crm_object="company").integration == two.second
    for pair in (two.first, two.second):
        two.work(pair, INVOICES)
    assert (len(two.invoices(two.first)), len(two.invoices(two.second))) == (0, 1)


def test_a_deal_that_no_rule_takes_is_held_until_somebody_chooses(two: TwoCompanies) -> None:
    _company, deal = a_deal(two, "Malmö", 1)
    place = two.look(deal)
    assert place.undecided and place.phase == "blocked"
    card = summary.summary(two.caller(deal))
    assert card["company"] is None and "company.city = Malmö" in card["message"] and "consultant" in card["remedy"]
    change = Change.objects.get(source_id=deal, state="review")
    routes.choose(change, str(two.first.pk), None, "The south has no company yet")
    place = two.look(deal)
    assert (place.integration, place.phase) == (two.first, "ready"), place.change and place.change.problems
    two.press(deal)
    assert (len(two.invoices(two.first)), len(two.invoices(two.second))) == (1, 0)


def test_a_deal_that_moves_while_the_button_is_pressed_is_not_invoiced_in_the_old_company(two: TwoCompanies) -> None:
    company, deal = a_deal(two, "Uppsala", 2)
    assert two.look(deal).integration == two.first
    two.world.edit_crm("companies", company, city="Lund")
    two.press(deal)
    while change := Change.objects.filter(source_id=deal, state="retrying").first():
        tasks.work_on(change.pk)
    assert (len(two.invoices(two.first)), len(two.invoices(two.second))) == (0, 0)
    place = records.chosen(records.places(two.caller(deal)))
    assert place is not None and (place.integration, place.phase) == (two.second, "ready")


def test_an_invoice_that_stands_keeps_its_deal_and_a_cancelled_one_lets_it_go(two: TwoCompanies) -> None:
    _company, deal = a_deal(two, "Uppsala", 3)
    two.look(deal)
    two.press(deal)
    link = EntityLink.objects.get(crm_object="deal")
    assert "billed twice" in routes.why_not_move(link)
    (invoice,) = two.invoices(two.first)
    two.world.ask("fortnox", "PUT", f"/3/invoices/{invoice['DocumentNumber']}/cancel")
    routes.move_record(link, two.second, None, "Sold by the other company")
    place = two.look(deal)
    assert (place.integration, place.phase) == (two.second, "ready"), place.change and place.change.problems
    two.press(deal)
    assert len(two.invoices(two.second)) == 1
    two.work(two.first, "invoice-status-to-deals")
    told = next(row for row in two.world.hubspot("deals") if str(row["id"]) == deal)["properties"]
    (there,) = two.invoices(two.second)
    assert told["invoice_number_in_fortnox"] == there["DocumentNumber"]
