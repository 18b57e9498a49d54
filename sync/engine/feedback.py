"""Telling the source record what became of it: a word for its state and a sentence beside it, in two fields of its own.

What a record shows is read with it, kept with its change (`told`, a hash) and compared with what it should show, so
that nothing is written twice and our own write settles. `to_tell` marks what is still to be told. The invariant:
telling never fails a flow, never plans or sends anything else, and says nothing before a flow may write at all.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db.models import Max
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.connector import Feedback, Outcome, Record, Write
from integrations.errors import Missing, SyncError
from integrations.models import Integration
from sync.engine.context import FlowContext
from sync.models import Change, Flow
from sync.states import LOOK, Action, State
from sync.texts import say

BATCH = 200
MOST = 2_000
"""Records told in one pass; the others follow with the next."""
GIVE_UP = timedelta(days=7)
WAITING = (State.QUEUED, State.RETRYING, State.UNKNOWN)
TELLING = (*WAITING, State.HELD, State.REVIEW, State.APPLIED, State.SKIPPED)
SETTLED = (State.REVIEW, State.APPLIED, State.SKIPPED, State.DISMISSED)
logger = logging.getLogger(__name__)


# --- What a record shows ------------------------------------------------------------------------------------------


def of_flow(ctx: FlowContext) -> Feedback | None:
    """Where the flow's source records show what became of them; None when they cannot, or the flow is no maker of
    documents: what it writes may then be repeated, or only goes back to where it came from."""
    flow = ctx.flow
    if flow.takes == Flow.Takes.RETURNED or not flow.may_create or flow.target_object in ctx.target.idempotent:
        return None
    found = ctx.source.feedback.get(flow.source_object)
    fields = ctx.schema("source").fields
    shown = [fields.get(name) for name in (found.status, found.message)] if found else []
    return found if all(field is not None and field.writable for field in shown) else None


def note(ctx: FlowContext, change: Change, record: Record) -> None:
    """Keep with an unsaved change what its record shows, and that it is to be told what becomes of it."""
    if ctx.feedback is not None:
        change.told, change.to_tell = _shown(ctx.feedback, record), True


def asked_again(ctx: FlowContext, records: Sequence[Record]) -> set[str]:
    """Those of `records` that a person sent again after they were told something else: one query, none unless a
    record says that it waits. Their fingerprint may be what it was when they were planned the last time."""
    feedback = ctx.feedback
    if feedback is None:
        return set()
    pending = feedback.words["pending"]
    shown = {r.id: _shown(feedback, r) for r in records if r.fields.get(feedback.status) == pending}
    asked = set()
    for change in _newest(ctx, shown, looks=True).values():
        if change.decision == LOOK:
            again = change.state == State.REVIEW  # a card looked on, and nobody decided anything
        else:
            again = change.state in SETTLED and not change.to_tell
        if again and (change.decision == LOOK or change.told != shown[change.source_id]):
            asked.add(change.source_id)
    return asked


def nothing_to_do(ctx: FlowContext, records: Iterable[Record]) -> None:
    """Linked records that need no write, but show something else than what became of them: they are told again."""
    feedback = ctx.feedback
    if feedback is None:
        return
    shown = {record.id: _shown(feedback, record) for record in records}
    for change in _newest(ctx, shown, states=[State.APPLIED]).values():
        if shown[change.source_id] != change.told:
            Change.objects.filter(pk=change.pk).update(told=shown[change.source_id], to_tell=True)


def left_to_say(ctx: FlowContext, change: Change) -> bool:
    """Whether the record of an unsaved change does not show yet what the change says."""
    return bool(ctx.feedback and change.to_tell and _hash(*_outcome(ctx, ctx.feedback, change)) != change.told)


def _shown(feedback: Feedback, record: Record) -> str:
    status, message = record.fields.get(feedback.status), record.fields.get(feedback.message)
    return _hash(str(status or ""), str(message or "")) if status or message else ""


def _hash(status: str, message: str) -> str:
    return hashlib.sha256(f"{status}\x1f{_tidy(message)}".encode()).hexdigest()


def _tidy(text: str) -> str:
    """Without line breaks and doubled blanks, which remotes keep in their own ways."""
    return " ".join(text.split())


# --- What it should show ------------------------------------------------------------------------------------------


def _outcome(ctx: FlowContext, feedback: Feedback, change: Change) -> tuple[str, str]:
    """The vendor's word and the sentence for where a change stands."""
    language = "sv" if str(ctx.source_account.details.get("language") or "").lower().startswith("sv") else "en"
    word, sentence = _meaning(ctx, change, language)
    with translation.override(language):
        text = _tidy(str(sentence))
    if len(text) > feedback.length:
        text = text[: feedback.length - 1].rstrip() + "…"
    return feedback.words[word], text


