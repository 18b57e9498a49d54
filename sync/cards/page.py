"""The page in the frame: an empty shell for whoever has the address, and the exchange of its ticket for a bearer.

The shell holds no data and does not use up the ticket: link scanners and previews may fetch it. A host that posts its
signed request into the frame gets the same shell with the ticket inside. The invariant: the page may be framed by its
host and nobody else, sets no cookie and sends no referrer (SEC-12, SEC-13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from integrations import inbox
from integrations.cards import CardRefused, host, posting_hosts
from integrations.models import System
from sync.cards import show, tickets
from sync.cards.access import body_of, language, private, refuse


def shell(request: HttpRequest, system: str) -> HttpResponse:
    """`GET <system>/page?t=ticket&l=language`."""
    there = host(system)
    if there is None:
        return HttpResponse(status=404)
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    return _shell("cards/page.html", {"host": system}, request.GET.get("l", ""), there.frame_ancestors)


@csrf_exempt
def posted(request: HttpRequest, system: str, account: UUID) -> HttpResponse:
    """`POST /canvas/<account>/`: the host's page opens ours itself. The shell with a ticket for who was signed; a page
    that says what is wrong otherwise. A GET is how a host says that the person must approve the app first."""
    there = posting_hosts()[system]
    if request.method not in ("GET", "POST"):
        return HttpResponse(status=405, headers={"Allow": "GET, POST"})
    request.user = AnonymousUser()
    ancestors = there.frame_ancestors(account)
    try:
        caller = there.arrive(request, account)
    except CardRefused as refused:
        inbox.count_refused("card page", inbox.source_of(request), refused.reason)
        said = {"host": system, "told": refused.told, "link": refused.link, "crm": System(system).label}
        locale = refused.locale or request.headers.get("Accept-Language", "")[:2]
        return _shell("cards/refused.html", said, locale, ancestors, refused.status)
    context = {"host": system, "ticket": tickets.issue(caller), "posted": True}
    return _shell("cards/page.html", context, caller.locale, ancestors)


posted.signed_by = "host"  # type: ignore[attr-defined]


def _shell(
    template: str, context: Mapping[str, Any], locale: str, ancestors: Sequence[str], status: int = 200
) -> HttpResponse:
    """A page that these origins may frame, and nobody when there are none."""
    code = language(locale)
    with translation.override(code):
        response = render(None, template, {"lang": code, **context}, status=status)
    if ancestors:
        response.xframe_options_exempt = True
    response._csp_replace = {  # type: ignore[attr-defined]
        "frame-ancestors": list(ancestors) or ["'none'"],
        "form-action": ["'none'"],
        "font-src": ["'none'"],
    }
    return private(response)


@csrf_exempt
def session(request: HttpRequest) -> HttpResponse:
    """`POST session {ticket, locale}`: uses up the ticket; the bearer and what the page shows first.

    410 with a sentence for a person when the ticket was used, is too old or never existed: the same for all three.
    """
    if request.method != "POST":
        return HttpResponse(status=405, headers={"Allow": "POST"})
    body = body_of(request)
    if body is None:
        return refuse(request, "card ticket", "malformed", 400)
    try:
        caller = tickets.consume(body.get("ticket"))
    except tickets.NotValid as reason:
        refuse(request, "card ticket", str(reason), 410)
        with translation.override(language(str(body.get("locale") or ""))):
            return private(JsonResponse({"ok": False, "error": "gone", **gone()}, status=410))
    with translation.override(language(caller.locale)):
        state = show.state(caller)
    bearer = tickets.bearer_for(caller)
    return private(JsonResponse({"ok": True, "bearer": bearer, "seconds": tickets.BEARER_SECONDS, "state": state}))


session.signed_by = "ticket"  # type: ignore[attr-defined]


def gone() -> dict[str, str]:
    """What a person reads whose ticket is no good any more."""
    return {
        "heading": _("This page has been closed"),
        "message": _("For your safety the link to it works once and for %(n)d seconds.")
        % {"n": tickets.TICKET_SECONDS},
        "remedy": _("Close this window and open it again from the card."),
    }
