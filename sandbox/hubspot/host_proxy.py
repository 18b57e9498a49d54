"""What stands between a card and the app's server: HubSpot's proxy behind ``hubspot.fetch``.

HubSpot: it appends who asks to the address, signs the call (v3, and v2 beside it), follows no redirect, gives up after
fifteen seconds, repeats once after a connection failure or a 5xx, carries at most 1 MB each way and twenty calls at a
time per app and account. Its own answer wraps the app's. Not documented and decided here: the repeat carries the same
signature and timestamp, which is the harder case for the app. The invariant: at most two calls reach the app.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from .portal import Owner
from .webhooks import sign_v3

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WINDOW = 15.0
LIMIT = 1_000_000
IN_FLIGHT = 20
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Caller:
    """The signed-in person and their account; HubSpot knows them from its own session."""

    portal_id: int
    user: Owner


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The proxy's answer: its own status and the envelope around the app's answer."""

    status: int
    body: dict[str, Any]


class Unreachable(Exception):
    """The app could not be reached, or broke the connection."""


class TooSlow(Exception):
    """The window is over."""


class TooBig(Exception):
    """The app's answer is larger than HubSpot carries."""


def signed_headers(method: str, url: str, body: bytes, stamp: str, secret: str) -> dict[str, str]:
    """Both versions of the signature over the address with everything appended."""
    source = secret.encode() + method.encode() + url.encode() + body
    return {
        "X-HubSpot-Signature": hashlib.sha256(source).hexdigest(),
        "X-HubSpot-Signature-Version": "v2",
        "X-HubSpot-Signature-v3": sign_v3(method, url, body, stamp, secret),
        "X-HubSpot-Request-Timestamp": stamp,
    }


def appended(url: str, caller: Caller, app_id: int) -> str:
    """The address with who asks, encoded as a browser would."""
    who = {
        "userId": caller.user.user_id,
        "portalId": caller.portal_id,
        "userEmail": caller.user.email,
        "appId": app_id,
    }
    joiner = "&" if "?" in url else "?"
    return url + joiner + "&".join(f"{name}={quote(str(value), safe='')}" for name, value in who.items())


class Proxy:
    """Carries the calls of one app's cards."""

    def __init__(self, secret: str, app_id: int, now: Callable[[], float], window: float = WINDOW) -> None:
        self._secret = secret
        self._app_id = app_id
        self._now = now
        self.window = window
        self._flying: Counter[int] = Counter()
        self._lock = threading.Lock()

    def fetch(self, caller: Caller, permitted: str, asked: Mapping[str, Any]) -> Wrapped:
        """One ``hubspot.fetch``: ``url``, ``method``, ``body``, ``headers`` and ``timeout`` (ms) as the card gave
        them; ``permitted`` is the origin that the app's project file lists."""
        method, url = str(asked.get("method") or "GET").upper(), str(asked.get("url") or "")
        about = {
            "portalId": caller.portal_id,
            "httpMethod": method,
            "requestUri": url,
            "correlationId": str(uuid.uuid4()),
        }
        headers = asked.get("headers") or {}
        body = _body(method, asked.get("body"))
        if problem := _refusal(method, url, headers, body, permitted):
            return Wrapped(400, _error("VALIDATION_ERROR", problem, about))
        with self._place(caller.portal_id) as free:
            if not free:
                return Wrapped(429, _error("RATE_LIMITS", "Too many concurrent requests", about))
            return self._carry(caller, asked, (method, url, body, dict(headers)), about)

    @contextlib.contextmanager
    def _place(self, portal_id: int) -> Iterator[bool]:
        with self._lock:
            free = self._flying[portal_id] < IN_FLIGHT
            self._flying[portal_id] += free
        try:
            yield free
        finally:
            with self._lock:
                self._flying[portal_id] -= free

    def _carry(
        self, caller: Caller, asked: Mapping[str, Any], call: tuple[str, str, bytes, dict[str, str]], about: Any
    ) -> Wrapped:
        method, url, body, headers = call
        target = appended(url, caller, self._app_id)
        headers |= signed_headers(method, target, body, str(int(self._now() * 1000)), self._secret)
        if body:
            headers["content-type"] = "application/json"
        window = min(self.window, float(asked.get("timeout") or self.window * 1000) / 1000)
        deadline = time.monotonic() + window
        try:
            status, text = _twice(method, target, body, headers, deadline)
        except TooSlow:
            return Wrapped(504, _error("GATEWAY_TIMEOUT", "Gateway took too long to respond", about))
        except TooBig:
            message = f"Response of {url} is larger than {LIMIT} bytes"
            return Wrapped(200, _error("BAD_GATEWAY", "Error returned from Request Uri", about, message))
        except Unreachable as error:
            message = f"Connection failure calling {url}: {error}"
            return Wrapped(200, _error("BAD_GATEWAY", "Error returned from Request Uri", about, message))
        about = {"appServerStatusCode": status, **about}
        if not 200 <= status < 300:
            message = f"Unacceptable HTTP status {status} calling {url}"
            envelope = _error("BAD_GATEWAY", "Error returned from Request Uri", about, message)
            return Wrapped(200, {**envelope, "responseBody": text})
        try:
            return Wrapped(status, {"status": "success", "responseBody": json.loads(text), "context": about})
        except ValueError:
            return Wrapped(400, _error("VALIDATION_ERROR", "Invalid JSON Response Body", about))


def _body(method: str, given: Any) -> bytes:
    """As ``JSON.stringify`` writes it; a GET has none."""
    if method == "GET" or given is None:
        return b""
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode()


def _refusal(method: str, url: str, headers: Mapping[str, str], body: bytes, permitted: str) -> str:
    """Why the call is not made at all; empty when it may be."""
    if len(headers) > 1:
        return "Only 'Authorization' header is allowed"
    if any(name.lower() != "authorization" for name in headers):
        return "Invalid Request Headers provided. Only 'Authorization' header is allowed from hubspot.fetch()"
    if method not in METHODS:
        return f"Method {method} is not supported"
    parts = urlsplit(url)
    if f"{parts.scheme}://{parts.netloc}" != permitted.rstrip("/"):
        return f"{url} is not one of the app's permitted URLs"
    return f"Request body is larger than {LIMIT} bytes" if len(body) > LIMIT else ""


def _error(category: str, message: str, about: Mapping[str, Any], detail: str | None = None) -> dict[str, Any]:
    errors = {"errors": [{"message": detail}]} if detail else {}
    return {"status": "error", "category": category, "message": message, **errors, "context": dict(about)}


def _twice(method: str, url: str, body: bytes, headers: Mapping[str, str], deadline: float) -> tuple[int, str]:
    """The call, and once more after a connection failure or a 5xx, within the same window."""
    try:
        first = _once(method, url, body, headers, deadline)
    except Unreachable:
        return _once(method, url, body, headers, deadline)
    return _once(method, url, body, headers, deadline) if first[0] >= 500 else first


def _once(method: str, url: str, body: bytes, headers: Mapping[str, str], deadline: float) -> tuple[int, str]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_left(deadline))
    try:
        connection.request(method, url[url.index(parts.netloc) + len(parts.netloc) :], body or None, dict(headers))
        answer = connection.getresponse()
        received = b""
        while True:
            if connection.sock is not None:
                connection.sock.settimeout(_left(deadline))
            piece = answer.read1(_CHUNK)
            received += piece
            if len(received) > LIMIT:
                raise TooBig
            if not piece:
                return answer.status, received.decode("utf-8", "replace")
    except TimeoutError as error:
        raise TooSlow from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TooSlow
    return left
