"""Admin pages of the room: organizations, accounts, integrations, and read-only logs.

The invariants: every queryset starts from `for_user`, so that a foreign object is a 404 and never a choice; token
columns and log rows are on no form; a list costs the same number of queries for ten rows as for ten thousand.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from django.contrib import admin
from django.db import models
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from integrations import account_page, account_views, people_pages, views
from integrations.forms import IntegrationForm
from integrations.history_pages import HistoryPage, part_of
from integrations.models import ConnectedAccount, Integration, Membership, Organization
from integrations.rights import RowRights
from integrations.salesforce import setup_page

if TYPE_CHECKING:
    Scoped = admin.ModelAdmin[Any]
else:
    Scoped = admin.ModelAdmin

part_of("integrations.organization", Membership, "organization_id")

STATUS_CLASS: dict[str, str] = {
    ConnectedAccount.Status.NEW: "off",
    ConnectedAccount.Status.CONNECTED: "ok",
    ConnectedAccount.Status.NEEDS_RECONNECT: "failed",
    ConnectedAccount.Status.DISCONNECTED: "off",
    Integration.Mode.OFF: "off",
    Integration.Mode.OBSERVE: "held",
    Integration.Mode.LIVE: "ok",
}


def dot(value: str, word: object) -> SafeString:
    """A status as a coloured dot and a word; colour is never the only carrier."""
    return format_html('<span class="lb-status lb-status--{}">{}</span>', STATUS_CLASS.get(value, "off"), word)


class ScopedAdmin(RowRights, Scoped):
    """Rows of the person's organizations only. `organization_path` leads to the organization."""

    show_facets = admin.ShowFacets.NEVER
    organization_path = "organization"
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """What this person may see."""
        rows = super().get_queryset(request)
        if getattr(request.user, "is_superuser", False):
            return rows
        prefix = f"{self.organization_path}__" if self.organization_path else ""
        own: models.QuerySet[Any] = rows.filter(**{f"{prefix}memberships__user_id": request.user.pk})
        return own

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Choices from the person's organizations only."""
        related = db_field.remote_field.model
        if "queryset" not in kwargs and related in {Organization, ConnectedAccount, Integration}:
            kwargs["queryset"] = related._default_manager.for_user(request.user)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        """A foreign id and an unknown one look the same: 404."""
        raise Http404


class ReadOnlyAdmin(ScopedAdmin):
    """A log: looked at, never edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Written by the program only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Written by the program only."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Removed by `purge` only."""
        return False


