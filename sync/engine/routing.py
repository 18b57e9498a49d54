"""Routing: which integration (company) takes a CRM record, when one CRM account feeds several.

In this order: a link keeps its record, and so does a write that is on its way; a person's decision (pin); the rules, in
their order; the only company there is. No match, a rule that cannot be evaluated, or a merge of two records that had
been decided differently, mean that nobody takes the record and a person is told. The invariant: at most one integration
takes a record that is not linked yet, except where a document of another one needs it (its customer); and a failing
rule never lets a record fall through to the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.models import ConnectedAccount, Integration
from sync.engine.routing_rules import Judged, Rules, Step
from sync.models import Change, EntityLink, Flow, RoutePin, Side, SyncRun
from sync.resend import certainly_nothing
from sync.states import OPEN, Action, State
from sync.texts import say

if TYPE_CHECKING:
    from sync.engine.context import FlowContext

MOVED = "moved:"
"""What the frozen reason of a link begins with whose record was moved to another company."""


class Why(StrEnum):
    """What decided."""

    LINK = "link"
    ON_ITS_WAY = "on_its_way"
    PIN = "pin"
    RULE = "rule"
    ONLY = "only"
    NONE = "none"
    ERROR = "error"
    RIVALS = "rivals"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a record goes. `home` is its company (None: nobody takes it), `places` are all that may plan it: its home,
    every one that it is linked in, and those whose documents need it. `rivals`: the companies, by name, that
    were chosen for it and for a record that was merged into it."""

    home: int | None
    why: Why
    places: frozenset[int]
    judged: Judged = field(default_factory=Judged)
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sibling:
    """One flow of this kind on the CRM account, in one integration."""

    integration_id: int
    flow_id: int
    slug: str
    enabled: bool
    used: bool


@dataclass(slots=True)
class Facts:
    """What the database says of some records, beside the rules: where they are linked, decided, under way, needed."""

    linked: dict[str, set[int]] = field(default_factory=dict)
    pins: dict[str, int] = field(default_factory=dict)
    rivals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    away: dict[str, int] = field(default_factory=dict)
    needed: dict[str, set[int]] = field(default_factory=dict)
    waiting: list[Change] = field(default_factory=list)
    """Open changes of the records, in any of the flows, of which certainly nothing is on its way."""


