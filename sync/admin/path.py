"""The guided path from an empty page to the first live sync: where it stands, and the last step, going live.

What each stage asks is done on its own page; these pages say which is next and why. The invariant: a foreign id is 404,
nothing is written on GET, and going live asks once, with how many changes of which company.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from integrations.forms import OrganizationForm
from integrations.models import Integration, Organization
from integrations.views import may_connect
from sync import guided
from sync.admin import show, steps
from sync.admin.base import as_asked, asked_about, light
from sync.admin.plan_steps import PLAN_MOVED
from sync.models import Change, Flow, SyncLogEntry, SyncRun
from sync.states import State

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.urls import URLPattern

LISTED = 50
_get_or_post = require_http_methods(["GET", "POST"])


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)
    return [
        path("path/", site.admin_view(require_GET(pages.start)), name="path"),
        path("path/<int:pk>/", site.admin_view(require_GET(pages.one)), name="path_integration"),
        path(
            "path/<int:pk>/live/", site.admin_view(require_http_methods(["GET", "POST"])(pages.live)), name="path_live"
        ),
    ]


def integrations_for(user: Any) -> Any:
    """The person's integrations with what the path reads."""
    return (
        Integration.objects.for_user(user)
        .select_related("organization", "crm_account", "ledger_account", "readiness_report")
        .defer(*light("crm_account", "ledger_account"))
    )


class _Pages:
    """The views, which need the site for their surroundings."""

    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def start(self, request: HttpRequest) -> HttpResponse:
        """What was begun, and a new beginning."""
        user: Any = request.user
        if not user.has_perm("integrations.view_integration"):
            raise PermissionDenied
        begun = list(integrations_for(user).exclude(mode=Integration.Mode.LIVE).order_by("-pk")[:LISTED])
        fresh = [row for row in Organization.objects.for_user(user).order_by("name")[:LISTED] if may_connect(user, row)]
        context = {
            "title": _("Set up an integration"),
            "path": guided.begin(),
            "begun": begun,
            "first": not begun and not Integration.objects.for_user(user).exists(),
            "organizations": fresh,
            "form": OrganizationForm(),
            "may_add": user.has_perm("integrations.add_organization"),
            "may_connect": user.has_perm("integrations.add_integration"),
        }
        return self._page(request, "sync/path_start.html", context)

    def one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far one integration has come."""
        integration = self._integration(request, pk)
        found = guided.path_of(integration)
        context = {
            "title": _("Set up %(name)s") % {"name": integration},
            "path": found,
            "integration": integration,
            "may_check": request.user.has_perm("integrations.check_readiness", integration),
        }
        return self._page(request, "sync/path.html", context)

    def live(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The last step: approve what waits and deliver from now on; GET says what that means, POST does it."""
        user: Any = request.user
        integration = self._integration(request, pk)
        if not user.has_perm("integrations.change_integration", integration):
            raise PermissionDenied
        found = guided.path_of(integration)
        may_approve = user.has_perm("sync.approve_flow", integration)
        run = found.run if found.held and found.run and found.run.state == SyncRun.State.HELD else None
        if request.method == "POST":
            approved = run is not None and may_approve and request.POST.get("run") == str(run.pk)
            if not go_live(integration, run if approved else None, user, lambda rows: as_asked(request, rows)):
                messages.warning(request, str(PLAN_MOVED))
                return redirect("admin:path_live", integration.pk)
            text = _("%(name)s is live.") % {"name": integration}
            if approved:
                text += " " + _("The first plan is approved and is being delivered.")
            messages.success(request, text)
            return redirect("admin:path_integration", integration.pk)
        target = integration.account(run.flow.target_side) if run else None
        context = {
            "title": _("Approve and go live") if run and may_approve else _("Go live"),
            "path": found,
            "integration": integration,
            "run": run,
            "may_approve": may_approve,
            "held": show.number(found.held),
            "asked": asked_about(_held(run)) if run else (),
            "company": f"{target.get_system_display()}: {target.name or target.remote_id}" if target else "",
        }
        return self._page(request, "sync/path_live.html", context)

    def _integration(self, request: HttpRequest, pk: int) -> Integration:
        integration: Integration = get_object_or_404(integrations_for(request.user), pk=pk)
        if not request.user.has_perm("integrations.view_integration", integration):
            raise PermissionDenied
        return integration

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        return TemplateResponse(request, template, {**self.site.each_context(request), **context})


def _held(run: SyncRun) -> QuerySet[Change]:
    return Change.objects.filter(run=run, state=State.HELD)


def go_live(
    integration: Integration, run: SyncRun | None, user: Any, meant: Callable[[QuerySet[Change]], bool] | None = None
) -> bool:
    """Switch the integration to live, and approve what `run` holds; both or neither, with a line in the log. False
    when `meant` says that what it holds is not what was asked about."""
    with transaction.atomic():
        fresh = Integration.objects.select_for_update(of=("self",)).get(pk=integration.pk)
        if run is not None and meant is not None:
            SyncRun.objects.select_for_update(of=("self",)).get(pk=run.pk)  # nothing joins it in between
            if not meant(_held(run)):
                return False
        if fresh.mode != Integration.Mode.LIVE:
            before = fresh.get_mode_display()
            fresh.mode = Integration.Mode.LIVE
            fresh.save(update_fields=["mode"])
            SyncLogEntry.objects.create(
                integration=fresh, user=user, event="live", message=f"{before} → live, by {user}"
            )
        if run is not None:
            run.flow = Flow.objects.select_related("integration").get(pk=run.flow_id)
            steps.approve_plan(run, user)
    return True


def path_url(integration: Integration) -> str:
    """The page of an integration's path."""
    return reverse("admin:path_integration", args=[integration.pk])
