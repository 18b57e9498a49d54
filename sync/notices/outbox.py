"""The outbox: which messages there are to send, and sending them, a few at a time.

`announce` and `conclude` make messages of notices that opened and healed; `deliver` claims all that waits for one
person (or chat), sends it as one message, and notes the outcome. The invariants: a message is claimed by one process
at a time and comes back when that process dies; what is no longer true or wanted when its turn comes is dropped, not
sent; a mail server that is away costs one attempt per pass, whatever waits.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from sync.models import ChatChannel, Notice, NoticeDelivery
from sync.notices.people import wishes

logger = logging.getLogger(__name__)

Channel, Phase, State = NoticeDelivery.Channel, NoticeDelivery.Phase, NoticeDelivery.State

QUIET = timedelta(seconds=60)
"""What heals within this time is never mailed, and what breaks together goes out together."""
SETTLED = timedelta(minutes=10)
"""How long something must be right again before people are told so; what comes back earlier never ended."""
LEASE = timedelta(minutes=5)
BACKOFF_MINUTES = (1, 5, 15, 30, 60, 120, 240, 480)
MAX_ATTEMPTS = 10
MESSAGES_PER_HOUR = 6
"""For one person, or one chat; what is more waits and goes out as one message."""
PORTION = 500
BUDGET_SECONDS = 10.0


class NotSent(Exception):
    """A message did not go out. `channel_down`: nothing else will either; `permanent`: trying again is no use."""

    def __init__(self, reason: str, *, channel_down: bool = False, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.channel_down, self.permanent = reason[:200], channel_down, permanent


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one person or chat is to be told now, claimed by this process."""

    claim: uuid.UUID
    channel: str
    digest: bool
    user_id: int | None
    organization_id: int | None
    rows: Sequence[NoticeDelivery]


# --- making messages --------------------------------------------------------------------------------------------


def announce(now: datetime | None = None) -> int:
    """Messages for what opened, to who wants to hear of it at once; returns for how many notices. A constant number of
    queries."""
    now = now or timezone.now()
    with transaction.atomic():
        opened = list(Notice.objects.open().filter(announced_at=None).order_by("pk")[:PORTION])
        if not opened:
            return 0
        organizations = {notice.organization_id for notice in opened}
        people = defaultdict(list)
        for wish in wishes(organizations):
            people[wish.organization_id].append(wish)
        chats = set(ChatChannel.objects.exclude(url="").values_list("organization_id", flat=True))
        rows = []
        for notice in opened:
            due = notice.opened_at + QUIET
            rows += [
                _message(notice, "opened", due, "email", wish.user_id)
                for wish in people[notice.organization_id]
                if wish.wants(notice.kind)
            ]
            if notice.level == Notice.Level.IMMEDIATE and notice.organization_id in chats:
                rows.append(_message(notice, "opened", due, "chat", None))
        NoticeDelivery.objects.bulk_create(rows, batch_size=PORTION, ignore_conflicts=True)
        Notice.objects.filter(pk__in=[notice.pk for notice in opened]).update(announced_at=now)
    return len(opened)


def conclude(now: datetime | None = None) -> int:
    """What healed and stayed so withdraws itself: unsent messages are dropped, and who was told hears of the end."""
    now = now or timezone.now()
    with transaction.atomic():
        healed = Notice.objects.filter(healed_at__lte=now - SETTLED, closed_at=None).order_by("healed_at")
        ids = list(healed.values_list("pk", flat=True)[:PORTION])
        if not ids:
            return 0
        theirs = NoticeDelivery.objects.filter(notice__in=ids, phase=Phase.OPENED)
        theirs.filter(state=State.WAITING).update(state=State.DROPPED, done_at=now)
        told = theirs.filter(state=State.SENT).select_related("notice")
        rows = [
            _message(row.notice, "resolved", now, row.channel, row.user_id) for row in told if row.notice is not None
        ]
        NoticeDelivery.objects.bulk_create(rows, batch_size=PORTION, ignore_conflicts=True)
        Notice.objects.filter(pk__in=ids).update(closed_at=now)
    return len(ids)


def _message(notice: Notice, phase: str, due: datetime, channel: str, user_id: int | None) -> NoticeDelivery:
    return NoticeDelivery(
        notice=notice, organization_id=notice.organization_id, user_id=user_id, channel=channel, phase=phase,
        dedupe=f"{channel}:{phase}:{notice.pk}:{user_id or ''}", due_at=due,
    )  # fmt: skip


# --- sending ----------------------------------------------------------------------------------------------------


