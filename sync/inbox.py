"""From stored events to records that are looked at again: the flows' half of the inbox (Q-17).

An event names a record; every flow that reads such records on that account gets a hint, once per record however many
events there were; the flow then reads the record as it is now and plans it. The invariants: an event is marked as
processed in the transaction that stores its hints, a hint is deleted in the transaction that stores its plan, and one
that arrived in between stays. Whatever is lost here costs a schedule's interval, never a change.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from integrations import inbox
from integrations.connector import Connector
from integrations.connectors import connector_for
from integrations.errors import ErrorClass, SyncError
from integrations.locks import process_lock
from integrations.models import ConnectedAccount, InboundEvent
from sync import queue
from sync.engine import approve
from sync.engine.context import FlowContext
from sync.engine.replan import KeepGoing, plan_ids
from sync.models import Change, Flow, FlowQuerySet, Hint, Side, SyncRun
from sync.states import Action, State, move

logger = logging.getLogger(__name__)

TAKEN_AT_ONCE = 1_000
PLANNED_AT_ONCE = 100
TOO_MANY = 1_000
"""With more hints than this a delta run is cheaper, and it finds the same records, unless they have parts."""
GIVE_UP_AFTER = timedelta(days=1)
"""An event whose owner cannot be asked for is left to the schedules then."""
KEEP_UNTIL_CONNECTED = timedelta(days=30)
"""The same while the account is not connected: nothing but these events says that a record's lines were changed."""

OF_ONE_RECORD = frozenset(
    {ErrorClass.DATA, ErrorClass.CONFLICT, ErrorClass.MISSING, ErrorClass.DEPENDENCY, ErrorClass.TOO_LARGE}
)
"""Refusals that no waiting mends, and that are about one record of the many that were asked for."""

WAITING = (State.PLANNED, State.HELD, State.QUEUED)


def register() -> None:
    """Ask the inbox to be rung; called once, when the room starts."""
    inbox.on_stored(ring)
    inbox.on_gap(look_by_itself)


def ring() -> None:
    """Events have arrived: wake the bulk workers."""
    queue.kick(queue.BULK)


def look_by_itself(accounts: Sequence[UUID], object_name: str) -> None:
    """Events may have been missed: the flows that read these accounts make their next delta run now."""
    flows = readers(accounts, object_name).filter(next_run_at__isnull=False)
    if flows.update(next_run_at=timezone.now()):
        ring()


def readers(accounts: Sequence[UUID], object_name: str = "") -> FlowQuerySet:
    """The flows that read `object_name` (any, when empty) on one of the accounts and act by themselves. The first run
    of a flow reads everything, and a person approves it: until then events are of no use.

    Also those that cannot work now, being switched off or not connected: what is kept for them waits until they can,
    one hint per record. To leave it to their next delta would lose what moves no stamp of the record, such as its
    lines."""
    flows = Flow.objects.filter(
        Q(source_side=Side.CRM, integration__crm_account__in=accounts)
        | Q(source_side=Side.LEDGER, integration__ledger_account__in=accounts),
        scheduled=True,
    )
    if object_name:
        flows = flows.filter(source_object=object_name)
    return flows.exclude(approval=Flow.Approval.FIRST_RUN, first_run_approved_at=None)


# --- Events become hints ----------------------------------------------------------------------------------------


def distribute() -> int:
    """Turn the events that wait into hints; how many were processed. One process at a time does. Never raises for an
    account whose records cannot be asked for: its events wait."""
    waiting = InboundEvent.objects.filter(processed_at=None)
    if not waiting.exists():
        return 0
    with process_lock("inbox", wait=2) as mine:
        return _distribute() if mine else 0


def _distribute() -> int:
    # By the index of what waits: the table holds what was processed, too. A group that cannot be served holds up none
    # of the others.
    waiting = InboundEvent.objects.filter(processed_at=None)
    groups = waiting.order_by("account_id", "object").values_list("account_id", "object").distinct()
    processed = 0
    for account, name in list(groups):
        try:
            processed += _serve(waiting.filter(account=account, object=name).order_by("pk"))
        except Exception:
            logger.exception("the events of account %s, %s could not be distributed", account, name)
    return processed


def _serve(waiting: QuerySet[InboundEvent]) -> int:
    """Distribute the events of one account and object; how many were processed."""
    first = waiting.select_related("account").first()
    if first is None:
        return 0
    account, name, processed = first.account, first.object, 0
    connector = connector_for(account)
    if name in connector.owners and _wait_for_connection(account, connector.owners[name], first):
        return 0
    while events := list(waiting[:TAKEN_AT_ONCE]):
        if name in connector.owners:
            done = _resolve(connector, account, events)
        else:
            _give_hints(events, {(account.pk, name): {event.record_id for event in events}})
            done = len(events)
        processed += done
        if done < len(events):  # the rest waits
            break
    return processed


def _wait_for_connection(account: ConnectedAccount, owner: str, oldest: InboundEvent) -> bool:
    """Whether events of parts must wait because the account cannot be asked whose parts they are."""
    if account.status == ConnectedAccount.Status.CONNECTED or not _hinted([account.pk], owner).exists():
        return False
    return oldest.received_at >= timezone.now() - KEEP_UNTIL_CONNECTED


