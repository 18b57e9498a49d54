"""“Invoices from an object of your own”, in three steps: the object, its lines and fields, one real record as preview.

The choice travels in the address and the form, nothing is kept before the last button. The invariant: what is offered
and what is accepted is what the account describes; the flows that come of it are switched off.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from integrations.discovery import Discovery
from integrations.errors import SyncError
from integrations.models import Integration
from integrations.rights import require
from sync import own_objects
from sync.admin import show
from sync.admin.own_object_form import FieldsForm
from sync.own_objects import Example, Proposal

TEMPLATE = "sync/own_object.html"
SHOWN = 100
"""Objects listed at once; the search finds the others."""


@require_http_methods(["GET", "POST"])
def own_object(request: HttpRequest, integration_id: int) -> HttpResponse:
    """The guided page. GET chooses; POST shows a preview, and with `create` makes the flows."""
    pairs = Integration.objects.for_user(request.user).select_related("crm_account", "ledger_account")
    integration = get_object_or_404(pairs, pk=integration_id)
    require(request.user, "sync.add_flow", integration)
    discovery = own_objects.discovery_of(integration)
    if discovery is None:
        raise Http404
    context = {
        **admin.site.each_context(request),
        "title": _("Invoices from an object of your own"),
        "integration": integration,
        "step": 1,
    }
    try:
        if request.GET.get("object"):
            answer = _fields(request, integration, discovery, context)
        else:
            answer = context | _objects(request, discovery)
    except (SyncError, ValidationError) as error:
        shown = error.messages if isinstance(error, ValidationError) else [error.message]
        return render(request, TEMPLATE, context | {"problems": shown, "failed": True}, status=422)
    return answer if isinstance(answer, HttpResponse) else render(request, TEMPLATE, answer)


def _objects(request: HttpRequest, discovery: Discovery) -> dict[str, Any]:
    """Step 1: the customer's own objects, or what the search finds."""
    words = request.GET.get("q", "").strip().casefold()
    found = discovery.objects()
    fitting = [each for each in found if (words in f"{each.label} {each.name}".casefold() if words else each.own)]
    return {"objects": fitting[:SHOWN], "more": max(len(fitting) - SHOWN, 0), "q": request.GET.get("q", "")}


def _fields(
    request: HttpRequest, integration: Integration, discovery: Discovery, context: dict[str, Any]
) -> HttpResponse | dict[str, Any]:
    """Steps 2 and 3."""
    shape = discovery.shape(request.GET["object"])
    accounts = [(each.field, f"{each.label} ({each.field})") for each in shape.references if each.to == "account"]
    relationship = request.GET.get("lines", "") or own_objects.lines_in_use(integration, shape)
    context |= {"step": 2, "shape": shape, "relationship": relationship, "has_account": bool(accounts)}
    if not accounts or relationship not in {lines.relationship for lines in shape.lines}:
        return context
    source = own_objects.source_of(integration, shape, relationship, accounts[0][0])
    schema = discovery.reader(source).describe(source.name)
    ours = own_objects.written_back(integration)
    form = FieldsForm(schema, accounts, request.POST or None, ours=ours)
    context |= {"form": form, "label": shape.label}
    if request.method != "POST" or not form.is_valid():
        return context
    proposal = own_objects.propose(integration, form.chosen(shape.object, relationship))
    if "create" in request.POST:
        flow = own_objects.create(integration, proposal, request.user)
        text = _("The flow “%(flow)s” is set up. Look at its settings, then switch it on.") % {"flow": flow.title}
        messages.success(request, text)
        return redirect("admin:sync_flow_change", flow.pk)
    return context | _preview(request, integration, discovery, proposal)


def _preview(
    request: HttpRequest, integration: Integration, discovery: Discovery, proposal: Proposal
) -> dict[str, Any]:
    """Step 3: one record of the account, mapped."""
    newest = discovery.newest(proposal.source.remote_object)
    wanted = request.POST.get("record") or (newest[0][0] if newest else "")
    found = own_objects.example(integration, proposal, wanted) if wanted else None
    return {
        "step": 3,
        "proposal": proposal,
        "newest": newest,
        "record": wanted,
        "example": found,
        "shown": _shown(proposal, found) if found else {},
    }


def _shown(proposal: Proposal, found: Example) -> dict[str, Any]:
    """The mapped record in rows of a table, under the labels of the mapping."""
    rules = proposal.invoices.mapping["fields"]
    currency = found.mapped.promise_currency or ""
    header = [
        (_(rule["label"]), _said(found.mapped.fields.get(rule["target"])))
        for rule in rules
        if rule.get("scope") != "line"
    ]
    columns = [rule for rule in rules if rule.get("scope") == "line"]
    return {
        "header": [(label, value) for label, value in header if value is not None],
        "columns": [_(rule["label"]) for rule in columns],
        "lines": [[_said(line.get(rule["target"])) for rule in columns] for line in found.mapped.lines or []],
        "checks": [check for check in found.mapped.checks if not check.ok],
        "promise": show.amount(found.mapped.promise, currency),
        "net": show.amount(found.estimate.net, currency) if found.estimate else None,
    }


def _said(value: Any) -> Any:
    """A value as people say it: yes and no are words."""
    return (_("yes") if value else _("no")) if isinstance(value, bool) else value
