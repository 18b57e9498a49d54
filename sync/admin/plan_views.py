"""The plan: one run and what it wants to write, with tabs, chips, differences inline, and its decisions.

Approving and cancelling ask once, and say how many changes of which company. The invariant: the page costs a constant
number of queries; the counts on its tabs come from one grouped query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Integration
from sync.admin import show, steps
from sync.admin.base import Question, ScopedAdmin, ask, confirmed
from sync.engine import approve
from sync.models import Change, SyncRun
from sync.states import Action, State

PAGE = 100
Counts = Mapping[tuple[str, str], int]


class CountedPaginator(Paginator):  # type: ignore[type-arg]
    """A paginator that is told how many rows there are."""

    def __init__(self, rows: QuerySet[Change], count: int) -> None:
        self._known = count
        super().__init__(rows, PAGE)

    @property
    def count(self) -> int:
        """As told."""
        return self._known


@dataclass(frozen=True, slots=True)
class Choice:
    """A tab or chip: a count that filters."""

    name: str
    label: str
    count: str
    url: str
    selected: bool
    tone: str = ""


def counts_of(run: SyncRun) -> Counts:
    """How many changes the run has, by action and state."""
    rows = Change.objects.filter(run=run).order_by().values("action", "state").annotate(n=Count("pk"))
    return {(row["action"], row["state"]): row["n"] for row in rows}


def _total(counts: Counts, action: str, state: str) -> int:
    return sum(n for (a, s), n in counts.items() if action in ("", a) and state in ("", s))


def _url(**parameters: str) -> str:
    return "?" + urlencode({name: value for name, value in parameters.items() if value})


def tabs(counts: Counts, action: str) -> list[Choice]:
    """Everything, then one tab per action, also those with nothing."""
    everything = Choice("", _("All"), show.number(_total(counts, "", "")), "?", not action)
    return [
        everything,
        *(
            Choice(name, str(label), show.number(_total(counts, name, "")), _url(action=name), action == name)
            for name, label in Action.choices
        ),
    ]


def chips(counts: Counts, action: str, state: str) -> list[Choice]:
    """The states that occur under the tab."""
    return [
        Choice(
            name, str(label), show.number(_total(counts, action, name)),
            _url(action=action, state="" if state == name else name), state == name, show.TONES[name],
        )
        for name, label in State.choices
        if _total(counts, action, name) or state == name
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One change in the table."""

    pk: int
    title: str
    url: str
    action: SafeString
    status: SafeString
    difference: SafeString
    amount: str
    reason: str
    match_rule: str
    selectable: bool


def _row(change: Change, labels: Mapping[str, str]) -> Row:
    return Row(
        pk=change.pk,
        title=change.source_title or change.source_id,
        url=show.page_url(change),
        action=show.action(change),
        status=show.change_status(change),
        difference=show.differences(change, labels),
        amount=show.amount(change.amount, change.currency),
        reason=change.reason_text or change.error_message,
        match_rule=change.match_rule,
        selectable=change.state == State.HELD,
    )


def plan_context(request: HttpRequest, run: SyncRun) -> dict[str, Any]:
    """Tabs, chips and one page of rows."""
    action, state = request.GET.get("action", ""), request.GET.get("state", "")
    if action not in ("", *Action.values) or state not in ("", *State.values):
        raise Http404
    counts = counts_of(run)
    rows = Change.objects.filter(run=run).order_by("pk").defer("payload", "agreed", "candidates", "verifications")
    if action:
        rows = rows.filter(action=action)
    if state:
        rows = rows.filter(state=state)
    page = CountedPaginator(rows, _total(counts, action, state)).get_page(request.GET.get("page"))
    flow = run.flow
    labels = show.labels_of(run.integration.account(flow.target_side).schemas, flow.target_object)
    held = _total(counts, "", State.HELD)
    return {
        "tabs": tabs(counts, action),
        "chips": chips(counts, action, state),
        "rows": [_row(change, labels) for change in page.object_list],
        "page": page,
        "page_url": _url(action=action, state=state) + ("&" if action or state else ""),
        "held": held,
        "held_text": show.number(held),
        "can_decide": run.state == SyncRun.State.HELD and held > 0,
        "by_state": {name: _total(counts, "", name) for name in State.values},
    }


