"""Runs: the list, and the plan page of one run.

The invariant: a run is never edited; people approve or cancel what it holds, through the engine.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.errors import ErrorClass
from integrations.rights import require
from mappings import presets
from sync.admin import health, show
from sync.admin.base import ReadOnlyAdmin
from sync.admin.filters import FlowFilter, IntegrationFilter, choice_filter
from sync.admin.plan_export import export
from sync.admin.plan_steps import (
    approve_plan,
    approve_some,
    cancel_plan,
    resume_run,
    stop_run,
)
from sync.admin.plan_views import company, plan_context, what_moved
from sync.admin.run_calls import calls_in_words
from sync.failures import failure_of, systems_of
from sync.models import Change, SyncLogEntry, SyncRun

StateFilter = choice_filter("state", gettext_lazy("state"), SyncRun.State.choices)
TriggerFilter = choice_filter("trigger", gettext_lazy("started by"), SyncRun.Kind.choices)


@admin.register(SyncRun)
class RunAdmin(ReadOnlyAdmin):
    """See the module's docstring."""

    begins = True
    nothing_yet = gettext_lazy("No run yet. Runs appear here once a flow is on and both sides are connected.")
    list_display = (
        "title",
        "integration_name",
        "status",
        "trigger_name",
        "started",
        "took",
        "read",
        "planned",
        "problem",
    )
    list_filter = (StateFilter, TriggerFilter, FlowFilter, IntegrationFilter)
    search_fields = ("flow__name", "integration__name", "error_code")
    search_help_text = gettext_lazy("Flow, integration, error code")
    related = ("flow", "integration__organization", "user", "approved_by", "mapping_set", "stopped_by")
    sortable_by = ()
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With both systems, whose codes a failure may carry."""
        systems = {f"{side}_system": F(f"integration__{side}_account__system") for side in ("ledger", "crm")}
        rows: QuerySet[Any] = super().get_queryset(request).annotate(**systems)
        return rows

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """A correlation id finds its run; other text is searched in names and codes."""
        if by_id := show.by_uuid(queryset, "correlation_id", search_term):
            return by_id
        found, doubled = super().get_search_results(request, queryset, search_term)
        return found | queryset.filter(flow__name__in=presets.stored(search_term)), doubled

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses before Django's own."""
        tools = [
            path("<int:pk>/approve/", self.tool(self.approve, "sync.approve_flow"), name="sync_syncrun_approve"),
            path("<int:pk>/cancel/", self.tool(self.cancel, "sync.approve_flow"), name="sync_syncrun_cancel"),
            path(
                "<int:pk>/approve-selected/",
                self.tool(self.approve_selected, "sync.approve_flow"),
                name="sync_syncrun_approve_selected",
            ),
            path("<int:pk>/stop/", self.tool(self.stop, "sync.run_flow"), name="sync_syncrun_stop"),
            path("<int:pk>/resume/", self.tool(self.resume, "sync.run_flow"), name="sync_syncrun_resume"),
            path("<int:pk>/export/", self.admin_site.admin_view(self.export), name="sync_syncrun_export"),
        ]
        return tools + super().get_urls()

    def row(self, request: HttpRequest, pk: str | int) -> SyncRun:
        """One run with both accounts; the target's schema gives the fields their names. One query."""
        accounts = ("crm_account", "ledger_account")
        secrets = ("access_token", "refresh_token", "usage")
        runs = self.own(request, [str(pk)]).select_related(*(f"integration__{account}" for account in accounts))
        found = runs.defer(*(f"integration__{account}__{name}" for account in accounts for name in secrets)).first()
        if found is None:
            raise Http404
        found.flow.integration = found.integration
        return found  # type: ignore[no-any-return]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The plan page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self.row(request, object_id)
        plan = plan_context(request, run)
        context = self.admin_site.each_context(request) | plan | {
            "title": _("Run %(number)d of %(flow)s") % {"number": run.pk, "flow": run.flow},
            "opts": self.opts,
            "run": run,
            "status": show.run_status(run),
            "progress": health.progress(run, plan["by_state"]),
            "moving": run.state in SyncRun.ACTIVE and run.stopped_at is None,
            "stopped": show.when(run.stopped_at) if run.stopped_at else "",
            "may_run": request.user.has_perm("sync.run_flow", run),
            "may_stop": run.state in SyncRun.ACTIVE and run.stopped_at is None,
            "match_url": reverse("admin:match", args=[run.pk]) if run.flow_id else "",
            **what_moved(run, plan["by_state"]),
            "company": company(run),
            "flow_url": show.page_url(run.flow),
            "log_url": show.rows_url(SyncLogEntry, run=run.pk),
            "changes_url": show.rows_url(Change, run=run.pk),
            "started": show.when(run.started_at),
            "took": show.took(run),
            "approved": show.when(run.approved_at),
            "api_calls": calls_in_words(run.api_calls),
            "api_total": show.number(sum(run.api_calls.values())),
            "failure": failure_of(run, systems_of(run.integration)),
            "error": ErrorClass(run.error_class).label if run.error_class else "",
            "may_approve": self.has_approve_permission(request, run),
        }  # fmt: skip
        return TemplateResponse(request, "admin/sync/syncrun/plan.html", context)

    # --- buttons --------------------------------------------------------------------------------------------

    def approve(self, request: HttpRequest, run: SyncRun) -> HttpResponse:
        """Approve all that waits."""
        return approve_plan(self, request, run)

    def cancel(self, request: HttpRequest, run: SyncRun) -> HttpResponse:
        """Give the plan up."""
        return cancel_plan(self, request, run)

    def approve_selected(self, request: HttpRequest, run: SyncRun) -> HttpResponse:
        """Approve the ticked changes, or those that the filter of the address shows."""
        return approve_some(self, request, run)

    def stop(self, request: HttpRequest, run: SyncRun) -> HttpResponse:
        """Stop after what is under way."""
        return stop_run(self, request, run)

    def resume(self, request: HttpRequest, run: SyncRun) -> HttpResponse:
        """Go on."""
        return resume_run(self, request, run)

    def export(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """What the filter shows, as a spreadsheet."""
        run = self.row(request, pk)
        require(request.user, "sync.view_syncrun", run)
        return export(request, run)

    # --- columns --------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("run"))
    def title(self, run: SyncRun) -> str:
        """The flow and the number."""
        return str(run)

    @admin.display(description=gettext_lazy("integration"))
    def integration_name(self, run: SyncRun) -> SafeString:
        """The pair, and whose."""
        return show.whose(run.integration)

    @admin.display(description=gettext_lazy("state"))
    def status(self, run: SyncRun) -> SafeString:
        """Dot and word."""
        return show.run_status(run)

    @admin.display(description=gettext_lazy("started by"))
    def trigger_name(self, run: SyncRun) -> str:
        """What or who started it."""
        return f"{run.get_trigger_display()} · {run.user}" if run.user else run.get_trigger_display()

    @admin.display(description=gettext_lazy("started"))
    def started(self, run: SyncRun) -> SafeString:
        """When."""
        return show.when(run.started_at)

    @admin.display(description=gettext_lazy("took"))
    def took(self, run: SyncRun) -> str:
        """How long."""
        return show.took(run)

    @admin.display(description=gettext_lazy("read"))
    def read(self, run: SyncRun) -> str:
        """How many records it read."""
        return show.number(run.seen)

    @admin.display(description=gettext_lazy("planned"))
    def planned(self, run: SyncRun) -> SafeString | str:
        """What it wants or wanted to write, leading to the rows."""
        text = show.planned_counts(run.counts)
        return show.link(show.page_url(run), text) if text else format_html('<span class="lb-quiet">{}</span>', "–")

    @admin.display(description=gettext_lazy("held or failed because"))
    def problem(self, run: SyncRun) -> str:
        """Why it stopped, shortened."""
        failure = failure_of(run, (run.ledger_system, run.crm_system))  # type: ignore[attr-defined]  # annotated
        text = failure.cause if failure else run.hold_text
        return text if len(text) <= 90 else f"{text[:89]}…"
