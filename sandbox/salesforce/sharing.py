"""Records that sharing keeps from a user: absent from reads and queries, without any error.

Arranged by the policy ``hidden_records``; orgs without it pay nothing."""

from __future__ import annotations

from typing import Any

from .call import Answer, Call
from .errors import not_found


def check(call: Call) -> None:
    """404 for one record that the user may not see."""
    match call.parts:
        case ("sobjects", _, record_id, *_) if _hidden(call, record_id):
            raise not_found()


def strip(call: Call, answer: Answer) -> Answer:
    """A query's or retrieval's answer without the records the user may not see."""
    if call.parts[:2] == ("composite", "sobjects") and isinstance(answer.body, list):
        answer.body = [None if entry and _hidden(call, _id(entry)) else entry for entry in answer.body]
        return answer
    if call.parts[:1] not in (("query",), ("queryAll",)) or not isinstance(answer.body, dict):
        return answer
    records: list[dict[str, Any]] = answer.body.get("records") or []
    seen = [entry for entry in records if not _hidden(call, _id(entry))]
    if len(seen) < len(records):
        total = answer.body["totalSize"] - (len(records) - len(seen))
        answer.body = {**answer.body, "records": seen, "totalSize": total}
    return answer


def _id(entry: dict[str, Any]) -> str:
    return str((entry.get("attributes") or {}).get("url", "")).rpartition("/")[2]


def _hidden(call: Call, record_id: str) -> bool:
    return call.tenant is not None and call.tenant.hides(call.user_id, record_id)
