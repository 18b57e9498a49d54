"""`{% stepper %}`: the stages of the guided path on top of the pages that belong to it, while it is not finished."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import Context
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.models import Integration, Organization
from sync import guided

register = template.Library()

PAGES = {
    "path": "organization",
    "integrations_connect": "organization",
    "integrations_connect_organization": "connect",
    "integrations_connect_create": "connect",
    "integrations_integration_next": "connect",
    "integrations_integration_readiness": "readiness",
    "sync_flow_choose": "flows",
    "sync_flow_change": "flows",
    "sync_syncrun_change": "plan",
    "sync_syncrun_approve": "approve",
    "match": "match",
    "path_live": "live",
}
"""The pages of the path, each with its stage."""


@register.inclusion_tag("sync/stepper.html", takes_context=True)
def stepper(context: Context) -> dict[str, Any]:
    """The strip; nothing elsewhere, or when the integration is not being set up. An integration that is live or off
    costs no query here."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    here = PAGES.get(match.url_name or "") if match is not None and not context.get("is_popup") else None
    if here is None:
        return {}
    path = context.get("path")
    if not isinstance(path, guided.Path):
        path = _path(context)
    if path is None or path.finished:
        return {}
    user, integration = context["request"].user, path.integration

    def may(stage: str) -> bool:
        """Whether this person may open it: set up, or where only approving is left, approve."""
        return bool(user.has_perm("sync.approve_flow" if stage == "approve" else "sync.change_flow", integration))

    following = path.current
    if following and following.key == "approve" and path.held and here in ("plan", "approve") and path.integration:
        url = reverse("admin:path_live", args=[path.integration.pk])  # the plan is read: what is left is the decision
        following = guided.Stage("live", url=url, button=_("Approve and go live…"))
    elsewhere = following is not None and here not in (following.key, "live") and may(following.key)
    return {"path": path, "here": here, "next": following, "elsewhere": elsewhere, "may": may("")}


def _path(context: Context) -> guided.Path | None:
    """From what the page shows: an integration, something of one, or an organization without one."""
    organization = getattr(context.get("state"), "organization", None)
    if isinstance(organization, Organization):
        made = getattr(context.get("state"), "integration", None)
        if isinstance(made, Integration):
            return guided.path_of(made) if made.mode == Integration.Mode.OBSERVE else None
        return guided.begin(organization)
    if context.get("organizations") is not None:
        return guided.begin()
    for name in ("integration", "original", "run"):
        found = context.get(name)
        integration = found if isinstance(found, Integration) else getattr(found, "integration", None)
        if isinstance(integration, Integration):
            return guided.path_of(integration) if integration.mode == Integration.Mode.OBSERVE else None
    return None
