"""The page of one org's incoming messages: where they go, which secret proves them, and how it is renewed.

The invariants: only whoever may connect the account sees it; what changes something is a POST and is kept in the
account's history; before an old secret is ended the page says whether the org still sends with it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from integrations import inbound_secret, shell, views
from integrations.history_pages import part_of
from integrations.inbound_models import FormerSecret
from integrations.models import ConnectedAccount
from integrations.salesforce.callout import HEADER
from integrations.salesforce.events import callout_url, inbound_url

PAGE = "admin:integrations_salesforce_secret"
SHOWN = 10
CHOICES = {1: gettext_lazy("1 hour"), 24: gettext_lazy("24 hours"), 168: gettext_lazy("7 days")}
part_of("integrations.connectedaccount", FormerSecret, "account_id")


@require_GET
@never_cache
def secret(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Address and secret in use, those before them, and when each was last used."""
    account = _account(request, pk)
    former = list(account.former_secrets.select_related("replaced_by")[:SHOWN])
    used = [(row.used_at, row) for row in former if row.used_at is not None]
    last, latest = max(used, key=lambda pair: pair[0], default=(None, None))
    behind = latest if last and (account.inbound_used_at is None or last > account.inbound_used_at) else None
    context: dict[str, Any] = {
        "title": _("Messages from %(account)s") % {"account": account.name or account.remote_id},
        "account": account,
        "message_address": inbound_url(account),
        "callout_address": callout_url(account),
        "header": HEADER,
        "secret": inbound_secret.secret_of(account),
        "former": former,
        "behind": behind,
        "choices": CHOICES,
    }
    return shell.page(request, "integrations/salesforce_secret.html", context)


@require_POST
def renew_secret(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A new secret; the old one is accepted for the chosen time."""
    account = _account(request, pk)
    hours = request.POST.get("hours", "")
    if hours not in {str(known) for known in inbound_secret.OVERLAPS}:
        raise Http404
    try:
        former = inbound_secret.renew(account, request.user, int(hours))
    except inbound_secret.TooMany:
        messages.error(request, _("Too many former secrets are still accepted. End one of them first, then renew."))
    else:
        text = _(
            "There is a new address and a new secret. The old ones are accepted until %(time)s: deploy again, or enter "
            "the new ones in Salesforce, before then."
        )
        until = date_format(localtime(former.valid_until), "SHORT_DATETIME_FORMAT")
        messages.success(request, text % {"time": until})
    return redirect(PAGE, account.pk)


@require_POST
def end_secret(request: HttpRequest, pk: UUID) -> HttpResponse:
    """An old secret is accepted no longer."""
    account = _account(request, pk)
    try:
        key = UUID(request.POST.get("former", ""))
    except ValueError:
        raise Http404 from None
    if inbound_secret.end(get_object_or_404(account.former_secrets, pk=key)):
        messages.success(request, _("The old address and secret are not accepted any more."))
    else:
        messages.info(request, _("The old address and secret had ended already."))
    return redirect(PAGE, account.pk)


def _account(request: HttpRequest, pk: UUID) -> ConnectedAccount:
    return views.account_for(request, pk, system="salesforce")
