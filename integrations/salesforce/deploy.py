"""Deploying our fields and permission sets with the token of an administrator, who signed in for this alone.

Salesforce, REST resource `metadata/deployRequest`: a multipart body of deploy options and a zip; the answer names the
deployment, whose status is polled. The invariant: the administrator's token is used by the calls here and by nothing
else; it never reaches the daily connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from django.conf import settings

from integrations.errors import AuthenticationFailed, InvalidData, SyncError, Transient
from integrations.redaction import redact
from integrations.salesforce import ids, soql
from integrations.salesforce.errors import classify
from integrations.sign_in import bearer
from integrations.transport import guard

SYSTEM = "salesforce"
TIMEOUT_SECONDS = 60
OPTIONS = {
    "allowMissingFiles": False,
    "autoUpdatePackage": False,
    "checkOnly": False,
    "ignoreWarnings": False,
    "performRetrieve": False,
    "purgeOnDelete": False,
    "rollbackOnError": True,
    "runTests": [],
    "singlePackage": True,
    "testLevel": "NoTestRun",
}


@dataclass(frozen=True, slots=True)
class DeployStatus:
    """How far a deployment has come. `problems` are (component, problem) of what failed."""

    status: str
    done: bool
    success: bool
    deployed: int
    total: int
    problems: Sequence[tuple[str, str]] = ()


class Administrator:
    """The calls that need an administrator's rights, in one org. Each raises a `SyncError` when it is refused."""

    def __init__(self, api_url: str, token: str) -> None:
        self._base = f"{api_url.rstrip('/')}/services/data/{settings.VENDORS[SYSTEM]['version']}"
        self._headers = bearer(token)

    def deploy(self, archive: bytes) -> str:
        """Start a deployment; gives its id."""
        parts = {
            "json": (None, json.dumps({"deployOptions": OPTIONS}), "application/json"),
            "file": ("package.zip", archive, "application/zip"),
        }
        answer = self._call("POST", "/metadata/deployRequest", files=parts)
        return ids.to18(str(answer.get("id") or ""))

    def status(self, deployment: str) -> DeployStatus:
        """How far it has come, with what failed."""
        answer = self._call("GET", f"/metadata/deployRequest/{ids.to18(deployment)}", params={"includeDetails": "true"})
        return parse_status(answer.get("deployResult"))

    def username(self, user_id: str) -> str:
        """The user name of a user, "" when there is none."""
        rows = self._rows(soql.select(["Username"], "User", where=soql.within("Id", [soql.quoted(ids.to18(user_id))])))
        return str(rows[0].get("Username") or "") if rows else ""

    def assign(self, permission_sets: Sequence[str], user_id: str) -> list[str]:
        """Give the user those permission sets that it lacks; gives the names that are not in the org."""
        user = ids.to18(user_id)
        named = soql.within("Name", [soql.quoted(name) for name in permission_sets])
        found = {
            str(row.get("Name")): ids.to18(str(row.get("Id")))
            for row in self._rows(soql.select(["Id", "Name"], "PermissionSet", where=named))
        }
        theirs = soql.within("AssigneeId", [soql.quoted(user)])
        held = self._rows(soql.select(["PermissionSetId"], "PermissionSetAssignment", where=theirs))
        assigned = {ids.to18(str(row.get("PermissionSetId"))) for row in held}
        for permission_set in found.values():
            if permission_set not in assigned:
                body = {"AssigneeId": user, "PermissionSetId": permission_set}
                self._call("POST", "/sobjects/PermissionSetAssignment", json=body)
        return [name for name in permission_sets if name not in found]

    def _rows(self, query: str) -> list[Mapping[str, Any]]:
        records = self._call("GET", "/query", params={"q": query}).get("records")
        return [row for row in records if isinstance(row, dict)] if isinstance(records, list) else []

    def _call(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        with guard(requests.Session(), system=SYSTEM) as session:
            try:
                reply = session.request(
                    method, self._base + path, headers=self._headers, timeout=TIMEOUT_SECONDS, **options
                )
            except requests.RequestException as error:
                name = type(error).__name__
                raise Transient(f"Salesforce could not be reached ({name})", code="network") from None
        try:
            data = reply.json()
        except ValueError:
            data = None
        if 200 <= reply.status_code < 300 and isinstance(data, dict):
            return data
        raise _refusal(reply, data)


def parse_status(result: Any) -> DeployStatus:
    """A `deployResult`. Raises `InvalidData` for anything else."""
    if not isinstance(result, dict) or not isinstance(result.get("status"), str):
        raise InvalidData("Salesforce's answer about the deployment cannot be read", code="unreadable")
    details = result.get("details")
    failures = details.get("componentFailures") if isinstance(details, dict) else None
    listed = failures if isinstance(failures, list) else [failures] if isinstance(failures, dict) else []
    problems = [
        (_component(entry), redact(str(entry.get("problem") or ""))[:500])
        for entry in listed
        if isinstance(entry, dict)
    ]
    if message := result.get("errorMessage"):
        problems.insert(0, ("", redact(str(message))[:500]))
    return DeployStatus(
        status=result["status"],
        done=result.get("done") is True,
        success=result.get("success") is True,
        deployed=_count(result.get("numberComponentsDeployed")),
        total=_count(result.get("numberComponentsTotal")),
        problems=problems,
    )


def _component(entry: Mapping[str, Any]) -> str:
    """Kind and name: "CustomField Account.Fortnox_Key__c"."""
    name = str(entry.get("fullName") or entry.get("fileName") or "")
    return f"{entry.get('componentType') or ''} {name}".strip()[:200]


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1_000_000 else 0


def _refusal(reply: requests.Response, data: Any) -> SyncError:
    text = redact(reply.text[:500])
    if reply.status_code == 401:
        return AuthenticationFailed("The administrator's sign-in has ended", code="INVALID_SESSION_ID", status=401)
    return classify(reply.status_code, reply.headers, data, text, None)
