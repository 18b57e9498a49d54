"""Pages of connecting: the guided flow, the vendors' callbacks, an account's buttons, the readiness board.

Each is a function that reads its rows through `for_user`, so that a foreign id is a 404. The invariants: whatever
changes something is a POST with CSRF protection, except the callback, which rests on its state
(`authorization`); and no page is ever given a token.
"""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from integrations import authorization, connect, readiness, tokens
from integrations.errors import SyncError
from integrations.forms import IntegrationNameForm, OrganizationForm
from integrations.models import ConnectedAccount, Integration, Membership, Organization, System

CONNECTORS = {Membership.Role.CONSULTANT, Membership.Role.OWNER}


def page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A page of the admin site."""
    return render(request, template, {**admin.site.each_context(request), **context}, status=status)


def may_connect(user: Any, organization: Organization) -> bool:
    """Whether the person may connect and disconnect accounts of the organization."""
    if user.is_superuser:
        return True
    return (
        user.has_perm("integrations.change_connectedaccount")
        and organization.memberships.filter(user_id=user.pk, role__in=CONNECTORS).exists()
    )


def _organization(request: HttpRequest, pk: int) -> Organization:
    organization = get_object_or_404(Organization.objects.for_user(request.user), pk=pk)
    if not may_connect(request.user, organization):
        raise PermissionDenied
    return organization


def _account(request: HttpRequest, pk: UUID) -> ConnectedAccount:
    accounts = ConnectedAccount.objects.for_user(request.user).select_related("organization")
    account = get_object_or_404(accounts, pk=pk)
    if not may_connect(request.user, account.organization):
        raise PermissionDenied
    return account


def _integration(request: HttpRequest, pk: int) -> Integration:
    pairs = Integration.objects.for_user(request.user)
    pairs = pairs.select_related("organization", "crm_account", "ledger_account")
    if not request.user.has_perm("integrations.view_integration"):
        raise PermissionDenied
    return get_object_or_404(pairs, pk=pk)


# --- The guided flow --------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def choose_organization(request: HttpRequest) -> HttpResponse:
    """Step 1: an organization, chosen or created; the creator becomes its owner."""
    user = cast(User, request.user)
    form = OrganizationForm(request.POST or None)
    may_add = user.has_perm("integrations.add_organization")
    if request.method == "POST":
        if not may_add:
            raise PermissionDenied
        if form.is_valid():
            with transaction.atomic():
                organization = form.save()
                Membership.objects.create(organization=organization, user=user, role=Membership.Role.OWNER)
            return redirect("admin:integrations_connect_organization", organization.pk)
    organizations = Organization.objects.for_user(user).order_by("name")
    context = {
        "title": _("Connect a CRM and Fortnox"),
        "organizations": organizations,
        "form": form,
        "may_add": may_add,
    }
    return page(request, "integrations/connect_start.html", context)


@require_GET
def guided(request: HttpRequest, pk: int) -> HttpResponse:
    """Steps 2 to 4 of one organization, with what is done and what is next."""
    organization = _organization(request, pk)
    state = _progress(request, organization)
    form = IntegrationNameForm(initial={"name": state.suggested_name})
    return page(request, "integrations/connect.html", _guided_context(state, form))


def _guided_context(state: connect.Progress, form: IntegrationNameForm) -> dict[str, Any]:
    return {
        "title": _("Connect %(organization)s") % {"organization": state.organization},
        "state": state,
        "form": form,
        "sides": [
            {
                "side": side,
                "number": number,
                "other": "ledger" if side.key == "crm" else "crm",
                "other_id": (state.ledger if side.key == "crm" else state.crm).chosen,
                "explained": connect.EXPLAINED.get(side.system, ""),
                "current": state.current == side.key,
            }
            for number, side in enumerate((state.crm, state.ledger), start=2)
        ],
    }


def _progress(request: HttpRequest, organization: Organization) -> connect.Progress:
    data = request.POST if request.method == "POST" else request.GET
    system = data.get("system", connect.CRMS[0])
    if system not in connect.CRMS:
        raise Http404
    return connect.progress(organization, crm_system=system, crm=data.get("crm", ""), ledger=data.get("ledger", ""))


@require_POST
def begin(request: HttpRequest, pk: int, system: str) -> HttpResponse:
    """Off to the vendor, to connect one more account of the organization."""
    organization = _organization(request, pk)
    if system not in System.values:
        raise Http404
    account = connect.account_to_connect(organization, system)
    side, other = ("ledger", "crm") if system == connect.LEDGER else ("crm", "ledger")
    back = reverse("admin:integrations_connect_organization", args=[organization.pk])
    picked = request.POST.get(other, "")
    known = organization.accounts.filter(pk=picked).exists() if _is_uuid(picked) else False
    return _depart(request, account, f"{back}?{other}={picked}&{side}=" if known else f"{back}?{side}=")


@require_POST
def create(request: HttpRequest, pk: int) -> HttpResponse:
    """Step 4: the integration, named."""
    organization = _organization(request, pk)
    if not request.user.has_perm("integrations.add_integration"):
        raise PermissionDenied
    state = _progress(request, organization)
    form = IntegrationNameForm(request.POST)
    if not (state.crm.done and state.ledger.done):
        messages.error(request, _("Connect both sides first."))
    elif form.is_valid():
        integration = connect.create_integration(state, form.cleaned_data["name"])
        messages.success(request, _("%(name)s is connected.") % {"name": integration})
        return redirect("admin:integrations_integration_next", integration.pk)
    return page(request, "integrations/connect.html", _guided_context(state, form), status=422)


@require_GET
def what_next(request: HttpRequest, pk: int) -> HttpResponse:
    """After connecting: what the rooms suggest, and whether both sides are ready."""
    integration = _integration(request, pk)
    context = {
        "title": integration.name,
        "integration": integration,
        "steps": connect.next_steps(integration),
        "lines": readiness.check(integration),
    }
    return page(request, "integrations/next.html", context)


@require_GET
def readiness_board(request: HttpRequest, pk: int) -> HttpResponse:
    """The readiness board of one integration, asked now."""
    integration = _integration(request, pk)
    lines = readiness.check(integration)
    title = _("Readiness of %(name)s") % {"name": integration}
    context = {"title": title, "integration": integration, "lines": lines, "ready": readiness.is_ready(lines)}
    return page(request, "integrations/readiness.html", context)


# --- Consent ----------------------------------------------------------------------------------------------------


def _depart(request: HttpRequest, account: ConnectedAccount, next_url: str) -> HttpResponse:
    """To the vendor's consent page; comes back to `next_url`, or to a page that may be closed."""
    if request.session.session_key is None:
        request.session.create()
    if request.POST.get("window"):
        next_url = reverse("connect-done", args=[account.system])
    try:
        url = authorization.start(account, request.user, request.session.session_key or "", next_url)
    except SyncError as error:
        remedy = _("An administrator must complete the settings of this installation.")
        return _refused(request, authorization.Refused(error.message, remedy, account, next_url))
    return HttpResponseRedirect(url)


