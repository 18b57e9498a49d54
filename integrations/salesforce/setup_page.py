"""Pages of one Salesforce org: the app it has for us, its certificate, and the fields that our package brings.

Each reads its row through `views.account_for`, so a foreign id is a 404 and a person without the right is refused. The
invariants: no page shows a stored secret except that of incoming messages, which an administrator must enter in
Salesforce (`secret_page`); what changes something is a POST.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from integrations import authorization, consent_views, shell, tokens, views
from integrations import connect as connect_flow
from integrations.errors import SyncError
from integrations.fields import conceal, reveal
from integrations.http import Api
from integrations.inbound_secret import secret_of
from integrations.models import AuthorizationAttempt, ConnectedAccount, Integration
from integrations.salesforce import deployments, secret_page
from integrations.salesforce.certificate import certificate_of, expires_on, new_key_pair
from integrations.salesforce.client import Salesforce
from integrations.salesforce.deploy_files import source_zip
from integrations.salesforce.events import inbound_url
from integrations.salesforce.schema_check import SchemaCheck, check
from integrations.salesforce.setup_form import SalesforceAppForm

SECRET_VIEWS = (secret_page.secret, secret_page.renew_secret, secret_page.end_secret)
Grant, Status = ConnectedAccount.Grant, ConnectedAccount.Status


def prepare(account: ConnectedAccount) -> None:
    """A new row gets its key pair and the secret of its messages at once: the pages only show what is there."""
    if not account.signing_key:
        conceal(account, "signing_key", new_key_pair(f"Ledgerbridge {account.pk}"))
        account.save(update_fields=["signing_key"])
    secret_of(account)


@sensitive_post_parameters("client_secret")
@require_http_methods(["GET", "POST"])
@never_cache
def app(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The org's app for us: how it is made, its key and secret, and the button that connects."""
    account = _account(request, pk)
    form = SalesforceAppForm(account, request.POST or None)
    if request.method == "POST" and form.is_valid():
        return connect(request, form.apply(), _next_url(request, account))
    return shell.page(
        request,
        "integrations/salesforce_app.html",
        {
            "title": _("Connect Salesforce") if account.status == Status.NEW else _("Salesforce: app and sign-in"),
            "account": account,
            "form": form,
            "callback": authorization.redirect_uri(account.system),
            "certificate_until": expires_on(reveal(account, "signing_key")),
            "scopes": settings.VENDORS["salesforce"]["scopes"],
            "ledger": request.GET.get("ledger", ""),
        },
        status=422 if form.errors else 200,
    )


def connect(request: HttpRequest, account: ConnectedAccount, next_url: str) -> HttpResponse:
    """Connect by the account's grant: off to the consent page, or at once for a service user."""
    if not account.client_id:
        return redirect("admin:integrations_salesforce_app", account.pk)
    if account.grant == Grant.CODE:
        return consent_views.depart(request, account, next_url)
    try:
        connected = tokens.connect_service(account, account.grant)
    except SyncError as error:
        remedy = _("Correct the app in Salesforce or what was entered here, then connect again.")
        return consent_views.refused(request, authorization.Refused(error.message, remedy, account, next_url))
    return consent_views.welcome(request, connected, next_url)


