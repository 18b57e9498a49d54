"""Making a draft of a mapping file, or of a mapping of another integration, under the editor's own checks.

One transaction: a file that is refused leaves nothing. The invariants: an import never publishes and never touches a
version, a value map or a sample that was there before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Integration
from mappings.bundle import HEAD, SECTIONS, Bundle, bundle_of, systems_of
from mappings.bundle_diff import Edit, edits
from mappings.bundle_reading import MODELS, BundleError
from mappings.expressions import key_of
from mappings.models import MappingSet, State, ValueMap, ValueMapEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made or would make: the draft, how it differs from the version in force, and, for a clone, what
    the other side lacks."""

    draft: MappingSet
    edits: list[Edit]
    lacking: list[str] = field(default_factory=list)
    base: MappingSet | None = None


class _DryRun(Exception):
    """Ends the transaction of a dry run."""


def preview(integration: Integration, content: Bundle, user: User | None, *, lenient: bool = False) -> Imported:
    """As `make_draft`, and nothing of it stays."""
    made: list[Imported] = []
    try:
        with transaction.atomic():
            made.append(make_draft(integration, content, user, lenient=lenient))
            raise _DryRun
    except _DryRun:
        return made[0]


@transaction.atomic
def make_draft(
    integration: Integration, content: Bundle, user: User | None, *, note: str = "", lenient: bool = False
) -> Imported:
    """A draft with the content of a file that `bundle_reading.read` returned. Raises `BundleError` with every reason.

    `lenient` is for clones: what the other side's schema lacks is listed instead of refused; publishing refuses it.
    """
    head = content["mapping"]
    family = MappingSet.objects.select_for_update().filter(integration=integration, slug=head["slug"])
    versions = list(family)
    base = next((row for row in versions if row.state == State.PUBLISHED), None)
    _fits(integration, content, versions)
    last = max((row.version for row in versions), default=0)
    draft = MappingSet(
        integration=integration, version=last + 1, based_on=base, note=note[:300], created_by=user,
        created_at=timezone.now(), **{name: head.get(name, "") for name in HEAD},
    )  # fmt: skip
    problems: list[str] = []
    lacking: list[str] = []
    _save(draft, "mapping", problems, lacking if lenient else problems)
    _stop(problems)
    maps = _value_maps(draft, content.get("value_maps", []), problems)
    draft.__dict__.pop("table_names", None)  # it was read before the maps were there
    for section in SECTIONS:
        for number, row in enumerate(content.get(section, []), start=1):
            rule = _rule(draft, section, number, row, maps, problems)
            if rule is not None:
                _save(rule, f"{section}.{number - 1}", problems, lacking if lenient else problems)
    _stop(problems)
    draft = MappingSet.objects.select_related("integration__crm_account", "integration__ledger_account").get(
        pk=draft.pk
    )
    found = (
        edits(bundle_of(base), bundle_of(draft)) if base else edits({"mapping": content["mapping"]}, bundle_of(draft))
    )
    return Imported(draft, found, lacking, base)


def clone(mapping_set: MappingSet, integration: Integration, user: User | None) -> Imported:
    """A draft in another integration with the rules and value maps of this version. Raises `BundleError`."""
    content = bundle_of(mapping_set)
    if content["systems"] != systems_of(integration):
        content = {**content, "systems": systems_of(integration)}  # other fields, which are listed one by one
    note = _("Cloned from %(mapping)s of %(integration)s") % {
        "mapping": mapping_set, "integration": mapping_set.integration,
    }  # fmt: skip
    return make_draft(integration, content, user, note=note, lenient=True)


