"""Refusals, with the statuses, categories and texts of HubSpot's error guide. Every field but the status and
message is optional in the real service, so each builder gives exactly the fields seen for its case."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

SCOPES_URL = "https://developers.hubspot.com/scopes"
NO_CREDENTIALS = (
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more "
    "details at https://developers.hubspot.com/docs/methods/auth/oauth-overview"
)


class ApiError(Exception):
    """A refusal that becomes an HTTP answer; the correlation id is added when it is sent."""

    def __init__(
        self, status: int, message: str, category: str | None = None, *, headers: Body | None = None, **extra: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})
        self.body: Body = {"status": "error", "message": message, "correlationId": ""}
        self.body.update({key: value for key, value in extra.items() if value is not None})
        if category:
            self.body["category"] = category

    def entry(self, **context: list[str]) -> Body:
        """The same refusal as one entry of a batch answer's ``errors``."""
        body = {key: value for key, value in self.body.items() if key not in ("correlationId", "errors")}
        merged = {**self.body.get("context", {}), **context}
        if merged:
            body["context"] = merged
        return body


@dataclass(frozen=True, slots=True)
class Problem:
    """One property value HubSpot does not accept."""

    name: str
    code: str
    message: str


def invalid(message: str, **extra: Any) -> ApiError:
    """400 VALIDATION_ERROR."""
    return ApiError(400, message, "VALIDATION_ERROR", **extra)


def bad_values(problems: Sequence[Problem], portal_id: int) -> ApiError:
    """Property failures: the list as JSON text inside the message, repeated as ``errors`` in single calls."""
    entries = [
        {
            "isValid": False,
            "message": problem.message,
            "error": problem.code,
            "name": problem.name,
            "localizedErrorMessage": problem.message,
            "portalId": portal_id,
        }
        for problem in problems
    ]
    listed = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
    return invalid(f"Property values were not valid: {listed}", errors=[_detail(problem) for problem in problems])


def missing_values(problems: Sequence[Problem]) -> ApiError:
    """The 2026-09 answer when a rule an administrator set asks for a value that was not sent."""
    return invalid("The property values provided are invalid", errors=[_detail(problem) for problem in problems])


def _detail(problem: Problem) -> Body:
    return {"message": problem.message, "code": problem.code, "context": {"propertyName": [problem.name]}}


def required(kind: str, names: Iterable[str]) -> ApiError:
    """A create without the properties the type always needs."""
    return invalid(
        f"Error creating {kind}. Some required properties were not set.", context={"properties": list(names)}
    )


def not_unique(type_id: str, name: str) -> ApiError:
    """``idProperty`` must have been created with hasUniqueValue; domain, name and hs_object_id never are."""
    return invalid(f"Unable to perform update/upsert by non-unique {type_id} property {name}")


def unknown_record(record_id: str) -> ApiError:
    """404: a number that is nobody's id has no category; something that is no number has one."""
    if record_id.isdecimal():
        return ApiError(404, "resource not found")
    return ApiError(
        404,
        "Object not found.  objectId are usually numeric.",
        "OBJECT_NOT_FOUND",
        context={"id": [record_id]},
    )


def not_found(message: str = "resource not found", **extra: Any) -> ApiError:
    """404 without the record wording."""
    return ApiError(404, message, "OBJECT_NOT_FOUND", **extra)


def conflict(message: str) -> ApiError:
    """409 CONFLICT, as for an e-mail address another contact has."""
    return ApiError(409, message, "CONFLICT")


def exists(message: str, sub_category: str, name: str) -> ApiError:
    """409 for a definition whose name is taken."""
    return ApiError(409, message, "OBJECT_ALREADY_EXISTS", subCategory=sub_category, context={"name": [name]})


def no_credentials() -> ApiError:
    """401 for an absent or unknown token."""
    return ApiError(401, NO_CREDENTIALS, "INVALID_AUTHENTICATION")


def expired(seconds: int, expired_at: str, expired_ms: int) -> ApiError:
    """401 for a token past its thirty minutes."""
    return ApiError(
        401,
        f"The OAuth token used to make this call expired {seconds} second(s) ago.",
        "EXPIRED_AUTHENTICATION",
        context={"expire time": [f"{expired_at} ({expired_ms})"]},
    )


def missing_scopes(scopes: Sequence[str]) -> ApiError:
    """403 naming the granular scopes the call needs."""
    detail = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": list(scopes)},
    }
    return ApiError(
        403,
        "This app hasn't been granted all required scopes to make this call. "
        f"Read more about required scopes here: {SCOPES_URL}.",
        "MISSING_SCOPES",
        errors=[detail],
        links={"scopes": SCOPES_URL},
    )


def bad_json(detail: str, line: int = 1, column: int = 1) -> ApiError:
    """400 without a category: the body could not be read."""
    return ApiError(400, f"Invalid input JSON on line {line}, column {column}: {detail}")
