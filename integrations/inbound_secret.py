"""The secret that a sender of events proves itself with where the vendor signs nothing: made, compared, renewed, ended.

Renewing leaves the old one valid for a time that a person chose, because the sender learns the new one later than we
do, and repeats by the old address what was not acknowledged. The invariants: an account has exactly one secret in use;
one that ended, by hand or by time, opens nothing; who renewed or ended is in the account's history.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from integrations.fields import conceal, reveal
from integrations.inbound_models import FormerSecret
from integrations.models import ConnectedAccount

OVERLAPS = {1: timedelta(hours=1), 24: timedelta(hours=24), 168: timedelta(days=7)}
"""By hours: how long an old secret may stay valid. A day is as long as Salesforce repeats a message."""
MOST = 5
"""Former secrets that may be valid at once: each is compared with whatever comes."""
NOTED = timedelta(minutes=1)
"""How exactly the last use is known: a flood of messages costs one update a minute."""


class TooMany(Exception):
    """So many former secrets are valid that one must be ended first."""


def secret_of(account: ConnectedAccount) -> str:
    """The secret in use, made when it is first asked for. Raises `DecryptionError`."""
    if not account.inbound_secret:
        conceal(account, "inbound_secret", secrets.token_urlsafe(32))
        fresh = ConnectedAccount.objects.filter(pk=account.pk, inbound_secret="")
        if not fresh.update(inbound_secret=account.inbound_secret):  # somebody else was quicker
            account.refresh_from_db(fields=["inbound_secret"])
    return reveal(account, "inbound_secret")


def admits(account: ConnectedAccount | None, given: str) -> bool:
    """Whether `given` is the account's secret, or a former one that is still valid; notes the use. Without an account
    a comparison takes place all the same, which nothing passes. Raises `DecryptionError`."""
    now = timezone.now()
    current = _same(given, reveal(account, "inbound_secret") if account is not None else "")
    if account is None:
        return False
    if current:
        _note(ConnectedAccount.objects.filter(pk=account.pk), "inbound_used_at", account.inbound_used_at, now)
        return True
    # Each is compared, whichever fits: how long it takes tells nothing.
    fitting = [row for row in account.former_secrets.valid(now) if _same(given, reveal(row, "secret"))]
    for row in fitting:
        _note(FormerSecret.objects.filter(pk=row.pk), "used_at", row.used_at, now)
    return bool(fitting)


def _same(given: str, expected: str) -> bool:
    # Without one to compare with, a random one takes the same time and never fits.
    return secrets.compare_digest(given.encode(), (expected or secrets.token_urlsafe(32)).encode())


def _note(row: Any, column: str, last: datetime | None, now: datetime) -> None:
    if last is None or last < now - NOTED:
        row.filter(Q(**{column: None}) | Q(**{f"{column}__lt": now - NOTED})).update(**{column: now})


@transaction.atomic
def renew(account: ConnectedAccount, user: Any, hours: int) -> FormerSecret:
    """A new secret for the account; the one before stays valid for `hours`, one of `OVERLAPS`.

    Raises `KeyError` for other hours, `TooMany`, and `DecryptionError`.
    """
    overlap = OVERLAPS[hours]
    locked = ConnectedAccount.objects.select_for_update().get(pk=account.pk)
    old, now = secret_of(locked), timezone.now()
    if locked.former_secrets.valid(now).count() >= MOST:
        raise TooMany
    former = FormerSecret(
        account=locked, replaced_at=now, replaced_by=user, valid_until=now + overlap, used_at=locked.inbound_used_at
    )
    conceal(former, "secret", old)
    former.save()
    conceal(locked, "inbound_secret", secrets.token_urlsafe(32))
    locked.inbound_used_at = None
    locked.save(update_fields=["inbound_secret", "inbound_used_at"])
    account.inbound_secret, account.inbound_used_at = locked.inbound_secret, None
    return former


@transaction.atomic
def end(former: FormerSecret) -> bool:
    """A former secret opens nothing from now on; False when it had ended already."""
    row = FormerSecret.objects.select_for_update().get(pk=former.pk)
    if row.state != "valid":
        return False
    row.secret, row.ended_at = "", timezone.now()
    row.save(update_fields=["secret", "ended_at"])
    return True
