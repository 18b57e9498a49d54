"""Tokens: kept alive by one refresher at a time, stored before they are used, given up only when it is hopeless.

The invariants: at most one token call is under way per account, over all processes; a new pair is committed before
anything uses it; no Fortnox refresh token is presented twice (INV6) except for the single probe after a lost answer;
an account that needs a person makes no token call at all. Only this module writes the token columns.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from integrations import oauth
from integrations.errors import (
    AuthenticationFailed,
    Conflict,
    Misconfigured,
    OutcomeUnknown,
    SyncError,
    Transient,
)
from integrations.fields import DecryptionError, conceal, reveal
from integrations.identity import Identity, identify
from integrations.locks import process_lock
from integrations.models import ConnectedAccount, Integration, System, TokenGeneration

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

logger = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 15.0  # longer than the one call that the holder can be waiting for
LEEWAY = timedelta(seconds=30)
BACKOFF = timedelta(seconds=60)
MISCONFIGURED_PAUSE = timedelta(minutes=5)
KEEP_ALIVE = timedelta(days=1)
HOPELESS_WITHIN = timedelta(minutes=10)

STORED, STORED_AFTER_401, LOST = "stored", "stored after 401", "lost"
_STATE = (
    "status",
    "status_reason",
    "status_at",
    "paused_until",
    "remote_id",
    "name",
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
)
Status, Grant = ConnectedAccount.Status, ConnectedAccount.Grant


class WrongAccount(Conflict):
    """The person connected another company or portal than the one this row is pinned to (SEC-07)."""


def access_token(account: ConnectedAccount) -> str:
    """A valid access token, refreshed under the lock when it is due. Raises `AuthenticationFailed`, or `Transient`
    and `Misconfigured` when the old token has run out and a new one cannot be had now."""
    _require_connected(account)
    if _fresh(account):
        return _reveal(account, "access_token")
    # While the old token works nobody waits for the process that is fetching the new one.
    return _obtain(account, wait=0 if _valid(account) else LOCK_WAIT_SECONDS)


def after_unauthorized(account: ConnectedAccount, rejected: str) -> str:
    """After a 401: the newer token that another process stored, or one locked refresh.

    Raises `AuthenticationFailed` and sets NEEDS_RECONNECT when the vendor refuses, or refuses a token again that was
    itself fetched after a 401.
    """
    return _obtain(account, rejected=rejected, wait=LOCK_WAIT_SECONDS)


def refresh_due_accounts(now: datetime) -> int:
    """Refresh what is due, and keep dormant accounts alive once a day; how many were refreshed. Never raises for an
    account: its failure is in its row."""
    used = Integration.objects.exclude(mode=Integration.Mode.OFF).filter(
        Q(crm_account=OuterRef("pk")) | Q(ledger_account=OuterRef("pk"))
    )
    due = ConnectedAccount.objects.filter(
        Q(Exists(used)) | Q(refreshed_at=None) | Q(refreshed_at__lte=now - KEEP_ALIVE),
        Q(paused_until=None) | Q(paused_until__lte=now),
        status=Status.CONNECTED,
        refresh_due_at__lte=now,
    )
    refreshed = 0
    for account in due.order_by("refresh_due_at"):
        before = account.token_generation
        try:
            _obtain(account, wait=0)
        except SyncError as error:
            logger.warning("token of account %s not refreshed: %r", account.pk, error)
        refreshed += account.token_generation != before and _fresh(account)
    return refreshed


def store_grant(
    account: ConnectedAccount,
    token: oauth.TokenAnswer | Mapping[str, Any],
    *,
    identity: Identity | None = None,
) -> ConnectedAccount:
    """Keep what a person's consent gave, and connect the account; gives the row that holds it.

    The first connect pins the remote account; another one is refused with `WrongAccount` and nothing is stored. A
    second connect of a remote account the organization already has finds its first row again. A Fortnox company that
    consented to a service account moves to client credentials at once.
    """
    answer = token if isinstance(token, oauth.TokenAnswer) else oauth.parse(account.system, token)
    identity = identity or identify(account, answer)
    target = _row_of(account, identity.remote_id)
    with process_lock(_lock_name(target), wait=LOCK_WAIT_SECONDS) as mine:
        if not mine:
            raise Transient("Another process is refreshing this account", code="busy", retry_after=5)
        target.refresh_from_db(fields=_STATE)
        _refuse_other(target, identity.remote_id)
        target.remote_id, target.ui_url = identity.remote_id, identity.ui_url
        target.name = identity.name or target.name
        generation = _begin(target, Grant.CODE, "")
        _store(target, generation, answer, Grant.CODE)
        _prefer_service_account(target)
    if target.pk != account.pk:
        account.delete()  # a row that never was connected; its authorization attempts go with it
    return target


def disconnect(account: ConnectedAccount, user: AbstractBaseUser | AnonymousUser) -> bool:
    """Revoke at the vendor and erase the tokens here; True when the vendor confirmed. What was synced stays."""
    with process_lock(_lock_name(account), wait=LOCK_WAIT_SECONDS):
        account.refresh_from_db(fields=_STATE)
        twins = ConnectedAccount.objects.filter(system=account.system, remote_id=account.remote_id)
        alone = not twins.exclude(pk=account.pk).filter(status=Status.CONNECTED).exists()
        confirmed = oauth.revoke(
            account,
            _readable(account, "access_token"),
            # HubSpot gives every connection of one portal the same refresh token: another row may live on it.
            _readable(account, "refresh_token") if alone or account.system == System.FORTNOX else "",
            uninstall=alone,
        )
        _erase(account)
        _set_status(account, Status.DISCONNECTED, f"Disconnected by {user}")
        account.save(update_fields=_STATE)
    logger.info("account %s disconnected by %s, vendor confirmed: %s", account.pk, user, confirmed)
    return confirmed


def needs_reconnect(account: ConnectedAccount, reason: str) -> None:
    """Pause the account until a person reconnects it; its changes and cursors wait where they are."""
    _set_status(account, Status.NEEDS_RECONNECT, reason)
    account.refresh_due_at = None
    account.save(update_fields=["status", "status_reason", "status_at", "refresh_due_at"])
    logger.warning("account %s needs a person to reconnect it: %s", account.pk, reason)


# --- Under the lock --------------------------------------------------------------------------------------------


def _obtain(account: ConnectedAccount, *, wait: float, rejected: str = "") -> str:
    """The token to use now: another process's newer one, or ours after a refresh."""
    with process_lock(_lock_name(account), wait=wait) as mine:
        account.refresh_from_db(fields=_STATE)
        _require_connected(account)
        current = _reveal(account, "access_token")
        if current and current != rejected and (_fresh(account) or (not mine and _valid(account))):
            return current
        if not mine:
            raise Transient("Another process is refreshing the token", code="busy", retry_after=5)
        if rejected and current == rejected and _was_fetched_after_401(account):
            reason = "The vendor refuses a token that it issued a moment ago"
            needs_reconnect(account, reason)
            raise AuthenticationFailed(reason, code="refused_again", status=401)
        return _refresh(account, rejected=bool(rejected))


