"""P-pages: every list of the admin, the home page and the pages of daily work, with a thousand and a million log rows.

Asked as a consultant who sees three of the integrations, not as a superuser: the limits of membership are part of the
cost. A page may cost 12 queries, and its median with a million rows at most 1.5 times the median with a thousand.
"""

from __future__ import annotations

import statistics
import time
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from integrations.models import ConnectedAccount, Integration, Membership, Organization
from sync.flows import install
from sync.models import Change, EntityLink, Flow, SyncLogEntry, SyncRun
from sync.states import State

Result = dict[str, Any]
CHANGES, LOG_ROWS, LINKS = 200_000, 1_000_000, 50_000
BATCH, ROUNDS = 5_000, 7
WEEKS = 60
"""Days over which the rows are spread."""


def p_pages(scale: float) -> Result:
    """Medians and queries of the admin's pages with 1,000 and with 1,000,000 log rows (200,000 changes)."""
    world = _World()
    world.grow(changes=200, log_rows=1_000, links=200)
    before = world.measure()
    world.grow(changes=int(CHANGES * scale), log_rows=int(LOG_ROWS * scale), links=int(LINKS * scale))
    after = world.measure()
    factors = {page: after[page][1] / before[page][1] for page in before if page in after}
    worst = max(factors, key=lambda page: factors[page])
    return {
        "pages": len(factors),
        "log_rows": SyncLogEntry.objects.count(),
        "changes": Change.objects.count(),
        "most_queries": max(queries for queries, _ms in after.values()),
        "over_12_queries": sorted(page for page, (queries, _ms) in after.items() if queries > 12),
        "worst_factor": factors[worst],
        "worst_page": worst,
        "over_1_5": {page: round(factor, 2) for page, factor in factors.items() if factor > 1.5},
        "not_200": world.refused,
        "by_page": {
            page: f"{after[page][0]} queries, {before[page][1]:.0f} ms -> {after[page][1]:.0f} ms" for page in after
        },
    }


