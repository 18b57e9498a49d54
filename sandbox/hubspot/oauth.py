"""OAuth: codes, tokens, introspection, revocation. Knows which app was granted what in which portal.

An access token lives thirty minutes of sandbox time. A refresh token has no expiry date and comes back unchanged
from a refresh; it ends with a revocation or with the app's removal from the portal."""

from __future__ import annotations

import base64
import hashlib
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import times
from .call import Answer, unknown_path, wrong_method
from .errors import ApiError, expired, no_credentials
from .portal import Owner, Portal

TOKEN_SECONDS = 1800
CODE_SECONDS = 300

# The scopes of the app's project file. The install address must ask for exactly these (and optional ones apart).
REQUIRED_SCOPES = (
    "oauth",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.schemas.companies.read",
    "crm.schemas.companies.write",
    "crm.objects.contacts.read",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.schemas.deals.read",
    "crm.schemas.deals.write",
    "crm.objects.line_items.read",
    "crm.objects.line_items.write",
    "crm.objects.products.read",
    "crm.objects.products.write",
    "crm.objects.owners.read",
    "e-commerce",
    "settings.currencies.read",
)
ALL_SCOPES = (
    *REQUIRED_SCOPES,
    "crm.objects.contacts.write",
    "crm.schemas.contacts.read",
    "crm.schemas.contacts.write",
    "crm.schemas.line_items.read",
    "settings.currencies.write",
    "tax_rates.read",
)


@dataclass(frozen=True, slots=True)
class App:
    """The OAuth app that portals connect to."""

    client_id: str = "7fff1e36-2d40-4ae1-bbb1-5266d59564fb"
    client_secret: str = "3c1d2f57-sandbox-client-secret"
    app_id: int = 1234567
    name: str = "Fortnox"


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code waiting to be exchanged."""

    portal: Portal
    owner: Owner
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str | None
    expires: float


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access or refresh token stands for."""

    portal: Portal
    owner: Owner
    scopes: tuple[str, ...]
    expires: float | None = None  # refresh tokens do not expire


