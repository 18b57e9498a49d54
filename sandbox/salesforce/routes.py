"""Which module answers which path below ``/services/data/vXX.0``."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from . import sharing
from .call import Answer, Call
from .errors import not_found
from .identity import resources

Route = Callable[[Call], Answer]

_SIMPLE = {
    "sobjects": "rest",
    "query": "query_calls",
    "queryAll": "query_calls",
    "limits": "limits",
    "tooling": "tooling",
    "metadata": "metadata",
}


def find_route(parts: tuple[str, ...]) -> str:
    """The module whose ``route(call)`` answers this path; 404 for one Salesforce does not have."""
    match parts:
        case ("sobjects", _, "updated" | "deleted"):
            return "replication"
        case ("composite", "sobjects", *_):
            return "collections"
        case ("composite", *_):
            return "composite"
        case ("jobs", "ingest", *_):
            return "bulk_ingest"
        case ("jobs", "query", *_):
            return "bulk_query"
        case (first, *_) if first in _SIMPLE:
            return _SIMPLE[first]
    raise not_found()


def dispatch(call: Call) -> Answer:
    """Carry out one call, or one part of a composite call; refusals leave as ``SfError``."""
    if not call.parts:
        call.allow("GET")
        return Answer(200, resources(call.version))
    module = importlib.import_module(f".{find_route(call.parts)}", __package__)
    route: Route = module.route
    sharing.check(call)
    return sharing.strip(call, route(call))
