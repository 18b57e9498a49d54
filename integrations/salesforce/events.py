"""What both kinds of incoming calls share: whose they are, what proves it, and how a refusal is answered.

Salesforce signs neither its outbound messages nor what flows post, so a secret of our own per connection is the proof,
and the org's id must fit as well. The invariants: nothing is read before the secret was right; an unknown connection
and a wrong secret are told apart by nobody outside; an event says which record to look at and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from integrations import inbox
from integrations.inbound_secret import admits, secret_of
from integrations.models import ConnectedAccount
from integrations.salesforce import ids
from integrations.salesforce.client import SYSTEM
from integrations.salesforce.layouts import OWNERS, layouts_of

MAX_BYTES = 1_000_000
ORG_PREFIX = "00D"


class Refused(Exception):
    """The call is not accepted: `status` is the answer, `reason` is for our counter and never leaves."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def inbound_url(account: ConnectedAccount) -> str:
    """Where the org sends its outbound messages: names the connection and holds its secret."""
    return f"{settings.PUBLIC_URL}{reverse('salesforce-message', args=[account.pk, secret_of(account)])}"


def callout_url(account: ConnectedAccount) -> str:
    """Where a flow or Apex posts JSON; the secret goes into a header."""
    return f"{settings.PUBLIC_URL}{reverse('salesforce-callout', args=[account.pk])}"


def sender(key: UUID, secret: str) -> ConnectedAccount:
    """The connection that a call belongs to. Raises `Refused` unless the secret is that connection's, or one before it
    that is still valid, and `DecryptionError` when ours cannot be read."""
    account = ConnectedAccount.objects.filter(pk=key, system=SYSTEM).first()
    if not admits(account, secret) or account is None:
        raise Refused(403, "wrong_secret")
    if account.status == ConnectedAccount.Status.DISCONNECTED:
        raise Refused(403, "disconnected")
    return account


def require_org(account: ConnectedAccount, given: object) -> None:
    """Raise `Refused` unless the org's id, in either of its forms, is the one that this connection is pinned to."""
    if not (isinstance(given, str) and ids.is_id(given, ORG_PREFIX) and ids.same(given, account.remote_id)):
        raise Refused(403, "wrong_org")


def names_of(account: ConnectedAccount) -> Mapping[str, str]:
    """Our names by Salesforce's, for every object of the org that a flow might read, lines included."""
    layouts = layouts_of(account)
    lines = {layouts[owner].lines: part for part, owner in OWNERS.items()}
    known = {layout.remote: name for name, layout in layouts.items()}
    return known | {line.object: part for line, part in lines.items() if line is not None}


def body_of(request: HttpRequest) -> bytes:
    """The body. Raises `Refused` for more than a megabyte, before it is read."""
    if inbox.length_of(request) > MAX_BYTES:
        raise Refused(413, "too_large")
    return request.body


def refuse(request: HttpRequest, kind: str, refused: Refused) -> HttpResponse:
    """An empty answer; why is counted as `kind`."""
    inbox.count_refused(kind, inbox.source_of(request), refused.reason)
    return HttpResponse(status=refused.status)
