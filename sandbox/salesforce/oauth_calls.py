"""The OAuth endpoints for the app's server: token, revoke, introspect."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from werkzeug import Request

from sandbox.core.delivery import SEQ_KEY
from sandbox.core.truth import Truth

from .assertion import read_assertion, sign
from .call import Answer
from .oauth import OAuth, OAuthError, code_challenge, invalid_grant, signature
from .tenant import MY, TEST, Address, Tenant, identity, my_domain

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
NO_STORE = {"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"}


class OAuthCalls:
    """Carries out the endpoints below ``/services/oauth2`` that servers call."""

    def __init__(self, oauth: OAuth, tenants: Mapping[str, Tenant], now: Callable[[], float], truth: Truth) -> None:
        self._oauth = oauth
        self._tenants = tenants
        self._now = now
        self._truth = truth

    def answer(self, name: str, request: Request, address: Address) -> Answer:
        """One call; refusals are 400 with an object."""
        try:
            if request.method != "POST":
                raise OAuthError("invalid_request", "must use HTTP POST")
            if name == "token":
                return Answer(200, self._token(request, address), dict(NO_STORE))
            if name == "revoke":
                return self._revoke(request)
            return Answer(200, self._introspect(request, address), dict(NO_STORE))
        except OAuthError as error:
            return Answer(error.status, error.body(), dict(NO_STORE))

    # -- token

    def _token(self, request: Request, address: Address) -> dict[str, Any]:
        form = request.form
        kind = form.get("grant_type", "")
        if kind == JWT_BEARER:
            return self._jwt_bearer(form.get("assertion", ""), address)
        if kind not in ("authorization_code", "refresh_token", "client_credentials"):
            raise OAuthError("unsupported_grant_type", "grant type not supported")
        tenant = self._client(request, address)
        if kind == "authorization_code":
            return self._exchange(tenant, form, address)
        if kind == "refresh_token":
            return self._refresh(tenant, form.get("refresh_token", ""), address, request.environ.get(SEQ_KEY))
        return self._client_credentials(tenant, address)

    def _exchange(self, tenant: Tenant, form: Mapping[str, str], address: Address) -> dict[str, Any]:
        code = self._oauth.redeem_code(form.get("code", ""))
        if code.tenant is not tenant:
            raise invalid_grant("expired authorization code")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("redirect_uri_mismatch", "redirect_uri must match configuration")
        if code.challenge and code_challenge(form.get("code_verifier", "")) != code.challenge:
            raise invalid_grant("invalid code verifier")
        self._check_user(tenant, code.user_id)
        grant = self._oauth.open_grant(tenant, code.user_id, code.scopes)
        access = self._oauth.issue_session(tenant, code.user_id, code.scopes, grant)
        body = self._tokens(tenant, code.user_id, access, code.scopes, address)
        if grant.refresh:
            body["refresh_token"] = grant.refresh
        if "openid" in code.scopes:
            audience = {"iss": address.login, "sub": body["id"], "aud": tenant.app.client_id}
            moment = int(self._now())
            body["id_token"] = sign({**audience, "iat": moment, "exp": moment + 120})
        return body

    def _refresh(self, tenant: Tenant, text: str, address: Address, number: int | None) -> dict[str, Any]:
        try:
            grant, rotated = self._oauth.use_refresh(tenant, text)
        except OAuthError:
            self._truth.token("salesforce", tenant.org.id, text, accepted=False, request=number)
            raise
        self._truth.token("salesforce", tenant.org.id, text, accepted=True, request=number)
        self._check_user(tenant, grant.user_id)
        access = self._oauth.issue_session(tenant, grant.user_id, grant.scopes, grant)
        body = self._tokens(tenant, grant.user_id, access, grant.scopes, address)
        if rotated:
            body["refresh_token"] = grant.refresh
        return body

    def _client_credentials(self, tenant: Tenant, address: Address) -> dict[str, Any]:
        if address.kind != MY:
            raise invalid_grant("request not supported on this domain")
        user_id = self._run_as(tenant)
        self._check_user(tenant, user_id)
        access = self._oauth.issue_session(tenant, user_id, ("api",))
        return self._tokens(tenant, user_id, access, ("api",), address)

    def _run_as(self, tenant: Tenant) -> str:
        name = tenant.app.policies.run_as
        if not name:
            return tenant.integration
        user = tenant.by_username(name)
        if user is None:
            raise invalid_grant("no client credentials user enabled")
        return user.id

    def _jwt_bearer(self, assertion: str, address: Address) -> dict[str, Any]:
        by_client = {tenant.app.client_id: tenant for tenant in self._reachable(address)}
        tenant, username = read_assertion(assertion, by_client, _audiences(address))
        self._check_app(tenant)
        user = tenant.by_username(username)
        if user is None or not tenant.app.policies.preauthorized:
            raise invalid_grant("user hasn't approved this consumer")
        self._check_user(tenant, user.id)
        access = self._oauth.issue_session(tenant, user.id, ("api",))
        body = self._tokens(tenant, user.id, access, ("api",), address)
        return {key: body[key] for key in ("access_token", "scope", "instance_url", "id", "token_type")}

    def _tokens(
        self, tenant: Tenant, user_id: str, access: str, scopes: Iterable[str], address: Address
    ) -> dict[str, Any]:
        who = identity(address.root, tenant, user_id)
        issued_at = str(int(self._now() * 1000))
        return {
            "access_token": access,
            "signature": signature(tenant.app.client_secret, who, issued_at),
            "scope": " ".join(scopes),
            "instance_url": my_domain(address.root, tenant),
            "id": who,
            "token_type": "Bearer",
            "issued_at": issued_at,
        }

    # -- revoke and introspect

    def _revoke(self, request: Request) -> Answer:
        if not self._oauth.revoke(request.form.get("token", "")):
            raise OAuthError("unsupported_token_type", "this token type is not supported")
        return Answer(200, "", {"Content-Type": "text/plain", **NO_STORE})

    def _introspect(self, request: Request, address: Address) -> dict[str, Any]:
        tenant = self._client(request, address)
        text = request.form.get("token", "")
        session = self._oauth.session(text)
        grant = self._oauth.grants.get(text)
        found = session or grant
        if found is None or found.tenant is not tenant:
            return {"active": False}
        issued = session.issued if session else found.used
        return {
            "active": True,
            "scope": " ".join(found.scopes),
            "client_id": tenant.app.client_id,
            "username": tenant.user(found.user_id).values["Username"],
            "sub": identity(address.root, tenant, found.user_id),
            "token_type": "access_token" if session else "refresh_token",
            **({"exp": int(session.expires())} if session else {}),
            "iat": int(issued),
            "nbf": int(issued),
        }

    # -- who calls

    def _reachable(self, address: Address) -> list[Tenant]:
        """The orgs that can log in at a host: its own, or those of the kind of login host."""
        if address.tenant is not None:
            return [address.tenant]
        return [t for t in self._tenants.values() if t.org.profile.is_sandbox == (address.kind == TEST)]

    def _client(self, request: Request, address: Address) -> Tenant:
        """The org whose app presents its key and secret, in the body or by Basic authentication."""
        key, secret = _credentials(request)
        tenant = next((t for t in self._reachable(address) if t.app.client_id == key), None)
        if tenant is None:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if not secrets.compare_digest(secret.encode(), tenant.app.client_secret.encode()):
            raise OAuthError("invalid_client", "invalid client credentials")
        self._check_app(tenant)
        return tenant

    def _check_app(self, tenant: Tenant) -> None:
        if not tenant.app.policies.app_installed:
            raise OAuthError("invalid_client_id", "External client app is not installed in this org")
        if tenant.app.policies.ip_restricted:
            raise invalid_grant("ip restricted")

    def _check_user(self, tenant: Tenant, user_id: str) -> None:
        if not tenant.active(user_id):
            raise OAuthError("inactive_user", "user is inactive")


def _credentials(request: Request) -> tuple[str, str]:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            key, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return key, secret
    return request.form.get("client_id", ""), request.form.get("client_secret", "")


def _audiences(address: Address) -> frozenset[str]:
    """What the audience of a JWT may be: the vendor's name for the login host, or this emulator's."""
    vendor = "https://test.salesforce.com" if address.login.endswith("/test") else "https://login.salesforce.com"
    return frozenset({vendor, address.login, address.base})
