"""Accepting an invitation: whoever was invited chooses a password, once, in time, and only while still wanted."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordResetConfirmView
from django.urls import reverse_lazy


class InvitationView(PasswordResetConfirmView):
    """Django's page for a password by link, closed to whoever was removed or switched off since the link was made."""

    template_name = "signin/invitation.html"
    success_url = reverse_lazy("admin:login")

    def get_user(self, uidb64: str) -> Any:
        """Nobody (the link no longer works) for who may not sign in, belongs nowhere, or has a password already."""
        user: User | None = super().get_user(uidb64)
        if user is None or not user.is_active or user.has_usable_password() or not user.memberships.exists():
            return None
        return user
