"""Match: which existing target record is the counterpart of a new source record.

Links come first (extract found them); here the match rules run in order, each as one bulk look-up, exact after
normalising. None, one and many are three different outcomes, and a suggestion is never a match: many candidates, only
a suggestion, or a candidate that already belongs to another record go to a person. The invariant: a record is matched
only by a rule that finds exactly one free counterpart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from integrations.connector import Record, Value
from integrations.errors import Transient
from mappings.mapper import MappingError
from mappings.matching import NORMALISERS, CompiledMatch
from sync.engine import links
from sync.engine.context import FlowContext
from sync.engine.decided import Decided, chosen, chosen_rule
from sync.models import Change
from sync.states import OPEN, Action, State

LOCAL_INDEX_LIMIT = 20_000
"""Largest target register that is read whole to be searched locally (about 15 MB)."""

UNIQUE_RULE = "unique key"
IDENTITY = "orgnr"
"""The normaliser whose values are a legal identity: two records that share one are never both created."""


@dataclass(slots=True)
class Match:
    """What matching found for one source record.

    `target` is the certain counterpart. `candidates` are what a person should choose from when there is none:
    `suggested` when they come from a rule that may only suggest, otherwise they are several, or taken.
    """

    target: Record | None = None
    rule: str = ""
    candidates: list[Record] = field(default_factory=list)
    suggested: bool = False
    taken_by: str = ""
    claim: str = ""
    gone: str = ""
    """The name of the counterpart that a person chose, when it is no longer there."""


class Lookup:
    """Finds target records by normalised value, remotely in bulk or in a local index, whichever costs fewer calls."""

    def __init__(self, ctx: FlowContext, expected: int) -> None:
        """`expected`: about how many source records will be matched, to choose the cheaper way."""
        self.ctx = ctx
        self.expected = expected
        self._index: dict[tuple[str, str], dict[str, list[Record]]] = {}
        self._all: list[Record] | None = None
        self._decided = False

    def find(self, target_field: str, normaliser: str, values: Sequence[str]) -> dict[str, list[Record]]:
        """Normalised value → target records whose `target_field`, normalised, equals it. Values that find nothing
        are absent."""
        wanted = sorted({value for value in values if value})
        if not wanted:
            return {}
        if not self._decided:
            self._decide()
        if self._all is not None:
            index = self._local(target_field, normaliser)
            return {value: index[value] for value in wanted if value in index}
        rule = NORMALISERS[normaliser]
        return self.ctx.target.find(
            self.ctx.flow.target_object, target_field, wanted, rule.spell, rule.read, self.fields()
        )

    def fields(self) -> frozenset[str]:
        """What is read of a candidate."""
        fields = {rule.target_field for rule in self.ctx.mapping.match_rules}
        fields |= {rule.extra[1] for rule in self.ctx.mapping.match_rules if rule.extra}
        if self.ctx.mapping.unique:
            fields.add(self.ctx.mapping.unique[0])
        return (
            frozenset(fields)
            | self.ctx.candidates_without
            | frozenset({rule.target for rule in self.ctx.mapping.fields if rule.scope == "header"})
        )

    def _decide(self) -> None:
        """Read the whole target register when that is cheaper than asking rule by rule (one call to know)."""
        self._decided = True
        if self.expected <= 100:
            return  # a page or two of deltas: a handful of look-ups beats even counting
        total = self.ctx.target.count(self.ctx.flow.target_object)
        asking = (len(self.ctx.mapping.match_rules) + 1) * ceil(self.expected / 100)
        if total <= LOCAL_INDEX_LIMIT and ceil(total / 100) <= asking:
            wanted = {self.ctx.flow.target_object: self.fields()}
            pages = self.ctx.target.changed(self.ctx.flow.target_object, None, wanted) if total else ()
            self._all = [record for page in pages for record in page.records]
            if len(self._all) < total:
                raise Transient(f"The target announced {total} records and gave {len(self._all)}", code="incomplete")

    def _local(self, target_field: str, normaliser: str) -> dict[str, list[Record]]:
        key = (target_field, normaliser)
        if key not in self._index:
            index: dict[str, list[Record]] = defaultdict(list)
            for record in self._all or ():
                index[NORMALISERS[normaliser].read(text_of(record.fields.get(target_field)))].append(record)
            index.pop("", None)
            self._index[key] = dict(index)
        return self._index[key]


def match(ctx: FlowContext, records: Sequence[Record], lookup: Lookup, said: Decided | None = None) -> dict[str, Match]:
    """The outcome of matching per source id, for records that have no link yet. What people decided, in `said`, comes
    before every rule."""
    said = said or Decided()
    found: dict[str, Match] = {record.id: Match() for record in records}
    _as_chosen(ctx, said, found, lookup)
    records = [record for record in records if record.id not in said.create and record.id not in said.links]
    open_records = list(records)
    unique = _by_unique_key(ctx, records, lookup)
    for record_id, target in unique.items():
        found[record_id] = Match(target=target, rule=UNIQUE_RULE)
    for rule in ctx.mapping.match_rules:
        open_records = [record for record in open_records if _undecided(found[record.id])]
        if not open_records:
            break
        _apply_rule(ctx, rule, open_records, found, lookup, said.rejected)
    _reject_taken(ctx, found)
    _reject_shared(ctx, found, {record.id: record.title for record in records})
    return found


def _as_chosen(ctx: FlowContext, said: Decided, found: dict[str, Match], lookup: Lookup) -> None:
    """The counterparts that people chose: still there, or named as gone."""
    choices = {key: row for key, row in said.links.items() if key in found}
    there = chosen(ctx, choices, lookup.fields())
    for key, row in choices.items():
        gone = "" if key in there else row.target_title or row.target_id
        found[key] = Match(target=there.get(key), rule=chosen_rule(row), gone=gone)


def holders(ctx: FlowContext, claim: str) -> list[Record]:
    """The target records that hold a claimed identity (`orgnr:…`) now: one look-up, exact after normalising."""
    kind, _colon, value = claim.partition(":")
    rule = next((rule for rule in ctx.mapping.match_rules if rule.certain and rule.normaliser == kind), None)
    return Lookup(ctx, 1).find(rule.target_field, kind, [value]).get(value, []) if rule else []


def _undecided(match: Match) -> bool:
    return match.target is None and not (match.candidates and not match.suggested)


def _by_unique_key(ctx: FlowContext, records: Sequence[Record], lookup: Lookup) -> dict[str, Record]:
    """Records that carry our own unique key already: written by us, the link was lost (a restored database)."""
    if not ctx.mapping.unique:
        return {}
    field_name, expression = ctx.mapping.unique
    keys = {record.id: value_of(ctx, expression, record) for record in records}
    hits = lookup.find(field_name, "exact", list(keys.values()))
    return {record_id: hits[key][0] for record_id, key in keys.items() if len(hits.get(key, ())) == 1}


def _apply_rule(
    ctx: FlowContext,
    rule: CompiledMatch,
    records: Sequence[Record],
    found: dict[str, Match],
    lookup: Lookup,
    rejected: Mapping[str, set[str]],
) -> None:
    read = NORMALISERS[rule.normaliser].read
    values = {record.id: read(value_of(ctx, rule.expression, record)) for record in records}
    hits = lookup.find(rule.target_field, rule.normaliser, list(values.values()))
    elsewhere = _keyed_elsewhere(ctx, records, hits)
    for record in records:
        match, value = found[record.id], values[record.id]
        if value and rule.certain and rule.normaliser == IDENTITY:
            match.claim = f"{IDENTITY}:{value}"
        foreign = [hit for hit in hits.get(value, ()) if hit.id in elsewhere]
        if foreign and rule.normaliser == IDENTITY and rule.certain:
            # A number or a name may repeat across ledgers; a legal identity may not, and is shown to a person.
            match.candidates, match.rule = foreign, rule.label
            match.taken_by = (
                text_of(foreign[0].fields.get(ctx.mapping.unique[0])) if ctx.mapping.unique else foreign[0].id
            )
            continue
        never = elsewhere | rejected.get(record.id, set())
        free = [hit for hit in hits.get(value, ()) if hit.id not in never and not _of_another_kind(ctx, hit)]
        candidates = [hit for hit in free if _extra_agrees(ctx, rule, record, hit)]
        if len(candidates) == 1 and rule.certain:
            found[record.id] = Match(target=candidates[0], rule=rule.label, claim=match.claim)
        elif candidates and not match.candidates:
            match.candidates, match.rule, match.suggested = candidates, rule.label, not rule.certain


def _keyed_elsewhere(ctx: FlowContext, records: Sequence[Record], hits: Mapping[str, list[Record]]) -> set[str]:
    """Ids of candidates that carry the unique key of a record that is not ours: another ledger's, in one register.

    One that this integration linked itself stays a candidate; it is taken, which a person should see."""
    if not ctx.mapping.unique:
        return set()
    field_name, expression = ctx.mapping.unique
    ours = {value_of(ctx, expression, record) for record in records}
    keyed = {
        hit.id
        for candidates in hits.values()
        for hit in candidates
        if text_of(hit.fields.get(field_name)) and text_of(hit.fields.get(field_name)) not in ours
    }
    return keyed - links.by_target(ctx.flow, keyed).keys()


def _of_another_kind(ctx: FlowContext, candidate: Record) -> bool:
    """Whether the candidate fills a field that no counterpart of this flow fills. One that carries our own unique key
    never comes here: it was found by that."""
    return any(text_of(candidate.fields.get(name)) for name in ctx.candidates_without)


def _extra_agrees(ctx: FlowContext, rule: CompiledMatch, record: Record, candidate: Record) -> bool:
    if rule.extra is None:
        return True
    expression, target_field, normaliser = rule.extra
    read = NORMALISERS[normaliser].read
    wanted = read(value_of(ctx, expression, record))
    return bool(wanted) and wanted == read(text_of(candidate.fields.get(target_field)))


def _reject_taken(ctx: FlowContext, found: dict[str, Match]) -> None:
    """A candidate that is linked to another source record is not free: a person decides (RB2)."""
    targets = {match.target.id for match in found.values() if match.target}
    owners = links.by_target(ctx.flow, targets)
    for record_id, match in found.items():
        owner = owners.get(match.target.id) if match.target else None
        if match.target and owner and links.source_id(ctx.flow, owner) != record_id:
            match.candidates, match.taken_by = [match.target], owner.title or links.source_id(ctx.flow, owner)
            match.target = None


def _reject_shared(ctx: FlowContext, found: dict[str, Match], titles: dict[str, str]) -> None:
    """Two source records that want one target, or claim one legal identity: all but the first wait for a person.

    The first is the one planned first (open changes of earlier pages included), so the outcome does not depend on
    how the remote cuts its pages.
    """
    open_changes = Change.objects.filter(flow=ctx.flow, state__in=[str(state) for state in OPEN])
    targets = [match.target.id for match in found.values() if match.target]
    claims = [match.claim for match in found.values() if match.claim]
    holders: dict[str, str] = {}
    if targets:
        rows = open_changes.filter(target_id__in=targets).exclude(action=Action.CONFLICT)
        for target, source, title in rows.values_list("target_id", "source_id", "source_title"):
            holders[f"target:{target}"], titles[source] = source, title
    if claims:
        # Also what was delivered: a search may not show it yet, and a local index was read before it.
        lasting = Change.objects.filter(flow=ctx.flow, state__in=[*(str(state) for state in OPEN), State.APPLIED])
        rows = lasting.filter(claim__in=claims).exclude(action=Action.CONFLICT).order_by("-pk")
        for claim, source, title in rows.values_list("claim", "source_id", "source_title"):
            holders[claim], titles[source] = source, title
    for record_id, match in found.items():
        for claim in (f"target:{match.target.id}" if match.target else "", match.claim):
            if claim and holders.setdefault(claim, record_id) != record_id:
                match.candidates = [match.target] if match.target else match.candidates
                match.target, match.taken_by = None, titles.get(holders[claim]) or holders[claim]
                match.rule = claim if claim == match.claim else match.rule
                break


def value_of(ctx: FlowContext, expression: object, record: Record) -> str:
    """What an expression of a match rule gives for the record, as text; "" where it cannot be evaluated."""
    try:
        value: Value = expression.evaluate({**record.named(), **ctx.parts}, ctx.mapping.tables)  # type: ignore[attr-defined]
    except MappingError:
        return ""  # the mapping step reports it with its row and field
    return text_of(value)


def text_of(value: Value) -> str:
    """A value as match rules see it."""
    return "" if value is None else str(value)
