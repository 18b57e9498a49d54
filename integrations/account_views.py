"""An account's buttons: connect again, test, disconnect.

The invariant of `views` holds here: rows are read through `account_for`, and what changes something is a POST.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from integrations import readiness, tokens
from integrations.consent_views import depart
from integrations.shell import page
from integrations.views import RECONNECT, account_for


@require_POST
def reauthenticate(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Off to the vendor again, for the same row: after a lost connection, or when more scopes are needed."""
    account = account_for(request, pk)
    back = reverse("admin:integrations_connectedaccount_change", args=[account.pk])
    return RECONNECT.get(account.system, depart)(request, account, back)


@require_POST
def test_connection(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask the remote account now and say what it answered."""
    account = account_for(request, pk)
    lines = readiness.check_account(account)
    for line in lines:
        if line.level != "ok":
            level = messages.ERROR if line.level == "error" else messages.WARNING
            messages.add_message(request, level, " ".join(filter(None, (line.title, line.detail, line.fix))))
    if readiness.is_ready(lines):
        messages.success(request, _("%(account)s answers.") % {"account": account})
    return redirect("admin:integrations_connectedaccount_change", account.pk)


@require_http_methods(["GET", "POST"])
def disconnect(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET asks, POST does: revoke at the vendor and forget the tokens."""
    account = account_for(request, pk)
    if request.method == "GET":
        pairs = [*account.crm_integrations.all(), *account.ledger_integrations.all()]
        title = _("Disconnect %(account)s?") % {"account": account}
        context = {"title": title, "account": account, "integrations": pairs}
        return page(request, "integrations/disconnect.html", context)
    if tokens.disconnect(account, request.user):
        messages.success(request, _("%(account)s is disconnected.") % {"account": account})
    else:
        text = _("%(account)s is disconnected here, but the vendor did not confirm. Remove the app there as well.")
        messages.warning(request, text % {"account": account})
    return redirect("admin:integrations_connectedaccount_change", account.pk)
