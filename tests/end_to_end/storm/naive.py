"""The negative control (R-05): what most connectors do. An error is retried; nothing is searched, nothing is locked.

The marker is sent all the same, so that the truth journal can count what this makes twice.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from integrations.errors import SyncError
from sync.engine import exactly_once
from sync.engine.confirm import confirm
from sync.engine.context import FlowContext
from sync.engine.deliver import write_of
from sync.models import Change
from sync.states import State


def create(ctx: FlowContext, pk: int) -> None:
    """Take it, send it; whatever went wrong is tried again in a moment."""
    rows = Change.objects.filter(pk=pk, state=State.QUEUED)
    if not rows.update(state=State.SENDING, sent_at=timezone.now(), fence=F("fence") + 1):
        return
    change = Change.objects.get(pk=pk)
    change.remote_reference = exactly_once.reference(ctx, change)
    try:
        outcome = ctx.target.create(ctx.flow.target_object, write_of(change))
        error = outcome.error
    except SyncError as caught:
        error = caught
    if error is not None:
        later = timezone.now() + timedelta(seconds=0.5)
        Change.objects.filter(pk=pk, fence=change.fence).update(state=State.QUEUED, due_at=later)
        return
    Change.objects.filter(pk=pk).update(remote_reference=change.remote_reference)
    confirm(ctx, [(change, outcome)])


def sweep(ctx: FlowContext) -> None:
    """What a dead worker had taken is given to another one."""
    stale = timezone.now() - timedelta(seconds=settings.SETTLE_SECONDS)
    Change.objects.filter(flow=ctx.flow, state=State.SENDING, sent_at__lt=stale).update(state=State.QUEUED)
