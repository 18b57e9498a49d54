"""Confirm: turn outcomes into links, agreed values and final states, all in one transaction.

What is remembered is what the remote *returned*, not what we sent: a normalising remote would otherwise look changed
for ever. The invariant: a change is `applied` exactly when its link is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.connector import Outcome, Value
from integrations.errors import Conflict, SyncError
from mappings.merge import same
from sync.bulk import insert_rows, update_rows
from sync.engine import links, two_way
from sync.engine.aftermath import act_of, after_write, former
from sync.engine.context import FlowContext
from sync.engine.failpoints import reach
from sync.engine.follow_up import write_back
from sync.engine.kin import look_again_at_kin
from sync.engine.outcomes import Verdict, verdict
from sync.engine.store import release_waiting
from sync.models import Change, EntityLink, Flow, SyncLogEntry
from sync.pingpong_counts import written
from sync.states import Action, State, move
from sync.values import dump_all, load_all


def confirm(ctx: FlowContext, outcomes: Sequence[tuple[Change, Outcome]]) -> Counter[str]:
    """Store the outcomes of changes that are `sending` (or `unknown`); returns counts by the state they reached."""
    good = [(change, outcome) for change, outcome in outcomes if outcome.error is None]
    bad = [(change, outcome) for change, outcome in outcomes if outcome.error is not None]
    try:
        counts = _apply(ctx, good)
    except IntegrityError:
        # Two records claim one counterpart. One by one, so that only the one that clashes goes to a person.
        counts = Counter()
        for pair in good:
            try:
                counts += _apply(ctx, [pair])
            except IntegrityError:
                bad.append((pair[0], _clash(pair[1])))
    for change, outcome in bad:
        counts += _fail(ctx, change, outcome)
    return counts


def _meant_another(ctx: FlowContext, change: Change, outcome: Outcome, link: EntityLink) -> bool:
    """Whether the source of a create was linked to something else while it was under way: the new record would be
    hidden behind that link."""
    return change.action == Action.CREATE and links.target_id(ctx.flow, link) != outcome.id


def _clash(outcome: Outcome) -> Outcome:
    text = "The record was written, but one of the two is linked to another record already."
    return Outcome(key=outcome.key, id=outcome.id, error=Conflict(text, code="link_taken", record=outcome.id))


def _apply(ctx: FlowContext, outcomes: Sequence[tuple[Change, Outcome]]) -> Counter[str]:
    if not outcomes:
        return Counter()
    with transaction.atomic():
        flow = ctx.flow
        existing = links.by_source(flow, [change.source_id for change, _o in outcomes])
        fresh: list[EntityLink] = []
        known: list[EntityLink] = []
        for change, outcome in outcomes:
            link = existing.get(change.source_id)
            if link and _meant_another(ctx, change, outcome, link):
                raise IntegrityError("linked to another record meanwhile")
            (known if link else fresh).append(_link(ctx, change, outcome, link))
        insert_rows(fresh)
        update_rows(known, _LINK_COLUMNS)
        _store_targets(outcomes)
        written(flow, [change for change, _o in outcomes])
        rows = Change.objects.filter(pk__in=[change.pk for change, _o in outcomes])
        if len(outcomes) == 1:  # a single create: only the process that sent it may conclude it
            rows = rows.filter(fence=outcomes[0][0].fence)
        done = move(
            rows,
            State.APPLIED,
            message="delivered",
            error_class="",
            error_code="",
            error_message="",
            problems=[],
        )
        if len(outcomes) == 1 and not done:
            transaction.set_rollback(True)  # somebody else owns the change by now: neither link nor follow-up is ours
            return Counter()
        release_waiting(ctx.integration.pk, [f"{flow.slug}:{change.source_id}" for change, _o in outcomes])
        _go_on(ctx, outcomes, set(done))
        reach("confirm.before_commit")
    reach("confirm.committed")
    return Counter({str(State.APPLIED): len(done)})


_LINK_COLUMNS = [
    "sent_crm",
    "sent_ledger",
    "agreed_crm", "agreed_ledger", "agreed_under",
    "crm_fingerprint", "ledger_fingerprint", "crm_version", "ledger_version",
    "line_ids", "former", "crm_url", "ledger_url", "title", "synced_at",
]  # fmt: skip


def _link(ctx: FlowContext, change: Change, outcome: Outcome, link: EntityLink | None) -> EntityLink:
    """The link of this change with what the remote returned as agreed values."""
    flow = ctx.flow
    if link is None:
        link = links.new(flow, change.source_id, outcome.id or change.target_id)
        link.linked_by = (change.match_rule or "created")[:200]
    source, target = links.sides(flow)
    agreed: dict[str, Value] = dict(load_all(getattr(link, f"agreed_{target}")))
    written = change.payload.get("fields", {})
    # A remote may return the whole record: what flows both ways and was not written is nothing that we agreed on.
    returned = {n: v for n, v in outcome.returned.items() if n in written or n not in ctx.shared.made_of}
    agreed |= load_all(change.agreed) | load_all(written) | returned
    setattr(link, f"agreed_{target}", dump_all(_mapped_only(ctx, agreed)))
    respelled = {
        name: value
        for name, value in load_all(change.payload.get("fields", {})).items()
        if name in outcome.returned and not same(value, outcome.returned[name])
    }
    kept = {k: v for k, v in getattr(link, f"sent_{target}").items() if k not in change.payload.get("fields", {})}
    setattr(link, f"sent_{target}", kept | dump_all(respelled) | change.payload.get("wanted", {}))
    if "undo" not in change.payload:  # it wrote its own fields only: what else moved at the source is still to be seen
        links.looked(flow, link, change.source_fingerprint, change.source_version)
    two_way.remember(flow, link, change.payload.get("agree") or {}, change.mapping_set_id or ctx.mapping_set.pk)
    lines = dict(links.lines(flow, link))
    if change.payload.get("lines") is not None:
        lines = lines | {"ids": dict(outcome.line_ids), "print": change.payload.get("lines_print", "")}
    if change.payload.get("links"):
        lines = lines | {"links": change.payload["links"]}
    if lines:
        link.line_ids = {**link.line_ids, target: lines}
    if change.generation > 1 and change.action == Action.CREATE:
        link.former = former(ctx, change.source_id)
    link.title = change.source_title or link.title
    setattr(link, f"{target}_url", outcome.url or change.target_url or getattr(link, f"{target}_url"))
    setattr(link, f"{source}_url", change.source_url or getattr(link, f"{source}_url"))
    link.synced_at = timezone.now()
    return link


def _mapped_only(ctx: FlowContext, values: Mapping[str, Value]) -> dict[str, Value]:
    """Only fields that the mapping writes: the link is not a mirror of the remote record."""
    wanted = {rule.target for rule in ctx.mapping.fields if rule.scope == "header"}
    wanted |= {rule.target_field for rule in ctx.mapping.links if rule.target_field}
    return {name: value for name, value in values.items() if name in wanted}


def _store_targets(outcomes: Sequence[tuple[Change, Outcome]]) -> None:
    changed = []
    for change, outcome in outcomes:
        if (outcome.id and outcome.id != change.target_id) or (outcome.url and outcome.url != change.target_url):
            change.target_id = outcome.id or change.target_id
            change.target_url = (outcome.url or change.target_url)[:300]
            change.target_title = change.target_title or change.source_title
            changed.append(change)
    update_rows(changed, ["target_id", "target_url", "target_title"])


def _go_on(ctx: FlowContext, outcomes: Sequence[tuple[Change, Outcome]], done: set[int]) -> None:
    """What follows: the number goes back to the source, a document's totals are compared, and a source that changed
    while its write was under way is planned again."""
    applied = [change for change, _o in outcomes if change.pk in done]
    stale = set(Change.objects.filter(pk__in=done, stale=True).values_list("pk", flat=True))
    made = [change for change in applied if change.action in (Action.CREATE, Action.LINK)]
    write_back(ctx.flow, [change.target_id for change in made], lane=made[0].lane if made else "bulk")
    look_again_at_kin(ctx, made)
    following = []
    for change in applied:
        change.stale = change.pk in stale
        act = after_write(ctx, change, change.target_id) if _wrote(change) else None
        if act is None and change.stale:
            act = act_of(change, "", "", {})
            act.action, act.state, act.replan, act.payload = change.action, State.RETRYING, True, {}
            act.stale = False
        if act is not None:
            following.append(act)
    Change.objects.bulk_create(following)
    _learn_currencies(ctx, {change.currency for change in applied if change.currency})


def _learn_currencies(ctx: FlowContext, used: set[str]) -> None:
    """A currency that went out once, which may have been after a consultant's approval, is no first one any more."""
    new = used - set(ctx.flow.seen_currencies)
    if new and (ctx.flow.currency_field or ctx.mapping.promise is not None):
        ctx.flow.seen_currencies = sorted({*ctx.flow.seen_currencies, *new})
        Flow.objects.filter(pk=ctx.flow.pk).update(seen_currencies=ctx.flow.seen_currencies)


