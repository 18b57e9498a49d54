"""What a document needs before it can be written: the customer it is for, the articles of its lines.

At planning, the counterpart of a related record that has no link yet is looked for, and nothing is written. At
delivery, after somebody approved, what was found is linked and what is missing is created, as the flow's settings
allow, each with its own change and its own exactly-once delivery. The invariant: no document goes out before
everything that it names exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.connector import Record, Write
from integrations.errors import Conflict, DependencyMissing, SyncError
from integrations.locks import process_lock
from mappings.mapper import Problem, map_record
from sync.engine import links
from sync.engine.context import FlowContext, build
from sync.engine.follow_up import write_back
from sync.engine.match import Lookup, match
from sync.models import Change, Flow, SyncRun
from sync.states import State
from sync.texts import say
from sync.values import load_all

NEED_MOVING = "need_moving"
"""What a document needs is on its way: it is not a person's business, only a matter of moments."""
MOVING = (State.QUEUED, State.SENDING, State.UNKNOWN, State.RETRYING)


@dataclass(slots=True)
class Need:
    """One related record without a link: what was found for it, or why nothing was."""

    flow: Flow
    source_id: str
    title: str = ""
    found: Record | None = None
    rule: str = ""
    candidates: list[Record] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    may_create: bool = False
    policy: str = "ask"


def look_for(ctx: FlowContext, flow: Flow, ids: Sequence[str], policy: str) -> dict[str, Need]:
    """For related source records of `flow` that are not linked: which target record each of them is.

    Remote calls: the records, and one look-up per match rule. Nothing is stored. `policy` is "create", "ask" or
    "block" for those that have no counterpart.
    """
    other = build(flow, lane=ctx.lane)
    needs = {key: Need(flow=flow, source_id=key, policy=policy) for key in ids}
    records: list[Record] = []
    for loaded in other.source.load(flow.source_object, list(ids), other.mapping.reads):
        if isinstance(loaded, Record):
            records.append(loaded)
        else:
            needs[loaded[0]].problems.append(_unreadable(loaded[1]))
    matches = match(other, records, Lookup(other, len(records))) if records else {}
    for record in records:
        need, found = needs[record.id], matches[record.id]
        mapped = map_record(other.mapping, record, other.parts, other.schema("target"))
        need.title = mapped.title or record.title
        need.found, need.rule = found.target, found.rule
        need.candidates = [] if found.target else found.candidates
        need.problems = [] if found.target else list(mapped.problems)
        if mapped.skip and not found.target:
            need.problems.append(_left_out(mapped.skip))
        may = offered(flow, policy) and not need.candidates and not need.problems
        need.may_create = policy == "create" and may and not found.target
    return needs


def offered(flow: Flow | None, policy: str) -> bool:
    """Whether a related record that is missing may be created with the document, or when a person asks for it."""
    return flow is not None and flow.enabled and flow.may_create and policy != "block"


def _unreadable(error: SyncError) -> Problem:
    return Problem(error.code, "", error.field, error.value, error.message, "", error.error_class)


def _left_out(reason: str) -> Problem:
    return Problem("left_out", "", "", "", reason, "")


def row(name: str, target_field: str, need: Need) -> dict[str, Any]:
    """The need as stored with the change that has it."""
    return {
        "name": name,
        "field": target_field,
        "flow": need.flow.slug,
        "source": need.source_id,
        "title": need.title,
        "found": need.found.id if need.found else "",
        "rule": need.rule,
    }


def satisfy(ctx: FlowContext, change: Change) -> SyncError | None:
    """Before the change is sent: link, or create, everything it needs, and complete its payload.

    Returns the error that stops it, or None. May be repeated: what exists already is taken as it is.
    """
    wanted = change.payload.get("needs") or []
    if not wanted:
        return None
    fields = dict(change.payload.get("fields", {}))
    for need in wanted:
        try:
            if "object" in need:
                _ensure_exists(ctx, need)
            else:
                fields[need["field"]] = _linked(ctx, need, change)
        except SyncError as error:
            return error
    change.payload = {**change.payload, "fields": fields}
    Change.objects.filter(pk=change.pk).update(payload=change.payload)
    return None


