"""A populated office for tests that look at every page: two integrations with their flows, and rows in every state."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from integrations.models import Integration, Organization
from sync.flows import install
from sync.models import Flow
from sync.states import Action, State
from tests import factories as make
from tests.workplace_more import fill

LONG = "Räksmörgås & Smörgåsbord Konsultförmedling i Västra Götalandsregionen Aktiebolag (publ)"
DIFFS: list[dict[str, Any]] = [
    {"field": "name", "before": "Nordisk Handel", "after": LONG, "reason": ""},
    {"field": "city", "before": None, "after": "Malmö", "reason": ""},
    {"field": "amount", "before": "1000.00", "after": "12500.50", "reason": "", "type": "money"},
]


class Workplace:
    """One organization with a live integration full of work and an observing one that has done nothing yet."""

    def __init__(self, name: str = "Kund & Co AB") -> None:
        self.organization: Organization = make.make_organization(name)
        self.live = self._integration("HubSpot Sverige", "Fortnox Handel AB", Integration.Mode.LIVE)
        self.new = self._integration("HubSpot Norge", "Fortnox Norge AB", Integration.Mode.OBSERVE)
        self.flows: dict[str, Flow] = {flow.slug: flow for flow in self.live.flows.all()}
        self._work()
        self.addresses = fill(self)
        """Pages that only a form or a search leads to."""

    def _integration(self, crm: str, ledger: str, mode: str) -> Integration:
        integration = make.make_integration(
            self.organization,
            crm=make.make_account(self.organization, "hubspot", name=crm),
            ledger=make.make_account(self.organization, "fortnox", name=ledger),
            mode=mode,
        )
        install(integration)
        return integration

    def _work(self) -> None:
        now = timezone.now()
        Flow.objects.filter(integration=self.live).update(enabled=True, last_success_at=now - timedelta(minutes=20))
        for number, flow in enumerate(sorted(self.flows.values(), key=lambda flow: flow.pk)):
            run = make.make_run(flow, seen=40 + number, counts={"update": 3, "create": 1}, planned_at=now)
            for action in (Action.CREATE, Action.UPDATE, Action.LINK):
                make.make_change(
                    run, action=action, state=State.APPLIED, diff=DIFFS, finished_at=now - timedelta(days=number),
                    target_id=str(7000 + number), amount=Decimal("12500.50"), currency="SEK",
                )  # fmt: skip
            make.make_change(
                run, state=State.RETRYING, error_class="transient", error_code="503", error_message="Later."
            )
            make.make_change(run, action=Action.SKIP, state=State.DISMISSED, diff=[])
            for code in ("2000588", "2000588", "2003977"):
                failed = make.make_change(
                    run, state=State.REVIEW, error_code=code, error_field="VAT", error_value="MOMS 25", diff=DIFFS,
                    error_fingerprint=f"{flow.slug[:20]}-{code}",
                )  # fmt: skip
                make.make_log(failed, "sending→review", message="The vendor refused it.")
            held = make.make_run(flow, state="held", counts={"create": 2, "update": 1}, planned_at=now)
            for action in (Action.CREATE, Action.UPDATE, Action.CONFLICT):
                make.make_change(held, action=action, diff=DIFFS, amount=Decimal("990.00"), currency="SEK")
        self.link = make.make_link(
            self.live, title=LONG, agreed_crm={"name": LONG, "city": "Malmö"}, agreed_ledger={"Name": LONG},
            synced_at=now,
        )  # fmt: skip
        changed = make.make_change(
            make.make_run(self.flows["customers-to-companies"]), state=State.APPLIED, source_id=self.link.ledger_id,
            target_id=self.link.crm_id, diff=DIFFS, finished_at=now,
        )  # fmt: skip
        make.make_log(changed)
