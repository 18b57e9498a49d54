"""Labels of links: the types between two object types, the account's own among them, and who may use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import errors
from .associations import BadLink, LinkType
from .call import Answer, Call
from .kinds import Kind

Body = dict[str, Any]


def permit(call: Call, kind: Kind, other: Kind, action: str) -> None:
    """Links need the scopes of both object types."""
    call.need([*kind.scopes(action), *other.scopes(action)])


def spec_json(link_type: LinkType) -> Body:
    """A type as answers show it."""
    return {"category": link_type.category, "typeId": link_type.type_id, "label": link_type.label}


def labels(call: Call, kind: Kind, other: Kind) -> Answer:
    """The types that can be used from one object type to another."""
    permit(call, kind, other, "read")
    return Answer(200, {"results": [spec_json(t) for t in call.portal.links.of(kind.type_id, other.type_id)]})


def create_label(call: Call, kind: Kind, other: Kind) -> Answer:
    """A label of the account's own."""
    permit(call, kind, other, "write")
    body = call.json()
    missing = [name for name in ("name", "label") if not body.get(name)]
    if missing:
        raise errors.bad_json(f"some of required attributes are not set [{', '.join(missing)}]")
    links = call.portal.links
    with checked():
        links.unlabelled(kind.type_id, other.type_id)
    inverse = body.get("inverseLabel")
    made = links.define_label(kind.type_id, other.type_id, str(body["name"]), str(body["label"]), inverse)
    return Answer(200, {"results": [spec_json(link_type) for link_type in made]})


def delete_label(call: Call, kind: Kind, other: Kind, type_id: str) -> Answer:
    """Remove a label of the account's own; links that had it stay, without it."""
    permit(call, kind, other, "write")
    links = call.portal.links
    known = links.types.get((kind.type_id, other.type_id), {})
    link_type = known.get(int(type_id)) if type_id.isdecimal() else None
    if link_type is None or link_type.category != "USER_DEFINED":
        raise errors.invalid(f"Association type {type_id} cannot be deleted")
    for one, from_id, to_type, to_id, type_ids in list(links.every()):
        if (one, to_type) == (kind.type_id, other.type_id) and link_type.type_id in type_ids:
            links.unlabel(one, from_id, to_type, to_id, [link_type.type_id])
    del known[link_type.type_id]
    links.types[other.type_id, kind.type_id].pop(link_type.inverse, None)
    return Answer(204)


@contextmanager
def checked() -> Iterator[None]:
    """Turns a link that is not allowed into HubSpot's refusal."""
    try:
        yield
    except BadLink as bad:
        detail = {"message": str(bad), "code": "INVALID_ASSOCIATION"}
        raise errors.invalid(f"One or more associations are invalid: {bad}", errors=[detail]) from None
