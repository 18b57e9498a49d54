"""Fields that go back and forth: the pause of a field that two rules, or we and somebody else, fight over.

A field is fought over when our flow writes a value that the field had before, again and again, because somebody else
(a flow the other way, or whatever works at the target) changes it in between. A source that merely alternates is no
fight. The invariants: looking costs one query per page and nothing per record; a pause is one row, open once per flow,
record and field; only a person ends it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Value
from mappings import presets
from mappings.compiled import FieldRule
from mappings.expressions import compile_expression
from mappings.merge import FieldDiff, Merged, same
from sync import queue
from sync.models import Change, EntityLink, FieldPause, Flow, Hint, SyncLogEntry
from sync.states import Action, State
from sync.texts import in_every_language, say
from sync.values import load

if TYPE_CHECKING:
    from sync.engine.context import FlowContext

PAUSED = "field_paused"
"""The code of a change of which nothing was left but paused fields."""


def paused_fields(flow: Flow) -> dict[int, set[str]]:
    """Fields that the flow leaves alone, by link: one query."""
    found: dict[int, set[str]] = defaultdict(set)
    rows = FieldPause.objects.filter(flow=flow, resumed_at=None).values_list("link_id", "field")
    for link_id, name in rows:
        found[link_id].add(name)
    return found


def leave_paused(merged: Merged, names: Collection[str]) -> Merged:
    """The outcome without paused fields; each that differs is kept as it is, with the pause as its reason."""
    if not names:
        return merged
    halted = [diff for diff in (*merged.diffs, *merged.conflicts) if diff.field in names]
    why = str(_("paused, because it went back and forth"))
    kept = [FieldDiff(diff.field, diff.before, diff.after, why, True) for diff in halted]
    return Merged(
        {name: value for name, value in merged.changes.items() if name not in names},
        [diff for diff in merged.diffs if diff.field not in names],
        [diff for diff in merged.conflicts if diff.field not in names],
        [*merged.kept, *kept],
    )


# --- the detector ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Fight:
    """What was seen of one field: how often it returned to an earlier value, and the values in turn."""

    returns: int = 0
    values: list[Any] = field(default_factory=list)
    other: Flow | None = None


def pause_fights(ctx: FlowContext, changes: Sequence[Change], links: Mapping[str, EntityLink]) -> list[FieldPause]:
    """Pause what the planned `changes` would fight on about, and take it out of them. `links` are by source id.

    Call in the transaction that stores them. One query per page with updates (two where a flow goes the other way),
    none otherwise.
    """
    planned = [c for c in changes if c.action == Action.UPDATE and c.diff and c.source_id in links]
    if not planned:
        return []
    others = ctx.other_way
    history = _history(ctx, others, [links[change.source_id] for change in planned])
    pauses: list[FieldPause] = []
    for change in planned:
        link = links[change.source_id]
        fights = {
            row["field"]: fight
            for row in change.diff
            if (fight := _fight(ctx, others, history, link, change, row)) is not None
        }
        if fights:
            pauses += [_pause(ctx, link, name, fight) for name, fight in fights.items()]
            _leave_out(ctx, change, set(fights), {p.field: p.reason for p in pauses if p.link_id == link.pk})
    if pauses:
        FieldPause.objects.bulk_create(pauses, ignore_conflicts=True)
        SyncLogEntry.objects.bulk_create(
            SyncLogEntry(integration=ctx.integration, event="field paused", message=pause.reason["en"][:2000])
            for pause in pauses
        )
        for pause in pauses:
            ctx.paused.setdefault(pause.link_id, set()).add(pause.field)
        transaction.on_commit(lambda: _tell(pauses))
    return pauses


_Row = tuple[int, list[dict[str, Any]]]
"""(flow, differences) of one applied change, oldest first."""


def _history(
    ctx: FlowContext, others: Sequence[Flow], links: Sequence[EntityLink]
) -> dict[tuple[int, str], list[_Row]]:
    """What was written for these records lately, either way, by our flow and the id at our source; oldest first."""
    since = timezone.now() - timedelta(hours=settings.PING_PONG_HOURS)
    source, target = f"{ctx.flow.source_side}_id", f"{ctx.flow.target_side}_id"
    mine = Q(flow=ctx.flow, source_id__in=[getattr(link, source) for link in links])
    theirs = Q(flow__in=others, source_id__in=[getattr(link, target) for link in links]) if others else Q(pk__in=[])
    rows = (
        Change.objects.filter(mine | theirs, state=State.APPLIED, finished_at__gte=since)
        .order_by("finished_at", "pk")
        .values_list("flow_id", "source_id", "target_id", "diff")
    )
    found: dict[tuple[int, str], list[_Row]] = defaultdict(list)
    for flow_id, source_id, target_id, diff in rows:
        # Under the id of our own source, whichever way the change went.
        found[(ctx.flow.pk, source_id if flow_id == ctx.flow.pk else target_id)].append((flow_id, diff))
    return found


def _fight(
    ctx: FlowContext, others: Sequence[Flow], history: Mapping[tuple[int, str], list[_Row]], link: EntityLink,
    change: Change, row: Mapping[str, Any],
) -> _Fight | None:  # fmt: skip
    """The fight over one field, when it has gone on for long enough."""
    name = row["field"]
    reads = _reads_of(ctx, name)
    seen: list[Any] = []
    fight, last, between = _Fight(), None, False
    by_id = {other.pk: other for other in others}
    for flow_id, diff in [*history.get((ctx.flow.pk, change.source_id), ()), (ctx.flow.pk, [dict(row)])]:
        if flow_id != ctx.flow.pk:
            if any(each["field"] in reads for each in diff):
                fight.other, between = by_id[flow_id], True
            continue
        for each in diff:
            if each["field"] != name:
                continue
            before, after = load(each.get("before")), load(each.get("after"))
            touched = between or (last is not None and not same(before, last[0]))
            if touched and _among(after, seen):
                fight.returns += 1
            seen += [value for value in (before, after) if not _among(value, seen)]
            fight.values += [each.get("before"), each.get("after")]
            last, between = (after,), False
    return fight if fight.returns > settings.PING_PONG_FLIPS else None


def _rule(ctx: FlowContext, name: str) -> FieldRule:
    """The rule of the flow's mapping that writes the field; one that reads nothing for a field that no rule writes."""
    rules = (rule for rule in ctx.mapping.fields if rule.scope == "header" and rule.target == name)
    return next(rules, None) or FieldRule(None, name, name, compile_expression('""', {}))


