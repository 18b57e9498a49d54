"""What the steps of one flow need at hand: both connectors, the compiled mapping, the schemas, the extra parts.

Built once per run and process; constant SQL. Schemas are asked of the remote at most once an hour and kept with the
connected account, so that a run which finds nothing costs no call for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from integrations.connector import Connector, ObjectSchema, Value
from integrations.connectors import connector_for
from integrations.models import ConnectedAccount, Integration
from mappings.expressions import Compiled, compile_expression
from mappings.mapper import CompiledMapping
from mappings.models import MappingSet, compile_mapping
from mappings.models.mapping_set import Side
from mappings.schemas import dump_schema, load_schema
from sync.models import Flow

SCHEMA_MAX_AGE = timedelta(hours=1)


@dataclass(slots=True)
class FlowContext:
    """One flow, ready to work: see the module's docstring."""

    flow: Flow
    integration: Integration
    mapping_set: MappingSet
    mapping: CompiledMapping
    source: Connector
    target: Connector
    lane: str = "bulk"
    _schemas: dict[str, ObjectSchema] = field(default_factory=dict)

    @property
    def source_account(self) -> ConnectedAccount:
        """The account that the flow reads."""
        return self.integration.account(self.flow.source_side)

    @property
    def target_account(self) -> ConnectedAccount:
        """The account that the flow writes."""
        return self.integration.account(self.flow.target_side)

    @property
    def source_is_ledger(self) -> bool:
        """Which way the flow points; the link's columns are named by side."""
        return self.flow.source_side == Side.LEDGER

    @property
    def parts(self) -> dict[str, Mapping[str, Value]]:
        """The parts that every expression may read besides the record: `source` and `setup`."""
        return {
            "source": {"account_id": self.source_account.remote_id, "account_name": self.source_account.name},
            "setup": dict(self.integration.setup),
        }

    def schema(self, side: str, *, max_age: timedelta = SCHEMA_MAX_AGE) -> ObjectSchema:
        """The schema of the source or target object, at most `max_age` old."""
        if side not in self._schemas or max_age < SCHEMA_MAX_AGE:
            source = side == "source"
            self._schemas[side] = schema_of(
                self.source if source else self.target,
                self.source_account if source else self.target_account,
                self.flow.source_object if source else self.flow.target_object,
                max_age,
            )
        return self._schemas[side]

    def filter(self) -> Compiled | None:
        """The flow's own filter, compiled; None when it takes everything."""
        if not self.flow.filter_expression:
            return None
        return compile_expression(self.flow.filter_expression, {**self.schema("source").names(), **_EXTRA_NAMES})


_EXTRA_NAMES: dict[str, frozenset[str] | None] = {"source": None, "setup": None}


def schema_of(connector: Connector, account: ConnectedAccount, object_name: str, max_age: timedelta) -> ObjectSchema:
    """The stored schema of `object_name`, asked of the remote again when older than `max_age`."""
    stored = account.schemas.get(object_name)
    if stored and timezone.now() - datetime.fromisoformat(stored["at"]) < max_age:
        return load_schema(stored["schema"])
    schema = connector.describe(object_name)
    entry = {"at": timezone.now().isoformat(), "schema": dump_schema(schema)}
    fresh = ConnectedAccount.objects.get(pk=account.pk).schemas | {object_name: entry}
    ConnectedAccount.objects.filter(pk=account.pk).update(schemas=fresh)
    account.schemas = fresh
    return schema


def build(flow: Flow, *, lane: str = "bulk") -> FlowContext:
    """The context of a flow. Raises `MappingSet.DoesNotExist` when nothing is published for it."""
    flow = Flow.objects.select_related("integration__crm_account", "integration__ledger_account").get(pk=flow.pk)
    integration = flow.integration
    source = connector_for(integration.account(flow.source_side), lane=lane)
    # Expressions are compiled against what the source is known to offer, its line part above all.
    schema = schema_of(source, integration.account(flow.source_side), flow.source_object, SCHEMA_MAX_AGE)
    mapping_set = flow.mapping_set()
    return FlowContext(
        flow=flow,
        integration=integration,
        mapping_set=mapping_set,
        mapping=compile_mapping(mapping_set),
        source=source,
        target=connector_for(integration.account(flow.target_side), lane=lane),
        lane=lane,
        _schemas={"source": schema},
    )
