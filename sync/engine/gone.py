"""Records that are gone at a source: a merge moves their links to the record that remains, a deletion freezes them.

Nothing is ever deleted at the other side because of it (Q-22). The invariants: a merged record's link is moved or a
person is asked, never dropped; what waited to be sent for a record that is gone is not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Gone
from integrations.errors import ErrorClass
from sync.bulk import update_rows
from sync.engine import routing_merges
from sync.engine.context import FlowContext
from sync.engine.problems import error_fingerprint
from sync.engine.routing import MOVED
from sync.models import Change, ChangeQuerySet, EntityLink, SyncLogEntry, SyncRun
from sync.states import OPEN, REPLACEABLE, Action, State, move
from sync.texts import in_every_language, say

DELETED, MERGED = "deleted", "merged"


def follow(ctx: FlowContext, run: SyncRun, gone: Sequence[Gone]) -> None:
    """Follow deletions and merges that a page of the flow's source reports, before the page is planned: the record that
    remains must be planned with the link it takes over.

    Links of every pair that the source object takes part in are followed, within this integration. Seen again through
    the overlap, nothing changes. No query for a page that reports none.
    """
    if not gone:
        return
    gone = _to_the_end(gone)
    _carry_on(ctx, gone)
    ids = {item.id: item for item in gone}
    links = _links(ctx, [*ids, *(item.into for item in gone if item.into)])
    held = {(_other_object(ctx, link), _id(ctx, link)): link for link in links}
    elsewhere = routing_merges.documents_elsewhere(ctx, links, ids)
    moved: list[EntityLink] = []
    frozen: list[EntityLink] = []
    both: list[tuple[EntityLink, EntityLink, Gone]] = []
    for link in links:
        item = ids.get(_id(ctx, link))
        if item is None:
            continue
        other = held.get((_other_object(ctx, link), item.into)) if item.into else None
        other = other or elsewhere.get(link.pk)
        if item.into and other is None:
            moved.append(_moved(ctx, link, item))
            held[(_other_object(ctx, link), item.into)] = link  # two records merged into one: the first takes the place
        elif not link.frozen_reason:
            frozen.append(_frozen(ctx, link, item))
            both += [(link, other, item)] if other is not None else []
    with transaction.atomic():
        update_rows(moved, [f"{_side(ctx)}_{name}" for name in ("id", "fingerprint", "version")] + ["former"])
        update_rows([*moved, *frozen], ["frozen_reason"])
        SyncLogEntry.objects.bulk_create(_entry(ctx, run, link) for link in [*moved, *frozen])
        _stop(ctx, list(ids))
        _plan_anew(ctx, [_id(ctx, link) for link in moved])
        routing_merges.stay(ctx, [_id(ctx, link) for link in moved])
        routing_merges.follow_pins(ctx, run, gone)
        for link, other, item in both:
            _ask(ctx, run, link, other, item)


def _to_the_end(gone: Sequence[Gone]) -> list[Gone]:
    """Merges of merges, followed to the record that remains at last; none remains where that one was deleted."""
    into = {item.id: item.into for item in gone}

    def end(key: str) -> str:
        seen = {key}
        while key in into and into[key] not in seen:
            key = into[key]
            seen.add(key)
        return key

    return [Gone(item.id, end(item.into) if item.into else "") for item in gone]


def _carry_on(ctx: FlowContext, gone: Sequence[Gone]) -> None:
    """A create that was sent for a merged record, and of which nobody knows yet what became, goes on as the remaining
    record's: what it made is that one's document, and no second one is made for the same lines.

    First of all and for itself: under a new fence, whoever is sending or verifying it can no longer store a link for
    the record that is gone, and a link that was stored before is seen and moved."""
    into = {item.id: item.into for item in gone if item.into}
    if not into:
        return
    sent = Q(state__in=[State.SENDING, State.UNKNOWN]) | _LOST
    for change in _changes(ctx, list(into), OPEN).filter(sent, action=Action.CREATE):
        remains = into[change.source_id]
        theirs = Change.objects.filter(flow_id=change.flow_id, source_id=remains)
        with transaction.atomic():
            waiting = theirs.filter(state__in=REPLACEABLE).exclude(_LOST).exclude(action=Action.ACT)
            move(waiting, State.SUPERSEDED, message=f"a document of {change.source_id}, merged into it, is under way")
            if not theirs.open().exists():
                rows = Change.objects.filter(pk=change.pk, state=change.state)
                rows.update(source_id=remains, fence=F("fence") + 1)
                SyncLogEntry.objects.create(
                    integration_id=change.integration_id, run_id=change.run_id, change=change, event="record gone",
                    message=f"{change.source_id} was merged into {remains}, which goes on with what was sent",
                )  # fmt: skip


_LOST = Q(state=State.REVIEW, error_class=ErrorClass.OUTCOME_UNKNOWN)
"""What may have been made, and waits for a person to say so."""


def before_full(ctx: FlowContext, run: SyncRun) -> None:
    """A full run reads what there is, and what is gone is not: so those of the time since the last scan are followed
    before its first page, where the source tells of any (`tells_gone`). Otherwise the cursor that the run stores would
    pass them for good, and a record that took over another one would be planned as a new one."""
    if not run.full or run.resume or not getattr(ctx.source, "tells_gone", False):
        return
    scans = SyncRun.objects.filter(flow=ctx.flow, subset="").exclude(cursor_to="").order_by("-pk")
    since = scans.values_list("cursor_to", flat=True).first()
    if since is None:
        return
    for page in ctx.source.changed(ctx.flow.source_object, since, {ctx.flow.source_object: frozenset()}):
        follow(ctx, run, page.gone)


def _stop(ctx: FlowContext, ids: Sequence[str]) -> None:
    """What waits to be sent for records that are gone is not sent."""
    waiting = _changes(ctx, ids, REPLACEABLE).exclude(error_code=MERGED).exclude(_LOST)
    move(waiting, State.SUPERSEDED, message="the record is gone at its source")


def _plan_anew(ctx: FlowContext, ids: Sequence[str]) -> None:
    """What was planned for a remaining record before it took over a link is planned again, with it."""
    waiting = _changes(ctx, ids, REPLACEABLE)
    move(waiting, State.RETRYING, message="it took over a link", replan=True, due_at=timezone.now(), approved_by=None)


def _changes(ctx: FlowContext, ids: Sequence[str], states: Sequence[State]) -> ChangeQuerySet:
    rows = Change.objects.filter(
        integration_id=ctx.integration.pk, flow__source_object=ctx.flow.source_object,
        flow__source_side=ctx.flow.source_side, source_id__in=list(ids), state__in=[str(state) for state in states],
    )  # fmt: skip
    return rows.exclude(action=Action.ACT)


def thaw(ctx: FlowContext, links: Sequence[EntityLink]) -> None:
    """Records that were gone and are there again (restored from the recycle bin): their links count as before."""
    back = [link for link in links if link.frozen_reason.startswith(f"{_side(ctx)}:")]
    for link in back:
        link.frozen_reason = ""
    update_rows(back, ["frozen_reason"])


def _side(ctx: FlowContext) -> str:
    return str(ctx.flow.source_side)


def _id(ctx: FlowContext, link: EntityLink) -> str:
    return str(getattr(link, f"{_side(ctx)}_id"))


def _other_object(ctx: FlowContext, link: EntityLink) -> str:
    return str(getattr(link, f"{ctx.flow.target_side}_object"))


def _links(ctx: FlowContext, ids: Sequence[str]) -> list[EntityLink]:
    side = _side(ctx)
    wanted: dict[str, Any] = {f"{side}_object": ctx.flow.source_object, f"{side}_id__in": list(ids)}
    return list(EntityLink.objects.filter(integration_id=ctx.integration.pk, **wanted).order_by("pk"))


def _moved(ctx: FlowContext, link: EntityLink, item: Gone) -> EntityLink:
    """The link, at the record that remains; it is compared anew the next time that record is looked at."""
    side = _side(ctx)
    setattr(link, f"{side}_id", item.into)
    setattr(link, f"{side}_fingerprint", "")
    setattr(link, f"{side}_version", "")
    # One that was moved belongs to another company, one that was erased stays erased, under either id.
    if not link.frozen_reason.startswith(MOVED) and not link.erased:
        link.frozen_reason = ""
    link.former = [*link.former, {"id": item.id, "merged_into": item.into}]
    return link


def _frozen(ctx: FlowContext, link: EntityLink, item: Gone) -> EntityLink:
    link.frozen_reason = f"{_side(ctx)}: {f'{MERGED} into {item.into}' if item.into else DELETED}"[:300]
    return link


def _ask(ctx: FlowContext, run: SyncRun, link: EntityLink, other: EntityLink, item: Gone) -> None:
    """Both records were linked: somebody must say which counterpart is the one to keep using."""
    theirs = [str(getattr(each, f"{ctx.flow.target_side}_id")) for each in (link, other)]
    two = link.integration_id != other.integration_id
    text = routing_merges.two_companies(link, other, item) if two else say(
        _("{gone} was merged into {into}, and both have a counterpart: {first} and {second}. Only {second} is kept up "
          "to date from now on. Merge the two there, or close {first}, then dismiss this."),
        gone=item.id, into=item.into, first=theirs[0], second=theirs[1],
    )  # fmt: skip
    reason = in_every_language(text)
    if Change.objects.open().filter(flow=ctx.flow, source_id=item.id).exists():
        return  # something is on its way for it: the link says what happened
    Change.objects.create(
        integration=ctx.integration, flow=ctx.flow, run=run, mapping_set=ctx.mapping_set, action=Action.CONFLICT,
        state=State.REVIEW, source_id=item.id, source_title=link.title, target_id=theirs[0], reason=reason,
        error_class=ErrorClass.CONFLICT, error_code=MERGED, error_message=reason["en"],
        error_fingerprint=error_fingerprint(ErrorClass.CONFLICT, MERGED, "", ""),
    )  # fmt: skip


def _entry(ctx: FlowContext, run: SyncRun, link: EntityLink) -> SyncLogEntry:
    last = link.former[-1] if link.former else {}
    event = link.frozen_reason or f"{last.get('id')} was merged into {last.get('merged_into')}"
    return SyncLogEntry(
        integration_id=ctx.integration.pk, run=run, event="record gone", message=f"{link}: {event}"[:1000]
    )
