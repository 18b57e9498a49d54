"""Invoices from an object that a customer made: from what a person chose to a mapping, its preview, and its flows.

Nothing here knows a vendor: the account's `Discovery` says what there is, and a template says what becomes of it. The
invariant: only names that the account described come into a mapping, and all of it is compiled and checked before
anything is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.connector import Connector, Estimate, ObjectSchema, Record, Value
from integrations.connectors import connector_for, discovery_for
from integrations.discovery import Discovery, FoundShape
from integrations.errors import Missing
from integrations.models import CustomSource, Integration
from mappings import presets
from mappings.mapper import CompiledMapping, Mapped, map_record
from mappings.models import LinkRule, MappingSet, compile_mapping, new_draft, publish
from mappings.models.compiling import check_mapping
from mappings.models.mapping_set import State
from mappings.presets import Preset
from mappings.presets.templates import INVOICES, STATES
from mappings.schemas import dump_schema
from sync.engine.context import SCHEMA_MAX_AGE, schema_of
from sync.flows import default_settings, install_one
from sync.models import Flow

RECORDS = "invoices-to-records"
"""The flow whose records name the source of an invoice."""

LINE_PLACES = frozenset({"code", "text", "quantity", "price", "discount_percent", "discount_amount"})
RECORD_PLACES = frozenset({"date", "currency", "reference", "amount", "title", "description"})
PLACES = LINE_PLACES | RECORD_PLACES | {"name", "account", "owner", "sync_status", "sync_message", "follow_up"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person chose. `fields` are field names by place of the template; "" for what was left open."""

    object: str
    relationship: str
    account: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be made: the source, its presets, and the connector that reads it already."""

    source: CustomSource
    schema: ObjectSchema
    invoices: Preset
    states: Preset
    reader: Connector
    follows: bool
    """Whether the object has fields for the state of its invoice."""


@dataclass(frozen=True, slots=True)
class Example:
    """One record of the account and what would become of it."""

    record: Record
    mapped: Mapped
    estimate: Estimate | None


def discovery_of(integration: Integration) -> Discovery | None:
    """Who can say which objects the CRM has; None where that is not offered."""
    if not presets.templates(integration.crm_account.system, integration.ledger_account.system):
        return None
    return discovery_for(integration.crm_account)


def written_back(integration: Integration) -> frozenset[str]:
    """Fields that such flows write into their records, where the object has them."""
    offered = presets.templates(integration.crm_account.system, integration.ledger_account.system)
    rows = (row for preset in offered if preset.target["side"] == "crm" for row in preset.mapping["fields"])
    return frozenset(str(row["target"]).strip("${}") for row in rows)


def source_of(integration: Integration, shape: FoundShape, relationship: str, account: str) -> CustomSource:
    """The custom source of an object: the stored one, or one that is not stored yet."""
    known = CustomSource.objects.filter(account=integration.crm_account, remote_object=shape.object).first()
    if known is not None:
        return known
    lines = next((lines.object for lines in shape.lines if lines.relationship == relationship), "")
    owner = next((reference.field for reference in shape.references if reference.to == "owner"), "")
    return CustomSource(
        account=integration.crm_account,
        name=_free_name(integration, shape.name),
        label=shape.label,
        remote_object=shape.object,
        line_object=lines,
        line_relationship=relationship,
        parts={part: reference for part, reference in (("account", account), ("owner", owner)) if reference},
    )


def lines_in_use(integration: Integration, shape: FoundShape) -> str:
    """The relationship of an object that is a custom source already, also for another company; else ""."""
    known = CustomSource.objects.filter(account=integration.crm_account, remote_object=shape.object).first()
    return known.line_relationship if known else ""


def _free_name(integration: Integration, wanted: str) -> str:
    """A name whose source and flows are not there yet."""
    sources = set(CustomSource.objects.filter(account=integration.crm_account).values_list("name", flat=True))
    slugs = set(Flow.objects.filter(integration=integration).values_list("slug", flat=True))
    pair = (integration.crm_account.system, integration.ledger_account.system)
    slugs |= {preset.slug for preset in presets.available(*pair)}
    candidates = (f"{wanted}{suffix}" for suffix in ("", "_own", *(f"_{number}" for number in range(2, 100))))
    return next(name for name in candidates if name not in sources and f"{name}-to-invoices" not in slugs)


def propose(integration: Integration, chosen: Chosen) -> Proposal:
    """What would be made of a choice. Raises `ValidationError` for one that cannot work, `SyncError` when the account
    cannot be asked."""
    discovery = discovery_of(integration)
    if discovery is None:
        raise ValidationError(_("This CRM has no objects of its own."))
    shape = discovery.shape(chosen.object)
    source = source_of(integration, shape, chosen.relationship, chosen.account)
    if (source.line_relationship, source.parts.get("account")) != (chosen.relationship, chosen.account):
        raise ValidationError(_("This object is in use already, with other lines or another account field."))
    reader = discovery.reader(source)
    schema = reader.describe(source.name)
    values = _values(source, schema, reader, chosen)
    pair = (integration.crm_account.system, integration.ledger_account.system)
    try:
        states = presets.fill(*pair, STATES, values, source.label)
        follows = bool(states.mapping["fields"])
        values["follow_up"] = source.name if follows else ""
        invoices = presets.fill(*pair, INVOICES, values, source.label)
    except (KeyError, ValueError) as error:
        raise ValidationError(_("Choose a field for: %(names)s") % {"names": error}) from None
    return Proposal(source, schema, invoices, states, reader, follows)


def _values(source: CustomSource, schema: ObjectSchema, reader: Connector, chosen: Chosen) -> dict[str, str]:
    """The places of the templates: what was chosen, as far as it is described, and what the object has by itself."""
    line = schema.parts.get(schema.lines, {})
    values = {"name": source.name, "account": chosen.account, "title": schema.title or schema.key}
    for place, name in chosen.fields.items():
        if not name:
            continue
        if name not in (line if place in LINE_PLACES else schema.fields):
            raise ValidationError(_("The field %(name)s is not there.") % {"name": name})
        values[place] = name
    if "owner" in schema.parts:
        values["owner"] = "owner"
    feedback = reader.feedback.get(source.name)
    shown = (feedback.status, feedback.message) if feedback else ()
    if feedback and all(name in schema.fields and schema.fields[name].writable for name in shown):
        values |= {"sync_status": feedback.status, "sync_message": feedback.message}
    # Every other field of the object is its own place: a template may write fields that only some objects have.
    own = {name: name for name, one in schema.fields.items() if one.writable and not one.derived}
    return {name: value for name, value in own.items() if name not in PLACES} | values


# --- Preview ------------------------------------------------------------------------------------------------------


def example(integration: Integration, proposal: Proposal, record_id: str) -> Example:
    """What would become of one record. Nothing is kept. Raises `ValidationError`, `SyncError`."""
    compiled = _compiled(integration, proposal)
    found = next(iter(proposal.reader.load(proposal.source.name, [record_id], compiled.reads)), None)
    if not isinstance(found, Record):
        raise found[1] if found else Missing("The record is not there", code="record_missing", record=record_id)
    ledger = connector_for(integration.ledger_account, lane="interactive")
    name = proposal.invoices.target["object"]
    target = schema_of(ledger, integration.ledger_account, name, SCHEMA_MAX_AGE)
    crm = integration.crm_account
    parts: dict[str, Mapping[str, Value]] = {
        "source": {
            "account_id": crm.remote_id,
            "account_name": crm.name,
            "currency": proposal.schema.currency or None,
        },
        "target": {"account_id": integration.ledger_account.remote_id, "account_name": integration.ledger_account.name},
        "setup": dict(integration.setup),
        "setting": default_settings(proposal.invoices),
    }
    mapped = map_record(compiled, found, parts, target)
    return Example(found, mapped, ledger.estimate(name, mapped.fields, mapped.lines or [], {}))


def _compiled(integration: Integration, proposal: Proposal) -> CompiledMapping:
    """The mapping, made for a moment: checked as a version is that is to be published, compiled, and forgotten."""
    with transaction.atomic():
        draft = _checked_draft(integration, proposal)
        compiled = compile_mapping(draft)
        transaction.set_rollback(True)
    return compiled


def _checked_draft(integration: Integration, proposal: Proposal) -> MappingSet:
    _know(integration, proposal)
    draft = presets.draft_of(integration, proposal.invoices)
    check_mapping(draft)
    return draft


def _know(integration: Integration, proposal: Proposal) -> None:
    """The schema of the object, as every flow keeps it with its account."""
    entry = {"at": timezone.now().isoformat(), "schema": dump_schema(proposal.schema)}
    account = integration.crm_account
    account.schemas = account.schemas | {proposal.source.name: entry}
    account.save(update_fields=["schemas"])


# --- Making it ----------------------------------------------------------------------------------------------------


@transaction.atomic
def create(integration: Integration, proposal: Proposal, user: Any) -> Flow:
    """The source, its mapping, its flow and the flow that brings states back, switched off; the flow. Doing it twice
    changes nothing. Raises `ValidationError` when the mapping is not fit to be used."""
    source = proposal.source
    if source._state.adding:
        source.full_clean()
        source.save()
    _know(integration, proposal)
    if not Flow.objects.filter(integration=integration, slug=proposal.invoices.slug).exists():
        check_mapping(presets.draft_of(integration, proposal.invoices, user=user))
    flow = install_one(integration, proposal.invoices, user=user)
    states = install_one(integration, proposal.states, user=user)
    if not proposal.follows:
        # It has nothing to write: it only knows which invoice began as which record.
        states.scheduled = False
        states.save(update_fields=["scheduled"])
    _name_source(integration, source, states, user)
    return flow


def _name_source(integration: Integration, source: CustomSource, states: Flow, user: Any) -> None:
    """From now on the record of an invoice names the record that it began as."""
    records = MappingSet.objects.filter(integration=integration, slug=RECORDS)
    published = records.filter(state=State.PUBLISHED).first()
    if published is None or records.filter(state=State.DRAFT).exists():
        return
    if published.link_rules.filter(name=source.name).exists():
        return
    draft = new_draft(published, user, note=_("Invoices of %(label)s name their record.") % {"label": source.label})
    position = draft.link_rules.count() + 1
    LinkRule.objects.create(
        mapping_set=draft,
        position=position,
        name=source.name,
        expression="invoice.DocumentNumber",
        related_slug=states.slug,
    )
    publish(draft, user, check=False)
