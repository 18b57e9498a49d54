"""The inbox: events of the vendors are stored and deduplicated here before anything else happens to them (Q-17).

An event is a hint to look at a record again, never data. The invariants: a caller is told "received" only after the
commit; one event is stored once per connected account, however often it is delivered; nothing is processed while the
vendor waits. Whoever works with the events asks to be rung (`on_stored`, `on_gap`): this room knows no flows.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from integrations.inbox_models import ListenerOffset, RefusedCall, SeenRequest
from integrations.models import ConnectedAccount, InboundEvent

logger = logging.getLogger(__name__)

MAX_SOURCES = 500
"""Different sources counted per day; beyond it they share one row, so that nobody can fill the table."""
OTHERS = "others"
REMEMBERED = timedelta(days=1)
"""How long a request that counts once is remembered: longer than any signature is good for."""
BATCH = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a vendor's part of this room understood it.

    `remote_id` is the account at the vendor, `key` what makes the event the same when it is delivered again, `object`
    and `record_id` the record to look at, `kind` the vendor's word for what happened.
    """

    remote_id: str
    key: str
    object: str
    record_id: str
    kind: str
    occurred_at: datetime | None = None


Rung = Callable[[], object]
GapRung = Callable[[Sequence[UUID], str], object]
_on_stored: list[Rung] = []
_on_gap: list[GapRung] = []


def on_stored(callback: Rung) -> None:
    """Call `callback` after each commit that stored events. It may be called for events that were there already."""
    if callback not in _on_stored:
        _on_stored.append(callback)


def on_gap(callback: GapRung) -> None:
    """Call `callback(account ids, object)` when events of the object may have been missed; "" means every object."""
    if callback not in _on_gap:
        _on_gap.append(callback)


def gap(accounts: Sequence[UUID], object_name: str = "") -> None:
    """Events of these accounts may have been missed: whoever works with them must look by itself."""
    if accounts:
        for callback in _on_gap:
            callback(accounts, object_name)


def store(
    system: str,
    events: Iterable[Event],
    *,
    offsets: Mapping[str, str] | None = None,
    account: ConnectedAccount | None = None,
) -> int:
    """Store the events of known accounts, and the listener's offsets with them; how many belong to known accounts.

    `account`: the only one that the sender spoke for, where it proved itself with that account's own secret.
    Returns after the commit; the bell is rung then. Raises `DatabaseError` when nothing was stored.
    """
    events = list(events)
    with transaction.atomic(durable=True):
        rows = _rows(system, events, account)
        InboundEvent.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
        for topic, offset in (offsets or {}).items():
            values = {"offset": offset, "at": timezone.now()}
            ListenerOffset.objects.update_or_create(system=system, topic=topic, defaults=values)
        if rows:
            for callback in _on_stored:
                transaction.on_commit(callback, robust=True)  # a bell that fails costs a minute, not the event
    known = {row.dedupe_key for row in rows}
    return sum(1 for event in events if event.key[:200] in known)


def _rows(system: str, events: Sequence[Event], only: ConnectedAccount | None) -> list[InboundEvent]:
    """A row per event and connected account: one remote account may be connected by several organizations."""
    accounts: dict[str, list[UUID]] = defaultdict(list)
    wanted = {event.remote_id for event in events}
    found = ConnectedAccount.objects.filter(system=system, remote_id__in=wanted)
    found = found.filter(pk=only.pk) if only else found
    for key, remote_id in found.values_list("pk", "remote_id"):
        accounts[remote_id].append(key)
    now = timezone.now()
    return [
        InboundEvent(
            account_id=account,
            dedupe_key=event.key[:200],
            object=event.object[:50],
            record_id=event.record_id[:100],
            kind=event.kind[:50],
            occurred_at=event.occurred_at,
            received_at=now,
        )
        for event in events
        for account in accounts[event.remote_id]
    ]


def source_of(request: HttpRequest) -> str:
    """Where a call came from. Behind our own proxy that is the last address it added; what stands before it, anybody
    may have written."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if getattr(settings, "SECURE_PROXY_SSL_HEADER", None) and forwarded:
        return str(forwarded.rpartition(",")[2].strip()[:64])
    return str(request.META.get("REMOTE_ADDR", ""))[:64]


def length_of(request: HttpRequest) -> int:
    """The length that a caller announces. What is no number, or one of thousands of digits, counts as too long: to read
    such a body would be a fault of ours."""
    given = str(request.META.get("CONTENT_LENGTH") or "0")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 20 else sys.maxsize


def first_time(*what: str) -> bool:
    """Whether the request that `what` identifies has not been here for a day; from now on it has. Of two at once, one
    is the first. Inside a transaction that fails it has not been here."""
    now = timezone.now()
    SeenRequest.objects.filter(seen_at__lt=now - REMEMBERED).delete()
    digest = hashlib.sha256("\n".join(what).encode()).hexdigest()
    try:
        with transaction.atomic():
            SeenRequest.objects.create(digest=digest, seen_at=now)
    except IntegrityError:
        return False
    return True


def count_refused(kind: str, source: str, reason: str, times: int = 1) -> None:
    """Note refused calls, in the log and for support. Never raises: a broken database must not change the answer."""
    logger.warning("refused %s from %s: %s (%d)", kind, source, reason, times)
    now = timezone.now()
    kind, reason, day = kind[:40], reason[:40], timezone.localdate(now)
    today = RefusedCall.objects.filter(kind=kind, day=day)
    try:
        with transaction.atomic():
            if today.count() >= MAX_SOURCES and not today.filter(source=source, reason=reason).exists():
                source = OTHERS
            row, _new = RefusedCall.objects.get_or_create(kind=kind, day=day, source=source, reason=reason)
            RefusedCall.objects.filter(pk=row.pk).update(count=F("count") + times, last_at=now)
    except DatabaseError:
        logger.exception("a refused call could not be counted")
