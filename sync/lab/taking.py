"""Whether a flow would take a record that is tried, and which rule would find its counterpart: in words, with values.

The invariant: it asks the engine's own filter and match rules, so it cannot say something else than a run would; it
reads at most what matching of one page reads, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.utils.translation import gettext as _

from integrations.connector import Record
from integrations.errors import SyncError
from mappings.compiled import CompiledMapping
from mappings.expressions import Compiled, ExpressionError, MappingError
from mappings.golden import shown
from sync.engine import links
from sync.engine.context import FlowContext
from sync.engine.decided import decided
from sync.engine.match import Lookup, Match, match
from sync.models import EntityLink

Filter = Compiled | ExpressionError | None
MOST_NAMED = 3
"""Candidates that are named; the others are only many."""


def filter_of(ctx: FlowContext) -> Filter:
    """The flow's filter, or why it cannot be used; None without one."""
    try:
        return ctx.filter()
    except ExpressionError as error:
        return error


def reads_of(ctx: FlowContext, filter_: Filter) -> Mapping[str, frozenset[str]]:
    """What the filter reads of the record and its parts."""
    found: dict[str, frozenset[str]] = {}
    known = {ctx.flow.source_object, *ctx.schema("source").parts}
    for part, name in filter_.reads if isinstance(filter_, Compiled) else ():
        if part in known:
            found[part] = found.get(part, frozenset()) | {name}
    return found


def not_taken(ctx: FlowContext, filter_: Filter, mapping: CompiledMapping, record: Record, linked: bool) -> str:
    """Why the flow's filter leaves the record out; "" when it takes it. One that cannot judge takes it, as a run does,
    which then shows that as a problem of its own."""
    if not isinstance(filter_, Compiled):
        return ""
    extra = ctx.parts
    parts = {**record.named(), **extra, "source": {**extra["source"], "asked": False, "linked": linked}}
    try:
        if filter_.evaluate(parts, mapping.tables):
            return ""
    except MappingError:
        return ""
    values = [f"{part}.{name} = {shown(parts.get(part, {}).get(name))}" for part, name in sorted(filter_.reads)]
    text = _("The flow's filter leaves it out: %(filter)s. Here: %(values)s.")
    return text % {"filter": filter_.source.strip(), "values": ", ".join(values) or "–"}


def counterparts(
    ctx: FlowContext, mapping: CompiledMapping, records: Sequence[Record], linked: Mapping[str, EntityLink]
) -> dict[str, str]:
    """By source id, what these records are linked with, or which rule of this version finds a counterpart for them.

    Nothing for a flow that is not stored yet. A target that refuses is said in place of the answer.
    """
    if not ctx.flow.pk:
        return {}
    said = {record.id: _("Linked with %(target)s.") % {"target": _target_of(ctx, linked[record.id])}
            for record in records if record.id in linked}  # fmt: skip
    open_ = [record for record in records if record.id not in linked]
    if not open_:
        return said
    there = replace(ctx, mapping=mapping)
    try:
        found = match(there, open_, Lookup(there, len(open_)), decided(ctx.flow, [record.id for record in open_]))
    except SyncError as error:
        text = _("Its counterpart could not be looked for: %(why)s") % {"why": error.message}
        return said | {record.id: text for record in open_}
    return said | {record_id: _found(one) for record_id, one in found.items()}


def _found(one: Match) -> str:
    if one.target is not None:
        return _("“%(rule)s” finds %(target)s.") % {"rule": one.rule, "target": _named(one.target)}
    if one.candidates:
        names = ", ".join(_named(record) for record in one.candidates[:MOST_NAMED])
        names += " …" if len(one.candidates) > MOST_NAMED else ""
        if one.taken_by:
            text = _("“%(rule)s” finds %(target)s, which belongs to %(other)s already: a person decides.")
            return text % {"rule": one.rule, "target": names, "other": one.taken_by}
        return _("“%(rule)s” finds %(target)s: a person decides.") % {"rule": one.rule, "target": names}
    return _("No rule finds a counterpart.")


def _named(record: Record) -> str:
    return f"{record.title} ({record.id})" if record.title and record.title != record.id else record.id


def _target_of(ctx: FlowContext, link: EntityLink) -> str:
    _source, target = links.sides(ctx.flow)
    target_id = str(getattr(link, f"{target}_id"))
    return f"{link.title} ({target_id})" if link.title else target_id
