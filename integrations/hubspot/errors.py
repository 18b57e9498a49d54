"""Every way HubSpot says no, mapped onto our error classes by one function; what the codes mean is in `codes.py`.

Every field of an error body is optional; property failures come as `errors[].code`, or only as JSON inside the message,
in batches often the latter. The invariant: an unknown code is never guessed at; it becomes `InvalidData` with `unknown`
in its context.
"""

from __future__ import annotations

import json
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
from integrations.hubspot.codes import CODES

__all__ = ["CODES", "classify", "property_failures"]

# Cases that HubSpot tells apart only by their text. The texts quote values and ids, so a code that is given and known
# counts before them; only a currency is told as any other option.
TEXTS: tuple[tuple[str, str], ...] = (
    (r"current effective currency codes", "CURRENCY"),
    (r"by non-unique .* property", "NON_UNIQUE_KEY"),
    (r"associations are invalid|invalid from object type", "ASSOCIATION_TYPE"),
    (r"invalid input json", "BAD_JSON"),
    (r"missing 'edit associations' permission", "EDIT_ASSOCIATIONS"),
    (r"(?<![\d.,])10,?000(?![\d.,+])", "SEARCH_LIMIT"),
    (r"was not a valid number", "INVALID_NUMBER"),
)

# Seconds to wait when the vendor names none: the window of each policy; a day's quota is asked for again hourly.
_WAITS: Mapping[str, float] = {"TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0, "DAILY": 3600.0}


def property_failures(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """The failing properties of an error body as {code, name, message}: from `errors[]`, else from the message."""
    found = []
    for error in data.get("errors") or []:
        if isinstance(error, Mapping) and error.get("code"):
            context = error.get("context") or {}
            names = context.get("propertyName") or context.get("properties") or [""]
            name = names[0] if isinstance(names, list) and names else names
            found.append(
                {"code": str(error["code"]), "name": str(name or ""), "message": str(error.get("message", ""))}
            )
    if found:
        return found
    _, colon, tail = str(data.get("message") or "").partition("Property values were not valid:")
    if not colon:
        return []
    try:
        listed, _ = json.JSONDecoder().raw_decode(tail.strip())
    except ValueError:
        return []
    return [
        {"code": str(e.get("error", "")), "name": str(e.get("name", "")), "message": str(e.get("message", ""))}
        for e in listed
        if isinstance(e, Mapping)
    ]


def _offending_value(code: str, message: str) -> str:
    """The value that an error text starts with or quotes."""
    patterns = {
        "INVALID_OPTION": r"^(.*?) was not one of",
        "INVALID_LONG": r"^(.*?) was not a valid",
        "INVALID_EMAIL": r"address (.*?) is invalid",
        "CURRENCY": r"^\"(.*?)\" is not",
    }
    found = re.search(patterns[code], message, re.DOTALL) if code in patterns else None
    return found.group(1) if found else ""


def _identify(data: Mapping[str, Any], message: str) -> tuple[str, dict[str, str]]:
    """(code as listed in `CODES` or as the vendor spells it, the first failing property)."""
    failures = property_failures(data)
    first = failures[0] if failures else {"code": "", "name": "", "message": ""}
    text = f"{first['message']} {message}"
    named = next((code for pattern, code in TEXTS if re.search(pattern, text, re.IGNORECASE)), "")
    given = [
        named if named == "CURRENCY" else "",
        str(data.get("subCategory") or ""),
        first["code"],
        named,
        str(data.get("policyName") or ""),
        str(data.get("category") or ""),
    ]
    code = next((code for code in given if code in CODES), "") or next((code for code in given if code), "")
    return code, first


NOTHING_ASSOCIATED = "crm.associations.NO_ASSOCIATIONS_FOUND"


def classify(status: int, headers: Mapping[str, str], data: Any, text: str, told: float | None) -> SyncError:
    """The error of an answer that is not a success, or of one entry of a partial batch result.

    `text` is the (redacted) start of a body that is not JSON; `told` the seconds of a `Retry-After` header.
    """
    body: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    message = str(body.get("message") or "") or text.strip()[:300] or f"HTTP {status}"
    code, failure = _identify(body, message)
    context: dict[str, Any] = {}
    if correlation := body.get("correlationId") or headers.get("x-hubspot-correlation-id"):
        context["correlation_id"] = str(correlation)
    if status == 429:
        wait = told if told is not None else _WAITS.get(code, 10.0)
        return RateLimited(message, code=code or "429", status=status, retry_after=wait, context=context)
    if status in {408, 423, 477} or status >= 500:
        # A lock lasts two seconds; a move between data centres says how long in Retry-After.
        wait_for = told if told is not None else (2.0 if status == 423 else None)
        return Transient(message, code=code or str(status), status=status, retry_after=wait_for, context=context)
    entry = CODES.get(code)
    if entry is None:
        return _unlisted(status, code, failure["message"] or message, failure["name"], context)
    context |= {"cause": entry.cause, "remedy": entry.remedy, "responsible": str(entry.responsible)}
    scopes = [s for e in body.get("errors") or [] for s in _scopes(e)]
    if scopes:
        context["scopes"] = scopes
    return entry.kind(
        failure["message"] or message,
        code=code,
        status=status,
        field=failure["name"],
        value=_offending_value(code, failure["message"] or message),
        retry_after=told if entry.kind is RateLimited else None,
        context=context,
    )


def is_absence(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a partial batch result says that something is not there: a record (reference section 5.1), or
    anything associated (5.4). Every other entry is a failure that says nothing about what is there."""
    return entry.get("category") == "OBJECT_NOT_FOUND" or entry.get("subCategory") == NOTHING_ASSOCIATED


def _scopes(error: Any) -> list[str]:
    context = error.get("context") if isinstance(error, Mapping) else None
    return list((context or {}).get("requiredGranularScopes") or [])


def _unlisted(status: int, code: str, message: str, field: str, context: dict[str, Any]) -> SyncError:
    """The class of an answer whose code is not in the table: by status where that is certain, else data."""
    by_status: dict[int, type[SyncError]] = {
        207: Transient,  # an entry of a read that HubSpot could not carry out
        401: AuthenticationFailed,
        403: PermissionMissing,
        404: Missing,
        409: Conflict,
        410: Missing,
        413: TooLarge,
        414: TooLarge,
    }
    kind = by_status.get(status, Transient if 300 <= status < 400 else InvalidData)
    return kind(message, code=code or str(status), status=status, field=field, context=context | {"unknown": True})
