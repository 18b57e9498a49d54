"""The token columns of an account: read, judged and written here, and nowhere else.

The invariants: a new pair and the outcome of the attempt that brought it are one commit; the intent to present a
refresh token is committed before the call (trust A3); a row stays pinned to its remote account.
"""

from __future__ import annotations

import hashlib
import logging
import random
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from integrations import oauth
from integrations.errors import AuthenticationFailed, Conflict, Misconfigured
from integrations.fields import DecryptionError, conceal, reveal
from integrations.models import ConnectedAccount, TokenGeneration

logger = logging.getLogger(__name__)

LEEWAY = timedelta(seconds=30)
HOPELESS_WITHIN = timedelta(minutes=10)
UNSTATED_LIFETIME = timedelta(hours=1)
"""Of a token whose answer named none. Salesforce: two hours without use by default, fifteen minutes at least; one that
ends before its time costs a single 401."""

STORED, STORED_AFTER_401, LOST = "stored", "stored after 401", "lost"
STATE = (
    "status",
    "status_reason",
    "status_at",
    "paused_until",
    "remote_id",
    "name",
    "api_url",
    "ui_url",
    "grant",
    "access_token",
    "refresh_token",
    "access_expires_at",
    "refresh_expires_at",
    "refreshed_at",
    "refresh_due_at",
    "token_generation",
    "granted_scopes",
    "details",
)
Status, Grant = ConnectedAccount.Status, ConnectedAccount.Grant


class WrongAccount(Conflict):
    """The person connected another company, portal or org than the one this row is pinned to (SEC-07)."""


# --- Attempts ---------------------------------------------------------------------------------------------------


def begin(account: ConnectedAccount, grant: str, presented: str) -> TokenGeneration:
    """The intent, committed before the call. A generation without an outcome is one whose answer was lost."""
    with transaction.atomic(durable=True):
        account.token_generation += 1
        account.save(update_fields=["token_generation"])
        return TokenGeneration.objects.create(
            account=account,
            number=account.token_generation,
            grant=grant,
            refresh_hash=_fingerprint(presented) if presented else "",
        )


def finish(generation: TokenGeneration, outcome: str) -> None:
    """What became of an attempt."""
    generation.finished_at, generation.outcome = timezone.now(), outcome[:200]
    generation.save(update_fields=["finished_at", "outcome"])


def store(
    account: ConnectedAccount,
    generation: TokenGeneration,
    answer: oauth.TokenAnswer,
    grant: str,
    *,
    outcome: str = STORED,
) -> None:
    """The new pair and its outcome, in one commit, before anybody uses it."""
    conceal(account, "access_token", answer.access_token)
    account.grant, account.refreshed_at = grant, timezone.now()
    account.api_url = answer.api_url or account.api_url
    _set_lifetime(account, answer.lifetime or UNSTATED_LIFETIME)
    if grant != Grant.CODE:
        account.refresh_token, account.refresh_expires_at = "", None
    elif answer.refresh_token:
        _keep_refresh_token(account, answer.refresh_token)
    if answer.scopes is not None:
        account.granted_scopes = sorted(answer.scopes)
    if account.status != Status.CONNECTED:
        account.paused_until = None
    set_status(account, Status.CONNECTED, "")
    with transaction.atomic(durable=True):
        account.save(update_fields=STATE)
        finish(generation, outcome)


def learn_lifetime(account: ConnectedAccount, answer: oauth.TokenAnswer) -> None:
    """Ask when a stored token ends, where the answer that brought it did not say."""
    ends = oauth.expires_at(account, answer.access_token) if answer.lifetime is None else None
    if ends is not None and ends > timezone.now() + LEEWAY:
        _set_lifetime(account, ends - timezone.now())
        account.save(update_fields=["access_expires_at", "refresh_due_at"])


def _set_lifetime(account: ConnectedAccount, lifetime: timedelta) -> None:
    now = timezone.now()
    account.access_expires_at = now + lifetime
    account.refresh_due_at = now + lifetime * random.uniform(0.45, 0.55)  # noqa: S311 - spreads load


def _keep_refresh_token(account: ConnectedAccount, refresh_token: str) -> None:
    lifetime = oauth.vendor_of(account).refresh_lifetime
    account.refresh_expires_at = timezone.now() + lifetime if lifetime else None
    conceal(account, "refresh_token", refresh_token)


