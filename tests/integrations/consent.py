"""A sandbox reached over real HTTP, and a person who clicks through consent pages; for the tests of connecting."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import connect
from integrations.models import ConnectedAccount, Organization
from tests.factories import make_organization, make_user
from tests.sandbox_process import SandboxProcess

SIZES = {"seed": 1, "customers": 2, "articles": 2, "invoices": 0, "accounts": 1}
PERMISSIONS = " ".join(
    f"integrations.{verb}_{model}"
    for model in ("organization", "connectedaccount", "integration", "tokengeneration", "inboundevent")
    for verb in ("view", "add", "change", "delete")
)


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    """One process for all tests; each begins with a fresh world."""
    with SandboxProcess("--customers", "2", "--articles", "2", "--invoices", "0", "--no-limits") as process:
        yield process


@pytest.fixture
def remote(sandbox_process: SandboxProcess, settings: Any) -> Remote:
    """The sandbox, emptied, with our settings pointing at it."""
    return Remote(sandbox_process, settings)


class Remote:
    """The vendors' side."""

    def __init__(self, process: SandboxProcess, settings: Any) -> None:
        self.process = process
        process.control("POST", "/faults", {})
        accounts = process.control("POST", "/reset", SIZES)["accounts"]
        self.accounts = {s: [a for a in accounts if a["system"] == s] for s in ("fortnox", "hubspot", "salesforce")}
        self.vendors = {
            system: settings.VENDORS[system]
            | {"api_url": found[0]["base_url"], "oauth_url": found[0]["base_url"]}
            | {key: found[0][key] for key in ("client_id", "client_secret")}
            for system, found in self.accounts.items()
            if system != "salesforce"
        }
        login = self.accounts["salesforce"][0]["base_url"]
        self.vendors["salesforce"] = settings.VENDORS["salesforce"] | {
            "api_url": login,
            "oauth_url": login,
            "test_url": f"{login}/test",
        }
        settings.VENDORS = self.vendors
        settings.EXTRA_ALLOWED_HOSTS = [urlsplit(process.url).netloc]
        settings.PUBLIC_URL = "http://localhost:8000"
        self.mark()

    def mark(self) -> None:
        """Calls are counted from here on."""
        self._since = self.process.control("GET", "/requests")["total"]

    def calls(self, containing: str = "/token") -> list[dict[str, Any]]:
        """The journal since the mark."""
        found = self.process.control("GET", f"/requests?since={self._since}")["requests"]
        return [call for call in found if containing in call["path"] and "introspect" not in call["path"]]

    def remote_id(self, system: str, index: int = 0) -> str:
        return str(self.accounts[system][index]["account"])

    def fault(self, system: str, kind: str, *, path: str = "/token", probability: float = 1.0) -> None:
        match = {"system": system, "path_contains": path}
        self.process.control("POST", "/faults", {"profile": {kind: probability}, "match": match})

    def heal(self) -> None:
        self.process.control("POST", "/faults", {})

    def remove_app(self, system: str, index: int = 0) -> None:
        """The customer removes the integration in the vendor's pages."""
        self.process.control("POST", "/disconnect", {"system": system, "account": self.remote_id(system, index)})

    def decide(self, url: str, *, account: str = "", approve: bool = True, service: bool = True, user: str = "") -> str:
        """A person's click on the consent page: the address it sends the browser to."""
        if not service:
            url = url.replace("&account_type=service", "")
        page = requests.get(url, timeout=60)
        assert page.status_code == 200, page.text
        system = urlsplit(url).path.split("/")[1]
        chosen = account or self.remote_id(system)
        form = {"company": chosen, "portal": chosen, "org": chosen, "user": user}
        yes = {"fortnox": "approve", "hubspot": "connect", "salesforce": "allow"}
        form["decision"] = yes[system] if approve else "deny"
        answer = requests.post(url, data=form, timeout=60, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]


class Consultant:
    """A person of ours: an organization, and a signed-in browser."""

    def __init__(self, remote: Remote | None = None, *, organization: Organization | None = None) -> None:
        self.remote = remote
        self.organization = organization or make_organization()
        self.user: User = make_user(organization=self.organization, permissions=PERMISSIONS, role="consultant")
        self.browser = Client()
        self.browser.force_login(self.user)

    def depart(self, system: str, **fields: Any) -> str:
        """Press Connect: the vendor's consent address."""
        answer = self.browser.post(
            reverse("admin:integrations_connect_begin", args=[self.organization.pk, system]), fields
        )
        assert answer.status_code == 302, answer.content.decode()[-2000:]
        return str(answer["Location"])

    def arrive(self, url: str) -> Any:
        """The vendor sends the browser back."""
        parts = urlsplit(url)
        return self.browser.get(f"{parts.path}?{parts.query}")

    def connect(self, system: str, *, account: str = "", service: bool = True) -> ConnectedAccount:
        """The whole consent."""
        assert self.remote
        back = self.arrive(self.remote.decide(self.depart(system), account=account, service=service))
        assert back.status_code == 302, back.content.decode()[-2000:]
        remote_id = account or self.remote.remote_id(system)
        return self.organization.accounts.get(system=system, remote_id=remote_id)

    def reconnect(self, account: ConnectedAccount, *, to: str = "") -> Any:
        """Press Reconnect on the account's page and approve; the answer of the callback."""
        assert self.remote
        answer = self.browser.post(reverse("admin:integrations_account_reauthenticate", args=[account.pk]))
        return self.arrive(self.remote.decide(answer["Location"], account=to or account.remote_id))


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def new_row(organization: Organization, system: str) -> ConnectedAccount:
    return connect.account_to_connect(organization, system)


def age(account: ConnectedAccount, *, refresh_due: bool = True, expired: bool = False) -> ConnectedAccount:
    """Let the account's token grow old."""
    now = timezone.now()
    if refresh_due:
        account.refresh_due_at = now - dt.timedelta(seconds=1)
    if expired:
        account.access_expires_at = now - dt.timedelta(seconds=1)
    account.save(update_fields=["refresh_due_at", "access_expires_at"])
    return account
