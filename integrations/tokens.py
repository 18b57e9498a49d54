"""Tokens: kept alive by one refresher at a time, stored before they are used, given up only when it is hopeless.

The invariants: at most one token call is under way per account, over all processes; a new pair is committed before
anything uses it; no refresh token that works once is presented twice (INV6) except for the single probe after a lost
answer; an account that needs a person makes no token call at all. The columns are written by `token_store`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from integrations import oauth
from integrations import token_store as kept
from integrations.errors import AuthenticationFailed, Misconfigured, OutcomeUnknown, SyncError, Transient
from integrations.fields import conceal
from integrations.locks import process_lock
from integrations.models import ConnectedAccount, Integration
from integrations.token_store import LEEWAY, LOST, STATE, STORED, STORED_AFTER_401, WrongAccount, needs_reconnect

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

__all__ = ["WrongAccount", "needs_reconnect"]

logger = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 15.0  # longer than the one call that the holder can be waiting for
BACKOFF = timedelta(seconds=60)
MISCONFIGURED_PAUSE = timedelta(minutes=5)
KEEP_ALIVE = timedelta(days=1)
_APP, _APP_SECRETS = ("client_id", "username", "oauth_url"), ("client_secret", "signing_key")
Status, Grant = ConnectedAccount.Status, ConnectedAccount.Grant


def access_token(account: ConnectedAccount) -> str:
    """A valid access token, refreshed under the lock when it is due. Raises `AuthenticationFailed`, or `Transient`
    and `Misconfigured` when the old token has run out and a new one cannot be had now."""
    kept.require_connected(account)
    if kept.is_fresh(account):
        return kept.revealed(account, "access_token")
    # While the old token works nobody waits for the process that is fetching the new one.
    return _obtain(account, wait=0 if kept.is_valid(account) else LOCK_WAIT_SECONDS)


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
        refreshed += account.token_generation != before and kept.is_fresh(account)
    return refreshed


def store_grant(
    account: ConnectedAccount,
    token: oauth.TokenAnswer | Mapping[str, Any],
    *,
    identity: oauth.Identity | None = None,
    grant: str = Grant.CODE,
) -> ConnectedAccount:
    """Keep what a person's consent or a service sign-in gave, and connect the account; gives the row that holds it.

    The first connect pins the remote account; another one is refused with `WrongAccount` and nothing is stored. A
    second connect of a remote account the organization already has finds its first row again. A Fortnox company that
    consented to a service account moves to client credentials at once.
    """
    answer = token if isinstance(token, oauth.TokenAnswer) else oauth.parse(account, token)
    identity = identity or oauth.identify(account, answer)
    target = kept.row_of(account, identity)
    with process_lock(_lock_name(target), wait=LOCK_WAIT_SECONDS) as mine:
        if not mine:
            raise Transient("Another process is refreshing this account", code="busy", retry_after=5)
        target.refresh_from_db(fields=STATE)
        kept.refuse_other(target, identity.remote_id)
        kept.refuse_other_kind(target, identity)
        _keep_app(target, account)
        target.remote_id, target.ui_url = identity.remote_id, identity.ui_url
        target.name = identity.name or target.name
        target.details = target.details | dict(identity.details)
        target.details.pop("rotation", None)  # a new consent may follow a change of the org's policies
        generation = kept.begin(target, grant, "")
        kept.store(target, generation, answer, grant)
        kept.learn_lifetime(target, answer)
        _prefer_service_account(target)
    if target.pk != account.pk:
        account.delete()  # a row that never was connected; its authorization attempts go with it
    return target


def connect_service(account: ConnectedAccount, grant: str) -> ConnectedAccount:
    """Connect without a consent page: the vendor was prepared for it. Raises what `store_grant` and the vendor do."""
    return store_grant(account, oauth.service_token(account, grant), grant=grant)


def disconnect(account: ConnectedAccount, user: AbstractBaseUser | AnonymousUser) -> bool:
    """Revoke at the vendor and erase the tokens here; True when the vendor confirmed. What was synced stays."""
    with process_lock(_lock_name(account), wait=LOCK_WAIT_SECONDS):
        account.refresh_from_db(fields=STATE)
        twins = ConnectedAccount.objects.filter(system=account.system, remote_id=account.remote_id)
        alone = not twins.exclude(pk=account.pk).filter(status=Status.CONNECTED).exists()
        own = alone or not oauth.vendor_of(account).shares_refresh_token
        confirmed = oauth.revoke(
            account,
            kept.readable(account, "access_token"),
            kept.readable(account, "refresh_token") if own else "",
            uninstall=alone,
        )
        kept.erase(account)
        kept.set_status(account, Status.DISCONNECTED, f"Disconnected by {user}")
        account.save(update_fields=STATE)
    logger.info("account %s disconnected by %s, vendor confirmed: %s", account.pk, user, confirmed)
    return confirmed


# --- Under the lock --------------------------------------------------------------------------------------------


def _obtain(account: ConnectedAccount, *, wait: float, rejected: str = "") -> str:
    """The token to use now: another process's newer one, or ours after a refresh."""
    with process_lock(_lock_name(account), wait=wait) as mine:
        account.refresh_from_db(fields=STATE)
        kept.require_connected(account)
        current = kept.revealed(account, "access_token")
        if current and current != rejected and (kept.is_fresh(account) or (not mine and kept.is_valid(account))):
            return current
        if not mine:
            raise Transient("Another process is refreshing the token", code="busy", retry_after=5)
        if rejected and current == rejected and kept.was_fetched_after_401(account):
            reason = "The vendor refuses a token that it issued a moment ago"
            needs_reconnect(account, reason)
            raise AuthenticationFailed(reason, code="refused_again", status=401)
        return _refresh(account, rejected=bool(rejected))


