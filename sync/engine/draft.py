"""One record on its way to a change: what the mapping wants, against what both sides hold, ends in one of six actions.

The invariant: a draft always ends in a change with a reason, or in None because the linked target holds everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.utils.translation import gettext_lazy as _

from integrations.connector import Record, Value
from mappings.expressions import is_blank
from mappings.mapper import Mapped, Problem
from mappings.merge import FieldDiff, Merged, merge
from sync import pingpong
from sync.engine import conflicts, demands, feedback, links, promises, undoing
from sync.engine.checklist import of_mapping
from sync.engine.context import FlowContext
from sync.engine.extract import Extracted
from sync.engine.likeness import likeness, ranked
from sync.engine.lookups import Found
from sync.engine.match import Match
from sync.engine.needs import Need
from sync.engine.problems import missing_link
from sync.engine.recheck import core_fingerprint
from sync.models import Change, Flow, MatchDecision
from sync.states import Action, State
from sync.texts import in_every_language, say
from sync.values import dump_all


@dataclass(slots=True)
class Related:
    """Target ids of related records by (related slug, source id), and why the others are missing."""

    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    needs: dict[tuple[str, str], Need] = field(default_factory=dict)
    found: Mapping[str, Found] = field(default_factory=dict)
    made: dict[str, Change] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)


class Draft:
    """One record on its way to a Change."""

    def __init__(self, ctx: FlowContext, record: Record, mapped: Mapped, extracted: Extracted) -> None:
        self.ctx, self.record, self.mapped = ctx, record, mapped
        self.link = extracted.links.get(record.id)
        self.checks: list[dict[str, Any]] = of_mapping(mapped.checks)
        self.needs: list[dict[str, Any]] = []
        self.fixed: dict[str, Value] = {}
        self.snapshot: dict[str, Any] = {}
        self.change = Change(
            integration=ctx.integration,
            flow=ctx.flow,
            mapping_set=ctx.mapping_set,
            source_id=record.id,
            source_title=(mapped.title or record.title)[:300],
            source_url=record.url[:300],
            source_fingerprint=extracted.fingerprints[record.id],
            source_version=record.version,
            core_fingerprint=core_fingerprint(ctx, record) if ctx.mapping.promise else "",
            target_id=links.target_id(ctx.flow, self.link) if self.link else "",
        )
        feedback.note(ctx, self.change, record)
        self.problems: list[Problem] = list(mapped.problems)
        if any(problem.code == "filter" for problem in self.problems):
            # Whether anybody asked for the record is not known, and to be told is to have been asked.
            self.change.to_tell = False

    def skip(self) -> Change:
        """Nothing to do, on purpose: the reason is kept with the record."""
        if self.mapped.skip:
            return self._skipped(in_every_language(self.mapped.skip))
        return self._skipped(in_every_language(_("The flow's filter leaves this record out.")))

    def ignored(self, decision: MatchDecision) -> Change:
        """Left out because a person said so, until somebody takes that back."""
        reason = say(_("{person} left this record out."), person=decision.by or "?")
        return self._skipped(in_every_language(reason), "ignored")

    def _skipped(self, reason: dict[str, str], code: str = "") -> Change:
        self.change.action, self.change.state = Action.SKIP, State.SKIPPED
        self.change.reason, self.change.error_code = reason, code
        return self.change

    def decide(self, match: Match | None, current: Mapping[str, Record], related: Related) -> Change | None:
        """The change for this record; None when the linked target already holds everything."""
        change = self._decide(match, current, related)
        if change is not None:
            change.checks = self.checks
            promises.show(self, related)
            if made := self.ctx.may_be_made.get(self.record.id):
                change.payload = {**change.payload, "create": sorted(made)}
        elif self.ctx.mapping.promise is not None:
            promises.weigh(self)
        return change

    def _decide(self, match: Match | None, current: Mapping[str, Record], related: Related) -> Change | None:
        write_links = self._links(related)
        demands.registers(self, related)
        target = current.get(self.change.target_id) if self.link else (match.target if match else None)
        if self.link and target is None:
            return conflicts.conflict(
                self.change,
                "target_gone",
                say(
                    _("The linked record {id} is no longer there. Restore it, or unlink and let it be created again."),
                    id=self.change.target_id,
                ),
            )
        if match is not None:
            self.change.match_rule, self.change.claim = match.rule[:200], match.claim[:120]
            if match.gone:
                return conflicts.chosen_gone(self.change, match.gone)
            if target is None and (match.candidates or match.taken_by):
                scored = ranked(self.ctx, self.record, self.mapped, match.candidates)
                return conflicts.ambiguous(self.change, match, scored)
            if target is not None:
                self.change.score = likeness(self.ctx, self.record, self.mapped, target).score
        if match is not None and target is None and (before := related.made.get(self.record.id)) is not None:
            return conflicts.made_before(self.change, self.ctx.flow.target_object, before)
        merged = self._merge(target)
        self.snapshot = self.ctx.shared.snapshot(self.record, target, merged, self.ctx.undo.get(self.record.id))
        if self.problems:
            return conflicts.blocked(self.change, self.problems)
        if merged.conflicts:
            self.change.payload = {"seen": self.ctx.shared.seen(self.record, merged)}
            return conflicts.both_changed(self.change, merged)
        return self._write(merged, target, write_links)

    def quiet(self) -> bool:
        """Whether nothing that flows both ways has changed here since both sides agreed: the target need not be read.
        That is how the echo of ten thousand imported records costs no call. One-way flows always look."""
        if self.record.id in self.ctx.undo:
            return False
        if not self.ctx.shared.made_of or self.link is None or self.problems or self.ctx.mapping.promise is not None:
            return False
        if self.mapped.lines is not None or self.ctx.mapping.links or self.ctx.mapping.lookups:
            return False
        merged = merge(
            self.ctx.mapping,
            self.mapped.fields,
            links.agreed(self.ctx.flow, self.link),
            None,
            is_new=False,
            sent=links.sent(self.ctx.flow, self.link),
            settled=self.ctx.shared.settled(self.link, self.record),
        )
        return not merged.changes and not merged.conflicts

    def _merge(self, target: Record | None) -> Merged:
        merged = merge(
            self.ctx.mapping,
            self.mapped.fields,
            links.agreed(self.ctx.flow, self.link) if self.link else None,
            target.fields if target else None,
            is_new=target is None,
            sent=links.sent(self.ctx.flow, self.link) if self.link else None,
            settled=self.ctx.shared.settled(self.link, self.record),
            first_meeting=frozenset(self.ctx.shared.made_of) if not self.link else frozenset(),
        )
        self.ctx.refused_blanks.update(
            diff.field for diff in merged.kept if is_blank(diff.after) and not is_blank(diff.before)
        )
        if self.link is not None:
            merged = pingpong.leave_paused(merged, self.ctx.paused.get(self.link.pk, ()))
            merged = undoing.put_back(self, merged, target)
        for name, value in self.fixed.items():
            before = target.fields.get(name) if target else None
            if before != value:
                merged.changes[name] = value
                merged.diffs.append(FieldDiff(name, before, value, ""))
        return merged

    def _links(self, related: Related) -> dict[str, str]:
        """Associations to set, by name; a required one that is missing becomes a problem of this record."""
        resolved: dict[str, str] = {}
        for rule in self.ctx.mapping.links:
            key = self.mapped.links.get(rule.name)
            if not key:
                continue
            target = related.ids.get((rule.related, key), "")
            if rule.target_field:
                demands.related(self, rule, key, target, related)
            elif target:
                resolved[rule.name] = target
            elif rule.required:
                self.change.waits_for = f"{rule.related}:{key}"
                self.problems.append(missing_link(rule.name, key, rule.related, related.flows.get(rule.related)))
        return resolved

    def _write(self, merged: Merged, target: Record | None, write_links: Mapping[str, str]) -> Change | None:
        change, flow = self.change, self.ctx.flow
        lines_changed = self.mapped.lines is not None and self._lines_print() != self._known("print")
        known = self._known("links") or {}  # associations are set, never taken away: one that is left out says nothing
        links_changed = any(known.get(name) != target_id for name, target_id in write_links.items())
        header_changed = bool(merged.changes) or self._awaited()
        if self.link and not header_changed and not lines_changed and not links_changed:
            return None
        locked = target.fields.get(self.ctx.target.locks.get(flow.target_object, "")) if target else None
        if self.link and locked and (header_changed or lines_changed):
            return conflicts.locked(self.change, str(locked), merged)
        if target is not None and not self.link and not flow.may_update:
            merged, header_changed = Merged(kept=merged.kept), False
            lines_changed = links_changed = False  # only the link is made
        if target is None and not flow.may_create:
            return self._skipped(in_every_language(_("This flow may not create records.")), "create_off")
        if target is not None and not flow.may_update and (header_changed or lines_changed or links_changed):
            return self._skipped(in_every_language(_("This flow may not update records.")), "update_off")
        change.action = Action.UPDATE if self.link else Action.LINK if target else Action.CREATE
        change.target_id = target.id if target else ""
        change.target_title = (target.title if target else "")[:300]
        change.target_url = (target.url if target else "")[:300]
        change.diff = [conflicts.diff_row(diff) for diff in merged.diffs]
        change.reason = self._reason(merged)
        change.payload = {
            "fields": dump_all(merged.changes),
            "unique": list(self.mapped.unique) if self.mapped.unique else None,
            "lines": [dump_all(line) for line in self.mapped.lines or ()] if lines_changed else None,
            "lines_print": self._lines_print(),
            "links": dict(write_links) if links_changed else {},
            **({"needs": self.needs} if self.needs else {}),
            **({"first_write": True} if self._by_hand() else {}),
            **({"agree": self.snapshot} if self.snapshot else {}),
            **({"kin": kin} if (kin := self._kin()) else {}),
            **undoing.payload(self),
        }
        shared = {*self.ctx.shared.made_of, *self.ctx.paused.get(self.link.pk if self.link else 0, ())}
        # What agrees there is in the snapshot, the rest must not count as agreed.
        change.agreed = dump_all({diff.field: diff.before for diff in merged.kept if diff.field not in shared})
        promises.weigh(self)
        return change

    def _awaited(self) -> bool:
        """Whether the document is to name a record, such as another customer, that is created before it is sent."""
        return any("source" in need and not need["found"] for need in self.needs)

    def _kin(self) -> list[str]:
        """Source ids of records of this same flow that this one speaks of, such as the invoice that it credits."""
        own = [rule.name for rule in self.ctx.mapping.links if rule.related == self.ctx.flow.slug]
        return sorted({key for name in own if (key := self.mapped.links.get(name))})

    def _by_hand(self) -> bool:
        """Whether this would be our first write into a document that a person made and linked."""
        if self.link is None or self.ctx.mapping.promise is None:
            return False
        return not links.agreed(self.ctx.flow, self.link) and not links.lines(self.ctx.flow, self.link)

    def _reason(self, merged: Merged) -> dict[str, str]:
        if self.change.action == Action.LINK:
            why = in_every_language(conflicts.why_linked(self.change.match_rule))
        else:
            why = _plain(self.change.action)
        if not merged.kept:
            return why
        kept = in_every_language(
            *(say("{field}: {reason}.", field=diff.field, reason=diff.reason) for diff in merged.kept if diff.reason)
        )
        return {code: f"{text} {kept[code]}" for code, text in why.items()}

    def _lines_print(self) -> str:
        return lines_print(self.mapped.lines)

    def _known(self, key: str) -> Any:
        """What the link remembers of lines and associations: `print`, `ids`, `links`."""
        return links.lines(self.ctx.flow, self.link).get(key) if self.link else None


@cache
def _plain(action: str) -> dict[str, str]:
    """The reasons that most changes have, rendered once per process."""
    return in_every_language(_("No counterpart was found.") if action == Action.CREATE else _("The source changed."))


def lines_print(lines: Sequence[Mapping[str, Value]] | None) -> str:
    """Hash of a line set: lines are compared as a whole, because the remote's line ids are not ours to trust."""
    if lines is None:
        return ""
    text = repr([sorted((key, str(value)) for key, value in line.items()) for line in lines])
    return hashlib.sha256(text.encode()).hexdigest()
