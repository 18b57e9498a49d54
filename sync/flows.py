"""Flows as configuration: installing presets, what a flow needs at its target, checking a flow's filter.

What a flow *is* stands in the presets, as data; nothing here knows a vendor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from integrations.connector import Setup, Value
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
        elif flow.takes == Flow.Takes.ALL and preset.flow.get("takes", Flow.Takes.ALL) == Flow.Takes.OWN:
            # Installed before the other direction existed: from now on that one's records are not ours to import.
            flow.takes = Flow.Takes.OWN
            flow.save(update_fields=["takes"])
        flows.append(flow)
    return flows


@transaction.atomic
def install_one(integration: Integration, preset: Preset, *, user: Any = None) -> Flow:
    """Create the flow of one preset, switched off and last in order; one that is there stays as it is."""
    flow = Flow.objects.filter(integration=integration, slug=preset.slug).first()
    if flow is None:
        presets.install(integration, preset, user=user)
        flow = _create(integration, preset, preset.position)
    return flow


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
        takes=options.get("takes", Flow.Takes.ALL),
        scheduled=options.get("scheduled", True),
        follow_up=options.get("follow_up", ""),
        settings={spec["name"]: spec.get("default", "") for spec in preset.settings},
        approval=options.get("approval", Flow.Approval.FIRST_RUN),
        may_create=options.get("may_create", True),
        may_update=options.get("may_update", True),
        filter_expression=options.get("filter", ""),
        max_creates_per_hour=options.get("max_creates_per_hour"),
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
    due = {} if flow.scheduled else {"next_run_at": timezone.now()}
    Flow.objects.filter(pk=flow.pk).update(prepared_at=None, **due)


def declared_settings(flow: Flow) -> Sequence[Mapping[str, Any]]:
    """The settings that the flow's preset declares: name, label, help, type, choices, default."""
    integration = flow.integration
    return presets.settings_of(integration.crm_account.system, integration.ledger_account.system, flow.slug)


def unless_linked_as(flow: Flow) -> str:
    """The other target object by which a source record may be known already and is then left alone, by the flow's
    preset: a person is an account or a contact, never both. "" for flows without such an option."""
    integration = flow.integration
    preset = presets.preset_of(integration.crm_account.system, integration.ledger_account.system, flow.slug)
    return str(preset.flow.get("unless_linked_as", "")) if preset else ""


def candidates_without(flow: Flow) -> frozenset[str]:
    """Target fields that are empty in every record that a match rule may find, by the flow's preset: a person who
    belongs to a company is no private customer. Empty for flows without such an option."""
    integration = flow.integration
    preset = presets.preset_of(integration.crm_account.system, integration.ledger_account.system, flow.slug)
    return frozenset(preset.flow.get("candidates_without", ())) if preset else frozenset()


def setting_values(flow: Flow) -> dict[str, Value]:
    """The flow's settings, typed, with the preset's defaults for what was never set."""
    values: dict[str, Value] = {}
    for spec in declared_settings(flow):
        raw = flow.settings.get(spec["name"], spec.get("default", ""))
        values[spec["name"]] = _setting(spec, raw)
    return values


def default_settings(preset: Preset) -> dict[str, Value]:
    """The settings of a flow as the preset makes it, typed."""
    return {spec["name"]: _setting(spec, spec.get("default", "")) for spec in preset.settings}


def _setting(spec: Mapping[str, Any], raw: Any) -> Value:
    if spec["type"] == "decimal":
        return Decimal(str(raw or 0))
    return bool(raw) if spec["type"] == "bool" else str(raw)


def toggles(integration: Integration) -> list[tuple[Flow, Mapping[str, Any]]]:
    """The flows that are offered as a switch, with their preset's options, in order (R77–R81)."""
    pair = (integration.crm_account.system, integration.ledger_account.system)
    flows = Flow.objects.filter(integration=integration).order_by("position", "pk")
    made = [(flow, presets.preset_of(*pair, flow.slug)) for flow in flows]
    return [(flow, preset.flow) for flow, preset in made if preset is not None and preset.flow.get("toggle")]


def switch_on(flow: Flow) -> None:
    """Switch a flow on: it is due at once (one that only works when asked makes its fields), its passes a schedule
    interval later. The flow that writes its numbers and
    states back is switched on with it, and stays on when this one is switched off: what exists keeps its state."""
    now = timezone.now()
    flow.enabled, flow.next_run_at = True, now
    flow.save(update_fields=["enabled", "next_run_at"])
    companion = Flow.objects.filter(integration_id=flow.integration_id, slug=flow.follow_up or None, enabled=False)
    for other in companion:
        switch_on(other)
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
    names: dict[str, frozenset[str] | None] = {"source": None, "target": None, "setup": None, "setting": None}
    if stored:
        names |= load_schema(stored["schema"]).names()
    else:
        names[flow.source_object] = None
    try:
        compile_expression(flow.filter_expression, names)
    except ExpressionError as error:
        return str(error)
    return ""
