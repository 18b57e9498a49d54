"""What frees changes that wait: a link that was made, an option that the target offers, a settle time that is over."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from sync.engine import acts, exactly_once, links
from sync.engine.context import FlowContext
from sync.engine.store import release_waiting
from sync.models import Change, Flow
from sync.states import Action, State, move


def release_linked(ctx: FlowContext) -> None:
    """Changes that wait for a record which is linked by now: whoever linked it may have come before they waited."""
    waiting = Change.objects.filter(flow=ctx.flow, state=State.REVIEW).exclude(waits_for="")
    wanted: dict[str, list[str]] = {}
    for key in waiting.exclude(waits_for__startswith="option:").values_list("waits_for", flat=True).distinct()[:500]:
        slug, _colon, source_id = key.partition(":")
        wanted.setdefault(slug, []).append(source_id)
    for slug, ids in wanted.items():
        flow = Flow.objects.filter(integration=ctx.integration, slug=slug).first()
        if flow is None:
            continue
        there = links.by_source(flow, ids)
        with transaction.atomic():
            release_waiting(ctx.integration.pk, [f"{slug}:{source_id}" for source_id in there])


def verify(ctx: FlowContext) -> None:
    """Unknown outcomes whose settle time is over, and sends whose process died."""
    lost = Change.objects.filter(
        flow=ctx.flow, state__in=[State.UNKNOWN, State.SENDING], settle_until__lte=timezone.now()
    )
    for change in lost.order_by("settle_until")[:100]:
        if change.action == Action.ACT:
            acts.settle(change)
        elif change.state == State.SENDING and (change.target_id or ctx.flow.target_object in ctx.target.idempotent):
            with transaction.atomic():
                rows = Change.objects.filter(pk=change.pk, fence=change.fence)
                move(rows, State.QUEUED, message="the sender died: a repeatable write is sent again")
        elif ctx.flow.target_object in ctx.target.markers:
            exactly_once.verify(ctx, change)
        else:
            exactly_once.give_up(change)


def release_options(ctx: FlowContext) -> None:
    """Changes that wait for an option of a target field are planned again once the target offers it."""
    prefix = f"option:{ctx.flow.target_object}."
    waiting = Change.objects.filter(flow=ctx.flow, state=State.REVIEW, waits_for__startswith=prefix)
    keys = set(waiting.values_list("waits_for", flat=True).distinct()[:200])
    if not keys:
        return
    schema = ctx.schema("target", max_age=timedelta(0))
    there = {f"{prefix}{name}={option.value}" for name, fields in schema.fields.items() for option in fields.options}
    with transaction.atomic():
        release_waiting(ctx.integration.pk, sorted(keys & there))
        _know_currencies(ctx, {key for key in keys & there if key.startswith(f"{prefix}{ctx.flow.currency_field}=")})


def _know_currencies(ctx: FlowContext, keys: set[str]) -> None:
    """Somebody switched these currencies on at the target, which is the approval that a first currency asks for."""
    if not keys or not ctx.flow.currency_field:
        return
    seen = set(ctx.flow.seen_currencies) | {key.rpartition("=")[2] for key in keys}
    ctx.flow.seen_currencies = sorted(seen)
    Flow.objects.filter(pk=ctx.flow.pk).update(seen_currencies=ctx.flow.seen_currencies)
