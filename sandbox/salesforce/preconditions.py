"""Conditional requests: dates for records and describes, ETags for accounts alone, to the second.

Salesforce REST guide, conditional request headers."""

from __future__ import annotations

import hashlib

from . import times
from .call import Answer, Call
from .errors import SfError
from .table import Row


def failed() -> SfError:
    """412: the record is not as the caller thinks."""
    return SfError(
        412,
        "PRECONDITION_FAILED",
        "The request was not executed because one or more of the preconditions that the client specified in the "
        "request headers was not satisfied.",
    )


def etag(row: Row) -> str:
    """Changes with every version of a row."""
    digest = hashlib.sha256(f"{row.id}:{row.stamp}:{sorted(row.values.items(), key=str)}".encode()).hexdigest()[:32]
    return f'"{digest}"'


def headers_of(row: Row) -> dict[str, str]:
    """What a read of a record says about its version."""
    found = {"Last-Modified": times.http_date(row.modified)}
    if row.object == "Account":
        found["ETag"] = etag(row)
    return found


def fresh(call: Call, moment: int) -> Answer | None:
    """304 when nothing changed since the time the caller names."""
    since = _date(call, "If-Modified-Since")
    if since is not None and moment // 1000 * 1000 <= since:
        return Answer(304, None, {"Last-Modified": times.http_date(moment)})
    return None


def reading(call: Call, row: Row) -> Answer | None:
    """304 for a caller whose copy is current; 412 for one who asked for another version."""
    _unmodified(call, row)
    known = call.headers.get("If-None-Match")
    if known is not None and row.object == "Account":
        return Answer(304, None, headers_of(row)) if _names(known, row) else None
    return fresh(call, row.modified)


def writing(call: Call, row: Row) -> None:
    """412 unless the row is the version the caller has seen."""
    _unmodified(call, row)
    known = call.headers.get("If-None-Match")
    if known is not None and row.object == "Account" and _names(known, row):
        raise failed()
    since = _date(call, "If-Modified-Since")
    if since is not None and row.modified <= since:
        raise failed()


def _unmodified(call: Call, row: Row) -> None:
    wanted = call.headers.get("If-Match")
    if wanted is not None and row.object == "Account" and not _names(wanted, row):
        raise failed()
    until = _date(call, "If-Unmodified-Since")
    if until is not None and row.modified > until:
        raise failed()


def _names(header: str, row: Row) -> bool:
    tags = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in tags or any(tag.removesuffix('--gzip"').rstrip('"') == etag(row).rstrip('"') for tag in tags)


def _date(call: Call, name: str) -> int | None:
    text = call.headers.get(name)
    return None if text is None else times.from_http(text)
