"""HubSpot's request signature, version 3: the only proof that a webhook or a card call comes from HubSpot (SEC-08).

HubSpot: `base64(HMAC-SHA256(client secret, METHOD + URI + raw body + timestamp))` in `X-HubSpot-Signature-v3`, the
timestamp (milliseconds) in `X-HubSpot-Request-Timestamp`. Versions 1 and 2 have no timestamp and are never accepted,
whatever else the request carries. The invariants: the address is built from the configured public one and the raw
request target, never from the Host header or a forwarded one; comparison takes constant time; without a secret
everything is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

SIGNATURE_HEADER = "X-HubSpot-Signature-v3"
TIMESTAMP_HEADER = "X-HubSpot-Request-Timestamp"
TOLERANCE_MS = 300_000
"""HubSpot: reject a timestamp more than five minutes from now."""

# HubSpot decodes exactly these escapes before signing; every other one stays as it was sent.
_DECODED = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}
_ESCAPES = re.compile("|".join(_DECODED), re.IGNORECASE)
# Address, body and timestamp are signed as one text: with leading zeros the end of the address could become part of it.
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_SAFE_IN_PATH = "/:?@!$'()*,;&=+~"


class SignatureRefused(Exception):
    """The request is not proven to come from HubSpot. `reason` is for our log and counter, never for the answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def verify(method: str, url: str, body: bytes, headers: Mapping[str, str], secret: str, now: datetime) -> None:
    """Accept the request, or raise `SignatureRefused`.

    `url` is the whole address as HubSpot called it, `body` the bytes as received, `headers` in any case of their
    names, `now` an aware time. Reasons: `no_secret`, `no_timestamp`, `bad_timestamp`, `stale`, `no_signature`,
    `mismatch`.
    """
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get(TIMESTAMP_HEADER.lower(), "")
    signature = given.get(SIGNATURE_HEADER.lower(), "")
    if not secret:
        raise SignatureRefused("no_secret")
    if not timestamp:
        raise SignatureRefused("no_timestamp")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureRefused("bad_timestamp")
    if abs(now.timestamp() * 1000 - int(timestamp)) > TOLERANCE_MS:
        raise SignatureRefused("stale")
    if not signature:
        raise SignatureRefused("no_signature")
    if "#" in url:  # a fragment is never sent, and is not signed: what stands behind it proves nothing
        raise SignatureRefused("mismatch")
    expected = sign(method, url, body, timestamp, secret)
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape")):
        raise SignatureRefused("mismatch")


def sign(method: str, url: str, body: bytes, timestamp: str, secret: str) -> str:
    """The signature that HubSpot would send for this request."""
    uri = _ESCAPES.sub(lambda match: _DECODED[match.group(0).upper()], url.partition("#")[0])
    source = method.upper().encode() + uri.encode("utf-8", "surrogateescape") + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), source, hashlib.sha256).digest()).decode()


def verify_request(request: HttpRequest, secret: str) -> None:
    """`verify` for a request that Django received, now. Raises `SignatureRefused`."""
    verify(request.method or "", public_url(request), request.body, request.headers, secret, timezone.now())


def client_secret() -> str:
    """The secret that HubSpot signs with: that of our app."""
    return str(settings.VENDORS["hubspot"]["client_secret"])


def public_url(request: HttpRequest) -> str:
    """The address under which HubSpot called us: our public one and the request target as it stood on the wire.

    Servers hand the raw target over as `RAW_URI` or `REQUEST_URI`; without either the path is escaped again, which
    is the same for every address that we publish.
    """
    environ = request.META
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
    if not target:
        path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", "/"))
        query = str(environ.get("QUERY_STRING", ""))
        target = quote(path.encode("latin-1", "replace"), safe=_SAFE_IN_PATH) + (f"?{query}" if query else "")
    if "://" in target.partition("?")[0]:  # the absolute form that proxies use: only what follows the host is ours
        target = "/" + target.partition("://")[2].partition("/")[2]
    return f"{settings.PUBLIC_URL}{target}"
