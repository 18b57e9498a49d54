"""Admin pages of what obtaining tokens and sending leave behind: read-only, in words instead of codes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from integrations.account_page import grant_name
from integrations.admin import ReadOnlyAdmin
from integrations.models import ConnectedAccount, RateBudget, TokenGeneration


class GrantFilter(admin.SimpleListFilter):
    """The grants by their names."""

    title = _("grant")
    parameter_name = "grant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """All that there are."""
        return list(ConnectedAccount.Grant.choices)

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Only those of the chosen one."""
        return queryset.filter(grant=self.value()) if self.value() else queryset


@admin.register(TokenGeneration)
class TokenGenerationAdmin(ReadOnlyAdmin):
    """Every attempt to obtain tokens: when, how, and what came of it. Neither tokens nor their hashes."""

    organization_path = "account__organization"
    list_display = ["account", "number", "grant_shown", "started_at", "finished_at", "outcome"]
    list_filter = [GrantFilter, "account__system"]
    list_select_related = ["account"]
    search_fields = ["account__name", "account__remote_id", "outcome"]
    fields = ["account", "number", "grant_shown", "started_at", "finished_at", "outcome"]
    readonly_fields = ["grant_shown"]

    @admin.display(description=_("grant"), ordering="grant")
    def grant_shown(self, generation: TokenGeneration) -> str:
        """In words."""
        return grant_name(generation.grant)


@admin.register(RateBudget)
class RateBudgetAdmin(ReadOnlyAdmin):
    """The sending logs of the vendors' limits. They belong to no organization: for superusers."""

    list_display = ["key", "paused", "sends", "last_send"]
    search_fields = ["key"]
    fields = ["key", "paused", "sends", "last_send"]
    readonly_fields = ["key", "paused", "sends", "last_send"]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Keys name accounts of all organizations."""
        rows = RateBudget.objects.all()
        return rows if getattr(request.user, "is_superuser", False) else rows.none()

    @admin.display(description=_("paused until"), ordering="paused_until")
    def paused(self, budget: RateBudget) -> str:
        """The moment, while it is still to come."""
        return _moment(budget.paused_until) if budget.paused_until > timezone.now().timestamp() else "–"

    @admin.display(description=_("sends that are remembered"))
    def sends(self, budget: RateBudget) -> int:
        """How many the log holds."""
        return len(budget.hits)

    @admin.display(description=_("last send"))
    def last_send(self, budget: RateBudget) -> str:
        """When the newest was."""
        return _moment(max(budget.hits)) if budget.hits else "–"


def _moment(epoch: float) -> str:
    local = timezone.localtime(datetime.fromtimestamp(epoch, tz=UTC))
    return f"{date_format(local, 'DATE_FORMAT')} {local:%H:%M:%S}"
