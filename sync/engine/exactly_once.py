"""Creates that the remote cannot deduplicate: sent once, whatever fails in between.

Four parts, none optional: the change committed as `sending` with its remote reference before the call; a reference
that the remote can be searched for; a settle time before an unknown outcome is verified; and a lock that lives exactly
as long as the process that holds it, looked at directly before the socket, with a fence number in every update. What
becomes of an unknown outcome is in `verification`. The invariant: one intended document, one document at the remote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from integrations.connector import Outcome, Record
from integrations.errors import Conflict, ErrorClass, OutcomeUnknown, SyncError
from integrations.http import checked_before_sending
from integrations.locks import process_lock, still_held
from sync.engine import links
from sync.engine.confirm import confirm
from sync.engine.context import FlowContext
from sync.engine.failpoints import reach
from sync.engine.outcomes import as_bug
from sync.engine.references import reference
from sync.engine.verification import adopt, give_up, problem_of, read_error, review, search, verify
from sync.models import Change, Flow
from sync.states import Action, State, move

__all__ = ["create", "give_up", "reference", "verify"]

FRESH = timedelta(seconds=1)
"""An intent older than this when the request is about to leave is renewed: the settle time counts from the sending."""

REFUSED = (ErrorClass.DATA, ErrorClass.CONFIGURATION, ErrorClass.PERMISSION)
"""What only an answer of the remote can say: nothing of that attempt is on its way any more."""


class NotSent(Exception):
    """The last look before the socket said no: nothing left this machine."""


def create(ctx: FlowContext, change: Change) -> Counter[str]:
    """Send one create under its lock; returns the state it reached, or nothing when another process has it.

    A change that claims an identity (an organisation number) also holds the claim's lock: of two records that claim
    the same, one is created, and the other finds it.
    """
    reach("create.entered")
    with process_lock(f"change:{change.pk}") as mine:
        if not mine:
            return Counter()
        names = [f"change:{change.pk}"]
        if not change.claim:
            return _deliver(ctx, change, names)
        claim = f"claim:{ctx.target_account.pk}:{change.claim}"
        with process_lock(claim) as free:
            return _deliver(ctx, change, [*names, claim]) if free else Counter()


def _deliver(ctx: FlowContext, change: Change, locks: list[str]) -> Counter[str]:
    reach("create.locked")
    wanted = change.remote_reference or _inherited(change) or reference(ctx, change)
    earlier = _earlier(change, wanted)
    if earlier is not None and earlier > timezone.now():  # the record's last attempt may still arrive
        Change.objects.filter(pk=change.pk, state=State.QUEUED).update(due_at=earlier)
        return Counter()
    if _linked(ctx, change):
        return _step_aside(change, "The record was linked meanwhile.")
    held = _claim_held(ctx, change)
    if held is not None:
        return held
    try:
        sending = _intend(change, wanted)
    except IntegrityError:
        return _reference_taken(change, wanted)
    if sending is None:
        return Counter()
    if earlier is not None:
        adopted = _look_first(ctx, sending)
        if adopted is not None:
            return adopted
    taken = _claim_taken(ctx, sending)
    return _send(ctx, sending, locks) if taken is None else taken


def _inherited(change: Change) -> str:
    """The reference under which this document may have been made already, before a newer plan replaced that attempt: of
    a record that was merged into this one it is another than this record's own. "" when there is none."""
    rows = Change.objects.filter(flow_id=change.flow_id, source_id=change.source_id, generation=change.generation)
    lost = rows.filter(action=Action.CREATE, state=State.SUPERSEDED, error_class=ErrorClass.OUTCOME_UNKNOWN)
    return lost.exclude(remote_reference="").order_by("-pk").values_list("remote_reference", flat=True).first() or ""


def _earlier(change: Change, wanted: str) -> datetime | None:
    """When the last attempt under this reference has settled, this row's or a predecessor's; None: never sent.

    A predecessor may have been superseded by a newer plan, or dismissed, with its outcome unknown. One that the remote
    refused has settled already: whoever mended the reason need not wait.
    """
    rows = Change.objects.filter(flow_id=change.flow_id, source_id=change.source_id, sent_at__isnull=False)
    rows = rows.exclude(state=State.APPLIED)  # its reference is taken: the constraint says so
    sent = rows.filter(remote_reference=wanted, action=Action.CREATE).exclude(settle_until=None)
    settled = {change.pk, *sent.filter(error_class__in=REFUSED).values_list("pk", flat=True)}
    moments = [timezone.now() if pk in settled else until for pk, until in sent.values_list("pk", "settle_until")]
    return max(moments, default=None)


