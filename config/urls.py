"""Addresses: the admin is the product; `connect/` holds the OAuth round trips; health checks for supervisors."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from config import health
from config.signin.invitation import InvitationView
from integrations.hubspot import webhooks
from integrations.salesforce import callout, outbound
from sync.cards import page as card_page

handler403 = "config.error_pages.not_allowed"
handler404 = "config.error_pages.not_found"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("healthz/worker/<slug:queue>", health.worker),
    path("i18n/", include("django.conf.urls.i18n")),
    path("connect/", include("integrations.urls")),
    path("webhooks/hubspot", webhooks.receive, name="hubspot-webhook"),
    path("webhooks/salesforce/<uuid:account>/callout", callout.receive, name="salesforce-callout"),
    path("webhooks/salesforce/<uuid:account>/<str:secret>", outbound.receive, name="salesforce-message"),
    path("cards/", include("sync.cards.urls")),
    path("canvas/<uuid:account>/", card_page.posted, {"system": "salesforce"}, name="salesforce-canvas"),
    path(
        "admin/invitation/<uidb64>/<token>/",
        InvitationView.as_view(),
        name="password_reset_confirm",
    ),
    path("admin/", admin.site.urls),
]
