"""What people have done by the time somebody looks around: decided, compared, signed, tried, and been told.

Everything goes through the product's own pages, or through the verbs behind them; the workers do the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import requests
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from config.demo import story
from config.demo.processes import Processes
from config.demo.visitor import Visitor
from integrations.models import Integration, Membership
from mappings.models import MappingSet
from mappings.models.versions import new_draft
from sync import matching
from sync.models import Change, EntityLink, Flow, MatchDecision, Reconciliation, SyncRun
from sync.notices.survey import survey
from sync.reconcile import store
from sync.states import Action, State

CUSTOMERS, INVOICES = "customers-to-companies", "invoices-to-deals"
PEOPLE = (
    ("karin", "Karin", "Lind", Membership.Role.ACCOUNTANT),
    ("sofia", "Sofia", "Berg", Membership.Role.SUPPORT),
)
CLOSE_DATE = "datetime_utc(first_of(invoice.FinalPayDate, invoice.DueDate))"
"""What the draft does otherwise: a deal closes on the day its invoice was paid."""
WRONG = "100.00"
"""The balance that somebody typed into the CRM."""
PATIENCE = 120

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Desk:
    """Who and what every step of this part needs. `host` is the sandbox's address."""

    integration: Integration
    person: User
    visitor: Visitor
    processes: Processes
    base: str
    host: str
    say: Say

    @property
    def portal(self) -> str:
        """The CRM account at the sandbox."""
        return str(self.integration.crm_account.remote_id)

    def page(self, name: str, *arguments: object) -> str:
        """The address of one of our pages."""
        return self.base + reverse(f"admin:{name}", args=arguments)


def show(desk: Desk) -> None:
    """The whole part. Raises `RuntimeError` that says what did not happen."""
    started = time.monotonic()
    desk.say("\nThe workplace")
    accountant = invite(desk)
    decide(desk)
    check(desk)
    draft(desk)
    compare(desk, accountant)
    survey()  # what the workers look for each minute, now
    places(desk)
    desk.say(f"  This took {time.monotonic() - started:.0f} s.")


def invite(desk: Desk) -> User:
    """Colleagues with roles; returns the accountant."""
    made = []
    for name, first, last, role in PEOPLE:
        person = User.objects.create_user(
            name, f"{name}@demogroup.example", story.PASSWORD, first_name=first, last_name=last, is_staff=True
        )
        Membership.objects.create(organization=desk.integration.organization, user=person, role=role)
        made.append(person)
    names = " and ".join(f"{name} ({role.label.lower()})" for name, _first, _last, role in PEOPLE)
    desk.say(f"  {names} may sign in with the same password")
    return made[0]


def decide(desk: Desk) -> None:
    """A few of the customers that no rule could tell apart: the same, not the same, left out. The rest waits."""
    flow = Flow.objects.get(integration=desk.integration, slug=CUSTOMERS)
    undecided = Change.objects.filter(flow=flow, state=State.REVIEW, action=Action.CONFLICT)
    picks = []
    for change in undecided.filter(error_code="suggested").order_by("-score", "pk")[:1]:
        best = max(change.candidates, key=lambda row: row.get("score") or 0)
        title = str(best.get("title") or best["id"])
        picks.append(matching.Pick(change, MatchDecision.Kind.LINK, str(best["id"]), title, best.get("score")))
    others = undecided.exclude(pk__in=[pick.change.pk for pick in picks]).order_by("-pk")
    picks += [matching.Pick(change, MatchDecision.Kind.IGNORE) for change in others[:1]]
    outcome = matching.decide(flow, picks, desk.person)
    story.settle(desk.integration, desk.processes)
    desk.say(f"  which records are the same: {outcome.done} decided, {undecided.count()} wait for a person")


def check(desk: Desk) -> None:
    """Both systems are asked whether an invoice could be made today; two things in the ledger could be better."""
    company = desk.integration.ledger_account.remote_id
    for name, key, fields in (("currencies", "GBP", {"SellRate": 0}), ("accounts", "7960", {"Active": False})):
        path = f"{desk.host}/control/records/fortnox/{company}/{name}"
        requests.post(path, json={"id": key, "fields": fields}, timeout=30).raise_for_status()
    desk.visitor.open(desk.page("integrations_integration_readiness", desk.integration.pk))
    desk.visitor.submit(click="check")


