"""Moves of records from company to company: the page that moves one, and the list of those that were.

The invariant: a move is made through `sync.routes` only, which checks it again, whatever the page said.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.errors import SyncError
from sync import routes
from sync.admin import show
from sync.admin.base import ReadOnlyAdmin
from sync.admin.filters import IntegrationFilter
from sync.models import EntityLink, RouteMove


def page(request: HttpRequest, site: admin.AdminSite, pk: int) -> HttpResponse:
    """The page of moving link `pk`, which is the person's; on POST the move. Asks the ledger whether a document
    stands in the way."""
    accounts = ("integration__organization", "integration__crm_account", "integration__ledger_account")
    link = EntityLink.objects.select_related(*accounts).get(pk=pk)
    companies = routes.destinations(link)
    back, error, refused = show.page_url(link), "", ""
    wanted = next((each for each in companies if str(each.pk) == request.POST.get("company", "")), None)
    try:
        if request.method == "POST" and wanted is not None and request.POST.get("reason", "").strip():
            routes.move_record(link, wanted, request.user, request.POST["reason"])
            text = _("It belongs to %(company)s now.") % {"company": wanted.ledger_account.name}
            messages.success(request, text)
            return HttpResponseRedirect(back)
        if request.method == "POST":
            error = _("Give the reason.") if wanted is not None else _("Choose one of the companies.")
        refused = routes.why_not_move(link) if companies else ""
    except SyncError as failure:
        refused = _("The ledger cannot be asked about the document now: %(error)s") % {"error": failure.message}
    except ValueError as failure:
        refused = str(failure)
    context = site.each_context(request) | {
        "title": _("Move %(record)s to another company") % {"record": link.title or link.crm_id},
        "opts": EntityLink._meta,
        "link": link,
        "link_url": back,
        "companies": companies,
        "chosen": wanted.pk if wanted is not None else 0,
        "refused": refused,
        "error": error,
    }
    return TemplateResponse(request, "admin/sync/entitylink/move.html", context, status=422 if error else 200)


@admin.register(RouteMove)
class RouteMoveAdmin(ReadOnlyAdmin):
    """The list of moves: for good, with who, when and why."""

    nothing_yet = gettext_lazy("No record was moved to another company. A record is moved from its link.")
    list_display = ("record", "integration", "moved_to", "by", "moved", "reason")
    list_filter = (IntegrationFilter,)
    search_fields = ("title", "crm_id__exact")
    related = ("integration", "moved_to", "by")
    sortable_by = ()
    actions = None
    fields = ("record", "crm_object", "crm_id", "integration", "moved_to", "by", "moved", "reason", "linked_before")
    readonly_fields = fields

    @admin.display(description=gettext_lazy("record"))
    def record(self, row: RouteMove) -> str:
        """What people call it."""
        return row.title or row.crm_id

    @admin.display(description=gettext_lazy("time"))
    def moved(self, row: RouteMove) -> SafeString:
        """When."""
        return show.when(row.at)

    @admin.display(description=gettext_lazy("link before"))
    def linked_before(self, row: RouteMove) -> str:
        """What was linked then."""
        kept: list[dict[str, Any]] = row.before.get("links", [])
        return ", ".join(f"{each.get('ledger_object')} {each.get('ledger_id')}" for each in kept)
