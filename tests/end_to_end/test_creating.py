"""From the CRM into the ledger: what a person at a card does, against the sandbox over real HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from sync import interactive, tasks
from sync.engine import needs
from sync.models import Change, EntityLink, Flow
from sync.states import Action, State
from tests.end_to_end import deals
from tests.end_to_end.world import World

CUSTOMERS, NUMBERS = "companies-to-customers", "customer-numbers-to-companies"
INVOICES, STATUS = "deals-to-invoices", "invoice-status-to-deals"
Make = Callable[..., World]

pytestmark = pytest.mark.django_db(transaction=True)


def start(world: Make, **sizes: int) -> World:
    """A world whose portal has our fields: the imports ran once."""
    here = world(**sizes)
    for slug in ("customers-to-companies", "invoices-to-deals"):
        here.sync(slug)
    return here


def look(world: World, slug: str, record: str) -> interactive.RecordState:
    """A person opens the card's page; the worker answers the bell."""
    change = interactive.look(world.flow(slug), record, actor="anna@kund.se")
    tasks.work_on(change.pk)
    return interactive.state_of(world.flow(slug), record)


def press(world: World, slug: str, record: str) -> interactive.RecordState:
    """They press what they see; the worker answers the bell."""
    seen = interactive.state_of(world.flow(slug), record).change
    assert seen is not None
    pressed = interactive.press(seen.pk, actor="anna@kund.se", fingerprint=seen.source_fingerprint)
    assert pressed.status == "queued", (pressed, seen.problems)
    tasks.work_on(seen.pk)
    return interactive.state_of(world.flow(slug), record)


def failed(state: interactive.RecordState) -> set[str]:
    """The names of the checks that do not hold."""
    assert state.change is not None
    return {check["code"] for check in state.change.checks if not check["ok"]}


def deal_of(world: World, deal_id: str) -> dict[str, Any]:
    """The deal's properties as the portal has them."""
    return next(record for record in world.hubspot("deals") if str(record["id"]) == deal_id)["properties"]


def test_a_company_becomes_a_customer_and_gets_its_number_back(world: Make) -> None:
    here = start(world)
    company = deals.company(here, address="Storgatan 1", phone="018-123456")
    ready = look(here, CUSTOMERS, company)
    assert ready.phase == "ready" and not failed(ready)
    done = press(here, CUSTOMERS, company)
    assert done.phase == "done", done.change and done.change.error_message
    (customer,) = here.fortnox("customers")
    assert (
        customer["Name"] == "Nordisk Handel AB" and customer["City"] == "Uppsala" and customer["Phone1"] == "018-123456"
    )
    assert customer["OrganisationNumber"].replace("-", "") == deals.ORG_NUMBERS[0]
    (record,) = [item for item in here.hubspot("companies") if str(item["id"]) == company]
    assert record["properties"]["fortnox_id"] == customer["CustomerNumber"]


def test_a_company_whose_number_a_customer_has_is_linked_instead(world: Make) -> None:
    here = start(world)
    existing = here.edit("customers", Name="Nordisk Handel", OrganisationNumber="556036-0793", Active=False)
    company = deals.company(here)
    ready = look(here, CUSTOMERS, company)
    assert ready.change is not None and ready.change.action == Action.LINK
    done = press(here, CUSTOMERS, company)
    assert done.link is not None and done.link.ledger_id == existing["CustomerNumber"]
    assert len(here.fortnox("customers")) == 1
    (record,) = [item for item in here.hubspot("companies") if str(item["id"]) == company]
    assert record["properties"]["fortnox_id"] == existing["CustomerNumber"]


