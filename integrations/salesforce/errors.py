"""Every way Salesforce says no, mapped onto our error classes by one function; what the codes mean is in `codes.py`.

A refusal is an array of `{message, errorCode, fields?}`, in rows of a batch with `statusCode`, at the token endpoint an
object `{error, error_description}`, in bulk results one text, and above 500 often a page of HTML. The invariants: an
unknown code is never guessed at, it becomes `InvalidData` with `unknown` in its context; a message that the customer
wrote (validation rules, triggers) is passed on unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from integrations.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidData,
    Misconfigured,
    Missing,
    PermissionMissing,
    RateLimited,
    SyncError,
    TooLarge,
    Transient,
)
from integrations.salesforce.codes import CODES
from integrations.salesforce.ids import to18
from integrations.salesforce.sign_in_codes import SIGN_IN, TEXTS

__all__ = ["CODES", "SIGN_IN", "TEXTS", "classify", "of_row", "of_text", "refreshable"]

LIMIT_PAUSE = 900.0
"""Seconds to wait when the allowance of calls is used up; Salesforce counts it over 24 hours and names no time."""
LOCK_PAUSE = 5.0
"""Seconds after which a lock that outlasted Salesforce's own ten is tried again."""
BUSY_PAUSE = 30.0

# 401s that a new token would meet again; refreshing on them never ends (seen in jsforce's session handling).
_USELESS_TO_REFRESH = re.compile(
    r"session is not valid for use with the REST API|connected app is not attached to agent", re.IGNORECASE
)
# A missing right on the object shares its code with failing automations, whose texts may quote this one further on.
_NO_RIGHT = r"\Aentity type cannot be (?:inserted|updated|deleted)"
# Cases that Salesforce tells apart only by their text: (its code, pattern, our name for the case).
_CASES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (code, re.compile(pattern, re.IGNORECASE), name)
    for code, pattern, name in (
        ("INVALID_SESSION_ID", _USELESS_TO_REFRESH.pattern, "session_refused"),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", _NO_RIGHT, "object_right"),
        ("INVALID_TYPE_FOR_OPERATION", _NO_RIGHT, "object_right"),
        ("NOT_FOUND", r"external ID field does not exist or is not accessible: (?=\w+__c\b)", "external_id_field"),
        ("INVALID_FIELD", r"foreign key external ID: .* not found", "foreign_key"),
        ("FIELD_INTEGRITY_EXCEPTION", r"problem with this (country|state)|list of valid (countries|states)",
         "country_picklist"),
        ("FIELD_INTEGRITY_EXCEPTION", r"price ?book", "price_book"),
        ("MALFORMED_QUERY", r"external ?id .* specified more than once|duplicate external id", "DUPLICATE_EXTERNAL_ID"),
        ("DUPLICATE_VALUE", r"duplicate external id specified", "DUPLICATE_EXTERNAL_ID"),
    )
)  # fmt: skip
_ID = r"[a-zA-Z0-9]{15}(?:[A-Z0-5]{3})?"
_NAMED = (
    re.compile(r"No such column '([^']{1,80})'"),
    re.compile(r"duplicate value found: (\w{1,80}) duplicates"),
    re.compile(r"not accessible: (\w{1,80})"),
    re.compile(r"not found for field (\w{1,80}) in entity"),
    re.compile(r"Required fields are missing: \[([^\],]{1,80})"),
    re.compile(r"sObject type '([^']{1,80})'"),
)
_VALUES = (
    re.compile(rf"{_NO_RIGHT}: (.*)", re.DOTALL),
    re.compile(r"bad value for restricted picklist field: (.*)", re.DOTALL),
    re.compile(r"data value too large: (.*) \(max length=\d+\)", re.DOTALL),
    re.compile(r"id value of incorrect type: (\S*)"),
    re.compile(r"cross-reference id: (\S*)"),
    re.compile(r"foreign key external ID: (.*) not found", re.IGNORECASE | re.DOTALL),
    re.compile(r"invalid email address: (.*)", re.DOTALL),
    re.compile(r"duplicate external id specified: (.*)", re.IGNORECASE | re.DOTALL),
)
_HOLDER = re.compile(rf"record with id: ({_ID})\b")
_CARET = re.compile(r"\A.*ERROR at Row:\d+:Column:\d+\n", re.DOTALL)


def refreshable(data: Any) -> bool:
    """Whether a 401 may be answered by fetching a new token: not when a new one would be refused in the same way."""
    return not any(_USELESS_TO_REFRESH.search(str(entry.get("message") or "")) for entry in _entries(data))


def _entries(data: Any) -> list[Mapping[str, Any]]:
    """The refusals of a body in any of its shapes; empty when it is none."""
    listed = data if isinstance(data, list) else [data]
    found: list[Mapping[str, Any]] = []
    for entry in listed:
        if not isinstance(entry, Mapping):
            continue
        nested = entry.get("errors")
        if isinstance(nested, list) and nested:
            found += [inner for inner in nested if isinstance(inner, Mapping)]
        elif any(entry.get(key) for key in ("errorCode", "statusCode", "error", "errorMessage", "message")):
            found.append(entry)
    return found


def _code_of(entry: Mapping[str, Any], message: str) -> str:
    given = str(entry.get("errorCode") or entry.get("statusCode") or entry.get("error") or "")
    return next((name for code, pattern, name in _CASES if code == given and pattern.search(message)), given)