@require_GET
@never_cache
@sensitive_variables("arrival")
def callback(request: HttpRequest, system: str) -> HttpResponse:
    """Where the vendor sends the person back to."""
    if system not in System.values:
        raise Http404
    if not (request.user.is_authenticated and admin.site.has_permission(request)):
        cause = _("You are not signed in to Ledgerbridge in this browser.")
        return _refused(request, authorization.Refused(cause, _("Sign in, then start again.")), 403)
    parameters = {name: tuple(values) for name, values in request.GET.lists()}
    key = request.session.session_key or ""
    arrival = authorization.Arrival(system, request.user, key, parameters)
    try:
        account, next_url = authorization.finish(arrival)
    except authorization.Refused as refused:
        return _refused(request, refused)
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


def _refused(request: HttpRequest, refused: authorization.Refused, status: int = 400) -> HttpResponse:
    account = refused.account
    back = refused.next_url
    if account is not None and (not back or back.endswith("=")):
        back = reverse("admin:integrations_connect_organization", args=[account.organization_id])
    context = {"title": _("Not connected"), "refused": refused, "account": account, "back": back}
    return page(request, "integrations/refused.html", context, status=status)


# --- One account ------------------------------------------------------------------------------------------------


@require_POST
def reauthenticate(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Off to the vendor again, for the same row: after a lost connection, or when more scopes are needed."""
    account = _account(request, pk)
    return _depart(request, account, reverse("admin:integrations_connectedaccount_change", args=[account.pk]))


@require_POST
def test_connection(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask the remote account now and say what it answered."""
    account = _account(request, pk)
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
    account = _account(request, pk)
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


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
