"""One consent, from the click on "Connect" until the vendor sends the person back (SEC-06, SEC-07).

The callback is a GET that anybody can make a browser visit, so everything it does rests on the state: random, stored
as a hash, single use, ten minutes old at most, and bound to the user, the browser session, the system, the account
row and the redirect address. The invariant: whatever does not match exactly changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations import oauth, tokens
from integrations.errors import AuthenticationFailed, Misconfigured, SyncError
from integrations.fields import conceal, reveal
from integrations.models import AuthorizationAttempt, ConnectedAccount
from integrations.salesforce import deployments

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

logger = logging.getLogger(__name__)

LIFETIME = timedelta(minutes=10)
# An administrator signs in afresh, whoever the browser remembers, and gives nothing that outlives the session.
_ONCE: dict[str, Any] = {"scopes": ["api"], "extra": {"prompt": "login"}}
_LONGEST = 4000  # characters of a code or state that can be meant seriously


class Refused(Exception):
    """The person comes back without a usable consent: what happened, and what to do about it. `purpose` is what the
    consent was for."""

    purpose: str = AuthorizationAttempt.Purpose.CONNECT

    def __init__(
        self, cause: str | Promise, remedy: str | Promise, account: ConnectedAccount | None = None, next_url: str = ""
    ) -> None:
        super().__init__(str(cause))
        self.cause, self.remedy, self.account, self.next_url = cause, remedy, account, next_url


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the browser brought to the callback; every parameter as often as it came."""

    system: str
    user: AbstractBaseUser | AnonymousUser
    session_key: str
    parameters: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str:
        """The parameter when it came exactly once and is not absurdly long; otherwise ""."""
        values = self.parameters.get(name, ())
        return values[0] if len(values) == 1 and len(values[0]) <= _LONGEST else ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A consent that was accepted: for which account, where to go next, and what it was for."""

    account: ConnectedAccount
    next_url: str
    purpose: str


def redirect_uri(system: str) -> str:
    """Where the vendor sends people back: one fixed address per system, never built from the Host header."""
    return f"{settings.PUBLIC_URL}{reverse('connect-callback', args=[system])}"


def start(
    account: ConnectedAccount,
    user: Any,
    session_key: str,
    next_url: str = "",
    *,
    purpose: str = AuthorizationAttempt.Purpose.CONNECT,
) -> str:
    """The vendor's consent address for this account, person and browser. Raises `Misconfigured`."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    attempt = AuthorizationAttempt(
        state_hash=_hash(state),
        account=account,
        user=user,
        session_hash=_hash(session_key),
        redirect_uri=redirect_uri(account.system),
        next_url=next_url,
        purpose=purpose,
    )
    conceal(attempt, "code_verifier", verifier)
    if account.client_id:
        conceal(attempt, "app", json.dumps(tokens.app_of(account)))
    asked = _ONCE if purpose == AuthorizationAttempt.Purpose.DEPLOY else {}
    url = oauth.authorization_url(account, attempt.redirect_uri, state, verifier, **asked)
    AuthorizationAttempt.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()
    attempt.save()
    return url


def finish(arrival: Arrival) -> Finished:
    """The account, where to go next, and what it was for. Raises `Refused`; then nothing was stored."""
    attempt = _claim(arrival)
    try:
        return Finished(_explained(arrival, attempt), attempt.next_url, attempt.purpose)
    except Refused as refused:
        refused.purpose = attempt.purpose
        raise


