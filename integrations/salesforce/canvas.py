"""Canvas: Salesforce posts a signed request into the frame of our card; what is read here is who looks at what.

Salesforce's Canvas guide: `signature.envelope`, both Base64; the signature is HMAC-SHA256 over the envelope as it was
sent, with the consumer secret of the org's own app. Nothing inside says when it was made, so a request counts once, and
the person's own token must still open the record. The invariants: nothing is decoded before the signature was right;
the connection comes from the address and never from the envelope; calls go to the org's known address only; what the
request carries is neither stored nor logged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from integrations import inbox
from integrations.hosts import path_key
from integrations.models import ConnectedAccount
from integrations.salesforce import ids
from integrations.salesforce.client import SYSTEM
from integrations.transport import Call, guard, parsed, transmit

ALGORITHM = "HMACSHA256"
USER_PREFIX = "005"
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}", re.ASCII)
_OBJECT = re.compile(r"[A-Za-z]\w{0,49}", re.ASCII)
_LOCALE = re.compile(r"[A-Za-z0-9_-]{2,10}", re.ASCII)
_MY_DOMAIN = re.compile(r"(?P<name>[a-z0-9-]+)(?P<kind>(?:\.[a-z0-9-]+)?)\.my\.salesforce\.com")
# The standard objects that a record's id names; a page that passes a parameter need not say the object then.
_PREFIXES = {"001": "Account", "003": "Contact", "006": "Opportunity", "801": "Order"}


class NotSigned(Exception):
    """The request is not proven to come from this org. The text is for our counter."""


class NotSeen(Exception):
    """The person's token does not open the record: `reason` is `no_access`, `over` (the token) or `unreachable`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Looking:
    """Who looks at which record, as Salesforce signed it. `remote` and `record_id` are "" where no record is meant."""

    user_id: str
    email: str
    locale: str
    remote: str
    record_id: str
    token: str


@sensitive_variables()
def verify(signed: str, secret: str) -> Mapping[str, Any]:
    """What the envelope holds. Raises `NotSigned`: `no_secret`, `malformed`, `mismatch`, `algorithm`."""
    signature, _dot, envelope = signed.partition(".")
    if not secret:
        raise NotSigned("no_secret")
    if not (_BASE64.fullmatch(signature) and _BASE64.fullmatch(envelope)):
        raise NotSigned("malformed")
    expected = hmac.new(secret.encode(), envelope.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(expected, _decoded(signature)):
        raise NotSigned("mismatch")
    try:
        content = json.loads(_decoded(envelope).decode("utf-8"))
    except (ValueError, RecursionError):
        raise NotSigned("malformed") from None
    if not isinstance(content, dict) or content.get("algorithm") != ALGORITHM:
        raise NotSigned("algorithm")
    return content


def _decoded(text: str) -> bytes:
    """Base64 in either alphabet, padded or not; no other spelling of the same bytes. Raises `NotSigned`."""
    plain = text.rstrip("=")
    try:
        found = base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        raise NotSigned("malformed") from None
    spellings = (base64.b64encode(found), base64.urlsafe_b64encode(found))
    if plain not in {each.decode().rstrip("=") for each in spellings}:
        raise NotSigned("malformed")
    return found


@sensitive_variables()
def read(content: Mapping[str, Any], account: ConnectedAccount) -> Looking:
    """Who looks at what. Raises `NotSigned`: `wrong_org`, `no_user`, `no_token`."""
    context = _part(content, "context")
    user, organization = _part(context, "user"), _part(context, "organization")
    org = organization.get("organizationId")
    if not (isinstance(org, str) and ids.is_id(org) and ids.same(org, account.remote_id)):
        raise NotSigned("wrong_org")
    user_id, email, token = user.get("userId"), user.get("email"), _part(content, "client").get("oauthToken")
    if not isinstance(user_id, str) or not ids.is_id(user_id, USER_PREFIX):
        raise NotSigned("no_user")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not 0 < len(token) <= 5_000:
        raise NotSigned("no_token")
    remote, record = _record(_part(context, "environment"))
    known = isinstance(email, str) and len(email) <= 254 and email.isprintable() and " " not in email
    return Looking(ids.to18(user_id), str(email) if known else "", _locale(user), remote, record, token)


def _record(environment: Mapping[str, Any]) -> tuple[str, str]:
    """(Salesforce's name of the object, record id): of the page's own record, else of what the page passes on. Either
    is only a claim until the person's token has opened it."""
    record, parameters = _part(environment, "record"), _part(environment, "parameters")
    pairs = (
        (_part(record, "attributes").get("type"), record.get("Id")),
        (parameters.get("object"), parameters.get("recordId")),
    )
    for remote, given in pairs:
        if isinstance(given, str) and ids.is_id(given):
            key = ids.to18(given)
            named = str(remote) if remote else _PREFIXES.get(key[:3], "")
            return (named, key) if _OBJECT.fullmatch(named) else ("", "")
    return "", ""


def _locale(user: Mapping[str, Any]) -> str:
    """The language of the person's pages, else that of their formats."""
    for name in ("language", "locale"):
        value = user.get(name)
        if isinstance(value, str) and _LOCALE.fullmatch(value):
            return value
    return ""


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def first_time(account: ConnectedAccount, signed: str) -> bool:
    """Whether this request has not been here for a day; from now on it has. Of two at once, one is the first. What is
    remembered is the envelope: the signature before it may be spelled in several ways."""
    return inbox.first_time("canvas", str(account.pk), signed.partition(".")[2])


@sensitive_variables()
def require_sight(account: ConnectedAccount, looking: Looking) -> None:
    """Raise `NotSeen` unless the person's own token opens the record at the org's known address now: sharing is
    enforced there, and it proves that the person is still signed in."""
    path = (
        f"/services/data/{settings.VENDORS[SYSTEM]['version']}/sobjects/{looking.remote}/{path_key(looking.record_id)}"
    )
    with guard(
        requests.Session(), system=SYSTEM
    ) as session:  # one of its own: people share no connection and no cookie
        call = Call("GET", path, params={"fields": "Id"})
        raw = transmit(session, account.api_url.rstrip("/"), call, looking.token)
    data = parsed(raw.body)[0]
    if raw.status == 200 and isinstance(data, dict) and ids.same(str(data.get("Id") or ""), looking.record_id):
        return
    said = {str(row.get("errorCode")) for row in data if isinstance(row, dict)} if isinstance(data, list) else set()
    if raw.failure or raw.status >= 500 or raw.status == 429 or "REQUEST_LIMIT_EXCEEDED" in said:
        raise NotSeen("unreachable")
    raise NotSeen("over" if raw.status == 401 else "no_access")


def frame_ancestors(account: ConnectedAccount) -> tuple[str, ...]:
    """The org's own hosts, which may frame the card: its Lightning pages, its classic ones, and those that show
    Visualforce. Salesforce: `<name>[.kind].my.salesforce.com` has its Visualforce on `<name>--c[.kind].vf.force.com`.
    """
    own: tuple[str, ...] = ()
    if found := _MY_DOMAIN.fullmatch(urlsplit(account.api_url).hostname or ""):
        name, kind = found["name"], found["kind"]
        own = (
            f"https://{name}{kind}.lightning.force.com",
            f"https://{name}{kind}.my.salesforce.com",
            f"https://{name}--c{kind}.vf.force.com",
        )
    return (*own, *settings.EXTRA_FRAME_ANCESTORS)
