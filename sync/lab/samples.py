"""Sample records for the mapping editor and the lab: what a flow saw lately, read once more from its source.

Nothing is written but the schema that a remote describes. The invariant: `load` gives one answer per id, in order,
and a record that cannot be read costs none of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db.models import Count, QuerySet

from integrations.connector import Fields, ObjectSchema, Record
from integrations.connectors import connector_for
from integrations.errors import SyncError
from mappings import samples
from mappings.compiled import CompiledMapping
from mappings.models import MappingSet, ValueMap
from mappings.models.mapping_set import Side
from mappings.samples import MAX_LOADED, Sample, SampleRef, Seen
from sync.engine.context import FlowContext, schema_of
from sync.flows import setting_values
from sync.models import Change, EntityLink, Flow
from sync.states import State

LOOKED_AT = 500
"""How many of the newest changes are looked through for different records."""
MAX_SEEN = 200


class FlowSamples:
    """The provider; see `mappings.samples.Provider`."""

    def recent(self, mapping_set: MappingSet, n: int, *, ask: bool = False) -> list[SampleRef]:
        """The newest changes of the flow, then the newest links, then, if asked to, the source's own list."""
        flow = flow_of(mapping_set)
        found: dict[str, str] = {}
        if flow.pk:
            rows = Change.objects.filter(flow=flow).exclude(source_id="").order_by("-pk")
            for source_id, title in rows.values_list("source_id", "source_title")[:LOOKED_AT]:
                found.setdefault(source_id, title)
        if len(found) < n:
            for source_id, title in _linked(mapping_set, n):
                found.setdefault(source_id, title)
        if not found and ask:
            found = _listed(context_of(mapping_set), n)
        return [SampleRef(key, title or key) for key, title in list(found.items())[:n]]

    def load(self, mapping_set: MappingSet, ids: Sequence[str]) -> list[Sample]:
        """See `Provider.load`."""
        ctx = context_of(mapping_set)
        wanted = list(dict.fromkeys(ids))[:MAX_LOADED]
        found: dict[str, Record | SyncError] = {}
        for answer in ctx.source.load(mapping_set.source_object, wanted, every_field(ctx.schema("source"))):
            if isinstance(answer, Record):
                found[answer.id] = answer
            else:
                found[answer[0]] = answer[1]
        extra = ctx.parts
        return [_sample(key, found.get(key), extra) for key in wanted]

    def describe(self, mapping_set: MappingSet, side: str) -> None:
        """See `Provider.describe`: one call."""
        source = side == "source"
        account = mapping_set.integration.account(mapping_set.source_side if source else mapping_set.target_side)
        name = mapping_set.source_object if source else mapping_set.target_object
        schema_of(connector_for(account, lane="interactive"), account, name, timedelta(0))

    def unmapped(self, value_map: ValueMap, fields: Mapping[str, set[str]]) -> list[Seen]:
        """See `Provider.unmapped`: one query."""
        rows = (
            Change.objects.filter(
                integration_id=value_map.integration_id, state=State.REVIEW, error_code="unmapped_value",
                flow__slug__in=list(fields),
            )
            .values_list("flow__slug", "error_field", "error_value")
            .annotate(n=Count("pk"))
            .order_by("-n", "error_value")[:MAX_SEEN]
        )  # fmt: skip
        counts: dict[str, int] = {}
        for slug, field, value, n in rows:
            if not fields[slug] or field.removeprefix("line.") in fields[slug]:
                counts[value] = counts.get(value, 0) + n
        return [Seen(value, n, "review") for value, n in counts.items()]

    def linked(self, mapping_sets: Sequence[MappingSet]) -> dict[int, int]:
        """See `Provider.linked`: one query."""
        if not mapping_sets:
            return {}
        ids = {one.integration_id for one in mapping_sets}
        rows = EntityLink.objects.filter(integration_id__in=ids, frozen_reason="").order_by()
        counted = rows.values_list("integration_id", "crm_object", "ledger_object").annotate(n=Count("pk"))
        counts = {tuple(key): n for *key, n in counted}
        return {one.pk: counts.get((one.integration_id, *_objects(one)), 0) for one in mapping_sets}


def register() -> None:
    """Called when the room starts."""
    samples.register(FlowSamples())


def flow_of(mapping_set: MappingSet) -> Flow:
    """The flow that runs this mapping; one that is not stored when there is none yet."""
    found = Flow.objects.filter(integration_id=mapping_set.integration_id, slug=mapping_set.slug).first()
    return found or Flow(
        slug=mapping_set.slug, source_side=mapping_set.source_side, source_object=mapping_set.source_object,
        target_side=mapping_set.target_side, target_object=mapping_set.target_object, settings={},
    )  # fmt: skip


def context_of(mapping_set: MappingSet) -> FlowContext:
    """What the flow would see around a record, without its mapping: a draft need not compile. Makes no call."""
    integration = mapping_set.integration
    flow = flow_of(mapping_set)
    flow.integration = integration
    nothing = CompiledMapping(mapping_set.pk, mapping_set.source_object, mapping_set.target_object, ())
    source, target = integration.account(mapping_set.source_side), integration.account(mapping_set.target_side)
    return FlowContext(
        flow=flow, integration=integration, mapping_set=mapping_set, mapping=nothing,
        source=connector_for(source, lane="interactive"), target=connector_for(target, lane="interactive"),
        lane="interactive", settings=setting_values(flow),
    )  # fmt: skip


def every_field(schema: ObjectSchema) -> Fields:
    """Everything that the schema names, by part."""
    return {part: frozenset(names) for part, names in schema.names().items()}


def linked(mapping_set: MappingSet) -> QuerySet[EntityLink]:
    """The links of the mapping's objects that are in use, newest first."""
    return _links(mapping_set).filter(frozen_reason="")


def _links(mapping_set: MappingSet) -> QuerySet[EntityLink]:
    crm_object, ledger_object = _objects(mapping_set)
    return EntityLink.objects.filter(
        integration_id=mapping_set.integration_id, crm_object=crm_object, ledger_object=ledger_object
    ).order_by("-pk")


def _objects(mapping_set: MappingSet) -> tuple[str, str]:
    """The object of the CRM, and that of the ledger."""
    objects = (mapping_set.source_object, mapping_set.target_object)
    return objects if mapping_set.source_side == Side.CRM else objects[::-1]


def _linked(mapping_set: MappingSet, n: int) -> list[tuple[str, str]]:
    column = "crm_id" if mapping_set.source_side == Side.CRM else "ledger_id"
    return list(_links(mapping_set).values_list(column, "title")[:n])


def _listed(ctx: FlowContext, n: int) -> dict[str, str]:
    """The first records that the source lists; one remote page."""
    name = ctx.flow.source_object
    schema = ctx.schema("source")
    titles = {schema.title} if schema.title else set()
    for page in ctx.source.changed(name, None, {name: frozenset({schema.key, *titles})}):
        return {record.id: record.title for record in page.records[:n]}
    return {}


def _sample(key: str, answer: Record | SyncError | None, extra: Mapping[str, Mapping[str, object]]) -> Sample:
    if isinstance(answer, Record):
        return Sample(key, answer, extra)  # type: ignore[arg-type]
    return Sample(key, None, extra, answer.message if answer else "")  # type: ignore[arg-type]
