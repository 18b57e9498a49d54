"""Flows: how each is doing, its settings, and the buttons Plan now, Run now, Pause, Switch on, Approve.

The invariant: what a flow reads and writes is never edited here; a button asks the engine and leaves a log line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.history_pages import HistoryPage, part_of
from mappings import presets
from mappings.models import MappingSet
from sync import repair
from sync.admin import flow_form, health, show, steps
from sync.admin.base import CappedChangeList, ScopedAdmin, light_accounts
from sync.admin.filters import IntegrationFilter, choice_filter
from sync.admin.onboarding import choose_flows
from sync.admin.own_object import own_object
from sync.admin.plan_steps import approve_plan
from sync.failures import failure_of, systems_of
from sync.models import Change, ChatChannel, Flow, FlowPass, NoticePreference, SyncLogEntry, SyncRun

if TYPE_CHECKING:
    _Inline = admin.TabularInline[FlowPass, Flow]
    _FlowForm = ModelForm[Flow]
else:
    _Inline = admin.TabularInline
    _FlowForm = ModelForm

OnFilter = choice_filter("enabled", gettext_lazy("on"), [("True", gettext_lazy("On")), ("False", gettext_lazy("Off"))])
ApprovalFilter = choice_filter("approval", gettext_lazy("approval"), Flow.Approval.choices)
APPROVAL_SHORT = {
    Flow.Approval.FIRST_RUN: gettext_lazy("First run by hand"),
    Flow.Approval.AUTOMATIC: gettext_lazy("Automatic"),
    Flow.Approval.ALWAYS: gettext_lazy("Always by hand"),
}
LAST_RUNS = 8


class FlowChangeList(CappedChangeList):
    """The list with the health of every flow on the page."""

    def get_results(self, request: HttpRequest) -> None:
        """Reads the health of the whole page at once."""
        super().get_results(request)
        found = health.read(self.result_list)
        for flow in self.result_list:
            flow.health = found[flow.pk]


class PassInline(_Inline):
    """Only how often: which passes there are comes from the preset."""

    model = FlowPass
    extra = 0
    can_delete = False
    fields = ("name", "every_minutes", "next_run_at")
    readonly_fields = ("name", "next_run_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Passes come with the preset."""
        return False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """An interval that this page did not change is not saved: somebody else may have changed it meanwhile."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.show_hidden_initial = True
        return field


part_of("sync.flow", FlowPass, "flow_id")
for _told in (ChatChannel, NoticePreference):
    part_of("integrations.organization", _told, "organization_id")


@admin.register(Flow)
class FlowAdmin(HistoryPage, ScopedAdmin):
    """See the module's docstring."""

    begins = True
    nothing_yet = gettext_lazy("No flow yet. Flows are chosen when an integration is set up, on its guided path.")
    list_display = (
        "named", "integration_name", "status", "approval_mode", "last_success", "next_run",
        "queued", "waiting", "review",
    )  # fmt: skip
    list_filter = (IntegrationFilter, OnFilter, ApprovalFilter)
    search_fields = ("name", "slug", "integration__name", "integration__organization__name")
    search_help_text = gettext_lazy("Flow, integration or organization")
    related = (
        "integration__organization", "integration__crm_account", "integration__ledger_account",
    )  # fmt: skip
    deferred = light_accounts("integration")
    sortable_by = ()
    actions = ("plan_now", "run_now", "pause", "resume")
    inlines = (PassInline,)
    fieldsets = (
        (gettext_lazy("Schedule"), {"fields": ("enabled", "every_minutes", "next_run")}),
        (
            gettext_lazy("What it may do"),
            {
                "fields": (
                    "approval",
                    "brake_amount",
                    "max_creates_per_hour",
                    "may_create",
                    "may_update",
                    "takes",
                    "filter_expression",
                )
            },
        ),
    )
    readonly_fields = ("next_run",)
    change_form_template = "admin/sync/flow/change_form.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """With health."""
        return FlowChangeList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """A preset's name is found as the person reads it, too."""
        found, doubled = super().get_search_results(request, queryset, search_term)
        return found | queryset.filter(name__in=presets.stored(search_term)), doubled

    @admin.display(description=gettext_lazy("name"))
    def named(self, flow: Flow) -> str:
        """In the reader's language."""
        return flow.title

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses before Django's own."""
        tools = [
            path(
                "choose/<int:integration_id>/",
                self.admin_site.admin_view(choose_flows),
                name="sync_flow_choose",
            ),
            path(
                "own-object/<int:integration_id>/",
                self.admin_site.admin_view(own_object),
                name="sync_flow_own_object",
            ),
            path("<int:pk>/set-up/", self.tool(self.set_up_one, "sync.change_flow"), name="sync_flow_set_up"),
            path("<int:pk>/plan/", self.tool(self.plan_one, "sync.run_flow"), name="sync_flow_plan"),
            path("<int:pk>/run/", self.tool(self.run_one, "sync.run_flow"), name="sync_flow_run"),
            path("<int:pk>/pause/", self.tool(self.pause_one, "sync.change_flow"), name="sync_flow_pause"),
            path("<int:pk>/switch-on/", self.tool(self.resume_one, "sync.change_flow"), name="sync_flow_switch_on"),
            path("<int:pk>/approve/", self.tool(self.approve_one, "sync.approve_flow"), name="sync_flow_approve"),
        ]
        return tools + super().get_urls()

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may plan and run flows, in the organization of `obj`."""
        return request.user.has_perm("sync.run_flow", obj)

    # --- the flow's page ------------------------------------------------------------------------------------

    def get_inlines(self, request: HttpRequest, obj: Flow | None) -> Any:
        """Passes, for a flow that has some."""
        return self.inlines if obj is not None and obj.passes.exists() else ()

    def get_form(self, request: HttpRequest, obj: Flow | None = None, change: bool = False, **kwargs: Any) -> Any:
        """With a field for each setting of the flow's preset."""
        if obj is not None and self.has_change_permission(request, obj):
            kwargs["form"] = flow_form.form_class(obj, flow_form.FlowForm)
            kwargs["fields"] = [name for _title, options in self.fieldsets for name in options["fields"]]
            kwargs["fields"] = [name for name in kwargs["fields"] if name not in self.readonly_fields]
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Flow | None = None) -> Any:
        """The settings last, for those who may change them."""
        may_change = obj is not None and self.has_change_permission(request, obj)
        return [*self.fieldsets, *flow_form.fieldset(obj if may_change else None)]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The filter is one expression: three lines."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "filter_expression" and field is not None:
            field.widget.attrs["rows"] = 3
        return field

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """State first, then the settings."""
        flow = self.row(request, object_id)
        found = health.read([flow])[flow.pk]
        runs = list(SyncRun.objects.filter(flow=flow).select_related("user").order_by("-pk")[:LAST_RUNS])
        by_state = health.states_by_run([found.active] if found.active else [])
        integration, latest = flow.integration, found.latest
        systems, mapping = systems_of(integration), _mapping(flow)
        context = {
            "health": found,
            "progress": health.progress(found.active, by_state.get(found.active.pk, {})) if found.active else None,
            "failure": failure_of(latest, systems) if latest and latest.state == SyncRun.State.FAILED else None,
            "runs": [_run_row(run, systems) for run in runs],
            "more_runs_url": show.rows_url(SyncRun, flow=flow.pk),
            "log_url": show.rows_url(SyncLogEntry, integration=flow.integration_id),
            "source": integration.account(flow.source_side),
            "target": integration.account(flow.target_side),
            "mapping": mapping,
            "mapping_url": _mapping_url(mapping),
            "may": {
                "run": self.has_run_permission(request, flow),
                "change": request.user.has_perm("sync.change_flow", flow),
                "approve": self.has_approve_permission(request, flow),
            },
            "subtitle": None,
        }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Flow, form: _FlowForm, change: bool) -> None:
        """Saves the settings; the switch goes through the engine, which also makes the flow due."""
        switched = "enabled" in form.changed_data
        wanted, obj.enabled = obj.enabled, obj.enabled ^ switched
        # Only what the form holds: the engine moves the cursor and the schedule of the same row meanwhile.
        fields = {flow_form.column(name) for name in form.changed_data if name != "enabled"}
        if fields:
            obj.save(update_fields=sorted(fields))
        if fields & {"settings", "filter_expression"} and (again := repair.plan_blocked_again(obj)):
            text = ngettext("%d record that waits is planned again.", "%d records that wait are planned again.", again)
            self.message_user(request, text % again)
        if switched:
            steps.switch([obj], on=wanted, user=request.user)
            obj.enabled = wanted

    # --- buttons --------------------------------------------------------------------------------------------

    def plan_one(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        """Plan now: everything it finds waits for approval."""
        return self._asked(request, flow, steps.PLAN)

    def run_one(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        """Run now: as the schedule would."""
        return self._asked(request, flow, steps.RUN)

    def _asked(self, request: HttpRequest, flow: Flow, kind: str) -> HttpResponse:
        if steps.request_run([flow], kind, request.user):
            text = _("Planning starts in a moment.") if kind == steps.PLAN else _("The run starts in a moment.")
            self.message_user(request, text, messages.SUCCESS)
        else:
            reason = health.FlowHealth(flow).why_not
            self.message_user(request, _("Nothing was started. %(why)s") % {"why": reason}, messages.ERROR)
        return HttpResponseRedirect(show.page_url(flow))

    def set_up_one(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        """Let the next run create what is missing at the target, and start it."""
        steps.set_up(flow, request.user)
        text = _("The next run looks whether all fields and pipelines are there, and creates what is missing.")
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(show.page_url(flow))

    def pause_one(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        """Pause: queued changes wait."""
        steps.switch([flow], on=False, user=request.user)
        self.message_user(request, _("The flow is off. What was queued waits."), messages.SUCCESS)
        return HttpResponseRedirect(show.page_url(flow))

    def resume_one(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        """Switch on: due at once."""
        steps.switch([flow], on=True, user=request.user)
        text = _("The flow is on and starts in a moment.")
        if flow.first_run_pending:
            text = _("The flow is on. Its first run only plans, and waits for your approval.")
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(show.page_url(flow))

    def approve_one(self, request: HttpRequest, flow: Flow) -> HttpResponse:
        """Approve what the flow's plan holds, after asking."""
        held = health.read([flow])[flow.pk].held
        if held is None:
            self.message_user(request, _("Nothing waits for approval."), messages.WARNING)
            return HttpResponseRedirect(show.page_url(flow))
        held.integration = flow.integration
        return approve_plan(self, request, held)

    @admin.action(description=gettext_lazy("Plan now"), permissions=["run"])
    def plan_now(self, request: HttpRequest, queryset: QuerySet[Flow]) -> None:
        """Plan the selected flows."""
        self._started(request, steps.request_run(queryset, steps.PLAN, request.user), queryset)

    @admin.action(description=gettext_lazy("Run now"), permissions=["run"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Flow]) -> None:
        """Run the selected flows."""
        self._started(request, steps.request_run(queryset, steps.RUN, request.user), queryset)

    def _started(self, request: HttpRequest, started: int, queryset: QuerySet[Flow]) -> None:
        left = queryset.count() - started
        if started:
            text = ngettext("%(n)d flow starts in a moment.", "%(n)d flows start in a moment.", started)
            self.message_user(request, text % {"n": started}, messages.SUCCESS)
        if left:
            text = ngettext(
                "%(n)d flow was not started: it is off, or not connected.",
                "%(n)d flows were not started: they are off, or not connected.",
                left,
            )
            self.message_user(request, text % {"n": left}, messages.WARNING)

    @admin.action(description=gettext_lazy("Pause"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Flow]) -> None:
        """Switch the selected flows off."""
        n = steps.switch(queryset, on=False, user=request.user)
        text = ngettext("%(n)d flow was switched off.", "%(n)d flows were switched off.", n)
        self.message_user(request, text % {"n": n}, messages.SUCCESS)

    @admin.action(description=gettext_lazy("Switch on"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Flow]) -> None:
        """Switch the selected flows on."""
        n = steps.switch(queryset, on=True, user=request.user)
        text = ngettext("%(n)d flow was switched on.", "%(n)d flows were switched on.", n)
        self.message_user(request, text % {"n": n}, messages.SUCCESS)

    # --- columns --------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("integration"))
    def integration_name(self, flow: Flow) -> SafeString:
        """The pair, and whose."""
        return show.whose(flow.integration)

    @admin.display(description=gettext_lazy("state"))
    def status(self, flow: Any) -> SafeString:
        """Dot and word."""
        return flow.health.status()  # type: ignore[no-any-return]

    @admin.display(description=gettext_lazy("approval"))
    def approval_mode(self, flow: Flow) -> str:
        """The policy, in few words."""
        return str(APPROVAL_SHORT[Flow.Approval(flow.approval)])

    @admin.display(description=gettext_lazy("last success"))
    def last_success(self, flow: Any) -> SafeString:
        """When it last finished."""
        return flow.health.last_success()  # type: ignore[no-any-return]

    @admin.display(description=gettext_lazy("next run"))
    def next_run(self, flow: Flow) -> SafeString:
        """When it is due."""
        return health.FlowHealth(flow).next_run()

    @admin.display(description=gettext_lazy("queued"))
    def queued(self, flow: Any) -> SafeString:
        """Going out by themselves."""
        return flow.health.queued_link()  # type: ignore[no-any-return]

    @admin.display(description=gettext_lazy("waiting"))
    def waiting(self, flow: Any) -> SafeString:
        """For approval."""
        return flow.health.waiting_link()  # type: ignore[no-any-return]

    @admin.display(description=gettext_lazy("needs a person"))
    def review(self, flow: Any) -> SafeString:
        """In review."""
        return flow.health.review_link()  # type: ignore[no-any-return]


def _mapping(flow: Flow) -> MappingSet | None:
    """The version in force, without what a page does not need."""
    versions = MappingSet.objects.filter(integration_id=flow.integration_id, slug=flow.slug, state="published")
    return versions.only("name", "version").first()


def _mapping_url(mapping: MappingSet | None) -> str:
    """The mapping's page, when its room has one."""
    try:
        return show.page_url(mapping) if mapping else ""
    except NoReverseMatch:
        return show.rows_url(Flow)


def _run_row(run: SyncRun, systems: Sequence[str]) -> dict[str, Any]:
    failure = failure_of(run, systems)
    return {
        "url": show.page_url(run),
        "status": show.run_status(run),
        "trigger": run.get_trigger_display(),
        "user": run.user,
        "started": show.when(run.started_at),
        "took": show.took(run),
        "seen": show.number(run.seen),
        "planned": show.planned_counts(run.counts) or _("nothing to change"),
        "problem": failure.cause if failure else run.hold_text,
        "changes_url": show.rows_url(Change, run=run.pk),
    }