def test_a_deal_becomes_an_invoice_with_everything_it_needs(world: Make) -> None:
    here = start(world)
    deals.article(here, "A-1")
    customer = here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company, person = deals.company(here), deals.contact(here, "Åsa", "Öberg")
    lines = (
        deals.line("A-1", "2", "150.00", hs_discount_percentage="10"),
        deals.line("", "1", "99.50", name="Frakt och montering"),
    )
    deal = deals.deal(here, company, *lines, contact_id=person, amount="369.50", description="Enligt avtal")
    ready = look(here, INVOICES, deal)
    assert ready.phase == "ready", (ready.phase, ready.change and ready.change.problems)
    assert ready.change is not None and ready.change.payload["preview"]["net"] == "369.50"
    done = press(here, INVOICES, deal)
    assert done.phase == "done", (done.phase, done.change and done.change.error_message)
    (invoice,) = here.fortnox("invoices")
    assert invoice["CustomerNumber"] == customer["CustomerNumber"]
    assert invoice["YourReference"] == "Åsa Öberg" and invoice["Remarks"] == "Enligt avtal"
    first, second = invoice["InvoiceRows"]
    assert (first["ArticleNumber"], first["Discount"], first["DiscountType"]) == ("A-1", 10, "PERCENT")
    assert second["Description"] == "Frakt och montering" and second["Discount"] == 0
    assert invoice["Booked"] is False and invoice["ExternalInvoiceReference1"].startswith("lb1-")
    told = deal_of(here, deal)
    assert told["invoice_number_in_fortnox"] == invoice["DocumentNumber"]
    assert EntityLink.objects.get(crm_object="deal").origin == "crm"
    # The import of invoices leaves it alone: it began as a deal.
    here.sync("invoices-to-deals")
    assert len(here.hubspot("deals")) == 1 and deal_of(here, deal)["dealname"] == "Affär"


