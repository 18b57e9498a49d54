"""The log: what happened, when, by whom. Read-only, newest first, never counted beyond the cap.

The invariant: an entry is only ever added, by the engine; older pages are reached by the id of the last entry seen.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from sync.admin import log_words, show
from sync.admin.base import ReadOnlyAdmin
from sync.admin.change_page import event_name
from sync.admin.filters import ChangeFilter, IntegrationFilter, RunFilter
from sync.models import SyncLogEntry


@admin.register(SyncLogEntry)
class LogAdmin(ReadOnlyAdmin):
    """See the module's docstring."""

    nothing_yet = gettext_lazy("Nothing has happened yet. Each step of each change leaves a line here.")
    list_display = ("time", "what", "message_short", "change_link", "run_link", "person", "integration_name")
    list_filter = (IntegrationFilter, RunFilter, ChangeFilter)
    search_fields = ("event__exact", "change__source_id__exact", "change__source_title")
    search_help_text = gettext_lazy("Event, source id, name of the record, correlation id")
    related = ("change", "run__flow", "user", "integration")
    deferred = ("change__payload", "change__agreed", "change__diff", "change__candidates", "change__problems")
    sortable_by = ()
    actions = None
    fields = ("time", "what", "message", "person", "change_link", "run_link", "integration_name", "exchange_text")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        """Lists do without the exchanges."""
        rows = super().get_queryset(request)
        on_list = request.resolver_match and request.resolver_match.url_name == "sync_synclogentry_changelist"
        return rows.defer("exchange", *self.deferred) if on_list else rows

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """A correlation id finds its run's entries."""
        return show.by_uuid(queryset, "run__correlation_id", search_term) or super().get_search_results(
            request, queryset, search_term
        )

    @admin.display(description=gettext_lazy("time"))
    def time(self, entry: SyncLogEntry) -> SafeString:
        """When."""
        return show.when(entry.at)

    @admin.display(description=gettext_lazy("event"))
    def what(self, entry: SyncLogEntry) -> str:
        """What happened."""
        return event_name(entry.event)

    @admin.display(description=gettext_lazy("message"))
    def message_short(self, entry: SyncLogEntry) -> str:
        """In words, shortened."""
        text = log_words.said(entry.message)
        return text if len(text) <= 120 else f"{text[:119]}…"

    @admin.display(description=gettext_lazy("change"))
    def change_link(self, entry: SyncLogEntry) -> SafeString | str:
        """The change it is about."""
        return show.link(show.page_url(entry.change), entry.change) if entry.change else ""

    @admin.display(description=gettext_lazy("run"))
    def run_link(self, entry: SyncLogEntry) -> SafeString | str:
        """The run it is about."""
        return show.link(show.page_url(entry.run), entry.run) if entry.run else ""

    @admin.display(description=gettext_lazy("person"))
    def person(self, entry: SyncLogEntry) -> str:
        """By whom; empty for the engine."""
        return str(entry.user or "")

    @admin.display(description=gettext_lazy("integration"))
    def integration_name(self, entry: SyncLogEntry) -> str:
        """Whose."""
        return entry.integration.name

    @admin.display(description=gettext_lazy("exchange"))
    def exchange_text(self, entry: SyncLogEntry) -> SafeString | str:
        """What was sent and answered, without secrets."""
        text = show.as_json(entry.exchange)
        return format_html('<pre class="lb-pre">{}</pre>', text) if text else "–"
