"""Finding what a caller reads out: records, changes, runs, failures and events of the person's organizations.

One text is looked up in every spelling it may have, in at most five queries whatever there is stored. The invariants:
only rows of flows that the person may see are looked at; an exact match comes before a beginning, and that before a
part; a group is cut at `LIMIT`, and says so.
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Case, CharField, F, IntegerField, Q, When
from django.db.models import Value as Constant
from django.db.models.functions import Cast, Concat

from integrations.models import InboundEvent, Integration
from sync import finding
from sync.models import Change, EntityLink, Flow, SearchKey, SyncRun
from sync.states import State

LIMIT = 8
KEYS = 60
LONGEST = 200
EXACT, PREFIX, PART = 0, 1, 2
_SPOKEN = re.compile(r"[^\W\d]{2,20}\.?\s*#?\s*(\d{1,18})", re.UNICODE)
"""A number with the word that people put before it, such as `invoice 1042`."""

Place = tuple[int, str, str, str]
"""One record: integration, side, object, id."""


@dataclass(frozen=True, slots=True)
class Match:
    """Why something was found: `kind` (of a key, or `id`, `reference`, `correlation`), the value, and how well."""

    kind: str
    value: str
    rank: int


@dataclass(frozen=True, slots=True)
class Heard:
    """One event, of the integration of that name."""

    where: str
    kind: str
    object: str
    record_id: str
    at: datetime
    waits: bool


@dataclass(slots=True)
class Hit:
    """A record: linked, or known from its newest change only."""

    match: Match
    link: EntityLink | None = None
    change: Change | None = None


@dataclass(slots=True)
class Found:
    """The groups, each cut at `LIMIT`; `more` are the names of those that were cut."""

    records: list[Hit] = field(default_factory=list)
    failures: list[Change] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    runs: list[SyncRun] = field(default_factory=list)
    events: list[Heard] = field(default_factory=list)
    more: set[str] = field(default_factory=set)

    @property
    def anything(self) -> bool:
        """Whether there is a hit at all."""
        return bool(self.records or self.failures or self.changes or self.runs or self.events)

    def cut(self) -> Found:
        """Each group down to its limit."""
        for name in ("records", "failures", "changes", "runs", "events"):
            rows = getattr(self, name)
            if len(rows) > LIMIT:
                setattr(self, name, rows[:LIMIT])
                self.more.add(name)
        return self


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed, in the spellings that are looked for."""

    text: str
    ids: frozenset[str]
    numbers: frozenset[int]
    values: frozenset[str]
    prefixes: tuple[str, ...]
    correlation: uuid.UUID | None

    @property
    def like_an_id(self) -> bool:
        """Whether it may be the id of something: digits in it, and no space. Such a text is not looked for inside
        names, and what is none is not looked for among runs and events."""
        return any(" " not in each and any(character.isdigit() for character in each) for each in self.ids)

    @classmethod
    def of(cls, typed: str) -> Asked:
        """From the search box; anything may stand there."""
        text = " ".join(typed.replace("\x00", "")[:LONGEST].split())
        bare = text.lstrip("#").strip()
        spoken = _SPOKEN.fullmatch(text)
        ids = {each for each in (text, bare, spoken[1] if spoken else "") if each}
        name, number = finding.name_key(bare), finding.number_key(bare)
        organization = finding.organization_key(bare)
        looks_like_number = any(character.isdigit() for character in number)
        values = {name, organization, number if looks_like_number else ""} - {""}
        prefixes = [each for each in (name, number if looks_like_number else "") if len(each) >= finding.SHORTEST]
        try:
            correlation = uuid.UUID(bare) if len(bare) >= 32 else None
        except ValueError:
            correlation = None
        return cls(
            text, frozenset(each[:100] for each in ids),
            frozenset(int(each) for each in ids if each.isascii() and each.isdigit() and len(each) <= 18),
            frozenset(values), tuple(dict.fromkeys(prefixes)), correlation,
        )  # fmt: skip


def search(user: Any, typed: str) -> Found:
    """Everything that the text may mean to the person, best first."""
    asked = Asked.of(typed)
    if not asked.text:
        return Found()
    flows = list(
        Flow.objects.for_user(user)
        .select_related("integration")
        .only(
            "name", "source_side", "source_object", "target_object", "integration__name",
            "integration__organization", "integration__crm_account", "integration__ledger_account",
        )
    )  # fmt: skip
    if not flows:
        return Found()
    matched = _keys(flows, asked)
    found = Found()
    _records(flows, asked, matched, found)
    if asked.like_an_id:
        _runs_and_events(flows, asked, found)
    return found.cut()


