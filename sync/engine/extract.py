"""Extract: which records of a page have really changed.

The page says what the remote thinks changed; the link says what we last looked at. What is equal is dropped here, at
the cost of two queries a page and, for objects whose list lacks mapped fields, one detail call per record that the
list reports. The invariant: a record is dropped only when its mapped fields are known to be unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.db.models import Max, Q

from integrations.connector import Record
from integrations.errors import AuthenticationFailed, RateLimited, SyncError, TooLarge, Transient
from mappings.mapper import fingerprint
from sync.engine import feedback, gone, links
from sync.engine.context import FlowContext
from sync.engine.routing import Route, moved_away, split
from sync.engine.routing_rules import Judged
from sync.models import Change, EntityLink, Flow, SyncRun
from sync.states import LOOK, OPEN, State

LOAD_ROUNDS = 4
"""How often records whose detail failed for the moment are asked for again before the page gives up."""


@dataclass(slots=True)
class Extracted:
    """The outcome for one page: what to plan, with the existing links, and what was dropped."""

    records: list[Record] = field(default_factory=list)
    fingerprints: dict[str, str] = field(default_factory=dict)
    links: dict[str, EntityLink] = field(default_factory=dict)
    unreadable: list[tuple[str, SyncError]] = field(default_factory=list)
    judged: dict[str, Judged] = field(default_factory=dict)
    held: dict[str, Route] = field(default_factory=dict)
    unchanged: int = 0
    seen: int = 0


def extract(
    ctx: FlowContext,
    listed: Sequence[Record],
    *,
    by_version: bool,
    force: bool = False,
    asked: bool = False,
    run: SyncRun | None = None,
) -> Extracted:
    """Drop what has not changed from `listed` (one remote page).

    `by_version` trusts the hash of the list row (subset and full scans, where the remote did not say that the record
    changed); otherwise every record that a delta list reports is read in full. `force` keeps everything, `asked` also
    what the flow does not take by itself. What `run` itself planned already, before it was interrupted, is not read
    again.
    """
    result = Extracted(seen=len(listed))
    _seen_through(ctx, listed)
    result.links = links.by_source(ctx.flow, [record.id for record in listed])
    gone.thaw(ctx, list(result.links.values()))
    listed = [record for record in listed if not _foreign(ctx, result.links.get(record.id))]
    erased = links.erased(ctx.flow, [record.id for record in listed])
    listed = [
        record for record in listed if not moved_away(ctx, result.links.get(record.id)) and record.id not in erased
    ]
    if ctx.unless_linked_as:
        fresh = [record.id for record in listed if record.id not in result.links]
        elsewhere = links.known_as(ctx.flow, ctx.unless_linked_as, fresh) if fresh else set()
        listed = [record for record in listed if record.id not in elsewhere]
    if not (force or asked):
        listed = [record for record in listed if _takes(ctx, record, result.links.get(record.id))]
    result.unchanged = result.seen - len(listed)
    here = _planned_here(run, listed)
    candidates = [
        record
        for record in listed
        if force
        or not (
            here.get(record.id) == record.version
            or (by_version and _version_known(ctx, result.links.get(record.id), record))
        )
    ]
    result.unchanged += len(listed) - len(candidates)
    full = _complete(ctx, candidates, result)
    again = run is not None and run.full  # everything is looked at anew, also what was left out on purpose
    known = {} if force else _known_fingerprints(ctx, [record.id for record in full], skipped=not again)
    seen_again: list[EntityLink] = []
    asked_again = feedback.asked_again(ctx, full)
    for record in full:
        print_ = fingerprint(ctx.watched, record)
        link = result.links.get(record.id)
        sent_again = force or record.id in asked_again
        if not sent_again and known.get(record.id) == print_:
            result.unchanged += 1
        elif not sent_again and link and links.fingerprint(ctx.flow, link) == print_ and record.id not in known:
            result.unchanged += 1
            if record.version != links.version(ctx.flow, link):
                seen_again.append(links.looked(ctx.flow, link, print_, record.version))
        else:
            result.records.append(record)
            result.fingerprints[record.id] = print_
    mine = split(ctx, result.records)
    result.unchanged += len(result.records) - len(mine.records)  # left to the other companies
    result.records, result.judged, result.held = mine.records, mine.judged, mine.held
    links.save_looked(ctx.flow, seen_again)
    return result


def _foreign(ctx: FlowContext, link: EntityLink | None) -> bool:
    """Whether the record only mirrors a document of the ledger: such a mirror never writes back into it."""
    return link is not None and ctx.mapping.promise is not None and link.origin == ctx.flow.target_side


def _takes(ctx: FlowContext, record: Record, link: EntityLink | None) -> bool:
    """Whether the flow takes this record by itself, before anything is read of it.

    A document that carries a reference of ours was created from a record of the other side, even where the link is
    not stored yet: it must not come back as a second record there.
    """
    returned = link is not None and link.origin == ctx.flow.target_side
    match ctx.flow.takes:
        case Flow.Takes.LINKED:
            return link is not None and not returned
        case Flow.Takes.KNOWN:
            return link is not None
        case Flow.Takes.RETURNED:
            return returned
        case Flow.Takes.OWN:
            marker = ctx.source.markers.get(ctx.flow.source_object, "")
            carried = str(record.fields.get(marker) or "") if marker and link is None else ""
            return not returned and not carried.startswith(links.reference_prefix(ctx.target_account.remote_id))
        case _:
            return True


def _version_known(ctx: FlowContext, link: EntityLink | None, record: Record) -> bool:
    return bool(link and record.version and links.version(ctx.flow, link) == record.version)


def _seen_through(ctx: FlowContext, listed: Sequence[Record]) -> None:
    """A new version of the mapping may want other fields of a record that did not change: its list hash is another."""
    for record in listed:
        record.version = links.list_version(ctx.mapping_set.pk, record.version)


def _complete(ctx: FlowContext, records: list[Record], result: Extracted) -> list[Record]:
    """`records` with everything the mapping reads; loads in bulk what the list did not carry."""
    whole = [record for record in records if record.complete]
    partial = {record.id: record for record in records if not record.complete}
    if not partial:
        return whole
    for loaded in load_patiently(ctx, list(partial)):
        if isinstance(loaded, Record):
            # The list row's hash, not the detail's: only the former can be compared without another detail call.
            loaded.version = partial[loaded.id].version
            whole.append(loaded)
            continue
        record_id, error = loaded
        if isinstance(error, Transient | RateLimited | AuthenticationFailed):
            raise error  # the run stops at this page and comes back to it
        result.unreadable.append((record_id, error))
    return whole


def load_patiently(ctx: FlowContext, ids: list[str]) -> Iterator[Record | tuple[str, SyncError]]:
    """As `Connector.load`, asking again for those whose answer got lost or spoilt, while most answers arrive.

    One failure in a hundred calls would otherwise stop every page of five hundred records, each time from its start.
    """
    for rounds_left in range(LOAD_ROUNDS, -1, -1):
        failed: list[tuple[str, SyncError]] = []
        for loaded in ctx.source.load(ctx.flow.source_object, ids, ctx.reads):
            if isinstance(loaded, tuple) and isinstance(loaded[1], Transient | TooLarge):
                failed.append(loaded)
            else:
                yield loaded
        if not failed:
            return
        if not rounds_left or len(failed) > max(3, len(ids) // 2):
            yield from failed
            return
        ids = [record_id for record_id, _error in failed]


def _planned_here(run: SyncRun | None, listed: Sequence[Record]) -> dict[str, str]:
    """List versions of the incomplete records that this run planned before it was interrupted."""
    ids = [record.id for record in listed if not record.complete and record.version]
    if run is None or not ids or not run.seen:
        return {}
    rows = Change.objects.filter(run=run, source_id__in=ids).exclude(state=State.SUPERSEDED)
    return dict(rows.values_list("source_id", "source_version"))


def _known_fingerprints(ctx: FlowContext, ids: list[str], *, skipped: bool) -> dict[str, str]:
    """Fingerprint of the newest change per record that is open, or was skipped or dismissed after the last delivery.

    A record whose latest plan already says this, or that a person dismissed as it is, is not planned again.
    """
    newest = (
        Change.objects.filter(flow=ctx.flow, source_id__in=ids)
        .exclude(state=State.SUPERSEDED)
        .values("source_id")
        .annotate(last=Max("pk"))
        .values_list("last", flat=True)
    )
    # What a card only looked at is no decision about the record: a scan plans it all the same.
    looked = Q(state=State.PLANNED, decision=LOOK) & Q(generation=1)
    rows = (
        Change.objects.filter(pk__in=list(newest))
        .exclude(looked)
        .values_list("source_id", "state", "source_fingerprint", "mapping_set_id")
    )
    keep = {*OPEN, State.DISMISSED} | ({State.SKIPPED} if skipped else set())
    return {
        source_id: print_ if version == ctx.mapping_set.pk else ""
        for source_id, state, print_, version in rows
        if state in keep
    }