def _linked(ctx: FlowContext, change: Change) -> bool:
    """Whether the record has a counterpart by now. What a later generation replaces lost its link before."""
    return change.source_id in links.by_source(ctx.flow, [change.source_id])


def _intend(change: Change, wanted: str) -> Change | None:
    """Commit the intent: `sending`, the reference and the settle time, under a new fence.

    Raises `IntegrityError` when another change has the reference."""
    now = timezone.now()
    with _durably(), transaction.atomic():
        moved = move(
            Change.objects.filter(pk=change.pk, state=State.QUEUED),
            State.SENDING,
            message="sending",
            attempts=F("attempts") + 1,
            fence=F("fence") + 1,
            remote_reference=wanted,
            sent_at=now,
            settle_until=now + timedelta(seconds=settings.SETTLE_SECONDS),
        )
        reach("intent.before_commit")
    reach("intent.committed")
    return Change.objects.get(pk=change.pk) if moved else None


@contextmanager
def _durably() -> Iterator[None]:
    """The commit inside reaches the disk before it returns, whatever the database is set to."""
    lite = connection.vendor == "sqlite" and not connection.in_atomic_block
    if lite:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=FULL")
    try:
        yield
    finally:
        if lite:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA synchronous=NORMAL")


def _reference_taken(change: Change, wanted: str) -> Counter[str]:
    """Another change has the reference: pressed twice, or the same record of another integration."""
    other = Change.objects.filter(remote_reference=wanted).exclude(pk=change.pk)
    if other.filter(flow_id=change.flow_id, state=State.APPLIED).exists():
        return _step_aside(change, "Another change has created it already.")
    text = "Another integration has created this record already."
    return review(change, Conflict(text, code="reference_taken", value=wanted))


def _step_aside(change: Change, message: str) -> Counter[str]:
    """Nothing left to do for this change."""
    with transaction.atomic():
        moved = move(Change.objects.filter(pk=change.pk, state=State.QUEUED), State.SUPERSEDED, message=message)
    return Counter({str(State.SUPERSEDED): len(moved)})


def _look_first(ctx: FlowContext, change: Change) -> Counter[str] | None:
    """Every send but the first is preceded by a search; what it finds is adopted. None: nothing is there."""
    if ctx.flow.target_object not in ctx.target.markers:
        return None
    try:
        hits = search(ctx, change)
        problem = problem_of(ctx, change, hits)
    except SyncError as error:
        return confirm(ctx, [(change, Outcome(key=str(change.pk), error=read_error(error)))])
    return adopt(ctx, change, hits, problem, before_sending=True) if hits else None


def _claim_held(ctx: FlowContext, change: Change) -> Counter[str] | None:
    """Whether our own rows say that another record got the claimed identity, or may have got it: the target's search
    may not show it yet. None: go on."""
    if not change.claim:
        return None
    account = {f"integration__{ctx.flow.target_side}_account": ctx.target_account}
    flows = Flow.objects.filter(target_side=ctx.flow.target_side, target_object=ctx.flow.target_object, **account)
    rows = Change.objects.filter(flow__in=flows.values("pk"), claim=change.claim, action=Action.CREATE)
    rows = rows.exclude(flow_id=change.flow_id, source_id=change.source_id)
    # One that was sent, and is to be sent once more, goes first: it looks for what its first attempt made.
    again = Q(state=State.QUEUED, sent_at__isnull=False, flow_id=change.flow_id, pk__lt=change.pk)
    under_way = rows.filter(Q(state__in=[State.SENDING, State.UNKNOWN]) | again).order_by("-settle_until").first()
    if under_way is not None:  # looked at again when it is known what became of it
        soon = timezone.now() + timedelta(seconds=settings.LOOK_AGAIN_SECONDS / 4)
        due = max(under_way.settle_until or soon, soon)
        Change.objects.filter(pk=change.pk, state=State.QUEUED).update(due_at=due)
        return Counter()
    decided = {str(row["id"]) for row in change.candidates} if change.decision == "create" else set()
    lost = Q(state=State.REVIEW, error_class=ErrorClass.OUTCOME_UNKNOWN)
    made = rows.filter(Q(state=State.APPLIED) | lost).exclude(target_id__in=decided).order_by("-pk").first()
    if made is None:
        return None
    hits = [Record(ctx.flow.target_object, made.target_id, {}, title=made.target_title, url=made.target_url)]
    text = f"{made.source_title or made.source_id} claims the same identity, and was created or may have been."
    error = Conflict(text, code="claim_taken", record=made.target_id, value=change.claim)
    return review(change, error, hits if made.target_id else [])


