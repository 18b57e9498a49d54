"""Admin pages of the inbox: its events, seen by the organization whose account they are about; refused calls and the
listener's pulse, which belong to no organization and name none."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from integrations.admin import ReadOnlyAdmin
from integrations.event_words import event_word
from integrations.inbox_models import ListenerPulse, RefusedCall
from integrations.models import InboundEvent


class SharedAdmin(ReadOnlyAdmin):
    """Rows of the whole installation, for whoever has the permission to view them."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They belong to no organization: whoever has the right anywhere."""
        return super().has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """All of them: the model's own view permission decides."""
        rows: models.QuerySet[Any] = self.model._default_manager.all()
        return rows


@admin.register(RefusedCall)
class RefusedCallAdmin(SharedAdmin):
    """Calls that were refused, per day, source and reason."""

    nothing_yet = _("No call was refused. Calls that carry no valid signature are counted here.")
    list_display = ["last_at", "kind", "reason", "source", "count", "day"]
    list_filter = ["kind", "reason", "day"]
    search_fields = ["=source"]
    fields = ["kind", "reason", "source", "count", "day", "last_at"]


@admin.register(ListenerPulse)
class ListenerPulseAdmin(SharedAdmin):
    """Whether the listener lives and hears. Which companies it hears is not shown: they are of all organizations."""

    nothing_yet = _("No listener has started yet. Without one, the schedules find what changed.")
    list_display = ["system", "connected", "at", "connected_at", "events", "detail"]
    fields = ["system", "connected", "at", "connected_at", "events", "detail", "host", "pid"]


@admin.register(InboundEvent)
class InboundEventAdmin(ReadOnlyAdmin):
    """The inbox."""

    nothing_yet = _("No event yet. What the connected systems tell us about arrives here.")
    organization_path = "account__organization"
    list_display = ["what", "object", "record_id", "account", "received_at", "processed_at"]
    list_filter = [("processed_at", admin.EmptyFieldListFilter), "object", "account__system"]
    list_select_related = ["account"]
    search_fields = ["=record_id", "=dedupe_key"]
    fields = ["account", "dedupe_key", "object", "record_id", "what", "occurred_at", "received_at", "processed_at"]
    readonly_fields = ["what"]

    @admin.display(description=_("event"), ordering="kind")
    def what(self, event: InboundEvent) -> str:
        """What happened, in a word."""
        return event_word(event.kind)
