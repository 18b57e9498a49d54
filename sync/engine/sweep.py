"""The nightly search for duplicates: the one thing that nothing in the protocol can rule out, found by the morning.

Between the last look at the lock and the socket lie microseconds. A freeze there that outlives the lock's connection
leaves two documents; so does a person who copies a document with its reference. Every night the target's records of
the last 36 hours are listed and grouped by our reference. The invariant: a reference on two live documents, or on one
that no link knows, ends with a person, once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.errors import ErrorClass, SyncError
from integrations.locks import process_lock
from sync.engine import links
from sync.engine.aftermath import replaced
from sync.engine.context import FlowContext, build
from sync.engine.problems import error_fingerprint
from sync.engine.references import reference
from sync.engine.verification import adopt, problem_of
from sync.models import Change, Flow, FlowQuerySet, SyncLogEntry
from sync.states import OPEN, Action, State
from sync.texts import in_every_language, say

logger = logging.getLogger(__name__)

BACK = timedelta(hours=36)
EVERY = timedelta(hours=20)
NIGHT = range(1, 5)
PREFIX = "lb1-"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reference that is not in order: "duplicate", "unlinked" (for a person) or "adopted" (mended)."""

    kind: str
    reference: str
    records: tuple[str, ...]


def due_sweeps(now: datetime | None = None) -> FlowQuerySet:
    """Flows to be swept now: by night, those that created something lately and were not swept this night."""
    now = now or timezone.now()
    created = Change.objects.filter(flow=OuterRef("pk"), action=Action.CREATE, sent_at__gte=now - BACK)
    flows = Flow.objects.startable().filter(Exists(created)).order_by("pk")
    if timezone.localtime(now).hour not in NIGHT:
        return flows.filter(swept_at__lt=now - BACK + timedelta(hours=4))  # the machine was off last night
    return flows.exclude(swept_at__gte=now - EVERY)


def run_sweeps(limit: int = 1) -> int:
    """Sweep up to `limit` flows that are due; returns how many findings. Never raises: a flow whose target cannot be
    read stays due."""
    found = 0
    for flow in due_sweeps()[:limit]:
        with process_lock(f"sweep:{flow.pk}") as mine:
            if not mine:
                continue
            try:
                found += len(sweep(flow))
            except SyncError as error:
                logger.warning("flow %s could not be swept: %s", flow.pk, error.message)
                Flow.objects.filter(pk=flow.pk).update(swept_at=timezone.now() - EVERY + timedelta(minutes=30))
                continue
            Flow.objects.filter(pk=flow.pk).update(swept_at=timezone.now())
    return found


def sweep(flow: Flow) -> list[Finding]:
    """List the target's records that changed in the last 36 hours and put right, or in front of a person, every
    reference of this flow that is on more than one live record or on one without a link. Raises `SyncError`."""
    ctx = build(flow)
    marker = ctx.target.markers.get(flow.target_object, "")
    if not marker or flow.target_object in ctx.target.idempotent:
        return []
    groups = _marked(ctx, marker)
    return [finding for name, records in sorted(groups.items()) if (finding := _judge(ctx, name, records))]


def _marked(ctx: FlowContext, marker: str) -> dict[str, list[Record]]:
    """The target's live records that changed lately, by the reference they carry."""
    name = ctx.flow.target_object
    cancelled = ctx.target.cancelled.get(name, "")
    fields = {name: frozenset(filter(None, (marker, cancelled, *ctx.target.verified.get(name, ()))))}
    found: dict[str, list[Record]] = {}
    for page in ctx.target.changed(name, (timezone.now() - BACK).isoformat(), fields):
        rows = [record for record in page.records if record.complete]
        partial = [record.id for record in page.records if not record.complete]
        for loaded in ctx.target.load(name, partial, fields) if partial else ():
            if isinstance(loaded, tuple):
                raise loaded[1]
            rows.append(loaded)
        for record in rows:
            value = str(record.fields.get(marker) or "")
            if value.startswith(PREFIX) and not record.fields.get(cancelled):
                group = found.setdefault(value, [])
                if record.id not in {known.id for known in group}:
                    group.append(record)
    return found