class Router:
    """Decides for the records of one object of a CRM account; `slug` keeps it to the flows of one kind.

    Constant SQL: two queries when it is made, four per `facts`. No remote calls.
    """

    def __init__(self, account: ConnectedAccount, object_name: str, slug: str = "") -> None:
        self.account, self.object_name, self.slug = account, object_name, slug
        flows = Flow.objects.filter(
            integration__crm_account=account, integration__organization_id=account.organization_id,
            source_side=Side.CRM, source_object=object_name, **({"slug": slug} if slug else {}),
        )  # fmt: skip
        rows = flows.order_by("integration_id", "position", "pk").values_list(
            "integration_id", "pk", "slug", "enabled", "prepared_at", "integration__mode"
        )
        self.siblings = [
            Sibling(integration, pk, kind, on and mode != Integration.Mode.OFF,
                    (on or prepared is not None) and mode != Integration.Mode.OFF)
            for integration, pk, kind, on, prepared, mode in rows
        ]  # fmt: skip
        self.rules = Rules(account, object_name)

    @classmethod
    def of(cls, ctx: FlowContext) -> Router | None:
        """The router of a flow that reads a CRM; None for the other direction."""
        if ctx.flow.source_side != Side.CRM:
            return None
        return cls(ctx.source_account, ctx.flow.source_object, ctx.flow.slug)

    def now(self) -> Router:
        """The same, as the database has it by now."""
        return Router(self.account, self.object_name, self.slug)

    @cached_property
    def idle(self) -> bool:
        """Whether there is nothing to decide: one company, and no rules."""
        return len({sibling.integration_id for sibling in self.siblings}) <= 1 and not self.rules.rows

    @cached_property
    def only(self) -> int | None:
        """The one company that takes everything because no rule says otherwise: the only one that has the flow, or the
        only one that uses it. One that is switched off for a while counts as using it: a pause moves nothing."""
        if self.rules.rows:
            return None
        here = {sibling.integration_id for sibling in self.siblings}
        used = {sibling.integration_id for sibling in self.siblings if sibling.used}
        return next(iter(here)) if len(here) == 1 else next(iter(used)) if len(used) == 1 else None

    @cached_property
    def reporter(self) -> int | None:
        """The one integration that tells a person about records which nobody takes: the first whose flow works."""
        working = [sibling.integration_id for sibling in self.siblings if sibling.enabled]
        return next(iter(working or [sibling.integration_id for sibling in self.siblings]), None)

    def planners(self, route: Route) -> frozenset[int]:
        """The integrations that may hold an open change of the record: those that take it, else the one that reports
        that nobody does."""
        if route.places or self.reporter is None:
            return route.places
        return frozenset({self.reporter})

    def flow_in(self, integration_id: int | None) -> int | None:
        """The flow of this kind in an integration."""
        flows = (sibling.flow_id for sibling in self.siblings if sibling.integration_id == integration_id)
        return next(flows, None)

    def facts(self, ids: Collection[str]) -> Facts:
        """Four queries. What is under way is read before the links: what arrives in between is seen as a link."""
        found = Facts()
        flows = {sibling.flow_id: sibling for sibling in self.siblings}
        self._needed(ids, found)
        rows = Change.objects.filter(flow_id__in=list(flows), source_id__in=list(ids), state__in=[str(s) for s in OPEN])
        for change in rows.select_related("run").defer("payload", "agreed", "diff", "candidates", "checks"):
            if _on_its_way(change):
                found.away[change.source_id] = change.integration_id
            elif change.integration_id not in found.needed.get(change.source_id, ()) and not _for_a_document(change):
                found.waiting.append(change)
        self._decided(ids, found)
        links = EntityLink.objects.filter(
            integration__crm_account=self.account, integration__organization_id=self.account.organization_id,
            crm_object=self.object_name, crm_id__in=list(ids),
        )  # fmt: skip
        for key, integration_id, frozen in links.values_list("crm_id", "integration_id", "frozen_reason"):
            if not frozen.startswith(MOVED) or found.pins.get(key) == integration_id:  # else: it was moved away
                found.linked.setdefault(key, set()).add(integration_id)
        return found

    def _decided(self, ids: Collection[str], found: Facts) -> None:
        """What people decided; a record with two decisions is among both: a link may make the second one idle."""
        pins = RoutePin.objects.of(self.account.pk, self.object_name).filter(record_id__in=list(ids))
        names = ("integration__ledger_account__name", "rival__ledger_account__name")
        for key, integration_id, rival, *both in pins.values_list("record_id", "integration_id", "rival_id", *names):
            found.pins[key] = integration_id
            if rival is not None:
                found.rivals[key] = tuple(map(str, both))

    def _needed(self, ids: Collection[str], found: Facts) -> None:
        """Which records open documents wait for, where: their customers exist there whatever the rules say."""
        keys = [f"{slug}:{key}"[:200] for slug in {sibling.slug for sibling in self.siblings} for key in ids]
        here = {sibling.integration_id for sibling in self.siblings}
        rows = Change.objects.filter(
            waits_for__in=keys, integration_id__in=here, state__in=[str(state) for state in OPEN]
        )
        for key, integration_id in rows.values_list("waits_for", "integration_id") if keys else ():
            found.needed.setdefault(key.partition(":")[2], set()).add(integration_id)

    def decide(self, record_id: str, judged: Judged, facts: Facts) -> Route:
        """Where the record goes; pure."""
        needed = frozenset(facts.needed.get(record_id, ()))
        home, why = self._home(record_id, judged, facts)
        if why == Why.LINK:
            return Route(home, why, frozenset(facts.linked[record_id]) | needed, judged)
        rivals = facts.rivals.get(record_id, ()) if why == Why.RIVALS else ()
        return Route(home, why, needed | ({home} if home is not None else frozenset()), judged, rivals)

    def _home(self, record_id: str, judged: Judged, facts: Facts) -> tuple[int | None, Why]:
        if linked := facts.linked.get(record_id):
            pinned = facts.pins.get(record_id)
            return pinned if pinned in linked else min(linked), Why.LINK
        if record_id in facts.away:
            return facts.away[record_id], Why.ON_ITS_WAY
        if record_id in facts.rivals:
            return None, Why.RIVALS
        if record_id in facts.pins:
            return facts.pins[record_id], Why.PIN
        if judged.error:
            return None, Why.ERROR
        if judged.integration_id is not None:
            return judged.integration_id, Why.RULE
        return (self.only, Why.ONLY) if self.only is not None else (None, Why.NONE)