def _refresh(account: ConnectedAccount, *, rejected: bool) -> str:
    """One refresh; what its failure means for the account is decided here."""
    now = timezone.now()
    usable = _valid(account) and not rejected
    if not usable and not rejected and account.refresh_due_at and account.refresh_due_at > now:
        wait = (account.refresh_due_at - now).total_seconds()
        raise Transient("The last refresh failed; waiting to try again", code="backing_off", retry_after=wait)
    try:
        return _by_the_right_grant(account, rejected=rejected, usable=usable)
    except AuthenticationFailed as error:
        needs_reconnect(account, error.message)
        raise
    except Misconfigured as error:
        account.status_reason = error.message[:500]
        account.refresh_due_at = now + MISCONFIGURED_PAUSE
        account.paused_until = account.paused_until if usable else now + MISCONFIGURED_PAUSE
        account.save(update_fields=["status_reason", "refresh_due_at", "paused_until"])
        failure: SyncError = error
    except SyncError as error:
        backoff = max(BACKOFF, timedelta(seconds=error.retry_after or 0))
        account.refresh_due_at = now + backoff * random.uniform(0.8, 1.2)  # noqa: S311
        account.save(update_fields=["refresh_due_at"])
        # Nothing of the caller's own work was sent: for it this is never an unknown outcome.
        failure = Transient(error.message, code=error.code, retry_after=backoff.total_seconds())
    if usable:
        return _reveal(account, "access_token")
    raise failure


