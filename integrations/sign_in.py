"""What every vendor's sign-in has in common: the answer of a token endpoint, the calls to it, the words of refusal.

`requests-oauthlib` is used here and nowhere else, fenced: it has no timeout of its own, logs tokens at DEBUG, and its
automatic refresh is not locked. Nothing here touches the database. What is particular about a vendor is a `SignIn` in
that vendor's folder; `oauth` chooses among them. The invariant: an error that leaves this module names the vendor's
error code and never holds a token or a secret.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests
import urllib3
from django.conf import settings
from oauthlib.oauth2 import OAuth2Error
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
from integrations.models import ConnectedAccount
from integrations.redaction import redact
from integrations.transport import guard

# A vendor may grant fewer scopes than we asked for; we compare ourselves instead of being interrupted by a Warning.
os.environ["OAUTHLIB_RELAX_TOKEN_SCOPE"] = "1"  # noqa: S105 - a switch
# Which addresses may be used without TLS (the sandbox's) is decided by `guard`, in one place.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
logging.getLogger("requests_oauthlib").setLevel(logging.INFO)
logging.getLogger("oauthlib").setLevel(logging.INFO)

TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What a token endpoint gave. `repr` shows no token, so that no traceback can.

    `lifetime` is None where the vendor does not say; `api_url` is where the vendor wants its API called, "" where that
    is always the same; `user_id` is whom the token speaks for, "" where the vendor does not say.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    lifetime: timedelta | None
    scopes: tuple[str, ...] | None
    remote_id: str
    api_url: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose account a token opens, as the vendor says it; `details` go into the account's particulars."""

    remote_id: str
    name: str
    ui_url: str
    details: Mapping[str, Any] = field(default_factory=dict)


class SignIn:
    """How one vendor signs people and services in. A vendor's own class says what is different."""

    pkce = False
    secret_in_header = False
    refresh_lifetime: timedelta | None = None
    prefers_service = False
    """Whether an account that consented is moved to a service token, which needs no refresh token."""
    shares_refresh_token = False
    """Whether several of our connections to one remote account hold the same refresh token."""

    def credentials(self, account: ConnectedAccount) -> tuple[str, str]:
        """The app's id and secret at the vendor. Raises `Misconfigured` when they are not set."""
        ours = settings.VENDORS[account.system]
        if not ours["client_id"] or not ours["client_secret"]:
            name = account.system.upper()
            raise Misconfigured(f"{name}_CLIENT_ID and {name}_CLIENT_SECRET are not set", code="no_credentials")
        return ours["client_id"], ours["client_secret"]

    def authorize_url(self, account: ConnectedAccount) -> str:
        """The consent page, without its parameters."""
        raise NotImplementedError

    def consent_parameters(self) -> Mapping[str, str]:
        """What the consent page is told besides the standard's parameters."""
        return {}

    def token_url(self, account: ConnectedAccount) -> str:
        """The token endpoint."""
        raise NotImplementedError

    def parse(self, account: ConnectedAccount, data: Mapping[str, Any]) -> TokenAnswer:
        """The answer of the token endpoint. Raises `OutcomeUnknown` when it holds no token."""
        raise NotImplementedError

    def service_token(self, account: ConnectedAccount, grant: str) -> TokenAnswer:
        """A token without a person. Raises `Misconfigured` where the vendor has no such thing."""
        raise Misconfigured(f"{account.get_system_display()} has no service accounts", code="no_service_account")

    def works_once(self, account: ConnectedAccount) -> bool:
        """Whether a refresh token is dead once it was presented, so that a lost answer loses the connection."""
        return False

    def expires_at(self, account: ConnectedAccount, access_token: str) -> datetime | None:
        """When the token ends, asked of a vendor that does not say so by itself; None: unknown. Never raises."""
        return None

    def revoke(
        self, session: requests.Session, account: ConnectedAccount, tokens: tuple[str, str], *, uninstall: bool
    ) -> bool:
        """Let go of (access token, refresh token), either of which may be ""; True when the vendor confirmed."""
        raise NotImplementedError

    def identify(self, session: requests.Session, account: ConnectedAccount, answer: TokenAnswer) -> Identity:
        """Whose account the token opens. Raises `AuthenticationFailed` when the vendor contradicts itself."""
        raise NotImplementedError

    def advice(self, error: SyncError) -> str:
        """What a refusal means at this vendor, in words that follow its own; "" where its own are clear."""
        return ""

    def proof(self, account: ConnectedAccount) -> dict[str, Any]:
        """How the app proves itself to the token endpoint: in a header, or in the form."""
        client_id, secret = self.credentials(account)
        if self.secret_in_header:
            return {"auth": HTTPBasicAuth(client_id, secret), "include_client_id": False, "timeout": TIMEOUT_SECONDS}
        return {"client_secret": secret, "include_client_id": True, "timeout": TIMEOUT_SECONDS}

    def session(self, account: ConnectedAccount, **options: Any) -> OAuth2Session:
        """A fenced session of the OAuth library, for one call."""
        session = OAuth2Session(self.credentials(account)[0], **options)
        guard(session, system=account.system)
        session.register_compliance_hook("access_token_response", judge)
        session.register_compliance_hook("refresh_token_response", judge)
        return session

    def ask(self, account: ConnectedAccount, call: Callable[[], Mapping[str, Any]]) -> TokenAnswer:
        """The token endpoint's answer, or one of our errors; never the library's, which may hold the request."""
        try:
            return self.parse(account, call())
        except requests.RequestException as error:
            name = type(error).__name__
            if _never_sent(error):
                raise Transient(f"The sign-in server could not be reached ({name})", code="not_sent") from None
            raise OutcomeUnknown(f"The sign-in server's answer was lost ({name})", code="lost") from None
        except OAuth2Error as error:
            raise OutcomeUnknown(f"Unreadable answer of the sign-in server ({error.error})", code="lost") from None
        except (AuthenticationFailed, Misconfigured) as error:
            if advice := self.advice(error):
                error.message = f"{error.message.rstrip('.')}. {advice}"
            raise


