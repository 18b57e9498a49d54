"""Plan: what should be written for each changed record, as unsaved changes with their reasons.

Maps, validates, resolves links to other records, compares three ways, and ends in one of six actions: create, update,
link, skip, conflict, blocked. Nothing is written to any remote here. The invariant: every record that goes in comes out
either as a change with a reason a consultant understands, or as a link that is known to be up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.errors import ErrorClass, Missing, SyncError
from mappings.expressions import Compiled
from mappings.mapper import Mapped, MappingError, Problem, map_record
from sync.engine import aftermath, links, lookups, reroute, two_way
from sync.engine.context import FlowContext
from sync.engine.decided import decided
from sync.engine.draft import Draft, Related
from sync.engine.extract import Extracted
from sync.engine.match import Lookup, Match, match
from sync.engine.needs import look_for
from sync.engine.problems import error_fingerprint, problems_of
from sync.engine.references import carried
from sync.engine.routing_rules import Judged
from sync.models import Change, EntityLink, Flow
from sync.states import Action, State
from sync.texts import in_every_language, say

Dependencies = Callable[[FlowContext, Flow, list[str]], None]
"""Imports the named source records of another flow now, as far as that flow's policy allows (RB17)."""


@dataclass(slots=True)
class Planned:
    """The outcome for one page: changes to store, and links that were looked at and need nothing."""

    changes: list[Change] = field(default_factory=list)
    looked: list[EntityLink] = field(default_factory=list)
    agreed: list[EntityLink] = field(default_factory=list)
    """Those of `looked` whose two sides agree on something new: both were changed to the same value."""
    judged: Mapping[str, Judged] = field(default_factory=dict)
    """What the routing rules say of records that are not linked here, also of those that others take."""
    same: list[Change] = field(default_factory=list)
    """Of documents that need no write: what their source promises now, as unsaved changes that are not stored."""
    content: list[Record] = field(default_factory=list)
    """The records of `looked`."""
    links: Mapping[str, EntityLink] = field(default_factory=dict)
    """The links of the page's records, by source id."""


def plan(
    ctx: FlowContext,
    extracted: Extracted,
    lookup: Lookup,
    dependencies: Dependencies | None,
    create: Mapping[str, int] = MappingProxyType({}),
) -> Planned:
    """Plan every record of `extracted`. Remote calls: look-ups for new records, one bulk read for linked ones.

    `create` are source ids (and the generation of the create) for which a person decided that no existing record is
    meant: they are not matched.
    """
    planned = Planned(judged=extracted.judged, links=extracted.links)
    planned.changes += [_unreadable(ctx, record_id, error) for record_id, error in extracted.unreadable]
    mapped = {record.id: _map(ctx, record) for record in extracted.records}
    filter_ = ctx.filter()
    wanted = [record for record in extracted.records if _wanted(ctx, filter_, record, mapped[record.id], extracted)]
    held = {record.id: extracted.held[record.id] for record in wanted if record.id in extracted.held}
    said = decided(ctx.flow, [record.id for record in wanted])
    takers = [record for record in wanted if record.id not in held and record.id not in said.ignored]
    related = _resolve_links(ctx, [mapped[record.id] for record in takers], dependencies)
    taken = {record.id for record in takers}
    related.found = lookups.resolve(ctx, [mapped[record.id] for record in takers])
    unlinked = [record for record in takers if record.id not in extracted.links]
    _made_before(ctx, [record.id for record in unlinked if record.id not in create], related)
    matches = match(ctx, [record for record in unlinked if record.id not in create], lookup, said)
    drafts = {record.id: Draft(ctx, record, mapped[record.id], extracted) for record in extracted.records}
    asking = [record for record in takers if not drafts[record.id].quiet()]
    current = _current(ctx, extracted, asking, matches)
    asks = {record.id for record in asking}
    for record in extracted.records:
        draft = drafts[record.id]
        draft.change.decision = "create" if record.id in create else ""
        draft.change.generation = create.get(record.id) or related.generations.get(record.id, 1)
        change: Change | None = None
        if record.id in held:
            change = reroute.hold(draft.change, record, held[record.id])
        elif record.id in said.ignored:
            change = draft.ignored(said.ignored[record.id])
        elif record.id not in taken:
            change = draft.skip()
            # Why it is left out concerns only those who asked for it.
            change.to_tell = change.to_tell and _passes(ctx, filter_, record, mapped[record.id], extracted)
        elif record.id in asks:
            change = draft.decide(matches.get(record.id), current, related)
        if change is None:
            link = extracted.links[record.id]
            planned.looked.append(links.looked(ctx.flow, link, extracted.fingerprints[record.id], record.version))
            if two_way.remember(ctx.flow, link, draft.snapshot, ctx.mapping_set.pk):
                planned.agreed.append(link)
            planned.same += [draft.change] if ctx.mapping.promise is not None else []
            planned.content.append(record)
        else:
            planned.changes.append(change)
    return planned


def _map(ctx: FlowContext, record: Record) -> Mapped:
    return map_record(ctx.mapping, record, ctx.parts, ctx.schema("target"))


