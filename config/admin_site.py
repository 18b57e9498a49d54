"""The admin site itself: name, home page, order of the rooms. What each page shows is in the rooms' own admin modules.

The invariant: what every page adds here costs at most one query.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

ROOMS = ("sync", "mappings", "integrations", "auth")
FIRST = ("Flow", "SyncRun", "Change", "EntityLink", "SyncLogEntry", "WorkerHeartbeat")
"""The order of the work; what is not named here follows by name."""
MAIN = (*FIRST, "MappingSet", "ValueMap", "Integration", "ConnectedAccount")
"""The pages of daily work, in the line on top of every page."""


class LedgerbridgeAdminSite(AdminSite):
    """Django's admin under our name."""

    site_header = "Ledgerbridge"
    site_title = "Ledgerbridge"
    site_url = None
    index_title = gettext_lazy("Overview")
    index_template = "admin/index.html"
    enable_nav_sidebar = False  # dense tables need the width; the main pages stand in one line on top

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Also the person's organization, when it is the only one."""
        context = super().each_context(request)
        own: list[Any] = []
        if request.user.is_authenticated and not request.user.is_superuser:
            own = list(request.user.organizations.all()[:2])
        context["organization"] = own[0] if len(own) == 1 else None
        context["navigation"] = self._navigation(request, context["available_apps"])
        return context

    def _navigation(self, request: HttpRequest, rooms: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not rooms:
            return []
        pages = {model["object_name"]: model for room in rooms for model in room["models"] if model["admin_url"]}
        home = reverse("admin:index")
        items = [{"name": _("Home"), "url": home, "current": request.path == home}]
        for name in MAIN:
            if name in pages:
                url = pages[name]["admin_url"]
                items.append({"name": pages[name]["name"], "url": url, "current": request.path.startswith(url)})
        return items

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The home page: what needs a person, how every integration is doing, then the list of pages."""
        from sync.admin.home import overview

        return super().index(request, overview(request) | (extra_context or {}))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The rooms in the order of the work; the page of heartbeats is called what it is."""
        rooms: list[dict[str, Any]] = super().get_app_list(request, app_label)
        for room in rooms:
            room["models"].sort(key=lambda model: _place(FIRST, model["object_name"]))
            for model in room["models"]:
                if model["object_name"] == "WorkerHeartbeat":
                    model["name"] = _("Queue")
        return sorted(rooms, key=lambda room: _place(ROOMS, room["app_label"]))


def _place(order: tuple[str, ...], name: str) -> int:
    return order.index(name) if name in order else len(order)
