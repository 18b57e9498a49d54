"""What our tables know about one record: the values of both sides, when each came, and how they were on a day.

No remote call and nothing written. The invariants: a bounded number of queries whatever the length of the history; a
value "as of" a moment is what the last write before it left, or else what the first write after it found; where history
begins is said, never guessed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from mappings.merge import same
from mappings.models import FieldMapping
from sync.models import Change, EntityLink, FieldPause, Side
from sync.states import Action, State
from sync.values import load

LIMIT = 1_000
"""Changes of one record that are looked at; the page says so when there are more."""
SIDES = (str(Side.CRM), str(Side.LEDGER))
_COLUMNS = (
    "pk", "flow", "integration", "run", "mapping_set", "action", "state", "source_id", "target_id", "diff", "reason",
    "error_message", "problems", "created_at", "finished_at", "remote_reference", "actor", "approved_by",
    "approved_at", "match_rule",
)  # fmt: skip


def of_link(link: EntityLink, prefix: str = "") -> Q:
    """Changes of either record of the link, in any flow over this pair of objects (`prefix` leads to the change)."""
    ways = Q()
    for source, target in (SIDES, SIDES[::-1]):
        ways |= Q(
            **{
                f"{prefix}flow__source_side": source,
                f"{prefix}flow__source_object": getattr(link, f"{source}_object"),
                f"{prefix}flow__target_object": getattr(link, f"{target}_object"),
                f"{prefix}source_id": getattr(link, f"{source}_id"),
            }
        )
    return Q(**{f"{prefix}integration_id": link.integration_id}) & ways


def changes_of(link: EntityLink, also: Q | None = None, *, limit: int = LIMIT) -> list[Change]:
    """Changes of the record, newest first, with what a page says about each: one query."""
    rows = (
        Change.objects.filter(of_link(link), also or Q())
        .select_related("flow", "run", "run__user", "mapping_set", "approved_by")
        .only(
            *_COLUMNS, "flow__name", "flow__slug", "flow__source_side", "flow__target_side", "flow__source_object",
            "flow__target_object", "run__trigger", "run__correlation_id", "run__started_at", "run__user__username",
            "mapping_set__version", "mapping_set__name", "mapping_set__promise_expression", "approved_by__username",
        )
        .order_by("-created_at", "-pk")[:limit]
    )  # fmt: skip
    return list(rows)


def writes(changes: Iterable[Change]) -> list[Change]:
    """Those that were written, oldest first."""
    done = [change for change in changes if change.state == State.APPLIED and change.finished_at]
    return sorted(done, key=lambda change: (change.finished_at, change.pk))


# --- values -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Write:
    """One value as one change wrote it."""

    at: datetime
    before: Any
    after: Any
    change: Change
    elsewhere: bool = False
    """Whether somebody else had changed the value since our write before this one."""


@dataclass(slots=True)
class Known:
    """One field of one side at a moment: its stored value, and the write that left it, if one did."""

    side: str
    field: str
    value: Any = None
    write: Write | None = None
    known: bool = True
    """False where the record did not exist yet, or nothing is stored."""


@dataclass(slots=True)
class Story:
    """All writes of a record, by side and field."""

    link: EntityLink
    writes: list[Change]
    by_field: dict[tuple[str, str], list[Write]] = field(default_factory=dict)
    cut: bool = False
    """Whether there are older changes than were looked at."""
    forgotten: datetime | None = None
    """Before this moment changes may have been removed by their age, so nothing is claimed of it."""

    @classmethod
    def of(cls, link: EntityLink, changes: Sequence[Change]) -> Story:
        """The story of the link from what `changes_of` found."""
        story = cls(link, writes(changes), cut=len(changes) >= LIMIT)
        story.forgotten = _forgotten(link, changes, story.writes)
        for change in story.writes:
            for row in change.diff:
                rows = story.by_field.setdefault((change.flow.target_side, row["field"]), [])
                before, after = row.get("before"), row.get("after")
                gap = bool(rows) and story._before_gap(rows[-1])
                other = bool(rows) and not gap and not same(load(rows[-1].after), load(before))
                at = change.finished_at or change.created_at
                rows.append(Write(at, before, after, change, other))
        return story

    @property
    def begins(self) -> datetime:
        """The first moment about which something is known."""
        first = self.writes[0].finished_at if self.writes else None
        if first is not None and self.cut:
            return first
        start = min(first, self.link.created_at) if first else self.link.created_at
        return max(start, self.forgotten) if self.forgotten else start

    @property
    def moments(self) -> list[datetime]:
        """The times of all writes, oldest first, and now: the stops of the slider."""
        begins = self.begins
        times = sorted({c.finished_at for c in self.writes if c.finished_at and c.finished_at >= begins})
        return [*times[-199:], timezone.now()]

    def now(self, side: str, name: str) -> Known:
        """The agreed value, and the write that left it."""
        stored: Mapping[str, Any] = getattr(self.link, f"agreed_{side}")
        rows = self.by_field.get((side, name), [])
        last = rows[-1] if rows else None
        if last is not None and self._before_gap(last) and not same(load(last.after), load(stored.get(name))):
            last = None  # the write that left it was removed by its age
        return Known(side, name, stored.get(name), last, name in stored)

    def _before_gap(self, write: Write) -> bool:
        """Whether later writes of the same value may have been removed by their age."""
        return self.forgotten is not None and write.at < self.forgotten

    def at(self, side: str, name: str, moment: datetime | None) -> Known:
        """The value as it was known to be at `moment` (None: now)."""
        if moment is None:
            return self.now(side, name)
        if moment < self.begins:
            return Known(side, name, known=False)
        rows = self.by_field.get((side, name), [])
        before = [row for row in rows if row.at <= moment]
        if before and self._before_gap(before[-1]):
            later = rows[len(before) :]
            return Known(side, name, later[0].before) if later else self.now(side, name)
        if before:
            return Known(side, name, before[-1].after, before[-1])
        if rows:
            return Known(side, name, rows[0].before, None, known=rows[0].change.action != Action.CREATE)
        return self.now(side, name)


def _forgotten(link: EntityLink, changes: Sequence[Change], written: Sequence[Change]) -> datetime | None:
    """From when on everything is certain to be there, where older changes may have been purged (`sync.retention`): a
    purge leaves creates, evidence, and the newest change of a record, and what lies between would be guessed."""
    horizon = timezone.now() - timedelta(days=int(settings.RETENTION["changes"]))
    if not changes or min(link.created_at, changes[-1].created_at) >= horizon:
        return None
    newest = changes[0]
    for change in written:
        old = change.finished_at is not None and change.finished_at < horizon
        if change.remote_reference or (old and change.action != Action.CREATE and change.pk != newest.pk):
            return None  # evidence, or it was not purged yet
    return min(horizon, newest.finished_at or newest.created_at)


# --- which rule writes which field --------------------------------------------------------------------------------


@dataclass(slots=True)
class Pair:
    """One row of the values: a field of the CRM, one of the ledger, or both, and the rules that carry it."""

    fields: dict[str, str] = field(default_factory=dict)
    rules: list[FieldMapping] = field(default_factory=list)


def rules_of(link: EntityLink) -> list[FieldMapping]:
    """The rules in force over this pair of objects, header fields only: one query."""
    ways = Q()
    for source, target in (SIDES, SIDES[::-1]):
        ways |= Q(
            mapping_set__source_side=source, mapping_set__source_object=getattr(link, f"{source}_object"),
            mapping_set__target_object=getattr(link, f"{target}_object"),
        )  # fmt: skip
    rows = FieldMapping.objects.filter(
        ways, mapping_set__integration_id=link.integration_id, mapping_set__state="published", scope="header"
    )
    return list(rows.select_related("mapping_set").order_by("mapping_set__slug", "position", "pk"))


def reads_of(rule: FieldMapping) -> list[str]:
    """The fields of the source record that the rule reads, by name; empty when it reads other records only."""
    return sorted(name for part, name in parts_of(rule.expression) if part == rule.mapping_set.source_object)


def parts_of(expression: str) -> frozenset[tuple[str, str]]:
    """(part, field) of what an expression reads, by its form alone; a broken one reads nothing."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return frozenset()
    return frozenset(
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    )


