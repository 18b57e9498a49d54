"""A draft tried on real records: what the version in force makes of each, what the draft makes, what is there now.

Records are read in groups of `GROUP`, at most `MOST` in all, through the interactive lane; whoever shows the result
asks for one group after the other. So a trial needs no task and no table: it stops when nobody asks for more, keeps no
record of anybody, and no request lasts longer than one group. The invariant: nothing is written anywhere but what a
remote says about its own fields.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.utils import translation
from django.utils.translation import gettext as _

from integrations.connector import Fields, ObjectSchema, Record, Value
from integrations.errors import SyncError
from mappings import golden
from mappings.compiled import CompiledMapping, Mapped, Problem
from mappings.mapper import map_record
from mappings.merge import same
from mappings.models import MappingSet, State, compile_mapping
from mappings.samples import Sample
from sync.engine import links
from sync.engine.context import FlowContext
from sync.lab import taking
from sync.lab.samples import context_of

GROUP, MOST = 20, 200

SAME, DIFFERS, FAILS, WORKS, FAILING, UNREADABLE = "same", "differs", "fails", "works", "failing", "unreadable"
NOT_TAKEN = "not_taken"
"""The flow's filter leaves the record out, whatever the versions make of it."""
VERDICTS = (DIFFERS, FAILS, WORKS, SAME, FAILING, NOT_TAKEN, UNREADABLE)


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of one record: what the version in force gives, what the draft gives, and what the target holds as far
    as is known (`known`). `line` is the number of the line, 0 for the record itself."""

    name: str
    label: str
    line: int
    before: Value
    after: Value
    now: Value
    known: bool
    differs: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """One record. `problems` are those of the draft, `before_problems` those of the version in force. `not_taken` says
    why the flow's filter leaves it out, `counterpart` what it is linked with or which rule finds it; `writes` whether
    a run with the draft would write the record at all."""

    id: str
    title: str
    url: str
    verdict: str
    fields: Sequence[FieldRow] = ()
    problems: Sequence[Problem] = ()
    before_problems: Sequence[Problem] = ()
    left_out: str = ""
    left_out_before: str = ""
    error: str = ""
    linked: bool = False
    not_taken: str = ""
    counterpart: str = ""
    writes: bool = False
    sample: Sample | None = None


@dataclass(slots=True)
class Bench:
    """What a trial needs at hand: both versions compiled, the connectors, the schemas. Raises `ExpressionError` when a
    version does not compile, `SyncError` when a remote would not describe itself."""

    draft: MappingSet
    base: MappingSet | None
    ctx: FlowContext
    before: CompiledMapping | None
    after: CompiledMapping
    labels: Mapping[str, str] = field(default_factory=dict)
    filter: taking.Filter = None

    @property
    def reads(self) -> Fields:
        """What either version reads, and the flow's filter."""
        reads: dict[str, frozenset[str]] = dict(self.after.reads)
        for more in (self.before.reads if self.before else {}, taking.reads_of(self.ctx, self.filter)):
            for part, names in more.items():
                reads[part] = reads.get(part, frozenset()) | names
        return reads

    @property
    def target(self) -> ObjectSchema:
        """The target object, as it described itself."""
        return self.ctx.schema("target")


def base_of(mapping_set: MappingSet) -> MappingSet | None:
    """The version in force that a draft (or an older version) is compared with."""
    rows = MappingSet.objects.family(mapping_set).filter(state=State.PUBLISHED)
    return rows.select_related("integration__crm_account", "integration__ledger_account").first()


def bench(mapping_set: MappingSet) -> Bench:
    """Everything for a trial of this version; see `Bench`."""
    ctx = context_of(mapping_set)
    ctx.schema("source")  # expressions are compiled against what is known of it
    base = base_of(mapping_set)
    target = ctx.schema("target")
    labels = {name: found.label for name, found in target.fields.items()}
    labels |= {name: found.label for name, found in target.parts.get(target.lines, {}).items() if name not in labels}
    before = compile_mapping(base) if base is not None else None
    return Bench(mapping_set, base, ctx, before, compile_mapping(mapping_set), labels, taking.filter_of(ctx))


