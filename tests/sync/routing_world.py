"""One CRM in memory that feeds several companies, each a ledger of its own: deals become bills, partners customers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import ConnectedAccount, Integration
from mappings.models import FieldMapping, LinkRule, RoutingRule
from mappings.models.mapping_set import Side
from mappings.models.versions import publish
from sync.engine.run import Order, Work, work
from sync.models import Change, EntityLink, Flow, RoutePin, SyncRun
from tests.factories import make_account, make_flow, make_integration, make_mapping_set
from tests.tiny import Remote, TinyConnector

DEALS, PARTNERS = "deals-to-bills", "partners-to-customers"


class RoutingWorld:
    """See the module's docstring. Companies are called "A", "B", … and feed from `crm`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, companies: Iterable[str] = "AB", **flow: Any) -> None:
        self.crm = Remote("crm", {"deal": {}, "partner": {}}, unique={"deal": "key", "partner": "key"})
        self.crm_connector = TinyConnector(self.crm)
        self.account: ConnectedAccount = make_account(system="hubspot", name="Portal")
        self.pairs: dict[str, Integration] = {}
        self.ledgers: dict[str, Remote] = {}
        self.connectors: dict[Any, TinyConnector] = {self.account.pk: self.crm_connector}
        for module in ("sync.engine.context", "sync.routes", "sync.admin.routing"):
            monkeypatch.setattr(f"{module}.connector_for", self._connector)
        for name in companies:
            self.add_company(name, **flow)

    def _connector(self, account: Any, *, lane: str = "bulk") -> TinyConnector:
        return self.connectors[account.pk]

    def add_company(self, name: str, **flow: Any) -> Integration:
        """Another company, with both flows switched on."""
        organization = self.account.organization
        ledger = make_account(organization, "fortnox", name=f"Company {name}")
        pair = make_integration(organization, crm=self.account, ledger=ledger, name=f"Portal ↔ {name}")
        self.pairs[name] = pair
        self.ledgers[name] = Remote(name, {"bill": {}, "customer": {}})
        self.connectors[ledger.pk] = TinyConnector(self.ledgers[name])
        self._flow(pair, PARTNERS, "partner", "customer", [("name", "partner.name"), ("city", "partner.city")], **flow)
        fields = [("name", "deal.name"), ("amount", "deal.amount"), ("city", "deal.city")]
        self._flow(pair, DEALS, "deal", "bill", fields, **flow)
        return pair

    def _flow(
        self, pair: Integration, slug: str, source: str, target: str, fields: list[tuple[str, str]], **flow: Any
    ) -> Flow:
        sides = {"source_side": Side.CRM, "target_side": Side.LEDGER}
        draft = make_mapping_set(pair, slug, state="draft", source_object=source, target_object=target, **sides)
        for position, (name, expression) in enumerate(fields):
            FieldMapping.objects.create(mapping_set=draft, position=position, target_field=name, expression=expression)
        if source == "deal":
            LinkRule.objects.create(
                mapping_set=draft, name="customer", related_slug=PARTNERS, expression="deal.partner",
                target_field="customer",
            )  # fmt: skip
        publish(draft, None, check=False)
        values: dict[str, Any] = {"prepared_at": timezone.now()}
        return make_flow(pair, slug, source_object=source, target_object=target, **sides, **(values | flow))

    # --- people ---------------------------------------------------------------------------------------------------

    def deal(self, number: int | str, **fields: Any) -> str:
        """A deal in the CRM, made or changed."""
        values = {"name": f"Deal {number}", "city": "North", "amount": "10", "partner": None, "key": str(number)}
        known = self.crm.objects["deal"].get(str(number))
        return self.crm.put("deal", fields if known else values | fields, str(number))

    def partner(self, number: int | str, **fields: Any) -> str:
        """A partner in the CRM, made or changed."""
        values = {"name": f"Partner {number}", "city": "North", "key": str(number)}
        known = self.crm.objects["partner"].get(str(number))
        return self.crm.put("partner", fields if known else values | fields, str(number))

    def rule(self, company: str, expression: str = "", *, object_name: str = "deal", **fields: Any) -> RoutingRule:
        """A further rule, after those there are."""
        count = RoutingRule.objects.filter(account=self.account, object_name=object_name).count()
        values = {"position": count, "name": expression or "Everything else"} | fields
        return RoutingRule.objects.create(
            account=self.account, object_name=object_name, expression=expression, integration=self.pairs[company],
            **values,
        )  # fmt: skip

    def pin(self, company: str, record_id: str, object_name: str = "deal") -> RoutePin:
        """A person decided."""
        return RoutePin.objects.create(
            account=self.account, object_name=object_name, record_id=record_id, integration=self.pairs[company]
        )

    def link(self, company: str, crm_id: str, ledger_id: str, crm: str = "deal", ledger: str = "bill") -> EntityLink:
        """The two are the same, and nothing is known of either."""
        return EntityLink.objects.create(
            integration=self.pairs[company], crm_object=crm, crm_id=crm_id, ledger_object=ledger, ledger_id=ledger_id
        )

    # --- workers --------------------------------------------------------------------------------------------------

    def flow(self, company: str, slug: str = DEALS) -> Flow:
        """The flow of a company, as the database has it now."""
        return Flow.objects.get(integration=self.pairs[company], slug=slug)

    def sync(self, company: str, slug: str = DEALS, **order: Any) -> Work:
        """One scheduled run of a company's flow."""
        return work(self.flow(company, slug), Order(**order))

    def go_on(self, rounds: int = 3, slug: str = DEALS) -> None:
        """What the workers do by themselves: retries, hints, deliveries, in every company."""
        for _round in range(rounds):
            self.later()
            for company in self.pairs:
                work(self.flow(company, slug))

    def later(self) -> None:
        """Whatever waits for a time is due."""
        past = timezone.now() - timedelta(hours=1)
        Change.objects.filter(state="retrying").update(due_at=past)
        Change.objects.filter(state__in=["unknown", "sending"]).update(settle_until=past)
        SyncRun.objects.filter(state__in=SyncRun.ACTIVE).update(due_at=past)

    # --- what there is --------------------------------------------------------------------------------------------

    def bills(self, company: str) -> list[str]:
        """Names of the bills in a company's ledger."""
        return sorted(str(row["name"]) for row in self.ledgers[company].rows("bill").values())

    def open(self, company: str, slug: str = DEALS) -> dict[str, str]:
        """The open changes of a company's flow: record → state."""
        rows = Change.objects.open().filter(flow=self.flow(company, slug))
        return dict(rows.values_list("source_id", "state"))
