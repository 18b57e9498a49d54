"""Every page of daily work in Swedish: no English word is left on it, and nothing sticks out at either width."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django.utils.translation import gettext_lazy
from playwright.sync_api import Page, expect

from integrations.models import ConnectedAccount
from mappings.models import FieldMapping, MatchRule, ValidationRule
from sync.models import SyncRun, WorkerHeartbeat
from sync.texts import in_every_language
from tests import factories as make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PICTURES = os.environ.get("SCREENSHOTS", "")

# Words that hold sentences together, and those of the buttons and columns.
WORDS = """
    the and of to is are was were has have not with without from this that these which when what why who how yet
    nothing none never always only already something somebody someone please until before after again here there
    account accounts change changes flow flows mapping mappings match rule rules value values record
    records field fields row rows links log queue worker workers key label required precedence draft
    published retired state mode reason approve approved approval dismiss dismissed retry applied skipped superseded
    queued waiting waits sending held blocked plan's planned run's running runs read took last next started history
    connect connected disconnect reconnect rights granted missing scopes tokens expires refresh created updated save
    delete add another view edit close search clear any yes no select selected action actions go home
    settings details error errors warning needs name names organization organizations user users group groups
    password welcome time date today yesterday minute minutes hour hours day days ago now every empty unknown more less
    previous show hide choose cancel back continue create update skip conflict healthy silent alive off
"""
ENGLISH = frozenset(WORDS.split())

# Every text a reader may meet, folded or not; data of records and what is meant for machines is left out.
TEXTS = """() => {
  const skipped = "script, noscript, style, code, pre, [lang='en'], [data-record], .lb-mark," +
    " label[for='searchbar'], .field-source_object, .field-target_object";
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    if (text && !walker.currentNode.parentElement.closest(skipped)) texts.push(text);
  }
  for (const name of ["title", "aria-label", "placeholder", "alt", "data-label"]) {
    for (const element of document.querySelectorAll(`body [${name}]`)) {
      if (!element.closest(skipped)) texts.push(element.getAttribute(name));
    }
  }
  for (const button of document.querySelectorAll("input[type=submit], input[type=button]")) texts.push(button.value);
  return texts;
}"""

# What is seen and reaches past the right edge, unless it lies in a frame of its own that scrolls or cuts.
STICKING_OUT = """() => [...document.querySelectorAll("body *")].filter(element => {
  const box = element.getBoundingClientRect();
  if (!box.width || !box.height || box.right <= innerWidth + 1 || !element.checkVisibility()) return false;
  for (let frame = element.parentElement; frame; frame = frame.parentElement) {
    if (frame !== document.documentElement && getComputedStyle(frame).overflowX !== "visible") return false;
  }
  return true;
}).map(element => `${element.tagName} ${element.className}: ${element.textContent.trim().slice(0, 60)}`)"""


class Rows:
    """One of everything: the presets' own names as they are stored, all others no English."""

    def __init__(self) -> None:
        self.person = make.make_superuser("anna")
        self.organization = make.make_organization("Bokbyrån i Lund")
        crm = make.make_account(self.organization, "hubspot", name="Exempelkontot")
        ledger = make.make_account(self.organization, "fortnox", name="Exempelbolaget AB")
        self.integration = make.make_integration(self.organization, crm=crm, ledger=ledger, name="Exempelparet")
        self.account = ledger
        for account in (crm, ledger):
            account.granted_scopes = list(account.needed_scopes)
            account.save()
        self.lost = make.make_account(
            self.organization, "fortnox", name="Andra bolaget AB", status=ConnectedAccount.Status.NEEDS_RECONNECT
        )
        self.flow = make.make_flow(self.integration, last_success_at=timezone.now())
        make.make_pass(self.flow, name="Förfallna")
        make.make_flow(self.integration, "articles-to-products", enabled=False)
        self.run = make.make_run(
            self.flow, state="held", seen=12, counts={"create": 1, "update": 1, "link": 1, "skip": 1, "conflict": 1}
        )
        SyncRun.objects.filter(pk=self.run.pk).update(
            hold_reason=in_every_language(gettext_lazy("The first run of a flow is approved by a person."))
        )
        why = in_every_language(gettext_lazy("No counterpart was found."))
        self.held = make.make_change(self.run, action="create", source_title="Åkers AB", target_id="", reason=why)
        self.update = make.make_change(self.run, source_title="Östermalms Bygg AB", state="queued")
        make.make_change(self.run, action="link", source_title="Älvsborgs Kraft AB")
        make.make_change(self.run, action="skip", state="skipped", source_title="Överhoppade AB")
        self.review = make.make_change(
            self.run, state="review", action="conflict", source_title="Dubbla AB", error_class="conflict",
            error_message="Två träffar.",
            candidates=[{"id": "1", "title": "Dubbla Aktiebolag", "fields": {}}, {"id": "2", "title": "Dubbla"}],
        )  # fmt: skip
        self.done = make.make_change(
            make.make_run(self.flow, state="done", finished_at=timezone.now()),
            state="applied",
            source_title="Klara AB",
        )
        self.log = make.make_log(self.update, message="")
        self.link = make.make_link(self.integration, title="1001 Länkade AB")
        self.mapping = make.make_mapping_set(self.integration, state="draft")
        FieldMapping.objects.create(
            mapping_set=self.mapping, expression="customer.Name", target_field="name", label="Namn", required=True
        )
        MatchRule.objects.create(
            mapping_set=self.mapping, expression="customer.CustomerNumber", target_field="fortnox_id",
            label="Fortnox-ID", normaliser="exact", outcome="link",
        )  # fmt: skip
        ValidationRule.objects.create(
            mapping_set=self.mapping, expression="customer.Active", label="Aktiv", message="Kunden är inte aktiv."
        )
        make.make_mapping_set(self.integration, "articles-to-products")
        WorkerHeartbeat.objects.create(queue="bulk")


