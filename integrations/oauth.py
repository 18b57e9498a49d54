"""The vendors' OAuth servers, spoken to: consent addresses, code exchange, refresh, service tokens, revocation.

`requests-oauthlib` is used here and nowhere else, fenced: it has no timeout of its own, logs tokens at DEBUG, and its
automatic refresh is not locked. Nothing here touches the database; when to ask, and what to keep, is `tokens`. The
invariant: an error that leaves this module names the vendor's error code and never holds a token or a secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import requests
import urllib3
from django.conf import settings
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from integrations.errors import (
    AuthenticationFailed,
    Misconfigured,
    OutcomeUnknown,
    RateLimited,
    SyncError,
    Transient,
)
from integrations.http import guard
from integrations.models import ConnectedAccount, System
from integrations.redaction import redact

# A vendor may grant fewer scopes than we asked for; we compare ourselves instead of being interrupted by a Warning.
os.environ["OAUTHLIB_RELAX_TOKEN_SCOPE"] = "1"  # noqa: S105 - a switch
# Which addresses may be used without TLS (the sandbox's) is decided by `guard`, in one place.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
logging.getLogger("requests_oauthlib").setLevel(logging.INFO)
logging.getLogger("oauthlib").setLevel(logging.INFO)

TIMEOUT_SECONDS = 10
HUBSPOT_VERSION = "2026-09"


@dataclass(frozen=True, slots=True)
class Vendor:
    """Where a vendor's OAuth server lives and what is particular about it."""

    authorize: str
    token: str
    on_api_host: bool
    secret_in_header: bool
    pkce: bool
    extra: Mapping[str, str]
    refresh_lifetime: timedelta | None


VENDORS = {
    System.FORTNOX: Vendor(
        authorize="/oauth-v1/auth",
        token="/oauth-v1/token",  # noqa: S106 - a path
        on_api_host=False,
        secret_in_header=True,
        pkce=False,
        # A service account does not die with the employee who clicked, and needs no refresh token afterwards.
        extra={"access_type": "offline", "account_type": "service"},
        refresh_lifetime=timedelta(days=45),
    ),
    System.HUBSPOT: Vendor(
        authorize="/oauth/authorize",
        token=f"/oauth/{HUBSPOT_VERSION}/token",
        on_api_host=True,
        secret_in_header=False,
        pkce=True,
        extra={},
        refresh_lifetime=None,
    ),
}

# HubSpot's `status` is the more precise of its two codes; Fortnox has only `error`.
_DISCONNECTED = {"BAD_REFRESH_TOKEN", "BAD_AUTH_CODE", "BAD_HUB", "BAD_CODE_VERIFIER", "access_denied"}
_OURS = {
    "BAD_CLIENT_ID",
    "BAD_CLIENT_SECRET",
    "BAD_REDIRECT_URI",
    "BAD_SCOPES",
    "BAD_GRANT_TYPE",
    "invalid_client",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_request",
}


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What a token endpoint gave. `repr` shows no token, so that no traceback can."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    lifetime: timedelta
    scopes: tuple[str, ...] | None
    remote_id: str


def parse(system: str, data: Mapping[str, Any]) -> TokenAnswer:
    """The answer of a token endpoint. Raises `OutcomeUnknown` when it holds no token."""
    access = data.get("access_token")
    if not isinstance(access, str) or not access:
        raise OutcomeUnknown("The token endpoint answered without a token", code="unreadable")
    claims = token_claims(access) if system == System.FORTNOX else {}
    scopes = data.get("scopes", data.get("scope", claims.get("scopes")))
    remote_id = claims.get("tenantId") if system == System.FORTNOX else data.get("hub_id")
    return TokenAnswer(
        access_token=access,
        refresh_token=str(data.get("refresh_token") or ""),
        lifetime=timedelta(seconds=float(data.get("expires_in") or 1800)),
        scopes=None if scopes is None else tuple(scopes.split() if isinstance(scopes, str) else map(str, scopes)),
        remote_id="" if remote_id is None else str(remote_id),
    )