class OAuth:
    """Grants of one app in all portals."""

    def __init__(self, app: App, portals: Mapping[int, Portal], now: Callable[[], float], seed: int) -> None:
        self.app = app
        self._portals = portals
        self._now = now
        self._dice = random.Random(f"hubspot-oauth-{seed}")
        self.codes: dict[str, Code] = {}
        self.access: dict[str, Grant] = {}
        self.refresh: dict[str, Grant] = {}

    def issue_code(
        self, portal: Portal, owner: Owner, redirect_uri: str, scopes: tuple[str, ...], challenge: str | None
    ) -> str:
        """The code a consent ends with: single use, a few minutes."""
        code = f"{portal.profile.hublet}-{self._words(4)}"
        expires = self._now() + CODE_SECONDS
        self.codes[code] = Code(portal, owner, redirect_uri, scopes, challenge, expires)
        return code

    def issue_access(self, portal: Portal, owner: Owner, scopes: tuple[str, ...]) -> str:
        """A fresh access token: opaque and long."""
        raw = self._dice.randbytes(150)
        token = "C" + base64.urlsafe_b64encode(raw).decode().rstrip("=")
        self.access[token] = Grant(portal, owner, scopes, self._now() + TOKEN_SECONDS)
        return token

    def authenticate(self, header: str | None) -> Grant:
        """The grant behind an Authorization header, or the 401 that fits."""
        scheme, _, token = (header or "").partition(" ")
        grant = self.access.get(token.strip()) if scheme.lower() == "bearer" else None
        if grant is None:
            raise no_credentials()
        late = self._now() - (grant.expires or 0)
        if late >= 0:
            moment = int((grant.expires or 0) * 1000)
            raise expired(int(late), times.iso(moment), moment)
        return grant

    def uninstall(self, portal: Portal) -> None:
        """The app is removed from a portal: every token ends at once."""
        for tokens in (self.access, self.refresh):
            for token in [token for token, grant in tokens.items() if grant.portal is portal]:
                del tokens[token]

    def token_call(self, form: Mapping[str, str]) -> Answer:
        """``POST …/token``: exchange a code, or refresh."""
        self._check_client(form)
        grant_type = form.get("grant_type")
        if grant_type == "authorization_code":
            return Answer(200, self._exchange(form))
        if grant_type == "refresh_token":
            return Answer(200, self._refresh(form))
        raise refused("BAD_GRANT_TYPE", "missing or unknown grant type", "unsupported_grant_type")

    def introspect(self, form: Mapping[str, str]) -> Answer:
        """``POST …/token/introspect``: what a token is worth now; unknown ones are just not active."""
        self._check_client(form)
        token = form.get("token", "")
        refreshing = form.get("token_type_hint") == "refresh_token" or token in self.refresh
        grant = (self.refresh if refreshing else self.access).get(token)
        if grant is None or (grant.expires is not None and grant.expires <= self._now()):
            return Answer(200, {"active": False})
        body: dict[str, Any] = {
            "active": True,
            "token": token,
            "token_type": "Bearer",
            "token_use": "refresh_token" if refreshing else "access_token",
            **self._who(grant),
            "client_id": self.app.client_id,
            "scopes": list(grant.scopes),
            "is_private_distribution": True,
        }
        if grant.expires is not None:
            body["expires_in"] = int(grant.expires - self._now())
            body["signed_access_token"] = self._signed(grant)
        return Answer(200, body)

    def revoke(self, form: Mapping[str, str]) -> Answer:
        """``POST …/token/revoke``: ends a refresh token; access tokens already issued live out their time."""
        self._check_client(form)
        token = form.get("token", "")
        self.refresh.pop(token, None)
        if form.get("token_type_hint") == "access_token":
            self.access.pop(token, None)
        return Answer(200)

    def legacy(self, method: str, kind: str, token: str) -> Answer:
        """The v1 look-ups, which end on 2027-02-16."""
        if kind == "access-tokens" and method == "GET":
            grant = self.access.get(token)
            if grant is None or (grant.expires or 0) <= self._now():
                raise ApiError(404, "access token is invalid or expired", "INVALID_TOKEN")
            expiry = {"expires_in": int((grant.expires or 0) - self._now()), "token_type": "access"}
            body = {"token": token, **self._who(grant), "scopes": list(grant.scopes), **expiry}
            return Answer(200, {**body, "signed_access_token": self._signed(grant)})
        if kind != "refresh-tokens":
            raise unknown_path()
        grant = self.refresh.get(token)
        if grant is None:
            raise ApiError(404, "refresh token is invalid or expired", "INVALID_TOKEN")
        if method == "DELETE":
            del self.refresh[token]
            return Answer(204)
        if method != "GET":
            raise wrong_method()
        who = self._who(grant)
        del who["app_id"]
        body = {"token": token, **who, "client_id": self.app.client_id, "scopes": list(grant.scopes)}
        return Answer(200, {**body, "token_type": "refresh"})

    def _exchange(self, form: Mapping[str, str]) -> dict[str, Any]:
        code = self.codes.pop(form.get("code", ""), None)
        if code is None or code.expires <= self._now():
            raise refused("BAD_AUTH_CODE", "missing or unknown auth code")
        if form.get("redirect_uri") != code.redirect_uri:
            raise refused("BAD_REDIRECT_URI", "missing or invalid redirect uri")
        if code.challenge is not None and code_challenge(form.get("code_verifier", "")) != code.challenge:
            raise refused("BAD_CODE_VERIFIER", "missing or invalid code verifier")
        grant = Grant(code.portal, code.owner, code.scopes)
        token = next((t for t, g in self.refresh.items() if g == grant), None)
        if token is None:
            token = f"{code.portal.profile.hublet}-{self._words(8)}"
            self.refresh[token] = grant
        return self._tokens(grant, grant.scopes, token)

    def _refresh(self, form: Mapping[str, str]) -> dict[str, Any]:
        token = form.get("refresh_token", "")
        if not token or "-" not in token:
            raise refused("BAD_REFRESH_TOKEN", "missing or invalid refresh token")
        grant = self.refresh.get(token)
        if grant is None:
            raise refused("BAD_REFRESH_TOKEN", "refresh token is invalid, expired or revoked")
        if grant.portal.id not in self._portals:
            raise refused("BAD_HUB", "missing or unknown hub id", "access_denied")
        scopes = grant.scopes
        if form.get("scope"):
            scopes = tuple(form["scope"].split())
            if not set(scopes) <= set(grant.scopes):
                raise refused("BAD_SCOPES", "missing or invalid scopes", "invalid_scope")
        return self._tokens(grant, scopes, token)

    def _tokens(self, grant: Grant, scopes: tuple[str, ...], refresh_token: str) -> dict[str, Any]:
        return {
            "token_type": "bearer",
            "refresh_token": refresh_token,
            "access_token": self.issue_access(grant.portal, grant.owner, scopes),
            "expires_in": TOKEN_SECONDS,
            "hub_id": grant.portal.id,
            "scopes": list(scopes),
            "user_id": grant.owner.user_id,
            "token_use": "access_token",
        }

    def _check_client(self, form: Mapping[str, str]) -> None:
        if form.get("client_id") != self.app.client_id:
            raise refused("BAD_CLIENT_ID", "missing or unknown client id", "invalid_client")
        if not secrets.compare_digest(form.get("client_secret", "").encode(), self.app.client_secret.encode()):
            raise refused("BAD_CLIENT_SECRET", "missing or invalid client secret", "invalid_client")

    def _who(self, grant: Grant) -> dict[str, Any]:
        return {
            "hub_id": grant.portal.id,
            "hub_domain": grant.portal.profile.domain,
            "user": grant.owner.email,
            "user_id": grant.owner.user_id,
            "app_id": self.app.app_id,
        }

    def _signed(self, grant: Grant) -> dict[str, Any]:
        return {
            "expiresAt": int((grant.expires or 0) * 1000),
            "scopes": base64.b64encode(" ".join(grant.scopes).encode()).decode(),
            "hubId": grant.portal.id,
            "userId": grant.owner.user_id,
            "appId": self.app.app_id,
            "signature": base64.b64encode(self._dice.randbytes(20)).decode(),
            "scopeToScopeGroupPks": "",
            "newSignature": base64.b64encode(self._dice.randbytes(20)).decode(),
            "hublet": grant.portal.profile.hublet,
            "trialScopes": "",
            "trialScopeToScopeGroupPks": "",
            "isUserLevel": False,
        }

    def _words(self, count: int) -> str:
        return "-".join(f"{self._dice.getrandbits(16):04x}" for _ in range(count))


def code_challenge(verifier: str) -> str:
    """PKCE, method S256."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class TokenError(ApiError):
    """The token endpoint's refusals mix HubSpot's fields with those of RFC 6749."""

    def __init__(self, status: str, message: str, error: str) -> None:
        super().__init__(400, message)
        self.body = {"status": status, "message": message, "error": error, "error_description": message}


def refused(status: str, message: str, error: str = "invalid_grant") -> TokenError:
    """400 of the token endpoint."""
    return TokenError(status, message, error)
