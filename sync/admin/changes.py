"""Changes: the list with its filters, and the actions Retry, Dismiss and Approve.

The invariant: a change is never edited; an action tells how many records it touches, asks once, and goes through the
engine, which logs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.errors import ErrorClass
from integrations.models import Integration
from sync import repair
from sync.admin import show, steps
from sync.admin.base import (
    Question,
    as_asked,
    ask,
    asked_about,
    changelist_url,
    confirmed,
    light_accounts,
    selection,
)
from sync.admin.change_page import change_context
from sync.admin.filters import FlowFilter, IntegrationFilter, RunFilter, choice_filter
from sync.admin.health import ON_THE_WAY
from sync.admin.review_one import ReviewTools
from sync.models import Change
from sync.states import Action, State, sources_of

ActionFilter = choice_filter("action", gettext_lazy("action"), Action.choices)
ErrorFilter = choice_filter("error_class", gettext_lazy("error"), ErrorClass.choices)
RETRYABLE = (State.REVIEW, State.RETRYING)
DISMISSABLE = tuple(sources_of(State.DISMISSED))


class StateFilter(choice_filter("state", gettext_lazy("state"), State.choices)):  # type: ignore[misc]
    """By state; "on the way" stands for all that go out by themselves."""

    options = (("going", gettext_lazy("On the way")), *State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those in the state."""
        if self.value() == "going":
            return queryset.filter(state__in=ON_THE_WAY)
        return super().queryset(request, queryset)  # type: ignore[no-any-return]