def _reads_of(ctx: FlowContext, name: str) -> frozenset[str]:
    """The fields of the source record that the rule for the field reads."""
    return frozenset(each for part, each in _rule(ctx, name).expression.reads if part == ctx.flow.source_object)


def _among(value: Value, seen: Iterable[Value]) -> bool:
    return any(same(value, other) for other in seen)


def _pause(ctx: FlowContext, link: EntityLink, name: str, fight: _Fight) -> FieldPause:
    """The row that says which two rules fight, over which values."""
    flow, other = ctx.flow, fight.other
    mine = {"flow": flow.pk, "name": flow.name, "field": name, "expression": _rule(ctx, name).expression.source,
            "mapping_set": ctx.mapping_set.pk, "version": ctx.mapping_set.version}  # fmt: skip
    theirs: dict[str, Any] = {}
    if other is not None:
        theirs = {"flow": other.pk, "name": other.name, **_rule_against(ctx, other, name)}
    against = presets.shown_lazy(other.name) if other is not None else _("somebody or something in {account}")
    against = say(against, account=ctx.target_account.name) if other is None else against
    reason = in_every_language(
        say(
            _("“{field}” went back and forth {n} times in {hours} hours, between “{flow}” and {other}."),
            field=_rule(ctx, name).label or name, n=fight.returns, hours=settings.PING_PONG_HOURS,
            flow=presets.shown_lazy(flow.name), other=against,
        ),
        say(_("It is left alone in this record until somebody resumes it.")),
    )  # fmt: skip
    return FieldPause(
        integration=ctx.integration, flow=flow, link=link, field=name, reason=reason,
        fight={"mine": mine, "theirs": theirs, "values": fight.values[-8:], "returns": fight.returns},
    )  # fmt: skip


