"""What the steps of one flow need at hand: both connectors, the compiled mapping, the schemas, the extra parts.

Built once per run and process; constant SQL. Schemas are asked of the remote at most once an hour and kept with the
connected account, so that a run which finds nothing costs no call for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from integrations.connector import Connector, Feedback, Fields, ObjectSchema, Record, Value
from integrations.connectors import connector_for
from integrations.models import ConnectedAccount, Integration
from mappings.expressions import Compiled, compile_expression
from mappings.mapper import CompiledMapping
from mappings.models import MappingSet, compile_mapping
from mappings.models.mapping_set import Side
from mappings.schemas import dump_schema, load_schema
from sync.flows import candidates_without, setting_values, unless_linked_as
from sync.models import Change, Flow

if TYPE_CHECKING:
    from sync.engine.routing import Router
    from sync.engine.two_way import Shared

SCHEMA_MAX_AGE = timedelta(hours=1)


@dataclass
class FlowContext:
    """One flow, ready to work: see the module's docstring."""

    flow: Flow
    integration: Integration
    mapping_set: MappingSet
    mapping: CompiledMapping
    source: Connector
    target: Connector
    lane: str = "bulk"
    settings: Mapping[str, Value] = field(default_factory=dict)
    may_be_made: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Values, such as article numbers, that a person decided to create together with a record, by source id."""
    asked: frozenset[str] = frozenset()
    """Records that a person at a card waits for. A flow's filter may take those besides what it takes by itself:
    `source.asked or …`."""
    routed: bool = True
    """Whether routing has a say. Not for what a document needs: its customer exists where the document goes."""
    claim_lookup: Callable[[Change], list[Record]] | None = None
    """Who holds the identity that a change claims, asked of the target just before a create."""
    undo: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Values that a person puts back, by source id: those records are written so, and nothing else of them."""
    refused_blanks: Counter[str] = field(default_factory=Counter)
    """How often a value was not replaced by a blank since the last stored page, by target field."""
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
        """The parts that every expression may read besides the record: `source`, `target`, `setup` and `setting`."""
        return {
            "source": {
                "account_id": self.source_account.remote_id,
                "account_name": self.source_account.name,
                "currency": self.schema("source").currency or None,
            },
            "target": {"account_id": self.target_account.remote_id, "account_name": self.target_account.name},
            "setup": dict(self.integration.setup),
            "setting": self.settings,
        }

    def setting(self, name: str, default: str = "") -> str:
        """One setting of the flow as text; `default` when it has none of that name."""
        value = self.settings.get(name)
        return default if value is None else str(value)

    @cached_property
    def watched(self) -> CompiledMapping:
        """The mapping, reading also what the flow's filter and the routing rules read: a record that now passes them
        has changed for us."""
        filter_ = self.filter()
        extra = (filter_.reads if filter_ else frozenset()) | (self.router.rules.reads if self.router else frozenset())
        reads = dict(self.mapping.reads)
        known = {self.flow.source_object, *self.schema("source").parts}
        for part, name in extra:
            if part in known:
                reads[part] = reads.get(part, frozenset()) | {name}
        return replace(self.mapping, reads=reads) if extra else self.mapping

    @cached_property
    def router(self) -> Router | None:
        """Decides which company takes a record; None for flows that read the ledger. See `routing`."""
        from sync.engine.routing import Router  # it needs this module

        return Router.of(self)

    @property
    def reads(self) -> Fields:
        """What is read of a source record: what is watched, the marker that says whether it is our own, and where it
        shows what became of it."""
        marker = self.source.markers.get(self.flow.source_object)
        more = {marker} if marker and self.flow.takes == Flow.Takes.OWN else set()
        more |= {self.feedback.status, self.feedback.message} if self.feedback else set()
        if not more:
            return self.watched.reads
        own = self.watched.reads.get(self.flow.source_object, frozenset())
        return {**self.watched.reads, self.flow.source_object: own | more}

    @cached_property
    def feedback(self) -> Feedback | None:
        """Where the source's records show what became of them, if they do; see `feedback`."""
        from sync.engine.feedback import of_flow  # it needs this module

        return of_flow(self)

    @cached_property
    def written_back(self) -> frozenset[str]:
        """Fields of the source object that a flow the other way updates; see `two_way`."""
        from sync.engine.two_way import written_back  # it needs this module

        return written_back(self.flow)

    @cached_property
    def unless_linked_as(self) -> str:
        """Another target object; records linked to one of it are left alone."""
        return unless_linked_as(self.flow)

    @cached_property
    def candidates_without(self) -> frozenset[str]:
        """Fields that are empty in every target record that a match rule may find."""
        return candidates_without(self.flow)

    @cached_property
    def pointing_here(self) -> list[Flow]:
        """Flows whose records point at what this one writes; see `kin`."""
        from sync.engine.kin import pointing_at

        return pointing_at(self.flow)

    @cached_property
    def paused(self) -> dict[int, set[str]]:
        """Fields that this flow leaves alone, by link; see `sync.pingpong`."""
        from sync.pingpong import paused_fields

        return paused_fields(self.flow)

    @cached_property
    def other_way(self) -> list[Flow]:
        """Flows over the same pair of objects that go the other way."""
        return list(
            Flow.objects.filter(
                integration_id=self.integration.pk, source_side=self.flow.target_side,
                source_object=self.flow.target_object, target_object=self.flow.source_object,
            )
        )  # fmt: skip

    @cached_property
    def shared(self) -> Shared:
        """The fields that flow both ways."""
        from sync.engine.two_way import Shared

        return Shared.of(self)

    @property
    def core(self) -> CompiledMapping:
        """The mapping, looking only at the record itself and its lines: what is compared just before a delivery."""
        wanted = (self.flow.source_object, self.mapping.line_part)
        return replace(
            self.mapping, reads={part: self.mapping.reads[part] for part in wanted if part in self.mapping.reads}
        )

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


_EXTRA_NAMES: dict[str, frozenset[str] | None] = {"source": None, "target": None, "setup": None, "setting": None}


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
        settings=setting_values(flow),
        _schemas={"source": schema},
    )
