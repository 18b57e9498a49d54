"""Batches of records: read, create, update, upsert, archive, with HubSpot's mixed results (207).

A batch write is all-or-nothing unless every input carries an objectWriteTraceId: then each entry stands alone
and the failing ones are named by their trace id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import errors, times, values
from .call import Answer, Call, unknown_path
from .errors import ApiError
from .inputs import lookup, make_links, planned_links, properties_of, written
from .kinds import Kind
from .render import Renderer
from .shape import texts
from .store import Record
from .writes import Plan, Writer

SIZE = 100

Input = Mapping[str, Any]
Step = Callable[[], dict[str, Any]]  # applies one planned entry and gives its result


def route(call: Call, kind: Kind, action: str) -> Answer:
    """``…/batch/{action}``."""
    handler = _ACTIONS.get(action)
    if handler is None:
        raise unknown_path()
    call.need(kind.scopes("read" if action == "read" else "write"))
    return handler(call, kind)


def envelope(call: Call, results: list[Any], failures: list[dict[str, Any]] | None = None, status: int = 200) -> Answer:
    """The batch answer; with failures it is a 207."""
    moment = times.iso(call.moment)
    body: dict[str, Any] = {"status": "COMPLETE", "results": results}
    if failures:
        body.update(numErrors=len(failures), errors=failures)
        status = 207
    body.update(startedAt=moment, completedAt=moment)
    return Answer(status, body)


def read(call: Call, kind: Kind) -> Answer:
    """Records by id or unique property; the unknown ones are listed in one error, the order is not kept."""
    body, inputs = call.json(), call.inputs(SIZE)
    id_property = body.get("idProperty")
    archived = call.flag("archived")
    renderer = Renderer(call.portal, kind, texts(body, "properties"), texts(body, "propertiesWithHistory"))
    store = call.portal.store(kind)
    results: dict[int, dict[str, Any]] = {}
    missing: list[str] = []
    for entry in inputs:
        key = _key(entry)
        if id_property and id_property != "hs_object_id":
            record = lookup(call, kind, key, str(id_property))
        else:
            number = int(key) if key.isdecimal() else -1
            record = store.binned(number) if archived else store.live(number)
        if record is None:
            missing.append(key)
        else:
            results[record.id] = renderer.read(record)
    failures = [not_there(kind, missing)] if missing else []
    return envelope(call, list(results.values()), failures)


def not_there(kind: Kind, ids: list[str]) -> dict[str, Any]:
    """The error entry for ids that could not be had."""
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": f"Could not get some {kind.upper} objects, they may be deleted or not exist. "
        "Check that ids are valid.",
        "context": {"ids": ids},
    }


def create(call: Call, kind: Kind) -> Answer:
    """New records, with links."""
    writer = call.writer(kind)

    def prepare(entry: Input) -> Step:
        links = planned_links(call, kind, entry)
        plan = writer.plan(properties_of(entry))

        def step() -> dict[str, Any]:
            record = writer.create(plan)
            make_links(call, kind, record, links)
            return written(call, kind, record, plan)

        return step

    return _write(call, call.inputs(SIZE), prepare, [], 201)


def update(call: Call, kind: Kind) -> Answer:
    """Change records; ids that do not exist are reported beside the results. Merged ids do not work here."""
    writer = call.writer(kind)
    inputs = call.inputs(SIZE)
    _no_duplicates(inputs)
    present: list[tuple[Input, Record]] = []
    missing: list[str] = []
    for entry in inputs:
        record = _target(call, kind, entry)
        if record is None:
            missing.append(_key(entry))
        else:
            present.append((entry, record))
    targets = {id(entry): record for entry, record in present}

    def prepare(entry: Input) -> Step:
        record = targets[id(entry)]
        return _updating(call, writer, record, writer.plan(properties_of(entry), record))

    failures = [not_there(kind, missing)] if missing else []
    return _write(call, [entry for entry, _ in present], prepare, failures, 200)


def upsert(call: Call, kind: Kind) -> Answer:
    """Change the record with this unique value, or create it; every result says which."""
    writer = call.writer(kind)
    inputs = call.inputs(SIZE)
    for entry in inputs:
        name = str(entry.get("idProperty") or "hs_object_id")
        if not call.portal.schema(kind).identifies(name):
            raise errors.not_unique(kind.type_id, name)
    _no_duplicates(inputs)

    def prepare(entry: Input) -> Step:
        name, key = str(entry["idProperty"]), _key(entry)
        if not key:
            raise errors.invalid(f"A value for {name} must be provided")
        record = lookup(call, kind, key, name)
        properties = {name: key, **properties_of(entry)}
        plan = writer.plan(properties, record)
        if record is not None:
            return _updating(call, writer, record, plan, new=False)

        def step() -> dict[str, Any]:
            return {**written(call, kind, writer.create(plan), plan), "new": True}

        return step

    return _write(call, inputs, prepare, [], 200)


def archive(call: Call, kind: Kind) -> Answer:
    """Into the recycle bin; unknown ids are passed over."""
    writer = call.writer(kind)
    for entry in call.inputs(SIZE):
        key = _key(entry)
        record = call.portal.store(kind).live(int(key)) if key.isdecimal() else None
        if record is not None:
            writer.archive(record)
    return Answer(204)


def _updating(call: Call, writer: Writer, record: Record, plan: Plan, new: bool | None = None) -> Step:
    def step() -> dict[str, Any]:
        writer.update(record, plan)
        body = written(call, writer.kind, record, plan)
        if new is not None:
            body["new"] = new
        return body

    return step


def _write(
    call: Call,
    inputs: list[Input] | list[dict[str, Any]],
    prepare: Callable[[Input], Step],
    failures: list[dict[str, Any]],
    status: int,
) -> Answer:
    """Plan everything, then apply: a refusal before the first change leaves the portal as it was."""
    traced = bool(inputs) and all(entry.get("objectWriteTraceId") for entry in inputs)
    steps: list[tuple[str | None, Step]] = []
    for entry in inputs:
        trace = entry.get("objectWriteTraceId")
        try:
            steps.append((str(trace) if trace else None, prepare(entry)))
        except ApiError as error:
            if not traced:
                raise
            failures.append(error.entry(objectWriteTraceId=[str(trace)]))
    results = []
    for trace, step in steps:
        result = step()
        if trace:
            result["objectWriteTraceId"] = trace
        results.append(result)
    return envelope(call, results, failures, status)


def _target(call: Call, kind: Kind, entry: Input) -> Record | None:
    key, id_property = _key(entry), entry.get("idProperty")
    if id_property and id_property != "hs_object_id":
        return lookup(call, kind, key, str(id_property))
    record = call.portal.store(kind).records.get(int(key)) if key.isdecimal() else None
    return None if record is None or record.archived is not None else record


def _key(entry: Input) -> str:
    return values.text(entry.get("id"))


def _no_duplicates(inputs: list[dict[str, Any]]) -> None:
    seen: set[tuple[str, str]] = set()
    twice: list[str] = []
    for entry in inputs:
        key = (str(entry.get("idProperty") or ""), _key(entry))
        if key in seen:
            twice.append(key[1])
        seen.add(key)
    if twice:
        raise errors.invalid(f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique")


_ACTIONS: dict[str, Callable[[Call, Kind], Answer]] = {
    "read": read,
    "create": create,
    "update": update,
    "upsert": upsert,
    "archive": archive,
}
