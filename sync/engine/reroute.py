"""What routing does to changes: records that nobody takes are held, and an open change follows its record.

The invariant: decisions are settled in the transaction that stores the plan, under one lock per CRM account, with the
rules, pins, links and deliveries as they are then; so two companies never hold an open create of one record, and a
change whose record belongs elsewhere by now is replaced there, not forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.errors import ErrorClass, Transient
from mappings.mapper import Problem
from sync import queue
from sync.engine import checklist
from sync.engine.context import FlowContext
from sync.engine.problems import ALARMS, error_fingerprint, problem_row
from sync.engine.routing import Route, Router, Why, held_text, lock
from sync.engine.routing_rules import Judged, Rules
from sync.models import Change, ChangeQuerySet, Flow, Hint, Side, SyncRun
from sync.states import APPROVED, LOOK, Action, State, move, move_all
from sync.texts import in_every_language, say

NO_ROUTE = "no_route"
UNSENT = (State.PLANNED, State.HELD, State.QUEUED, State.REVIEW)
REREAD = (Flow.Takes.ALL, Flow.Takes.OWN)
"""Flows that take records by themselves: they read everything again when the rules have changed."""


_REMEDY = _("Correct the record, or ask a consultant to add a routing rule or to choose the company.")
_REMEDIES = {
    Why.ERROR: _("Ask a consultant to mend the routing rule, or to choose the company of this record."),
    Why.RIVALS: _("Ask a consultant to choose the company of this record."),
}


# --- nobody takes it ---------------------------------------------------------------------------------------------


def hold(change: Change, record: Record, route: Route) -> Change:
    """`change`, an unsaved plan for `record`, as the review item that says why nobody takes the record."""
    why, tried = held_text(route)
    message = say("{record}: {why}", record=change.source_title or record.title or record.id, why=why)
    if tried:
        message = say(_("{message} Tried: {tried}."), message=message, tried=tried)
    remedy = say(_REMEDIES.get(route.why, _REMEDY))
    problem = Problem(NO_ROUTE, "routing", "", "", message, remedy, ErrorClass.CONFIGURATION)
    change.action, change.state, change.target_id = Action.BLOCKED, State.REVIEW, ""
    change.problems = [problem_row(problem)]
    change.reason = in_every_language(message)
    change.error_class, change.error_code, change.error_message = ErrorClass.CONFIGURATION, NO_ROUTE, str(message)
    change.error_fingerprint = error_fingerprint(ErrorClass.CONFIGURATION, NO_ROUTE, "", _cause(route))
    change.checks = [
        checklist.row(
            "company_chosen", _("Its company in the ledger is known"), ok=False, message=message, remedy=remedy,
            repair="look_again",
        )
    ]  # fmt: skip
    return change


def _cause(route: Route) -> str:
    """What one repair would release: records that a rule fails on, records that no rule matches."""
    failed = [str(step.rule.pk) for step in route.judged.steps if step.error]
    return f"{route.why}:{','.join(failed)}"


# --- settled when the plan is stored -------------------------------------------------------------------------------


def settle(ctx: FlowContext, changes: list[Change], judged: Mapping[str, Judged]) -> list[Change]:
    """Those of `changes` that may still be stored; open changes of the records `judged`, in any company that does not
    take them, are superseded, and what they wanted is asked for where the record belongs.

    Call inside the transaction that stores the plan. At most eight queries, two when there is nothing to route; raises
    `Transient` when the rules changed, or another company joined, since the records were read.
    """
    router = ctx.router
    if router is not None and router.idle and changes and ctx.routed and not router.now().idle:
        raise Transient("Other companies take these records too since they were read.", code="rules_changed")
    if router is None or not judged:
        return changes
    lock(router.account.pk)
    if Rules.stamp_now(router.account.pk, router.object_name) != router.rules.stamp:
        raise Transient("The routing rules were changed while records were planned.", code="rules_changed")
    facts = router.facts(list(judged))
    routes = {key: router.decide(key, said, facts) for key, said in judged.items()}
    planners = {key: router.planners(route) for key, route in routes.items()}
    me = ctx.integration.pk
    kept = [change for change in changes if change.source_id not in judged or _still(change, routes, planners, me)]
    stored = {change.source_id for change in kept}
    dropped = {change.source_id for change in changes} - stored
    wrong = [change for change in facts.waiting if change.integration_id not in planners[change.source_id]]
    left = follow(router, wrong, routes, planned={key for key in stored if me in planners.get(key, ())}, here=me)
    _look_again(ctx, {key for key in dropped if me in planners[key]} | left)
    return [change for change in kept if change.source_id not in left]


def _look_again(ctx: FlowContext, ids: set[str]) -> None:
    """Hints for these records, newer than one that is being worked off."""
    hints = [Hint(flow=ctx.flow, source_id=key, received_at=timezone.now()) for key in sorted(ids)]
    Hint.objects.bulk_create(
        hints, update_conflicts=True, unique_fields=["flow", "source_id"], update_fields=["received_at"]
    )


def _still(change: Change, routes: Mapping[str, Route], planners: Mapping[str, frozenset[int]], me: int) -> bool:
    key = change.source_id
    held = not routes[key].places
    return (
        me in planners[key]
        and (change.error_code == NO_ROUTE or change.state == State.SKIPPED or not held)
        and (held or change.error_code != NO_ROUTE)
    )


def follow(
    router: Router, wrong: Iterable[Change], routes: Mapping[str, Route], *, planned: set[str], here: int
) -> set[str]:
    """Supersede open changes of records that belong elsewhere, and ask for the record there; `planned` are those that
    `here` has planned just now. Returns the records whose change was sent in this moment: nobody else may take them."""
    left = set()
    for change in wrong:
        route = routes[change.source_id]
        home = route.home if route.home is not None else router.reporter
        moved = move(
            Change.objects.filter(pk=change.pk, state__in=[*UNSENT, State.RETRYING]),
            State.SUPERSEDED,
            message=f"the record belongs to integration {home} ({route.why})",
        )
        if not moved:
            left.add(change.source_id)
        flow_id = router.flow_in(home)
        if moved and flow_id is not None and home is not None and not (home == here and change.source_id in planned):
            ask(home, flow_id, change.source_id, like=change)
    return left


def ask(integration_id: int, flow_id: int, source_id: str, *, like: Change | None = None, look: bool = False) -> None:
    """Have a record planned by the flow, as an open change elsewhere wanted it. What a person pressed or approved for
    another company is only looked at here: they decide anew. Call inside a transaction."""
    looked = look or (like is not None and (like.decision == LOOK or like.lane == "interactive"))
    lane = like.lane if like is not None else "bulk"
    open_one = Change.objects.open().filter(flow_id=flow_id, source_id=source_id).first()
    if open_one is not None:
        rows = Change.objects.filter(pk=open_one.pk, state=State.REVIEW).exclude(error_code__in=ALARMS)
        move(rows, State.RETRYING, message="asked for again", replan=True, due_at=timezone.now(), approved_by=None)
        _ring(open_one.pk, lane)
        return
    asking = Change(
        integration_id=integration_id,
        flow_id=flow_id,
        action=Action.CREATE,
        state=State.RETRYING,
        replan=True,
        decision=LOOK if looked else "",
        lane=lane,
        actor=like.actor if like is not None else "",
        source_id=source_id,
        source_title=(like.source_title if like is not None else "") or source_id,
        reason=in_every_language(_("The record belongs to this company now.")),
    )
    try:
        with transaction.atomic():
            asking.save()
    except IntegrityError:  # somebody asked for it in this moment
        return
    _ring(asking.pk, lane)


def _ring(change_id: int, lane: str) -> None:
    if lane == "interactive":
        transaction.on_commit(lambda: queue.kick_change(change_id))
    else:
        transaction.on_commit(lambda: queue.kick(queue.BULK))


# --- the rules or a decision changed -------------------------------------------------------------------------------


@transaction.atomic
def rules_changed(account_id: UUID, object_name: str) -> int:
    """The rules of an object are others now: what is open and unsent is planned again before anything goes out, and
    flows that take records by themselves read everything again. Returns how many changes. Calls no remote."""
    lock(account_id)
    flows = Flow.objects.filter(integration__crm_account_id=account_id, source_side=Side.CRM, source_object=object_name)
    flows.filter(takes__in=REREAD, scheduled=True).exclude(cursor="").update(cursor="")
    return plan_again(Change.objects.filter(flow__in=list(flows)), "the routing rules changed")


@transaction.atomic
def record_decided(account_id: UUID, object_name: str, record_id: str) -> int:
    """A person decided where one record goes, or took that back: as `rules_changed`, for this record alone."""
    lock(account_id)
    rows = Change.objects.filter(
        flow__integration__crm_account_id=account_id, flow__source_side=Side.CRM, flow__source_object=object_name,
        source_id=record_id,
    )  # fmt: skip
    return plan_again(rows, "its company was decided")


def plan_again(rows: ChangeQuerySet, message: str) -> int:
    """Move the open, unsent and not yet linked ones among `rows` to be planned again; an approval is taken back."""
    changes = Change.objects.filter(pk__in=rows.values("pk"))
    fresh = changes.exclude(action__in=[Action.ACT, Action.UPDATE]).exclude(error_code__in=ALARMS)
    waiting = fresh.filter(state=State.RETRYING)
    count = waiting.count()
    waiting.exclude(decision=LOOK).update(replan=True, approved_by=None, due_at=timezone.now())
    waiting.filter(decision=APPROVED).update(decision="")
    unsent = fresh.filter(state__in=UNSENT)
    held_runs = set(unsent.filter(state=State.HELD).exclude(run=None).values_list("run_id", flat=True))
    unsent = unsent.exclude(state=State.REVIEW, sent_at__isnull=False)
    again: dict[str, Any] = {"replan": True, "approved_by": None, "approved_at": None, "due_at": timezone.now()}
    count += move_all(unsent.filter(decision=APPROVED), State.RETRYING, message=message, decision="", **again)
    count += move_all(unsent, State.RETRYING, message=message, **again)
    emptied = SyncRun.objects.filter(pk__in=held_runs, state=SyncRun.State.HELD).exclude(
        pk__in=Change.objects.filter(run__in=held_runs, state=State.HELD).values("run_id")
    )
    emptied.update(state=SyncRun.State.CANCELLED, finished_at=timezone.now())
    if count:
        transaction.on_commit(lambda: queue.kick(queue.BULK))
    return count


__all__ = ["NO_ROUTE", "ask", "hold", "plan_again", "record_decided", "rules_changed", "settle"]