@admin.register(Change)
class ChangeAdmin(ReviewTools):
    """See the module's docstring."""

    begins = True
    nothing_yet = gettext_lazy("No change yet. What a run plans to write appears here, before it is written.")
    list_display = ("title", "what", "status", "flow_name", "why", "error_code", "attempts", "age")
    list_filter = (StateFilter, ActionFilter, FlowFilter, IntegrationFilter, ErrorFilter, RunFilter)
    search_fields = ("source_title", "source_id__exact", "target_id__exact", "error_code__exact")
    search_help_text = gettext_lazy("Name, source or target id, error code, correlation id")
    related = ("flow", "integration")
    deferred = ("payload", "agreed", "candidates", "verifications", "diff", "problems")
    sortable_by = ()
    actions = ("retry", "dismiss", "approve")

    def has_retry_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may retry, in the organization of `obj`."""
        return request.user.has_perm("sync.retry_change", obj)

    def has_dismiss_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may dismiss, in the organization of `obj`."""
        return request.user.has_perm("sync.dismiss_change", obj)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """A correlation id finds the changes of its run; other text is searched in names, ids and codes."""
        return show.by_uuid(queryset, "run__correlation_id", search_term) or super().get_search_results(
            request, queryset, search_term
        )

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses before Django's own."""
        tools = [
            path("<int:pk>/retry/", self.tool(self.retry_one, "sync.retry_change"), name="sync_change_retry"),
            path("<int:pk>/link/", self.tool(self.link_one, "sync.retry_change"), name="sync_change_link"),
            path("<int:pk>/create/", self.tool(self.create_one, "sync.retry_change"), name="sync_change_create"),
            path("<int:pk>/choose/", self.tool(self.choose_values, "sync.retry_change"), name="sync_change_choose"),
            path("<int:pk>/dismiss/", self.tool(self.dismiss_one, "sync.dismiss_change"), name="sync_change_dismiss"),
            path("<int:pk>/approve/", self.tool(self.approve_one, "sync.approve_flow"), name="sync_change_approve"),
            *self.review_urls(),
        ]
        return tools + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Who, what and why on top; then the difference, the timeline, the exchange."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.model.objects.for_user(request.user).select_related(
            "flow", "run", "mapping_set", "approved_by", "assigned_to",
            "integration__organization", "integration__crm_account", "integration__ledger_account",
        )  # fmt: skip
        secrets = [name for name in light_accounts("integration") if not name.endswith("schemas")]
        self.row(request, object_id)
        change = rows.defer(*secrets).get(pk=object_id)
        more = self.review_context(request, change)
        context = self.admin_site.each_context(request) | change_context(change) | more | {
            "title": change.source_title or change.source_id,
            "opts": self.opts,
            "may": {
                "retry": self.has_retry_permission(request, change) and change.state in RETRYABLE,
                "dismiss": self.has_dismiss_permission(request, change) and change.state in DISMISSABLE,
                "approve": self.has_approve_permission(request, change) and change.state == State.HELD,
                "decide": self.has_retry_permission(request, change)
                and change.state == State.REVIEW
                and change.error_code in repair.UNDECIDED,
                "link": self.has_retry_permission(request, change) and repair.may_link(change),
                "choose": self.has_retry_permission(request, change)
                and change.state == State.REVIEW
                and change.error_code == repair.BOTH_CHANGED,
            },
        }  # fmt: skip
        return TemplateResponse(request, "admin/sync/change/detail.html", context)

    def link_one(self, request: HttpRequest, change: Change) -> HttpResponse:
        """The chosen candidate is the counterpart."""
        done = _("They belong together now. The record is planned again in a moment.")
        return self._decide(
            request, change, lambda: repair.link_to(change, request.POST.get("target", ""), request.user), done
        )

    def create_one(self, request: HttpRequest, change: Change) -> HttpResponse:
        """None of them is meant."""
        done = _("A new record is planned in a moment.")
        return self._decide(request, change, lambda: repair.create_new(change, request.user), done)

    def choose_values(self, request: HttpRequest, change: Change) -> HttpResponse:
        """Whose value counts, for every field that both sides changed."""
        fields = [row["field"] for row in change.diff]
        choices = {name: request.POST[f"value:{name}"] for name in fields if f"value:{name}" in request.POST}
        done = _("Decided. The chosen values go to the other side in a moment.")
        return self._decide(request, change, lambda: repair.choose(change, choices, request.user), done)

    def _decide(self, request: HttpRequest, change: Change, decide: Callable[[], None], done: str) -> HttpResponse:
        try:
            decide()
        except ValueError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(show.page_url(change))

    # --- actions on the list --------------------------------------------------------------------------------

    @admin.action(description=gettext_lazy("Retry"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Change]) -> HttpResponse | None:
        """Plan the selected changes again from their sources as they are now."""
        rows = self._able(request, queryset, RETRYABLE, _("None of them waits for a retry."))
        if rows is None:
            return None
        if not self._sure(request, rows):
            sentences = [_("Each is planned again from its record as it is now, and written if nothing is wrong.")]
            return self._ask(request, "retry", rows, sentences)
        n = repair.retry(self._engine_rows(rows), request.user)
        text = ngettext("%(n)d change is tried again.", "%(n)d changes are tried again.", n)
        self.message_user(request, text % {"n": n}, messages.SUCCESS)
        return None

    @admin.action(description=gettext_lazy("Dismiss"), permissions=["dismiss"])
    def dismiss(self, request: HttpRequest, queryset: QuerySet[Change]) -> HttpResponse | None:
        """Close the selected changes without writing anything; asks the reason."""
        rows = self._able(request, queryset, DISMISSABLE, _("None of them can be dismissed."))
        if rows is None:
            return None
        reason, sure = request.POST.get("reason", "").strip(), self._sure(request, rows)
        if not sure or not reason:
            error = _("Give the reason.") if sure else ""
            sentences = [_("Nothing is written. The reason is kept with your name.")]
            return self._ask(request, "dismiss", rows, sentences, reason=True, error=error)
        n = repair.dismiss(self._engine_rows(rows), request.user, reason)
        text = ngettext("%(n)d change was dismissed.", "%(n)d changes were dismissed.", n)
        self.message_user(request, text % {"n": n}, messages.SUCCESS)
        return None

    @admin.action(description=gettext_lazy("Approve"), permissions=["approve"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Change]) -> HttpResponse | None:
        """Approve the selected changes, after asking."""
        live = queryset.filter(integration__mode=Integration.Mode.LIVE)
        nothing = _("None of them waits for approval in an integration that is live.")
        rows = self._able(request, live, (State.HELD,), nothing)
        if rows is None:
            return None
        if not self._sure(request, rows):
            return self._ask(request, "approve", rows, [_("They are written as soon as a worker is free.")])
        n = steps.approve_selected(self._engine_rows(rows), request.user)
        text = ngettext("%(n)d change was approved.", "%(n)d changes were approved.", n)
        self.message_user(request, text % {"n": n}, messages.SUCCESS)
        return None

    def _able(
        self, request: HttpRequest, queryset: QuerySet[Change], states: tuple[State, ...], nothing: str
    ) -> QuerySet[Change] | None:
        """Those of the selection that the action can do something for; None, with a message, when there are none."""
        rows = queryset.filter(state__in=states)
        if rows.exists():
            return rows
        self.message_user(request, nothing, messages.WARNING)
        return None

    def _sure(self, request: HttpRequest, rows: QuerySet[Change]) -> bool:
        """Whether the person confirmed these very rows. What is ticked is named by id; whatever else a filter shows
        meanwhile is asked about again."""
        if not confirmed(request) or request.POST.get("select_across") != "1" or as_asked(request, rows):
            return confirmed(request)
        self.message_user(request, _("They are others than you were asked about. Look again."), messages.WARNING)
        return False

    def _engine_rows(self, rows: QuerySet[Change]) -> Any:
        """The selection as the engine locks it: plain rows, without joins."""
        return Change.objects.filter(pk__in=rows.order_by().values("pk"))

    def _ask(
        self,
        request: HttpRequest,
        action: str,
        rows: QuerySet[Change],
        sentences: list[str],
        *,
        reason: bool = False,
        error: str = "",
        fields: list[tuple[str, str]] | None = None,
        back: str = "",
    ) -> HttpResponse:
        names = {"retry": _("Retry"), "dismiss": _("Dismiss"), "approve": _("Approve")}
        grouped = rows.order_by("integration__name").values_list("integration__name").annotate(n=Count("pk"))
        counts: list[tuple[str, int]] = list(grouped)
        total = sum(n for _name, n in counts)
        button = ngettext("%(verb)s %(n)s change", "%(verb)s %(n)s changes", total) % {
            "verb": names[action],
            "n": show.number(total),
        }
        question = Question(
            title=_("%(what)s?") % {"what": button},
            sentences=sentences,
            counts=counts,
            button=button,
            cancel_url=back or changelist_url(Change),
            fields=[*selection(request, action), *asked_about(rows)] if fields is None else fields,
            reason=reason,
            error=error,
            danger=action == "dismiss",
            opts=self.opts,
        )
        return ask(request, self.admin_site, question)

    # --- buttons on one change ------------------------------------------------------------------------------

    def retry_one(self, request: HttpRequest, change: Change) -> HttpResponse:
        """Retry this change."""
        if repair.retry(Change.objects.filter(pk=change.pk), request.user):
            self.message_user(request, _("It is tried again now."), messages.SUCCESS)
        else:
            self.message_user(request, _("It does not wait for a retry."), messages.WARNING)
        return HttpResponseRedirect(show.page_url(change))

    def dismiss_one(self, request: HttpRequest, change: Change) -> HttpResponse:
        """Dismiss this change; asks the reason."""
        back, rows = show.page_url(change), Change.objects.filter(pk=change.pk)
        if change.state not in DISMISSABLE:
            self.message_user(request, _("It cannot be dismissed any more."), messages.WARNING)
            return HttpResponseRedirect(back)
        reason = request.POST.get("reason", "").strip()
        if not confirmed(request) or not reason:
            error = _("Give the reason.") if confirmed(request) else ""
            sentences = [_("Nothing is written. The reason is kept with your name.")]
            return self._ask(request, "dismiss", rows, sentences, reason=True, error=error, fields=[], back=back)
        repair.dismiss(rows, request.user, reason)
        self.message_user(request, _("It was dismissed."), messages.SUCCESS)
        return HttpResponseRedirect(back)

    def approve_one(self, request: HttpRequest, change: Change) -> HttpResponse:
        """Approve this change only, after asking."""
        back, rows = show.page_url(change), Change.objects.filter(pk=change.pk)
        if change.state != State.HELD or change.integration.mode != Integration.Mode.LIVE:
            text = _("It does not wait for approval, or the integration only observes.")
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(back)
        if not confirmed(request):
            sentences = [_("It is written as soon as a worker is free.")]
            return self._ask(request, "approve", rows, sentences, fields=[], back=back)
        steps.approve_selected(rows, request.user)
        self.message_user(request, _("It was approved."), messages.SUCCESS)
        return HttpResponseRedirect(back)

    # --- columns --------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("record"))
    def title(self, change: Change) -> str:
        """The record as people call it."""
        return change.source_title or change.source_id

    @admin.display(description=gettext_lazy("action"))
    def what(self, change: Change) -> SafeString:
        """What the plan decided."""
        return show.action(change)

    @admin.display(description=gettext_lazy("state"))
    def status(self, change: Change) -> SafeString:
        """Dot and word."""
        return show.change_status(change)

    @admin.display(description=gettext_lazy("flow"))
    def flow_name(self, change: Change) -> SafeString:
        """The flow, and whose."""
        return format_html('{} <span class="lb-quiet">{}</span>', change.flow.title, change.integration.name)

    @admin.display(description=gettext_lazy("reason"))
    def why(self, change: Change) -> str:
        """Why, shortened, in the reader's language."""
        text = change.dismissed_reason or change.reason_text or change.error_message
        return text if len(text) <= 110 else f"{text[:109]}…"

    @admin.display(description=gettext_lazy("age"))
    def age(self, change: Change) -> SafeString:
        """How long ago it was planned, exact on hover."""
        exact = timezone.localtime(change.created_at)
        return format_html(
            '<time datetime="{}" title="{}">{}</time>',
            exact.isoformat(),
            f"{exact:%Y-%m-%d %H:%M:%S %Z}",
            show.duration(timezone.now() - change.created_at),
        )
