"""``/composite/batch``: up to 25 independent calls with addresses relative to ``/services/data``."""

from __future__ import annotations

from typing import Any

from . import errors
from .call import Answer, Call
from .errors import SfError

LIMIT = 25
HALTED = [{"errorCode": "BATCH_PROCESSING_HALTED", "message": "Batch processing halted per request"}]


def respond(call: Call) -> Answer:
    """One result per request; with haltOnError those after a failure are not tried (412)."""
    body = call.json()
    listed = body.get("batchRequests")
    if not isinstance(listed, list) or not listed or any(not isinstance(entry, dict) for entry in listed):
        raise errors.bad_json("batchRequests must be a list of requests")
    if len(listed) > LIMIT:
        raise SfError(400, "LIMIT_EXCEEDED", f"The batch API is limited to {LIMIT} requests")
    results: list[dict[str, Any]] = []
    failed = False
    for entry in listed:
        if failed and body.get("haltOnError") is True:
            results.append({"statusCode": 412, "result": HALTED})
            continue
        url = "/services/data/" + str(entry.get("url", "")).lstrip("/")
        answer = call.within(str(entry.get("method", "GET")), url, entry.get("richInput"))
        failed = failed or answer.status >= 400
        results.append({"statusCode": answer.status, "result": answer.body})
    return Answer(200, {"hasErrors": failed, "results": results})
