"""A first plan as the match wizard meets it, stored directly: every bucket has something, both schemas are known."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sync.models import Change, Flow, SyncRun
from tests import factories as make

FIELDS = {"Name": "Name", "OrganisationNumber": "Organisation number", "Email": "E-mail", "CustomerNumber": "Number"}
TARGET = {"name": "Company name", "org": "Organisation number", "city": "City", "email": "E-mail", "domain": "Domain"}


def schema(title: str, key: str, fields: dict[str, str]) -> dict[str, Any]:
    """A stored schema."""
    rows = {name: {"label": label, "type": "string"} for name, label in fields.items()}
    return {"at": "2026-01-01T00:00:00+00:00", "schema": {"title": title, "key": key, "fields": rows}}


def candidate(key: str, title: str, score: int, **parts: tuple[str, str, int, int]) -> dict[str, Any]:
    """A stored candidate with its comparisons."""
    rows = [
        {"field": name, "kind": name, "ours": ours, "theirs": theirs, "points": points, "of": of}
        for name, (ours, theirs, points, of) in parts.items()
    ]
    fields = {name: row[1] for name, row in parts.items()} | {"phone": "046-12 34 56", "owner": "Anna"}
    url = f"https://crm.example.test/{key}"
    return {"id": key, "title": title, "url": url, "fields": fields, "score": score, "parts": rows}


def make_plan(**run: Any) -> tuple[Flow, SyncRun, dict[str, Change]]:
    """The flow, its held run, and the changes by name of their bucket."""
    organization = make.make_organization()
    crm = make.make_account(organization, "hubspot", schemas={"company": schema("name", "", TARGET)})
    ledger = make.make_account(
        organization, "fortnox", name="Lund Bygg AB", schemas={"customer": schema("Name", "CustomerNumber", FIELDS)}
    )
    integration = make.make_integration(organization, crm=crm, ledger=ledger)
    mapping = make.make_mapping_set(integration)
    flow = make.make_flow(integration, first_run_approved_at=None, amount_field="amount")
    held = make.make_run(flow, **({"state": "held", "mapping_set": mapping, "total": 6, "seen": 6} | run))

    def change(title: str, **fields: Any) -> Change:
        url = "https://ledger.example.test/1"
        values = {"target_id": "", "mapping_set": mapping, "source_title": title, "source_url": url}
        return make.make_change(held, **(values | fields))

    doubt = {"state": "review", "action": "conflict", "error_class": "conflict", "diff": [], "match_rule": "Name"}
    lund = ("Lund", "Lund", 5, 5)
    said = {"en": "Name and postcode suggests records that may be the same (1).", "sv": "Namn."}
    return flow, held, {
        "certain": change(
            "Alfa AB", action="link", target_id="501", target_title="Alfa", match_rule="Organisation number", score=96,
            target_url="https://crm.example.test/501",
        ),
        "suggested": change(
            "Beta Bygg AB", error_code="suggested", score=75, reason=said, **doubt,
            candidates=[candidate("502", "Beta Bygg", 75, name=("Beta Bygg AB", "Beta Bygg", 40, 40), city=lund)],
        ),
        "weak": change(
            "Eta AB", error_code="suggested", score=40, reason=said, **doubt,
            candidates=[candidate("507", "Etage", 40, name=("Eta AB", "Etage", 24, 40), city=("Lund", "Ystad", 0, 5))],
        ),
        "ambiguous": change(
            "Gamma AB", error_code="ambiguous", score=80, **doubt,
            reason={"en": "Domain finds several records (2). Choose the right one.", "sv": "Flera."},
            candidates=[
                candidate("503", "Gamma AB", 80, name=("Gamma AB", "Gamma AB", 40, 40), city=lund),
                candidate("504", "Gamma Fastigheter", 45, name=("Gamma AB", "Gamma Fastigheter", 22, 40)),
            ],
        ),
        "none": change(
            "Delta & Söner i Malmö Aktiebolag", action="create", amount=Decimal("12500.00"), currency="SEK",
            diff=[
                {"field": "name", "before": None, "after": "Delta & Söner i Malmö Aktiebolag", "reason": ""},
                {"field": "city", "before": None, "after": "Malmö", "reason": ""},
            ],
        ),
        "update": change("Zeta AB", amount=Decimal("-99.50"), currency="EUR", target_id="506", target_title="Zeta"),
        "skip": change(
            "Testkund", action="skip", state="skipped", diff=[],
            reason={"en": "The flow's filter leaves this record out.", "sv": "Filtret."},
        ),
        "blocked": make.make_change(
            held, state="review", action="blocked", source_title="Iota AB", error_class="data", diff=[],
            error_code="organization_number_known", error_message="The company has no organisation number.",
        ),
    }  # fmt: skip
