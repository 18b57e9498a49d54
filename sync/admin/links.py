"""Links: which two records are the same, and what both sides last agreed on. Read-only.

The invariant: a link is made and broken by the engine only; here one sees it, and goes to both records.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.rights import require
from mappings import presets
from mappings.models.mapping_set import Side
from sync.admin import moves, show
from sync.admin.base import ReadOnlyAdmin, light_accounts
from sync.admin.filters import IntegrationFilter, choice_filter
from sync.engine.routing import MOVED
from sync.models import Change, EntityLink
from sync.routes import destinations

FrozenFilter = choice_filter(
    "frozen", gettext_lazy("frozen"), [("yes", gettext_lazy("Frozen")), ("no", gettext_lazy("Synced"))]
)


class LinkStateFilter(FrozenFilter):  # type: ignore[misc,valid-type]
    """Whether the link is frozen: looked at, but no longer written."""

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """An empty reason means that it is not."""
        if self.value() not in ("yes", "no"):
            return super().queryset(request, queryset)
        return queryset.exclude(frozen_reason="") if self.value() == "yes" else queryset.filter(frozen_reason="")


@admin.register(EntityLink)
class LinkAdmin(ReadOnlyAdmin):
    """See the module's docstring."""

    heading = gettext_lazy("Records")
    begins = True
    nothing_yet = gettext_lazy("No record yet. Records appear here once they are linked with their counterpart.")
    list_display = ("record", "crm_record", "ledger_record", "integration_name", "state", "synced", "linked_by")
    list_display_links = None
    list_filter = (IntegrationFilter, LinkStateFilter)
    search_fields = ("title", "crm_id__exact", "ledger_id__exact")
    search_help_text = gettext_lazy("Name, CRM id, ledger id")
    related = ("integration__organization",)
    sortable_by = ()
    actions = None
    fieldsets = (
        (None, {"fields": ("state", "crm_record", "ledger_record", "integration_name", "changes")}),
        (gettext_lazy("What both sides last agreed on"), {"fields": ("crm_values", "ledger_values")}),
        (gettext_lazy("History"), {"fields": ("linked", "linked_by", "synced")}),
    )
    change_form_template = "admin/sync/entitylink/change_form.html"
    readonly_fields = (
        "state", "crm_record", "ledger_record", "integration_name", "changes",
        "crm_values", "ledger_values", "linked", "synced",
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        """Moving comes before Django's own."""
        move = path("<int:pk>/move/", self.admin_site.admin_view(self.move_one), name="sync_entitylink_move")
        return [move, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the way to another company, where the record may be moved."""
        link = self.row(request, object_id)
        more = {"may_move": request.user.has_perm("sync.move_record", link) and self._movable(link)}
        return super().change_view(request, object_id, form_url, more | (extra_context or {}))

    @staticmethod
    def _movable(link: EntityLink) -> bool:
        return not link.frozen_reason.startswith(MOVED) and bool(destinations(link))

    def move_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Move the record to another company of the same CRM account, after telling what happens; needs a reason."""
        require(request.user, "sync.move_record", self.row(request, pk))
        return moves.page(request, self.admin_site, pk)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Lists do without the agreed values; a page needs them and the accounts' field names."""
        rows = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "sync_entitylink_change":
            secrets = [name for name in light_accounts("integration") if not name.endswith("schemas")]
            accounts = ("integration__organization", "integration__crm_account", "integration__ledger_account")
            return rows.select_related(*accounts).defer(*secrets)
        return rows.defer("agreed_crm", "agreed_ledger", "line_ids")

    @admin.display(description=gettext_lazy("name"))
    def record(self, link: EntityLink) -> SafeString:
        """What people call the record: the way to its values and history."""
        return show.link(reverse("admin:record", args=[link.pk]), link.title or link.ledger_id)

    @admin.display(description=gettext_lazy("CRM record"))
    def crm_record(self, link: EntityLink) -> SafeString:
        """The record at the CRM."""
        return show.outside(link.crm_url, f"{presets.shown_object(link.crm_object)} {link.crm_id}")

    @admin.display(description=gettext_lazy("ledger record"))
    def ledger_record(self, link: EntityLink) -> SafeString:
        """The record in the ledger."""
        return show.outside(link.ledger_url, f"{presets.shown_object(link.ledger_object)} {link.ledger_id}")

    @admin.display(description=gettext_lazy("integration"))
    def integration_name(self, link: EntityLink) -> SafeString:
        """The pair, and whose."""
        return show.whose(link.integration)

    @admin.display(description=gettext_lazy("state"))
    def state(self, link: EntityLink) -> SafeString:
        """Synced, or frozen with the reason."""
        if not link.frozen_reason:
            return show.status("ok", _("Synced"))
        if link.frozen_reason.startswith(MOVED):
            company = link.frozen_reason.removeprefix(MOVED).strip()
            return show.status("off", _("Moved to %(company)s") % {"company": company})
        return format_html("{} {}", show.status("held", _("Frozen")), link.frozen_reason)

    @admin.display(description=gettext_lazy("last synced"))
    def synced(self, link: EntityLink) -> SafeString:
        """When."""
        return show.when(link.synced_at, _("never"))

    @admin.display(description=gettext_lazy("linked"))
    def linked(self, link: EntityLink) -> SafeString:
        """When the two were bound."""
        return show.when(link.created_at)

    @admin.display(description=gettext_lazy("changes"))
    def changes(self, link: EntityLink) -> SafeString:
        """Every change of either record."""
        url = show.rows_url(Change, integration=link.integration_id)
        places = [
            (f"{url}&q={number}", name)
            for number, name in ((link.crm_id, Side.CRM.label), (link.ledger_id, Side.LEDGER.label))
        ]
        return format_html(
            '<a href="{}">{}</a> · <a href="{}">{}</a>',
            places[0][0], _("of %(place)s id") % {"place": places[0][1]},
            places[1][0], _("of %(place)s id") % {"place": places[1][1]},
        )  # fmt: skip

    @admin.display(description=gettext_lazy("CRM"))
    def crm_values(self, link: EntityLink) -> SafeString:
        """As the CRM returned them."""
        return show.values(link.agreed_crm, show.labels_of(link.integration.crm_account.schemas, link.crm_object))

    @admin.display(description=gettext_lazy("ledger"))
    def ledger_values(self, link: EntityLink) -> SafeString:
        """As the ledger returned them."""
        labels = show.labels_of(link.integration.ledger_account.schemas, link.ledger_object)
        return show.values(link.agreed_ledger, labels)