def _ensure_exists(ctx: FlowContext, need: dict[str, Any]) -> None:
    """Create a record whose number is ours to choose (an article): the number itself makes it repeatable. One that is
    there by now, also since an earlier attempt, is left as it is: somebody may have given it another name."""
    field, value = need["field"], need["value"]
    if ctx.target.find(need["object"], field, [value], lambda one: [one], str, frozenset({field})).get(value):
        return
    write = Write(key=value, unique=(field, value), fields=load_all(need.get("fields", {})))
    for outcome in ctx.target.upsert(need["object"], [write]):
        if outcome.error is not None:
            raise outcome.error


def _linked(ctx: FlowContext, need: dict[str, Any], change: Change) -> str:
    flow = Flow.objects.get(integration_id=ctx.integration.pk, slug=need["flow"])
    known = links.by_source(flow, [need["source"]]).get(need["source"])
    if known is not None:
        return links.target_id(flow, known)
    if need["found"]:
        return _link(flow, need, change)
    return _create(ctx, flow, need, change)


def _link(flow: Flow, need: dict[str, Any], change: Change) -> str:
    """What a certain match rule found while planning becomes a link, now that somebody approved."""
    link = links.new(flow, need["source"], need["found"])
    link.title, link.linked_by, link.synced_at = need["title"][:300], need["rule"][:200], timezone.now()
    try:
        with transaction.atomic():
            link.save()
            write_back(flow, [need["found"]], lane=change.lane)
    except IntegrityError:
        # Another document of the same customer, delivered beside this one, may have been first: then all is well.
        now = links.by_source(flow, [need["source"]]).get(need["source"])
        if now is not None:
            return links.target_id(flow, now)
        text = f"{need['found']} was linked to another record in the meantime."
        raise Conflict(text, code="link_taken", field=need["name"], value=need["found"]) from None
    return str(need["found"])


def _create(ctx: FlowContext, flow: Flow, need: dict[str, Any], change: Change) -> str:
    # Planning and delivering are above this module; the document's delivery calls down here for its customer's.
    from sync.engine.deliver import deliver
    from sync.engine.replan import plan_ids

    other = build(flow, lane=ctx.lane)
    other.routed = False  # it is needed here, wherever else it goes
    run = SyncRun.objects.create(
        flow=flow, integration=ctx.integration, trigger=SyncRun.Kind.DEPENDENCY, state=SyncRun.State.DONE,
        mapping_set=other.mapping_set, finished_at=timezone.now(),
    )  # fmt: skip

    def at_once(planned: Change) -> State:
        planned.lane, planned.actor = change.lane, change.actor
        return State.QUEUED

    open_ones = Change.objects.open().filter(flow=flow, source_id=need["source"])
    with process_lock(f"record:{flow.pk}:{need['source']}", wait=5) as mine:  # two documents may need one customer
        sent = open_ones.filter(state__in=[State.SENDING, State.UNKNOWN, State.QUEUED]).exists()
        if mine and not sent and not links.by_source(flow, [need["source"]]):
            plan_ids(other, [need["source"]], run, at_once, force=True)
    deliver(other, ids=list(open_ones.filter(state=State.QUEUED).values_list("pk", flat=True)))
    known = links.by_source(flow, [need["source"]]).get(need["source"])
    if known is None:
        moving = open_ones.filter(state__in=MOVING).exists()
        text = str(say(_("{record} could not be created yet; see its own change."), record=need["title"]))
        code = NEED_MOVING if moving else "need_open"
        raise DependencyMissing(text, code=code, field=need["name"], value=need["source"])
    return links.target_id(flow, known)
