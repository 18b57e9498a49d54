"""Grants: authorization codes, sessions behind access tokens, refresh tokens and their families.

Salesforce: an access token lives as long as its session, two hours without use; a response names no lifetime. With
rotation every refresh gives a new refresh token, and presenting an old one ends the whole grant."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .tenant import Tenant

CODE_SECONDS = 900.0
GRANTS = 5  # of one user to one app; the oldest ends when another is made
DAY = 86_400.0


class OAuthError(Exception):
    """A refusal of the OAuth endpoints: 400 with an object."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status

    def body(self) -> dict[str, str]:
        """The answer."""
        return {"error": self.error, "error_description": self.description}


def invalid_grant(description: str) -> OAuthError:
    """400 invalid_grant: final, the person must connect again."""
    return OAuthError("invalid_grant", description)


@dataclass(slots=True)
class Grant:
    """What a user allowed the app, once. ``refresh`` is the valid refresh token, or "" when none was asked for."""

    tenant: Tenant
    user_id: str
    scopes: tuple[str, ...]
    refresh: str = ""
    used: float = 0.0
    sessions: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Session:
    """What an access token stands for."""

    tenant: Tenant
    user_id: str
    scopes: tuple[str, ...]
    issued: float
    used: float

    def expires(self) -> float:
        """When it ends unless it is used before."""
        return self.used + self.tenant.app.policies.access_token_seconds


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code waiting to be exchanged."""

    tenant: Tenant
    user_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str
    expires: float


class OAuth:
    """All grants in all orgs."""

    def __init__(self, now: Callable[[], float], seed: int) -> None:
        self._now = now
        self._dice = random.Random(f"salesforce-oauth-{seed}")
        self.codes: dict[str, Code] = {}
        self.sessions: dict[str, Session] = {}
        self.grants: dict[str, Grant] = {}  # by valid refresh token
        self.spent: dict[str, Grant] = {}  # by refresh token that was rotated away

    # -- giving out

    def issue_code(self, tenant: Tenant, user_id: str, redirect_uri: str, scopes: Iterable[str], challenge: str) -> str:
        """The code a consent ends with: single use, fifteen minutes. It ends with ``==``, as Salesforce's do."""
        code = f"aPrx{self._opaque(57)}=="
        expires = self._now() + CODE_SECONDS
        self.codes[code] = Code(tenant, user_id, redirect_uri, tuple(scopes), challenge, expires)
        return code

    def issue_session(self, tenant: Tenant, user_id: str, scopes: Iterable[str], grant: Grant | None = None) -> str:
        """A fresh access token."""
        token = f"{tenant.org.id[:15]}!AQEAQ{self._opaque(60)}.{self._opaque(24)}"
        now = self._now()
        self.sessions[token] = Session(tenant, user_id, tuple(scopes), now, now)
        if grant is not None:
            grant.sessions.append(token)
        return token

    def open_grant(self, tenant: Tenant, user_id: str, scopes: tuple[str, ...]) -> Grant:
        """A new grant, with a refresh token if its scopes hold one."""
        grant = Grant(tenant, user_id, scopes, used=self._now())
        if {"refresh_token", "offline_access", "full"} & set(scopes):
            held = [g for g in self.grants.values() if g.tenant is tenant and g.user_id == user_id]
            for old in held[: max(0, len(held) - GRANTS + 1)]:
                self.end(old)
            grant.refresh = self._refresh_token()
            self.grants[grant.refresh] = grant
        return grant

    # -- taking in

    def redeem_code(self, text: str) -> Code:
        """The code behind a text, which is worth nothing from now on."""
        code = self.codes.pop(text, None)
        if code is None or code.expires <= self._now():
            raise invalid_grant("expired authorization code")
        return code

    def use_refresh(self, tenant: Tenant, text: str) -> tuple[Grant, bool]:
        """(the grant, whether it has a new refresh token now). Ends the grant when the token was rotated away."""
        policies = tenant.app.policies
        if (stolen := self.spent.get(text)) is not None:
            self.end(stolen)
        grant = self.grants.get(text)
        if grant is None or grant.tenant is not tenant:
            raise invalid_grant("expired access/refresh token")
        if policies.idle_ttl_days and self._now() - grant.used >= policies.idle_ttl_days * DAY:
            self.end(grant)
            raise invalid_grant("expired access/refresh token")
        grant.used = self._now()
        if policies.rotation:
            self.spent[text] = self.grants.pop(text)
            grant.refresh = self._refresh_token()
            self.grants[grant.refresh] = grant
        return grant, policies.rotation

    def session(self, token: str) -> Session | None:
        """The living session of an access token; asking does not prolong it."""
        session = self.sessions.get(token)
        if session is None or session.expires() <= self._now() or not session.tenant.active(session.user_id):
            return None
        return session

    def touch(self, session: Session) -> None:
        """The session was used."""
        session.used = self._now()

    # -- ending

    def end(self, grant: Grant) -> None:
        """End a grant: its refresh token and every session it gave."""
        self.grants.pop(grant.refresh, None)
        for token in grant.sessions:
            self.sessions.pop(token, None)
        for text in [text for text, found in self.spent.items() if found is grant]:
            del self.spent[text]

    def end_all(self, tenant: Tenant) -> None:
        """The app was removed from an org, or an administrator revoked everything."""
        for grant in [grant for grant in self.grants.values() if grant.tenant is tenant]:
            self.end(grant)
        for token in [token for token, session in self.sessions.items() if session.tenant is tenant]:
            del self.sessions[token]

    def revoke(self, token: str) -> bool:
        """Revoke an access token, or a refresh token with all its sessions; False for an unknown one."""
        grant = self.grants.get(token)
        if grant is not None:
            self.end(grant)
            return True
        return self.sessions.pop(token, None) is not None

    def _refresh_token(self) -> str:
        return f"5Aep861{self._opaque(60)}"

    def _opaque(self, size: int) -> str:
        return base64.urlsafe_b64encode(self._dice.randbytes(size)).decode().rstrip("=").replace("-", ".")


def code_challenge(verifier: str) -> str:
    """PKCE, method S256."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def signature(secret: str, identity: str, issued_at: str) -> str:
    """What proves that a token response was not changed on its way: HMAC over identity URL and moment."""
    digest = hmac.new(secret.encode(), (identity + issued_at).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
