"""Two flows over the same pair of objects, one each way: what both sides agreed on, so that neither undoes the other.

A field is *shared* when this flow writes it from source fields that an enabled counterpart flow writes back; derived
fields beside those, which nobody can write, do not hinder that. For
shared fields the link keeps a snapshot of both sides, taken whenever they are known to agree. The invariants: a source
that still holds what the snapshot says has not changed, whatever its mapping makes of it (an echo of the other flow, or
a value that does not survive the way back, plans nothing); a value that only the other side changed is left to the
counterpart, and never recorded as agreed before it has arrived here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.connector import Record
from mappings.compiled import FieldRule
from mappings.merge import Merged, same
from mappings.models import MappingSet, compile_mapping
from sync.engine.context import FlowContext
from sync.models import Change, EntityLink, Flow
from sync.values import dump_all, load, load_all

_CONSTANT = frozenset({"source", "target", "setup", "setting"})


def written_back(flow: Flow) -> frozenset[str]:
    """The fields of the flow's source object that enabled counterpart flows update: two queries, one without any."""
    others = Flow.objects.filter(
        integration_id=flow.integration_id, source_side=flow.target_side, source_object=flow.target_object,
        target_object=flow.source_object, enabled=True, may_update=True,
    )  # fmt: skip
    names: set[str] = set()
    for other in others:
        try:
            mapping = compile_mapping(other.mapping_set())
        except MappingSet.DoesNotExist:
            continue
        names |= {rule.target for rule in mapping.fields if rule.scope == "header" and rule.when != "create"}
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Shared:
    """The shared fields of one flow: target field → the source fields it is made of."""

    ctx: FlowContext
    made_of: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, ctx: FlowContext) -> Shared:
        """Which fields are shared; none when no counterpart writes anything back."""
        back = ctx.written_back
        if not back:
            return cls(ctx, {})
        derived = {name for name, each in ctx.schema("source").fields.items() if each.derived and not each.writable}
        rules = ((rule.target, _reads(ctx, rule)) for rule in ctx.mapping.fields if rule.scope == "header")
        return cls(ctx, {target: reads for target, reads in rules if reads & back and reads - derived <= back})

    def settled(self, link: EntityLink | None, record: Record) -> frozenset[str]:
        """The shared target fields whose source still holds what both sides agreed on, under this very mapping."""
        if link is None or not self.made_of or not _same_mapping(self.ctx, link):
            return frozenset()
        agreed = load_all(getattr(link, f"agreed_{self.ctx.flow.source_side}"))
        return frozenset(
            target
            for target, reads in self.made_of.items()
            if all(name in agreed and same(agreed[name], record.fields.get(name)) for name in reads)
        )

    def snapshot(
        self, record: Record, target: Record | None, merged: Merged, only: Collection[str] | None = None
    ) -> dict[str, Any]:
        """What both sides agree on once `merged` is written, for the link: `{"source": …, "target": …}`, dumped; where
        `only` some fields were compared, of those."""
        if not self.made_of:
            return {}
        open_ = {diff.field for diff in merged.kept if diff.changed_there}
        open_ |= {diff.field for diff in merged.conflicts}
        unsettled = {name for field in open_ & self.made_of.keys() for name in self.made_of[field]}
        closed = [field for field in self.made_of if field not in open_ and (only is None or field in only)]
        return {
            "source": dump_all(
                {name: record.fields.get(name) for field in closed for name in self.made_of[field] - unsettled}
            ),
            "target": dump_all(
                {
                    field: target.fields[field]
                    for field in closed
                    if target is not None and field in target.fields and field not in merged.changes
                }
            ),
        }

    def seen(self, record: Record, merged: Merged) -> dict[str, dict[str, Any]]:
        """Per shared field in conflict, the source values that a person is asked about, dumped."""
        return {
            diff.field: dump_all({name: record.fields.get(name) for name in self.made_of[diff.field]})
            for diff in merged.conflicts
            if diff.field in self.made_of
        }


def remember(flow: Flow, link: EntityLink, snapshot: Mapping[str, Any], mapping_set_id: int) -> bool:
    """Put a snapshot into the link (not saved); whether that changed anything."""
    if not snapshot:
        return False
    before = (link.agreed_crm, link.agreed_ledger, link.agreed_under)
    for role, side in (("source", flow.source_side), ("target", flow.target_side)):
        name = f"agreed_{side}"
        setattr(link, name, {**getattr(link, name), **snapshot.get(role, {})})
    link.agreed_under = {**link.agreed_under, flow.source_side: mapping_set_id}
    return before != (link.agreed_crm, link.agreed_ledger, link.agreed_under)


def _reads(ctx: FlowContext, rule: FieldRule) -> frozenset[str]:
    """The source fields the rule is made of; none when it reads another record, of which no snapshot is kept."""
    parts = {part for part, _name in rule.expression.reads} - _CONSTANT
    if parts != {ctx.flow.source_object}:
        return frozenset()
    return frozenset(name for part, name in rule.expression.reads if part == ctx.flow.source_object)


def _same_mapping(ctx: FlowContext, link: EntityLink) -> bool:
    """A mapping that was published since may want something else of the same source."""
    return bool(link.agreed_under.get(ctx.flow.source_side, ctx.mapping_set.pk) == ctx.mapping_set.pk)


def decide(change: Change, link: EntityLink, choices: Mapping[str, str]) -> None:
    """A person chose, per field that both sides changed, whose value counts: "source" or "target".

    Nothing is written to any remote and nothing saved here: the link is changed so that the next plan of either flow
    finds only one side changed. The values are those that the person saw; if one moved since, it is a conflict again.
    """
    flow = change.flow
    mine, theirs = f"agreed_{flow.source_side}", f"agreed_{flow.target_side}"
    seen: Mapping[str, Mapping[str, Any]] = change.payload.get("seen", {})
    for row in change.diff:
        name = row["field"]
        known, now = getattr(link, mine), {name: row["before"]}
        if choices[name] == "source":
            setattr(link, theirs, {**getattr(link, theirs), **now})
            setattr(link, mine, {key: value for key, value in known.items() if key not in seen.get(name, {})})
        elif name in seen:
            setattr(link, mine, {**known, **seen[name]})
        else:  # nothing carries it the other way: the target keeps it until the source changes again
            setattr(link, theirs, {**getattr(link, theirs), **now})
            sent = f"sent_{flow.target_side}"
            setattr(link, sent, {**getattr(link, sent), name: row["after"]})
    link.agreed_under = {**link.agreed_under, flow.source_side: change.mapping_set_id}


def moved_at_target(ctx: FlowContext, changes: Sequence[Change]) -> list[Change]:
    """Those updates that waited for a person while somebody changed, at the target, a value that they would replace.

    Only fields that flow both ways count: elsewhere the source decides whatever the target holds. One bulk read, none
    when nothing waited."""
    waited = {change.target_id: change for change in changes if change.approved_at and change.target_id}
    if not ctx.shared.made_of or not waited:
        return []
    wanted = {ctx.flow.target_object: frozenset(ctx.shared.made_of)}
    moved = []
    for loaded in ctx.target.load(ctx.flow.target_object, list(waited), wanted):
        if isinstance(loaded, Record):
            change = waited[loaded.id]
            before = {row["field"]: load(row["before"]) for row in change.diff if row["field"] in ctx.shared.made_of}
            if any(not same(value, loaded.fields.get(name)) for name, value in before.items()):
                moved.append(change)
    return moved