def _fits(integration: Integration, content: Bundle, versions: list[MappingSet]) -> None:
    head = content["mapping"]
    there = systems_of(integration)
    given = {**there, **content.get("systems", {})}
    if given != there:
        text = _(
            "systems: the file is for %(given)s, this integration is %(there)s. "
            "Choose an integration of the same systems."
        )
        raise BundleError(
            text % {"given": " ↔ ".join(given.values()), "there": " ↔ ".join(there.values())}, code="foreign"
        )
    for row in versions:
        for name in ("source_side", "source_object", "target_side", "target_object"):
            if getattr(row, name) != head[name]:
                text = _(
                    "mapping.%(name)s: “%(given)s” is in the file, “%(there)s” in the mapping “%(slug)s” here. "
                    "Give the file another slug, or choose the integration it was made for."
                )
                texts = {"name": name, "given": head[name], "there": getattr(row, name), "slug": row.slug}
                raise BundleError(text % texts, code="foreign")
        if row.editable:
            text = _("There is already a draft of this mapping (version %(n)d). Publish or delete it, then try again.")
            raise BundleError(text % {"n": row.version}, code="draft_exists")


def _rule(
    draft: MappingSet, section: str, number: int, row: Mapping[str, Any], maps: Mapping[str, ValueMap],
    problems: list[str],
) -> models.Model | None:  # fmt: skip
    values = dict(row)
    if "value_map" in values:
        name = values["value_map"]
        if name not in maps:
            text = _(
                "%(field)s: there is no value map “%(name)s” in the file or in this integration. Add it to the file."
            )
            problems.append(text % {"field": f"{section}.{number - 1}.value_map", "name": name})
            return None
        values["value_map"] = maps[name]
    return MODELS[section](mapping_set=draft, position=number, **values)


def _value_maps(draft: MappingSet, rows: list[Mapping[str, Any]], problems: list[str]) -> dict[str, ValueMap]:
    """The maps by name: the integration's own where they are equal, else the draft's own, which win by name."""
    shared = ValueMap.objects.filter(integration_id=draft.integration_id, mapping_set=None).prefetch_related("entries")
    found = {row.name: row for row in shared}
    seen: set[str] = set()
    for number, row in enumerate(rows):
        place = f"value_maps.{number}"
        if row["name"] in seen:
            problems.append(
                _("%(field)s: the value map “%(name)s” is there twice.") % {"field": place, "name": row["name"]}
            )
            continue
        seen.add(row["name"])
        keys = Counter(key_of(source) for source in row["entries"])
        twice = next((source for source in row["entries"] if keys[key_of(source)] > 1), None)
        if twice is not None:
            text = _("%(field)s: “%(value)s” is translated twice; case and spaces do not count.")
            problems.append(text % {"field": f"{place}.entries", "value": twice})
            continue
        there = found.get(row["name"])
        if there is not None and _equal(there, row):
            continue
        own = ValueMap(
            integration_id=draft.integration_id, mapping_set=draft, name=row["name"],
            unmapped=row.get("unmapped") or "block", default_value=row.get("default_value", ""),
        )  # fmt: skip
        _save(own, place, problems, problems)
        if own.pk:
            for source, target in row["entries"].items():
                ValueMapEntry.objects.create(value_map=own, source_value=source, target_value=target)
            found[own.name] = own
    return found


def _equal(there: ValueMap, row: Mapping[str, Any]) -> bool:
    entries = {entry.source_value: entry.target_value for entry in there.entries.all()}
    return (there.unmapped, there.default_value, entries) == (
        row.get("unmapped") or "block", row.get("default_value", ""), dict(row["entries"]),
    )  # fmt: skip


def _save(row: Any, place: str, problems: list[str], missing: list[str]) -> None:
    """Saves a row that is in itself possible; what the editor would refuse about it goes to `missing`."""
    try:
        row.clean_fields()
    except ValidationError as error:
        problems += _said(place, error)
        return
    try:
        row.clean()
    except ValidationError as error:
        missing += _said(place, error)
        if missing is problems:
            return
    try:
        with transaction.atomic():
            row.save()
    except (IntegrityError, ValidationError):
        text = _("%(field)s: it is there twice, or only half of what belongs together is given.")
        problems.append(text % {"field": place})


def _said(place: str, error: ValidationError) -> list[str]:
    rows = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    return [f"{place}{'.' if name else ''}{name}: {text}" for name, texts in rows.items() for text in texts]


def _stop(problems: list[str]) -> None:
    if problems:
        raise BundleError(problems[:50], code="refused")


__all__ = ["Imported", "clone", "make_draft", "preview"]