def _resolve(connector: Connector, account: ConnectedAccount, events: Sequence[InboundEvent]) -> int:
    """Events of parts, such as lines, speak of the record that the part belongs to; how many were processed."""
    part = events[0].object
    owner = connector.owners[part]
    found: set[str] = set()
    if _hinted([account.pk], owner).exists():
        try:
            found = set(connector.owners_of(part, sorted({event.record_id for event in events})).values())
        except SyncError as error:
            logger.warning("the owners of %s %s cannot be asked for: %s", len(events), part, error.code)
            events = _given_up(account, events)
        except Exception:
            logger.exception("the owners of %s %s cannot be asked for", len(events), part)
            events = _given_up(account, events)
    _give_hints(events, {(account.pk, owner): found})
    return len(events)


def _given_up(account: ConnectedAccount, events: Sequence[InboundEvent]) -> list[InboundEvent]:
    """Those that were asked about for long enough. What waited for the connection was not asked about before."""
    now = timezone.now()
    if account.status != ConnectedAccount.Status.CONNECTED:
        return [event for event in events if event.received_at < now - KEEP_UNTIL_CONNECTED]
    return [event for event in events if max(event.received_at, account.status_at) < now - GIVE_UP_AFTER]


def _hinted(accounts: Sequence[UUID], object_name: str) -> FlowQuerySet:
    """The readers of `object_name` that are given hints: those that ran before."""
    return readers(accounts, object_name).filter(prepared_at__isnull=False)


def _give_hints(events: Sequence[InboundEvent], records: Mapping[tuple[UUID, str], set[str]]) -> None:
    """Store the hints and mark the events, in one transaction. A hint that is there already becomes a newer one."""
    now = timezone.now()
    hints = [
        Hint(flow=flow, source_id=source_id, received_at=now)
        for (account, name), ids in records.items()
        if ids
        for flow in _hinted([account], name)
        for source_id in sorted(ids)
    ]
    with transaction.atomic():
        Hint.objects.bulk_create(
            hints,
            batch_size=500,
            update_conflicts=True,
            unique_fields=["flow", "source_id"],
            update_fields=["received_at"],
        )
        pks = [event.pk for event in events]
        for start in range(0, len(pks), 500):
            InboundEvent.objects.filter(pk__in=pks[start : start + 500]).update(processed_at=now)


# --- Hints become plans -----------------------------------------------------------------------------------------


def take_hints(ctx: FlowContext, keep_going: KeepGoing) -> None:
    """Plan the records that events spoke of; the caller holds the flow and delivers what was queued.

    Hints stay when the source cannot be asked for now: the next drain tries again. Those of records with parts are
    worked through however many there are: a part may have changed without a stamp that a delta run would see.
    """
    hints = Hint.objects.filter(flow=ctx.flow)
    if hints.count() > TOO_MANY and ctx.flow.source_object not in ctx.source.owners.values():
        with transaction.atomic():
            hints.delete()
            Flow.objects.filter(pk=ctx.flow.pk).update(next_run_at=timezone.now())
        return
    while (group := list(hints.order_by("received_at", "pk")[:PLANNED_AT_ONCE])) and keep_going():
        if not _plan(ctx, group):
            return


def _plan(ctx: FlowContext, group: Sequence[Hint]) -> bool:
    """Plan a group of records; False when the rest should wait. A record that brings down the planning does not stop
    the others, and is left to the schedules."""
    run = SyncRun.objects.create(
        flow=ctx.flow, integration=ctx.integration, trigger=SyncRun.Kind.EVENT, state=SyncRun.State.DONE,
        mapping_set=ctx.mapping_set,
    )  # fmt: skip

    def taken(gone: set[str]) -> None:
        _let_go(group)
        waiting = Change.objects.filter(flow=ctx.flow, source_id__in=gone, state__in=WAITING)
        move(waiting.exclude(action=Action.ACT), State.SUPERSEDED, message="the record is gone at its source")

    ids = [hint.source_id for hint in group]
    try:
        plan_ids(ctx, ids, run, approve.policy(ctx, run), force=False, then=taken)
    except SyncError as error:
        run.delete()
        if error.error_class not in OF_ONE_RECORD:
            logger.warning("hints of flow %s wait: %s", ctx.flow.pk, error.code)
            return False
        if len(group) > 1:
            return _one_by_one(ctx, group)
        logger.warning("a hint of flow %s is refused: %s", ctx.flow.pk, error.code)
        _let_go(group)
        return True
    except IntegrityError:  # a scan or a card planned one of them in this moment: the hint stays for the next pass
        run.delete()
        return _one_by_one(ctx, group) if len(group) > 1 else False
    except Exception:
        run.delete()
        if len(group) > 1:
            return _one_by_one(ctx, group)
        logger.exception("a hint of flow %s could not be planned", ctx.flow.pk)
        _let_go(group)
        return True
    _close(run)
    return True


def _one_by_one(ctx: FlowContext, group: Sequence[Hint]) -> bool:
    """Every one gets its turn, also after one that must wait."""
    results = [_plan(ctx, [hint]) for hint in group]
    return all(results)


def _let_go(group: Sequence[Hint]) -> None:
    """Delete hints, but not those that a newer event renewed since they were read."""
    by_time: dict[datetime, list[int]] = defaultdict(list)
    for hint in group:
        by_time[hint.received_at].append(hint.pk)
    for received_at, pks in by_time.items():
        Hint.objects.filter(pk__in=pks, received_at=received_at).delete()


def _close(run: SyncRun) -> None:
    """A run that planned nothing leaves no trace: most events are echoes, or of fields that no mapping reads."""
    changes = Change.objects.filter(run=run)
    if not changes.exists():
        run.delete()
        return
    held = changes.filter(state=State.HELD).exists()
    SyncRun.objects.filter(pk=run.pk).update(
        state=SyncRun.State.HELD if held else SyncRun.State.DONE, finished_at=timezone.now()
    )