def _wrote(change: Change) -> bool:
    payload = change.payload
    return bool(payload.get("fields") or payload.get("lines") is not None or payload.get("links"))


def _fail(ctx: FlowContext, change: Change, outcome: Outcome) -> Counter[str]:
    error = outcome.error or SyncError("failed without an error", code="no_error")
    repeatable = bool(change.target_id) or ctx.flow.target_object in ctx.target.idempotent
    decided: Verdict = verdict(change, error, repeatable=repeatable)
    # What was made although it clashed is remembered: no plan makes it again.
    known = change.action == Action.CREATE and decided.state == State.REVIEW
    made = {"target_id": outcome.id} if known and outcome.id else {}
    named = _named(ctx, error) if known else {}
    with transaction.atomic():
        moved = move(
            Change.objects.filter(pk=change.pk, fence=change.fence),
            decided.state,
            message=decided.message[:2000],
            log=False,
            **decided.updates | made | named,
        )
        if moved:
            _log_failure(change, decided, outcome)
        reach("fail.before_commit")
    reach("fail.committed")
    return Counter({str(decided.state): len(moved)})


def _named(ctx: FlowContext, error: SyncError) -> dict[str, Any]:
    """The records that a refusal names as those that are there already: a person may link to one of them."""
    name = ctx.flow.target_object
    ids = error.context.get("matches") or ()
    rows = [{"id": key, "title": key, "url": ctx.target.record_url(name, key), "fields": {}} for key in ids]
    return {"candidates": rows[:20]} if rows else {}


def _log_failure(change: Change, decided: Verdict, outcome: Outcome) -> None:
    exchange: Any = outcome.error.context.get("exchange") if outcome.error else None
    SyncLogEntry.objects.create(
        integration_id=change.integration_id,
        run_id=change.run_id,
        change=change,
        event=f"sending→{decided.state}",
        message=decided.message[:2000],
        exchange=exchange,
    )