def _field_of(entry: Mapping[str, Any], message: str) -> str:
    fields = entry.get("fields")
    if isinstance(fields, Sequence) and not isinstance(fields, str) and fields:
        return str(fields[0])
    return next((found[1] for pattern in _NAMED if (found := pattern.search(message))), "")


def _value_of(message: str) -> str:
    return next((found[1] for pattern in _VALUES if (found := pattern.search(message))), "")


def _matches(entry: Mapping[str, Any], message: str) -> list[str]:
    """The ids of the records that hold the identity: of a duplicate rule's matches, or as the text tells it."""
    if found := _HOLDER.search(message):
        return [to18(found[1])]
    result = entry.get("duplicateResult")
    rules = result.get("matchResults") if isinstance(result, Mapping) else None
    ids = []
    for rule in rules if isinstance(rules, list) else ():
        for match in rule.get("matchRecords") or () if isinstance(rule, Mapping) else ():
            record = match.get("record") if isinstance(match, Mapping) else None
            if isinstance(record, Mapping) and re.fullmatch(_ID, str(record.get("Id") or "")):
                ids.append(to18(str(record["Id"])))
    return list(dict.fromkeys(ids))


def of_row(errors: Any, record: str = "") -> SyncError:
    """The error of one row of a batch, from its `errors`; `record` is the id that was written, "" for a new one."""
    error = classify(
        400, {}, errors if errors else [{"message": "Salesforce refused the row without a reason"}], "", None
    )
    error.record = error.record or record
    return error


def of_text(text: str, record: str = "") -> SyncError:
    """The error of one row of a bulk result: "CODE:message:Field,Field --"."""
    code, _, rest = text.partition(":")
    message, _, names = rest.rpartition(":")
    fields = [name.strip() for name in names.removesuffix("--").split(",") if re.fullmatch(r"\s*\w+\s*", name)]
    listed = bool(message) and names.rstrip().endswith("--")
    entry = {"statusCode": code.strip(), "message": message if listed else rest, "fields": fields if listed else []}
    return of_row([entry], record)


def classify(status: int, headers: Mapping[str, str], data: Any, text: str, told: float | None) -> SyncError:
    """The error of an answer that is not a success, or of one row of a batch.

    `text` is the (redacted) start of a body that is not JSON; `told` the seconds of a `Retry-After` header. A row that
    was refused for several reasons has the code and field of the first, and all messages.
    """
    if status == 300 and isinstance(data, list):
        return _several(data)
    refusals = _entries(data)
    first = refusals[0] if refusals else {}
    messages = [_said(entry) for entry in refusals]
    plain = "" if text.lstrip().startswith("<") else text.strip()[:300]
    message = "\n".join(dict.fromkeys(filter(None, messages))) or plain or f"HTTP {status}"
    code = _code_of(first, messages[0] if messages else message)
    entry = CODES.get(code) or SIGN_IN.get(code)
    if entry is None and first.get("error"):
        entry = next((e for e in TEXTS if re.search(e.message_pattern, message, re.IGNORECASE)), None)
    if entry is None or status >= 500 or status in {408, 429}:
        return _by_status(status, code, message, first, told)
    context: dict[str, Any] = {"cause": entry.cause, "remedy": entry.remedy, "responsible": str(entry.responsible)}
    if matches := _matches(first, message):
        context["matches"] = matches
    value = _value_of(message)
    return entry.kind(
        message,
        code=code,
        status=status,
        field=_field_of(first, message),
        value=value,
        retry_after=_pause(entry.kind, code, told),
        context=context,
    )


def _said(entry: Mapping[str, Any]) -> str:
    """The text of one refusal; a query that it repeats is left out."""
    text = str(
        entry.get("message") or entry.get("error_description") or entry.get("errorMessage") or entry.get("error") or ""
    )
    return _CARET.sub("", text).strip()


def _pause(kind: type[SyncError], code: str, told: float | None) -> float | None:
    if kind is RateLimited:
        return told if told is not None else LIMIT_PAUSE
    return told if told is not None or code != "UNABLE_TO_LOCK_ROW" else LOCK_PAUSE


def _several(data: Sequence[Any]) -> SyncError:
    """300: the key belongs to several records; nothing was written."""
    ids = [to18(found[1]) for url in data if (found := re.search(rf"/({_ID})\Z", str(url)))]
    entry = CODES["several_matches"]
    context = {"cause": entry.cause, "remedy": entry.remedy, "responsible": str(entry.responsible), "matches": ids}
    text = f"Several records carry the key: {', '.join(ids)}"
    return Conflict(text, code="several_matches", status=300, value=", ".join(ids), context=context)


def _by_status(status: int, code: str, message: str, first: Mapping[str, Any], told: float | None) -> SyncError:
    """The class of an answer whose code is not in the table, or that is a fault of the server whatever its code."""
    if status == 429:
        return RateLimited(message, code=code or "429", status=status, retry_after=BUSY_PAUSE if told is None else told)
    if status in {408, 420} or status >= 500:
        return Transient(message, code=code or str(status), status=status, retry_after=told)
    by_status: dict[int, type[SyncError]] = {
        401: AuthenticationFailed,
        403: PermissionMissing,
        404: Missing,
        409: Conflict,
        410: Misconfigured,
        412: Conflict,
        413: TooLarge,
        414: TooLarge,
        431: TooLarge,
    }
    kind = by_status.get(status, Transient if 300 <= status < 400 else InvalidData)
    field = _field_of(first, message)
    return kind(message, code=code or str(status), status=status, field=field, context={"unknown": True})