def pairs(link: EntityLink, rules: Sequence[FieldMapping]) -> list[Pair]:
    """The rows of the values: what a rule carries from one field to another stands in one row."""
    found: list[Pair] = []
    place: dict[tuple[str, str], Pair] = {}
    for rule in rules:
        reads = reads_of(rule)
        target = (rule.mapping_set.target_side, rule.target_field)
        source = (rule.mapping_set.source_side, reads[0]) if len(reads) == 1 else None
        pair = place.get(target) or (place.get(source) if source else None)
        if pair is None or any(pair.fields.get(side) not in (None, name) for side, name in filter(None, (target,))):
            pair = Pair()
            found.append(pair)
        pair.rules.append(rule)
        for side, name in filter(None, (target, source)):
            if side not in pair.fields:
                pair.fields[side] = name
                place.setdefault((side, name), pair)
    for side in SIDES:
        for name in sorted(getattr(link, f"agreed_{side}")):
            if (side, name) not in place:
                pair = Pair({side: name})
                place[side, name] = pair
                found.append(pair)
    return found


def pauses_of(link: EntityLink) -> list[FieldPause]:
    """Fields of the record that were paused, newest first: one query."""
    return list(FieldPause.objects.filter(link=link).select_related("flow", "resumed_by").order_by("-pk")[:50])
