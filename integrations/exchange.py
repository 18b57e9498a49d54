"""What a call came to: the answer for whoever asked, the redacted exchange for the log, and what is done around calls
(counting them, looking once more before one that must not be repeated).

The one invariant: an exchange holds neither a secret nor a header.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from integrations.redaction import redact
from integrations.transport import Call, Raw

EXCERPT = 2000
"""How much of an answer is kept, in bytes."""

_counter: ContextVar[Counter[tuple[str, str]] | None] = ContextVar("calls", default=None)
_last_look: ContextVar[Callable[[], None] | None] = ContextVar("last_look", default=None)


@dataclass(slots=True)
class Reply:
    """An answer: `data` is parsed JSON with `Decimal` for fractions (None: no body), or the text of a `plain` call;
    `remote_time` is its `Date`."""

    status: int
    data: Any
    headers: Mapping[str, str]
    remote_time: datetime
    excerpt: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """What went over the wire, redacted, for the log: `excerpt` is the start of the answer, or what went wrong."""

    method: str
    path: str
    status: int | None
    ms: int
    sent: str
    excerpt: str
    at: datetime


def exchanged(call: Call, raw: Raw) -> Exchange:
    """What went over the wire, without secrets and never with headers."""
    # What a successful bulk read sent is neither interesting nor cheap to redact.
    worth = call.write or raw.failure or raw.status >= 300
    sent = json.dumps(call.json, default=str)[:EXCERPT] if worth and call.json is not None else ""
    query = "?" + "&".join(f"{k}={v}" for k, v in call.params.items()) if call.params else ""
    answer = raw.failure or raw.body[: EXCERPT if worth else 300].decode("utf-8", "replace")
    return Exchange(
        call.method,
        redact(call.path + query)[:500],
        raw.status or None,
        raw.ms,
        redact(sent),
        redact(answer),
        datetime.now(UTC),
    )


@contextlib.contextmanager
def checked_before_sending(look: Callable[[], None]) -> Iterator[None]:
    """Inside, `look` runs directly before every request that must not be repeated, also before its repetition after a
    401 or 429. What it raises leaves the call as it is, and means that nothing was sent."""
    token = _last_look.set(look)
    try:
        yield
    finally:
        _last_look.reset(token)


def about_to_send() -> None:
    """Run the look that the caller asked for, if any. A connector that does not send through `Api` calls this itself
    directly before it creates something that must not be created twice."""
    look = _last_look.get()
    if look is not None:
        look()


@contextlib.contextmanager
def counting() -> Iterator[Counter[tuple[str, str]]]:
    """Count the calls made inside, by (system, kind). Nested counts do not add up into outer ones."""
    counter: Counter[tuple[str, str]] = Counter()
    token = _counter.set(counter)
    try:
        yield counter
    finally:
        _counter.reset(token)


def count(system: str, kind: str) -> None:
    """One more call, for whoever is `counting`."""
    counter = _counter.get()
    if counter is not None:
        counter[(system, kind)] += 1
