"""The vendors' way back to us: one callback path per system, so that no vendor can answer for another."""

from __future__ import annotations

from django.urls import path

from integrations import consent_views

urlpatterns = [
    path("<slug:system>/callback", consent_views.callback, name="connect-callback"),
    path("<slug:system>/done", consent_views.done, name="connect-done"),
]
