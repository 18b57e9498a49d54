"""The pages that say no: not found, not allowed, the form that expired. Each says why and where to go on.

The invariants: a page says nothing about a row that the person may not see, and outside the admin (webhooks, cards,
health checks) the answer stays Django's short one, which asks the database nothing.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views import csrf, defaults

OURS = ("/admin/", "/connect/")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    if not _dressed(request):
        return defaults.page_not_found(request, exception)
    cause = _("There is nothing at this address, or it belongs to an organization that you are not a member of.")
    remedy = _("Search for it by number, name or e-mail in the field above, or begin at the home page.")
    return _page(request, 404, _("Page not found"), cause, remedy)


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    if not _dressed(request):
        return defaults.permission_denied(request, exception)
    cause = _("Your role in this organization does not include this page or button. Nothing was changed.")
    remedy = _("Ask an owner of the organization to do it, or for another role: Set-up, Organizations, People.")
    return _page(request, 403, _("Not allowed"), cause, remedy)


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form without the token of this session: most often somebody signed out or in in another tab."""
    if not _dressed(request):
        return csrf.csrf_failure(request, reason)
    cause = _("The form was opened before you signed in or out, or cookies are blocked. Nothing was changed.")
    remedy = _("Go back, reload the page and press the button again.")
    return _page(request, 403, _("The form has expired"), cause, remedy)


def _dressed(request: HttpRequest) -> bool:
    return request.path.startswith(OURS)


def _page(request: HttpRequest, status: int, title: str, cause: str, remedy: str) -> HttpResponse:
    site = admin.site
    # Refused before the sessions were read, as by a middleware of security, there is no person yet.
    known: dict[str, Any] = site.each_context(request) if hasattr(request, "user") else {}
    context = known | {"title": title, "cause": cause, "remedy": remedy, "subtitle": None}
    return render(request, "errors/page.html", context, status=status)
