"""The queue's broker with a gate: only our three doorbells ever run.

django-q2 resolves a task's function from a text in the database, so whoever can write a row there can run any Python
callable. This broker drops whatever is not on the list, before it is resolved, and says so in the log.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.signing import BadSignature
from django_q.brokers.orm import ORM
from django_q.signing import SignedPackage

logger = logging.getLogger(__name__)

ALLOWED_TASKS = frozenset({"sync.tasks.tick", "sync.tasks.drain", "sync.tasks.work_on"})


def allowed(payload: str) -> bool:
    """Whether a signed task may run: a known name and at most one plain argument."""
    try:
        task: dict[str, Any] = SignedPackage.loads(payload)
    except (BadSignature, TypeError, ValueError, EOFError):
        return False
    args = tuple(task.get("args") or ())
    return (
        task.get("func") in ALLOWED_TASKS
        and len(args) <= 1
        and all(type(arg) in (int, str) for arg in args)
        and not task.get("hook")
    )


class GuardedORM(ORM):  # type: ignore[misc]
    """Django-q2's ORM broker, which hands out allowed tasks only."""

    def dequeue(self) -> list[tuple[int, str]]:
        """The next tasks; refused ones are deleted, because the ledger rings again for whatever mattered."""
        accepted = []
        for key, payload in super().dequeue() or ():
            if allowed(payload):
                accepted.append((key, payload))
            else:
                logger.error("refused a queued task that is not ours (row %s)", key)
                self.delete(key)
        return accepted
