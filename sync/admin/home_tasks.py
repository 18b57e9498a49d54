"""What needs a person now, on top of the home page: problems first, then approvals, then set-ups that were begun."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Integration
from sync.admin import show
from sync.models import Change, SyncRun
from sync.states import State

if TYPE_CHECKING:
    from sync.admin.health import FlowHealth
    from sync.admin.home import Row

NAMED = 3
"""Flows that a row names; how many more there are is said."""


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
        words = {"failed": _("Problem"), "held": _("Approval"), "running": _("Set-up")}
        return show.status(self.tone, words[self.tone])


def tasks_of(rows: Sequence[Row]) -> list[Task]:
    """Of these integrations, most urgent first."""
    tasks = [task for row in rows for task in (*_account_tasks(row), *_flow_tasks(row), *_setup_tasks(row))]
    order = ("failed", "held", "running")
    return sorted(tasks, key=lambda task: order.index(task.tone))


def _account_tasks(row: Row) -> Iterable[Task]:
    off = row.integration.mode == Integration.Mode.OFF
    for account in row.accounts():
        if not account["connected"] and not off:
            text = _("%(system)s is not connected: nothing is synced.") % {"system": account["mark"]}
            yield Task("failed", text, _whose(row), account["url"], _("Reconnect"))
    board = row.readiness()
    if board["errors"] and not off:
        text = ngettext(
            "The readiness board shows %(n)s problem", "The readiness board shows %(n)s problems", board["errors"]
        )
        yield Task("failed", text % {"n": board["errors"]}, _whose(row), board["url"], _("See how to mend it"))


def _setup_tasks(row: Row) -> Iterable[Task]:
    """An integration that was begun and does not work yet is continued, by anybody, on any day."""
    url = reverse("admin:path_integration", args=[row.integration.pk])
    begun = row.integration.mode == Integration.Mode.OBSERVE and not any(
        item.flow.first_run_approved_at for item in row.flows
    )
    if begun:
        yield Task("running", _("The set-up is not finished"), _whose(row), url, _("Continue"))


def _flow_tasks(row: Row) -> Iterable[Task]:
    """One row of each kind for the whole integration: what each flow has is in the table below."""
    pk = row.integration.pk
    review = [item for item in row.flows if item.review]
    if review:
        n = sum(item.review for item in review)
        text = ngettext("%(n)s change needs a person", "%(n)s changes need a person", n) % {"n": show.number(n)}
        only = {"flow": review[0].flow.pk} if len(review) == 1 else {"integration": pk}
        yield _task("failed", text, row, review, show.rows_url(Change, **only, state=State.REVIEW), _("Look"))
    broken = [
        (item, item.latest)
        for item in row.flows
        if item.latest is not None and item.latest.state == SyncRun.State.FAILED and item.flow.enabled
    ]
    if broken:
        several = show.rows_url(SyncRun, integration=pk, state=SyncRun.State.FAILED)
        url = show.page_url(broken[0][1]) if len(broken) == 1 else several
        text = ngettext("The last run failed", "The last runs of %(n)s flows failed", len(broken)) % {"n": len(broken)}
        yield _task("failed", text, row, [item for item, _run in broken], url, _("Look"))
    waiting = [item for item in row.flows if item.waiting]
    if waiting:
        n = sum(item.waiting for item in waiting)
        text = ngettext("%(n)s change waits for approval", "%(n)s changes wait for approval", n)
        held = [item.held for item in waiting if item.held]
        if len(waiting) > 1 and len(held) == len(waiting):
            url, button = show.rows_url(SyncRun, integration=pk, state=SyncRun.State.HELD), _("Review the plans")
        elif len(waiting) == 1 and held:
            url, button = show.page_url(held[0]), _("Review the plan")
        else:
            only = {"flow": waiting[0].flow.pk} if len(waiting) == 1 else {"integration": pk}
            url, button = show.rows_url(Change, **only, state=State.HELD), _("Look")
        yield _task("held", text % {"n": show.number(n)}, row, waiting, url, button)


def _task(tone: str, text: str, row: Row, flows: Sequence[FlowHealth], url: str, button: str) -> Task:
    """About some flows of an integration: one is named beside the text, several under it."""
    if len(flows) == 1:
        return Task(tone, f"{text} · {flows[0].flow.title}", _whose(row), url, button)
    names = ", ".join(item.flow.title for item in flows[:NAMED])
    if len(flows) > NAMED:
        names = _("%(names)s and %(n)s more") % {"names": names, "n": len(flows) - NAMED}
    return Task(tone, text, f"{_whose(row)} · {names}", url, button)


def _whose(row: Row) -> str:
    return f"{row.integration.organization} · {row.integration}"
