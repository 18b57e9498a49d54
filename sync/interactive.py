"""What a card may ask: look at a record, press the button, repair what is missing. Each writes one row and rings.

A card names people who have no login here (`actor`), so their name is kept with the change. The invariant: two
clicks, two people and a host that repeats its calls all meet the same change, and nothing goes out that was not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from sync import queue
from sync.engine import acts, approve, links, needs
from sync.engine.aftermath import CHECK
from sync.engine.follow_up import write_back
from sync.engine.problems import ALARMS
from sync.flows import setting_values
from sync.models import Change, EntityLink, Flow
from sync.states import APPROVED, LOOK, Action, State, move
from sync.texts import in_every_language

LANE = "interactive"
EXPIRES = timedelta(hours=24)
_PHASES = {
    State.RETRYING: "looking",
    State.PLANNED: "ready",
    State.HELD: "held",
    State.QUEUED: "working",
    State.SENDING: "working",
    State.UNKNOWN: "verifying",
    State.REVIEW: "review",
}


@dataclass(frozen=True, slots=True)
class RecordState:
    """Where one source record stands in a flow: its link, its newest change, and one word for both.

    `phase`: none · looking · ready · blocked · held · working · verifying · review · done · locked.
    """

    phase: str
    change: Change | None = None
    link: EntityLink | None = None


@dataclass(frozen=True, slots=True)
class Pressed:
    """What became of a press: queued · already · verifying · changed · held · off · not_allowed · blocked."""

    status: str
    change: Change | None = None


def state_of(flow: Flow, source_id: str) -> RecordState:
    """Two queries, no remote call."""
    link = links.by_source(flow, [source_id]).get(source_id)
    newest = (
        Change.objects.filter(flow=flow, source_id=source_id)
        .exclude(state__in=[State.SUPERSEDED, State.DISMISSED])
        .order_by("-pk")
        .first()
    )
    return RecordState(phase_of(newest, link), newest, link)


def phase_of(change: Change | None, link: EntityLink | None) -> str:
    """The word for a newest change and a link; no query."""
    state = State(change.state) if change else None
    if change is None or state not in _PHASES:
        return "done" if link else "none"
    if state == State.RETRYING and not change.replan:
        return "working"
    if state == State.REVIEW:
        if change.error_code == "locked":
            return "locked"
        return "blocked" if change.action == Action.BLOCKED else "review"
    if link and change.action == Action.ACT and change.payload.get("act") == CHECK:
        return "done"
    return _PHASES[state]


def look(flow: Flow, source_id: str, *, actor: str, user: Any = None) -> Change:
    """Ask for a live plan of one record; returns the change that asks. What is on its way already is left alone."""
    with transaction.atomic():
        change = _asking(flow, source_id, actor)
        if change.state == State.RETRYING:
            transaction.on_commit(lambda: queue.kick_change(change.pk))
    return change


def _asking(flow: Flow, source_id: str, actor: str) -> Change:
    open_one: Change | None = Change.objects.open().select_for_update().filter(flow=flow, source_id=source_id).first()
    if open_one is None:
        asking = Change(
            integration_id=flow.integration_id,
            flow=flow,
            action=Action.CREATE,
            state=State.RETRYING,
            replan=True,
            decision=LOOK,
            lane=LANE,
            actor=actor[:200],
            source_id=source_id,
            source_title=source_id,
            reason=in_every_language(_("Asked for on the card.")),
        )
        try:
            with transaction.atomic():
                asking.save()
            return asking
        except IntegrityError:  # somebody else asked in the same moment
            open_one = Change.objects.open().get(flow=flow, source_id=source_id)
    if _may_look(open_one):
        move(
            Change.objects.filter(pk=open_one.pk), State.RETRYING, message=f"looked at by {actor}", log=False,
            replan=True, decision=LOOK, lane=LANE, actor=actor[:200], approved_by=None, due_at=timezone.now(),
        )  # fmt: skip
        open_one.refresh_from_db()
    elif open_one.state == State.RETRYING:
        Change.objects.filter(pk=open_one.pk).update(due_at=timezone.now())
    return open_one


def _may_look(change: Change) -> bool:
    """What a look may plan anew: an earlier look, what failed, and what a press from a card left over a limit; the next
    press applies the limits again. The plan of a scan goes its own way."""
    if change.action == Action.ACT or (change.state == State.REVIEW and change.error_code in ALARMS):
        return False
    asked = (change.state == State.PLANNED and change.decision == LOOK) or (
        change.state == State.HELD and change.lane == LANE
    )
    return change.state == State.REVIEW or asked


def press(change_id: int, *, actor: str, fingerprint: str, user: Any = None) -> Pressed:
    """The button: what was shown goes out, once. `fingerprint` is that of the plan that the person saw."""
    with transaction.atomic():
        rows = Change.objects.select_for_update(of=("self",)).select_related("flow__integration")
        change = rows.filter(pk=change_id).first()
        if change is None:
            return Pressed("changed")
        refused = _refused(change, fingerprint)
        if refused:
            return Pressed(refused, change)
        over = approve.over_limit(change)
        to = State.HELD if over else State.QUEUED
        moved = move(
            Change.objects.filter(pk=change.pk),
            to,
            message=f"pressed by {user or actor}",
            user=user,
            decision=APPROVED,
            lane=LANE,
            actor=actor[:200],
            approved_by=user,
            approved_at=timezone.now(),
            due_at=timezone.now(),
            reason=in_every_language(over) if over else change.reason,
        )
        if not moved:
            return Pressed("already", change)
        if to == State.QUEUED:
            transaction.on_commit(lambda: queue.kick_change(change.pk))
    change.refresh_from_db()
    return Pressed("held" if over else "queued", change)


def _refused(change: Change, fingerprint: str) -> str:
    """Why a press does nothing now, "" when it may go on. What is under way already answers first."""
    match change.state:
        case State.QUEUED | State.SENDING | State.APPLIED | State.HELD:
            return "already"
        case State.UNKNOWN:
            return "verifying"
        case State.REVIEW:
            return "blocked"
    if not change.flow.enabled:
        return "off"
    if change.flow.integration.mode != Integration.Mode.LIVE:
        return "not_allowed"
    shown = change.state == State.PLANNED and change.source_fingerprint == fingerprint
    return "" if shown else "changed"


def repair(change: Change, name: str, value: str, actor: str, *, user: Any = None) -> None:
    """Carry out what a check of the change offers. `name` is the check's repair, `value` what it is about.

    `create_<link>`: create the related record now. `link_<link>`: link it to the target record `value`.
    `look_again`: read everything again. Raises `ValueError` when nothing like that is offered.
    """
    if name == "look_again":
        look(change.flow, change.source_id, actor=actor, user=user)
        return
    rows = [check for check in change.checks if check["repair"] == name and not check["ok"]]
    check = next((row for row in rows if str(row["value"]) == value), next(iter(rows), None))
    if check is None:
        raise ValueError(_("This is not offered any more. Look again."))
    verb, _underscore, link = name.partition("_")
    # A document may wait for its customer and name a missing article too: only the link's check is about the flow.
    flow = _flow_of(change) if check["code"] == f"{link}_linked" else None
    if verb == "create" and flow is not None:
        if not needs.offered(flow, str(setting_values(change.flow).get(f"missing_{link}", ""))):
            raise ValueError(_("Creating it is switched off in the settings."))
        _create_related(flow, str(check["value"]), actor)
    elif verb == "link" and flow is not None:
        _link_related(flow, str(check["value"]), value, [str(c["id"]) for c in check["choices"]], actor)
        look(change.flow, change.source_id, actor=actor, user=user)
    elif verb == "create":
        _note_creation(change, str(check["value"]))
        look(change.flow, change.source_id, actor=actor, user=user)
    else:
        raise ValueError(_("This cannot be done from here."))


def _flow_of(change: Change) -> Flow | None:
    """The flow that brings over what the change waits for."""
    slug = change.waits_for.partition(":")[0]
    return Flow.objects.filter(integration_id=change.integration_id, slug=slug).first() if slug else None


def _create_related(flow: Flow, source_id: str, actor: str) -> None:
    """Plan and send the related record's create; what waits for it continues by itself. Raises `ValueError` when it
    cannot be hurried, so that nobody presses in vain."""
    with transaction.atomic():
        if Change.objects.filter(flow=flow, source_id=source_id, state=State.HELD).exists():
            raise ValueError(_("It waits until somebody approves it."))
        change = _asking(flow, source_id, actor)
        if change.state == State.RETRYING:
            # Somebody pressed for exactly this: it is planned and goes out, under the flow's limits.
            Change.objects.filter(pk=change.pk).update(decision="", approved_by=None)
            transaction.on_commit(lambda: queue.kick_change(change.pk))
        elif change.state == State.REVIEW:
            raise ValueError(_("It was not finished. A person must look at it."))
        elif change.state == State.PLANNED:  # a scan has just planned it, and decides about it with the rest
            raise ValueError(_("It is on its way already."))


def _link_related(flow: Flow, source_id: str, target_id: str, offered: list[str], actor: str) -> None:
    if target_id not in offered:
        raise ValueError(_("This record is not one of the candidates."))
    owner = links.by_target(flow, [target_id]).get(target_id)
    if owner is not None and links.source_id(flow, owner) != source_id:
        raise ValueError(_("It belongs to %(owner)s already.") % {"owner": owner})
    if owner is not None:
        return
    link = links.new(flow, source_id, target_id)
    link.linked_by = actor[:200]
    try:
        with transaction.atomic():
            link.save()
            write_back(flow, [target_id], lane=LANE)
    except IntegrityError:
        raise ValueError(_("It was linked to another record in this moment. Look again.")) from None


def _note_creation(change: Change, value: str) -> None:
    """A missing value, such as an article, is to be created with this document: kept until the document is planned."""
    allowed = sorted({*change.payload.get("create", ()), value})
    Change.objects.filter(pk=change.pk).update(payload={**change.payload, "create": allowed})


def credit_and_new(flow: Flow, source_id: str, *, actor: str, user: Any, reason: str = "") -> Change:
    """Credit the linked document and plan a new one. Raises `ValueError` when there is none or it is under way."""
    link = links.by_source(flow, [source_id]).get(source_id)
    if link is None:
        raise ValueError(_("There is nothing to credit."))
    target = links.target_id(flow, link)
    change = acts.credit_and_new(flow, source_id, target, user=user, actor=actor, reason=reason)
    transaction.on_commit(lambda: queue.kick_change(change.pk))
    return change


def expire_looks() -> int:
    """Plans that a card asked for a day ago and nobody pressed are closed; returns how many.

    What the flow wants by itself is planned again under its own policy, so that looking never undoes a wish; where
    somebody said that no existing record is meant, and then did not press, it is asked again. The new document after a
    credit stays until somebody decides.
    """
    ended = Q(payload__has_key="credit") | Q(payload__has_key="cancelled")
    replaced = Change.objects.filter(ended, action=Action.ACT, flow=OuterRef("flow"), source_id=OuterRef("source_id"))
    old = Change.objects.filter(
        Q(generation=1) | ~Exists(replaced),
        state=State.PLANNED, decision=LOOK, updated_at__lt=timezone.now() - EXPIRES,
    )  # fmt: skip
    wanted = old.exclude(flow__takes=Flow.Takes.LINKED, action=Action.CREATE)
    with transaction.atomic():
        again = move(
            wanted, State.RETRYING, message="nobody pressed for a day", log=False, replan=True, decision="",
            generation=1, lane="bulk", due_at=timezone.now(),
        )  # fmt: skip
        return len(again) + len(move(old, State.SUPERSEDED, message="nobody pressed for a day", log=False))