def _by_the_right_grant(account: ConnectedAccount, *, rejected: bool, usable: bool) -> str:
    if account.grant == Grant.CLIENT_CREDENTIALS:
        return _attempt(account, Grant.CLIENT_CREDENTIALS, rejected=rejected)
    lost = _lost_presentations(account) if account.system == System.FORTNOX else 0
    if not lost:
        return _attempt(account, Grant.CODE, rejected=rejected)
    return _recover(account, lost, rejected=rejected, usable=usable)


def _recover(account: ConnectedAccount, lost: int, *, rejected: bool, usable: bool) -> str:
    """Fortnox, after a refresh whose answer was lost: the refresh token we hold may be dead (trust A3).

    Client credentials first (they need no refresh token), then the old access token until it runs out, then one
    probe with the old refresh token, then a person.
    """
    try:
        return _attempt(account, Grant.CLIENT_CREDENTIALS, rejected=rejected)
    except (AuthenticationFailed, Misconfigured):
        logger.info("account %s has no service account to recover by", account.pk)
    if usable and account.access_expires_at:
        account.refresh_due_at = account.access_expires_at - LEEWAY
        account.save(update_fields=["refresh_due_at"])
        return _reveal(account, "access_token")
    if lost > 1:
        raise AuthenticationFailed("The answers of two refreshes were lost", code="lost_twice")
    return _attempt(account, Grant.CODE, rejected=rejected)


def _attempt(account: ConnectedAccount, grant: str, *, rejected: bool) -> str:
    """One call to the token endpoint, between two commits: the intent before it, the outcome after it."""
    presented = _reveal(account, "refresh_token") if grant == Grant.CODE else ""
    if grant == Grant.CODE and not presented:
        raise AuthenticationFailed("There is no refresh token", code="no_refresh_token")
    generation = _begin(account, grant, presented)
    try:
        if grant == Grant.CODE:
            answer = oauth.refresh(account, presented)
        else:
            answer = oauth.service_token(account, account.remote_id)
        _refuse_other(account, answer.remote_id or account.remote_id)
    except SyncError as error:
        outcome = LOST if isinstance(error, OutcomeUnknown) else "refused"
        _finish(generation, f"{outcome}: {error.code}")
        if isinstance(error, WrongAccount):
            raise AuthenticationFailed(error.message, code=error.code) from None
        raise
    _store(account, generation, answer, grant, outcome=STORED_AFTER_401 if rejected else STORED)
    return answer.access_token


def _prefer_service_account(account: ConnectedAccount) -> None:
    """Move a Fortnox company to client credentials when it lets us; otherwise the code grant stays."""
    if account.system != System.FORTNOX:
        return
    try:
        _attempt(account, Grant.CLIENT_CREDENTIALS, rejected=False)
    except SyncError as error:
        logger.info("account %s stays on its refresh token: %r", account.pk, error)


def _begin(account: ConnectedAccount, grant: str, presented: str) -> TokenGeneration:
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


def _finish(generation: TokenGeneration, outcome: str) -> None:
    generation.finished_at, generation.outcome = timezone.now(), outcome[:200]
    generation.save(update_fields=["finished_at", "outcome"])


