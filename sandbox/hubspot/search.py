"""POST …/search: limits, filters, free text, one sort, offset paging over the search index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .call import Answer, Call
from .errors import bad_json, invalid
from .kinds import Kind
from .matching import compile_groups, compile_query, reader, unknown_property
from .render import Renderer
from .shape import objects, texts
from .store import Record

PAGE = 200
CAP = 10_000
GROUPS, FILTERS, ALL_FILTERS = 5, 6, 18
BODY = 3_000


def search(call: Call, kind: Kind) -> Answer:
    """Find records. Archived ones are never found; what was just written may not be either."""
    if len(call.raw.decode("utf-8", "replace")) > BODY:
        raise invalid(f"The request body exceeds the maximum of {BODY} characters")
    body = call.json()
    limit, after = _paging(body)
    wanted = compile_groups(call.portal, kind, _groups(body))
    query = body.get("query")
    records = list(filter(wanted, call.portal.indexes[kind.type_id].visible()))
    if query:
        records = list(filter(compile_query(kind, str(query)), records))
    _sort(call, kind, records, body)
    shown = records[after : after + limit]
    renderer = Renderer(call.portal, kind, texts(body, "properties"))
    answer: dict[str, Any] = {
        "total": len(records),
        "results": [renderer.read(record) for record in shown],
    }
    if after + len(shown) < len(records) and shown:
        answer["paging"] = {"next": {"after": str(after + len(shown))}}
    return Answer(200, answer)


def _paging(body: Mapping[str, Any]) -> tuple[int, int]:
    limit, after = body.get("limit", 10), body.get("after", 0)
    if after in (None, ""):
        after = 0
    if not str(limit).isdecimal() or not str(after).isdecimal():
        raise invalid("limit and after must be whole numbers")
    limit, after = int(limit), int(after)
    if limit > PAGE:
        raise invalid(f"The requested limit of {limit} exceeds the maximum of {PAGE}")
    if after + limit > CAP:
        raise invalid(f"The search can only page through the first {CAP} results; after {after}, limit {limit}")
    return limit, after


def _groups(body: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """The groups; a top-level ``filters`` list counts as one."""
    groups: list[list[Mapping[str, Any]]] = [[*objects(group, "filters")] for group in objects(body, "filterGroups")]
    if body.get("filters"):
        groups.append([*objects(body, "filters")])
    if len(groups) > GROUPS:
        raise invalid(f"The maximum number of filter groups is {GROUPS}, received {len(groups)}")
    if any(len(group) > FILTERS for group in groups):
        raise invalid(f"The maximum number of filters in a group is {FILTERS}")
    if sum(len(group) for group in groups) > ALL_FILTERS:
        raise invalid(f"The maximum number of filters is {ALL_FILTERS}")
    return [group for group in groups if group]


def _sort(call: Call, kind: Kind, records: list[Record], body: Mapping[str, Any]) -> None:
    """One sort at most; without one the oldest created come first. Records without the value come last."""
    sorts = body.get("sorts") or []
    if not isinstance(sorts, list):
        raise bad_json("Cannot deserialize value of `sorts`: a list is expected")
    if len(sorts) > 1:
        raise invalid("Only one sort is supported")
    name, descending = _sort_key(sorts[0]) if sorts else ("createdate", False)
    definition = call.portal.schema(kind).active.get(name)
    if definition is None:
        raise unknown_property(name)
    read = reader(kind, definition)
    having = [(value, record) for record in records if (value := read(record)) is not None]
    lacking = [record for record in records if read(record) is None] if len(having) < len(records) else []
    having.sort(key=lambda pair: pair[0], reverse=descending)
    records[:] = [record for _, record in having] + lacking


def _sort_key(sort: Any) -> tuple[str, bool]:
    """An object, or the short text form ``-createdate``."""
    if isinstance(sort, str):
        return sort.lstrip("-"), sort.startswith("-")
    if not isinstance(sort, dict) or not sort.get("propertyName"):
        raise bad_json("Cannot build Sort, some of required attributes are not set [propertyName]")
    direction = str(sort.get("direction", "ASCENDING")).upper()
    if direction not in ("ASCENDING", "DESCENDING", "ASC", "DESC"):
        raise bad_json(f'Cannot deserialize value of type `DirectionEnum` from String "{direction}"')
    return str(sort["propertyName"]), direction.startswith("DESC")
