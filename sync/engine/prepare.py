"""What a flow needs to exist at its target before it writes there: fields and pipelines of our own, made once."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from sync.engine.context import FlowContext
from sync.flows import setup_of


def prepare(ctx: FlowContext) -> None:
    """Create what the flow needs at its target, once; idempotent. Raises `SyncError`."""
    if ctx.flow.prepared_at is not None:
        return
    ids = ctx.target.prepare(setup_of(ctx.flow, ctx.integration.setup))
    with transaction.atomic():
        integration = type(ctx.integration).objects.select_for_update().get(pk=ctx.integration.pk)
        integration.setup = integration.setup | ids
        integration.save(update_fields=["setup"])
        ctx.integration.setup = integration.setup
        ctx.flow.prepared_at = timezone.now()
        ctx.flow.save(update_fields=["prepared_at"])
    ctx.schema("target", max_age=timedelta(0))
