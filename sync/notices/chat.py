"""Posting to an organization's chat through its incoming webhook: one JSON object with a text.

The address comes from a person and leads wherever that person wants, so it is never trusted: https only, the peer's
address is checked after connecting and before a byte is sent (a name that resolves to an inner address gets nothing,
also when it changes between two look-ups), redirects are not followed, and of the answer only its status is used.
`EXTRA_ALLOWED_HOSTS` names the exceptions of development.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

import requests
from django.utils.translation import gettext_lazy as _
from requests.adapters import HTTPAdapter

from integrations.hosts import GuardedAdapter, _extra, _is_inner

TIMEOUT = (5.0, 10.0)
WHOLE_SECONDS = 20.0
"""However slowly the other side lets its answer drip, nobody waits longer than this."""
LONGEST = 2000


class ChatRefused(Exception):
    """It was not posted. `reason` is a sentence without the address; `permanent` when trying again is no use."""

    def __init__(self, reason: Any, *, permanent: bool = False) -> None:
        super().__init__(str(reason))
        self.reason, self.permanent = reason, permanent


def check(url: str) -> str:
    """The host of an address that may be used; raises `ChatRefused` with a sentence for the person otherwise."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ChatRefused(_("This is not a web address."), permanent=True) from None
    if not host or len(url) > LONGEST or any(not "!" <= letter <= "~" for letter in url) or "\\" in url:
        raise ChatRefused(_("This is not a web address."), permanent=True)
    if _extra(host, port or (443 if parts.scheme == "https" else 80)) and parts.scheme in {"http", "https"}:
        return host
    if parts.scheme != "https" or "@" in parts.netloc or port not in (None, 443):
        raise ChatRefused(_("Only an https address without a user name and port is used."), permanent=True)
    if _inner_literal(host) or host == "localhost" or "." not in host.strip("."):
        raise ChatRefused(_("The address leads into the inner network."), permanent=True)
    return host


def _inner_literal(host: str) -> bool:
    try:
        return _is_inner(host)
    except ValueError:  # a name; its address is checked when the connection stands
        return False


class _ChatAdapter(GuardedAdapter):
    """Connections that check their peer, to any public host."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        check(request.url or "")
        kwargs |= {"proxies": {}, "verify": True, "timeout": TIMEOUT}
        return HTTPAdapter.send(self, request, *args, **kwargs)


def post(url: str, text: str) -> None:
    """Post `text`. Raises `ChatRefused`; nothing of what the other side answered is in it but the status."""
    check(url)
    outcome: list[ChatRefused | None] = []

    def work() -> None:
        try:
            _post(url, text)
            outcome.append(None)
        except ChatRefused as refusal:
            outcome.append(refusal)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(WHOLE_SECONDS)
    if not outcome:
        raise ChatRefused(_("The host did not answer in time."))
    if outcome[0] is not None:
        raise outcome[0]


def _post(url: str, text: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", _ChatAdapter())
        session.mount("http://", _ChatAdapter())
        try:
            reply = session.post(url, json={"text": text}, allow_redirects=False, stream=True)
            reply.close()
        except ChatRefused:
            raise
        except requests.Timeout:
            raise ChatRefused(_("The host did not answer in time.")) from None
        except requests.RequestException:
            # Not chained, and not told apart: the text of the error would show what our network can reach.
            raise ChatRefused(_("The host could not be reached, or its address is not public.")) from None
    if 300 <= reply.status_code < 400:
        raise ChatRefused(_("The host redirects elsewhere; redirects are not followed."), permanent=True)
    if reply.status_code in (401, 403, 404, 410):
        reason = _("The host no longer knows this address (%(status)s). Make a new webhook there.")
        raise ChatRefused(reason % {"status": reply.status_code}, permanent=True)
    if not 200 <= reply.status_code < 300:
        raise ChatRefused(_("The host answered with %(status)s.") % {"status": reply.status_code})


def escape(text: str) -> str:
    """Text as these chats take it: their three special characters, so that no value becomes a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
