"""What people decided about matching, as the planning of a page needs it.

The invariant: a decision is asked for each time a record is planned, so whoever plans it, and whenever, does as the
person said; nothing here writes a link.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from integrations.connector import Fields, Record
from integrations.errors import Missing
from sync.engine.context import FlowContext
from sync.models import Flow, MatchDecision

CHOSEN = "chosen by "
"""How the match rule of a counterpart that a person chose begins; their name follows."""


@dataclass(slots=True)
class Decided:
    """The decisions in force about the records of one page, by source id."""

    ignored: dict[str, MatchDecision] = field(default_factory=dict)
    links: dict[str, MatchDecision] = field(default_factory=dict)
    create: set[str] = field(default_factory=set)
    rejected: dict[str, set[str]] = field(default_factory=dict)


def decided(flow: Flow, ids: Iterable[str]) -> Decided:
    """The decisions about these records: one query."""
    found = Decided()
    rows = MatchDecision.objects.in_force().filter(flow=flow, source_id__in=list(ids)).select_related("by")
    for row in rows:
        match row.kind:
            case MatchDecision.Kind.IGNORE:
                found.ignored[row.source_id] = row
            case MatchDecision.Kind.LINK:
                found.links[row.source_id] = row
            case MatchDecision.Kind.CREATE:
                found.create.add(row.source_id)
            case _:
                found.rejected.setdefault(row.source_id, set()).add(row.target_id)
    return found


def chosen(ctx: FlowContext, links: Mapping[str, MatchDecision], wanted: frozenset[str]) -> dict[str, Record]:
    """The chosen counterparts as they are now, by source id: one bulk read, none without choices. One that is gone is
    left out; raises `SyncError` for one that cannot be read."""
    if not links:
        return {}
    targets = {row.target_id: source for source, row in links.items()}
    fields: Fields = {ctx.flow.target_object: wanted}
    found: dict[str, Record] = {}
    for loaded in ctx.target.load(ctx.flow.target_object, sorted(targets), fields):
        if isinstance(loaded, Record):
            found[targets[loaded.id]] = loaded
        elif not isinstance(loaded[1], Missing):
            raise loaded[1]
    return found


def chosen_rule(decision: MatchDecision) -> str:
    """The match rule of a counterpart that a person chose."""
    return f"{CHOSEN}{decision.by or '?'}"
