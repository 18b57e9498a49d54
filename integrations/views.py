"""Pages of connecting: the guided flow, and the readiness board. The way to a vendor and back is `consent_views`.

Each is a function that reads its rows through `for_user`, so that a foreign id is a 404. The invariants: whatever
changes something is a POST with CSRF protection, and no page is ever given a token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from integrations import connect, readiness_store
from integrations.consent_views import depart
from integrations.forms import IntegrationNameForm, OrganizationForm
from integrations.models import (
    ConnectedAccount,
    Integration,
    Membership,
    Organization,
    ReadinessEntry,
    ReadinessReport,
    System,
)
from integrations.rights import require
from integrations.shell import page

FirstPage = Callable[[HttpRequest, ConnectedAccount], HttpResponse]
Reconnect = Callable[[HttpRequest, ConnectedAccount, str], HttpResponse]
FIRST_PAGES: dict[str, FirstPage] = {}
"""By system: the page that comes before the consent, where the customer must enter something first."""
RECONNECT: dict[str, Reconnect] = {}
"""By system: how a row is connected again where a consent is not the only way."""


def may_connect(user: Any, organization: Organization) -> bool:
    """Whether the person may connect and disconnect accounts of the organization."""
    return bool(user.has_perm("integrations.change_connectedaccount", organization))


def _organization(request: HttpRequest, pk: int) -> Organization:
    organization = get_object_or_404(Organization.objects.for_user(request.user), pk=pk)
    if not may_connect(request.user, organization):
        raise PermissionDenied
    return organization


def account_for(request: HttpRequest, pk: UUID, *, system: str = "") -> ConnectedAccount:
    """An account the person may connect, of `system` if given; 404 for a foreign one, 403 without the right."""
    accounts = ConnectedAccount.objects.for_user(request.user).select_related("organization")
    account = get_object_or_404(accounts.filter(system=system) if system else accounts, pk=pk)
    if not may_connect(request.user, account.organization):
        raise PermissionDenied
    return account


def _integration(request: HttpRequest, pk: int) -> Integration:
    pairs = Integration.objects.for_user(request.user)
    pairs = pairs.select_related("organization", "crm_account", "ledger_account")
    integration = get_object_or_404(pairs, pk=pk)
    require(request.user, "integrations.view_integration", integration)
    return integration


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
    connectable = {row.pk for row in organizations if may_connect(user, row)}
    if not may_add and not connectable:  # nothing on the page would be theirs to do; the path says who does it
        return redirect("admin:path")
    context = {
        "title": _("Connect a CRM and Fortnox"),
        "organizations": organizations,
        "connectable": connectable,
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
                "other": "ledger" if side.key == "crm" else "crm",
                "other_id": (state.ledger if side.key == "crm" else state.crm).chosen,
                "current": state.current == side.key,
            }
            for side in (state.crm, state.ledger)
        ],
    }


def _progress(request: HttpRequest, organization: Organization) -> connect.Progress:
    data = request.POST if request.method == "POST" else request.GET
    return connect.progress(organization, crm=data.get("crm", ""), ledger=data.get("ledger", ""))


@require_POST
def begin(request: HttpRequest, pk: int, system: str) -> HttpResponse:
    """Off to the vendor, to connect one more account of the organization."""
    organization = _organization(request, pk)
    if system not in System.values:
        raise Http404
    account = connect.account_to_connect(organization, system)
    if first := FIRST_PAGES.get(system):
        return first(request, account)
    return depart(request, account, guided_url(organization, system, request.POST.get(_sides(system)[1], "")))


def guided_url(organization: Organization, system: str, picked: str) -> str:
    """Back to the guided page, with the account of the other side that was picked; ends where the new id belongs."""
    side, other = _sides(system)
    back = reverse("admin:integrations_connect_organization", args=[organization.pk])
    known = picked in {str(key) for key in organization.accounts.values_list("pk", flat=True)}
    return f"{back}?{other}={picked}&{side}=" if known else f"{back}?{side}="


def _sides(system: str) -> tuple[str, str]:
    """(this side, the other one)."""
    return ("ledger", "crm") if system == connect.LEDGER else ("crm", "ledger")


@require_POST
def create(request: HttpRequest, pk: int) -> HttpResponse:
    """Step 4: the integration, named."""
    organization = _organization(request, pk)
    require(request.user, "integrations.add_integration", organization)
    state = _progress(request, organization)
    form = IntegrationNameForm(request.POST)
    if not (state.crm.done and state.ledger.done):
        messages.error(request, _("Connect both sides first."))
    elif form.is_valid():
        integration = connect.create_integration(state, form.cleaned_data["name"])
        messages.success(request, _("%(name)s is connected.") % {"name": integration})
        if not request.user.has_perm("integrations.check_readiness", integration):
            return redirect("admin:path_integration", integration.pk)
        readiness_store.ask(integration, request.user)  # it only reads, and nothing can be decided before it is known
        return redirect("admin:integrations_integration_readiness", integration.pk)
    return page(request, "integrations/connect.html", _guided_context(state, form), status=422)


@require_GET
def what_next(request: HttpRequest, pk: int) -> HttpResponse:
    """After connecting: what the rooms suggest, and what the last check of readiness found."""
    integration = _integration(request, pk)
    context = {
        "title": integration.name,
        "integration": integration,
        "steps": connect.next_steps(integration),
        "board": _board(integration),
    }
    return page(request, "integrations/next.html", context)


@require_http_methods(["GET", "POST"])
def readiness_board(request: HttpRequest, pk: int) -> HttpResponse:
    """The readiness board of one integration as it was found last; POST asks for a new check."""
    integration = _integration(request, pk)
    may_check = request.user.has_perm("integrations.check_readiness", integration)
    if request.method == "POST":
        if not may_check:
            raise PermissionDenied
        readiness_store.ask(integration, request.user)
        return redirect("admin:integrations_integration_readiness", integration.pk)
    context = {
        "title": _("Readiness of %(name)s") % {"name": integration},
        "integration": integration,
        "may_check": may_check,
        "board": _board(integration),
    }
    return page(request, "integrations/readiness.html", context)


def _board(integration: Integration) -> dict[str, Any]:
    """The stored lines by what they are about, worst first, and how many there are of each level."""
    report = ReadinessReport.objects.filter(integration=integration).first()
    lines = list(report.lines.all()) if report else []
    heads: list[tuple[str, str, ConnectedAccount | None]] = [
        ("crm", str(integration.crm_account), integration.crm_account),
        ("ledger", str(integration.ledger_account), integration.ledger_account),
        ("", "Ledgerbridge", None),
    ]
    groups = [
        {"name": name, "account": account, "lines": [line for line in lines if line.side == side]}
        for side, name, account in heads
    ]
    counts = {level: sum(line.level == level for line in lines) for level in ReadinessEntry.LEVELS}
    return {"report": report, "groups": groups, "counts": counts, "lines": lines}
