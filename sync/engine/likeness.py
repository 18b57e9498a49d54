"""The likeness of a source record and its candidates, from what matching and mapping have read already.

The invariant: no remote call, and no influence on what is decided; see `mappings.likeness` for how it is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from integrations.connector import Record
from mappings.likeness import Likeness, Pair, compare, kind_of
from mappings.mapper import Mapped
from sync.engine.context import FlowContext
from sync.engine.match import text_of, value_of
from sync.values import show


def likeness(ctx: FlowContext, record: Record, mapped: Mapped, candidate: Record) -> Likeness:
    """How alike the two are: by the values of the match rules, and by those that would be written."""
    return compare(_pairs(ctx, record, mapped, candidate))


def ranked(
    ctx: FlowContext, record: Record, mapped: Mapped, candidates: Iterable[Record]
) -> list[tuple[Record, Likeness]]:
    """The candidates, the most alike first; of equals the one with the lower id."""
    scored = [(candidate, likeness(ctx, record, mapped, candidate)) for candidate in candidates]
    return sorted(scored, key=lambda row: (-row[1].score, row[0].id))


def parts_of(found: Likeness) -> list[dict[str, Any]]:
    """The comparisons as they are stored with a candidate."""
    return [
        {"field": p.field, "kind": p.kind, "ours": p.ours, "theirs": p.theirs, "points": p.points, "of": p.of}
        for p in found.parts
    ]


def _pairs(ctx: FlowContext, record: Record, mapped: Mapped, candidate: Record) -> Iterator[Pair]:
    def pair(name: str, normaliser: str, ours: str) -> Pair:
        return Pair(name, kind_of(name, normaliser), ours, text_of(candidate.fields.get(name)))

    for rule in ctx.mapping.match_rules:
        yield pair(rule.target_field, rule.normaliser, value_of(ctx, rule.expression, record))
        if rule.extra is not None:
            expression, name, normaliser = rule.extra
            yield pair(name, normaliser, value_of(ctx, expression, record))
    for name, value in mapped.fields.items():
        yield pair(name, "", show(value))
