"""From a connected integration to flows: choose how existing records are recognised, add the flows, switch them on.

Continues the guided connection of the accounts. The invariant: adding flows writes nothing to any remote; each flow
starts switched off, and its first run waits for a person.
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from integrations.connect import Step, register_next_steps
from integrations.models import Integration
from mappings import presets
from mappings.presets.orders import ORDERS
from sync.flows import install
from sync.models import Flow


@require_http_methods(["GET", "POST"])
def choose_flows(request: HttpRequest, integration_id: int) -> HttpResponse:
    """The page that adds the flows of an integration; those that are there stay as they are."""
    integrations = Integration.objects.for_user(request.user).select_related("crm_account", "ledger_account")
    integration = get_object_or_404(integrations, pk=integration_id)
    if not request.user.has_perm("sync.add_flow"):
        raise PermissionDenied
    if request.method == "POST":
        keys = {key for key, _name, _text in ORDERS}
        order = request.POST.get("match_order", "default")
        install(integration, match_order=order if order in keys else "default", user=request.user)
        return redirect(f"{reverse('admin:sync_flow_changelist')}?integration={integration.pk}")
    from django.contrib import admin

    existing = {flow.slug: flow for flow in Flow.objects.filter(integration=integration)}
    offered = presets.available(integration.crm_account.system, integration.ledger_account.system)
    context = {
        **admin.site.each_context(request),
        "title": _("Choose flows for %(name)s") % {"name": integration.name},
        "integration": integration,
        "offers": [{"preset": preset, "flow": existing.get(preset.slug)} for preset in offered],
        "missing": any(preset.slug not in existing for preset in offered),
        "orders": ORDERS,
    }
    return render(request, "sync/choose_flows.html", context)


@register_next_steps
def flow_steps(integration: Integration) -> list[Step]:
    """What to do with the flows of a connected integration: add them, switch them on, approve the first plan."""
    flows = list(Flow.objects.filter(integration=integration))
    if not flows:
        return [
            Step(
                gettext_lazy("Choose flows"),
                gettext_lazy("What is kept in step, and how. Nothing is written before you approve."),
                reverse("admin:sync_flow_choose", args=[integration.pk]),
            )
        ]
    steps = [Step(ngettext("%d flow is set up", "%d flows are set up", len(flows)) % len(flows), state="done")]
    for flow in flows:
        detail = gettext_lazy("Switch it on: its first run only plans.")
        if flow.enabled:
            detail = gettext_lazy("Look at its plan and approve it.")
        done = flow.enabled and not flow.first_run_pending
        url = reverse("admin:sync_flow_change", args=[flow.pk])
        steps.append(Step(flow.name, "" if done else detail, url, "done" if done else "next"))
    return steps
