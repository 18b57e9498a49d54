"""A whole world for one test: a fresh sandbox over real HTTP, two connected accounts and the three flows.

`World.sync` is what the workers do between two ticks; the sandbox's control interface plays the people in Fortnox and
HubSpot. The invariant: every reset of the sandbox also forgets what this process remembers of the portals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import requests
from django.conf import settings
from django.utils import timezone

from integrations.fields import conceal
from integrations.hubspot import schema
from integrations.models import ConnectedAccount, Integration
from sync.engine.approve import approve
from sync.engine.run import Order, work
from sync.flows import install, switch_on
from sync.models import Change, EntityLink, Flow, SyncRun
from sync.states import State
from tests.factories import make_account, make_integration, make_organization
from tests.sandbox_process import SandboxProcess

CUSTOMERS, ARTICLES, INVOICES = "customers-to-companies", "articles-to-products", "invoices-to-deals"
Raw = dict[str, Any]

_BATCHES = ("batch/upsert", "batch/update", "batch/read", "batch/create", "batch/archive", "search")


class World:
    """See the module's docstring. Sizes are the sandbox's: `World(sandbox, customers=60, accounts=12)`."""

    CRM = "hubspot"

    def __init__(
        self, sandbox: SandboxProcess, *, approved: bool = True, brake: int = 1_000_000,
        connected: Sequence[ConnectedAccount] = (), **sizes: int,
    ) -> None:  # fmt: skip
        """`connected`: the CRM's and the ledger's account, connected by consent in the sandbox as it is."""
        self.sandbox = sandbox
        schema.clear_cache()
        if connected:
            self.crm, self.ledger = connected
            organization = self.crm.organization
        else:
            nothing = {"customers": 0, "articles": 0, "invoices": 0, "accounts": 0}
            sandbox.control("POST", "/reset", nothing | sizes)
            organization = make_organization()
            self.crm = self._account(organization, self.CRM)
            self.furnish()
            self.ledger = self._account(organization, "fortnox")
        self.integration: Integration = make_integration(
            organization, crm=self.crm, ledger=self.ledger, brake_records=brake
        )
        for flow in install(self.integration):
            switch_on(flow)
        if approved:
            Flow.objects.update(first_run_approved_at=timezone.now())

    def furnish(self) -> None:
        """What an administrator of the CRM does before the flows are added."""

    def _account(self, organization: Any, system: str) -> ConnectedAccount:
        token = self.sandbox.control("POST", "/token", {"system": system})
        later = timezone.now() + timedelta(days=1)
        account = make_account(
            organization,
            system,
            remote_id=token["account"],
            api_url=token["base_url"],
            oauth_url=token["base_url"],
            access_expires_at=later,
            refreshed_at=timezone.now(),
            refresh_due_at=later,
            granted_scopes=settings.VENDORS[system]["scopes"],
        )
        conceal(account, "access_token", token["access_token"])
        account.save()
        return account

    # --- Our side ---------------------------------------------------------------------------------------------

    def flow(self, slug: str) -> Flow:
        """The flow as the database has it now."""
        return Flow.objects.get(integration=self.integration, slug=slug)

    def sync(self, slug: str, **order: Any) -> SyncRun:
        """Start a run of the flow and work on it until nothing is due; the run it started."""
        flow = self.flow(slug)
        last = SyncRun.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        done = work(flow, Order(**order))
        while done.run is not None and not done.finished and done.run.state in SyncRun.ACTIVE:
            done = work(flow)
        started = SyncRun.objects.filter(flow=flow, pk__gt=last, trigger=order.get("trigger", SyncRun.Kind.SCHEDULE))
        return started.latest("pk")

    def approve(self, run: SyncRun) -> None:
        """A consultant approves what the run holds, and the worker carries it out."""
        approve(run, None)
        work(self.flow(run.flow.slug))

    def quiet(self, slug: str, *, rounds: int = 60, **order: Any) -> int:
        """Start a run and let time pass until no run is active and nothing is on its way; how many rounds it took.

        A run that failed for good is followed by the next scheduled one, as the schedule would do.
        """
        flow = self.flow(slug)
        wanted: Order | None = Order(**order)
        for turn in range(1, rounds + 1):
            if wanted is None and self._newest_failed(flow):
                wanted = Order(**order)
            done = work(flow, wanted)
            if wanted is not None and done.run is not None:
                wanted = None
            if wanted is None and not self._busy(flow) and not self._newest_failed(flow):
                return turn
            self.later()
        raise AssertionError(f"{slug} did not come to rest: {self.states(slug)}, {list(self._active(flow))}")

    def later(self) -> None:
        """Whatever waits for a moment has waited long enough."""
        past = timezone.now() - timedelta(minutes=1)
        Change.objects.filter(state__in=[State.RETRYING, State.QUEUED]).update(due_at=past)
        Change.objects.filter(state__in=[State.UNKNOWN, State.SENDING]).update(settle_until=past)
        SyncRun.objects.filter(state__in=SyncRun.ACTIVE).update(due_at=past)
        ConnectedAccount.objects.update(paused_until=None)

    @staticmethod
    def _busy(flow: Flow) -> bool:
        moving = [State.PLANNED, State.QUEUED, State.SENDING, State.UNKNOWN, State.RETRYING]
        changes = Change.objects.filter(flow=flow, state__in=moving)
        return changes.exists() or SyncRun.objects.filter(flow=flow, state__in=SyncRun.ACTIVE).exists()

    @staticmethod
    def _newest_failed(flow: Flow) -> bool:
        own = SyncRun.objects.filter(flow=flow).exclude(trigger__in=[SyncRun.Kind.REPLAY, SyncRun.Kind.DEPENDENCY])
        return own.order_by("-pk").values_list("state", flat=True).first() == SyncRun.State.FAILED

    @staticmethod
    def _active(flow: Flow) -> Any:
        return SyncRun.objects.filter(flow=flow).values_list("state", "error_class", "error_code", "error_message")

    def states(self, slug: str) -> Counter[str]:
        """How many changes of the flow are in which state."""
        return Counter(Change.objects.filter(flow__slug=slug).values_list("state", flat=True))

    def newest(self, slug: str) -> dict[str, Change]:
        """The newest change of every source record."""
        return {change.source_id: change for change in Change.objects.filter(flow__slug=slug).order_by("pk")}

    def links(self, slug: str) -> dict[str, str]:
        """Target id by source id of what the flow has linked."""
        flow = self.flow(slug)
        rows = EntityLink.objects.filter(ledger_object=flow.source_object, crm_object=flow.target_object)
        return dict(rows.values_list("ledger_id", "crm_id"))

    # --- The other side ---------------------------------------------------------------------------------------

    def fortnox(self, name: str) -> list[Raw]:
        """Every record of one kind in the Fortnox company, raw."""
        return list(self.sandbox.control("GET", f"/state/fortnox/{self.ledger.remote_id}/{name}")["records"])

    def hubspot(self, name: str) -> list[Raw]:
        """Every live record of one kind in the portal, raw."""
        records = self.sandbox.control("GET", f"/state/hubspot/{self.crm.remote_id}/{name}")["records"]
        return [record for record in records if not record.get("archived")]

    def edit(self, name: str, key: str | None = None, **fields: Any) -> Raw:
        """Somebody works in Fortnox: change a record, or make one."""
        path = f"/records/fortnox/{self.ledger.remote_id}/{name}"
        return dict(self.sandbox.control("POST", path, {"id": key, "fields": fields})["record"])

    def delete(self, name: str, key: str) -> None:
        """Somebody deletes a record in Fortnox."""
        self.sandbox.control("DELETE", f"/records/fortnox/{self.ledger.remote_id}/{name}/{key}")

    def edit_crm(self, name: str, key: str | None = None, **fields: Any) -> Raw:
        """Somebody works in HubSpot."""
        path = f"/records/hubspot/{self.crm.remote_id}/{name}"
        return dict(self.sandbox.control("POST", path, {"id": key, "fields": fields})["record"])

    def delete_crm(self, name: str, key: str) -> None:
        """Somebody deletes a record in HubSpot."""
        self.sandbox.control("DELETE", f"/records/hubspot/{self.crm.remote_id}/{name}/{key}")

    def pass_time(self, **span: float) -> None:
        """The vendors' clock moves on; ten minutes unless told otherwise, which is beyond every overlap."""
        seconds = timedelta(**(span or {"minutes": 10})).total_seconds()
        self.sandbox.control("POST", "/clock", {"advance_seconds": seconds})
        # Our stored access tokens would expire by the vendor's clock before ours says so.
        for account in (self.crm, self.ledger):
            token = self.sandbox.control("POST", "/token", {"system": account.system})
            conceal(account, "access_token", token["access_token"])
            account.save(update_fields=["access_token"])

    def ask(self, system: str, method: str, path: str, body: Any = None) -> Any:
        """Somebody else uses the vendor's own interface."""
        token = self.sandbox.control("POST", "/token", {"system": system})
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        answer = requests.request(method, token["base_url"] + path, json=body, headers=headers, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def enable_currencies(self, *codes: str) -> None:
        """An administrator of the portal switches on currencies; all that the seeded invoices use, unless named."""
        for code in codes or ("USD", "NOK", "GBP"):
            body = {"fromCurrencyCode": code, "conversionRate": 10.5}
            self.ask("hubspot", "POST", "/settings/currencies/2026-09/exchange-rates", body)

    def faults(self, seed: int = 0, match: dict[str, str] | None = None, durations: Any = None, **profile: Any) -> None:
        """From now on requests go wrong with these probabilities; nothing given ends it."""
        body = {"profile": profile, "seed": seed, "match": match} | (durations or {})
        self.sandbox.control("POST", "/faults", body)

    # --- What it cost -----------------------------------------------------------------------------------------

    def mark(self) -> int:
        """A point in the sandbox's journal, for `calls`."""
        return int(self.sandbox.control("GET", "/requests?since=1000000000")["total"])

    def calls(self, since: int) -> Counter[str]:
        """The vendor requests after a mark, by kind, such as `fortnox customers list` or `companies batch/upsert`."""
        rows = self.sandbox.control("GET", f"/requests?since={since}")["requests"]
        return Counter(_kind(row["system"], row["path"]) for row in rows)

    def faulted(self, since: int) -> int:
        """How many requests after a mark went wrong on purpose."""
        rows = self.sandbox.control("GET", f"/requests?since={since}")["requests"]
        return sum(1 for row in rows if row["fault"])


def _kind(system: str, path: str) -> str:
    parts = path.strip("/").split("/")
    if system == "fortnox":
        return f"fortnox {parts[1]} {'list' if len(parts) == 2 else 'detail'}"
    for batch in _BATCHES:
        if path.endswith(batch) or f"/{batch}" in path:
            where = "associations" if "associations" in parts else parts[parts.index(batch.split("/")[0]) - 1]
            return f"{where} {batch}"
    return f"hubspot {'/'.join(parts[:2])} other"
