"""What publishing would change: how many linked records would get other values, and the orders that follow from it.

Sources are not stored here, so linked records are read again, in groups (see `trial`); where no rule that decides about
values differs, the answer is none, and nothing is read. The invariant: counting writes nothing; what is ordered is
planned and held (`sync.engine.resync`), never sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mappings import bundle
from mappings.bundle_diff import Edit, edits
from mappings.models import MappingSet, Resync
from sync import queue
from sync.lab import trial
from sync.lab.samples import flow_of, linked
from sync.models import Change, Flow, SyncLogEntry
from sync.states import State

CANARY = 5
MOST_ORDERED = 5_000
"""Records of one order; a full run is cheaper for more."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One group of linked records: the link to go on after (0: none is left), and the ids that would differ."""

    looked: int
    after: int
    differ: list[int]
    failing: int


def differences(draft: MappingSet, base: MappingSet | None) -> list[Edit]:
    """How the draft differs from the version in force, rule by rule."""
    if base is None:
        return []
    return edits(bundle.bundle_of(base), bundle.bundle_of(draft))


def writes_differ(found: Sequence[Edit]) -> bool:
    """Whether any of the differences can change what is written; else no record needs to be read."""
    return any(edit.writes for edit in found)


def count_group(stand: trial.Bench, after: int) -> Counted:
    """The next group of linked records below link `after` (0: from the newest). Raises `SyncError`."""
    rows = linked(stand.draft)
    rows = rows.filter(pk__lt=after) if after else rows
    column = f"{stand.draft.source_side}_id"
    found = list(rows.values_list("pk", column)[: trial.GROUP])
    by_id = {source: pk for pk, source in found}
    tried = trial.run(stand, list(by_id))
    differ = [by_id[row.id] for row in tried if row.writes and row.verdict in (trial.DIFFERS, trial.WORKS)]
    failing = sum(row.verdict == trial.FAILS for row in tried)
    return Counted(len(found), found[-1][0] if len(found) == trial.GROUP else 0, differ, failing)


def order(mapping_set: MappingSet, source_ids: Sequence[str], user: Any, *, first: int = 0) -> Resync | None:
    """Have these records planned under the version in force, the first few alone if wished; None for no records.

    Raises `ValueError` for more than `MOST_ORDERED`.
    """
    ids = list(dict.fromkeys(source_ids))
    if len(ids) > MOST_ORDERED:
        text = _("%(n)d records are too many to name one by one: start a full run of the flow instead.")
        raise ValueError(text % {"n": len(ids)})
    if not ids:
        return None
    until = min(first, len(ids)) if first else len(ids)
    made = Resync.objects.create(
        mapping_set=mapping_set, source_ids=ids, total=len(ids), until=until, created_by_id=getattr(user, "pk", None)
    )
    log(mapping_set, "re-sync asked for", f"{len(ids)} records, {until} first", user)
    transaction.on_commit(lambda: queue.kick(queue.BULK))
    return made


def go_on(asked: Resync, user: Any) -> bool:
    """The first few are well: plan the others too. False when somebody did so already, or stopped it."""
    with transaction.atomic():
        row = Resync.objects.select_for_update().get(pk=asked.pk)
        if row.stopped_at is not None or row.until >= row.total:
            return False
        row.until = row.total
        row.save(update_fields=["until"])
        log(asked.mapping_set, "re-sync goes on", f"{row.total - row.planned} more records", user)
        transaction.on_commit(lambda: queue.kick(queue.BULK))
    return True


def stop(asked: Resync, user: Any) -> bool:
    """Plan no more of it; what is planned stays held. False when it was over already."""
    moved = Resync.objects.filter(pk=asked.pk, stopped_at=None).update(stopped_at=timezone.now())
    if moved:
        log(asked.mapping_set, "re-sync stopped", f"{asked.planned} of {asked.total} planned", user)
    return bool(moved)


def written_since(mapping_set: MappingSet) -> list[str]:
    """Source ids of the records that later versions than this one wrote: what a rollback has to correct, newest
    first. One query; at most `MOST_ORDERED` and one."""
    later = MappingSet.objects.family(mapping_set).filter(version__gt=mapping_set.version)
    rows = Change.objects.filter(
        flow__integration_id=mapping_set.integration_id, flow__slug=mapping_set.slug, state=State.APPLIED,
        mapping_set__in=later,
    ).order_by("-pk")  # fmt: skip
    ids = rows.values_list("source_id", flat=True)[: 4 * MOST_ORDERED]
    return list(dict.fromkeys(ids))[: MOST_ORDERED + 1]


def source_ids(mapping_set: MappingSet, link_ids: Sequence[int]) -> list[str]:
    """The source records behind these links of the mapping, and of no other."""
    column = f"{mapping_set.source_side}_id"
    found: list[str] = []
    for start in range(0, len(link_ids), 500):
        rows = linked(mapping_set).filter(pk__in=link_ids[start : start + 500])
        found += rows.values_list(column, flat=True)
    return found


def flow_in_words(mapping_set: MappingSet) -> Flow | None:
    """The stored flow of the mapping, or None."""
    flow = flow_of(mapping_set)
    return flow if flow.pk else None


def log(mapping_set: MappingSet, event: str, message: str, user: Any) -> None:
    """A line in the integration's log."""
    SyncLogEntry.objects.create(
        integration_id=mapping_set.integration_id, event=event, message=f"{mapping_set}: {message}"[:2000],
        user_id=getattr(user, "pk", None),
    )  # fmt: skip
