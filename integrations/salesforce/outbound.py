"""Outbound messages: the SOAP that Salesforce sends for a flow, read with suspicion, stored, acknowledged.

Salesforce's SOAP guide: up to 100 notifications of one object, one acknowledgement for all; whatever is not
acknowledged comes again for a day, in any order, more than once, and shows the record as it was when it was sent. The
invariants: Ack true means committed; the parser knows no DTD and no entity; of a record only its id is read.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from integrations import inbox
from integrations.fields import DecryptionError
from integrations.inbox import Event
from integrations.salesforce import events, ids
from integrations.salesforce.client import SYSTEM
from integrations.salesforce.events import Refused

logger = logging.getLogger(__name__)

KIND = "salesforce message"
MAX_NOTIFICATIONS = 100
MAX_DEPTH = 10
"""Elements within one another; a message needs six, and a field of several parts one more."""
ENVELOPE = "{http://schemas.xmlsoap.org/soap/envelope/}"
OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"
RECORD = "{urn:sobject.enterprise.soap.sforce.com}"
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
NOTIFICATION_PREFIX = "04l"
_TYPE = re.compile(r"[A-Za-z_][\w.-]{0,19}:([A-Za-z]\w{0,79})", re.ASCII)
_ANSWER = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">
 <soapenv:Body>
  <notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound">
   <Ack>%s</Ack>
  </notificationsResponse>
 </soapenv:Body>
</soapenv:Envelope>
"""


@require_POST
@csrf_exempt
def receive(request: HttpRequest, account: UUID, secret: str) -> HttpResponse:
    """`POST /webhooks/salesforce/<account>/<secret>`: Ack true after the commit; Ack false with 500 while we cannot
    store, so that the message comes again; an empty 4xx for what is no message of this org."""
    try:
        body = events.body_of(request)
        known = events.sender(account, secret)
        message = parse(body)
        events.require_org(known, _text(message, f"{OUTBOUND}OrganizationId"))
        found, unknown = read(message, known.remote_id, events.names_of(known))
        inbox.store(SYSTEM, found, account=known)
    except Refused as refused:
        return events.refuse(request, KIND, refused)
    except (DatabaseError, DecryptionError):
        logger.exception("outbound message not stored: Salesforce will repeat it")
        return _acknowledged("false", 500)
    for name, times in unknown.items():
        inbox.count_refused(KIND, inbox.source_of(request), f"unread {name}", times)
    return _acknowledged("true", 200)


receive.signed_by = "secret"  # type: ignore[attr-defined]


def _acknowledged(ack: str, status: int) -> HttpResponse:
    return HttpResponse(_ANSWER % ack, status=status, content_type="text/xml; charset=UTF-8")


class _Shallow(TreeBuilder):
    """Builds a tree of limited depth."""

    depth = 0

    def start(self, tag: str, attrs: dict[Any, Any], /) -> Element:
        """As usual; raises `ValueError` beyond the limit."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        """As usual."""
        self.depth -= 1
        return super().end(tag)


def parse(body: bytes) -> Element:
    """The `notifications` of a message, 1 to 100 of them. Raises `Refused`: `not_xml`, `not_a_message`,
    `too_many_notifications`."""
    try:
        body.decode("utf-8")
        parser = XMLParser(target=_Shallow(), encoding="utf-8", forbid_dtd=True)
        parser.feed(body)
        root = parser.close()
    except (ParseError, DefusedXmlException, ValueError):
        raise Refused(400, "not_xml") from None
    found = root.findall(f"{ENVELOPE}Body/{OUTBOUND}notifications") if root.tag == f"{ENVELOPE}Envelope" else []
    if len(found) != 1:
        raise Refused(400, "not_a_message")
    message: Element = found[0]
    count = len(message.findall(f"{OUTBOUND}Notification"))
    if count > MAX_NOTIFICATIONS:
        raise Refused(400, "too_many_notifications")
    if not count:
        raise Refused(400, "not_a_message")
    return message


def read(message: Element, org: str, names: Mapping[str, str]) -> tuple[list[Event], Counter[str]]:
    """The events of a message, and how many notifications were about objects that no flow can read. Raises `Refused`
    when one of them is not what Salesforce sends: then none counts."""
    found, unknown = [], Counter[str]()
    for key, remote, record in _records(message):
        if name := names.get(remote):
            found.append(Event(org, key, name, record, "message"))
        else:
            unknown[remote] += 1
    return found, unknown


def _records(message: Element) -> Iterator[tuple[str, str, str]]:
    """(notification id, Salesforce's name of the object, record id)."""
    for notification in message.iterfind(f"{OUTBOUND}Notification"):
        records = notification.findall(f"{OUTBOUND}sObject")
        kind = _TYPE.fullmatch(records[0].get(TYPE, "")) if len(records) == 1 else None
        key = _text(notification, f"{OUTBOUND}Id")
        if kind is None or not ids.is_id(key, NOTIFICATION_PREFIX):
            raise Refused(400, "malformed_notification")
        record = _text(records[0], f"{RECORD}Id")
        if not ids.is_id(record):
            raise Refused(400, "malformed_notification")
        yield ids.to18(key), kind[1], ids.to18(record)


def _text(parent: Element, name: str) -> str:
    """The text of the only child of that name; "" when there is none, or more than one."""
    found = parent.findall(name)
    return (found[0].text or "").strip() if len(found) == 1 else ""
