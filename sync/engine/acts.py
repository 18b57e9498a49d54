"""Acts: what is carried out on a document that exists: comparing its totals, booking it, crediting it.

An act is a change of its own, stored with whatever made it necessary, so that a crash in between loses nothing. The
connector reads the state first and takes what is done already as success, so an act may be repeated; one whose
outcome is unknown waits for its settle time and is then read again. The invariant: a document is booked by us only
after its totals were found to be right.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Outcome, Record
from integrations.errors import AuthenticationFailed, ErrorClass, RateLimited, SyncError
from integrations.locks import process_lock
from mappings.mapper import Problem
from sync.engine import guard, links
from sync.engine.aftermath import CHECK, CREDIT, act_of, plan_stale, planned_soon
from sync.engine.confirm import confirm
from sync.engine.context import FlowContext
from sync.engine.follow_up import write_back
from sync.engine.outcomes import as_bug
from sync.engine.problems import error_fingerprint, problem_row
from sync.models import Change, Flow, SyncLogEntry
from sync.states import LOOK, Action, State, move
from sync.texts import in_every_language


def carry_out(ctx: FlowContext, change: Change) -> Counter[str]:
    """Carry out one queued act under its lock; returns the state it reached, nothing when another process has it."""
    with process_lock(f"change:{change.pk}") as mine:
        if not mine:
            return Counter()
        now = timezone.now()
        with transaction.atomic():
            moved = move(
                Change.objects.filter(pk=change.pk, state=State.QUEUED),
                State.SENDING,
                message=str(change.payload["act"]),
                attempts=F("attempts") + 1,
                fence=F("fence") + 1,
                sent_at=now,
                settle_until=now + timedelta(seconds=settings.SETTLE_SECONDS),
            )
        if not moved:
            return Counter()
        sending = Change.objects.get(pk=change.pk)
        try:
            return _do(ctx, sending)
        except SyncError as error:
            return _failed(ctx, sending, error)
        except Exception as exception:  # our own fault, with its trace id; the act can be repeated
            return _failed(ctx, sending, as_bug(exception))


def _do(ctx: FlowContext, change: Change) -> Counter[str]:
    act = change.payload["act"]
    if act == CHECK:
        problems = guard.check(ctx, change, change.payload.get("sent") or {})
        if problems:
            return _differs(change, problems)
        if not change.payload.get("then"):
            return _done(ctx, change)
        act = change.payload["then"]
    if act == CREDIT and _is_cancelled(ctx, change):
        return _replaced(ctx, change, "cancelled", "")
    outcome: Outcome = ctx.target.perform(ctx.flow.target_object, change.target_id, act)
    if outcome.error is not None:
        raise outcome.error
    return _replaced(ctx, change, "credit", outcome.id) if act == CREDIT else _done(ctx, change)


def _is_cancelled(ctx: FlowContext, change: Change) -> bool:
    """Whether somebody cancelled the document in the ledger: there is nothing to credit, and it will never be live
    again."""
    name = ctx.flow.target_object
    field = ctx.target.cancelled.get(name, "")
    for loaded in ctx.target.load(name, [change.target_id], {name: frozenset({field})}) if field else ():
        return isinstance(loaded, Record) and bool(loaded.fields.get(field))
    return False


def _done(ctx: FlowContext, change: Change) -> Counter[str]:
    """The act is over: the state goes back to the source, and a source that changed meanwhile is planned again."""
    with transaction.atomic():
        moved = move(_mine(change), State.APPLIED, message="done", **_NO_ERROR)
        if moved:
            write_back(ctx.flow, [change.target_id], lane=change.lane)
            plan_stale(change)
    return Counter({str(State.APPLIED): len(moved)})


_NO_ERROR: dict[str, Any] = {"error_class": "", "error_code": "", "error_message": "", "problems": []}


def _replaced(ctx: FlowContext, change: Change, how: str, by: str) -> Counter[str]:
    """The document is credited (`by` names the credit) or was cancelled: its link is dissolved, and the source is
    planned anew under the next generation."""
    text = f"{change.target_id} was credited by {by}" if by else f"{change.target_id} is cancelled"
    with transaction.atomic():
        moved = move(
            _mine(change), State.APPLIED, message=text, payload={**change.payload, how: by or True}, **_NO_ERROR
        )
        if not moved:
            return Counter()
        for link in links.by_source(ctx.flow, [change.source_id]).values():
            if links.target_id(ctx.flow, link) == change.target_id:
                link.delete()
        anew = act_of(change, "", "", {})
        anew.action, anew.state, anew.replan, anew.payload = Action.CREATE, State.RETRYING, True, {}
        anew.decision, anew.generation = LOOK, change.generation  # shown first: a person presses for the new one
        anew.lane, anew.stale = change.lane, False
        why = _("The credited document is replaced by a new one.") if by else _("The document was cancelled.")
        anew.reason = in_every_language(why)
        anew.save()
    return Counter({str(State.APPLIED): len(moved)})


def _differs(change: Change, problems: list[Problem]) -> Counter[str]:
    """The totals differ: a person is told. A source that changed meanwhile, which may be the correction, is planned
    soon; what it then writes takes the place of this act, and otherwise the difference stays with the person."""
    rows = [problem_row(problem) for problem in problems]
    worst = problems[-1]
    reason = {code: " ".join(row["message"][code] for row in rows) for code in rows[0]["message"]}
    with transaction.atomic():
        moved = move(
            _mine(change),
            State.REVIEW,
            message=reason["en"][:2000],
            problems=rows,
            reason=reason,
            error_class=ErrorClass.CONFLICT,
            error_code=worst.code,
            error_message=reason["en"],
            error_field=worst.field,
            error_value=worst.value,
            error_fingerprint=error_fingerprint(ErrorClass.CONFLICT, worst.code, worst.field, ""),
        )
        if moved:
            planned_soon(change)
    return Counter({str(State.REVIEW): len(moved)})


def _failed(ctx: FlowContext, change: Change, error: SyncError) -> Counter[str]:
    if isinstance(error, AuthenticationFailed | RateLimited) or error.error_class != ErrorClass.OUTCOME_UNKNOWN:
        return confirm(ctx, [(change, Outcome(key=str(change.pk), id=change.target_id, error=error))])
    # The state is read before anything is repeated, so an unknown outcome only has to settle first.
    with transaction.atomic():
        moved = move(
            _mine(change), State.UNKNOWN, message=error.message[:2000],
            error_class=error.error_class, error_code=error.code, error_message=error.message,
        )  # fmt: skip
    return Counter({str(State.UNKNOWN): len(moved)})


def _mine(change: Change) -> Any:
    return Change.objects.filter(pk=change.pk, fence=change.fence)


def settle(change: Change) -> None:
    """An act whose outcome was unknown, or whose process died, after its settle time: it is carried out again."""
    with transaction.atomic():
        if change.attempts >= 8:
            text = "The outcome was unknown eight times."
            move(
                _mine(change), State.REVIEW, message=text, error_class=ErrorClass.OUTCOME_UNKNOWN,
                error_code="unknown_often", error_message=text,
            )  # fmt: skip
        else:
            move(_mine(change), State.QUEUED, message="its state is read again", due_at=timezone.now())


def credit_and_new(flow: Flow, source_id: str, target_id: str, *, user: Any, actor: str, reason: str = "") -> Change:
    """Ask for the credit of a document and a new one in its place; returns the queued change.

    One that is under way already is returned as it is, one that was refused is tried again. What waited for the record
    is kept with the credit, for the case that it is given up. `SyncLogEntry` names who asked.
    """
    with transaction.atomic():
        open_one: Change | None = (
            Change.objects.open().select_for_update().filter(flow=flow, source_id=source_id).first()
        )
        if open_one is not None and open_one.action == Action.ACT and open_one.payload.get("act") == CREDIT:
            return _asked_again(open_one, user=user, actor=actor)
        if open_one is not None:
            moved = move(
                Change.objects.filter(pk=open_one.pk), State.SUPERSEDED, message="replaced by a credit", user=user
            )
            if not moved:
                raise ValueError(_("A delivery is under way. Wait until it is over."))
        last = Change.objects.filter(flow=flow, source_id=source_id, action=Action.CREATE).order_by("-generation")
        base = last.first() or open_one
        if base is None:
            raise ValueError(_("There is nothing to credit."))
        act = act_of(base, CREDIT, target_id, {"reason": reason})
        act.generation, act.lane, act.actor, act.approved_by = base.generation + 1, "interactive", actor, user
        act.approved_at = timezone.now()
        act.reason = in_every_language(_("Credit it and create it anew."))
        act.stale = open_one is not None and (open_one.stale or open_one.action != Action.ACT)
        if open_one is not None and open_one.payload.get("act") == CHECK:
            act.payload["check"], act.amount, act.currency = open_one.payload, open_one.amount, open_one.currency
        act.save()
        SyncLogEntry.objects.create(
            integration_id=act.integration_id, change=act, user=user, event="credit asked",
            message=f"{actor or user}: {reason}"[:2000],
        )  # fmt: skip
        return act


def _asked_again(credit: Change, *, user: Any, actor: str) -> Change:
    """The credit that is open; one that was refused is carried out once more, for its reason may be gone."""
    move(
        Change.objects.filter(pk=credit.pk, state=State.REVIEW), State.QUEUED, user=user,
        message=f"asked again by {user or actor}", lane="interactive", actor=actor, attempts=0, due_at=timezone.now(),
        approved_by=user, approved_at=timezone.now(), reason=in_every_language(_("Credit it and create it anew.")),
        **_NO_ERROR,
    )  # fmt: skip
    credit.refresh_from_db()
    return credit