def _wanted(ctx: FlowContext, filter_: Compiled | None, record: Record, mapped: Mapped, extracted: Extracted) -> bool:
    """False for a record that the mapping or the flow's filter says to skip. One that the filter cannot judge is
    wanted, with that as its problem."""
    if mapped.skip and not (mapped.skip_create_only and record.id in extracted.links):
        return False
    return _passes(ctx, filter_, record, mapped, extracted)


def _passes(ctx: FlowContext, filter_: Compiled | None, record: Record, mapped: Mapped, extracted: Extracted) -> bool:
    """Whether the flow's filter takes the record."""
    if filter_ is None:
        return True
    try:
        parts = ctx.parts
        said = {"asked": record.id in ctx.asked, "linked": record.id in extracted.links}
        parts["source"] = {**parts["source"], **said}
        return bool(filter_.evaluate({**record.named(), **parts}, ctx.mapping.tables))
    except MappingError as error:
        mapped.problems.append(
            Problem(
                code="filter",
                rule="filter",
                field="filter",
                value=str(ctx.flow.filter_expression)[:200],
                message=say(_("The flow's filter cannot be evaluated for this record: {error}"), error=error),
                remedy=say(_("Mend the filter of the flow, or the record.")),
                error_class=ErrorClass.CONFIGURATION,
            )
        )
        return True


def _current(
    ctx: FlowContext, extracted: Extracted, takers: Sequence[Record], matches: Mapping[str, Match]
) -> dict[str, Record]:
    """What the targets hold now, by target id: read in bulk for linked records; matched ones came with the match."""
    ids = [links.target_id(ctx.flow, extracted.links[r.id]) for r in takers if r.id in extracted.links]
    name = ctx.flow.target_object
    fields = frozenset(rule.target for rule in ctx.mapping.fields if rule.scope == "header")
    fields |= {rule.target_field for rule in ctx.mapping.links if rule.target_field}
    fields |= {ctx.target.locks[name]} if name in ctx.target.locks else set()
    wanted = {ctx.flow.target_object: fields}
    found: dict[str, Record] = {}
    if ids:
        for item in ctx.target.load(ctx.flow.target_object, ids, wanted):
            if isinstance(item, Record):
                found[item.id] = item
            elif not isinstance(item[1], Missing):
                raise item[1]  # not to be seen is not the same as gone: the page is planned again
    found |= {m.target.id: m.target for m in matches.values() if m.target}
    return found


def _resolve_links(ctx: FlowContext, mapped: Sequence[Mapped], dependencies: Dependencies | None) -> Related:
    related = Related()
    for rule in ctx.mapping.links:
        flow = Flow.objects.filter(integration=ctx.integration, slug=rule.related).first()
        wanted = {item.links[rule.name] for item in mapped if item.links.get(rule.name)}
        if flow is None or not wanted:
            continue
        related.flows[rule.related] = flow
        found = links.by_source(flow, wanted)
        missing = sorted(wanted - found.keys())
        if missing and rule.target_field:
            policy = ctx.setting(f"missing_{rule.name}", "ask")
            needs = look_for(ctx, flow, missing, policy)
            related.needs |= {(rule.related, key): need for key, need in needs.items()}
        elif missing and dependencies is not None and flow.may_create and flow.pk != ctx.flow.pk:
            dependencies(ctx, flow, missing)
            found |= links.by_source(flow, missing)
        if not rule.target_field and not rule.required:
            # Naming a record that is gone would have the whole write refused.
            found = {key: link for key, link in found.items() if not links.target_gone(flow, link)}
        related.ids |= {(rule.related, key): links.target_id(flow, link) for key, link in found.items()}
    return related


def _made_before(ctx: FlowContext, ids: Sequence[str], related: Related) -> None:
    """Creates of these records that went out, and the generation of those that were credited since: one query, none
    for targets whose creates can be repeated.

    A create that names its record has made it, whatever became of the change: it may wait for a person, or a newer
    plan may have replaced it. Only one that a person dismissed is over. What a restored database forgot is asked of
    the target (see `carried`)."""
    if not ids or ctx.flow.target_object in ctx.target.idempotent:
        return
    made = Q(action=Action.CREATE) & (Q(state=State.APPLIED) | ~Q(target_id="") & ~Q(state=State.DISMISSED))
    credited = Q(action=Action.ACT, state=State.APPLIED)
    for row in Change.objects.filter(made | credited, flow=ctx.flow, source_id__in=ids).order_by("pk"):
        if row.action == Action.CREATE:
            related.made[row.source_id] = row
        elif aftermath.replaced(row):
            related.made.pop(row.source_id, None)
            related.generations[row.source_id] = row.generation
    unknown = [key for key in ids if key not in related.made]
    for key, hit in carried(ctx, unknown, related.generations).items():
        related.made[key] = Change(source_id=key, target_id=hit.id, target_title=hit.title)


def _unreadable(ctx: FlowContext, record_id: str, error: SyncError) -> Change:
    """A record that the remote lists but would not show."""
    return Change(
        integration=ctx.integration,
        flow=ctx.flow,
        mapping_set=ctx.mapping_set,
        action=Action.BLOCKED,
        state=State.REVIEW,
        source_id=record_id,
        source_title=record_id,
        reason=in_every_language(error.message),
        error_class=error.error_class,
        error_code=error.code,
        error_message=error.message,
        problems=problems_of(error),
        error_fingerprint=error_fingerprint(error.error_class, error.code, error.field, error.value),
    )