def note_rotation(account: ConnectedAccount, presented: str, answer: oauth.TokenAnswer) -> None:
    """Remember, until the next save, whether the vendor replaced the refresh token that was presented."""
    if presented:
        account.details = account.details | {"rotation": answer.refresh_token not in {"", presented}}


# --- Status -----------------------------------------------------------------------------------------------------


def set_status(account: ConnectedAccount, status: str, reason: str) -> None:
    """Set, not saved; the moment moves only when the status does."""
    if account.status != status:
        account.status_at = timezone.now()
    account.status, account.status_reason = status, reason[:500]


def needs_reconnect(account: ConnectedAccount, reason: str) -> None:
    """Pause the account until a person reconnects it; its changes and cursors wait where they are."""
    set_status(account, Status.NEEDS_RECONNECT, reason)
    account.refresh_due_at = None
    account.save(update_fields=["status", "status_reason", "status_at", "refresh_due_at"])
    logger.warning("account %s needs a person to reconnect it: %s", account.pk, reason)


def erase(account: ConnectedAccount) -> None:
    """Forget the tokens (not saved)."""
    account.access_token = account.refresh_token = ""
    account.access_expires_at = account.refresh_expires_at = account.refresh_due_at = None
    account.granted_scopes = []


# --- Questions about an account ---------------------------------------------------------------------------------


def row_of(account: ConnectedAccount, identity: oauth.Identity) -> ConnectedAccount:
    """The row that stands for this remote account in the organization: this one, or the one connected before."""
    if account.remote_id:
        refuse_other(account, identity.remote_id)
        return account
    same = ConnectedAccount.objects.filter(
        organization_id=account.organization_id, system=account.system, remote_id=identity.remote_id
    )
    return same.first() or account


def refuse_other(account: ConnectedAccount, remote_id: str) -> None:
    """Raises `WrongAccount` when the row is pinned to another remote account."""
    if account.remote_id and account.remote_id != remote_id:
        raise WrongAccount(
            f"This is account {remote_id}, but {account} is account {account.remote_id}", code="other_account"
        )


def refuse_other_kind(account: ConnectedAccount, identity: oauth.Identity) -> None:
    """Raises `WrongAccount` when a production org became a sandbox or the reverse: a copy, not the account pinned."""
    before, now = account.details.get("is_sandbox"), identity.details.get("is_sandbox")
    if account.remote_id and None not in {before, now} and before != now:
        kind = "a sandbox" if now else "a production org"
        raise WrongAccount(f"{account} is {kind} now and was not when it was connected", code="other_account")


def require_connected(account: ConnectedAccount) -> None:
    """Raises `AuthenticationFailed` for an account that a person must connect."""
    if account.status != Status.CONNECTED:
        raise AuthenticationFailed(
            f"{account}: {account.get_status_display()}. {account.status_reason}".strip(), code=account.status
        )


def is_valid(account: ConnectedAccount) -> bool:
    """Whether the access token still works, as far as is known."""
    ends: datetime | None = account.access_expires_at
    return bool(account.access_token) and ends is not None and timezone.now() < ends - LEEWAY


def is_fresh(account: ConnectedAccount) -> bool:
    """Whether the access token is valid and not yet due for a refresh."""
    return is_valid(account) and account.refresh_due_at is not None and timezone.now() < account.refresh_due_at


def was_fetched_after_401(account: ConnectedAccount) -> bool:
    """Whether the token we hold was itself fetched after a 401, a moment ago."""
    return account.generations.filter(
        number=account.token_generation,
        outcome=STORED_AFTER_401,
        started_at__gt=timezone.now() - HOPELESS_WITHIN,
    ).exists()


def lost_presentations(account: ConnectedAccount) -> int:
    """How often the refresh token we hold was sent off without an answer coming back."""
    presented = _fingerprint(revealed(account, "refresh_token"))
    lost = Q(finished_at=None) | Q(outcome__startswith=LOST)
    return account.generations.filter(lost, refresh_hash=presented).count()


def revealed(account: ConnectedAccount, name: str) -> str:
    """A secret of the account. Raises `Misconfigured` when its key is missing."""
    try:
        return reveal(account, name)
    except DecryptionError as error:
        raise Misconfigured(
            f"{error}: put the missing key back into FIELD_ENCRYPTION_KEYS, or reconnect", code="key_missing"
        ) from None


def readable(account: ConnectedAccount, name: str) -> str:
    """For letting go: a token that cannot be read cannot be revoked either."""
    try:
        return reveal(account, name)
    except DecryptionError:
        return ""


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
