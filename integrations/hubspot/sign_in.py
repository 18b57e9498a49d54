"""Signing in to HubSpot: consent of a portal, refresh tokens that stay the same, removal of the app."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import requests

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

VERSION = "2026-09"


class HubSpotSignIn(SignIn):
    """HubSpot's OAuth server: consent on its pages' host, tokens on its API's."""

    pkce = True
    shares_refresh_token = True

    def authorize_url(self, account: ConnectedAccount) -> str:
        """The consent page; for a reconnect that of this portal, no other."""
        portal = f"/{account.remote_id}" if account.remote_id else ""
        return f"{account.oauth_url}/oauth{portal}/authorize"

    def token_url(self, account: ConnectedAccount) -> str:
        """The token endpoint."""
        return f"{account.api_url}/oauth/{VERSION}/token"

    def parse(self, account: ConnectedAccount, data: Mapping[str, Any]) -> TokenAnswer:
        """The answer; `hub_id` names the portal."""
        portal = data.get("hub_id")
        return TokenAnswer(
            access_token=access_token_of(data),
            refresh_token=str(data.get("refresh_token") or ""),
            lifetime=timedelta(seconds=float(data.get("expires_in") or 1800)),
            scopes=scopes_of(data.get("scopes", data.get("scope"))),
            remote_id="" if portal is None else str(portal),
        )

    def revoke(
        self, session: requests.Session, account: ConnectedAccount, tokens: tuple[str, str], *, uninstall: bool
    ) -> bool:
        """Revoke the refresh token; `uninstall` removes the app from the portal, which its certification asks for."""
        access, refresh = tokens
        confirmed = True
        if uninstall and access:
            url = f"{account.api_url}/appinstalls/{VERSION}/external-install"
            answer = session.delete(url, headers=bearer(access), timeout=TIMEOUT_SECONDS)
            confirmed = answer.status_code in {204, 401, 404}
        if refresh:
            form = self._form(account, refresh, "refresh_token")
            answer = session.post(f"{self.token_url(account)}/revoke", data=form, timeout=TIMEOUT_SECONDS)
            confirmed = answer.status_code in {200, 204} and confirmed
        return confirmed

    def identify(self, session: requests.Session, account: ConnectedAccount, answer: TokenAnswer) -> Identity:
        """The portal: token answer, introspection and account details must agree."""
        token = answer.access_token
        form, headers = self._form(account, token, "access_token"), bearer(token)
        introspect = f"{self.token_url(account)}/introspect"
        details_url = f"{account.api_url}/account-info/{VERSION}/details"
        about = json_of(lambda: session.post(introspect, data=form, timeout=TIMEOUT_SECONDS))
        details = json_of(lambda: session.get(details_url, headers=headers, timeout=TIMEOUT_SECONDS))
        portal = agreed(answer.remote_id, str(about.get("hub_id") or ""), str(details.get("portalId") or ""))
        domain = str(details.get("uiDomain") or "")
        known = domain.startswith("app") and domain.endswith(".hubspot.com") and domain.count(".") == 2
        own = account.oauth_url == "https://app.hubspot.com"
        pages = f"https://{domain}" if known and own else account.oauth_url
        return Identity(portal, str(about.get("hub_domain") or ""), pages)

    def _form(self, account: ConnectedAccount, token: str, hint: str) -> dict[str, str]:
        client_id, secret = self.credentials(account)
        return {"client_id": client_id, "client_secret": secret, "token": token, "token_type_hint": hint}
