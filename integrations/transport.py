"""One request over the wire: guarded sessions, bounded time and size, and an answer or a failure, never an exception.

Touches no database, so it may run on any thread. The invariant: what comes back says whether the request can have
been executed at all; everything before the first byte of it counts as "not connected".
"""

from __future__ import annotations

import json as jsonlib
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3
from django.conf import settings

from integrations.errors import TooLarge
from integrations.hosts import GuardedAdapter

MAX_BODY = 20 * 1024 * 1024
CONNECT_SECONDS = 5.0

_sessions: dict[tuple[int, str, str, bool], requests.Session] = {}
_sessions_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Call:
    """One intended call. `write`: must not be repeated, so an unclear end is `OutcomeUnknown`.

    `kind` names the call in counts; `cost` is how many slots of the budget `bucket` it takes; `empty_ok`: a 200
    without a body is an answer. `text` is a body sent as it is (its type among the headers); `plain`: the answer is
    text, not JSON.
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    write: bool = False
    bucket: str = "default"
    cost: int = 1
    kind: str = ""
    empty_ok: bool = False
    text: str | None = None
    plain: bool = False


@dataclass(slots=True)
class Raw:
    """An answer as bytes, or the failure in its place. `connected` is False when nothing can have been executed."""

    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    connected: bool = True
    too_large: bool = False
    ms: int = 0
    at: float = 0.0  # when it was complete, on this machine's steady clock


def guard(session: requests.Session, *, system: str = "", connect_retries: int = 0) -> requests.Session:
    """Make any session safe: allow-listed hosts only, no redirects, no proxies or netrc, bounded time."""
    session.trust_env = False
    session.max_redirects = 0
    for prefix in ("https://", "http://"):
        session.mount(prefix, GuardedAdapter(system=system, connect_retries=connect_retries))
    # `allow_redirects` defaults to True in every verb of requests; asking the hook is the only way to say never.
    session.get_redirect_target = lambda response: None  # type: ignore[method-assign,assignment]
    return session


def session_for(system: str, origin: str, repeatable: bool) -> requests.Session:
    """The process's session for a host; connect failures of repeatable calls are tried twice more."""
    key = (os.getpid(), system, origin, repeatable)
    with _sessions_lock:
        if key not in _sessions:
            _sessions[key] = guard(requests.Session(), system=system, connect_retries=2 if repeatable else 0)
        return _sessions[key]


def _read_body(response: requests.Response, deadline: float) -> bytes:
    """The decoded body. Raises `TooLarge` above the cap and `TimeoutError` when it drips past the deadline."""
    chunks: list[bytes] = []
    size = 0
    while chunk := response.raw.read1(1 << 18, decode_content=True):
        size += len(chunk)
        if size > MAX_BODY:
            raise TooLarge(f"The answer is larger than {MAX_BODY} bytes", code="body_too_large")
        if time.monotonic() > deadline:
            raise TimeoutError("the answer did not end in time")
        chunks.append(chunk)
    return b"".join(chunks)


def _never_connected(error: requests.RequestException) -> bool:
    """Whether the failure came before the first byte was sent (name, TCP or TLS; see `hosts._Guarded`)."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _in_words(error: requests.RequestException) -> str:
    """What went wrong on the network, without the library's object names."""
    if isinstance(error, requests.Timeout):
        return "The connection could not be made in time" if _never_connected(error) else "No answer in time"
    text = str(getattr(error.args[0], "reason", error) if error.args else error)
    return "The connection failed: " + text.rpartition("): ")[2][:200]


def transmit(session: requests.Session, base: str, call: Call, token: str) -> Raw:
    """Send once and read the whole answer. Touches no database, so it may run on any thread."""
    started = time.monotonic()
    raw = Raw()
    headers = {"Accept": "application/json", **(call.headers or {}), "Authorization": f"Bearer {token}"}
    try:
        with session.request(
            call.method,
            base + call.path,
            params=call.params,
            json=call.json,
            data=call.form if call.text is None else call.text.encode(),
            headers=headers,
            timeout=(CONNECT_SECONDS, settings.HTTP_TIMEOUT_SECONDS),
            allow_redirects=False,
            stream=True,
        ) as response:
            raw.status, raw.headers = response.status_code, response.headers
            raw.body = _read_body(response, started + settings.HTTP_TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raw.failure, raw.connected = _in_words(error), not _never_connected(error)
    except TooLarge as error:
        raw.failure, raw.too_large = error.message, True
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raw.failure = f"{type(error).__name__}: {error}"
    raw.at = time.monotonic()
    raw.ms = int((raw.at - started) * 1000)
    return raw


def remote_time(headers: Mapping[str, str]) -> datetime:
    try:
        return parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError):
        return datetime.now(UTC)


def told_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of the `Retry-After` header, in either of its two forms; None when there is none."""
    text = headers.get("Retry-After", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def parsed(body: bytes) -> tuple[Any, bool]:
    """(data, readable): JSON whatever the content type says, because vendors label errors as text or HTML."""
    try:
        return jsonlib.loads(body, parse_float=Decimal, parse_int=int), True
    except (ValueError, RecursionError):
        return None, False


def plain(body: bytes) -> tuple[str, bool]:
    """(text, readable): an answer that is no JSON, in UTF-8."""
    try:
        return body.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        return "", False
