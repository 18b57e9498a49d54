"""Planning named records after another version was published: in groups, resumable, and never sent by themselves.

The order (`mappings.models.Resync`) says which records and how many of them may be planned. The invariant: everything
planned here is held for a person, in as few runs as possible, and a killed process goes on after the last group.
"""

from __future__ import annotations

import logging

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.errors import SyncError
from mappings.models import Resync
from sync.engine import approve
from sync.engine.context import FlowContext
from sync.engine.outcomes import as_bug
from sync.engine.replan import KeepGoing, close_run, plan_ids
from sync.models import SyncRun
from sync.texts import in_every_language, say

GROUP = 50
_WAITING = (SyncRun.State.HELD, SyncRun.State.DONE)
logger = logging.getLogger(__name__)


class _Decided(Exception):
    """A person decided about a plan that was still growing."""


def plan_resyncs(ctx: FlowContext, keep_going: KeepGoing) -> int:
    """Plan what the open orders of this flow's mapping allow; returns how many records. A remote that refuses ends it
    for now; the order says why."""
    family = {"mapping_set__integration_id": ctx.flow.integration_id, "mapping_set__slug": ctx.flow.slug}
    total = 0
    for order in Resync.objects.due().filter(**family).order_by("pk"):
        while order.planned < order.until and keep_going():
            ids = order.source_ids[order.planned : min(order.planned + GROUP, order.until)]
            try:
                _plan_group(ctx, order, ids)
            except _Decided:
                continue  # it is planned once more, into a run of its own
            except SyncError as error:
                Resync.objects.filter(pk=order.pk).update(error=error.message)
                return total
            except Exception as exception:  # a bug, or a card in this moment: what else the flow does goes on
                logger.exception("re-sync %s of flow %s failed", order.pk, ctx.flow.pk)
                Resync.objects.filter(pk=order.pk).update(error=as_bug(exception).message)
                return total
            order.planned += len(ids)
            total += len(ids)
    return total


def _plan_group(ctx: FlowContext, order: Resync, ids: list[str]) -> None:
    run = _run_of(ctx, order)
    plan_ids(ctx, ids, run, approve.policy(ctx, run, force_hold=True), force=True, then=lambda _gone: _waits_still(run))
    Resync.objects.filter(pk=order.pk).update(planned=F("planned") + len(ids), runs=order.runs, error="")
    close_run(run)


def _waits_still(run: SyncRun) -> None:
    """Raises `_Decided` when a person decided about the run's plan while more of it was being planned: they have not
    seen that. Called in the transaction that stores it. (A record that is no longer there needs no correction.)"""
    row = SyncRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    if row.state not in _WAITING or row.approved_at is not None:
        raise _Decided


def _run_of(ctx: FlowContext, order: Resync) -> SyncRun:
    """The run that holds this order's plan, or a new one when a person has decided about that already."""
    last: SyncRun | None = (
        SyncRun.objects.filter(pk=order.runs[-1], state__in=_WAITING, approved_at=None).first() if order.runs else None
    )
    if last is not None:
        return last
    text = say(_("Version {number} of the mapping was published; these records were asked to follow it."),
               number=ctx.mapping_set.version)  # fmt: skip
    run: SyncRun = SyncRun.objects.create(
        flow=ctx.flow, integration=ctx.integration, trigger=SyncRun.Kind.MANUAL, state=SyncRun.State.DONE,
        mapping_set=ctx.mapping_set, user=order.created_by, hold_reason=in_every_language(text),
        planned_at=timezone.now(),
    )  # fmt: skip
    order.runs = [*order.runs, run.pk]
    return run