def _of(model: str, row: Any, tail: str = "change/") -> str:
    return f"/admin/{model.replace('.', '/')}/{row.pk}/{tail}"


PAGES: dict[str, Callable[[Rows], str]] = {
    "home": lambda rows: "/admin/",
    "flow": lambda rows: _of("sync.flow", rows.flow),
    "plan": lambda rows: _of("sync.syncrun", rows.run),
    "change-held": lambda rows: _of("sync.change", rows.held),
    "change-review": lambda rows: _of("sync.change", rows.review),
    "change-done": lambda rows: _of("sync.change", rows.done),
    "connect": lambda rows: "/admin/integrations/integration/connect/",
    "connect-organization": lambda rows: f"/admin/integrations/integration/connect/{rows.organization.pk}/",
    "account": lambda rows: _of("integrations.connectedaccount", rows.account),
    "account-lost": lambda rows: _of("integrations.connectedaccount", rows.lost),
    "disconnect": lambda rows: _of("integrations.connectedaccount", rows.account, "disconnect/"),
    "integration": lambda rows: _of("integrations.integration", rows.integration),
    "choose-flows": lambda rows: f"/admin/sync/flow/choose/{rows.integration.pk}/",
    "mapping": lambda rows: _of("mappings.mappingset", rows.mapping),
    "link": lambda rows: _of("sync.entitylink", rows.link),
    "record": lambda rows: f"/admin/record/{rows.link.pk}/",
    "review": lambda rows: "/admin/review/",
    "month-end": lambda rows: f"/admin/month-end/?integration={rows.integration.pk}",
    "path": lambda rows: f"/admin/path/{rows.integration.pk}/",
    "ownership": lambda rows: f"/admin/ownership/{rows.integration.pk}/",
    **{
        f"list-{name.rpartition('/')[2]}": lambda rows, name=name: f"/admin/{name}/"
        for name in (
            "sync/flow", "sync/syncrun", "sync/change", "sync/entitylink", "sync/synclogentry", "sync/workerheartbeat",
            "mappings/mappingset", "mappings/valuemap", "integrations/integration", "integrations/connectedaccount",
        )
    },
}  # fmt: skip


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def svensk(sign_in: Any, rows: Rows) -> Page:
    """The browser of somebody who chose Swedish."""
    page: Page = sign_in(rows.person)
    page.goto("/admin/")
    page.get_by_role("button", name="Svenska", exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", "sv")
    return page


def english(texts: list[str]) -> list[str]:
    """The texts in which an English word is left; names meant for machines stay as they are."""
    plain = {
        text: re.sub(r"manage\.py \w+|\{\w+\}|\w+(?:\.\w+)+|\w+\([^)]*\)|\w+_\w+|[\w-]+-to-[\w-]+", " ", text)
        for text in texts
    }
    return sorted(text for text, rest in plain.items() if ENGLISH & set(re.findall(r"[a-zåäö']+", rest.lower())))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_swedish_and_fits(svensk: Page, rows: Rows, name: str, width: int) -> None:
    answer = svensk.goto(PAGES[name](rows))
    assert answer is not None
    assert answer.status == 200
    if PICTURES:
        svensk.screenshot(path=str(Path(PICTURES) / f"sv-{name}-{width}.png"), full_page=True)
    left = english([svensk.title(), *svensk.evaluate(TEXTS)])
    assert left == [], left
    wide, seen = svensk.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= seen, svensk.evaluate(STICKING_OUT)
    assert svensk.evaluate(STICKING_OUT) == []


def test_questions_and_answers_are_swedish(svensk: Page, rows: Rows) -> None:
    svensk.goto(_of("sync.syncrun", rows.run))
    svensk.get_by_role("button", name="Godkänn 2 ändringar i").click()
    go = svensk.get_by_role("button", name="Godkänn 2 ändringar", exact=True)
    expect(go).to_be_visible()
    assert english(svensk.evaluate(TEXTS)) == []
    go.click()
    expect(svensk.get_by_text("2 ändringar godkändes.")).to_be_visible()
    assert english(svensk.evaluate(TEXTS)) == []


def test_a_run_at_work_and_workers_that_are_silent_are_told_in_swedish(svensk: Page, rows: Rows) -> None:
    run = make.make_run(
        make.make_flow(rows.integration, "invoices-to-deals"),
        state="planning", seen=100, total=400, started_at=timezone.now() - timedelta(minutes=1),
    )  # fmt: skip
    WorkerHeartbeat.objects.update(at=timezone.now() - timedelta(hours=3))
    for path in (_of("sync.syncrun", run), "/admin/"):
        svensk.goto(path)
        assert english(svensk.evaluate(TEXTS)) == []