def _explained(arrival: Arrival, attempt: AuthorizationAttempt) -> ConnectedAccount:
    """`_exchange`, with what can be done about its errors."""
    account = attempt.account
    try:
        return _exchange(arrival, attempt)
    except tokens.WrongAccount as error:
        logger.warning("account %s: consent for another remote account refused", account.pk)
        remedy = _("Sign in to %(name)s and approve again. Another company needs a connection of its own.")
        raise Refused(error.message, remedy % {"name": account}, account, attempt.next_url) from None
    except Misconfigured as error:
        remedy = _("An administrator must correct the client id, secret, scopes or redirect address: %(uri)s")
        raise Refused(error.message, remedy % {"uri": attempt.redirect_uri}, account, attempt.next_url) from None
    except AuthenticationFailed as error:
        raise Refused(error.message, _("Start again with the button."), account, attempt.next_url) from None
    except SyncError as error:
        remedy = _("Wait a minute, then start again with the button.")
        raise Refused(error.message, remedy, account, attempt.next_url) from None


def _claim(arrival: Arrival) -> AuthorizationAttempt:
    """The attempt this arrival belongs to, used up from now on."""
    state = arrival.one("state")
    attempts = AuthorizationAttempt.objects.filter(
        state_hash=_hash(state),
        session_hash=_hash(arrival.session_key),
        user_id=arrival.user.pk or 0,
        account__system=arrival.system,
        redirect_uri=redirect_uri(arrival.system),
        created_at__gt=timezone.now() - LIFETIME,
        used_at=None,
    )
    if not state or not arrival.session_key or attempts.update(used_at=timezone.now()) != 1:
        logger.warning("connect callback of %s refused: unknown, used, expired or foreign state", arrival.system)
        raise Refused(
            _("This sign-in was not started here, was already used, or is more than ten minutes old."),
            _("Open the connection in Ledgerbridge, in this browser, and start again."),
        )
    attempt = AuthorizationAttempt.objects.select_related("account").get(state_hash=_hash(state))
    if not ConnectedAccount.objects.for_user(arrival.user).filter(pk=attempt.account_id).exists():
        raise Refused(_("You no longer have access to this organization."), _("Ask one of its owners."))
    user: Any = arrival.user
    if not user.has_perm("integrations.change_connectedaccount", attempt.account):
        raise Refused(_("You may not connect accounts of this organization any more."), _("Ask one of its owners."))
    return attempt


def _exchange(arrival: Arrival, attempt: AuthorizationAttempt) -> ConnectedAccount:
    account, code = attempt.account, arrival.one("code")
    if error := arrival.one("error"):
        raise _denied(account, error, arrival.one("error_description"), attempt.next_url)
    if not code:
        raise Refused(
            _("The vendor sent you back without an answer. A locked user account does that."),
            _("Sign in at the vendor once, then start again with the button."),
            account,
            attempt.next_url,
        )
    verifier = reveal(attempt, "code_verifier")
    if attempt.app:
        tokens.wear_app(account, json.loads(reveal(attempt, "app")))
    AuthorizationAttempt.objects.filter(pk=attempt.pk).update(code_verifier="", app="")
    answer = oauth.exchange_code(account, code, attempt.redirect_uri, verifier)
    if attempt.purpose == AuthorizationAttempt.Purpose.DEPLOY:
        return deployments.begin(account, answer, arrival.user).account
    return tokens.store_grant(account, answer)


def _denied(account: ConnectedAccount, error: str, description: str, next_url: str) -> Refused:
    if error == "access_denied":
        cause = _("The approval was declined in %(system)s.") % {"system": account.get_system_display()}
        return Refused(cause, _("Start again when you want to connect."), account, next_url)
    cause = _("%(system)s answered: %(text)s") % {
        "system": account.get_system_display(),
        "text": (description or error)[:200],
    }
    remedies = {
        "invalid_scope": _("The app registered at the vendor lacks a scope that is needed; an administrator adds it."),
        "unauthorized_client": _("Only a system administrator of the company can approve a service account."),
        "OAUTH_EC_APP_NOT_FOUND": _("Sign in to the org in which the app was created; in others it does not exist."),
        "redirect_uri_mismatch": _("Enter the callback address into the app exactly as it is shown here."),
    }
    return Refused(cause, remedies.get(error, _("Start again with the button.")), account, next_url)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