def _rule_against(ctx: FlowContext, other: Flow, name: str) -> dict[str, Any]:
    """The rule of the flow the other way that writes what ours reads."""
    from mappings.models import FieldMapping

    rule = (
        FieldMapping.objects.filter(
            mapping_set__integration_id=other.integration_id, mapping_set__slug=other.slug,
            mapping_set__state="published", target_field__in=_reads_of(ctx, name), scope="header",
        )
        .select_related("mapping_set")
        .first()
    )  # fmt: skip
    if rule is None:
        return {}
    return {"field": rule.target_field, "expression": rule.expression, "mapping_set": rule.mapping_set_id,
            "version": rule.mapping_set.version}  # fmt: skip


def _leave_out(ctx: FlowContext, change: Change, names: set[str], why: Mapping[str, Mapping[str, str]]) -> None:
    """Take paused fields out of a planned change, also out of what counts as agreed after it; one of which nothing is
    left is skipped, with that as its reason."""
    payload = change.payload
    fields = {name: value for name, value in payload.get("fields", {}).items() if name not in names}
    change.diff = [row for row in change.diff if row["field"] not in names]
    change.payload = {**payload, "fields": fields}
    if agree := payload.get("agree"):
        left = {"source": {each for name in names for each in _reads_of(ctx, name)}, "target": names}
        change.payload["agree"] = {
            role: {key: value for key, value in values.items() if key not in left[role]}
            for role, values in agree.items()
        }
    said = {code: " ".join(why[name][code] for name in sorted(names)) for code in change.reason}
    if fields or payload.get("lines") is not None or payload.get("links"):
        change.reason = {code: f"{text} {said[code]}" for code, text in change.reason.items()}
    else:
        change.action, change.state, change.error_code, change.reason = Action.SKIP, State.SKIPPED, PAUSED, said


def _tell(pauses: Sequence[FieldPause]) -> None:
    """Tell people, once per field of a flow; the pause holds whether or not that works."""
    from sync.notices import tell  # it reads these models

    for pause in pauses:
        tell(
            "field_paused", pause.integration.organization, integration=pause.integration, key=_notice_key(pause),
            params={"flow": pause.flow.name, "field": pause.field, "count": str(pause.fight["returns"])},
            url_name="ownership", obj=pause.integration_id,
        )  # fmt: skip


def _notice_key(pause: FieldPause) -> str:
    return f"{pause.flow_id}:{pause.field}"


def resume(pause: FieldPause, user: Any) -> bool:
    """A person resumes the field: the record is planned again soon. False when it was resumed already.

    Audited: the row keeps who and when, and the log a line.
    """
    with transaction.atomic():
        done = FieldPause.objects.filter(pk=pause.pk, resumed_at=None).update(
            resumed_at=timezone.now(), resumed_by=user
        )
        if not done:
            return False
        link, flow = pause.link, pause.flow
        side = flow.source_side
        EntityLink.objects.filter(pk=link.pk).update(**{f"{side}_fingerprint": "", f"{side}_version": ""})
        # What was left out because of the pause must not count as known.
        Change.objects.filter(
            flow=flow, source_id=getattr(link, f"{side}_id"), state=State.SKIPPED, error_code=PAUSED
        ).update(source_fingerprint="")
        Hint.objects.get_or_create(flow=flow, source_id=getattr(link, f"{side}_id"))
        SyncLogEntry.objects.create(
            integration_id=pause.integration_id, user=user, event="field resumed",
            message=f"{pause.field} of {link} in {flow.name}, by {user}"[:2000],
        )  # fmt: skip
        if not FieldPause.objects.filter(flow=flow, field=pause.field, resumed_at=None).exists():
            transaction.on_commit(lambda: _heal(pause))
        transaction.on_commit(lambda: queue.kick(queue.BULK))
    return True


def _heal(pause: FieldPause) -> None:
    from sync.notices import heal

    heal("field_paused", _notice_key(pause), pause.integration.organization)
