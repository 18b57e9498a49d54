"""A portal with cards, and the means to call them as its host does: signed over the public address."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client

from integrations.hubspot.signature import sign
from integrations.models import ConnectedAccount, Integration
from sync.models import Change, Flow, Side
from sync.states import Action, State
from tests.factories import make_account, make_change, make_flow, make_integration

SECRET = "the app's client secret"
TYPES = {"company": "0-2", "deal": "0-3"}


def use_secret(django_settings: Any) -> None:
    """The app has a secret."""
    vendors = {name: dict(vendor) for name, vendor in django_settings.VENDORS.items()}
    vendors["hubspot"]["client_secret"] = SECRET
    django_settings.VENDORS = vendors


class Portal:
    """One portal, connected to one company in the ledger, with the two flows that cards use."""

    now = 0  # of its last call

    def __init__(self, *, portal: str = "", user_id: str = "77", email: str = "anna@kund.example", **crm: Any) -> None:
        self.crm: ConnectedAccount = make_account(system="hubspot", **({"remote_id": portal} if portal else {}), **crm)
        self.integration: Integration = make_integration(self.crm.organization, crm=self.crm)
        self.deals = make_flow_from_crm(self.integration, "deals-to-invoices", "deal", "invoice")
        self.companies = make_flow_from_crm(self.integration, "companies-to-customers", "company", "customer")
        self.user_id, self.email = user_id, email
        self.client = Client()

    def post(self, name: str, body: dict[str, Any] | None = None, **options: Any) -> Any:
        """A signed call of `/cards/hubspot/<name>`; options: portal, email, secret, timestamp, path, raw, headers."""
        query = {
            "userId": options.get("user_id", self.user_id),
            "portalId": options.get("portal", self.crm.remote_id),
            "userEmail": options.get("email", self.email),
            "appId": "1",
        }
        path = options.get("path", f"/cards/hubspot/{name}") + "?" + urlencode(query)
        raw = options.get("raw", json.dumps({"locale": "en", **(body or {})}).encode())
        # Two calls are two requests, also within one millisecond.
        self.now = max(int(time.time() * 1000), self.now + 1)
        timestamp = options.get("timestamp", str(self.now))
        signature = sign("POST", f"{settings.PUBLIC_URL}{path}", raw, timestamp, options.get("secret", SECRET))
        headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": timestamp}
        return self.client.post(
            path, raw, content_type="application/json", headers=headers | options.get("headers", {})
        )

    def summary(self, kind: str = "deal", record: str = "501", **options: Any) -> dict[str, Any]:
        """The card of a record."""
        answer = self.post("summary", record_body(kind, record, options.pop("locale", "en")), **options)
        assert answer.status_code == 200, answer.status_code
        return dict(answer.json())

    def ticket(self, kind: str = "deal", record: str = "501", locale: str = "en") -> str:
        """The ticket of a page."""
        url = self.post("open", record_body(kind, record, locale)).json()["url"]
        return str(url.partition("?t=")[2].partition("&")[0])

    def open(self, kind: str = "deal", record: str = "501", locale: str = "en") -> CardPage:
        """The page, opened."""
        return CardPage(self, self.ticket(kind, record, locale))


class CardPage:
    """The page in the frame, as its script behaves."""

    def __init__(self, portal: Portal, ticket: str) -> None:
        self.client = Client(enforce_csrf_checks=True)
        answer = self.client.post("/cards/session", json.dumps({"ticket": ticket}), content_type="application/json")
        assert answer.status_code == 200, answer.status_code
        self.bearer, self.state = answer.json()["bearer"], answer.json()["state"]

    def get(self, **query: str) -> Any:
        """What the page shows now."""
        return self.client.get("/cards/api/state", query, headers=self.headers)

    def post(self, name: str, **body: Any) -> Any:
        """A button."""
        raw = json.dumps(body)
        return self.client.post(f"/cards/api/{name}", raw, content_type="application/json", headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        """What every call of the page carries."""
        return {"Authorization": f"Bearer {self.bearer}"}


def record_body(kind: str, record: str, locale: str = "en") -> dict[str, Any]:
    """What the card says of the record it is on."""
    return {"objectId": record, "objectTypeId": TYPES[kind], "locale": locale}


def make_flow_from_crm(integration: Integration, slug: str, source: str, target: str, **fields: Any) -> Flow:
    """A flow that creates in the ledger when a card asks."""
    return make_flow(
        integration, slug, source_side=Side.CRM, source_object=source, target_side=Side.LEDGER, target_object=target,
        takes=Flow.Takes.LINKED, scheduled=False, approval=Flow.Approval.AUTOMATIC, **fields,
    )  # fmt: skip


def check(code: str, *, ok: bool = True, **fields: Any) -> dict[str, Any]:
    """One row of a stored checklist."""
    both = {name: {"en": text, "sv": f"{text} (sv)"} for name, text in fields.items() if name in _SENTENCES}
    rest = {name: value for name, value in fields.items() if name not in _SENTENCES}
    empty = {name: {"en": "", "sv": ""} for name in _SENTENCES}
    label = {"label": {"en": code.capitalize(), "sv": f"{code.capitalize()} (sv)"}}
    plain = {"actual": "", "repair": "", "value": "", "lines": [], "choices": []}
    return {"code": code, "ok": ok, **empty, **label, **plain, **both, **rest}


_SENTENCES = ("label", "message", "remedy")

PREVIEW = {
    "lines": [
        {"text": "Consulting", "article": "KONS", "quantity": "8", "price": "1000.00", "discount": "",
         "net": "8000.00"},
        {"text": "Hosting & support", "article": "", "quantity": "1.5", "price": "500.00", "discount": "10 %",
         "net": "675.00"},
    ],
    "net": "8675.00",
    "vat": "2168.75",
    "rounding": "0.25",
    "total": "10844.00",
    "currency": "SEK",
    "promised": "8675.00",
    "notes": [{"en": "The description is printed.", "sv": "Beskrivningen skrivs ut."}],
}  # fmt: skip


def planned(flow: Flow, record: str = "501", **fields: Any) -> Change:
    """A change as a look leaves it: everything in place, waiting for the button."""
    values: dict[str, Any] = {
        "action": Action.CREATE,
        "state": State.PLANNED,
        "decision": "look",
        "lane": "interactive",
        "source_id": record,
        "source_title": "Big deal",
        "target_id": "",
        "checks": [check("company_associated", actual="Kund AB"), check("has_lines", actual="2")],
        "payload": {"preview": PREVIEW, "fields": {}},
        "source_fingerprint": "f" * 64,
        "amount": Decimal("8675.00"),
        "currency": "SEK",
        "diff": [],
    }
    return make_change(flow=flow, **(values | fields))


def blocked(flow: Flow, record: str = "501", *rows: dict[str, Any], **fields: Any) -> Change:
    """A change that a look found something missing for."""
    default = (
        check("article_exists", ok=False, actual="ABC-1", message="ABC-1 is not an article.", remedy="Create it.",
              repair="create_article", value="ABC-1", lines=[2]),
        check("customer_linked", ok=False, actual="Kund AB", message="Several may be meant.", remedy="Choose.",
              repair="link_customer", value="900",
              choices=[{"id": "1042", "title": "Kund AB"}, {"id": "7", "title": ""}]),
    )  # fmt: skip
    return planned(
        flow, record, action=Action.BLOCKED, state=State.REVIEW, checks=[check("has_lines"), *(rows or default)],
        error_class="data", error_code="article_exists", error_message="ABC-1 is not an article.", **fields,
    )  # fmt: skip
