"""Whose account a token opens, asked of the vendor at connect: the id that is pinned, the name, the pages' address.

The invariant: every place where the vendor states the account's id must state the same one; a name may be missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from integrations import oauth
from integrations.errors import AuthenticationFailed
from integrations.http import guard
from integrations.models import ConnectedAccount, System


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose account a token opens, as the vendor says it."""

    remote_id: str
    name: str
    ui_url: str


def identify(account: ConnectedAccount, answer: oauth.TokenAnswer) -> Identity:
    """Whose account the token opens. Raises `AuthenticationFailed` when the vendor does not say, or says two things."""
    with guard(requests.Session(), system=account.system) as session:
        if account.system == System.FORTNOX:
            return _fortnox_identity(session, account, answer)
        return _hubspot_identity(session, account, answer)


def _fortnox_identity(session: requests.Session, account: ConnectedAccount, answer: oauth.TokenAnswer) -> Identity:
    company = _read(session, account, "/3/companyinformation", answer).get("CompanyInformation", {})
    number = str(company.get("DatabaseNumber") or "")
    return Identity(_agreed(answer.remote_id, number), str(company.get("CompanyName") or ""), account.oauth_url)


def _hubspot_identity(session: requests.Session, account: ConnectedAccount, answer: oauth.TokenAnswer) -> Identity:
    about = _introspect(session, account, answer)
    details = _read(session, account, f"/account-info/{oauth.HUBSPOT_VERSION}/details", answer)
    portal = _agreed(answer.remote_id, str(about.get("hub_id") or ""), str(details.get("portalId") or ""))
    domain = str(details.get("uiDomain") or "")
    known = domain.startswith("app") and domain.endswith(".hubspot.com") and domain.count(".") == 2
    own = account.oauth_url == "https://app.hubspot.com"
    return Identity(
        portal, str(about.get("hub_domain") or ""), f"https://{domain}" if known and own else account.oauth_url
    )


def _introspect(session: requests.Session, account: ConnectedAccount, answer: oauth.TokenAnswer) -> dict[str, Any]:
    client_id, secret = oauth.credentials(account)
    form = {
        "client_id": client_id,
        "client_secret": secret,
        "token": answer.access_token,
        "token_type_hint": "access_token",
    }
    url = f"{oauth.token_url(account)}/introspect"
    return _json(lambda: session.post(url, data=form, timeout=oauth.TIMEOUT_SECONDS))


def _read(session: requests.Session, account: ConnectedAccount, path: str, answer: oauth.TokenAnswer) -> dict[str, Any]:
    headers = oauth.bearer(answer.access_token)
    return _json(lambda: session.get(account.api_url + path, headers=headers, timeout=oauth.TIMEOUT_SECONDS))


def _json(call: Callable[[], requests.Response]) -> dict[str, Any]:
    """The object answered, or {}: names are wished for, and a missing identity is judged by the caller."""
    try:
        reply = call()
        data = reply.json() if reply.status_code == 200 else {}
    except (requests.RequestException, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _agreed(*claims: str) -> str:
    said = {claim for claim in claims if claim}
    if len(said) != 1:
        problem = "does not say" if not said else "contradicts itself about"
        raise AuthenticationFailed(f"The vendor {problem} which account was opened", code="no_identity")
    return said.pop()