def company(run: SyncRun) -> str:
    """Where the changes would be written: system and company."""
    account = run.integration.account(run.flow.target_side)
    return f"{account.get_system_display()}: {account.name or account.remote_id}"


def _held(run: SyncRun) -> list[tuple[str, int]]:
    counts = counts_of(run)
    held = [(str(label), counts.get((name, State.HELD), 0)) for name, label in Action.choices]
    return [(label, n) for label, n in held if n]


def approve_plan(page: ScopedAdmin, request: HttpRequest, run: SyncRun) -> HttpResponse:
    """Ask, then approve all that the run holds. Both the flow's and the run's button end here."""
    back = HttpResponseRedirect(show.page_url(run))
    held = _held(run)
    total = sum(n for _label, n in held)
    if run.state != SyncRun.State.HELD or not total:
        page.message_user(request, _("Nothing waits for approval."), messages.WARNING)
        return back
    if run.integration.mode != Integration.Mode.LIVE:
        text = _("The integration only observes: switch it to live before approving.")
        page.message_user(request, text, messages.ERROR)
        return back
    if not confirmed(request):
        title = ngettext("Approve %(n)s change in %(company)s?", "Approve %(n)s changes in %(company)s?", total)
        sentences = [_("They are written to %(company)s as soon as a worker is free.") % {"company": company(run)}]
        sentences.append(
            _("What has changed at the source since the plan is read again first, and waits for you anew.")
        )
        if run.flow.first_run_pending:
            sentences.append(_("This is the flow's first run. After it, the flow runs by itself."))
        if not run.flow.enabled:
            sentences.append(_("The flow is off: nothing is written until you switch it on."))
        question = Question(
            title=title % {"n": show.number(total), "company": company(run)},
            sentences=sentences,
            counts=held,
            button=ngettext("Approve %(n)s change", "Approve %(n)s changes", total) % {"n": show.number(total)},
            cancel_url=show.page_url(run),
            opts=run._meta,
        )
        return ask(request, page.admin_site, question)
    try:
        steps.approve_plan(run, request.user)
    except ValueError as error:
        page.message_user(request, str(error), messages.ERROR)
        return back
    text = ngettext("%(n)s change was approved.", "%(n)s changes were approved.", total)
    page.message_user(request, text % {"n": show.number(total)}, messages.SUCCESS)
    return back


def cancel_plan(page: ScopedAdmin, request: HttpRequest, run: SyncRun) -> HttpResponse:
    """Ask, then give the plan up."""
    back = HttpResponseRedirect(show.page_url(run))
    held = _held(run)
    total = sum(n for _label, n in held)
    if run.state != SyncRun.State.HELD:
        page.message_user(request, _("This plan does not wait for approval."), messages.WARNING)
        return back
    if not confirmed(request):
        question = Question(
            title=ngettext("Cancel this plan of %(n)s change?", "Cancel this plan of %(n)s changes?", total)
            % {"n": show.number(total)},
            sentences=[
                _("Nothing is written to %(company)s.") % {"company": company(run)},
                _("The flow's next run reads everything again and makes a new plan."),
            ],
            counts=held,
            button=_("Cancel the plan"),
            cancel_url=show.page_url(run),
            danger=True,
            opts=run._meta,
        )
        return ask(request, page.admin_site, question)
    try:
        approve.cancel_plan(run, request.user)
    except ValueError as error:
        page.message_user(request, str(error), messages.ERROR)
        return back
    page.message_user(request, _("The plan was cancelled. Nothing was written."), messages.SUCCESS)
    return back