def deliver(budget: float = BUDGET_SECONDS) -> int:
    """Send what is due until the time is spent; returns how many messages went out. Never raises for one message."""
    from sync.notices.chat_message import send_chat
    from sync.notices.mail import Mailer

    deadline = time.monotonic() + budget
    down: set[str] = set()
    sent = 0
    with Mailer() as mailer:
        while time.monotonic() < deadline:
            batch = _claim(down)
            if batch is None:
                break
            if not batch.rows:
                continue  # put off
            try:
                done = mailer.send(batch) if batch.channel == Channel.EMAIL else send_chat(batch)
            except NotSent as failure:
                _failed(batch, failure)
                if failure.channel_down:
                    down.add(batch.channel)
            except Exception as error:
                logger.exception("a message could not be made")
                _failed(batch, NotSent(type(error).__name__))
            else:
                _close(batch, done)
                sent += bool(done)
    return sent


def _claim(down: set[str]) -> Batch | None:
    """All that waits for whoever waits longest; no rows when they heard enough this hour; None when nothing is due."""
    now = timezone.now()
    waiting = NoticeDelivery.objects.filter(state=State.WAITING).exclude(channel__in=down)
    # What healed a moment ago may break again: it stays until it is either told or withdrawn.
    waiting = waiting.exclude(phase=Phase.OPENED, notice__healed_at__isnull=False)
    skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        due = waiting.filter(due_at__lte=now).order_by("due_at", "pk")
        first = due.select_for_update(skip_locked=skip, of=("self",) if skip else ()).first()
        if first is None:
            return None
        digest = first.phase == Phase.DIGEST
        same = waiting.filter(
            Q(due_at__lte=now) | Q(attempts=0), channel=first.channel, user=first.user_id,
            organization=first.organization_id,
        )  # fmt: skip
        same = same.filter(phase=Phase.DIGEST) if digest else same.exclude(phase=Phase.DIGEST)
        if not digest and _too_many(first, now):
            same.update(due_at=now + timedelta(minutes=10))
            return Batch(uuid.uuid4(), first.channel, digest, first.user_id, first.organization_id, ())
        claim = uuid.uuid4()
        ids = list(same.order_by("pk").values_list("pk", flat=True)[:PORTION])
        NoticeDelivery.objects.filter(Q(due_at__lte=now) | Q(attempts=0), pk__in=ids, state=State.WAITING).update(
            claim=claim, attempts=F("attempts") + 1, due_at=now + LEASE
        )
    rows = NoticeDelivery.objects.filter(claim=claim).select_related("notice__organization", "notice__integration")
    return Batch(claim, first.channel, digest, first.user_id, first.organization_id, list(rows.order_by("pk")))


def _too_many(first: NoticeDelivery, now: datetime) -> bool:
    lately = NoticeDelivery.objects.filter(
        state=State.SENT, done_at__gt=now - timedelta(hours=1), channel=first.channel, user=first.user_id
    ).exclude(phase=Phase.DIGEST)
    if first.user_id is None:
        lately = lately.filter(organization=first.organization_id)
    return lately.order_by().values("claim").distinct().count() >= MESSAGES_PER_HOUR


def _close(batch: Batch, sent: set[int]) -> None:
    """Note what went out; the rest of the claim was not true or not wanted any more."""
    now = timezone.now()
    mine = NoticeDelivery.objects.filter(claim=batch.claim, state=State.WAITING)
    mine.filter(pk__in=sent).update(state=State.SENT, done_at=now, error="")
    # One that healed just now may break again: `conclude` decides about it.
    pausing = Q(phase=Phase.OPENED, notice__healed_at__isnull=False, notice__closed_at=None)
    gone = mine.exclude(pk__in=sent).exclude(pausing).values("pk")
    NoticeDelivery.objects.filter(pk__in=gone).update(state=State.DROPPED, done_at=now)


def _failed(batch: Batch, failure: NotSent) -> None:
    """Try again later, a bounded number of times."""
    now = timezone.now()
    attempts = max((row.attempts for row in batch.rows), default=1)
    mine = NoticeDelivery.objects.filter(claim=batch.claim, state=State.WAITING)
    if failure.permanent or attempts >= MAX_ATTEMPTS:
        mine.update(state=State.FAILED, done_at=now, error=failure.reason)
        return
    wait = BACKOFF_MINUTES[min(attempts, len(BACKOFF_MINUTES)) - 1]
    mine.update(due_at=now + timedelta(minutes=wait), error=failure.reason)


def still_true(row: NoticeDelivery) -> bool:
    """Whether what the message says about its notice is still so."""
    notice: Any = row.notice
    return notice is not None and (notice.healed_at is None) == (row.phase == Phase.OPENED)
