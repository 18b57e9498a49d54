"""Signing in to Fortnox: consent of a company, single-use refresh tokens, and service accounts without any."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import requests
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth

from integrations.models import ConnectedAccount
from integrations.sign_in import (
    TIMEOUT_SECONDS,
    Identity,
    SignIn,
    TokenAnswer,
    access_token_of,
    agreed,
    bearer,
    json_of,
    scopes_of,
)


class FortnoxSignIn(SignIn):
    """Fortnox's OAuth server; the token itself says which company it opens."""

    secret_in_header = True
    refresh_lifetime = timedelta(days=45)
    prefers_service = True

    def authorize_url(self, account: ConnectedAccount) -> str:
        """The consent page."""
        return f"{account.oauth_url}/oauth-v1/auth"

    def consent_parameters(self) -> Mapping[str, str]:
        """A service account does not die with the employee who clicked, and needs no refresh token afterwards."""
        return {"access_type": "offline", "account_type": "service"}

    def token_url(self, account: ConnectedAccount) -> str:
        """The token endpoint."""
        return f"{account.oauth_url}/oauth-v1/token"

    def parse(self, account: ConnectedAccount, data: Mapping[str, Any]) -> TokenAnswer:
        """The answer, with company and scopes from the token's own claims where the answer is silent."""
        access = access_token_of(data)
        claims = token_claims(access)
        tenant = claims.get("tenantId")
        return TokenAnswer(
            access_token=access,
            refresh_token=str(data.get("refresh_token") or ""),
            lifetime=timedelta(seconds=float(data.get("expires_in") or 1800)),
            scopes=scopes_of(data.get("scopes", data.get("scope", claims.get("scopes")))),
            remote_id="" if tenant is None else str(tenant),
        )

    def service_token(self, account: ConnectedAccount, grant: str) -> TokenAnswer:
        """A token without any refresh token, for a company that consented to a service account."""
        session = self.session(account, client=BackendApplicationClient(client_id=self.credentials(account)[0]))
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
            "TenantId": account.remote_id,
        }
        url = self.token_url(account)
        return self.ask(account, lambda: session.fetch_token(url, headers=headers, **self.proof(account)))

    def works_once(self, account: ConnectedAccount) -> bool:
        """Always: the token presented is dead afterwards, whatever we receive."""
        return True

    def revoke(
        self, session: requests.Session, account: ConnectedAccount, tokens: tuple[str, str], *, uninstall: bool
    ) -> bool:
        """Revoke the refresh token; a service account has none, and its tokens end by themselves."""
        if not tokens[1]:
            return True
        form = {"token": tokens[1], "token_type_hint": "refresh_token"}
        auth = HTTPBasicAuth(*self.credentials(account))
        url = f"{account.oauth_url}/oauth-v1/revoke"
        return session.post(url, data=form, auth=auth, timeout=TIMEOUT_SECONDS).status_code in {200, 204}

    def identify(self, session: requests.Session, account: ConnectedAccount, answer: TokenAnswer) -> Identity:
        """The company: the token's claim and the company's own number must agree."""
        url = f"{account.api_url}/3/companyinformation"
        found = json_of(lambda: session.get(url, headers=bearer(answer.access_token), timeout=TIMEOUT_SECONDS))
        company = found.get("CompanyInformation", {})
        number = str(company.get("DatabaseNumber") or "")
        name = str(company.get("CompanyName") or "")
        return Identity(agreed(answer.remote_id, number), name, account.oauth_url)


def token_claims(token: str) -> dict[str, Any]:
    """The claims of a JSON web token, unverified: its key is not published, and it came to us over TLS."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
