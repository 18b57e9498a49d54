"""The admin site itself: name, home page, navigation. What each page shows is in the rooms' own admin modules.

The invariant: what every page adds here costs at most one query.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config import live
from config.navigation import FIRST, navigation, place
from config.signin.gate import missing
from sync.roles import roles_of

ROOMS = ("sync", "mappings", "integrations", "auth")


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
        context["organization"] = SimpleLazyObject(lambda: _only_organization(request.user))
        context["navigation"] = navigation(request, context["available_apps"])
        context["alarms"] = _alarms(request)
        return context

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """A page that looks again by itself gets only what changed (see `config.live`)."""
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            response = inner(request, *args, **kwargs)
            if request.method != "GET":
                return response
            if live.asked(request):
                return live.answer(request, response)
            if isinstance(response, TemplateResponse):
                response.add_post_render_callback(live.sign)
            elif not getattr(response, "streaming", False):
                live.sign(response)
            return response

        return wrapped

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff, and whoever is a member of an organization; not before the second factor was shown."""
        user: Any = request.user
        return user.is_active and (user.is_staff or bool(roles_of(user))) and not missing(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Our form: members need not be staff."""
        from config.signin.forms import LoginForm

        self.login_form = LoginForm
        return super().login(request, extra_context)

    def get_urls(self) -> list[Any]:
        """Also the pages that are no list of one model."""
        from config.signin import views as signin
        from sync.admin import PAGES

        return [url for page in (signin, *PAGES) for url in page.urls(self)] + super().get_urls()

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The home page: what needs a person, how every integration is doing, then the list of pages."""
        from sync.admin.home import overview

        found = overview(request)
        own = {organization for organization, _rows in found.get("groups", [])}
        if own and len(roles_of(request.user)) == 1 and not request.user.is_superuser:
            found["organization"] = own.pop()  # the page has read it already
        return super().index(request, found | (extra_context or {}))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The rooms in the order of the work; the page of heartbeats is called what it is."""
        rooms: list[dict[str, Any]] = super().get_app_list(request, app_label)
        for room in rooms:
            room["models"].sort(key=lambda model: place(FIRST, model["object_name"]))
            for model in room["models"]:
                if model["object_name"] == "WorkerHeartbeat":
                    model["name"] = _("Queue")
                elif model["object_name"] == "EntityLink":
                    model["name"] = _("Records")
        return sorted(rooms, key=lambda room: place(ROOMS, room["app_label"]))


def _alarms(request: HttpRequest) -> list[Any]:
    """What the watchdog shows on every page: one query."""
    from sync import watchdog

    return list(watchdog.banner(request.user))


def _only_organization(user: Any) -> Any:
    """The name of the person's organization, when it is the only one; read along with the roles."""
    if not user.is_authenticated or user.is_superuser or len(roles_of(user)) != 1:
        return ""
    return user._ledgerbridge_only
