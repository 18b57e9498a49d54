"""HubSpot as a host of cards: `hubspot.fetch` calls, signed (v3), with the person's identity in the signed address.

HubSpot: portalId, userId, userEmail and appId are appended to the address and covered by the signature; record and
object type are not added, the card sends them in the body, which is signed too. HubSpot repeats a call once on 5xx,
follows no redirects, and opens pages in an iframe without any signature.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, QueryDict

from integrations.cards import CardCaller, CardRefused, Facts
from integrations.columns import Columns, fetch
from integrations.connector import Value
from integrations.hubspot.signature import SIGNATURE_HEADER, SignatureRefused, client_secret, verify_request
from integrations.inbox import length_of
from integrations.models import ConnectedAccount

MAX_BODY = 16 * 1024
OBJECTS = {"0-2": "company", "0-3": "deal"}
FRAME_ANCESTORS = ("https://app.hubspot.com", "https://*.hubspot.com")
"""HubSpot: one host per data centre (app-eu1, app-na2 …), all under hubspot.com."""
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_LOCALE = re.compile(r"[A-Za-z0-9_-]{1,10}", re.ASCII)
_ACCOUNT = Columns(ConnectedAccount, "a", ("organization_id", "system", "remote_id", "name", "status"))
_SQL = f"SELECT {_ACCOUNT.select} FROM {_ACCOUNT.table} WHERE a.system = %s AND a.remote_id = %s"  # noqa: S608

_STATUSES = {
    "draft": "draft",
    "unbooked": "unbooked",
    "booked": "booked",
    "sent": "sent",
    "partly paid": "partly_paid",
    "paid": "paid",
    "overdue": "overdue",
    "credited": "credited",
    "cancelled": "cancelled",
}
_NAMES = {
    "fortnox_invoice_date": "invoice_date",
    "fortnox_due_date": "due_date",
    "final_pay_date_in_fortnox": "paid_date",
    "fortnox_total": "total",
    "fortnox_balance": "balance",
    "deal_currency_code": "currency",
}


class HubSpotCard:
    """See the module's docstring."""

    @property
    def frame_ancestors(self) -> tuple[str, ...]:
        """HubSpot's own hosts, and those that settings add (the sandbox's)."""
        return (*FRAME_ANCESTORS, *settings.EXTRA_FRAME_ANCESTORS)

    def authenticate(self, request: HttpRequest) -> CardCaller:
        """The signed caller. Raises `CardRefused`: 413 too_large, 401 for the signature's reasons, 400 for a body or
        identity that HubSpot would not send, 403 for a portal that is not connected here, or more than once."""
        if length_of(request) > MAX_BODY:
            raise CardRefused(413, "too_large")
        try:
            verify_request(request, client_secret())
        except SignatureRefused as refused:
            raise CardRefused(401, refused.reason) from None
        body = _body(request)
        user_id = _number(_once(request.GET, "userId"), "bad_user")
        kind, record = _record(body)
        return CardCaller(
            account=_account(_number(_once(request.GET, "portalId"), "bad_portal")),
            user_id=user_id,
            user_email=_email(_once(request.GET, "userEmail")),
            object=kind,
            record_id=record,
            locale=_locale(_text(body.get("locale"))[:10]),
            proof=request.headers[SIGNATURE_HEADER],
        )


def _body(request: HttpRequest) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise CardRefused(400, "not_json") from None
    if not isinstance(body, dict):
        raise CardRefused(400, "not_an_object")
    return body


def _once(query: QueryDict, name: str) -> str:
    """A parameter that stands there exactly once: of two, HubSpot would have appended only the last."""
    values = query.getlist(name)
    if len(values) != 1:
        raise CardRefused(400, f"bad_{name}")
    return values[0]


def _number(text: str, reason: str) -> str:
    if not _DIGITS.fullmatch(text):
        raise CardRefused(400, reason)
    return text


def _email(text: str) -> str:
    if len(text) > 254 or any(character.isspace() or ord(character) < 32 for character in text):
        raise CardRefused(400, "bad_userEmail")
    return text


def _record(body: Mapping[str, Any]) -> tuple[str, str]:
    """(object, id) that the body names; ("", "") when it names none."""
    given = body.get("objectId")
    if given is None:
        return "", ""
    text = str(given) if isinstance(given, int) and not isinstance(given, bool) else _text(given)
    kind = OBJECTS.get(_text(body.get("objectTypeId")))
    if kind is None:
        raise CardRefused(400, "unknown_object")
    return kind, _number(text, "bad_record")


def _locale(text: str) -> str:
    """A locale as hosts spell it, "" for anything else: it is stored with the ticket."""
    return text if _LOCALE.fullmatch(text) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _account(portal: str) -> ConnectedAccount:
    """The account of a portal. A portal that several organizations have connected belongs to none of them by itself:
    nobody is shown another's numbers by guessing. What was disconnected shows nothing to anybody."""
    read = [account for row in fetch(_SQL, ["hubspot", portal]) if (account := _ACCOUNT.read(row))]
    found = [account for account in read if account.status != ConnectedAccount.Status.DISCONNECTED]
    live = [account for account in found if account.status == ConnectedAccount.Status.CONNECTED] or found
    if not live:
        raise CardRefused(403, "unknown_portal")
    if len(live) > 1:
        raise CardRefused(403, "portal_of_several")
    return live[0]


def facts(object_name: str, values: Mapping[str, Value]) -> Facts:
    """What the properties of a company or deal say, those that our own flows write."""
    if object_name == "company":
        return Facts(organisation_number=str(values.get("organization_number_from_fortnox") or ""))
    if object_name != "deal":
        return Facts()
    text = str(values.get("fortnox_status") or "")
    known = {ours: values.get(theirs) for theirs, ours in _NAMES.items()}
    return Facts(status=_STATUSES.get(text.strip().lower(), ""), status_text=text, values=known)
