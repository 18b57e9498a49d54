"""JSON that a flow or Apex posts: which records to look at. Another way to say what an outbound message says.

Our own contract: `{"org_id", "object", "record_id" or "record_ids", "event"?, "system_modstamp"?}`, one of them or a
list. A flow's HTTP callout is sent once and can set a header but sign nothing, so the connection's secret is in
`X-Ledgerbridge-Secret`. The invariant: 200 means committed.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from integrations import inbox
from integrations.fields import DecryptionError
from integrations.inbox import Event
from integrations.models import ConnectedAccount, InboundEvent
from integrations.salesforce import events, ids
from integrations.salesforce.client import SYSTEM
from integrations.salesforce.events import Refused

logger = logging.getLogger(__name__)

KIND = "salesforce callout"
HEADER = "X-Ledgerbridge-Secret"
MAX_RECORDS = 200
"""Records that Salesforce hands to a flow or trigger at once."""
_WORD = re.compile(r"\w{1,50}", re.ASCII)


@require_POST
@csrf_exempt
def receive(request: HttpRequest, account: UUID) -> HttpResponse:
    """`POST /webhooks/salesforce/<account>/callout`: 200 with `{"received": n}` after the commit, 503 while we cannot
    store, an empty 4xx for what is no call of this org."""
    try:
        body = events.body_of(request)
        known = events.sender(account, request.headers.get(HEADER, ""))
        found = list(read(known, parse(body)))
        inbox.store(SYSTEM, _without_waiting(known, found), account=known)
    except Refused as refused:
        return events.refuse(request, KIND, refused)
    except (DatabaseError, DecryptionError):
        logger.exception("callout not stored")
        return HttpResponse(status=503)
    return JsonResponse({"received": len(found)})


receive.signed_by = "secret"  # type: ignore[attr-defined]


def parse(body: bytes) -> list[Mapping[str, Any]]:
    """The parts of a call. Raises `Refused`: `not_json`, `not_an_object`."""
    try:
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused(400, "not_json") from None
    parts = data if isinstance(data, list) else [data]
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise Refused(400, "not_an_object")
    return parts


def read(account: ConnectedAccount, parts: list[Mapping[str, Any]]) -> Iterator[Event]:
    """The events of a call; objects that no flow can read say nothing. Raises `Refused` for another org's id, a value
    of another type, or more than 200 records."""
    names, count = events.names_of(account), 0
    for part in parts:
        events.require_org(account, part.get("org_id"))
        remote, word = _word(part.get("object")), _word(part.get("event", "callout"))
        records, at = _ids(part), _moment(part.get("system_modstamp"))
        count += len(records)
        if count > MAX_RECORDS:
            raise Refused(400, "too_many_records")
        for record in records if remote in names else ():
            yield Event(account.remote_id, f"callout|{record}|{secrets.token_hex(8)}", names[remote], record, word, at)


def _without_waiting(account: ConnectedAccount, found: list[Event]) -> list[Event]:
    """Those of the events that none covers which still waits: what waits will read the record later than now. The
    moment in a call would be no such proof: Salesforce's has whole seconds, and a record may change twice in one."""
    wanted = {event.record_id for event in found}
    rows = InboundEvent.objects.filter(account=account, processed_at=None, record_id__in=wanted)
    waiting = set(rows.values_list("object", "record_id"))
    fresh = {(event.object, event.record_id): event for event in found}
    return [event for key, event in fresh.items() if key not in waiting]


def _ids(part: Mapping[str, Any]) -> list[str]:
    """The records of a part. Raises `Refused`."""
    names = [name for name in ("record_id", "record_ids") if name in part]
    given = part[names[0]] if len(names) == 1 else None
    given = [given] if names == ["record_id"] else given
    if not isinstance(given, list) or not given or not all(isinstance(each, str) and ids.is_id(each) for each in given):
        raise Refused(400, "malformed")
    return [ids.to18(each) for each in given]


def _word(value: object) -> str:
    """A name as Salesforce's developers write them. Raises `Refused`."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise Refused(400, "malformed")
    return value


def _moment(value: object) -> datetime | None:
    """The moment of the record's state; None when none is given. Raises `Refused` for what is none."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refused(400, "malformed")
    return at
