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
from sync.engine import links
from sync.engine.context import FlowContext
from sync.engine.outcomes import Verdict, verdict
from sync.engine.store import release_waiting
from sync.models import Change, EntityLink, SyncLogEntry
from sync.states import State, move
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


def _clash(outcome: Outcome) -> Outcome:
    text = "The record was written, but it is linked to another record already."
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
            (known if link else fresh).append(_link(ctx, change, outcome, link))
        insert_rows(fresh)
        update_rows(known, _LINK_COLUMNS)
        _store_targets(outcomes)
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
        release_waiting(ctx.integration.pk, [f"{flow.slug}:{change.source_id}" for change, _o in outcomes])
        _plan_stale_again(done)
    return Counter({str(State.APPLIED): len(done)})


_LINK_COLUMNS = [
    "sent_crm",
    "sent_ledger",
    "agreed_crm", "agreed_ledger", "crm_fingerprint", "ledger_fingerprint", "crm_version", "ledger_version",
    "line_ids", "crm_url", "ledger_url", "title", "synced_at",
]  # fmt: skip


def _link(ctx: FlowContext, change: Change, outcome: Outcome, link: EntityLink | None) -> EntityLink:
    """The link of this change with what the remote returned as agreed values."""
    flow = ctx.flow
    if link is None:
        link = links.new(flow, change.source_id, outcome.id or change.target_id)
        link.linked_by = (change.match_rule or "created")[:200]
    source, target = links.sides(flow)
    agreed: dict[str, Value] = dict(load_all(getattr(link, f"agreed_{target}")))
    agreed |= load_all(change.agreed) | load_all(change.payload.get("fields", {})) | dict(outcome.returned)
    setattr(link, f"agreed_{target}", dump_all(_mapped_only(ctx, agreed)))
    respelled = {
        name: value
        for name, value in load_all(change.payload.get("fields", {})).items()
        if name in outcome.returned and not same(value, outcome.returned[name])
    }
    kept = {k: v for k, v in getattr(link, f"sent_{target}").items() if k not in change.payload.get("fields", {})}
    setattr(link, f"sent_{target}", kept | dump_all(respelled))
    links.looked(flow, link, change.source_fingerprint, change.source_version)
    lines = link.line_ids or {}
    if change.payload.get("lines") is not None:
        lines = lines | {"ids": dict(outcome.line_ids), "print": change.payload.get("lines_print", "")}
    if change.payload.get("links"):
        lines = lines | {"links": change.payload["links"]}
    link.line_ids = lines
    link.title = change.source_title or link.title
    setattr(link, f"{target}_url", outcome.url or change.target_url or getattr(link, f"{target}_url"))
    setattr(link, f"{source}_url", change.source_url or getattr(link, f"{source}_url"))
    link.synced_at = timezone.now()
    return link


def _mapped_only(ctx: FlowContext, values: Mapping[str, Value]) -> dict[str, Value]:
    """Only fields that the mapping writes: the link is not a mirror of the remote record."""
    wanted = {rule.target for rule in ctx.mapping.fields if rule.scope == "header"}
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


def _plan_stale_again(ids: Sequence[int]) -> None:
    """Records whose source changed while their write was under way get a new plan."""
    stale = list(Change.objects.filter(pk__in=ids, stale=True))
    Change.objects.bulk_create(
        Change(
            integration_id=change.integration_id,
            flow_id=change.flow_id,
            run_id=change.run_id,
            mapping_set_id=change.mapping_set_id,
            action=change.action,
            state=State.RETRYING,
            replan=True,
            source_id=change.source_id,
            source_title=change.source_title,
            reason=change.reason,
        )
        for change in stale
    )


def _fail(ctx: FlowContext, change: Change, outcome: Outcome) -> Counter[str]:
    error = outcome.error or SyncError("failed without an error", code="no_error")
    repeatable = bool(change.target_id) or ctx.flow.target_object in ctx.target.idempotent
    decided: Verdict = verdict(change, error, repeatable=repeatable)
    with transaction.atomic():
        moved = move(
            Change.objects.filter(pk=change.pk),
            decided.state,
            message=decided.message[:2000],
            log=False,
            **decided.updates,
        )
        if moved:
            _log_failure(change, decided, outcome)
    return Counter({str(decided.state): len(moved)})


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
