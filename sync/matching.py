"""What people decide in the match wizard: these two are the same, a new one is meant, not this one, leave it out.

A decision is stored with person and time, and the record is planned again by the engine, which asks for the decisions;
no link is written here. The invariants: a record that is linked, on its way, or was decided by somebody else in this
moment is refused with the reason; what is taken back is planned again as if it had never been said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.signals import post_delete
from django.utils import timezone
from django.utils.translation import gettext as _

from sync import queue
from sync.engine import links
from sync.engine.again import MATCHED
from sync.models import Change, EntityLink, Flow, MatchDecision, SyncLogEntry, SyncRun
from sync.states import OPEN, Action, State, move

Kind = MatchDecision.Kind
DECIDABLE = (State.HELD, State.REVIEW)
AT_ONCE = 500
ELSEWHERE = ("created_before", "claim_taken", "target_gone")
"""Conflicts of records that were written before: a new one is decided on their own page, where the reason stands."""


@dataclass(frozen=True, slots=True)
class Pick:
    """What a person says about one record. `change` is its open plan as they saw it, or an unsaved one for a record
    that has none (see `unplanned`)."""

    change: Change
    kind: str
    target_id: str = ""
    target_title: str = ""
    score: int | None = None


@dataclass(slots=True)
class Outcome:
    """How many decisions were stored, and why the others were not."""

    done: int = 0
    refused: list[str] = field(default_factory=list)


def register() -> None:
    """A link that is dissolved takes the choice that led to it along; called once, when the room starts."""
    post_delete.connect(_unlinked, sender=EntityLink, dispatch_uid="match_decision_unlinked")


def unplanned(flow: Flow, run: SyncRun | None, source_id: str, title: str) -> Change:
    """The open plan of a record, or an unsaved stand-in that will be planned into `run`."""
    found = Change.objects.open().filter(flow=flow, source_id=source_id).first()
    return found or Change(
        integration_id=flow.integration_id, flow=flow, run=run, source_id=source_id[:100], source_title=title[:300],
        action=Action.UPDATE,
    )  # fmt: skip


def decide(flow: Flow, picks: Iterable[Pick], user: Any) -> Outcome:
    """Store the decisions of `user` and have the records planned again; a handful of queries per five hundred."""
    outcome = Outcome()
    wanted = list(picks)
    for start in range(0, len(wanted), AT_ONCE):
        _batch(flow, wanted[start : start + AT_ONCE], user, outcome)
    if outcome.done:
        queue.kick(queue.BULK)
    return outcome


def take_back(flow: Flow, decisions: Iterable[MatchDecision], user: Any, run: SyncRun | None = None) -> int:
    """Take decisions back; what they were about is planned again, into `run` where it has no open plan. How many."""
    done = 0
    for row in decisions:
        with transaction.atomic():
            rows = MatchDecision.objects.in_force().filter(pk=row.pk, flow=flow)
            if not rows.update(withdrawn_at=timezone.now(), withdrawn_by=user):
                continue
            done += 1
            left_out = Change.objects.filter(
                flow=flow, source_id=row.source_id, state=State.SKIPPED, error_code="ignored"
            )
            move(left_out, State.SUPERSEDED, message=f"no longer left out, says {user}", user=user)
            if row.source_id not in links.by_source(flow, [row.source_id]):
                _call_back(flow, row.source_id, user)
                _plan_again(flow, [unplanned(flow, run, row.source_id, row.source_title)], user, "decision taken back")
    if done:
        queue.kick(queue.BULK)
    return done


# --- one batch ---------------------------------------------------------------------------------------------------


def _batch(flow: Flow, picks: Sequence[Pick], user: Any, outcome: Outcome) -> None:
    try:
        with transaction.atomic():
            done = _decided(flow, picks, user)
    except IntegrityError:  # somebody chose one of these counterparts in this moment
        if len(picks) == 1:
            outcome.refused.append(_("%(record)s: somebody decided in this moment. Look again.") % _named(picks[0]))
            return
        for pick in picks:
            _batch(flow, [pick], user, outcome)
        return
    outcome.done += done.done
    outcome.refused += done.refused


def _decided(flow: Flow, picks: Sequence[Pick], user: Any) -> Outcome:
    outcome, kept = Outcome(), list[Pick]()
    facts = _Facts.read(flow, picks)
    for pick in picks:
        why = facts.refusal(pick)
        if why:
            outcome.refused.append(why)
        else:
            kept.append(pick)
            facts.chosen[pick.target_id] = pick.change.source_title or pick.change.source_id
    facts.replace(kept, user)
    MatchDecision.objects.bulk_create(
        MatchDecision(
            integration_id=flow.integration_id, flow=flow, kind=pick.kind, source_id=pick.change.source_id,
            source_title=pick.change.source_title, target_id=pick.target_id[:100],
            target_title=pick.target_title[:300], score=pick.score, by=user,
        )
        for pick in kept
    )  # fmt: skip
    said = dict(Kind.choices)
    for kind in Kind.values:
        rows = [facts.open.get(pick.change.source_id, pick.change) for pick in kept if pick.kind == kind]
        _plan_again(flow, rows, user, str(said[kind]))
    outcome.done = len(kept)
    return outcome


@dataclass(slots=True)
class _Facts:
    """What is true now about the records of a batch; their open changes are locked."""

    open: dict[str, Change]
    linked: dict[str, EntityLink]
    owners: dict[str, EntityLink]
    whole: dict[str, MatchDecision]
    targets: dict[str, MatchDecision]
    spent: set[str]
    chosen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, flow: Flow, picks: Sequence[Pick]) -> _Facts:
        ids = [pick.change.source_id for pick in picks]
        wanted = [pick.target_id for pick in picks if pick.kind == Kind.LINK]
        rows = Change.objects.filter(flow=flow, source_id__in=ids, state__in=[str(state) for state in OPEN])
        held = {row.source_id: row for row in rows.order_by("pk").select_for_update(of=("self",))}
        said = MatchDecision.objects.in_force().filter(flow=flow).select_related("by")
        whole = {row.source_id: row for row in said.filter(source_id__in=ids, kind__in=MatchDecision.WHOLE)}
        targets = {row.target_id: row for row in said.filter(target_id__in=wanted, kind=Kind.LINK)}
        spent = set(links.by_source(flow, [row.source_id for row in targets.values()])) if targets else set()
        return cls(held, links.by_source(flow, ids), links.by_target(flow, wanted), whole, targets, spent)

    def refusal(self, pick: Pick) -> str:
        """Why the decision cannot be stored; "" when it can."""
        key, now = pick.change.source_id, self.open.get(pick.change.source_id)
        words = _named(pick)
        said = self.whole.get(key)
        if now is not None and now.state == State.RETRYING and now.decision == MATCHED:
            words["person"] = str(now.approved_by or (said.by if said else "") or "?")
            return _("%(record)s: %(person)s decided about it a moment ago. Look again when it is planned.") % words
        if now is not None and now.state not in DECIDABLE:
            return _("%(record)s is on its way already. Look at it when it has arrived.") % words
        if pick.change.pk and (now is None or now.pk != pick.change.pk):
            return _("%(record)s was planned anew since you looked. Look again.") % words
        if key in self.linked:
            words["other"] = self.linked[key].title or "?"
            return _("%(record)s is linked already, to %(other)s. Nothing was decided.") % words
        if pick.kind == Kind.CREATE and pick.change.error_code in ELSEWHERE:
            return _("%(record)s was written before. Decide on its own page, where the reason stands.") % words
        return self._target_refusal(pick, words) if pick.kind == Kind.LINK else ""

    def _target_refusal(self, pick: Pick, words: dict[str, str]) -> str:
        key = pick.target_id
        if key in self.owners:
            words["other"] = self.owners[key].title or "?"
            return _("%(record)s: %(target)s belongs to %(other)s already. Choose another one.") % words
        if key in self.chosen:
            words["other"] = self.chosen[key]
            return _("%(record)s: %(target)s was just chosen for %(other)s. Choose another one.") % words
        earlier = self.targets.get(key)
        if earlier is None or earlier.source_id in (pick.change.source_id, *self.spent):
            return ""
        words |= {"person": str(earlier.by or "?"), "other": earlier.source_title or earlier.source_id}
        return _("%(record)s: %(person)s chose %(target)s for %(other)s. Take that back first.") % words

    def replace(self, picks: Sequence[Pick], user: Any) -> None:
        """What is decided anew is no longer in force as it was."""
        ids = {self.whole[p.change.source_id].pk for p in picks if p.change.source_id in self.whole}
        ids |= {self.targets[p.target_id].pk for p in picks if p.kind == Kind.LINK and p.target_id in self.targets}
        old = Q(pk__in=ids)
        for pick in picks:
            if pick.target_id:
                old |= Q(flow=pick.change.flow, source_id=pick.change.source_id, target_id=pick.target_id)
        if picks:
            MatchDecision.objects.in_force().filter(old).update(withdrawn_at=timezone.now(), withdrawn_by=user)


def _named(pick: Pick) -> dict[str, str]:
    record = pick.change.source_title or pick.change.source_id
    return {"record": record, "target": pick.target_title or pick.target_id}


def _plan_again(flow: Flow, rows: Sequence[Change], user: Any, said: str) -> None:
    """Have the engine plan these records; what waits for approval keeps waiting, as it will be."""
    again: dict[str, Any] = {
        "replan": True, "decision": MATCHED, "attempts": 0, "due_at": timezone.now(), "approved_by": user,
    }  # fmt: skip
    saved = [row.pk for row in rows if row.pk]
    waiting = Change.objects.filter(pk__in=saved, state__in=[str(state) for state in DECIDABLE])
    move(waiting, State.RETRYING, message=f"{said}, says {user}", user=user, **again)
    for row in rows:
        if row.pk:
            continue
        row.state = State.RETRYING
        for name, value in again.items():
            setattr(row, name, value)
        row.save()
        SyncLogEntry.objects.create(
            integration_id=flow.integration_id, run=row.run, change=row, user=user, event="→retrying",
            message=f"{said}, says {user}",
        )  # fmt: skip


def _call_back(flow: Flow, source_id: str, user: Any) -> None:
    """What was planned as a person said, and has not been sent, is planned again before it goes out."""
    rows = Change.objects.filter(flow=flow, source_id=source_id).exclude(action=Action.ACT)
    now = timezone.now()
    move(rows.filter(state=State.QUEUED), State.RETRYING, message=f"decision taken back, says {user}", user=user)
    rows.filter(state=State.RETRYING).update(replan=True, decision=MATCHED, due_at=now, approved_by=user)


def _unlinked(sender: Any, instance: EntityLink, **_more: Any) -> None:
    ids = {"crm": instance.crm_id, "ledger": instance.ledger_id}
    objects = {"crm": instance.crm_object, "ledger": instance.ledger_object}
    for source, target in (("crm", "ledger"), ("ledger", "crm")):
        MatchDecision.objects.in_force().filter(
            kind=Kind.LINK, integration_id=instance.integration_id, flow__source_side=source,
            flow__source_object=objects[source], flow__target_object=objects[target], source_id=ids[source],
            target_id=ids[target],
        ).update(withdrawn_at=timezone.now())  # fmt: skip
