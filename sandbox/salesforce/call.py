"""One authorised REST call as the resource modules see it, and the answer they give."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from werkzeug.datastructures import Headers, MultiDict

from .errors import SfError, bad_json, not_found, wrong_method

if TYPE_CHECKING:
    from .org import Org
    from .tenant import Tenant

JSON = "application/json;charset=UTF-8"


@dataclass(slots=True)
class Answer:
    """Status, body and extra headers. The body is None for none, text or bytes (CSV, with a ``Content-Type`` among the
    headers), or anything JSON can hold."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """A request whose token has been accepted."""

    org: Org
    user_id: str  # 18 characters
    version: str  # such as "67.0"
    method: str
    parts: tuple[str, ...]  # decoded path segments after /services/data/vXX.0/
    query: MultiDict[str, str]
    raw: bytes
    headers: Headers
    moment: int  # sandbox time, milliseconds since the epoch
    number: int | None = None  # the journal's number of this request
    dispatch: Callable[[Call], Answer] | None = None  # how the parts of a composite call are carried out
    base: str = ""  # the org's own host, without a slash at the end
    tenant: Tenant | None = None  # the org's app and people; None in tests of the resources alone

    @property
    def data(self) -> str:
        """The path under which this version's resources are: ``/services/data/v67.0``."""
        return f"/services/data/v{self.version}"

    def value(self) -> Any:
        """The body as any JSON; an empty one is an empty object. 400 JSON_PARSER_ERROR when it is none."""
        if not self.raw.strip():
            return {}
        try:
            return json.loads(self.raw)
        except json.JSONDecodeError as error:
            raise bad_json(error.msg, error.lineno, error.colno) from None
        except UnicodeDecodeError:
            raise bad_json("Invalid UTF-8 start byte") from None

    def json(self) -> dict[str, Any]:
        """The body as an object."""
        value = self.value()
        if not isinstance(value, dict):
            raise bad_json("Cannot deserialize instance of object")
        return value

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        return self.query.get(name, "").lower() == "true"

    def allow(self, *methods: str) -> None:
        """405 METHOD_NOT_ALLOWED unless the method is one of these."""
        if self.method not in methods:
            raise wrong_method(self.method, methods)

    def within(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Carry out one part of a composite call: ``url`` begins with ``/services/data/vNN.0/``. The answer of a
        refused part has the status and body the refusal would have had alone."""
        path, _, query = url.partition("?")
        segments = [unquote(part) for part in path.split("/") if part]
        if segments[:2] != ["services", "data"] or len(segments) < 3 or self.dispatch is None:
            return Answer(404, not_found().body())
        raw = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        inner = replace(
            self,
            version=segments[2].removeprefix("v"),
            method=method.upper(),
            parts=tuple(segments[3:]),
            query=MultiDict(parse_qsl(query, keep_blank_values=True)),
            raw=raw,
            headers=Headers(dict(headers or {})),
        )
        try:
            return self.dispatch(inner)
        except SfError as error:
            return Answer(error.status, error.body())
