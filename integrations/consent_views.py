"""To a vendor's consent page and back: the departure, the callback, and the pages on which it ends.

The invariants: the callback rests on its state (`authorization`), because no form of ours precedes it; what a vendor
sends is never shown; and no page is ever given a token.
"""

from __future__ import annotations

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET

from integrations import authorization
from integrations.cards import APPROVED
from integrations.errors import SyncError
from integrations.models import AuthorizationAttempt, ConnectedAccount, System
from integrations.shell import page


def depart(
    request: HttpRequest,
    account: ConnectedAccount,
    next_url: str,
    *,
    purpose: str = AuthorizationAttempt.Purpose.CONNECT,
) -> HttpResponse:
    """To the vendor's consent page; comes back to `next_url`, or to a page that may be closed."""
    if request.session.session_key is None:
        request.session.create()
    if request.POST.get("window"):
        next_url = reverse("connect-done", args=[account.system])
    try:
        key = request.session.session_key or ""
        url = authorization.start(account, request.user, key, next_url, purpose=purpose)
    except SyncError as error:
        remedy = _("An administrator must complete the settings of this installation.")
        return refused(request, authorization.Refused(error.message, remedy, account, next_url))
    return HttpResponseRedirect(url)


@require_GET
@never_cache
@sensitive_variables("arrival")
def callback(request: HttpRequest, system: str) -> HttpResponse:
    """Where the vendor sends the person back to."""
    if system not in System.values:
        raise Http404
    if request.GET.get("state") == APPROVED:
        return _approved_for_card(request, system)
    if not (request.user.is_authenticated and admin.site.has_permission(request)):
        cause = _("You are not signed in to Ledgerbridge in this browser.")
        return refused(request, authorization.Refused(cause, _("Sign in, then start again.")), 403)
    parameters = {name: tuple(values) for name, values in request.GET.lists()}
    key = request.session.session_key or ""
    arrival = authorization.Arrival(system, request.user, key, parameters)
    try:
        finished = authorization.finish(arrival)
    except authorization.Refused as refusal:
        return refused(request, refusal)
    if finished.purpose == AuthorizationAttempt.Purpose.DEPLOY:
        return HttpResponseRedirect(finished.next_url)
    return welcome(request, finished.account, finished.next_url)


def _approved_for_card(request: HttpRequest, system: str) -> HttpResponse:
    """The end of a consent that a card asked for, whoever comes here: nothing is exchanged, and nothing shown."""
    told = "approved" if request.GET.get("code") else "not_approved"
    context = {"told": told, "crm": System(system).label, "lang": get_language() or "en", "host": system}
    return render(request, "cards/refused.html", context)


def welcome(request: HttpRequest, account: ConnectedAccount, next_url: str) -> HttpResponse:
    """Say that the account is connected, and go on; a `next_url` that ends with "=" gets the account's id."""
    messages.success(request, _("%(account)s is connected.") % {"account": account})
    if account.missing_scopes:
        missing = ", ".join(account.missing_scopes)
        messages.warning(request, _("Some rights were not granted: %(scopes)s") % {"scopes": missing})
    return HttpResponseRedirect(f"{next_url}{account.pk}" if next_url.endswith("=") else next_url)


@require_GET
def done(request: HttpRequest, system: str) -> HttpResponse:
    """What a window of its own ends with: it may be closed."""
    if system not in System.values or not admin.site.has_permission(request):
        raise Http404
    return page(request, "integrations/done.html", {"title": _("Connected"), "system": System(system).label})


def refused(request: HttpRequest, refusal: authorization.Refused, status: int = 400) -> HttpResponse:
    """What happened, what to do, and the button that starts again."""
    account = refusal.account
    back = refusal.next_url
    if account is not None and (not back or back.endswith("=")):
        back = reverse("admin:integrations_connect_organization", args=[account.organization_id])
    again = "" if refusal.purpose == AuthorizationAttempt.Purpose.DEPLOY else _again(account)
    context = {"title": _("Not connected"), "refused": refusal, "account": account, "back": back, "again": again}
    return page(request, "integrations/refused.html", context, status=status)


def _again(account: ConnectedAccount | None) -> str:
    """Where the button posts that begins anew."""
    if account is None:
        return ""
    if account.status == ConnectedAccount.Status.NEW:
        return reverse("admin:integrations_connect_begin", args=[account.organization_id, account.system])
    return reverse("admin:integrations_account_reauthenticate", args=[account.pk])
