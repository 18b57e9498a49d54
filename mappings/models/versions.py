"""Publishing, drafting and rolling back: the only writers of `MappingSet.state`.

The invariant: versions only move forward (draft → published → retired), one step per transaction, with every row
saved one by one so that its history is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mappings.models.compiling import check_mapping
from mappings.models.mapping_set import MappingSet, State
from mappings.models.value_map import ValueMap

if TYPE_CHECKING:
    from django.contrib.auth.models import User

RULES = ("field_mappings", "match_rules", "validations", "link_rules")


@transaction.atomic
def publish(mapping_set: MappingSet, user: User | None, *, check: bool = True) -> MappingSet:
    """Puts a draft in force and retires the version before it. Raises `ValidationError` with every reason.

    `check=False` is for presets, which are tested as data and installed before set-up has created their fields.
    """
    family = list(MappingSet.objects.select_for_update().family(mapping_set))
    draft = next((row for row in family if row.pk == mapping_set.pk), None)
    if draft is None or not draft.editable:
        raise ValidationError(_("Only a draft can be published."), code="not_a_draft")
    if check:
        check_mapping(draft)
    for row in family:
        if row.state == State.PUBLISHED:
            row.state = State.RETIRED
            row.save(update_fields=["state"])
    draft.state, draft.published_at, draft.published_by = State.PUBLISHED, timezone.now(), user
    draft.save(update_fields=["state", "published_at", "published_by"])
    return draft


@transaction.atomic
def new_draft(mapping_set: MappingSet, user: User | None, *, note: str = "") -> MappingSet:
    """A draft with the same rules and the next version number. Refused while another draft is open."""
    family = list(MappingSet.objects.select_for_update().family(mapping_set))
    if any(row.editable for row in family):
        raise ValidationError(_("There is already a draft of this mapping."), code="draft_exists")
    latest = max(row.version for row in family)
    original = MappingSet.objects.get(pk=mapping_set.pk)
    draft = MappingSet.objects.get(pk=mapping_set.pk)
    _renew(draft)
    draft.version, draft.state, draft.based_on, draft.note = latest + 1, State.DRAFT, original, note
    draft.created_by, draft.created_at = user, timezone.now()
    draft.published_by, draft.published_at = None, None
    draft.save()
    own_maps = _copy_value_maps(original, draft)
    for name in RULES:
        for rule in getattr(original, name).all():
            _renew(rule)
            rule.mapping_set = draft
            if getattr(rule, "value_map_id", None) in own_maps:
                rule.value_map = own_maps[rule.value_map_id]
            rule.save()
    return draft


def rollback(mapping_set: MappingSet, user: User | None) -> MappingSet:
    """Publishes a new version that equals an older one."""
    if mapping_set.editable:
        raise ValidationError(_("A draft cannot be rolled back to."), code="draft")
    with transaction.atomic():
        note = _("Rolled back to version %(version)d") % {"version": mapping_set.version}
        return publish(new_draft(mapping_set, user, note=note), user)


def _copy_value_maps(original: MappingSet, draft: MappingSet) -> dict[int, ValueMap]:
    copies: dict[int, ValueMap] = {}
    for value_map in original.value_maps.prefetch_related("entries"):
        key, entries = value_map.pk, list(value_map.entries.all())
        _renew(value_map)
        value_map.mapping_set = draft
        value_map.save()
        for entry in entries:
            _renew(entry)
            entry.value_map = value_map
            entry.save()
        copies[key] = value_map
    return copies


def _renew(row: models.Model) -> None:
    """Makes the next save an insert."""
    row.pk = None
    row._state.adding = True
    row._state.fields_cache = {}
