"""The three-way compare: what the mapping wants, what was agreed last time, what the target holds now.

Pure. The invariant: a target that holds what it returned after our last write plans nothing, and no value is ever
replaced by a blank unless its rule says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from integrations.connector import Value
from mappings.expressions import is_blank
from mappings.expressions.messages import _

if TYPE_CHECKING:
    from mappings.compiled import CompiledMapping, FieldRule


@dataclass(frozen=True)
class FieldDiff:
    """One field: what it holds, what it would hold, and why it does or does not get it. `changed_there`: it was kept
    because the target was changed; a flow the other way, if there is one, carries that over."""

    field: str
    before: Value
    after: Value
    reason: str
    changed_there: bool = False


@dataclass(frozen=True)
class Merged:
    """The outcome. `changes` are to be written (`diffs` shows them); `conflicts` wait for a person; `kept` are
    differences that stay as they are, each with its reason."""

    changes: dict[str, Value] = field(default_factory=dict)
    diffs: list[FieldDiff] = field(default_factory=list)
    conflicts: list[FieldDiff] = field(default_factory=list)
    kept: list[FieldDiff] = field(default_factory=list)


def same(left: Value, right: Value) -> bool:
    """Equality of typed values: 10.0 is 10, no value is empty text, a date is its midnight UTC. Yes is not 1."""
    if is_blank(left) or is_blank(right):
        return is_blank(left) and is_blank(right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, date) and isinstance(right, date):
        return _moment(left) == _moment(right)
    return left == right


def _moment(value: date) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.combine(value, time(), tzinfo=UTC)


def merge(
    mapping: CompiledMapping,
    wanted: Mapping[str, Value],
    agreed: Mapping[str, Value] | None,
    current: Mapping[str, Value] | None,
    *,
    is_new: bool,
    source_changed_at: datetime | None = None,
    target_changed_at: datetime | None = None,
    sent: Mapping[str, Value] | None = None,
    settled: frozenset[str] = frozenset(),
    first_meeting: frozenset[str] = frozenset(),
) -> Merged:
    """What to write, field by field, under each rule's `when`, `precedence` and `blank`.

    `settled` are fields whose source is known not to have changed since both sides agreed, whatever the mapping makes
    of it now. `first_meeting` are fields that flow both ways, of records that were found to be the same just now: where
    they differ and nobody said who decides, both keep what they have until one of them changes.

    `agreed` is what the target *returned* after our last write. `sent`, when known, is what we wanted then: it lets a
    value that the target spells its own way (a formatted phone number) count as unchanged.
    """
    merged = Merged()
    rules = {rule.target: rule for rule in mapping.fields if rule.scope == "header"}
    for name, after in wanted.items():
        rule = rules.get(name)
        if rule is None:
            continue
        compared = _Field(rule, after, agreed, current, sent, source_changed_at, target_changed_at)
        compared.settled = name in settled
        compared.first_meeting = name in first_meeting
        if is_new:
            if not is_blank(after):
                _change(merged, name, None, after, _("new record"))
        elif not same(compared.before, after):
            compared.decide(merged)
    return merged


def _change(merged: Merged, name: str, before: Value, after: Value, reason: str) -> None:
    value = None if is_blank(after) else after
    merged.changes[name] = value
    merged.diffs.append(FieldDiff(name, before, value, reason))


class _Field:
    """One field of an existing record, seen from three sides. Decides only for values that differ."""

    def __init__(
        self,
        rule: FieldRule,
        after: Value,
        agreed: Mapping[str, Value] | None,
        current: Mapping[str, Value] | None,
        sent: Mapping[str, Value] | None,
        source_changed_at: datetime | None,
        target_changed_at: datetime | None,
    ) -> None:
        self.rule = rule
        self.after = after
        self.known = agreed is not None and rule.target in agreed
        self.agreed = agreed[rule.target] if agreed is not None and self.known else None
        # A target that was not read is taken to be as we left it.
        self.before = current[rule.target] if current is not None and rule.target in current else self.agreed
        self.was_sent = sent is not None and rule.target in sent and same(sent[rule.target], after)
        self.times = (source_changed_at, target_changed_at)
        self.settled = False
        self.first_meeting = False

    @property
    def target_changed(self) -> bool:
        """Somebody else touched the target since our last write; a value we never wrote counts as touched."""
        return not same(self.before, self.agreed)

    @property
    def source_changed(self) -> bool:
        """The source wants something it did not want at our last write."""
        if self.settled:
            return False
        return not (self.known and same(self.after, self.agreed)) and not self.was_sent

    def decide(self, merged: Merged) -> None:
        """Files this difference under changes, conflicts or kept."""
        keep = self._reason_to_keep()
        if keep:
            self._keep(merged, keep, changed_there=self.target_changed)  # nobody agreed on what was changed there
            return
        if (self.was_sent or self.settled) and not self.target_changed:
            return  # the target's own spelling of what we sent, or the echo of the other way: silent
        if self.first_meeting and self.rule.precedence in ("ask", "newest") and not is_blank(self.before):
            self._keep(merged, _("different when they were linked; the next change on either side counts"))
            return
        emptied = self.target_changed and self.rule.precedence != "source"
        if is_blank(self.before) and not emptied:
            self._apply(merged, _("the field was empty"))  # filling it loses nothing
        else:
            self._by_precedence(merged)

    def _reason_to_keep(self) -> str:
        if self.rule.when == "create":
            return _("set only when the record is created")
        if self.rule.when == "if_empty" and not is_blank(self.before):
            return _("filled only when empty")
        if is_blank(self.after) and self.rule.blank == "keep":
            return _("a value is never replaced by a blank")
        return ""

    def _by_precedence(self, merged: Merged) -> None:
        if self.rule.precedence == "source":
            self._apply(merged, _("the source decides"))
        elif not self.target_changed:
            self._apply(merged, _("changed at the source"))
        elif self.rule.precedence == "target":
            self._keep(merged, _("changed at the target, which decides"), changed_there=True)
        elif not self.source_changed:
            self._keep(merged, _("changed at the target only"), changed_there=True)
        elif self.rule.precedence == "newest":
            self._newest(merged)
        else:
            self._conflict(merged, _("changed on both sides"))

    def _newest(self, merged: Merged) -> None:
        source, target = self.times
        if source is None or target is None or source == target:
            self._conflict(merged, _("changed on both sides; which is newer is unknown"))
        elif source > target:
            self._apply(merged, _("the source is newer"))
        else:
            self._keep(merged, _("the target is newer"))

    def _apply(self, merged: Merged, reason: str) -> None:
        _change(merged, self.rule.target, self.before, self.after, reason)

    def _keep(self, merged: Merged, reason: str, *, changed_there: bool = False) -> None:
        merged.kept.append(FieldDiff(self.rule.target, self.before, self.after, reason, changed_there))

    def _conflict(self, merged: Merged, reason: str) -> None:
        merged.conflicts.append(FieldDiff(self.rule.target, self.before, self.after, reason))
