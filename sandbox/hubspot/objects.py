"""Single records: list, read, create, change, archive, merge, privacy deletion."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from . import batch, errors
from .call import HOST, Answer, Call, kind_of, unknown_path, wrong_method
from .inputs import find, lookup, make_links, planned_links, properties_of, written
from .kinds import CONTACTS, Kind
from .render import Renderer, old_associations
from .search import search
from .store import Record

PAGE = 100
PAGE_WITH_HISTORY = 50
MERGES = 250


def route(call: Call) -> Answer:
    """``/crm/objects/{version}/{type}[/…]``."""
    kind = kind_of(call.parts[0])
    match (call.method, *call.parts[1:]):
        case ("GET",):
            return listing(call, kind)
        case ("POST",):
            return create(call, kind)
        case "POST", "search":
            call.need(kind.scopes("read"))
            return search(call, kind)
        case "POST", "merge" if kind.mergeable:
            return merge(call, kind)
        case "POST", "gdpr-delete" if kind is CONTACTS:
            return privacy_delete(call)
        case "POST", "batch", action:
            return batch.route(call, kind, action)
        case "GET", record_id:
            return read(call, kind, record_id)
        case "PATCH", record_id:
            return update(call, kind, record_id)
        case "DELETE", record_id:
            return archive(call, kind, record_id)
        case _, *rest if len(rest) <= 1:
            raise wrong_method()
    raise unknown_path()


def listing(call: Call, kind: Kind) -> Answer:
    """All records in id order. The cursor is opaque to clients; it is the id to go on from."""
    call.need(kind.scopes("read"))
    history = call.names("propertiesWithHistory")
    limit = call.number_of("limit", 10, PAGE_WITH_HISTORY if history else PAGE)
    after = call.query.get("after") or "0"
    if not after.isdecimal():
        raise errors.invalid(f"Invalid paging cursor: {after}")
    records = call.portal.store(kind).page(int(after), call.flag("archived"), limit + 1)
    renderer = Renderer(call.portal, kind, call.names("properties"), history)
    results = [_with_associations(call, kind, record, renderer) for record in records[:limit]]
    body: dict[str, Any] = {"results": results}
    if len(records) > limit:
        cursor = str(records[limit - 1].id + 1)
        query = [(k, v) for k, v in call.query.items(multi=True) if k != "after"] + [("after", cursor)]
        link = f"{HOST}{call.path}?{urlencode(query, safe=',')}"
        body["paging"] = {"next": {"after": cursor, "link": link}}
    return Answer(200, body)


def read(call: Call, kind: Kind, record_id: str) -> Answer:
    """One record, by id or by a unique property; a merged id answers the survivor."""
    call.need(kind.scopes("read"))
    record = find(call, kind, record_id, archived=call.flag("archived"))
    renderer = Renderer(call.portal, kind, call.names("properties"), call.names("propertiesWithHistory"))
    return Answer(200, _with_associations(call, kind, record, renderer))


def _with_associations(call: Call, kind: Kind, record: Record, renderer: Renderer) -> dict[str, Any]:
    body = renderer.read(record)
    names = call.names("associations")
    if names:
        linked = old_associations(call.portal, kind, record, [kind_of(name).plural for name in names])
        if linked:
            body["associations"] = linked
    return body


def create(call: Call, kind: Kind) -> Answer:
    """A new record, with links to others when the request has them."""
    call.need(kind.scopes("write"))
    body = call.json()
    links = planned_links(call, kind, body)
    writer = call.writer(kind)
    plan = writer.plan(properties_of(body))
    record = writer.create(plan)
    make_links(call, kind, record, links)
    answer = written(call, kind, record, plan)
    return Answer(201, answer, {"Location": f"{HOST}{call.path.rstrip('/')}/{record.id}"})


def update(call: Call, kind: Kind, record_id: str) -> Answer:
    """Change values; links cannot be changed here."""
    call.need(kind.scopes("write"))
    record = find(call, kind, record_id)
    writer = call.writer(kind)
    plan = writer.plan(properties_of(call.json()), record)
    writer.update(record, plan)
    return Answer(200, written(call, kind, record, plan))


def archive(call: Call, kind: Kind, record_id: str) -> Answer:
    """Into the recycle bin; doing it again is no error."""
    call.need(kind.scopes("write"))
    if not record_id.isdecimal():
        raise errors.unknown_record(record_id)
    record = call.portal.store(kind).live(int(record_id))
    if record is not None:
        call.writer(kind).archive(record)
    return Answer(204)


def merge(call: Call, kind: Kind) -> Answer:
    """Two records become the primary one."""
    call.need(kind.scopes("write"))
    body = call.json()
    store = call.portal.store(kind)
    pair = [str(body.get(name, "")) for name in ("primaryObjectId", "objectIdToMerge")]
    found = [store.live(int(text)) if text.isdecimal() else None for text in pair]
    primary, other = found
    if primary is None or other is None:
        raise errors.unknown_record(pair[0] if primary is None else pair[1])
    if primary is other:
        raise errors.invalid("The objects to merge must be different")
    if len(primary.merged or []) + len(other.merged or []) >= MERGES:
        raise errors.ApiError(414, f"A record cannot be merged more than {MERGES} times", "VALIDATION_ERROR")
    call.writer(kind).merge(primary, other)
    names = [name for name in kind.defaults if name in primary.values]
    renderer = Renderer(call.portal, kind, [*names, "hs_merged_object_ids"])
    return Answer(200, renderer.read(primary))


def privacy_delete(call: Call) -> Answer:
    """Remove a contact for good, by id or by e-mail address."""
    call.need(CONTACTS.scopes("write"))
    body = call.json()
    key, id_property = str(body.get("objectId", "")), body.get("idProperty")
    record = lookup(call, CONTACTS, key, id_property) if id_property else None
    if not id_property and key.isdecimal():
        record = call.portal.store(CONTACTS).records.get(int(key))
    if record is not None:
        call.writer(CONTACTS).forget(record)
    return Answer(204)
