"""Installing a preset: rows of a mapping set, published as version 1.

The invariant: installing twice changes nothing, so that an interrupted onboarding can simply be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Max

from integrations.models import Integration
from mappings.models import (
    FieldMapping,
    LinkRule,
    LookupRule,
    MappingSet,
    MatchRule,
    State,
    ValidationRule,
    ValueMap,
    ValueMapEntry,
    publish,
)
from mappings.presets.loading import Preset

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def install(
    integration: Integration, preset: Preset, *, match_order: str = "default", user: User | None = None
) -> MappingSet:
    """The published mapping set of a preset for this integration, made now unless it exists.

    A preset without the match order asked for uses its default: the choice is made once for a pair of systems.
    """
    family = MappingSet.objects.filter(integration=integration, slug=preset.slug)
    published = family.filter(state=State.PUBLISHED).first()
    if published is not None:
        return published
    draft = family.filter(state=State.DRAFT).first()
    return publish(draft or draft_of(integration, preset, match_order=match_order, user=user), user, check=False)


@transaction.atomic
def draft_of(
    integration: Integration, preset: Preset, *, match_order: str = "default", user: User | None = None
) -> MappingSet:
    """A new draft with the preset's rules."""
    family = MappingSet.objects.filter(integration=integration, slug=preset.slug)
    latest = family.aggregate(latest=Max("version"))["latest"] or 0
    draft = _mapping_set(integration, preset, latest + 1, user)
    _rules(draft, preset, match_order, _value_maps(integration, preset))
    return draft


def _mapping_set(integration: Integration, preset: Preset, version: int, user: User | None) -> MappingSet:
    unique = preset.mapping.get("unique", {})
    line_unique = preset.mapping.get("line_unique", {})
    promise = preset.mapping.get("promise", {})
    return MappingSet.objects.create(
        integration=integration,
        slug=preset.slug,
        name=preset.name,
        version=version,
        source_side=preset.source["side"],
        source_object=preset.source["object"],
        target_side=preset.target["side"],
        target_object=preset.target["object"],
        unique_field=unique.get("field", ""),
        unique_expression=unique.get("expression", ""),
        line_unique_field=line_unique.get("field", ""),
        line_unique_expression=line_unique.get("expression", ""),
        title_expression=preset.mapping.get("title", ""),
        promise_expression=promise.get("amount", ""),
        promise_currency_expression=promise.get("currency", ""),
        created_by=user,
    )


def _value_maps(integration: Integration, preset: Preset) -> dict[str, ValueMap]:
    """Shared by the integration, so that a person can add a translation without a new version. Existing maps stay."""
    maps: dict[str, ValueMap] = {}
    for row in preset.value_maps:
        value_map, created = ValueMap.objects.get_or_create(
            integration=integration,
            mapping_set=None,
            name=row["name"],
            defaults={"unmapped": row.get("unmapped", "block"), "default_value": row.get("default", "")},
        )
        maps[value_map.name] = value_map
        if created:
            for source, target in row["entries"].items():
                ValueMapEntry.objects.create(value_map=value_map, source_value=source, target_value=target)
    return maps


def _rules(mapping_set: MappingSet, preset: Preset, match_order: str, value_maps: Mapping[str, ValueMap]) -> None:
    # Row by row: bulk_create would leave no history.
    for position, row in enumerate(preset.mapping["fields"], start=1):
        options: dict[str, Any] = dict(row)
        options["target_field"] = options.pop("target")
        if "value_map" in options:
            options["value_map"] = value_maps[options["value_map"]]
        FieldMapping.objects.create(mapping_set=mapping_set, position=position, **options)
    orders = preset.match_orders
    for position, row in enumerate(orders.get(match_order, orders["default"]), start=1):
        MatchRule.objects.create(mapping_set=mapping_set, position=position, **row)
    for position, row in enumerate(preset.mapping.get("validations", ()), start=1):
        ValidationRule.objects.create(mapping_set=mapping_set, position=position, **row)
    for position, row in enumerate(preset.mapping.get("links", ()), start=1):
        LinkRule.objects.create(mapping_set=mapping_set, position=position, **row)
    for position, row in enumerate(preset.mapping.get("lookups", ()), start=1):
        LookupRule.objects.create(mapping_set=mapping_set, position=position, **row)