def _keys(flows: list[Flow], asked: Asked) -> dict[Place, Match]:
    """Records by the values that they are known under: one query, two when nothing was found."""
    own = {flow.integration_id for flow in flows}
    rows = SearchKey.objects.filter(integration_id__in=own)
    best = Case(
        When(value__in=asked.values, then=Constant(EXACT)), default=Constant(PREFIX), output_field=IntegerField()
    )
    wanted = Q(value__in=asked.values)
    for prefix in asked.prefixes:
        wanted |= beginning(prefix)
    matched: dict[Place, Match] = {}
    _take(matched, rows.filter(wanted).annotate(best=best).order_by("best", "value", "pk"), asked)
    if not matched and asked.prefixes and not asked.like_an_id:
        # The last resort reads every key of these integrations, and nothing else.
        part = Q()
        for prefix in asked.prefixes:
            part |= Q(value__contains=prefix)
        _take(matched, rows.filter(part).order_by("value", "pk"), asked)
    return matched


def _take(matched: dict[Place, Match], rows: Any, asked: Asked) -> None:
    columns = ("integration_id", "side", "object", "record_id", "kind", "value")
    for *place, kind, value in rows.values_list(*columns)[:KEYS]:
        rank = PART
        if value in asked.values:
            rank = EXACT
        elif value.startswith(asked.prefixes):
            rank = PREFIX
        key: Place = (place[0], place[1], place[2], place[3])
        if key not in matched or rank < matched[key].rank:
            matched[key] = Match(kind, value, rank)


def beginning(prefix: str) -> Q:
    """Keys that begin so, by the index of either database: PostgreSQL's knows patterns, SQLite's an order of bytes."""
    if connection.vendor == "postgresql":
        return Q(value__startswith=prefix)
    return Q(value__gte=prefix, value__lt=f"{prefix}\U0010ffff")


def _records(flows: list[Flow], asked: Asked, matched: dict[Place, Match], found: Found) -> None:
    """Linked records, then changes (also those of records that were never linked): two queries."""
    hits: dict[int, Hit] = {}
    linked: set[Place] = set()
    links = EntityLink.objects.filter(_links(flows, asked, matched)).select_related("integration")
    for link in links.defer("agreed_crm", "agreed_ledger", "sent_crm", "sent_ledger", "line_ids")[: 2 * KEYS]:
        places: list[Place] = [
            (link.integration_id, side, getattr(link, f"{side}_object"), getattr(link, f"{side}_id"))
            for side in ("crm", "ledger")
        ]
        linked.update(places)
        ways = [matched[place] for place in places if place in matched]
        ways += [Match("id", place[3], EXACT) for place in places if place[3] in asked.ids]
        if ways:
            hits[link.pk] = Hit(min(ways, key=lambda way: way.rank), link)
    loose = {place: match for place, match in matched.items() if place not in linked}
    unlinked: dict[Place, Hit] = {}
    for change in _changes(flows, asked, matched, loose):
        flow = change.flow
        place = (change.integration_id, flow.source_side, flow.source_object, change.source_id)
        if place in loose and place not in unlinked:
            unlinked[place] = Hit(loose[place], change=change)
        if change.state == State.REVIEW:
            found.failures.append(change)
        if _named(change, asked):
            found.changes.append(change)
    found.records = sorted(
        [*hits.values(), *unlinked.values()], key=lambda hit: (hit.match.rank, hit.link is None, hit.match.value)
    )


def _named(change: Change, asked: Asked) -> bool:
    """Whether the change itself was asked for, by its number, its record's id or its reference."""
    by_record = change.source_id in asked.ids or bool(change.target_id and change.target_id in asked.ids)
    return change.pk in asked.numbers or by_record or bool(asked.ids & {change.remote_reference})