def test_two_deals_of_one_company_may_link_its_customer_at_the_same_moment(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both deliveries found no link; one stores it first. The other takes that link, and nobody has to decide."""
    here = start(world)
    existing = here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company = deals.company(here)
    first, second = (deals.deal(here, company, deals.line("", "1", "100.00", name="Timme")) for _n in range(2))
    for deal in (first, second):
        look(here, INVOICES, deal)
    genuine = needs.links.new

    def after_the_other(flow: Flow, source: str, target: str) -> EntityLink:
        monkeypatch.setattr(needs.links, "new", genuine)
        press(here, INVOICES, first)
        return genuine(flow, source, target)

    monkeypatch.setattr(needs.links, "new", after_the_other)
    done = press(here, INVOICES, second)
    assert done.phase == "done", done.change and done.change.error_message
    assert EntityLink.objects.get(crm_object="company").ledger_id == existing["CustomerNumber"]
    assert [row["CustomerNumber"] for row in here.fortnox("invoices")] == [existing["CustomerNumber"]] * 2


def test_from_the_click_to_the_number_are_four_calls_when_customer_and_articles_are_known(world: Make) -> None:
    here = start(world)
    deals.article(here, "A-1")
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company = deals.company(here)
    look(here, CUSTOMERS, company)
    press(here, CUSTOMERS, company)
    here.sync("articles-to-products")
    deal = deals.deal(here, company, deals.line("A-1", "2", "150.00"))
    look(here, INVOICES, deal)
    seen = interactive.state_of(here.flow(INVOICES), deal).change
    assert seen is not None
    interactive.press(seen.pk, actor="anna@kund.se", fingerprint=seen.source_fingerprint)
    mark = here.mark()
    tasks.work_on(seen.pk)
    rows = here.sandbox.control("GET", f"/requests?since={mark}")["requests"]
    until = next(i for i, row in enumerate(rows) if row["method"] == "POST" and row["path"].endswith("/3/invoices"))
    assert until + 2 <= 4, [(row["method"], row["path"]) for row in rows]
    assert interactive.state_of(here.flow(INVOICES), deal).phase == "done"


@pytest.mark.parametrize("policy", ["ask", "create"])
def test_a_missing_customer_is_created_first(world: Make, policy: str) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.settings["missing_customer"] = policy
    flow.save()
    company = deals.company(here)
    deal = deals.deal(here, company, deals.line("", "1", "100.00", name="Konsulttimme"))
    first = look(here, INVOICES, deal)
    if policy == "ask":
        assert first.phase == "blocked" and failed(first) == {"customer_linked"}
        assert first.change is not None
        interactive.repair(first.change, "create_customer", "", "anna@kund.se")
        asked = Change.objects.open().get(flow__slug=CUSTOMERS)
        tasks.work_on(asked.pk)
        first = interactive.state_of(here.flow(INVOICES), deal)
    assert first.phase == "ready", (first.phase, first.change and first.change.problems)
    assert press(here, INVOICES, deal).phase == "done"
    (customer,), (invoice,) = here.fortnox("customers"), here.fortnox("invoices")
    assert invoice["CustomerNumber"] == customer["CustomerNumber"]


@pytest.mark.parametrize("policy", ["block", "default", "create", "repair"])
def test_a_missing_article_is_treated_as_the_flow_says(world: Make, policy: str) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.settings |= {"missing_article": "block" if policy == "repair" else policy, "default_article": "DIV"}
    flow.save()
    deals.article(here, "DIV")
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    deal = deals.deal(here, deals.company(here), deals.line("NY/1", "1", "100.00", name="Nyhet"))
    state = look(here, INVOICES, deal)
    if policy in ("block", "repair"):
        assert state.phase == "blocked" and failed(state) == {"article_exists"}
        if policy == "block":
            return
        assert state.change is not None
        interactive.repair(state.change, "create_article", "NY/1", "anna@kund.se")
        tasks.work_on(interactive.state_of(flow, deal).change.pk)  # type: ignore[union-attr]
    assert press(here, INVOICES, deal).phase == "done"
    (invoice,) = here.fortnox("invoices")
    wanted = "DIV" if policy == "default" else "NY/1"
    assert invoice["InvoiceRows"][0]["ArticleNumber"] == wanted
    assert ("NY/1" in {row["ArticleNumber"] for row in here.fortnox("articles")}) is (policy != "default")


def test_a_default_article_that_is_missing_too_blocks_before_anything_is_written(world: Make) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.settings |= {"missing_article": "default", "default_article": "DIV"}
    flow.save()
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    deal = deals.deal(here, deals.company(here), deals.line("NY/1", "1", "100.00", name="Nyhet"))
    state = look(here, INVOICES, deal)
    assert state.phase == "blocked" and failed(state) == {"article_exists"}
    assert state.change is not None
    (problem,) = state.change.problems
    assert (problem["value"], "DIV" in str(problem["message"]), "NY/1" in str(problem["message"])) == (
        "DIV",
        True,
        True,
    )
    assert not here.fortnox("invoices")
    deals.article(here, "DIV")
    assert look(here, INVOICES, deal).phase == "ready"


@pytest.mark.parametrize(
    ("mode", "booked", "draft"), [("unbooked", False, False), ("booked", True, False), ("not_completed", False, True)]
)
def test_the_invoice_gets_the_state_that_the_flow_asks_for(world: Make, mode: str, booked: bool, draft: bool) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.settings["document_mode"] = mode
    flow.save()
    deal = _simple(here)
    look(here, INVOICES, deal)
    assert press(here, INVOICES, deal).phase == "done"
    (invoice,) = here.fortnox("invoices")
    assert (invoice["Booked"], bool(invoice["NotCompleted"])) == (booked, draft)


def _simple(here: World, **more: Any) -> str:
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    return deals.deal(here, deals.company(here), deals.line("", "1", "100.00", name="Konsulttimme"), **more)


def test_totals_that_differ_keep_the_invoice_unbooked_and_show_the_breakdown(world: Make) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.settings["document_mode"] = "booked"
    flow.save()
    deal = _simple(here, amount="125.00")
    look(here, INVOICES, deal)
    state = press(here, INVOICES, deal)
    assert state.phase == "review" and state.link is not None
    assert state.change is not None and state.change.error_code == "totals_promise"
    assert "VAT" in state.change.problems[-1]["remedy"]["en"]
    (invoice,) = here.fortnox("invoices")
    assert invoice["Booked"] is False


def test_an_edited_deal_updates_its_invoice_while_it_is_unbooked(world: Make) -> None:
    here = start(world)
    deal = _simple(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    here.pass_time()
    here.edit_crm("deals", deal, description="Ny text på fakturan")
    here.sync(INVOICES)
    (invoice,) = here.fortnox("invoices")
    assert invoice["Remarks"] == "Ny text på fakturan"
    assert len(here.fortnox("invoices")) == 1


def test_an_edited_deal_of_a_booked_invoice_is_locked_and_may_be_credited_and_made_anew(world: Make) -> None:
    here = start(world)
    deal = _simple(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    (invoice,) = here.fortnox("invoices")
    here.ask("fortnox", "PUT", f"/3/invoices/{invoice['DocumentNumber']}/bookkeep", {})
    here.pass_time()
    here.edit_crm("deals", deal, description="För sent")
    here.sync(INVOICES)
    state = interactive.state_of(here.flow(INVOICES), deal)
    assert state.phase == "locked", (state.phase, here.states(INVOICES))
    change = interactive.credit_and_new(here.flow(INVOICES), deal, actor="anna@kund.se", user=None)
    tasks.work_on(change.pk)
    ready = interactive.state_of(here.flow(INVOICES), deal)
    assert ready.phase == "ready", (ready.phase, ready.change and ready.change.problems)
    assert press(here, INVOICES, deal).phase == "done"
    numbers = sorted(row["DocumentNumber"] for row in here.fortnox("invoices"))
    assert len(numbers) == 3
    link = EntityLink.objects.get(crm_object="deal", crm_id=deal)
    assert link.ledger_id != invoice["DocumentNumber"]
    assert [item["id"] for item in link.former] == [invoice["DocumentNumber"]]


def test_clearing_the_number_on_the_deal_never_allows_a_second_invoice(world: Make) -> None:
    here = start(world)
    deal = _simple(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    EntityLink.objects.filter(crm_object="deal").delete()  # somebody unlinked it, too
    here.edit_crm("deals", deal, invoice_number_in_fortnox="")
    state = look(here, INVOICES, deal)
    assert state.change is not None and state.change.error_code == "created_before"
    assert len(here.fortnox("invoices")) == 1


def test_a_deal_at_its_stage_becomes_an_invoice_by_itself(world: Make) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.takes, flow.filter_expression = "all", 'deal.dealstage == "closedwon"'
    flow.save()
    deal = _simple(here)
    here.sync(INVOICES)
    assert not here.fortnox("invoices")
    here.pass_time()
    here.edit_crm("deals", deal, dealstage="closedwon")
    here.sync(INVOICES)
    assert len(here.fortnox("invoices")) == 1
    assert (
        Counter(Change.objects.filter(flow=flow, action=Action.CREATE).values_list("state", flat=True))[State.APPLIED]
        == 1
    )


def test_the_state_of_the_invoice_comes_back_to_its_deal(world: Make) -> None:
    here = start(world)
    deal = _simple(here)
    look(here, INVOICES, deal)
    press(here, INVOICES, deal)
    number = here.fortnox("invoices")[0]["DocumentNumber"]
    here.ask("fortnox", "PUT", f"/3/invoices/{number}/bookkeep", {})
    here.pass_time()
    here.sync(STATUS)
    assert deal_of(here, deal)["fortnox_status"] == "Booked"
    here.ask("fortnox", "PUT", f"/3/invoices/{number}/credit", {})
    here.pass_time()
    here.sync(STATUS)
    told = deal_of(here, deal)
    assert told["fortnox_status"] == "Credited" and told["fortnox_credit_invoice"]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"lines": 0}, "has_lines"),
        ({"lines": 501}, "not_too_many_lines"),
        ({"line": {"quantity": "-1"}}, "quantity_positive"),
        ({"line": {"recurringbillingfrequency": "monthly"}}, "not_recurring"),
        ({"line": {"hs_line_item_currency_code": "EUR"}}, "one_currency"),
        ({"line": {"hs_sku": "A 1"}}, "sku_allowed"),
        ({"company": {"organization_number_from_fortnox": ""}}, "organization_number_known"),
        ({"no_company": True}, "company_associated"),
    ],
)
def test_a_deal_that_cannot_be_invoiced_says_why_by_name(world: Make, spoil: dict[str, Any], code: str) -> None:
    here = start(world)
    here.enable_currencies("EUR")
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    company = deals.company(here, **spoil.get("company", {})) if "no_company" not in spoil else ""
    count = spoil.get("lines", 1)
    lines = [deals.line("", "1", "1.00", name=f"Rad {n}") | spoil.get("line", {}) for n in range(count)]
    deal = deals.deal(here, company, *lines)
    state = look(here, INVOICES, deal)
    assert state.phase == "blocked", (state.phase, state.change and state.change.error_message)
    assert code in failed(state), failed(state)
    assert not here.fortnox("invoices")


@pytest.mark.parametrize(
    "spoil",
    [{"hs_discount_percentage": "12.0001"}, {"name": 'Glad 😀 rad\x07 med "citat"'}, {"name": "x" * 300}],
    ids=["percent", "emoji", "long"],
)
def test_a_deal_that_needs_normalising_goes_through_as_documented(world: Make, spoil: dict[str, Any]) -> None:
    here = start(world)
    here.edit("customers", Name="Nordisk Handel AB", OrganisationNumber="556036-0793")
    lines = [deals.line("", "3", "100.00", name="Timme") | spoil]
    amount = "264.00" if "hs_discount_percentage" in spoil else "300.00"
    deal = deals.deal(here, deals.company(here), *lines, amount=amount)
    state = look(here, INVOICES, deal)
    assert state.phase == "ready", (state.phase, state.change and state.change.problems)
    assert press(here, INVOICES, deal).phase == "done"


def test_two_presses_at_once_and_a_repeated_one_meet_the_same_change(world: Make) -> None:
    here = start(world)
    deal = _simple(here)
    seen = look(here, INVOICES, deal).change
    assert seen is not None
    first = interactive.press(seen.pk, actor="anna@kund.se", fingerprint=seen.source_fingerprint)
    second = interactive.press(seen.pk, actor="bo@kund.se", fingerprint=seen.source_fingerprint)
    assert (first.status, second.status) == ("queued", "already")
    tasks.work_on(seen.pk)
    tasks.work_on(seen.pk)
    assert len(here.fortnox("invoices")) == 1


def test_a_deal_that_changed_after_the_preview_is_shown_again_first(world: Make) -> None:
    here = start(world)
    deal = _simple(here)
    seen = look(here, INVOICES, deal).change
    assert seen is not None
    here.edit_crm("deals", deal, description="Ändrat i sista stund")
    interactive.press(seen.pk, actor="anna@kund.se", fingerprint=seen.source_fingerprint)
    tasks.work_on(seen.pk)
    state = interactive.state_of(here.flow(INVOICES), deal)
    assert state.phase == "ready" and not here.fortnox("invoices")


def test_a_flow_that_is_switched_off_holds_what_was_pressed(world: Make) -> None:
    here = start(world)
    deal = _simple(here)
    seen = look(here, INVOICES, deal).change
    assert seen is not None
    interactive.press(seen.pk, actor="anna@kund.se", fingerprint=seen.source_fingerprint)
    flow = here.flow(INVOICES)
    flow.enabled = False
    flow.save()
    assert tasks.work_on(seen.pk) == 0 and not here.fortnox("invoices")
    flow.enabled = True
    flow.save()
    tasks.work_on(seen.pk)
    assert len(here.fortnox("invoices")) == 1


def test_over_the_limit_of_the_hour_a_press_waits_for_a_consultant(world: Make) -> None:
    here = start(world)
    flow = here.flow(INVOICES)
    flow.max_creates_per_hour = 0
    flow.save()
    deal = _simple(here)
    seen = look(here, INVOICES, deal).change
    assert seen is not None
    pressed = interactive.press(seen.pk, actor="anna@kund.se", fingerprint=seen.source_fingerprint)
    assert pressed.status == "held" and interactive.state_of(flow, deal).phase == "held"
