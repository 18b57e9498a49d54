"""The admin site itself: name, home page, order of the rooms. What each page shows is in the rooms' own admin modules.

The invariant: what every page adds here costs at most one query.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

ROOMS = ("sync", "mappings", "integrations", "auth")


class LedgerbridgeAdminSite(AdminSite):
    """Django's admin under our name."""

    site_header = "Ledgerbridge"
    site_title = "Ledgerbridge"
    site_url = None
    index_title = gettext_lazy("Overview")
    index_template = "admin/index.html"
    enable_nav_sidebar = True

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Also the person's organization, when it is the only one."""
        context = super().each_context(request)
        own: list[Any] = []
        if request.user.is_authenticated and not request.user.is_superuser:
            own = list(request.user.organizations.all()[:2])  # type: ignore[attr-defined]
        return context | {"organization": own[0] if len(own) == 1 else None}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The home page: what needs a person, how every integration is doing, then the list of pages."""
        from sync.admin.home import overview

        return super().index(request, overview(request) | (extra_context or {}))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The rooms in the order of the work; the page of heartbeats is called what it is."""
        rooms: list[dict[str, Any]] = super().get_app_list(request, app_label)
        for room in rooms:
            for model in room["models"]:
                if model["object_name"] == "WorkerHeartbeat":
                    model["name"] = _("Queue")
        return sorted(rooms, key=lambda room: ROOMS.index(room["app_label"]) if room["app_label"] in ROOMS else 99)