def run(stand: Bench, ids: Sequence[str], *, matching: bool = False) -> list[Tried]:
    """These records, at most a group of them. `matching`: also look for counterparts of those that are not linked, at
    the cost of one look-up per rule. Raises `SyncError` when the source refuses as a whole."""
    wanted = list(dict.fromkeys(ids))[:GROUP]
    ctx = stand.ctx
    loaded: dict[str, Record | SyncError] = {}
    for answer in ctx.source.load(ctx.flow.source_object, wanted, stand.reads):
        if isinstance(answer, Record):
            loaded[answer.id] = answer
        else:
            loaded[answer[0]] = answer[1]
    linked = links.by_source(ctx.flow, wanted)
    readable = [record for record in loaded.values() if isinstance(record, Record)]
    left = {
        record.id: taking.not_taken(ctx, stand.filter, stand.after, record, record.id in linked) for record in readable
    }
    taken = [record for record in readable if not left[record.id]]
    where = taking.counterparts(ctx, stand.after, taken, linked) if matching else {}
    found = []
    for key in wanted:
        record = loaded.get(key)
        if isinstance(record, Record):
            link = linked.get(key)
            agreed = links.agreed(ctx.flow, link) if link else None
            found.append(_tried(stand, record, agreed, left[key], where.get(key, "")))
        else:
            why = record.message if record is not None else _("The source did not answer for this record.")
            found.append(Tried(key, key, "", UNREADABLE, error=why))
    return found


def count(tried: Sequence[Tried]) -> Counter[str]:
    """How many of each verdict."""
    return Counter(row.verdict for row in tried)


def _tried(stand: Bench, record: Record, agreed: Mapping[str, Value] | None, not_taken: str, counterpart: str) -> Tried:
    parts = stand.ctx.parts
    after = map_record(stand.after, record, parts, stand.target)
    before = map_record(stand.before, record, parts, stand.target) if stand.before else None
    rows = list(_rows(stand, before, after, agreed))
    linked = agreed is not None
    verdict = NOT_TAKEN if not_taken else _verdict(before, after)
    return Tried(
        record.id, after.title or record.title or record.id, record.url, verdict, rows, after.problems,
        before.problems if before else (), _left_out(after), _left_out(before) if before else "",
        linked=linked, sample=Sample(record.id, record, parts), not_taken=not_taken, counterpart=counterpart,
        writes=not not_taken and not (after.skip and not (after.skip_create_only and linked)),
    )  # fmt: skip


def _left_out(mapped: Mapped) -> str:
    return mapped.skip


def _verdict(before: Mapped | None, after: Mapped) -> str:
    if after.problems:
        return FAILING if before is not None and before.problems else FAILS
    if before is not None and before.problems:
        return WORKS
    with translation.override("en"):
        differs = golden.differences(golden.outcome(before) if before else {}, golden.outcome(after))
    return DIFFERS if differs else SAME


def _rows(stand: Bench, before: Mapped | None, after: Mapped, agreed: Mapping[str, Value] | None) -> Iterator[FieldRow]:
    old = _flat(before) if before else {}
    new = _flat(after)
    for key in dict.fromkeys([*new, *old]):
        line, name = key
        label = golden.label_of(name, stand.labels)
        known = agreed is not None and not line and name in agreed
        now = agreed.get(name) if agreed is not None and known else None
        yield FieldRow(
            name, label, line, old.get(key), new.get(key), now, known, not same(old.get(key), new.get(key))
        )  # fmt: skip


def _flat(mapped: Mapped) -> dict[tuple[int, str], Value]:
    """By line and field; key and links of the record too."""
    if mapped.skip and not mapped.skip_create_only:
        return {}
    flat: dict[tuple[int, str], Value] = {(0, name): value for name, value in mapped.fields.items()}
    for number, line in enumerate(mapped.lines or (), start=1):
        flat |= {(number, name): value for name, value in line.items()}
    if mapped.unique:
        flat[(0, f"{golden.UNIQUE}{mapped.unique[0]}")] = mapped.unique[1]
    flat |= {(0, f"{golden.LINK}{name}"): key for name, key in mapped.links.items()}
    return flat
