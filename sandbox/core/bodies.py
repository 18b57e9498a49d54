"""Faults that change the JSON body of an answer."""

from __future__ import annotations

import json
from typing import Any

from werkzeug import Response


def _list_name(value: Any) -> str | None:
    """The key of the records in a list answer of any vendor."""
    if isinstance(value, dict):
        for key, content in value.items():
            name = str(key)
            if isinstance(content, list) and (name in ("results", "records") or name[:1].isupper()):
                return name
    return None


def _wrong(value: Any, depth: int = 0) -> Any:
    """Numbers as text, text as lists, true and false as null; keys stay."""
    if isinstance(value, dict):
        return {key: _wrong(content, depth + 1) for key, content in value.items()}
    if isinstance(value, list):
        return [_wrong(content, depth + 1) for content in value]
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return [value]
    return value


def _with_body(response: Response, body: str | bytes) -> Response:
    changed = Response(body, status=response.status_code)
    changed.headers.clear()
    changed.headers.extend(response.headers)
    changed.headers["Content-Length"] = str(len(changed.get_data()))
    return changed


def spoil(kind: str, response: Response) -> Response | None:
    """The response with the fault applied, or None when this fault does not fit it."""
    raw = response.get_data()
    if kind == "malformed_json":
        return _with_body(response, raw[: max(1, len(raw) * 2 // 3)]) if raw[:1] in (b"{", b"[") else None
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    if response.status_code >= 300 or not isinstance(value, dict):
        return None
    if kind == "wrong_types":
        return _with_body(response, json.dumps(_wrong(value)))
    name = _list_name(value)
    if name is None:
        return None
    if kind == "empty_list":
        value[name] = []
    elif value[name]:
        value[name] = value[name][: len(value[name]) // 2]
    else:
        return None
    return _with_body(response, json.dumps(value))
