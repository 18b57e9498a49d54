"""The second factor's gate: no page before it was shown, for those who have one or must have one.

The invariant: the gate costs no query for a session that has passed it or needs none; what it asks of a session is
written into the session when the person signs in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django_otp import user_has_device

PENDING = "second_factor_pending"
"""In the session of a person who has a second factor: it is asked for."""

OPEN = ("/static/", "/i18n/", "/livez", "/cards/", "/webhooks/", "/canvas/")
"""Addresses that ask no session who it is."""

PAGES = ("login", "logout", "two_factor", "two_factor_set_up", "jsi18n")


@receiver(user_logged_in)
def remember(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Notes, at sign-in, whether this person has a second factor."""
    if request is not None and hasattr(request, "session") and user_has_device(user):
        request.session[PENDING] = True


def missing(request: HttpRequest) -> str:
    """What this session still lacks: "token", "device" (none is enrolled), or nothing."""
    user: Any = request.user
    if not user.is_authenticated or getattr(user, "otp_device", None) is not None:
        return ""
    if request.session.get(PENDING):
        return "token"
    if settings.REQUIRE_TWO_FACTOR:
        return "token" if user_has_device(user) else "device"
    return ""


class TwoFactorMiddleware:
    """Sends whoever lacks the second factor to where it is shown or enrolled, from every page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and not request.path.startswith(OPEN):
            lacks = missing(request)
            if lacks and request.path not in {reverse(f"admin:{name}") for name in PAGES}:
                name = "two_factor" if lacks == "token" else "two_factor_set_up"
                back = {"next": request.get_full_path()} if request.method == "GET" else {}
                return HttpResponseRedirect(f"{reverse(f'admin:{name}')}{'?' if back else ''}{urlencode(back)}")
        return self.get_response(request)
