"""The home page: what needs a person now, then one row per integration with its flows.

The invariant: a constant number of queries, however many integrations, flows and changes there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import ConnectedAccount, Integration
from sync.admin import health, show
from sync.admin.base import light_accounts
from sync.admin.health import FlowHealth
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


@dataclass(slots=True)
class Row:
    """One integration."""

    integration: Integration
    flows: list[FlowHealth] = field(default_factory=list)

    def mode(self) -> SafeString:
        """Live, observing or off."""
        return show.status(MODE_TONES[Integration.Mode(self.integration.mode)], self.integration.get_mode_display())

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
            }
            for account in (self.integration.crm_account, self.integration.ledger_account)
        ]

    def last_success(self) -> SafeString:
        """The newest of its flows."""
        moments = [item.flow.last_success_at for item in self.flows if item.flow.last_success_at]
        return show.when(max(moments, default=None), _("never"))

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

    def queued(self) -> SafeString:
        """Changes that go out by themselves, over all flows."""
        n = sum(item.queued for item in self.flows)
        return show.count(n, show.rows_url(Change, integration=self.integration.pk, state="going"), "running")


@dataclass(frozen=True, slots=True)
class Task:
    """Something that needs a person now: how urgent, what, whose, and where to do it."""

    tone: str
    text: str
    whose: str
    url: str
    button: str

    def mark(self) -> SafeString:
        """The kind of task, as dot and word."""
        words = {"failed": _("Problem"), "held": _("Approval")}
        return show.status(self.tone, words[self.tone])


def overview(request: HttpRequest) -> dict[str, Any]:
    """What the home page shows, for those who may see flows."""
    if not request.user.has_perm("sync.view_flow") and not request.user.has_perm("sync.change_flow"):
        return {"overview": False}
    rows = _rows(request.user)
    return {
        "overview": True,
        "rows": rows,
        "folded": len(rows) > OPEN_UP_TO,
        "tasks": _tasks(rows),
        "workers": health.workers(),
        "connect_url": _connect_url(),
        "may_connect": request.user.has_perm("integrations.add_integration"),
    }


def _rows(user: Any) -> list[Row]:
    integrations = (
        Integration.objects.for_user(user)
        .select_related("organization", "crm_account", "ledger_account")
        .defer(*light_accounts())
    )
    rows = {integration.pk: Row(integration) for integration in integrations}
    flows = list(Flow.objects.filter(integration__in=rows).order_by("position", "pk")) if rows else []
    for flow in flows:
        flow.integration = rows[flow.integration_id].integration
    for item in health.read(flows).values():
        rows[item.flow.integration_id].flows.append(item)
    return list(rows.values())


def _tasks(rows: Sequence[Row]) -> list[Task]:
    tasks = [task for row in rows for task in (*_account_tasks(row), *_flow_tasks(row))]
    return sorted(tasks, key=lambda task: task.tone != "failed")


def _account_tasks(row: Row) -> Iterable[Task]:
    for account in row.accounts():
        if not account["connected"] and row.integration.mode != Integration.Mode.OFF:
            text = _("%(system)s is not connected: nothing is synced.") % {"system": account["mark"]}
            yield Task("failed", text, _whose(row), account["url"], _("Reconnect"))


def _flow_tasks(row: Row) -> Iterable[Task]:
    for item in row.flows:
        name = item.flow.name
        if item.review:
            text = ngettext("%(n)s change needs a person", "%(n)s changes need a person", item.review)
            url = show.rows_url(Change, flow=item.flow.pk, state=State.REVIEW)
            yield Task("failed", f"{text % {'n': show.number(item.review)}} · {name}", _whose(row), url, _("Look"))
        if item.latest is not None and item.latest.state == SyncRun.State.FAILED and item.flow.enabled:
            text = _("The last run failed") + f" · {name}"
            yield Task("failed", text, _whose(row), show.page_url(item.latest), _("Look"))
        if item.waiting:
            text = ngettext("%(n)s change waits for approval", "%(n)s changes wait for approval", item.waiting)
            held_url = show.rows_url(Change, flow=item.flow.pk, state=State.HELD)
            url = show.page_url(item.held) if item.held else held_url
            yield Task(
                "held", f"{text % {'n': show.number(item.waiting)}} · {name}", _whose(row), url, _("Review the plan")
            )


def _whose(row: Row) -> str:
    return f"{row.integration.organization} · {row.integration}"


def _connect_url() -> str:
    try:
        return reverse("admin:integrations_connect")
    except NoReverseMatch:
        return reverse("admin:integrations_connectedaccount_changelist")
