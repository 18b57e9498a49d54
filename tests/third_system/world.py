"""A world whose ledger is Bokis and whose CRM a register in memory: neither is known to any product code.

What the product offers for a new system is used as it is: a line in `CONNECTORS`, a folder of presets, an error table.
The engine is not touched. The one liberty: the database knows the names of the systems that the product connects, so
that check is switched off for these tests, as a migration would widen it for a system that is really added.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from integrations import catalogue, connectors
from integrations.connector import Feedback, FieldSchema, FieldType, ObjectSchema
from mappings.presets import loading
from sync import interactive, tasks
from sync.engine.run import Order, work
from sync.flows import install, switch_on
from sync.models import Change, Flow, SyncRun
from tests.factories import make_account, make_integration, make_organization
from tests.third_system.books import Books, NoAnswer
from tests.third_system.connector import BokisConnector
from tests.third_system.errors import CODES
from tests.tiny import Remote, TinyConnector

IN, OUT, DEALS, STATUS = (
    "customers-to-companies", "companies-to-customers", "deals-to-invoices", "invoice-status-to-deals",
)  # fmt: skip
NUMBERS = ("5560360793", "5567037485", "5590401237")
WORDS = {"pending": "Pending", "synced": "Synced", "error": "Error", "skipped": "Skipped"}
_COMPANY = ("key", "name", "org", "city", "number")
_DEAL = ("name", "currency", "company", "stage", "invoice_number", "invoice_state", "credit_number", "told", "why")


class Register(TinyConnector):
    """The CRM: companies and deals with items, which show what became of them."""

    system = "register"

    def __init__(self, remote: Remote) -> None:
        super().__init__(remote)
        self.feedback = {"deal": Feedback("told", "why", WORDS)}

    def describe(self, object_name: str) -> ObjectSchema:
        """Companies, or deals with their items."""
        names = _COMPANY if object_name == "company" else _DEAL
        fields = {name: FieldSchema(name, name) for name in names}
        if object_name == "company":
            return ObjectSchema("register", "company", "Companies", "id", fields, title="name")
        fields |= {name: FieldSchema(name, name, FieldType.NUMBER) for name in ("amount", "invoice_total")}
        item = {name: FieldSchema(name, name) for name in ("sku", "text")}
        item |= {name: FieldSchema(name, name, FieldType.NUMBER) for name in ("quantity", "price")}
        return ObjectSchema("register", "deal", "Deals", "id", fields, {"item": item}, lines="item", title="name")


class ThirdWorld:
    """See the module's docstring. `books` and `register` are the remotes, worked in by people."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.books = Books()
        self.register = Remote("register", {"company": {}, "deal": {}}, unique={"company": "key"})
        monkeypatch.setitem(connectors.CONNECTORS, "bokis", lambda api: BokisConnector(self.books))
        monkeypatch.setitem(connectors.CONNECTORS, "register", lambda api: Register(self.register))
        monkeypatch.setitem(catalogue._tables()[0], "bokis", CODES)  # type: ignore[index]
        monkeypatch.setattr(loading, "_FOLDER", Path(__file__).parent / "presets")
        loading._load.cache_clear()
        _allow_any_system()
        organization = make_organization()
        crm = make_account(organization, "register", remote_id="R-1")
        self.ledger = make_account(organization, "bokis", remote_id="B-7")
        self.integration = make_integration(organization, crm=crm, ledger=self.ledger, brake_records=1_000)
        for flow in install(self.integration):
            switch_on(flow)
        Flow.objects.update(first_run_approved_at=timezone.now(), prepared_at=timezone.now())

    # --- people ---------------------------------------------------------------------------------------------------

    def company(self, name: str = "Nordisk Handel AB", org: str = NUMBERS[0], city: str = "Lund") -> str:
        """A company that a salesperson enters."""
        return self.register.put("company", {"name": name, "org": org, "city": city})

    def deal(self, company: str, *items: tuple[str, str, str], amount: str = "", **fields: Any) -> str:
        """A won deal with items of (sku, quantity, price); its amount is their sum unless given."""
        lines = [{"sku": sku, "text": f"Text {sku}", "quantity": Decimal(quantity), "price": Decimal(price)}
                 for sku, quantity, price in items]  # fmt: skip
        total = Decimal(amount) if amount else sum((Decimal(q) * Decimal(p) for _s, q, p in items), Decimal(0))
        given = {"name": "Deal", "stage": "won", "currency": "SEK", "company": company, "amount": total} | fields
        return self.register.put("deal", given, lines=lines)

    def article(self, number: str, **fields: Any) -> str:
        """An article in Bokis."""
        return self.books.add("article", {"number": number, "name": f"Article {number}"} | fields)

    def deal_shows(self, key: str) -> dict[str, Any]:
        """The fields of a deal in the register."""
        return self.register.rows("deal")[key]

    # --- workers --------------------------------------------------------------------------------------------------

    def flow(self, slug: str) -> Flow:
        """The flow as the database has it now."""
        return Flow.objects.get(integration=self.integration, slug=slug)

    def setting(self, slug: str, **values: Any) -> None:
        """Settings as a consultant changes them on the flow's page."""
        flow = self.flow(slug)
        flow.settings = {**flow.settings, **values}
        flow.save(update_fields=["settings"])

    def sync(self, *slugs: str) -> None:
        """A scheduled run of each flow, to its end."""
        for slug in slugs:
            done = work(self.flow(slug), Order())
            while done.run is not None and not done.finished and done.run.state in SyncRun.ACTIVE:
                done = work(self.flow(slug))

    def later(self, *slugs: str) -> None:
        """Whatever waits for its moment has waited, and the flows go on."""
        past = timezone.now() - timedelta(hours=1)
        Change.objects.filter(state__in=["retrying", "queued"]).update(due_at=past)
        Change.objects.filter(state__in=["unknown", "sending"]).update(settle_until=past)
        for slug in slugs:
            work(self.flow(slug))

    # --- a person at a card -----------------------------------------------------------------------------------------

    def look(self, slug: str, record: str) -> interactive.RecordState:
        """The page is opened; the worker answers the bell."""
        tasks.work_on(interactive.look(self.flow(slug), record, actor="anna@kund.se").pk)
        return interactive.state_of(self.flow(slug), record)

    def press(self, slug: str, record: str) -> interactive.RecordState:
        """The button is pressed; the worker answers the bell."""
        seen = interactive.state_of(self.flow(slug), record).change
        assert seen is not None
        pressed = interactive.press(seen.pk, actor="anna@kund.se", fingerprint=seen.source_fingerprint)
        assert pressed.status in ("queued", "already"), (pressed, seen.problems)
        tasks.work_on(seen.pk)
        return interactive.state_of(self.flow(slug), record)


def _allow_any_system() -> None:
    """Within this connection only, and the test's transaction is rolled back."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        else:
            cursor.execute("ALTER TABLE integrations_connectedaccount DROP CONSTRAINT account_system_known")


def no_answer(call: str, times: int = 1) -> Callable[[str], None]:
    """A fault: the next `times` requests of this kind are carried out, and the answer never arrives."""
    left = [times]

    def strike(asked: str) -> None:
        if asked == call and left[0]:
            left[0] -= 1
            raise NoAnswer("read timed out")

    return strike
