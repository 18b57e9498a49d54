"""The timeline of one record: what the CRM, we and the ledger did, on one time axis, newest first.

Its streams are merged by (moment, stream, id) and paged by that key, so that a page costs the same whatever came
before it. The invariant: an item is shown once, and the pages together show everything that is stored.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, CharField, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _

from integrations.models import InboundEvent
from sync.history import LIMIT, SIDES, changes_of, of_link
from sync.models import Change, EntityLink, FieldPause, ReviewNote, RouteMove, SyncLogEntry
from sync.states import State

PAGE = 50
US = "us"
EVENT, LOG, NOTE, MOVE, PAUSE, PLAN = 0, 1, 2, 3, 4, 5
"""The streams; of two things at one moment the later step has the higher number."""

KINDS: Mapping[str, Any] = {
    "events": _("Events"),
    "plans": _("Plans"),
    "writes": _("Writes"),
    "people": _("People"),
    "errors": _("Errors"),
}
_ERRORS = (State.REVIEW, State.RETRYING, State.UNKNOWN)

Key = tuple[datetime, int, int]


@dataclass(slots=True)
class Item:
    """One point of the timeline. `row` is a change (plans), a pause, or the columns of a line."""

    at: datetime
    stream: int
    pk: int
    lane: str
    kind: str
    row: Any
    change_id: int | None = None
    user: str = ""
    event: str = ""
    text: str = ""

    @property
    def key(self) -> Key:
        """Its place."""
        return self.at, self.stream, self.pk


def dump_key(key: Key) -> str:
    """A place as a piece of an address."""
    return base64.urlsafe_b64encode(json.dumps([key[0].isoformat(), key[1], key[2]]).encode()).decode().rstrip("=")


def load_key(text: str) -> Key | None:
    """The place behind it; None for anything else."""
    try:
        at, stream, pk = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        moment = datetime.fromisoformat(at)
        return (moment, int(stream), int(pk)) if moment.tzinfo and 0 <= int(pk) < 2**62 else None
    except (ValueError, TypeError, binascii.Error):
        return None


def page(
    link: EntityLink, changes: Sequence[Change], pauses: Iterable[FieldPause], *, kind: str = "",
    before: Key | None = None, size: int = PAGE,
) -> tuple[list[Item], str]:  # fmt: skip
    """One page of the timeline and the place where the next begins ("" at the end): one query, two where the plans of
    the page are older than `changes`, the newest of the record in any order."""
    items: list[Item] = []
    limit = size + 1
    if kind in ("", "plans"):
        items += _plans(link, changes, before, limit)
    if kind != "plans":
        items += _lines(link, before, limit, kind)
    if kind in ("", "errors"):
        paused = (Item(p.since, PAUSE, p.pk, US, "errors", p, text=p.reason_text) for p in pauses)
        items += [item for item in paused if before is None or item.key < before]
    items.sort(key=lambda item: item.key, reverse=True)
    shown = items[:size]
    return shown, dump_key(shown[-1].key) if len(items) > size else ""


def _older(before: Key | None, stream: int, at: str) -> Q:
    """What of one stream lies before the place."""
    if before is None:
        return Q()
    moment, other, pk = before
    if stream < other:
        return Q(**{f"{at}__lte": moment})
    earlier = Q(**{f"{at}__lt": moment})
    return earlier | Q(**{at: moment, "pk__lt": pk}) if stream == other else earlier


def _plans(link: EntityLink, changes: Sequence[Change], before: Key | None, limit: int) -> list[Item]:
    """Plans of the page, from the changes at hand as far as they reach."""
    found = [_plan(row) for row in changes]
    found = sorted((item for item in found if before is None or item.key < before), key=lambda i: i.key, reverse=True)
    if len(found) < limit and len(changes) >= LIMIT:
        found = [_plan(row) for row in changes_of(link, _older(before, PLAN, "created_at"), limit=limit)]
    return found[:limit]


def _plan(row: Change) -> Item:
    return Item(row.created_at, PLAN, row.pk, US, "plans", row, change_id=row.pk)


def _lines(link: EntityLink, before: Key | None, limit: int, kind: str) -> list[Item]:
    """Events, log, notes and moves, in one query."""
    queries: list[QuerySet[Any, Any]] = []
    if kind in ("", "events"):
        queries.append(_events(link, before))
    if kind != "events":
        # A log line of a record is told by its change; the integration alone would be all of its lines.
        log = SyncLogEntry.objects.filter(of_link(link, "change__") & _older(before, LOG, "at") & _of_kind(kind))
        queries.append(_columns(log.filter(change__isnull=False), LOG, "change_id", "event", "message"))
    if kind in ("", "people"):
        notes = ReviewNote.objects.filter(of_link(link, "change__") & _older(before, NOTE, "at"))
        moves = RouteMove.objects.filter(
            _older(before, MOVE, "at"),
            Q(integration_id=link.integration_id) | Q(moved_to_id=link.integration_id),
            crm_object=link.crm_object, crm_id=link.crm_id,
        )  # fmt: skip
        queries += [
            _columns(notes, NOTE, "change_id", "", "text"),
            _columns(moves, MOVE, "", "moved_to__name", "reason"),
        ]
    merged = queries[0].union(*queries[1:], all=True) if len(queries) > 1 else queries[0]
    return [_line(row) for row in merged.order_by("-t_at", "-t_stream", "-t_key")[:limit]]


def _events(link: EntityLink, before: Key | None) -> QuerySet[Any, Any]:
    """What the inbox heard of either record; who it came from stands where the other streams name a person."""
    pair = link.integration
    about = Q()
    for account_id, side in ((pair.crm_account_id, SIDES[0]), (pair.ledger_account_id, SIDES[1])):
        names = {"record_id": getattr(link, f"{side}_id"), "object": getattr(link, f"{side}_object")}
        about |= Q(account_id=account_id, **names)
    text = CharField()
    rows = InboundEvent.objects.filter(about & _older(before, EVENT, "received_at")).order_by()
    columns: dict[str, Any] = {
        "t_at": F("received_at"),
        "t_stream": Value(EVENT, IntegerField()),
        "t_key": F("pk"),
        "t_change": Value(0, IntegerField()),
        "t_who": Case(
            When(account_id=pair.crm_account_id, then=Value(SIDES[0])), default=Value(SIDES[1]), output_field=text
        ),
        "t_event": Cast(F("kind"), text),
        "t_text": Case(When(processed_at=None, then=Value("waits")), default=Value(""), output_field=text),
    }
    return rows.annotate(**columns).values_list(*columns)


def _columns(rows: QuerySet[Any], stream: int, change: str, event: str, text: str) -> QuerySet[Any, Any]:
    """The columns that all three kinds of lines share, in one order."""
    columns: dict[str, Any] = {
        "t_at": F("at"),
        "t_stream": Value(stream, IntegerField()),
        "t_key": F("pk"),
        "t_change": F(change) if change else Value(0, IntegerField()),
        "t_who": F("by__username") if stream == MOVE else F("user__username"),
        "t_event": Cast(F(event), CharField()) if event else Value("", CharField()),
        "t_text": Cast(F(text), CharField()),
    }
    lines: QuerySet[Any, Any] = rows.order_by().annotate(**columns).values_list(*columns)
    return lines


def _line(row: tuple[Any, ...]) -> Item:
    at, stream, pk, change_id, user, event, text = row
    if stream == EVENT:
        return Item(at, stream, pk, user, "events", row, event=event, text=text)
    kind, lane = "steps", US
    if stream in (NOTE, MOVE):
        kind = "people"
    elif event.endswith(f"→{State.APPLIED}"):
        kind = "writes"
    elif event.endswith(tuple(f"→{state}" for state in _ERRORS)) and not user:
        kind = "errors"
    elif user:
        kind = "people"
    return Item(at, stream, pk, lane, kind, row, change_id or None, user or "", event, text)


def _of_kind(kind: str) -> Q:
    if kind == "writes":
        return Q(event__endswith=f"→{State.APPLIED}")
    if kind == "errors":
        return Q(user=None) & Q(*(Q(event__endswith=f"→{state}") for state in _ERRORS), _connector=Q.OR)
    return Q(user__isnull=False) & ~Q(event__endswith=f"→{State.APPLIED}") if kind == "people" else Q()
