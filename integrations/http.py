"""The only place that sends: one guarded session per host, one judgement of what became of a call.

A call ends in exactly one of three ways: a `Reply`; an error that says "definitely not executed, or harmless"; or, for
a call that must not be repeated (`write=True`), `OutcomeUnknown`. The invariant: nothing here ever sends a write a
second time unless the first one certainly did nothing (401, 429, or no connection). Other retries belong to the
table of changes, in one layer only. Threads overlap the waiting for the network and nothing else: budget and token
work stays on the calling thread, because database connections do.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from integrations import budget
from integrations.errors import (
    AuthenticationFailed,
    OutcomeUnknown,
    RateLimited,
    SyncError,
    TooLarge,
    Transient,
)
from integrations.exchange import (
    EXCERPT,
    Exchange,
    Reply,
    about_to_send,
    checked_before_sending,
    count,
    counting,
    exchanged,
)
from integrations.fortnox.errors import classify as classify_fortnox
from integrations.hosts import check_path
from integrations.hubspot import limits as hubspot_limits
from integrations.hubspot.errors import classify as classify_hubspot
from integrations.models import ConnectedAccount
from integrations.redaction import redact
from integrations.salesforce import usage as salesforce_usage
from integrations.salesforce.errors import classify as classify_salesforce
from integrations.salesforce.errors import refreshable as refreshable_salesforce
from integrations.transport import (
    Call,
    Raw,
    guard,
    parsed,
    plain,
    remote_time,
    session_for,
    told_to_wait,
    transmit,
)

__all__ = ["Api", "Call", "Exchange", "Reply", "about_to_send", "checked_before_sending", "counting", "guard"]

logger = logging.getLogger(__name__)

OVERLAP = 8
"""Calls of one account that may be under way at once: more than any vendor's limit can use at usual latencies."""
REPEATS_OF_429 = 4
LONGEST_WAIT = {"bulk": 15.0, "interactive": 6.0}
PATIENCE = {"bulk": 45.0, "interactive": 10.0}

Classify = Callable[[int, Mapping[str, str], Any, str, float | None], SyncError]
_CLASSIFY: dict[str, Classify] = {
    "fortnox": classify_fortnox,
    "hubspot": classify_hubspot,
    "salesforce": classify_salesforce,
}
# What an answer says about the vendor's limits, and what must be asked before a call (it may wait or refuse).
_OBSERVE: dict[str, Callable[[ConnectedAccount, Call, Raw], None]] = {
    "hubspot": hubspot_limits.observe,
    "salesforce": salesforce_usage.observe,
}
_HOLD: dict[str, Callable[[ConnectedAccount, str], None]] = {"salesforce": salesforce_usage.hold}
# A 401 that a new token would meet again; asking for one each time would never end.
_REFRESHABLE: dict[str, Callable[[Any], bool]] = {"salesforce": refreshable_salesforce}
# Refused without being executed, whatever kind of call it was: locked record (423), account in transit (477).
_NOT_EXECUTED = frozenset({401, 403, 423, 429, 477})


