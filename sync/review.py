"""The review queue: failures in groups that one repair would release, and what a person does with one of them.

Failures are grouped by fingerprint (class, code, field, value). Before a group is released, its records are planned
again without storing anything, so that support sees what the repair was worth (I-05). The invariant: planning for a
forecast changes no plan, no link and no remote record; whatever a person does here is logged with their name.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, F, Max, Min, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext as _

from integrations.catalogue import Entry, explain_first
from integrations.connector import Record
from integrations.errors import AuthenticationFailed, Misconfigured, RateLimited, SyncError, Transient
from integrations.models import ConnectedAccount
from mappings.models import MappingSet
from sync.engine.context import FlowContext, build
from sync.engine.extract import extract, load_patiently
from sync.engine.match import Lookup
from sync.engine.outcomes import as_bug
from sync.engine.plan import plan
from sync.models import Change, ChangeQuerySet, Flow, ReviewNote, SyncLogEntry
from sync.states import State

GROUPS = 1_000
"""The most groups that are read at once, oldest first."""
SAMPLES = 3
CHUNK = 25
KEY = ("error_fingerprint", "error_class", "error_code")

Key = tuple[str, str, str]
Systems = tuple[str, str]
Row = tuple[str, str, int]
"""Source id, decision and generation of a change."""


@dataclass(slots=True)
class Group:
    """Failures that one repair would release. `samples` are the newest of them; `entry` says what the code means."""

    key: Key
    n: int
    oldest: datetime
    flows: int
    entry: Entry
    samples: list[Change] = field(default_factory=list)

    @property
    def sample(self) -> Change:
        """The newest of the group."""
        return self.samples[0]


def groups(changes: ChangeQuerySet, systems: Mapping[int, Systems], *, responsible: str = "", stubs: bool = False,
           offset: int = 0, limit: int = 50) -> tuple[list[Group], int]:  # fmt: skip
    """One page of the groups among `changes` that need a person, oldest first, and how many groups there are.

    `systems` is `systems_of` per flow id. `responsible` keeps those that this side can put right, `stubs`
    those whose code is not in the catalogue. Two queries, however many changes there are.
    """
    rows = (
        changes.needing_person()
        .order_by()
        .values(*KEY)
        .annotate(
            n=Count("pk"), oldest=Min("created_at"), flows=Count("flow", distinct=True), flow_id=Max("flow"),
            sample_id=Max("pk"), message=Max("error_message"),
        )
        .order_by("oldest", "sample_id")[:GROUPS]
    )  # fmt: skip
    found = []
    for row in rows:
        entry = entry_of(systems.get(row["flow_id"], ("", "")), row["error_code"], row["message"])
        if (not responsible or entry.responsible == responsible) and not (stubs and entry.known):
            key = (row["error_fingerprint"], row["error_class"], row["error_code"])
            found.append(Group(key, row["n"], row["oldest"], row["flows"], entry))
    page = found[offset : offset + limit]
    _add_samples(changes, page)
    return page, len(found)


def _add_samples(changes: ChangeQuerySet, page: list[Group]) -> None:
    by_key = {group.key: group for group in page}
    place = Window(RowNumber(), partition_by=[F(name) for name in KEY], order_by="-pk")
    rows = (
        changes.needing_person()
        .filter(error_fingerprint__in={key[0] for key in by_key}, error_code__in={key[2] for key in by_key})
        .annotate(place=place)
        .filter(place__lte=SAMPLES)
        .select_related("flow", "integration__organization")
        .defer("payload", "agreed", "diff", "candidates", "verifications")
        .order_by("-pk")
    )
    for change in rows:
        if group := by_key.get(key_of(change)):
            group.samples.append(change)
    page[:] = [group for group in page if group.samples]  # one may have been released between the two queries


def key_of(change: Change) -> Key:
    """The group that a change belongs to."""
    return (change.error_fingerprint, change.error_class, change.error_code)


def in_group(changes: ChangeQuerySet, key: Key) -> ChangeQuerySet:
    """Those of `changes` that need a person for the reason of this group."""
    return changes.needing_person().filter(**dict(zip(KEY, key, strict=True)))


def systems_of(flow: Flow) -> Systems:
    """(target system, source system) of a flow, which comes with its integration and both accounts."""
    return target_account(flow).system, flow.integration.account(flow.source_side).system


def entry_of(systems: Systems, code: str, message: str = "") -> Entry:
    """What a code means: as the target's, else as the source's (which may refuse to be read), else as a stub."""
    return explain_first(systems, code, message)


def explained(change: Change) -> Entry:
    """What the error of `change` means; it comes with its flow and both accounts."""
    return entry_of(systems_of(change.flow), change.error_code, change.error_message)


def target_account(flow: Flow) -> ConnectedAccount:
    """The account that the flow writes to."""
    return flow.integration.account(flow.target_side)


# --- what a repair would release ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Forecast:
    """What releasing a group would do: `released` of the `looked` first of `total` would go through.

    `still` counts, by code, those that would come back; `error` says why the forecast could not be finished.
    """

    total: int = 0
    looked: int = 0
    released: int = 0
    still: Counter[str] = field(default_factory=Counter)
    error: SyncError | None = None

    @property
    def complete(self) -> bool:
        """Whether every change of the group was looked at."""
        return self.looked == self.total


def would_release(changes: ChangeQuerySet, limit: int = 200, seconds: float = 20.0) -> Forecast:
    """How many of `changes` would no longer need a person if they were planned again now.

    Reads the source records, in bulk where the source can, and what the targets hold; plans them in memory. Stops
    after `limit` changes or `seconds`. Stores nothing but what the target says about its own fields, which is kept
    with the account as always. Never raises for a remote's failure: it ends the forecast and stands in it.
    """
    forecast = Forecast(total=changes.count())
    rows = changes.order_by("flow_id", "pk").values_list("flow_id", "source_id", "decision", "generation")[:limit]
    by_flow: dict[int, list[Row]] = {}
    for flow_id, source_id, decision, generation in rows:
        by_flow.setdefault(flow_id, []).append((source_id, decision, generation))
    until = time.monotonic() + seconds
    try:
        for flow in Flow.objects.filter(pk__in=by_flow).order_by("pk"):
            _forecast_flow(build(flow, lane="interactive"), by_flow[flow.pk], forecast, until)
    except SyncError as error:
        forecast.error = error
    except MappingSet.DoesNotExist:
        forecast.error = Misconfigured(_("The flow has no published mapping."), code="no_mapping")
    return forecast


def _forecast_flow(ctx: FlowContext, rows: Sequence[Row], forecast: Forecast, until: float) -> None:
    # Somebody may have added an option or a field at the target a minute ago: that is what a repair often is.
    ctx.schema("target", max_age=timedelta(0))
    lookup = Lookup(ctx, len(rows))
    for start in range(0, len(rows), CHUNK):
        if time.monotonic() > until and forecast.looked:
            return
        chunk = rows[start : start + CHUNK]
        failing = _would_fail(ctx, chunk, lookup)
        forecast.looked += len(chunk)
        forecast.released += len(chunk) - len(failing)
        forecast.still.update(failing.values())


def _would_fail(ctx: FlowContext, chunk: Sequence[Row], lookup: Lookup) -> dict[str, str]:
    """As `_planned_in_memory`; a record that our own code stumbles over counts as failing and stops no other."""
    try:
        return _planned_in_memory(ctx, chunk, lookup)
    except SyncError:
        raise
    except Exception as exception:  # what was a fault when it was planned is likely to be one again
        if len(chunk) == 1:
            return {chunk[0][0]: as_bug(exception).code}
    return {key: code for row in chunk for key, code in _would_fail(ctx, [row], lookup).items()}


def _planned_in_memory(ctx: FlowContext, chunk: Sequence[Row], lookup: Lookup) -> dict[str, str]:
    """Source ids of `chunk` that would need a person again, with the code why."""
    records: list[Record] = []
    unreadable: list[tuple[str, SyncError]] = []
    for loaded in load_patiently(ctx, [source_id for source_id, _decision, _generation in chunk]):
        if isinstance(loaded, Record):
            records.append(loaded)
        elif isinstance(loaded[1], Transient | RateLimited | AuthenticationFailed):
            raise loaded[1]
        else:
            unreadable.append(loaded)
    extracted = extract(ctx, records, by_version=False, force=True)
    extracted.unreadable = unreadable
    create = {source_id: generation for source_id, decision, generation in chunk if decision == "create"}
    planned = plan(ctx, extracted, lookup, None, create)
    return {change.source_id: change.error_code for change in planned.changes if change.state == State.REVIEW}


# --- what a person does with one failure ----------------------------------------------------------------------------


def members(change: Change) -> list[User]:
    """Who a change may be assigned to: the active members of its organization."""
    people = User.objects.filter(is_active=True, memberships__organization=change.integration.organization)
    return list(people.order_by("username").distinct())


def assign(change: Change, to: User | None, user: Any) -> None:
    """Make `to` the one who looks after the change; None for nobody. Raises `ValueError` for one who is no member of
    the change's organization."""
    if to is not None and to not in members(change):
        raise ValueError(_("This person is not a member of the organization."))
    with transaction.atomic():
        Change.objects.filter(pk=change.pk).update(assigned_to=to)
        _log(change, "assigned", f"assigned to {to} by {user}" if to else f"assigned to nobody by {user}", user)


def add_note(change: Change, text: str, user: Any) -> ReviewNote:
    """Keep a note with the change. Raises `ValueError` for an empty one."""
    text = text.replace("\x00", "").strip()  # a character that no database keeps
    if not text:
        raise ValueError(_("Write something first."))
    with transaction.atomic():
        _log(change, "note", f"note by {user}", user)
        return ReviewNote.objects.create(
            integration_id=change.integration_id, change=change, user=user, text=text[:5000]
        )


def notes(change: Change) -> list[ReviewNote]:
    """What was written about the record in this flow, oldest first; a retry makes a new change, and notes stay."""
    rows = ReviewNote.objects.filter(change__flow_id=change.flow_id, change__source_id=change.source_id)
    return list(rows.select_related("user").order_by("pk")[:100])


def _log(change: Change, event: str, message: str, user: Any) -> None:
    SyncLogEntry.objects.create(
        integration_id=change.integration_id, run_id=change.run_id, change=change, user=user, event=event,
        message=message[:2000],
    )  # fmt: skip
