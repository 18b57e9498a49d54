"""Serving one change that a person waits for: plan it, send it, and do what follows, without the flow's lock.

A scan of the same flow may go on meanwhile: a plan is stored under the record's own lock, and a create is sent under
the change's own lock, so neither can happen twice. Calls go out in the interactive lane, which keeps a reserve of the
rate budget. A bell that was lost costs at most a minute: the drain serves such changes too.
"""

from __future__ import annotations

from sync.engine.again import look, plan_waiting
from sync.engine.context import FlowContext, build
from sync.engine.deliver import deliver
from sync.engine.feedback import tell
from sync.engine.replan import KeepGoing
from sync.models import Change, Flow
from sync.states import LOOK, Action, State

STEPS = 8


def serve_change(change_id: int, keep_going: KeepGoing) -> bool:
    """Do what the change asks, and what follows from it for the same record; False when there was nothing to do."""
    change = Change.objects.filter(pk=change_id).first()
    flow = Flow.objects.startable().filter(pk=change.flow_id).first() if change else None
    if change is None or flow is None:
        return False
    ctx = build(flow, lane="interactive")
    served = False
    for _step in range(STEPS):
        latest = _open_one(flow, change.source_id)
        if latest is None or not keep_going() or not _serve(ctx, latest):
            break
        served = True
    if served:
        tell(ctx, source_id=change.source_id)
    _after(flow, change.source_id, keep_going)
    return served


def _open_one(flow: Flow, source_id: str) -> Change | None:
    return Change.objects.open().filter(flow=flow, source_id=source_id).first()


def _serve(ctx: FlowContext, change: Change) -> bool:
    """One step; False when the change waits for something else now."""
    before = (change.pk, change.state)
    if change.state == State.RETRYING and change.action != Action.ACT and change.replan:
        if change.decision == LOOK:
            look(ctx, change)
        else:
            plan_waiting(ctx, change)
    elif change.state in (State.QUEUED, State.RETRYING):
        deliver(ctx, ids=[change.pk])
    else:
        return False
    after = _open_one(ctx.flow, change.source_id)
    return after is None or (after.pk, after.state) != before


def _after(flow: Flow, source_id: str, keep_going: KeepGoing) -> None:
    """The number goes back to the source now, not with the next scan, and what waited for this record goes on."""
    waiting = Change.objects.filter(
        integration_id=flow.integration_id, state=State.RETRYING, lane="interactive", replan=True
    ).exclude(flow=flow, source_id=source_id)
    for other in waiting.filter(flow__enabled=True).order_by("pk")[:5]:
        if not keep_going():
            return
        ctx = build(other.flow, lane="interactive")
        if _serve(ctx, other):
            queued = _open_one(other.flow, other.source_id)
            if queued is not None and queued.state == State.QUEUED:
                deliver(ctx, ids=[queued.pk])
