"""Deployments over REST: ``metadata/deployRequest``.

Metadata API guide: a deployment is queued, then carried out; the caller asks for its state until ``done``. With
``rollbackOnError`` one failure undoes everything. It needs the right to modify metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .call import Answer, Call
from .errors import SfError, not_found
from .held import PerOrg
from .ids import full
from .metadata_apply import apply, ordered
from .metadata_checks import Checker
from .metadata_zip import Component, Package, Problem, read_package, read_request
from .org import Org

PENDING, RUNNING, CANCELING, CANCELED = "Pending", "InProgress", "Canceling", "Canceled"
DEFAULTS = {
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


@dataclass(slots=True)
class Deployment:
    """One deployment and how far it is."""

    id: str
    options: dict[str, Any]
    package: Package
    user_id: str
    status: str = PENDING
    started: int = 0
    completed: int = 0
    failures: list[Problem] = field(default_factory=list)
    successes: list[tuple[Component, bool]] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether nothing more will happen."""
        return self.status not in (PENDING, RUNNING, CANCELING)


_DEPLOYMENTS: PerOrg[dict[str, Deployment]] = PerOrg(dict)


def route(call: Call) -> Answer:
    """Answer ``metadata/deployRequest[/{id}]``."""
    if call.parts[1:2] != ("deployRequest",) or len(call.parts) > 3:
        raise not_found()
    _need_right(call)
    if len(call.parts) == 2:
        call.allow("POST")
        return _begin(call)
    deployment = _DEPLOYMENTS.of(call.org).get(full(call.parts[2]) or "")
    if deployment is None:
        raise SfError(404, "NOT_FOUND", "The requested resource does not exist")
    call.allow("GET", "PATCH", "POST")
    if call.method == "PATCH":
        return _cancel(call, deployment)
    if call.method == "POST":
        raise SfError(400, "INVALID_ID_FIELD", "Quick deploy needs a recent validation with tests")
    _advance(call.org, deployment)
    return Answer(200, _shown(call, deployment))


def _need_right(call: Call) -> None:
    if call.tenant is not None and not call.tenant.may_deploy(call.user_id):
        raise SfError(
            403,
            "INSUFFICIENT_ACCESS",
            "use of the Metadata API requires a user with the ModifyAllData or ModifyMetadata permissions",
        )


def _begin(call: Call) -> Answer:
    wanted, archive = read_request(call)
    unknown = set(wanted) - set(DEFAULTS) - {"runAllTests"}
    if unknown:
        raise SfError(400, "JSON_PARSER_ERROR", f"Unrecognized field '{min(unknown)}' at [line:1, column:1]")
    options = {**DEFAULTS, **wanted}
    deployment = Deployment(call.org.ids.new("0Af"), options, read_package(archive), call.user_id)
    _DEPLOYMENTS.of(call.org)[deployment.id] = deployment
    result = {"id": deployment.id, "status": PENDING, "done": False, "success": False}
    body = {"id": deployment.id, "validatedDeployRequestId": None, "deployOptions": options, "deployResult": result}
    return Answer(201, body)


def _cancel(call: Call, deployment: Deployment) -> Answer:
    wanted = call.json().get("deployResult")
    if not isinstance(wanted, dict) or wanted.get("status") != CANCELING:
        raise SfError(400, "INVALID_FIELD", "Only the status Canceling can be set")
    if not deployment.done:
        deployment.status = CANCELING
    return Answer(202, _shown(call, deployment))


def _advance(org: Org, deployment: Deployment) -> None:
    """Every question finds the deployment one step further."""
    if deployment.status == PENDING:
        deployment.status, deployment.started = RUNNING, org.now_ms()
    elif deployment.status == CANCELING:
        deployment.status, deployment.completed = CANCELED, org.now_ms()
    elif deployment.status == RUNNING:
        _carry_out(org, deployment)
        deployment.completed = org.now_ms()


def _carry_out(org: Org, deployment: Deployment) -> None:
    components, options = ordered(deployment.package.components), deployment.options
    checker = Checker(org, components)
    deployment.failures = [problem for problem in deployment.package.problems if not problem.warning]
    good: list[Component] = []
    for entry in components:
        found = checker.problems(entry)
        deployment.failures += [Problem(entry.type, entry.name, entry.file, text, entry.line) for text in found]
        if not found:
            good.append(entry)
    whole = not deployment.failures
    if options["checkOnly"] or (options["rollbackOnError"] and not whole):
        deployment.successes = [(entry, False) for entry in good]
    else:
        deployment.successes = [(entry, apply(org, entry)) for entry in good]
    deployment.status = "Succeeded" if whole else "Failed"
    if not whole and good and not options["rollbackOnError"] and not options["checkOnly"]:
        deployment.status = "SucceededPartial"


def _shown(call: Call, deployment: Deployment) -> dict[str, Any]:
    errors, finished = len(deployment.failures), deployment.done and deployment.status != CANCELED
    total = len(deployment.package.components)
    result: dict[str, Any] = {
        "id": deployment.id,
        "status": deployment.status,
        "done": deployment.done,
        "success": deployment.status in ("Succeeded", "SucceededPartial"),
        "checkOnly": deployment.options["checkOnly"],
        "rollbackOnError": deployment.options["rollbackOnError"],
        "ignoreWarnings": deployment.options["ignoreWarnings"],
        "createdBy": deployment.user_id,
        "numberComponentsTotal": max(total, errors),
        "numberComponentsDeployed": len(deployment.successes) if finished else 0,
        "numberComponentErrors": errors,
        "numberTestsTotal": 0,
        "numberTestsCompleted": 0,
        "numberTestErrors": 0,
    }
    if deployment.started:
        result["startDate"] = _moment(deployment.started)
    if deployment.completed:
        result["completedDate"] = _moment(deployment.completed)
    if call.flag("includeDetails") and finished:
        result["details"] = _details(deployment)
    url = f"{call.base}{call.data}/metadata/deployRequest/{deployment.id}"
    return {"id": deployment.id, "url": url + ("?includeDetails=true" if call.flag("includeDetails") else ""),
            "deployResult": result}  # fmt: skip


def _details(deployment: Deployment) -> dict[str, Any]:
    return {
        "componentFailures": [
            {
                "componentType": entry.type,
                "fullName": entry.name,
                "fileName": entry.file,
                "problem": entry.text,
                "problemType": "Error",
                "lineNumber": entry.line,
                "columnNumber": 13,
                "success": False,
                "changed": False,
                "created": False,
                "deleted": False,
            }
            for entry in deployment.failures
        ],
        "componentSuccesses": [
            {
                "componentType": entry.type,
                "fullName": entry.name,
                "fileName": entry.file,
                "success": True,
                "changed": not created,
                "created": created,
                "deleted": False,
            }
            for entry, created in deployment.successes
        ],
        "runTestResult": {"numTestsRun": 0, "numFailures": 0},
    }


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
