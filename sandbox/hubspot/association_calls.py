"""The associations interface: single links, link lists, batches, labels. Ids of linked records are JSON numbers,
as live answers have them, while ``from`` and ``to`` objects carry them as strings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import errors
from .batch import envelope
from .call import Answer, Call, kind_of, unknown_path, wrong_method
from .errors import ApiError
from .kinds import Kind
from .labels import checked, create_label, delete_label, labels, permit, spec_json
from .shape import id_of, objects, type_ids

PAGE = 500
READ_SIZE, WRITE_SIZE = 1000, 2000

Body = dict[str, Any]


def route_record(call: Call) -> Answer:
    """``/crm/objects/{version}/{from}/{id}/associations/…``."""
    kind = kind_of(call.parts[0])
    record_id = call.parts[1]
    match (call.method, *call.parts[3:]):
        case "GET", other:
            return listing(call, kind, record_id, kind_of(other))
        case "PUT", "default", other, to_id:
            return connect(call, kind, record_id, kind_of(other), to_id)
        case "PUT", other, to_id:
            return label(call, kind, record_id, kind_of(other), to_id)
        case "DELETE", other, to_id:
            return disconnect(call, kind, record_id, kind_of(other), to_id)
        case _, *rest if len(rest) in (1, 2):
            raise wrong_method()
    raise unknown_path()


def route(call: Call) -> Answer:
    """``/crm/associations/{version}/{from}/{to}/…``."""
    if len(call.parts) < 3:
        raise unknown_path()
    kind, other = kind_of(call.parts[0]), kind_of(call.parts[1])
    handler = _CALLS.get((call.method, *call.parts[2:]))
    if handler is not None:
        return handler(call, kind, other)
    match (call.method, *call.parts[2:]):
        case "DELETE", "labels", type_id:
            return delete_label(call, kind, other, type_id)
    raise unknown_path()


def listing(call: Call, kind: Kind, record_id: str, other: Kind) -> Answer:
    """What one record is linked with; an empty list when with nothing."""
    permit(call, kind, other, "read")
    from_id = _existing(call, kind, record_id)
    limit = call.number_of("limit", PAGE, PAGE)
    targets, cursor = _page(call, kind, from_id, other, call.query.get("after"), limit)
    body: Body = {"results": targets}
    if cursor:
        body["paging"] = {"next": {"after": cursor}}
    return Answer(200, body)


def _page(
    call: Call, kind: Kind, from_id: int, other: Kind, after: str | None, limit: int
) -> tuple[list[Body], str | None]:
    known = call.portal.links.types.get((kind.type_id, other.type_id), {})
    store = call.portal.store(other)
    linked = call.portal.links.targets(kind.type_id, from_id, other.type_id)
    start = int(after) if after and after.isdecimal() else 0
    ids = sorted(target for target in linked if target > start and store.live(target))
    shown = [
        {"toObjectId": target, "associationTypes": [spec_json(known[type_id]) for type_id in linked[target]]}
        for target in ids[:limit]
    ]
    return shown, str(ids[limit - 1]) if len(ids) > limit else None


def connect(call: Call, kind: Kind, record_id: str, other: Kind, to_record: str) -> Answer:
    """The default, unlabelled link."""
    permit(call, kind, other, "write")
    from_id, to_id = _existing(call, kind, record_id), _existing(call, other, to_record)
    with checked():
        call.portal.links.connect(kind.type_id, from_id, other.type_id, to_id)
    return envelope(call, _default_results(call, kind, from_id, other, to_id))


def _default_results(call: Call, kind: Kind, from_id: int, other: Kind, to_id: int) -> list[Body]:
    forth = call.portal.links.unlabelled(kind.type_id, other.type_id)
    return [
        _default_result(from_id, to_id, forth.type_id),
        _default_result(to_id, from_id, forth.inverse),
    ]


def _default_result(from_id: int, to_id: int, type_id: int) -> Body:
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
    return {"from": {"id": str(from_id)}, "to": {"id": str(to_id)}, "associationSpec": spec}


def label(call: Call, kind: Kind, record_id: str, other: Kind, to_record: str) -> Answer:
    """Set the labels of a link, replacing those it had."""
    permit(call, kind, other, "write")
    specs = call.value()
    if not isinstance(specs, list):
        raise errors.bad_json("Cannot deserialize value of type `java.util.ArrayList<AssociationSpec>`")
    from_id, to_id = _existing(call, kind, record_id), _existing(call, other, to_record)
    return Answer(201, _label(call, kind, from_id, other, to_id, specs))


def _label(call: Call, kind: Kind, from_id: int, other: Kind, to_id: int, specs: list[Body]) -> Body:
    links = call.portal.links
    with checked():
        set_ids = links.label(kind.type_id, from_id, other.type_id, to_id, type_ids({"types": specs}))
    known = links.types[kind.type_id, other.type_id]
    return {
        "fromObjectTypeId": kind.type_id,
        "fromObjectId": from_id,
        "toObjectTypeId": other.type_id,
        "toObjectId": to_id,
        "labels": [known[i].label for i in set_ids if known[i].label],
    }


def disconnect(call: Call, kind: Kind, record_id: str, other: Kind, to_record: str) -> Answer:
    """Remove every type between two records."""
    permit(call, kind, other, "write")
    if record_id.isdecimal() and to_record.isdecimal():
        call.portal.links.disconnect(kind.type_id, int(record_id), other.type_id, int(to_record))
    return Answer(204)


def batch_read(call: Call, kind: Kind, other: Kind) -> Answer:
    """Links of many records. A record with none is absent from the results and named in an error: a 207."""
    permit(call, kind, other, "read")
    results: list[Body] = []
    failures: list[Body] = []
    for entry in call.inputs(READ_SIZE):
        key = str(entry.get("id", ""))
        from_id = int(key) if key.isdecimal() else -1
        shown, cursor = _page(call, kind, from_id, other, entry.get("after"), PAGE)
        if not shown:
            failures.append(_nothing(kind, key, other))
            continue
        result: Body = {"from": {"id": key}, "to": shown}
        if cursor:
            result["paging"] = {"next": {"after": cursor}}
        results.append(result)
    return envelope(call, results, failures)


def _nothing(kind: Kind, key: str, other: Kind) -> Body:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {other.singular} is associated with {kind.singular} {key}.",
        "context": {
            "fromObjectId": [key],
            "fromObjectType": [kind.singular],
            "toObjectType": [other.singular],
        },
    }


def batch_create(call: Call, kind: Kind, other: Kind) -> Answer:
    """Labelled links; each pair stands alone."""

    def one(entry: Body, from_id: int, to_id: int) -> list[Body]:
        return [_label(call, kind, from_id, other, to_id, objects(entry, "types"))]

    return _pairwise(call, kind, other, one, 201)


def batch_default(call: Call, kind: Kind, other: Kind) -> Answer:
    """Unlabelled links."""

    def one(_entry: Body, from_id: int, to_id: int) -> list[Body]:
        with checked():
            call.portal.links.connect(kind.type_id, from_id, other.type_id, to_id)
        return _default_results(call, kind, from_id, other, to_id)

    return _pairwise(call, kind, other, one, 200)


def _pairwise(call: Call, kind: Kind, other: Kind, one: Callable[[Body, int, int], list[Body]], status: int) -> Answer:
    permit(call, kind, other, "write")
    results: list[Body] = []
    failures: list[Body] = []
    for entry in call.inputs(WRITE_SIZE):
        ends = [id_of(entry, end) for end in ("from", "to")]
        try:
            results += one(entry, _existing(call, kind, ends[0]), _existing(call, other, ends[1]))
        except ApiError as error:
            failures.append(error.entry(fromObjectId=[ends[0]], toObjectId=[ends[1]]))
    return envelope(call, results, failures, status)


def batch_archive(call: Call, kind: Kind, other: Kind) -> Answer:
    """Remove links, all types."""
    permit(call, kind, other, "write")
    for entry in call.inputs(WRITE_SIZE):
        from_id = id_of(entry, "from")
        for target in objects(entry, "to"):
            to_id = str(target.get("id", ""))
            if from_id.isdecimal() and to_id.isdecimal():
                call.portal.links.disconnect(kind.type_id, int(from_id), other.type_id, int(to_id))
    return Answer(204)


def batch_unlabel(call: Call, kind: Kind, other: Kind) -> Answer:
    """Remove some labels; removing the unlabelled type removes the link."""
    permit(call, kind, other, "write")
    for entry in call.inputs(WRITE_SIZE):
        pair = [id_of(entry, end) for end in ("from", "to")]
        if all(text.isdecimal() for text in pair):
            gone = type_ids(entry)
            with checked():
                call.portal.links.unlabel(kind.type_id, int(pair[0]), other.type_id, int(pair[1]), gone)
    return Answer(204)


def _existing(call: Call, kind: Kind, record_id: str) -> int:
    record = call.portal.store(kind).live(int(record_id)) if record_id.isdecimal() else None
    if record is None:
        raise errors.not_found(f"{kind.singular} {record_id} does not exist", context={"id": [record_id]})
    return record.id


_CALLS: dict[tuple[str, ...], Callable[[Call, Kind, Kind], Answer]] = {
    ("POST", "batch", "read"): batch_read,
    ("POST", "batch", "create"): batch_create,
    ("POST", "batch", "associate", "default"): batch_default,
    ("POST", "batch", "archive"): batch_archive,
    ("POST", "batch", "labels", "archive"): batch_unlabel,
    ("GET", "labels"): labels,
    ("POST", "labels"): create_label,
}
