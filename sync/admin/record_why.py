"""Why one value of a record is what it is: where it came from, by which rule, run and person (I-04).

Built from what is stored: the write that left the value, the mapping version that it was planned under, its run, and
the event that was heard before. The invariant: what is not known is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from integrations.event_words import event_word
from integrations.models import InboundEvent
from mappings.models import FieldMapping
from sync.admin import show
from sync.admin.record_rows import Names
from sync.engine.conflicts import rule_name
from sync.history import Known, Story, Write, parts_of, reads_of
from sync.models import FieldPause


def why(
    story: Story, known: Known, rules: Sequence[FieldMapping], names: Names, pauses: Sequence[FieldPause]
) -> dict[str, Any]:
    """What the page about one value shows: at most three queries more."""
    side, name = known.side, known.field
    now = [rule for rule in rules if rule.mapping_set.target_side == side and rule.target_field == name]
    write = known.write
    then = _rule_then(write, name) if write else None
    rule = then or (now[0] if now else None)
    return {
        "side": names.systems[side], "mark": names.marks[side], "field": name, "label": names.label(side, name),
        "value": show.value(known.value, name) if known.known else "",
        "known": known.known,
        "lead": _lead(story, known, names, rule),
        "write": _write(story, write, name) if write else None,
        "rule": _rule(rule, story, names) if rule else None,
        "rule_now": _rule(now[0], story, names) if now and then and now[0].pk != then.pk else None,
        "carried": [_carried(each, names) for each in rules if each.mapping_set.source_side == side
                    and name in reads_of(each)],
        "event": _event(story, write) if write else None,
        "paused": [pause for pause in pauses if pause.field == name and pause.flow.target_side == side
                   and pause.resumed_at is None],
        "earlier": [_earlier(row, name) for row in story.by_field.get((side, name), [])[::-1][:20]],
    }  # fmt: skip


def _lead(story: Story, known: Known, names: Names, rule: FieldMapping | None) -> str:
    """One sentence: how the value came to be."""
    system = names.systems[known.side]
    if not known.known:
        return _("Nothing is stored about this value at that moment.")
    if known.write is None:
        if story.by_field.get((known.side, known.field)):
            return _("%(system)s held this before we wrote it for the first time.") % {"system": system}
        if rule is None:
            return _("%(system)s held this when both sides last agreed. No rule of ours writes it.") % {
                "system": system
            }
        return _("%(system)s held this already when the record was compared: we never had to write it.") % {
            "system": system
        }
    texts = {"system": system, "flow": known.write.change.flow.title, "number": known.write.change.pk}
    return _("“%(flow)s” wrote it into %(system)s with change %(number)s.") % texts


def _rule_then(write: Write, name: str) -> FieldMapping | None:
    """The rule in the mapping version that the change was planned under: one query."""
    version = write.change.mapping_set_id
    rows = FieldMapping.objects.filter(mapping_set_id=version, target_field=name, scope="header")
    return rows.select_related("mapping_set").first() if version else None


def _write(story: Story, write: Write, name: str) -> dict[str, Any]:
    change = write.change
    before, after = show.pair(write.before, write.after, name)
    run = change.run
    person = change.approved_by or (run.user if run else None)
    return {
        "before": before,
        "after": after,
        "elsewhere": write.elsewhere,
        "at": show.when(write.at),
        "url": show.page_url(change),
        "change": change,
        "flow": change.flow.title,
        "flow_url": show.page_url(change.flow),
        "run": run,
        "run_url": show.page_url(run) if run else "",
        "trigger": run.get_trigger_display() if run else "",
        "correlation": run.correlation_id if run else "",
        "person": change.actor or (str(person) if person else _("nobody: the flow's own policy")),
        "approved": show.when(change.approved_at) if change.approved_at else "",
        "match_rule": str(rule_name(change.match_rule)),
    }


def _rule(rule: FieldMapping, story: Story, names: Names) -> dict[str, Any]:
    """A rule, and what the source holds of what it reads, where that is kept."""
    source = rule.mapping_set.source_side
    stored = getattr(story.link, f"agreed_{source}")
    return {
        "rule": rule,
        "expression": rule.expression,
        "reads": [
            {
                "name": f"{part}.{field}",
                "label": names.label(source, field) if part == rule.mapping_set.source_object else "",
                "value": show.value(stored[field], field)
                if part == rule.mapping_set.source_object and field in stored
                else "",
            }
            for part, field in sorted(parts_of(rule.expression))
        ],
        "source": names.systems[source],
        "precedence": rule.get_precedence_display(),
        "when": rule.get_when_display(),
        "blank": rule.get_blank_display(),
        "value_map": rule.value_map_id,
        "version": rule.mapping_set.version,
        "name": rule.mapping_set.title,
        "url": show.page_url(rule.mapping_set),
    }


def _carried(rule: FieldMapping, names: Names) -> dict[str, Any]:
    """Where a source's value goes."""
    target = rule.mapping_set.target_side
    return {
        "system": names.systems[target], "label": names.label(target, rule.target_field),
        "expression": rule.expression, "url": show.page_url(rule.mapping_set), "name": rule.mapping_set.title,
    }  # fmt: skip


def _event(story: Story, write: Write) -> dict[str, Any] | None:
    """The last event about the source record before the plan: one query. It is a hint, so it may be a coincidence."""
    link, flow = story.link, write.change.flow
    event = (
        InboundEvent.objects.filter(
            account_id=link.integration.account(flow.source_side).pk, record_id=getattr(link, f"{flow.source_side}_id"),
            object=flow.source_object, received_at__lte=write.change.created_at,
        )
        .order_by("-received_at")
        .first()
    )  # fmt: skip
    return {"kind": event_word(event.kind), "at": show.when(event.received_at)} if event else None


def _earlier(write: Write, name: str) -> dict[str, Any]:
    before, after = show.pair(write.before, write.after, name)
    return {
        "at": show.when(write.at), "before": before, "elsewhere": write.elsewhere,
        "after": after, "url": show.page_url(write.change), "flow": write.change.flow.title,
    }  # fmt: skip
