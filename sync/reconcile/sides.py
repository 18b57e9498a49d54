"""The two sides of an integration as a reconciliation sees them: which objects carry figures, who brings them over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from integrations.connector import Connector, Fields
from integrations.connectors import connector_for
from integrations.errors import Misconfigured
from integrations.figures import Documents, Figures, documents_of
from integrations.models import Integration
from mappings.models import FieldMapping
from mappings.models.mapping_set import Side, State
from mappings.models.rules import Scope
from sync.models import Flow

TAKES_ALL = (Flow.Takes.ALL, Flow.Takes.OWN)


@dataclass
class Sides:
    """Both connectors, and the flows that carry documents from the ledger to the CRM (`carriers`) or the other way."""

    integration: Integration
    ledger: Connector
    crm: Connector
    flows: list[Flow]

    def documents(self, side: str) -> Documents:
        """The side's connector as one that knows figures. Raises `Misconfigured` when it does not."""
        found = documents_of(self.ledger if side == Side.LEDGER else self.crm)
        if found is None:
            account = self.integration.account(side)
            raise Misconfigured(f"{account.get_system_display()} does not say what its documents add up to",
                                code="no_figures")  # fmt: skip
        return found

    def figures(self, side: str, name: str) -> Figures:
        """What the fields of an object mean."""
        return self.documents(side).figures[name]

    def fields(self, side: str, name: str) -> Fields:
        """What is asked of an object: its figures and the mark that says whether it is ours; nothing else. The rate of
        a CRM's record only where a flow keeps it: older set-ups have no field for it."""
        connector = self.ledger if side == Side.LEDGER else self.crm
        marker, figures = connector.markers.get(name), self.figures(side, name)
        names = figures.names if side == Side.LEDGER else figures.names - ({figures.rate} - self.written[name])
        return {name: names | ({marker} if marker else set())}

    @cached_property
    def ledger_objects(self) -> list[str]:
        """The ledger's documents that some flow carries, either way."""
        carried = {f.source_object for f in self.flows if f.source_side == Side.LEDGER}
        carried |= {f.target_object for f in self.flows if f.target_side == Side.LEDGER}
        return [name for name in self.documents(Side.LEDGER).figures if name in carried]

    @cached_property
    def carriers(self) -> list[Flow]:
        """Flows that bring documents from the ledger into the CRM, switched on or not."""
        there = self.documents(Side.CRM).figures
        return [
            f for f in self.flows
            if f.source_side == Side.LEDGER and f.source_object in self.ledger_objects and f.target_object in there
        ]  # fmt: skip

    @cached_property
    def crm_objects(self) -> list[str]:
        """The CRM's objects that carry figures, as far as their fields have been made, in the order that counts."""
        made = {f.target_object for f in self.carriers if f.prepared_at is not None}
        return [name for name in self.documents(Side.CRM).figures if name in made]

    @cached_property
    def written(self) -> Mapping[str, frozenset[str]]:
        """The fields that the published mappings of carriers keep on each object of the CRM. One query."""
        objects = {flow.slug: flow.target_object for flow in self.carriers}
        rows = FieldMapping.objects.filter(
            mapping_set__integration=self.integration, mapping_set__slug__in=list(objects),
            mapping_set__state=State.PUBLISHED, scope=Scope.HEADER, when=FieldMapping.When.ALWAYS,
        )  # fmt: skip
        found: dict[str, set[str]] = {name: set() for name in self.crm_objects}
        for slug, name in rows.values_list("mapping_set__slug", "target_field"):
            found.setdefault(objects[slug], set()).add(name)
        return {name: frozenset(fields) for name, fields in found.items()}

    @cached_property
    def mirrors(self) -> frozenset[str]:
        """The CRM's objects that a flow keeps up to date, whichever of them counts for a document."""
        return frozenset(flow.target_object for flow in self.carriers if flow.enabled)

    @cached_property
    def sold_objects(self) -> list[str]:
        """The CRM's objects of which flows make documents and that say when they were won."""
        there = self.documents(Side.CRM).figures
        makers = {f.source_object for f in self.flows if f.enabled and f.target_object in self.ledger_objects}
        return [name for name, figures in there.items() if figures.won and name in makers]

    def label(self, name: str) -> str:
        """What the CRM calls an object."""
        stored: Mapping[str, Mapping[str, str]] = self.integration.crm_account.schemas.get(name, {})
        return str(stored.get("schema", {}).get("label", "") or name)

    def currency(self, name: str) -> str:
        """What amounts of a CRM object without a currency of their own are in."""
        stored: Mapping[str, Mapping[str, str]] = self.integration.crm_account.schemas.get(name, {})
        return str(stored.get("schema", {}).get("currency", "") or "")


def sides_of(integration_id: int) -> Sides:
    """Both sides of an integration, calls in the bulk lane. Makes no call. Raises `Misconfigured` when no flow carries
    documents."""
    integration = Integration.objects.select_related("crm_account", "ledger_account").get(pk=integration_id)
    sides = Sides(
        integration,
        connector_for(integration.ledger_account),
        connector_for(integration.crm_account),
        list(Flow.objects.filter(integration=integration).order_by("position", "pk")),
    )
    if not sides.ledger_objects:
        raise Misconfigured(
            f"No flow of {integration.name} carries documents. Add a flow for invoices, then reconcile.",
            code="no_documents",
        )
    return sides
