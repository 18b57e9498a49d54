"""The vendors' OAuth servers, spoken to: consent addresses, code exchange, refresh, service tokens, revocation.

Nothing here touches the database; when to ask, and what to keep, is `tokens`. What is particular about a vendor is its
`SignIn`; a new system is one line in the table below.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import requests

from integrations.errors import SyncError
from integrations.fortnox.sign_in import FortnoxSignIn
from integrations.hubspot.sign_in import HubSpotSignIn
from integrations.models import ConnectedAccount, System
from integrations.salesforce.sign_in import SalesforceSignIn
from integrations.sign_in import Identity, SignIn, TokenAnswer, judge
from integrations.transport import guard

__all__ = ["Identity", "SignIn", "TokenAnswer", "judge"]

VENDORS: dict[str, SignIn] = {
    System.FORTNOX: FortnoxSignIn(),
    System.HUBSPOT: HubSpotSignIn(),
    System.SALESFORCE: SalesforceSignIn(),
}


def vendor_of(account: ConnectedAccount) -> SignIn:
    """How the account's vendor signs in."""
    return VENDORS[account.system]


def parse(account: ConnectedAccount, data: Mapping[str, Any]) -> TokenAnswer:
    """The answer of the account's token endpoint. Raises `OutcomeUnknown` when it holds no token."""
    return vendor_of(account).parse(account, data)


def authorization_url(
    account: ConnectedAccount,
    redirect_uri: str,
    state: str,
    verifier: str,
    *,
    scopes: Iterable[str] | None = None,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Where the person gives consent. `verifier` is used by vendors that support PKCE (S256)."""
    vendor = vendor_of(account)
    wanted = list(account.needed_scopes if scopes is None else scopes)
    session = vendor.session(account, redirect_uri=redirect_uri, scope=wanted)
    parameters = dict(vendor.consent_parameters()) | dict(extra or {})
    if vendor.pkce:
        digest = hashlib.sha256(verifier.encode()).digest()
        parameters["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        parameters["code_challenge_method"] = "S256"
    url, _ = session.authorization_url(vendor.authorize_url(account), state=state, **parameters)
    return str(url).replace("+", "%20")  # a literal plus is %2B by now; HubSpot documents %20 between scopes


def exchange_code(account: ConnectedAccount, code: str, redirect_uri: str, verifier: str) -> TokenAnswer:
    """Tokens for an authorization code, which works once."""
    vendor = vendor_of(account)
    options = vendor.proof(account) | ({"code_verifier": verifier} if vendor.pkce else {})
    session = vendor.session(account, redirect_uri=redirect_uri)
    return vendor.ask(account, lambda: session.fetch_token(vendor.token_url(account), code=code, **options))


def refresh(account: ConnectedAccount, refresh_token: str) -> TokenAnswer:
    """A new access token for a refresh token. Where tokens work once, the one presented is dead afterwards, whatever
    we receive."""
    vendor = vendor_of(account)
    session = vendor.session(account)
    options = vendor.proof(account)
    options.pop("include_client_id", None)
    if not vendor.secret_in_header:
        options["client_id"] = vendor.credentials(account)[0]
    url = vendor.token_url(account)
    return vendor.ask(account, lambda: session.refresh_token(url, refresh_token=refresh_token, **options))


def service_token(account: ConnectedAccount, grant: str) -> TokenAnswer:
    """A token without a person, for an account that was prepared for it. Raises `Misconfigured` where there is none."""
    return vendor_of(account).service_token(account, grant)


def expires_at(account: ConnectedAccount, access_token: str) -> datetime | None:
    """When a token ends whose answer did not say; None: unknown. Never raises."""
    return vendor_of(account).expires_at(account, access_token)


def identify(account: ConnectedAccount, answer: TokenAnswer) -> Identity:
    """Whose account the token opens. Raises `AuthenticationFailed` when the vendor does not say, or says two things,
    and `Misconfigured` when the account lacks what we need."""
    with guard(requests.Session(), system=account.system) as session:
        return vendor_of(account).identify(session, account, answer)


def revoke(account: ConnectedAccount, access_token: str, refresh_token: str, *, uninstall: bool) -> bool:
    """Tell the vendor that we let go. True when it confirmed; never raises, because we forget the tokens anyway."""
    with guard(requests.Session(), system=account.system) as session:
        try:
            return vendor_of(account).revoke(session, account, (access_token, refresh_token), uninstall=uninstall)
        except (requests.RequestException, SyncError):
            return False