@require_http_methods(["GET", "POST"])
def certificate(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET: the certificate as a file. POST: a new key pair; the old certificate is worth nothing from then on."""
    account = _account(request, pk)
    if request.method == "POST":
        conceal(account, "signing_key", new_key_pair(f"Ledgerbridge {account.pk}"))
        account.save(update_fields=["signing_key"])
        messages.warning(request, _("There is a new certificate. Upload it in the app in place of the old one."))
        return redirect("admin:integrations_salesforce_app", account.pk)
    text = certificate_of(reveal(account, "signing_key"))
    answer = HttpResponse(text, content_type="application/x-pem-file")
    answer["Content-Disposition"] = f'attachment; filename="ledgerbridge-{str(account.pk)[:8]}.crt"'
    return answer


@require_GET
@never_cache
def fields(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Every field of our package in this org, the state of a deployment, and how to get what is missing there."""
    account = _account(request, pk)
    deployment = account.deployments.first()
    if deployment is not None and deployment.state == "running":
        deployment = deployments.advance(deployment)
    running = deployment is not None and deployment.state == "running"
    found, problem = (None, "") if running else _checked(account)
    pairs = Integration.objects.for_user(request.user).filter(crm_account=account)
    context: dict[str, Any] = {
        "title": _("Fields in %(account)s") % {"account": account.name or account.remote_id},
        "account": account,
        "deployment": deployment,
        "running": running,
        "check": found,
        "unfinished": list(pairs.exclude(mode=Integration.Mode.LIVE)),
        "problem": problem,
        "permission_sets": deployments.wanted_permission_sets(account),
        "message_address": inbound_url(account),
        "card_address": f"{settings.PUBLIC_URL}{reverse('salesforce-canvas', args=[account.pk])}",
        "setup_url": f"{account.ui_url}/lightning/setup/SetupOneHome/home",
    }
    return shell.page(request, "integrations/salesforce_fields.html", context)


def _checked(account: ConnectedAccount) -> tuple[SchemaCheck | None, str]:
    try:
        return check(account, Salesforce(Api(account, lane="interactive"))), ""
    except SyncError as error:
        return None, error.message


@require_POST
def deploy(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Off to Salesforce, where an administrator signs in for this deployment alone."""
    account = _account(request, pk)
    page = reverse("admin:integrations_salesforce_fields", args=[account.pk])
    return consent_views.depart(request, account, page, purpose=AuthorizationAttempt.Purpose.DEPLOY)


@require_GET
def source(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The package as a source project, for administrators who deploy with their own tools."""
    account = _account(request, pk)
    answer = HttpResponse(source_zip(), content_type="application/zip")
    name = slugify(account.name) or "org"
    answer["Content-Disposition"] = f'attachment; filename="ledgerbridge-salesforce-{name}.zip"'
    return answer


def _account(request: HttpRequest, pk: UUID) -> ConnectedAccount:
    return views.account_for(request, pk, system="salesforce")


def _next_url(request: HttpRequest, account: ConnectedAccount) -> str:
    """Back to the guided connection for a new row, otherwise to the account's page."""
    if account.status != Status.NEW:
        return reverse("admin:integrations_connectedaccount_change", args=[account.pk])
    return views.guided_url(account.organization, account.system, request.POST.get("ledger", ""))


def app_url(account: ConnectedAccount, ledger: str) -> str:
    """The app page of a row that was just begun, remembering which company the person had picked."""
    url = reverse("admin:integrations_salesforce_app", args=[account.pk])
    return f"{url}?{urlencode({'ledger': ledger})}" if ledger else url


def begin(request: HttpRequest, account: ConnectedAccount) -> HttpResponse:
    """From the guided connection: first the app, then the consent."""
    prepare(account)
    return HttpResponseRedirect(app_url(account, request.POST.get("ledger", "")))


def urls(wrap: Callable[..., Any]) -> list[URLPattern]:
    """The pages, below those of connected accounts; `wrap` admits only people of the admin site."""
    return [
        path(f"<uuid:pk>/{view.__name__}/", wrap(view), name=f"integrations_salesforce_{view.__name__}")
        for view in (app, certificate, fields, deploy, source, *SECRET_VIEWS)
    ]


@connect_flow.register_next_steps
def next_steps(integration: Integration) -> list[connect_flow.Step]:
    """Before flows can write anything back, the org needs our fields. Asks only our own rows."""
    account = integration.crm_account
    if account.system != "salesforce":
        return []
    done = account.deployments.filter(state="succeeded").exists()
    return [
        connect_flow.Step(
            gettext_lazy("Our fields in Salesforce"),
            "" if done else gettext_lazy("An administrator deploys them with one sign-in; then place card and button."),
            reverse("admin:integrations_salesforce_fields", args=[account.pk]),
            "done" if done else "next",
        )
    ]


views.FIRST_PAGES["salesforce"] = begin
views.RECONNECT["salesforce"] = connect
