"""Who owns each field, what was written each way, and which fields were paused because they went back and forth (I-13).

One row per mapped field of every flow of one integration. The numbers come from counters that the engine keeps, never
from the changes themselves, so the page costs the same for any history. The invariant: a pause is ended by a named
person only, after asking.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.models import Integration
from mappings.models import FieldMapping
from sync import pingpong
from sync.admin import show
from sync.admin.base import Question, ask, confirmed, light_accounts
from sync.history import SIDES
from sync.models import FieldCount, FieldPause, Flow

DAYS = 30
PAUSES = 1_000
"""As many open pauses as are counted; more would mean that a whole flow fights."""
SHOWN = 50


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)
    return [
        path("ownership/<int:pk>/", site.admin_view(pages.matrix), name="ownership"),
        path(
            "ownership/resume/<int:pk>/", site.admin_view(require_POST(pages.resume)), name="ownership_resume"
        ),
    ]  # fmt: skip


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def matrix(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The matrix of one integration, and its paused fields."""
        integration = _own(request, pk)
        flows = list(Flow.objects.filter(integration=integration).order_by("position", "pk"))
        rules = _rules(integration)
        counts = _counts(integration)
        rows = FieldPause.objects.filter(integration=integration, resumed_at=None).select_related("flow", "link")
        heavy = ("link__agreed_crm", "link__agreed_ledger", "link__line_ids")
        pauses = list(rows.defer(*heavy)[:PAUSES])
        paused = Counter((pause.flow_id, pause.field) for pause in pauses)
        labels = {side: integration.account(side).schemas for side in SIDES}
        systems = {side: str(integration.account(side).get_system_display()) for side in SIDES}
        groups = [_group(flow, rules.get(flow.slug, []), counts, paused, labels, systems) for flow in flows]
        context = self.site.each_context(request) | {
            "title": _("Who owns which field: %(name)s") % {"name": integration.name},
            "integration": integration,
            "groups": [group for group in groups if group["rows"]],
            "days": DAYS,
            "pauses": [_pause(pause) for pause in pauses[:SHOWN]],
            "more_pauses": max(len(pauses) - SHOWN, 0),
            "total_paused": len(pauses),
            "may_resume": request.user.has_perm("sync.resume_fieldpause", integration),
            "flows_url": show.rows_url(Flow, integration=integration.pk),
        }
        return TemplateResponse(request, "admin/sync/ownership.html", context)

    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let a flow write a paused field again, after asking."""
        accounts = ("integration__organization", "flow", "link")
        pause = FieldPause.objects.for_user(request.user).filter(pk=pk).select_related(*accounts).first()
        if pause is None:
            raise Http404
        if not request.user.has_perm("sync.resume_fieldpause", pause):
            raise PermissionDenied
        from_record = request.POST.get("from") == "record"
        name, argument = ("record", pause.link_id) if from_record else ("ownership", pause.integration_id)
        back = reverse(f"admin:{name}", args=[argument])
        if not confirmed(request):
            fields = [("from", "record")] if from_record else []
            return ask(request, self.site, _question(pause, back, fields))
        if pingpong.resume(pause, request.user):
            messages.success(request, _("The field is written again. The record is planned anew by the next run."))
        else:
            messages.info(request, _("It was resumed already."))
        return HttpResponseRedirect(back)


def _own(request: HttpRequest, pk: int) -> Integration:
    secrets = [name for name in light_accounts() if not name.endswith("schemas")]
    rows = Integration.objects.for_user(request.user).filter(pk=pk)
    found = rows.select_related("organization", "crm_account", "ledger_account").defer(*secrets).first()
    if found is None:
        raise Http404
    if not request.user.has_perm("mappings.view_mappingset", found):
        raise PermissionDenied
    return found


def _rules(integration: Integration) -> dict[str, list[FieldMapping]]:
    """The rules in force, by the slug of their flow: one query."""
    rows = FieldMapping.objects.filter(mapping_set__integration=integration, mapping_set__state="published")
    found: dict[str, list[FieldMapping]] = {}
    for rule in rows.select_related("mapping_set", "value_map").order_by("scope", "position", "pk"):
        found.setdefault(rule.mapping_set.slug, []).append(rule)
    return found


def _counts(integration: Integration) -> dict[tuple[int, str], dict[str, int]]:
    """What the counters say of the last days, by flow and field: one query over one index range."""
    since = timezone.now().date() - timedelta(days=DAYS)
    rows = FieldCount.objects.filter(integration=integration, day__gt=since).order_by().values("flow_id", "field")
    found = rows.annotate(w=Sum("writes"), b=Sum("blanks"), c=Sum("conflicts"))
    return {
        (row["flow_id"], row["field"]): {"writes": row["w"], "blanks": row["b"], "conflicts": row["c"]} for row in found
    }


def _group(
    flow: Flow, rules: list[FieldMapping], counts: dict[tuple[int, str], dict[str, int]],
    paused: dict[tuple[int, str], int], schemas: dict[str, Any], systems: dict[str, str],
) -> dict[str, Any]:  # fmt: skip
    """One flow with its fields."""
    labels = show.labels_of(schemas[flow.target_side], flow.target_object)
    rows = []
    for rule in rules:
        line = rule.scope == "line"
        count = {} if line else counts.get((flow.pk, rule.target_field), {})
        rows.append(
            {
                "label": rule.label or labels.get(rule.target_field) or rule.target_field,
                "field": rule.target_field,
                "line": line,
                "expression": rule.expression,
                "owner": _owner(rule, flow, systems),
                "precedence": rule.get_precedence_display(),
                "when": rule.get_when_display() if rule.when != "always" else "",
                "blank": rule.blank,
                "rule_url": f"{show.page_url(rule.mapping_set)}",
                "writes": show.number(count.get("writes", 0)),
                "blanks": show.number(count.get("blanks", 0)),
                "conflicts": count.get("conflicts", 0),
                "paused": paused.get((flow.pk, rule.target_field), 0) if not line else 0,
            }
        )
    mapping_set = rules[0].mapping_set if rules else None
    return {
        "flow": flow,
        "flow_url": show.page_url(flow),
        "way": f"{systems[flow.source_side]} → {systems[flow.target_side]}",
        "on": flow.enabled,
        "mapping": mapping_set,
        "mapping_url": show.page_url(mapping_set) if mapping_set else "",
        "rows": rows,
    }


def _owner(rule: FieldMapping, flow: Flow, systems: dict[str, str]) -> str:
    """Which system a value of this field is believed from."""
    if rule.precedence == "target":
        return systems[flow.target_side]
    if rule.precedence == "source":
        return systems[flow.source_side]
    return _("either")


def _pause(pause: FieldPause) -> dict[str, Any]:
    fight = pause.fight
    return {
        "pk": pause.pk,
        "field": pause.field,
        "record": pause.link.title or pause.link.ledger_id,
        "record_url": reverse("admin:record", args=[pause.link_id]),
        "since": show.when(pause.since),
        "reason": pause.reason_text,
        "rules": [_rule(row) for row in (fight.get("mine"), fight.get("theirs")) if row],
        "values": [show.value(value) for value in fight.get("values", [])],
    }


def _rule(row: dict[str, Any]) -> dict[str, Any]:
    mapping_set = row.get("mapping_set")
    url = reverse("admin:mappings_mappingset_change", args=[mapping_set]) if mapping_set else ""
    return {**row, "url": url}


def _question(pause: FieldPause, back: str, fields: list[tuple[str, str]]) -> Question:
    return Question(
        title=_("Let “%(flow)s” write “%(field)s” of %(record)s again?")
        % {"flow": pause.flow.title, "field": pause.field, "record": pause.link.title or pause.link.ledger_id},
        sentences=[
            pause.reason_text,
            _("If both rules are as they were, it will go back and forth again, and pause itself again."),
        ],
        button=_("Resume the field"),
        cancel_url=back,
        fields=fields,
    )