class Api:
    """One account, spoken to over HTTP. `lane` is "bulk" or "interactive" (a person waits)."""

    def __init__(self, account: ConnectedAccount, *, lane: str = "bulk") -> None:
        self.account = account
        self.system = account.system
        self.lane = lane
        self.exchanges: deque[Exchange] = deque(maxlen=20)
        self._paused_at = 0.0
        self._base = account.api_url.rstrip("/")
        parts = urlsplit(self._base)
        self._origin = f"{parts.scheme}://{parts.netloc}"

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        write: bool = False,
        bucket: str = "default",
        cost: int = 1,
        kind: str = "",
        empty_ok: bool = False,
    ) -> Reply:
        """One call, answered or raised as a `SyncError`; see the module for what may be repeated."""
        return self.do(Call(method, path, params, json, form, headers, write, bucket, cost, kind, empty_ok))

    def do(self, call: Call) -> Reply:
        """`call`, for a prepared `Call`."""
        token = self._ready(call)
        return self._conclude(call, token, self._send(call, token))

    def begin(self, pool: ThreadPoolExecutor, call: Call) -> Callable[[], Reply]:
        """Send on `pool` now; the returned function waits for and gives (or raises) the answer."""
        token = self._ready(call)
        future = pool.submit(self._send, call, token)
        return lambda: self._conclude(call, token, future.result())

    def call_many(self, calls: Iterable[Call], *, overlap: int = OVERLAP) -> Iterator[Reply | SyncError]:
        """Answers or errors, in order, with up to `overlap` calls under way; reads ahead of the consumer.

        Waits for a slot only when there is nothing to hand out meanwhile: the consumer's own work fills the wait.
        Errors that concern the whole account (connection, rate limit) are raised instead of given.
        """
        source = iter(calls)
        first = list(islice(source, 2))
        if len(first) < 2:
            yield from (self._given(lambda call=call: self.do(call)) for call in first)  # type: ignore[misc]
            return
        waiting: deque[tuple[Call, str, Future[Raw]]] = deque()
        pool = ThreadPoolExecutor(overlap, thread_name_prefix="api")
        try:
            pending = deque(first)
            while True:
                while len(waiting) < overlap:
                    call = pending.popleft() if pending else next(source, None)
                    if call is None:
                        break
                    token = self._ready_now(call) if waiting else self._ready(call)
                    if token is None:
                        pending.appendleft(call)
                        break
                    waiting.append((call, token, pool.submit(self._send, call, token)))
                if not waiting:
                    return
                call, token, future = waiting.popleft()
                raw = future.result()
                yield self._given(lambda c=call, t=token, r=raw: self._conclude(c, t, r))  # type: ignore[misc]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    def _given(outcome: Callable[[], Reply]) -> Reply | SyncError:
        try:
            return outcome()
        except (AuthenticationFailed, RateLimited):
            raise
        except SyncError as error:
            return error

    def _ready(self, call: Call) -> str:
        """A slot taken and a token at hand; both may wait, on the calling thread."""
        token, key, limit = self._prepared(call)
        budget.wait_and_take(key, limit, n=call.cost, lane=self.lane, patience=PATIENCE[self.lane])
        return self._counted(call, token)

    def _ready_now(self, call: Call) -> str | None:
        """As `_ready`, or None when there is no slot at this moment."""
        token, key, limit = self._prepared(call)
        return self._counted(call, token) if budget.take(key, limit, call.cost, self.lane) else None

    def _prepared(self, call: Call) -> tuple[str, str, budget.Limit]:
        from integrations import tokens  # tokens obtains its tokens through this module's `guard`

        check_path(call.path)
        hold = _HOLD.get(self.system)
        if hold is not None:
            hold(self.account, self.lane)
        key = budget.key_of(self.account, call.bucket)
        return tokens.access_token(self.account), key, budget.limit_of(self.system, call.bucket, key)

    def _counted(self, call: Call, token: str) -> str:
        count(self.system, call.kind or f"{call.method} {call.path}")
        return token

    def _send(self, call: Call, token: str) -> Raw:
        if call.write:
            about_to_send()
        raw = transmit(session_for(self.system, self._origin, not call.write), self._base, call, token)
        self._record(call, raw)
        return raw

    def _conclude(self, call: Call, token: str, raw: Raw) -> Reply:
        """Turn what came back into a reply or an error; repeats what certainly was not executed (401 once, 429)."""
        from integrations import tokens

        refreshed = False
        repeats = 0
        while True:
            self._observe(call, raw)
            if raw.status == 401 and not refreshed and self._refreshable(raw):
                refreshed = True
                tokens.after_unauthorized(self.account, token)
            elif raw.status == 429:
                self._pause_for(call, raw, repeats)
                repeats += 1
            else:
                return self._judge(call, raw)
            token = self._ready(call)
            raw = self._send(call, token)

    def _refreshable(self, raw: Raw) -> bool:
        judge = _REFRESHABLE.get(self.system)
        return judge is None or judge(parsed(raw.body)[0])

    def _pause_for(self, call: Call, raw: Raw, repeats: int) -> None:
        """Pause the budget for everybody; raises `RateLimited` when the wait is too long for this caller."""
        if raw.at < self._paused_at:
            return  # one of several that were under way together: the pause for the first counts for all
        data, _ = parsed(raw.body)
        error = _CLASSIFY[self.system](429, raw.headers, data, "", told_to_wait(raw.headers))
        wait = error.retry_after or 5.0
        budget.pause(budget.key_of(self.account, call.bucket), wait)
        self._paused_at = time.monotonic()
        if repeats >= REPEATS_OF_429 or wait > LONGEST_WAIT[self.lane]:
            raise error
        if budget.limit_of(self.system, call.bucket).unlimited:
            time.sleep(wait)  # without a budget nobody else makes us wait
        logger.info("%s asked to wait %.1f s (%s)", self.system, wait, call.path)

    def _judge(self, call: Call, raw: Raw) -> Reply:
        if raw.failure:
            raise self._unclear(call, raw, raw.failure, executed=raw.connected)
        data, readable = plain(raw.body) if call.plain and raw.status < 300 else parsed(raw.body)
        text = "" if readable and raw.status < 300 else redact(raw.body[:EXCERPT].decode("utf-8", "replace"))
        if 200 <= raw.status < 300:
            if readable or (not raw.body and (raw.status in {202, 204, 205} or call.empty_ok)):
                return Reply(raw.status, data, raw.headers, remote_time(raw.headers), text)
            raise self._unclear(call, raw, f"{raw.status} with an answer that cannot be read: {text[:200]}")
        error = _CLASSIFY[self.system](raw.status, raw.headers, data, text, told_to_wait(raw.headers))
        refused = raw.status in _NOT_EXECUTED or (readable and raw.status < 500 and raw.status != 408)
        # A vendor's own "internal error" may come as a 400, and is then as unclear as a 500.
        fault = isinstance(error, Transient) and raw.status not in _NOT_EXECUTED
        if refused and not (call.write and fault):
            raise self._logged(call, error, raw)
        if call.write or isinstance(error, Transient):
            raise self._unclear(call, raw, error.message, error=error)
        raise self._logged(call, error, raw)

    def _unclear(
        self, call: Call, raw: Raw, text: str, *, executed: bool = True, error: SyncError | None = None
    ) -> SyncError:
        """The error of a call whose end is not clear: `OutcomeUnknown` for a write that may have happened."""
        text = redact(text)
        code = (error.code if error else "") or (f"http_{raw.status}" if raw.status else "network")
        retry_after = error.retry_after if error else None
        unknown = call.write and executed
        kind: type[SyncError] = OutcomeUnknown if unknown else Transient
        if raw.too_large and not unknown:
            kind, code = TooLarge, "body_too_large"
        if not executed:
            code = "connect"
        return self._logged(call, kind(text, code=code, status=raw.status or None, retry_after=retry_after), raw)

    def _logged(self, call: Call, error: SyncError, raw: Raw) -> SyncError:
        """The error with its redacted exchange, which the log of the change keeps."""
        error.context["exchange"] = asdict(exchanged(call, raw)) | {"at": datetime.now(UTC).isoformat()}
        logger.warning(
            "%s %s %s: %s %s %s", self.system, call.method, call.path, error.error_class, error.code, error.message
        )
        return error

    def _observe(self, call: Call, raw: Raw) -> None:
        """Let the vendor's own part of us note what the answer says about its limits."""
        note = _OBSERVE.get(self.system)
        if note is not None and not raw.failure:
            note(self.account, call, raw)

    def _record(self, call: Call, raw: Raw) -> None:
        self.exchanges.append(exchanged(call, raw))