def _claim_taken(ctx: FlowContext, change: Change) -> Counter[str] | None:
    """The claimed identity is looked up once more, now that nobody else can create it; None: it is free."""
    look: Callable[[Change], list[Record]] | None = getattr(ctx, "claim_lookup", None)
    if not change.claim or not callable(look):
        return None
    try:
        hits = look(change)
    except SyncError as error:
        return confirm(ctx, [(change, Outcome(key=str(change.pk), error=read_error(error)))])
    decided = {str(row["id"]) for row in change.candidates} if change.decision == "create" else set()
    hits = [hit for hit in hits if hit.id not in decided]
    if not hits:
        return None
    text = "A record with this identity exists by now."
    return review(change, Conflict(text, code="claim_taken", record=hits[0].id, value=change.claim), hits)


def _send(ctx: FlowContext, change: Change, locks: list[str]) -> Counter[str]:
    """The one request, and its outcome stored."""
    try:
        with checked_before_sending(lambda: _last_look(change, locks)):
            outcome = _call(ctx, change)
    except NotSent as reason:
        with transaction.atomic():
            moved = move(
                Change.objects.filter(pk=change.pk, fence=change.fence, state=State.SENDING),
                State.QUEUED,
                message=str(reason),
                attempts=max(change.attempts - 1, 0),
            )
        return Counter({str(State.QUEUED): len(moved)})
    reach("send.answered")
    if outcome.error is not None:
        return confirm(ctx, [(change, outcome)])
    return _store_answer(ctx, change, outcome)


def _call(ctx: FlowContext, change: Change) -> Outcome:
    from sync.engine.deliver import write_of

    key = str(change.pk)
    try:
        write = write_of(change)
    except Exception as exception:  # nothing was sent: a fault of ours that may be tried again
        return Outcome(key=key, error=as_bug(exception))
    try:
        return ctx.target.create(ctx.flow.target_object, write)
    except NotSent:
        raise
    except SyncError as error:
        return Outcome(key=key, error=error)
    except Exception as exception:  # after the call began nobody knows what happened
        bug = as_bug(exception)
        return Outcome(key=key, error=OutcomeUnknown(bug.message, code=bug.code))


def _last_look(change: Change, locks: list[str]) -> None:
    """Directly before the socket, also of a repetition after a 401 or 429: still ours, and the intent is fresh.

    Raises `NotSent`. Waiting for the rate limit must not eat into the settle time, which counts from the sending.
    """
    reach("send.before_check")
    if not all(still_held(name) for name in locks):
        raise NotSent("The lock was lost before anything was sent.")
    now = timezone.now()
    if change.sent_at is None or now - change.sent_at > FRESH:
        change.sent_at, change.settle_until = now, now + timedelta(seconds=settings.SETTLE_SECONDS)
        rows = Change.objects.filter(pk=change.pk, fence=change.fence, state=State.SENDING)
        if not rows.update(sent_at=change.sent_at, settle_until=change.settle_until):
            raise NotSent("Another process took over before anything was sent.")
    reach("send.checked")


def _store_answer(ctx: FlowContext, change: Change, outcome: Outcome) -> Counter[str]:
    """An answer is believed when it names the record and echoes the reference under which it can be found again."""
    if not outcome.id:
        unclear = OutcomeUnknown("The answer names no record.", code="no_id")
        return confirm(ctx, [(change, Outcome(key=outcome.key, error=unclear))])
    field = ctx.target.markers.get(ctx.flow.target_object, "")
    wanted = change.payload.get("fields", {}).get(field) or change.remote_reference
    if field and outcome.returned.get(field) != wanted:
        text = f"Record {outcome.id} was created without the reference {change.remote_reference}."
        made = Record(ctx.flow.target_object, outcome.id, dict(outcome.returned), url=outcome.url)
        with transaction.atomic():
            # No search will find it: the row remembers that it was made, and no plan makes it again.
            Change.objects.filter(pk=change.pk, fence=change.fence).update(target_id=outcome.id)
            return review(change, Conflict(text, code="marker_not_echoed", record=outcome.id, field=field), [made])
    return confirm(ctx, [(change, outcome)])
