"""Connected accounts with a working token, for tests of the clients: against a sandbox or against canned answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from integrations.connectors import connector_for
from integrations.fields import conceal
from integrations.models import ConnectedAccount
from tests.factories import make_account
from tests.sandbox_process import SandboxProcess

HOSTS = {"fortnox": "https://api.fortnox.se", "hubspot": "https://api.hubapi.com"}


def connected(system: str, *, api_url: str = "", token: str = "token", **fields: Any) -> ConnectedAccount:
    """An account whose access token is valid for an hour; at the vendor's own address unless told otherwise."""
    hour = timezone.now() + timedelta(hours=1)
    account = make_account(
        system=system,
        api_url=api_url or HOSTS[system],
        access_expires_at=hour,
        refresh_due_at=hour,
        granted_scopes=settings.VENDORS[system]["scopes"],
        **fields,
    )
    conceal(account, "access_token", token)
    account.save()
    return account


def in_sandbox(sandbox: SandboxProcess, system: str) -> ConnectedAccount:
    """The sandbox's first account of a system, connected."""
    answer = sandbox.control("POST", "/token", {"system": system})
    return connected(
        system, api_url=f"{sandbox.url}/{system}", token=answer["access_token"], remote_id=answer["account"]
    )


def set_vendor(settings: Any, system: str, **values: Any) -> None:
    """Change a vendor's settings for one test; `rate=(0, 1.0)` means no limit."""
    settings.VENDORS = {**settings.VENDORS, system: {**settings.VENDORS[system], **values}}


def connector(account: ConnectedAccount) -> Any:
    """Its connector, untyped: tests look at what is behind the protocol too."""
    return connector_for(account)
