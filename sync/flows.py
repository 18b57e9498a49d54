"""Flows as configuration: installing presets, what a flow needs at its target, checking a flow's filter.

What a flow *is* stands in the presets, as data; nothing here knows a vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from integrations.connector import Setup
from integrations.models import Integration
from mappings import presets
from mappings.expressions import ExpressionError, compile_expression
from mappings.presets import Preset
from mappings.schemas import load_schema
from sync.models import Flow, FlowPass


@transaction.atomic
def install(integration: Integration, *, match_order: str = "default", user: Any = None) -> list[Flow]:
    """Create the flows that the presets offer for this pair of systems, switched off; those there are stay as they are.

    Returns all of them, in order.
    """
    available = presets.available(integration.crm_account.system, integration.ledger_account.system)
    flows = []
    for position, preset in enumerate(available):
        flow = Flow.objects.filter(integration=integration, slug=preset.slug).first()
        if flow is None:
            presets.install(integration, preset, match_order=match_order, user=user)
            flow = _create(integration, preset, position)
        flows.append(flow)
    return flows


def _create(integration: Integration, preset: Preset, position: int) -> Flow:
    options: Mapping[str, Any] = preset.flow
    flow = Flow.objects.create(
        integration=integration,
        slug=preset.slug,
        name=preset.name,
        position=position,
        source_side=preset.source["side"],
        source_object=preset.source["object"],
        target_side=preset.target["side"],
        target_object=preset.target["object"],
        every_minutes=options.get("every_minutes", 30),
        amount_field=options.get("amount_field", ""),
        currency_field=options.get("currency_field", ""),
        setup={"fields": _plain(preset.setup.fields), "pipelines": _plain(preset.setup.pipelines)},
    )
    FlowPass.objects.bulk_create(
        FlowPass(flow=flow, subset=item["subset"], name=item["name"], every_minutes=item.get("every_minutes", 1440))
        for item in options.get("passes", ())
    )
    return flow


def _plain(value: Any) -> Any:
    """Tuples and mappings as JSON has them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def setup_of(flow: Flow, known: Mapping[str, str]) -> Setup:
    """What must exist at the flow's target, as the connector takes it; `known` are the ids that earlier set-ups gave.

    A pipeline is recognised by its id, so people may rename it; one that was removed is created again, because a
    set-up only runs when somebody asked for it."""
    pipelines = {}
    for symbol, wanted in flow.setup.get("pipelines", {}).items():
        stages = [stage | {"id": known.get(stage["name"], "")} for stage in wanted.get("stages", ())]
        pipelines[symbol] = wanted | {"id": known.get(symbol, ""), "recreate": True, "stages": stages}
    return Setup(fields=flow.setup.get("fields", {}), pipelines=pipelines)


def set_up_again(flow: Flow) -> None:
    """Let the flow's next run look whether its fields and pipelines are there, and create what is missing."""
    Flow.objects.filter(pk=flow.pk).update(prepared_at=None)


def switch_on(flow: Flow) -> None:
    """Switch a flow on: it is due at once, its passes a schedule interval later."""
    now = timezone.now()
    flow.enabled, flow.next_run_at = True, now
    flow.save(update_fields=["enabled", "next_run_at"])
    for item in flow.passes.filter(next_run_at=None):
        item.next_run_at = now + timedelta(minutes=item.every_minutes)
        item.save(update_fields=["next_run_at"])


def switch_off(flow: Flow) -> None:
    """Switch a flow off: nothing new is planned; what is queued stays queued and waits (held, not lost)."""
    Flow.objects.filter(pk=flow.pk).update(enabled=False)


def check_filter(flow: Flow) -> str:
    """Why the flow's filter cannot work, pointing at the character; "" when it can."""
    account = flow.integration.account(flow.source_side)
    stored = account.schemas.get(flow.source_object)
    names: dict[str, frozenset[str] | None] = {"source": None, "setup": None}
    if stored:
        names |= load_schema(stored["schema"]).names()
    else:
        names[flow.source_object] = None
    try:
        compile_expression(flow.filter_expression, names)
    except ExpressionError as error:
        return str(error)
    return ""
