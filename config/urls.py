"""Addresses: the admin is the product; `connect/` holds the OAuth round trips; health checks for supervisors."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView


def livez(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("livez", livez),
    path("i18n/", include("django.conf.urls.i18n")),
    path("connect/", include("integrations.urls")),
    path("admin/", admin.site.urls),
]
