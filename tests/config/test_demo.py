"""The demonstration's Salesforce part over real HTTP, with the product's own pages; the workers' work is done here."""
# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from config.demo import salesforce, story, workplace
from config.demo.org import Org
from config.demo.processes import Processes
from config.demo.visitor import Visitor
from integrations.models import ConnectedAccount, Integration
from integrations.salesforce.described import clear_cache
from mappings.models import MappingSet
from mappings.models.golden import GoldenSample
from sync import tasks
from sync.models import Change, Reconciliation
from tests.browser.test_connect import served  # noqa: F401
from tests.integrations.clients import set_vendor
from tests.integrations.consent import Remote, remote, sandbox_process  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = {"customers": 20, "articles": 20, "invoices": 20, "accounts": 12, "deals": 9}


class Inline(Processes):
    """Whenever the demonstration looks after its processes, the work that is due is done here."""

    def check(self) -> None:
        """One round of the workers."""
        tasks.drain()


@pytest.fixture
def stage(
    served: str, remote: Remote, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> salesforce.Stage:
    """A consultant who is signed in, an org and two companies."""
    monkeypatch.setattr(story, "PATIENCE", 60)
    for system in ("fortnox", "salesforce"):
        set_vendor(settings, system, rate=(0, 5.0))
    clear_cache()
    remote.process.control("POST", "/reset", SIZES)
    story.make_person()
    visitor = story.sign_in(served)
    return salesforce.Stage(Org(remote.process.url), visitor, served, Inline(tmp_path), lambda text: None)


def test_a_won_opportunity_gets_its_invoice_and_the_others_say_what_they_lack(stage: salesforce.Stage) -> None:
    heard: list[str] = []
    person = story.User.objects.get()
    salesforce.show(stage.org, stage.visitor, stage.base, person, stage.processes, heard.append)
    integration = Integration.objects.get()
    assert integration.ledger_account.remote_id == stage.org.company
    said = "\n".join(heard)
    invoiced = [row for row in stage.org.records("Opportunity") if row.get("Fortnox_Invoice_Number__c")]
    assert len(invoiced) == 2
    for row in invoiced:
        assert f"“{row['Name']}”" in said and f"invoice {row['Fortnox_Invoice_Number__c']} stood on it" in said
        page = requests.get(stage.org.page("Opportunity", row["id"]), timeout=60).text
        assert "signed_request" in page and f"/canvas/{integration.crm_account_id}/" in page
    waiting = Change.objects.filter(flow__slug=salesforce.INVOICES, state="review")
    assert {change.source_title for change in waiting} == {"Order 4", "Order 9"}
    assert "The account has no organisation number." in said and "No routing rule matches this record" in said
    addresses = [word for line in heard for word in line.split() if word.startswith("http")]
    assert len(addresses) == 6
    for address in addresses:
        stage.visitor.open(address)  # raises for a page that is not there


def test_a_failure_says_what_and_where(stage: salesforce.Stage) -> None:
    stage.org.app["client_secret"] = "wrong"
    with pytest.raises(requests.HTTPError, match="Not connected"):
        salesforce.connect(stage)
    assert not ConnectedAccount.objects.filter(status=ConnectedAccount.Status.CONNECTED).exists()


def test_a_visitor_chooses_by_the_words_beside_a_choice(stage: salesforce.Stage) -> None:
    integration = salesforce.connect(stage)
    visitor = Visitor()
    visitor.session = stage.visitor.session
    visitor.open(f"{stage.base}/admin/integrations/connectedaccount/{integration.crm_account_id}/fields/")
    visitor.submit(action="/deploy/", click="deploy")
    (form,) = visitor.forms()
    assert [text.split(" (")[0] for _name, _value, text in form.choices] == [
        "Astrid Ek",
        "Fortnox Integration",
        "Anna Åberg",
    ]
    with pytest.raises(LookupError, match="Nobody"):
        visitor.submit(click="allow", choose="Nobody")


def test_the_workplace_has_something_to_show_on_every_page(stage: salesforce.Stage, settings: Any) -> None:
    set_vendor(settings, "hubspot", rate=(0, 5.0))
    requests.post(f"{stage.org.host}/control/reset", json=SIZES | {"invoices": 60}, timeout=60).raise_for_status()
    person, heard = story.User.objects.get(), list[str]()
    integration = story.connect(stage.visitor, stage.base, heard.append)
    flows = ("customers-to-companies", workplace.INVOICES)
    story.first_syncs(integration, person, stage.processes, heard.append, only=flows)
    where = (stage.visitor, stage.processes, stage.base, stage.org.host)
    workplace.show(workplace.Desk(integration, person, *where, heard.append))
    before, _now = Reconciliation.objects.order_by("pk")
    assert (before.unexplained, before.signed_name) == (0, "Karin Lind")
    assert GoldenSample.objects.get().integration == integration
    assert MappingSet.objects.drafts().get().slug == workplace.INVOICES
    addresses = [word for line in heard for word in line.split() if word.startswith("http")]
    assert len(addresses) == 8
    for address in addresses:
        stage.visitor.open(address)  # raises for a page that is not there
