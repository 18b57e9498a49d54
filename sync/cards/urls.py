"""Addresses of the cards. None of them needs a cookie, ends in a slash that could redirect, or names a vendor."""

from __future__ import annotations

from django.urls import path

import sync.cards.api as api
import sync.cards.page as page
import sync.cards.views as views

urlpatterns = [
    path("session", page.session, name="card-session"),
    path("api/state", api.state, name="card-state"),
    path("api/look", api.look, name="card-look"),
    path("api/refresh", api.refresh, name="card-refresh"),
    path("api/create", api.create, name="card-create"),
    path("api/repair", api.repair, name="card-repair"),
    path("api/credit_and_new", api.credit_and_new, name="card-credit"),
    path("<slug:system>/page", page.shell, name="card-page"),
    path("<slug:system>/summary", views.summary, name="card-summary"),
    path("<slug:system>/open", views.open_page, name="card-open"),
    path("<slug:system>/settings", views.settings, name="card-settings"),
    path("<slug:system>/toggle", views.toggle, name="card-toggle"),
]
