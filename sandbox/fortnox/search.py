"""Lists: filter, search, sort and page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import errors, times
from .records import Record, natural
from .render import dumps
from .resource import Predicate, Resource, Search
from .tenant import Call

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
PAGING = frozenset({"page", "limit", "offset", "sortby", "sortorder", "filter"})


def contains(field: str, unset: str = "") -> Search:
    """Documented: text matches anywhere and without regard to case."""

    def search(call: Call, value: str) -> Predicate:
        wanted = value.lower()
        return lambda record: wanted in str(record.values.get(field) or unset).lower()

    return search


def is_true(field: str, truth: object = True) -> Search:
    """A boolean parameter."""

    def search(call: Call, value: str) -> Predicate:
        if value.lower() not in ("true", "false", "1", "0"):
            raise errors.bad_parameter()
        wanted = value.lower() in ("true", "1")
        return lambda record: (record.values.get(field) == truth) is wanted

    return search


def on_or_after(field: str) -> Search:
    """Documented: date ranges include both ends."""

    def search(call: Call, value: str) -> Predicate:
        day = times.parse_date(value)
        return lambda record: str(record.values.get(field) or "") >= day

    return search


def on_or_before(field: str) -> Search:
    """The other end of the range; records without a date are outside."""

    def search(call: Call, value: str) -> Predicate:
        day = times.parse_date(value)
        return lambda record: "" < str(record.values.get(field) or "") <= day

    return search


def last_modified(call: Call, value: str) -> Predicate:
    """Created or changed at or after the moment; changes may become visible late (visibility_lag)."""
    matches = times.changed_since(value)
    horizon = call.now - float(call.world.options["visibility_lag"])

    def visible(record: Record) -> bool:
        if record.updated <= horizon:
            return matches(record.updated)
        return record.previous is not None and record.previous <= horizon and matches(record.previous)

    return visible


def external_reference(call: Call, value: str) -> Predicate:
    """ExternalInvoiceReference1 through an index: it is the duplicate check before every create."""
    wanted = value.lower()
    hits = {key for key, reference in call.tenant.reference_index.items() if wanted in reference}
    horizon = call.now - max(call.world.search_lag, float(call.world.options["reference_lag"]))
    return lambda record: record.key in hits and record.created <= horizon


def _number(args: Any, name: str, default: int, low: int) -> int:
    raw = args.get(name)
    if raw is None:
        return default
    try:
        value = int(raw)
    except ValueError:
        raise errors.bad_parameter() from None
    if value < low:
        raise errors.bad_parameter()
    return value


def _predicates(resource: Resource, call: Call) -> list[Predicate]:
    found: list[Predicate] = []
    for name, value in call.args.items():
        if "<" in value or ">" in value:  # documented: not accepted in query values
            raise errors.bad_parameter()
        if name == "filter":
            if value not in resource.filters:
                raise errors.bad_filter()
            found.append(resource.filters[value](call))
        elif name not in PAGING:
            if name not in resource.searches:
                raise errors.bad_parameter()
            found.append(resource.searches[name](call, value))
    return found


def _sorted(resource: Resource, call: Call, records: list[Record]) -> list[Record]:
    order = call.args.get("sortorder", "ascending")
    by = call.args.get("sortby")
    if order not in ("ascending", "descending"):
        raise errors.bad_parameter()
    if resource.ignores_sortorder:
        order = "ascending"
    if by is None and order == "ascending":
        return records
    if by is None:
        return records[::-1]
    if by not in resource.sorts:
        raise errors.bad_parameter()
    field = resource.sorts[by]

    def rank(record: Record) -> Any:
        value = record.values.get(field, resource.unset.get(field))
        if value is None:
            return (0, 0, "")
        if isinstance(value, str):
            return (1, *natural(value.lower()))
        return (1, 0, value, "")

    return sorted(records, key=rank, reverse=order == "descending")


def select(resource: Resource, call: Call, records: Iterable[Record] | None = None) -> list[Record]:
    """All matching records in order; several parameters combine with AND (recorded)."""
    found = call.tenant.tables[resource.name].ordered if records is None else list(records)
    predicates = _predicates(resource, call)
    if len(predicates) == 1:
        only = predicates[0]
        found = [record for record in found if only(record)]
    elif predicates:
        found = [record for record in found if all(test(record) for test in predicates)]
    return _sorted(resource, call, found)


def page(resource: Resource, call: Call, records: list[Record]) -> str:
    """One page as JSON.

    Recorded: an empty result has 0 pages but is page 1; ``offset`` skips records without moving CurrentPage, and
    past the end it empties the counts too. Decision: a page past the end is empty with true counts.
    """
    limit = min(_number(call.args, "limit", DEFAULT_LIMIT, 1), MAX_LIMIT)
    number = _number(call.args, "page", 1, 1)
    offset = _number(call.args, "offset", 0, 0)
    total = len(records)
    if total and offset >= total:
        records, total = [], 0
    start = offset + (number - 1) * limit
    shown = records[start : start + limit]
    meta = {
        "@TotalResources": total,
        "@TotalPages": -(-total // limit),
        "@CurrentPage": number if total else 1,
    }
    rows = ",".join([record.row or resource.row(call.tenant, record) for record in shown])
    return f'{{"MetaInformation":{dumps(meta)},"{resource.plural}":[{rows}]}}'
