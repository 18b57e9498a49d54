"""Look-ups: values that must exist at the target before a record is written, such as the articles of its lines.

What our own links know costs nothing; the rest is asked of the target in one bulk look-up per rule, exact after the
fact, never trusting a search. The invariant: a value counts as there only when a link or an exact hit says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from integrations.connector import Record
from mappings.compiled import CompiledLookup
from mappings.mapper import Mapped
from sync.engine.context import FlowContext
from sync.models import EntityLink

LIVE_LIMIT = 10
"""Up to so many values are asked of the target although a link knows them, when a person is looking: an article may
have been switched off, and what it costs in VAT is shown."""


@dataclass(slots=True)
class Found:
    """What is known about the values of one look-up: those that exist, and records that were read for them."""

    there: set[str] = field(default_factory=set)
    records: dict[str, Record] = field(default_factory=dict)
    alike: dict[str, str] = field(default_factory=dict)


def resolve(ctx: FlowContext, mapped: Sequence[Mapped]) -> dict[str, Found]:
    """What exists at the target, by name of the look-up rule."""
    return {rule.name: _resolve(ctx, rule, mapped) for rule in ctx.mapping.lookups}


def _resolve(ctx: FlowContext, rule: CompiledLookup, mapped: Sequence[Mapped]) -> Found:
    wanted = {value for item in mapped for _line, value in item.lookups.get(rule.name, ())}
    found = Found(there=_linked(ctx, rule, wanted))
    live = ctx.lane == "interactive" and len(wanted) <= LIVE_LIMIT
    _ask(ctx, rule, found, sorted(wanted if live else wanted - found.there))
    stand_in = stand_in_of(ctx, rule)
    if stand_in and stand_in not in wanted and wanted - found.there:
        found.there |= _linked(ctx, rule, {stand_in})
        _ask(ctx, rule, found, sorted({stand_in} - found.there))
    return found


def stand_in_of(ctx: FlowContext, rule: CompiledLookup) -> str:
    """The value that the flow's settings put in the place of a missing one; empty when they say something else."""
    if ctx.setting(f"missing_{rule.name}", "block") != "default":
        return ""
    return ctx.setting(f"default_{rule.name}").strip()


def _ask(ctx: FlowContext, rule: CompiledLookup, found: Found, ask: Sequence[str]) -> None:
    """Ask the target for values: those that are there are noted, and so are those that are spelt otherwise."""
    if not ask:
        return
    hits = ctx.target.find(
        rule.object, rule.field, [value.casefold() for value in ask], lambda value: _spelt(value, ask), str.casefold,
        ctx.target.estimates_from.get(rule.object, frozenset()) | {rule.field},
    )  # fmt: skip
    found.there -= set(ask)
    for value in ask:
        candidates = hits.get(value.casefold(), [])
        exact = [record for record in candidates if str(record.fields.get(rule.field) or record.id) == value]
        if exact:
            found.there.add(value)
            found.records[value] = exact[0]
        elif candidates:
            found.alike[value] = str(candidates[0].fields.get(rule.field) or candidates[0].id)


def _spelt(value: str, ask: Sequence[str]) -> list[str]:
    """How the value stands at the source: the target's search takes it as it is."""
    return [item for item in ask if item.casefold() == value] or [value]


def _linked(ctx: FlowContext, rule: CompiledLookup, values: set[str]) -> set[str]:
    """Those that a link of this integration names: one query."""
    side = ctx.flow.target_side
    rows = EntityLink.objects.filter(
        integration=ctx.integration, **{f"{side}_object": rule.object, f"{side}_id__in": sorted(values)}
    )
    return set(rows.values_list(f"{side}_id", flat=True)) if values else set()


def missing(found: Mapping[str, Found], mapped: Mapped, name: str) -> list[tuple[int, str]]:
    """(line number, value) of this record's values that do not exist."""
    there = found[name].there if name in found else set()
    return [(line, value) for line, value in mapped.lookups.get(name, ()) if value not in there]
