"""One authorised call as the resource modules see it, and the answer they give."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from .errors import ApiError, bad_json, invalid, missing_scopes
from .kinds import Kind, find
from .portal import Portal
from .store import Source
from .writes import Writer

JSON = "application/json;charset=utf-8"
NEWEST = "2026-09"
HOST = "https://api.hubapi.com"


@dataclass(slots=True)
class Answer:
    """Status, JSON body (None for none) and extra headers."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """A request whose token has been accepted."""

    portal: Portal
    version: str
    method: str
    parts: tuple[str, ...]  # path segments after the version
    path: str  # the whole path, for links
    query: MultiDict[str, str]
    raw: bytes
    scopes: frozenset[str]
    source: Source
    moment: int  # sandbox time, milliseconds
    number: int | None = None  # the journal's number of this request

    def need(self, scopes: Sequence[str]) -> None:
        """403 unless every scope was granted."""
        if not self.scopes.issuperset(scopes):
            raise missing_scopes(scopes)

    def json(self) -> dict[str, Any]:
        """The body as an object."""
        value = self.value()
        if not isinstance(value, dict):
            raise bad_json("Cannot deserialize value from Array value (token `JsonToken.START_ARRAY`)")
        return value

    def value(self) -> Any:
        """The body as any JSON."""
        try:
            return json.loads(self.raw or b"null") if self.raw.strip() else {}
        except json.JSONDecodeError as error:
            raise bad_json(error.msg, error.lineno, error.colno) from None
        except UnicodeDecodeError:
            raise bad_json("Invalid UTF-8") from None

    def inputs(self, limit: int) -> list[dict[str, Any]]:
        """The ``inputs`` of a batch body."""
        found = self.json().get("inputs")
        if not isinstance(found, list) or any(not isinstance(entry, dict) for entry in found):
            raise bad_json("Cannot build BatchInput, some of required attributes are not set [inputs]")
        if len(found) > limit:
            raise invalid(f"The maximum number of inputs supported is {limit}, received {len(found)}")
        return found

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        return self.query.get(name, "").lower() == "true"

    def number_of(self, name: str, default: int, highest: int) -> int:
        """A bounded page size."""
        text = self.query.get(name)
        if text is None or text == "":
            return default
        if not text.isdecimal() or int(text) < 1:
            raise invalid(f"{name} must be a positive number")
        if int(text) > highest:
            raise invalid(f"The limit of {text} exceeds the maximum of {highest}")
        return int(text)

    def names(self, name: str) -> list[str]:
        """A list parameter, comma-joined or repeated."""
        return [part.strip() for text in self.query.getlist(name) for part in text.split(",") if part.strip()]

    def writer(self, kind: Kind) -> Writer:
        """Writes in the name of the calling app; 2026-09 alone obeys the rules an administrator set."""
        return Writer(self.portal, kind, self.source, self.moment, self.version == NEWEST, self.number)


def kind_of(name: str) -> Kind:
    """The object type of a path segment, or the refusal for an unknown one."""
    kind = find(name)
    if kind is None:
        raise ApiError(400, f"Unable to infer object type from: {name}", "VALIDATION_ERROR")
    return kind


def unknown_path() -> ApiError:
    """No such call."""
    return ApiError(404, "resource not found")


def wrong_method() -> ApiError:
    """The path exists, not for this method."""
    return ApiError(405, "HTTP 405 Method Not Allowed")
