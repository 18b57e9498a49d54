"""A batch that a vendor refuses whole is cut in halves until the bad entry stands alone.

One poison entry in a hundred costs at most 14 calls, because a half that must contain it is not sent again. The
invariant: every entry ends with a result or an error of its own, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from integrations.errors import Conflict, InvalidData, Misconfigured, Missing, SyncError, TooLarge
from integrations.http import Reply

Entry = TypeVar("Entry")
Answer = TypeVar("Answer")
Send = Callable[[Sequence[Entry]], Reply | SyncError]
Read = Callable[[Sequence[Entry], Reply], list[Answer | SyncError]]


def is_splittable(error: SyncError) -> bool:
    """Whether the refusal may be about one entry only (and the call certainly did nothing)."""
    return isinstance(error, InvalidData | Conflict | Missing | Misconfigured | TooLarge)


def settle(
    entries: Sequence[Entry], reply: Reply | SyncError, send: Send[Entry], read: Read[Entry, Answer]
) -> list[Answer | SyncError]:
    """The answer of each entry, given the reply to all of them; `send` asks again for some, `read` reads a reply."""
    if isinstance(reply, Reply):
        return read(entries, reply)
    if len(entries) == 1 or not is_splittable(reply):
        return [reply] * len(entries)
    return _bisect(entries, send, read)


def _bisect(entries: Sequence[Entry], send: Send[Entry], read: Read[Entry, Answer]) -> list[Answer | SyncError]:
    """`entries` (more than one) are known to contain a bad one."""
    half = len(entries) // 2
    left, right = entries[:half], entries[half:]
    answers = settle(left, send(left), send, read)
    if len(right) > 1 and not any(isinstance(answer, SyncError) for answer in answers):
        return answers + _bisect(right, send, read)
    return answers + settle(right, send(right), send, read)
