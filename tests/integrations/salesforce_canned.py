"""A Salesforce org of canned answers, for what a sandbox would never say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import responses

from integrations.models import ConnectedAccount
from tests.integrations.clients import connected

API = "https://nordkraft.my.salesforce.com"
BASE = f"{API}/services/data/v67.0"
ORG = "00DFx00000AbCdEMAV"
DATE = {"Date": "Sat, 21 Nov 2026 10:00:00 GMT"}
ALWAYS = ("Id", "Name", "SystemModstamp", "IsDeleted")
TYPES = {"Id": "id", "SystemModstamp": "datetime", "IsDeleted": "boolean", "Amount": "currency"}


def org(**fields: Any) -> ConnectedAccount:
    """A connected account whose answers are registered by the test."""
    given = {"api_url": API, "remote_id": ORG, "details": {"currency": "SEK"}, **fields}
    return connected("salesforce", **given)


def field(name: str, **more: Any) -> dict[str, Any]:
    """One field of a describe; text unless the name is a known one of another type."""
    row = {
        "name": name, "label": name, "type": TYPES.get(name, "string"), "length": 255, "filterable": True,
        "nillable": True, "createable": True, "updateable": True, "referenceTo": [], "nameField": name == "Name",
    }  # fmt: skip
    return row | more


def describes(remote: str, *fields: str | Mapping[str, Any], children: Any = ()) -> responses.BaseResponse:
    """The org describes an object with these fields beside those that every object has."""
    rows = [field(name) for name in ALWAYS]
    rows += [field(entry) if isinstance(entry, str) else dict(entry) for entry in fields]
    body = {"name": remote, "label": remote, "fields": rows, "childRelationships": list(children)}
    return responses.add("GET", f"{BASE}/sobjects/{remote}/describe", json=body)


def answers(*rows: Mapping[str, Any], path: str = "query", following: str = "", **more: Any) -> None:
    """The next query is answered with these rows; `following` is the path of another page."""
    body: dict[str, Any] = {"totalSize": len(rows), "done": not following, "records": list(rows)}
    if following:
        body["nextRecordsUrl"] = following
    responses.add("GET", re.compile(re.escape(f"{BASE}/{path}/") + r"(\?.*)?\Z"), json=body | more, headers=DATE)


def refuses(code: str, message: str, *, status: int = 400, path: str = "query/") -> None:
    """The next call to a path is refused in Salesforce's words."""
    body = [{"errorCode": code, "message": message}]
    responses.add("GET", re.compile(re.escape(f"{BASE}/{path}")), json=body, status=status, headers=DATE)


def row(number: int, remote: str = "Account", **values: Any) -> dict[str, Any]:
    """A row of a query, with an id of its own."""
    from integrations.salesforce.ids import to18

    key = to18(f"001Fx0000{number:06}")
    stamp = f"2026-11-20T14:{number // 60 % 60:02}:{number % 60:02}.000+0000"
    always = {"Id": key, "Name": f"Kund {number}", "SystemModstamp": stamp}
    return {"attributes": {"type": remote, "url": f"/services/data/v67.0/sobjects/{remote}/{key}"}} | always | values
