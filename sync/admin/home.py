"""The home page: what needs a person now, one row per integration with its flows, and the last 30 days.

The same page for everything, for one organization and for one integration. The invariant: a constant number of queries,
however many integrations, flows, changes and log rows there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import account_page
from integrations.errors import ErrorClass
from integrations.models import ConnectedAccount, Integration, Organization
from sync import daily
from sync.admin import charts, health, show
from sync.admin.base import light
from sync.admin.health import FlowHealth
from sync.admin.home_tasks import tasks_of
from sync.models import Change, Flow, SyncRun
from sync.states import State

OPEN_UP_TO = 12
"""With more integrations than this, their flows are folded: the page stays one screen."""

MODE_TONES = {Integration.Mode.LIVE: "ok", Integration.Mode.OBSERVE: "held", Integration.Mode.OFF: "off"}
ACCOUNT_TONES = {
    ConnectedAccount.Status.CONNECTED: "ok",
    ConnectedAccount.Status.NEEDS_RECONNECT: "failed",
    ConnectedAccount.Status.NEW: "off",
    ConnectedAccount.Status.DISCONNECTED: "off",
}
LATE_BY = 3
"""A cursor that did not move for so many intervals of its flow is late."""


@dataclass(slots=True)
class Row:
    """One integration."""

    integration: Integration
    flows: list[FlowHealth] = field(default_factory=list)
    calls: int = 0

    def mode(self) -> SafeString:
        """Live, observing or off."""
        return show.status(MODE_TONES[Integration.Mode(self.integration.mode)], self.integration.get_mode_display())

    def url(self) -> str:
        """This page, for this integration alone."""
        return home_url(integration=self.integration.pk)

    def named(self) -> bool:
        """Whether its name says more than the names of both ends, which stand beside it."""
        integration = self.integration
        return not all(
            end.name and end.name in str(integration) for end in (integration.crm_account, integration.ledger_account)
        )

    def accounts(self) -> list[dict[str, Any]]:
        """Both ends, the CRM first."""
        return [
            {
                "system": account.system,
                "mark": account.get_system_display(),
                "name": account.name or account.remote_id or _("not connected yet"),
                "url": reverse("admin:integrations_connectedaccount_change", args=[account.pk]),
                "connected": account.status == ConnectedAccount.Status.CONNECTED,
                "status": show.status(
                    ACCOUNT_TONES[ConnectedAccount.Status(account.status)], account.get_status_display()
                ),
                "refreshed": show.when(account.refreshed_at, _("never")),
                "next_refresh": show.when(account.refresh_due_at),
                "stale": account.access_expires_at is not None and account.access_expires_at <= timezone.now(),
                "usage": _usage(account),
            }
            for account in (self.integration.crm_account, self.integration.ledger_account)
        ]

    def readiness(self) -> dict[str, Any]:
        """What the board said last, and its page."""
        report = getattr(self.integration, "readiness_report", None)
        url = reverse("admin:integrations_integration_readiness", args=[self.integration.pk])
        if report is None or report.checked_at is None:
            return {"tone": "off", "text": _("Not checked"), "url": url, "errors": 0}
        if report.errors:
            text = ngettext("%(n)s problem", "%(n)s problems", report.errors) % {"n": report.errors}
            return {"tone": "failed", "text": text, "url": url, "errors": report.errors}
        if report.warnings:
            text = ngettext("%(n)s warning", "%(n)s warnings", report.warnings) % {"n": report.warnings}
            return {"tone": "held", "text": text, "url": url, "errors": 0}
        return {"tone": "ok", "text": _("Ready"), "url": url, "errors": 0}

    def last_success(self) -> SafeString:
        """The newest of its flows."""
        moments = [item.flow.last_success_at for item in self.flows if item.flow.last_success_at]
        return show.when(max(moments, default=None), _("never"))

    def cursor(self) -> dict[str, Any] | None:
        """How far the flow that is furthest behind has read; None when none reads on schedule."""
        reading = [
            item.flow for item in self.flows if item.flow.enabled and item.flow.scheduled and item.flow.cursor_at
        ]
        if not reading:
            return None
        oldest = min(reading, key=lambda flow: flow.cursor_at or timezone.now())
        return {"at": show.when(oldest.cursor_at), "late": late(oldest), "flow": oldest}

    def status(self) -> SafeString:
        """The most urgent state among its flows."""
        order = ("failed", "held", "running", "ok", "off")
        states = [item.state() for item in self.flows]
        if not states:
            return show.status("off", _("No flows yet"))
        return show.status(*min(states, key=lambda state: order.index(state[0])))

    def waiting(self) -> SafeString:
        """Changes that wait for approval, over all flows."""
        n = sum(item.waiting for item in self.flows)
        return show.count(n, show.rows_url(Change, integration=self.integration.pk, state=State.HELD), "held")

    def review(self) -> SafeString:
        """Changes that need a person, over all flows."""
        n = sum(item.review for item in self.flows)
        return show.count(n, show.rows_url(Change, integration=self.integration.pk, state=State.REVIEW), "failed")

    def failures(self) -> list[dict[str, Any]]:
        """What needs a person, by class of error: name, number, and the list of exactly those."""
        found: dict[str, int] = {}
        for item in self.flows:
            for name, n in item.failures.items():
                found[name] = found.get(name, 0) + n
        return [
            {
                "name": ErrorClass(name).label if name in ErrorClass.values else name,
                "n": show.number(n),
                "url": show.rows_url(Change, integration=self.integration.pk, state=State.REVIEW, error_class=name),
            }
            for name, n in sorted(found.items(), key=lambda entry: -entry[1])
        ]

    def queued(self) -> SafeString:
        """Changes that go out by themselves, over all flows."""
        n = sum(item.queued for item in self.flows)
        return show.count(n, show.rows_url(Change, integration=self.integration.pk, state="going"), "running")

    def calls_today(self) -> str:
        """How many calls its runs made today."""
        return show.number(self.calls)


def _usage(account: ConnectedAccount) -> dict[str, Any] | None:
    """How much of the vendor's calls are used, with the reader's grouping."""
    found = account_page.usage(account)
    if found is None:
        return None
    used, most = show.number(found.used), show.number(found.max)
    return {"used": used, "max": most, "percent": found.percent, "status_class": found.status_class}


def late(flow: Flow) -> bool:
    """Whether the flow has read nothing for several of its intervals."""
    if flow.cursor_at is None:
        return False
    return timezone.now() - flow.cursor_at > timedelta(minutes=flow.every_minutes * LATE_BY + 5)


def home_url(**filters: object) -> str:
    """This page, filtered."""
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return reverse("admin:index") + (f"?{query}" if query else "")


def overview(request: HttpRequest) -> dict[str, Any]:
    """What the home page shows, for those who may see flows; 404 for a filter that names nothing of theirs."""
    if not request.user.has_perm("sync.view_flow") and not request.user.has_perm("sync.change_flow"):
        return {"overview": False}
    one, whole = _chosen(request, "integration"), _chosen(request, "organization")
    rows = _rows(request.user, one, whole)
    filtered = one is not None or whole is not None
    if filtered and not rows and (one is not None or not _is_own(request.user, whole)):
        raise Http404
    today = timezone.localdate()
    if one is not None:
        today = timezone.now().astimezone(daily.zone_of(rows[0].integration.time_zone)).date()
    counted = daily.read([row.integration.pk for row in rows], today)
    for row in rows:
        row.calls = counted.calls.get(row.integration.pk, 0)
    return {
        "overview": True,
        "rows": rows,
        "groups": _grouped(rows),
        "one": rows[0] if one is not None else None,
        "chips": _chips(rows, one, whole),
        "folded": len(rows) > OPEN_UP_TO,
        "tasks": tasks_of(rows),
        "workers": health.workers(),
        "charts": [
            charts.records(counted.numbers, today, daily.WINDOW),
            charts.errors(counted.numbers, today, daily.WINDOW),
        ],
        "moving": any(item.moving for row in rows for item in row.flows),
        "connect_url": _address("path") or _address("integrations_connect"),
        "may_connect": request.user.has_perm("integrations.add_integration"),
        "pages": _pages(rows[0]) if one is not None else [],
    }


def _chosen(request: HttpRequest, name: str) -> int | None:
    """The id that a filter names; 404 for what is no id."""
    value = request.GET.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise Http404
    return int(value)


def _is_own(user: Any, organization: int | None) -> bool:
    return organization is not None and Organization.objects.for_user(user).filter(pk=organization).exists()


def _rows(user: Any, one: int | None, whole: int | None) -> list[Row]:
    integrations = (
        Integration.objects.for_user(user)
        .select_related("organization", "crm_account", "ledger_account", "readiness_report")
        .defer(*(name for name in light("crm_account", "ledger_account") if not name.endswith("__usage")))
    )
    if one is not None:
        integrations = integrations.filter(pk=one)
    if whole is not None:
        integrations = integrations.filter(organization=whole)
    rows = {integration.pk: Row(integration) for integration in integrations}
    mine = Flow.objects.filter(integration__in=list(rows)).order_by("position", "pk")
    flows = list(health.with_latest(mine)) if rows else []
    for flow in flows:
        flow.integration = rows[flow.integration_id].integration
    for item in health.read(flows).values():
        rows[item.flow.integration_id].flows.append(item)
    return list(rows.values())


def _grouped(rows: Sequence[Row]) -> list[tuple[Organization, list[Row]]]:
    found: dict[int, tuple[Organization, list[Row]]] = {}
    for row in rows:
        found.setdefault(row.integration.organization_id, (row.integration.organization, []))[1].append(row)
    return list(found.values())


def _chips(rows: Sequence[Row], one: int | None, whole: int | None) -> list[dict[str, str]]:
    """The filters in use: what each says, and the page without it."""
    chips = []
    if whole is not None:
        name = str(rows[0].integration.organization) if rows else str(whole)
        chips.append({"text": name, "url": home_url(**({"integration": one} if one is not None else {}))})
    if one is not None:
        chips.append({"text": str(rows[0].integration), "url": home_url(**({"organization": whole} if whole else {}))})
    return chips


def _pages(row: Row) -> list[dict[str, str]]:
    """The pages of one integration."""
    pk = row.integration.pk
    wanted = [
        (_("Settings"), _address("integrations_integration_change", pk)),
        (_("Readiness"), _address("integrations_integration_readiness", pk)),
        (_("Guided path"), _address("path_integration", pk)),
        (_("Who owns which field"), _address("ownership", pk)),
        (_("Shadow report"), _address("shadow", pk)),
        (_("Changes"), show.rows_url(Change, integration=pk)),
        (_("Runs"), show.rows_url(SyncRun, integration=pk)),
    ]
    return [{"name": name, "url": url} for name, url in wanted if url]


def _address(name: str, *args: object) -> str:
    try:
        return reverse(f"admin:{name}", args=args)
    except NoReverseMatch:
        return ""
