"""One record on its way to a change: what the mapping wants, against what both sides hold, ends in one of six actions.

The invariant: a draft always ends in a change with a reason, or in None because the linked target holds everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

from django.utils.translation import gettext_lazy as _

from integrations.connector import Record, Value
from integrations.errors import ErrorClass, SyncError
from mappings.mapper import Mapped, Problem
from mappings.merge import FieldDiff, Merged, merge
from sync.engine import links
from sync.engine.context import FlowContext
from sync.engine.extract import Extracted
from sync.engine.match import Match
from sync.models import Change, Flow
from sync.states import Action, State
from sync.texts import in_every_language, say
from sync.values import dump, dump_all, show


@dataclass(slots=True)
class Related:
    """Target ids of related records by (related slug, source id), and why the others are missing."""

    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)


class Draft:
    """One record on its way to a Change."""

    def __init__(self, ctx: FlowContext, record: Record, mapped: Mapped, extracted: Extracted) -> None:
        self.ctx, self.record, self.mapped = ctx, record, mapped
        self.link = extracted.links.get(record.id)
        self.change = Change(
            integration=ctx.integration,
            flow=ctx.flow,
            mapping_set=ctx.mapping_set,
            source_id=record.id,
            source_title=(mapped.title or record.title)[:300],
            source_url=record.url[:300],
            source_fingerprint=extracted.fingerprints[record.id],
            source_version=record.version,
            target_id=links.target_id(ctx.flow, self.link) if self.link else "",
        )
        self.problems: list[Problem] = list(mapped.problems)

    def skip(self) -> Change:
        """Nothing to do, on purpose: the reason is kept with the record."""
        if self.mapped.skip:
            return self._skipped(in_every_language(self.mapped.skip))
        return self._skipped(in_every_language(_("The flow's filter leaves this record out.")))

    def _skipped(self, reason: dict[str, str], code: str = "") -> Change:
        self.change.action, self.change.state = Action.SKIP, State.SKIPPED
        self.change.reason, self.change.error_code = reason, code
        return self.change

    def decide(self, match: Match | None, current: Mapping[str, Record], related: Related) -> Change | None:
        """The change for this record; None when the linked target already holds everything."""
        write_links = self._links(related)
        target = current.get(self.change.target_id) if self.link else (match.target if match else None)
        if self.link and target is None:
            return self._conflict(
                "target_gone",
                say(
                    _("The linked record {id} is no longer there. Restore it, or unlink and let it be created again."),
                    id=self.change.target_id,
                ),
            )
        if match is not None:
            self.change.match_rule, self.change.claim = match.rule[:200], match.claim[:120]
            if target is None and (match.candidates or match.taken_by):
                return self._ambiguous(match)
        merged = self._merge(target)
        if self.problems:
            return self._blocked()
        if merged.conflicts:
            return self._both_changed(merged)
        return self._write(merged, target, write_links)

    def _merge(self, target: Record | None) -> Merged:
        return merge(
            self.ctx.mapping,
            self.mapped.fields,
            links.agreed(self.ctx.flow, self.link) if self.link else None,
            target.fields if target else None,
            is_new=target is None,
            sent=links.sent(self.ctx.flow, self.link) if self.link else None,
        )

    def _links(self, related: Related) -> dict[str, str]:
        """Associations to set, by name; a required one that is missing becomes a problem of this record."""
        resolved: dict[str, str] = {}
        for rule in self.ctx.mapping.links:
            key = self.mapped.links.get(rule.name)
            if not key:
                continue
            if target := related.ids.get((rule.related, key)):
                resolved[rule.name] = target
            elif rule.required:
                self.change.waits_for = f"{rule.related}:{key}"
                self.problems.append(_missing_link(rule.name, key, rule.related, related.flows.get(rule.related)))
        return resolved

    def _write(self, merged: Merged, target: Record | None, write_links: Mapping[str, str]) -> Change | None:
        change, flow = self.change, self.ctx.flow
        lines_changed = self.mapped.lines is not None and self._lines_print() != self._known("print")
        links_changed = dict(write_links) != (self._known("links") or {})
        if self.link and not merged.changes and not lines_changed and not links_changed:
            return None
        if target is None and not flow.may_create:
            return self._skipped(in_every_language(_("This flow may not create records.")), "create_off")
        if target is not None and not flow.may_update and (merged.changes or lines_changed or links_changed):
            return self._skipped(in_every_language(_("This flow may not update records.")), "update_off")
        change.action = Action.UPDATE if self.link else Action.LINK if target else Action.CREATE
        change.target_id = target.id if target else ""
        change.target_title = (target.title if target else "")[:300]
        change.target_url = (target.url if target else "")[:300]
        change.diff = [_row(diff) for diff in merged.diffs]
        change.reason = self._reason(merged)
        change.payload = {
            "fields": dump_all(merged.changes),
            "unique": list(self.mapped.unique) if self.mapped.unique else None,
            "lines": [dump_all(line) for line in self.mapped.lines or ()] if lines_changed else None,
            "lines_print": self._lines_print(),
            "links": dict(write_links) if links_changed else {},
        }
        change.agreed = dump_all({diff.field: diff.before for diff in merged.kept})
        self._weigh()
        return change

    def _reason(self, merged: Merged) -> dict[str, str]:
        if self.change.action == Action.LINK:
            why = in_every_language(say(_("Found by: {rule}."), rule=_rule_name(self.change.match_rule)))
        else:
            why = _plain(self.change.action)
        if not merged.kept:
            return why
        kept = in_every_language(
            *(say("{field}: {reason}.", field=diff.field, reason=diff.reason) for diff in merged.kept if diff.reason)
        )
        return {code: f"{text} {kept[code]}" for code, text in why.items()}

    def _weigh(self) -> None:
        """Amount and currency of the change, for the limits that ask a person first."""
        amount = self.mapped.fields.get(self.ctx.flow.amount_field)
        if isinstance(amount, Decimal):
            self.change.amount = amount.quantize(Decimal("0.01"))
        self.change.currency = str(self.mapped.fields.get(self.ctx.flow.currency_field) or "")[:3]

    def _lines_print(self) -> str:
        return lines_print(self.mapped.lines)

    def _known(self, key: str) -> Any:
        """What the link remembers of lines and associations: `print`, `ids`, `links`."""
        return self.link.line_ids.get(key) if self.link else None

    def _blocked(self) -> Change:
        first = self.problems[0]
        waits = [p for p in self.problems if p.error_class == ErrorClass.DEPENDENCY]
        worst = next((p for p in self.problems if p.error_class != ErrorClass.DEPENDENCY), first)
        change = self.change
        change.action, change.state = Action.BLOCKED, State.REVIEW
        change.problems = [problem_row(problem) for problem in self.problems]
        change.reason = {
            code: " ".join(row["message"][code] for row in change.problems) for code in change.problems[0]["message"]
        }
        change.error_class, change.error_code = worst.error_class, worst.code
        change.error_message, change.error_field, change.error_value = (
            str(worst.message),
            worst.field,
            worst.value[:500],
        )
        change.error_fingerprint = error_fingerprint(worst.error_class, worst.code, worst.field, worst.value)
        if not waits and worst.code == "option_unknown":
            change.waits_for = option_key(self.ctx.flow.target_object, worst.field, worst.value)[:200]
        return change

    def _conflict(self, code: str, message: object, candidates: Sequence[Record] = ()) -> Change:
        change = self.change
        change.action, change.state = Action.CONFLICT, State.REVIEW
        change.reason = in_every_language(message)
        change.error_message = change.reason["en"]
        change.error_class, change.error_code = ErrorClass.CONFLICT, code
        change.error_fingerprint = error_fingerprint(ErrorClass.CONFLICT, code, change.match_rule, "")
        change.candidates = [
            {"id": c.id, "title": c.title, "url": c.url, "fields": {k: show(v) for k, v in c.fields.items() if v}}
            for c in candidates[:20]
        ]
        return change

    def _ambiguous(self, match: Match) -> Change:
        rule = _rule_name(match.rule or match.claim)
        if match.taken_by:
            text = _("{rule} points to a record that belongs to {owner} already. Decide which of the two it is.")
            return self._conflict("taken", say(text, rule=rule, owner=match.taken_by), match.candidates)
        if match.suggested:
            text = _("{rule} suggests records that may be the same ({count}). Choose one, or let a new one be created.")
            code = "suggested"
        else:
            text = _("{rule} finds several records ({count}). Choose the right one, or let a new one be created.")
            code = "ambiguous"
        return self._conflict(code, say(text, rule=rule, count=len(match.candidates)), match.candidates)

    def _both_changed(self, merged: Merged) -> Change:
        fields = ", ".join(diff.field for diff in merged.conflicts)
        change = self._conflict(
            "both_changed",
            say(_("Both sides changed {fields} since the last sync. Decide which value counts."), fields=fields),
        )
        change.diff = [_row(diff) for diff in merged.conflicts]
        return change


@cache
def _plain(action: str) -> dict[str, str]:
    """The reasons that most changes have, rendered once per process."""
    return in_every_language(_("No counterpart was found.") if action == Action.CREATE else _("The source changed."))


def _rule_name(rule: str) -> object:
    """The rule as a person calls it; claims are `kind:value`."""
    if rule.startswith("orgnr:"):
        return say(_("Organisation number {number}"), number=rule.removeprefix("orgnr:"))
    return rule


def _missing_link(name: str, key: str, slug: str, flow: Flow | None) -> Problem:
    return Problem(
        code="not_imported",
        rule=name,
        field=name,
        value=key,
        message=say(
            _("{record} {key} has no counterpart yet."),
            record=(flow.source_object if flow else name).capitalize(),
            key=key,
        ),
        remedy=say(
            _("Approve or repair its change in the flow “{flow}”; this one then continues by itself."),
            flow=flow.name if flow else slug,
        ),
        error_class=ErrorClass.DEPENDENCY,
    )


def _row(diff: FieldDiff) -> dict[str, Any]:
    return {"field": diff.field, "before": dump(diff.before), "after": dump(diff.after), "reason": str(diff.reason)}


def problem_row(problem: Problem) -> dict[str, Any]:
    """A failed check as stored with the change: message and remedy per language."""
    return {
        "code": problem.code,
        "rule": problem.rule,
        "field": problem.field,
        "value": problem.value,
        "message": in_every_language(problem.message),
        "remedy": in_every_language(problem.remedy),
        "class": str(problem.error_class),
    }


def problems_of(error: SyncError) -> list[dict[str, Any]]:
    """A remote's refusal as a failed check: its cause and remedy, where the vendor's error table knows them, beside the
    vendor's own words; empty where it does not."""
    cause, remedy = error.context.get("cause"), error.context.get("remedy")
    if not (cause and remedy):
        return []
    problem = Problem(
        code=error.code,
        rule="",
        field=error.field,
        value=error.value,
        message=say("{cause} “{message}”", cause=_(cause), message=error.message),
        remedy=say("{remedy}", remedy=_(remedy)),
        error_class=error.error_class,
    )
    return [problem_row(problem)]


def error_fingerprint(error_class: str, code: str, field_name: str, value: str) -> str:
    """One name for all failures that one repair would release: class, code, field and value."""
    text = "\x1f".join([str(error_class), code, field_name, value.strip().casefold()])
    return hashlib.sha256(text.encode()).hexdigest()


def option_key(object_name: str, field_name: str, value: str) -> str:
    """What a change waits for when a target field does not offer its value."""
    return f"option:{object_name}.{field_name}={value}"


def lines_print(lines: Sequence[Mapping[str, Value]] | None) -> str:
    """Hash of a line set: lines are compared as a whole, because the remote's line ids are not ours to trust."""
    if lines is None:
        return ""
    text = repr([sorted((key, str(value)) for key, value in line.items()) for line in lines])
    return hashlib.sha256(text.encode()).hexdigest()