def access_token_of(data: Mapping[str, Any]) -> str:
    """The access token of an answer. Raises `OutcomeUnknown` when there is none."""
    access = data.get("access_token")
    if not isinstance(access, str) or not access:
        raise OutcomeUnknown("The token endpoint answered without a token", code="unreadable")
    return access


def scopes_of(stated: Any) -> tuple[str, ...] | None:
    """Scopes as a vendor states them: a list, or words in one text; None when it says nothing."""
    if stated is None:
        return None
    return tuple(stated.split() if isinstance(stated, str) else map(str, stated))


def bearer(token: str) -> dict[str, str]:
    """The headers of an API call with this token."""
    return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def json_of(call: Callable[[], requests.Response]) -> dict[str, Any]:
    """The object answered, or {}: names are wished for, and a missing identity is judged by the caller."""
    try:
        reply = call()
        data = reply.json() if reply.status_code == 200 else {}
    except (requests.RequestException, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def agreed(*claims: str) -> str:
    """The one id that everybody who spoke has named. Raises `AuthenticationFailed` when there is none, or two."""
    said = {claim for claim in claims if claim}
    if len(said) != 1:
        problem = "does not say" if not said else "contradicts itself about"
        raise AuthenticationFailed(f"The vendor {problem} which account was opened", code="no_identity")
    return said.pop()


def _never_sent(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


# HubSpot's `status` is the more precise of its two codes; Fortnox and Salesforce have only `error`.
_DISCONNECTED = {"BAD_REFRESH_TOKEN", "BAD_AUTH_CODE", "BAD_HUB", "BAD_CODE_VERIFIER", "access_denied"}
_OURS = {
    "BAD_CLIENT_ID",
    "BAD_CLIENT_SECRET",
    "BAD_REDIRECT_URI",
    "BAD_SCOPES",
    "BAD_GRANT_TYPE",
    "invalid_client",
    "invalid_client_id",
    "invalid_scope",
    "redirect_uri_mismatch",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_request",
}


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
        raise RateLimited("The sign-in server asks us to wait", code="429", status=status, retry_after=30)
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
