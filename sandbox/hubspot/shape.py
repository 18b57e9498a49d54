"""Reading JSON of unknown shape: what does not fit is the 400 of a body that cannot be read, never a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import bad_json

Body = Mapping[str, Any]


def objects(body: Body, name: str) -> list[dict[str, Any]]:
    """A list of objects, empty when absent."""
    found = body.get(name) or []
    if not isinstance(found, list) or any(not isinstance(entry, dict) for entry in found):
        raise bad_json(f"Cannot deserialize value of `{name}`: a list of objects is expected")
    return found


def texts(body: Body, name: str) -> list[str]:
    """A list of names, empty when absent."""
    found = body.get(name) or []
    if not isinstance(found, list) or any(not isinstance(entry, str) for entry in found):
        raise bad_json("Cannot deserialize value of type `java.util.ArrayList<java.lang.String>`")
    return found


def id_of(body: Body, name: str) -> str:
    """The id in an object such as ``{"to": {"id": "5"}}``; empty when it is not there."""
    found = body.get(name) or {}
    if not isinstance(found, dict):
        raise bad_json(f"Cannot deserialize value of `{name}`: an object is expected")
    return str(found.get("id", ""))


def whole(body: Body, name: str, default: int | None = None) -> int:
    """A whole number, also when written as text."""
    value = body.get(name, default)
    if isinstance(value, bool) or not str(value).lstrip("-").isdecimal():
        raise bad_json(f"Cannot deserialize value of type `int` for `{name}`")
    return int(str(value))


def type_ids(body: Body, name: str = "types") -> list[int]:
    """The association type ids of a list of specs."""
    return [whole(spec, "associationTypeId") for spec in objects(body, name)]