def token_claims(token: str) -> dict[str, Any]:
    """The claims of a JSON web token, unverified: its key is not published, and it came to us over TLS."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def authorization_url(account: ConnectedAccount, redirect_uri: str, state: str, verifier: str) -> str:
    """Where the person gives consent. `verifier` is used by vendors that support PKCE (S256)."""
    vendor = _vendor(account)
    client_id, _ = credentials(account)
    session = OAuth2Session(client_id, redirect_uri=redirect_uri, scope=account.needed_scopes)
    extra = dict(vendor.extra)
    if vendor.pkce:
        digest = hashlib.sha256(verifier.encode()).digest()
        extra["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        extra["code_challenge_method"] = "S256"
    path = vendor.authorize
    if account.system == System.HUBSPOT and account.remote_id:
        path = path.replace("/oauth/", f"/oauth/{account.remote_id}/")  # a reconnect: this portal, no other
    url, _ = session.authorization_url(account.oauth_url + path, state=state, **extra)
    return str(url).replace("+", "%20")  # a literal plus is %2B by now; HubSpot documents %20 between scopes


def exchange_code(account: ConnectedAccount, code: str, redirect_uri: str, verifier: str) -> TokenAnswer:
    """Tokens for an authorization code, which works once."""
    extra = {"code_verifier": verifier} if _vendor(account).pkce else {}
    session = _session(account, redirect_uri=redirect_uri)
    return _ask(account, lambda: session.fetch_token(token_url(account), code=code, **_auth(account), **extra))


def refresh(account: ConnectedAccount, refresh_token: str) -> TokenAnswer:
    """A new pair for a refresh token. Fortnox: the token presented is dead afterwards, whatever we receive."""
    session = _session(account)
    options = _auth(account)
    options.pop("include_client_id", None)
    if not _vendor(account).secret_in_header:
        options["client_id"] = credentials(account)[0]
    return _ask(account, lambda: session.refresh_token(token_url(account), refresh_token=refresh_token, **options))


def service_token(account: ConnectedAccount, tenant: str) -> TokenAnswer:
    """A Fortnox token without any refresh token, for a company that consented to a service account."""
    session = _session(account, client=BackendApplicationClient(client_id=credentials(account)[0]))
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "TenantId": tenant,
    }
    return _ask(account, lambda: session.fetch_token(token_url(account), headers=headers, **_auth(account)))


def revoke(account: ConnectedAccount, access_token: str, refresh_token: str, *, uninstall: bool) -> bool:
    """Tell the vendor that we let go. True when it confirmed; never raises, because we forget the tokens anyway.

    `uninstall` removes the HubSpot app from the portal, which its certification asks for.
    """
    confirmed = True
    with guard(requests.Session(), system=account.system) as session:
        try:
            if account.system == System.HUBSPOT and uninstall and access_token:
                url = f"{account.api_url}/appinstalls/{HUBSPOT_VERSION}/external-install"
                answer = session.delete(url, headers=bearer(access_token), timeout=TIMEOUT_SECONDS)
                confirmed = answer.status_code in {204, 401, 404}
            if refresh_token:
                confirmed = _revoke_refresh(session, account, refresh_token) and confirmed
        except (requests.RequestException, SyncError):
            return False
    return confirmed


def _revoke_refresh(session: requests.Session, account: ConnectedAccount, refresh_token: str) -> bool:
    form = {"token": refresh_token, "token_type_hint": "refresh_token"}
    client_id, secret = credentials(account)
    auth = HTTPBasicAuth(client_id, secret) if _vendor(account).secret_in_header else None
    if auth is None:
        form |= {"client_id": client_id, "client_secret": secret}
    url = token_url(account) + "/revoke" if auth is None else account.oauth_url + "/oauth-v1/revoke"
    return session.post(url, data=form, auth=auth, timeout=TIMEOUT_SECONDS).status_code in {200, 204}


def bearer(token: str) -> dict[str, str]:
    """The headers of an API call with this token."""
    return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def _vendor(account: ConnectedAccount) -> Vendor:
    return VENDORS[System(account.system)]


def credentials(account: ConnectedAccount) -> tuple[str, str]:
    """The app's own id and secret at the vendor. Raises `Misconfigured` when they are not set."""
    ours = settings.VENDORS[account.system]
    if not ours["client_id"] or not ours["client_secret"]:
        name = account.system.upper()
        raise Misconfigured(f"{name}_CLIENT_ID and {name}_CLIENT_SECRET are not set", code="no_credentials")
    return ours["client_id"], ours["client_secret"]


def token_url(account: ConnectedAccount) -> str:
    """The vendor's token endpoint."""
    vendor = _vendor(account)
    return (account.api_url if vendor.on_api_host else account.oauth_url) + vendor.token


def _auth(account: ConnectedAccount) -> dict[str, Any]:
    """How the app proves itself: Fortnox in a header, HubSpot in the form."""
    client_id, secret = credentials(account)
    if _vendor(account).secret_in_header:
        return {"auth": HTTPBasicAuth(client_id, secret), "include_client_id": False, "timeout": TIMEOUT_SECONDS}
    return {"client_secret": secret, "include_client_id": True, "timeout": TIMEOUT_SECONDS}


def _session(account: ConnectedAccount, **options: Any) -> OAuth2Session:
    session = OAuth2Session(credentials(account)[0], **options)
    guard(session, system=account.system)
    session.register_compliance_hook("access_token_response", judge)
    session.register_compliance_hook("refresh_token_response", judge)
    return session


def _ask(account: ConnectedAccount, call: Callable[[], Mapping[str, Any]]) -> TokenAnswer:
    """The answer of the token endpoint, or one of our errors; never the library's, which may hold the request."""
    try:
        return parse(account.system, call())
    except requests.RequestException as error:
        name = type(error).__name__
        if _never_sent(error):
            raise Transient(f"The sign-in server could not be reached ({name})", code="not_sent") from None
        raise OutcomeUnknown(f"The sign-in server's answer was lost ({name})", code="lost") from None
    except OAuth2Error as error:
        raise OutcomeUnknown(f"Unreadable answer of the sign-in server ({error.error})", code="lost") from None


def _never_sent(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


def judge(response: requests.Response) -> requests.Response:
    """Pass a 200 with a readable body on; raise what any other answer means (A3: disconnected, ours, or later)."""
    status = response.status_code
    try:  # whatever the content type says: Fortnox labels its errors as text or HTML
        data = json.loads(response.content)
    except ValueError:
        data = None
    if status == 200 and isinstance(data, dict):
        return response
    if status == 429:
        raise RateLimited("The sign-in server asks us to wait", code="429", status=429, retry_after=30)
    if status >= 500 or status < 400 or not isinstance(data, dict):
        raise OutcomeUnknown(f"The sign-in server answered {status}", code="lost", status=status)
    if status in {423, 477}:
        raise Transient(f"The sign-in server answered {status}", code=str(status), status=status)
    raise _refusal(status, data)


def _refusal(status: int, data: Mapping[str, Any]) -> SyncError:
    error, detail = str(data.get("error") or ""), str(data.get("status") or "")
    text = redact(str(data.get("error_description") or data.get("message") or error))[:200]
    code = (detail or error or str(status))[:50]
    if detail in _OURS or (error in _OURS and detail not in _DISCONNECTED):
        return Misconfigured(f"The vendor refuses this installation: {text}", code=code, status=status)
    return AuthenticationFailed(f"The vendor refuses the connection: {text}", code=code, status=status)
