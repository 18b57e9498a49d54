"""The SOAP of outbound messages: what is sent, and what an answer says.

SOAP guide, outbound messaging: one object type a message, up to 100 notifications, one acknowledgement for all. The
session id is empty. Only an envelope that says Ack true counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
OUTBOUND = "http://soap.sforce.com/2005/09/outbound"
SOBJECT = "urn:sobject.enterprise.soap.sforce.com"
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # XML cannot hold them


@dataclass(frozen=True, slots=True)
class Notification:
    """One record in a message: values by field, in the message's order; None ones are left out."""

    id: str
    record: tuple[tuple[str, Any], ...]


def envelope(
    org_id: str, action_id: str, base: str, version: str, object_name: str, notifications: Sequence[Notification]
) -> bytes:
    """The request's body. ``base`` is the org's own host."""
    short = org_id[:15]
    told = "".join(_notification(object_name, entry) for entry in notifications)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n <soapenv:Body>\n'
        f'  <notifications xmlns="{OUTBOUND}">\n'
        f"   <OrganizationId>{org_id}</OrganizationId>\n   <ActionId>{action_id}</ActionId>\n"
        '   <SessionId xsi:nil="true"/>\n'
        f"   <EnterpriseUrl>{escape(base)}/services/Soap/c/{version}/{short}</EnterpriseUrl>\n"
        f"   <PartnerUrl>{escape(base)}/services/Soap/u/{version}/{short}</PartnerUrl>\n"
        f"{told}  </notifications>\n </soapenv:Body>\n</soapenv:Envelope>"
    ).encode()


def _notification(object_name: str, entry: Notification) -> str:
    fields = "".join(
        f"     <sf:{name}>{escape(_text(value))}</sf:{name}>\n" for name, value in entry.record if value is not None
    )
    return (
        f"   <Notification>\n    <Id>{entry.id}</Id>\n"
        f'    <sObject xsi:type="sf:{object_name}" xmlns:sf="{SOBJECT}">\n{fields}    </sObject>\n'
        "   </Notification>\n"
    )


def _text(value: Any) -> str:
    """A value as SOAP writes it: moments end in Z there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = CONTROLS.sub("", str(value))
    return f"{text[:-5]}Z" if text.endswith(".000+0000") else text


def acknowledged(body: bytes) -> bool:
    """Whether an answer is an envelope that says Ack true."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return False
    path = f"{{{ENVELOPE}}}Body/{{{OUTBOUND}}}notificationsResponse/{{{OUTBOUND}}}Ack"
    found = root.find(path) if root.tag == f"{{{ENVELOPE}}}Envelope" else None
    return found is not None and (found.text or "").strip() == "true"
