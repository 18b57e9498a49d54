"""What happens after a write failed: the error class decides, never the caller.

Transient and unknown outcomes of repeatable writes are retried with capped backoff and full jitter; a rate limit waits
as told and counts no attempt; authentication leaves the change queued, because the account is paused; everything else
goes to a person. The invariant: every failure ends in a state that somebody or something will look at.
"""

from __future__ import annotations

import hashlib
import random
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from integrations.errors import ErrorClass, SyncError
from sync.engine.problems import error_fingerprint, problems_of
from sync.models import Change
from sync.states import State

MAX_ATTEMPTS = 8
MAX_BUG_ATTEMPTS = 2
GIVE_UP_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a change goes after a failure, and the columns that say why."""

    state: State
    updates: dict[str, Any]
    message: str


def backoff(attempts: int) -> timedelta:
    """Full jitter: uniformly between nothing and 2·2ⁿ seconds, at most 15 minutes."""
    return timedelta(seconds=random.uniform(0, min(900, 2 * 2 ** min(attempts, 12))))  # noqa: S311  (jitter)


def verdict(change: Change, error: SyncError, *, repeatable: bool, now: datetime | None = None) -> Verdict:
    """Decide by class. `repeatable`: the write is guarded by a unique key of ours, so sending it again is harmless."""
    now = now or timezone.now()
    explained = {
        "error_class": error.error_class,
        "error_code": error.code[:100],
        "error_message": error.message,
        "error_field": error.field[:200],
        "error_value": error.value[:500],
        "error_fingerprint": error_fingerprint(error.error_class, error.code, error.field, error.value),
        "problems": problems_of(error),
    }
    match error.error_class:
        case ErrorClass.RATE_LIMITED:
            wait = timedelta(seconds=error.retry_after or 10)
            return Verdict(State.QUEUED, {"due_at": now + wait, **_uncounted(change)}, error.message)
        case ErrorClass.AUTHENTICATION:
            return Verdict(State.QUEUED, _uncounted(change), error.message)
        case ErrorClass.OUTCOME_UNKNOWN if not repeatable:
            # From now, not from our last look before the socket: whoever was frozen in between sent it later.
            settle = timedelta(seconds=settings.SETTLE_SECONDS)
            return Verdict(State.UNKNOWN, explained | {"settle_until": now + settle}, error.message)
        case ErrorClass.TOO_LARGE if not (repeatable and error.code == "unreadable"):
            pass  # sending it again would be refused again; a spoilt answer to a repeatable write is asked for again
        case ErrorClass.TRANSIENT | ErrorClass.OUTCOME_UNKNOWN | ErrorClass.BUG | ErrorClass.TOO_LARGE:
            limit = MAX_BUG_ATTEMPTS if error.error_class == ErrorClass.BUG else MAX_ATTEMPTS
            if change.attempts < limit and now - (change.approved_at or change.created_at) < GIVE_UP_AFTER:
                return Verdict(State.RETRYING, explained | {"due_at": now + backoff(change.attempts)}, error.message)
    return Verdict(State.REVIEW, explained, error.message)


def _uncounted(change: Change) -> dict[str, Any]:
    """An attempt that was turned away at the door counts for nothing; the only one so far was no sending either. An
    earlier attempt of this row may have made something, and what was sent is searched for before it is sent again."""
    left = max(change.attempts - 1, 0)
    return {"attempts": left} | ({} if left or change.verifications else {"sent_at": None})


def as_bug(exception: Exception) -> SyncError:
    """Our own exception as a classified error: grouped by where it was raised, never with values in it."""
    frames = traceback.extract_tb(exception.__traceback__)
    where = "\n".join(f"{frame.filename}:{frame.name}" for frame in frames)
    trace_id = hashlib.sha256(where.encode()).hexdigest()[:12]
    return SyncError(
        f"Internal fault {type(exception).__name__} (trace {trace_id}). Support has been given the details.",
        code=f"bug:{type(exception).__name__}:{trace_id}",
    )