def _links(flows: list[Flow], asked: Asked, matched: Iterable[Place]) -> Q:
    """Links of the records that were found, and those with this very id on either side."""
    own = {flow.integration_id for flow in flows}
    objects: dict[str, set[str]] = defaultdict(set)
    for flow in flows:
        objects[flow.source_side].add(flow.source_object)
        objects["ledger" if flow.source_side == "crm" else "crm"].add(flow.target_object)
    wanted = Q()
    for side, names in objects.items():
        wanted |= Q(**{"integration_id__in": own, f"{side}_object__in": names, f"{side}_id__in": asked.ids})
    grouped: dict[tuple[int, str, str], set[str]] = defaultdict(set)
    for integration_id, side, name, record_id in matched:
        grouped[integration_id, side, name].add(record_id)
    for (integration_id, side, name), ids in grouped.items():
        wanted |= Q(**{"integration_id": integration_id, f"{side}_object": name, f"{side}_id__in": ids})
    return wanted


def _changes(flows: list[Flow], asked: Asked, matched: Iterable[Place], loose: Iterable[Place]) -> list[Change]:
    """Changes by number, reference or record; of records that were found by a value, those that need a person, and of
    those that are not linked all. What needs a person comes first."""
    own = [flow.pk for flow in flows]
    wanted = Q(flow_id__in=own, source_id__in=asked.ids)
    if asked.numbers:
        wanted |= Q(flow_id__in=own, pk__in=asked.numbers)
    references = {each for each in asked.ids if len(each) >= 8}
    if references:
        wanted |= Q(~Q(remote_reference=""), flow_id__in=own, remote_reference__in=references)
    if found := {place[3] for place in matched}:
        wanted |= Q(flow_id__in=own, source_id__in=found, state=State.REVIEW)
    if unlinked := {place[3] for place in loose}:
        wanted |= Q(flow_id__in=own, source_id__in=unlinked)
    review = Case(When(state=State.REVIEW, then=Constant(0)), default=Constant(1), output_field=IntegerField())
    rows = Change.objects.filter(wanted).annotate(review=review).order_by("review", "-pk")
    heavy = ("payload", "agreed", "diff", "candidates", "checks", "verifications", "problems", "edits")
    return list(rows.select_related("flow", "integration").defer(*heavy)[: 2 * KEYS])


def _runs_and_events(flows: list[Flow], asked: Asked, found: Found) -> None:
    """Runs by number or correlation id, and events about a record of this id: one query of few columns for both."""
    by_id = {flow.pk: flow for flow in flows}
    accounts: dict[Any, Integration] = {}
    for flow in flows:
        accounts[flow.integration.crm_account_id] = accounts[flow.integration.ledger_account_id] = flow.integration
    named = Q(correlation_id=asked.correlation) if asked.correlation else Q(pk__in=asked.numbers)
    text = CharField()
    runs = SyncRun.objects.filter(named, flow_id__in=by_id).order_by().annotate(
        t_kind=Constant(0, IntegerField()), t_key=F("pk"), t_at=F("started_at"), t_of=Cast("flow_id", text),
        t_a=F("trigger"), t_b=Cast("correlation_id", text), t_c=F("state"),
    )  # fmt: skip
    done = Case(When(processed_at=None, then=Constant("")), default=Constant("done"), output_field=text)
    heard = InboundEvent.objects.filter(account_id__in=accounts, record_id__in=asked.ids).order_by().annotate(
        t_kind=Constant(1, IntegerField()), t_key=F("pk"), t_at=F("received_at"),
        t_of=Case(*(When(account_id=pk, then=Constant(str(n))) for n, pk in enumerate(accounts)), output_field=text),
        t_a=F("kind"), t_b=F("object"), t_c=Concat("record_id", Constant("\n"), done, output_field=text),
    )  # fmt: skip
    columns = ("t_kind", "t_key", "t_at", "t_of", "t_a", "t_b", "t_c")
    rows = runs.values_list(*columns).union(heard.values_list(*columns), all=True).order_by("t_kind", "-t_at")
    order = list(accounts)
    for kind, pk, at, of, a, b, c in rows[: 4 * LIMIT]:
        if kind == 0:
            run_flow = by_id[int(of)]
            found.runs.append(
                SyncRun(
                    pk=pk, flow=run_flow, integration=run_flow.integration, started_at=at, trigger=a, state=c,
                    correlation_id=uuid.UUID(b),
                )
            )  # fmt: skip
        else:
            record_id, _line, processed = c.partition("\n")
            found.events.append(Heard(accounts[order[int(of)]].name, a, b, record_id, at, waits=not processed))
