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
from mappings.models.pinned import PinnedMaps, pin
from mappings.models.value_map import ValueMap

if TYPE_CHECKING:
    from django.contrib.auth.models import User

RULES = ("field_mappings", "match_rules", "validations", "link_rules", "lookups")


@transaction.atomic
def publish(
    mapping_set: MappingSet, user: User | None, *, check: bool = True, revision: int | None = None, maps: str = ""
) -> MappingSet:
    """Puts a draft in force and retires the version before it. Raises `ValidationError` with every reason.

    `check=False` is for presets, which are tested as data and installed before set-up has created their fields; golden
    samples block those too. `revision` is that of the draft which the person looked at, `maps` the stamp of its value
    maps (`bundle.maps_stamp`): other ones are refused.
    """
    from mappings import bundle, golden  # they need the models

    family = list(MappingSet.objects.select_for_update(of=("self",)).select_related("published_by", "edited_by")
                  .family(mapping_set))  # fmt: skip
    draft = next((row for row in family if row.pk == mapping_set.pk), None)
    if draft is None or not draft.editable:
        raise ValidationError(_not_a_draft(draft), code="not_a_draft")
    if revision is not None and draft.revision != revision:
        text = _("%(who)s changed the draft after you opened this page. Look at it again, then publish.")
        raise ValidationError(text % {"who": draft.edited_by or _("Somebody")}, code="changed")
    if maps and maps != bundle.maps_stamp(draft):
        text = _("A value map of this mapping was edited after you opened this page. Look at it again, then publish.")
        raise ValidationError(text, code="changed")
    if check:
        check_mapping(draft)
    golden.check(draft)
    for row in family:
        if row.state == State.PUBLISHED:
            row.state = State.RETIRED
            row.save(update_fields=["state"])
    draft.state, draft.published_at, draft.published_by = State.PUBLISHED, timezone.now(), user
    draft.save(update_fields=["state", "published_at", "published_by"])
    pin(draft, bundle.maps_used(draft))
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
    draft.revision, draft.edited_by, draft.edited_at = 0, None, None
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
    """Publishes a new version that equals an older one, with the value maps which that one was published with. A draft
    that is open stays open, after it."""
    if mapping_set.editable:
        raise ValidationError(_("A draft cannot be rolled back to."), code="draft")
    with transaction.atomic():
        rows = MappingSet.objects.select_for_update().family(mapping_set)
        list(rows)
        parked = MappingSet.objects.drafts().family(mapping_set).first()
        if parked is not None:  # there is room for one draft at a time
            MappingSet.objects.filter(pk=parked.pk).update(slug=f"parked-{parked.pk}")
        note = _("Rolled back to version %(version)d") % {"version": mapping_set.version}
        draft = new_draft(mapping_set, user, note=note)
        kept = PinnedMaps.objects.filter(pk=mapping_set.pk).first()
        if kept is not None:
            PinnedMaps.objects.create(mapping_set=draft, maps=kept.maps)
        back = publish(draft, user)
        if parked is not None:
            last = max(back.version, parked.version)
            MappingSet.objects.filter(pk=parked.pk).update(slug=mapping_set.slug, version=last + 1)
        return back


def _not_a_draft(row: MappingSet | None) -> str:
    """Why a version cannot be published; of two people who publish at once the second one reads this."""
    if row is not None and row.published_at is not None:
        texts = {"version": row.version, "who": row.published_by or _("somebody")}
        text = _(
            "Only a draft can be published; version %(version)d was published already, by %(who)s. Nothing was done."
        )
        return text % texts
    return _("Only a draft can be published.")


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
