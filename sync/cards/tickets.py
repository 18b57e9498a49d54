"""Tickets and bearers: how the right that the host signed reaches the page in the browser (SEC-12).

A ticket is 256 bits in an address that nobody can guess: good once, for a minute, stored as a hash. Consuming it gives
a bearer: signed, good for 15 minutes, bound to account, person and record, kept in the page's memory and nowhere else.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from datetime import timedelta

from django.core import signing
from django.utils import timezone
from django.utils.crypto import salted_hmac

from integrations.cards import CardCaller
from integrations.models import ConnectedAccount
from sync.models import CardTicket

TICKET_SECONDS = 60
BEARER_SECONDS = 15 * 60
KEPT = timedelta(days=1)
"""Used and expired tickets are kept this long, for whoever asks what happened."""
_SALT = "sync.cards.bearer"
_TICKET_SALT = "sync.cards.ticket"
_TICKET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
# What a card never needs of an account: the ciphertexts and the large columns.
LIGHT = ("schemas", "access_token", "refresh_token", "usage", "granted_scopes")


class NotValid(Exception):
    """The ticket or bearer proves nothing: unknown, used, too old or forged. The text is for our log."""


def issue(caller: CardCaller, view: str = "") -> str:
    """A ticket for the caller and the record; returns the secret, which is stored nowhere.

    The same signed request gets the same ticket: a repeat of the host's is served, and whoever sends the request again
    after the person opened the page gets a ticket that was used (SEC-09).
    """
    token, now = _token(caller.proof), timezone.now()
    CardTicket.objects.filter(account=caller.account, expires_at__lt=now - KEPT).delete()
    values = {
        "account": caller.account,
        "user_id": caller.user_id,
        "user_email": caller.user_email,
        "object": caller.object,
        "record_id": caller.record_id,
        "view": view[:20],
        "locale": caller.locale,
        "created_at": now,
        "expires_at": now + timedelta(seconds=TICKET_SECONDS),
    }
    CardTicket.objects.get_or_create(token_hash=_hash(token), defaults=values)
    return token


def _token(proof: str) -> str:
    """256 bits that nobody else can know: at random, or made of the request with our own key."""
    if not proof:
        return secrets.token_urlsafe(32)
    made = salted_hmac(_TICKET_SALT, proof, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def consume(token: object) -> CardCaller:
    """Whose ticket this was; it is used up by one conditional update. Raises `NotValid`."""
    if not isinstance(token, str) or not _TICKET.fullmatch(token):
        raise NotValid("malformed")
    now, row = timezone.now(), CardTicket.objects.filter(token_hash=_hash(token))
    if not row.filter(used_at=None, expires_at__gt=now).update(used_at=now):
        found = row.values_list("used_at", flat=True).first()
        raise NotValid("unknown" if not row.exists() else "used" if found else "expired")
    ticket = row.get()
    return CardCaller(
        account=_account(str(ticket.account_id)),
        user_id=ticket.user_id,
        user_email=ticket.user_email,
        object=ticket.object,
        record_id=ticket.record_id,
        locale=ticket.locale,
    )


def bearer_for(caller: CardCaller) -> str:
    """A bearer for this caller and record."""
    claims = [str(caller.account.pk), caller.user_id, caller.user_email, caller.object, caller.record_id, caller.locale]
    return signing.dumps(claims, salt=_SALT)


def caller_of(bearer: str) -> CardCaller:
    """Who holds the bearer. Raises `NotValid` when it is forged or too old, or its account is gone."""
    try:
        account, user_id, email, kind, record, locale = signing.loads(bearer, salt=_SALT, max_age=BEARER_SECONDS)
    except signing.SignatureExpired:
        raise NotValid("expired") from None
    except (signing.BadSignature, ValueError):
        raise NotValid("forged") from None
    return CardCaller(_account(account), user_id, email, kind, record, locale)


def _account(key: str) -> ConnectedAccount:
    account = ConnectedAccount.objects.filter(pk=key).defer(*LIGHT).first()
    if account is None or account.status == ConnectedAccount.Status.DISCONNECTED:
        raise NotValid("account_gone")
    return account


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
