"""Signing in to Salesforce: each org has an app of its own for us, and three ways in.

Consent of a person (code with PKCE, secret and verifier), the run-as user of client credentials (on the org's own
address only), or a signed assertion. Salesforce's guides: a token answer names no lifetime; `signature` proves that it
was not changed; `instance_url` is where the API is; a refresh may rotate the refresh token, and presenting a used one
ends the whole grant. The invariants: nothing is sent to an `instance_url` that is not on the allow-list, and a token
that is bound to more than its bearer is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings

from integrations.catalogue import find
from integrations.errors import AuthenticationFailed, Misconfigured, SyncError
from integrations.fields import DecryptionError, reveal
from integrations.hosts import check_url
from integrations.models import ConnectedAccount
from integrations.salesforce.address import is_my_domain, login_audience, pages_address
from integrations.salesforce.certificate import signed_assertion
from integrations.salesforce.org_facts import OrgFacts, learn, org_id_of
from integrations.sign_in import (
    TIMEOUT_SECONDS,
    Identity,
    SignIn,
    TokenAnswer,
    access_token_of,
    agreed,
    bearer,
    json_of,
    judge,
    scopes_of,
)
from integrations.transport import guard

SYSTEM = "salesforce"
Grant = ConnectedAccount.Grant
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_WHO = re.compile(r"/id/(?P<org>[A-Za-z0-9]{15,18})/(?P<user>[A-Za-z0-9]{15,18})\Z")


class SalesforceSignIn(SignIn):
    """Salesforce's OAuth endpoints, below the login page or the org's own address."""

    pkce = True

    def credentials(self, account: ConnectedAccount) -> tuple[str, str]:
        """Key and secret of the org's own app."""
        try:
            secret = reveal(account, "client_secret")
        except DecryptionError as error:
            raise Misconfigured(f"{error}: enter the consumer secret again", code="key_missing") from None
        if not account.client_id or not (secret or account.grant == Grant.JWT_BEARER):
            raise Misconfigured("The consumer key and secret of the org's app are not entered", code="no_credentials")
        return account.client_id, secret

    def authorize_url(self, account: ConnectedAccount) -> str:
        """The consent page."""
        return endpoint(account, "authorize")

    def token_url(self, account: ConnectedAccount) -> str:
        """The token endpoint."""
        return endpoint(account, "token")

    def parse(self, account: ConnectedAccount, data: Mapping[str, Any]) -> TokenAnswer:
        """The answer, once it is proven to be Salesforce's and of a kind we can use. Raises `AuthenticationFailed`."""
        access = access_token_of(data)
        kind = str(data.get("token_type") or "Bearer")
        if kind.casefold() != "bearer":
            # Tokens bound to a key (DPoP) need a proof with every call.
            raise AuthenticationFailed(
                f"The app gives tokens of the kind {kind[:20]!r}; switch sender-constrained tokens off in the app",
                code="token_type",
            )
        _check_signature(self.credentials(account)[1], data)
        instance = str(data.get("instance_url") or "").rstrip("/")
        check_url(instance, SYSTEM)
        who = _WHO.search(urlsplit(str(data.get("id") or "")).path)
        return TokenAnswer(
            access_token=access,
            refresh_token=str(data.get("refresh_token") or ""),
            lifetime=None,
            scopes=scopes_of(data.get("scope")),
            remote_id=org_id_of(who["org"]) if who else "",
            api_url=instance,
            user_id=org_id_of(who["user"]) if who else "",
        )

    def service_token(self, account: ConnectedAccount, grant: str) -> TokenAnswer:
        """A token of the run-as user, or of the user a signed assertion names."""
        form = self._assertion(account) if grant == Grant.JWT_BEARER else self._run_as(account)
        with guard(requests.Session(), system=account.system) as session:
            url = self.token_url(account)
            return self.ask(account, lambda: judge(session.post(url, data=form, timeout=TIMEOUT_SECONDS)).json())

    def works_once(self, account: ConnectedAccount) -> bool:
        """Unless the last refresh left the refresh token as it was: rotation is a switch of the org's."""
        return account.details.get("rotation") is not False

    def expires_at(self, account: ConnectedAccount, access_token: str) -> datetime | None:
        """From introspection, the only place where Salesforce says it; not every app may ask."""
        try:
            form = self._token_form(account, access_token, "access_token")
            with guard(requests.Session(), system=account.system) as session:
                url = endpoint(account, "introspect")
                about = json_of(lambda: session.post(url, data=form, timeout=TIMEOUT_SECONDS))
            return datetime.fromtimestamp(int(about["exp"]), UTC) if about.get("active") is True else None
        except (SyncError, KeyError, TypeError, ValueError, OverflowError):
            return None

    def revoke(
        self, session: requests.Session, account: ConnectedAccount, tokens: tuple[str, str], *, uninstall: bool
    ) -> bool:
        """Revoke the refresh token, which ends its sessions too; a service account's session alone."""
        access, refresh = tokens
        return not (refresh or access) or revoke_token(session, account, refresh or access)

    def identify(self, session: requests.Session, account: ConnectedAccount, answer: TokenAnswer) -> Identity:
        """The org: identity address, user information and the org's own row must agree; the pinned version of the
        API must be on offer."""
        _require_version(session, answer.api_url)
        headers = bearer(answer.access_token)
        url = f"{answer.api_url}/services/oauth2/userinfo"
        about = json_of(lambda: session.get(url, headers=headers, timeout=TIMEOUT_SECONDS))
        facts = facts_of(session, answer)
        stated = str(about.get("organization_id") or "")
        said = org_id_of(stated) if stated else ""
        if not (said or facts.org_id):
            raise AuthenticationFailed("The org does not say who it is; may the user call the API?", code="no_identity")
        details = dict(facts.details) | {"user_id": answer.user_id}
        return Identity(
            agreed(answer.remote_id, said, facts.org_id), facts.name, pages_address(answer.api_url), details
        )

    def advice(self, error: SyncError) -> str:
        """What the administrator of the org can do about a refusal."""
        entry = find(SYSTEM, error.code, error.message) if error.status else None
        return f"{entry.cause_text} {entry.remedy_text}" if entry else ""

    def _run_as(self, account: ConnectedAccount) -> dict[str, str]:
        if not is_my_domain(account.oauth_url):
            raise Misconfigured("Client credentials need the org's own My Domain address", code="not_my_domain")
        client_id, secret = self.credentials(account)
        return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}

    def _assertion(self, account: ConnectedAccount) -> dict[str, str]:
        try:
            assertion = signed_assertion(
                reveal(account, "signing_key"),
                client_id=self.credentials(account)[0],
                username=account.username,
                audience=login_audience(account.oauth_url),
            )
        except (DecryptionError, ValueError):
            raise Misconfigured(
                "There is no usable key for signing; make a new certificate", code="no_signing_key"
            ) from None
        return {"grant_type": _JWT_BEARER, "assertion": assertion}

    def _token_form(self, account: ConnectedAccount, token: str, hint: str) -> dict[str, str]:
        client_id, secret = self.credentials(account)
        return {"client_id": client_id, "client_secret": secret, "token": token, "token_type_hint": hint}