def _refresh(account: ConnectedAccount, *, rejected: bool) -> str:
    """One refresh; what its failure means for the account is decided here."""
    now = timezone.now()
    usable = kept.is_valid(account) and not rejected
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
        return kept.revealed(account, "access_token")
    raise failure


def _by_the_right_grant(account: ConnectedAccount, *, rejected: bool, usable: bool) -> str:
    if account.grant != Grant.CODE:
        return _attempt(account, account.grant, rejected=rejected)
    lost = kept.lost_presentations(account) if oauth.vendor_of(account).works_once(account) else 0
    if not lost:
        return _attempt(account, Grant.CODE, rejected=rejected)
    return _recover(account, lost, rejected=rejected, usable=usable)


def _recover(account: ConnectedAccount, lost: int, *, rejected: bool, usable: bool) -> str:
    """After a refresh whose answer was lost, where a refresh token works once: the one we hold may be dead (trust A3).

    A service account first where the vendor has one (it needs no refresh token), then the old access token until it
    runs out, then one probe with the old refresh token, then a person.
    """
    if oauth.vendor_of(account).prefers_service:
        try:
            return _attempt(account, Grant.CLIENT_CREDENTIALS, rejected=rejected)
        except (AuthenticationFailed, Misconfigured):
            logger.info("account %s has no service account to recover by", account.pk)
    if usable and account.access_expires_at:
        account.refresh_due_at = account.access_expires_at - LEEWAY
        account.save(update_fields=["refresh_due_at"])
        return kept.revealed(account, "access_token")
    if lost > 1:
        raise AuthenticationFailed("The answers of two refreshes were lost", code="lost_twice")
    return _attempt(account, Grant.CODE, rejected=rejected)


def _attempt(account: ConnectedAccount, grant: str, *, rejected: bool) -> str:
    """One call to the token endpoint, between two commits: the intent before it, the outcome after it."""
    presented = kept.revealed(account, "refresh_token") if grant == Grant.CODE else ""
    if grant == Grant.CODE and not presented:
        raise AuthenticationFailed("There is no refresh token", code="no_refresh_token")
    generation = kept.begin(account, grant, presented)
    try:
        if grant == Grant.CODE:
            answer = oauth.refresh(account, presented)
        else:
            answer = oauth.service_token(account, grant)
        kept.refuse_other(account, answer.remote_id or account.remote_id)
    except SyncError as error:
        outcome = LOST if isinstance(error, OutcomeUnknown) else "refused"
        kept.finish(generation, f"{outcome}: {error.code}")
        if isinstance(error, WrongAccount):
            raise AuthenticationFailed(error.message, code=error.code) from None
        raise
    kept.note_rotation(account, presented, answer)
    kept.store(account, generation, answer, grant, outcome=STORED_AFTER_401 if rejected else STORED)
    kept.learn_lifetime(account, answer)
    return answer.access_token


def _prefer_service_account(account: ConnectedAccount) -> None:
    """Move an account to a service token when its vendor and its owner let us; otherwise the code grant stays."""
    if not oauth.vendor_of(account).prefers_service:
        return
    try:
        _attempt(account, Grant.CLIENT_CREDENTIALS, rejected=False)
    except SyncError as error:
        logger.info("account %s stays on its refresh token: %r", account.pk, error)


def app_of(account: ConnectedAccount) -> dict[str, str]:
    """What is known of the customer's own app, secrets in clear: to be kept encrypted, and nowhere else."""
    plain = {name: str(getattr(account, name)) for name in _APP}
    return plain | {name: kept.revealed(account, name) for name in _APP_SECRETS}


def wear_app(account: ConnectedAccount, app: Mapping[str, str]) -> None:
    """Put an app's particulars on a row (not saved)."""
    for name in _APP:
        setattr(account, name, app[name])
    for name in _APP_SECRETS:
        conceal(account, name, app[name])


def _keep_app(target: ConnectedAccount, account: ConnectedAccount) -> None:
    """What the connection was made with takes the place of what the row had."""
    if not account.client_id:
        return
    if target.pk != account.pk:
        wear_app(target, app_of(account))
    target.save(update_fields=[*_APP, *_APP_SECRETS])


def _lock_name(account: ConnectedAccount) -> str:
    return f"token:{account.pk}"