def draft(desk: Desk) -> None:
    """A golden sample that every version must keep right, and a draft that changes some of the records."""
    mapping = MappingSet.objects.published(desk.integration, INVOICES)
    credit = _credit_note(desk)
    desk.visitor.open(desk.page("lab_golden", mapping.pk))
    desk.visitor.submit(
        action="/golden/pin/", click="pin", record=credit, name="A credit note",
        note="The sign of the amount and the stage are easily broken.",
    )  # fmt: skip
    made = new_draft(mapping, desk.person, note="A deal closes on the day it was paid")
    rule = made.field_mappings.get(target_field="closedate")
    rule.expression = CLOSE_DATE
    rule.save()
    desk.say(f"  a golden sample: invoice {credit}, a credit note; a draft of “{mapping.name}” to try in the lab")


def _credit_note(desk: Desk) -> str:
    """A credit invoice that is in step."""
    company = desk.integration.ledger_account.remote_id
    rows = requests.get(f"{desk.host}/control/state/fortnox/{company}/invoices", timeout=30).json()["records"]
    credits = [str(row["DocumentNumber"]) for row in rows if str(row.get("Credit")).lower() == "true"]
    linked = EntityLink.objects.filter(
        integration=desk.integration, ledger_object="invoice", ledger_id__in=credits
    ).order_by("-pk").first()  # fmt: skip
    if linked is None:
        raise RuntimeError("no credit note is in step")
    return str(linked.ledger_id)


def compare(desk: Desk, accountant: User) -> None:
    """The previous month agrees and is signed; in the current one somebody changed a deal by hand, which shows."""
    first, last = store.month_of(timezone.localdate())
    before = store.month_of(first - timedelta(days=1))
    clean = _reconciled(desk, *before, accountant)
    if not clean.unexplained:
        store.sign(clean, accountant)
    _tamper(desk, first, last)
    now = _reconciled(desk, first, last, accountant)
    for row in (clean, now):
        signed = "not signed" if row.unexplained else f"signed by {accountant.get_full_name()}"
        desk.say(
            f"  {row.starts:%Y-%m}, both sides compared: {row.differences} differences, {row.unexplained} unexplained"
            + (f", {signed}" if row is clean else "")
        )


def _tamper(desk: Desk, first: object, last: object) -> None:
    """Somebody types another balance into a deal of this month."""
    path = f"{desk.host}/control/state/hubspot/{desk.portal}/deals"
    rows = requests.get(path, timeout=30).json()["records"]
    for row in sorted(rows, key=lambda row: int(row["id"])):
        values = row["properties"]
        imported = values.get("pipeline") != "default" and values.get("fortnox_status") == "Sent"
        if imported and str(first) <= str(values.get("fortnox_invoice_date") or "") <= str(last):
            change = {"id": str(row["id"]), "fields": {"fortnox_balance": WRONG}}
            path = f"{desk.host}/control/records/hubspot/{desk.portal}/deals"
            requests.post(path, json=change, timeout=30).raise_for_status()
            return


def _reconciled(desk: Desk, starts: object, ends: object, person: User) -> Reconciliation:
    row = store.begin(desk.integration, starts, ends, user=person)  # type: ignore[arg-type]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        desk.processes.check()
        row.refresh_from_db()
        if row.state == Reconciliation.State.DONE:
            return row
        if row.state == Reconciliation.State.FAILED:
            raise RuntimeError(f"the reconciliation failed: {row.error_message}")
        time.sleep(0.3)
    raise RuntimeError(f"the reconciliation did not end within {PATIENCE} s: see the log of the worker")


def places(desk: Desk) -> None:
    """Where to look."""
    run = SyncRun.objects.filter(flow__integration=desk.integration, flow__slug=CUSTOMERS).order_by("pk").first()
    link = EntityLink.objects.filter(integration=desk.integration, ledger_object="invoice").order_by("-pk").first()
    tried = MappingSet.objects.drafts().filter(integration=desk.integration).first()
    for words, name, row in (
        ("readiness", "integrations_integration_readiness", desk.integration),
        ("which records are the same", "match", run),
        ("the mapping lab", "lab", tried),
        ("one record on both sides", "record", link),
        ("who owns which field", "ownership", desk.integration),
    ):
        if row is not None:
            desk.say(f"  {words}: {desk.page(name, row.pk)}")
    for words, name in (("reconciliation", "reconcile"), ("month end", "month_end"), ("notices", "notices")):
        desk.say(f"  {words}: {desk.page(name)}")