class _World:
    """Three integrations of one organization, one of another, and rows that grow."""

    def __init__(self) -> None:
        now = timezone.now()
        self.refused: dict[str, int] = {}
        self.organization = Organization.objects.create(name="Bänken AB")
        self.integrations = [self._integration(self.organization, number) for number in range(3)]
        self._integration(Organization.objects.create(name="Andra AB"), 9)
        self.flows = list(Flow.objects.select_related("integration").order_by("pk"))
        self.runs = [
            SyncRun.objects.create(
                flow=flow, integration=flow.integration, trigger="schedule", state="done", finished_at=now
            )
            for flow in self.flows
        ]
        self.user = User.objects.create_user("bench", password=None, is_staff=True)
        Membership.objects.create(organization=self.organization, user=self.user, role=Membership.Role.OWNER)
        self.number = 0

    def _integration(self, organization: Organization, number: int) -> Integration:
        crm, ledger = (
            ConnectedAccount.objects.create(
                organization=organization, system=system, name=f"{system} {number}", remote_id=f"{number}{side}",
                status=ConnectedAccount.Status.CONNECTED, api_url="http://127.0.0.1:9", oauth_url="http://127.0.0.1:9",
            )
            for side, system in enumerate(("hubspot", "fortnox"))
        )  # fmt: skip
        integration = Integration.objects.create(
            organization=organization, crm_account=crm, ledger_account=ledger, name=f"Par {number}", mode="live"
        )
        install(integration)
        integration.flows.update(enabled=True, last_success_at=timezone.now())
        return integration

    def grow(self, *, changes: int, log_rows: int, links: int) -> None:
        """Until there are that many rows of each, then tell the database about them."""
        made = list(Change.objects.order_by("-pk").values_list("pk", "integration_id", "run_id")[:1000])
        for start in range(Change.objects.count(), changes, BATCH):
            rows = Change.objects.bulk_create(self._change(n) for n in range(start, min(start + BATCH, changes)))
            made = [(row.pk, row.integration_id, row.run_id) for row in rows]
        for start in range(SyncLogEntry.objects.count(), log_rows, BATCH):
            SyncLogEntry.objects.bulk_create(
                self._line(n, *made[n % len(made)]) for n in range(start, min(start + BATCH, log_rows))
            )
        for start in range(EntityLink.objects.count(), links, BATCH):
            EntityLink.objects.bulk_create(self._link(n) for n in range(start, min(start + BATCH, links)))
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")

    def _change(self, n: int) -> Change:
        run = self.runs[n % len(self.runs)]
        state = State.REVIEW if n % 100 == 7 else State.HELD if n % 200 == 3 else State.APPLIED
        at = timezone.now() - timedelta(minutes=(n * 7919) % (WEEKS * 1440))
        return Change(
            integration_id=run.integration_id, flow_id=run.flow_id, run=run, action="update", state=state,
            source_id=str(n), source_title=f"Kund {n} AB", target_id=str(n + 1), target_title=f"Kund {n} AB",
            diff=[{"field": "city", "before": "Lund", "after": "Malmö", "reason": ""}],
            error_class="data" if state == State.REVIEW else "", error_code=str(2000000 + n % 5),
            error_message="Wrong value." if state == State.REVIEW else "",
            error_fingerprint=f"print{n % 40}" if state == State.REVIEW else "",
            created_at=at, updated_at=at, finished_at=at if state == State.APPLIED else None,
        )  # fmt: skip

    def _line(self, n: int, change: int, integration: int, run: int) -> SyncLogEntry:
        return SyncLogEntry(
            integration_id=integration, run_id=run, change_id=change, event="sending→applied", message=f"line {n}",
            at=timezone.now() - timedelta(minutes=(n * 7919) % (WEEKS * 1440)),
        )  # fmt: skip

    def _link(self, n: int) -> EntityLink:
        return EntityLink(
            integration=self.integrations[n % 3], crm_object="company", crm_id=str(n), ledger_object="customer",
            ledger_id=str(n), title=f"Kund {n} AB", agreed_crm={"city": "Lund"}, synced_at=timezone.now(),
        )  # fmt: skip

    def addresses(self) -> dict[str, str]:
        """Every list of the admin, and the pages that are no list."""
        pages = {"home": reverse("admin:index")}
        for model in admin.site._registry:
            name = f"{model._meta.app_label}_{model._meta.model_name}"
            pages[name] = reverse(f"admin:{name}_changelist")
        pages["changes to approve"] = pages["sync_change"] + "?state=held"
        pages["log of an integration"] = pages["sync_synclogentry"] + f"?integration={self.integrations[0].pk}"
        link, run = EntityLink.objects.latest("pk"), self.runs[0]
        change = Change.objects.filter(run=run).latest("pk")
        integration = self.integrations[0].pk
        named: list[tuple[str, list[Any], str]] = [
            ("review", [], ""), ("month_end", [], f"?integration={integration}"), ("reconcile", [], ""),
            ("notices", [], ""), ("search", [], "?q=Kund+77+AB"), ("record", [link.pk], ""), ("match", [run.pk], ""),
            ("ownership", [integration], ""), ("shadow", [integration], ""), ("path", [], ""),
            ("sync_change_change", [change.pk], ""), ("sync_syncrun_change", [run.pk], ""),
            ("sync_flow_change", [run.flow_id], ""),
        ]  # fmt: skip
        for name, args, query in named:
            try:
                pages[name] = reverse(f"admin:{name}", args=args) + query
            except NoReverseMatch:
                continue
        return pages

    def measure(self) -> dict[str, tuple[int, float]]:
        """Queries and the median in milliseconds of every page that answers 200."""
        client = Client()
        client.force_login(self.user, backend="sync.roles.PasswordBackend")
        found = {}
        for page, address in self.addresses().items():
            with CaptureQueriesContext(connection) as captured:
                status = client.get(address).status_code
            if status != 200:
                self.refused[page] = status
                continue
            found[page] = (len(captured), statistics.median(self._once(client, address) for _round in range(ROUNDS)))
        return found

    def _once(self, client: Client, address: str) -> float:
        started = time.perf_counter()
        client.get(address)
        return (time.perf_counter() - started) * 1000
