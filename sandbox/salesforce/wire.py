"""What goes over the wire besides the resources themselves: paths, versions, headers, faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from werkzeug import Request, Response
from werkzeug.datastructures import Headers

from . import bulk_jobs, limits
from .call import JSON, Answer, Call
from .errors import SfError, not_found
from .identity import NEWEST, OLDEST, RETIRED

UNEXPECTED = (
    "An unexpected error occurred. Please include this ErrorId if you contact support: 1234567890-12345 (-123456789)"
)
HTML = {"Content-Type": "text/html; charset=utf-8"}


def segments(request: Request) -> tuple[str, ...]:
    """The decoded segments of the path; an encoded slash stays inside its segment (external ids hold some)."""
    raw = str(request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.path)
    path = urlsplit(raw).path if raw.startswith("http") else raw.partition("?")[0]
    return tuple(unquote(part) for part in path.split("/") if part)


def version(text: str) -> str:
    """``67.0`` of ``v67.0``; ``latest`` is the newest. 410 for retired versions, 404 for unknown ones."""
    if text == "latest":
        return f"{NEWEST}.0"
    number = text.removeprefix("v").removesuffix(".0")
    if not (text.startswith("v") and text.endswith(".0") and number.isdecimal()):
        raise not_found()
    if int(number) <= RETIRED:
        raise SfError(410, "GONE", "The requested API version is retired")
    if not OLDEST <= int(number) <= NEWEST:
        raise not_found()
    return f"{int(number)}.0"


def headers(request: Request) -> Headers:
    """The request's headers as a collection of their own."""
    return Headers(list(request.headers.items()))


def counted(call: Call, dispatch: Callable[[Call], Answer], *, limited: bool) -> Answer:
    """Carry out a call that counts against the org's daily allowance, which every answer tells. ``limited`` false: an
    exhausted allowance refuses nothing."""
    try:
        try:
            limits.count_call(call.org)
        except SfError:
            if limited:
                raise
        bulk_jobs.advance(call.org)
        answer = dispatch(call)
    except SfError as error:
        answer = Answer(error.status, error.body())
    answer.headers.setdefault(limits.HEADER, limits.header_value(call.org))
    return answer


def expired_session() -> SfError:
    """401: refresh and try again."""
    return SfError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def wrong_session() -> SfError:
    """401 that no refresh will mend."""
    return SfError(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API")


session_faults: dict[str, Callable[[], SfError]] = {"expired": expired_session, "not_for_rest": wrong_session}


def no_such_host() -> Answer:
    """A My Domain nobody has."""
    return Answer(404, "<html><body><h1>404 Not Found</h1></body></html>", HTML)


def fault(status: int, path: str) -> Answer:
    """An injected status in Salesforce's words: its OAuth endpoints answer objects, gateways answer HTML."""
    if "/services/oauth2/" in path and status < 500:
        return Answer(status, {"error": "unknown_error", "error_description": "retry your request"})
    listed = {
        401: expired_session(),
        403: SfError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        429: SfError(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests"),
        423: SfError(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", []),
        500: SfError(500, "UNKNOWN_EXCEPTION", UNEXPECTED),
        503: SfError(503, "SERVER_UNAVAILABLE", "Server too busy"),
    }
    if status in listed:
        return Answer(listed[status].status, listed[status].body())
    return Answer(status, f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>", HTML)


def send(answer: Answer) -> Response:
    """The answer on the wire."""
    response = Response(status=answer.status)
    body = answer.body
    if isinstance(body, str | bytes):
        response.set_data(body)
    elif body is not None:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        response.set_data(text.encode("utf-8", "replace"))  # a refusal may repeat half of a surrogate pair
        response.headers["Content-Type"] = JSON
    else:
        del response.headers["Content-Type"]
    for name, value in answer.headers.items():
        response.headers[name] = value
    return response