def _meaning(ctx: FlowContext, change: Change, language: str) -> tuple[str, str | Promise]:
    ledger = ctx.target_account.get_system_display()
    match change.state:
        case State.APPLIED:
            return "synced", say(_("In {system}, number {number}."), system=ledger, number=change.target_id)
        case State.SKIPPED:
            return "skipped", change.reason.get(language, "")
        case State.HELD:
            return "pending", _("Waits for approval.")
        case State.REVIEW:
            return "error", _complaint(change, language)
        case _:
            return "pending", say(_("On its way to {system}."), system=ledger)


def _complaint(change: Change, language: str) -> str:
    """The first thing that is wrong, with what to do about it."""
    first = next(iter(change.problems), None)
    if first is None:
        return change.reason.get(language) or change.reason.get("en") or change.error_message
    return f"{first['message'].get(language, '')} {first['remedy'].get(language, '')}"


# --- Telling ------------------------------------------------------------------------------------------------------


def tell(ctx: FlowContext, *, source_id: str = "") -> int:
    """Tell the records of the flow (or one) what became of them; returns how many were written. Raises nothing."""
    if ctx.feedback is None or not _may_write(ctx):
        return 0
    try:
        return _tell(ctx, ctx.feedback, source_id)
    except Exception:  # what became of the records is on record here, and is told with the next run
        logger.exception("records of flow %s were not told what became of them", ctx.flow.pk)
        return 0


def _may_write(ctx: FlowContext) -> bool:
    return ctx.integration.mode == Integration.Mode.LIVE and ctx.flow.enabled and not ctx.flow.first_run_pending


def _tell(ctx: FlowContext, feedback: Feedback, source_id: str) -> int:
    rows = Change.objects.filter(
        flow=ctx.flow, to_tell=True, state__in=TELLING, updated_at__gte=timezone.now() - GIVE_UP
    ).exclude(decision=LOOK)
    rows = rows.filter(source_id=source_id) if source_id else rows
    changes = list(rows.order_by("-pk")[:MOST])
    newest = _newest(ctx, {change.source_id for change in changes})
    current = [change for change in changes if newest[change.source_id].pk == change.pk]
    spoken = [(change, *_outcome(ctx, feedback, change)) for change in current]
    silent = [change for change, status, text in spoken if _hash(status, text) == change.told]
    passed = [change for change in changes if newest[change.source_id].pk != change.pk]  # a newer one speaks
    Change.objects.filter(pk__in=[change.pk for change in (*silent, *passed)]).update(to_tell=False)
    loud = [(change, status, text) for change, status, text in spoken if _hash(status, text) != change.told]
    return sum(_write(ctx, feedback, loud[start : start + BATCH]) for start in range(0, len(loud), BATCH))


def _write(ctx: FlowContext, feedback: Feedback, group: Sequence[tuple[Change, str, str]]) -> int:
    """One batch. What fails for the moment stays to be told; what is gone is not told any more."""
    by_key = {str(change.pk): (change, _hash(status, text)) for change, status, text in group}
    writes = [
        Write(key=str(change.pk), id=change.source_id, fields={feedback.status: status, feedback.message: text or None})
        for change, status, text in group
    ]
    said = 0
    for outcome in _outcomes(ctx, writes):
        change, told = by_key[outcome.key]
        # It may have moved while we were writing: what it says then is told with the next pass.
        row = Change.objects.filter(pk=change.pk, state=change.state, updated_at=change.updated_at)
        if outcome.error is None:
            said += 1
            if not row.update(told=told, to_tell=False):
                Change.objects.filter(pk=change.pk).update(told=told)
        elif isinstance(outcome.error, Missing):
            row.update(to_tell=False)
        else:
            logger.warning("record %s was not told: %s", change.source_id, outcome.error.code)
    return said


def _outcomes(ctx: FlowContext, writes: Sequence[Write]) -> Iterable[Outcome]:
    try:
        yield from ctx.source.upsert(ctx.flow.source_object, writes)
    except SyncError as error:
        logger.warning("flow %s cannot tell its records now: %s", ctx.flow.pk, error.code)


def _newest(
    ctx: FlowContext, source_ids: Iterable[str], *, states: Sequence[State] = (), looks: bool = False
) -> dict[str, Change]:
    """The newest change that wrote, or wants to write, of each of these records, whatever follows a write left out."""
    ids = list(source_ids)
    if not ids:
        return {}
    rows = Change.objects.filter(flow=ctx.flow, source_id__in=ids).exclude(action=Action.ACT)
    rows = rows.filter(state__in=states) if states else rows.exclude(state=State.SUPERSEDED)
    rows = rows if looks else rows.exclude(decision=LOOK)
    last = rows.values("source_id").annotate(last=Max("pk")).values_list("last", flat=True)
    return {change.source_id: change for change in Change.objects.filter(pk__in=list(last))}