def _store(
    account: ConnectedAccount,
    generation: TokenGeneration,
    answer: oauth.TokenAnswer,
    grant: str,
    *,
    outcome: str = STORED,
) -> None:
    """The new pair and its outcome, in one commit, before anybody uses it."""
    now = timezone.now()
    conceal(account, "access_token", answer.access_token)
    account.grant, account.refreshed_at = grant, now
    account.access_expires_at = now + answer.lifetime
    account.refresh_due_at = now + answer.lifetime * random.uniform(0.45, 0.55)  # noqa: S311 - spreads load
    if grant == Grant.CLIENT_CREDENTIALS:
        account.refresh_token, account.refresh_expires_at = "", None
    elif answer.refresh_token:
        conceal(account, "refresh_token", answer.refresh_token)
        lifetime = oauth.VENDORS[System(account.system)].refresh_lifetime
        account.refresh_expires_at = now + lifetime if lifetime else None
    if answer.scopes is not None:
        account.granted_scopes = sorted(answer.scopes)
    if account.status != Status.CONNECTED:
        account.paused_until = None
    _set_status(account, Status.CONNECTED, "")
    with transaction.atomic(durable=True):
        account.save(update_fields=_STATE)
        _finish(generation, outcome)


# --- Questions about an account ---------------------------------------------------------------------------------


def _row_of(account: ConnectedAccount, remote_id: str) -> ConnectedAccount:
    """The row that stands for this remote account in the organization: this one, or the one connected before."""
    if account.remote_id:
        _refuse_other(account, remote_id)
        return account
    same = ConnectedAccount.objects.filter(
        organization_id=account.organization_id, system=account.system, remote_id=remote_id
    )
    return same.first() or account


def _refuse_other(account: ConnectedAccount, remote_id: str) -> None:
    if account.remote_id and account.remote_id != remote_id:
        raise WrongAccount(
            f"This is account {remote_id}, but {account} is account {account.remote_id}", code="other_account"
        )


def _require_connected(account: ConnectedAccount) -> None:
    if account.status != Status.CONNECTED:
        raise AuthenticationFailed(
            f"{account}: {account.get_status_display()}. {account.status_reason}".strip(), code=account.status
        )


def _valid(account: ConnectedAccount) -> bool:
    return bool(account.access_token and account.access_expires_at) and (
        timezone.now() < account.access_expires_at - LEEWAY  # type: ignore[operator]
    )


def _fresh(account: ConnectedAccount) -> bool:
    return _valid(account) and account.refresh_due_at is not None and timezone.now() < account.refresh_due_at


def _was_fetched_after_401(account: ConnectedAccount) -> bool:
    return account.generations.filter(
        number=account.token_generation,
        outcome=STORED_AFTER_401,
        started_at__gt=timezone.now() - HOPELESS_WITHIN,
    ).exists()


def _lost_presentations(account: ConnectedAccount) -> int:
    """How often the refresh token we hold was sent off without an answer coming back."""
    presented = _fingerprint(_reveal(account, "refresh_token"))
    lost = Q(finished_at=None) | Q(outcome__startswith=LOST)
    return account.generations.filter(lost, refresh_hash=presented).count()


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _reveal(account: ConnectedAccount, name: str) -> str:
    try:
        return reveal(account, name)
    except DecryptionError as error:
        raise Misconfigured(
            f"{error}: put the missing key back into FIELD_ENCRYPTION_KEYS, or reconnect", code="key_missing"
        ) from None


def _readable(account: ConnectedAccount, name: str) -> str:
    """For letting go: a token that cannot be read cannot be revoked either."""
    try:
        return reveal(account, name)
    except DecryptionError:
        return ""


def _erase(account: ConnectedAccount) -> None:
    account.access_token = account.refresh_token = ""
    account.access_expires_at = account.refresh_expires_at = account.refresh_due_at = None
    account.granted_scopes = []


def _set_status(account: ConnectedAccount, status: str, reason: str) -> None:
    if account.status != status:
        account.status_at = timezone.now()
    account.status, account.status_reason = status, reason[:500]


def _lock_name(account: ConnectedAccount) -> str:
    return f"token:{account.pk}"
