"""What follows a write: the act that compares and books, and the plan of a source that moved meanwhile.

Stored in the transaction that stores the write's link, so that a crash in between loses neither. The invariant: at
most one open change per record, also here: an act takes over a source that moved, and plans it when it is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from sync.engine.context import FlowContext
from sync.models import Change, Flow, Hint
from sync.states import Action, State, move
from sync.texts import in_every_language

CHECK, BOOK, CREDIT = "check", "book", "credit"


def after_write(ctx: FlowContext, change: Change, record_id: str) -> Change | None:
    """The act that follows a written document: compare its totals, then book it if the flow says so. Unsaved; None
    for what has no totals."""
    if ctx.mapping.promise is None or not ctx.target.totals_fields(ctx.flow.target_object):
        return None
    sent = {name: change.payload.get(name) for name in ("fields", "lines")}
    then = ""
    if ctx.setting("document_mode") == "booked":
        before = [] if change.action == Action.CREATE else _written_before(change, record_id)
        made_by_us = any(row.action == Action.CREATE for row in (change, *before))
        then = BOOK if made_by_us else ""
        # Before it is booked every row must be right, also those that this write did not touch.
        sent["lines"] = next((row.payload["lines"] for row in (change, *before) if row.payload.get("lines")), None)
    act = act_of(change, CHECK, record_id, {"then": then, "sent": sent})
    act.amount, act.currency = change.amount, change.currency
    act.reason = in_every_language(_("Compare the totals of what was written."))
    return act


def _written_before(change: Change, record_id: str) -> list[Change]:
    """Our earlier writes of this document, newest first."""
    rows = Change.objects.filter(
        flow_id=change.flow_id, source_id=change.source_id, target_id=record_id, state=State.APPLIED,
        action__in=[Action.CREATE, Action.UPDATE],
    )  # fmt: skip
    return list(rows.exclude(pk=change.pk).order_by("-pk"))


def act_of(change: Change, name: str, record_id: str, more: dict[str, Any]) -> Change:
    """An unsaved act on `record_id` that follows from `change`, for the same record and person."""
    return Change(
        integration_id=change.integration_id,
        flow_id=change.flow_id,
        run_id=change.run_id,
        mapping_set_id=change.mapping_set_id,
        action=Action.ACT,
        state=State.QUEUED,
        source_id=change.source_id,
        source_title=change.source_title,
        source_url=change.source_url,
        target_id=record_id,
        target_title=change.target_title or change.source_title,
        lane=change.lane,
        actor=change.actor,
        approved_by_id=change.approved_by_id,
        source_fingerprint=change.source_fingerprint,
        core_fingerprint=change.core_fingerprint,
        stale=change.stale,
        payload={"act": name, **more},
    )


def plan_stale(change: Change) -> None:
    """A source that changed while an act on its document was under way gets a new plan. Nobody has seen that change
    yet, so it is under the flow's policy, whoever approved the act."""
    if Change.objects.filter(pk=change.pk, stale=True).exists():
        again = act_of(change, "", "", {})
        again.action, again.state, again.replan, again.payload = Action.UPDATE, State.RETRYING, True, {}
        again.stale, again.approved_by_id = False, None
        again.save()


def planned_soon(change: Change) -> None:
    """As `plan_stale` for an act that stays open: the next pass of the flow looks at the source, and what it plans
    to write takes the act's place."""
    if Change.objects.filter(pk=change.pk, stale=True).update(stale=False):
        Hint.objects.update_or_create(
            flow_id=change.flow_id, source_id=change.source_id, defaults={"received_at": timezone.now()}
        )


def given_up(act: Change) -> None:
    """An act was dismissed: what waited for its end, or was replaced by it, goes on."""
    if "check" in act.payload:  # of a document that is not credited after all
        check = act_of(act, CHECK, act.target_id, {**act.payload["check"]})
        check.amount, check.currency, check.approved_by_id = act.amount, act.currency, None
        check.reason = in_every_language(_("Compare the totals of what was written."))
        check.save()
    else:
        plan_stale(act)


def compare_again(flow: Flow, same: Sequence[Change]) -> None:
    """`same` are the plans, unsaved, of records whose document needs no write: where the source promises another
    amount than the open comparison knows, the comparison is made again. Call inside a transaction."""
    plans = {plan.source_id: plan for plan in same}
    if not plans:
        return
    rows = Change.objects.open().filter(flow=flow, source_id__in=list(plans), action=Action.ACT)
    for act in rows.select_for_update(of=("self",)).order_by("pk"):
        plan = plans[act.source_id]
        if act.payload.get("act") != CHECK or (act.amount, act.currency) == (plan.amount, plan.currency):
            continue
        row = Change.objects.filter(pk=act.pk)
        if act.state in (State.SENDING, State.UNKNOWN):  # it compares with what it read: looked at again afterwards
            row.update(stale=True)
            continue
        row.update(
            amount=plan.amount, currency=plan.currency, source_fingerprint=plan.source_fingerprint,
            core_fingerprint=plan.core_fingerprint,
        )  # fmt: skip
        move(
            row.filter(state=State.REVIEW), State.QUEUED, message="the source promises another amount", attempts=0,
            due_at=timezone.now(), problems=[], error_class="", error_code="", error_message="",
            reason=in_every_language(_("Compare the totals of what was written.")),
        )  # fmt: skip


def replaced(act: Change) -> bool:
    """Whether this act, which was carried out, ended its document: a new one may take its place."""
    return bool(act.payload.get("credit") or act.payload.get("cancelled"))


def former(ctx: FlowContext, source_id: str) -> list[dict[str, str]]:
    """The documents of this record that were credited, or cancelled, and replaced, oldest first."""
    rows = Change.objects.filter(flow=ctx.flow, source_id=source_id, action=Action.ACT, state=State.APPLIED)
    return [
        {"id": row.target_id, "credit": str(row.payload.get("credit", "")), "at": row.finished_at.isoformat()}
        for row in rows.order_by("pk")
        if replaced(row) and row.finished_at
    ]
