"""The world of one benchmark: a sandbox process, an empty database, one integration whose flows run by themselves."""

from __future__ import annotations

import resource
import subprocess
import sys
from datetime import timedelta
from typing import Any

import requests
from django.conf import settings
from django.utils import timezone

from integrations.fields import conceal
from integrations.models import ConnectedAccount, Integration, Organization
from sync.flows import install
from sync.models import Flow


class Sandbox:
    """A sandbox process on a free port; a context manager."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603  (our own module)
            [sys.executable, "-m", "sandbox.server", "--port", "0", *options],
            cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline() if self.process.stdout else ""
        if "ready on" not in line:
            raise RuntimeError(f"the sandbox did not start: {line!r}")
        self.url = line.strip().rsplit(" ", 1)[-1]

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.terminate()
        self.process.wait(10)

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of the control interface."""
        answer = requests.request(method, f"{self.url}/control/{path}", json=body or {}, timeout=120)
        answer.raise_for_status()
        return dict(answer.json())

    def requests_since(self, seq: int) -> list[dict[str, Any]]:
        """The vendor requests after `seq`."""
        return list(self.control("GET", f"requests?since={seq}")["requests"])

    def total(self) -> int:
        """How many vendor requests there have been."""
        return int(self.control("GET", "requests?since=1000000000")["total"])


def account(sandbox: Sandbox, organization: Organization, system: str) -> ConnectedAccount:
    """A connected account with a valid token of the sandbox's first account of `system`."""
    token = sandbox.control("POST", "token", {"system": system})
    now = timezone.now()
    row = ConnectedAccount(
        organization=organization,
        system=system,
        remote_id=token["account"],
        name=system,
        api_url=token["base_url"],
        oauth_url=token["base_url"],
        ui_url=token["base_url"],
        status=ConnectedAccount.Status.CONNECTED,
        access_expires_at=now + timedelta(days=1),
        refreshed_at=now,
        refresh_due_at=now + timedelta(hours=12),
        granted_scopes=settings.VENDORS[system]["scopes"],
    )
    conceal(row, "access_token", token["access_token"])
    row.save()
    return row


def build(sandbox: Sandbox) -> dict[str, Flow]:
    """An integration between the sandbox's first portal and company; flows by slug, switched on and automatic."""
    organization = Organization.objects.create(name="Bench")
    integration = Integration.objects.create(
        organization=organization,
        name="Bench",
        crm_account=account(sandbox, organization, "hubspot"),
        ledger_account=account(sandbox, organization, "fortnox"),
        brake_records=10_000_000,
    )
    flows = {flow.slug: flow for flow in install(integration)}
    Flow.objects.update(enabled=True, approval=Flow.Approval.AUTOMATIC)
    return {slug: Flow.objects.get(pk=flow.pk) for slug, flow in flows.items()}


def peak_megabytes() -> float:
    """The most memory this process has had, in MB (Linux counts kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
