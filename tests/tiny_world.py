"""A world for engine tests: a ledger and a register in memory, one flow from customers to companies between them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Integration
from mappings.models import FieldMapping, LinkRule, MappingSet, MatchRule, ValidationRule
from mappings.models.versions import publish
from sync.engine.approve import approve
from sync.engine.run import Order, Work, work
from sync.models import Change, EntityLink, Flow, SyncRun
from tests.factories import make_flow, make_integration, make_mapping_set
from tests.tiny import Remote, TinyConnector

FIELDS = [("name", "customer.name", {}), ("city", "customer.city", {}), ("number", "customer.number", {})]


class TinyWorld:
    """See the module's docstring. `ledger` and `crm` are the remotes; `sync()` is what a worker would do."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, page_size: int = 10, first_run_approved: bool = True, **flow: Any
    ) -> None:
        self.ledger = Remote("ledger", {"customer": {}, "order": {}}, page_size=page_size)
        self.crm = Remote("crm", {"company": {}, "bill": {}}, unique={"company": "key"}, page_size=page_size)
        self.ledger_connector, self.crm_connector = TinyConnector(self.ledger), TinyConnector(self.crm)
        monkeypatch.setattr("sync.engine.context.connector_for", self._connector)
        self.integration: Integration = make_integration()
        approved = timezone.now() if first_run_approved else None
        self.flow = self.add_flow("customers", first_run_approved_at=approved, **flow)

    def _connector(self, account: Any, *, lane: str = "bulk") -> TinyConnector:
        return self.crm_connector if account.system == "hubspot" else self.ledger_connector

    def add_flow(
        self, slug: str, *, fields: list[Any] | None = None, source: str = "customer", target: str = "company",
        matches: list[dict[str, Any]] | None = None, links: list[dict[str, Any]] | None = None,
        validations: list[dict[str, Any]] | None = None, unique: bool = True, line_key: str = "", **flow: Any,
    ) -> Flow:  # fmt: skip
        """A flow with its published mapping. Fields are (target, expression, options)."""
        keyed = {"unique_field": "key", "unique_expression": f'concat(source.account_id, ":", {source}.number)'}
        if line_key:
            keyed |= {"line_unique_field": "line_key", "line_unique_expression": line_key}
        draft: MappingSet = make_mapping_set(
            self.integration, slug, state="draft", source_object=source, target_object=target,
            **(keyed if unique else {}),
        )  # fmt: skip
        for position, (name, expression, options) in enumerate(fields or FIELDS):
            FieldMapping.objects.create(
                mapping_set=draft, position=position, target_field=name, expression=expression, **options
            )
        for match in matches or []:
            MatchRule.objects.create(mapping_set=draft, **match)
        for link in links or []:
            LinkRule.objects.create(mapping_set=draft, **link)
        for validation in validations or []:
            ValidationRule.objects.create(mapping_set=draft, **validation)
        publish(draft, None, check=False)
        return make_flow(
            self.integration, slug, source_object=source, target_object=target,
            **({"first_run_approved_at": timezone.now()} | flow),
        )  # fmt: skip

    def customer(self, number: int | str, **fields: Any) -> str:
        """A customer in the ledger, made or changed."""
        values = {"number": str(number), "name": f"Customer {number}", "city": "Lund"} | fields
        return self.ledger.put("customer", values, str(number))

    def sync(self, flow: Flow | None = None, *, rounds: int = 1, **order: Any) -> Work:
        """One run as a worker would do it, to its end."""
        done = work(flow or self.flow, Order(**order))
        for _again in range(rounds - 1):
            done = work(flow or self.flow)
        return done

    def approve(self, run: SyncRun) -> Work:
        """A person approves what the run holds, and the worker carries it out."""
        approve(run, None)
        return work(run.flow)

    def later(self, minutes: float = 60) -> None:
        """Time passes: whatever waits for a time is due."""
        past = timezone.now() - timedelta(minutes=minutes)
        Change.objects.filter(state="retrying").update(due_at=past)
        Change.objects.filter(state__in=["unknown", "sending"]).update(settle_until=past)
        SyncRun.objects.filter(state__in=SyncRun.ACTIVE).update(due_at=past)

    def companies(self) -> dict[str, Any]:
        """What the register holds: number → (name, city)."""
        rows = self.crm.rows("company").values()
        return {str(row.get("number")): (row.get("name"), row.get("city")) for row in rows}

    def states(self) -> dict[str, str]:
        """State of the newest change of every record."""
        return {change.source_id: change.state for change in Change.objects.order_by("pk")}

    def links(self) -> int:
        """How many records are linked."""
        return EntityLink.objects.count()
