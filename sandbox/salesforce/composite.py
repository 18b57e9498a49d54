"""``/composite``: several calls in one, which counts as a single API call. ``run`` also carries out graphs.

Salesforce REST guide, composite resources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import composite_batch, composite_graph, composite_tree, errors, references
from .call import Answer, Call
from .errors import SfError

PARTS = 25
HEAVY_PARTS = 5
REFERENCE_ID = re.compile(r"[A-Za-z0-9_]+")
FORBIDDEN = frozenset({"accept", "authorization", "content-type"})
HEAVY = re.compile(r"/services/data/v[\d.]+/(query|queryAll|composite/sobjects)(/|\?|$)", re.IGNORECASE)


@dataclass(slots=True)
class Part:
    """One subrequest."""

    method: str
    url: str
    reference: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def needs(self) -> set[str]:
        """The references it takes values from."""
        return references.used(self.url) | references.used(self.body)


class _RolledBack(Exception):
    """A part of an all-or-none call failed."""


def route(call: Call) -> Answer:
    """Answer ``/composite`` and what is below, but collections."""
    match call.parts[1:]:
        case ():
            call.allow("POST")
            return _composite(call)
        case ("graph",):
            call.allow("POST")
            return composite_graph.respond(call, run, parts_of)
        case ("tree", name):
            call.allow("POST")
            return composite_tree.respond(call, call.org.object(name, call.user_id))
        case ("batch",):
            call.allow("POST")
            return composite_batch.respond(call)
    raise errors.not_found()


def _composite(call: Call) -> Answer:
    body = call.json()
    parts = parts_of(body.get("compositeRequest"))
    if len(parts) > PARTS:
        raise _bad("LIMIT_EXCEEDED", f"The Composite API is limited to {PARTS} operations")
    if sum(1 for part in parts if HEAVY.match(part.url)) > HEAVY_PARTS:
        raise _bad("LIMIT_EXCEEDED", f"At most {HEAVY_PARTS} subrequests may be queries or collections")
    results, _ = run(
        call, parts, all_or_none=body.get("allOrNone") is True, collate=body.get("collateSubrequests") is not False
    )
    return Answer(200, {"compositeResponse": results})


def _bad(code: str, message: str) -> SfError:
    return SfError(400, code, message)


def parts_of(listed: Any) -> list[Part]:
    """The subrequests of a body; one bad reference id fails the whole call."""
    if not isinstance(listed, list) or not listed or any(not isinstance(entry, dict) for entry in listed):
        raise errors.bad_json("compositeRequest must be a list of subrequests")
    parts: list[Part] = []
    for entry in listed:
        headers = entry.get("httpHeaders") or {}
        if not isinstance(headers, dict):
            raise errors.bad_json("httpHeaders must be an object")
        part = Part(
            str(entry.get("method", "")).upper(),
            str(entry.get("url", "")),
            str(entry.get("referenceId", "")),
            entry.get("body"),
            {str(name): str(value) for name, value in headers.items()},
        )
        _check(part, {earlier.reference for earlier in parts})
        parts.append(part)
    return parts


def _check(part: Part, earlier: set[str]) -> None:
    if not REFERENCE_ID.fullmatch(part.reference):
        raise _bad("INVALID_INPUT", f"Provided referenceId ({part.reference}) must be letters, digits and underscores")
    if part.reference in earlier:
        raise _bad("INVALID_INPUT", f"Duplicate referenceId provided in the request: {part.reference}")
    if part.method not in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        raise _bad("INVALID_INPUT", f"The method {part.method} is not supported in subrequest {part.reference}")
    if not part.url.startswith("/services/data/v"):
        raise _bad("INVALID_INPUT", f"The url of subrequest {part.reference} must start with /services/data/v")
    forbidden = [name for name in part.headers if name.lower() in FORBIDDEN]
    if forbidden:
        raise _bad("INVALID_INPUT", f"Header {forbidden[0]} is not allowed in a subrequest")
    unknown = part.needs - earlier
    if unknown:
        raise _bad("INVALID_INPUT", f"Invalid reference specified in {part.reference}: {sorted(unknown)[0]}")


def run(
    call: Call, parts: Sequence[Part], *, all_or_none: bool, collate: bool = False
) -> tuple[list[dict[str, Any]], bool]:
    """(results in the order of the request, whether every part went well). With ``all_or_none`` the first failure
    takes everything back and every other part shows PROCESSING_HALTED."""
    answers: dict[str, Any] = {}
    results: dict[str, dict[str, Any]] = {}
    try:
        with call.org.transaction():
            for part in collated(parts) if collate else parts:
                result = results[part.reference] = _one(call, part, answers)
                if result["httpStatusCode"] < 300:
                    answers[part.reference] = result["body"]
                elif all_or_none:
                    raise _RolledBack
    except _RolledBack:
        guilty = next(name for name, result in results.items() if result["httpStatusCode"] >= 300)
        results = {part.reference: halted(part) if part.reference != guilty else results[guilty] for part in parts}
    listed = [results[part.reference] for part in parts]
    return listed, all(result["httpStatusCode"] < 300 for result in listed)


def collated(parts: Sequence[Part]) -> list[Part]:
    """The order in which Salesforce may carry out parts to save work: like ones together, wherever no reference
    stands against it."""
    left, ordered, done = list(parts), [], set[str]()
    while left:
        kind = _kind(next(part for part in left if part.needs <= done))
        together = [part for part in left if _kind(part) == kind and part.needs <= done]
        ordered += together
        done |= {part.reference for part in together}
        left = [part for part in left if part not in together]
    return ordered


def _kind(part: Part) -> tuple[str, str]:
    return part.method, "/".join(part.url.partition("?")[0].split("/")[4:6])


def _one(call: Call, part: Part, answers: dict[str, Any]) -> dict[str, Any]:
    try:
        url, body = references.fill_url(part.url, answers), references.fill(part.body, answers)
    except SfError as error:
        return _result(part, Answer(error.status, error.body()))
    return _result(part, call.within(part.method, url, body, part.headers))


def _result(part: Part, answer: Answer) -> dict[str, Any]:
    headers = {name: value for name, value in answer.headers.items() if name in ("Location", "ETag", "Last-Modified")}
    return {
        "body": answer.body,
        "httpHeaders": headers,
        "httpStatusCode": answer.status,
        "referenceId": part.reference,
    }


def halted(part: Part) -> dict[str, Any]:
    """The result of an innocent part."""
    return _result(part, Answer(400, errors.halted()))