def endpoint(account: ConnectedAccount, name: str) -> str:
    """An OAuth endpoint of the account's org. Raises `ForbiddenAddress` unless it is Salesforce's."""
    url = f"{account.oauth_url}/services/oauth2/{name}"
    check_url(url, SYSTEM)
    return url


def revoke_token(session: requests.Session, account: ConnectedAccount, token: str) -> bool:
    """Revoke one token; True when Salesforce confirmed."""
    answer = session.post(endpoint(account, "revoke"), data={"token": token}, timeout=TIMEOUT_SECONDS)
    return answer.status_code == 200


def facts_of(session: requests.Session, answer: TokenAnswer) -> OrgFacts:
    """What the org is like, asked with a token that was not stored yet."""
    headers = bearer(answer.access_token)
    base = f"{answer.api_url}/services/data/{settings.VENDORS[SYSTEM]['version']}"

    def ask(path: str, params: Mapping[str, str]) -> tuple[int, Any]:
        try:
            reply = session.get(base + path, params=dict(params), headers=headers, timeout=TIMEOUT_SECONDS)
            return reply.status_code, reply.json()
        except (requests.RequestException, json.JSONDecodeError):
            return 0, None

    return learn(ask)


def _require_version(session: requests.Session, api_url: str) -> None:
    """Raises `Misconfigured` unless the org offers the version of the API that we speak."""
    wanted = settings.VENDORS[SYSTEM]["version"].removeprefix("v")
    try:
        offered = session.get(f"{api_url}/services/data/", timeout=TIMEOUT_SECONDS).json()
        versions = {str(entry.get("version")) for entry in offered}
    except (requests.RequestException, ValueError, AttributeError, TypeError):
        raise AuthenticationFailed("The org does not say which API versions it has", code="api_version") from None
    if wanted not in versions:
        raise Misconfigured(f"The org does not offer version {wanted} of the API", code="api_version")


def _check_signature(secret: str, data: Mapping[str, Any]) -> None:
    """Base64 of HMAC-SHA256 over identity address and moment, keyed with the secret; absent from some answers. With a
    certificate the secret need not be known here, and then nothing can be checked."""
    stated = data.get("signature")
    if stated is None or not secret:
        return
    message = f"{data.get('id', '')}{data.get('issued_at', '')}".encode()
    expected = base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest())
    if not hmac.compare_digest(expected, str(stated).encode()):
        raise AuthenticationFailed("The answer of the sign-in server is not signed as it must be", code="bad_signature")