@admin.register(Organization)
class OrganizationAdmin(HistoryPage, ScopedAdmin):
    """The customers; their people have a page of their own (`people_pages`)."""

    change_form_template = "integrations/organization.html"

    organization_path = ""
    begins = True
    nothing_yet = _("No organization yet. It is made in the first step of the guided path.")
    list_display = ["name", "organisation_number", "account_count", "integration_count"]
    search_fields = ["name", "organisation_number"]
    ordering = ["name"]  # an annotated list loses the order of its model

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """With the counts of the list."""
        rows = super().get_queryset(request)
        counts = {f"{name}_found": Count(name, distinct=True) for name in ("accounts", "integrations")}
        counted: models.QuerySet[Any] = rows.annotate(**counts)
        return counted

    def get_urls(self) -> list[URLPattern]:
        """The page of people before Django's own."""
        return people_pages.urls(self.admin_site.admin_view) + super().get_urls()

    @admin.display(description=_("accounts"), ordering="accounts_found")
    def account_count(self, organization: Any) -> SafeString:
        """A link to exactly those rows."""
        url = reverse("admin:integrations_connectedaccount_changelist")
        return format_html(
            '<a href="{}?organization__id__exact={}">{}</a>', url, organization.pk, organization.accounts_found
        )

    @admin.display(description=_("integrations"), ordering="integrations_found")
    def integration_count(self, organization: Any) -> SafeString:
        """A link to exactly those rows."""
        url = reverse("admin:integrations_integration_changelist")
        return format_html(
            '<a href="{}?organization__id__exact={}">{}</a>', url, organization.pk, organization.integrations_found
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A new organization has nobody yet: the right to add one is asked without it, by Django."""
        if change:
            super().save_model(request, obj, form, change)
        else:
            obj.save()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Who creates an organization is its owner: otherwise it would vanish from their own list."""
        super().save_related(request, form, formsets, change)
        if not change:
            Membership.objects.get_or_create(
                organization=form.instance, user_id=request.user.pk or 0, defaults={"role": Membership.Role.OWNER}
            )


@admin.register(ConnectedAccount)
class ConnectedAccountAdmin(HistoryPage, ScopedAdmin):
    """Accounts: made by the guided connection, looked at here; their tokens are on no page."""

    change_form_template = "integrations/account.html"
    begins = True
    nothing_yet = _("No account yet. Accounts are connected on the guided path of an organization.")
    list_display = ["name_or_id", "organization", "system", "state", "refreshed_at", "refresh_expires_at"]
    list_display_links = ["name_or_id"]
    list_filter = ["status", "system", ("organization", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["organization"]
    search_fields = ["name", "remote_id", "organization__name"]
    fields = ()
    actions = None

    @admin.display(description=_("account"), ordering="name")
    def name_or_id(self, account: ConnectedAccount) -> str:
        """The human name first."""
        return account.name or account.remote_id or str(_("not connected yet"))

    @admin.display(description=_("status"), ordering="status")
    def state(self, account: ConnectedAccount) -> SafeString:
        """Dot and word."""
        return dot(account.status, account.get_status_display())

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only the guided connection makes accounts."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only what never was connected may go; the rest is part of the history."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and obj is not None and obj.status == ConnectedAccount.Status.NEW

    def get_urls(self) -> list[URLPattern]:
        """The buttons of an account's page."""
        wrap = self.admin_site.admin_view
        own = [
            path("<uuid:pk>/test/", wrap(account_views.test_connection), name="integrations_account_test"),
            path(
                "<uuid:pk>/reauthenticate/",
                wrap(account_views.reauthenticate),
                name="integrations_account_reauthenticate",
            ),
            path("<uuid:pk>/disconnect/", wrap(account_views.disconnect), name="integrations_account_disconnect"),
        ]
        return own + setup_page.urls(wrap) + super().get_urls()

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """The facts of the account's page, in words."""
        account: ConnectedAccount | None = kwargs.get("obj")
        if account is not None:
            context.update(
                account=account,
                status_class=STATUS_CLASS[account.status],
                scopes=[(scope, scope in account.granted_scopes) for scope in account.needed_scopes],
                extra_scopes=[s for s in account.granted_scopes if s not in account.needed_scopes],
                refresh_days=_days_until(account.refresh_expires_at),
                usage=account_page.usage(account),
                particulars=account_page.particulars(account),
                now=timezone.now(),
                may_connect=views.may_connect(request.user, account.organization),
                integrations=Integration.objects.for_user(request.user).filter(
                    Q(crm_account=account) | Q(ledger_account=account)
                ),
                generations=account_page.generations(account),
                show_save=False,
                show_save_and_continue=False,
                show_save_and_add_another=False,
            )
        return super().render_change_form(request, context, *args, **kwargs)


def _days_until(moment: datetime | None) -> int | None:
    return None if moment is None else max(0, (moment - timezone.now()).days)


@admin.register(Integration)
class IntegrationAdmin(HistoryPage, ScopedAdmin):
    """Pairs of a CRM account and a Fortnox company."""

    form = IntegrationForm
    change_form_template = "integrations/integration.html"
    change_list_template = "integrations/integrations.html"
    begins = True
    nothing_yet = _("No integration yet. Connect a CRM and Fortnox to begin.")
    list_display = ["name", "organization", "crm_account", "ledger_account", "mode_shown"]
    list_filter = ["mode", ("organization", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["organization", "crm_account", "ledger_account"]
    search_fields = ["name", "organization__name", "crm_account__name", "ledger_account__name"]
    fields = [
        "name",
        "organization",
        "crm_account",
        "ledger_account",
        "mode",
        "time_zone",
        ("brake_records", "brake_percent"),
    ]
    readonly_fields = ["organization", "crm_account", "ledger_account"]

    @admin.display(description=_("mode"), ordering="mode")
    def mode_shown(self, integration: Integration) -> SafeString:
        """Dot and word."""
        return dot(integration.mode, integration.get_mode_display())

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The guided connection pairs accounts, and only those of one organization."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """The guided connection and the pages of one integration."""
        wrap = self.admin_site.admin_view
        own = [
            path("connect/", wrap(views.choose_organization), name="integrations_connect"),
            path("connect/<int:pk>/", wrap(views.guided), name="integrations_connect_organization"),
            path("connect/<int:pk>/create/", wrap(views.create), name="integrations_connect_create"),
            path("connect/<int:pk>/<slug:system>/", wrap(views.begin), name="integrations_connect_begin"),
            path("<int:pk>/next/", wrap(views.what_next), name="integrations_integration_next"),
            path("<int:pk>/readiness/", wrap(views.readiness_board), name="integrations_integration_readiness"),
        ]
        return own + super().get_urls()


from integrations import custom_admin, inbox_admin, token_admin  # noqa: E402, F401  (Django looks for pages in this module only)
