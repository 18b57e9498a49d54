"""Plan: what should be written for each changed record, as unsaved changes with their reasons.

Maps, validates, resolves links to other records, compares three ways, and ends in one of six actions: create, update,
link, skip, conflict, blocked. Nothing is written to any remote here. The invariant: every record that goes in comes out
either as a change with a reason a consultant understands, or as a link that is known to be up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.errors import ErrorClass, Missing, SyncError
from mappings.expressions import Compiled
from mappings.mapper import Mapped, MappingError, Problem, map_record
from sync.engine import links
from sync.engine.context import FlowContext
from sync.engine.draft import Draft, Related, error_fingerprint, problems_of
from sync.engine.extract import Extracted
from sync.engine.match import Lookup, Match, match
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
    planned = Planned()
    planned.changes += [_unreadable(ctx, record_id, error) for record_id, error in extracted.unreadable]
    mapped = {record.id: _map(ctx, record) for record in extracted.records}
    filter_ = ctx.filter()
    takers = [record for record in extracted.records if _wanted(ctx, filter_, record, mapped[record.id], extracted)]
    related = _resolve_links(ctx, [mapped[record.id] for record in takers], dependencies)
    taken = {record.id for record in takers}
    unlinked = [record for record in takers if record.id not in extracted.links]
    matches = match(ctx, [record for record in unlinked if record.id not in create], lookup)
    current = _current(ctx, extracted, takers, matches)
    for record in extracted.records:
        draft = Draft(ctx, record, mapped[record.id], extracted)
        draft.change.decision = "create" if record.id in create else ""
        draft.change.generation = create.get(record.id, 1)
        wanted = record.id in taken
        change = draft.decide(matches.get(record.id), current, related) if wanted else draft.skip()
        if change is None:
            link = extracted.links[record.id]
            planned.looked.append(links.looked(ctx.flow, link, extracted.fingerprints[record.id], record.version))
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
    if filter_ is None:
        return True
    try:
        return bool(filter_.evaluate({**record.named(), **ctx.parts}, ctx.mapping.tables))
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
    fields = frozenset(rule.target for rule in ctx.mapping.fields if rule.scope == "header")
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
        if missing and dependencies is not None:
            dependencies(ctx, flow, missing)
            found |= links.by_source(flow, missing)
        related.ids |= {(rule.related, key): links.target_id(flow, link) for key, link in found.items()}
    return related


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
