"""The two doors of the cards: calls that the host signed, and calls of our page that carry its bearer.

The invariants: neither door knows cookies (the session's person is taken off the request, SEC-12), so neither needs
the CSRF check that guards cookies (SEC-14: `signed_by`, `bearer`); a refusal is empty, logged with its source and
counted; texts come in the language of the host's page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import translation
from django.views.decorators.csrf import csrf_exempt

from integrations import inbox
from integrations.cards import CardCaller, CardRefused, host
from sync.cards import tickets

MAX_BODY = 16 * 1024
HostView = Callable[[HttpRequest, CardCaller, Mapping[str, Any]], HttpResponse]
PageView = Callable[[HttpRequest, CardCaller, Mapping[str, Any]], HttpResponse]


class NotFound(Exception):
    """Nothing of this kind inside the caller's account. Foreign and unknown ids raise the same."""


def signed(view: HostView) -> Callable[..., HttpResponse]:
    """A view for the host's servers: POST, signed, given the caller and the body."""

    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest, system: str) -> HttpResponse:
        there = host(system)
        if there is None:
            return HttpResponse(status=404)
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "POST"})
        request.user = AnonymousUser()
        try:
            caller = there.authenticate(request)
        except CardRefused as refused:
            return refuse(request, "card call", refused.reason, refused.status)
        return _answered(view, request, caller, body_of(request) or {})

    guarded.signed_by = "host"  # type: ignore[attr-defined]
    return guarded


def bearer(method: str) -> Callable[[PageView], Callable[..., HttpResponse]]:
    """A view for our page in the browser: one method, with the page's bearer in the Authorization header."""

    def decorate(view: PageView) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @wraps(view)
        def guarded(request: HttpRequest) -> HttpResponse:
            if request.method != method:
                return HttpResponse(status=405, headers={"Allow": method})
            request.user = AnonymousUser()
            kind, _space, token = request.headers.get("Authorization", "").partition(" ")
            try:
                if kind != "Bearer":
                    raise tickets.NotValid("no_bearer")
                caller = tickets.caller_of(token)
            except tickets.NotValid as reason:
                return refuse(request, "card bearer", str(reason), 401)
            body = body_of(request) if method == "POST" else {}
            if body is None:
                return refuse(request, "card bearer", "malformed", 400)
            return _answered(view, request, caller, body)

        guarded.bearer = True  # type: ignore[attr-defined]
        return guarded

    return decorate


def _answered(view: HostView, request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    with translation.override(language(caller.locale)):
        try:
            response = view(request, caller, body)
        except NotFound:
            response = JsonResponse({"ok": False, "error": "not_found"}, status=404)
    return private(response)


def private(response: HttpResponse) -> HttpResponse:
    """What cards say is for one person, once."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def refuse(request: HttpRequest, kind: str, reason: str, status: int) -> HttpResponse:
    """An empty answer; why, and from where, is in the log and counted."""
    inbox.count_refused(kind, inbox.source_of(request), reason)
    return private(HttpResponse(status=status))


def body_of(request: HttpRequest) -> dict[str, Any] | None:
    """The JSON object of a body, {} for none; None when it is too large or no object."""
    if inbox.length_of(request) > MAX_BODY:
        return None
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def language(locale: str) -> str:
    """The product's language for a host's locale such as `sv-SE`; English for those it does not speak."""
    code = locale.replace("_", "-").split("-")[0].lower()
    return code if code in dict(settings.LANGUAGES) else "en"