def _judge(ctx: FlowContext, name: str, records: Sequence[Record]) -> Finding | None:
    """What is to be said about one reference; None when it is in order, another flow's, or still on its way."""
    change = Change.objects.filter(flow=ctx.flow, remote_reference=name).order_by("-pk").first()
    source_id = change.source_id if change else _source_of(ctx, name)
    if not source_id or (change is not None and change.state in (State.SENDING, State.UNKNOWN, State.QUEUED)):
        return None
    numbers = tuple(sorted((record.id for record in records), key=lambda key: (len(key), key)))
    if len(records) > 1:
        logger.error("ALARM: %s records carry the reference %s: %s (INV1)", len(records), name, ", ".join(numbers))
        _tell(ctx, source_id, name, records, numbers, "duplicate_documents")
        return Finding("duplicate", name, numbers)
    if numbers[0] in links.by_target(ctx.flow, numbers) or _replaced(ctx, source_id, name, numbers[0]):
        return None  # that its record is linked to something else is no reason to be silent about this one
    if change is not None and change.state == State.REVIEW and change.error_code == "unknown_twice":
        adopt(ctx, change, records, problem_of(ctx, change, records))
        return Finding("adopted", name, numbers)
    _tell(ctx, source_id, name, records, numbers, "document_unlinked")
    return Finding("unlinked", name, numbers)


def _replaced(ctx: FlowContext, source_id: str, name: str, number: str) -> bool:
    """Whether a document without a link has had its turn: credited or cancelled, or a person decided on one more."""
    rows = Change.objects.filter(flow=ctx.flow, source_id=source_id, state=State.APPLIED)
    generation = name.split("-")[3]
    if generation.isdigit() and rows.filter(action=Action.CREATE, generation__gt=int(generation)).exists():
        return True
    return any(replaced(act) for act in rows.filter(action=Action.ACT, target_id=number))


def _source_of(ctx: FlowContext, name: str) -> str:
    """The source record behind a reference of this flow that no change knows (a restored database); "" for others.

    A numeric id is read back from the reference, and believed when the reference it gives is this one."""
    parts = name.split("-")
    if len(parts) != 5 or not parts[3].isdigit() or len(parts[2]) < 2:
        return ""
    try:
        source_id = str(int(parts[2][1:], 36))
    except ValueError:
        return ""
    guess = Change(flow=ctx.flow, source_id=source_id, generation=int(parts[3]))
    return source_id if reference(ctx, guess) == name else ""


def _tell(
    ctx: FlowContext, source_id: str, name: str, records: Sequence[Record], numbers: Sequence[str], code: str
) -> None:
    """Put it in front of a person, once; what is open about the record already gets a line in its log instead."""
    shown = ", ".join(numbers)
    if code == "duplicate_documents":
        reason = say(
            _(
                "Documents {numbers} carry the same reference. Cancel the younger one if it is not booked; "
                "a booked one needs a credit."
            ),
            numbers=shown,
        )
    else:
        reason = say(
            _("Document {numbers} was made for this record, and nothing is linked to it. Link it."), numbers=shown
        )
    told = Change.objects.filter(flow=ctx.flow, source_id=source_id, error_code=code, error_value=shown[:500])
    if told.filter(state__in=[*(str(state) for state in OPEN), State.DISMISSED]).exists():
        return  # one that was replaced is told again: nobody has decided about it
    text = in_every_language(reason)
    change = Change(
        integration_id=ctx.integration.pk, flow=ctx.flow, action=Action.CONFLICT, state=State.REVIEW,
        source_id=source_id, source_title=records[0].title[:300], reason=text, error_class=ErrorClass.CONFLICT,
        error_code=code, error_message=text["en"], error_value=shown[:500],
        error_fingerprint=error_fingerprint(ErrorClass.CONFLICT, code, "", ""),
        candidates=[{"id": hit.id, "title": hit.title or hit.id, "url": hit.url} for hit in records[:20]],
    )  # fmt: skip
    said = f"{name}: {text['en']}"[:1000]
    try:
        with transaction.atomic():
            change.save()
            SyncLogEntry.objects.create(
                integration_id=ctx.integration.pk,
                change=change,
                event="→review",
                message=said,
            )
    except IntegrityError:  # something is open about this record: said there
        open_one = Change.objects.filter(flow=ctx.flow, source_id=source_id, state__in=[str(s) for s in OPEN]).first()
        SyncLogEntry.objects.create(integration_id=ctx.integration.pk, change=open_one, event="swept", message=said)
