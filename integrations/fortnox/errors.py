"""Every way Fortnox says no, mapped onto our error classes by one function; what the codes mean is in `codes.py`.

Keys of the error envelope come in both cases (`Code`/`code`), so they are read without regard to
case. The invariant: an unknown code is never guessed at; it becomes `InvalidData` with `unknown` in its context.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integrations.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidData,
    Missing,
    PermissionMissing,
    RateLimited,
    SyncError,
    TooLarge,
    Transient,
)
from integrations.fortnox.codes import CODES, TEXTS

__all__ = ["CODES", "TEXTS", "classify", "envelope"]


def envelope(data: Any) -> tuple[str, str]:
    """(code, message) of an error body in any of its spellings; ("", "") when it is none."""
    if not isinstance(data, Mapping):
        return "", ""
    inner = next((v for k, v in data.items() if str(k).lower() == "errorinformation"), data)
    if not isinstance(inner, Mapping):
        return "", ""
    lower = {str(k).lower(): v for k, v in inner.items()}
    code = lower.get("code")
    return ("" if code is None else str(code)), str(lower.get("message") or lower.get("error_description") or "")


def _named_field(code: str, message: str) -> str:
    """The field an error text names: "Felaktigt fältnamn (x)"."""
    found = re.search(r"\(([^()]{1,60})\)", message) if code == "2001399" else None
    return found.group(1) if found else ""


def _offending_value(code: str, message: str) -> str:
    """The value an error text quotes in brackets or after a colon."""
    if code in {"2000359", "2000106", "2000108", "2000134", "2000204"}:
        found = re.search(r"\((.{1,200})\)\s*$", message)
        return found.group(1) if found else ""
    return message.partition(":")[2].strip() if code == "2000919" else ""


def classify(status: int, headers: Mapping[str, str], data: Any, text: str, told: float | None) -> SyncError:
    """The error of an answer that is not a success.

    `text` is its (redacted) start, for bodies that are not JSON; `told` the seconds of a `Retry-After` header.
    Fortnox documents none for its 429, whose window is five seconds.
    """
    code, message = envelope(data)
    message = message or text.strip()[:300] or f"HTTP {status}"
    context: dict[str, Any] = {"uid": headers["X-Uid"]} if "X-Uid" in headers else {}
    if status == 429:
        return RateLimited(
            message, code=code or "429", status=status, retry_after=5.0 if told is None else max(1.0, told)
        )
    if status == 401 and not code:
        return AuthenticationFailed(message, code="401", status=status, context=context)
    if status in {408, 500, 502, 503, 504} or status > 504:
        return Transient(message, code=code or str(status), status=status, retry_after=told, context=context)
    entry = CODES.get(code) or next((e for e in TEXTS if re.search(e.message_pattern, message, re.IGNORECASE)), None)
    if entry is None:
        return _unlisted(status, code, message, context)
    context |= {"cause": entry.cause, "remedy": entry.remedy, "responsible": str(entry.responsible)}
    return entry.kind(
        message,
        code=code or "text",
        status=status,
        field=entry.field or _named_field(code, message),
        value=_offending_value(code, message),
        context=context,
    )


def _unlisted(status: int, code: str, message: str, context: dict[str, Any]) -> SyncError:
    """The class of an answer whose code is not in the table: by status where that is certain, else data."""
    by_status: dict[int, type[SyncError]] = {
        401: AuthenticationFailed,
        403: PermissionMissing,
        404: Missing,
        409: Conflict,
        410: Missing,
        413: TooLarge,
        414: TooLarge,
    }
    kind = by_status.get(status, Transient if 300 <= status < 400 else InvalidData)
    return kind(message, code=code or str(status), status=status, context=context | {"unknown": True})
