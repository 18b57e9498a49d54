"""HubSpot's webhooks: verified, stored, answered; worked on later, by others.

HubSpot: batches of at most 100 events for all portals, an answer within five seconds, up to ten retries over a day for
anything but 2xx; no order, duplicates, and an `eventId` that is not unique. The invariants: nothing that is not signed
is read, 204 means committed, and an answer says nothing about why.
"""

from __future__ import annotations

import functools
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from integrations import inbox
from integrations.hubspot.client import TYPE_IDS
from integrations.hubspot.signature import SignatureRefused, client_secret, verify_request
from integrations.inbox import Event
from integrations.models import ConnectedAccount

logger = logging.getLogger(__name__)

KIND = "hubspot webhook"
MAX_BYTES = 1_000_000
MAX_EVENTS = 100
MAX_MERGED = 100
"""Of more merged records than this the first are looked at again; schedules find the rest."""
View = Callable[..., HttpResponse]

_OBJECTS = {type_id: name for name, type_id in TYPE_IDS.items()}
# An association change means: look at this side of it again. Both directions fire.
_LOOK_AT = {
    frozenset({"deal", "company"}): "deal",
    frozenset({"deal", "contact"}): "deal",
    frozenset({"deal", "line_item"}): "deal",
    frozenset({"company", "contact"}): "company",
}
_KINDS = frozenset(
    {"creation", "propertyChange", "deletion", "privacyDeletion", "merge", "restore", "associationChange"}
)


class Malformed(Exception):
    """Not what HubSpot sends; the text names the reason for our counter."""


def signed_by_hubspot(kind: str) -> Callable[[View], View]:
    """A view that HubSpot calls: exempt from CSRF because it is signed instead (SEC-14). Others get an empty 401,
    bodies over a megabyte an empty 413; both are counted as `kind`."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if inbox.length_of(request) > MAX_BYTES:
                return _refused(kind, request, "too_large", 413)
            try:
                verify_request(request, client_secret())
            except SignatureRefused as refused:
                return _refused(kind, request, refused.reason, 401)
            return view(request, *args, **kwargs)

        guarded.signed_by = "hubspot"  # type: ignore[attr-defined]
        return guarded

    return decorate


def _refused(kind: str, request: HttpRequest, reason: str, status: int) -> HttpResponse:
    inbox.count_refused(kind, inbox.source_of(request), reason)
    return HttpResponse(status=status)


@require_POST
@signed_by_hubspot(KIND)
def receive(request: HttpRequest) -> HttpResponse:
    """`POST /webhooks/hubspot`: 204 after the commit, 503 while the database is away, 4xx for what is no batch."""
    try:
        batch = parse(request.body)
    except Malformed as malformed:
        return _refused(KIND, request, str(malformed), 400)
    events, left_out = read(batch)
    try:
        left_out += _unknown_portals(events)
        inbox.store("hubspot", events)
    except DatabaseError:
        logger.exception("webhook not stored: HubSpot will repeat it")
        return HttpResponse(status=503)
    for reason, times in left_out.items():
        inbox.count_refused(KIND, inbox.source_of(request), reason, times)
    if left_out["malformed_event"] == len(batch):
        return HttpResponse(status=400)
    return HttpResponse(status=204)


def parse(body: bytes) -> list[Any]:
    """The batch. Raises `Malformed`: `not_json`, `not_a_list`, `too_many_events`."""
    try:
        batch = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("not_json") from None
    if not isinstance(batch, list):
        raise Malformed("not_a_list")
    if len(batch) > MAX_EVENTS:
        raise Malformed("too_many_events")
    return batch


def read(batch: Iterable[Any]) -> tuple[list[Event], Counter[str]]:
    """The events worth storing, and how many were left out, by reason.

    An event that cannot be read does not keep back the others: HubSpot would repeat the whole batch ten times.
    """
    events: list[Event] = []
    left_out: Counter[str] = Counter()
    for raw in batch:
        try:
            events.extend(_events(raw))
        except Malformed as malformed:
            left_out[str(malformed)] += 1
    return events, left_out


def _unknown_portals(events: Iterable[Event]) -> Counter[str]:
    """How many events are of portals that nobody has connected; they are ignored, and support can see that."""
    by_portal = Counter(event.remote_id for event in events)
    known = ConnectedAccount.objects.filter(system="hubspot", remote_id__in=by_portal)
    strangers = set(by_portal) - set(known.values_list("remote_id", flat=True))
    return Counter({"unknown_portal": sum(by_portal[portal] for portal in strangers)} if strangers else {})


def _events(raw: Any) -> Iterator[Event]:
    """What one raw event says. Raises `Malformed`; our own echo, and what we have no use for, say nothing."""
    if not isinstance(raw, dict):
        raise Malformed("malformed_event")
    portal, event_id, occurred = _id(raw, "portalId"), _id(raw, "eventId"), _id(raw, "occurredAt")
    kind = raw.get("subscriptionType")
    if not isinstance(kind, str) or len(kind) > 60:
        raise Malformed("malformed_event")
    subject, _dot, what = kind.rpartition(".")
    if what not in _KINDS:
        raise Malformed("unknown_kind")
    if raw.get("changeSource") == "INTEGRATION" and str(raw.get("sourceId")) == str(raw.get("appId")):
        return
    try:
        at = datetime.fromtimestamp(int(occurred) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise Malformed("malformed_event") from None
    # Events of associations come without it, and nothing that is no id may fill the key.
    subject_id = "" if raw.get("objectId") is None or what == "associationChange" else _id(raw, "objectId")
    for name, record in _records(raw, subject, what):
        own = "" if what not in ("merge", "associationChange") else f"|{record}"
        key = f"{portal}|{kind}|{subject_id}|{event_id}|{occurred}{own}"
        yield Event(portal, key, name, record, what, at)


def _records(raw: Mapping[str, Any], subject: str, what: str) -> Iterator[tuple[str, str]]:
    """The records to look at: (object, id)."""
    if what == "associationChange":
        yield from _associated(raw)
        return
    name = _OBJECTS.get(str(raw.get("objectTypeId"))) if subject == "object" else _named(subject)
    if name is None:
        raise Malformed("unknown_object")
    ids = [_id(raw, "objectId")]
    if what == "merge":
        merged = raw.get("mergedObjectIds") or []
        if not isinstance(merged, list):
            raise Malformed("malformed_event")
        ids += [_id({"id": each}, "id") for each in merged[:MAX_MERGED]]
        ids += [_id(raw, field) for field in ("primaryObjectId", "newObjectId") if raw.get(field) is not None]
    for record in dict.fromkeys(ids):
        yield name, record


def _associated(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The side of a changed association that is to be looked at."""
    one, other = _OBJECTS.get(str(raw.get("fromObjectTypeId"))), _OBJECTS.get(str(raw.get("toObjectTypeId")))
    if one is None or other is None:
        left, _to, right = str(raw.get("associationType")).lower().partition("_to_")
        one, other = _named(left), _named(right)
    target = _LOOK_AT.get(frozenset({one or "", other or ""}))
    if target is not None:
        yield target, _id(raw, "fromObjectId" if one == target else "toObjectId")


def _named(name: str) -> str | None:
    return name if name in TYPE_IDS else None


def _id(raw: Mapping[str, Any], name: str) -> str:
    """A number, or the text of one. Raises `Malformed`."""
    value = raw.get(name)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise Malformed("malformed_event")
    return text