def _on_its_way(change: Change) -> bool:
    """Whether something of the change may have reached its company: then nobody else may take the record."""
    if change.state in (State.SENDING, State.UNKNOWN) or change.action == Action.ACT:
        return True
    if change.state not in (State.REVIEW, State.RETRYING) or change.sent_at is None or change.action != Action.CREATE:
        return False
    certain = change.state == State.RETRYING or certainly_nothing(change.error_class, change.error_code)
    return bool(change.target_id) or not certain or any(look.get("hits") for look in change.verifications)


def _for_a_document(change: Change) -> bool:
    """Whether a document of its own integration asked for the change a moment ago."""
    return change.run is not None and change.run.trigger == SyncRun.Kind.DEPENDENCY


def moved_away(ctx: FlowContext, link: EntityLink | None) -> bool:
    """Whether the link is kept as history only, in a flow where routing has no say about it."""
    decided = ctx.router is not None and not ctx.router.idle
    return link is not None and link.frozen_reason.startswith(MOVED) and not decided


@dataclass(slots=True)
class Split:
    """The records of a page that a flow plans, what the rules say of those that are not linked here (also of those
    that others take), and those of them that nobody takes, which the flow reports."""

    records: list[Record] = field(default_factory=list)
    judged: dict[str, Judged] = field(default_factory=dict)
    held: dict[str, Route] = field(default_factory=dict)


def split(ctx: FlowContext, records: Sequence[Record]) -> Split:
    """Which of the changed records of a page this flow plans. No remote call; no query when there is nothing to
    decide."""
    router = ctx.router
    if router is None or router.idle or not ctx.routed or not records:
        return Split(list(records))
    facts = router.facts([record.id for record in records])
    found, me = Split(), ctx.integration.pk
    for record in records:
        if me in facts.linked.get(record.id, ()):
            found.records.append(record)
            continue
        judged = found.judged[record.id] = router.rules.judge(record)
        route = router.decide(record.id, judged, facts)
        if me in router.planners(route):
            found.records.append(record)
            if not route.places:
                found.held[record.id] = route
    return found


def held_text(route: Route) -> tuple[object, str]:
    """(why nobody takes the record, which rules were tried and what they read) of a route without a home."""
    if route.why == Why.RIVALS:
        text = _("Two records were merged: {other} had been chosen for the one, {company} for the other.")
        return say(text, company=route.rivals[0], other=route.rivals[1]), ""
    tried = "; ".join(_tried(step) for step in route.judged.steps)
    if route.why == Why.ERROR:
        return _("A routing rule cannot be evaluated for this record."), tried
    if route.judged.steps:
        return _("No routing rule matches this record."), tried
    return _("Several companies may take this record, and there are no routing rules."), tried


def _tried(step: Step) -> str:
    read = ", ".join(f"{name} = {value or '∅'}" for name, value in step.values)
    said = f"“{step.rule.name}”" + (f" ({read})" if read else "")
    return f"{said}: {step.error}" if step.error else said


def companies(account: ConnectedAccount, object_name: str) -> list[Integration]:
    """The integrations of the account that take records of this object, of the account's organization only."""
    rows = Integration.objects.filter(
        crm_account=account, organization_id=account.organization_id, flows__source_side=Side.CRM,
        flows__source_object=object_name,
    )  # fmt: skip
    return list(rows.select_related("ledger_account").order_by("pk").distinct())


def lock(account_id: UUID) -> None:
    """Take the account's routing lock until the transaction ends: decisions about its records are made one at a
    time. It is the row of its first integration, which hardly anybody else writes."""
    rows: Iterable[Any] = Integration.objects.filter(crm_account_id=account_id).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk", flat=True)[:1])  # type: ignore[attr-defined]
