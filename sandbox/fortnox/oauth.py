"""The OAuth server: consent, codes, tokens.

Documented: a code lives 10 minutes, an access token 1 hour, a refresh token 45 days; codes and refresh tokens
work once. Measured by a third party: two *simultaneous* refreshes both succeed, but only the last pair works.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import random
from dataclasses import dataclass

CODE_SECONDS = 10 * 60
ACCESS_SECONDS = 60 * 60
REFRESH_SECONDS = 45 * 24 * 60 * 60
SCOPE_WORDS = (
    "companyinformation customer article invoice order offer payment price currency settings bookkeeping "
    "costcenter project print profile archive inbox connectfile supplier supplierinvoice salary timereporting "
    "assets noxfinansinvoice warehouse warehousecustomdocument deletevoucher companylogo"
)
SCOPES = frozenset(SCOPE_WORDS.split())


class OAuthError(Exception):
    """An error of the token endpoint."""

    def __init__(self, error: str, description: str, status: int, content_type: str) -> None:
        super().__init__(error)
        self.error, self.description = error, description
        self.status, self.content_type = status, content_type


def invalid_client() -> OAuthError:
    """Recorded, with this content type."""
    return OAuthError("invalid_client", "The client credentials are invalid", 401, "text/plain;charset=UTF-8")


def invalid_grant(description: str = "Invalid refresh token") -> OAuthError:
    """Recorded for refresh tokens, with this content type."""
    return OAuthError("invalid_grant", description, 400, "text/html; charset=UTF-8")


@dataclass
class Grant:
    """What a code, a refresh token or an access token stands for."""

    client_id: str
    tenant: str
    scope: str
    expires: float
    user: int = 1
    redirect_uri: str | None = None
    used_at: float | None = None
    pair: str | None = None  # refresh token: the access token issued with it
    successor: str | None = None  # used refresh token: the one that replaced it


class Authority:
    """Issues and redeems everything; one per world."""

    def __init__(self, clients: dict[str, str], seed: int) -> None:
        self.clients = clients
        self.codes: dict[str, Grant] = {}
        self.refresh: dict[str, Grant] = {}
        self.access: dict[str, Grant] = {}
        self.service: dict[tuple[str, str], str] = {}  # (client, tenant) → scope consented for service accounts
        self._dice = random.Random(f"fortnox oauth {seed}")
        self._secret = self._dice.randbytes(32)

    def _opaque(self, size: int = 20) -> str:
        return self._dice.randbytes(size).hex()

    def authenticate(self, header: str) -> str:
        """The client id of a Basic authorization header."""
        kind, _, encoded = header.partition(" ")
        try:
            client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            raise invalid_client() from None
        if kind.lower() != "basic" or self.clients.get(client_id) != secret:
            raise invalid_client()
        return client_id

    def issue_code(self, grant: Grant, now: float, *, service: bool) -> str:
        """A person approved."""
        code = self._opaque()
        grant.expires = now + CODE_SECONDS
        self.codes[code] = grant
        if service:
            self.service[grant.client_id, grant.tenant] = grant.scope
        return code

    def redeem_code(self, client_id: str, code: str, redirect_uri: str | None, now: float) -> dict[str, object]:
        """grant_type=authorization_code."""
        grant = self.codes.get(code)
        if grant is None or grant.client_id != client_id or grant.used_at is not None or grant.expires < now:
            raise invalid_grant("Invalid authorization code")
        if grant.redirect_uri is not None and grant.redirect_uri != redirect_uri:
            raise invalid_grant("Invalid redirect_uri")
        grant.used_at = now
        return self._pair(grant, now)[1]

    def redeem_refresh(
        self, client_id: str, token: str, now: float, arrived: float, *, last_pair_wins: bool = True
    ) -> dict[str, object]:
        """grant_type=refresh_token; ``arrived`` tells a simultaneous request from a later reuse."""
        grant = self.refresh.get(token)
        if grant is None or grant.client_id != client_id or grant.expires < now:
            raise invalid_grant()
        if grant.used_at is not None:
            if arrived > grant.used_at or not last_pair_wins:
                raise invalid_grant()
            self._forget(grant.successor)
        grant.used_at = now
        grant.successor, body = self._pair(grant, now)
        return body

    def service_token(self, client_id: str, tenant: str, now: float) -> dict[str, object]:
        """grant_type=client_credentials: only after a consent with account_type=service, no refresh token."""
        scope = self.service.get((client_id, tenant))
        if scope is None:
            raise invalid_grant("Client does not allow service account")
        access = self.issue_access(Grant(client_id, tenant, scope, 0), now)
        return _token_body(access, scope)

    def _pair(self, grant: Grant, now: float) -> tuple[str, dict[str, object]]:
        access = self.issue_access(grant, now)
        refresh = self._opaque()
        self.refresh[refresh] = Grant(
            grant.client_id, grant.tenant, grant.scope, now + REFRESH_SECONDS, grant.user, pair=access
        )
        return refresh, {**_token_body(access, grant.scope), "refresh_token": refresh}

    def issue_access(self, grant: Grant, now: float) -> str:
        """A JWT with the claims of a real one; the signature key is not published."""
        issued = int(now)
        token_id = self._opaque()
        claims = {
            "userId": grant.user,
            "tenantId": int(grant.tenant),
            "clientId": grant.client_id,
            "rightsAsJson": _rights(grant.scope),
            "scopes": grant.scope.split(),
            "authsource": "OAUTH2",
            "id": token_id,
            "jti": token_id,
            "iss": "https://api.fortnox.se/oauth2",
            "aud": grant.client_id,
            "sub": f"{grant.user}@{grant.tenant}",
            "exp": issued + ACCESS_SECONDS,
            "iat": issued,
            "token_type": "bearer",
            "scope": grant.scope,
        }
        head = _encode(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
        signed = f"{head}.{_encode(json.dumps(claims).encode())}"
        signature = hmac.new(self._secret, signed.encode(), hashlib.sha256).digest()
        token = f"{signed}.{_encode(signature)}"
        self.access[token] = Grant(grant.client_id, grant.tenant, grant.scope, issued + ACCESS_SECONDS, grant.user)
        return token

    def _forget(self, refresh: str | None) -> None:
        grant = self.refresh.pop(refresh, None) if refresh else None
        if grant is not None and grant.pair is not None:
            self.access.pop(grant.pair, None)

    def revoke(self, token: str) -> None:
        """Documented: refresh tokens can be revoked, access tokens run out by themselves."""
        self.refresh.pop(token, None)

    def disconnect(self, tenant: str) -> None:
        """The company removes the integration: refreshes fail, access tokens end at once (decision)."""
        for store in (self.refresh, self.access, self.codes):
            for token in [token for token, grant in store.items() if grant.tenant == tenant]:
                del store[token]
        for key in [key for key in self.service if key[1] == tenant]:
            del self.service[key]


def _token_body(access: str, scope: str) -> dict[str, object]:
    return {"access_token": access, "expires_in": ACCESS_SECONDS, "token_type": "bearer", "scope": scope}


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _rights(scope: str) -> str:
    return base64.b64encode(gzip.compress(json.dumps(scope.split()).encode(), mtime=0)).decode()
