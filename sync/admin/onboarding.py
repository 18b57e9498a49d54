"""From a connected integration to flows: choose how existing records are recognised, add the flows, switch them on.

Continues the guided connection of the accounts. The invariant: adding flows writes nothing to any remote; each flow
starts switched off, and its first run waits for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from integrations.connect import Step, register_next_steps
from integrations.models import Integration
from integrations.rights import require
from mappings import presets
from mappings.presets import Preset
from mappings.presets.orders import ORDERS
from sync import own_objects
from sync.admin import show, steps
from sync.flows import install
from sync.models import Flow, Side


@require_http_methods(["GET", "POST"])
def choose_flows(request: HttpRequest, integration_id: int) -> HttpResponse:
    """The page that adds the flows of an integration; those that are there stay as they are."""
    integrations = Integration.objects.for_user(request.user).select_related("crm_account", "ledger_account")
    integration = get_object_or_404(integrations, pk=integration_id)
    require(request.user, "sync.add_flow", integration)
    if request.method == "POST":
        keys = {key for key, _name, _text in ORDERS}
        order = request.POST.get("match_order", "default")
        flows = install(integration, match_order=order if order in keys else "default", user=request.user)
        start = set(request.POST.getlist("start"))
        steps.switch([flow for flow in flows if flow.slug in start], on=True, user=request.user)
        if integration.mode == Integration.Mode.OBSERVE:
            return redirect("admin:path_integration", integration.pk)
        return redirect(f"{reverse('admin:sync_flow_changelist')}?integration={integration.pk}")
    from django.contrib import admin

    existing = {flow.slug: flow for flow in Flow.objects.filter(integration=integration)}
    offered = presets.available(integration.crm_account.system, integration.ledger_account.system)
    context = {
        **admin.site.each_context(request),
        "title": _("Choose flows for %(name)s") % {"name": integration.name},
        "integration": integration,
        "groups": _grouped(offered, existing),
        "missing": any(preset.slug not in existing for preset in offered),
        "startable": any(preset.slug not in existing or not existing[preset.slug].enabled for preset in offered),
        "orders": ORDERS,
        "own_objects": own_objects.discovery_of(integration) is not None,
    }
    return render(request, "sync/choose_flows.html", context)


def _grouped(offered: Sequence[Preset], existing: Mapping[str, Flow]) -> list[dict[str, Any]]:
    """The offered flows by what they are about in the ledger; groups and flows in the order of switching on."""
    names = {"customer": _("Customers"), "article": _("Articles"), "invoice": _("Invoices")}
    groups: dict[str, list[dict[str, Any]]] = {}
    companions = {str(preset.flow.get("follow_up", "")) for preset in offered}
    begun = any(flow.enabled for flow in existing.values())
    for position, preset in enumerate(offered):
        end = preset.source if preset.source["side"] == Side.LEDGER else preset.target
        flow = existing.get(preset.slug)
        shown = show.status("off", _("Not set up"))
        if flow is not None:
            shown = show.status("ok", _("On")) if flow.enabled else show.status("off", _("Set up, switched off"))
        groups.setdefault(end["object"], []).append(
            {
                "preset": preset,
                "flow": flow,
                "status": shown,
                "startable": (flow is None or not flow.enabled) and preset.slug not in companions,
                "first": position == 0 and not begun,  # all else refers to what comes first
            }
        )
    return [{"name": names.get(name, name.capitalize()), "offers": offers} for name, offers in groups.items()]


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
    offers = reverse("admin:sync_flow_choose", args=[integration.pk])
    title = ngettext("%d flow is set up", "%d flows are set up", len(flows)) % len(flows)
    steps = [Step(title, url=offers, state="done")]
    companions = {flow.follow_up for flow in flows if flow.follow_up}  # switched on with the flow they serve
    for flow in flows:
        if flow.slug in companions:
            continue
        detail = gettext_lazy("Switch it on: its first run only plans.")
        if flow.takes == Flow.Takes.LINKED:
            detail = gettext_lazy("Switch it on: people then create records from the card, one by one.")
        if flow.enabled:
            detail = gettext_lazy("Look at its plan and approve it.")
        done = flow.enabled and not flow.first_run_pending
        url = reverse("admin:sync_flow_change", args=[flow.pk])
        steps.append(Step(flow.title, "" if done else detail, url, "done" if done else "next"))
    return steps
